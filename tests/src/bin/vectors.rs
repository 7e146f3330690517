//! Writes `protocol/vectors/` and the generated regions of `protocol/SPEC.md`; `--check` only compares.
//!
//! Launched by `cargo xtask vectors`. Output depends on nothing but the source: keys are derived from labels.

use patchlane_tests::vectors;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let check = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => false,
        (Some("--check"), None) => true,
        _ => {
            eprintln!("usage: vectors [--check]");
            return ExitCode::from(2);
        }
    };
    let protocol = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol");
    let outcome = if check { vectors::output::check(&protocol) } else { vectors::output::write(&protocol) };
    match outcome {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            problems.iter().for_each(|p| eprintln!("vectors: {p}"));
            ExitCode::FAILURE
        }
    }
}
