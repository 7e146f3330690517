//! Sections 8 to 12 and the lines, in types.

use super::Input;
use serde::Serialize;

/// Section 8: how it gets to devices, and what they do with it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Distribution {
    /// What isn't there.
    pub missing: Vec<String>,
    /// The root's version.
    pub root: Option<u32>,
    /// True for a development root.
    pub development: bool,
    /// Whether the device's own verifier takes the bundle under that root; why not.
    pub verified: Option<String>,
    /// Who may sign.
    pub roles: Vec<Role>,
    /// Who signed.
    pub signed_by: Vec<String>,
    /// Below which nothing is installed.
    pub floor: String,
    /// Up to which releases may go under this root.
    pub ceiling: Option<String>,
    /// What devices can take.
    pub payloads: Vec<String>,
    /// Security levels.
    pub claims: Vec<Claim>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Role {
    /// Which.
    pub role: &'static str,
    /// How many have to sign.
    pub threshold: u8,
    /// Ids of its keys.
    pub keys: Vec<String>,
}

/// What is claimed of a requirement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// Its id.
    pub requirement: &'static str,
    /// What is claimed.
    pub claim: String,
    /// By what mechanism.
    pub mechanism: &'static str,
    /// What the claim hangs on.
    pub condition: &'static str,
}

/// Section 9: whether it is a substantial modification.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Assessment {
    /// What isn't there.
    pub missing: Vec<String>,
    /// The four questions.
    pub questions: Vec<Question>,
    /// The risk assessment.
    pub risk_assessment: Option<Input>,
    /// What check 27 says.
    pub result: String,
    /// Whether the certificate of a type-examined product needs an addition, and why.
    pub type_certificate: Option<Question>,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// What is asked.
    pub question: String,
    /// True if something changes.
    pub changes: bool,
    /// Why, or why not.
    pub why: String,
}

/// Section 10: what doesn't hold, and who bears it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Exceptions {
    /// What isn't known.
    pub missing: Vec<String>,
    /// Why it couldn't wait.
    pub emergency: Option<String>,
    /// Waivers.
    pub waivers: Vec<Waiver>,
    /// Evidence that is owed.
    pub debts: Vec<Debt>,
    /// Checks that weren't evaluated, and that the profile doesn't ask for.
    pub not_evaluated: Vec<Unevaluated>,
}

/// A waiver.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waiver {
    /// The check: its number, or as the ledger names it.
    pub check: String,
    /// Why.
    pub reason: String,
    /// Who approved it.
    pub by: String,
    /// When it ends.
    pub until: String,
    /// Where it stands: `evidence`, signed, or `ledger`.
    pub source: &'static str,
}

/// Evidence that is owed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Debt {
    /// The check.
    pub check: String,
    /// Until when.
    pub due: String,
}

/// A check that says nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unevaluated {
    /// The check.
    pub check: String,
    /// Why not.
    pub why: String,
    /// True if the profile asks for it.
    pub blocks: bool,
}

/// Section 11: what users are told, and for how long it stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Notice {
    /// What isn't there.
    pub missing: Vec<String>,
    /// How to install, what stops, what remains, how to go back.
    pub told: Vec<(String, String)>,
    /// The last day of support.
    pub support_end: Option<String>,
    /// Where the update stays obtainable.
    pub location: Option<String>,
    /// The archive's index.
    pub archive_sha256: Option<String>,
    /// How many files are in it.
    pub files: usize,
    /// Until when it has to be kept.
    pub retain_until: Option<String>,
}

/// A line of the product.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lane {
    /// `4.1`.
    pub baseline: String,
    /// What people call it.
    pub name: String,
    /// Until when it is supported.
    pub support_end: String,
    /// That its support ended early, and why.
    pub retired: Option<String>,
    /// Its releases, in order.
    pub releases: Vec<Point>,
}

/// A release of a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// `4.1 s8`.
    pub release: String,
    /// Its level.
    pub level: u32,
    /// `security` or `feature`.
    pub lane: &'static str,
    /// When it was issued.
    pub issued: String,
    /// What it closes.
    pub closes: Vec<String>,
    /// True for the release that this report is about.
    pub this: bool,
}

/// Section 12: what made this, and how to make it again.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Tool {
    /// What made the report.
    pub report: String,
    /// What made the evidence.
    pub evidence: Option<String>,
    /// Commands that repeat it.
    pub commands: Vec<(String, String)>,
    /// Every file in the archive.
    pub files: Vec<Kept>,
}

/// A file of the archive.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    /// What it is.
    pub role: &'static str,
    /// Its name.
    pub name: String,
    /// Its digest.
    pub sha256: String,
}
