//! The boards' firmware: one bootloader for each board, and a program for each release of the story.

use crate::toolchain;
use std::path::PathBuf;

/// Boards, and what they are compiled for. A Cortex-M4 runs what is built for the M3, which `sizes` builds anyway.
pub(crate) const BOARDS: [(&str, &str); 3] = [
    ("virt", "riscv32imac-unknown-none-elf"),
    ("ast1030-evb", "thumbv7m-none-eabi"),
    ("microbit", "thumbv6m-none-eabi"),
];

/// True if there is a board of this name.
pub(crate) fn is_board(name: &str) -> bool {
    BOARDS.iter().any(|(board, _)| *board == name)
}

/// Releases of the demo application, and the features that make them.
const RELEASES: [(&str, &str); 5] = [
    ("app-4.1-s7", ""),
    ("app-4.1-s8", "fix"),
    ("app-5.0-s7", "flow"),
    ("app-5.0-s8", "fix,flow"),
    ("app-4.1-s9-hangs", "fix,hang"),
];

/// Builds all of it for one board, or for all, into a folder of target/firmware for each.
pub(crate) fn build(board: Option<&str>) -> Result<PathBuf, String> {
    let out = toolchain::root().join("target/firmware");
    for (name, target) in BOARDS.iter().filter(|(name, _)| board.is_none_or(|board| board == *name)) {
        let folder = out.join(name);
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let copy = |from: PathBuf, name: &str| {
            std::fs::copy(&from, folder.join(name))
                .map(|_| ())
                .map_err(|e| format!("{}: {e}", from.display()))
        };
        for (release, features) in RELEASES {
            let built = toolchain::build("demo-firmware", target, &format!("{name},{features}"))?;
            copy(built.join("app"), release)?;
            if features.is_empty() {
                copy(built.join("boot"), "boot")?;
            }
        }
    }
    Ok(out)
}
