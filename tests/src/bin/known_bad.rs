//! `known_bad [--quick]`: readings of the rules that are known to be wrong have to be caught (tests/known-bad.txt). Launched by
//! `cargo xtask known-bad`.
//!
//! All of them are put into one copy of the workspace, each behind a switch, so that it is built once. A hunk that
//! doesn't apply is an error: the rules have moved on, and the file has to follow.

use patchlane_tests::broken::{self, Changed, LIBRARY, programs, source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Test binaries that may catch one.
const BINARIES: [&str; 10] =
    ["redteam", "model2", "threats", "defects", "rot", "delta", "direct_rules", "power", "fuzz", "model"];
/// How one is switched on, and asked for.
const SWITCH: &str = "
extern crate std;

/// True if this known-bad rule is in force.
pub fn bad(id: &str) -> bool {
    static ACTIVE: std::sync::OnceLock<Option<std::string::String>> = std::sync::OnceLock::new();
    ACTIVE.get_or_init(|| std::env::var(\"PATCHLANE_KNOWN_BAD\").ok()).as_deref() == Some(id)
}
";

/// Lines that go and lines that come, in a file.
struct Hunk {
    file: String,
    old: String,
    new: String,
}

/// One wrong rule.
struct Bad {
    id: String,
    what: String,
    caught: Vec<String>,
    hunks: Vec<Hunk>,
}

fn parse(text: &str) -> Result<Vec<Bad>, String> {
    let mut all: Vec<Bad> = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let wrong = || format!("tests/known-bad.txt:{}: `{line}` isn't understood", number + 1);
        if let Some((id, what)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            let (id, what) = (id.to_owned(), what.to_owned());
            all.push(Bad { id, what, caught: Vec::new(), hunks: Vec::new() });
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let bad = all.last_mut().ok_or_else(wrong)?;
        if let Some(names) = line.strip_prefix("caught ") {
            bad.caught = names.split(' ').map(str::to_owned).collect();
        } else if let Some(file) = line.strip_prefix("file ") {
            bad.hunks.push(Hunk { file: file.to_owned(), old: String::new(), new: String::new() });
        } else {
            let hunk = bad.hunks.last_mut().ok_or_else(wrong)?;
            let (side, rest) = match line.split_at(1) {
                ("-", rest) => (&mut hunk.old, rest),
                ("+", rest) => (&mut hunk.new, rest),
                _ => return Err(wrong()),
            };
            side.push_str(rest);
            side.push('\n');
        }
    }
    let source: String = all.iter().flat_map(|bad| &bad.hunks).map(|hunk| hunk.new.as_str()).collect();
    match all.iter().find(|bad| bad.caught.is_empty() || !source.contains(&format!("bad(\"{}\")", bad.id))) {
        Some(bad) => Err(format!("{}: nothing switches it on, or nothing has to catch it", bad.id)),
        None => Ok(all),
    }
}

/// Sources with every wrong rule in them.
fn instrument(all: &[Bad]) -> Result<Changed, String> {
    let mut changed = Changed::new();
    changed.insert(LIBRARY.into(), source(LIBRARY)? + SWITCH);
    for bad in all {
        for Hunk { file, old, new } in &bad.hunks {
            let text = match changed.remove(Path::new(file)) {
                Some(text) => text,
                None => source(file)?,
            };
            if text.matches(old).count() != 1 {
                return Err(format!("{}: {file} doesn't hold these lines once:\n{old}", bad.id));
            }
            changed.insert(file.into(), text.replace(old, new));
        }
    }
    Ok(changed)
}

/// The tests of the copy: which program has each.
struct Tests(BTreeMap<String, PathBuf>);

impl Tests {
    fn build(copy: &Path) -> Result<Self, String> {
        let names = BINARIES.iter().flat_map(|name| ["--test", *name]);
        let arguments: Vec<&str> = ["-p", "patchlane-tests"].into_iter().chain(names).collect();
        let mut tests = BTreeMap::new();
        for program in programs(copy, &copy.join("target"), &arguments)? {
            let listed = Command::new(&program).arg("--list").output().map_err(|e| e.to_string())?;
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
            tests.extend(names.map(|name| (name.to_owned(), program.clone())));
        }
        Ok(Self(tests))
    }

    /// Runs one test, with a wrong rule in force; true if it fails.
    fn fails(&self, name: &str, id: &str) -> Result<bool, String> {
        let program = self.0.get(name).ok_or_else(|| format!("{id}: there is no test {name}"))?;
        let mut test = Command::new(program);
        test.args(["--exact", name, "--nocapture"]).stdout(Stdio::null()).stderr(Stdio::null());
        test.env("PATCHLANE_KNOWN_BAD", id).env("PATCHLANE_MODEL", "invariants").env("RUST_BACKTRACE", "0");
        let status = test.status().map_err(|e| format!("{name}: {e}"))?;
        Ok(!status.success())
    }
}

/// Puts every wrong rule in force, one after the other; `quick` asks the first test named only.
fn known_bad(quick: bool) -> Result<(), String> {
    let all = parse(&source("tests/known-bad.txt")?)?;
    let copy = broken::copy("known-bad", &instrument(&all)?)?;
    let tests = Tests::build(&copy)?;
    let most = if quick { 1 } else { usize::MAX };
    let (mut missed, mut asked) = (Vec::new(), BTreeSet::new());
    for bad in &all {
        let (mut caught, mut passed) = (Vec::new(), Vec::new());
        for name in bad.caught.iter().take(most) {
            asked.insert(name.as_str());
            if tests.fails(name, &bad.id)? { caught.push(name.as_str()) } else { passed.push(name.as_str()) }
        }
        println!("{:<14}{}\n{:14}caught by {}", bad.id, bad.what, "", caught.join(", "));
        missed.extend(passed.iter().map(|name| format!("{}: {name} passes", bad.id)));
    }
    for name in &asked {
        if tests.fails(name, "none")? {
            missed.push(format!("{name} fails with no wrong rule in force"));
        }
    }
    println!("{} wrong rules, {} tests", all.len(), asked.len());
    if missed.is_empty() { Ok(()) } else { Err(missed.join("\n")) }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--quick"] => true,
        _ => {
            eprintln!("known_bad [--quick]");
            return ExitCode::from(2);
        }
    };
    match known_bad(quick) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_rule_is_read_with_its_hunks_and_what_is_none_is_an_error() {
        let text = "# c\n[a] what\ncaught one two\nfile f\n-old\n+if bad(\"a\") {}\n";
        let all = parse(text).unwrap();
        assert_eq!((all.len(), &all[0].id[..], all[0].caught.len()), (1, "a", 2));
        assert_eq!((&all[0].hunks[0].old[..], &all[0].hunks[0].new[..]), ("old\n", "if bad(\"a\") {}\n"));
        for wrong in
            ["-x\n", "[a] w\nnonsense\n", "[a] w\nfile f\n+bad(\"a\")\n", "[a] w\ncaught t\nfile f\n+x\n"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
