//! Words that a reset leaves alone, and power doesn't: why it restarted, what is asked of the bootloader, where a test
//! wants power to fail.

use crate::ResetCause;
use core::ptr;

/// Without it, RAM holds nothing: power has just come on.
const MAGIC: u32 = 0x5041_5443;
const WORDS: usize = 8;

/// The words.
#[derive(Clone, Copy)]
pub struct Cells(*mut u32);

impl Cells {
    /// Bytes of RAM to leave out of every program.
    pub const BYTES: usize = WORDS * 4;
    /// What the application asks the bootloader for.
    pub const REQUEST: usize = 2;
    /// What the bootloader runs: 1 if it is on trial.
    pub const RUNNING: usize = 3;
    /// The planned power cut: event, its number, how.
    pub const PLAN: usize = 4;
    /// Flash operations until then.
    pub const COUNTDOWN: usize = 5;
    /// Flash operations since power came on.
    pub const OPERATIONS: usize = 6;

    pub(crate) const fn at(first: *mut u32) -> Self {
        Self(first)
    }

    fn word(self, index: usize) -> *mut u32 {
        self.0.wrapping_add(index % WORDS)
    }

    fn raw(self, index: usize) -> u32 {
        // SAFETY: an aligned word of RAM that no program is linked into.
        unsafe { ptr::read_volatile(self.word(index)) }
    }

    fn put(self, index: usize, value: u32) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile(self.word(index), value) };
    }

    /// A word; zero since power came on unless it was set.
    pub fn get(self, index: usize) -> u32 {
        if self.raw(0) == MAGIC { self.raw(index) } else { 0 }
    }

    /// Sets a word.
    pub fn set(self, index: usize, value: u32) {
        if self.raw(0) != MAGIC {
            (1..WORDS).for_each(|other| self.put(other, 0));
            self.put(0, MAGIC);
        }
        self.put(index, value);
    }

    /// Reads a word and clears it.
    pub fn take(self, index: usize) -> u32 {
        let value = self.get(index);
        self.set(index, 0);
        value
    }

    /// What the next start is to be told.
    pub fn set_cause(self, cause: ResetCause) {
        self.set(1, cause as u32);
    }

    pub(crate) fn take_cause(self) -> ResetCause {
        match self.take(1) {
            1 => ResetCause::Requested,
            2 => ResetCause::Watchdog,
            3 => ResetCause::Fault,
            _ => ResetCause::PowerOn,
        }
    }
}
