//! What a report says, in types: twelve sections, each of which says what it lacks. The JSON report is this, as it is;
//! Markdown and HTML are made from it.

pub use crate::lint::delta::Delta;
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

/// Section 4: what changed, and why.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Separation {
    /// What isn't there.
    pub missing: Vec<String>,
    /// How functions were compared.
    pub method: Option<String>,
    /// For which machine.
    pub machine: Option<String>,
    /// How many functions there are, changed, or only lie elsewhere.
    pub functions: BTreeMap<String, u64>,
    /// One table: vulnerabilities, commits, hunks, functions.
    pub rows: Vec<Row>,
    /// Rows that nothing explains.
    pub orphans: usize,
    /// Functions and data that changed: as they were, and as they are.
    pub changed: Vec<Changed>,
    /// Commits between base and patch.
    pub commits: Vec<Commit>,
    /// What the comparison can't see.
    pub unseen: Vec<String>,
    /// Interface inventories.
    pub inventories: Vec<Inventory>,
}

/// A row of the one table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Row {
    /// Vulnerabilities.
    pub ids: Vec<String>,
    /// Commits.
    pub commits: Vec<String>,
    /// Lines of the sources.
    pub hunks: Vec<String>,
    /// The function or data object; nothing for lines that reach none.
    pub function: Option<String>,
    /// How they reach it, or why they reach none.
    pub how: String,
    /// True if something has no counterpart.
    pub orphan: bool,
}

/// Something before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// `function` or `data`.
    pub kind: &'static str,
    /// Its bytes, if it was there.
    pub was: Option<u64>,
    /// Its bytes, if it is there.
    pub is: Option<u64>,
    /// Why it counts as changed.
    pub why: Vec<String>,
    /// The lines of its sources that went and came.
    pub lines: Vec<Lines>,
}

/// Lines that went and came.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lines {
    /// Where.
    pub place: String,
    /// With `-` or `+`.
    pub text: Vec<String>,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Commit {
    /// Its name.
    pub id: String,
    /// Its subject.
    pub subject: String,
    /// What it fixes.
    pub fixes: Vec<String>,
    /// Who made it.
    pub author: String,
    /// Who reviewed it.
    pub reviewers: Vec<String>,
}

/// An interface inventory, old against new.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inventory {
    /// The check that compared them.
    pub check: u64,
    /// What was compared.
    pub groups: Vec<String>,
    /// The base's digest.
    pub base_sha256: String,
    /// The patch's digest.
    pub patch_sha256: String,
    /// True if the base's is what the ledger froze.
    pub frozen: bool,
    /// What differs.
    pub changes: Vec<String>,
}

/// Section 5: how it was built.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Build {
    /// What isn't there.
    pub missing: Vec<String>,
    /// The base's build and the patch's, line by line.
    pub rows: Vec<Compared>,
    /// The rebuild.
    pub reproduced: Option<Reproduced>,
}

/// A property of base and patch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// What.
    pub name: String,
    /// The base's.
    pub base: String,
    /// The patch's.
    pub patch: String,
    /// True if they are the same.
    pub same: bool,
}

/// A rebuild.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reproduced {
    /// The command.
    pub command: String,
    /// What it makes.
    pub artifact: String,
    /// Of which commit.
    pub commit: String,
    /// The image that was to be made.
    pub image_sha256: String,
    /// The images that were made.
    pub built_sha256: Vec<String>,
    /// What check 12 says of it.
    pub result: String,
}

/// Section 6: what it is made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sbom {
    /// What isn't there.
    pub missing: Vec<String>,
    /// The format.
    pub format: Option<String>,
    /// How many components.
    pub components: Option<u64>,
    /// Components that differ.
    pub rows: Vec<Component>,
}

/// A component that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Component {
    /// Its package URL, or its name.
    pub component: String,
    /// Its version, if it was there.
    pub was: Option<String>,
    /// Its version, if it is there.
    pub is: Option<String>,
    /// Whether an advisory or VEX names it.
    pub named: bool,
}

/// Section 7: what was tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Verification {
    /// What isn't there.
    pub missing: Vec<String>,
    /// Every test.
    pub rows: Vec<Tested>,
    /// Inputs of the replay that are answered otherwise.
    pub differences: Vec<Difference>,
}

/// A test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tested {
    /// What.
    pub what: String,
    /// How it came out.
    pub result: String,
    /// By whom.
    pub tester: String,
    /// Where.
    pub environment: String,
    /// What was made of it.
    pub sha256: Option<String>,
}

/// An input that is answered otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Which.
    pub input: String,
    /// The vulnerabilities that explain it.
    pub ids: Vec<String>,
}

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
