//! The one small world that all vectors live in: fixed keys, a product, a root, a patch, a feature update.

use super::mirror::{self, Tag};
use ed25519_dalek::{Signer, SigningKey};
use patchlane_protocol::{ClassId, Digest, DocumentKind, Preimage, Product, VendorId};
use sha2::{Digest as _, Sha256};

/// Data bytes per chunk in all vectors: the least allowed, so that files stay short.
pub const CHUNK: u16 = 128;

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The key with this label. Anyone can compute it: it protects nothing.
pub fn key(label: &str) -> SigningKey {
    SigningKey::from_bytes(&sha256(format!("patchlane vector key: {label}").as_bytes()))
}

/// The public half.
pub fn public(label: &str) -> [u8; 32] {
    key(label).verifying_key().to_bytes()
}

/// The product of all vectors.
pub fn product() -> mirror::Product {
    mirror::Product {
        vendor: std::array::from_fn(|i| 0x10 + i as u8),
        class: std::array::from_fn(|i| 0x20 + i as u8),
    }
}

/// The same product as the protocol crate names it.
pub fn named(product: &mirror::Product) -> Product {
    Product { vendor: VendorId(product.vendor), class: ClassId(product.class) }
}

/// The preimage for a document.
pub fn preimage(kind: DocumentKind, product: &mirror::Product, document: &[u8]) -> [u8; 96] {
    *Preimage::new(kind, &named(product), &Digest(sha256(document))).as_bytes()
}

/// A signature set by these keys, in order.
pub fn sign(kind: DocumentKind, document: &[u8], labels: &[&str]) -> Vec<mirror::Signature> {
    let preimage = preimage(kind, &product(), document);
    let mut set: Vec<_> = labels.iter().map(|label| signature(&key(label), &preimage)).collect();
    set.sort_by_key(|s| s.key);
    set
}

fn signature(key: &SigningKey, message: &[u8]) -> mirror::Signature {
    let bytes = key.sign(message).to_bytes();
    let (mut r, mut s) = ([0; 32], [0; 32]);
    r.copy_from_slice(&bytes[..32]);
    s.copy_from_slice(&bytes[32..]);
    mirror::Signature { key: id(&key.verifying_key().to_bytes()), algorithm: Tag::T0, r, s }
}

/// The first eight bytes of a public key.
pub fn id(public: &[u8; 32]) -> [u8; 8] {
    std::array::from_fn(|i| public[i])
}

/// A role of these keys.
pub fn role(threshold: u8, labels: &[&str]) -> mirror::Role {
    let mut keys: Vec<_> =
        labels.iter().map(|l| mirror::Key { algorithm: Tag::T0, bytes: public(l) }).collect();
    keys.sort_by_key(|k| id(&k.bytes));
    mirror::Role { threshold, keys }
}

/// Root 1: two of three for root, one of two for security, one for feature; ceilings 9.99 s99.
pub fn root() -> mirror::Root {
    mirror::Root {
        product: product(),
        version: 1,
        development: false,
        line: 9,
        step: 99,
        level: 99,
        root: role(2, &["root a", "root b", "root c"]),
        security: role(1, &["security a", "security b"]),
        feature: role(1, &["feature"]),
    }
}

/// The image of all vectors: 300 bytes, so that its payload has three chunks.
pub fn image() -> Vec<u8> {
    (0..300u32).map(|i| (i * 7 % 251) as u8).collect()
}

/// The first chunk's digest, and the payload as it lies in a bundle.
pub fn chain(data: &[u8]) -> ([u8; 32], Vec<u8>) {
    let mut next: Option<[u8; 32]> = None;
    let mut chunks = Vec::new();
    for block in data.chunks(usize::from(CHUNK)).rev() {
        let mut chunk = block.to_vec();
        chunk.extend(next.iter().flatten());
        next = Some(sha256(&chunk));
        chunks.push(chunk);
    }
    chunks.reverse();
    (next.unwrap_or_default(), chunks.concat())
}

/// A raw alternative for image 0.
pub fn raw() -> mirror::Alternative {
    let data = image();
    mirror::Alternative {
        image: 0,
        encoding: Tag::T0,
        base: None,
        size: data.len() as u32,
        chunk: CHUNK,
        ram: 0,
        first: chain(&data).0,
    }
}

/// A version with nothing open.
pub fn version(line: u16, step: u16, level: u32) -> mirror::Version {
    mirror::Version { line, step, level, open: Vec::new() }
}

/// The security patch `4.1 s8`: one component, one raw alternative, one advisory.
pub fn patch() -> mirror::Manifest {
    let image = mirror::Image { address: None, size: 300, digest: sha256(&image()) };
    mirror::Manifest {
        kind: Tag::T0,
        product: product(),
        hardware: vec![1, 2],
        version: version(4, 1, 8),
        root_version: 1,
        components: vec![mirror::Component { id: 0, images: vec![image], alternatives: vec![raw()] }],
        advisories: vec![mirror::Advisory {
            index: 8,
            id: "CVE-2027-12345".into(),
            severity: Tag::T4,
            exploited: true,
        }],
        issued_at: 1_800_000_000,
        support_end: 1_957_000_000,
        evidence: Some(sha256(b"evidence")),
        text: "Fixes a stack overflow in the Modbus parser".into(),
        combined: None,
    }
}

/// The feature update `5.0 s8` with the same image.
pub fn feature() -> mirror::Manifest {
    mirror::Manifest {
        kind: Tag::T1,
        version: version(5, 0, 8),
        text: "Adds OPC UA".into(),
        combined: Some(mirror::Combined { reason: Tag::T1, because: "The new stack is the fix".into() }),
        ..patch()
    }
}

/// The kind of signature a manifest gets.
pub fn kind(manifest: &mirror::Manifest) -> DocumentKind {
    if manifest.kind == Tag::T0 { DocumentKind::SecurityPatch } else { DocumentKind::FeatureUpdate }
}

/// The keys that suffice for a manifest.
pub fn signers(manifest: &mirror::Manifest) -> &'static [&'static str] {
    if manifest.kind == Tag::T0 { &["security a"] } else { &["security a", "feature"] }
}

/// A length as two bytes, little endian.
pub fn short(length: usize) -> [u8; 2] {
    (length as u16).to_le_bytes()
}

/// `length u16 LE, document, signature set`.
pub fn framed(document: &[u8], signatures: &[mirror::Signature]) -> Vec<u8> {
    [&short(document.len())[..], document, &mirror::encode(&signatures.to_vec())].concat()
}

/// A root link to `next`.
pub fn link(next: &mirror::Root, labels: &[&str]) -> Vec<u8> {
    let document = mirror::encode(next);
    framed(&document, &sign(DocumentKind::Root, &document, labels))
}

/// The ten bytes before everything else.
pub fn header(links: u8, manifest: usize, signatures: usize) -> Vec<u8> {
    [&b"PLBN\x01"[..], &[links], &short(manifest), &short(signatures)].concat()
}

/// A whole bundle of these parts.
pub fn bundle(links: &[Vec<u8>], manifest: &mirror::Manifest, payloads: &[u8]) -> Vec<u8> {
    let document = mirror::encode(manifest);
    let set = mirror::encode(&sign(kind(manifest), &document, signers(manifest)));
    let mut bytes = header(links.len() as u8, document.len(), set.len());
    for link in links {
        bytes.extend(short(link.len()));
        bytes.extend(link);
    }
    [bytes, document, set, payloads.to_vec()].concat()
}

/// `bytes` with `width` bytes at `at` replaced.
pub fn splice(bytes: &[u8], at: usize, width: usize, by: &[u8]) -> Vec<u8> {
    [&bytes[..at], by, &bytes[at + width..]].concat()
}
