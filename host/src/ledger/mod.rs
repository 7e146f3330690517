//! The ledger: what is known of advisories, baselines and releases, one plain file each, sealed by every release.
//!
//! ```text
//! ledger/ledger.toml                                 which product; read by everything here
//!        advisories/CVE-2027-4108.toml               open, affects, amend, close; release mints the index
//!        baselines/4.1.toml                          baseline add, baseline retire
//!        releases/4.1-s9-security-b9284ad8.toml      release: one for each bundle, never changed again
//!        settlements/4.1-s9-…-2c9d01ab.toml          settle: evidence that an emergency left owing
//!        seals/0001-5f0c2d1e.toml                    release: digests of all of these, and of the seal before
//! ```
//!
//! Branches merge without conflict, because nobody shares a file; what a merge makes wrong, [`rules`] find. A file is
//! named by what it says, so that one entry can't be there twice.

pub mod art14;
pub mod entry;
pub mod matrix;
pub mod plan;
pub mod rules;
pub mod seal;
pub mod time;
pub mod write;

use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::explain::explain;
use crate::files::{self, New, Over, Secrecy, Seen};
use entry::{Advisory, Head, Line, Owed, Release, Seal, Settlement, Sha};
use patchlane_protocol::{Baseline, Version};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The file that makes a folder a ledger.
pub const NAME: &str = "ledger.toml";
/// Where it is, unless patchlane.toml says otherwise.
pub const FOLDER: &str = "ledger";

/// One above the highest index that is understood: no product has as many advisories.
pub const LARGEST_INDEX: u32 = 100_000;

/// An entry, with the file it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed<T> {
    /// The file, from the ledger's folder, with `/`.
    pub file: String,
    /// Its digest.
    pub sha256: Sha,
    /// What it says.
    pub entry: T,
    seen: Seen,
}

/// The whole ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// Where it is.
    pub folder: PathBuf,
    /// `ledger.toml`.
    pub head: Filed<Head>,
    /// In order of their ids.
    pub advisories: Vec<Filed<Advisory>>,
    /// In their order.
    pub baselines: Vec<Filed<Line>>,
    /// In order of their files' names.
    pub releases: Vec<Filed<Release>>,
    /// In order of their files' names.
    pub settlements: Vec<Filed<Settlement>>,
    /// In order of their numbers.
    pub seals: Vec<Filed<Seal>>,
}

/// What lies in a folder of its own.
pub trait Entry: DeserializeOwned {
    /// The folder.
    const FOLDER: &'static str;
    /// What an error calls it.
    const KIND: &'static str;
    /// How its file is named, without `.toml`, if that follows from what it says and from its digest.
    fn stem(&self, sha256: &Sha) -> String;
    /// Takes the comments of its file, if they are kept.
    fn remember(&mut self, _remarks: Vec<String>) {}
    /// What no single value shows to be wrong.
    ///
    /// # Errors
    /// In words.
    fn sound(&self) -> std::result::Result<(), String> {
        Ok(())
    }
}

impl Entry for Advisory {
    const FOLDER: &'static str = "advisories";
    const KIND: &'static str = "an advisory";
    fn stem(&self, _: &Sha) -> String {
        self.id.clone()
    }
    fn remember(&mut self, remarks: Vec<String>) {
        self.remarks = remarks;
    }
    fn sound(&self) -> std::result::Result<(), String> {
        match self.index {
            Some(0 | LARGEST_INDEX..) => Err(format!("indices go from 1 to {}", LARGEST_INDEX - 1)),
            _ => Ok(()),
        }
    }
}

impl Entry for Line {
    const FOLDER: &'static str = "baselines";
    const KIND: &'static str = "a baseline";
    fn stem(&self, _: &Sha) -> String {
        self.baseline.0.to_string()
    }
    fn remember(&mut self, remarks: Vec<String>) {
        self.remarks = remarks;
    }
}

impl Entry for Release {
    const FOLDER: &'static str = "releases";
    const KIND: &'static str = "a release";
    fn stem(&self, _: &Sha) -> String {
        let version = self.version().map_or_else(String::new, |version| file_stem(&version));
        format!("{version}-{}-{}", self.lane.name(), self.manifest_sha256.short())
    }
    fn sound(&self) -> std::result::Result<(), String> {
        match self.version() {
            _ if self.level >= LARGEST_INDEX => Err(format!("levels go up to {}", LARGEST_INDEX - 1)),
            None => Err("`open` has to list indices below `level`, in order, at most 16".into()),
            Some(_) if self.image.is_empty() => Err("it has no [[image]]".into()),
            Some(_) => Ok(()),
        }
    }
}

impl Entry for Settlement {
    const FOLDER: &'static str = "settlements";
    const KIND: &'static str = "a settlement";
    fn stem(&self, _: &Sha) -> String {
        format!("{}-{}", self.release, self.evidence.short())
    }
    fn sound(&self) -> std::result::Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        match () {
            // It names a file: nothing that could lead out of the folder.
            () if self.release.is_empty() || !self.release.chars().all(plain) => {
                Err("`release` is the name of a release's file, without .toml".into())
            }
            () if self.checks.is_empty() => Err("it settles no check".into()),
            () => Ok(()),
        }
    }
}

impl Entry for Seal {
    const FOLDER: &'static str = "seals";
    const KIND: &'static str = "a seal";
    fn stem(&self, sha256: &Sha) -> String {
        format!("{:04}-{}", self.number, sha256.short())
    }
    fn sound(&self) -> std::result::Result<(), String> {
        match (self.number, self.previous) {
            (0, _) => Err("seals count from 1".into()),
            (1, Some(_)) => Err("the first seal has no previous one".into()),
            (2.., None) => Err("`previous` is missing".into()),
            _ => Ok(()),
        }
    }
}

/// A version as a part of file names: `4.1-s9-open-8`.
pub fn file_stem(version: &Version) -> String {
    version.to_string().replace([' ', ','], "-")
}

/// Reads a file's text as an entry.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let next = "correct it, or take it from version control as it was";
    let text = std::str::from_utf8(bytes).map_err(|_| Error::new(Code::Entry, "isn't text (UTF-8)", next))?;
    if let Some(at) = text.lines().position(|line| line.starts_with("<<<<<<<")) {
        let next = "finish the merge: both sides changed this entry; say what holds now";
        return Err(Error::new(Code::Entry, format!("line {}: is in mid-merge", at + 1), next));
    }
    toml::from_str(text).map_err(|e| Error { code: Code::Entry, ..explain(text, &e) })
}

fn filed<T: Entry>(folder: &Path, name: &str) -> Result<Filed<T>> {
    filed_at(&folder.join(T::FOLDER).join(name), name)
}

/// An entry of this name, wherever its file lies.
fn filed_at<T: Entry>(path: &Path, name: &str) -> Result<Filed<T>> {
    let file = format!("{}/{name}", T::FOLDER);
    let (bytes, seen) = files::read_seen(path)?;
    let wrong = |what: String| {
        let next = "correct it, or take it from version control as it was";
        Error::new(Code::Entry, what, next).at(path.display())
    };
    if bytes.len() as u64 > files::LARGEST_TEXT {
        return Err(wrong("is larger than 1 MiB".into()));
    }
    let mut entry: T = parse(&bytes).map_err(|e| e.at(path.display()))?;
    entry.sound().map_err(|what| wrong(format!("isn't {} that can be: {what}", T::KIND)))?;
    let sha256 = Sha::of(&bytes);
    let stem = entry.stem(&sha256);
    // A seal that isn't named by what it holds was edited: `check` says so.
    if T::FOLDER != Seal::FOLDER && name != format!("{stem}.toml") {
        return Err(wrong(format!("says what belongs into {}/{stem}.toml", T::FOLDER)));
    }
    let text = String::from_utf8_lossy(&bytes);
    entry.remember(text.lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect());
    Ok(Filed { file, sha256, entry, seen })
}

/// Every entry of a kind. Names that begin with a dot are nobody's.
fn all<T: Entry>(folder: &Path, wrong: &mut Vec<Error>) -> Vec<Filed<T>> {
    let inside = folder.join(T::FOLDER);
    let list = fs::read_dir(&inside).and_then(|list| list.collect::<std::io::Result<Vec<_>>>());
    let list = match list {
        Ok(list) => list,
        // No entry, no folder: git keeps no empty ones.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            wrong.push(files::failed(&error, &inside, "read"));
            return Vec::new();
        }
    };
    let names = list.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    let mut found = Vec::new();
    for name in names {
        let read = if name.ends_with(".toml") {
            filed(folder, &name)
        } else {
            let next = "take it away, or name it .toml";
            Err(Error::new(Code::Entry, "isn't an entry (.toml)", next).at(inside.join(&name).display()))
        };
        match read {
            Ok(entry) => found.push(entry),
            Err(error) => wrong.push(error),
        }
    }
    found
}

/// Those of a kind among files that lie anywhere.
fn some<T: Entry>(files: &BTreeMap<&str, PathBuf>) -> Result<Vec<Filed<T>>> {
    let inside =
        |file: &&str| file.strip_prefix(T::FOLDER).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
    let all = files.iter().filter_map(|(file, path)| Some((inside(file)?, path)));
    all.map(|(name, path)| filed_at(path, &name)).collect()
}

impl Ledger {
    /// Reads every entry.
    ///
    /// # Errors
    /// `missing-file` if there is no ledger; `ledger-entry`: every file that is wrong.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let (bytes, seen) = files::read_seen(&path).map_err(|error| match error.code {
            Code::Missing => {
                Error { next: "start one: patchlane ledger init; or correct [ledger] path".into(), ..error }
            }
            _ => error,
        })?;
        let entry: Head = parse(&bytes).map_err(|e| e.at(path.display()))?;
        if entry.before >= LARGEST_INDEX {
            let what = format!("`before` is above {}", LARGEST_INDEX - 1);
            return Err(Error::new(Code::Entry, what, "correct it").at(path.display()));
        }
        let head = Filed { file: NAME.to_owned(), sha256: Sha::of(&bytes), entry, seen };
        let mut wrong = Vec::new();
        let mut ledger = Self {
            folder: folder.to_path_buf(),
            head,
            advisories: all(folder, &mut wrong),
            baselines: all(folder, &mut wrong),
            releases: all(folder, &mut wrong),
            settlements: all(folder, &mut wrong),
            seals: all(folder, &mut wrong),
        };
        ledger.baselines.sort_by_key(|line| line.entry.baseline);
        ledger.seals.sort_by_key(|seal| seal.entry.number);
        if wrong.is_empty() {
            return Ok(ledger);
        }
        let mut first = wrong.remove(0);
        first.also = wrong;
        Err(first)
    }

    /// A ledger of these entries only, by their names in it; each lies somewhere else. Nobody can write to it.
    ///
    /// # Errors
    /// `ledger-entry`: what is wrong with one, or that the ledger's head isn't there.
    pub fn of_files(folder: &Path, files: &BTreeMap<&str, PathBuf>) -> Result<Self> {
        let lacks = || {
            let next = "take it from the ledger: every ledger has it";
            Error::new(Code::Entry, format!("there is no {NAME}"), next).at(folder.display())
        };
        let path = files.get(NAME).ok_or_else(lacks)?;
        let (bytes, seen) = files::read_seen(path)?;
        let entry: Head = parse(&bytes).map_err(|e| e.at(path.display()))?;
        let head = Filed { file: NAME.to_owned(), sha256: Sha::of(&bytes), entry, seen };
        let mut ledger = Self {
            folder: folder.to_path_buf(),
            head,
            advisories: some(files)?,
            baselines: some(files)?,
            releases: some(files)?,
            settlements: some(files)?,
            seals: some(files)?,
        };
        ledger.baselines.sort_by_key(|line| line.entry.baseline);
        ledger.seals.sort_by_key(|seal| seal.entry.number);
        Ok(ledger)
    }

    /// The ledger of a product, if it has one.
    ///
    /// # Errors
    /// As [`Ledger::read`]; `config` if it is another product's.
    pub fn of(config: &Config) -> Result<Option<Self>> {
        let folder = config.ledger();
        if config.ledger.is_none() && !folder.join(NAME).exists() {
            return Ok(None);
        }
        let ledger = Self::read(&folder)?;
        let head = &ledger.head.entry;
        if head.vendor != config.product.vendor || head.class != config.product.class {
            let what = format!("is the ledger of {} {}, and not of this product", head.vendor, head.class);
            let next = "correct [ledger] path, or [product]";
            return Err(Error::new(Code::Config, what, next).at(folder.join(NAME).display()));
        }
        Ok(Some(ledger))
    }

    /// An advisory by its id, or by another one of its ids.
    pub fn advisory(&self, id: &str) -> Option<&Filed<Advisory>> {
        let is = |other: &str| other.eq_ignore_ascii_case(id);
        let named = |filed: &&Filed<Advisory>| is(&filed.entry.id);
        let known = |filed: &&Filed<Advisory>| filed.entry.aliases.iter().any(|alias| is(alias));
        self.advisories.iter().find(named).or_else(|| self.advisories.iter().find(known))
    }

    /// The advisory that got this index.
    pub fn indexed(&self, index: u32) -> Option<&Advisory> {
        self.advisories.iter().map(|filed| &filed.entry).find(|entry| entry.index == Some(index))
    }

    /// A baseline.
    pub fn baseline(&self, baseline: Baseline) -> Option<&Filed<Line>> {
        self.baselines.iter().find(|filed| filed.entry.baseline.0 == baseline)
    }

    /// Every bundle that was released of this version.
    pub fn released(&self, version: &Version) -> impl Iterator<Item = &Filed<Release>> {
        self.releases.iter().filter(move |filed| filed.entry.version() == Some(*version))
    }

    /// Every bundle that was released of this baseline.
    pub fn of_baseline(&self, baseline: Baseline) -> impl Iterator<Item = &Filed<Release>> {
        self.releases.iter().filter(move |filed| filed.entry.baseline.0 == baseline)
    }

    /// What a release still owes: checks that an emergency left open, and that no later evidence settled.
    pub fn debts<'a>(&'a self, release: &'a Filed<Release>) -> impl Iterator<Item = &'a Owed> {
        let stem = release.entry.stem(&release.sha256);
        let settled: Vec<u8> = self
            .settlements
            .iter()
            .filter(|filed| filed.entry.release == stem)
            .flat_map(|filed| filed.entry.checks.iter().copied())
            .collect();
        release.entry.owed.iter().filter(move |owed| !settled.contains(&owed.check))
    }

    /// The newest version of a baseline: the one that handles most.
    pub fn newest(&self, baseline: Baseline) -> Option<Version> {
        let versions = self.of_baseline(baseline).filter_map(|filed| filed.entry.version());
        versions.max_by_key(|version| {
            let open = version.security.open().iter().count();
            (version.security.level() as usize).saturating_sub(open)
        })
    }

    /// The highest index that was minted; those from before the ledger count.
    pub fn minted(&self) -> u32 {
        let indices = self.advisories.iter().filter_map(|filed| filed.entry.index);
        indices.max().unwrap_or(0).max(self.head.entry.before)
    }

    /// A path in it.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }
}

/// A file of the ledger to be written.
#[derive(Debug)]
pub struct Written {
    file: String,
    text: String,
    over: Over,
}

impl Written {
    /// A new entry.
    pub fn new<T: Entry>(entry: &T, text: String) -> Self {
        let stem = entry.stem(&Sha::of(text.as_bytes()));
        Self { file: format!("{}/{stem}.toml", T::FOLDER), text, over: Over::Nothing }
    }

    /// An entry in the place of what was read.
    pub fn again<T>(read: &Filed<T>, text: String) -> Self {
        Self { file: read.file.clone(), text, over: Over::Seen(read.seen) }
    }

    /// Its file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Writes entries: all of them, or everything is as it was.
///
/// # Errors
/// `file-exists`, `file-access`.
pub fn write_all(folder: &Path, all: &[Written]) -> Result<()> {
    let mut made = Vec::new();
    let paths: Vec<PathBuf> = all.iter().map(|written| folder.join(&written.file)).collect();
    for inside in paths.iter().filter_map(|path| path.parent()) {
        if !inside.exists() {
            made.push(files::NewFolder::make(inside)?);
        }
    }
    let pieces: Vec<[&[u8]; 1]> = all.iter().map(|written| [written.text.as_bytes()]).collect();
    let each = all.iter().zip(&paths).zip(&pieces);
    let new: Vec<New<'_>> = each
        .map(|((written, path), pieces)| New { path, pieces, over: written.over, secrecy: Secrecy::Public })
        .collect();
    files::write_together(&new)?;
    made.into_iter().for_each(files::NewFolder::keep);
    Ok(())
}

/// While it lives nobody else writes to the ledger.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] Option<File>);

impl Lock {
    /// Waits for others, for five seconds.
    ///
    /// # Errors
    /// `ledger-conflict` if someone else holds it still.
    pub fn take(folder: &Path) -> Result<Self> {
        files::alone_in(folder).map(Self).map_err(|()| {
            let next = "another patchlane is writing to this ledger: wait for it, and run it again";
            Error::new(Code::Conflict, "is locked", next).at(folder.display())
        })
    }
}
