//! Reads once, into the operation buffer.

use super::{Bench, Op, Turn};
use crate::media::Region;
use patchlane_protocol::Refusal;

/// Reads `length` bytes.
#[derive(Debug)]
pub struct Fetch {
    region: Region,
    at: u32,
    length: u32,
    issued: bool,
}

impl Fetch {
    /// Reads from `at`; both are multiples of what the flash reads at once.
    pub const fn new(region: Region, at: u32, length: u32) -> Self {
        Self { region, at, length, issued: false }
    }

    pub(super) fn next(&mut self, _: &mut Bench, last: Result<(), Refusal>) -> Turn {
        if self.issued || last.is_err() {
            return Turn::End(last);
        }
        self.issued = true;
        Turn::Op(Op::Read { region: self.region, at: self.at, length: self.length })
    }
}
