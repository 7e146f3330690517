//! How often each manifest failed its trial.
//!
//! Bounded, and no order of events resets a count: when the table is full, a newcomer takes over the lowest
//! entry **with its count**. So alternating manifests can't buy endless trials, at the price that, once four
//! different manifests have failed, a fifth may need the operator earlier.

use super::trial::FAILED_TRIALS;
use patchlane_protocol::Digest;

/// Manifests remembered.
pub const REMEMBERED: usize = 4;

/// One manifest's failed trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// SHA-256 of the manifest.
    pub manifest: Digest,
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

    /// Counts a failed trial.
    pub fn record(&mut self, manifest: &Digest) {
        let known = self.entries.iter_mut().flatten().find(|entry| entry.manifest == *manifest);
        if let Some(entry) = known {
            entry.count = entry.count.saturating_add(1);
            return;
        }
        if let Some(free) = self.entries.iter_mut().find(|entry| entry.is_none()) {
            *free = Some(Failure { manifest: *manifest, count: 1 });
            return;
        }
        if let Some(lowest) = self.entries.iter_mut().flatten().min_by_key(|entry| entry.count) {
            *lowest = Failure { manifest: *manifest, count: lowest.count.saturating_add(1) };
        }
    }

    /// True if an operator has to ask for another trial.
    pub fn needs_retry(&self, manifest: &Digest) -> bool {
        self.iter().any(|entry| entry.manifest == *manifest && entry.count >= FAILED_TRIALS)
    }

    /// An operator's retry: the manifest starts at zero. False if it had no failures.
    pub fn forgive(&mut self, manifest: &Digest) -> bool {
        let mut forgiven = false;
        for entry in &mut self.entries {
            if entry.is_some_and(|failure| failure.manifest == *manifest) {
                *entry = None;
                forgiven = true;
            }
        }
        forgiven
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
