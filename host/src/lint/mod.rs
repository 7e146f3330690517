//! The separation lint: what has to hold before a security patch may be called one.
//!
//! Thirty checks, each a function from a [`Case`] to an [`Answer`]; a profile says which of them block when they can't
//! be evaluated, a catalogue which clauses of which text they serve. A check that shows something wrong is never made
//! right by a missing input: what can't be evaluated is said, with its reason.

mod advisory;
pub mod archived;
mod build;
mod case;
pub mod catalogue;
pub mod change;
mod checks;
mod csaf;
pub mod debt;
pub mod delta;
pub(crate) mod extract;
pub mod findings;
pub(crate) mod git;
mod image;
pub(crate) mod inventory;
mod lock;
pub mod proof;
mod release;
mod sbom;
mod semver;
mod source;
pub mod statement;
mod versions;
mod vex;
pub mod waiver;

pub(crate) use case::LARGEST_FOREIGN;
pub use case::{Base, Case, Opened};
pub use checks::CHECKS;

use crate::error::Result;
use patchlane_protocol::Digest;

/// What a check that fails leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// The patch is refused.
    Error,
    /// The patch is refused unless a second approver has signed a waiver.
    Waivable,
}

/// One check.
pub struct Check {
    /// Its number: its stable name.
    pub number: u8,
    /// A short name.
    pub name: &'static str,
    /// What it asks for.
    pub title: &'static str,
    /// What its failure leads to.
    pub grade: Grade,
    /// True if its failure shows a feature change: no emergency covers that.
    pub feature: bool,
    /// What to do when it fails.
    pub next: &'static str,
    run: fn(&Case<'_>) -> Result<Answer>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.number, self.name)
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It holds; what was seen.
    Pass(String),
    /// It doesn't hold; what was seen.
    Fail(String),
    /// It can't be told; what is missing.
    Unknown(String),
}

/// A file that a check read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its path, as the change record names it.
    pub name: String,
    /// Its SHA-256 digest.
    pub digest: Digest,
}

/// What became of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It doesn't.
    Fail,
    /// It doesn't, and a second approver has signed that the patch may go all the same.
    Waived {
        /// Why.
        reason: String,
        /// The approver's key.
        by: String,
        /// Seconds since 1970.
        until: u64,
    },
    /// It couldn't be told in an emergency, and is owed until this date.
    Owed {
        /// Seconds since 1970.
        due: u64,
    },
    /// It can't be told.
    Unknown {
        /// True if the profile doesn't let it pass.
        blocks: bool,
    },
}

impl Outcome {
    /// Its stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Waived { .. } => "waived",
            Self::Owed { .. } => "owed",
            Self::Unknown { .. } => "not-evaluated",
        }
    }

    /// True if the patch can't go.
    pub const fn blocks(&self) -> bool {
        matches!(self, Self::Fail | Self::Unknown { blocks: true })
    }
}

/// A check, what it found, and what becomes of that.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Which check.
    pub check: &'static Check,
    /// What became of it.
    pub outcome: Outcome,
    /// What was seen, or what is missing.
    pub detail: String,
    /// What it read.
    pub inputs: Vec<Input>,
    /// What it found, for programs; empty if it got to nothing.
    pub data: serde_json::Map<String, serde_json::Value>,
    /// What wasn't where it was looked for: nothing follows from the finding then. Only of a case in an archive.
    pub lacking: Vec<String>,
}

/// How strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// What a small team can do on its first day: base, version, support, advisory, interfaces, notice, keys
    Starter,
    /// Everything but what needs recorded inputs played to both releases
    Cra,
    /// Everything
    #[serde(rename = "cra+replay")]
    #[value(name = "cra+replay")]
    CraReplay,
}

impl Profile {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starter => "starter",
            Self::Cra => "cra",
            Self::CraReplay => "cra+replay",
        }
    }

    /// True if a check has to be evaluated.
    pub fn needs(self, check: &Check) -> bool {
        match self {
            Self::Starter => matches!(check.number, 2..=4 | 21..=23 | 29 | 30),
            Self::Cra => !matches!(check.number, 25),
            Self::CraReplay => true,
        }
    }
}

/// Missing evidence that becomes debt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emergency {
    /// Why it can't wait.
    pub reason: String,
    /// When the evidence is due: seconds since 1970.
    pub due: u64,
}

/// How findings become a verdict.
#[derive(Debug)]
pub struct Rules<'a> {
    /// How strict.
    pub profile: Profile,
    /// Clauses, required or recommended.
    pub catalogues: &'a [catalogue::Catalogue],
    /// What second approvers signed for this change, verified.
    pub waivers: &'a [waiver::Waiver],
    /// Set in an emergency.
    pub emergency: Option<Emergency>,
}

impl Rules<'_> {
    /// Whether a check that can't be evaluated blocks: the profile needs it, and not all of the clauses that it serves
    /// only recommend it.
    pub(crate) fn blocks(&self, check: &Check) -> bool {
        let mut clauses = self.catalogues.iter().flat_map(|c| c.serving(check.number)).peekable();
        let recommended = clauses.peek().is_some() && clauses.all(|clause| !clause.required);
        self.profile.needs(check) && !recommended
    }

    fn outcome(&self, check: &'static Check, answer: &Answer) -> Outcome {
        match answer {
            Answer::Pass(_) => Outcome::Pass,
            Answer::Fail(_) => {
                let waiver = self.waivers.iter().find(|waiver| waiver.check == check.number);
                match waiver.filter(|_| check.grade == Grade::Waivable) {
                    Some(w) => Outcome::Waived { reason: w.reason.clone(), by: w.by.clone(), until: w.until },
                    None => Outcome::Fail,
                }
            }
            Answer::Unknown(_) => match &self.emergency {
                Some(emergency) if self.blocks(check) && !check.feature => {
                    Outcome::Owed { due: emergency.due }
                }
                _ => Outcome::Unknown { blocks: self.blocks(check) },
            },
        }
    }
}

/// Runs every check.
pub fn run(case: &Case<'_>, rules: &Rules<'_>) -> Vec<Finding> {
    CHECKS.iter().map(|check| one(check, case, rules)).collect()
}

fn one(check: &'static Check, case: &Case<'_>, rules: &Rules<'_>) -> Finding {
    case.begin(check.number);
    // An input that can't be read fails its check: nothing fails open.
    let answer = (check.run)(case).unwrap_or_else(|error| Answer::Fail(error.to_string()));
    let outcome = rules.outcome(check, &answer);
    let (Answer::Pass(detail) | Answer::Fail(detail) | Answer::Unknown(detail)) = answer;
    Finding { check, outcome, detail, inputs: case.taken(), data: case.kept(), lacking: case.lacked() }
}

/// True if the findings say that the release isn't a security patch but carries functionality (checks 21 and 22).
pub fn is_combined(findings: &[Finding]) -> bool {
    findings.iter().any(|f| matches!(f.check.number, 21 | 22) && f.outcome == Outcome::Fail)
}

#[cfg(test)]
mod tests;
