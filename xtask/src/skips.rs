//! `cargo xtask skips`: builds a board's firmware and lets its instructions be skipped (`tests/src/bin/skips.rs`).

use crate::run::{cargo, run};
use crate::{firmware, toolchain};

/// The board whose bootloader is skipped through unless another one is named.
const BOARD: &str = "microbit";

pub(crate) fn skips(arguments: &[&str]) -> Result<(), String> {
    if !arguments.contains(&"--list") {
        toolchain::prepare()?;
        let named = arguments.iter().position(|argument| *argument == "--board");
        firmware::build(named.and_then(|at| arguments.get(at + 1)).copied().or(Some(BOARD)))?;
    }
    play(arguments)
}

/// The same on firmware that is there already.
pub(crate) fn play(arguments: &[&str]) -> Result<(), String> {
    let packages = ["run", "--quiet", "-p", "patchlane-tests", "--bin", "skips", "--"];
    run(cargo(&packages).args(arguments))
}
