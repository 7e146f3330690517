//! Whose sources a path is of: cargo unpacks each release of a package into a folder of its own.

use std::collections::BTreeSet;

/// A dependency whose release a lock file changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// In words: `dep 1.0.0 to 1.0.1`.
    pub told: String,
    /// Releases that went, and releases that came: `dep-1.0.0` of a registry, a commit of a git repository.
    pub releases: [BTreeSet<String>; 2],
    /// Indices of the hunks that changed its lines in the lock file.
    pub hunks: Vec<usize>,
}

impl Moved {
    /// True if a path is one of its sources: of a release that went on side 0, that came on side 1.
    pub(super) fn holds(&self, side: usize, path: &str) -> bool {
        match release(path) {
            Some(Release::Package(name)) => self.releases[side].contains(name),
            // Folders have the beginning of the commit.
            Some(Release::Commit(short)) => {
                short.len() >= 7 && self.releases[side].iter().any(|commit| commit.starts_with(short))
            }
            None => false,
        }
    }
}

enum Release<'p> {
    Package(&'p str),
    Commit(&'p str),
}

/// `…/registry/src/INDEX/NAME-VERSION/…` and `…/git/checkouts/NAME-HASH/COMMIT/…`.
fn release(path: &str) -> Option<Release<'_>> {
    let second = |after: &str, from: usize| -> Option<&str> {
        let rest = &path[from + after.len()..];
        rest.split('/').nth(1).filter(|name| !name.is_empty())
    };
    let at = |part: &'static str| path.find(part).map(|from| (part, from));
    if let Some((part, from)) = at("/registry/src/") {
        return second(part, from).map(Release::Package);
    }
    let (part, from) = at("/git/checkouts/")?;
    second(part, from).map(Release::Commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_belong_to_the_release_whose_folder_they_lie_in() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let moved = Moved {
            told: String::new(),
            releases: [set(&["dep-1.0.0"]), set(&["dep-1.0.1", "0123456789abcdef0123"])],
            hunks: vec![],
        };
        for (side, path, holds) in [
            (0, "/h/.cargo/registry/src/index.crates.io-1/dep-1.0.0/src/lib.rs", true),
            (1, "/h/.cargo/registry/src/index.crates.io-1/dep-1.0.0/src/lib.rs", false),
            (1, "/h/.cargo/registry/src/index.crates.io-1/dep-1.0.1/src/a/b.rs", true),
            (1, "/h/.cargo/registry/src/index.crates.io-1/dep-1.0.10/src/lib.rs", false),
            (1, "/h/.cargo/registry/src/dep-1.0.1/src/lib.rs", false),
            (1, "/h/.cargo/git/checkouts/dep-89ab/0123456/src/lib.rs", true),
            (1, "/h/.cargo/git/checkouts/dep-89ab/0123457/src/lib.rs", false),
            (1, "/h/.cargo/git/checkouts/dep-89ab/0/src/lib.rs", false),
            (1, "/fw/dep-1.0.1/src/lib.rs", false),
        ] {
            assert_eq!(moved.holds(side, path), holds, "{side} {path}");
        }
    }
}
