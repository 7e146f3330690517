//! What evidence let pass for now, as the ledger records it: waivers, and what an emergency left owing.

use super::CHECKS;
use super::statement::of_this_kind;
use crate::bundle::sha256;
use crate::error::{Code, Error, Result};
use crate::evidence::Evidence;
use crate::ledger::entry::{Owed, Release, Waiver};
use crate::ledger::time::Day;
use crate::output::plain;
use patchlane_protocol::Digest;
use serde_json::Value;

/// The most bytes of a text that an entry holds.
const MOST: usize = 1_000;

/// What a patch was let through with.
#[derive(Debug, Default)]
pub struct Leniency {
    /// Checks that fail, and that a second approver waived.
    pub waivers: Vec<Waiver>,
    /// Checks that an emergency left open.
    pub owed: Vec<Owed>,
}

fn no(what: impl Into<String>, next: &str) -> Error {
    Error::new(Code::Separation, what, next)
}

const OTHER: &str = "name the evidence that the bundle was built with";

fn predicate(evidence: &[u8]) -> Result<Value> {
    let statement =
        Evidence::parse(evidence).map_err(|e| no(e.what, "name what `patchlane lint -o` wrote"))?.statement;
    of_this_kind(&statement)?;
    Ok(statement)
}

fn rows(statement: &Value) -> impl Iterator<Item = &Value> {
    statement["predicate"]["checks"].as_array().into_iter().flatten()
}

/// The check of a row, if it is one of the thirty.
fn number(row: &Value) -> Option<u8> {
    let number = row["check"].as_u64().and_then(|number| u8::try_from(number).ok())?;
    CHECKS.iter().any(|check| check.number == number).then_some(number)
}

/// One line that fits into an entry.
fn line(value: &Value) -> String {
    let text = plain(value.as_str().unwrap_or("no reason was given"));
    let mut end = text.len().min(MOST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn day(value: &Value) -> Result<Day> {
    let text = value.as_str().unwrap_or_default();
    Day::parse(text).map_err(|what| no(format!("`{}` isn't a day: {what}", plain(text)), OTHER))
}

/// Reads it from the evidence whose digest a manifest names.
///
/// # Errors
/// `separation`: it is other evidence, or says what nobody can record.
pub fn leniency(evidence: &[u8], named: Digest) -> Result<Leniency> {
    if sha256(evidence) != named {
        return Err(no("isn't the evidence that the manifest names", OTHER));
    }
    let statement = predicate(evidence)?;
    let because = line(&statement["predicate"]["emergency"]["reason"]);
    let mut found = Leniency::default();
    for row in rows(&statement) {
        let Some(check) = number(row) else { return Err(no("speaks of a check that there isn't", OTHER)) };
        match row["result"].as_str() {
            Some("waived") => found.waivers.push(Waiver {
                check: check.to_string(),
                because: line(&row["waiver"]["reason"]),
                approver: line(&row["waiver"]["by"]),
                until: day(&row["waiver"]["until"])?,
            }),
            Some("owed") => {
                found.owed.push(Owed { check, because: because.clone(), due: day(&row["due"])? });
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Judges evidence that was made later: for this release and its images, and each of these checks holds by now, or is
/// waived. Whatever else it says is said of today.
///
/// # Errors
/// `separation`: what is wrong, or still missing.
pub fn settles(evidence: &[u8], release: &Release, checks: &[u8]) -> Result<()> {
    let again = "run `patchlane lint -o FILE` on the release's change record, without --emergency";
    let statement = predicate(evidence)?;
    let version = release.version().map_or_else(String::new, |version| version.to_string());
    if statement["predicate"]["to"]["release"].as_str() != Some(&version) {
        return Err(no(format!("isn't about {version}"), again));
    }
    let subjects = statement["subject"].as_array().into_iter().flatten();
    let mut judged: Vec<&str> = subjects.filter_map(|s| s["digest"]["sha256"].as_str()).collect();
    let mut released: Vec<String> = release.image.iter().map(|image| image.sha256.to_string()).collect();
    judged.sort_unstable();
    released.sort_unstable();
    if judged != released {
        return Err(no("is about other images than the release's", again));
    }
    for check in checks {
        let row = rows(&statement).find(|row| number(row) == Some(*check));
        let result = row.and_then(|row| row["result"].as_str()).unwrap_or("isn't there");
        if !matches!(result, "pass" | "waived") {
            return Err(no(format!("doesn't settle check {check}: {}", plain(result)), again));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::statement::KIND;
    use super::*;
    use serde_json::json;

    fn evidence(row: &Value) -> (Vec<u8>, Digest) {
        let bytes = json!({ "predicateType": KIND, "predicate": {
            "checks": [row], "emergency": { "reason": "exploited\u{1b}[2J" } } })
        .to_string()
        .into_bytes();
        let digest = sha256(&bytes);
        (bytes, digest)
    }

    #[test]
    fn debt_is_read_from_the_evidence_that_was_named() {
        let (bytes, digest) = evidence(&json!({ "check": 12, "result": "owed", "due": "2027-02-01" }));
        let found = leniency(&bytes, digest).unwrap();
        assert_eq!(found.owed.len(), 1);
        assert_eq!((found.owed[0].check, found.owed[0].due.to_string().as_str()), (12, "2027-02-01"));
        assert!(!found.owed[0].because.contains('\u{1b}'), "{:?}", found.owed[0].because);
        assert_eq!(leniency(b"{}", digest).unwrap_err().code, Code::Separation);
    }

    #[test]
    fn what_nobody_can_record_is_refused() {
        for row in [
            json!({ "check": 31, "result": "owed", "due": "2027-02-01" }),
            json!({ "check": 12, "result": "owed", "due": "soon" }),
            json!({ "check": 12, "result": "owed" }),
            json!({ "check": 8, "result": "waived", "waiver": { "until": 7 } }),
        ] {
            let (bytes, digest) = evidence(&row);
            assert_eq!(leniency(&bytes, digest).unwrap_err().code, Code::Separation, "{row}");
        }
    }

    #[test]
    fn long_reasons_are_cut_between_characters() {
        let text = "ä".repeat(MOST);
        assert_eq!(line(&json!(text)).len(), MOST);
        assert_eq!(line(&json!(format!("a{text}"))).len(), MOST - 1);
    }
}
