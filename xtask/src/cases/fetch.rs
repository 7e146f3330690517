//! Source packages of Debian, kept in target/cases and checked by their digests.

use super::Problem;
use super::list::Debian;
use super::tree::sha256;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Sources of the machine's own lists, as source packages; apt's lists of the machine stay as they are.
const PARTS: &str = "/etc/apt/sources.list.d/debian.sources";

fn whole(debian: &Debian, cache: &Path) -> Result<bool, Problem> {
    for (file, digest) in debian.files {
        let path = cache.join(file);
        if !path.exists() {
            return Ok(false);
        }
        let found = sha256(&path)?;
        if found != digest {
            let what = format!("{} has SHA-256 {found}, not {digest}: remove it", path.display());
            return Err(Problem::Failed(what));
        }
    }
    Ok(true)
}

/// Has the package's files in a folder, from there or from Debian.
pub(super) fn fetch(debian: &Debian, cache: &Path) -> Result<(), Problem> {
    let io = |error: std::io::Error| Problem::Failed(format!("{}: {error}", cache.display()));
    fs::create_dir_all(cache).map_err(io)?;
    if whole(debian, cache)? {
        return Ok(());
    }
    let missing = |why: &str| {
        Problem::Missing(format!("Debian's source package {}={} ({why})", debian.package, debian.version))
    };
    let Ok(listed) = fs::read_to_string(PARTS) else {
        return Err(missing(&format!("there is no {PARTS}; put its files into {}", cache.display())));
    };
    let apt = cache.join("apt");
    for folder in ["parts", "lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(folder)).map_err(io)?;
    }
    let sources = listed.replace("Types: deb\n", "Types: deb-src\n");
    fs::write(apt.join("parts/source.sources"), sources).map_err(io)?;
    let ask = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        for (name, value) in [
            ("Dir::Etc::sourcelist", "/dev/null".into()),
            ("Dir::Etc::sourceparts", apt.join("parts")),
            ("Dir::State::lists", apt.join("lists")),
            ("Dir::Cache", apt.join("cache")),
        ] {
            command.arg("-o").arg(format!("{name}={}", value.display()));
        }
        command.arg("-qq").args(arguments).current_dir(cache).output().is_ok_and(|out| out.status.success())
    };
    let wanted = format!("{}={}", debian.package, debian.version);
    if !ask(&["update"]) || !ask(&["source", "--download-only", &wanted]) {
        return Err(missing("apt-get doesn't have it, or there is no network"));
    }
    if whole(debian, cache)? { Ok(()) } else { Err(missing("apt-get brought other files")) }
}
