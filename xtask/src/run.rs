//! Running other programs.

use crate::toolchain::root;
use std::process::Command;
use std::time::Instant;

/// This cargo, in the workspace's folder.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(arguments);
    cargo
}

/// Runs a command; an error names it.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{command:?} doesn't start: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}")) }
}

/// A named part of `cargo xtask test`.
pub(crate) fn part(name: &str, body: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    println!("\n=== {name}");
    let begun = Instant::now();
    let result = body().map_err(|problem| format!("{name}: {problem}"));
    println!(
        "=== {name}: {} in {} s",
        if result.is_ok() { "ok" } else { "FAILED" },
        begun.elapsed().as_secs()
    );
    result
}
