//! The format of scenario files: these types read it, and `host/schema/scenario.schema.json` is made from them.

use super::answers;
use crate::config::{Flash, some_table};
use crate::error::{Code, Error, Result};
use crate::explain::{explain, meant};
use crate::files;
use patchlane_protocol::{Baseline, Version};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// A whole file, as it is written.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(title = "A scenario for `patchlane simulate`"))]
#[cfg_attr(feature = "schema", schemars(extend("$id" = super::schema::ID)))]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// One line on what it shows.
    title: String,
    /// How the device leaves the factory.
    #[cfg_attr(feature = "schema", schemars(with = "Start"))]
    device: Spanned<Start>,
    /// Where things lie in flash, as in patchlane.toml; without it, as patchlane.toml says, or as `init` writes it.
    #[serde(default, deserialize_with = "some_table")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::flash"))]
    flash: Option<Flash>,
    /// Releases by name.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, ReleaseEntry>"))]
    release: BTreeMap<String, Spanned<ReleaseEntry>>,
    /// What happens, in order.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<StepEntry>"))]
    step: Vec<Spanned<StepEntry>>,
}

/// A checked scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// One line on what it shows.
    pub title: String,
    /// How the device leaves the factory.
    pub device: Start,
    /// Where things lie in flash, if it says so.
    pub flash: Option<Flash>,
    /// Releases by name.
    pub release: BTreeMap<String, Release>,
    /// What happens, in order.
    pub step: Vec<Step>,
    /// The line at which each step begins.
    pub lines: Vec<usize>,
    /// Its folder; paths count from there.
    pub folder: PathBuf,
}

/// How the device leaves the factory.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
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
    /// The root that bundle files are judged under; without it, that of patchlane.toml.
    pub root: Option<PathBuf>,
}

/// A policy for security patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "SPEC names them")]
pub enum Security {
    Off,
    Notify,
    StageOnly,
    ApplyInWindow,
}

/// A policy for feature updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "SPEC names them")]
pub enum Feature {
    Never,
    Local,
    OwnerKey,
    Auto,
}

/// Who signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// The security role: a SecurityPatch.
    Security,
    /// Both roles: a FeatureUpdate.
    Feature,
}

/// Where one bit of a bundle flips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// In the signed manifest.
    Manifest,
    /// In the signature set.
    Signatures,
    /// In the middle of the payload.
    Payload,
}

/// A release: a bundle file, or the description of one that throw-away keys sign. A file has all of one kind.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Release"))]
#[cfg_attr(feature = "schema", schemars(extend("oneOf" = super::schema::release_kinds())))]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseEntry {
    /// A bundle file, beside the scenario.
    bundle: Option<PathBuf>,
    /// Who signs.
    lane: Option<Lane>,
    /// LINE.STEP.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[0-9]+\.[0-9]+$")))]
    baseline: Option<String>,
    /// The security level.
    level: Option<u32>,
    /// The image: on a board, the program under target/firmware; on simulated flash, a file beside the scenario, or if
    /// there is none, a pseudo-random image of this name.
    firmware: Option<String>,
    /// False for a patch without payload.
    payload: Option<bool>,
    /// False for a release that hangs when it runs.
    #[serde(default = "yes")]
    works: bool,
    /// What is wrong with the bundle, if anything.
    damage: Option<Damage>,
}

fn yes() -> bool {
    true
}

/// A release.
#[derive(Debug, Clone)]
pub struct Release {
    /// What makes it.
    pub source: Source,
    /// False if it hangs when it runs.
    pub works: bool,
    /// What is wrong with the bundle, if anything.
    pub damage: Option<Damage>,
}

/// What makes a release.
#[derive(Debug, Clone)]
pub enum Source {
    /// A bundle file.
    Bundle(PathBuf),
    /// Throw-away keys sign it.
    Described {
        /// Who signs.
        lane: Lane,
        /// Its version.
        version: Version,
        /// Its image's name.
        firmware: String,
        /// False for a patch without payload.
        payload: bool,
    },
}

/// Where power fails. Each is met exactly, on every machine; the runner reads back that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
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

impl CommitPoint {
    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Ready => "ready",
            Self::Moving => "moving",
            Self::Trial => "trial",
            Self::Reverting => "reverting",
            Self::Confirmed => "confirmed",
        }
    }
}

/// One thing that happens.
#[derive(Debug, Clone)]
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

impl Step {
    /// Its key in files.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Send { .. } => "send",
            Self::Approve { .. } => "approve",
            Self::Restart { .. } => "restart",
            Self::Status(_) => "status",
            Self::Ask { .. } => "ask",
        }
    }
}

/// One thing that happens: exactly one of `send`, `approve`, `restart`, `status`, `ask`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Step"))]
#[cfg_attr(feature = "schema", schemars(extend("oneOf" = super::schema::step_kinds())))]
#[serde(deny_unknown_fields, default)]
pub(super) struct StepEntry {
    /// Sends this release's bundle.
    send: Option<String>,
    /// Sends the owner's approval of this release…
    approve: Option<String>,
    /// …with this serial.
    serial: Option<u64>,
    /// Restarts the device, and lets it come to rest.
    restart: Option<bool>,
    /// Compares the status report.
    status: Option<Expected>,
    /// Sends a line to the application; simulated flash has none and passes over it.
    ask: Option<String>,
    /// Where power fails.
    cut: Option<CommitPoint>,
    /// An outcome in lower case, a refusal's name (SPEC §10), or the application's line.
    answer: Option<String>,
}

/// What a status report has to say; what isn't named isn't compared.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(extend("minProperties" = 1)))]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    /// The confirmed version.
    pub installed: Option<String>,
    /// The held version; empty for none.
    pub held: Option<String>,
    /// Whether what is held is superseded.
    pub superseded: Option<bool>,
    /// What it is doing.
    pub activity: Option<String>,
}

fn malformed(what: impl Into<String>, next: impl Into<String>) -> Error {
    Error::new(Code::Malformed, what, next)
}

impl StepEntry {
    /// The keys that are there.
    fn keys(&self) -> Vec<&'static str> {
        let there = [
            ("send", self.send.is_some()),
            ("approve", self.approve.is_some()),
            ("restart", self.restart.is_some()),
            ("status", self.status.is_some()),
            ("ask", self.ask.is_some()),
            ("serial", self.serial.is_some()),
            ("cut", self.cut.is_some()),
            ("answer", self.answer.is_some()),
        ];
        there.into_iter().filter(|(_, there)| *there).map(|(key, _)| key).collect()
    }

    /// What it does, if that is one thing with all that belongs to it and nothing else.
    fn act(&self) -> Result<&'static str> {
        const ACTS: [(&str, &[&str], &[&str]); 5] = [
            ("send", &["answer"], &["cut"]),
            ("approve", &["serial", "answer"], &[]),
            ("restart", &[], &["cut"]),
            ("status", &[], &[]),
            ("ask", &["answer"], &[]),
        ];
        let keys = self.keys();
        let mut acts = ACTS.iter().filter(|(act, ..)| keys.contains(act));
        let Some((act, needed, allowed)) = acts.next() else {
            let next = "give it one of send, approve, restart, status, ask";
            return Err(malformed("this step does nothing", next));
        };
        if let Some((other, ..)) = acts.next() {
            let what = format!("this step does two things: {act} and {other}");
            return Err(malformed(what, "make a step of each"));
        }
        if let Some(key) = needed.iter().find(|key| !keys.contains(key)) {
            return Err(malformed(format!("`{act}` needs `{key}`"), "add it to the step"));
        }
        let belongs = |key: &&&str| **key == *act || needed.contains(*key) || allowed.contains(*key);
        if let Some(key) = keys.iter().find(|key| !belongs(key)) {
            let with: Vec<_> = needed.iter().chain(*allowed).copied().collect();
            let what = format!("`{key}` doesn't belong to `{act}`");
            let takes = if with.is_empty() { "nothing else".to_owned() } else { with.join(" and ") };
            return Err(malformed(what, format!("take it out; `{act}` takes {takes}")));
        }
        Ok(act)
    }

    fn step(self) -> Result<Step> {
        let act = self.act()?;
        let Self { send, approve, serial, restart, status, ask, cut, answer } = self;
        let (answer, receiving) = (answer.unwrap_or_default(), cut == Some(CommitPoint::Receiving));
        if let Some(point) = cut.filter(|_| receiving != send.is_some()) {
            let what = format!("power can't fail at `{}` in `{act}`", point.name());
            let next = "receiving belongs to send; ready, moving, trial, reverting and confirmed to restart";
            return Err(malformed(what, next));
        }
        if let Some(release) = send {
            return checked_answer(answer).map(|answer| Step::Send { release, cut: receiving, answer });
        }
        if let (Some(release), Some(serial)) = (approve, serial) {
            return checked_answer(answer).map(|answer| Step::Approve { release, serial, answer });
        }
        if restart == Some(false) {
            return Err(malformed("`restart` is false", "say true, or leave the step out"));
        }
        match (status, ask) {
            (Some(expected), _) => expected.checked().map(Step::Status),
            (_, Some(line)) => Ok(Step::Ask { line, answer }),
            _ => Ok(Step::Restart { cut }),
        }
    }
}

fn checked_answer(answer: String) -> Result<String> {
    let known = answers::all();
    if known.contains(&answer) {
        return Ok(answer);
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Err(malformed(format!("no device answers `{answer}`"), meant(&answer, &known)))
}

impl Expected {
    fn checked(self) -> Result<Self> {
        if let Some(activity) = self.activity.as_ref().filter(|a| !answers::ACTIVITIES.contains(&a.as_str()))
        {
            let what = format!("no device does `{activity}`");
            return Err(malformed(what, meant(activity, &answers::ACTIVITIES)));
        }
        if [&self.installed, &self.held, &self.activity].iter().all(|o| o.is_none())
            && self.superseded.is_none()
        {
            return Err(malformed(
                "`status` compares nothing",
                "name installed, held, superseded or activity",
            ));
        }
        Ok(self)
    }
}

impl ReleaseEntry {
    fn release(self) -> Result<Release> {
        let Self { bundle, lane, baseline, level, firmware, payload, works, damage } = self;
        let described = [
            ("lane", lane.is_some()),
            ("baseline", baseline.is_some()),
            ("level", level.is_some()),
            ("firmware", firmware.is_some()),
        ];
        let source = match (bundle, lane, baseline, level, firmware) {
            (Some(_), ..) if payload.is_some() || described.iter().any(|(_, there)| *there) => {
                let what = "is a bundle file and described as well";
                return Err(malformed(
                    what,
                    "a bundle says itself what it is: keep `bundle`, or describe it",
                ));
            }
            (Some(bundle), ..) => Source::Bundle(bundle),
            (None, Some(lane), Some(baseline), Some(level), Some(firmware)) => {
                let Baseline { line, step } =
                    crate::commands::baseline(&baseline).map_err(|e| malformed(e, "correct the baseline"))?;
                let payload = payload.unwrap_or(true);
                Source::Described { lane, version: Version::new(line, step, level), firmware, payload }
            }
            _ => {
                let missing: Vec<_> =
                    described.iter().filter(|(_, there)| !there).map(|(k, _)| format!("`{k}`")).collect();
                let what = format!("lacks {}", missing.join(", "));
                return Err(malformed(what, "add it, or name a `bundle`"));
            }
        };
        Ok(Release { source, works, damage })
    }
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// `malformed`: the line and what is wrong there; and those of the file.
    pub fn read(path: &Path) -> Result<Self> {
        let mut scenario = Self::parse(&files::read_text(path)?).map_err(|e| e.at(path.display()))?;
        scenario.folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Ok(scenario)
    }

    /// Reads a scenario's text.
    ///
    /// # Errors
    /// `malformed`: the line and what is wrong there.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File =
            toml::from_str(text).map_err(|e| Error { code: Code::Malformed, ..explain(text, &e) })?;
        let line = |at: usize| text.get(..at).unwrap_or("").matches('\n').count() + 1;
        let at = |at: usize, e: Error| Error { what: format!("line {}: {}", line(at), e.what), ..e };
        let (mut release, mut step, mut lines) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (name, entry) in file.release {
            let begins = entry.span().start;
            let named = |e: Error| Error { what: format!("release `{name}` {}", e.what), ..e };
            let one = entry.into_inner().release().map_err(|e| at(begins, named(e)))?;
            release.insert(name, one);
        }
        for entry in file.step {
            let begins = entry.span().start;
            let one = entry.into_inner().step().map_err(|e| at(begins, e))?;
            if let Step::Send { release: name, .. } | Step::Approve { release: name, .. } = &one {
                known(name, &release).map_err(|e| at(begins, e))?;
            }
            step.push(one);
            lines.push(line(begins));
        }
        let begins = file.device.span().start;
        let device = file.device.into_inner();
        known(&device.first, &release).map_err(|e| at(begins, e))?;
        if step.is_empty() {
            return Err(malformed("has no [[step]]", "say what happens"));
        }
        let folder = PathBuf::new();
        Ok(Self { title: file.title, device, flash: file.flash, release, step, lines, folder })
    }
}

fn known(name: &str, releases: &BTreeMap<String, Release>) -> Result<()> {
    if releases.contains_key(name) {
        return Ok(());
    }
    let all: Vec<&str> = releases.keys().map(String::as_str).collect();
    Err(malformed(format!("there is no release `{name}`"), meant(name, &all)))
}
