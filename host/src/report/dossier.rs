//! What a report says, in types: twelve sections, each of which says what it lacks. The JSON report is this, as it is;
//! Markdown and HTML are made from it.

mod found;
mod rest;

pub use crate::lint::delta::Delta;
pub use found::*;
pub use rest::*;

use serde::Serialize;
use std::collections::BTreeMap;

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dossier {
    /// Whom it is for: `assessor` or `customer`.
    pub audience: &'static str,
    /// What the whole comes to.
    pub verdict: Verdict,
    /// Section 1.
    pub identity: Identity,
    /// Section 2.
    pub requirements: Requirements,
    /// Section 3.
    pub vulnerabilities: Vulnerabilities,
    /// Section 4.
    pub separation: Separation,
    /// Section 5.
    pub build: Build,
    /// Section 6.
    pub sbom: Sbom,
    /// Section 7.
    pub verification: Verification,
    /// Section 8.
    pub distribution: Distribution,
    /// Section 9.
    pub assessment: Assessment,
    /// Section 10.
    pub exceptions: Exceptions,
    /// Section 11.
    pub notice: Notice,
    /// Section 12.
    pub tool: Tool,
    /// Every line with its releases, for the diagram of both lanes.
    pub lines: Vec<Lane>,
    /// What the diagram lacks.
    pub lines_missing: Option<String>,
}

/// The evidence's own verdict, in a sentence; and how its checks came out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// `passed`, `refused`, or `no-evidence`.
    pub result: String,
    /// In words.
    pub sentence: String,
    /// How strict.
    pub profile: String,
    /// When the checks ran.
    pub evaluated: String,
    /// How many checks have which result.
    pub counts: BTreeMap<String, usize>,
}

/// Section 1: which release.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Identity {
    /// As patchlane.toml has it.
    pub vendor: String,
    /// As patchlane.toml has it.
    pub class: String,
    /// As manifests have it.
    pub vendor_id: String,
    /// As manifests have it.
    pub class_id: String,
    /// Hardware revisions.
    pub hardware: Vec<u16>,
    /// `security patch` or `feature update`.
    pub lane: String,
    /// Why fixes come only with features.
    pub combined: Option<String>,
    /// What devices run before.
    pub from: Option<Named>,
    /// What they run then.
    pub to: Named,
    /// The file.
    pub bundle_sha256: String,
    /// When it was issued.
    pub issued: String,
    /// What its manifest tells operators.
    pub text: String,
    /// Its images.
    pub images: Vec<Image>,
    /// Digest of the evidence that its manifest names.
    pub evidence_sha256: Option<String>,
    /// What the words mean.
    pub definitions: Vec<Definition>,
}

/// A release by version and digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Named {
    /// `4.1 s8`.
    pub release: String,
    /// Its manifest's digest.
    pub manifest_sha256: String,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Image {
    /// Its component.
    pub component: u8,
    /// Where it runs.
    pub place: String,
    /// Its size.
    pub bytes: u32,
    /// Its digest.
    pub sha256: String,
}

/// A word, and what it means here.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Definition {
    /// The word.
    pub term: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// Section 2: checks, and the clauses that they serve.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Requirements {
    /// What isn't there.
    pub missing: Vec<String>,
    /// Digest of the change record: what checks without a file of their own are made from.
    pub change_sha256: Option<String>,
    /// Every check.
    pub checks: Vec<Check>,
    /// Every catalogue.
    pub catalogues: Vec<Catalogue>,
    /// Catalogues beside the first, by the checks that they share.
    pub deltas: Vec<Delta>,
}

/// What became of a check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Its number.
    pub check: u64,
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub title: String,
    /// `error` or `waivable`.
    pub grade: String,
    /// `pass`, `fail`, `waived`, `owed`, `not-evaluated`.
    pub result: String,
    /// True if it refuses the patch.
    pub blocks: bool,
    /// What was seen.
    pub detail: String,
    /// Why it may go all the same, or until when it is owed.
    pub note: Option<String>,
    /// What it read.
    pub inputs: Vec<Input>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub sha256: String,
}

/// A catalogue of requirements.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Catalogue {
    /// Its short name.
    pub name: String,
    /// The text that its clauses are from.
    pub title: String,
    /// Its digest.
    pub sha256: String,
    /// Its clauses.
    pub clauses: Vec<Clause>,
}

/// A clause.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clause {
    /// Its id in the text.
    pub id: String,
    /// What it asks for, in our words.
    pub title: String,
    /// False if it only recommends.
    pub required: bool,
    /// True if id and meaning were compared with the text.
    pub verified: bool,
    /// `pass`, `fail`, `in-part`, `elsewhere`.
    pub result: String,
    /// The checks that serve it.
    pub checks: Vec<u64>,
    /// What else serves it.
    pub also: Vec<String>,
}

/// Section 3: what was fixed, and when who was told.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Vulnerabilities {
    /// What isn't there.
    pub missing: Vec<String>,
    /// What this release closes.
    pub closed: Vec<Vulnerability>,
    /// CSAF documents that name this release as fixed, by their ids.
    pub advisories: Vec<String>,
    /// Why there is no advisory yet.
    pub embargo: Option<String>,
    /// What was known of others.
    pub snapshot: Option<String>,
}

/// A vulnerability.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Vulnerability {
    /// Its id.
    pub id: String,
    /// Its other ids.
    pub aliases: Vec<String>,
    /// In a few words.
    pub title: Option<String>,
    /// Its index.
    pub index: u32,
    /// How bad.
    pub severity: String,
    /// The CVSS vector.
    pub cvss: Option<String>,
    /// Whether it is exploited.
    pub exploited: bool,
    /// CSAF documents.
    pub csaf: Vec<String>,
    /// VEX documents.
    pub vex: Vec<String>,
    /// Where it was reported upstream.
    pub upstream: Vec<String>,
    /// What happened when, in order.
    pub steps: Vec<Step>,
    /// Deadlines of CRA Art. 14(2), if they run.
    pub deadlines: Vec<Deadline>,
    /// Every line, and where it stands.
    pub baselines: Vec<Standing>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What.
    pub step: &'static str,
    /// When; nothing if that isn't recorded.
    pub at: Option<String>,
    /// Seconds since awareness.
    pub elapsed: Option<u64>,
}

/// A deadline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deadline {
    /// Of what.
    pub step: &'static str,
    /// Until when.
    pub due: String,
    /// When it was done.
    pub done: Option<String>,
    /// Whether it was met; nothing if it isn't recorded as done.
    pub met: Option<bool>,
}

/// Where a baseline stands with a vulnerability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// `4.1`.
    pub baseline: String,
    /// `fixed`, `owed` …
    pub state: String,
}
