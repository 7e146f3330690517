//! Which file of a program a file of the repository is.
//!
//! Compilers write whole paths, git writes them from the repository's root on. Where that root was when the program was
//! built follows from all files together: it is the folder below which most of them lie as they lie in the repository. A
//! path that only ends alike is another file.

use super::dwarf::Lines;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What a name shows instead of bytes that are no text. Two names that both have it may differ.
const UNREADABLE: char = char::REPLACEMENT_CHARACTER;

/// Where packages lie, and what came with the compiler: nobody's repository.
const FOREIGN: [&str; 4] = ["/registry/src/", "/git/checkouts/", "/rustlib/src/", "/rustc/"];

/// The files of one program, by their names in the repository.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Where the repository lay.
    root: Option<String>,
    files: HashMap<String, BTreeSet<usize>>,
    /// Names that a path ends with, and can't be said to be.
    doubtful: BTreeMap<String, String>,
}

/// True if a path lies in a folder or below it.
fn within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_absolute(path: &str) -> bool {
    path.starts_with('/') || path.get(1..2) == Some(":")
}

/// The names that a path ends with, longest first, each with the folder before it.
fn endings<'p>(path: &'p str, names: &HashSet<&str>) -> impl Iterator<Item = (&'p str, &'p str)> {
    let splits = path.match_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..]));
    splits.filter(|(_, name)| names.contains(name))
}

/// The folder that most files speak for, if one does.
fn root(lines: &Lines, paths: &[&str], names: &HashSet<&str>, whole: bool) -> Option<String> {
    let folders = || lines.folders.iter().filter(|folder| !folder.is_empty());
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    for (root, _) in paths.iter().flat_map(|path| endings(path, names)) {
        // Names of a diff alone don't tell `util.c` from `a/util.c`; who compiles in a folder has its own files below it.
        let inside = || folders().any(|folder| root != folder && within(root, folder));
        if whole || !inside() {
            *votes.entry(root).or_default() += 1;
        }
    }
    let most = votes.values().copied().max()?;
    let mut first: Vec<&str> =
        votes.into_iter().filter(|(_, count)| *count == most).map(|(at, _)| at).collect();
    if first.len() > 1 {
        first.retain(|root| folders().any(|folder| within(folder, root)));
    }
    match first[..] {
        [root] => Some(root.to_owned()),
        _ => None,
    }
}

impl Places {
    /// Of these names; `whole` if they are every file of the repository.
    pub(super) fn new(lines: &Lines, names: &HashSet<&str>, whole: bool) -> Self {
        let foreign = |path: &str| FOREIGN.iter().any(|part| path.contains(part));
        let known = |path: &&str| {
            is_absolute(path) && !path.contains(UNREADABLE) && endings(path, names).next().is_some()
        };
        let all: Vec<&str> = lines.files.iter().map(String::as_str).filter(known).collect();
        let mut paths: Vec<&str> = all.iter().copied().filter(|path| !foreign(path)).collect();
        if paths.is_empty() && !whole {
            // A diff may be of a package.
            paths = all;
        }
        let mut places = Self { root: root(lines, &paths, names, whole), ..Self::default() };
        for (number, path) in lines.files.iter().enumerate() {
            if let Some(name) = places.name(path).filter(|name| names.contains(name)) {
                places.files.entry(name.to_owned()).or_default().insert(number);
            }
        }
        // What is known by another name is another file, and no doubt about this one.
        paths.retain(|path| !places.name(path).is_some_and(|name| names.contains(name)));
        for path in paths {
            for (_, name) in endings(path, names).filter(|(_, name)| !places.files.contains_key(*name)) {
                places.doubtful.entry(name.to_owned()).or_insert_with(|| path.to_owned());
            }
        }
        places
    }

    /// What a path of the program is called in the repository.
    fn name<'p>(&self, path: &'p str) -> Option<&'p str> {
        if !is_absolute(path) {
            return Some(path);
        }
        path.strip_prefix(&self.root.as_ref()?[..])?.strip_prefix('/')
    }

    /// True if a path lies in the repository.
    pub(super) fn own(&self, path: &str) -> bool {
        self.root.as_ref().is_some_and(|root| within(path, root))
    }

    /// The files that a name of the repository means.
    pub(super) fn meant(&self, name: &str) -> BTreeSet<usize> {
        if name.contains(UNREADABLE) {
            BTreeSet::new()
        } else {
            self.files.get(name).cloned().unwrap_or_default()
        }
    }

    /// Why a name means none, though something ends like it.
    pub(super) fn doubt(&self, name: &str) -> Option<String> {
        let path = self.doubtful.get(name)?;
        let why = match &self.root {
            Some(root) => format!("the repository lay in {root}"),
            None => "nothing shows where the repository lay".to_owned(),
        };
        Some(format!("{path} only ends like {name} of the source diff: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(files: &[&str], folders: &[&str], names: &[&str], whole: bool) -> Places {
        let owned = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let lines =
            Lines { files: owned(files), folders: owned(folders).into_iter().collect(), ..Lines::default() };
        Places::new(&lines, &names.iter().copied().collect(), whole)
    }

    fn meant(places: &Places, name: &str) -> Vec<usize> {
        places.meant(name).into_iter().collect()
    }

    #[test]
    fn what_only_ends_alike_is_another_file() {
        let files = ["/fw/a/util.c", "/fw/b/util.c", "/fw/main.c", "/sdk/util.c"];
        let tree = ["a/util.c", "b/util.c", "util.c", "main.c"];
        let all = places(&files, &["/fw"], &tree, true);
        assert_eq!(meant(&all, "a/util.c"), [0]);
        assert_eq!(meant(&all, "b/util.c"), [1]);
        assert!(meant(&all, "util.c").is_empty());
        assert!(all.doubt("util.c").unwrap().contains("/sdk/util.c only ends like util.c"));
        assert!(all.doubt("a/util.c").is_none());
        // By the names of a diff alone.
        for names in [&["util.c"][..], &["util.c", "main.c"]] {
            assert!(meant(&places(&files[..3], &["/fw"], names, false), "util.c").is_empty());
        }
        assert_eq!(meant(&places(&files, &["/fw/build"], &["b/util.c"], false), "b/util.c"), [1]);
    }

    #[test]
    fn the_root_is_where_most_files_lie() {
        // Built in a folder of its own, and in a superproject.
        for folder in ["/build", "/work"] {
            let all =
                places(&["/work/fw/src/a.c", "/work/fw/src/b.c"], &[folder], &["src/a.c", "src/b.c"], true);
            assert_eq!(meant(&all, "src/a.c"), [0]);
        }
        // Two copies: nobody can say which one this is.
        let two = places(&["/one/src/a.c", "/two/src/a.c"], &["/build"], &["src/a.c"], true);
        assert!(meant(&two, "src/a.c").is_empty());
        assert!(two.doubt("src/a.c").unwrap().contains("nothing shows"));
        // With a folder in the repository named as the repository.
        let tree = ["fw/a.c", "a.c", "b.c"];
        let inner = places(&["/x/fw/a.c", "/x/fw/b.c"], &["/x/fw"], &tree, true);
        assert_eq!(meant(&inner, "a.c"), [0]);
        assert!(meant(&inner, "fw/a.c").is_empty());
        // Paths that were made relative.
        assert_eq!(meant(&places(&["src/a.c"], &[""], &["src/a.c"], true), "src/a.c"), [0]);
    }

    #[test]
    fn packages_are_nobodys_files_and_unreadable_names_mean_nothing() {
        let package = "/home/x/.cargo/registry/src/index-1/dep-1.0.0/src/lib.rs";
        assert!(meant(&places(&[package], &[], &["src/lib.rs"], true), "src/lib.rs").is_empty());
        assert_eq!(meant(&places(&[package], &[], &["src/lib.rs"], false), "src/lib.rs"), [0]);
        let lossy = "/fw/caf\u{fffd}.c";
        assert!(
            meant(&places(&[lossy, "/fw/a.c"], &["/fw"], &["caf\u{fffd}.c", "a.c"], true), "caf\u{fffd}.c")
                .is_empty()
        );
    }
}
