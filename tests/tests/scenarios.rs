//! Every scenario, on simulated flash and on the board.

use patchlane_tests::scenario::{CommitPoint, Scenario, Step, folder, on_board, on_sim, play, schema};
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

#[test]
fn the_published_schema_is_the_readers() {
    let published = std::fs::read_to_string(folder().join("schema.json")).unwrap();
    assert!(published == schema(), "it drifted: cargo run -p patchlane-tests --bin schema");
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("#:schema schema.json\n"), "{} names no schema", path.display());
        }
    }
}

/// Power is cut at each named point by some scenario, so on simulated flash and on the board.
#[test]
fn every_commit_point_is_cut() {
    let all = Scenario::all().unwrap();
    let steps = all.values().flat_map(|scenario| &scenario.step);
    let cut: std::collections::BTreeSet<_> = steps
        .filter_map(|step| match step {
            Step::Send { cut: true, .. } => Some(CommitPoint::Receiving),
            Step::Restart { cut } => *cut,
            _ => None,
        })
        .collect();
    for point in [
        CommitPoint::Receiving,
        CommitPoint::Ready,
        CommitPoint::Moving,
        CommitPoint::Trial,
        CommitPoint::Reverting,
        CommitPoint::Confirmed,
    ] {
        assert!(cut.contains(&point), "no scenario cuts at {point:?}");
    }
}

/// What is broken in a file is an error that names it, not a step that does nothing.
#[test]
fn broken_scenario_files_are_refused() {
    let good = "title = 't'\n[device]\nfirst = 'a'\nsecurity = 'off'\nfeature = 'never'\n\
                [release.a]\nlane = 'security'\nbaseline = '4.1'\nlevel = 7\nfirmware = 'f'\n[[step]]\n";
    for step in
        ["restart = true", "restart = true\ncut = 'moving'", "send = 'a'\ncut = 'receiving'\nanswer = 'x'"]
    {
        Scenario::parse(&format!("{good}{step}")).unwrap();
    }
    for (step, names) in [
        ("", "exactly one thing"),
        ("restart = false", "exactly one thing"),
        ("send = 'a'", "exactly one thing"),
        ("ask = ':R0001'", "exactly one thing"),
        ("send = 'a'\nrestart = true\nanswer = 'x'", "exactly one thing"),
        ("send = 'a'\ncut = 'moving'\nanswer = 'x'", "exactly one thing"),
        ("restart = true\ncut = 'receiving'", "exactly one thing"),
        ("restart = true\nanswer = 'x'", "exactly one thing"),
        ("restart = true\ncut = 'somewhere'", "somewhere"),
        ("approve = 'a'\nanswer = 'done'", "exactly one thing"),
        ("send = 'b'\nanswer = 'x'", "no release `b`"),
        ("status = { instaled = '4.1 s7' }", "instaled"),
        ("reboot = true", "reboot"),
    ] {
        let error = Scenario::parse(&format!("{good}{step}")).unwrap_err();
        assert!(error.contains(names), "{step}: {error}");
    }
    let other = good.replace("'off'", "'sometimes'") + "restart = true";
    assert!(Scenario::parse(&other).unwrap_err().contains("sometimes"));
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
