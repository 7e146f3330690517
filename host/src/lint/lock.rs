//! Dependencies whose release a lock file changed (`Cargo.lock`). Their sources lie outside the repository, so no line of a
//! diff is theirs: what leads to their functions is the line of the lock file, and the advisory that names them.

use super::source::Range;
use super::{Case, advisory};
use crate::binary::{Hunk, Moved};
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};

/// What moved.
#[derive(Debug, Default)]
pub(super) struct Locked {
    /// Those that an advisory or VEX names as fixed.
    pub(super) named: Vec<Moved>,
    /// The others, in words.
    pub(super) unnamed: Vec<String>,
}

/// One package of a lock file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    /// What its folder is called: `NAME-VERSION`, or a commit.
    folder: String,
}

/// The packages of a lock file that come from elsewhere, and the lines that each has.
fn packages(text: &str) -> BTreeMap<Package, (u32, u32)> {
    // As cargo reads it: what merely looks like a package in it is none.
    let document: toml::Table = toml::from_str(text).unwrap_or_default();
    let listed = document.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let listed: BTreeSet<Package> = listed
        .filter_map(|package| {
            let word = |key: &str| package.get(key).and_then(toml::Value::as_str);
            of(word("name")?, word("version")?, word("source")?)
        })
        .collect();
    let mut found = BTreeMap::new();
    let lines: Vec<&str> = text.lines().collect();
    let begins: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].trim() == "[[package]]").collect();
    for (nth, first) in begins.iter().enumerate() {
        let end = begins.get(nth + 1).copied().unwrap_or(lines.len());
        let word = |key: &str| {
            let mut values = lines[*first..end].iter().filter_map(|line| line.strip_prefix(key));
            values.find_map(|value| value.strip_prefix(" = \"")?.strip_suffix('"'))
        };
        let package = (|| of(word("name")?, word("version")?, word("source")?))();
        let line = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        if let Some(package) = package.filter(|package| listed.contains(package)) {
            found.insert(package, (line(first + 1), line(end)));
        }
    }
    found
}

fn of(name: &str, version: &str, source: &str) -> Option<Package> {
    let commit = source.strip_prefix("git+").and_then(|url| url.rsplit_once('#')).map(|(_, commit)| commit);
    let registry = source.starts_with("registry+") || source.starts_with("sparse+");
    let folder = match commit {
        Some(commit) => commit.to_owned(),
        None if registry => format!("{name}-{version}"),
        None => return None,
    };
    Some(Package { name: name.to_owned(), version: version.to_owned(), folder })
}

/// A package, the file that locks it, and its lines there.
type Place<'h> = (Package, &'h str, (u32, u32));

/// Both states of every lock file that the diff changes.
struct Locks<'h> {
    sides: [Vec<Place<'h>>; 2],
}

impl Locks<'_> {
    /// Those of a side that the other hasn't, by name.
    fn only(&self, side: usize) -> BTreeMap<&str, BTreeSet<&Package>> {
        let others: BTreeSet<&Package> = self.sides[1 - side].iter().map(|(package, ..)| package).collect();
        let mut only: BTreeMap<&str, BTreeSet<&Package>> = BTreeMap::new();
        for (package, ..) in self.sides[side].iter().filter(|(package, ..)| !others.contains(package)) {
            only.entry(&package.name).or_default().insert(package);
        }
        only
    }

    /// The hunks that change lines of these packages.
    fn hunks(&self, hunks: &[Hunk], both: [&BTreeSet<&Package>; 2]) -> Vec<usize> {
        let touched = |hunk: &Hunk| {
            (0..2).any(|side| {
                let (at, count) = if side == 0 { hunk.old } else { hunk.new };
                let own = self.sides[side].iter().filter(|(package, ..)| both[side].contains(package));
                own.filter(|(_, file, _)| hunk.file() == *file).any(|(_, _, (first, last))| {
                    count > 0 && at <= *last && at.saturating_add(count - 1) >= *first
                })
            })
        };
        (0..hunks.len()).filter(|index| touched(&hunks[*index])).collect()
    }
}

/// The dependencies that went from one release to another.
pub(super) fn moved(case: &Case<'_>, range: &Range<'_>, hunks: &[Hunk]) -> Result<Locked> {
    let mut locks = Locks { sides: [Vec::new(), Vec::new()] };
    let is_lock = |name: &&str| name.rsplit('/').next() == Some("Cargo.lock");
    for (side, commit) in [&range.base, &range.head].into_iter().enumerate() {
        let name = |hunk| if side == 0 { Hunk::old_name(hunk) } else { Hunk::new_name(hunk) };
        let files: BTreeSet<&str> = hunks.iter().filter_map(name).filter(is_lock).collect();
        for file in files {
            let all = packages(&range.repository.text(commit, file)?);
            locks.sides[side].extend(all.into_iter().map(|(package, lines)| (package, file, lines)));
        }
    }
    let (went, came) = (locks.only(0), locks.only(1));
    let mut locked = Locked::default();
    for (name, new) in &came {
        // What only came is another component, and what only went is gone: no fix of it.
        let Some(old) = went.get(name) else { continue };
        let versions = |side: &BTreeSet<&Package>| {
            side.iter().map(|package| package.version.as_str()).collect::<Vec<_>>().join("+")
        };
        let folders = |side: &BTreeSet<&Package>| side.iter().map(|package| package.folder.clone()).collect();
        let told = format!("{name} {} to {}", versions(old), versions(new));
        let hunks = locks.hunks(hunks, [old, new]);
        let named = advisory::components(case)?.contains(&format!("pkg:cargo/{}", name.to_lowercase()));
        if named && !hunks.is_empty() {
            locked.named.push(Moved { told, releases: [folders(old), folders(new)], hunks });
        } else {
            locked.unnamed.push(told);
        }
    }
    Ok(locked)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"version = 4

[[package]]
name = "dep"
version = "1.0.1"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "00"

[[package]]
name = "fork"
version = "0.2.0"
source = "git+https://example.com/fork?branch=x#0123456789abcdef"

[[package]]
name = "own"
version = "0.1.0"
dependencies = [
 "dep",
]
"#;

    #[test]
    fn packages_of_elsewhere_are_read_with_their_lines() {
        let package = |name: &str, version: &str, folder: &str| Package {
            name: name.into(),
            version: version.into(),
            folder: folder.into(),
        };
        let wanted = [
            (package("dep", "1.0.1", "dep-1.0.1"), (3, 8)),
            (package("fork", "0.2.0", "0123456789abcdef"), (9, 13)),
        ];
        assert_eq!(packages(LOCK), wanted.into());
        assert!(packages("no lock file").is_empty());
        // A text that looks like one.
        let fake = format!("note = \"\"\"\n{LOCK}\n\"\"\"\n");
        assert!(packages(&fake).is_empty());
    }
}
