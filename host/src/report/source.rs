//! What a report is made of: an archive, and nothing else. No clock is asked.

use crate::archive::{Archive, Role};
use crate::bundle::Bundle;
use crate::error::{Code, Error, Result};
use crate::evidence::Evidence;
use crate::ledger::Ledger;
use crate::ledger::entry::Sha;
use crate::ledger::time::Day;
use crate::lint::statement;
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
    /// Evidence made before signing: statement and bytes; or why it isn't there.
    pub(super) before: std::result::Result<(Evidence, Vec<u8>), String>,
    /// Evidence made after signing.
    pub(super) after: Vec<Evidence>,
    /// The ledger, if it is kept.
    pub(super) ledger: Option<Ledger>,
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

fn before(archive: &Archive, bundle: &Bundle) -> Result<std::result::Result<(Evidence, Vec<u8>), String>> {
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
    if entry.redacted {
        return Ok(Err(format!(
            "the evidence that the manifest names ({named}) is redacted in this archive"
        )));
    }
    let bytes = archive.bytes(&sha256)?;
    let evidence = Evidence::parse(&bytes).map_err(at(&entry.name))?;
    if evidence.kind() != statement::KIND {
        let what = format!("isn't evidence made before signing, but {}", evidence.kind());
        return Err(Error::new(Code::Evidence, what, Code::Evidence.remedy()).at(&entry.name));
    }
    Ok(Ok((evidence, bytes)))
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
    pub(super) fn read(archive: Archive) -> Result<Self> {
        let entry = archive.only(Role::Bundle)?;
        let bundle_sha256 = entry.sha256;
        let bundle = Bundle::parse(archive.bytes(&entry.sha256)?).map_err(at(&entry.name))?;
        let after = archive
            .of(Role::EvidenceAfter)
            .filter(|entry| !entry.redacted)
            .map(|entry| Evidence::parse(&archive.bytes(&entry.sha256)?).map_err(at(&entry.name)));
        Ok(Self {
            base: first(&archive, Role::Base)?.map(Bundle::parse).transpose().map_err(at("the base"))?,
            root: first(&archive, Role::Root)?
                .map(|bytes| Root::parse(&bytes))
                .transpose()
                .map_err(at("the root"))?,
            before: before(&archive, &bundle)?,
            after: after.collect::<Result<_>>()?,
            ledger: ledger(&archive)?,
            bundle,
            bundle_sha256,
            archive,
        })
    }

    /// What the evidence made before signing says.
    pub(super) fn predicate(&self) -> &Value {
        self.before.as_ref().map_or(&Value::Null, |(evidence, _)| &evidence.statement["predicate"])
    }

    /// What it says of a check.
    pub(super) fn check(&self, number: u64) -> &Value {
        let rows = self.predicate()["checks"].as_array().into_iter().flatten();
        rows.into_iter().find(|row| row["check"] == number).unwrap_or(&Value::Null)
    }

    /// What a check found.
    pub(super) fn data(&self, number: u64) -> &Value {
        &self.check(number)["data"]
    }

    /// Why these checks say nothing, or not enough.
    pub(super) fn missing(&self, hider: &super::hide::Hider, checks: &[u64]) -> Vec<String> {
        if let Err(why) = &self.before {
            return vec![why.clone()];
        }
        let silent = checks
            .iter()
            .map(|number| self.check(*number))
            .filter(|check| matches!(check["result"].as_str(), Some("not-evaluated" | "owed")));
        let told = silent.map(|check| {
            let why = hider.text(word(check, "detail"));
            format!("check {} ({}) wasn't evaluated: {why}", check["check"], word(check, "name"))
        });
        told.collect()
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

/// Texts in a list of an object.
pub(super) fn words<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    items(value, key).filter_map(Value::as_str).collect()
}
