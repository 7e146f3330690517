//! That an archive is whole: its files, its index, what it says of its release.

use super::{Release, moment};
use crate::archive::index::{Entry, Index, Role};
use crate::archive::recheck::{self, Parts};
use crate::archive::{Archive, INDEX, LARGEST_INDEX, OBJECTS, RECHECK, SIGNED, beside, broken};
use crate::bundle::Bundle;
use crate::error::Result;
use crate::evidence::{self, Envelope, Evidence};
use crate::ledger::entry::Sha;
use crate::ledger::time::Moment;
use crate::lint::{LARGEST_FOREIGN, Profile};
use crate::output::plural;
use patchlane_protocol::PublicKey;
use serde::Deserialize as _;
use std::collections::{BTreeMap, BTreeSet};

/// Of files that were lost so many are named.
const MOST_NAMED: usize = 50;

/// Every object is what its name says; each that isn't is named.
pub(super) fn objects(archive: &Archive) -> Result<String> {
    let there: BTreeMap<Sha, &Entry> =
        archive.index.entries.iter().filter(|e| !e.redacted).map(|e| (e.sha256, e)).collect();
    let lost = there.iter().filter_map(|(sha256, entry)| {
        let error = archive.bytes(sha256).err()?;
        Some(format!("{} `{}` ({sha256}) {}", entry.role.name(), entry.name, error.what))
    });
    let mut lost: Vec<String> = lost.collect();
    if !lost.is_empty() {
        let more = lost.len().saturating_sub(MOST_NAMED);
        lost.truncate(MOST_NAMED);
        lost.extend((more > 0).then(|| format!("and {more} more")));
        return Err(broken(lost.join("; ")).at(OBJECTS));
    }
    let redacted = archive.index.entries.iter().filter(|entry| entry.redacted).count();
    let told = if redacted > 0 { format!("; {redacted} confidential") } else { String::new() };
    Ok(format!("{} by their digests{told}", plural(there.len() as u64, "file")))
}

/// Nothing lies there that the index doesn't name.
pub(super) fn strangers(archive: &Archive) -> Result<String> {
    match archive.strangers()?.first() {
        None => Ok("nothing that the index doesn't name".into()),
        Some(name) => Err(broken("isn't in the index, or is confidential").at(crate::output::plain(name))),
    }
}

/// Evidence in the archive.
pub(super) fn evidence(archive: &Archive, sha256: &Sha) -> Result<Evidence> {
    let bytes = archive.bytes(sha256)?;
    if bytes.len() as u64 > LARGEST_FOREIGN {
        return Err(broken("holds evidence that is too large"));
    }
    Evidence::parse(&bytes).map_err(|e| e.at(archive.path(sha256).display()))
}

/// The profile that evidence was judged by.
pub(super) fn profile(before: &Evidence) -> Result<Profile> {
    Profile::deserialize(&before.statement["predicate"]["profile"])
        .map_err(|_| broken("was judged by no profile"))
}

/// When evidence was made.
pub(super) fn evaluated(before: &Evidence) -> Result<Moment> {
    moment(&before.statement["predicate"]["evaluated"])
}

fn verified(bytes: &[u8], index: &[u8], keys: &[PublicKey]) -> Result<PublicKey> {
    let envelope = Envelope::parse(bytes)?.ok_or_else(|| broken("isn't the index in an envelope"))?;
    let key = envelope.verify(evidence::INDEX, keys)?;
    if envelope.payload == index { Ok(key) } else { Err(broken("is signed for another index")) }
}

/// The index is as it was signed.
pub(super) fn signed(archive: &Archive, keys: &[PublicKey]) -> Result<String> {
    let path = archive.folder.join(SIGNED);
    let key = verified(&beside(&path)?, &archive.index_bytes, keys).map_err(|e| e.at(path.display()))?;
    Ok(format!("signed by {}; to be kept until {}", key.id(), archive.index.retain_until))
}

/// An index or its signature: no larger than one that is read beside the objects.
fn small(archive: &Archive, sha256: &Sha) -> Result<Vec<u8>> {
    let large = |entry: &Entry| entry.size > LARGEST_INDEX;
    if archive.entry(sha256).is_some_and(large) {
        return Err(broken("is too large to be an index or its signature").at(archive.path(sha256).display()));
    }
    archive.bytes(sha256)
}

/// Each index kept all that the one before had.
pub(super) fn history(archive: &Archive, keys: &[PublicKey]) -> Result<String> {
    let (signatures, most) =
        (super::distinct(archive, Role::IndexSigned), super::distinct(archive, Role::Index).len());
    let signatures = signatures.into_iter().map(|entry| small(archive, &entry.sha256));
    // What each signs is found by its bytes: none is looked at twice.
    let mut signed = BTreeSet::new();
    for signature in signatures.collect::<Result<Vec<_>>>()? {
        if let Ok(Some(envelope)) = Envelope::parse(&signature)
            && envelope.verify(evidence::INDEX, keys).is_ok()
        {
            signed.insert(Sha::of(&envelope.payload));
        }
    }
    let (mut now, mut count) = (archive.index.clone(), 0u64);
    while let Some(previous) = now.previous {
        let before = Index::parse(&small(archive, &previous)?)?;
        if !signed.contains(&previous) {
            return Err(broken("follows an index that nobody signed"));
        }
        if let Some(lost) = before.entries.iter().find(|entry| !now.entries.contains(entry)) {
            return Err(broken(format!("lost `{}`, which an earlier index has", lost.name)));
        }
        if before.release != now.release || before.audience != now.audience {
            return Err(broken("follows the index of another archive"));
        }
        count += 1;
        if count > most as u64 {
            return Err(broken("follows itself"));
        }
        now = before;
    }
    Ok(if count == 0 { "made at once".into() } else { format!("added to: {}", plural(count, "time")) })
}

/// What the index says of the release is what the manifest says.
pub(crate) fn release(archive: &Archive, bundle: &Bundle, bundle_sha256: Sha) -> Result<String> {
    let manifest = bundle.manifest()?;
    let (said, index) = (&archive.index.release, &archive.index);
    let (issued, end) = (Moment(manifest.issued_at).day(), Moment(manifest.support_end).day());
    let product = crate::config::product_of(&said.vendor, &said.class);
    let same = product == manifest.product
        && said.version == manifest.version.to_string()
        && said.manifest_sha256.0 == bundle.digest().0
        && said.bundle_sha256 == bundle_sha256
        && (said.issued, said.support_end) == (issued, end);
    if !same {
        return Err(broken("says otherwise of its release than the manifest").at(INDEX));
    }
    if index.retain_until != crate::archive::index::retain_until(issued, end) {
        return Err(broken("is to be kept until another day than issue and support end give").at(INDEX));
    }
    Ok(format!("{}, issued {issued}, supported until {end}", said.version))
}

/// RECHECK.md is what this archive makes of it.
pub(super) fn recheck(archive: &Archive, release: &Release) -> Result<String> {
    let findings = archive.of(Role::Findings).find(|entry| !entry.redacted);
    let findings = findings.map(|entry| archive.bytes(&entry.sha256)).transpose()?;
    let path = archive.folder.join(RECHECK);
    let there = beside(&path)?;
    let signer = Envelope::parse(&beside(&archive.folder.join(SIGNED))?)?;
    let signer = signer.ok_or_else(|| broken("isn't an envelope").at(SIGNED))?;
    let mut after_keys = BTreeMap::new();
    for entry in archive.of(Role::EvidenceAfter) {
        after_keys.insert(entry.sha256, evidence(archive, &entry.sha256)?.verify(&release.keys)?);
    }
    let before =
        release.before.envelope.as_ref().ok_or_else(|| broken("holds evidence that isn't signed"))?;
    let parts = Parts {
        bundle: &release.bundle.bundle,
        root: &release.root,
        before,
        findings: findings.as_deref(),
        evidence_key: release.before.verify(&release.keys)?,
        index_key: signer.verify(evidence::INDEX, &release.keys)?,
        after_keys,
    };
    if recheck::text(&archive.index, &parts)?.as_bytes() == there {
        return Ok("its commands are this archive's".into());
    }
    Err(broken("isn't what this archive makes: its commands check something else").at(path.display()))
}
