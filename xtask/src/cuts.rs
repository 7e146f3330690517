//! `cargo xtask cuts`: power cut wherever it can be; and embassy-boot's figures beside ours.

use crate::run::{cargo, run};
use crate::toolchain::root;

/// Passes all words on to the program that searches, built to be fast.
fn search(words: &[&str]) -> Result<(), String> {
    let build = ["run", "--quiet", "--profile", "sweep", "-p", "patchlane-tests", "--bin", "cuts", "--"];
    run(cargo(&build).args(words))
}

pub(crate) fn cuts(words: &[&str]) -> Result<(), String> {
    if words != ["--embassy"] {
        return search(words);
    }
    let mut embassy = cargo(&["run", "--quiet", "--locked", "--target-dir"]);
    run(embassy.arg(root().join("target/embassy")).current_dir(root().join("tests/embassy")))?;
    println!();
    search(&["--beside"])
}
