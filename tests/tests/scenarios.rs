//! Every scenario, on simulated flash and on the board.

use patchlane::scenario::{CommitPoint, Played, Stage, Step, Sweep, on_sim};
use patchlane_tests::scenario::{all, board_cast, folder, on_board, on_geometry, schema};
use patchlane_tests::sim::sweep::{GEOMETRIES, uniform};

#[test]
fn every_scenario_plays_on_every_simulated_geometry() {
    let all = all().unwrap();
    assert!(all.contains_key("story"), "the story is missing");
    for (name, scenario) in &all {
        for geometry in GEOMETRIES {
            let (cast, chip) = on_geometry(scenario, geometry.1).unwrap_or_else(|e| panic!("{name}: {e}"));
            let mut stage = on_sim(scenario, &cast, chip).unwrap_or_else(|e| panic!("{name}: {e}"));
            let steps = stage
                .play(0, &mut |_| {})
                .unwrap_or_else(|e| panic!("{name} on {}: step {}: {}", geometry.0, e.number + 1, e.what));
            assert_eq!(steps, scenario.step.len());
        }
    }
}

/// I14: what `simulate --sweep` does, on small flash: every operation of every step of every scenario.
#[test]
fn every_scenario_holds_with_power_cut_at_every_operation() {
    for (name, scenario) in &all().unwrap() {
        let (cast, chip) = on_geometry(scenario, uniform(4, 4096, 8, 2)).unwrap();
        let (sweep, failure) = Sweep::new(scenario, &cast, chip).unwrap();
        assert_eq!(failure, None, "{name}");
        let points = sweep.points(u64::MAX);
        assert!(points.len() > 50, "{name}: {} points", points.len());
        let tally = sweep.play(&points, &mut |_| {});
        println!("{name}: {} points", tally.points);
        assert_eq!(tally.cuts, tally.points, "{name}: power didn't fail each time");
        let first =
            tally.failures.first().map(|(point, e)| format!("{point}: step {}: {}", e.number + 1, e.what));
        assert_eq!(first, None, "{name}: {} of {} points", tally.failures.len(), tally.points);
    }
}

/// `PATCHLANE_WRITE_SCHEMA=1 cargo test -p patchlane-tests --test scenarios schema` writes it.
#[test]
fn the_published_schema_is_the_readers() {
    let made = patchlane::scenario::schema();
    if std::env::var_os("PATCHLANE_WRITE_SCHEMA").is_some() {
        std::fs::write(schema(), &made).unwrap();
    }
    let published = std::fs::read_to_string(schema()).unwrap();
    assert!(
        published == made,
        "it drifted: PATCHLANE_WRITE_SCHEMA=1 cargo test -p patchlane-tests --test scenarios schema"
    );
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let first = "#:schema ../../host/schema/scenario.schema.json\n";
            assert!(text.starts_with(first), "{} names no schema", path.display());
        }
    }
}

/// Power is cut at each named point by some scenario, so on simulated flash and on the board.
#[test]
fn every_commit_point_is_cut() {
    let all = all().unwrap();
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

/// Bytes of stack that bootloader and application may use on RV32 (aim: 9 KiB; Ed25519 alone takes 8.8).
const STACK: usize = 14 * 1024;

/// Needs QEMU and the firmware that `cargo xtask firmware` builds; `cargo xtask test` sees to both and asks for it.
#[test]
#[ignore = "needs QEMU: cargo xtask test"]
fn every_scenario_plays_on_the_board() {
    for (name, scenario) in &all().unwrap() {
        let flash = std::env::temp_dir().join(format!("patchlane-{}-{name}.flash", std::process::id()));
        let cast = board_cast(scenario).unwrap_or_else(|e| panic!("{name}: {e}"));
        let board = on_board(&cast, &flash).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut stage = Stage::new(scenario, &cast, board);
        let mut say = |step: &Played| {
            let cut = step.cut.map(|cut| format!(", power fails at {}", cut.name())).unwrap_or_default();
            println!("{name}: {} {}{cut}: {}; {} runs", step.action, step.subject, step.outcome, step.runs);
        };
        // A failure leaves the flash image to look at.
        let steps = stage.play(0, &mut say).unwrap_or_else(|e| {
            panic!("{name} on the board: step {}: {}; its flash is {}", e.number + 1, e.what, flash.display())
        });
        println!("{name}: {steps} steps");
        let (boot, app) = stage.player.stack().unwrap();
        println!("{name}: painted stack: bootloader {boot} bytes, application {app} bytes");
        assert!(boot.max(app) <= STACK, "the stack grew beyond {STACK} bytes");
        let _ = std::fs::remove_file(&flash);
    }
}
