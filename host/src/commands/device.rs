//! `device`: what an asset owner does with a laptop and a cable.

use super::read_bundle;
use crate::cli::Global;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::keys;
use crate::link::Link;
use crate::output::Report;
use clap::{Args, Subcommand, ValueEnum};
use patchlane_protocol::link::{Command as Frame, Outcome};
use patchlane_protocol::owner::Action;
use patchlane_protocol::{Digest, List, OwnerDocument, Refusal, Request, Status, Target};
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The serial port or pty, such as /dev/ttyUSB0
    #[arg(long, short, global = true, value_name = "PORT")]
    port: Option<PathBuf>,
    /// Bits per second
    #[arg(long, global = true, default_value_t = 115_200)]
    baud: u32,
    /// Seconds to wait for one answer
    #[arg(long, global = true, default_value_t = 20, value_name = "SECONDS")]
    timeout: u64,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show what is installed, staged, held, and why something was refused
    Status,
    /// Send a bundle; the device takes the payload that fits
    Push {
        /// The bundle
        bundle: PathBuf,
    },
    /// Approve a held feature update or a rollback
    Approve(About),
    /// Ask for something about a release: apply, withdraw, keep, revert, retry
    Request {
        /// What
        #[arg(value_enum)]
        action: Asked,
        #[command(flatten)]
        about: About,
    },
    /// Ask for a restart
    Reboot,
}

#[derive(Debug, Args)]
struct About {
    /// The bundle it is about
    #[arg(required_unless_present = "manifest")]
    bundle: Option<PathBuf>,
    /// Its manifest's SHA-256, instead of the file
    #[arg(long, value_parser = digest, value_name = "HEX", conflicts_with = "bundle")]
    manifest: Option<Digest>,
    /// Sign as the owner; without it the device's application has to grant the request
    #[arg(long, value_name = "FILE")]
    owner_key: Option<PathBuf>,
    /// Above every serial the device has accepted (default: one more)
    #[arg(long, requires = "owner_key", value_name = "NUMBER")]
    serial: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Asked {
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

fn digest(text: &str) -> std::result::Result<Digest, String> {
    let bytes: Vec<u8> = (0..text.len() / 2)
        .map_while(|i| text.get(2 * i..2 * i + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    match <[u8; 32]>::try_from(bytes) {
        Ok(bytes) if text.len() == 64 => Ok(Digest(bytes)),
        _ => Err("a SHA-256 is 64 hexadecimal digits".to_owned()),
    }
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let next = "name it with --port, such as --port /dev/ttyUSB0";
    let port = options.port.as_ref().ok_or_else(|| Error::new(Code::Usage, "which device?", next))?;
    // What can be wrong with a file is said before the port is opened.
    if let Verb::Push { bundle } = &options.verb {
        read_bundle(bundle)?;
    }
    let mut link = Link::open(port, options.baud)?;
    link.patience = Duration::from_secs(options.timeout.max(1));
    match &options.verb {
        Verb::Status => Ok(describe(&link.status()?)),
        Verb::Push { bundle } => push(global, &mut link, bundle),
        Verb::Approve(about) => ask(global, &mut link, Action::Approve, about),
        Verb::Request { action, about } => {
            let action = match action {
                Asked::Apply => Action::Apply,
                Asked::Withdraw => Action::Withdraw,
                Asked::Keep => Action::Keep,
                Asked::Revert => Action::Revert,
                Asked::Retry => Action::Retry,
            };
            ask(global, &mut link, action, about)
        }
        Verb::Reboot => {
            link.request(&Frame::Reboot)?;
            Ok(Report::new("The device restarts.", json!({ "restarts": true })))
        }
    }
}

fn describe(status: &Status) -> Report {
    let s = status;
    let named = |n: &patchlane_protocol::status::Named| format!("{} (manifest {})", n.version, n.manifest);
    let note = |superseded| if superseded { "; superseded: it would lose a fix" } else { "" };
    let held = s.held.map(|h| format!("{}{}", named(&h.release), note(h.superseded)));
    let refusal = s.last_refusal.map(|code| match Refusal::from_code(code) {
        Some(refusal) => format!("{refusal} (code {code})"),
        None => format!("code {code}"),
    });
    let root = if s.development { "development" } else { "production" };
    let data = json!({
        "device_id": s.device.to_string(),
        "authenticated": false,
        "hardware": s.hardware,
        "group": s.group,
        "root_version": s.root_version,
        "development": s.development,
        "owned": s.owned,
        "owner_serial": s.serial,
        "security_policy": format!("{:?}", s.policy.security),
        "feature_policy": format!("{:?}", s.policy.feature),
        "confirmed": s.confirmed.version.to_string(),
        "confirmed_manifest": s.confirmed.manifest.to_string(),
        "activity": format!("{:?}", s.activity),
        "candidate": s.candidate.map(|c| c.version.to_string()),
        "candidate_manifest": s.candidate.map(|c| c.manifest.to_string()),
        "held": s.held.map(|h| h.release.version.to_string()),
        "held_manifest": s.held.map(|h| h.release.manifest.to_string()),
        "superseded": s.held.is_some_and(|h| h.superseded),
        "approved_manifest": s.approval.map(|d| d.to_string()),
        "overdue": s.overdue,
        "failed_boots": s.failed_boots,
        "rejections": s.rejections,
        "last_refusal": s.last_refusal,
        "counter": format!("{:?}", s.counter),
        "fenced": s.fenced,
    });
    let mut report = Report::new("Unauthenticated: the report isn't signed by a device key.", data)
        .line("installed", named(&s.confirmed))
        .line("activity", format!("{:?}{}", s.activity, if s.overdue { ", overdue" } else { "" }));
    for (name, value) in [("on its way in", s.candidate.as_ref().map(named)), ("held", held)] {
        report.lines.extend(value.map(|value| (name.to_owned(), value)));
    }
    report.lines.extend(s.approval.map(|d| ("approved".to_owned(), format!("manifest {d}"))));
    if s.failed_boots > 0 {
        report = report.line("failed boots", s.failed_boots.to_string());
    }
    report = report
        .line("policy", format!("security {:?}, feature {:?}", s.policy.security, s.policy.feature))
        .line("owner", if s.owned { format!("set, last serial {}", s.serial) } else { "none".into() })
        .line("root", format!("version {}, {root}", s.root_version))
        .line("device id", s.device.to_string())
        .line("hardware", format!("revision {}, group {}", s.hardware, s.group))
        .line("refused", format!("{} since power-on", s.rejections));
    report.lines.extend(refusal.map(|text| ("last refusal".to_owned(), text)));
    report
        .line("counter", format!("{:?}", s.counter))
        .line("state region", if s.fenced { "fenced" } else { "not fenced: the application could forge it" })
}

fn push(global: &Global, link: &mut Link, path: &Path) -> Result<Report> {
    let bytes = files::read(path)?;
    let bundle = read_bundle(path)?;
    let show = !global.json && std::io::stderr().is_terminal();
    let (begun, total) = (Instant::now(), bytes.len());
    let mut again = 0;
    let outcome = loop {
        let sent = link.push(&bytes, |sent| {
            if show && begun.elapsed() > Duration::from_secs(1) {
                eprint!("\r{:3} %", (sent * 100 / total.max(1)).min(100));
            }
        });
        if show {
            eprint!("\r     \r");
        }
        match sent {
            // A trial was ended for this patch; the device restarts and takes it then.
            Err(error) if error.refusal == Some(Refusal::SendAgain) && again < 5 => {
                again += 1;
                let _ = link.request(&Frame::Reboot);
                std::thread::sleep(Duration::from_secs(2));
            }
            other => break other,
        }
    }
    .map_err(|error| match error.refusal {
        Some(Refusal::Held) => {
            let next = "approve it (`patchlane device approve BUNDLE`), then push it again";
            Error { next: next.into(), ..error }
        }
        _ => error,
    })?;
    let (what, text) = match outcome {
        Outcome::Ready => ("ready", "Whole in the secondary slot; it goes in at the next restart."),
        Outcome::Staged => {
            ("staged", "Whole in the secondary slot; it waits for its window or for a request.")
        }
        Outcome::Applied => ("applied", "Confirmed at once: it needed no payload."),
        Outcome::RootCommitted => {
            ("root-committed", "The device trusts the new root; the release it has already.")
        }
        Outcome::Done => ("done", "Taken."),
    };
    let data = json!({
        "outcome": what,
        "version": bundle.manifest()?.version.to_string(),
        "manifest_sha256": bundle.digest().to_string(),
    });
    Ok(Report::new(text, data).line("release", bundle.manifest()?.version.to_string()).line("outcome", what))
}

fn ask(global: &Global, link: &mut Link, action: Action, about: &About) -> Result<Report> {
    let manifest = match (&about.bundle, about.manifest) {
        (Some(path), _) => read_bundle(path)?.digest(),
        (None, Some(digest)) => digest,
        (None, None) => return Err(Error::internal("neither bundle nor manifest")),
    };
    let serial = match &about.owner_key {
        Some(path) => {
            let key = keys::read(path, &global.passphrase())?.key;
            let status = link.status()?;
            let serial = about.serial.unwrap_or_else(|| status.serial.saturating_add(1));
            let devices = [status.device];
            let target = Target::Devices(List::of(&devices)?);
            let request = Request::Release { action, manifest };
            let document = OwnerDocument { product: status.product, target, serial, request };
            let document = crate::owner::sign(&document, &[&key])?;
            link.request(&Frame::Owner(&document))?;
            Some(serial)
        }
        None => {
            link.request(&Frame::Local { action, manifest })?;
            None
        }
    };
    let data = json!({
        "action": format!("{action:?}").to_lowercase(),
        "manifest_sha256": manifest.to_string(),
        "serial": serial,
    });
    let by = serial.map_or("locally".to_owned(), |n| format!("by the owner, serial {n}"));
    Ok(Report::new("Taken.", data)
        .line("action", format!("{action:?}, {by}"))
        .line("manifest", manifest.to_string()))
}
