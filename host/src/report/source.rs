//! What a report is made of: an archive, and nothing else. No clock is asked.

use crate::archive::collect::evidence_keys;
use crate::archive::verify;
use crate::archive::{Archive, Audience, Role};
use crate::attest;
use crate::bundle::Bundle;
use crate::error::{Error, Result};
use crate::evidence::Evidence;
use crate::ledger::Ledger;
use crate::ledger::entry::Sha;
use crate::ledger::time::Day;
use crate::lint::{findings, statement};
use crate::root::Root;
use serde_json::Value;
use std::collections::BTreeMap;

/// An archive, read.
pub(super) struct Source {
    /// The bundle that the report is about.
    pub(super) bundle: Bundle,
    /// The file's digest.
    pub(super) bundle_sha256: Sha,
    /// The release that devices run before, if it is kept.
    pub(super) base: Option<Bundle>,
    /// What judged the bundle, if it is kept.
    pub(super) root: Option<Root>,
    /// What the evidence made before signing says, with its findings for an assessor; or why it isn't there.
    pub(super) before: std::result::Result<Value, String>,
    /// Evidence made after signing.
    pub(super) after: Vec<Evidence>,
    /// What is there in its place: why it is none.
    pub(super) strange: Vec<String>,
    /// The ledger, if it is kept.
    pub(super) ledger: Option<Ledger>,
    /// For whom: a customer sees nothing of what is confidential, whatever the archive holds.
    pub(super) audience: Audience,
    /// The archive itself.
    pub(super) archive: Archive,
}

/// What a file is that can't be read.
fn at(what: &str) -> impl Fn(Error) -> Error + '_ {
    move |error| match error.place {
        Some(_) => error,
        None => error.at(what),
    }
}

/// The first file of a role whose bytes are there.
fn first(archive: &Archive, role: Role) -> Result<Option<Vec<u8>>> {
    let entry = archive.of(role).find(|entry| !entry.redacted);
    entry.map(|entry| archive.bytes(&entry.sha256)).transpose()
}

fn before(
    archive: &Archive,
    bundle: &Bundle,
    audience: Audience,
) -> Result<std::result::Result<Value, String>> {
    let Some(named) = bundle.manifest()?.evidence else {
        return Ok(Err(
            "the manifest names no evidence: nobody ran `patchlane lint` before it was signed".into()
        ));
    };
    // What the manifest names, and nothing that only lies beside it.
    let sha256 = Sha(named.0);
    let Some(entry) = archive.entry(&sha256) else {
        return Ok(Err(format!("the evidence that the manifest names ({named}) isn't in the archive")));
    };
    let evidence = Evidence::parse(&archive.bytes(&sha256)?).map_err(at(&entry.name))?;
    statement::of_this_kind(&evidence.statement).map_err(at(&entry.name))?;
    let predicate = &evidence.statement["predicate"];
    Ok(Ok(match audience {
        Audience::Customer => predicate.clone(),
        Audience::Assessor => {
            let found = archive.bytes(&findings::named(predicate).map_err(at(&entry.name))?)?;
            findings::join(predicate, &found).map_err(at("the findings"))?
        }
    }))
}

fn ledger(archive: &Archive) -> Result<Option<Ledger>> {
    let mut files = BTreeMap::new();
    for entry in archive.of(Role::Ledger) {
        // Checked against its digest: what is read next is what was kept.
        archive.bytes(&entry.sha256)?;
        files.insert(entry.name.as_str(), archive.path(&entry.sha256));
    }
    if files.is_empty() { Ok(None) } else { Ledger::of_files(&archive.folder, &files).map(Some) }
}

impl Source {
    pub(super) fn read(archive: Archive, audience: Audience) -> Result<Self> {
        let entry = archive.only(Role::Bundle)?;
        let bundle_sha256 = entry.sha256;
        let bundle = Bundle::parse(archive.bytes(&entry.sha256)?).map_err(at(&entry.name))?;
        // The index's names would stand above what the manifest says.
        verify::indexed(&archive, &bundle, bundle_sha256)?;
        let before = before(&archive, &bundle, audience)?;
        let keys = before.as_ref().map_or(Ok(Vec::new()), evidence_keys)?;
        let (mut after, mut strange) = (Vec::new(), Vec::new());
        for entry in archive.of(Role::EvidenceAfter).filter(|entry| !entry.redacted) {
            let evidence = Evidence::parse(&archive.bytes(&entry.sha256)?).map_err(at(&entry.name))?;
            match attest::about(&evidence, &bundle_sha256, &keys) {
                Ok(_) => after.push(evidence),
                Err(error) => {
                    strange.push(format!("the statement {} shows nothing: it {}", entry.name, error.what))
                }
            }
        }
        Ok(Self {
            base: first(&archive, Role::Base)?.map(Bundle::parse).transpose().map_err(at("the base"))?,
            root: first(&archive, Role::Root)?
                .map(|bytes| Root::parse(&bytes))
                .transpose()
                .map_err(at("the root"))?,
            before,
            after,
            strange,
            ledger: ledger(&archive)?,
            bundle,
            bundle_sha256,
            audience,
            archive,
        })
    }

    /// What the evidence made before signing says.
    pub(super) fn predicate(&self) -> &Value {
        self.before.as_ref().unwrap_or(&Value::Null)
    }

    /// What it says of a check.
    pub(super) fn check(&self, number: u64) -> &Value {
        let rows = self.predicate()["checks"].as_array().into_iter().flatten();
        rows.into_iter().find(|row| row["check"] == number).unwrap_or(&Value::Null)
    }

    /// True if what is confidential isn't shown.
    pub(super) fn hides(&self) -> bool {
        self.audience == Audience::Customer
    }

    /// What a check found; for a customer, what the evidence shows of it.
    pub(super) fn data(&self, number: u64) -> &Value {
        let key = if self.hides() { "shown" } else { "data" };
        self.check(number).get(key).unwrap_or(&Value::Null)
    }

    /// Why these checks say nothing, or not enough.
    pub(super) fn missing(&self, checks: &[u64]) -> Vec<String> {
        if let Err(why) = &self.before {
            return vec![why.clone()];
        }
        let silent = checks
            .iter()
            .map(|number| self.check(*number))
            .filter(|check| matches!(check["result"].as_str(), Some("not-evaluated" | "owed")));
        let told = silent.map(|check| {
            let why = if self.hides() { String::new() } else { format!(": {}", word(check, "detail")) };
            format!("check {} ({}) wasn't evaluated{why}", check["check"], word(check, "name"))
        });
        told.collect()
    }

    /// The same, and that what they found isn't shown.
    pub(super) fn hidden(&self, checks: &[u64]) -> Vec<String> {
        let mut missing = self.missing(checks);
        if self.hides() && self.before.is_ok() {
            let numbers = checks.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            missing
                .push(format!("what checks {numbers} found is confidential: an assessor's report shows it"));
        }
        missing
    }

    /// The day the archive was made: the only day by which anything is late.
    pub(super) fn made(&self) -> Day {
        self.archive.index.created
    }
}

/// A text of an object.
pub(super) fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A list of an object.
pub(super) fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// How many a list of an object has, or a number in its place.
pub(super) fn count(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| items(value, key).count() as u64)
}

/// Texts in a list of an object.
pub(super) fn words<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    items(value, key).filter_map(Value::as_str).collect()
}
