//! What a run records, so that it can be cut afterwards at any operation.

use crate::bank::Bank;
use crate::power::{Cut, Power, Torn, When, mix};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What a power cut leaves: flash, and whatever else outside the device remembers.
pub trait Left: Clone + Send {
    /// One of the banks.
    fn bank(&mut self, bank: usize) -> &mut Bank;
    /// The same on another supply.
    #[must_use]
    fn on(&self, power: &Power) -> Self;
}

#[derive(Debug, Clone)]
enum Operation {
    Erase { at: usize, length: usize },
    Write { at: usize, bytes: Arc<[u8]> },
}

/// The instant before an operation.
#[derive(Debug, Clone)]
pub struct Moment<L> {
    left: L,
    bank: usize,
    operation: Operation,
}

/// The supply's seed of the cut with this number in a chain.
pub(crate) fn seed_of(seed: u64, depth: usize) -> u64 {
    mix(mix(seed) ^ depth as u64)
}

impl<L: Left> Moment<L> {
    /// True if the operation is an erase.
    pub const fn is_erase(&self) -> bool {
        matches!(self.operation, Operation::Erase { .. })
    }

    /// What is left if power fails here: RAM is lost, so this is all there is.
    pub fn cut(&self, when: When, torn: Torn, seed: u64) -> (L, Power) {
        let power = Power::new(seed, torn);
        let mut left = self.left.on(&power);
        power.plan(Cut { at: 0, when });
        let bank = left.bank(self.bank);
        // It ends with `Off`, always.
        let _ = match &self.operation {
            Operation::Erase { at, length } => bank.erase(*at, *length),
            Operation::Write { at, bytes } => bank.write(*at, bytes),
        };
        (left, power)
    }
}

/// Takes down operations, if someone wants to know.
#[derive(Debug)]
pub struct Tape<L>(Option<Arc<Mutex<Vec<Moment<L>>>>>);

impl<L> Clone for Tape<L> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<L> Default for Tape<L> {
    /// A tape that takes nothing down.
    fn default() -> Self {
        Self(None)
    }
}

impl<L: Left> Tape<L> {
    pub(crate) fn recording() -> Self {
        Self(Some(Arc::default()))
    }

    fn put(&self, moment: impl FnOnce() -> Moment<L>) {
        if let Some(tape) = &self.0 {
            tape.lock().unwrap_or_else(PoisonError::into_inner).push(moment());
        }
    }

    /// An erase is about to begin. To be called before the bank is.
    pub fn erase(&self, left: &L, bank: usize, at: usize, length: usize) {
        self.put(|| Moment { left: left.clone(), bank, operation: Operation::Erase { at, length } });
    }

    /// A write is about to begin. To be called before the bank is.
    pub fn write(&self, left: &L, bank: usize, at: usize, bytes: &[u8]) {
        self.put(|| Moment {
            left: left.clone(),
            bank,
            operation: Operation::Write { at, bytes: bytes.into() },
        });
    }

    /// True if someone wants to know: what makes [`Left`] may be left out otherwise.
    pub const fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn take(&self) -> Vec<Moment<L>> {
        let tape = self
            .0
            .as_ref()
            .map(|tape| std::mem::take(&mut *tape.lock().unwrap_or_else(PoisonError::into_inner)));
        tape.unwrap_or_default()
    }
}

/// One run of a subject.
#[derive(Debug)]
pub struct Run<'a, L> {
    pub(crate) tape: Tape<L>,
    /// States from which runs ended well.
    pub(crate) known: Option<&'a HashSet<u64>>,
    /// What tells runs apart that are asked for different things.
    pub(crate) salt: u64,
    pub(crate) met: Vec<u64>,
    pub(crate) starts: u64,
    pub(crate) stopped: bool,
}

impl<L: Left> Default for Run<'_, L> {
    /// A run that nothing is asked of.
    fn default() -> Self {
        Self::new(Tape::default(), None, 0)
    }
}

impl<'a, L: Left> Run<'a, L> {
    pub(crate) const fn new(tape: Tape<L>, known: Option<&'a HashSet<u64>>, salt: u64) -> Self {
        Self { tape, known, salt, met: Vec::new(), starts: 0, stopped: false }
    }

    /// The tape of this run; what isn't taken down on it isn't cut.
    pub fn tape(&self) -> Tape<L> {
        self.tape.clone()
    }

    /// To be called at each start, where RAM holds nothing: all that decides how the run goes on is in this number. True
    /// if a run from there ended well before, so that this one may end here.
    ///
    /// `None` with torn words about that read differently each time: then nothing decides.
    pub fn meets(&mut self, state: Option<u64>) -> bool {
        self.starts += 1;
        let Some(state) = state else { return false };
        let key = crate::page::mixed(state, self.salt);
        self.stopped |= self.known.is_some_and(|known| known.contains(&key));
        self.met.push(state);
        self.stopped
    }
}
