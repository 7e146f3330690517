//! Launches what has to be launched: `cargo xtask help`.

mod bench;
mod cases;
mod cuts;
mod deltas;
mod demo;
mod firmware;
mod fuzz;
mod integrator;
mod lanes;
mod mutants;
mod qemu;
mod replay;
mod report;
mod run;
mod sizes;
mod skips;
mod test;
mod toolchain;
mod tools;
mod vectors;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask demo [--board B|sim]      the story: keys, bundles, a device takes a patch and holds a feature
cargo xtask test [PART]               everything CI runs, or a part of it; --list
cargo xtask model [--deep]            orders of a release history, as far as it gets, on the device; deep: 30 times the states
cargo xtask known-bad [--quick]       puts known-bad rules into a copy of the device, and sees that tests catch each
cargo xtask mutants [--area A]… [--only TEXT]… [--survivors] [--write]
                                      breaks the device's trust code in all ways cargo-mutants knows, and sees that tests
                                      mind; takes an hour, so isn't part of `test`; --list names the areas
cargo xtask bench host                start, sign and verify against imgtool (PyPI); measures, decides nothing
cargo xtask bench lint                diff and lint of a real program with debug information, beside readelf; diff in 2 s
cargo xtask cuts [--full] [--seed N] [--plan P] [--geometry G]
                                      power cut at every flash operation of everything an operator does; --list
cargo xtask cuts --replay CASE        one case again, as the command that found it printed it
cargo xtask cuts --embassy            embassy-boot under the same cuts, and our figures beside it
cargo xtask fuzz [TARGET] [--seconds N]
                                      hostile input, 600 s for each target, with a nightly toolchain; --smoke, --list, --seeds
cargo xtask miri                      unit tests of protocol and device under Miri; AddressSanitizer where it isn't
cargo xtask bench deltas              deltas of real firmware against detools and bsdiff (PyPI); needs ../shared/corpus
cargo xtask qemu [--board B] [--scenario S] [--list]
                                      scenarios on boards in QEMU; --cuts N, --cost [--write], --replay CUTS
cargo xtask replay [--board B|all]    base and patch of the demo application answer recorded inputs on a board; a feature
                                      dressed as a patch is refused
cargo xtask skips [--quick] [--case C] [--every]
                                      skips instructions of a bootloader's decisions in QEMU; --list, --replay CASE@…
cargo xtask cases [NAME] [--list] [--no-rebuild] [--write]
                                      released fixes of others, built from source, before diff and lint; ends with 77 if
                                      sources can't be had; --write: docs/CASES.md
cargo xtask report [--browser]        the evidence report of a sample product, in target/report; looked at in headless Chromium
cargo xtask sizes                     code and RAM of the device crate against tests/sizes.txt; panic paths
cargo xtask firmware                  builds the boards' firmware into target/firmware
cargo xtask vectors [--check]         writes protocol/vectors and the generated parts of SPEC.md";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["vectors"] => return vectors::run(false),
        ["vectors", "--check"] => return vectors::run(true),
        ["firmware"] => toolchain::prepare().and_then(|()| firmware::build(None)).map(|folder| {
            println!("firmware in {}", folder.display());
        }),
        ["demo"] => demo::demo("virt"),
        ["demo", "--board", place] if place == demo::SIM || firmware::is_board(place) => demo::demo(place),
        ["qemu", ref arguments @ ..] => qemu::qemu(arguments),
        ["replay"] => replay::replay("virt"),
        ["replay", "--board", board] if board == "all" || firmware::is_board(board) => replay::replay(board),
        ["test", ref rest @ ..] => test::test(rest),
        ["model"] => test::model(false),
        ["model", "--deep"] => test::model(true),
        ["known-bad"] => test::known_bad(false),
        ["known-bad", "--quick"] => test::known_bad(true),
        ["mutants", ref rest @ ..] => mutants::mutants(rest),
        ["skips", ref rest @ ..] => skips::skips(rest),
        ["cases", ref rest @ ..] => return cases::cases(rest),
        ["report", ref rest @ ..] => report::report(rest),
        ["sizes"] => sizes::sizes(),
        ["bench", "host"] => bench::host(),
        ["bench", "lint"] => cases::bench::bench(),
        ["cuts", ref rest @ ..] => cuts::cuts(rest),
        ["fuzz", ref rest @ ..] => fuzz::fuzz(rest),
        ["miri"] => fuzz::miri(),
        ["bench", "deltas"] => deltas::deltas(),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        [] => return usage("what is to be done?"),
        _ => return usage(&format!("`{}` isn't understood", words.join(" "))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask {}: {problem}", words.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("xtask: {problem}\n{HELP}");
    ExitCode::from(2)
}
