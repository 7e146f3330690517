//! The format of scenario files: these types read it, and `tests/scenarios/schema.json` is made from them.

use crate::sim::world::{self, Release};
use patchlane_device::Factory;
use patchlane_protocol::{FeaturePolicy, Kind, Policy, SecurityPolicy};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A whole file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One line on what it shows.
    pub title: String,
    /// How the device leaves the factory.
    pub device: Start,
    /// Releases by name.
    pub release: BTreeMap<String, ReleaseEntry>,
    /// What happens, in order.
    pub step: Vec<Step>,
}

/// How the device leaves the factory.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The release it runs.
    pub first: String,
    /// What security patches may do.
    pub security: Security,
    /// What feature updates need.
    pub feature: Feature,
    /// True if it has an owner.
    #[serde(default)]
    pub owner: bool,
}

/// A policy for security patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "SPEC names them")]
pub enum Security {
    Off,
    Notify,
    StageOnly,
    ApplyInWindow,
}

/// A policy for feature updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "SPEC names them")]
pub enum Feature {
    Never,
    Local,
    OwnerKey,
    Auto,
}

/// Who signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// The security role: a SecurityPatch.
    Security,
    /// Both roles: a FeatureUpdate.
    Feature,
}

/// Where one bit of a bundle flips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// In the signed manifest.
    Manifest,
    /// In the signature set.
    Signatures,
    /// In the middle of the payload.
    Payload,
}

/// A release.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseEntry {
    /// Who signs.
    pub lane: Lane,
    /// LINE.STEP.
    #[schemars(regex(pattern = r"^[0-9]+\.[0-9]+$"))]
    pub baseline: String,
    /// The security level.
    pub level: u32,
    /// The program on a board, under target/firmware; on simulated flash, the seed of a pseudo-random image.
    pub firmware: String,
    /// False for a release that hangs when it runs.
    #[serde(default = "yes")]
    pub works: bool,
    /// False for a patch without payload.
    #[serde(default = "yes")]
    pub payload: bool,
    /// What is wrong with the bundle, if anything.
    pub damage: Option<Damage>,
}

fn yes() -> bool {
    true
}

/// Where power fails. Each is met exactly, on every machine; the runner reads back that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CommitPoint {
    /// Of `send`: half of the bundle is sent; then it is sent again.
    Receiving,
    /// Of `restart`: instead of it, while the whole candidate waits.
    Ready,
    /// Of `restart`: blocks are being moved in.
    Moving,
    /// Of `restart`: the candidate runs for the first time.
    Trial,
    /// Of `restart`: blocks are being moved back after a failed trial.
    Reverting,
    /// Of `restart`: right after the application confirmed.
    Confirmed,
}

/// One thing that happens.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "StepEntry")]
#[schemars(with = "StepEntry")]
pub enum Step {
    /// A release's bundle is sent.
    Send {
        /// Its name.
        release: String,
        /// Whether power fails on the way.
        cut: bool,
        /// What the device answers: an outcome, or a refusal.
        answer: String,
    },
    /// The owner's approval of a release is sent.
    Approve {
        /// Its name.
        release: String,
        /// The approval's serial.
        serial: u64,
        /// What the device answers.
        answer: String,
    },
    /// The device restarts, and comes to rest.
    Restart {
        /// Where power fails.
        cut: Option<CommitPoint>,
    },
    /// The status report is compared.
    Status(Expected),
    /// A line is sent to the application, on boards.
    Ask {
        /// The line.
        line: String,
        /// The application's.
        answer: String,
    },
}

/// One thing that happens: exactly one of `send`, `approve`, `restart`, `status`, `ask`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Step", inline)]
#[schemars(extend("oneOf" = [
    {"required": ["send", "answer"], "properties": {"cut": {"enum": ["receiving"]}}},
    {"required": ["approve", "serial", "answer"]},
    {"required": ["restart"], "properties": {"restart": {"const": true}, "cut": {"not": {"enum": ["receiving"]}}}},
    {"required": ["status"]},
    {"required": ["ask", "answer"]},
], "dependentSchemas" = {
    "serial": {"required": ["approve"]},
    "cut": {"anyOf": [{"required": ["send"]}, {"required": ["restart"]}]},
    "answer": {"not": {"anyOf": [{"required": ["restart"]}, {"required": ["status"]}]}},
}))]
struct StepEntry {
    /// Sends this release's bundle.
    #[schemars(with = "String")]
    send: Option<String>,
    /// Sends the owner's approval of this release…
    #[schemars(with = "String")]
    approve: Option<String>,
    /// …with this serial.
    #[schemars(with = "u64")]
    serial: Option<u64>,
    /// Restarts the device, and lets it come to rest.
    #[schemars(with = "bool")]
    restart: Option<bool>,
    /// Compares the status report.
    #[schemars(with = "Expected")]
    status: Option<Expected>,
    /// Sends a line to the application; simulated flash has none and passes over it.
    #[schemars(with = "String")]
    ask: Option<String>,
    /// Where power fails.
    #[schemars(with = "CommitPoint")]
    cut: Option<CommitPoint>,
    /// An outcome in lower case, a refusal's name (SPEC §10), or the application's line.
    #[schemars(with = "String")]
    answer: Option<String>,
}

impl TryFrom<StepEntry> for Step {
    type Error = String;

    fn try_from(entry: StepEntry) -> Result<Self, String> {
        let odd = format!("a step does exactly one thing, with what belongs to it: {entry:?}");
        let StepEntry { send, approve, serial, restart, status, ask, cut, answer } = entry;
        match (send, approve, restart, status, ask, serial, cut, answer) {
            (Some(release), None, None, None, None, None, None, Some(answer)) => {
                Ok(Self::Send { release, cut: false, answer })
            }
            (Some(release), None, None, None, None, None, Some(CommitPoint::Receiving), Some(answer)) => {
                Ok(Self::Send { release, cut: true, answer })
            }
            (None, Some(release), None, None, None, Some(serial), None, Some(answer)) => {
                Ok(Self::Approve { release, serial, answer })
            }
            (None, None, Some(true), None, None, None, cut, None) if cut != Some(CommitPoint::Receiving) => {
                Ok(Self::Restart { cut })
            }
            (None, None, None, Some(expected), None, None, None, None) => Ok(Self::Status(expected)),
            (None, None, None, None, Some(line), None, None, Some(answer)) => Ok(Self::Ask { line, answer }),
            _ => Err(odd),
        }
    }
}

/// What a status report has to say; what isn't named isn't compared.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub struct Expected {
    /// The confirmed version.
    #[schemars(with = "String")]
    pub installed: Option<String>,
    /// The held version; empty for none.
    #[schemars(with = "String")]
    pub held: Option<String>,
    /// Whether what is held is superseded.
    #[schemars(with = "bool")]
    pub superseded: Option<bool>,
    /// What it is doing.
    #[schemars(with = "String")]
    pub activity: Option<String>,
}

/// Where scenario files lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// What `tests/scenarios/schema.json` holds.
pub fn schema() -> String {
    let schema = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let schema = schema.into_root_schema_for::<Scenario>();
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Self::parse(&text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Reads a scenario's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        let names = scenario.step.iter().filter_map(|step| match step {
            Step::Send { release, .. } | Step::Approve { release, .. } => Some(release),
            _ => None,
        });
        let mut names = names.chain([&scenario.device.first]);
        if let Some(name) = names.find(|name| !scenario.release.contains_key(*name)) {
            return Err(format!("there is no release `{name}`"));
        }
        drop(names);
        Ok(scenario)
    }

    /// Every scenario of the folder, by name.
    ///
    /// # Errors
    /// What is wrong with a file.
    pub fn all() -> Result<BTreeMap<String, Self>, String> {
        let folder = folder();
        let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut all = BTreeMap::new();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_some_and(|e| e == "toml") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                all.insert(name, Self::read(&path)?);
            }
        }
        Ok(all)
    }

    pub(super) fn factory(&self) -> Factory {
        let security = match self.device.security {
            Security::Off => SecurityPolicy::Off,
            Security::Notify => SecurityPolicy::Notify,
            Security::StageOnly => SecurityPolicy::StageOnly,
            Security::ApplyInWindow => SecurityPolicy::ApplyInWindow,
        };
        let feature = match self.device.feature {
            Feature::Never => FeaturePolicy::Never,
            Feature::Local => FeaturePolicy::Local,
            Feature::OwnerKey => FeaturePolicy::OwnerKey,
            Feature::Auto => FeaturePolicy::Auto,
        };
        world::factory(Policy { security, feature }, self.device.owner)
    }

    /// A release with the image that `image` gives it.
    pub(super) fn release(
        &self,
        name: &str,
        image: &dyn Fn(&ReleaseEntry) -> Result<Vec<u8>, String>,
    ) -> Result<Release, String> {
        let entry = self.release.get(name).ok_or_else(|| format!("there is no release `{name}`"))?;
        let (line, step) = entry.baseline.split_once('.').ok_or("a baseline is LINE.STEP")?;
        let number = |text: &str| text.parse::<u16>().map_err(|e| format!("baseline {text}: {e}"));
        let mut release = Release::patch(number(line)?, number(step)?, entry.level, image(entry)?);
        release.kind = match entry.lane {
            Lane::Security => Kind::SecurityPatch,
            Lane::Feature => Kind::FeatureUpdate,
        };
        release.payload = entry.payload;
        Ok(release)
    }
}

/// A bundle's file, damaged where the scenario says so.
pub(super) fn bytes_of(entry: &ReleaseEntry, release: &Release) -> Vec<u8> {
    let bundle = release.bundle();
    let mut bytes = release.bytes();
    let manifest = patchlane_protocol::Header::WIDTH;
    let signatures = manifest + bundle.manifest_bytes().len();
    let payload = bytes.len() - bundle.payload().len();
    let at = match entry.damage {
        None => return bytes,
        Some(Damage::Manifest) => signatures - 3,
        Some(Damage::Signatures) => payload - 5,
        Some(Damage::Payload) => payload + bundle.payload().len() / 2,
    };
    bytes[at] ^= 0x10;
    bytes
}
