//! Writes the state as a new record: a fresh area, two copies, the first mark, each read back.

use super::{Bench, Put, Source, Turn, WORK};
use crate::log::{self, COPY, MARK, Target};
use crate::media::Region;
use patchlane_protocol::Refusal;

/// Writes the record.
#[derive(Debug)]
pub struct Record {
    part: u8,
    target: Option<Target>,
    length: u32,
    put: Put,
}

impl Record {
    /// Writes the state that the bench holds when the job begins.
    pub const fn new() -> Self {
        Self { part: 0, target: None, length: 0, put: Put::new(Region::State, 0, 0, Source::Work(0), 0) }
    }

    #[inline(never)]
    pub(super) fn next(&mut self, bench: &mut Bench, last: Result<(), Refusal>) -> Turn {
        let mut last = last;
        loop {
            if self.part > 0 {
                match self.put.next(bench, last) {
                    Turn::End(Ok(())) => {}
                    turn => return turn,
                }
                last = Ok(());
            }
            match self.advance(bench) {
                Ok(true) => {}
                Ok(false) => return Turn::End(Ok(())),
                Err(refusal) => return Turn::End(Err(refusal)),
            }
        }
    }

    /// Sets up the next part; false after the last.
    fn advance(&mut self, bench: &mut Bench) -> Result<bool, Refusal> {
        self.part = self.part.saturating_add(1);
        if self.part == 1 {
            let target = bench.log.target().ok_or(Refusal::Flash)?;
            let state = bench.state.as_ref().ok_or(Refusal::NotProvisioned)?;
            self.length = log::encode_copy(state, target.sequence, &mut bench.mem.docs.work)?;
            if !log::makes(&mut bench.mem.docs.work, target.sequence, state) {
                return Err(Refusal::Flash);
            }
            bench.log.erased(&target);
            self.target = Some(target);
        }
        let target = self.target.ok_or(Refusal::Flash)?;
        let at = bench.layout.area_at(target.area);
        let marks = at.saturating_add(COPY.saturating_mul(2));
        self.put = match self.part {
            1 => Put::new(Region::State, at, bench.layout.area_size(), Source::Work(0), self.length),
            2 => Put::new(Region::State, at.saturating_add(COPY), 0, Source::Work(0), self.length),
            3 => {
                let step = bench.state.as_ref().map_or(0, |state| state.step);
                set_mark(bench, target.sequence, step);
                Put::new(Region::State, marks, 0, Source::Work(MARK_AT), MARK)
            }
            _ => {
                bench.log.written(&target);
                return Ok(false);
            }
        };
        Ok(true)
    }
}

/// Marks are built at the end of the work buffer.
const MARK_AT: u32 = 1_056;
const _: () = assert!(WORK == 1_056 + 32);

fn set_mark(bench: &mut Bench, sequence: u32, step: u32) {
    if let Some(place) = bench.mem.docs.work.last_chunk_mut::<32>() {
        *place = log::encode_mark(sequence, step);
    }
}

/// Sets up the write of the next mark; `None` if a whole record has to be written instead.
pub fn mark(bench: &mut Bench, step: u32) -> Option<Put> {
    let (area, mark, sequence) = bench.log.next_mark()?;
    set_mark(bench, sequence, step);
    let offset = COPY.saturating_mul(2).saturating_add(mark.saturating_mul(MARK));
    let at = bench.layout.area_at(area).saturating_add(offset);
    Some(Put::new(Region::State, at, 0, Source::Work(MARK_AT), MARK))
}
