//! The thirty checks once more, by the same functions, on files that the evidence names by digest.

use super::{Release, Row, Rows, Verdict, whole};
use crate::archive::{Archive, broken};
use crate::bundle::{Bundle, Linked, sha256};
use crate::config::Config;
use crate::error::Result;
use crate::evidence::Evidence;
use crate::keys;
use crate::ledger::entry::Sha;
use crate::ledger::time::Day;
use crate::lint::archived::{Archived, CONFIG};
use crate::lint::catalogue::Catalogue;
use crate::lint::change::Change;
use crate::lint::waiver::{self, Waiver};
use crate::lint::{self, CHECKS, Case, Emergency, Finding, Grade, Opened, Rules};
use crate::root::Root;
use patchlane_protocol::PublicKey;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// One row for each check: those that tell a patch from a feature first, then what refuses, then what can be waived.
pub(super) fn rows(archive: &Archive, release: &Release, rows: &mut Rows) {
    match recomputed(archive, release) {
        Ok(mut all) => {
            all.sort_by_key(|row| rank(row.check.unwrap_or(0)));
            rows.0.extend(all);
        }
        Err(error) => rows.add("checks", "all thirty", Verdict::Differs, error.to_string()),
    }
}

fn rank(number: u8) -> (u8, u8) {
    let waivable = CHECKS.iter().any(|check| check.number == number && check.grade == Grade::Waivable);
    match number {
        18 | 21 | 25 => (0, number),
        _ if !waivable => (1, number),
        _ => (2, number),
    }
}

fn named(value: &Value) -> Result<Sha> {
    value.as_str().and_then(Sha::parse).ok_or_else(|| broken("lacks a digest where one belongs"))
}

fn text(archive: &Archive, sha256: &Sha) -> Result<String> {
    String::from_utf8(archive.bytes(sha256)?)
        .map_err(|_| broken("isn't text (UTF-8)").at(archive.path(sha256).display()))
}

/// The images of the release, as the evidence names them.
fn images(release: &Release, base: &Bundle) -> Result<Vec<Linked>> {
    let old = base.images()?;
    let mut all = release.bundle.bundle.images()?;
    for image in &old {
        all.extend(release.bundle.bundle.images_from(&image.bytes)?);
    }
    all.extend(old);
    let subjects = release.before.statement["subject"].as_array().into_iter().flatten();
    let image = |subject: &Value| {
        let digest = named(&subject["digest"]["sha256"])?;
        let found = all.iter().find(|image| sha256(&image.bytes).0 == digest.0).cloned();
        let mut found = found.ok_or_else(|| broken(format!("holds no image {digest}")))?;
        // What is linked for no address in the evidence is so here.
        if subject["name"] == "image" {
            found.address = None;
        }
        Ok(found)
    };
    subjects.map(image).collect()
}

/// Who may approve: keys that both the evidence and patchlane.toml name.
fn approvers(archive: &Archive, config: &Config, by: &Value) -> Result<Vec<PublicKey>> {
    let listed: Vec<&Path> =
        config.lint.iter().flat_map(|lint| &lint.approvers).map(|path| path.as_path()).collect();
    let mut keys = Vec::new();
    for input in by["approvers"].as_array().into_iter().flatten() {
        let name = input["name"].as_str().and_then(|name| name.strip_prefix(CONFIG)).unwrap_or_default();
        if !listed.contains(&Path::new(name)) {
            return Err(broken(format!("names an approver `{name}` that patchlane.toml doesn't list")));
        }
        keys.push(keys::parse_public(Path::new(name), &archive.bytes(&named(&input["sha256"])?)?)?);
    }
    Ok(keys)
}

/// The waivers, verified as of the evidence's time, against what the checks say here; where a check can't be
/// recomputed, against what the evidence says.
fn waivers(archive: &Archive, case: &Case<'_>, predicate: &Value) -> Result<Vec<Waiver>> {
    let by = &predicate["judged_by"];
    let list: Vec<&Value> = by["waivers"].as_array().into_iter().flatten().collect();
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let (approvers, findings) = (approvers(archive, case.config, by)?, waiver::first_look(case));
    let seen = |number: u8| {
        let finding = findings.iter().find(|finding| finding.check.number == number)?;
        if finding.lacking.is_empty() {
            return Some(finding.detail.clone());
        }
        row(predicate, number)["detail"].as_str().map(str::to_owned)
    };
    let one =
        |input: &Value| waiver::verify(&text(archive, &named(&input["sha256"])?)?, case, &approvers, &seen);
    list.into_iter().map(one).collect()
}

fn row(predicate: &Value, number: u8) -> &Value {
    let rows = predicate["checks"].as_array().into_iter().flatten();
    rows.into_iter().find(|row| row["check"] == number).unwrap_or(&Value::Null)
}

fn emergency(predicate: &Value) -> Result<Option<Emergency>> {
    let said = &predicate["emergency"];
    if said.is_null() {
        return Ok(None);
    }
    let due = said["due"].as_str().and_then(|due| Day::parse(due).ok());
    let due = due.ok_or_else(|| broken("tells of an emergency without a day"))?;
    Ok(Some(Emergency { reason: said["reason"].as_str().unwrap_or_default().to_owned(), due: due.ends() }))
}

fn recomputed(archive: &Archive, release: &Release) -> Result<Vec<Row>> {
    let before: &Evidence = &release.before;
    let predicate = &before.statement["predicate"];
    let by = &predicate["judged_by"];
    let mut config = Config::parse(&text(archive, &named(&by["config_sha256"])?)?)?;
    config.file = crate::config::NAME.into();
    let change = Change::parse(text(archive, &named(&predicate["change_sha256"])?)?)?;
    let archived = Archived::new(archive, predicate);
    let base = archived.read(1, &change.base.display().to_string()).map_err(broken)?;
    let base = Bundle::parse(base)?;
    if predicate["from"]["manifest_sha256"].as_str() != Some(&base.digest().to_string()) {
        return Err(broken("has another base than the evidence says"));
    }
    let root = Root::parse(&archive.bytes(&named(&by["root"]["sha256"])?)?)?;
    let ledger = archived.ledger()?;
    if ledger.as_ref().is_some_and(|ledger| {
        ledger.head.entry.vendor != config.product.vendor || ledger.head.entry.class != config.product.class
    }) {
        return Err(broken("has a ledger of another product"));
    }
    if config.product() != release.bundle.bundle.manifest()?.product {
        return Err(broken("has a patchlane.toml of another product"));
    }
    let images = images(release, &base)?;
    let catalogues = predicate["catalogues"].as_array().into_iter().flatten();
    let catalogues = catalogues.map(|one| Catalogue::parse(&text(archive, &named(&one["sha256"])?)?));
    let catalogues = catalogues.collect::<Result<Vec<_>>>()?;
    let now = whole::evaluated(before)?.0;
    let opened = Opened { ledger, root, base, images };
    let case = Case::new(&config, &change, now, opened, Some(archived))?;
    let mut rows = Rows::default();
    let waivers = match waivers(archive, &case, predicate) {
        Ok(waivers) => waivers,
        Err(error) => {
            rows.add("checks", "waivers", Verdict::Differs, error.to_string());
            Vec::new()
        }
    };
    let rules = Rules {
        profile: whole::profile(before)?,
        catalogues: &catalogues,
        waivers: &waivers,
        emergency: emergency(predicate)?,
    };
    let findings = lint::run(&case, &rules);
    rows.0.extend(
        findings.iter().map(|finding| compared(&case, finding, row(predicate, finding.check.number))),
    );
    Ok(rows.0)
}

/// What a check says here, beside what the evidence says.
fn compared(case: &Case<'_>, finding: &Finding, said: &Value) -> Row {
    let check = finding.check;
    let result = said["result"].as_str().unwrap_or("nothing");
    let detail = said["detail"].as_str().unwrap_or_default();
    let read: BTreeSet<(&str, String)> =
        finding.inputs.iter().map(|input| (&input.name[..], input.digest.to_string())).collect();
    let named = case.archived.iter().flat_map(|archived| archived.named(check.number));
    let unread = named.into_iter().find(|input| !read.contains(&(&input.name[..], input.digest.to_string())));
    let (verdict, told) = if !finding.lacking.is_empty() {
        (Verdict::VendorsWord, format!("{result}: {detail}; not seen here: {}", finding.lacking.join("; ")))
    } else if finding.outcome.name() != result {
        let told = format!(
            "the evidence says {result} ({detail}), and here it is {} ({})",
            finding.outcome.name(),
            finding.detail
        );
        (Verdict::Differs, told)
    } else if finding.outcome.blocks() {
        (
            Verdict::Differs,
            format!("the evidence says that the patch passed, and this refuses it: {}", finding.detail),
        )
    } else if let Some(input) = unread {
        (Verdict::Differs, format!("the evidence says that it read {}, and it doesn't", input.name))
    } else if said["data"] != Value::Object(finding.data.clone()) {
        // Reports are made of it: a table of functions that nobody can make again is no evidence.
        let told = format!(
            "{result}, but what the evidence keeps of it isn't what is found here: {}",
            finding.detail
        );
        (Verdict::Differs, told)
    } else if matches!(result, "not-evaluated" | "owed") {
        (Verdict::VendorsWord, format!("{result}: {detail}"))
    } else {
        (Verdict::Reproduced, format!("{result}: {}", finding.detail))
    };
    Row { part: "checks", name: check.name.to_owned(), check: Some(check.number), verdict, detail: told }
}
