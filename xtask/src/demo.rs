//! `cargo xtask demo`: builds what the story needs, and lets it be told.

use crate::run::{cargo, release, run};
use crate::{firmware, toolchain, tools};
use std::process::Command;

pub(crate) fn demo(arguments: &[String]) -> Result<(), String> {
    let board = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["--board", "virt"] => "virt",
        ["--board", "sim"] => "sim",
        _ => return Err("usage: cargo xtask demo [--board virt|sim]".into()),
    };
    println!("Building the command line and the story.");
    run(&mut cargo(&[
        "build",
        "--quiet",
        "--release",
        "-p",
        "patchlane",
        "-p",
        "patchlane-tests",
        "--bins",
    ]))?;
    if board == "virt" {
        println!("Building the firmware (a bootloader and five releases of an application).");
        tools::qemu().map_err(|e| format!("{e}\nWithout QEMU: cargo xtask demo --board sim"))?;
        firmware::build()?;
    }
    let folder = toolchain::root().join("target/demo");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    run(Command::new(release("demo")).arg(release("patchlane")).arg(&folder).arg(board))
}
