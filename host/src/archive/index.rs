//! What is in an archive, in words: `index.json`.

use super::broken;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::ledger::entry::Sha;
use crate::ledger::time::Day;
use crate::output::plain;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The format that this program writes and reads.
pub const FORMAT: u16 = 2;
/// An index names no more entries.
pub const MOST: usize = 10_000;
/// An archive isn't added to more often.
pub const MOST_INDICES: usize = 1_000;

macro_rules! roles {
    ($($name:ident = $text:literal, $confidential:literal, $meaning:literal;)+) => {
        /// What a file of an archive is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        pub enum Role { $(#[doc = $meaning] #[serde(rename = $text)] $name),+ }

        impl Role {
            /// Every role.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
            /// As indices have it.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $text),+ } }
            /// True if a customer doesn't get it.
            pub const fn confidential(self) -> bool { match self { $(Self::$name => $confidential),+ } }
            /// What it means.
            pub const fn meaning(self) -> &'static str { match self { $(Self::$name => $meaning),+ } }
        }
    };
}

roles! {
    Bundle = "bundle", false, "The signed bundle.";
    Base = "base", false, "A bundle that devices run when this one arrives; the change record's base first.";
    Root = "root", false, "A root file of the chain: the one that judged the bundle first, then older ones.";
    Key = "key", false, "A public key.";
    EvidenceBefore = "evidence-before", false, "Evidence made before signing: the manifest names its digest.";
    EvidenceAfter = "evidence-after", false, "Evidence made after signing: a release statement.";
    Findings = "findings", true, "What the checks found: the evidence made before signing names its digest.";
    Change = "change", true, "The change record.";
    Config = "config", true, "patchlane.toml as the checks read it.";
    Catalogue = "catalogue", false, "A requirement catalogue.";
    Waiver = "waiver", true, "A waiver that a second approver signed; it says what the check saw.";
    Listed = "listed-key", true, "A public key's file that patchlane.toml names.";
    Ledger = "ledger", false, "An entry of the ledger, or a seal; its name is its path there.";
    Commits = "commits", true, "Which commits the source of base and patch is: their names.";
    Advisory = "advisory", false, "An advisory or a VEX document.";
    Sources = "sources", true, "The commits between base and patch with both trees: a git pack.";
    Program = "program", true, "An ELF file that an image was made of.";
    Build = "build", true, "A build description, or a file that one names.";
    Sbom = "sbom", true, "A bill of materials.";
    Snapshot = "snapshot", true, "What a scanner knew of vulnerabilities.";
    Interfaces = "interfaces", true, "An interface inventory.";
    Proof = "proof", true, "A result of tests: exploit or replay.";
    Assessment = "assessment", true, "The risk assessment.";
    Index = "index", false, "An earlier index of this archive.";
    IndexSigned = "index-signed", false, "The signature of an earlier index.";
}

/// For whom an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Audience {
    /// Everything is in it
    Assessor,
    /// Nothing that is confidential is in it, but for the digest of the findings
    Customer,
}

impl Audience {
    /// As indices have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assessor => "assessor",
            Self::Customer => "customer",
        }
    }

    /// True if the bytes of a role's files aren't for them.
    pub const fn lacks(self, role: Role) -> bool {
        matches!(self, Self::Customer) && role.confidential()
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is.
    pub role: Role,
    /// What it was called where it came from. Nothing is ever found by it.
    pub name: String,
    /// Its digest, and its object's name.
    pub sha256: Sha,
    /// Its bytes.
    pub size: u64,
    /// True if the object isn't there: it is confidential.
    #[serde(default)]
    pub redacted: bool,
}

/// The release that an archive is of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// As patchlane.toml has it.
    pub vendor: String,
    /// As patchlane.toml has it.
    pub class: String,
    /// `4.1 s8`.
    pub version: String,
    /// The manifest's digest.
    pub manifest_sha256: Sha,
    /// The bundle's digest.
    pub bundle_sha256: Sha,
    /// The day it was issued, as its manifest says.
    #[serde(deserialize_with = "day")]
    pub issued: Day,
    /// The last day of its support, as its manifest says.
    #[serde(deserialize_with = "day")]
    pub support_end: Day,
}

/// `index.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// [`FORMAT`].
    pub format: u16,
    /// For whom.
    pub audience: Audience,
    /// Of which release.
    pub release: Release,
    /// The day this index was made.
    #[serde(deserialize_with = "day")]
    pub created: Day,
    /// The day until which the archive has to be kept: ten years after issue or the end of support, what is later.
    #[serde(deserialize_with = "day")]
    pub retain_until: Day,
    /// The digest of the index before: an entry of the role `index`.
    pub previous: Option<Sha>,
    /// Every file.
    pub entries: Vec<Entry>,
}

fn day<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<Day, D::Error> {
    Day::parse(&String::deserialize(input)?).map_err(D::Error::custom)
}

/// Years for which a security update stays obtainable after it was issued: CRA Art. 13(9).
pub const YEARS: u16 = 10;

/// Until when a release's archive is kept.
pub fn retain_until(issued: Day, support_end: Day) -> Day {
    issued.years_later(YEARS).max(support_end)
}

impl Index {
    /// Reads an index.
    ///
    /// # Errors
    /// `malformed`, `evidence`: what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let next = "check that this is an archive's index; take it from a copy as it was";
        let index: Self = serde_json::from_slice(bytes)
            .map_err(|e| Error::new(Code::Malformed, format!("isn't an archive's index: {e}"), next))?;
        if index.format != FORMAT {
            let what = format!("is an index of format {}, and {FORMAT} is read", index.format);
            let next = "another patchlane made it: verify it with that one, or make the archive again";
            return Err(Error::new(Code::Malformed, what, next));
        }
        index.sound()?;
        Ok(index)
    }

    fn sound(&self) -> Result<()> {
        if self.entries.len() > MOST {
            return Err(broken(format!("names more than {MOST} files")));
        }
        let earlier = |role: Role| self.entries.iter().filter(|entry| entry.role == role).count();
        if earlier(Role::Index).max(earlier(Role::IndexSigned)) > MOST_INDICES {
            return Err(broken(format!("was added to more than {MOST_INDICES} times")));
        }
        let line = |text: &str| plain(text) == text && text.len() <= 1_000;
        let (mut seen, mut sizes) = (BTreeSet::new(), BTreeMap::new());
        for entry in &self.entries {
            let wrong = |what: &str| Err(broken(format!("entry `{}` {what}", plain(&entry.name))));
            if !line(&entry.name) {
                return wrong("has a name with control characters, or a long one");
            }
            if entry.size > files::LARGEST {
                return wrong("is larger than any file that is read");
            }
            if !seen.insert((entry.role, &entry.name, entry.sha256)) {
                return wrong("is there twice");
            }
            if self.audience.lacks(entry.role) && entry.role != Role::Findings {
                return wrong("is confidential, and the archive is a customer's");
            }
            if entry.redacted != self.audience.lacks(entry.role) {
                return wrong("is redacted or isn't, against what its role and the audience say");
            }
            if *sizes.entry(entry.sha256).or_insert(entry.size) != entry.size {
                return wrong("has two sizes");
            }
        }
        let release = &self.release;
        if ![&release.vendor, &release.class, &release.version].into_iter().all(|text| line(text)) {
            return Err(broken("names its release by control characters, or at length"));
        }
        let before = |previous: &Sha| {
            self.entries.iter().any(|entry| entry.role == Role::Index && entry.sha256 == *previous)
        };
        if self.previous.as_ref().is_some_and(|previous| !before(previous)) {
            return Err(broken("follows an index that it doesn't keep"));
        }
        Ok(())
    }

    /// Its text: the same for the same content.
    ///
    /// # Errors
    /// `internal`.
    pub fn text(&self) -> Result<String> {
        let entries = self.entries.iter().map(|entry| {
            let mut value = json!({
                "role": entry.role.name(),
                "name": entry.name,
                "sha256": entry.sha256.to_string(),
                "size": entry.size,
            });
            if entry.redacted {
                value["redacted"] = json!(true);
            }
            value
        });
        let release = &self.release;
        let value: Value = json!({
            "format": self.format,
            "audience": self.audience.name(),
            "release": {
                "vendor": release.vendor,
                "class": release.class,
                "version": release.version,
                "manifest_sha256": release.manifest_sha256.to_string(),
                "bundle_sha256": release.bundle_sha256.to_string(),
                "issued": release.issued.to_string(),
                "support_end": release.support_end.to_string(),
            },
            "created": self.created.to_string(),
            "retain_until": self.retain_until.to_string(),
            "previous": self.previous.map(|previous| previous.to_string()),
            "entries": entries.collect::<Vec<_>>(),
        });
        Ok(serde_json::to_string_pretty(&value).map_err(|e| Error::internal(e.to_string()))? + "\n")
    }
}
