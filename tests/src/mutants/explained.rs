//! tests/mutants.txt: what each area's mutants came to, and why those that survive may.

use std::collections::{BTreeMap, BTreeSet};

/// The counts of an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All.
    pub mutants: usize,
    /// Of these, the compiler refuses.
    pub unviable: usize,
    /// Of these, a test fails or runs on for ever.
    pub caught: usize,
    /// Of these, no test minds.
    pub survive: usize,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { mutants, unviable, caught, survive } = self;
        write!(f, "{mutants} mutants: {unviable} don't compile, {caught} are caught, {survive} survive")
    }
}

/// What separates a mutant from the reason why it may survive.
pub const BECAUSE: &str = " → ";

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// What each area's mutants came to, as text.
    pub areas: BTreeMap<String, String>,
    /// Why a mutant may survive.
    pub reasons: BTreeMap<String, String>,
}

/// Reads the file.
///
/// # Errors
/// A line that says neither.
pub fn parse(text: &str) -> Result<Explained, String> {
    let mut all = Explained::default();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let new = if let Some((area, counts)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] "))
        {
            all.areas.insert(area.to_owned(), counts.to_owned()).is_none()
        } else if let Some((mutant, reason)) =
            line.split_once(BECAUSE).filter(|(_, reason)| !reason.is_empty())
        {
            all.reasons.insert(mutant.to_owned(), reason.to_owned()).is_none()
        } else {
            return Err(format!("tests/mutants.txt:{}: `{line}` isn't understood", number + 1));
        };
        if !new {
            return Err(format!("tests/mutants.txt:{}: said twice", number + 1));
        }
    }
    Ok(all)
}

/// What is wrong: survivors without a reason, and reasons for what doesn't survive any more. `judged` are all that were tried.
pub fn compare(
    reasons: &BTreeMap<String, String>,
    judged: &BTreeSet<&str>,
    survive: &BTreeSet<&str>,
    whole: bool,
) -> Vec<String> {
    let new = survive.iter().filter(|name| !reasons.contains_key(**name));
    let mut wrong: Vec<String> = new.map(|name| format!("survives, and nothing says why: {name}")).collect();
    for name in reasons.keys().map(String::as_str).filter(|name| !survive.contains(name)) {
        if judged.contains(name) {
            wrong.push(format!("explained, but is caught: {name}"));
        } else if whole {
            wrong.push(format!("explained, but there is no such mutant: {name}"));
        }
    }
    wrong
}
