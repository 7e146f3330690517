//! Launcher.

mod vectors;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((name, rest)) if name == "vectors" => vectors::run(rest),
        _ => {
            eprintln!("usage: cargo xtask vectors [--check]");
            ExitCode::from(2)
        }
    }
}
