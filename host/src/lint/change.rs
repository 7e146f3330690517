//! The change record: what a patch is, what it is judged by, stated once. `lint`, `build` and `sign` read it.

use crate::commands;
use crate::error::{Code, Error, Result};
use crate::explain::explain;
use crate::files;
use crate::image::{self, Source};
use crate::ledger::time::Day;
use patchlane_protocol::{Baseline, Severity};
use serde::Deserialize;
use serde::de::Deserializer;
use std::path::{Path, PathBuf};

/// The format that this program reads.
const FORMAT: u16 = 1;

/// One to copy, with comments.
pub const EXAMPLE: &str = include_str!("example.toml");

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The format: 1.
    pub format: u16,
    /// The bundle of the release that devices run; patches apply to it.
    pub base: PathBuf,
    /// The baseline, if it is to be checked against the base's.
    #[serde(default, deserialize_with = "some_baseline")]
    pub baseline: Option<Baseline>,
    /// The security level of the patch.
    pub level: u32,
    /// What is open below it.
    #[serde(default)]
    pub open: Vec<u32>,
    /// The images: `FILE` or `FILE@0xADDRESS`.
    #[serde(deserialize_with = "sources")]
    pub images: Vec<Source>,
    /// When support ends.
    #[serde(default)]
    pub support_end: Option<Day>,
    /// What an operator reads.
    #[serde(default)]
    pub message: String,
    /// What the patch fixes.
    #[serde(default)]
    pub closes: Vec<Closing>,
    /// Advisories, VEX, what is known.
    #[serde(default)]
    pub advisory: Advisory,
    /// Commits.
    pub source: Option<Commits>,
    /// How both were built.
    pub build: Option<Pair>,
    /// Bills of materials.
    pub sbom: Option<Pair>,
    /// ELF files.
    pub elf: Option<Elf>,
    /// Interface inventories.
    pub interfaces: Option<Pair>,
    /// Results of tests.
    #[serde(default)]
    pub proof: Proof,
    /// Limits, and what was measured.
    pub budget: Option<Budget>,
    /// The four questions on substantial modification.
    pub assessment: Option<Assessment>,
    /// What users are told.
    pub notice: Option<Notice>,
    /// Waivers that second approvers signed.
    #[serde(default)]
    pub waivers: Vec<PathBuf>,
    /// The folder of the file; paths count from there.
    #[serde(skip)]
    pub folder: PathBuf,
    /// The file, for errors.
    #[serde(skip)]
    pub file: PathBuf,
    /// Its bytes.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// A vulnerability that the patch fixes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// The advisory's index.
    pub index: u32,
    /// CVE, EUVD, GHSA, or the vendor's own.
    pub id: String,
    /// How bad.
    #[serde(deserialize_with = "severity")]
    pub severity: Severity,
    /// True if it is exploited.
    #[serde(default)]
    pub exploited: bool,
}

/// What is said about vulnerabilities.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    /// CSAF documents.
    #[serde(default)]
    pub csaf: Vec<PathBuf>,
    /// OpenVEX or CycloneDX VEX documents.
    #[serde(default)]
    pub vex: Vec<PathBuf>,
    /// Why there is no advisory yet.
    pub embargo: Option<Embargo>,
    /// A CycloneDX document with the vulnerabilities that a scanner found in the SBOM.
    pub snapshot: Option<PathBuf>,
    /// The most days that the snapshot may be old.
    #[serde(default = "days")]
    pub snapshot_days: u64,
}

const fn days() -> u64 {
    30
}

/// Why there is no advisory yet.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embargo {
    /// Why.
    pub reason: String,
    /// When it ends.
    pub until: Day,
    /// What may be told meanwhile: the manifest says this or nothing, for whoever carries a bundle reads it.
    #[serde(default)]
    pub public: String,
}

/// Commits, and what they may touch.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commits {
    /// A git work tree.
    #[serde(default = "here")]
    pub repository: PathBuf,
    /// The commit or tag that the base was built from.
    pub base: String,
    /// The commit or tag that the patch is built from.
    pub head: String,
    /// Paths that the fix may touch: `src/modbus/**`.
    pub scope: Vec<String>,
    /// The trailer that names the vulnerability.
    #[serde(default = "trailer", deserialize_with = "trailer_name")]
    pub trailer: String,
    /// The most lines that a small fix adds and removes.
    #[serde(default = "churn")]
    pub churn: u64,
}

fn here() -> PathBuf {
    ".".into()
}

fn trailer() -> String {
    "Fixes".into()
}

/// A trailer's name becomes part of what git is asked to print.
fn trailer_name<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<String, D::Error> {
    let name = String::deserialize(input)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !name.is_empty() && name.chars().all(plain) {
        return Ok(name);
    }
    Err(serde::de::Error::custom(format!("`{name}` isn't the name of a trailer, such as Fixes")))
}

const fn churn() -> u64 {
    200
}

/// Two files of one kind: the base's and the patch's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The base's.
    pub base: PathBuf,
    /// The patch's.
    pub patch: PathBuf,
}

/// Two ELF files, and how much may grow.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elf {
    /// The base's.
    pub base: PathBuf,
    /// The patch's.
    pub patch: PathBuf,
    /// The most bytes that all sections may grow by.
    #[serde(default = "growth")]
    pub growth: u64,
    /// The most texts that may be added to read-only data.
    #[serde(default)]
    pub strings: usize,
}

const fn growth() -> u64 {
    1024
}

/// Results of tests.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// in-toto test results: the exploit on the base, and on the patch.
    #[serde(default)]
    pub exploit: Vec<PathBuf>,
    /// The recorded inputs that `patchlane replay` plays.
    pub recording: Option<PathBuf>,
    /// What `patchlane replay` wrote.
    pub replay: Option<PathBuf>,
    /// Other bundles that devices may run when the patch arrives; the base is always tried.
    #[serde(default)]
    pub bases: Vec<PathBuf>,
}

/// Limits, and what was measured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The most of each: bytes of flash, RAM and stack, and whatever else is measured.
    pub limits: std::collections::BTreeMap<String, u64>,
    /// What was measured; flash is counted from the image.
    #[serde(default)]
    pub measured: std::collections::BTreeMap<String, u64>,
}

/// The four questions on substantial modification: does the change bring new …
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assessment {
    /// … threat vectors?
    pub threat_vectors: Reply,
    /// … attack scenarios?
    pub scenarios: Reply,
    /// … likelihood of the known ones?
    pub likelihood: Reply,
    /// … impact of the known ones?
    pub impact: Reply,
    /// The risk assessment as it stands for this release.
    pub risk_assessment: PathBuf,
    /// Of a type-examined product: does it need an addition to its certificate (CRA Annex VIII)?
    pub type_certificate: Option<Reply>,
}

/// An answer with its reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// True for yes.
    pub changes: bool,
    /// Why.
    pub why: String,
}

/// What users are told (CRA Annex II).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// How to install it.
    pub install: String,
    /// What stops meanwhile, and for how long.
    pub outage: String,
    /// What remains for whoever defers it.
    pub residual_risk: String,
    /// How to go back.
    pub rollback: String,
    /// Where the update stays obtainable.
    pub archive: Option<String>,
}

fn some_baseline<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<Option<Baseline>, D::Error> {
    commands::baseline(&String::deserialize(input)?).map(Some).map_err(serde::de::Error::custom)
}

fn sources<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<Vec<Source>, D::Error> {
    let files = Vec::<PathBuf>::deserialize(input)?;
    files.into_iter().map(|file| image::source(file).map_err(serde::de::Error::custom)).collect()
}

fn severity<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<Severity, D::Error> {
    commands::build::severity(&String::deserialize(input)?).map_err(serde::de::Error::custom)
}

impl Change {
    /// Reads a change record.
    ///
    /// # Errors
    /// `config`: line, key, and what was probably meant; and those of the file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path).map_err(|error| match error.code {
            Code::Missing => Error {
                next: "a change record says what a patch is: `patchlane lint --example > change.toml`".into(),
                ..error
            },
            _ => error,
        })?;
        let mut change = Self::parse(text).map_err(|e| e.at(path.display()))?;
        change.folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        change.file = path.to_path_buf();
        Ok(change)
    }

    /// Reads the text of a change record.
    ///
    /// # Errors
    /// `config`: line, key, and what was probably meant.
    pub fn parse(text: String) -> Result<Self> {
        let mut change: Self = toml::from_str(&text).map_err(|e| explain(&text, &e))?;
        if change.format != FORMAT {
            let what = format!("is a change record of format {}", change.format);
            return Err(Error::new(Code::Config, what, "this program reads format 1"));
        }
        change.bytes = text.into_bytes();
        Ok(change)
    }

    /// A path of the record, from its folder.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever fills it in finds every section and every line: none is known only to the code.
    #[test]
    fn the_example_has_every_line() {
        let change: Change = toml::from_str(EXAMPLE).unwrap();
        assert_eq!(change.format, FORMAT);
        let uncommented = EXAMPLE.replace("# [advisory.embargo]", "[advisory.embargo]");
        let uncommented = uncommented.replace("# reason =", "reason =").replace("# until =", "until =");
        let change: Change = toml::from_str(&uncommented).unwrap();
        assert!(change.advisory.embargo.is_some(), "the commented part is right, too");
        // An ELF knows its address.
        let debug = format!("{change:?}").replace("address: None", "");
        let missing: Vec<&str> =
            debug.match_indices(": None").map(|(at, _)| &debug[at.saturating_sub(20)..at]).collect();
        assert!(missing.is_empty(), "{missing:?}");
        // What has a default is there as well.
        for line in
            ["snapshot_days", "trailer", "churn", "growth", "strings", "bases", "open", "waivers", "measured"]
        {
            assert!(EXAMPLE.lines().any(|l| l.starts_with(line)), "{line}");
        }
    }
}
