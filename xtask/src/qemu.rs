//! `cargo xtask qemu`: builds the boards' firmware and lets scenarios be played on them (`tests/src/bin/qemu.rs`).

use crate::run::{cargo, run};
use crate::{firmware, toolchain};

pub(crate) fn qemu(arguments: &[&str]) -> Result<(), String> {
    if !arguments.contains(&"--list") {
        toolchain::prepare()?;
        let named = arguments.iter().position(|argument| *argument == "--board");
        let board = named.and_then(|at| arguments.get(at + 1)).filter(|board| **board != "all");
        firmware::build(board.copied())?;
    }
    play(arguments)
}

/// The same on firmware that is there already.
pub(crate) fn play(arguments: &[&str]) -> Result<(), String> {
    let packages = ["run", "--quiet", "-p", "patchlane-tests", "--bin", "qemu", "--"];
    run(cargo(&packages).args(arguments))
}
