//! Copies of the workspace with something broken in them, each break behind a switch, so that a copy is built once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// What the workspace is built from.
const PARTS: [&str; 9] =
    ["Cargo.toml", "Cargo.lock", "README.md", "protocol", "device", "docs", "host", "tests", "xtask"];
/// Where a switch is put.
pub const LIBRARY: &str = "device/src/lib.rs";

/// Sources that differ in the copy, by path.
pub type Changed = BTreeMap<PathBuf, String>;

/// The workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf()
}

/// A file of the workspace.
///
/// # Errors
/// It can't be read.
pub fn source(file: &str) -> Result<String, String> {
    fs::read_to_string(root().join(file)).map_err(|e| format!("{file}: {e}"))
}

/// The workspace's manifest with a version of the copy's own.
///
/// Cargo knows a package of a workspace by its version and its path inside, and not by where the workspace lies: in one
/// target folder a copy of the same version passes for the original, and the original's tests run on what is broken.
fn versioned(manifest: &str, name: &str) -> Result<String, String> {
    let line = |line: &&str| line.starts_with("version = \"");
    let own = manifest.lines().find(line).ok_or("the workspace has no version")?;
    let version = own.strip_suffix('"').ok_or("the workspace's version isn't understood")?;
    Ok(manifest.replacen(own, &format!("{version}+{name}\""), 1))
}

/// Brings the copy in `target/NAME` up to date.
///
/// # Errors
/// What can't be read or written.
pub fn copy(name: &str, changed: &Changed) -> Result<PathBuf, String> {
    let copy = root().join("target").join(name);
    fs::create_dir_all(&copy).map_err(|e| e.to_string())?;
    let mut changed = changed.clone();
    changed.insert("Cargo.toml".into(), versioned(&source("Cargo.toml")?, name)?);
    for part in PARTS {
        mirror(Path::new(part), &copy, &changed).map_err(|e| format!("{part}: {e}"))?;
    }
    Ok(copy)
}

/// Copies what differs, so that the rest isn't built anew, and takes away what is gone.
fn mirror(part: &Path, to: &Path, changed: &Changed) -> io::Result<()> {
    let (from, into) = (root().join(part), to.join(part));
    if from.is_file() {
        let new = changed.get(part).map_or_else(|| fs::read(&from), |text| Ok(text.clone().into_bytes()))?;
        return if fs::read(&into).is_ok_and(|old| old == new) { Ok(()) } else { fs::write(into, new) };
    }
    fs::create_dir_all(&into)?;
    let names = |folder: &Path| -> io::Result<BTreeSet<_>> {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    };
    let here: BTreeSet<_> = names(&from)?.into_iter().filter(|name| name != "target").collect();
    for gone in names(&into)?.difference(&here) {
        let path = into.join(gone);
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    here.iter().try_for_each(|name| mirror(&part.join(name), to, changed))
}

/// Cargo, in a copy.
pub fn cargo(copy: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(copy);
    cargo
}

/// Builds tests of a copy with `cargo test --no-run`, and says which programs they are.
///
/// # Errors
/// What the compiler says.
pub fn programs(copy: &Path, target: &Path, arguments: &[&str]) -> Result<Vec<PathBuf>, String> {
    let mut build = cargo(copy);
    let out = build.args(["test", "--no-run"]).args(arguments).env("CARGO_TARGET_DIR", target).output();
    let out = out.map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    if !out.status.success() {
        return Err(format!("the copy doesn't build:\n{said}"));
    }
    let lines = said.lines().filter(|line| line.trim_start().starts_with("Executable "));
    let path =
        |line: &str| line.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).map(str::to_owned);
    lines.map(|line| path(line).map(|path| copy.join(path)).ok_or(format!("cargo says `{line}`"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_copy_passes_for_the_workspace() {
        let manifest = source("Cargo.toml").unwrap();
        let [one, two] = ["one", "two"].map(|name| versioned(&manifest, name).unwrap());
        assert!(manifest != one && one != two);
        assert!(one.contains(&format!("version = \"{}+one\"", env!("CARGO_PKG_VERSION"))), "{one}");
    }
}
