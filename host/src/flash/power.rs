//! When power fails, and how the words it tears behave. Seeded: the same seed tears the same way.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How far the operation comes during which power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// It doesn't begin.
    Before,
    /// It tears its first word.
    First,
    /// It tears a word in the middle; an erase gets half way.
    Middle,
    /// It tears its last word; an erase almost ends.
    Last,
    /// It ends.
    After,
}

impl When {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Before, Self::First, Self::Middle, Self::Last, Self::After];
}

/// How a torn word reads until it is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Torn {
    /// Always the same.
    Stable,
    /// Differently after each restart.
    PerBoot,
    /// Differently each time.
    PerRead,
    /// As an error.
    Ecc,
}

impl Torn {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Stable, Self::PerBoot, Self::PerRead, Self::Ecc];
}

/// Power fails at the operation with this number, counted over all chips from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cut {
    /// Writes and erases before it.
    pub at: u64,
    /// How far that one comes.
    pub when: When,
}

#[derive(Debug)]
struct Inner {
    operations: u64,
    cuts: VecDeque<Cut>,
    off: bool,
    boots: u64,
    seed: u64,
    torn: Torn,
    violations: Vec<String>,
    writes: u64,
    written: u64,
    erases: u64,
}

/// The supply that all chips of a device share.
#[derive(Debug, Clone)]
pub struct Power(Arc<Mutex<Inner>>);

impl Power {
    /// Power that doesn't fail, yet.
    pub fn new(seed: u64, torn: Torn) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            operations: 0,
            cuts: VecDeque::new(),
            off: false,
            boots: 0,
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            torn,
            violations: Vec::new(),
            writes: 0,
            written: 0,
            erases: 0,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans a failure, counted from the operations done so far.
    pub fn plan(&self, cut: Cut) {
        let mut inner = self.inner();
        let cut = Cut { at: inner.operations + cut.at, ..cut };
        let place = inner.cuts.partition_point(|planned| planned.at <= cut.at);
        inner.cuts.insert(place, cut);
    }

    /// Forgets what is planned.
    pub fn unplan(&self) {
        self.inner().cuts.clear();
    }

    /// True while power is off.
    pub fn is_off(&self) -> bool {
        self.inner().off
    }

    /// Power comes back.
    pub fn restore(&self) {
        let mut inner = self.inner();
        inner.off = false;
        inner.boots += 1;
    }

    /// Writes and erases so far.
    pub fn operations(&self) -> u64 {
        self.inner().operations
    }

    /// Writes, bytes written, erases so far.
    pub fn counts(&self) -> (u64, u64, u64) {
        let inner = self.inner();
        (inner.writes, inner.written, inner.erases)
    }

    /// What no flash allows, and was done.
    pub fn violations(&self) -> Vec<String> {
        self.inner().violations.clone()
    }

    pub(super) fn violation(&self, text: String) {
        self.inner().violations.push(text);
    }

    pub(super) fn torn(&self) -> Torn {
        self.inner().torn
    }

    pub(super) fn boots(&self) -> u64 {
        self.inner().boots
    }

    /// The next random number (splitmix64).
    pub fn random(&self) -> u64 {
        let mut inner = self.inner();
        inner.seed = inner.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(inner.seed)
    }

    /// Begins an operation: `None` if power is off, else how far it comes.
    pub(super) fn operate(&self, written: Option<usize>) -> Option<When> {
        let mut inner = self.inner();
        if inner.off {
            return None;
        }
        let number = inner.operations;
        inner.operations += 1;
        match written {
            Some(bytes) => {
                inner.writes += 1;
                inner.written += bytes as u64;
            }
            None => inner.erases += 1,
        }
        match inner.cuts.front().copied() {
            Some(cut) if cut.at <= number => {
                inner.cuts.pop_front();
                inner.off = true;
                Some(cut.when)
            }
            _ => Some(When::After),
        }
    }
}

/// A good hash of a number.
pub fn mix(seed: u64) -> u64 {
    let mut z = seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
