//! `cargo xtask test`: everything CI runs.

use crate::demo;
use crate::lanes::{Lane, Part, go};
use crate::run::{cargo, part, run};
use crate::{firmware, fuzz, integrator, qemu, replay, report, sizes, skips, toolchain, tools, vectors};
use std::process::ExitCode;

/// Tests that take longer, and tell what they counted.
const SLOW: [&str; 5] = ["every_single_cut", "pairs_of_cuts", "random_walks", "real_images", "model_"];

/// What CI runs; within a lane in order of cost, but for what needs what others have built.
const PARTS: &[Part] = &[
    (Lane::Ours, "format", || {
        let of = |manifest| run(&mut cargo(&["fmt", "--all", "--check", "--manifest-path", manifest]));
        ["Cargo.toml", "tests/qemu/Cargo.toml", "tests/embassy/Cargo.toml", "tests/fuzz/Cargo.toml"]
            .into_iter()
            .try_for_each(of)
    }),
    (Lane::Ours, "lints", || {
        run(&mut cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    }),
    (Lane::Ours, "unit tests, transcripts, simulated scenarios", || {
        let slow = SLOW.iter().flat_map(|name| ["--skip", *name]);
        // What was skipped because the machine lacks it says so; a passing test's words are shown, too.
        run(cargo(&["test", "--quiet", "--workspace", "--all-targets", "--"]).args(slow).arg("--show-output"))
    }),
    (Lane::Ours, "power cuts and random walks", || {
        let tests = ["power", "walk", "delta", "direct"].iter().flat_map(|test| ["--test", *test]);
        let mut test = cargo(&["test", "--quiet", "-p", "patchlane-tests"]);
        run(test.args(tests).args(["--", "--nocapture"]).args(&SLOW[..3]))
    }),
    (Lane::Ours, "every order of a release history", || model(false)),
    (Lane::Other, "hostile input", fuzz::smoke),
    // In a folder of its own, too; but the other lane is the longer one.
    (Lane::Ours, "Miri or AddressSanitizer", fuzz::miri),
    (Lane::Ours, "real images", || {
        let tests = ["--test", "corpus", "--", "--nocapture"];
        run(cargo(&["test", "--quiet", "-p", "patchlane-tests"]).args(tests))
    }),
    (Lane::Ours, "documentation tests", || run(&mut cargo(&["test", "--quiet", "--workspace", "--doc"]))),
    (Lane::Other, "steps that must not compile", must_not_compile),
    (Lane::Ours, "minimum Rust version", msrv),
    (Lane::Ours, "curves are strict", no_legacy),
    (Lane::Other, "other systems", other_systems),
    (Lane::Other, "the comparison with embassy-boot", || {
        let check = ["check", "--quiet", "--locked", "--manifest-path", "tests/embassy/Cargo.toml"];
        run(cargo(&check).env("CARGO_TARGET_DIR", "target/embassy"))
    }),
    (Lane::Ours, "documentation", || {
        let mut doc = cargo(&["doc", "--quiet", "--no-deps", "--workspace"]);
        run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    }),
    (Lane::Ours, "vectors", || {
        let same = vectors::run(true) == ExitCode::SUCCESS;
        if same { Ok(()) } else { Err("protocol/vectors or SPEC.md drifted: cargo xtask vectors".into()) }
    }),
    (Lane::Ours, "a report in a browser", || report::report(&["--browser"])),
    (Lane::Other, "firmware", || firmware::build(None).map(|folder| println!("{}", folder.display()))),
    (Lane::Other, "scenarios on three boards", || qemu::play(&["--board", "all", "--cuts", "12"])),
    (Lane::Other, "replay on a board", || replay::play("virt")),
    (Lane::Other, "skipped instructions", || skips::play(&["--quick"])),
    (Lane::Other, "costs on three boards", || qemu::play(&["--cost", "--scenario", "refusals"])),
    (Lane::Other, "story, simulated", || demo::check(demo::SIM)),
    (Lane::Other, "story on the board", || demo::check("virt")),
    (Lane::Other, "a firmware crate of someone else", integrator::check),
    (Lane::Other, "sizes and panic paths", sizes::sizes),
    (Lane::Other, "known-bad rules", || known_bad(true)),
];

/// `test`, `test --list`, `test PART`.
pub(crate) fn test(words: &[&str]) -> Result<(), String> {
    match *words {
        [] => {
            let machine = part("machine", machine);
            go(PARTS, machine.err())
        }
        ["--list"] => {
            PARTS.iter().for_each(|(_, name, _)| println!("{name}"));
            Ok(())
        }
        [wanted] => {
            let found = PARTS.iter().find(|(_, name, _)| *name == wanted);
            let (_, _, body) =
                found.ok_or_else(|| format!("there is no part `{wanted}`: cargo xtask test --list"))?;
            body()
        }
        _ => Err("what is meant? test, test PART, test --list".into()),
    }
}

/// What any part wants to have installed: two parts at once can't. What only some need may stay away; they say so.
fn machine() -> Result<(), String> {
    for wanted in [&report::BROWSER[..], &fuzz::COMPILER] {
        if let Err(why) = tools::ensure(wanted) {
            println!("{why}");
        }
    }
    toolchain::prepare_with(&tools::KEY_READERS)
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
