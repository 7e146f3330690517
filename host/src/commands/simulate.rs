//! `simulate`: the device crate itself, on flash in memory.

use super::provision::{Factoring, provisioned};
use super::{date, read_bundle, signed};
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::flash::Chip;
use crate::output::Report;
use clap::Args;
use patchlane_device::{
    Boot, Cause, Config as DeviceConfig, Device, Done, NoCounter, NoWatchdog, Running, Window,
};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::Action;
use patchlane_protocol::{Refusal, limits};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What the device runs at first: a signed bundle with a full image
    first: PathBuf,
    /// Bundles to send, one after the other; exit code 1 if one is refused
    bundles: Vec<PathBuf>,
    /// The root to trust (default: the configuration's)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    #[command(flatten)]
    factory: Factoring,
    /// Approve each held bundle locally and send it again
    #[arg(long)]
    approve: bool,
    /// Power fails during this flash operation of the last bundle, counted from 0
    #[arg(long, value_name = "NUMBER")]
    cut: Option<u64>,
}

struct Player {
    device: Device<Chip>,
    config: DeviceConfig,
    events: Vec<(String, String)>,
    cut: Option<u64>,
    /// The last refusal, of the bundle named so.
    refused: Option<(String, Refusal)>,
}

/// Somewhere in RAM, power fails at most once; more restarts than this are a defect.
const PATIENCE: u32 = 20;

impl Player {
    fn say(&mut self, what: &str, text: impl Into<String>) {
        self.events.push((what.to_owned(), text.into()));
    }

    /// Restarts, as a bootloader and then an application do.
    fn restart(&mut self, cause: Cause) -> Result<()> {
        let layout = *self.device.engine().layout();
        let mut media = self.device.media.clone();
        media.off = false;
        media.cut = self.cut.take().map(|cut| media.operations + cut);
        self.device = Device::new(layout, self.config, media, NoWatchdog, NoCounter);
        let boot = match self.device.boot(cause) {
            Ok(boot) => boot,
            Err(refusal) => return self.failed(refusal),
        };
        let text = match boot {
            Boot::Run(Running::Confirmed) => "runs the confirmed release".to_owned(),
            Boot::Run(Running::Trial) => "runs the new release, on trial".to_owned(),
            Boot::Run(Running::Fallback) => "runs the fallback".to_owned(),
            Boot::Service(reason) => format!("service mode: {reason}"),
        };
        self.say("start", text);
        if matches!(boot, Boot::Run(_)) {
            let media = self.device.media.clone();
            self.device = Device::new(layout, self.config, media, NoWatchdog, NoCounter);
        }
        Ok(())
    }

    /// After a flash error: power went, or something is wrong.
    fn failed(&mut self, refusal: Refusal) -> Result<()> {
        if !self.device.media.off {
            return Err(Error::internal(format!("flash error with power on: {refusal}")));
        }
        self.say("power", format!("fails during flash operation {}", self.device.media.operations - 1));
        self.restart(Cause::PowerOn)
    }

    fn push(&mut self, bytes: &[u8]) -> std::result::Result<Outcome, Refusal> {
        let mut offset = self.device.begin()? as usize;
        for _ in 0..bytes.len() / 64 + 64 {
            let piece = bytes.get(offset..).unwrap_or(&[]);
            let piece = &piece[..piece.len().min(limits::FRAME_DATA)];
            match self.device.push(offset as u32, piece)? {
                Done::Want(want) => offset = want as usize,
                Done::Outcome(outcome) => return Ok(outcome),
                Done::Opened | Done::Boot(_) => break,
            }
        }
        Err(Refusal::NotInService)
    }

    /// Sends a bundle and does what an operator would until it is settled.
    fn deliver(
        &mut self,
        name: &str,
        bytes: &[u8],
        digest: patchlane_protocol::Digest,
        approve: bool,
    ) -> Result<bool> {
        let mut approved = false;
        for _ in 0..PATIENCE {
            match self.push(bytes) {
                Ok(outcome) => {
                    self.say(name, format!("{outcome:?}").to_lowercase());
                    return self.settle().map(|()| true);
                }
                Err(Refusal::Flash) => self.failed(Refusal::Flash)?,
                Err(Refusal::SendAgain) => {
                    self.say(name, Refusal::SendAgain.to_string());
                    self.restart(Cause::Requested)?;
                }
                Err(Refusal::Held) if approve && !approved => {
                    self.say(name, Refusal::Held.to_string());
                    self.device.local(Action::Approve, &digest).map_err(Error::refused)?;
                    self.say("operator", "approves it");
                    approved = true;
                }
                Err(refusal) => {
                    self.say(name, format!("refused: it {refusal}"));
                    self.refused = Some((name.to_owned(), refusal));
                    return Ok(false);
                }
            }
        }
        Err(Error::internal("the device never settles"))
    }

    /// Opens the window, applies what is staged, restarts, confirms.
    fn settle(&mut self) -> Result<()> {
        for _ in 0..PATIENCE {
            let step = self.settle_once();
            match step {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(Refusal::Flash) => self.failed(Refusal::Flash)?,
                Err(refusal) => return Err(Error::refused(refusal)),
            }
        }
        Err(Error::internal("the device never settles"))
    }

    fn settle_once(&mut self) -> std::result::Result<bool, Refusal> {
        use patchlane_protocol::status::Activity;
        if self.device.engine().needs_restart() {
            return self.restart(Cause::Requested).map(|()| false).map_err(|_| Refusal::NotInService);
        }
        let status = self.device.status()?;
        match (status.activity, status.candidate) {
            (Activity::Staged, Some(candidate)) => {
                self.device.window(Window::Open)?;
                if !self.device.engine().needs_restart() {
                    self.device.local(Action::Apply, &candidate.manifest)?;
                    self.say("operator", "asks to apply it");
                }
                Ok(false)
            }
            (Activity::Trial, _) => {
                self.device.confirm()?;
                self.say("application", "is healthy, confirms");
                Ok(false)
            }
            _ => Ok(true),
        }
    }
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let factory = options.factory.factory(&config)?;
    let device = provisioned(global, &config, &options.first, options.root.as_ref(), &factory)?;
    let device_config = DeviceConfig { address: config.address(), soak: 0, fenced: false };
    let mut player = Player { device, config: device_config, events: Vec::new(), cut: None, refused: None };
    player.restart(Cause::PowerOn)?;
    let mut results: Vec<Value> = Vec::new();
    for (number, path) in options.bundles.iter().enumerate() {
        let bundle = read_bundle(path)?;
        signed(&bundle, path)?;
        let version = bundle.manifest()?.version.to_string();
        let text = format!("{version}, issued {}", date(bundle.manifest()?.issued_at));
        player.say("send", text);
        if number + 1 == options.bundles.len() {
            player.device.media.cut = options.cut.map(|cut| player.device.media.operations + cut);
        }
        let before = player.device.media.operations;
        let taken = player.deliver(&version, &bundle.to_bytes()?, bundle.digest(), options.approve)?;
        let operations = player.device.media.operations - before;
        results.push(json!({ "version": version, "installed": taken, "flash_operations": operations }));
    }
    let status = player.device.status().map_err(Error::refused)?;
    let size = player.device.engine().state().map_or(0, |state| state.confirmed.size) as usize;
    let digest = crate::bundle::sha256(player.device.media.primary(size));
    let data = json!({
        "installed": status.confirmed.version.to_string(),
        "image_sha256": digest.to_string(),
        "bundles": results,
        "events": player.events.iter().map(|(who, what)| json!([who, what])).collect::<Vec<_>>(),
    });
    let mut report = Report::new(format!("The device runs {}.", status.confirmed.version), data);
    report.lines = player.events;
    report.failed = player.refused.map(|(name, refusal)| {
        let error = Error::refused(refusal).at(name);
        match refusal {
            Refusal::Held => {
                Error { next: "say --approve: held bundles are approved, and sent again".into(), ..error }
            }
            _ => error,
        }
    });
    Ok(report)
}
