//! `cargo xtask mutants`: breaks the device's trust code, and sees that tests mind (`tests/src/bin/mutants.rs`).

use crate::run::{cargo, run};

pub(crate) fn mutants(arguments: &[&str]) -> Result<(), String> {
    let packages = ["run", "--quiet", "-p", "patchlane-tests", "--bin", "mutants", "--"];
    run(cargo(&packages).args(arguments))
}
