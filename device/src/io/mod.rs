//! Operations as values, the buffers they work on, and the jobs that sequence them.
//!
//! A job never decides: it issues one operation at a time until it is done or an operation fails. What comes next
//! is the engine's business (`src/engine`).

mod copy;
#[cfg(feature = "delta")]
mod fetch;
mod hash;
mod load;
mod memory;
mod put;
mod record;
mod scan;

pub use copy::Copy;
#[cfg(feature = "delta")]
pub use fetch::Fetch;
pub use hash::Hash;
pub use load::Load;
pub use memory::{Documents, Memory, Source, WORK};
pub use put::Put;
pub use record::{Record, mark};
pub use scan::Scan;

use crate::layout::{Layout, Place};
use crate::log::Log;
use crate::media::{MediaError, Region};
use crate::state::State;
use patchlane_protocol::Refusal;

/// One flash operation. Data goes through the engine's buffer ([`crate::engine::Engine::buffer`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Read so many bytes.
    Read {
        /// From which region.
        region: Region,
        /// From where.
        at: u32,
        /// Bytes.
        length: u32,
    },
    /// Erase one block.
    Erase {
        /// In which region.
        region: Region,
        /// Its beginning.
        at: u32,
        /// Its size in bytes.
        length: u32,
    },
    /// Write so many bytes.
    Write {
        /// To which region.
        region: Region,
        /// To where.
        at: u32,
        /// Bytes.
        length: u32,
    },
}

/// What a job works on.
#[derive(Debug)]
pub struct Bench {
    /// Where things lie.
    pub layout: Layout,
    /// Buffers.
    pub mem: Memory,
    /// The log.
    pub log: Log,
    /// The state; `None` before a scan found one.
    pub state: Option<State>,
}

impl Bench {
    /// True if the slots of a direct layout have changed roles: the record says so, and nothing else does. Where images
    /// are moved, slots have one role each, whatever a record says.
    pub fn is_flipped(&self) -> bool {
        self.layout.is_direct() && self.state.as_ref().is_some_and(|state| state.flipped)
    }

    /// The place that plays a role.
    pub fn place(&self, role: Region) -> &Place {
        self.layout.place(role.exchanged(self.is_flipped()))
    }
}

impl Op {
    /// The operation of a role, where it belongs on flash.
    pub(crate) fn placed(mut self, flipped: bool) -> Self {
        let (Self::Read { region, .. } | Self::Erase { region, .. } | Self::Write { region, .. }) = &mut self;
        *region = region.exchanged(flipped);
        self
    }
}

/// What a job does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// This operation.
    Op(Op),
    /// Nothing: it has ended.
    End(Result<(), Refusal>),
}

/// A job under way.
#[derive(Debug)]
pub enum Job {
    /// None.
    Rest,
    /// Reads the log.
    Scan(Scan),
    /// Writes a record.
    Record(Record),
    /// Reads a receipt.
    Load(Load),
    /// Writes or compares bytes.
    Put(Put),
    /// Hashes a stretch of a slot.
    Hash(Hash),
    /// Copies a block from slot to slot.
    Copy(Copy),
    /// Reads once.
    #[cfg(feature = "delta")]
    Fetch(Fetch),
}

impl Job {
    /// Takes the result of the operation issued last and says what is next.
    pub fn next(&mut self, bench: &mut Bench, last: Result<(), MediaError>) -> Turn {
        let last = last.map_err(|MediaError| Refusal::Flash);
        match self {
            Self::Rest => Turn::End(last),
            Self::Scan(job) => job.next(bench, last),
            Self::Record(job) => job.next(bench, last),
            Self::Load(job) => job.next(bench, last),
            Self::Put(job) => job.next(bench, last),
            Self::Hash(job) => job.next(bench, last),
            Self::Copy(job) => job.next(bench, last),
            #[cfg(feature = "delta")]
            Self::Fetch(job) => job.next(bench, last),
        }
    }
}

/// A number that fits, or the largest: lengths here are far below.
pub(crate) fn wide(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The same in the other direction.
pub(crate) fn narrow(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
