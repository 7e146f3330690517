//! The thirty checks once more, by the same functions, on files that the evidence names by digest.

use super::{Release, Row, Rows, Verdict, whole};
use crate::archive::collect::evidence_keys;
use crate::archive::{Archive, broken};
use crate::bundle::{Bundle, Linked, sha256};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::keys;
use crate::ledger::entry::Sha;
use crate::ledger::time::{Day, Moment};
use crate::lint::archived::{Archived, CONFIG};
use crate::lint::catalogue::Catalogue;
use crate::lint::change::Change;
use crate::lint::statement;
use crate::lint::waiver::{self, Waiver};
use crate::lint::{self, Base, CHECKS, Case, Check, Emergency, Finding, Grade, Opened, Outcome, Rules};
use crate::output::plural;
use crate::root::Root;
use patchlane_protocol::PublicKey;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// One row for each check: those that tell a patch from a feature first, then what refuses, then what can be waived.
pub(super) fn rows(archive: &Archive, release: &Release, rows: &mut Rows) {
    let recomputed = match &release.whole {
        Ok(whole) => recomputed(archive, release, whole),
        Err(why) => Err(Stop::Gone(why.clone())),
    };
    let mut all = match recomputed {
        Ok(all) => all,
        Err(Stop::Gone(why)) => claimed(&release.before.statement["predicate"], &why),
        Err(Stop::Wrong(error)) => {
            return rows.add("checks", "all thirty", Verdict::Differs, error.to_string());
        }
    };
    all.sort_by_key(|row| rank(row.check.unwrap_or(0)));
    rows.0.extend(all);
    matrix(archive, &release.before.statement["predicate"], rows);
}

/// What the evidence says of clauses follows from its results and the catalogues, which say what they ask for.
fn matrix(archive: &Archive, predicate: &Value, rows: &mut Rows) {
    let result_of = |number: u8| row(predicate, number)["result"].as_str().unwrap_or_default().to_owned();
    for said in predicate["catalogues"].as_array().into_iter().flatten() {
        let name = format!("clauses of {}", said["name"].as_str().unwrap_or_default());
        let held = named(&said["sha256"]).map(|sha256| archive.held(&sha256));
        let seen = match held {
            Ok(Err(why)) => {
                rows.add("checks", &name, Verdict::VendorsWord, format!("the catalogue {why}"));
                continue;
            }
            Ok(Ok(bytes)) => utf8(bytes).and_then(|text| Catalogue::parse(&text)),
            Err(error) => Err(error),
        };
        rows.seen(
            "checks",
            &name,
            seen.and_then(|catalogue| {
                if statement::clauses(&catalogue, &result_of) != *said {
                    return Err(broken(
                        "says otherwise of clauses than its own results and the catalogue give",
                    ));
                }
                Ok(format!(
                    "{} follow from the thirty results",
                    plural(catalogue.clauses.len() as u64, "clause")
                ))
            }),
        );
    }
}

/// Why no check is recomputed.
enum Stop {
    /// Something that each needs isn't there: what the vendor says stands.
    Gone(String),
    /// Something contradicts itself.
    Wrong(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Wrong(error)
    }
}

/// A file without which nothing is recomputed.
fn needed(archive: &Archive, what: &str, digest: &Value) -> std::result::Result<Vec<u8>, Stop> {
    archive.held(&named(digest)?).map_err(|why| Stop::Gone(format!("{what} {why}")))
}

/// What the vendor claims of each check.
fn claimed(predicate: &Value, why: &str) -> Vec<Row> {
    let one = |check: &'static Check| {
        let said = row(predicate, check.number);
        let result = said["result"].as_str().unwrap_or("nothing");
        // Evidence with a check that blocks was never signed.
        let (verdict, told) = match said["blocks"].as_bool() {
            Some(false) if result != "fail" => {
                (Verdict::VendorsWord, format!("{result}; not seen here: {why}"))
            }
            _ => (Verdict::Differs, format!("the evidence says {result}, which refuses the patch")),
        };
        Row { part: "checks", name: check.name.to_owned(), check: Some(check.number), verdict, detail: told }
    };
    CHECKS.iter().map(one).collect()
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

/// The images of the release, as the evidence names them.
fn images(release: &Release, base: Option<&Bundle>) -> Result<Vec<Linked>> {
    let old = base.map_or_else(|| Ok(Vec::new()), Bundle::images)?;
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
        // An image is linked for what the evidence says; a bundle says so only where slots differ.
        let address = subject["name"].as_str().and_then(|name| name.strip_prefix("image@0x"));
        found.address = address.and_then(|address| u32::from_str_radix(address, 16).ok());
        Ok(found)
    };
    subjects.map(image).collect()
}

/// Who may approve: keys that both the evidence and patchlane.toml name.
fn approvers(
    archive: &Archive,
    config: &Config,
    by: &Value,
    evidence: &[PublicKey],
) -> std::result::Result<Vec<PublicKey>, Stop> {
    let listed: Vec<&Path> =
        config.lint.iter().flat_map(|lint| &lint.approvers).map(|path| path.as_path()).collect();
    let mut keys = Vec::new();
    for input in by["approvers"].as_array().into_iter().flatten() {
        let name = input["name"].as_str().and_then(|name| name.strip_prefix(CONFIG)).unwrap_or_default();
        if !listed.contains(&Path::new(name)) {
            return Err(broken(format!("names an approver `{name}` that patchlane.toml doesn't list")).into());
        }
        let bytes = needed(archive, "an approver's key", &input["sha256"])?;
        let key = keys::parse_public(Path::new(name), &bytes)?;
        // One key, one use: `lint` refuses this, and a vendor may have written evidence by other means.
        if evidence.contains(&key) {
            return Err(broken(format!("is signed by the key of an approver, {}", key.id())).into());
        }
        keys.push(key);
    }
    Ok(keys)
}

/// The waivers, verified as of the evidence's time, against what the checks say here; where a check can't be
/// recomputed, against what the evidence says.
fn waivers(archive: &Archive, case: &Case<'_>, predicate: &Value) -> std::result::Result<Vec<Waiver>, Stop> {
    let by = &predicate["judged_by"];
    let list: Vec<&Value> = by["waivers"].as_array().into_iter().flatten().collect();
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let evidence = evidence_keys(predicate)?;
    let (approvers, findings) = (approvers(archive, case.config, by, &evidence)?, waiver::first_look(case));
    let seen = |number: u8| {
        let finding = findings.iter().find(|finding| finding.check.number == number)?;
        if finding.lacking.is_empty() {
            return Some(finding.detail.clone());
        }
        row(predicate, number)["detail"].as_str().map(str::to_owned)
    };
    let one = |input: &Value| {
        let text = utf8(needed(archive, "a waiver", &input["sha256"])?)?;
        Ok(waiver::verify(&text, case, &approvers, &seen)?)
    };
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

/// The base, or why it isn't there.
fn base(
    archived: &Archived<'_>,
    change: &Change,
    release: &Release,
    whole: &Value,
) -> Result<(Base, Option<Bundle>)> {
    let bytes = match archived.read(1, &change.base.display().to_string()) {
        Ok(bytes) => bytes,
        Err(why) => return Ok((Base::gone(why, release.bundle.bundle.manifest()?.version.feature), None)),
    };
    let bundle = Bundle::parse(bytes)?;
    if whole["from"]["manifest_sha256"].as_str() != Some(&bundle.digest().to_string()) {
        return Err(broken("has another base than the evidence says"));
    }
    if whole["from"]["release"].as_str() != Some(&bundle.manifest()?.version.to_string()) {
        return Err(broken("has a base of another version than the evidence says"));
    }
    Ok((Base::new(bundle.clone())?, Some(bundle)))
}

/// The catalogues by which checks are required or recommended; none, if one isn't there.
fn catalogues(archive: &Archive, whole: &Value) -> Result<Option<Vec<Catalogue>>> {
    let mut all = Vec::new();
    for one in whole["catalogues"].as_array().into_iter().flatten() {
        let Ok(bytes) = archive.held(&named(&one["sha256"])?) else { return Ok(None) };
        all.push(Catalogue::parse(&utf8(bytes)?)?);
    }
    Ok(Some(all))
}

fn utf8(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| broken("holds something else than text (UTF-8) where text belongs"))
}

/// The change record tells what the evidence says and the manifest promises.
fn promised(change: &Change, release: &Release, whole: &Value) -> Result<()> {
    let manifest = release.bundle.bundle.manifest()?;
    if statement::closes(change) != whole["closes"] {
        return Err(broken("closes other vulnerabilities than the change record says"));
    }
    let end = Moment(manifest.support_end).day();
    if change.support_end.is_some_and(|said| said != end) {
        return Err(broken(format!("is supported until {end}, and the change record says another day")));
    }
    Ok(())
}

fn recomputed(archive: &Archive, release: &Release, whole: &Value) -> std::result::Result<Vec<Row>, Stop> {
    let by = &whole["judged_by"];
    let mut config = Config::parse(&utf8(needed(archive, "patchlane.toml", &by["config_sha256"])?)?)?;
    config.file = crate::config::NAME.into();
    let change = Change::parse(utf8(needed(archive, "the change record", &whole["change_sha256"])?)?)?;
    let archived = Archived::new(archive, whole);
    let (base, bundle) = base(&archived, &change, release, whole)?;
    let root = Root::parse(&needed(archive, "the root that judged it", &by["root"]["sha256"])?)?;
    // What follows from nothing vouches for nothing.
    let older = match super::chain(&release.roots) {
        Ok(_) => release.roots.iter().filter(|older| older.bytes() != root.bytes()).cloned().collect(),
        Err(_) => Vec::new(),
    };
    let ledger = archived.ledger()?;
    if ledger.as_ref().is_some_and(|ledger| {
        ledger.head.entry.vendor != config.product.vendor || ledger.head.entry.class != config.product.class
    }) {
        return Err(broken("has a ledger of another product").into());
    }
    promised(&change, release, whole)?;
    if by["root"]["version"] != root.document()?.version {
        return Err(broken("was judged by a root of another version than the evidence says").into());
    }
    if config.product() != release.bundle.bundle.manifest()?.product {
        return Err(broken("has a patchlane.toml of another product").into());
    }
    let images = match (images(release, bundle.as_ref()), &bundle) {
        (Ok(images), _) => images,
        // A delta says nothing without what it is made from.
        (Err(_), None) => return Err(Stop::Gone("an image is made from the base, which isn't there".into())),
        (Err(error), Some(_)) => return Err(error.into()),
    };
    let catalogues = catalogues(archive, whole)?;
    let now = whole::evaluated(&release.before)?.0;
    let opened = Opened { ledger, root, older, base, images };
    let case = Case::new(&config, &change, now, opened, Some(archived))?;
    judged(archive, release, whole, &case, catalogues)
}

/// Every check, with what let it pass.
fn judged(
    archive: &Archive,
    release: &Release,
    whole: &Value,
    case: &Case<'_>,
    catalogues: Option<Vec<Catalogue>>,
) -> std::result::Result<Vec<Row>, Stop> {
    let (mut rows, mut unwaived) = (Rows::default(), None);
    let waivers = match waivers(archive, case, whole) {
        Ok(waivers) => waivers,
        Err(Stop::Gone(why)) => {
            unwaived = Some(why);
            Vec::new()
        }
        Err(Stop::Wrong(error)) => {
            rows.add("checks", "waivers", Verdict::Differs, error.to_string());
            Vec::new()
        }
    };
    let rules = Rules {
        profile: whole::profile(&release.before)?,
        catalogues: catalogues.as_deref().unwrap_or_default(),
        waivers: &waivers,
        emergency: emergency(whole)?,
    };
    let same_tool = whole["tool"]["version"] == env!("CARGO_PKG_VERSION");
    let findings = lint::run(case, &rules).into_iter().map(|mut finding| {
        finding.lacking.extend(case.archived.iter().flat_map(|a| a.unrecorded(finding.check.number)));
        let said = row(whole, finding.check.number);
        // Whether it is waived, and whether it had to be evaluated, can't be told without these.
        let waived = said["result"] == "waived" && finding.outcome == Outcome::Fail;
        finding.lacking.extend(unwaived.iter().filter(|_| waived).cloned());
        if catalogues.is_none() && finding.outcome == (Outcome::Unknown { blocks: true }) {
            finding.lacking.push("a catalogue isn't in the archive".into());
        }
        compared(case, &finding, said, same_tool)
    });
    rows.0.extend(findings);
    Ok(rows.0)
}

/// What a check says here, beside what the evidence says.
fn compared(case: &Case<'_>, finding: &Finding, said: &Value, same_tool: bool) -> Row {
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
    } else if let Some(key) = otherwise(finding, said) {
        (Verdict::Differs, format!("{result}, but the evidence's `{key}` isn't what it is here"))
    } else if !worded(finding, said) {
        let told = format!("{result}: {}; the evidence words it otherwise: {detail}", finding.detail);
        (if same_tool { Verdict::Differs } else { Verdict::VendorsWord }, told)
    } else if matches!(result, "not-evaluated" | "owed") {
        (Verdict::VendorsWord, format!("{result}: {detail}"))
    } else {
        (Verdict::Reproduced, format!("{result}: {}", finding.detail))
    };
    Row { part: "checks", name: check.name.to_owned(), check: Some(check.number), verdict, detail: told }
}

/// What the evidence says of a check otherwise than it has to: by whom it was waived, until when it is owed, whether it
/// blocks. Reports print that.
fn otherwise(finding: &Finding, said: &Value) -> Option<&'static str> {
    let made = statement::finding(finding);
    ["grade", "blocks", "waiver", "due"].into_iter().find(|key| made.get(key) != said.get(key))
}

/// True if this program would word a check as the evidence does; another one may.
fn worded(finding: &Finding, said: &Value) -> bool {
    let made = statement::finding(finding);
    ["name", "title", "detail", "next"].into_iter().all(|key| made.get(key) == said.get(key))
}
