//! Whether a statement made after signing tells of every release that devices may run, by the ledger in the archive.

use super::{Release, Rows, Verdict, moment};
use crate::archive::index::Role;
use crate::archive::{Archive, broken};
use crate::attest;
use crate::error::Result;
use crate::files;
use crate::ledger::entry::Sha;
use crate::ledger::{self, Ledger};
use crate::output::{plain, plural};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A row for all bases together, and one for each that the statement says wasn't tried.
pub(super) fn covered(archive: &Archive, release: &Release, predicate: &Value, rows: &mut Rows) {
    for one in predicate["untried"].as_array().into_iter().flatten() {
        let text = |key: &str| plain(one[key].as_str().unwrap_or("not stated"));
        rows.add(
            "after",
            &format!("over {}", text("release")),
            Verdict::VendorsWord,
            format!("not tried: {}", text("why")),
        );
    }
    if predicate["ledger"].is_null() {
        return;
    }
    match every_base(archive, release, predicate) {
        Ok(Ok(told)) => rows.add("after", "every base", Verdict::Reproduced, told),
        Ok(Err(why)) => rows.add("after", "every base", Verdict::VendorsWord, why),
        Err(error) => rows.add("after", "every base", Verdict::Differs, error.to_string()),
    }
}

/// The ledger as far as it is kept; nothing without its head.
fn kept(archive: &Archive) -> Result<Option<Ledger>> {
    let mut files: BTreeMap<&str, PathBuf> = BTreeMap::new();
    for entry in archive.of(Role::Ledger).filter(|entry| entry.size <= files::LARGEST_TEXT) {
        if archive.held(&entry.sha256).is_ok() {
            files.insert(&entry.name, archive.path(&entry.sha256));
        }
    }
    if files.contains_key(ledger::NAME) {
        Ledger::of_files(&archive.folder, &files).map(Some)
    } else {
        Ok(None)
    }
}

/// What the ledger wants tried is among the bases; why that can't be told, in words.
fn every_base(
    archive: &Archive,
    release: &Release,
    predicate: &Value,
) -> Result<std::result::Result<String, String>> {
    let Some(ledger) = kept(archive)? else { return Ok(Err("no ledger is kept".into())) };
    // What was released when the statement was made: later entries aren't in that seal.
    let named = predicate["ledger"]["seal"]["sha256"].as_str().and_then(Sha::parse);
    let seal = ledger.seals.iter().find(|seal| Some(seal.sha256) == named);
    let Some(seal) = seal else {
        return Ok(Err("the seal isn't kept: it names every release of its day".into()));
    };
    let releases = seal.entry.entries.keys().filter(|name| name.starts_with("releases/"));
    let gone = releases.filter(|name| ledger.releases.iter().all(|filed| filed.file != **name)).count();
    if gone > 0 {
        return Ok(Err(format!("{} of the ledger aren't kept", plural(gone as u64, "release"))));
    }
    let (wanted, _) =
        attest::wanted(&release.bundle.bundle, &ledger, moment(&predicate["evaluated"])?.day())?;
    let wanted: Vec<_> =
        wanted.into_iter().filter(|filed| seal.entry.entries.contains_key(&filed.file)).collect();
    let tried = |sha256: String| {
        let mut bases = predicate["bases"].as_array().into_iter().flatten();
        bases.any(|base| base["manifest_sha256"].as_str() == Some(&sha256[..]))
    };
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|filed| !tried(filed.entry.manifest_sha256.to_string()))
        .map(|filed| &filed.file[..])
        .collect();
    if missing.is_empty() {
        return Ok(Ok(format!("by the ledger devices may run {}", plural(wanted.len() as u64, "release"))));
    }
    Err(broken(format!("tells nothing of {}, which devices may run by the ledger", missing.join(", "))))
}
