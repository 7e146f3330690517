//! A case whose files lie in an archive: each is found by the digest that the evidence gives it, and by nothing else.

use super::Input;
use super::git::Repository;
use crate::archive::{Archive, Role};
use crate::files::{self, Temporary};
use crate::ledger::entry::Sha;
use crate::ledger::{Ledger, NAME};
use serde_json::Value;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The files that evidence names, check by check, and the archive that holds them.
#[derive(Debug)]
pub struct Archived<'a> {
    archive: &'a Archive,
    rows: BTreeMap<u64, BTreeMap<String, Sha>>,
    sources: OnceCell<std::result::Result<(Repository, Temporary), String>>,
    /// Whether a file of the ledger is there: each is read once, however often it is named.
    looked: RefCell<BTreeMap<Sha, std::result::Result<(), String>>>,
}

impl<'a> Archived<'a> {
    /// Of this predicate.
    pub fn new(archive: &'a Archive, predicate: &Value) -> Self {
        let mut rows: BTreeMap<u64, BTreeMap<String, Sha>> = BTreeMap::new();
        for row in predicate["checks"].as_array().into_iter().flatten() {
            let named = rows.entry(row["check"].as_u64().unwrap_or(0)).or_default();
            for input in row["inputs"].as_array().into_iter().flatten() {
                let sha256 = input["sha256"].as_str().and_then(Sha::parse);
                if let (Some(name), Some(sha256)) = (input["name"].as_str(), sha256) {
                    named.insert(name.to_owned(), sha256);
                }
            }
        }
        Self { archive, rows, sources: OnceCell::new(), looked: RefCell::default() }
    }

    /// What the evidence says that a check read.
    pub fn named(&self, check: u8) -> impl Iterator<Item = Input> {
        let row = self.rows.get(&u64::from(check)).into_iter().flatten();
        row.map(|(name, sha256)| Input { name: name.clone(), digest: patchlane_protocol::Digest(sha256.0) })
    }

    /// A file that a check reads.
    ///
    /// # Errors
    /// Why it isn't there, in words.
    pub fn read(&self, check: u8, name: &str) -> std::result::Result<Vec<u8>, String> {
        let row = self.rows.get(&u64::from(check));
        let sha256 = row.and_then(|row| row.get(name));
        let sha256 = sha256.ok_or_else(|| format!("the evidence gives no digest of {name}"))?;
        self.archive.held(sha256).map_err(|why| format!("{name} {why}"))
    }

    /// That a file of the ledger is there, and no larger than such files are.
    fn entry(&self, sha256: &Sha) -> std::result::Result<(), String> {
        let look = || match self.archive.entry(sha256) {
            Some(entry) if entry.size > files::LARGEST_TEXT => Err("is too large for an entry".into()),
            _ => self.archive.held(sha256).map(drop),
        };
        self.looked.borrow_mut().entry(*sha256).or_insert_with(look).clone()
    }

    /// Files of the ledger that a check needs, and that aren't there: what it says without them is no finding.
    pub fn unrecorded(&self, check: u8) -> Vec<String> {
        let named = self.rows.get(&u64::from(check)).into_iter().flatten();
        let entries: Vec<(&str, &Sha)> =
            named.filter_map(|(name, sha256)| Some((name.strip_prefix(LEDGER)?, sha256))).collect();
        let head = self.rows.values().flatten().find(|(name, _)| name.strip_prefix(LEDGER) == Some(NAME));
        // Without its head no entry of a ledger says anything.
        let head = match (entries.is_empty(), head) {
            (true, _) => None,
            (false, None) => return vec![format!("the evidence gives no digest of {NAME}")],
            (false, Some((_, sha256))) => Some((NAME, sha256)),
        };
        let needed = entries.into_iter().chain(head);
        let gone = needed.filter_map(|(file, sha256)| Some(format!("{file} {}", self.entry(sha256).err()?)));
        let mut gone: Vec<String> = gone.collect();
        gone.dedup();
        gone
    }

    /// The ledger as the evidence names its entries, those that are there; nothing, if it names none, or if the ledger's
    /// head isn't there.
    ///
    /// # Errors
    /// Those of the entries.
    pub fn ledger(&self) -> crate::error::Result<Option<Ledger>> {
        let mut files: BTreeMap<&str, PathBuf> = BTreeMap::new();
        for (name, sha256) in self.rows.values().flatten() {
            // Read once, so that what is parsed below is what the digest names.
            let Some(file) = name.strip_prefix(LEDGER) else { continue };
            if self.entry(sha256).is_ok() {
                files.insert(file, self.archive.path(sha256));
            }
        }
        let there = files.contains_key(NAME);
        if there { Ledger::of_files(&self.archive.folder, &files).map(Some) } else { Ok(None) }
    }

    /// The commits between base and patch.
    ///
    /// # Errors
    /// Why they aren't there, in words.
    pub(super) fn sources(&self, base: &str, head: &str) -> std::result::Result<&Repository, String> {
        let made = self.sources.get_or_init(|| {
            let entry = self.archive.of(Role::Sources).next().ok_or("the sources aren't in the archive")?;
            let pack =
                self.archive.held(&entry.sha256).map_err(|why| format!("what has the sources {why}"))?;
            let folder = Temporary::new().map_err(|e| e.what)?;
            let repository =
                Repository::unpack(&pack, folder.path()).map_err(|e| format!("sources: {}", e.what))?;
            Ok((repository, folder))
        });
        let (repository, _) = made.as_ref().map_err(Clone::clone)?;
        for commit in [base, head] {
            if repository.commit(commit).is_err() {
                return Err(format!("the sources hold no commit {commit}"));
            }
        }
        Ok(repository)
    }
}

/// What names of the ledger's entries begin with.
pub const LEDGER: &str = "ledger:";
/// What names of files that patchlane.toml names begin with.
pub const CONFIG: &str = "config:";
/// What the name of a range of commits begins with.
pub const COMMITS: &str = "commits:";

/// The text that says which commits a range has: what its digest is of.
pub(crate) fn commits_text(base: &str, head: &str) -> String {
    format!("base {base}\nhead {head}\n")
}

/// Both commits of such a text.
pub(super) fn commits_of(text: &str) -> Option<(String, String)> {
    let (base, head) = text.strip_prefix("base ")?.split_once("\nhead ")?;
    let head = head.strip_suffix('\n')?;
    let name = |text: &str| (40..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    (name(base) && name(head)).then(|| (base.to_owned(), head.to_owned()))
}
