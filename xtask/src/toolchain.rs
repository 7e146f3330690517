//! Bare-metal builds: with rustup's targets where they can be had, with Debian's compiler otherwise.

use crate::tools;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What bare-metal code is built for.
pub(crate) const TARGETS: [&str; 3] =
    ["thumbv6m-none-eabi", "thumbv7m-none-eabi", "riscv32imac-unknown-none-elf"];

/// How bare-metal code is compiled on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// rustup's stable has the targets.
    Rustup,
    /// Debian's rustc and cargo build `core` from source.
    Debian,
}

fn rustup_has(targets: &[&str]) -> bool {
    let listed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    listed.is_ok_and(|out| {
        let listed = String::from_utf8_lossy(&out.stdout).into_owned();
        targets.iter().all(|target| listed.lines().any(|line| line == *target))
    })
}

/// How these targets are to be had.
fn way_to(targets: &[&str]) -> Way {
    // RUSTUP_AUTO_INSTALL=0 means: no toolchain downloads on this machine.
    let may_download = std::env::var("RUSTUP_AUTO_INSTALL").map_or(true, |value| value != "0");
    let add = || Command::new("rustup").args(["target", "add"]).args(targets).status();
    if rustup_has(targets) || may_download && add().is_ok_and(|status| status.success()) {
        Way::Rustup
    } else {
        Way::Debian
    }
}

fn way() -> Way {
    static WAY: OnceLock<Way> = OnceLock::new();
    *WAY.get_or_init(|| way_to(&TARGETS))
}

/// Everything that building firmware and starting boards needs, asked for at once.
pub(crate) fn prepare() -> Result<(), String> {
    prepare_with(&[])
}

/// The same, and more.
pub(crate) fn prepare_with(more: &[tools::Package]) -> Result<(), String> {
    let mut wanted = [&tools::QEMU, more].concat();
    if way() == Way::Debian {
        wanted.extend(tools::COMPILER);
    }
    tools::ensure(&wanted)
}

/// A compiler for bare metal, and no board.
pub(crate) fn compiler() -> Result<(), String> {
    if way() == Way::Debian { tools::ensure(&tools::COMPILER) } else { Ok(()) }
}

/// What a build script that calls `cargo` itself has to know: BUILD_STD is what it passes on where the targets' `core`
/// has to be built.
pub(crate) fn for_script(command: &mut Command) {
    for name in ["RUSTFLAGS", "RUSTC", "CARGO"] {
        command.env_remove(name);
    }
    if way() == Way::Debian {
        let settings =
            [("PATH", "/usr/bin:/bin"), ("RUSTC_BOOTSTRAP", "1"), ("BUILD_STD", "-Zbuild-std=core")];
        command.env_remove("RUSTUP_TOOLCHAIN").envs(settings);
        for target in TARGETS {
            let target = target.to_uppercase().replace('-', "_");
            command.env(format!("CARGO_TARGET_{target}_LINKER"), "ld.lld");
        }
    }
}

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf()
}

/// cargo for a bare-metal target, in `folder`: it decides which .cargo/config.toml is read, and RUSTFLAGS would hide it.
pub(crate) fn cargo(action: &str, folder: &Path, target: &str) -> Command {
    let mut cargo = cargo_by(way(), action, "core", target);
    let linker = target.to_uppercase().replace('-', "_");
    cargo.current_dir(folder).arg("--release").env("CARGO_TARGET_DIR", output());
    if way() == Way::Debian {
        cargo.env(format!("CARGO_TARGET_{linker}_LINKER"), "ld.lld");
    }
    cargo
}

/// cargo for another system than this one: it can check, and has no linker.
pub(crate) fn check_for(target: &str) -> Result<Command, String> {
    let way = way_to(&[target]);
    if way == Way::Debian {
        tools::ensure(&tools::COMPILER)?;
    }
    let mut cargo = cargo_by(way, "check", "std,panic_abort", target);
    cargo.current_dir(root()).env("CARGO_TARGET_DIR", root().join("target/other"));
    Ok(cargo)
}

fn cargo_by(way: Way, action: &str, parts: &str, target: &str) -> Command {
    let mut cargo = Command::new(if way == Way::Debian { "/usr/bin/cargo" } else { "cargo" });
    cargo.env_remove("RUSTFLAGS").args([action, "--quiet", "--target", target]);
    if way == Way::Debian {
        cargo
            .arg(format!("-Zbuild-std={parts}"))
            .env("PATH", "/usr/bin:/bin")
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .env_remove("RUSTC");
    }
    cargo
}

fn output() -> PathBuf {
    root().join("target/bare")
}

/// Builds a package of tests/qemu and returns the folder with its programs.
pub(crate) fn build(package: &str, target: &str, features: &str) -> Result<PathBuf, String> {
    let mut cargo = cargo("build", &root().join("tests/qemu"), target);
    let status = cargo.args(["-p", package, "--features", features]).status();
    let status = status.map_err(|e| format!("cargo doesn't start: {e}"))?;
    if status.success() {
        Ok(output().join(target).join("release"))
    } else {
        Err(format!("building {package} for {target} failed"))
    }
}
