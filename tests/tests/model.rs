//! The model check (tests/src/model): I1–I8 over every order of a release history, on the real device code.
//!
//! `PATCHLANE_MODEL=deep` searches further: `cargo xtask model --deep`.

use patchlane_protocol::{FeaturePolicy, Policy, SecurityPolicy};
use patchlane_tests::model::search::{Plan, Seen, search};

fn plan(name: &'static str, sends: &[&'static str]) -> Plan {
    Plan {
        name,
        sends: sends.to_vec(),
        documents: Vec::new(),
        policy: Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto },
        soak: 0,
        hangs: 0,
        rots: false,
        cuts: 16,
        rescues: 16,
        most: 8_000,
    }
}

fn run(plan: &Plan) -> Seen {
    let begun = std::time::Instant::now();
    match search(plan) {
        Ok(seen) => {
            println!("model, {}: {seen}, {:?}", plan.name, begun.elapsed());
            seen
        }
        Err(path) => panic!("{path}"),
    }
}

/// What the vendor published under the first root.
const PUBLISHED: [&str; 12] = [
    "4.1 s6", "4.1 s7 full", "4.1 s8", "4.1 s8 full", "4.1 s9 open 8", "4.1 s9", "4.1 s9 full", "5.1 s7 full",
    "5.1 s8 free", "5.1 s8 full", "5.1 s9", "5.1 s9 full",
];
/// What came after a theft.
const ROTATED: [&str; 5] =
    ["4.1 s110, root 2", "4.1 s110, link stripped", "5.1 s111 full, root 2", "4.1 s120, root 3", "4.1 s7, root 2"];

fn both(a: &[&'static str], b: &[&'static str]) -> Vec<&'static str> {
    a.iter().chain(b).copied().collect()
}

/// Baselines, levels, open advisories, both kinds, with and without payload; the primary slot may rot.
#[test]
fn model_lanes() {
    run(&Plan { rots: true, hangs: 1, ..plan("lanes", &PUBLISHED) });
}

/// Three root versions, thieves with every key.
#[test]
fn model_roots() {
    let sends = both(&["4.1 s7 full", "4.1 s9", "5.1 s7 full", "5.1 s9 full"], &ROTATED);
    let sends = both(&sends, &["stolen security:", "stolen feature:", "stolen root:", "thief's root, own quorum only",
        "thief's root, old quorum only", "a retired root key's link", "a link that skips one", "a link that lowers a ceiling"]);
    run(&plan("roots", &sends));
}

/// The owner's documents in every order, and again.
#[test]
fn model_owner() {
    let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::OwnerKey };
    let documents = vec!["approve 5.1 s7", "approve 4.1 s9", "withdraw 5.1 s7", "stage only", "apply 4.1 s9", "new anchor",
        "the old owner approves 5.1 s9", "the new owner approves 5.1 s9", "a thief's policy"];
    run(&Plan { policy, documents, ..plan("owner", &["4.1 s9", "4.1 s9 full", "5.1 s7 full", "5.1 s9 full", "4.1 s8"]) });
}

/// Soaking releases, requests at the device.
#[test]
fn model_soak() {
    let policy = Policy { security: SecurityPolicy::StageOnly, feature: FeaturePolicy::Local };
    run(&Plan { policy, soak: 2, hangs: 3, ..plan("soak", &both(&PUBLISHED, &["4.1 s110, root 2"])) });
}

/// All of it.
#[test]
fn model_everything() {
    let documents = vec!["approve 5.1 s7", "approve 4.1 s9", "stage only", "new anchor"];
    let sends = both(&both(&PUBLISHED, &ROTATED), &["stolen security:", "stolen feature:"]);
    run(&Plan { documents, rots: true, hangs: 2, ..plan("everything", &sends) });
}
