//! Vectors for root documents and the links between them (SPEC §5).

use super::fixtures::{framed, link, product, role, root, sign, splice};
use super::mirror::{Product, Root, encode};
use super::{Expect, Vector};
use patchlane_protocol::{DocumentKind, FormatError, Refusal};

/// SPEC §5.1.
pub fn documents() -> Vec<Vector> {
    let accepted = vec![
        Vector::accept("root-document", "root-document", encode(&root()))
            .shows(&["M5.1", "M5.3"], "The fields in their order"),
        Vector::accept("root-largest-link", "root-link", largest())
            .shows(&["M5.2", "M5.4"], "All keys there can be, each needed, and all signatures"),
        Vector::accept("root-link", "root-link", link(&next(), &["root a", "root b"]))
            .shows(&["M5.6"], "Length, document, signatures"),
    ];
    [accepted, numbers(), keys()].concat()
}

fn largest() -> Vec<u8> {
    let (security, feature) = (role(3, &["s1", "s2", "s3"]), role(3, &["f1", "f2", "f3"]));
    let root = Root { root: role(5, &["r1", "r2", "r3", "r4", "r5"]), security, feature, ..next() };
    link(&root, &["r1", "r2", "r3", "r4", "r5", "root a", "root b", "root c"])
}

fn refuse(name: &'static str, root: Root, error: FormatError) -> Vector {
    Vector::refuse(name, "root-document", encode(&root), error)
}

fn numbers() -> Vec<Vector> {
    let v = refuse;
    let long = [encode(&root()), vec![0; 512]].concat();
    vec![
        v("root-version-zero", Root { version: 0, ..root() }, FormatError::ZeroVersion)
            .shows(&["M5.1"], "Counting starts at one"),
        v(
            "root-threshold-zero",
            Root { security: role(0, &["security a"]), ..root() },
            FormatError::BadThreshold,
        )
        .shows(&["M5.2"], "Nobody's signature must not suffice"),
        v(
            "root-threshold-above-keys",
            Root { feature: role(2, &["feature"]), ..root() },
            FormatError::BadThreshold,
        )
        .shows(&["M5.2"], "A role that can never sign stops its lane for good"),
        Vector::refuse("root-too-long", "root-document", long, FormatError::OverLimit)
            .shows(&["M5.4"], "Buffers have a size"),
        Vector::refuse("root-link-too-long", "root-link", vec![0; 1_025], FormatError::OverLimit)
            .shows(&["M5.4"], "Buffers have a size"),
    ]
}

fn keys() -> Vec<Vector> {
    let v = refuse;
    vec![
        v(
            "root-key-in-two-roles",
            Root { feature: role(1, &["security a"]), ..root() },
            FormatError::DuplicateKey,
        )
        .shows(&["M5.3"], "One person's signature must not serve two roles"),
        v(
            "root-key-twice-in-role",
            {
                let mut twice = root();
                twice.security.keys[1] = twice.security.keys[0].clone();
                twice
            },
            FormatError::NotIncreasing,
        )
        .shows(&["M2.8", "M5.3"], "One key must not count as two"),
        v(
            "root-keys-share-an-id",
            {
                let mut close = root();
                close.feature.keys[0].bytes = close.security.keys[0].bytes;
                close.feature.keys[0].bytes[31] ^= 0x80;
                close
            },
            FormatError::DuplicateKey,
        )
        .shows(&["M5.3"], "A key id names one key"),
        v("root-role-without-keys", Root { feature: role(1, &[]), ..root() }, FormatError::EmptyList)
            .shows(&["M2.7"], "A role without keys can't sign"),
        v(
            "root-too-many-role-keys",
            Root { feature: role(1, &["1", "2", "3", "4"]), ..root() },
            FormatError::OverLimit,
        )
        .shows(&["M2.6"], "Buffers have a size"),
    ]
}

fn next() -> Root {
    Root { version: 2, ..root() }
}

fn rotated() -> Root {
    Root { root: role(2, &["root c", "root d", "root e"]), ..next() }
}

/// SPEC §5.2.
pub fn links() -> Vec<Vector> {
    [chain(), quorums()].concat()
}

fn follows(name: &'static str, link: Vec<u8>, expect: Expect) -> Vector {
    Vector::judged(name, "verify-link", vec![("present", encode(&root())), ("link", link)], expect)
}

fn chain() -> Vec<Vector> {
    let both = &["root a", "root b"];
    let no = |name, root: Root, refusal| follows(name, link(&root, both), Expect::Refuse(refusal));
    let development = Root { development: true, ..root() };
    let promoted = vec![("present", encode(&development)), ("link", link(&next(), both))];
    vec![
        follows("link-next", link(&next(), both), Expect::Accept)
            .shows(&["M5.5", "M5.7", "M5.9"], "The same keys, one version on"),
        Vector::judged("link-development-to-production", "verify-link", promoted, Expect::Accept)
            .shows(&["M5.8"], "A product may grow up"),
        no("link-skips-a-version", Root { version: 3, ..root() }, Refusal::RootNotNext)
            .shows(&["M5.5"], "A skipped root may have revoked the keys that sign this one"),
        no("link-same-version", root(), Refusal::RootNotNext).shows(&["M5.5"], "Two roots of one version"),
        no("link-lowers-feature-ceiling", Root { step: 98, ..next() }, Refusal::CeilingLowered)
            .shows(&["M5.7"], "What was released stays installable"),
        no("link-lowers-level-ceiling", Root { level: 98, ..next() }, Refusal::CeilingLowered)
            .shows(&["M5.7"], "A patch must not be shut out"),
        no("link-back-to-development", Root { development: true, ..next() }, Refusal::DevelopmentRoot)
            .shows(&["M5.8"], "A production device doesn't trust keys from a developer's disk"),
        no(
            "link-other-product",
            Root { product: Product { class: [0; 16], ..product() }, ..next() },
            Refusal::WrongProduct,
        )
        .shows(&["M5.9"], "One vendor, two products, shared root keys"),
    ]
}

fn quorums() -> Vec<Vector> {
    let all = &["root a", "root b", "root d", "root e"];
    let no = |name, link, refusal| follows(name, link, Expect::Refuse(refusal));
    let good = link(&next(), &["root a", "root b"]);
    let mut altered = good.clone();
    let last = altered.len() - 40;
    altered[last] ^= 1;
    let document = encode(&next());
    let as_patch = framed(&document, &sign(DocumentKind::SecurityPatch, &document, &["root a", "root b"]));
    // The set's count lies right behind the document.
    let first = document.len() + 3;
    let twice = splice(&good, first + 73, 73, &good[first..first + 73]);
    vec![
        follows("link-rotates-keys", link(&rotated(), all), Expect::Accept)
            .shows(&["M5.6"], "Two of the old three and two of the new three"),
        follows(
            "link-key-counts-for-both",
            link(&rotated(), &["root a", "root c", "root d"]),
            Expect::Accept,
        )
        .shows(&["M5.6"], "A key in both roots counts once in each"),
        no("link-old-quorum-only", link(&rotated(), &["root a", "root b"]), Refusal::RootQuorum)
            .shows(&["M5.6"], "A mistyped new key would lock the vendor out"),
        no("link-new-quorum-only", link(&rotated(), &["root d", "root e"]), Refusal::RootQuorum)
            .shows(&["M5.6"], "Anyone can name themselves root"),
        no("link-one-signature", link(&next(), &["root a"]), Refusal::RootQuorum)
            .shows(&["M5.6"], "One stolen root key isn't a quorum"),
        Vector::refuse("root-link-signature-twice", "root-link", twice, FormatError::NotIncreasing)
            .shows(&["M2.8", "M6.5"], "One key must not count as two (TUF GHSA-5q2r-92f9-4m49)"),
        no("link-signed-by-security", link(&next(), &["root a", "root b", "security a"]), Refusal::WrongRole)
            .shows(&["M6.3"], "Only root speaks for root"),
        no("link-signed-by-stranger", link(&next(), &["root a", "root b", "stranger"]), Refusal::UnknownKey)
            .shows(&["M6.2"], "Nothing outside the quorums rides along"),
        no("link-signature-altered", altered, Refusal::BadSignature).shows(&["M6.4"], "A forged root"),
        no("link-signed-as-patch", as_patch, Refusal::BadSignature)
            .shows(&["M6.1"], "A signature on one kind of document never counts for another"),
    ]
}
