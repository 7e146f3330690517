//! Every committed seed of every fuzz target, with a stable compiler.

use patchlane_tests::fuzz::{TARGETS, Target, seeds};

fn replay(name: &str) {
    let target: &Target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let seeds = seeds::committed(target).expect("seeds");
    assert!(seeds.len() >= 5, "{name} begins nowhere");
    for (seed, bytes) in seeds {
        println!("{name}/{seed}");
        (target.run)(&bytes);
    }
}

macro_rules! replays {
    ($($test:ident $name:literal)+) => {
        $(#[test]
        fn $test() {
            replay($name);
        })+

        #[test]
        fn every_target_is_replayed() {
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), [$($name),+]);
        }
    };
}
replays! {
    config_seeds "config"
    delta_seeds "delta"
    device_seeds "device"
    envelope_seeds "envelope"
    journal_seeds "journal"
    link_frames_seeds "link_frames"
    manifest_seeds "manifest"
    owner_seeds "owner"
    root_chain_seeds "root_chain"
}

#[test]
fn seeds_are_what_the_code_writes() {
    for target in TARGETS {
        let drift = seeds::drift(target).expect("seeds");
        assert!(drift.is_empty(), "write them anew with `cargo xtask fuzz --seeds`: {drift:?}");
    }
}
