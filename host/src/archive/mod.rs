//! The archive of a release: what it needs to be verified in ten years, by someone who wasn't there.
//!
//! ```text
//! index.json                  which release; every entry: role, name, SHA-256, size
//! index.dsse.json             the same bytes, signed with an evidence key
//! RECHECK.md                  the core by hand: sha256sum, openssl, and nothing of ours
//! objects/sha256/5f0c2d1e…    each file, under its own digest
//! ```
//!
//! No name in an index is ever a path: a file is found by its digest alone, so that an archive made by someone hostile
//! reaches nothing outside. What is added later comes under a new index, which names the one before; that is kept as an
//! object. In a customer's archive what is confidential isn't named either, but for the findings: their entry stays, and
//! their bytes don't ([`customer`]).

pub mod collect;
pub mod customer;
pub mod index;
pub mod recheck;
pub mod verify;
pub mod write;

pub use index::{Audience, Entry, Index, Role};

use crate::error::{Code, Error, Result};
use crate::files;
use crate::ledger::entry::Sha;
use std::fs;
use std::path::{Path, PathBuf};

/// What is in the archive.
pub const INDEX: &str = "index.json";
/// The same, signed.
pub const SIGNED: &str = "index.dsse.json";
/// The core by hand.
pub const RECHECK: &str = "RECHECK.md";
/// Where the files are, from the archive's folder.
pub const OBJECTS: &str = "objects/sha256";

/// An archive that is read.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Its folder.
    pub folder: PathBuf,
    /// What is in it.
    pub index: Index,
    /// The index as it lies there.
    pub index_bytes: Vec<u8>,
}

/// An error about what an archive holds.
pub(crate) fn broken(what: impl Into<String>) -> Error {
    Error::new(Code::Evidence, what, Code::Evidence.remedy())
}

/// A regular file, and not a link to one: an archive doesn't reach outside its folder.
fn regular(path: &Path) -> Result<fs::Metadata> {
    let there = fs::symlink_metadata(path).map_err(|e| files::failed(&e, path, "read"))?;
    if there.is_file() { Ok(there) } else { Err(broken("isn't a regular file").at(path.display())) }
}

/// What lies beside the objects: of an index with [`index::MOST`] entries it is no larger, in bytes.
pub(crate) const LARGEST_INDEX: u64 = 16 << 20;

/// A file beside the objects.
fn beside(path: &Path) -> Result<Vec<u8>> {
    if regular(path)?.len() > LARGEST_INDEX {
        let what = format!("is larger than {} MiB", LARGEST_INDEX >> 20);
        return Err(Error::new(Code::Malformed, what, "check that this is an archive").at(path.display()));
    }
    files::read(path)
}

impl Archive {
    /// Reads an archive's index. Objects are read when they are asked for.
    ///
    /// # Errors
    /// `missing-file` if there is none; `evidence`, `malformed`: what is wrong with its index.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(INDEX);
        for inside in ["objects", OBJECTS] {
            let inside = folder.join(inside);
            let there = fs::symlink_metadata(&inside).map_err(|e| files::failed(&e, &inside, "read"))?;
            if !there.is_dir() {
                return Err(broken("isn't a folder").at(inside.display()));
            }
        }
        let index_bytes = beside(&path)?;
        let index = Index::parse(&index_bytes).map_err(|e| e.at(path.display()))?;
        Ok(Self { folder: folder.to_path_buf(), index, index_bytes })
    }

    /// The entries of a role, in the order of the index.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &Entry> {
        self.index.entries.iter().filter(move |entry| entry.role == role)
    }

    /// The one entry of a role.
    ///
    /// # Errors
    /// `evidence` if there is none, or several.
    pub fn only(&self, role: Role) -> Result<&Entry> {
        let mut all = self.of(role);
        match (all.next(), all.next()) {
            (Some(entry), None) => Ok(entry),
            (None, _) => Err(broken(format!("has no entry of the role `{}`", role.name()))),
            (Some(_), Some(_)) => {
                Err(broken(format!("has several entries of the role `{}`, and one is meant", role.name())))
            }
        }
        .map_err(|e| e.at(self.folder.display()))
    }

    /// An entry with this digest; one whose object is there, if there is one.
    pub fn entry(&self, sha256: &Sha) -> Option<&Entry> {
        let same = || self.index.entries.iter().filter(|entry| entry.sha256 == *sha256);
        same().find(|entry| !entry.redacted).or_else(|| same().next())
    }

    /// Where an object lies.
    pub fn path(&self, sha256: &Sha) -> PathBuf {
        self.folder.join(OBJECTS).join(sha256.to_string())
    }

    /// An object's bytes, checked against their digest.
    ///
    /// # Errors
    /// `missing-file` if it isn't there; `evidence` if no entry names it, if it is redacted, or if it isn't what its
    /// name says.
    pub fn bytes(&self, sha256: &Sha) -> Result<Vec<u8>> {
        let path = self.path(sha256);
        let at = |e: Error| e.at(path.display());
        let entry =
            self.entry(sha256).ok_or_else(|| at(broken("is an object that the index doesn't name")))?;
        if entry.redacted {
            return Err(at(broken(format!("is confidential: `{}`", entry.name))));
        }
        if regular(&path)?.len() != entry.size {
            return Err(at(broken(format!("hasn't the {} bytes that the index says", entry.size))));
        }
        let bytes = files::read(&path)?;
        if Sha::of(&bytes) != *sha256 {
            return Err(at(broken("isn't what its name says: it was changed")));
        }
        Ok(bytes)
    }

    /// The same; why it isn't there in words that follow its name.
    ///
    /// # Errors
    /// Those words.
    pub fn held(&self, sha256: &Sha) -> std::result::Result<Vec<u8>, String> {
        match self.entry(sha256) {
            None => Err("isn't in the archive".into()),
            Some(entry) if entry.redacted => Err("is confidential".into()),
            Some(_) => self.bytes(sha256).map_err(|e| e.what),
        }
    }

    /// Names in the archive's folders of what no entry names, or whose entry is redacted.
    ///
    /// # Errors
    /// `file-access`.
    pub fn strangers(&self) -> Result<Vec<String>> {
        let object = |name: &str| {
            let known = Sha::parse(name).and_then(|sha256| self.entry(&sha256));
            known.is_some_and(|entry| !entry.redacted)
        };
        let mut strangers = Vec::new();
        self.others("", &|name| [INDEX, SIGNED, RECHECK, "objects"].contains(&name), &mut strangers)?;
        self.others("objects", &|name| name == "sha256", &mut strangers)?;
        self.others(OBJECTS, &object, &mut strangers)?;
        strangers.sort();
        Ok(strangers)
    }

    /// What is in one of its folders that doesn't belong there.
    fn others(&self, folder: &str, known: &dyn Fn(&str) -> bool, found: &mut Vec<String>) -> Result<()> {
        let inside = self.folder.join(folder);
        let list = fs::read_dir(&inside).map_err(|e| files::failed(&e, &inside, "read"))?;
        for entry in list {
            let name = entry.map_err(|e| files::failed(&e, &inside, "read"))?.file_name();
            let name = name.to_string_lossy().into_owned();
            if !known(&name) {
                found.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
            }
            if found.len() > index::MOST {
                break;
            }
        }
        Ok(())
    }
}
