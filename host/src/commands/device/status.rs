//! `device status`: the report in words, with the next command, and whole for programs.

use super::Cable;
use crate::error::Result;
use crate::link::Link;
use crate::output::{Report, slug};
use patchlane_device::rules::policy::owner_alone;
use patchlane_protocol::status::{Activity, CounterState, Named};
use patchlane_protocol::{FeaturePolicy, Refusal, SecurityPolicy, Status, limits};
use serde_json::{Value, json};

pub(super) fn run(cable: &Cable) -> Result<Report> {
    Ok(describe(&ask(&mut cable.open()?)?, cable))
}

/// Asks a device for its report.
pub(crate) fn ask(link: &mut Link) -> Result<Status> {
    link.status().map_err(|error| match error.refusal {
        Some(_) => error.at("the question for its status"),
        None => error,
    })
}

/// What a device is doing, in short.
pub(crate) const fn activity(status: &Status) -> &'static str {
    match status.activity {
        Activity::Idle => "nothing is under way",
        Activity::Receiving => "half received",
        Activity::Staged if status.overdue => "staged, and overdue",
        Activity::Staged => "staged",
        Activity::Ready if status.overdue => "ready, and overdue",
        Activity::Ready => "ready: goes in at the next restart",
        Activity::Trial => "on trial",
        Activity::Soak => "on trial, healthy",
        Activity::Degraded => "degraded",
        Activity::Service => "service mode",
    }
}

/// A release's name.
fn version(named: &Named) -> String {
    named.version.to_string()
}

/// What runs.
fn running(s: &Status) -> String {
    let v = version(&s.confirmed);
    let on_trial = s.candidate.as_ref().map_or("a new release".into(), version);
    match s.activity {
        Activity::Trial => {
            format!(
                "{on_trial}, on trial: not confirmed yet, {} of 3 boots failed; {v} comes back if it fails",
                s.failed_boots
            )
        }
        Activity::Soak => format!("{on_trial}, healthy, and {v} can still come back"),
        Activity::Degraded => format!("the release before {v}, because {v} is damaged"),
        Activity::Service => format!("nothing: {v} can't run; the bootloader takes repair and patches"),
        _ => format!("{v}, confirmed"),
    }
}

/// What is on its way in and what it waits for, with the next command.
fn waiting(s: &Status, cable: &Cable) -> Vec<(&'static str, String)> {
    let Some(candidate) = &s.candidate else { return Vec::new() };
    let about = |verb: &str| cable.command(&format!("{verb} --manifest {}", candidate.manifest));
    let v = version(candidate);
    let late = if s.overdue { "; overdue: longer than the plant's own rule allows" } else { "" };
    match s.activity {
        Activity::Receiving => vec![
            ("waits", format!("{v}: half received, for the rest of it")),
            ("next", cable.command("push BUNDLE")),
        ],
        Activity::Staged => vec![
            ("waits", format!("{v}: whole, for its window or a request{late}")),
            ("next", about("request apply")),
        ],
        Activity::Ready => {
            vec![("waits", format!("{v}: whole, for a restart{late}")), ("next", cable.command("reboot"))]
        }
        Activity::Trial => vec![("waits", format!("{v}: for its application to confirm it"))],
        Activity::Soak => {
            vec![
                ("waits", format!("{v}: for the owner, or some more boots")),
                ("next", about("request keep")),
            ]
        }
        Activity::Idle | Activity::Degraded | Activity::Service => Vec::new(),
    }
}

/// What waits for consent, with the next command.
fn held(s: &Status, cable: &Cable) -> Vec<(&'static str, String)> {
    let Some(held) = &s.held else { return Vec::new() };
    let v = version(&held.release);
    if held.superseded {
        let text = format!("{v}: superseded, since installing it would lose a fix or change nothing");
        return vec![("held", text)];
    }
    if s.approval == Some(held.release.manifest) {
        return vec![
            ("held", format!("{v}: approved; send it again")),
            ("next", cable.command("push BUNDLE")),
        ];
    }
    let by = if owner_alone(&s.policy, s.owned) { " --owner-key FILE" } else { "" };
    let verb = format!("approve --manifest {}{by}", held.release.manifest);
    vec![("held", format!("{v}: for approval")), ("next", cable.command(&verb))]
}

/// What the security policy does.
pub(crate) const fn security_words(policy: SecurityPolicy) -> &'static str {
    match policy {
        SecurityPolicy::Off => "patches are refused (off)",
        SecurityPolicy::Notify => "patches are listed, not taken (notify)",
        SecurityPolicy::StageOnly => "patches are taken, and go in on request (stage-only)",
        SecurityPolicy::ApplyInWindow => "patches go in when the application allows it (apply-in-window)",
    }
}

/// What the feature policy does.
pub(crate) const fn feature_words(policy: FeaturePolicy, owned: bool) -> &'static str {
    match policy {
        FeaturePolicy::Never => "feature updates are refused (never)",
        FeaturePolicy::Local => "feature updates need approval at the device (local)",
        FeaturePolicy::OwnerKey if owned => "feature updates need the owner's signature (owner-key)",
        FeaturePolicy::OwnerKey => "feature updates are refused: no owner key is set (owner-key)",
        FeaturePolicy::Auto => "feature updates go in like patches (auto)",
    }
}

const fn counter_words(counter: CounterState) -> &'static str {
    match counter {
        CounterState::Absent => "none",
        CounterState::Raised => "agrees with the record",
        CounterState::CannotExpress => "too small for the level; the record alone keeps it",
        CounterState::Above => "ABOVE the record: the state region is an older copy",
    }
}

/// A refusal by its code: the rule, and the way on.
pub(crate) fn refusal(code: u8) -> (String, &'static str) {
    match Refusal::from_code(code) {
        Some(refusal) => (format!("{refusal} (code {code})"), refusal.remedy()),
        None => (format!("code {code}, which this patchlane doesn't know"), "update patchlane"),
    }
}

/// The report as it travels, for `diff --status`.
fn encoded(status: &Status) -> Option<String> {
    let mut buffer = [0; limits::STATUS];
    let bytes = status.encode(None, &mut buffer).ok()?;
    Some(crate::hex::write(bytes))
}

fn data(s: &Status) -> Value {
    json!({
        "report": encoded(s),
        "device_id": s.device.to_string(),
        "vendor_id": s.product.vendor.to_string(),
        "class_id": s.product.class.to_string(),
        "authenticated": false,
        "hardware": s.hardware,
        "group": s.group.0,
        "root_version": s.root_version,
        "development": s.development,
        "owned": s.owned,
        "owner_serial": s.serial,
        "security_policy": slug(&s.policy.security),
        "feature_policy": slug(&s.policy.feature),
        "confirmed": s.confirmed.version.to_string(),
        "confirmed_manifest": s.confirmed.manifest.to_string(),
        "activity": slug(&s.activity),
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
        "last_refusal_text": s.last_refusal.map(|code| refusal(code).0),
        "counter": slug(&s.counter),
        "fenced": s.fenced,
    })
}

fn describe(s: &Status, cable: &Cable) -> Report {
    let mut report =
        Report::new("The report isn't signed by a device key: it is as true as the cable.", data(s))
            .line("runs", running(s));
    for (name, text) in waiting(s, cable).into_iter().chain(held(s, cable)) {
        report = report.line(name, text);
    }
    let unseen = |digest| Some(digest) != s.held.map(|h| h.release.manifest);
    if let Some(digest) = s.approval.filter(|digest| unseen(*digest)) {
        report = report.line("approved", format!("manifest {digest}"));
    }
    report = report
        .line("policy", security_words(s.policy.security))
        .line("policy", feature_words(s.policy.feature, s.owned));
    if s.rejections > 0 {
        report = report.line("refused", format!("{} since power-on", s.rejections));
    }
    if let Some((text, remedy)) = s.last_refusal.map(refusal) {
        report = report.line("refused", format!("last: it {text}; {remedy}"));
    }
    let root = if s.development { "development: protects nothing" } else { "production" };
    let fence = if s.fenced { "fenced off" } else { "not fenced off: the application could forge it" };
    report
        .line("owner", if s.owned { format!("key set, last serial {}", s.serial) } else { "no key".into() })
        .line("root", format!("version {}, {root}", s.root_version))
        .line("device id", s.device.to_string())
        .line("hardware", format!("revision {}, group {}", s.hardware, s.group))
        .line("manifest", s.confirmed.manifest.to_string())
        .line("counter", counter_words(s.counter))
        .line("state", fence)
}
