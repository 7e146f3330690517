//! `cargo xtask cases`: fixes that were really released, in firmware built from source, before `diff` and `lint`.
//!
//! Each case is a small firmware that uses a component of others. The component's fix is the one that was published;
//! the firmware, and what a vendor lays beside it, are ours.

pub(crate) mod bench;
mod desk;
mod fetch;
mod list;
mod report;
mod tree;

use crate::run::{cargo, run};
use crate::{toolchain, tools};
use desk::Desk;
use list::{CASES, Case, Sources};
use report::{Judged, Row};
use std::process::ExitCode;
use tree::{FIX, SMUGGLE, Tree};

/// Why a case has no result.
#[derive(Debug)]
enum Problem {
    /// Something can't be had here: the case is skipped.
    Missing(String),
    Failed(String),
}

/// Cases were skipped, and nothing failed: what Automake's tests end with, too.
const SKIPPED: u8 = 77;

/// Runs the named case, or all; writes docs/CASES.md if asked to.
pub(crate) fn cases(words: &[&str]) -> ExitCode {
    let (mut names, mut write, mut rebuild) = (Vec::new(), false, true);
    for word in words {
        match *word {
            "--list" => {
                for case in &CASES {
                    println!(
                        "{:10} {} {}: {}",
                        case.name,
                        case.component,
                        case.versions.join(" to "),
                        case.firmware
                    );
                }
                return ExitCode::SUCCESS;
            }
            "--write" => write = true,
            "--no-rebuild" => rebuild = false,
            name if CASES.iter().any(|case| case.name == name) => names.push(name),
            other => {
                eprintln!("xtask cases: there is no case `{other}`; --list names them");
                return ExitCode::from(2);
            }
        }
    }
    if write && !rebuild {
        eprintln!("xtask cases: --write takes all that a case shows, check 12 too");
        return ExitCode::from(2);
    }
    let chosen = CASES.iter().filter(|case| names.is_empty() || names.contains(&case.name));
    match all(chosen, write, rebuild) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(SKIPPED),
        Err(problem) => {
            eprintln!("xtask cases: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn build_release() -> Result<(), String> {
    run(&mut cargo(&["build", "--quiet", "--release", "-p", "patchlane"]))
}

/// Runs cases and says how many were skipped.
fn all(chosen: impl Iterator<Item = &'static Case>, write: bool, rebuild: bool) -> Result<usize, String> {
    build_release()?;
    let (mut rows, mut skipped) = (Vec::new(), 0);
    for case in chosen {
        println!("=== {}: {} {}", case.name, case.component, case.versions.join(" to "));
        match one(case, rebuild) {
            Ok(row) => {
                println!("{}", row.text());
                rows.push(row);
            }
            Err(Problem::Missing(what)) => {
                println!("skipped: {}: this machine can't get {what}", case.name);
                skipped += 1;
            }
            Err(Problem::Failed(what)) => return Err(format!("{}: {what}", case.name)),
        }
    }
    if write {
        report::write(&rows)?;
    }
    Ok(skipped)
}

/// The compiler that a case asks for.
fn prepare(case: &Case) -> Result<(), Problem> {
    let there = match case.sources {
        Sources::Crates => toolchain::compiler(),
        Sources::Debian(_) => tools::ensure(&tools::GCC),
    };
    there.map_err(Problem::Missing)
}

fn one(case: &'static Case, rebuild: bool) -> Result<Row, Problem> {
    prepare(case)?;
    let tree = Tree::new(case);
    tree.make()?;
    let desk = Desk::new(&tree, FIX, case.scope)?;
    let mut programs = Vec::new();
    for target in case.targets {
        let size = std::fs::metadata(tree.program(FIX, target)).map_or(0, |meta| meta.len());
        let (found, took) = desk.functions(target)?;
        programs.push(report::Program::new(target, size, &found, took));
    }
    let bytes = desk.bytes()?;
    // Timed without the rebuild, which takes what the compiler takes.
    let (rows, took) = desk.lint(false)?;
    let rows = if rebuild { desk.lint(true)?.0 } else { rows };
    let lint = Judged::new(&rows, Some(took));
    let mut smuggled = Vec::new();
    if tree.has_smuggle() {
        let wide: Vec<&str> = case.scope.iter().copied().chain(["src/**"]).collect();
        for (name, scope) in [("left out of the scope", case.scope), ("declared as in scope", &wide[..])] {
            let desk = Desk::new(&tree, SMUGGLE, scope)?;
            smuggled.push((name, Judged::new(&desk.lint(false)?.0, None)));
        }
    }
    Ok(Row { case, bytes, programs, lint, smuggled })
}
