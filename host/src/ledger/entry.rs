//! Entries of the ledger: what a file of each kind says. Unknown keys are errors, and so is another format.

use super::time::{Day, Moment};
use crate::config::{some_table, table};
use patchlane_protocol::version::Open;
use patchlane_protocol::{Baseline, Digest, Kind, Reason, Security, Severity, Version, limits};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use std::collections::BTreeMap;
use std::fmt;

/// The format of every file.
pub const FORMAT: u32 = 1;

fn format<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    match u32::deserialize(input)? {
        FORMAT => Ok(FORMAT),
        other => {
            Err(D::Error::custom(format!("format {other} isn't known here; this patchlane reads format 1")))
        }
    }
}

/// A value that is one word in TOML.
macro_rules! word {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? })+) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, clap::ValueEnum)]
        pub enum $name { $(#[doc = $text] #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// As files have it.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $text),+ } }
        }
    )+ };
}

word! {
    /// Why a baseline isn't affected, in the words of VEX (CISA, Status Justifications, 2022; OpenVEX and CSAF have the
    /// same).
    Justification {
        ComponentNotPresent = "component_not_present",
        VulnerableCodeNotPresent = "vulnerable_code_not_present",
        VulnerableCodeNotInExecutePath = "vulnerable_code_not_in_execute_path",
        VulnerableCodeCannotBeControlledByAdversary = "vulnerable_code_cannot_be_controlled_by_adversary",
        InlineMitigationsAlreadyExist = "inline_mitigations_already_exist",
    }
    /// What a statement says.
    Status {
        Affected = "affected",
        NotAffected = "not_affected",
        UnderInvestigation = "under_investigation",
    }
    /// The lane of a release.
    Lane { Security = "security", Feature = "feature" }
}

/// Reads one of the names that a function gives to values.
fn named<'de, D: Deserializer<'de>, T: Copy>(
    input: D,
    all: &[T],
    name: impl Fn(T) -> String,
) -> Result<T, D::Error> {
    let text = String::deserialize(input)?;
    let names: Vec<String> = all.iter().map(|value| name(*value)).collect();
    let found = all.iter().zip(&names).find(|(_, name)| **name == text).map(|(value, _)| *value);
    found.ok_or_else(|| D::Error::custom(format!("`{text}` isn't one of {}", names.join(", "))))
}

fn severity<'de, D: Deserializer<'de>>(input: D) -> Result<Severity, D::Error> {
    use Severity::{Critical, High, Low, Medium, None};
    named(input, &[None, Low, Medium, High, Critical], |severity| crate::output::slug(&severity))
}

/// A baseline's name, written in the one way there is: `4.12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub Baseline);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        let baseline = crate::commands::baseline(&text).ok().filter(|b| b.to_string() == text);
        baseline.map(Self).ok_or_else(|| D::Error::custom(format!("`{text}` isn't a baseline such as 4.12")))
    }
}

/// A SHA-256, in lower-case hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sha(pub [u8; 32]);

impl Sha {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(crate::bundle::sha256(bytes).0)
    }

    /// Reads 64 digits.
    pub fn parse(text: &str) -> Option<Self> {
        crate::hex::read(text).map(Self)
    }

    /// The first eight digits: enough for a file's name.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest(self.0).fmt(f)
    }
}

impl<'de> Deserialize<'de> for Sha {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a SHA-256 is 64 digits of lower-case hexadecimal"))
    }
}

/// Text of one line that can't steer a terminal.
fn line<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    if crate::output::plain(&text) == text && text.len() <= 1_000 {
        Ok(text)
    } else {
        Err(D::Error::custom("text is one line of at most 1000 bytes, without control characters"))
    }
}

fn some_line<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    line(input).map(Some)
}

fn lines<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    struct Line(String);
    impl<'de> Deserialize<'de> for Line {
        fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
            line(input).map(Self)
        }
    }
    Ok(Vec::<Line>::deserialize(input)?.into_iter().map(|line| line.0).collect())
}

/// What an advisory's id may be: a file is named by it, and manifests carry it.
///
/// # Errors
/// What is wrong with it, in words.
pub fn id(text: &str) -> Result<String, String> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let outer = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    if bytes.iter().all(|b| inner(*b))
        && outer(bytes.first())
        && outer(bytes.last())
        && text.len() <= limits::ADVISORY_ID
    {
        return Ok(text.to_owned());
    }
    let most = limits::ADVISORY_ID;
    Err(format!("an id such as CVE-2027-4108 has letters, digits, `-`, `_` and `.`, at most {most} bytes"))
}

fn id_of<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    id(&String::deserialize(input)?).map_err(D::Error::custom)
}

/// `ledger.toml`: which product this is the ledger of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// [`FORMAT`].
    #[serde(deserialize_with = "format")]
    pub format: u32,
    /// As patchlane.toml has it.
    #[serde(deserialize_with = "line")]
    pub vendor: String,
    /// As patchlane.toml has it.
    #[serde(deserialize_with = "line")]
    pub class: String,
    /// The advisories 1 to this were handled before there was a ledger.
    #[serde(default)]
    pub before: u32,
}

/// `advisories/ID.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    /// [`FORMAT`].
    #[serde(deserialize_with = "format")]
    pub format: u32,
    /// The id that manifests carry.
    #[serde(deserialize_with = "id_of")]
    pub id: String,
    /// Other ids: EUVD, GHSA, the vendor's own.
    #[serde(default, deserialize_with = "lines")]
    pub aliases: Vec<String>,
    /// In a few words.
    #[serde(deserialize_with = "line")]
    pub title: String,
    /// How bad.
    #[serde(deserialize_with = "severity")]
    pub severity: Severity,
    /// The CVSS vector.
    #[serde(default, deserialize_with = "some_line")]
    pub cvss: Option<String>,
    /// Whether it is known to be exploited: CRA Art. 14 sets deadlines then.
    #[serde(default)]
    pub exploited: bool,
    /// Its index, minted when its first fix is released.
    #[serde(default)]
    pub index: Option<u32>,
    /// When it was finished with.
    #[serde(default)]
    pub closed: Option<Day>,
    /// CSAF documents: files or addresses.
    #[serde(default, deserialize_with = "lines")]
    pub csaf: Vec<String>,
    /// VEX documents: files or addresses.
    #[serde(default, deserialize_with = "lines")]
    pub vex: Vec<String>,
    /// Where it, or its fix, was reported to whoever maintains the component: CRA Art. 13(6).
    #[serde(default, deserialize_with = "lines")]
    pub upstream: Vec<String>,
    /// What happened when.
    #[serde(default, deserialize_with = "table")]
    pub dates: Dates,
    /// What is known of each baseline.
    #[serde(default)]
    pub affects: BTreeMap<Name, Statement>,
    /// Lines of comment, kept when the file is written again.
    #[serde(skip)]
    pub remarks: Vec<String>,
}

/// When the manufacturer learned of a vulnerability, and told of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dates {
    /// Became aware of its being exploited.
    pub aware: Option<Moment>,
    /// Early warning sent.
    pub early_warning: Option<Moment>,
    /// Notification sent.
    pub notification: Option<Moment>,
    /// A corrective or mitigating measure was available, if that was before the first release that fixes it.
    pub measure: Option<Moment>,
    /// Final report sent.
    pub final_report: Option<Moment>,
}

/// What is known of one baseline.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Said")]
pub enum Statement {
    /// It has the vulnerability until a release fixes it.
    Affected,
    /// Nobody knows yet.
    UnderInvestigation,
    /// It hasn't; why.
    NotAffected(Justification, Option<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    status: Status,
    justification: Option<Justification>,
    #[serde(default, deserialize_with = "some_line")]
    because: Option<String>,
}

impl TryFrom<Said> for Statement {
    type Error = String;

    fn try_from(said: Said) -> Result<Self, String> {
        match (said.status, said.justification, said.because) {
            (Status::Affected, None, None) => Ok(Self::Affected),
            (Status::UnderInvestigation, None, None) => Ok(Self::UnderInvestigation),
            (Status::NotAffected, Some(why), because) => Ok(Self::NotAffected(why, because)),
            (Status::NotAffected, None, _) => Err("not_affected needs a justification".into()),
            _ => Err("only not_affected has a justification".into()),
        }
    }
}

impl Statement {
    /// Its status.
    pub const fn status(&self) -> Status {
        match self {
            Self::Affected => Status::Affected,
            Self::UnderInvestigation => Status::UnderInvestigation,
            Self::NotAffected(..) => Status::NotAffected,
        }
    }
}

/// `baselines/LINE.STEP.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// [`FORMAT`].
    #[serde(deserialize_with = "format")]
    pub format: u32,
    /// Which.
    pub baseline: Name,
    /// What people call it.
    #[serde(deserialize_with = "line")]
    pub name: String,
    /// The last day of its support.
    pub support_end: Day,
    /// Its interfaces, frozen.
    #[serde(default, deserialize_with = "some_table")]
    pub inventory: Option<Inventory>,
    /// That its support ended early.
    #[serde(default, deserialize_with = "some_table")]
    pub retired: Option<Retired>,
    /// Lines of comment, kept when the file is written again.
    #[serde(skip)]
    pub remarks: Vec<String>,
}

/// A list of interfaces as it was when the baseline was added.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// The file, from the folder of patchlane.toml.
    #[serde(deserialize_with = "line")]
    pub file: String,
    /// Its digest.
    pub sha256: Sha,
}

/// Why a baseline isn't supported any more, though its time isn't over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retired {
    /// Since when.
    pub on: Day,
    /// Why that is allowed: CRA Art. 13(10) wants a free way to a newer one.
    #[serde(deserialize_with = "line")]
    pub because: String,
}

impl Line {
    /// Whether it gets security patches on that day.
    pub fn supported(&self, day: Day) -> bool {
        self.retired.is_none() && day <= self.support_end
    }
}

/// `releases/LINE.STEP-sLEVEL-LANE-DIGEST.toml`: one bundle.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// [`FORMAT`].
    #[serde(deserialize_with = "format")]
    pub format: u32,
    /// Its baseline.
    pub baseline: Name,
    /// Its security level.
    pub level: u32,
    /// The advisories below that are open.
    #[serde(default)]
    pub open: Vec<u32>,
    /// Who signed it.
    pub lane: Lane,
    /// The bundle's file name.
    #[serde(deserialize_with = "line")]
    pub bundle: String,
    /// The bundle's digest.
    pub bundle_sha256: Sha,
    /// The manifest's digest.
    pub manifest_sha256: Sha,
    /// Whether an image in full is among its payloads.
    pub full: bool,
    /// For which hardware revisions.
    pub hardware: Vec<u16>,
    /// When it was issued.
    pub issued: Moment,
    /// The root it was verified under.
    pub root: u32,
    /// Whether that was a development root.
    #[serde(default)]
    pub development: bool,
    /// Digest of the evidence made before signing.
    #[serde(default)]
    pub evidence_before: Option<Sha>,
    /// Digests of the evidence made after signing.
    #[serde(default)]
    pub evidence_after: Vec<Sha>,
    /// Why its fixes come only with features.
    #[serde(default, deserialize_with = "some_table")]
    pub combined: Option<Combined>,
    /// The ids of the advisories that it closes.
    #[serde(default, deserialize_with = "lines")]
    pub closes: Vec<String>,
    /// Its images.
    pub image: Vec<Image>,
    /// Checks of the lint that didn't hold, and why it was released all the same.
    #[serde(default)]
    pub waiver: Vec<Waiver>,
    /// Evidence that an emergency left out, and that is still to be made.
    #[serde(default)]
    pub owed: Vec<Owed>,
}

/// Why fixes come only with features.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Combined {
    /// The reason code.
    #[serde(deserialize_with = "reason")]
    pub reason: Reason,
    /// In words.
    #[serde(deserialize_with = "line")]
    pub because: String,
}

fn reason<'de, D: Deserializer<'de>>(input: D) -> Result<Reason, D::Error> {
    use Reason::{ChangeIsFix, FixForcesChange, NotFeasible};
    named(input, &[FixForcesChange, ChangeIsFix, NotFeasible], |reason| crate::output::slug(&reason))
}

/// An image of a release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Its component.
    #[serde(default)]
    pub component: u8,
    /// The address it is linked for, if it says so.
    #[serde(default)]
    pub address: Option<u32>,
    /// Its size.
    pub bytes: u32,
    /// Its digest.
    pub sha256: Sha,
}

/// A check of the lint that was waived.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// Which.
    #[serde(deserialize_with = "line")]
    pub check: String,
    /// Why.
    #[serde(deserialize_with = "line")]
    pub because: String,
    /// By whom.
    #[serde(deserialize_with = "line")]
    pub approver: String,
    /// Until when.
    pub until: Day,
}

/// A check of the lint that an emergency left open.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owed {
    /// Which: its number.
    pub check: u8,
    /// Why it couldn't wait.
    #[serde(deserialize_with = "line")]
    pub because: String,
    /// When it is due.
    pub due: Day,
}

/// `settlements/LINE.STEP-sLEVEL-DIGEST.toml`: evidence that was owed, and was made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// [`FORMAT`].
    #[serde(deserialize_with = "format")]
    pub format: u32,
    /// The release's entry, without folder and `.toml`.
    #[serde(deserialize_with = "line")]
    pub release: String,
    /// The evidence's digest.
    pub evidence: Sha,
    /// When it was recorded.
    pub on: Day,
    /// The checks that it settles.
    pub checks: Vec<u8>,
}

impl Release {
    /// Its version, if level and list go together.
    pub fn version(&self) -> Option<Version> {
        let security = Open::new(&self.open).and_then(|open| Security::new(self.level, open)).ok()?;
        Some(Version { feature: self.baseline.0, security })
    }

    /// Whether it handles the advisory of this index.
    pub fn handles(&self, index: u32) -> bool {
        index != 0 && index <= self.level && !self.open.contains(&index)
    }
}

impl From<Kind> for Lane {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::SecurityPatch => Self::Security,
            Kind::FeatureUpdate => Self::Feature,
        }
    }
}

/// `seals/NNNN-DIGEST.toml`: every entry as it stood after a release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// [`FORMAT`].
    #[serde(deserialize_with = "format")]
    pub format: u32,
    /// 1, 2, 3 …
    pub number: u32,
    /// The digest of the seal before; the first has none.
    #[serde(default)]
    pub previous: Option<Sha>,
    /// The entry of the release that was sealed.
    #[serde(deserialize_with = "line")]
    pub release: String,
    /// Every entry's file, its digest, and what may never change in it.
    pub entries: BTreeMap<String, Sealed>,
}

/// An entry as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The file's digest.
    pub sha256: Sha,
    /// What an entry that may be added to says for good.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
}
