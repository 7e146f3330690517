//! The trust rules of SPEC §4 to §7 in their plainest form, so that no vector rests on its author's word.
//!
//! This isn't the device's verifier and shares no code with it: two readings of one text.

use super::fixtures::sha256;
use ed25519_dalek::VerifyingKey;
use patchlane_protocol::owner::SignedOwner;
use patchlane_protocol::signature::read_signatures;
use patchlane_protocol::*;
use std::collections::BTreeSet;

type Checked = Result<&'static str, Refusal>;
/// How a role's keys count.
type Quorum = (u8, Vec<PublicKey>);

fn quorum(role: &root::Role<'_>) -> Quorum {
    (role.threshold(), role.keys().iter().collect())
}

/// True if at least the threshold of distinct keys is among the signers.
fn reached(quorum: &Quorum, signers: &BTreeSet<KeyId>) -> bool {
    quorum.1.iter().filter(|key| signers.contains(&key.id())).count() >= usize::from(quorum.0)
}

fn valid(key: &PublicKey, preimage: &Preimage, signature: &Signature) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(&signature.bytes);
    VerifyingKey::from_bytes(&key.bytes)
        .is_ok_and(|key| key.verify_strict(preimage.as_bytes(), &signature).is_ok())
}

/// Every signature is by a key of `quorums` and holds; yields who signed.
fn signers(
    set: &List<'_, Signature>,
    quorums: &[Quorum],
    listed: &[PublicKey],
    preimage: &Preimage,
) -> Result<BTreeSet<KeyId>, Refusal> {
    let mut signers = BTreeSet::new();
    for signature in set.iter() {
        let candidates: Vec<_> =
            quorums.iter().flat_map(|q| q.1.iter()).filter(|k| k.id() == signature.key).collect();
        if candidates.is_empty() {
            let known = listed.iter().any(|k| k.id() == signature.key);
            return Err(if known { Refusal::WrongRole } else { Refusal::UnknownKey });
        }
        if !candidates
            .iter()
            .all(|key| key.algorithm == signature.algorithm && valid(key, preimage, &signature))
        {
            return Err(Refusal::BadSignature);
        }
        signers.insert(signature.key);
    }
    Ok(signers)
}

/// SPEC §6.2, §5.3, §5.4: a manifest under a root.
pub fn head(manifest: &[u8], signatures: &[u8], root: &[u8]) -> Checked {
    let root = RootDocument::parse(root)?;
    let parsed = Manifest::parse(manifest)?;
    let set = read_signatures(signatures)?;
    if parsed.product != root.product {
        return Err(Refusal::WrongProduct);
    }
    if parsed.root_version > root.version {
        return Err(Refusal::NeedRoot);
    }
    let mut quorums = vec![quorum(root.roles.security())];
    if parsed.kind == Kind::FeatureUpdate {
        quorums.push(quorum(root.roles.feature()));
    }
    let preimage = Preimage::new(parsed.kind.document(), &parsed.product, &Digest(sha256(manifest)));
    let signers = signers(&set, &quorums, &root.keys().collect::<Vec<_>>(), &preimage)?;
    if !quorums.iter().all(|q| reached(q, &signers)) {
        return Err(Refusal::BelowThreshold);
    }
    if root.ceilings.admit(&parsed.version) { Ok("accept") } else { Err(Refusal::AboveCeiling) }
}

/// SPEC §5.2: a link from `present`.
pub fn link(link: &[u8], present: &[u8]) -> Checked {
    let old = RootDocument::parse(present)?;
    let signed = SignedRoot::parse(link)?;
    let new = &signed.document;
    if new.product != old.product {
        return Err(Refusal::WrongProduct);
    }
    if old.version.checked_add(1) != Some(new.version) {
        return Err(Refusal::RootNotNext);
    }
    if !new.ceilings.cover(&old.ceilings) {
        return Err(Refusal::CeilingLowered);
    }
    if new.development && !old.development {
        return Err(Refusal::DevelopmentRoot);
    }
    let quorums = [quorum(old.roles.root()), quorum(new.roles.root())];
    let listed: Vec<_> = old.keys().chain(new.keys()).collect();
    let preimage = Preimage::new(DocumentKind::Root, &new.product, &Digest(sha256(signed.bytes)));
    let signers = signers(&signed.signatures, &quorums, &listed, &preimage)?;
    if quorums.iter().all(|q| reached(q, &signers)) { Ok("accept") } else { Err(Refusal::RootQuorum) }
}

/// The device an owner document meets.
pub struct Owned<'a> {
    /// Its root document.
    pub root: &'a [u8],
    /// Its owner anchor; empty if it has none.
    pub anchor: &'a [u8],
    /// Its id.
    pub device: &'a [u8],
    /// Its group.
    pub group: GroupId,
    /// The last serial it accepted.
    pub serial: u64,
}

/// SPEC §7.1: an owner document on a device.
pub fn owner(document: &[u8], on: &Owned<'_>) -> Checked {
    let root = RootDocument::parse(on.root)?;
    let signed = SignedOwner::parse(document)?;
    let said = &signed.document;
    let anchor: [u8; 32] = on.anchor.try_into().map_err(|_| Refusal::NoAnchor)?;
    if said.product != root.product {
        return Err(Refusal::WrongProduct);
    }
    let device: [u8; 16] = on.device.try_into().map_err(|_| Refusal::NotForThisDevice)?;
    if !said.target.includes(&DeviceId(device), on.group) {
        return Err(Refusal::NotForThisDevice);
    }
    let mut needed = vec![PublicKey::ed25519(anchor)];
    if let Request::Anchor(key) = said.request {
        needed.push(key);
    }
    let preimage = Preimage::new(DocumentKind::Owner, &said.product, &Digest(sha256(signed.bytes)));
    let all_hold = needed
        .iter()
        .all(|key| signed.signatures.iter().any(|s| s.key == key.id() && valid(key, &preimage, &s)));
    if !all_hold || signed.signatures.len() != needed.len() {
        return Err(Refusal::OwnerSignature);
    }
    if said.serial <= on.serial {
        return Err(Refusal::SerialSpent);
    }
    match said.request {
        Request::Anchor(key) if root.keys().any(|k| k.id() == key.id()) => Err(Refusal::VendorKeyAsOwner),
        _ => Ok("accept"),
    }
}

/// SPEC §4.1, §4.3: the transition an authentic manifest makes.
pub fn judge(confirmed: &[u8], offered: &[u8], hardware: u16, damaged: bool) -> Checked {
    let (old, new) = (Manifest::parse(confirmed)?, Manifest::parse(offered)?);
    if !new.hardware.iter().any(|revision| revision == hardware) {
        return Err(Refusal::WrongHardware);
    }
    let (v, w) = (old.version, new.version);
    if new.kind == Kind::SecurityPatch && w.feature != v.feature {
        return Err(Refusal::PatchMovesFeature);
    }
    if !w.security.loses_nothing_of(&v.security) {
        return Err(Refusal::LosesFix);
    }
    let images = |m: &Manifest<'_>| -> Vec<_> {
        m.components.iter().map(|c| (c.id, c.images.iter().collect::<Vec<_>>())).collect()
    };
    if w == v {
        let repairs = new.kind == Kind::FeatureUpdate && damaged && images(&old) == images(&new);
        return if repairs { Ok("repair") } else { Err(Refusal::SameVersion) };
    }
    Ok(match w.feature.cmp(&v.feature) {
        std::cmp::Ordering::Equal => "patch",
        std::cmp::Ordering::Greater => "feature-update",
        std::cmp::Ordering::Less => "rollback",
    })
}

/// SPEC §4.5: the chunks of the first alternative.
pub fn payload(manifest: &[u8], stored: &[u8]) -> Checked {
    let manifest = Manifest::parse(manifest)?;
    let component = manifest.components.at(0).ok_or(Refusal::NoAlternative)?;
    let alternative = component.alternatives.at(0).ok_or(Refusal::NoAlternative)?;
    let mut expected = alternative.first.0;
    for chunk in stored.chunks(usize::from(alternative.chunk.get()) + 32) {
        if sha256(chunk) != expected {
            return Err(Refusal::ChunkDigest);
        }
        if let Some(next) = chunk.get(usize::from(alternative.chunk.get())..).and_then(|n| n.try_into().ok())
        {
            expected = next;
        }
    }
    Ok("accept")
}
