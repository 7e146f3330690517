//! Evidence made before signing: what the lint found, as an in-toto statement. What [`super::findings`] leaves of it for
//! anyone is signed, and its digest goes into the manifest.

use super::catalogue::Catalogue;
use super::change::Change;
use super::{CHECKS, Case, Emergency, Finding, Grade, Input, Outcome, Profile, Rules};
use crate::bundle::{Bundle, sha256};
use crate::commands::date;
use crate::error::{Code, Error, Result};
use crate::evidence::{Evidence, of_kind};
use crate::hex;
use crate::ledger::time::Day;
use crate::output::plain;
use patchlane_protocol::{Digest, Manifest, PublicKey, Severity};
use serde_json::{Value, json};

/// The kind of statement.
pub const KIND: &str = "https://github.com/patchlane/patchlane/separation/v2";
/// That evidence is of the kind that is read here.
///
/// # Errors
/// `separation`: what it is instead.
pub fn of_this_kind(statement: &Value) -> Result<()> {
    of_kind(statement, KIND, "patchlane lint").or_else(|what| no(what, AGAIN))
}

fn day(seconds: u64) -> String {
    date(seconds).get(..10).unwrap_or_default().to_owned()
}

/// One finding.
pub(crate) fn finding(finding: &Finding) -> Value {
    let check = finding.check;
    let mut value = json!({
        "check": check.number,
        "name": check.name,
        "title": check.title,
        "grade": if check.grade == super::Grade::Error { "error" } else { "waivable" },
        "result": finding.outcome.name(),
        "blocks": finding.outcome.blocks(),
        "detail": finding.detail,
        "next": if finding.outcome == Outcome::Pass { "" } else { check.next },
        "inputs": inputs(&finding.inputs),
        "data": finding.data,
    });
    match &finding.outcome {
        Outcome::Waived { reason, by, until } => {
            value["waiver"] = json!({ "reason": reason, "by": by, "until": day(*until) });
        }
        Outcome::Owed { due } => value["due"] = json!(day(*due)),
        _ => {}
    }
    value
}

/// What the checks' results say of each clause of a catalogue.
pub(crate) fn clauses(catalogue: &Catalogue, result_of: &dyn Fn(u8) -> String) -> Value {
    let rows = catalogue.clauses.iter().map(|clause| {
        let served = || clause.checks.iter().map(|check| result_of(*check));
        let result = if clause.checks.is_empty() {
            "elsewhere"
        } else if served().any(|result| result == "fail") {
            "fail"
        } else if served().all(|result| result == "pass") {
            "pass"
        } else {
            "in-part"
        };
        json!({
            "id": clause.id,
            "title": clause.title,
            "required": clause.required,
            "verified": clause.verified,
            "checks": clause.checks,
            "also": clause.also,
            "result": result,
        })
    });
    json!({
        "name": catalogue.name,
        "title": catalogue.title,
        "sha256": catalogue.digest.to_string(),
        "clauses": rows.collect::<Vec<_>>(),
    })
}

/// What findings were judged by, beside the change record: it is archived with them.
#[derive(Debug, Clone, Default)]
pub struct JudgedBy {
    /// Public keys that may sign evidence of this release.
    pub evidence_keys: Vec<PublicKey>,
    /// Public keys of approvers, as patchlane.toml names them.
    pub approvers: Vec<Input>,
    /// Waivers, as the change record names them.
    pub waivers: Vec<Input>,
}

fn inputs(inputs: &[Input]) -> Vec<Value> {
    inputs.iter().map(|i| json!({ "name": i.name, "sha256": i.digest.to_string() })).collect()
}

fn judged_by(case: &Case<'_>, by: &JudgedBy) -> Result<Value> {
    Ok(json!({
        "config_sha256": sha256(&case.config.bytes).to_string(),
        "root": {
            "version": case.root.document()?.version,
            "sha256": sha256(case.root.bytes()).to_string(),
        },
        "evidence_keys": by.evidence_keys.iter().map(|key| hex::write(&key.bytes)).collect::<Vec<_>>(),
        "approvers": inputs(&by.approvers),
        "waivers": inputs(&by.waivers),
    }))
}

fn closing(index: u32, id: &str, severity: Severity, exploited: bool) -> Value {
    let severity = format!("{severity:?}").to_lowercase();
    json!({ "index": index, "id": id, "severity": severity, "exploited": exploited })
}

/// What a change record closes, as statements have it.
pub(crate) fn closes(change: &Change) -> Value {
    change.closes.iter().map(|one| closing(one.index, &one.id, one.severity, one.exploited)).collect()
}

/// The whole statement: everything that was found. What is written of it, [`super::findings::split`] says.
///
/// # Errors
/// `malformed`; not for a base that was read.
pub fn make(case: &Case<'_>, rules: &Rules<'_>, findings: &[Finding], by: &JudgedBy) -> Result<Value> {
    let blocks = findings.iter().any(|finding| finding.outcome.blocks());
    let subject = case.images.iter().map(|image| {
        let name = match image.address {
            Some(address) => format!("image@{address:#010x}"),
            None => "image".to_owned(),
        };
        json!({ "name": name, "digest": { "sha256": sha256(&image.bytes).to_string() } })
    });
    let product = case.config.product();
    let emergency = rules.emergency.as_ref();
    let result_of = |number: u8| {
        let found = findings.iter().find(|finding| finding.check.number == number);
        found.map_or("", |finding| finding.outcome.name()).to_owned()
    };
    Ok(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject.collect::<Vec<_>>(),
        "predicateType": KIND,
        "predicate": {
            "tool": { "name": "patchlane", "version": env!("CARGO_PKG_VERSION") },
            "product": {
                "vendor": case.config.product.vendor,
                "class": case.config.product.class,
                "vendor_id": product.vendor.to_string(),
                "class_id": product.class.to_string(),
            },
            "from": {
                "release": case.base.manifest()?.version.to_string(),
                "manifest_sha256": case.base.digest().to_string(),
            },
            "to": { "release": case.version.to_string() },
            "closes": closes(case.change),
            "change_sha256": sha256(&case.change.bytes).to_string(),
            "judged_by": judged_by(case, by)?,
            "evaluated": date(case.now),
            "profile": rules.profile.name(),
            "verdict": if blocks { "refused" } else { "passed" },
            "emergency": emergency.map(|Emergency { reason, due }| json!({ "reason": reason, "due": day(*due) })),
            "checks": findings.iter().map(finding).collect::<Vec<_>>(),
            "catalogues": rules.catalogues.iter().map(|c| clauses(c, &result_of)).collect::<Vec<_>>(),
        },
    }))
}

const AGAIN: &str = "run `patchlane lint`, and build the bundle with `--change` and `--evidence`";

fn no<T>(what: impl Into<String>, next: &str) -> Result<T> {
    Err(Error::new(Code::Separation, what, next))
}

/// What was judged is what the manifest tells devices: the product, what it closes, until when there is support.
fn promised(predicate: &Value, manifest: &Manifest<'_>) -> Result<()> {
    let product = &predicate["product"];
    let ids = [manifest.product.vendor.to_string(), manifest.product.class.to_string()];
    if [&product["vendor_id"], &product["class_id"]].map(Value::as_str)
        != [&ids[0], &ids[1]].map(|id| Some(&id[..]))
    {
        return no("is about another product than the bundle's", AGAIN);
    }
    let mut said: Vec<Value> = predicate["closes"].as_array().cloned().unwrap_or_default();
    let closes = manifest.advisories.iter();
    let mut closes: Vec<Value> = closes.map(|a| closing(a.index, a.id, a.severity, a.exploited)).collect();
    // A manifest has them by their indices, and a record as someone wrote it.
    for list in [&mut said, &mut closes] {
        list.sort_by_key(|one| one["index"].as_u64());
    }
    if said != closes {
        return no("closes other vulnerabilities than the bundle, or tells otherwise of them", AGAIN);
    }
    let mut rows = predicate["checks"].as_array().into_iter().flatten();
    let support = rows.find(|row| row["check"] == 3).unwrap_or(&Value::Null);
    match support["shown"]["support_end"].as_str() {
        Some(end) if end == day(manifest.support_end) => {}
        Some(end) => {
            let end = plain(end);
            return no(
                format!("was made for support until {end}, and the manifest promises another day"),
                AGAIN,
            );
        }
        None if support["result"] == "pass" => {
            return no("says that there is support, and not until when", AGAIN);
        }
        None => {}
    }
    Ok(())
}

/// Evidence is about this bundle: the manifest names it, and it speaks of its release and images.
fn about(evidence: &Evidence, bundle: &Bundle) -> Result<()> {
    let manifest = bundle.manifest()?;
    if manifest.evidence != Some(Digest(evidence.sha256.0)) {
        return no("isn't the evidence that the manifest names", AGAIN);
    }
    of_this_kind(&evidence.statement)?;
    let (version, release) =
        (manifest.version.to_string(), &evidence.statement["predicate"]["to"]["release"]);
    if release.as_str() != Some(&version) {
        return no(format!("is for {release}, and the bundle is {version}"), AGAIN);
    }
    let images = manifest.components.iter().flat_map(|c| c.images.iter());
    let mut digests: Vec<String> = images.map(|image| image.digest.to_string()).collect();
    let subjects = evidence.statement["subject"].as_array().into_iter().flatten();
    let mut judged: Vec<&str> = subjects.filter_map(|s| s["digest"]["sha256"].as_str()).collect();
    digests.sort();
    judged.sort_unstable();
    if digests != judged {
        return no("is about other images than the bundle's", AGAIN);
    }
    promised(&evidence.statement["predicate"], &manifest)
}

/// While there is an embargo, a manifest tells what may be told, and no more: anyone reads it.
fn silent(rows: &[&Value], text: &str) -> Result<()> {
    let embargo = rows.iter().map(|row| &row["shown"]["embargo"]).find(|embargo| embargo.is_object());
    if embargo.is_none_or(|embargo| text.is_empty() || embargo["public"] == text) {
        return Ok(());
    }
    no(
        "speaks of an embargo, and the manifest's text isn't what [advisory.embargo] `public` says",
        "build the bundle with `--change`, or without a text",
    )
}

/// What wasn't evaluated has to be what this profile does without, or what one of these catalogues only recommends:
/// whoever ran the lint could name others.
///
/// # Errors
/// `separation`: which check is missing.
pub fn evaluated(evidence: &Evidence, profile: Profile, catalogues: &[Catalogue]) -> Result<()> {
    let rules = Rules { profile, catalogues, waivers: &[], emergency: None };
    let rows = evidence.statement["predicate"]["checks"].as_array().into_iter().flatten();
    let left =
        rows.zip(&CHECKS).filter(|(row, check)| row["result"] == "not-evaluated" && rules.blocks(check));
    let left: Vec<String> = left.map(|(_, check)| check.number.to_string()).collect();
    if left.is_empty() {
        return Ok(());
    }
    let what = format!(
        "doesn't evaluate what profile `{}` and the catalogues of patchlane.toml ask for: check {}",
        profile.name(),
        left.join(", ")
    );
    no(what, "judge it by the catalogues of patchlane.toml: `patchlane lint` without --catalogue")
}

/// What a patch is let through with; a waiver that has ended lets nothing through.
fn let_through(rows: &[&Value], now: u64) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let over =
        |day: &Value| day.as_str().and_then(|day| Day::parse(day).ok()).is_none_or(|day| day.ends() < now);
    for (check, known) in rows.iter().zip(&CHECKS) {
        let (number, result) = (known.number, check["result"].as_str().unwrap_or("nothing"));
        match result {
            "pass" | "not-evaluated" => {}
            "waived" if known.grade == Grade::Waivable => {
                if over(&check["waiver"]["until"]) {
                    return no(format!("the waiver of check {number} has ended"), "have it signed anew");
                }
                notes.push(format!("check {number} is waived: {}", check["waiver"]["reason"]));
            }
            // What shows a feature isn't put off.
            "owed" if !known.feature => {
                if over(&check["due"]) {
                    return no(format!("what check {number} is owed was due by now"), AGAIN);
                }
                notes.push(format!("check {number} is owed until {}", check["due"]));
            }
            _ => return no(format!("says `{}` of check {number}, which can't be", plain(result)), AGAIN),
        }
    }
    Ok(notes)
}

/// Judges evidence for a bundle that is to be signed: made for its images and release, passed, as strict as it has to
/// be, and named by the manifest.
///
/// # Errors
/// `separation`: what doesn't fit.
pub fn judge(evidence: &Evidence, bundle: &Bundle, profile: Profile, now: u64) -> Result<Vec<String>> {
    about(evidence, bundle)?;
    let predicate = &evidence.statement["predicate"];
    if predicate["verdict"].as_str() != Some("passed") {
        return no("says that the patch is refused", "see `patchlane lint`: each check says what to do");
    }
    let rank = |name: &str| ["starter", "cra", "cra+replay"].iter().position(|known| *known == name);
    let had = predicate["profile"].as_str().unwrap_or_default();
    if rank(had) < rank(profile.name()) {
        return no(format!("was judged by profile `{had}`, and `{}` is asked for", profile.name()), AGAIN);
    }
    // What it sums up has to be there: all thirty, none of which refuses.
    let rows: Vec<&Value> = predicate["checks"].as_array().into_iter().flatten().collect();
    let whole = rows.len() == CHECKS.len()
        && rows.iter().zip(&CHECKS).all(|(row, check)| {
            row["check"] == check.number && row["blocks"] == false && row["result"] != "fail"
        });
    if !whole {
        return no("doesn't say of each of the thirty checks that it lets the patch pass", AGAIN);
    }
    silent(&rows, bundle.manifest()?.text)?;
    let_through(&rows, now)
}
