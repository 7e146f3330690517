//! How often each manifest failed its trial.
//!
//! Bounded, and no order of events resets a count: when the table is full, a manifest that isn't in it counts as the
//! lowest entry does, and takes that entry over, **with its count**, when it fails. So alternating manifests can't buy
//! endless trials, at the price that, once four different manifests have failed, a fifth may need the operator earlier.
//! Entries of releases below the confirmed level are forgotten: those are refused anyway.

use super::trial::FAILED_TRIALS;
use patchlane_protocol::Digest;

/// Manifests remembered.
pub const REMEMBERED: usize = 4;

/// One manifest's failed trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// SHA-256 of the manifest.
    pub manifest: Digest,
    /// Its security level.
    pub level: u32,
    /// Failed trials, saturating.
    pub count: u8,
}

/// The table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    entries: [Option<Failure>; REMEMBERED],
}

impl Failures {
    /// The entries in use.
    pub fn iter(&self) -> impl Iterator<Item = Failure> + '_ {
        self.entries.iter().flatten().copied()
    }

    fn of(&self, manifest: &Digest) -> Option<&Failure> {
        self.entries.iter().flatten().find(|entry| entry.manifest == *manifest)
    }

    /// The entry that a manifest of which nothing is known takes over; `None` while there is a free one.
    fn lowest(&self) -> Option<&Failure> {
        let full = self.entries.iter().all(Option::is_some);
        self.entries.iter().flatten().min_by_key(|entry| entry.count).filter(|_| full)
    }

    fn count(&self, manifest: &Digest) -> u8 {
        self.of(manifest).or(self.lowest()).map_or(0, |entry| entry.count)
    }

    /// Gives a manifest this count, in its own entry, a free one, or the lowest.
    fn set(&mut self, failure: Failure) {
        let place = self.of(&failure.manifest).or(self.lowest()).copied();
        if let Some(entry) = self.entries.iter_mut().find(|entry| **entry == place) {
            *entry = Some(failure);
        }
    }

    /// Counts a failed trial of a manifest of this security level.
    pub fn record(&mut self, manifest: &Digest, level: u32) {
        let count = self.count(manifest).saturating_add(1);
        self.set(Failure { manifest: *manifest, level, count });
    }

    /// True if an operator has to ask for another trial.
    pub fn needs_retry(&self, manifest: &Digest) -> bool {
        self.count(manifest) >= FAILED_TRIALS
    }

    /// An operator's retry: the manifest starts at zero. False if it had no failures.
    pub fn forgive(&mut self, manifest: &Digest) -> bool {
        if self.count(manifest) == 0 {
            return false;
        }
        let level = self.of(manifest).or(self.lowest()).map_or(0, |entry| entry.level);
        self.set(Failure { manifest: *manifest, level, count: 0 });
        true
    }

    /// A release of this level was confirmed: forgets it, and all that lies below.
    pub fn confirmed(&mut self, manifest: &Digest, level: u32) {
        for entry in &mut self.entries {
            *entry = entry.filter(|failure| failure.manifest != *manifest && failure.level >= level);
        }
    }

    /// Puts back an entry read from a record; false if the table is full.
    pub(crate) fn restore(&mut self, failure: Failure) -> bool {
        match self.entries.iter_mut().find(|entry| entry.is_none()) {
            Some(free) => {
                *free = Some(failure);
                true
            }
            None => false,
        }
    }
}
