//! Signatures and quorums: the one place where keys are counted (I8, SPEC §5.2, §6.2, §7.1).

use core::hint::black_box;
use ed25519_dalek::VerifyingKey;
use patchlane_protocol::owner::SignedOwner;
use patchlane_protocol::{
    Algorithm, DeviceId, Digest, DocumentKind, GroupId, Kind, List, Manifest, Preimage, Product, PublicKey,
    Refusal, Request, Role, Roles, RootDocument, Signature, SignedRoot,
};
use sha2::{Digest as _, Sha256};

/// SHA-256 of one slice.
#[inline(never)]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// What a good signature is worth: no number that a register holds by chance (T47).
const GOOD: u32 = 0x5ac3_963c;

/// What was signed: the document's kind, its product, and its digest.
struct Signed {
    preimage: Preimage,
}

impl Signed {
    fn new(kind: DocumentKind, product: &Product, document: &[u8]) -> Self {
        Self { preimage: Preimage::new(kind, product, &sha256(document)) }
    }

    /// [`GOOD`] if `signature` is by `key` over this document. Strict: RFC 8032 canonical, no small-order points.
    #[inline(never)]
    fn seal(&self, key: &PublicKey, signature: &Signature) -> u32 {
        if key.id() != signature.key || key.algorithm != signature.algorithm {
            return 0;
        }
        match key.algorithm {
            Algorithm::Ed25519 => {
                let good = ed25519(&key.bytes, self.preimage.as_bytes(), &signature.bytes);
                u32::from(black_box(good)).wrapping_mul(GOOD)
            }
        }
    }

    /// True if `signature` is by `key` over this document.
    fn is_by(&self, key: &PublicKey, signature: &Signature) -> bool {
        self.seal(key, signature) == GOOD
    }
}

/// The one call to the curve.
fn ed25519(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        key.verify_strict(message, &signature).is_ok()
    })
}

/// Which roles have to reach their thresholds.
#[derive(Debug, Clone, Copy)]
enum Needs {
    /// The security role.
    Security,
    /// Both roles of a release.
    BothRoles,
    /// The root role of the old and of the new root.
    BothRoots,
}

/// A document that claims to be signed as it has to be. It holds all that [`Claim::holds`] looks at, so that the
/// documents themselves needn't stand on the stack while curves are computed.
pub(crate) struct Claim<'a> {
    signed: Signed,
    set: List<'a, Signature>,
    needs: Needs,
    roots: [Roles<'a>; 2],
    /// True if the root's ceilings admit it.
    within: bool,
}

impl<'a> Claim<'a> {
    fn roles(&self) -> [Option<&Role<'a>>; 2] {
        let [old, new] = &self.roots;
        match self.needs {
            Needs::Security => [Some(old.security()), None],
            Needs::BothRoles => [Some(old.security()), Some(old.feature())],
            Needs::BothRoots => [Some(old.root()), Some(new.root())],
        }
    }

    /// Every signature is valid and by a key of the roles, and each role reaches its threshold.
    ///
    /// A set is strictly ordered by key id and a root document lists a key once, so a key counts once in a role;
    /// a key that stands in both roles (the old and the new root) counts once in each.
    #[inline(never)]
    pub(crate) fn holds(&self) -> Result<(), Refusal> {
        let mut counts = [0u8; 2];
        for signature in self.set.iter() {
            let mut relevant = false;
            for (role, count) in self.roles().iter().zip(&mut counts) {
                let Some(key) = role.and_then(|role| role.key(&signature.key)) else { continue };
                relevant = true;
                let seal = self.signed.seal(&key, &signature);
                if seal != GOOD {
                    return Err(Refusal::BadSignature);
                }
                // What is counted is what was found, and not that the line above was passed.
                *count = count.saturating_add(u8::from(black_box(seal) == GOOD));
            }
            if !relevant {
                let listed = self.roots.iter().any(|roles| roles.list(&signature.key));
                return Err(if listed { Refusal::WrongRole } else { Refusal::UnknownKey });
            }
        }
        let reached = |(role, count): (&Option<&Role<'_>>, u8)| role.is_none_or(|r| count >= r.threshold());
        if !self.roles().iter().zip(counts).all(reached) {
            return Err(match self.needs {
                Needs::BothRoots => Refusal::RootQuorum,
                Needs::Security | Needs::BothRoles => Refusal::BelowThreshold,
            });
        }
        if self.within { Ok(()) } else { Err(Refusal::AboveCeiling) }
    }

    /// What a manifest with its signature set claims under `root`.
    pub(crate) fn of_manifest(
        document: &[u8],
        manifest: &Manifest<'_>,
        set: &List<'a, Signature>,
        root: &RootDocument<'a>,
    ) -> Result<Self, Refusal> {
        if manifest.product != root.product {
            return Err(Refusal::WrongProduct);
        }
        if manifest.root_version > root.version {
            return Err(Refusal::NeedRoot);
        }
        Ok(Self {
            signed: Signed::new(manifest.kind.document(), &manifest.product, document),
            set: *set,
            needs: match manifest.kind {
                Kind::SecurityPatch => Needs::Security,
                Kind::FeatureUpdate => Needs::BothRoles,
            },
            roots: [root.roles, root.roles],
            within: root.ceilings.admit(&manifest.version),
        })
    }

    /// What a root link claims under `present`.
    pub(crate) fn of_link(link: &SignedRoot<'a>, present: &RootDocument<'a>) -> Result<Self, Refusal> {
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
        Ok(Self {
            signed: Signed::new(DocumentKind::Root, &next.product, link.bytes),
            set: link.signatures,
            needs: Needs::BothRoots,
            roots: [present.roles, next.roles],
            within: true,
        })
    }
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
    Claim::of_manifest(document, manifest, set, root)?.holds()
}

/// Verifies a root link from `present`: exactly the next version, signed by the old and the new quorum.
///
/// # Errors
/// `WrongProduct`, `RootNotNext`, `CeilingLowered`, `DevelopmentRoot`, `RootQuorum`, and those of signatures.
pub fn link(link: &SignedRoot<'_>, present: &RootDocument<'_>) -> Result<(), Refusal> {
    Claim::of_link(link, present)?.holds()
}

/// How many of a root's own root keys signed it. Signatures by others, such as the quorum before it, are passed over.
///
/// For those who are handed a root file; a device is provisioned with a document, and follows links.
pub fn own_signers(root: &SignedRoot<'_>) -> usize {
    let signed = Signed::new(DocumentKind::Root, &root.document.product, root.bytes);
    let role = root.document.roles.root();
    let counts =
        |signature: &Signature| role.key(&signature.key).is_some_and(|key| signed.is_by(&key, signature));
    root.signatures.iter().filter(counts).count()
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
    pub group: GroupId,
    /// The last serial it accepted.
    pub serial: u64,
}

/// An owner document that claims to be signed by the owner. As [`Claim`]: all that its signatures need.
pub(crate) struct OwnerClaim<'a> {
    signed: Signed,
    set: List<'a, Signature>,
    anchor: PublicKey,
    next: Option<PublicKey>,
    /// What is to be said of it if it is signed.
    then: Result<(), Refusal>,
}

impl<'a> OwnerClaim<'a> {
    pub(crate) fn of(signed: &SignedOwner<'a>, on: &Addressee<'_>) -> Result<Self, Refusal> {
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
        let then = match next {
            _ if document.serial <= on.serial => Err(Refusal::SerialSpent),
            Some(key) => new_anchor(&key, on.root),
            None => Ok(()),
        };
        let signed_bytes = Signed::new(DocumentKind::Owner, &document.product, signed.bytes);
        Ok(Self { signed: signed_bytes, set: signed.signatures, anchor, next, then })
    }

    /// Signed by the anchor, and by the new one if there is one, and by nobody else.
    #[inline(never)]
    pub(crate) fn holds(&self) -> Result<(), Refusal> {
        let by = |key: &PublicKey| self.set.iter().any(|signature| self.signed.is_by(key, &signature));
        let needed = if self.next.is_some() { 2 } else { 1 };
        if !by(&self.anchor) || !self.next.is_none_or(|key| by(&key)) || self.set.len() != needed {
            return Err(Refusal::OwnerSignature);
        }
        self.then
    }
}

/// Verifies an owner document: anchor, target, serial, and a new anchor's own signature.
///
/// # Errors
/// `NoAnchor`, `WrongProduct`, `NotForThisDevice`, `OwnerSignature`, `SerialSpent`, `VendorKeyAsOwner`.
pub fn owner(signed: &SignedOwner<'_>, on: &Addressee<'_>) -> Result<(), Refusal> {
    OwnerClaim::of(signed, on)?.holds()
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
            hasher.update(image.size.get().to_le_bytes());
            hasher.update(image.digest.0);
        }
    }
    Digest(hasher.finalize().into())
}

#[cfg(test)]
mod vectors;
