//! Signatures and quorums: the one place where keys are counted (I8, SPEC §5.2, §6.2, §7.1).

use ed25519_dalek::VerifyingKey;
use patchlane_protocol::owner::SignedOwner;
use patchlane_protocol::{
    Algorithm, DeviceId, Digest, DocumentKind, Kind, List, Manifest, Preimage, Product, PublicKey, Refusal,
    Request, Role, RootDocument, Signature, SignedRoot,
};
use sha2::{Digest as _, Sha256};

/// SHA-256 of one slice.
#[inline(never)]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// What was signed: the document's kind, its product, and its digest.
struct Signed {
    preimage: Preimage,
}

impl Signed {
    fn new(kind: DocumentKind, product: &Product, document: &[u8]) -> Self {
        Self { preimage: Preimage::new(kind, product, &sha256(document)) }
    }

    /// True if `signature` is by `key` over this document. Strict: RFC 8032 canonical, no small-order points.
    fn is_by(&self, key: &PublicKey, signature: &Signature) -> bool {
        if key.id() != signature.key || key.algorithm != signature.algorithm {
            return false;
        }
        match key.algorithm {
            Algorithm::Ed25519 => VerifyingKey::from_bytes(&key.bytes).is_ok_and(|key| {
                let signature = ed25519_dalek::Signature::from_bytes(&signature.bytes);
                key.verify_strict(self.preimage.as_bytes(), &signature).is_ok()
            }),
        }
    }
}

/// Every signature is valid and by a key of `roles`, and each role reaches its threshold.
///
/// A set is strictly ordered by key id and a root document lists a key once, so a key counts once in a role;
/// a key that stands in both roles (the old and the new root) counts once in each.
///
/// `roots` are the documents that list keys at all.
fn quorum(
    signed: &Signed,
    set: &List<'_, Signature>,
    roles: [Option<&Role<'_>>; 2],
    roots: [&RootDocument<'_>; 2],
) -> Result<(), Refusal> {
    let mut counts = [0u8; 2];
    for signature in set.iter() {
        let mut relevant = false;
        for (role, count) in roles.iter().zip(&mut counts) {
            let Some(key) = role.and_then(|role| role.key(&signature.key)) else { continue };
            relevant = true;
            if !signed.is_by(&key, &signature) {
                return Err(Refusal::BadSignature);
            }
            *count = count.saturating_add(1);
        }
        if !relevant {
            let listed = roots.iter().any(|root| root.roles.list(&signature.key));
            return Err(if listed { Refusal::WrongRole } else { Refusal::UnknownKey });
        }
    }
    let reached =
        roles.iter().zip(counts).all(|(role, count)| role.is_none_or(|role| count >= role.threshold()));
    if reached { Ok(()) } else { Err(Refusal::BelowThreshold) }
}

/// Verifies a manifest with its signature set under `root`: product, root version, quorums, ceilings.
///
/// # Errors
/// `WrongProduct`, `NeedRoot`, `UnknownKey`, `WrongRole`, `BadSignature`, `BelowThreshold`, `AboveCeiling`.
pub fn manifest(
    document: &[u8],
    manifest: &Manifest<'_>,
    set: &List<'_, Signature>,
    root: &RootDocument<'_>,
) -> Result<(), Refusal> {
    if manifest.product != root.product {
        return Err(Refusal::WrongProduct);
    }
    if manifest.root_version > root.version {
        return Err(Refusal::NeedRoot);
    }
    let feature = match manifest.kind {
        Kind::SecurityPatch => None,
        Kind::FeatureUpdate => Some(root.roles.feature()),
    };
    let signed = Signed::new(manifest.kind.document(), &manifest.product, document);
    quorum(&signed, set, [Some(root.roles.security()), feature], [root, root])?;
    if root.ceilings.admit(&manifest.version) { Ok(()) } else { Err(Refusal::AboveCeiling) }
}

/// Verifies a root link from `present`: exactly the next version, signed by the old and the new quorum.
///
/// # Errors
/// `WrongProduct`, `RootNotNext`, `CeilingLowered`, `DevelopmentRoot`, `RootQuorum`, and those of signatures.
pub fn link(link: &SignedRoot<'_>, present: &RootDocument<'_>) -> Result<(), Refusal> {
    let next = &link.document;
    if next.product != present.product {
        return Err(Refusal::WrongProduct);
    }
    if present.version.checked_add(1) != Some(next.version) {
        return Err(Refusal::RootNotNext);
    }
    if !next.ceilings.cover(&present.ceilings) {
        return Err(Refusal::CeilingLowered);
    }
    if next.development && !present.development {
        return Err(Refusal::DevelopmentRoot);
    }
    let signed = Signed::new(DocumentKind::Root, &next.product, link.bytes);
    let roles = [Some(present.roles.root()), Some(next.roles.root())];
    match quorum(&signed, &link.signatures, roles, [present, next]) {
        Err(Refusal::BelowThreshold) => Err(Refusal::RootQuorum),
        other => other,
    }
}

/// The device an owner document speaks to.
#[derive(Debug, Clone, Copy)]
pub struct Addressee<'a> {
    /// The root it trusts.
    pub root: &'a RootDocument<'a>,
    /// Its owner anchor.
    pub anchor: Option<PublicKey>,
    /// Its id.
    pub device: DeviceId,
    /// Its group.
    pub group: u32,
    /// The last serial it accepted.
    pub serial: u64,
}

/// Verifies an owner document: anchor, target, serial, and a new anchor's own signature.
///
/// # Errors
/// `NoAnchor`, `WrongProduct`, `NotForThisDevice`, `OwnerSignature`, `SerialSpent`, `VendorKeyAsOwner`.
pub fn owner(signed: &SignedOwner<'_>, on: &Addressee<'_>) -> Result<(), Refusal> {
    let document = &signed.document;
    let anchor = on.anchor.ok_or(Refusal::NoAnchor)?;
    if document.product != on.root.product {
        return Err(Refusal::WrongProduct);
    }
    if !document.target.includes(&on.device, on.group) {
        return Err(Refusal::NotForThisDevice);
    }
    let next = match document.request {
        Request::Anchor(key) => Some(key),
        _ => None,
    };
    let over = Signed::new(DocumentKind::Owner, &document.product, signed.bytes);
    let by = |key: &PublicKey| signed.signatures.iter().any(|signature| over.is_by(key, &signature));
    let needed = if next.is_some() { 2 } else { 1 };
    if !by(&anchor) || !next.is_none_or(|key| by(&key)) || signed.signatures.len() != needed {
        return Err(Refusal::OwnerSignature);
    }
    if document.serial <= on.serial {
        return Err(Refusal::SerialSpent);
    }
    match next {
        Some(key) => new_anchor(&key, on.root),
        None => Ok(()),
    }
}

/// A vendor key can't be an owner key: consent is the owner's own.
///
/// # Errors
/// `VendorKeyAsOwner`; `BadSignature` for a key that every signature would satisfy.
pub fn new_anchor(key: &PublicKey, root: &RootDocument<'_>) -> Result<(), Refusal> {
    if root.roles.list(&key.id()) {
        return Err(Refusal::VendorKeyAsOwner);
    }
    match VerifyingKey::from_bytes(&key.bytes) {
        Ok(point) if !point.is_weak() => Ok(()),
        _ => Err(Refusal::BadSignature),
    }
}

/// Digest over all components' images: what "the same component digests" compares.
pub fn images(manifest: &Manifest<'_>) -> Digest {
    let mut hasher = Sha256::new();
    for component in manifest.components.iter() {
        hasher.update([component.id.0]);
        for image in component.images.iter() {
            let address = image.address.map_or([0; 5], |address| {
                let [a, b, c, d] = address.to_le_bytes();
                [1, a, b, c, d]
            });
            hasher.update(address);
            hasher.update(image.size.to_le_bytes());
            hasher.update(image.digest.0);
        }
    }
    Digest(hasher.finalize().into())
}
