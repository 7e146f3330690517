//! `cargo xtask replay`: builds a board's firmware, and lets its releases be compared by replay (`tests/src/bin/replay.rs`).

use crate::run::{cargo, run};
use crate::{firmware, toolchain};
use std::process::Command;

pub(crate) fn replay(board: &str) -> Result<(), String> {
    toolchain::prepare()?;
    firmware::build(Some(board).filter(|board| *board != "all"))?;
    play(board)
}

/// The same on firmware that is there already: one board, or all.
pub(crate) fn play(board: &str) -> Result<(), String> {
    let packages = ["-p", "patchlane", "-p", "patchlane-tests", "--bin", "patchlane", "--bin", "replay"];
    run(cargo(&["build", "--quiet"]).args(packages))?;
    let programs = toolchain::root().join("target/debug");
    let boards = firmware::BOARDS.iter().map(|(name, _)| *name);
    for name in boards.filter(|name| board == "all" || *name == board) {
        let folder = toolchain::root().join("target/replay").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut demo = Command::new(programs.join("replay"));
        run(demo.arg("demo").arg(programs.join("patchlane")).arg(&folder).arg(name))?;
    }
    Ok(())
}
