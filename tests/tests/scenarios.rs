//! Every scenario on simulated flash. `cargo xtask qemu` plays them on boards.

use patchlane::scenario::{CommitPoint, Step, Sweep, on_sim};
use patchlane_tests::scenario::{all, folder, on_geometry, schema};
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
