//! Launches what has to be launched: `cargo xtask help`.

mod demo;
mod firmware;
mod run;
mod sizes;
mod test;
mod toolchain;
mod tools;
mod vectors;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask demo [--board virt|sim]   the story: keys, bundles, a device takes a patch and holds a feature
cargo xtask test                      everything CI runs
cargo xtask sizes                     code and RAM of the device crate against tests/sizes.txt; panic paths
cargo xtask firmware                  builds the boards' firmware into target/firmware
cargo xtask vectors [--check]         writes protocol/vectors and the generated parts of SPEC.md";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        eprintln!("{HELP}");
        return ExitCode::from(2);
    };
    let result = match name.as_str() {
        "vectors" => return vectors::run(rest),
        "firmware" => firmware::build().map(|folder| println!("firmware in {}", folder.display())),
        "demo" => demo::demo(rest),
        "test" => test::test(),
        "sizes" => sizes::sizes(),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        other => {
            eprintln!("xtask: there is no `{other}`\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask {name}: {problem}");
            ExitCode::FAILURE
        }
    }
}
