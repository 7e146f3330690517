//! Seals: after each release, the digest of every entry and of the seal before.
//!
//! A release never changes again, nor does a settlement or `ledger.toml`, nor an advisory once it is closed: their digests stand. An
//! advisory or a baseline may be added to; what it said when it was sealed, its **facts**, stands: index, dates, that it
//! was exploited, the frozen inventory, that support was promised until a day.
//!
//! Whoever rewrites everything from some seal on makes another chain that holds: keep the newest seal's digest elsewhere,
//! and give it to `check --head`.

use super::entry::{Advisory, FORMAT, Line, Release, Seal, Sealed, Settlement, Sha};
use super::rules::{Finding, Rule};
use super::{Entry, Filed, Ledger};
use std::collections::{BTreeMap, BTreeSet};

/// The digest of the newest seal.
pub fn head(ledger: &Ledger) -> Option<Sha> {
    ledger.seals.last().map(|filed| filed.sha256)
}

/// What an entry said for good.
pub trait Facts {
    /// By name.
    fn facts(&self) -> BTreeMap<String, String>;
}

fn named<const N: usize>(facts: [(&str, Option<String>); N]) -> BTreeMap<String, String> {
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

impl Facts for Advisory {
    fn facts(&self) -> BTreeMap<String, String> {
        let dates = self.dates;
        let moment = |moment: Option<super::time::Moment>| moment.map(|moment| moment.to_string());
        named([
            ("index", self.index.map(|index| index.to_string())),
            ("closed", self.closed.map(|day| day.to_string())),
            ("exploited", self.exploited.then(|| "true".to_owned())),
            ("aware", moment(dates.aware)),
            ("early_warning", moment(dates.early_warning)),
            ("notification", moment(dates.notification)),
            ("measure", moment(dates.measure)),
            ("final_report", moment(dates.final_report)),
        ])
    }
}

impl Facts for Line {
    fn facts(&self) -> BTreeMap<String, String> {
        named([
            ("inventory", self.inventory.as_ref().map(|inventory| inventory.sha256.to_string())),
            (SUPPORT, Some(self.support_end.to_string())),
            ("retired", self.retired.as_ref().map(|retired| retired.on.to_string())),
        ])
    }
}

/// A fact that may grow: support can be longer than it was promised.
const SUPPORT: &str = "support_end";

/// Entries as a seal has them.
pub type Entries = BTreeMap<String, Sealed>;

/// Puts an entry that may be added to under the seal.
pub fn put<T: Facts>(entries: &mut Entries, file: &str, sha256: Sha, entry: &T) {
    entries.insert(file.to_owned(), Sealed { sha256, facts: entry.facts() });
}

/// Every entry that the next seal has, but what the release itself brings: other releases only if they were sealed.
pub fn entries(ledger: &Ledger) -> Entries {
    let sealed = last_said(ledger);
    let mut entries = Entries::new();
    let whole = |sha256| Sealed { sha256, facts: BTreeMap::new() };
    entries.insert(ledger.head.file.clone(), whole(ledger.head.sha256));
    ledger.advisories.iter().for_each(|filed| put(&mut entries, &filed.file, filed.sha256, &filed.entry));
    ledger.baselines.iter().for_each(|filed| put(&mut entries, &filed.file, filed.sha256, &filed.entry));
    for filed in &ledger.settlements {
        entries.insert(filed.file.clone(), whole(filed.sha256));
    }
    for filed in ledger.releases.iter().filter(|filed| sealed.contains_key(&filed.file[..])) {
        entries.insert(filed.file.clone(), whole(filed.sha256));
    }
    entries
}

/// The seal that follows.
pub fn next(ledger: &Ledger, release: &str, entries: Entries) -> Seal {
    let number = ledger.seals.last().map_or(0, |filed| filed.entry.number);
    Seal {
        format: FORMAT,
        number: number.saturating_add(1),
        previous: head(ledger),
        release: release.to_owned(),
        entries,
    }
}

/// What the newest seal that names a file says of it.
fn last_said(ledger: &Ledger) -> BTreeMap<&str, &Sealed> {
    let all = ledger.seals.iter().flat_map(|filed| &filed.entry.entries);
    all.map(|(file, sealed)| (&file[..], sealed)).collect()
}

/// True if a release is sealed.
pub fn sealed(ledger: &Ledger, release: &Filed<Release>) -> bool {
    last_said(ledger).contains_key(&release.file[..])
}

const RESTORE: &str = "take it from version control as it was; what is sealed isn't edited";

/// Everything that is wrong with the chain, and with entries under it.
pub fn findings(ledger: &Ledger) -> Vec<Finding> {
    let mut found = Vec::new();
    chain(ledger, &mut found);
    present(ledger, &mut found);
    unsealed(ledger, &mut found);
    found
}

fn chain(ledger: &Ledger, found: &mut Vec<Finding>) {
    let digests: BTreeMap<Sha, &Filed<Seal>> =
        ledger.seals.iter().map(|filed| (filed.sha256, filed)).collect();
    let mut next_to = BTreeSet::new();
    for (position, filed) in ledger.seals.iter().enumerate() {
        let mut broken = |what: String| {
            found.push(Finding::new(Rule::SealBroken, &filed.file, what, RESTORE));
        };
        let stem = filed.entry.stem(&filed.sha256);
        if filed.file != format!("{}/{stem}.toml", Seal::FOLDER) {
            broken("isn't named by its number and digest: it was edited, or renamed".to_owned());
        }
        let parent = filed.entry.previous.map(|previous| digests.get(&previous));
        match parent {
            Some(None) => broken("follows a seal that isn't there, or was edited".to_owned()),
            Some(Some(parent)) if parent.entry.number.saturating_add(1) != filed.entry.number => {
                broken(format!("doesn't follow {} by its number", parent.file));
            }
            Some(Some(parent)) => {
                if let Some(file) = lost(&parent.entry.entries, &filed.entry.entries) {
                    broken(format!("says otherwise than {} about {file}", parent.file));
                }
            }
            None => {}
        }
        if !next_to.insert(filed.entry.number) {
            let other =
                ledger.seals.get(position.saturating_sub(1)).map_or("another", |other| &other.file[..]);
            let what = format!("has the number of {other}: two releases were made at once, on two branches");
            let next = format!(
                "keep the seal of what was published first, take the other file away, and release its bundle ({}) again",
                filed.entry.release
            );
            found.push(Finding::new(Rule::SealFork, &filed.file, what, next));
        }
    }
}

/// What a later state doesn't keep of an earlier one.
fn lost<'a>(before: &'a Entries, after: &Entries) -> Option<&'a str> {
    before
        .iter()
        .find(|(file, sealed)| after.get(*file).is_none_or(|after| changed(file, sealed, after).is_some()))
        .map(|(file, _)| &file[..])
}

/// What was changed in an entry that may not: its name.
fn changed(file: &str, before: &Sealed, after: &Sealed) -> Option<String> {
    let fixed = [Release::FOLDER, Settlement::FOLDER];
    let whole = fixed.iter().any(|folder| file.starts_with(folder))
        || file == super::NAME
        || before.facts.contains_key("closed");
    if whole {
        return (before.sha256 != after.sha256).then(|| "the file".to_owned());
    }
    let kept = |(name, value): &(&String, &String)| match after.facts.get(*name) {
        Some(new) if *name == SUPPORT => new >= *value,
        other => other == Some(*value),
    };
    before.facts.iter().find(|fact| !kept(fact)).map(|(name, _)| name.clone())
}

/// Entries as they are now, against what was sealed of them.
fn present(ledger: &Ledger, found: &mut Vec<Finding>) {
    let mut now = entries(ledger);
    // Sealed or not: here all count.
    for filed in &ledger.releases {
        now.insert(filed.file.clone(), Sealed { sha256: filed.sha256, facts: BTreeMap::new() });
    }
    for (file, sealed) in last_said(ledger) {
        match now.get(file) {
            None => found.push(Finding::new(Rule::HistoryDeleted, file, "was sealed, and is gone", RESTORE)),
            Some(now) => {
                if let Some(what) = changed(file, sealed, now) {
                    let what = format!("was sealed, and {what} was changed or taken away since");
                    found.push(Finding::new(Rule::HistoryEdited, file, what, RESTORE));
                }
            }
        }
    }
}

/// Only `release` makes releases and mints indices, and it seals what it makes.
fn unsealed(ledger: &Ledger, found: &mut Vec<Finding>) {
    let sealed = last_said(ledger);
    for filed in ledger.releases.iter().filter(|filed| !sealed.contains_key(&filed.file[..])) {
        let next = format!("patchlane ledger release {}; or take the entry away", filed.entry.bundle);
        found.push(Finding::new(Rule::Unsealed, &filed.file, "is in no seal", next));
    }
    for filed in ledger.advisories.iter().filter(|filed| filed.entry.index.is_some()) {
        if sealed.get(&filed.file[..]).is_none_or(|sealed| !sealed.facts.contains_key("index")) {
            let next = "release the bundle that fixes it; or take the index away: `release` mints it";
            found.push(Finding::new(Rule::Unsealed, &filed.file, "has an index that no seal knows", next));
        }
    }
}
