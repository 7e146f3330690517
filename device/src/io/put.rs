//! Erases, writes from RAM, and reads back; or only compares.

use super::{Bench, Op, Source, Turn, wide};
use crate::layout::{IO, round_up};
use crate::media::Region;
use patchlane_protocol::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Erase,
    Write,
    Check,
}

/// Writes `length` bytes of `source`, after erasing `erase` bytes, then reads them back.
#[derive(Debug)]
pub struct Put {
    region: Region,
    at: u32,
    erase: u32,
    source: Source,
    length: u32,
    stage: Stage,
    position: u32,
    pending: u32,
    differs: Refusal,
}

impl Put {
    /// Writes at `at`, erasing `erase` bytes there first.
    pub const fn new(region: Region, at: u32, erase: u32, source: Source, length: u32) -> Self {
        let differs = Refusal::Flash;
        Self { region, at, erase, source, length, stage: Stage::Erase, position: 0, pending: 0, differs }
    }

    /// Only compares; ends with `ImageDigest` if flash holds something else.
    pub const fn compare(region: Region, at: u32, source: Source, length: u32) -> Self {
        let differs = Refusal::ImageDigest;
        Self { region, at, erase: 0, source, length, stage: Stage::Check, position: 0, pending: 0, differs }
    }

    pub(super) fn next(&mut self, bench: &mut Bench, last: Result<(), Refusal>) -> Turn {
        if last.is_err() {
            return Turn::End(Err(self.differs));
        }
        let place = *bench.place(self.region);
        if self.stage == Stage::Erase {
            if self.position < self.erase {
                let at = self.at.saturating_add(self.position);
                self.position = self.position.saturating_add(place.erase);
                return Turn::Op(Op::Erase { region: self.region, at, length: place.erase });
            }
            (self.stage, self.position) = (Stage::Write, 0);
        }
        let left = self.length.saturating_sub(self.position);
        let piece = left.min(wide(IO));
        let padded = round_up(piece, place.unit());
        let at = self.at.saturating_add(self.position);
        if self.stage == Stage::Write {
            if piece > 0 {
                bench.mem.fill(self.source, self.position, piece, padded);
                self.position = self.position.saturating_add(piece);
                return Turn::Op(Op::Write { region: self.region, at, length: padded });
            }
            (self.stage, self.position) = (Stage::Check, 0);
        }
        self.check(bench)
    }

    fn check(&mut self, bench: &mut Bench) -> Turn {
        if self.pending > 0 {
            if !bench.mem.matches(self.source, self.position, self.pending) {
                return Turn::End(Err(self.differs));
            }
            self.position = self.position.saturating_add(self.pending);
        }
        self.pending = self.length.saturating_sub(self.position).min(wide(IO));
        if self.pending == 0 {
            return Turn::End(Ok(()));
        }
        let at = self.at.saturating_add(self.position);
        let length = round_up(self.pending, bench.place(self.region).unit());
        Turn::Op(Op::Read { region: self.region, at, length })
    }
}
