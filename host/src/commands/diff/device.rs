//! A bundle against a device: what it would be there, and what the device would say.

use super::bundles::named;
use super::judge::{Foresight, Known, Verdict, foresee};
use super::{Stretches, closes, gained, indices};
use crate::bundle::Bundle;
use crate::commands::describe;
use crate::commands::device::status::{activity, feature_words, security_words};
use crate::commands::device::{Cable, push};
use crate::error::{Code, Error, Result};
use crate::files;
use crate::output::{Report, slug};
use patchlane_device::rules::policy::{Install, owner_alone};
use patchlane_device::rules::trial::TrialEnd;
use patchlane_protocol::status::Activity;
use patchlane_protocol::{Manifest, Refusal, Status};
use serde_json::json;
use std::path::Path;

/// Reads what `device status --json` printed. Only `report` counts: it is the report as the device sent it.
pub(super) fn saved(path: &Path) -> Result<Status> {
    let wrong = |what: &str| {
        let next = "save it again: patchlane device status --port PORT --json > FILE";
        Error::new(Code::Malformed, what, next).at(path.display())
    };
    let text = files::read_text(path)?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|_| wrong("isn't JSON"))?;
    let report = value["report"].as_str().ok_or_else(|| wrong("holds no `report` of a device"))?;
    let pair = |at: usize| report.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..report.len()).step_by(2).map(pair).collect();
    let bytes = bytes.ok_or_else(|| wrong("holds a `report` that isn't hexadecimal"))?;
    let (status, _) = Status::parse(&bytes).map_err(|_| wrong("holds a damaged `report`"))?;
    Ok(status)
}

/// A verdict's name for programs, and its words.
fn words(verdict: Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Taken(Install::Now) => ("taken", "taken: goes in at the next restart".into()),
        Verdict::Taken(Install::InWindow) => {
            ("taken", "taken: goes in as soon as the application allows it".into())
        }
        Verdict::Taken(Install::OnRequest) => ("taken", "taken: staged, and goes in on request".into()),
        Verdict::Applied => ("applied", "taken: confirmed at once, nothing restarts".into()),
        Verdict::Here(Activity::Receiving) => {
            ("here", "taken: half received already, and it goes on from there".into())
        }
        Verdict::Here(Activity::Staged) => ("here", "here already: staged, and goes in on request".into()),
        Verdict::Here(_) => ("here", "here already: goes in at the next restart".into()),
        Verdict::EndsTrial(TrialEnd::Confirm) => (
            "ends-trial",
            "taken: the trial is confirmed first, the device restarts, and it is sent again".into(),
        ),
        Verdict::EndsTrial(_) => (
            "ends-trial",
            "taken: the trial is reverted first, the device restarts, and it is sent again".into(),
        ),
        Verdict::RootOnly => ("root-only", "taken: only the root it carries is news".into()),
        Verdict::Held => ("held", "held: remembered, not stored, until it is approved".into()),
        Verdict::Refused(refusal) => ("refused", format!("refused: it {refusal}")),
    }
}

/// The part of the policy that speaks, if one does.
fn policy(status: &Status, foresight: &Foresight) -> Option<String> {
    let transition = foresight.transition?;
    let spoke = match foresight.verdict {
        Verdict::Refused(refusal) => {
            matches!(refusal, Refusal::PolicyOff | Refusal::PolicyNotify | Refusal::PolicyNever)
        }
        _ => true,
    };
    if !spoke {
        return None;
    }
    if transition.is_security() {
        return Some(security_words(status.policy.security).into());
    }
    if transition == patchlane_device::rules::Transition::Rollback {
        let by = if owner_alone(&status.policy, status.owned) {
            "by the owner's signature"
        } else {
            "at the device"
        };
        return Some(format!("a rollback needs approval under every policy, here {by}"));
    }
    Some(feature_words(status.policy.feature, status.owned).into())
}

/// The next command.
fn next(foresight: &Foresight, status: &Status, file: &str, cable: &Cable) -> Option<String> {
    let verb = match foresight.verdict {
        Verdict::Refused(_) => return None,
        Verdict::Here(Activity::Ready) => "reboot".into(),
        Verdict::Here(Activity::Staged) => format!("request apply {file}"),
        // It can be approved before it was ever sent.
        Verdict::Held if owner_alone(&status.policy, status.owned) => {
            format!("approve {file} --owner-key FILE")
        }
        Verdict::Held => format!("approve {file}"),
        _ => format!("push {file}"),
    };
    Some(cable.command(&verb))
}

fn refused(
    foresight: &Foresight,
    bundle: &Bundle,
    status: &Status,
    file: &str,
    cable: &Cable,
) -> Result<Option<Error>> {
    let Verdict::Refused(refusal) = foresight.verdict else { return Ok(None) };
    let error = Error::refused(refusal);
    let unsigned = refusal == Refusal::BelowThreshold && foresight.otherwise.is_some();
    let next = if unsigned {
        format!("sign it: patchlane sign {file}")
    } else {
        push::next(refusal, file, &bundle.manifest()?, Some(status), cable)
    };
    Ok(Some(Error { what: format!("would be refused: it {}", error.what), next, ..error }.at(file)))
}

/// What it would change there.
fn changes(
    m: &Manifest<'_>,
    status: &Status,
    foresight: &Foresight,
    (more, lost): (&Stretches, &Stretches),
) -> Vec<(String, String)> {
    if m.product != status.product {
        return Vec::new();
    }
    let (v, version) = (status.confirmed.version, m.version);
    let step = foresight.transition.map_or("none".into(), |t| format!("{}: {v} -> {version}", named(t)));
    let mut lines = vec![("transition".to_owned(), step)];
    lines.extend(closes(more, m.advisories.iter()).into_iter().map(|line| ("closes".to_owned(), line)));
    if !lost.is_empty() {
        lines.push(("opens".into(), format!("{}: handled on the device, not in the bundle", indices(lost))));
    }
    lines
}

pub(super) fn compare(
    bundle: &Bundle,
    path: &Path,
    known: &Known<'_>,
    cable: Option<&Cable>,
) -> Result<Report> {
    let (status, m, foresight) = (known.status, bundle.manifest()?, foresee(bundle, known)?);
    let file = path.display().to_string();
    let (v, version) = (status.confirmed.version, m.version);
    let mut report = Report::default()
        .line("device", format!("{}: {v}, {}", status.device, activity(status)))
        .line("bundle", format!("{version} ({})", describe::lane(m.kind)));
    if !m.text.is_empty() {
        report = report.line("text", m.text);
    }
    let (more, lost) = (gained(&version.security, &v.security), gained(&v.security, &version.security));
    report.lines.extend(changes(&m, status, &foresight, (&more, &lost)));
    if let Some(root) = foresight.new_root {
        report = report.line(
            "root",
            format!("{} -> {root}, committed whatever becomes of the bundle", status.root_version),
        );
    }
    let (name, text) = words(foresight.verdict);
    report = report.line("verdict", text);
    if let Some(otherwise) = foresight.otherwise {
        report = report.line("otherwise", words(otherwise).1);
    }
    let policy = policy(status, &foresight);
    report.lines.extend(policy.clone().map(|text| ("policy".to_owned(), text)));
    let port = Cable { port: None, baud: crate::commands::device::BAUD, timeout: 0 };
    let cable = cable.unwrap_or(&port);
    let next = next(&foresight, status, &file, cable);
    report.lines.extend(next.clone().map(|text| ("next".to_owned(), text)));
    report.lines.extend(foresight.unknown.iter().map(|text| ("unknown".to_owned(), text.clone())));
    report.failed = refused(&foresight, bundle, status, &file, cable)?;
    report.data = json!({
        "device_id": status.device.to_string(),
        "confirmed": v.to_string(),
        "version": version.to_string(),
        "manifest_sha256": bundle.digest().to_string(),
        "transition": foresight.transition.map(|transition| slug(&transition)),
        "closes": more, "opens": lost,
        "new_root": foresight.new_root,
        "verdict": name,
        "otherwise": foresight.otherwise.map(|verdict| words(verdict).0),
        "policy": policy,
        "unknown": foresight.unknown,
    });
    // An error of its own has a next step, and no command has one that was refused.
    if report.failed.is_none() {
        report.data["next"] = json!(next);
    }
    Ok(report)
}
