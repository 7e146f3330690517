//! `cargo xtask fuzz` and `cargo xtask miri`: what needs a nightly compiler. None is ever downloaded.
//!
//! The targets (tests/fuzz) have the layout that `cargo fuzz run` expects, but don't need it: what it adds to a build is
//! these flags. The long runs go without a sanitiser: there is no unsafe code of ours to watch, and they try more for it.
//! Dependencies have some (curves, vectors on the stack), so the minute within `cargo xtask test` has AddressSanitizer.

use crate::run::{cargo, run};
use crate::toolchain::root;
use crate::tools;
use std::path::{Path, PathBuf};
use std::process::Command;

/// LLVM's coverage, as `cargo fuzz` asks for it.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// AddressSanitizer: comes with every nightly compiler for a host that it supports.
const ADDRESSES: &str = "-Zsanitizer=address";

/// Seconds over all targets within `cargo xtask test`.
const SMOKE: u64 = 60;

/// libFuzzer is C++.
pub(crate) const COMPILER: [tools::Package; 1] = [("g++", "g++")];

fn says(program: &str, words: &[&str]) -> Option<String> {
    let out = Command::new(program).args(words).output().ok().filter(|out| out.status.success())?;
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn has_nightly() -> bool {
    says("rustup", &["toolchain", "list"]).is_some_and(|list| list.lines().any(|l| l.starts_with("nightly-")))
}

/// The targets: their files say which there are.
fn targets() -> Result<Vec<String>, String> {
    let folder = root().join("tests/fuzz/fuzz_targets");
    let files = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let stem = |path: PathBuf| Some(path.file_stem()?.to_string_lossy().into_owned());
    let mut names: Vec<String> = files.flatten().filter_map(|entry| stem(entry.path())).collect();
    names.sort();
    Ok(names)
}

/// What the nightly compiler calls this machine.
fn host() -> Result<String, String> {
    let version =
        says("rustup", &["run", "nightly", "rustc", "-vV"]).ok_or("the nightly compiler doesn't start")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
    Ok(host.to_string())
}

/// Where the sanitiser's run time is known to be part of the compiler; elsewhere these runs go without.
fn watches_addresses(host: &str) -> bool {
    let processor = ["x86_64-", "aarch64-"].iter().any(|name| host.starts_with(name));
    processor && (host.ends_with("-unknown-linux-gnu") || host.ends_with("-apple-darwin"))
}

/// Builds all targets by this profile; the folder with their programs.
fn build(profile: &str) -> Result<PathBuf, String> {
    tools::ensure(&COMPILER)?;
    let host = host()?;
    let watched = profile == "smoke" && watches_addresses(&host);
    let flags = if watched { format!("{FLAGS} {ADDRESSES}") } else { FLAGS.to_string() };
    let output = root().join("target/fuzz");
    let mut cargo = Command::new("rustup");
    cargo.args([
        "run",
        "nightly",
        "cargo",
        "build",
        "--quiet",
        "--locked",
        "--profile",
        profile,
        "--target",
        &host,
    ]);
    cargo.current_dir(root().join("tests/fuzz")).env("CARGO_TARGET_DIR", &output).env("RUSTFLAGS", flags);
    // This cargo's own words about itself are about another compiler.
    run(cargo.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN"))?;
    Ok(output.join(host).join(profile))
}

/// Inputs longer than this teach a target nothing.
fn longest(target: &str) -> &'static str {
    match target {
        "device" | "journal" => "256",
        "manifest" | "root_chain" | "owner" => "2100",
        _ => "9000",
    }
}

/// One target for so long, from the seeds and whatever was found before (tests/fuzz/corpus, not committed). The number of
/// its executions.
fn play(programs: &Path, target: &str, seconds: u64) -> Result<u64, String> {
    let fuzz = root().join("tests/fuzz");
    let [corpus, found] = ["corpus", "artifacts"].map(|name| fuzz.join(name).join(target));
    for folder in [&corpus, &found] {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let mut program = Command::new(programs.join(target));
    program.arg(format!("-max_total_time={seconds}")).args(["-timeout=30", "-print_final_stats=1"]);
    program
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg(format!("-max_len={}", longest(target)));
    program.arg(corpus).arg(fuzz.join("seeds").join(target));
    let out = program.output().map_err(|e| format!("{target} doesn't start: {e}"))?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    if !out.status.success() {
        return Err(format!("{target} fails; its input is in {}:\n{said}", found.display()));
    }
    let name = "stat::number_of_executed_units:";
    let number = said.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    number.ok_or_else(|| format!("{target} doesn't say how often it was executed:\n{said}"))
}

/// Seconds of processor time that the programs started here have taken, where Linux says so.
fn taken() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name in parentheses: the state is the third field, children's times the 16th and the 17th, in 1/100 s.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some((ticks(16)? + ticks(17)?) / 100)
}

/// One target until it has had so many seconds of a processor: on a busy machine that takes longer.
fn play_long(programs: &Path, target: &str, seconds: u64) -> Result<(), String> {
    let (mut spent, mut executions) = (0, 0);
    while spent < seconds {
        let slice = (seconds - spent).min(300);
        let before = taken();
        executions += play(programs, target, slice)?;
        spent += before.zip(taken()).map_or(slice, |(before, after)| after.saturating_sub(before)).max(1);
        println!("{target:<12}{executions:>12} executions in {spent} s of processor time");
    }
    Ok(())
}

/// All targets for a minute altogether, if there is a nightly compiler.
pub(crate) fn smoke() -> Result<(), String> {
    if !has_nightly() {
        println!("skipped: no nightly toolchain; the committed seeds were replayed by the stable one");
        return Ok(());
    }
    let (programs, targets) = (build("smoke")?, targets()?);
    let seconds = (SMOKE / targets.len().max(1) as u64).max(1);
    targets.iter().try_for_each(|target| {
        let executions = play(&programs, target, seconds)?;
        println!("{target:<12}{executions:>10} executions in {seconds} s");
        Ok(())
    })
}

/// `fuzz [TARGET] [--seconds N]`, `fuzz --list`, `fuzz --seeds`, `fuzz --smoke`.
pub(crate) fn fuzz(words: &[&str]) -> Result<(), String> {
    let all = targets()?;
    let (chosen, seconds) = match *words {
        ["--list"] => {
            all.iter().for_each(|target| println!("{target}"));
            return Ok(());
        }
        ["--smoke"] => return smoke(),
        ["--seeds"] => {
            let write = ["run", "--quiet", "-p", "patchlane-tests", "--bin", "seeds"];
            return run(&mut cargo(&write));
        }
        [] => (None, "600"),
        ["--seconds", seconds] => (None, seconds),
        [target] => (Some(target), "600"),
        [target, "--seconds", seconds] => (Some(target), seconds),
        _ => return Err("what is meant? fuzz [TARGET] [--seconds N], --smoke, --list, --seeds".into()),
    };
    let seconds: u64 = seconds.parse().map_err(|_| format!("`{seconds}` is no number of seconds"))?;
    if let Some(target) = chosen.filter(|target| !all.iter().any(|name| name == target)) {
        return Err(format!("there is no target `{target}`: {}", all.join(", ")));
    }
    if !has_nightly() {
        return Err("fuzzing needs a nightly toolchain: rustup toolchain install nightly".into());
    }
    let programs = build("release")?;
    let chosen = all.iter().filter(|name| chosen.is_none_or(|target| target == name.as_str()));
    chosen.into_iter().try_for_each(|target| play_long(&programs, target, seconds))
}

/// Tests of protocol and device, deltas too, by the nightly compiler's cargo, with these words around `test`.
fn ours(before: &[&str], which: &str, folder: &str, flags: &str, target: &str) -> Result<(), String> {
    let mut tests = Command::new("rustup");
    tests.args(["run", "nightly", "cargo"]).args(before).args(["test", "--quiet", which, "--target", target]);
    tests.args([
        "-p",
        "patchlane-protocol",
        "-p",
        "patchlane-device",
        "--features",
        "patchlane-device/delta",
    ]);
    tests.env("CARGO_TARGET_DIR", root().join("target").join(folder)).env("RUSTFLAGS", flags);
    let tests = tests.current_dir(root());
    run(tests.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN"))
}

/// Unit tests of protocol and device under Miri; where that isn't, these and all their other tests with AddressSanitizer,
/// which sees less: accesses outside of what is allocated, not each undefined step.
pub(crate) fn miri() -> Result<(), String> {
    if !has_nightly() {
        println!("skipped: no nightly toolchain");
        return Ok(());
    }
    let host = host()?;
    if says("rustup", &["run", "nightly", "cargo", "miri", "--version"]).is_some() {
        return ours(&["miri"], "--lib", "miri", "", &host);
    }
    println!("skipped: no Miri; rustup +nightly component add miri");
    if !watches_addresses(&host) {
        return Ok(());
    }
    println!("AddressSanitizer instead:");
    ours(&[], "--tests", "asan", ADDRESSES, &host)
}
