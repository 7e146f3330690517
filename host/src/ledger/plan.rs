//! What a release of a baseline has to say: its level, what stays open, what it closes; and whether a bundle says that.

use super::entry::{Advisory, Name, Statement};
use super::{Filed, Ledger};
use crate::bundle::Closes;
use crate::error::{Code, Error, Result};
use patchlane_protocol::version::Open;
use patchlane_protocol::{Baseline, Manifest, Security, Version, limits};
use std::collections::BTreeSet;

/// What a release says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Level and open list.
    pub security: Security,
    /// What it closes.
    pub closes: Vec<Closes>,
}

/// An index that a release mints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mint {
    /// Of which advisory.
    pub id: String,
    /// The index.
    pub index: u32,
}

fn closes(advisory: &Advisory, index: u32) -> Closes {
    let id = advisory.id.clone();
    Closes { index, id, severity: advisory.severity, exploited: advisory.exploited }
}

/// Every index that a version handles.
fn handled(security: &Security) -> BTreeSet<u32> {
    (1..=security.level()).filter(|index| security.handles(*index)).collect()
}

impl Ledger {
    /// Whether a statement says that a baseline isn't affected.
    pub fn not_affected(&self, advisory: &Advisory, baseline: Baseline) -> bool {
        matches!(advisory.affects.get(&Name(baseline)), Some(Statement::NotAffected(..)))
    }

    /// What the next release of a baseline says if it fixes these, on top of what its newest release handles; or on top
    /// of the newest release of `contains`, for the first of a new baseline.
    ///
    /// # Errors
    /// `ledger-refused`.
    pub fn plan(&self, baseline: Baseline, fixes: &[String], contains: Option<Baseline>) -> Result<Plan> {
        let refused = |what: String, next: String| Err(Error::new(Code::Disagrees, what, next));
        let from = contains.unwrap_or(baseline);
        let base = self.newest(from).map(|version| version.security);
        if let (Some(contains), None) = (contains, base) {
            let next = "name the baseline that its code was branched from".to_owned();
            return refused(format!("--contains {contains}: the ledger has no release of it"), next);
        }
        let mut done = handled(&base.unwrap_or(Security::level_only(self.head.entry.before)));
        let (mut list, mut next) = (Vec::new(), self.minted());
        for id in fixes {
            let entry = &self.known(id)?.entry;
            if self.not_affected(entry, baseline) {
                let next = format!("patchlane build security --baseline {baseline} --not-affected");
                return refused(format!("{baseline} isn't affected by {}", entry.id), next);
            }
            let index = entry.index.unwrap_or_else(|| {
                next = next.saturating_add(1);
                next
            });
            if done.insert(index) {
                list.push(closes(entry, index));
            } else if !list.iter().any(|other| other.index == index) {
                let what = format!("{baseline} handles {} already", entry.id);
                return refused(what, "leave it out: see patchlane ledger show".into());
            }
        }
        for entry in self.advisories.iter().map(|filed| &filed.entry) {
            if let Some(index) = entry.index.filter(|_| self.not_affected(entry, baseline))
                && done.insert(index)
            {
                list.push(closes(entry, index));
            }
        }
        list.sort_by_key(|closes| closes.index);
        let level = done.last().copied().unwrap_or(0);
        let open: Vec<u32> = (1..level).filter(|index| !done.contains(index)).collect();
        let security = Open::new(&open).and_then(|open| Security::new(level, open)).map_err(|_| {
            let what =
                format!("{} advisories below {level} would be open, and {} can be", open.len(), limits::OPEN);
            Error::new(Code::Disagrees, what, "fix some of them first: see patchlane ledger show")
        })?;
        Ok(Plan { security, closes: list })
    }

    fn known(&self, id: &str) -> Result<&Filed<Advisory>> {
        self.advisory(id).ok_or_else(|| {
            let known: Vec<&str> = self.advisories.iter().map(|filed| &filed.entry.id[..]).collect();
            let next =
                format!("record it: patchlane ledger open {id}; {}", crate::explain::meant(id, &known));
            Error::new(Code::Disagrees, format!("the ledger has no advisory {id}"), next)
        })
    }

    /// Whether a bundle says what the ledger says; and the indices that its release mints.
    ///
    /// # Errors
    /// `ledger-refused`; `ledger-conflict` if an index or the version is someone else's.
    pub fn agree(&self, manifest: &Manifest<'_>) -> Result<Vec<Mint>> {
        let baseline = manifest.version.feature;
        let line = self.baseline(baseline).ok_or_else(|| {
            let what = format!("is a release of {baseline}, and the ledger has no such baseline");
            Error::new(Code::Disagrees, what, format!("add it: patchlane ledger baseline add {baseline}"))
        })?;
        if let Some(retired) = &line.entry.retired {
            let what = format!("is a release of {baseline}, which was retired on {}", retired.on);
            return Err(Error::new(Code::Disagrees, what, "release a baseline that is supported"));
        }
        self.one_image(manifest)?;
        let mints = self.mints(manifest)?;
        self.claims(manifest, &mints)?;
        self.chained(&manifest.version)?;
        Ok(mints)
    }

    /// A version has one set of images, ever (a device would call the second one the version it has).
    fn one_image(&self, manifest: &Manifest<'_>) -> Result<()> {
        let version = manifest.version;
        let mut own: Vec<_> = manifest
            .components
            .iter()
            .flat_map(|c| c.images.iter().map(move |i| (c.id.0, i.address, i.digest.0)))
            .collect();
        own.sort();
        for filed in self.released(&version) {
            let mut other: Vec<_> =
                filed.entry.image.iter().map(|i| (u16::from(i.component), i.address, i.sha256.0)).collect();
            other.sort();
            let same_hardware = manifest.hardware.iter().any(|one| filed.entry.hardware.contains(&one));
            let own: Vec<_> = own.iter().map(|(id, address, sha)| (u16::from(*id), *address, *sha)).collect();
            if same_hardware && own != other {
                let what = format!("claims {version}, which was released with another image");
                let next = "a version has one image, ever: record what changed (ledger open), and build with --fixes";
                return Err(Error::new(Code::Conflict, what, next).at(self.path(&filed.file).display()));
            }
        }
        Ok(())
    }

    fn mints(&self, manifest: &Manifest<'_>) -> Result<Vec<Mint>> {
        let (mut mints, mut next) = (Vec::new(), self.minted().saturating_add(1));
        let again = "build it again: the ledger gives the index (--fixes)";
        let conflict = |what: String| Err(Error::new(Code::Conflict, what, again));
        let refused = |what: String| Err(Error::new(Code::Disagrees, what, again));
        for closed in manifest.advisories.iter() {
            let (id, index) = (closed.id, closed.index);
            if index <= self.head.entry.before {
                continue;
            }
            let entry = &self.known(id)?.entry;
            if entry.id != id {
                return refused(format!("calls {} by another of its ids, {id}", entry.id));
            }
            match entry.index {
                Some(minted) if minted == index => {}
                Some(minted) => {
                    return conflict(format!("calls {id} advisory {index}, and it has the index {minted}"));
                }
                None if index == next => {
                    mints.push(Mint { id: id.to_owned(), index });
                    next = next.saturating_add(1);
                }
                None => {
                    return match self.indexed(index) {
                        Some(other) => conflict(format!(
                            "calls {id} advisory {index}, and that index went to {} meanwhile",
                            other.id
                        )),
                        None => refused(format!("calls {id} advisory {index}, and the next index is {next}")),
                    };
                }
            }
            if (entry.severity, entry.exploited) != (closed.severity, closed.exploited) {
                return refused(format!(
                    "says otherwise than the ledger how bad {id} is, or that it is exploited"
                ));
            }
        }
        Ok(mints)
    }

    /// It handles nothing that it doesn't close, but what its baseline handled, or isn't affected by.
    fn claims(&self, manifest: &Manifest<'_>, mints: &[Mint]) -> Result<()> {
        let (version, baseline) = (manifest.version, manifest.version.feature);
        let refused = |what: String, next: &str| Err(Error::new(Code::Disagrees, what, next));
        let top = mints.last().map_or(0, |mint| mint.index).max(self.minted());
        if version.security.level() > top {
            let what =
                format!("is at level {}, and the ledger has indices up to {top}", version.security.level());
            return refused(what, "name what it fixes with --fixes: the ledger gives the level");
        }
        let payload =
            manifest.components.iter().any(|component| component.alternatives.iter().next().is_some());
        let newest = self.newest(baseline);
        for index in handled(&version.security).into_iter().filter(|index| *index > self.head.entry.before) {
            let before = newest.is_some_and(|newest| newest.security.handles(index));
            let minted = mints.iter().find(|mint| mint.index == index).map(|mint| &mint.id);
            let entry = self.advisories.iter().map(|filed| &filed.entry);
            let entry =
                entry.into_iter().find(|entry| entry.index == Some(index) || minted == Some(&entry.id));
            let Some(entry) = entry.filter(|entry| !before && !self.not_affected(entry, baseline)) else {
                continue;
            };
            if !payload {
                let what =
                    format!("has no payload, and {baseline} isn't known to be unaffected by {}", entry.id);
                return refused(what, "say it: patchlane ledger affects ... not-affected; or build the fix");
            }
            let closed = manifest.advisories.iter().any(|closed| closed.index == index);
            if newest.is_some() && !closed {
                let what = format!("claims to handle {} ({index}), and doesn't close it", entry.id);
                return refused(what, "name it with --fixes; or say with --open that it isn't fixed");
            }
        }
        Ok(())
    }

    /// Releases of a baseline are ordered by inclusion.
    fn chained(&self, version: &Version) -> Result<()> {
        for filed in self.of_baseline(version.feature) {
            let other = filed.entry.version();
            if other.is_some_and(|other| other.security.partial_cmp(&version.security).is_none()) {
                let what = format!("{version} lacks what an earlier release handles");
                let next = "build on the newest release: the ledger gives level and open list (--fixes)";
                return Err(Error::new(Code::Disagrees, what, next).at(self.path(&filed.file).display()));
            }
        }
        Ok(())
    }
}
