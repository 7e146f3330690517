//! `cargo xtask demo`: builds what the story needs, and lets it be told.

use crate::run::{cargo, run};
use crate::{firmware, toolchain};
use std::process::Command;

/// Where the story happens: a board in QEMU, or `sim`.
pub(crate) const SIM: &str = "sim";

/// Builds everything, and returns the storyteller. `profile` is cargo's, and where cargo puts its programs.
pub(crate) fn ready(place: &str, profile: (&str, &str)) -> Result<Command, String> {
    if place != SIM {
        toolchain::prepare().map_err(|e| format!("{e}\nWithout QEMU: cargo xtask demo --board sim"))?;
    }
    println!("Building the command line and the story.");
    // Not each of the tests' programs: with link-time optimisation that takes minutes.
    let packages = ["-p", "patchlane", "-p", "patchlane-tests", "--bin", "patchlane", "--bin", "demo"];
    run(cargo(&["build", "--quiet", "--profile", profile.0]).args(packages))?;
    if place != SIM {
        println!("Building the firmware: a bootloader and five releases of an application.");
        firmware::build(Some(place))?;
    }
    let folder = toolchain::root().join("target/demo");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let programs = toolchain::root().join("target").join(profile.1);
    let mut story = Command::new(programs.join("demo"));
    story.arg(programs.join("patchlane")).arg(&folder).arg(place);
    Ok(story)
}

pub(crate) fn demo(place: &str) -> Result<(), String> {
    run(&mut ready(place, ("release", "release"))?)
}

/// The story as CI plays it: it reaches its table, and a simulation never passes for the real thing.
pub(crate) fn check(place: &str) -> Result<(), String> {
    let out =
        ready(place, ("dev", "debug"))?.output().map_err(|e| format!("the story doesn't start: {e}"))?;
    let told = [out.stdout, out.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    let table = told.find("What was sent").map(|at| &told[at..]);
    let (true, Some(table)) = (out.status.success(), table) else {
        return Err(format!("the story ended with {}:\n{told}", out.status));
    };
    let own = toolchain::root().display().to_string();
    if place == SIM && told.replace(&own, "").to_lowercase().contains("board") {
        return Err(format!("a simulation says `board`:\n{told}"));
    }
    println!("{table}");
    Ok(())
}
