//! What came of scenarios as JUnit XML, as continuous integration reads it. No times: same scenario, same bytes.

use crate::error::{Code, Error, Result};
use crate::files::{self, Over, Secrecy};
use std::fmt::Write as _;
use std::path::Path;

/// A scenario.
pub(super) struct Suite {
    /// Its title.
    pub(super) name: String,
    /// Its file.
    pub(super) file: String,
    /// Its steps.
    pub(super) cases: Vec<Case>,
}

/// A step, or a sweep.
pub(super) struct Case {
    /// What it is.
    pub(super) name: String,
    /// What came of it.
    pub(super) verdict: Verdict,
}

/// What came of a step.
pub(super) enum Verdict {
    /// What was to come of it.
    Passed(String),
    /// Something else.
    Failed(String),
    /// It wasn't played: one before it went otherwise.
    Skipped,
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"patchlane simulate\"";

/// Text as XML 1.0 takes it: what it can't hold becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            // In attributes these would be read as spaces.
            '\t' | '\n' | '\r' => {
                let _ = write!(xml, "&#{};", u32::from(c));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            c => xml.push(c),
        }
    }
    xml
}

fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut skipped) = (0, 0, 0);
    for case in cases {
        tests += 1;
        failures += u32::from(matches!(case.verdict, Verdict::Failed(_)));
        skipped += u32::from(matches!(case.verdict, Verdict::Skipped));
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"")
}

/// The report.
pub(super) fn report(suites: &[Suite]) -> String {
    let mut xml = format!("{HEAD} {}>\n", counts(suites.iter().flat_map(|suite| &suite.cases)));
    for suite in suites {
        let (name, file) = (escaped(&suite.name), escaped(&suite.file));
        let _ = writeln!(xml, "  <testsuite name=\"{name}\" file=\"{file}\" {}>", counts(suite.cases.iter()));
        for case in &suite.cases {
            let case_name = escaped(&case.name);
            let open = format!("    <testcase classname=\"{file}\" name=\"{case_name}\"");
            let _ = match &case.verdict {
                Verdict::Passed(told) => {
                    writeln!(
                        xml,
                        "{open}>\n      <system-out>{}</system-out>\n    </testcase>",
                        escaped(told)
                    )
                }
                Verdict::Failed(what) => {
                    let what = escaped(what);
                    let failure = format!("<failure message=\"{what}\" type=\"differs\">{what}</failure>");
                    writeln!(xml, "{open}>\n      {failure}\n    </testcase>")
                }
                Verdict::Skipped => writeln!(xml, "{open}>\n      <skipped/>\n    </testcase>"),
            };
        }
        xml.push_str("  </testsuite>\n");
    }
    xml + "</testsuites>\n"
}

/// Refuses a target that is another file.
pub(super) fn check(path: &Path) -> Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    if files::read(path)?.starts_with(HEAD.as_bytes()) {
        return Ok(());
    }
    let next = "name another file: only an earlier report is replaced";
    Err(Error::new(Code::Exists, "exists already, and isn't a report of `simulate`", next).at(path.display()))
}

/// Writes the report, in the place of an earlier one.
pub(super) fn write(path: &Path, suites: &[Suite]) -> Result<()> {
    check(path)?;
    let over = if path.exists() { Over::Existing } else { Over::Nothing };
    files::write(path, report(suites).as_bytes(), over, Secrecy::Public)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_title_holds_the_report_is_xml() {
        let name = "a<b>&\"c\"\n\u{1}\u{fffe}ä".to_owned();
        let cases = vec![
            Case { name: name.clone(), verdict: Verdict::Failed(name.clone()) },
            Case { name: "2".into(), verdict: Verdict::Skipped },
            Case { name: "3".into(), verdict: Verdict::Passed("ok".into()) },
        ];
        let xml = report(&[Suite { name, file: "f".into(), cases }]);
        let text = "a&lt;b&gt;&amp;&quot;c&quot;&#10;\u{fffd}\u{fffd}ä";
        assert!(xml.contains(&format!("<testsuite name=\"{text}\" file=\"f\" tests=\"3\" failures=\"1\"")));
        assert!(xml.contains(&format!("<failure message=\"{text}\" type=\"differs\">{text}</failure>")));
        assert!(!xml.chars().any(|c| c != '\n' && c.is_control()));
    }
}
