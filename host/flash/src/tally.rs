//! What a search counted.

use crate::power::{Torn, When};
use std::ops::AddAssign;

/// What a cut did to the operation under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It came right before or right after it.
    Between,
    /// It tore a write, and torn words read so.
    Write(Torn),
    /// It tore an erase, and torn words read so.
    Erase(Torn),
}

impl Fault {
    /// Every one.
    pub fn all() -> impl Iterator<Item = Self> {
        let torn = Torn::ALL.into_iter();
        std::iter::once(Self::Between).chain(torn.clone().map(Self::Write)).chain(torn.map(Self::Erase))
    }

    pub(crate) const fn of(when: When, erases: bool, torn: Torn) -> Self {
        match (when.tears(), erases) {
            (false, _) => Self::Between,
            (true, false) => Self::Write(torn),
            (true, true) => Self::Erase(torn),
        }
    }

    fn index(self) -> usize {
        Self::all().position(|fault| fault == self).unwrap_or(0)
    }
}

/// Depths that are told apart: one cut, two, more.
pub(crate) const DEPTHS: usize = 3;

/// What a search counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Writes and erases without cuts.
    pub operations: u64,
    cases: [[u64; 1 + 2 * Torn::ALL.len()]; DEPTHS],
    /// Of all cases, those whose first state had been judged before.
    pub known: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, depth: usize, fault: Fault, known: bool) {
        self.cases[depth.min(DEPTHS) - 1][fault.index()] += 1;
        self.known += u64::from(known);
    }

    /// Cases whose last cut did this, with one cut, two, and more.
    pub fn by(&self, fault: Fault) -> [u64; DEPTHS] {
        self.cases.map(|cases| cases[fault.index()])
    }

    /// Cases with one cut, with two, with more.
    pub fn depths(&self) -> [u64; DEPTHS] {
        self.cases.map(|cases| cases.iter().sum())
    }

    /// All cases.
    pub fn cases(&self) -> u64 {
        self.depths().iter().sum()
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.operations += other.operations;
        self.known += other.known;
        for (mine, theirs) in self.cases.iter_mut().flatten().zip(other.cases.iter().flatten()) {
            *mine += theirs;
        }
    }
}
