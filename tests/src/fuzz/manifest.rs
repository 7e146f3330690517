//! A manifest: one spelling, which postcard shares; the same verdict by every verifier under roots of other thresholds,
//! with signatures of all sorts; and the transition it makes.

use super::{Choices, agreed};
use crate::vectors::fixtures::{self, id, public, role};
use crate::vectors::{all, describe::rewrite, mirror};
use patchlane_protocol::{DocumentKind, Kind, Manifest, Refusal};
use std::sync::LazyLock;

/// Who may sign.
const SIGNERS: [&str; 6] = ["security a", "security b", "feature", "root a", "stranger", "feature b"];

/// Roots of the vectors' world: the usual one; two security keys needed; low ceilings.
static ROOTS: LazyLock<Vec<mirror::Root>> = LazyLock::new(|| {
    let root = fixtures::root();
    let both = mirror::Root { security: role(2, &["security a", "security b"]), ..root.clone() };
    let features = mirror::Root { feature: role(2, &["feature", "feature b"]), ..root.clone() };
    let low = mirror::Root { line: 4, step: 1, level: 8, ..root.clone() };
    vec![root, both, features, low]
});

/// An input: a root, who signs, which signature is broken and how; then a manifest.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let root = choices.of(&ROOTS[..]);
    let (signers, broken, other_kind) = (choices.byte(), choices.short(), choices.flag());
    let bytes = choices.rest();
    let Ok(manifest) = Manifest::parse(bytes) else { return };
    assert_eq!(rewrite("manifest", bytes).as_deref(), Ok(bytes), "a second spelling");
    let plain: mirror::Manifest = postcard::from_bytes(bytes).expect("postcard reads what we do");
    assert_eq!(mirror::encode(&plain), bytes, "postcard spells it another way");
    for (confirmed, damaged) in [(fixtures::patch(), false), (fixtures::feature(), true)] {
        let (confirmed, hardware) = (mirror::encode(&confirmed), u16::from(signers >> 6) + 1);
        let _ = agreed("a transition", |who| who.transition(&confirmed, bytes, hardware, damaged));
    }
    let labels: Vec<&str> =
        SIGNERS.iter().enumerate().filter(|(n, _)| signers >> n & 1 == 1).map(|(_, l)| *l).collect();
    if labels.is_empty() {
        return;
    }
    let kind = if other_kind { DocumentKind::Root } else { manifest.kind.document() };
    let mut set = fixtures::sign(kind, bytes, &labels);
    let count = set.len();
    if broken != 0 {
        let signature = &mut set[broken % count];
        let half = if broken & 0x800 == 0 { &mut signature.r } else { &mut signature.s };
        half[broken >> 3 & 31] ^= 1 << (broken & 7);
    }
    let (set, root_bytes) = (mirror::encode(&set), mirror::encode(root));
    let verdict = agreed("a head", |who| who.head(bytes, &set, &root_bytes));
    let counted = counts(&manifest, &labels, root) && broken == 0 && !other_kind;
    assert_eq!(verdict == Ok("accept"), counted && admitted(&manifest, root), "{verdict:?} by {labels:?}");
    assert!(broken == 0 && !other_kind || verdict.is_err_and(|refusal| refusal != Refusal::BelowThreshold));
}

/// The count by labels, without any signature: everyone who signed has a role here, and each role has enough.
fn counts(manifest: &Manifest<'_>, labels: &[&str], root: &mirror::Root) -> bool {
    let signed = |role: &mirror::Role| {
        let keys: Vec<[u8; 8]> = role.keys.iter().map(|key| id(&key.bytes)).collect();
        labels.iter().filter(|label| keys.contains(&id(&public(label)))).count()
    };
    let (security, feature) = (signed(&root.security), signed(&root.feature));
    let both = manifest.kind == Kind::FeatureUpdate;
    let strangers = labels.len() - security - if both { feature } else { 0 };
    strangers == 0
        && security >= usize::from(root.security.threshold)
        && (!both || feature >= usize::from(root.feature.threshold))
}

/// The rest of what the root says.
fn admitted(manifest: &Manifest<'_>, root: &mirror::Root) -> bool {
    let version = &manifest.version;
    (manifest.product.vendor.0, manifest.product.class.0) == (root.product.vendor, root.product.class)
        && manifest.root_version <= root.version
        && (version.feature.line, version.feature.step) <= (root.line, root.step)
        && version.security.level() <= root.level
}

/// The manifests among the vectors, signed as they should be, unsigned, broken.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for vector in all().iter().filter(|v| v.document == "manifest" || v.document == "verify-head") {
        let manifest = if vector.document == "manifest" { "input" } else { "manifest" };
        seeds.push((vector.name.to_owned(), [&[0, 0, 0, 0, 0], vector.bytes(manifest)].concat()));
    }
    for (name, manifest) in [("patch", fixtures::patch()), ("feature", fixtures::feature())] {
        let bytes = mirror::encode(&manifest);
        for (how, choices) in [
            ("security", [0, 1, 0, 0, 0]),
            ("both", [1, 7, 0, 0, 0]),
            ("broken", [0, 5, 3, 8, 0]),
            ("all", [2, 39, 0, 0, 0]),
        ] {
            seeds.push((format!("{name}-{how}"), [&choices[..], &bytes].concat()));
        }
    }
    seeds
}
