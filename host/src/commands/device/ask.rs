//! `device approve` and `device request`: what an operator or an owner asks for.

use super::{Cable, status};
use crate::cli::Global;
use crate::commands::provision::device_id;
use crate::commands::read_bundle;
use crate::error::{Code, Error, Result};
use crate::keys;
use crate::link::Link;
use crate::output::{Report, slug};
use clap::{Args, ValueEnum};
use patchlane_protocol::link::Command as Frame;
use patchlane_protocol::owner::Action;
use patchlane_protocol::{DeviceId, Digest, List, OwnerDocument, Refusal, Request, Target};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct About {
    /// The bundle it is about
    #[arg(required_unless_present = "manifest")]
    bundle: Option<PathBuf>,
    /// Its manifest's SHA-256, instead of the file
    #[arg(long, value_parser = digest, value_name = "HEX", conflicts_with = "bundle")]
    manifest: Option<Digest>,
    #[command(flatten)]
    owner: Owner,
}

/// The owner's word, if it is one.
#[derive(Debug, Args)]
pub(crate) struct Owner {
    /// Sign as the owner; without it the device's application has to grant the request
    #[arg(long, value_name = "FILE")]
    owner_key: Option<PathBuf>,
    /// Above every serial the device has accepted (default: one more)
    #[arg(long, requires = "owner_key", value_name = "NUMBER")]
    serial: Option<u64>,
    /// The device it is for, as on its label: nothing is signed for another one at the cable
    #[arg(long, requires = "owner_key", value_parser = device_id, value_name = "HEX")]
    device_id: Option<DeviceId>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Asked {
    /// Apply a staged patch now
    Apply,
    /// Withdraw an approval, or discard what is on its way in
    Withdraw,
    /// End a soak: keep the release
    Keep,
    /// End a trial or a soak: return to the confirmed release
    Revert,
    /// Try a release again that failed its trials
    Retry,
}

impl Asked {
    /// It has a verb of its own.
    pub(super) const APPROVE: Action = Action::Approve;

    pub(super) const fn action(self) -> Action {
        match self {
            Self::Apply => Action::Apply,
            Self::Withdraw => Action::Withdraw,
            Self::Keep => Action::Keep,
            Self::Revert => Action::Revert,
            Self::Retry => Action::Retry,
        }
    }
}

fn digest(text: &str) -> std::result::Result<Digest, String> {
    let bytes: Vec<u8> = (0..text.len() / 2)
        .map_while(|i| text.get(2 * i..2 * i + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    match <[u8; 32]>::try_from(bytes) {
        Ok(bytes) if text.len() == 64 => Ok(Digest(bytes)),
        _ => Err("a SHA-256 is 64 hexadecimal digits".to_owned()),
    }
}

/// Says what was refused, and the way on that the command line has.
pub(super) fn refused(error: Error, cable: &Cable, what: &str) -> Error {
    let next = match error.refusal {
        Some(Refusal::NotGranted) => {
            "the application doesn't grant it over the cable: do it at the device, or sign it with --owner-key FILE".into()
        }
        Some(Refusal::OwnerSignature) => "sign it with the key that the device knows as its owner's: --owner-key FILE".into(),
        Some(Refusal::NoAnchor) => "the device has no owner: leave --owner-key out".into(),
        Some(Refusal::SerialSpent) => "leave --serial out, or give one above `owner` in the device's status".into(),
        Some(Refusal::UnknownManifest) => format!("see what it has: {}", cable.command("status")),
        Some(Refusal::LosesFix) => "it is superseded: use a release that handles every advisory this device has".into(),
        Some(Refusal::TrialPending) => "it isn't known to be healthy yet; the application has to say so first".into(),
        _ => error.next.clone(),
    };
    let place = if error.refusal.is_some() { Some(what.to_owned()) } else { error.place.clone() };
    Error { next, place, ..error }
}

impl Owner {
    pub(super) const fn is_given(&self) -> bool {
        self.owner_key.is_some()
    }

    /// Signs a request for this one device and sends it; returns the serial that it spent.
    pub(super) fn send(&self, global: &Global, link: &mut Link, request: Request) -> Result<u64> {
        let path = self.owner_key.as_ref().ok_or_else(|| Error::internal("no owner key"))?;
        let key = keys::read(path, &global.passphrase())?.key;
        let status = status::ask(link)?;
        // The report isn't signed: whoever holds the cable says what it says, and this is what gets signed.
        if self.device_id.is_some_and(|id| id != status.device) {
            let what = format!(
                "says that it is {}, and not the one of --device-id; nothing was signed",
                status.device
            );
            return Err(Error::new(Code::Refused, what, "check the cable").at("the device"));
        }
        if self.serial.is_none() && status.serial > u64::MAX / 2 {
            let what = format!(
                "says that serial {} is spent, which no owner reaches; nothing was signed",
                status.serial
            );
            let next = "look at `patchlane device status`; to sign all the same, say --serial";
            return Err(Error::new(Code::Refused, what, next).at("the device"));
        }
        let serial = self.serial.unwrap_or_else(|| status.serial.saturating_add(1));
        let devices = [status.device];
        let target = Target::Devices(List::of(&devices)?);
        let document = OwnerDocument { product: status.product, target, serial, request };
        let (outcome, twice) = link.request_again(&Frame::Owner(&crate::owner::sign(&document, &[&key])?));
        let spent = outcome.as_ref().is_err_and(|error| error.refusal == Some(Refusal::SerialSpent));
        // Taken the first time, the word of it lost on the line, and spent the second time.
        if !(twice && spent && status.serial < serial && status::ask(link)?.serial == serial) {
            outcome?;
        }
        Ok(serial)
    }
}

pub(super) fn run(global: &Global, cable: &Cable, action: Action, about: &About) -> Result<Report> {
    // What can be wrong with a file is said before the port is opened.
    let (manifest, name) = match (&about.bundle, about.manifest) {
        (Some(path), _) => {
            let bundle = read_bundle(path)?;
            (bundle.digest(), format!("{} ({})", path.display(), bundle.manifest()?.version))
        }
        (None, Some(digest)) => (digest, format!("manifest {digest}")),
        (None, None) => return Err(Error::internal("neither bundle nor manifest")),
    };
    let verb = slug(&action);
    let mut link = cable.open()?;
    let said = |error| refused(error, cable, &format!("the request to {verb} {name}"));
    let serial = if about.owner.is_given() {
        Some(about.owner.send(global, &mut link, Request::Release { action, manifest }).map_err(said)?)
    } else {
        let request = Frame::Local { action, manifest };
        // Approved twice is approved; the others do something.
        let outcome = match action {
            Action::Approve => link.request_again(&request).0,
            _ => link.request(&request),
        };
        outcome.map_err(said)?;
        None
    };
    let data = json!({ "action": verb, "manifest_sha256": manifest.to_string(), "owner_serial": serial });
    let by = serial.map_or("locally".to_owned(), |n| format!("by the owner, serial {n}"));
    let report = Report::new("Taken.", data).line("action", format!("{verb}, {by}")).line("release", name);
    let bundle = about.bundle.as_ref().map_or("BUNDLE".into(), |path| path.display().to_string());
    let then = match action {
        Action::Approve => cable.command(&format!("push {bundle}")),
        Action::Apply | Action::Revert => cable.command("reboot"),
        Action::Retry => cable.command(&format!("push {bundle}")),
        Action::Withdraw | Action::Keep => return Ok(report),
    };
    Ok(report.line("next", then))
}
