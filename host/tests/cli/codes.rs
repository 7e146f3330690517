//! MANUAL.md's tables are made from the source: `UPDATE=1 cargo test -p patchlane --test cli codes::` writes them.

use patchlane::error::EXITS;
use patchlane::ledger::rules::Rule;
use patchlane::protocol::{FormatError, Refusal};
use patchlane::{Code, Error};
use std::fmt::Write as _;
use std::path::Path;

fn exits() -> String {
    let mut table = "| exit | meaning | codes |\n|---:|---|---|\n".to_owned();
    for (exit, meaning) in EXITS {
        let codes = Code::ALL.iter().filter(|code| code.exit() == exit);
        let codes: Vec<_> = codes.map(|code| format!("`{}`", code.name())).collect();
        let _ = writeln!(table, "| {exit} | {meaning} | {} |", codes.join(", "));
    }
    table
}

fn codes() -> String {
    let mut table = "| code | exit | meaning | next |\n|---|---:|---|---|\n".to_owned();
    for code in Code::ALL {
        let (name, exit) = (code.name(), code.exit());
        let _ = writeln!(table, "| `{name}` | {exit} | {} | {} |", code.meaning(), code.remedy());
    }
    table
}

fn refusals() -> String {
    let mut table =
        "| refusal | name | the file or the device … | next | code |\n|---:|---|---|---|---|\n".to_owned();
    for refusal in Refusal::RULES {
        let (number, code) = (refusal.code(), Error::refused(*refusal).code.name());
        let _ = writeln!(table, "| {number} | {refusal:?} | {refusal} | {} | `{code}` |", refusal.remedy());
    }
    table
}

fn malformed() -> String {
    let mut table = "| refusal | name | the file … |\n|---:|---|---|\n".to_owned();
    for error in FormatError::ALL {
        let _ = writeln!(table, "| {} | {error:?} | {error} |", error.code());
    }
    table
}

fn findings() -> String {
    let mut table = "| finding | what is found |\n|---|---|\n".to_owned();
    for rule in Rule::ALL {
        let _ = writeln!(table, "| `{}` | {} |", rule.name(), rule.meaning());
    }
    table
}

/// The text with what lies between the marks of `name` exchanged.
fn renewed(text: &str, name: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), "<!-- end -->");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("MANUAL.md has no {begin}"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("{begin} has no end"));
    format!("{before}{begin}{content}{end}{after}")
}

#[test]
fn the_manual_lists_every_code_as_the_source_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("MANUAL.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let regions = [
        ("exit codes", exits()),
        ("error codes", codes()),
        ("refusals", refusals()),
        ("malformed", malformed()),
        ("ledger findings", findings()),
    ];
    let new = regions.iter().fold(text.clone(), |text, (name, content)| renewed(&text, name, content));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, new).unwrap();
    } else {
        assert!(new == text, "MANUAL.md drifted: UPDATE=1 cargo test -p patchlane --test cli codes::");
    }
}

#[test]
fn help_names_every_exit_code() {
    let help = String::from_utf8(super::desk::Desk::new("exits").run("--help").stdout).unwrap();
    let line = help.split_once("Exit codes: ").expect("no exit codes").1;
    let line = line.split_once(".\n").unwrap().0;
    let named: Vec<u8> =
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
    assert_eq!(named, EXITS.map(|(exit, _)| exit));
}

#[test]
fn every_code_says_what_to_do() {
    for code in Code::ALL {
        assert!(code.meaning().ends_with('.') && !code.remedy().is_empty(), "{}", code.name());
    }
}
