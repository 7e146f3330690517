//! The board's firmware: one bootloader, and a program for each release of the story.

use crate::toolchain;
use std::path::PathBuf;

const TARGET: &str = "riscv32imac-unknown-none-elf";

/// Releases of the demo application, and the features that make them.
const RELEASES: [(&str, &str); 5] = [
    ("app-4.1-s7", ""),
    ("app-4.1-s8", "fix"),
    ("app-5.0-s7", "flow"),
    ("app-5.0-s8", "fix,flow"),
    ("app-4.1-s9-hangs", "fix,hang"),
];

/// Builds all of it into target/firmware.
pub(crate) fn build() -> Result<PathBuf, String> {
    let out = toolchain::root().join("target/firmware");
    std::fs::create_dir_all(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    let copy = |from: PathBuf, name: &str| {
        std::fs::copy(&from, out.join(name)).map(|_| ()).map_err(|e| format!("{}: {e}", from.display()))
    };
    for (name, features) in RELEASES {
        let built = toolchain::build("demo-firmware", TARGET, features)?;
        copy(built.join("app"), name)?;
        if features.is_empty() {
            copy(built.join("boot"), "boot")?;
        }
    }
    Ok(out)
}
