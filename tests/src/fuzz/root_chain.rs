//! Chains of root documents: who signs the next root, and how far a device follows. Every verifier says the same; and so
//! does a count of labels that never sees a signature.

use super::{Choices, agreed};
use crate::sim::world::{PRODUCT, Release, key};
use crate::vectors::{all, describe::rewrite, fixtures, mirror};
use ed25519_dalek::SigningKey;
use patchlane::bundle::{Bundle, sha256, signature};
use patchlane_protocol::bundle::Header;
use patchlane_protocol::{
    Baseline, Ceilings, DocumentKind, List, Preimage, PublicKey, Role, Roles, RootDocument, Signature,
    SignedRoot,
};
use std::sync::LazyLock;

/// Keys that roots may list, sorted by their ids.
static KEYS: LazyLock<Vec<(SigningKey, PublicKey)>> = LazyLock::new(|| {
    let named = |n: u32| {
        let key = key(&format!("fuzz root {n}"));
        let public = PublicKey::ed25519(key.verifying_key().to_bytes());
        (key, public)
    };
    let mut keys: Vec<_> = (0..8).map(named).collect();
    keys.sort_by_key(|(_, public)| public.id());
    keys
});

/// Head and payload of a release without links.
static RELEASE: LazyLock<(Header, Vec<u8>)> = LazyLock::new(|| {
    let bytes = Release { payload: false, ..Release::patch(4, 1, 8, vec![7; 300]) }.bytes();
    let (header, rest) = bytes.split_at(Header::WIDTH);
    (Header::parse(header).expect("a header"), rest.to_vec())
});

/// A root, in plain numbers; who has a role is a bit for each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plain {
    product: bool,
    version: u32,
    development: bool,
    ceilings: (u16, u32),
    /// Root, security, feature: which keys, and how many of them suffice.
    roles: [(u8, u8); 3],
}

impl Plain {
    /// The document, if there is one of these numbers.
    fn document(&self) -> Option<Vec<u8>> {
        let keys = self.roles.map(|(mask, _)| -> Vec<PublicKey> { chosen(mask).map(|k| k.1).collect() });
        let role = |n: usize| Role::new(self.roles[n].1, List::of(&keys[n]).ok()?).ok();
        let mut product = PRODUCT;
        product.class.0[0] ^= u8::from(!self.product);
        let (line, level) = self.ceilings;
        let document = RootDocument {
            product,
            version: self.version,
            development: self.development,
            ceilings: Ceilings { feature: Baseline { line, step: 0 }, level },
            roles: Roles::new(role(0)?, role(1)?, role(2)?).ok()?,
        };
        document.encode(&mut [0; 1024]).ok().map(<[u8]>::to_vec)
    }

    /// What the rules say of `next` after this one, signed well by these keys: SPEC §5.2, counted.
    fn follows(&self, next: &Self, signers: u8) -> bool {
        let reached = |(mask, threshold): (u8, u8)| (mask & signers).count_ones() >= u32::from(threshold);
        let (old, new) = (self.roles[0], next.roles[0]);
        self.product == next.product
            && self.version.checked_add(1) == Some(next.version)
            && next.ceilings.0 >= self.ceilings.0
            && next.ceilings.1 >= self.ceilings.1
            && (self.development || !next.development)
            && signers & !(old.0 | new.0) == 0
            && reached(old)
            && reached(new)
    }
}

fn chosen(mask: u8) -> impl Iterator<Item = &'static (SigningKey, PublicKey)> {
    KEYS.iter().enumerate().filter(move |(n, _)| mask >> n & 1 == 1).map(|(_, key)| key)
}

fn link(document: &[u8], signers: u8, broken: usize) -> Option<Vec<u8>> {
    let product = RootDocument::parse(document).ok()?.product;
    let preimage = Preimage::new(DocumentKind::Root, &product, &sha256(document));
    let mut set: Vec<Signature> = chosen(signers).map(|(key, _)| signature(key, &preimage)).collect();
    if let Some(count) = Some(set.len()).filter(|count| *count > 0 && broken != 0) {
        set[broken % count].bytes[broken >> 3 & 63] ^= 1 << (broken & 7);
    }
    SignedRoot::encode(document, &List::of(&set).ok()?, &mut [0; 2048]).ok().map(<[u8]>::to_vec)
}

/// An input: a link as it travels; or roots by their numbers, each with who signed it.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    if choices.flag() {
        let (bytes, present) = (choices.rest(), mirror::encode(&fixtures::root()));
        if let Ok(again) = rewrite("root-link", bytes) {
            assert_eq!(again, bytes, "a second spelling");
        }
        let _ = agreed("a link", |who| who.link(bytes, &present));
        return;
    }
    chain(&mut choices);
}

fn drawn(choices: &mut Choices<'_>, before: Option<&Plain>) -> Plain {
    let bits = choices.byte();
    let stays = before.filter(|_| bits & 4 != 0);
    let (base, version) = before.map_or((1, 1), |before| (before.version, before.version.wrapping_add(1)));
    Plain {
        product: bits & 2 == 0,
        version: if bits & 8 == 0 { version } else { base.wrapping_add(choices.word()) },
        development: bits & 1 == 1,
        ceilings: stays
            .map_or_else(|| (u16::from(choices.byte()), u32::from(choices.byte())), |b| b.ceilings),
        roles: std::array::from_fn(|n| {
            stays.filter(|_| bits >> (4 + n) & 1 == 0).map_or_else(
                || {
                    let thresholds = choices.byte();
                    (choices.byte(), thresholds & 7)
                },
                |before| before.roles[n],
            )
        }),
    }
}

/// Roots one after the other, until one isn't followed: by the device, by the count, and by the host's walk.
fn chain(choices: &mut Choices<'_>) {
    let first = drawn(choices, None);
    let Some(trusted) = first.document() else { return };
    let (mut present, mut document) = (first, trusted.clone());
    let (mut links, mut broke) = (Vec::new(), false);
    while !choices.is_empty() && links.len() < 4 && !broke {
        let next = drawn(choices, Some(&present));
        let (signers, broken) = (choices.byte(), if choices.byte() & 3 == 3 { choices.short() } else { 0 });
        let Some(new) = next.document() else { return };
        let Some(link) = link(&new, signers, broken) else { return };
        assert_eq!(rewrite("root-link", &link).as_deref(), Ok(&link[..]));
        let verdict = agreed("a link", |who| who.link(&link, &document));
        let counted = present.follows(&next, signers) && broken == 0;
        assert_eq!(verdict == Ok("accept"), counted, "{verdict:?}: {present:?}, {next:?}, {signers:#b}");
        links.push(link);
        if counted {
            (present, document) = (next, new);
        } else {
            // The host passes over what isn't newer, if it is for this product.
            broke = next.product != present.product || next.version > present.version;
        }
    }
    walked(&trusted, &links, (!broke).then_some(&document));
}

/// The host walks a bundle's links to the same root.
fn walked(trusted: &[u8], links: &[Vec<u8>], last: Option<&Vec<u8>>) {
    let (header, rest) = &*RELEASE;
    let header = Header { links: links.len() as u8, ..*header };
    let mut bytes = header.encode(&mut [0; Header::WIDTH]).expect("a header").to_vec();
    for link in links {
        bytes.extend((link.len() as u16).to_le_bytes());
        bytes.extend(link);
    }
    bytes.extend(rest);
    let bundle = Bundle::parse(bytes).expect("a bundle");
    let reached = bundle.walk(RootDocument::parse(trusted).expect("a root"));
    let reached = reached.ok().map(|root| root.encode(&mut [0; 1024]).expect("a root").to_vec());
    assert_eq!(reached.as_ref(), last, "the host reaches another root");
}

/// The links among the vectors; chains that are followed, and some that aren't.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for vector in all() {
        let input = match vector.document {
            "root-link" => "input",
            "verify-link" => "link",
            _ => continue,
        };
        seeds.push((vector.name.to_owned(), [&[1], vector.bytes(input)].concat()));
    }
    // Root keys 0 to 2, two of them needed; then key 3 comes and key 0 goes.
    let first = [0, 0, 9, 99, 2, 0b111, 1, 0b1_0000, 1, 0b10_0000];
    let same = [0x04, 0b11, 0];
    let rotated = [0x14, 2, 0b1110, 0b0110, 0];
    let raised = [0, 10, 120, 1, 0b1, 1, 0b1_0000, 1, 0b10_0000, 0b111, 0];
    for (name, steps) in [
        ("followed", vec![&same[..], &rotated, &same]),
        ("rotated-and-too-few", vec![&rotated, &[0x04, 0b0100, 0]]),
        ("raised", vec![&raised]),
        ("broken", vec![&[0x04, 0b11, 3, 9, 1]]),
        ("development", vec![&[0x05, 0b11, 0]]),
        ("skipped", vec![&[0x0c, 2, 0, 0, 0, 0b11, 0], &same]),
    ] {
        seeds.push((format!("chain-{name}"), [&[0][..], &first, &steps.concat()].concat()));
    }
    seeds
}
