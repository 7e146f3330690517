//! `cargo xtask vectors [--check]`: writes the test vectors and SPEC.md's generated regions, or compares them.

use std::process::{Command, ExitCode};

/// Launches the generator; `check` only compares.
pub(crate) fn run(check: bool) -> ExitCode {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["run", "--quiet", "--package", "patchlane-tests", "--bin", "vectors", "--"])
        .args(check.then_some("--check"));
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => u8::try_from(status.code().unwrap_or(1)).map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("xtask: can't run cargo: {error}");
            ExitCode::from(70)
        }
    }
}
