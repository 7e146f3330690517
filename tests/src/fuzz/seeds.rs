//! The committed seeds: `tests/fuzz/seeds/TARGET/NAME`, written by `cargo xtask fuzz --seeds`.

use super::{TARGETS, Target};
use std::collections::BTreeMap;
use std::fs;
use std::io::Result;
use std::path::{Path, PathBuf};

/// Names of inputs that a fuzzer found begin so; nothing writes those but people.
pub const FOUND: &str = "found-";

/// Where the seeds of a target lie.
pub fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target.name)
}

/// Seeds of a target as they are committed, by name.
///
/// # Errors
/// Those of the folder.
pub fn committed(target: &Target) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut seeds = BTreeMap::new();
    for entry in fs::read_dir(folder(target))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        seeds.insert(name, fs::read(&path)?);
    }
    Ok(seeds)
}

/// What is wrong with the committed seeds of a target: one line each.
///
/// # Errors
/// Those of the folder.
pub fn drift(target: &Target) -> Result<Vec<String>> {
    let (mut there, mut problems) = (committed(target)?, Vec::new());
    there.retain(|name, _| !name.starts_with(FOUND));
    for (name, bytes) in (target.seeds)() {
        match there.remove(&name) {
            Some(old) if old == bytes => {}
            _ => problems.push(format!("{}/{name} isn't what the code says", target.name)),
        }
    }
    problems.extend(there.keys().map(|name| format!("{}/{name} has no source", target.name)));
    Ok(problems)
}

/// Writes all seeds; what fuzzers found stays. Tells how many there are, and their bytes.
///
/// # Errors
/// Those of the folders.
pub fn write() -> Result<(usize, usize)> {
    for target in TARGETS {
        fs::create_dir_all(folder(target))?;
        for name in committed(target)?.keys().filter(|name| !name.starts_with(FOUND)) {
            fs::remove_file(folder(target).join(name))?;
        }
        for (name, bytes) in (target.seeds)() {
            fs::write(folder(target).join(name), bytes)?;
        }
    }
    let mut count = (0, 0);
    for target in TARGETS {
        let seeds = committed(target)?;
        count = (count.0 + seeds.len(), count.1 + seeds.values().map(Vec::len).sum::<usize>());
    }
    Ok(count)
}
