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
        most: 4_000,
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

#[test]
fn model_lanes() {
    run(&plan("lanes", &["4.1 s6", "4.1 s8", "4.1 s9 open 8", "4.1 s9", "5.1 s7 full", "5.1 s8 free"]));
}
