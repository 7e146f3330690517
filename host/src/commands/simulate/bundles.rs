//! `simulate FIRST.plb …`: bundles played to a device, one after the other.

use super::Options;
use crate::bundle::Bundle;
use crate::cli::Global;
use crate::commands::provision::{device_config, provisioned};
use crate::commands::{date, read_bundle, signed};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::flash::{Cut, When};
use crate::output::Report;
use crate::scenario::Simulated;
use patchlane_device::{Boot, Cause, NoCounter, Running, Window};
use patchlane_protocol::owner::Action;
use patchlane_protocol::{Refusal, limits};
use serde_json::{Value, json};
use std::path::Path;

struct Player {
    device: Simulated,
    events: Vec<(String, String)>,
    /// The last refusal, of the bundle named so.
    refused: Option<(String, Refusal)>,
}

/// Somewhere in RAM, power fails at most once; more restarts than this are a defect.
const PATIENCE: u32 = 20;

impl Player {
    fn say(&mut self, what: &str, text: impl Into<String>) {
        self.events.push((what.to_owned(), text.into()));
    }

    /// Reads a bundle; its images may run from now on.
    fn expect(&mut self, path: &Path) -> Result<Bundle> {
        let bundle = read_bundle(path)?;
        // Where code runs from both slots, each image runs in its own only.
        let direct = self.device.machine.engine().layout().addresses().is_some();
        let manifest = bundle.digest();
        let images: Vec<_> = bundle.manifest()?.components.iter().flat_map(|c| c.images.iter()).collect();
        for image in images {
            match image.address.filter(|_| direct) {
                Some(address) => self.device.expect_at(manifest, image.digest, address),
                None => self.device.expect(manifest, image.digest),
            }
        }
        Ok(bundle)
    }

    /// Restarts, as a bootloader and then an application do.
    fn restart(&mut self, cause: Cause) -> Result<()> {
        self.device.power.restore();
        let Some(boot) = self.device.restart(cause).map_err(Error::internal)? else {
            return self.failed(Refusal::Flash);
        };
        let text = match boot {
            Boot::Run(Running::Confirmed) => "runs the confirmed release".to_owned(),
            Boot::Run(Running::Trial) => "runs the new release, on trial".to_owned(),
            Boot::Run(Running::Fallback) => "runs the fallback".to_owned(),
            Boot::Service(reason) => format!("service mode: {reason}"),
        };
        self.say("start", text);
        Ok(())
    }

    /// After a flash error: power went, or something is wrong.
    fn failed(&mut self, refusal: Refusal) -> Result<()> {
        if !self.device.power.is_off() {
            return Err(Error::internal(format!("flash error with power on: {refusal}")));
        }
        self.say("power", format!("fails during flash operation {}", self.device.power.operations() - 1));
        self.restart(Cause::PowerOn)
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
            match self.device.push(bytes, limits::FRAME_DATA).map_err(Error::internal)? {
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
                    self.device.machine.local(Action::Approve, &digest).map_err(Error::refused)?;
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
        if self.device.machine.engine().needs_restart() {
            return self.restart(Cause::Requested).map(|()| false).map_err(|_| Refusal::NotInService);
        }
        let status = self.device.machine.status()?;
        match (status.activity, status.candidate) {
            (Activity::Staged, Some(candidate)) => {
                self.device.machine.window(Window::Open)?;
                if !self.device.machine.engine().needs_restart() {
                    self.device.machine.local(Action::Apply, &candidate.manifest)?;
                    self.say("operator", "asks to apply it");
                }
                Ok(false)
            }
            (Activity::Trial, _) => {
                self.device.machine.confirm()?;
                self.say("application", "is healthy, confirms");
                Ok(false)
            }
            _ => Ok(true),
        }
    }
}

pub(super) fn run(global: &Global, options: &Options) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let factory = options.factory.factory(&config)?;
    let (first, bundles) = options.files.split_first().ok_or_else(|| Error::internal("no bundle"))?;
    let device = provisioned(global, &config, first, options.root.as_ref(), &factory)?;
    let device = Simulated::new(device.media, device_config(&config), NoCounter);
    let mut player = Player { device, events: Vec::new(), refused: None };
    player.expect(first)?;
    player.restart(Cause::PowerOn)?;
    let mut results: Vec<Value> = Vec::new();
    for (number, path) in bundles.iter().enumerate() {
        let bundle = player.expect(path)?;
        signed(&bundle, path)?;
        let version = bundle.manifest()?.version.to_string();
        let text = format!("{version}, issued {}", date(bundle.manifest()?.issued_at));
        player.say("send", text);
        if let (true, Some(at)) = (number + 1 == bundles.len(), options.cut) {
            player.device.power.plan(Cut { at, when: When::Middle });
        }
        let before = player.device.power.operations();
        let taken = player.deliver(&version, &bundle.to_bytes()?, bundle.digest(), options.approve)?;
        let operations = player.device.power.operations() - before;
        results.push(json!({ "version": version, "installed": taken, "flash_operations": operations }));
    }
    let status = player.device.machine.status().map_err(Error::refused)?;
    let size = player.device.machine.engine().state().map_or(0, |state| state.confirmed.size) as usize;
    let digest = player.device.primary_digest(size);
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
