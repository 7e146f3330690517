//! Vectors for signatures on manifests (SPEC §5.3, §5.4, §6).

use super::fixtures::{feature, kind, named, patch, product, role, root, sign, signers, version};
use super::mirror::{Manifest, Product, Role, Root, Signature, Tag, encode};
use super::{Expect, Vector};
use patchlane_protocol::{DocumentKind, FormatError, Refusal};

fn head(name: &'static str, root: &Root, manifest: &Manifest, set: Vec<Signature>, expect: Expect) -> Vector {
    let inputs = vec![("root", encode(root)), ("manifest", encode(manifest)), ("signatures", encode(&set))];
    Vector::judged(name, "verify-head", inputs, expect)
}

fn signed(name: &'static str, root: &Root, manifest: &Manifest, labels: &[&str], expect: Expect) -> Vector {
    head(name, root, manifest, sign(kind(manifest), &encode(manifest), labels), expect)
}

/// Who signed, what they may sign, how many it takes.
pub fn vectors() -> Vec<Vector> {
    [roles(), thresholds(), strictness(), bounds()].concat()
}

fn roles() -> Vec<Vector> {
    let no = |name, manifest: Manifest, labels: &[&str], refusal| {
        signed(name, &root(), &manifest, labels, Expect::Refuse(refusal))
    };
    vec![
        signed("head-patch", &root(), &patch(), &["security b"], Expect::Accept)
            .shows(&["M6.1", "M6.2", "M6.3", "M6.4", "M6.5"], "Any of the role's keys will do"),
        signed("head-feature-update", &root(), &feature(), &["security a", "feature"], Expect::Accept)
            .shows(&["M6.6"], "Both roles sign the same manifest"),
        no("head-unknown-key", patch(), &["stranger"], Refusal::UnknownKey)
            .shows(&["M6.2"], "A foreign or revoked key"),
        no("head-unknown-key-beside-a-good-one", patch(), &["security a", "stranger"], Refusal::UnknownKey)
            .shows(&["M6.2"], "Outside the signed bytes there is nothing that matters"),
        no("head-patch-by-feature-key", patch(), &["feature"], Refusal::WrongRole)
            .shows(&["M6.3"], "A feature key alone moves nothing"),
        no("head-patch-by-root-key", patch(), &["root a"], Refusal::WrongRole)
            .shows(&["M6.3"], "Root speaks for roots only"),
        no("head-feature-update-without-feature", feature(), &["security a"], Refusal::BelowThreshold)
            .shows(&["M6.6"], "A security key alone can't move features"),
        no("head-feature-update-without-security", feature(), &["feature"], Refusal::BelowThreshold)
            .shows(&["M6.6"], "A feature key alone moves nothing"),
        no(
            "head-feature-update-by-two-security-keys",
            feature(),
            &["security a", "security b"],
            Refusal::BelowThreshold,
        )
        .shows(&["M6.6"], "Signatures of one role don't count for the other"),
    ]
}

fn thresholds() -> Vec<Vector> {
    let two = Root { security: role(2, &["security a", "security b"]), ..root() };
    let manifest = patch();
    let once = sign(kind(&manifest), &encode(&manifest), &["security a"]);
    let twice = [once.clone(), once.clone()].concat();
    let v = |name, set: Vec<Signature>, error| Vector::refuse(name, "signatures", encode(&set), error);
    vec![
        Vector::accept("signatures-one", "signatures", encode(&once))
            .shows(&["M6.5"], "Key id, algorithm, R and S"),
        signed("head-two-of-two", &two, &manifest, &["security a", "security b"], Expect::Accept)
            .shows(&["M6.5"], "A quorum of distinct keys"),
        signed("head-one-of-two", &two, &manifest, &["security a"], Expect::Refuse(Refusal::BelowThreshold))
            .shows(&["M6.5"], "One stolen key isn't a quorum"),
        head(
            "head-duplicate-counted-twice",
            &two,
            &manifest,
            twice.clone(),
            Expect::Refuse(FormatError::NotIncreasing.into()),
        )
        .shows(&["M2.8", "M6.5"], "One key must not count as two"),
        v("signatures-duplicate", twice, FormatError::NotIncreasing)
            .shows(&["M2.8", "M6.5"], "One key must not count as two"),
        v("signatures-none", Vec::new(), FormatError::EmptyList).shows(&["M2.7"], "Unsigned"),
        v(
            "signatures-unknown-algorithm",
            vec![Signature { algorithm: Tag::T1, ..once[0].clone() }],
            FormatError::UnknownTag,
        )
        .shows(&["M2.5"], "What a reader can't verify it doesn't skip"),
        v(
            "signatures-too-many",
            {
                let numbered = |n: u8| Signature { key: [n; 8], ..once[0].clone() };
                (1..=9).map(numbered).collect()
            },
            FormatError::OverLimit,
        )
        .shows(&["M2.6"], "Nobody keeps a device verifying without end"),
    ]
}

/// The group order of edwards25519, little endian (RFC 8032 §5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The same scalar, one group order up: a second spelling of S that lax verifiers take.
fn plus_order(s: [u8; 32]) -> [u8; 32] {
    let mut carry = 0u16;
    std::array::from_fn(|i| {
        let sum = u16::from(s[i]) + u16::from(ORDER[i]) + carry;
        carry = sum >> 8;
        sum as u8
    })
}

fn strictness() -> Vec<Vector> {
    let bad = Expect::Refuse(Refusal::BadSignature);
    let manifest = patch();
    let document = encode(&manifest);
    let good = sign(DocumentKind::SecurityPatch, &document, &["security a"]);
    let altered = vec![Signature {
        s: {
            let mut s = good[0].s;
            s[0] ^= 1;
            s
        },
        ..good[0].clone()
    }];
    let malleable = vec![Signature { s: plus_order(good[0].s), ..good[0].clone() }];
    // The neutral element as key and as R, and S = 0: a lax verifier takes it for every message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let weak_key = super::mirror::Key { algorithm: Tag::T0, bytes: neutral };
    let weak_root = Root { security: Role { threshold: 1, keys: vec![weak_key] }, ..root() };
    let weak = vec![Signature { key: [1, 0, 0, 0, 0, 0, 0, 0], algorithm: Tag::T0, r: neutral, s: [0; 32] }];
    let as_feature = sign(DocumentKind::FeatureUpdate, &document, &["security a"]);
    let other = Manifest { issued_at: 1_800_000_001, ..patch() };
    let one_feature = Manifest { text: "Adds OPC UA and more".into(), ..feature() };
    let mut mixed = sign(DocumentKind::FeatureUpdate, &encode(&feature()), &["feature"]);
    mixed.extend(sign(DocumentKind::FeatureUpdate, &encode(&one_feature), &["security a"]));
    mixed.sort_by_key(|s| s.key);
    vec![
        head("head-signature-altered", &root(), &manifest, altered, bad).shows(&["M6.4"], "A forged release"),
        head("head-manifest-altered", &root(), &other, good, bad).shows(&["M6.4"], "Changed after signing"),
        head("head-signature-malleable", &root(), &manifest, malleable, bad)
            .shows(&["M6.4"], "S + L is a second spelling of one signature"),
        head("head-small-order-key", &weak_root, &manifest, weak, bad)
            .shows(&["M6.4"], "A key of small order signs everything"),
        head("head-patch-signed-as-feature-update", &root(), &manifest, as_feature, bad)
            .shows(&["M6.1"], "A signature on one kind of document never counts for another"),
        head("head-roles-sign-different-manifests", &root(), &feature(), mixed, bad)
            .shows(&["M6.6"], "Two half-approved releases don't make an approved one"),
    ]
}

fn bounds() -> Vec<Vector> {
    let under = |name, root: Root, manifest: Manifest, expect| {
        let labels = signers(&manifest);
        signed(name, &root, &manifest, labels, expect)
    };
    let no = |name, root, manifest, refusal| under(name, root, manifest, Expect::Refuse(refusal));
    let at = |line, step, level| Manifest { version: version(line, step, level), ..feature() };
    let foreign = Product { vendor: [0; 16], ..product() };
    assert_ne!(named(&foreign), named(&product()));
    vec![
        under("head-at-ceiling", root(), at(9, 99, 99), Expect::Accept)
            .shows(&["M5.11"], "Ceilings are inclusive"),
        no("head-above-step-ceiling", root(), at(9, 100, 99), Refusal::AboveCeiling)
            .shows(&["M5.11"], "A thief fast-forwards until no honest release is newer"),
        no("head-above-level-ceiling", root(), at(9, 99, 100), Refusal::AboveCeiling)
            .shows(&["M5.11"], "A thief fast-forwards until no honest patch is newer"),
        under("head-made-under-older-root", Root { version: 2, ..root() }, patch(), Expect::Accept)
            .shows(&["M5.10"], "Rotation doesn't spoil what is out, if its keys still stand"),
        no("head-needs-newer-root", root(), Manifest { root_version: 2, ..patch() }, Refusal::NeedRoot)
            .shows(&["M5.10"], "Stripping the links from a patch must not keep a stolen key alive"),
        no("head-other-vendor", Root { product: foreign, ..root() }, patch(), Refusal::WrongProduct)
            .shows(&["M4.3"], "Right key, wrong product"),
    ]
}
