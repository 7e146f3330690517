//! Writing archives: a new one appears whole or not at all; an old one is only ever added to.

use super::index::{Audience, Entry, FORMAT, Index, Release, Role, retain_until};
use super::{Archive, INDEX, OBJECTS, RECHECK, SIGNED, broken, customer};
use crate::error::{Code, Error, Result};
use crate::files::{self, New, NewTree, Over, Secrecy};
use crate::ledger::entry::Sha;
use crate::ledger::time::Day;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A file that is to be archived.
#[derive(Debug, Clone)]
pub struct File {
    /// What it is.
    pub role: Role,
    /// What it is called where it comes from.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What becomes an archive, or is added to one.
#[derive(Debug, Clone)]
pub struct Draft {
    /// For whom.
    pub audience: Audience,
    /// Of which release.
    pub release: Release,
    /// Today.
    pub created: Day,
    /// Every file; what is there twice is kept once. A customer gets what [`customer`] makes of them.
    pub files: Vec<File>,
}

/// The files beside the objects.
#[derive(Debug, Clone)]
pub struct Top {
    /// The index, signed.
    pub signed: String,
    /// The core by hand.
    pub recheck: String,
}

/// How an archive was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is new.
    New,
    /// It was there, with the same entries.
    Same,
    /// A new index names so many more entries.
    Added(usize),
}

impl Draft {
    /// How many files are left out of a customer's archive, the findings among them.
    pub fn left_out(&self) -> usize {
        let out = |file: &&File| customer::kept_back(file) || self.audience.lacks(file.role);
        let out: BTreeSet<_> = self.files.iter().filter(out).map(|file| (file.role, &file.bytes)).collect();
        if self.audience == Audience::Customer { out.len() } else { 0 }
    }

    /// What the audience gets, whoever drafted it.
    fn meant(&self) -> Result<Cow<'_, Self>> {
        Ok(match self.audience {
            Audience::Assessor => Cow::Borrowed(self),
            Audience::Customer => Cow::Owned(Self {
                files: customer::files(&self.files)?,
                release: self.release.clone(),
                ..*self
            }),
        })
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for file in &self.files {
            let redacted = self.audience.lacks(file.role);
            let (sha256, size) = (Sha::of(&file.bytes), file.bytes.len() as u64);
            let entry = Entry { role: file.role, name: file.name.clone(), sha256, size, redacted };
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        entries
    }

    fn index(&self, previous: Option<Sha>, entries: Vec<Entry>) -> Index {
        Index {
            format: FORMAT,
            audience: self.audience,
            release: self.release.clone(),
            created: self.created,
            retain_until: retain_until(self.release.issued, self.release.support_end),
            previous,
            entries,
        }
    }

    /// Objects by digest, but what is redacted.
    fn objects(&self) -> BTreeMap<Sha, &[u8]> {
        let shown = self.files.iter().filter(|file| !self.audience.lacks(file.role));
        shown.map(|file| (Sha::of(&file.bytes), &file.bytes[..])).collect()
    }

    /// Makes an archive, or adds to the one that is there. `top` makes the files beside the objects.
    ///
    /// # Errors
    /// `file-exists` if something else is there; `evidence` if it is another release's, or would lose an entry; those of
    /// files.
    pub fn write(&self, folder: &Path, top: &dyn Fn(&Index) -> Result<Top>) -> Result<(Index, Written)> {
        let draft = self.meant()?;
        if folder.join(INDEX).symlink_metadata().is_ok() {
            draft.add(folder, top)
        } else {
            draft.make(folder, top)
        }
    }

    fn make(&self, folder: &Path, top: &dyn Fn(&Index) -> Result<Top>) -> Result<(Index, Written)> {
        let index = self.index(None, self.entries());
        let text = readable(&index)?;
        let tree = NewTree::make(folder)?;
        for inside in ["objects", OBJECTS] {
            tree.folder(inside)?;
        }
        for (sha256, bytes) in self.objects() {
            tree.write(&format!("{OBJECTS}/{sha256}"), bytes)?;
        }
        let top = top(&index)?;
        tree.write(SIGNED, top.signed.as_bytes())?;
        tree.write(RECHECK, top.recheck.as_bytes())?;
        tree.write(INDEX, text.as_bytes())?;
        tree.place()?;
        Ok((index, Written::New))
    }

    fn add(&self, folder: &Path, top: &dyn Fn(&Index) -> Result<Top>) -> Result<(Index, Written)> {
        let archive = Archive::open(folder)?;
        let at = |e: Error| e.at(folder.display());
        let old = &archive.index;
        if old.release != self.release || old.audience != self.audience {
            let what = format!("is the archive of {} for a {}", old.release.version, old.audience.name());
            let next = "name another folder: an archive holds one release, for one audience";
            return Err(at(Error::new(Code::Exists, what, next)));
        }
        let new: Vec<Entry> =
            self.entries().into_iter().filter(|entry| !old.entries.contains(entry)).collect();
        if new.is_empty() {
            return Ok((archive.index.clone(), Written::Same));
        }
        // What a role has once isn't had twice: another bundle or evidence makes another archive.
        let single = [Role::Bundle, Role::EvidenceBefore, Role::Findings, Role::Change, Role::Config];
        if let Some(entry) = new.iter().find(|entry| single.contains(&entry.role)) {
            let what = format!("has another file of the role `{}` than `{}`", entry.role.name(), entry.name);
            let next = "name another folder: what is archived isn't exchanged";
            return Err(at(Error::new(Code::Exists, what, next)));
        }
        let (previous, count) = (Sha::of(&archive.index_bytes), new.len());
        let signature = super::beside(&folder.join(SIGNED))?;
        let kept =
            [(Role::Index, &archive.index_bytes), (Role::IndexSigned, &signature)].map(|(role, bytes)| {
                let name = if role == Role::Index { INDEX } else { SIGNED }.to_owned();
                Entry { role, name, sha256: Sha::of(bytes), size: bytes.len() as u64, redacted: false }
            });
        let index = self.index(Some(previous), [&old.entries[..], &new, &kept].concat());
        let text = readable(&index)?;
        let mut objects = self.objects();
        objects.insert(previous, &archive.index_bytes);
        objects.insert(kept[1].sha256, &signature);
        // What is there already under its digest stays, if it is what it says.
        objects.retain(|sha256, _| archive.path(sha256).symlink_metadata().is_err());
        let there = self.objects().into_keys().filter(|sha256| archive.entry(sha256).is_some());
        for sha256 in there {
            archive.bytes(&sha256)?;
        }
        let top = top(&index)?;
        let paths: Vec<_> = objects.keys().map(|sha256| archive.path(sha256)).collect();
        let pieces: Vec<[&[u8]; 1]> = objects.values().map(|bytes| [*bytes]).collect();
        let mut all: Vec<New<'_>> =
            paths.iter().zip(&pieces).map(|(path, pieces)| new_file(path, pieces)).collect();
        let tops =
            [(SIGNED, top.signed.as_bytes()), (RECHECK, top.recheck.as_bytes()), (INDEX, text.as_bytes())];
        let tops = tops.map(|(name, bytes)| (folder.join(name), [bytes]));
        let (again, seen) = files::read_seen(&folder.join(INDEX))?;
        if again != archive.index_bytes {
            return Err(at(broken("was added to by someone else meanwhile")));
        }
        for (path, pieces) in &tops {
            let over = if path.ends_with(INDEX) { Over::Seen(seen) } else { Over::Existing };
            all.push(New { over, ..new_file(path, pieces) });
        }
        files::write_together(&all)?;
        Ok((index, Written::Added(count)))
    }
}

/// An index's text. What is written has to be readable: limits hold for both, and its signature holds it in base64.
fn readable(index: &Index) -> Result<String> {
    let text = index.text()?;
    Index::parse(text.as_bytes())?;
    if text.len() as u64 > super::LARGEST_INDEX / 2 {
        return Err(broken("is an index too long to be read again: the files' names are"));
    }
    Ok(text)
}

fn new_file<'a>(path: &'a Path, pieces: &'a [&'a [u8]]) -> New<'a> {
    New { path, pieces, over: Over::Nothing, secrecy: Secrecy::Public }
}
