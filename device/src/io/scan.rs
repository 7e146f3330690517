//! Reads the log: every area's marks and both copies.
//!
//! Read errors mean an invalid record here, and only here: a torn word may fail its ECC.

use super::{Bench, Op, Turn, narrow, wide};
use crate::layout::{IO, round_up};
use crate::log::{self, Area, COPY, MARK, MARKS};
use crate::media::Region;
use crate::state::State;
use patchlane_protocol::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    First,
    Second,
    Marks,
    /// The first copy again, because the second isn't the one that counts.
    Again,
}

/// Reads the log.
#[derive(Debug)]
pub struct Scan {
    area: u32,
    part: Part,
    position: u32,
    total: u32,
    pending: u32,
    first: Option<u32>,
    second: Option<u32>,
    /// The highest step among the marks that belong to the copies.
    step: Option<u32>,
    /// The state isn't what its record makes: whoever asks has to begin anew.
    misread: bool,
}

impl Scan {
    /// Reads from the first area on.
    pub const fn new() -> Self {
        Self {
            area: 0,
            part: Part::First,
            position: 0,
            total: COPY,
            pending: 0,
            first: None,
            second: None,
            step: None,
            misread: false,
        }
    }

    #[inline(never)]
    pub(super) fn next(&mut self, bench: &mut Bench, last: Result<(), Refusal>) -> Turn {
        let read = last.is_ok();
        if self.pending > 0 {
            let more = match self.part {
                // A mark that can't be read says nothing about the next ones.
                Part::Marks => !read || self.take_marks(bench),
                _ => read && self.take_copy(bench),
            };
            self.position = self.position.saturating_add(self.pending);
            self.pending = 0;
            if !more || self.position >= self.total {
                self.end_part(bench, read);
            }
        }
        if self.area >= bench.layout.areas() {
            bench.state = bench.state.take().filter(|_| !self.misread);
            let readable = bench.log.is_readable() && !self.misread;
            return Turn::End(if readable { Ok(()) } else { Err(Refusal::NotProvisioned) });
        }
        // Marks are read one by one: a torn one that fails its ECC mustn't take its neighbours with it.
        let most = if self.part == Part::Marks { MARK } else { wide(IO) };
        self.pending = self.total.saturating_sub(self.position).min(most);
        let begin = bench.layout.area_at(self.area);
        let offset = match self.part {
            Part::Marks => COPY.saturating_mul(2),
            Part::First | Part::Again => 0,
            Part::Second => COPY,
        };
        let at = begin.saturating_add(offset).saturating_add(self.position);
        let length = round_up(self.pending, bench.layout.place(Region::State).unit());
        Turn::Op(Op::Read { region: Region::State, at, length })
    }

    fn begin_part(&mut self, part: Part) {
        self.part = part;
        self.position = 0;
        // A copy's length is known once its head is read.
        self.total = if part == Part::Marks { MARKS.saturating_mul(MARK) } else { COPY };
    }

    /// Notes marks. Invalid ones are passed over: a mark lost to rot must not hide the later ones.
    fn take_marks(&mut self, bench: &Bench) -> bool {
        let bytes = bench.mem.io.get(..narrow(self.pending)).unwrap_or(&[]);
        let sequence = self.first.max(self.second);
        for mark in bytes.chunks(narrow(MARK)) {
            if mark.iter().all(|byte| *byte == 0xff) {
                continue;
            }
            let found = log::check_mark(mark).filter(|(found, _)| Some(*found) == sequence);
            self.step = self.step.max(found.map(|(_, step)| step));
        }
        true
    }

    /// Collects a copy in the work buffer; false if it can't be one.
    fn take_copy(&mut self, bench: &mut Bench) -> bool {
        let from = narrow(self.position);
        let piece = bench.mem.io.get(..narrow(self.pending)).unwrap_or(&[]);
        let to = from.saturating_add(piece.len());
        if let Some(place) = bench.mem.docs.work.get_mut(from..to) {
            place.copy_from_slice(piece);
        }
        if self.position == 0 {
            match log::copy_length(piece) {
                Some(total) => self.total = total,
                None => return false,
            }
        }
        true
    }

    fn end_part(&mut self, bench: &mut Bench, read: bool) {
        match self.part {
            Part::First => {
                self.first = sequence_of(bench, read);
                // What the first copy left behind mustn't pass for the second.
                bench.mem.docs.work = [0; super::WORK];
                self.begin_part(Part::Second);
            }
            Part::Second => {
                self.second = sequence_of(bench, read);
                if self.first.max(self.second).is_some() {
                    self.begin_part(Part::Marks);
                } else {
                    self.judge(bench);
                }
            }
            Part::Marks if self.second < self.first => {
                bench.mem.docs.work = [0; super::WORK];
                self.begin_part(Part::Again);
            }
            Part::Marks | Part::Again => self.judge(bench),
        }
    }

    /// Both copies are known, and the one that may count is in the work buffer.
    fn judge(&mut self, bench: &mut Bench) {
        let found = log::check_copy(&bench.mem.docs.work);
        let sequence = self.first.max(self.second);
        let doubled = self.first == self.second;
        let followed = self.step.is_some();
        let state = found
            .filter(|(found, _)| Some(*found) == sequence && (doubled || followed))
            .and_then(|(_, body)| State::parse(body).ok());
        let sealed = doubled && followed;
        let newer = bench.log.note(self.area, Area { sequence, proven: state.is_some(), sealed });
        if newer {
            bench.state = state;
            self.keep(bench, sequence);
        }
        self.area = self.area.saturating_add(1);
        (self.first, self.second, self.step) = (None, None, None);
        self.begin_part(Part::First);
    }
}

impl Scan {
    /// The state counts, if it is what the copy in the work buffer says.
    #[inline(never)]
    fn keep(&mut self, bench: &mut Bench, sequence: Option<u32>) {
        let (Some(state), Some(sequence)) = (bench.state.as_mut(), sequence) else {
            self.misread = true;
            return;
        };
        self.misread |= !log::makes(&mut bench.mem.docs.work, sequence, state);
        if state.phase.moves() {
            state.step = self.step.map_or(state.step, |step| state.step.max(step));
        }
    }
}

/// The sequence number of the copy in the work buffer, if all of it could be read and it is valid.
fn sequence_of(bench: &Bench, read: bool) -> Option<u32> {
    log::check_copy(&bench.mem.docs.work).filter(|_| read).map(|(sequence, _)| sequence)
}
