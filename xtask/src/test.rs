//! `cargo xtask test`: everything CI runs, in order of cost.

use crate::run::{cargo, part, run};
use crate::{firmware, sizes, tools, vectors};
use std::process::ExitCode;

/// A part's name, and what it does.
type Part = (&'static str, fn() -> Result<(), String>);

pub(crate) fn test() -> Result<(), String> {
    let parts: [Part; 9] = [
        ("format", || run(&mut cargo(&["fmt", "--all", "--check"]))),
        ("lints", || {
            run(&mut cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
        }),
        ("unit tests, transcripts, sweeps, simulated scenarios", || {
            run(&mut cargo(&["test", "--quiet", "--workspace", "--all-targets"]))
        }),
        ("documentation tests", || run(&mut cargo(&["test", "--quiet", "--workspace", "--doc"]))),
        ("documentation", || {
            let mut doc = cargo(&["doc", "--quiet", "--no-deps", "--workspace"]);
            run(doc.env("RUSTDOCFLAGS", "-D warnings"))
        }),
        ("vectors", || {
            let same = vectors::run(&["--check".to_owned()]) == ExitCode::SUCCESS;
            if same { Ok(()) } else { Err("protocol/vectors or SPEC.md drifted: cargo xtask vectors".into()) }
        }),
        ("firmware", || {
            tools::qemu()?;
            firmware::build().map(|folder| println!("{}", folder.display()))
        }),
        ("scenarios on the board", || {
            run(&mut cargo(&[
                "test",
                "--quiet",
                "-p",
                "patchlane-tests",
                "--test",
                "scenarios",
                "--",
                "--ignored",
                "--nocapture",
            ]))
        }),
        ("sizes and panic paths", sizes::sizes),
    ];
    let mut failed = Vec::new();
    for (name, body) in parts {
        failed.extend(part(name, body).err());
    }
    if failed.is_empty() {
        println!("\nall {} parts passed", 9);
        Ok(())
    } else {
        Err(format!("{} of 9 parts failed:\n{}", failed.len(), failed.join("\n")))
    }
}
