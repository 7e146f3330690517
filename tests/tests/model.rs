//! The model check (tests/src/model): I1–I8 over every order of a release history, on the real device code.
//!
//! `PATCHLANE_MODEL=deep` searches further: `cargo xtask model --deep`. A failure prints the way to it, and the line that goes
//! this way alone: it takes no search.

use patchlane_protocol::{FeaturePolicy, Policy, SecurityPolicy};
use patchlane_tests::again::Cases;
use patchlane_tests::cases;
use patchlane_tests::model::search::{Plan, search};
use patchlane_tests::model::way::again;

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
        most: 4_000,
    }
}

/// Searches, to the fixed point if that is asked; every name of `meets` has to be among what the device answered and
/// did. `PATCHLANE_MODEL=invariants` asks for neither.
fn run(cases: &Cases, plan: &Plan, whole: bool, meets: &str) {
    if let Some(case) = cases.single() {
        // Whoever asks has the line. Where a way ends at a step that can't happen, the way so far would be another one.
        return again(plan, case).unwrap_or_else(|wrong| panic!("{wrong}"));
    }
    let how = std::env::var("PATCHLANE_MODEL").unwrap_or_default();
    let plan = Plan { most: if how == "deep" { 30 * plan.most } else { plan.most }, ..plan.clone() };
    let seen = search(&plan).unwrap_or_else(|wrong| panic!("{wrong}again: {}", cases.line(&wrong.case())));
    println!("model, {}: {seen}", plan.name);
    if how == "invariants" {
        return;
    }
    for name in meets.split(", ") {
        assert!(seen.met.contains(name), "nothing led to `{name}`: {:?}", seen.met);
    }
    assert!(seen.whole || !whole, "there is more");
}

/// What the vendor published under the first root.
const PUBLISHED: [&str; 13] = [
    "4.1 s6",
    "4.1 s7 full",
    "4.1 s8",
    "4.1 s8 full",
    "4.1 s9 open 8",
    "4.1 s9",
    "4.1 s9 full",
    "4.1 s10 free",
    "5.1 s7 full",
    "5.1 s8 free",
    "5.1 s8 full",
    "5.1 s9",
    "5.1 s9 full",
];
/// What came after a theft.
const ROTATED: [&str; 5] = [
    "4.1 s110, root 2",
    "4.1 s110, link stripped",
    "5.1 s111 full, root 2",
    "4.1 s120, root 3",
    "4.1 s7, root 2",
];

fn both(a: &[&'static str], b: &[&'static str]) -> Vec<&'static str> {
    a.iter().chain(b).copied().collect()
}

/// What thieves make.
const FORGED: [&str; 8] = [
    "stolen security:",
    "stolen feature:",
    "stolen root:",
    "thief's root, own quorum only",
    "thief's root, old quorum only",
    "a retired root key's link",
    "a link that skips one",
    "a link that lowers a ceiling",
];
const OWNER: [&str; 9] = [
    "approve 5.1 s7",
    "approve 4.1 s9",
    "withdraw 5.1 s7",
    "stage only",
    "apply 4.1 s9",
    "new anchor",
    "the old owner approves 5.1 s9",
    "the new owner approves 5.1 s9",
    "a thief's policy",
];

/// Baselines, levels, open advisories, both kinds, with and without payload.
#[test]
fn model_lanes() {
    run(
        &cases!(),
        &plan("lanes", &PUBLISHED),
        true,
        "Staged, Applied, NeedPayload, Held, Busy, SendAgain, TrialPending, LosesFix, SameVersion, PatchMovesFeature, \
         confirms a Patch, confirms a Feature, confirms a Rollback",
    );
}

/// The same on flash that rots, with releases that hang.
#[test]
fn model_rot() {
    run(
        &cases!(),
        &Plan { rots: true, hangs: 1, ..plan("rot", &PUBLISHED) },
        false,
        "NeedPayload, Ready, runs Fallback, service mode, confirms a Repair",
    );
}

/// Three root versions, and thieves with every key.
#[test]
fn model_roots() {
    let sends = both(&["4.1 s7 full", "4.1 s9", "5.1 s7 full", "5.1 s9 full"], &both(&ROTATED, &FORGED));
    run(
        &cases!(),
        &plan("roots", &sends),
        true,
        "RootCommitted, NeedRoot, RootQuorum, RootNotNext, CeilingLowered, AboveCeiling, UnknownKey, WrongRole, \
         BelowThreshold, PatchMovesFeature, SendAgain",
    );
}

/// The owner's documents in every order, and again.
#[test]
fn model_owner() {
    let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::OwnerKey };
    let sends = ["4.1 s8", "4.1 s9", "4.1 s9 full", "5.1 s7 full", "5.1 s9 full"];
    run(
        &cases!(),
        &Plan { policy, documents: OWNER.to_vec(), most: 12_000, ..plan("owner", &sends) },
        true,
        "Held, SerialSpent, OwnerSignature, UnknownManifest, confirms a Rollback, confirms a Feature",
    );
}

/// An owner who never takes features, and now and then no patch either.
#[test]
fn model_policies() {
    let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Never };
    let sends = ["4.1 s8", "4.1 s9 full", "4.1 s10 free", "5.1 s7 full", "5.1 s9 full", "4.1 s7 full"];
    let documents = vec!["approve 5.1 s7", "only tell", "take nothing", "take patches"];
    run(
        &cases!(),
        &Plan { policy, documents, most: 12_000, ..plan("policies", &sends) },
        true,
        "PolicyNever, PolicyNotify, PolicyOff, Applied, Staged, confirms a Patch",
    );
}

/// Releases that soak, trials that fail for good, requests at the device.
#[test]
fn model_soak() {
    let policy = Policy { security: SecurityPolicy::StageOnly, feature: FeaturePolicy::Local };
    let sends = both(&PUBLISHED, &["4.1 s110, root 2"]);
    run(
        &cases!(),
        &Plan { policy, soak: 2, hangs: 3, ..plan("soak", &sends) },
        false,
        "Held, SendAgain, TrialPending, confirms a Feature, confirms a Patch",
    );
}

/// All of it.
#[test]
fn model_everything() {
    let sends = both(&both(&PUBLISHED, &ROTATED), &FORGED);
    run(
        &cases!(),
        &Plan { documents: OWNER.to_vec(), rots: true, hangs: 2, ..plan("everything", &sends) },
        false,
        "RootCommitted, Applied, service mode, confirms a Feature",
    );
}
