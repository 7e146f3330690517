//! The log that makes the record atomic on flash that tears (I18, engine spike).
//!
//! ```text
//! area   copy 1 | copy 2 | mark 0 | mark 1 | …
//! copy   "PLST" | sequence u32 LE | length u16 LE | body (src/state.rs) | check (16)
//! mark   sequence u32 LE | step u32 LE | zero (8) | check (16)
//! ```
//! Every record begins a fresh area: erase, copy, copy, mark 0. While blocks move, each step appends a mark.
//! `check` is SHA-256 of what precedes it, cut to 16 bytes.
//!
//! * The first write after a reset is an erase, so no word that a cut may have begun is ever programmed again.
//! * A single copy proves nothing: it may be torn and valid today. An area counts if both copies are valid, or one
//!   is and a mark follows. So a torn record is not believed, and the loss of any one of the three is survived.
//! * An area that counts but isn't whole (both copies and a mark) was torn, or rots: its record is written afresh
//!   before anything relies on it, so that what was read once stays read.
//! * Sequence numbers skip over invalid areas, which may become readable again.
//! * At least three areas rotate; the one that counts is never erased.

use crate::layout::{AREAS_MAX, Layout};
use crate::state::State;
use crate::verify::sha256;
use patchlane_protocol::FormatError;
use patchlane_protocol::codec::{Reader, Writer};

/// Bytes reserved for one copy.
pub const COPY: u32 = 1_088;
/// Bytes of one mark.
pub const MARK: u32 = 32;
/// Marks of an area, the first included.
pub const MARKS: u32 = 60;
/// Bytes of an area that are used.
pub const AREA: u32 = 2 * COPY + MARKS * MARK;
/// Bytes of the head of a copy.
pub const COPY_HEAD: usize = 10;

const MAGIC: [u8; 4] = *b"PLST";
const CHECK: usize = 16;

fn check_of(bytes: &[u8]) -> [u8; CHECK] {
    let digest = sha256(bytes);
    digest.0.first_chunk::<CHECK>().copied().unwrap_or([0; CHECK])
}

/// Writes one copy into `buffer` and returns its length.
///
/// # Errors
/// `BufferFull`, `OverLimit`.
#[inline(never)]
pub fn encode_copy(state: &State, sequence: u32, buffer: &mut [u8]) -> Result<u32, FormatError> {
    let mut body = Writer::new(buffer.get_mut(COPY_HEAD..).ok_or(FormatError::BufferFull)?);
    state.write(&mut body)?;
    let length = body.written();
    let mut head = Writer::new(buffer);
    head.put(&MAGIC)?;
    head.put(&sequence.to_le_bytes())?;
    head.put(&u16::try_from(length).map_err(|_| FormatError::OverLimit)?.to_le_bytes())?;
    let end = COPY_HEAD.checked_add(length).ok_or(FormatError::OverLimit)?;
    let check = check_of(buffer.get(..end).ok_or(FormatError::BufferFull)?);
    let total = end.checked_add(CHECK).ok_or(FormatError::OverLimit)?;
    buffer.get_mut(end..total).ok_or(FormatError::BufferFull)?.copy_from_slice(&check);
    u32::try_from(total).ok().filter(|n| *n <= COPY).ok_or(FormatError::OverLimit)
}

/// Total length that the head of a copy announces, if it looks like one.
pub fn copy_length(head: &[u8]) -> Option<u32> {
    let mut r = Reader::new(head);
    let magic: [u8; 4] = r.array().ok()?;
    let _sequence: [u8; 4] = r.array().ok()?;
    let length = u32::from(u16::from_le_bytes(r.array().ok()?));
    let total = length.checked_add(26)?;
    (magic == MAGIC && total <= COPY).then_some(total)
}

/// Checks a whole copy and returns its sequence number and body.
pub fn check_copy(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let total = usize::try_from(copy_length(bytes)?).ok()?;
    // Not `split_last_chunk`: at opt-level z it keeps a panic path.
    let end = total.checked_sub(CHECK)?;
    let content = bytes.get(..end)?;
    if bytes.get(end..total)? != check_of(content) {
        return None;
    }
    let sequence = content.get(4..8)?.first_chunk::<4>()?;
    Some((u32::from_le_bytes(*sequence), content.get(COPY_HEAD..)?))
}

/// True if `state` makes this copy; it is written once more, in its place. So a processor that passes over an instruction
/// while it writes or reads a record neither seals nor believes another floor (T47).
pub fn makes(copy: &mut [u8], sequence: u32, state: &State) -> bool {
    let check = |copy: &[u8]| -> Option<[u8; CHECK]> {
        let end = usize::try_from(copy_length(copy)?).ok()?;
        copy.get(end.checked_sub(CHECK)?..end)?.first_chunk::<CHECK>().copied()
    };
    let before = check(copy);
    encode_copy(state, sequence, copy).is_ok() && before.is_some() && check(copy) == before
}

/// Writes one mark.
pub fn encode_mark(sequence: u32, step: u32) -> [u8; 32] {
    let mut mark = [0; 32];
    let mut w = Writer::new(&mut mark);
    // 4 + 4 + 8 + 16 bytes fill the mark exactly, so no write can fail.
    let _ = w.put(&sequence.to_le_bytes());
    let _ = w.put(&step.to_le_bytes());
    let _ = w.put(&[0; 8]);
    let mut content = [0; 16];
    content.copy_from_slice(mark.first_chunk::<16>().unwrap_or(&[0; 16]));
    if let Some(place) = mark.last_chunk_mut::<CHECK>() {
        *place = check_of(&content);
    }
    mark
}

/// Checks a mark and returns its sequence number and step.
pub fn check_mark(bytes: &[u8]) -> Option<(u32, u32)> {
    let (content, check) = bytes.first_chunk::<32>()?.split_last_chunk::<CHECK>()?;
    if check_of(content) != *check || content.get(8..)? != [0; 8] {
        return None;
    }
    let word = |at: usize| content.get(at..).and_then(|rest| rest.first_chunk::<4>());
    Some((u32::from_le_bytes(*word(0)?), u32::from_le_bytes(*word(4)?)))
}

/// What a scan found in one area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Area {
    /// The highest sequence number of a valid copy.
    pub sequence: Option<u32>,
    /// True if the area counts.
    pub proven: bool,
    /// True if both copies and a mark are valid: nothing that a cut tore can read like this.
    pub sealed: bool,
}

impl Area {
    /// What orders areas: those without a valid copy are 0 and go first, unproven ones next. (An area that counts has a
    /// valid copy.)
    fn age(&self) -> u64 {
        let proven = u64::from(self.proven) << 33;
        proven | self.sequence.map_or(0, |sequence| 1 << 32 | u64::from(sequence))
    }
}

/// Which area counts, and what the next write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    areas: [Area; AREAS],
    count: usize,
    current: Option<usize>,
    /// Sequence number of the record last written in this session; marks belong to it.
    owned: Option<u32>,
    /// Marks in the current area.
    marks: u32,
}

const AREAS: usize = 8;
const _: () = assert!(AREAS_MAX == 8);

/// Where the next record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The area to erase and fill.
    pub area: u32,
    /// The record's sequence number.
    pub sequence: u32,
}

impl Log {
    /// A log of which nothing is known yet.
    pub fn new(layout: &Layout) -> Self {
        Self {
            areas: [Area::default(); AREAS],
            count: usize::try_from(layout.areas()).unwrap_or(0),
            current: None,
            owned: None,
            marks: 0,
        }
    }

    /// Notes what a scan found; returns true if this area's record is now the one that counts.
    pub fn note(&mut self, index: u32, found: Area) -> bool {
        let Ok(index) = usize::try_from(index) else { return false };
        let best = self.current.and_then(|current| self.areas.get(current)).and_then(|area| area.sequence);
        if let Some(area) = self.areas.get_mut(index) {
            *area = found;
        }
        let newer = found.proven && found.sequence > best;
        if newer {
            self.current = Some(index);
        }
        newer
    }

    /// True if some area counts.
    pub const fn is_readable(&self) -> bool {
        self.current.is_some()
    }

    /// True if the record that counts is whole.
    pub fn is_sealed(&self) -> bool {
        self.current.and_then(|current| self.areas.get(current)).is_some_and(|area| area.sealed)
    }

    /// True if this session wrote a record, so that flash may be changed on its word.
    pub const fn is_owned(&self) -> bool {
        self.owned.is_some()
    }

    /// Where the next record goes: an area without a valid copy, then an unproven one, then the oldest; never the
    /// one that counts.
    pub fn target(&self) -> Option<Target> {
        let (mut highest, mut skip) = (0, 2u32);
        let mut oldest: Option<(u64, u32)> = None;
        for (index, area) in (0u32..).zip(self.areas.iter().take(self.count)) {
            highest = highest.max(area.sequence.unwrap_or(0));
            // What is invalid today may be readable again one day.
            skip = skip.saturating_add(u32::from(area.sequence.is_none()));
            let age = area.age();
            if usize::try_from(index).ok() != self.current && oldest.is_none_or(|(least, _)| age < least) {
                oldest = Some((age, index));
            }
        }
        let (_, area) = oldest?;
        Some(Target { area, sequence: highest.checked_add(skip)? })
    }

    /// Notes that the target was erased: whatever it held is gone.
    pub fn erased(&mut self, target: &Target) {
        if let Some(area) = usize::try_from(target.area).ok().and_then(|index| self.areas.get_mut(index)) {
            *area = Area::default();
        }
    }

    /// Notes that a record was written, doubled and marked.
    pub fn written(&mut self, target: &Target) {
        let Ok(index) = usize::try_from(target.area) else { return };
        if let Some(area) = self.areas.get_mut(index) {
            *area = Area { sequence: Some(target.sequence), proven: true, sealed: true };
        }
        self.current = Some(index);
        self.owned = Some(target.sequence);
        self.marks = 1;
    }

    /// Where the next mark goes: area, mark number, sequence; `None` if a whole record has to be written.
    pub fn next_mark(&mut self) -> Option<(u32, u32, u32)> {
        let sequence = self.owned?;
        let area = u32::try_from(self.current?).ok()?;
        let mark = self.marks;
        if mark >= MARKS {
            return None;
        }
        self.marks = mark.saturating_add(1);
        Some((area, mark, sequence))
    }

    /// Forgets everything: the next task scans anew.
    pub fn close(&mut self) {
        self.areas = [Area::default(); AREAS];
        self.current = None;
        self.owned = None;
        self.marks = 0;
    }
}
