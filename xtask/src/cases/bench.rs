//! `cargo xtask bench lint`: what one waits for `diff` and `lint` on a real program with all its debug information.

use super::desk::Desk;
use super::list::CASES;
use super::tree::{BASE, FIX, Tree};
use super::{Problem, prepare};
use crate::bench::{RUNS, times};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a comparison of two programs may take.
const GOAL: Duration = Duration::from_secs(2);
/// The least that a program has to be, in bytes.
const LEAST: u64 = 1 << 20;

/// A program of binutils that reads the same debug information, twice.
fn anchor(files: &[std::path::PathBuf; 2]) -> Result<Duration, String> {
    let begun = Instant::now();
    for file in files {
        let mut readelf = Command::new("readelf");
        readelf.arg("--debug-dump=decodedline").arg(file).stdout(Stdio::null()).stderr(Stdio::null());
        let status = readelf.status().map_err(|e| format!("readelf (Debian's binutils): {e}"))?;
        if !status.success() {
            return Err(format!("readelf can't read {}", file.display()));
        }
    }
    Ok(begun.elapsed())
}

fn measure() -> Result<(), Problem> {
    let case = &CASES[0];
    prepare(case)?;
    let tree = Tree::new(case);
    let target = case.targets[0];
    let programs = [BASE, FIX].map(|release| tree.program(release, target));
    if !programs.iter().all(|path| path.exists()) {
        tree.make()?;
    }
    let size = fs::metadata(&programs[0]).map_or(0, |meta| meta.len());
    if size < LEAST {
        return Err(Problem::Failed(format!("{} has {size} bytes only", programs[0].display())));
    }
    let desk = Desk::new(&tree, FIX, case.scope)?;
    let told = |problem: Problem| format!("{problem:?}");
    let time = |once: &mut dyn FnMut() -> Result<Duration, String>| times(once).map_err(Problem::Failed);
    let theirs = time(&mut || anchor(&programs))?;
    let diff = time(&mut || desk.functions(target).map(|(_, took)| took).map_err(told))?;
    let whole = time(&mut || desk.lint(false).map(|(_, took)| took).map_err(told))?;
    desk.without_flash()?;
    let without = time(&mut || desk.lint(false).map(|(_, took)| took).map_err(told))?;
    println!(
        "{RUNS} runs each, in milliseconds; two programs of {} KiB with debug information ({}, {target}).\n",
        size / 1024,
        case.name
    );
    println!("{:<56}  {:>8} {:>8}  of readelf's", "", "median", "least");
    for (name, times) in [
        ("readelf --debug-dump=decodedline, both", theirs),
        ("patchlane diff --source-diff", diff),
        ("patchlane lint, without a rebuild", whole),
        ("the same, without [flash]: nothing is installed (28)", without),
    ] {
        let ratio = times.median / theirs.median;
        println!("{name:<56}  {:>8.1} {:>8.1}  {ratio:>11.1}x", times.median, times.least);
    }
    if diff.median > GOAL.as_secs_f64() * 1e3 {
        return Err(Problem::Failed(format!("diff takes more than {} s", GOAL.as_secs())));
    }
    Ok(())
}

/// Measures, and fails if a comparison takes more than it may.
pub(crate) fn bench() -> Result<(), String> {
    super::build_release()?;
    match measure() {
        Ok(()) => Ok(()),
        Err(Problem::Missing(what)) => Err(format!("this machine can't get {what}")),
        Err(Problem::Failed(what)) => Err(what),
    }
}
