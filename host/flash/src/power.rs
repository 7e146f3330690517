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

    /// True if the operation is torn, not only left out or its answer lost.
    pub const fn tears(self) -> bool {
        matches!(self, Self::First | Self::Middle | Self::Last)
    }

    /// Its name in a case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::First => "first",
            Self::Middle => "middle",
            Self::Last => "last",
            Self::After => "after",
        }
    }
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
    /// As it was left, but for a few of its bits: those read differently each time (read disturb).
    Disturbed,
    /// As an error.
    Ecc,
}

impl Torn {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Stable, Self::PerBoot, Self::PerRead, Self::Disturbed, Self::Ecc];

    /// True if the same flash reads the same way each time.
    pub const fn is_steady(self) -> bool {
        matches!(self, Self::Stable | Self::Ecc)
    }

    /// Its name in a case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::PerBoot => "per-boot",
            Self::PerRead => "per-read",
            Self::Disturbed => "disturbed",
            Self::Ecc => "ecc",
        }
    }
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
    cuts: VecDeque<(Cut, Option<u64>)>,
    off: bool,
    /// Drawn at each start: how torn words read until the next.
    session: u64,
    seed: u64,
    torn: Torn,
    violations: Vec<String>,
    writes: u64,
    written: u64,
    erases: u64,
}

impl Inner {
    fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.seed)
    }
}

/// The supply that all chips of a device share.
#[derive(Debug, Clone)]
pub struct Power(Arc<Mutex<Inner>>);

impl Default for Power {
    /// Power that doesn't fail; torn words read as they were left.
    fn default() -> Self {
        Self::new(1, Torn::Stable)
    }
}

impl Power {
    /// Power that doesn't fail, yet.
    pub fn new(seed: u64, torn: Torn) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            operations: 0,
            cuts: VecDeque::new(),
            off: false,
            session: mix(seed),
            seed: scattered(seed),
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
        self.insert(cut, None);
    }

    /// Plans the failures of a case, all at once: what it tears is torn as [`Search::replay`](crate::Search::replay)
    /// tears it.
    pub fn plan_case(&self, case: &crate::Case) {
        let mut begins = 0;
        for (depth, cut) in (1..).zip(&case.cuts) {
            let at = cut.at.saturating_add(begins);
            self.insert(Cut { at, ..*cut }, Some(crate::tape::seed_of(case.seed, depth)));
            begins = at.saturating_add(1);
        }
    }

    fn insert(&self, cut: Cut, seed: Option<u64>) {
        let mut inner = self.inner();
        let cut = Cut { at: inner.operations.saturating_add(cut.at), ..cut };
        let place = inner.cuts.partition_point(|(planned, _)| planned.at <= cut.at);
        inner.cuts.insert(place, (cut, seed));
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
        inner.session = inner.draw();
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

    pub(crate) fn violation(&self, text: String) {
        self.inner().violations.push(text);
    }

    /// How torn words read.
    pub fn torn(&self) -> Torn {
        self.inner().torn
    }

    /// How torn words read, and the number drawn at the last start; `None` while power is off.
    pub(crate) fn reading(&self) -> Option<(Torn, u64)> {
        let inner = self.inner();
        (!inner.off).then_some((inner.torn, inner.session))
    }

    /// The next random number (splitmix64).
    pub fn random(&self) -> u64 {
        self.inner().draw()
    }

    /// Begins an operation: `None` if power is off, else how far it comes.
    pub(crate) fn operate(&self, written: Option<usize>) -> Option<When> {
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
            Some((cut, seed)) if cut.at <= number => {
                inner.cuts.pop_front();
                inner.off = true;
                if let Some(seed) = seed {
                    (inner.seed, inner.session) = (scattered(seed), mix(seed));
                }
                Some(cut.when)
            }
            _ => Some(When::After),
        }
    }
}

/// Where random numbers begin.
const fn scattered(seed: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// A good hash of a number.
pub fn mix(seed: u64) -> u64 {
    let mut z = seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
