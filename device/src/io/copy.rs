//! Copies one block from slot to slot.
//!
//! What can't be read at the third attempt is lost, and copied as erased: whoever boots the image finds that out by its
//! digest and acts on it, while an error would be met again at every start.

use super::{Bench, Op, Turn, wide};
use crate::layout::{IO, round_up};
use crate::media::Region;
use patchlane_protocol::Refusal;

/// Erases a block and fills it from another slot.
#[derive(Debug)]
pub struct Copy {
    from: (Region, u32),
    to: (Region, u32),
    length: u32,
    erased: u32,
    position: u32,
    read: u32,
    attempts: u8,
}

/// Reads of one piece, at most.
const ATTEMPTS: u8 = 3;

impl Copy {
    /// Copies `length` bytes; the whole destination block is erased first.
    pub const fn new(from: (Region, u32), to: (Region, u32), length: u32) -> Self {
        Self { from, to, length, erased: 0, position: 0, read: 0, attempts: 0 }
    }

    #[inline(never)]
    pub(super) fn next(&mut self, bench: &mut Bench, last: Result<(), Refusal>) -> Turn {
        if last.is_err() && self.read == 0 {
            return Turn::End(last);
        }
        let (source, target) = (*bench.layout.place(self.from.0), *bench.layout.place(self.to.0));
        if self.erased < bench.layout.block() {
            let at = self.to.1.saturating_add(self.erased);
            self.erased = self.erased.saturating_add(target.erase);
            return Turn::Op(Op::Erase { region: self.to.0, at, length: target.erase });
        }
        if last.is_err() && self.attempts < ATTEMPTS {
            return self.fetch(source.unit().max(target.unit()));
        }
        if self.read > 0 {
            if last.is_err() {
                bench.mem.io.fill(0xff);
            }
            let at = self.to.1.saturating_add(self.position);
            let length = round_up(self.read, target.unit());
            self.position = self.position.saturating_add(self.read);
            (self.read, self.attempts) = (0, 0);
            return Turn::Op(Op::Write { region: self.to.0, at, length });
        }
        self.read = self.length.saturating_sub(self.position).min(wide(IO));
        if self.read == 0 {
            return Turn::End(Ok(()));
        }
        self.fetch(source.unit().max(target.unit()))
    }

    fn fetch(&mut self, unit: u32) -> Turn {
        self.attempts = self.attempts.saturating_add(1);
        let at = self.from.1.saturating_add(self.position);
        Turn::Op(Op::Read { region: self.from.0, at, length: round_up(self.read, unit) })
    }
}
