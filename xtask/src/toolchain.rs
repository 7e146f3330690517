//! Bare-metal builds: with rustup's target where it can be had, with Debian's compiler otherwise.

use crate::tools;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How bare-metal code is compiled on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// rustup's stable has the target.
    Rustup,
    /// Debian's rustc and cargo build `core` from source.
    Debian,
}

fn installed(target: &str) -> bool {
    let listed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    listed.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).lines().any(|line| line == target))
}

fn way(target: &str) -> Result<Way, String> {
    if installed(target) {
        return Ok(Way::Rustup);
    }
    // RUSTUP_AUTO_INSTALL=0 means: no toolchain downloads on this machine.
    let forbidden = std::env::var("RUSTUP_AUTO_INSTALL").is_ok_and(|value| value == "0");
    if !forbidden {
        let added = Command::new("rustup").args(["target", "add", target]).status();
        if added.is_ok_and(|status| status.success()) {
            return Ok(Way::Rustup);
        }
    }
    tools::ensure(&[
        ("rustc-web", "/usr/bin/rustc"),
        ("cargo-web", "/usr/bin/cargo"),
        ("rust-web-src", "/usr/lib/rustlib/src/rust/library/core/Cargo.toml"),
        ("lld", "/usr/bin/ld.lld"),
    ])?;
    Ok(Way::Debian)
}

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf()
}

/// Builds a package of tests/qemu for a bare-metal target and returns the folder with its programs.
pub(crate) fn build(package: &str, target: &str, features: &str) -> Result<PathBuf, String> {
    let way = way(target)?;
    let folder = root().join("target/bare");
    let mut cargo = match way {
        Way::Rustup => Command::new("cargo"),
        Way::Debian => {
            let mut cargo = Command::new("/usr/bin/cargo");
            let linker = target.to_uppercase().replace('-', "_");
            cargo
                .env("PATH", "/usr/bin:/bin")
                .env("RUSTC_BOOTSTRAP", "1")
                .env(format!("CARGO_TARGET_{linker}_LINKER"), "ld.lld")
                .env_remove("RUSTUP_TOOLCHAIN")
                .env_remove("CARGO")
                .env_remove("RUSTC")
                .env_remove("RUSTFLAGS");
            cargo
        }
    };
    // The folder decides which .cargo/config.toml is read: the one with the compact hash.
    cargo.current_dir(root().join("tests/qemu")).env("CARGO_TARGET_DIR", &folder);
    cargo.args(["build", "--quiet", "--release", "--target", target, "-p", package, "--features", features]);
    if way == Way::Debian {
        cargo.arg("-Zbuild-std=core");
    }
    let status = cargo.status().map_err(|e| format!("cargo doesn't start: {e}"))?;
    if !status.success() {
        return Err(format!("building {package} for {target} failed"));
    }
    Ok(folder.join(target).join("release"))
}
