//! `cargo xtask test`: everything CI runs, in order of cost.

use crate::demo;
use crate::run::{cargo, part, run};
use crate::{firmware, fuzz, integrator, qemu, replay, report, sizes, skips, toolchain, tools, vectors};
use std::process::ExitCode;

/// Tests that take longer, and tell what they counted.
const SLOW: [&str; 5] = ["every_single_cut", "pairs_of_cuts", "random_walks", "real_images", "model_"];

/// A part's name, and what it does.
type Part = (&'static str, fn() -> Result<(), String>);

/// What CI runs, in order of cost.
const PARTS: &[Part] = &[
    ("machine", || toolchain::prepare_with(&tools::KEY_READERS)),
    ("format", || {
        let of = |manifest| run(&mut cargo(&["fmt", "--all", "--check", "--manifest-path", manifest]));
        ["Cargo.toml", "tests/qemu/Cargo.toml", "tests/embassy/Cargo.toml", "tests/fuzz/Cargo.toml"]
            .into_iter()
            .try_for_each(of)
    }),
    ("lints", || {
        run(&mut cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    }),
    ("unit tests, transcripts, simulated scenarios", || {
        let slow = SLOW.iter().flat_map(|name| ["--skip", *name]);
        // What was skipped because the machine lacks it says so; a passing test's words are shown, too.
        run(cargo(&["test", "--quiet", "--workspace", "--all-targets", "--"]).args(slow).arg("--show-output"))
    }),
    ("power cuts and random walks", || {
        let tests = ["power", "walk", "delta", "direct"].iter().flat_map(|test| ["--test", *test]);
        let mut test = cargo(&["test", "--quiet", "-p", "patchlane-tests"]);
        run(test.args(tests).args(["--", "--nocapture"]).args(&SLOW[..3]))
    }),
    ("every order of a release history", || model(false)),
    ("known-bad rules", || known_bad(true)),
    ("hostile input", fuzz::smoke),
    ("Miri", fuzz::miri),
    ("real images", || {
        let tests = ["--test", "corpus", "--", "--nocapture"];
        run(cargo(&["test", "--quiet", "-p", "patchlane-tests"]).args(tests))
    }),
    ("documentation tests", || run(&mut cargo(&["test", "--quiet", "--workspace", "--doc"]))),
    ("steps that must not compile", must_not_compile),
    ("minimum Rust version", msrv),
    ("curves are strict", no_legacy),
    ("other systems", other_systems),
    ("the comparison with embassy-boot", || {
        let check = ["check", "--quiet", "--locked", "--manifest-path", "tests/embassy/Cargo.toml"];
        run(cargo(&check).env("CARGO_TARGET_DIR", "target/embassy"))
    }),
    ("documentation", || {
        let mut doc = cargo(&["doc", "--quiet", "--no-deps", "--workspace"]);
        run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("vectors", || {
        let same = vectors::run(true) == ExitCode::SUCCESS;
        if same { Ok(()) } else { Err("protocol/vectors or SPEC.md drifted: cargo xtask vectors".into()) }
    }),
    ("a report in a browser", || report::report(&["--browser"])),
    ("firmware", || firmware::build(None).map(|folder| println!("{}", folder.display()))),
    ("scenarios on three boards", || qemu::play(&["--board", "all", "--cuts", "12"])),
    ("replay on a board", || replay::play("virt")),
    ("skipped instructions", || skips::play(&["--quick"])),
    ("costs on three boards", || qemu::play(&["--cost", "--scenario", "refusals"])),
    ("story, simulated", || demo::check(demo::SIM)),
    ("story on the board", || demo::check("virt")),
    ("a firmware crate of someone else", integrator::check),
    ("sizes and panic paths", sizes::sizes),
];

pub(crate) fn test() -> Result<(), String> {
    let (mut failed, count) = (Vec::new(), PARTS.len());
    for (name, body) in PARTS {
        failed.extend(part(name, *body).err());
    }
    if failed.is_empty() {
        println!("\nall {count} parts passed");
        Ok(())
    } else {
        Err(format!("{} of {count} parts failed:\n{}", failed.len(), failed.join("\n")))
    }
}

/// The model check; a deep one takes hours.
pub(crate) fn model(deep: bool) -> Result<(), String> {
    let mut test = cargo(&["test", "--quiet", "-p", "patchlane-tests", "--test", "model"]);
    // One search holds thousands of devices: one after the other.
    test.args(["--", "--nocapture", "--test-threads", "1"]);
    run(test.env("PATCHLANE_MODEL", if deep { "deep" } else { "short" }))
}

/// Readings of the rules that are known to be wrong are caught; quick: each by one test.
pub(crate) fn known_bad(quick: bool) -> Result<(), String> {
    let mut program = cargo(&["run", "--quiet", "-p", "patchlane-tests", "--bin", "known_bad", "--"]);
    run(program.args(quick.then_some("--quick")))
}

/// The device's doc tests once more, by a rustdoc that also compares error codes: what must not compile fails for the
/// stated reason. A stable one ignores the codes.
fn must_not_compile() -> Result<(), String> {
    let mut test = cargo(&["test", "--quiet", "-p", "patchlane-device", "--doc"]);
    run(test.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", "target/codes"))
}

/// The command line compiles for the systems that release engineers have. Nothing is linked or run.
fn other_systems() -> Result<(), String> {
    for target in ["x86_64-pc-windows-msvc", "aarch64-apple-darwin"] {
        run(toolchain::check_for(target)?.args(["-p", "patchlane"]))?;
        println!("{target}: checked");
    }
    Ok(())
}

/// No build of ours, and none of the boards', asks the curves for signatures with two forms.
fn no_legacy() -> Result<(), String> {
    for manifest in ["Cargo.toml", "tests/qemu/Cargo.toml"] {
        let tree =
            ["tree", "--manifest-path", manifest, "--edges", "normal,build,dev,features", "--target", "all"];
        let out = cargo(&tree).output().map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        if !out.status.success() || !text.contains("ed25519-dalek") {
            return Err(format!("{manifest}: cargo tree: {}", String::from_utf8_lossy(&out.stderr)));
        }
        if text.contains("legacy_compatibility") {
            return Err(format!("{manifest}: ed25519-dalek is built with `legacy_compatibility`"));
        }
        println!("{manifest}: checked");
    }
    Ok(())
}

/// Nothing in the tree asks for a newer Rust than ours states; clippy's `incompatible_msrv` watches what we call. Where
/// rustup has that version, it also compiles the two crates that firmware depends on.
fn msrv() -> Result<(), String> {
    let stated = env!("CARGO_PKG_RUST_VERSION");
    let version = |text: &str| -> Vec<u32> { text.split('.').map(|n| n.parse().unwrap_or(0)).collect() };
    let out = cargo(&["metadata", "--format-version", "1"]).output().map_err(|e| e.to_string())?;
    let metadata = String::from_utf8_lossy(&out.stdout).into_owned();
    let asked = metadata.split("\"rust_version\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let newest = asked.max_by_key(|asked| version(asked)).filter(|_| out.status.success());
    let newest = newest.ok_or("cargo metadata says nothing of Rust versions")?.to_owned();
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
