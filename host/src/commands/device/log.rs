//! `device log`: a journal of what a device prints and of what changes in its status.

use super::{Cable, status};
use crate::cli::Global;
use crate::commands::date;
use crate::error::{Code, Result};
use crate::files;
use crate::link::{Answer, Event, Link};
use crate::output::{Report, plain};
use clap::Args;
use patchlane_protocol::Status;
use patchlane_protocol::link::Command as Frame;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A line that doesn't end is written down after so long.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// End after so many seconds (default: Ctrl-C)
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Seconds between two questions for the status
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// Ask nothing: write down only what the device prints
    #[arg(long)]
    listen: bool,
}

/// Set by the first Ctrl-C, which is how a journal ends well.
static STOP: AtomicBool = AtomicBool::new(false);

/// The journal so far.
struct Journal {
    json: bool,
    entries: u64,
    closed: bool,
}

impl Journal {
    fn write(&mut self, event: &str, text: &str) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let date = date(since.as_secs());
        let at = format!("{}.{:03}Z", date.trim_end_matches('Z'), since.subsec_millis());
        let line = if self.json {
            json!({ "at": at, "event": event, "text": text }).to_string()
        } else {
            format!("{at}  {event:6}  {}", plain(text))
        };
        let mut out = std::io::stdout().lock();
        // Whoever closed the pipe has read enough.
        self.closed |= writeln!(out, "{line}").and_then(|()| out.flush()).is_err();
        self.entries += 1;
    }
}

/// What the device said last, and when it was asked.
struct Follower {
    journal: Journal,
    known: Option<Status>,
    asked: Option<Instant>,
    answered: bool,
    heard: Instant,
}

/// What changed, in words.
fn changes(old: Option<&Status>, new: &Status) -> Vec<String> {
    let Some(old) = old else {
        return vec![format!(
            "device {}: {}, {}; root {}",
            new.device,
            new.confirmed.version,
            status::activity(new),
            new.root_version
        )];
    };
    let mut lines = Vec::new();
    let mut changed = |name: &str, was: String, is: String| {
        if was != is {
            lines.push(format!("{name}: {was} -> {is}"));
        }
    };
    let name =
        |s: Option<patchlane_protocol::status::Named>| s.map_or("none".into(), |n| n.version.to_string());
    let held = |s: &Status| {
        let note = if s.held.is_some_and(|h| h.superseded) { ", superseded" } else { "" };
        format!("{}{note}", name(s.held.map(|h| h.release)))
    };
    let approval = |s: &Status| s.approval.map_or("none".into(), |d| d.to_string());
    changed("device", old.device.to_string(), new.device.to_string());
    changed("confirmed", old.confirmed.version.to_string(), new.confirmed.version.to_string());
    changed("on its way in", name(old.candidate), name(new.candidate));
    changed("activity", status::activity(old).into(), status::activity(new).into());
    changed("held", held(old), held(new));
    changed("approved", approval(old), approval(new));
    changed("failed boots", old.failed_boots.to_string(), new.failed_boots.to_string());
    changed("root", old.root_version.to_string(), new.root_version.to_string());
    changed("owner serial", old.serial.to_string(), new.serial.to_string());
    let policy = |s: &Status| {
        let (security, feature) = (s.policy.security, s.policy.feature);
        format!("{}, {}", status::security_words(security), status::feature_words(feature, s.owned))
    };
    changed("policy", policy(old), policy(new));
    if new.rejections > old.rejections {
        let last =
            new.last_refusal.map_or(String::new(), |code| format!(", last: it {}", status::refusal(code).0));
        lines.push(format!("refused: {} since power-on{last}", new.rejections));
    } else if new.rejections < old.rejections {
        lines.push("restarted".into());
    }
    lines
}

impl Follower {
    fn take(&mut self, event: Event) {
        match event {
            Event::Text(line) => self.journal.write("text", &String::from_utf8_lossy(&line)),
            Event::Answer(answer) => {
                if !std::mem::replace(&mut self.answered, true) && self.known.is_some() {
                    self.journal.write("link", "answers again");
                }
                self.asked = None;
                match answer {
                    Answer::Status(report) => match Status::parse(&report) {
                        Ok((status, _)) => {
                            for text in changes(self.known.as_ref(), &status) {
                                self.journal.write("status", &text);
                            }
                            self.known = Some(status);
                        }
                        Err(error) => self.journal.write("status", &format!("can't be read: it {error}")),
                    },
                    Answer::Refused(code) => {
                        self.journal.write("status", &format!("refused: it {}", status::refusal(code).0))
                    }
                    // Whoever else is talking to it gets these.
                    Answer::Want(_) | Answer::Outcome(_) => {}
                }
            }
        }
    }

    /// One turn: ask if it is time, listen for a while.
    fn turn(&mut self, link: &mut Link, due: bool, patience: Duration) -> Result<()> {
        if due {
            link.send(&Frame::Status)?;
            self.asked = self.asked.or_else(|| Some(Instant::now()));
        }
        if self.asked.is_some_and(|asked| asked.elapsed() > patience) {
            self.asked = None;
            if std::mem::replace(&mut self.answered, false) || self.known.is_none() {
                self.journal.write("link", "no answer");
                self.answered = false;
            }
        }
        let events = link.listen()?;
        if events.is_empty() && self.heard.elapsed() > PAUSE {
            let rest = link.rest();
            rest.into_iter().for_each(|event| self.take(event));
        }
        if !events.is_empty() {
            self.heard = Instant::now();
        }
        events.into_iter().for_each(|event| self.take(event));
        Ok(())
    }
}

pub(super) fn run(global: &Global, cable: &Cable, options: &Options) -> Result<Report> {
    let mut link = Some(cable.open()?);
    files::ends_well(&STOP);
    let (begun, every) = (Instant::now(), Duration::from_secs(options.every));
    let patience = Duration::from_secs(cable.timeout).min(every * 3);
    let journal = Journal { json: global.json, entries: 0, closed: false };
    let mut follower = Follower { journal, known: None, asked: None, answered: true, heard: begun };
    let mut next = begun;
    let over = |begun: Instant| {
        options.seconds.is_some_and(|seconds| begun.elapsed() >= Duration::from_secs(seconds))
    };
    while !over(begun) && !STOP.load(Ordering::Relaxed) && !follower.journal.closed {
        let due = !options.listen && Instant::now() >= next;
        if due {
            next = Instant::now() + every;
        }
        let Some(open) = &mut link else {
            std::thread::sleep(Duration::from_millis(200));
            link = cable.open().ok();
            if link.is_some() {
                follower.journal.write("link", "the port is back");
            }
            continue;
        };
        match follower.turn(open, due, patience) {
            Ok(()) => {}
            Err(error) if error.code == Code::Link => {
                follower.journal.write("link", &error.to_string());
                link = None;
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(event) = link.as_mut().and_then(Link::rest) {
        follower.take(event);
    }
    Ok(end(&follower))
}

fn end(follower: &Follower) -> Report {
    let entries = follower.journal.entries;
    let data: Value = json!({ "event": "end", "entries": entries });
    let many = if entries == 1 { "entry" } else { "entries" };
    Report::new(format!("{entries} {many}."), data)
}
