//! `cargo xtask test`: everything CI runs, in order of cost.

use crate::run::{cargo, part, run};
use crate::{firmware, sizes, tools, vectors};
use std::process::ExitCode;

/// Tests that take longer, and tell what they counted.
const SLOW: [&str; 3] = ["every_single_cut", "pairs_of_cuts", "random_walks"];

/// A part's name, and what it does.
type Part = (&'static str, fn() -> Result<(), String>);

pub(crate) fn test() -> Result<(), String> {
    let parts: [Part; 11] = [
        ("format", || run(&mut cargo(&["fmt", "--all", "--check"]))),
        ("lints", || {
            run(&mut cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
        }),
        ("unit tests, transcripts, simulated scenarios", || {
            tools::key_readers()?;
            let slow = SLOW.iter().flat_map(|name| ["--skip", *name]);
            run(cargo(&["test", "--quiet", "--workspace", "--all-targets", "--"]).args(slow))
        }),
        ("power cuts and random walks", || {
            let tests = ["--test", "power", "--test", "walk", "--", "--nocapture"];
            run(cargo(&["test", "--quiet", "-p", "patchlane-tests"]).args(tests).args(SLOW))
        }),
        ("documentation tests", || run(&mut cargo(&["test", "--quiet", "--workspace", "--doc"]))),
        ("minimum Rust version", msrv),
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
    let (mut failed, count) = (Vec::new(), parts.len());
    for (name, body) in parts {
        failed.extend(part(name, body).err());
    }
    if failed.is_empty() {
        println!("\nall {count} parts passed");
        Ok(())
    } else {
        Err(format!("{} of {count} parts failed:\n{}", failed.len(), failed.join("\n")))
    }
}

/// Nothing in the tree asks for a newer Rust than ours states; clippy's `incompatible_msrv` watches what we call. Where
/// rustup has that version, it also compiles the two crates that firmware depends on.
fn msrv() -> Result<(), String> {
    let stated = env!("CARGO_PKG_RUST_VERSION");
    let version = |text: &str| -> Vec<u32> { text.split('.').map(|n| n.parse().unwrap_or(0)).collect() };
    let out = cargo(&["metadata", "--format-version", "1"]).output().map_err(|e| e.to_string())?;
    let metadata = String::from_utf8_lossy(&out.stdout).into_owned();
    let asked = metadata.split("\"rust_version\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let newest = asked.max_by_key(|asked| version(asked)).unwrap_or("0").to_owned();
    println!("stated {stated}; the newest that any dependency asks for is {newest}");
    if version(&newest) > version(stated) {
        return Err(format!("a dependency asks for Rust {newest}, and we state {stated}"));
    }
    let listed = std::process::Command::new("rustup").args(["toolchain", "list"]).output();
    let there = listed.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(&format!("{stated}-")));
    if !there {
        println!("Rust {stated} itself isn't installed here: not compiled with it");
        return Ok(());
    }
    let mut check = std::process::Command::new("rustup");
    check.args(["run", stated, "cargo", "check", "--quiet", "-p", "patchlane-device", "-p", "patchlane"]);
    run(check.current_dir(crate::toolchain::root()).env("CARGO_TARGET_DIR", "target/msrv"))
}
