//! Every scenario, on simulated flash and on the board.

use patchlane_tests::scenario::{Scenario, on_board, on_sim, play};
use patchlane_tests::sim::sweep::GEOMETRIES;

#[test]
fn every_scenario_plays_on_every_simulated_geometry() {
    let all = Scenario::all().unwrap();
    assert!(all.contains_key("story"), "the story is missing");
    for (name, scenario) in &all {
        for geometry in GEOMETRIES {
            let mut stage = on_sim(scenario, geometry.1).unwrap_or_else(|e| panic!("{name}: {e}"));
            play(scenario, &mut stage, &mut |_| {})
                .unwrap_or_else(|e| panic!("{name} on {}: {e}", geometry.0));
        }
    }
}

/// Bytes of stack that bootloader and application may use on RV32 (aim: 9 KiB; Ed25519 alone takes 8.8).
const STACK: usize = 14 * 1024;

/// Needs QEMU and the firmware that `cargo xtask firmware` builds; `cargo xtask test` sees to both and asks for it.
#[test]
#[ignore = "needs QEMU: cargo xtask test"]
fn every_scenario_plays_on_the_board() {
    for (name, scenario) in &Scenario::all().unwrap() {
        let flash = std::env::temp_dir().join(format!("patchlane-{}-{name}.flash", std::process::id()));
        let mut stage = on_board(scenario, &flash).unwrap_or_else(|e| panic!("{name}: {e}"));
        let steps = play(scenario, &mut stage, &mut |line| println!("{name}: {line}"));
        // A failure leaves the flash image to look at.
        let steps =
            steps.unwrap_or_else(|e| panic!("{name} on the board: {e}; its flash is {}", flash.display()));
        println!("{name}: {steps} steps");
        if let Some((boot, app)) = stage.player.stack().unwrap() {
            println!("{name}: painted stack: bootloader {boot} bytes, application {app} bytes");
            assert!(boot.max(app) <= STACK, "the stack grew beyond {STACK} bytes");
        }
        let _ = std::fs::remove_file(&flash);
    }
}
