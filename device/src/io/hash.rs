//! Reads an image back and hashes it (I16).

use super::{Bench, Op, Turn, narrow, wide};
use crate::evidence::Readback;
use crate::layout::{IO, round_up};
use crate::media::Region;
use patchlane_protocol::{Digest, Refusal};
use sha2::{Digest as _, Sha256};

/// Hashes `left` bytes from `at`.
#[derive(Debug)]
pub struct Hash {
    region: Region,
    start: u32,
    at: u32,
    left: u32,
    pending: u32,
    hasher: Sha256,
}

impl Hash {
    /// Hashes `length` bytes from `at`.
    pub fn new(region: Region, at: u32, length: u32) -> Self {
        Self { region, start: at, at, left: length, pending: 0, hasher: Sha256::new() }
    }

    #[inline(never)]
    pub(super) fn next(&mut self, bench: &mut Bench, last: Result<(), Refusal>) -> Turn {
        if last.is_err() {
            return Turn::End(last);
        }
        if self.pending > 0 {
            self.hasher.update(bench.mem.io.get(..narrow(self.pending)).unwrap_or(&[]));
            self.at = self.at.saturating_add(self.pending);
            self.left = self.left.saturating_sub(self.pending);
        }
        self.pending = self.left.min(wide(IO));
        if self.pending == 0 {
            return Turn::End(Ok(()));
        }
        let length = round_up(self.pending, bench.place(self.region).unit());
        Turn::Op(Op::Read { region: self.region, at: self.at, length })
    }

    /// What was read back; only a job that has ended well is asked.
    pub fn finish(self) -> Readback {
        let size = self.at.saturating_sub(self.start);
        Readback::of(self.region, self.start, size, Digest(self.hasher.finalize().into()))
    }
}
