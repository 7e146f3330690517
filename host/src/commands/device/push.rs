//! `device push`: sends a bundle, and says what is next, whatever the device decides.

use super::Cable;
use crate::bundle::Bundle;
use crate::cli::Global;
use crate::commands::{describe, parse_bundle, signed};
use crate::error::{Code, Error, Result};
use crate::files;
use crate::link::Link;
use crate::output::Report;
use crate::progress::Progress;
use patchlane_device::rules::policy::owner_alone;
use patchlane_protocol::bundle::payload_offset;
use patchlane_protocol::link::{Command as Frame, Outcome};
use patchlane_protocol::status::Activity;
use patchlane_protocol::{Encoding, Manifest, Refusal, Status};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a device may end a trial for one bundle.
const AGAIN: u32 = 3;
/// Between two looks at a device that restarts.
const POLL: Duration = Duration::from_millis(100);
/// What erasing, writing and reading back a KiB takes a slow flash.
const WRITING: Duration = Duration::from_millis(60);
/// Parts of the progress bar.
const PARTS: u64 = 1_000;

/// Where the payloads lie in the file: a device takes one of them, whichever.
struct Spans(Vec<Span>);

/// One payload.
#[derive(Clone, Copy)]
struct Span {
    from: u64,
    to: u64,
    encoding: Encoding,
}

impl Spans {
    fn of(bundle: &Bundle) -> Result<Self> {
        let manifest = bundle.manifest()?;
        let head = bundle.to_bytes()?.len().saturating_sub(bundle.payload().len()) as u64;
        let mut spans = Vec::new();
        for (c, component) in manifest.components.iter().enumerate() {
            for (a, alternative) in component.alternatives.iter().enumerate() {
                let from = head.saturating_add(
                    payload_offset(&manifest, c, a)
                        .ok_or_else(|| Error::internal("a payload without a place"))?,
                );
                let to = from.saturating_add(alternative.stored());
                spans.push(Span { from, to, encoding: alternative.encoding });
            }
        }
        Ok(Self(spans))
    }

    /// The payload that this offset lies in.
    fn at(&self, offset: u64) -> Option<Span> {
        self.0.iter().find(|span| (span.from..span.to).contains(&offset)).copied()
    }
}

/// Sends it once, and says which payload the device asked for.
fn send(global: &Global, link: &mut Link, bytes: &[u8], spans: &Spans) -> Result<(Outcome, Option<Span>)> {
    let mut progress = Progress::new("sending", PARTS, global.quiet || global.json);
    let mut asked = None;
    let outcome = link.push(bytes, |offset| {
        let offset = u64::from(offset);
        let span = spans.at(offset);
        asked = span.or(asked);
        progress.at(span.map_or(0, |span| (offset - span.from) * PARTS / (span.to - span.from)));
    })?;
    Ok((outcome, asked))
}

/// Seconds until a device that answers has surely restarted, whatever it counts.
const RESTARTS: Duration = Duration::from_secs(1);

/// The device ended a trial for this bundle: it has to restart before it takes it.
fn restart(link: &mut Link, cable: &Cable) -> Result<()> {
    let by_hand = |error: Error| Error {
        place: Some("the restart that ends the trial".into()),
        next: "restart the device by hand, and push it again".into(),
        ..error
    };
    match link.request(&Frame::Reboot) {
        // The answer may be lost in the restart itself.
        Err(error) if error.code != Code::Link => return Err(by_hand(error)),
        _ => std::thread::sleep(POLL),
    }
    let begun = Instant::now();
    let until = begun + Duration::from_secs(cable.timeout);
    let patience = std::mem::replace(&mut link.patience, RESTARTS.min(Duration::from_secs(cable.timeout)));
    loop {
        match link.status() {
            // It counts refusals since power-on, and refused this bundle before: that it restarted shows.
            Ok(status) if status.rejections == 0 || begun.elapsed() >= RESTARTS => break,
            Ok(_) => std::thread::sleep(POLL),
            Err(error) if error.code == Code::Link && Instant::now() < until => {
                std::thread::sleep(POLL);
                // A port that comes out of the device itself goes away with it.
                if let Ok(anew) = cable.open() {
                    *link = anew;
                }
            }
            Err(error) => return Err(by_hand(error)),
        }
    }
    link.patience = patience;
    Ok(())
}

/// The way on that the command line has, in this case.
pub(crate) fn next(
    refusal: Refusal,
    file: &str,
    manifest: &Manifest<'_>,
    s: Option<&Status>,
    cable: &Cable,
) -> String {
    let then = |verb: &str| format!("{}, then push it again", cable.command(verb));
    let about = |verb: &str, more: &str| then(&format!("{verb} {file}{more}"));
    let owned = s.is_some_and(|s| s.owned);
    let owner_alone = s.is_some_and(|s| owner_alone(&s.policy, s.owned));
    let key = if owned { " --owner-key FILE" } else { "" };
    let policy = |which: &str| then(&format!("policy --{which} POLICY{key}"));
    match refusal {
        Refusal::Held if owner_alone => about("approve", " --owner-key FILE"),
        Refusal::Held => about("approve", ""),
        Refusal::PolicyOff | Refusal::PolicyNotify => {
            format!("the owner can change the security policy: {}", policy("security"))
        }
        Refusal::PolicyNever => {
            format!("the owner can change the feature policy: {}; patches go in as it is", policy("feature"))
        }
        Refusal::RetryNeeded => about("request retry", ""),
        Refusal::TrialPending => trial(s, cable),
        Refusal::SendAgain => then("reboot"),
        Refusal::Busy => busy(s, cable),
        Refusal::NeedRoot => {
            let has = s.map_or("an older one".into(), |s| format!("root {}", s.root_version));
            let needs = manifest.root_version;
            format!(
                "it needs root {needs}, and the device has {has}: build it with a --link for each root in between"
            )
        }
        Refusal::WrongHardware => {
            let list: Vec<_> = manifest.hardware.iter().map(|n| n.to_string()).collect();
            let has = s.map_or(String::new(), |s| format!(", and the device is {}", s.hardware));
            format!("it is for revision {}{has}: choose the bundle for this board", list.join(", "))
        }
        Refusal::NoAlternative => match addresses(manifest) {
            list if list.is_empty() => refusal.remedy().into(),
            list => format!(
                "it holds images for {list}: build one for this device's slot too (--image, once for each slot)"
            ),
        },
        // Once a delta went wrong, a device takes the image in full.
        Refusal::BadDelta | Refusal::ImageDigest
            if has(manifest, Encoding::Raw) && has(manifest, Encoding::Delta) =>
        {
            "push it again: the image in full is taken then".into()
        }
        Refusal::NotProvisioned => "provision it (`patchlane provision`), with a programmer".into(),
        _ => refusal.remedy().into(),
    }
}

fn has(manifest: &Manifest<'_>, encoding: Encoding) -> bool {
    let mut ways = manifest.components.iter().flat_map(|component| component.alternatives.iter());
    ways.any(|way| way.encoding == encoding)
}

fn addresses(manifest: &Manifest<'_>) -> String {
    let images = manifest.components.iter().flat_map(|component| component.images.iter());
    let list: Vec<_> = images.filter_map(|image| image.address).map(|a| format!("{a:#010x}")).collect();
    list.join(" and ")
}

fn trial(s: Option<&Status>, cable: &Cable) -> String {
    let candidate = s.and_then(|s| s.candidate.map(|c| (s.activity, c)));
    match candidate {
        Some((Activity::Soak, c)) => {
            let verb = format!("request keep --manifest {}", c.manifest);
            format!("{} soaks: {}, then push it again", c.version, cable.command(&verb))
        }
        Some((_, c)) => {
            format!("{} is on trial: push it again when `device status` says that it is confirmed", c.version)
        }
        None => "push it again when the trial has ended".into(),
    }
}

fn busy(s: Option<&Status>, cable: &Cable) -> String {
    let Some((s, candidate)) = s.and_then(|s| s.candidate.map(|c| (s, c))) else {
        return Refusal::Busy.remedy().into();
    };
    let about = |verb: &str| cable.command(&format!("request {verb} --manifest {}", candidate.manifest));
    let finish = match s.activity {
        Activity::Ready => cable.command("reboot"),
        Activity::Staged => about("apply"),
        _ => "send the rest of it".into(),
    };
    let v = candidate.version;
    format!("{v} goes first. Finish it: {finish}. Or discard it: {}", about("withdraw"))
}

/// What became of it, and the next command.
fn taken(outcome: Outcome, file: &str, cable: &Cable) -> (&'static str, &'static str, Option<String>) {
    match outcome {
        Outcome::Ready => (
            "ready",
            "Whole in the secondary slot; it goes in at the next restart.",
            Some(cable.command("reboot")),
        ),
        Outcome::Staged => (
            "staged",
            "Whole in the secondary slot; it waits for its window or for a request.",
            Some(cable.command(&format!("request apply {file}"))),
        ),
        Outcome::Applied => ("applied", "Confirmed at once: it needed no payload.", None),
        Outcome::RootCommitted => {
            ("root-committed", "The device trusts the new root; the release it has already.", None)
        }
        Outcome::Done => ("done", "Taken.", None),
    }
}

pub(super) fn run(global: &Global, cable: &Cable, path: &Path) -> Result<Report> {
    // What can be wrong with a file is said before the port is opened.
    let bytes = files::read(path)?;
    let bundle = parse_bundle(&bytes, path)?;
    signed(&bundle, path)?;
    let (manifest, spans) = (bundle.manifest()?, Spans::of(&bundle)?);
    let file = path.display().to_string();
    let mut link = cable.open()?;
    // One frame of a delta can stand for all of the image: the answer comes when that is written.
    let images = manifest.components.iter().flat_map(|component| component.images.iter());
    let largest = images.map(|image| image.size.get()).max().unwrap_or(0);
    let slow =
        if has(&manifest, Encoding::Delta) { WRITING * largest.div_ceil(1024) } else { Duration::ZERO };
    let mut again = 0;
    let (outcome, asked) = loop {
        // Only while it is sent: other answers come as fast as ever. A restart may have opened the port anew.
        link.slow = slow;
        let sent = send(global, &mut link, &bytes, &spans);
        link.slow = Duration::ZERO;
        match sent {
            Ok(taken) => break taken,
            Err(error) if error.refusal == Some(Refusal::SendAgain) && again < AGAIN => {
                again += 1;
                restart(&mut link, cable)?;
            }
            Err(error) => {
                let Some(refusal) = error.refusal else { return Err(error) };
                // Why depends on the device, too.
                let status = link.status().ok();
                let next = next(refusal, &file, &manifest, status.as_ref(), cable);
                return Err(Error { next, place: Some(file), ..error });
            }
        }
    };
    let (what, text, next) = taken(outcome, &file, cable);
    let version = manifest.version.to_string();
    let data = json!({ "outcome": what, "version": version, "manifest_sha256": bundle.digest().to_string(), "next": next,
        "payload": asked.map(|span| json!({ "encoding": describe::encoding(span.encoding), "bytes": span.to - span.from })) });
    let mut report = Report::new(text, data).line("release", version).line("outcome", what);
    if let Some(span) = asked {
        let text = format!(
            "{}, {} of {} bytes",
            describe::encoding(span.encoding),
            span.to - span.from,
            bytes.len()
        );
        report = report.line("payload", text);
    }
    report.lines.extend(next.map(|next| ("next".to_owned(), next)));
    Ok(report)
}
