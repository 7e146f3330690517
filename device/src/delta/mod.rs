//! Delta payloads: a base image, and what makes the new one of it (`protocol/DELTA.md`).
//!
//! [`Decoder`] is a consumer: bytes of the payload and of the base go in, pages of the image come out, in order. It does
//! no input or output, and its RAM is [`RAM`] bytes. Whatever it is fed, it ends: an image is as long as it was said to be,
//! and nothing outside the base is asked for.

mod coder;
mod model;
mod predict;

pub use coder::{Bit, Coder, STEP};
pub use model::{Models, Number, fold, unfold};
pub use predict::{Cover, Kind, LOOK, Pointers, Predictor, Spot, UNIT, Unit, jump};

use crate::io::{narrow, wide};
use crate::layout::IO;
use coder::{Decode, Range};

/// Covers in the table at most.
pub const COVERS: usize = 48;
/// Bytes of a page of the image.
pub const PAGE: usize = IO;
/// Bytes of RAM that decoding takes, besides a chunk: what a writer states of it (SPEC §4.5).
pub const RAM: u32 = 5_120;
const _: () = assert!(size_of::<Decoder>() <= 5_120);
/// Set in the first byte if words may be addresses in the base; those of base and image follow.
pub const POINTERS: u8 = 0x80;
/// Bytes before the coded part if addresses are given.
const HEADER: usize = 9;

/// Whose jumps are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Nobody's.
    Plain,
    /// ARMv6-M to ARMv8-M.
    Thumb,
    /// A32.
    Arm,
    /// RV32.
    Riscv,
}

impl Isa {
    /// All of them, by their number in the payload.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Thumb, Self::Arm, Self::Riscv];

    /// Its number in the payload.
    pub const fn number(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Thumb => 1,
            Self::Arm => 2,
            Self::Riscv => 3,
        }
    }

    /// True if instructions of two bytes exist.
    const fn halves(self) -> bool {
        matches!(self, Self::Thumb | Self::Riscv)
    }
}

/// The payload is no delta of this version, or one for another base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadDelta;

/// What the decoder waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The next chunk.
    Input,
    /// The base from this offset on: [`LOOK`] bytes, or what is left of it.
    Base(u32),
    /// Somebody to take [`Decoder::page`].
    Page,
    /// Nothing: the image is whole.
    End,
}

/// A chunk of the payload.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Its data.
    pub chunk: &'a [u8],
    /// True if no other follows.
    pub last: bool,
}

/// A piece of the base.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// Its offset in the base.
    pub at: u32,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl Window<'_> {
    /// The bytes at `old`, 0 beyond the base's end; `None` if the window lies elsewhere.
    fn look(&self, old: u32, base: u32) -> Option<[u8; UNIT]> {
        let wanted = narrow(base.saturating_sub(old).min(LOOK));
        let from = narrow(old.checked_sub(self.at)?);
        let found = self.bytes.get(from..from.checked_add(wanted)?)?;
        let mut look = [0; UNIT];
        look.iter_mut().zip(found).for_each(|(to, from)| *to = *from);
        Some(look)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    /// So many covers are still to come; the last one ended there, and moved that far.
    Table {
        left: u32,
        end: u32,
        moved: u32,
    },
    /// A literal, a copy, or the next cover.
    Choose,
    Literal {
        left: u32,
    },
    Copy {
        left: u32,
    },
}

/// A decoder for one payload.
#[derive(Debug)]
pub struct Decoder {
    models: Models,
    predictor: Predictor,
    range: Range,
    stage: Stage,
    base: u32,
    image: u32,
    /// Bytes of the image made.
    made: u32,
    /// The next cover of the table.
    next: usize,
    /// Where the last copy ended in the base.
    ended: u32,
    around: Cover,
    page: [u8; PAGE + UNIT],
    fill: usize,
}

impl Decoder {
    /// One that makes an empty image: see [`Decoder::begin`].
    #[inline(always)]
    pub const fn new() -> Self {
        Self {
            models: Models::new(),
            predictor: Predictor::new(Isa::Plain, None),
            range: Range::new(),
            stage: Stage::Header,
            base: 0,
            image: 0,
            made: 0,
            next: 0,
            ended: 0,
            around: Cover { old: 0, length: 0, moved: 0 },
            page: [0; PAGE + UNIT],
            fill: 0,
        }
    }

    /// Begins a stream that makes an image of `image` bytes from a base of `base` bytes. In place: it is too large to be
    /// built on a stack and moved.
    pub fn begin(&mut self, base: u32, image: u32) {
        self.models.reset();
        self.predictor.reset(Isa::Plain, None);
        self.range = Range::new();
        self.stage = Stage::Header;
        (self.base, self.image) = (base, image);
        (self.made, self.ended, self.next, self.fill) = (0, 0, 0, 0);
    }

    /// The page under way: where it lies in the image, and what it holds.
    pub fn page(&self) -> (u32, &[u8]) {
        let page = self.page.get(..self.fill.min(PAGE)).unwrap_or(&[]);
        (self.made.saturating_sub(wide(self.fill)), page)
    }

    /// The page was taken.
    pub fn turn(&mut self) {
        self.page.copy_within(PAGE.., 0);
        self.fill = self.fill.saturating_sub(PAGE);
    }

    /// Goes on as far as it can. After [`Need::Input`] the chunk has been used up, and the next one is due.
    ///
    /// # Errors
    /// If the data isn't a delta, or one for another base; decoding can't go on.
    pub fn run(&mut self, input: Input<'_>, window: Window<'_>) -> Result<Need, BadDelta> {
        loop {
            let whole = self.made >= self.image;
            if self.fill >= PAGE || (whole && self.fill > 0) {
                return Ok(Need::Page);
            }
            let left = self.range.feed.left(input.chunk);
            if whole {
                return if left == 0 && input.last { Ok(Need::End) } else { Err(BadDelta) };
            }
            if left < STEP && !input.last {
                return if self.range.feed.keep(input.chunk) { Ok(Need::Input) } else { Err(BadDelta) };
            }
            if let Stage::Copy { left } = self.stage {
                let old = self.made.wrapping_sub(self.around.moved);
                match window.look(old, self.base) {
                    Some(look) => self.copy(input.chunk, &look, old, left),
                    None => return Ok(Need::Base(old)),
                }
            } else {
                self.step(input.chunk)?;
            }
        }
    }

    #[inline(never)]
    fn step(&mut self, chunk: &[u8]) -> Result<(), BadDelta> {
        match self.stage {
            Stage::Header => self.header(chunk),
            Stage::Table { left: 0, .. } => {
                self.stage = Stage::Choose;
                Ok(())
            }
            Stage::Table { left, end, moved } => self.cover(chunk, left, end, moved),
            Stage::Choose => self.choose(chunk),
            Stage::Literal { left } => {
                let byte = self.models.byte(&mut Decode { state: &mut self.range, chunk }, 0);
                self.put(&[byte]);
                self.stage =
                    if left > 1 { Stage::Literal { left: left.saturating_sub(1) } } else { Stage::Choose };
                Ok(())
            }
            Stage::Copy { .. } => Err(BadDelta),
        }
    }

    fn header(&mut self, chunk: &[u8]) -> Result<(), BadDelta> {
        let left = self.range.feed.left(chunk);
        let mut coder = Decode { state: &mut self.range, chunk };
        let first = coder.byte();
        // Only the coded part ends in zeros that aren't sent.
        if left == 0 || (first & POINTERS != 0 && left < HEADER) {
            return Err(BadDelta);
        }
        let isa = Isa::ALL.into_iter().find(|isa| isa.number() == first & !POINTERS).ok_or(BadDelta)?;
        let pointers = (first & POINTERS != 0).then(|| {
            let mut word = || u32::from_le_bytes([coder.byte(), coder.byte(), coder.byte(), coder.byte()]);
            Pointers { base: word(), length: self.base, image: word() }
        });
        coder.begin();
        let left = self.models.number(&mut coder, Number::Count, 0);
        if left > wide(COVERS) {
            return Err(BadDelta);
        }
        self.predictor.reset(isa, pointers);
        self.stage = Stage::Table { left, end: 0, moved: 0 };
        Ok(())
    }

    /// A stretch that lies in the base and, from `new` on, in the image before `limit`.
    fn checked(&self, new: u32, old: u32, length: u32, limit: u32) -> Result<Cover, BadDelta> {
        let ends = |begin: u32, limit: u32| begin.checked_add(length).is_some_and(|end| end <= limit);
        if ends(new, limit) && ends(old, self.base) {
            Ok(Cover { old, length, moved: new.wrapping_sub(old) })
        } else {
            Err(BadDelta)
        }
    }

    fn cover(&mut self, chunk: &[u8], left: u32, end: u32, moved: u32) -> Result<(), BadDelta> {
        let coder = &mut Decode { state: &mut self.range, chunk };
        let gap = self.models.number(coder, Number::Gap, 0);
        let length = self.models.number(coder, Number::Cover, 0).saturating_add(1);
        let shift = unfold(self.models.number(coder, Number::Shift, 0));
        let moved = moved.wrapping_add(shift.cast_unsigned());
        let new = end.checked_add(gap).ok_or(BadDelta)?;
        let cover = self.checked(new, new.wrapping_sub(moved), length, self.image)?;
        if !self.predictor.add(cover) {
            return Err(BadDelta);
        }
        let end = new.saturating_add(length);
        self.stage = Stage::Table { left: left.saturating_sub(1), end, moved };
        Ok(())
    }

    fn choose(&mut self, chunk: &[u8]) -> Result<(), BadDelta> {
        let cover = self.predictor.cover(self.next).copied();
        if let Some(cover) = cover.filter(|cover| cover.lands() == self.made) {
            self.next = self.next.saturating_add(1);
            self.begin_copy(cover);
            return Ok(());
        }
        let limit = cover.map_or(self.image, |cover| cover.lands());
        let coder = &mut Decode { state: &mut self.range, chunk };
        if self.models.literal(coder, false) {
            let left = self.models.number(coder, Number::Literal, 0).saturating_add(1);
            if left > limit.saturating_sub(self.made) {
                return Err(BadDelta);
            }
            self.stage = Stage::Literal { left };
            return Ok(());
        }
        let seek = unfold(self.models.number(coder, Number::Seek, 0));
        let length = self.models.number(coder, Number::Copy, 0).saturating_add(1);
        let old = self.ended.wrapping_add(seek.cast_unsigned());
        let copy = self.checked(self.made, old, length, limit)?;
        self.begin_copy(copy);
        Ok(())
    }

    fn begin_copy(&mut self, copy: Cover) {
        self.around = copy;
        self.ended = copy.old.saturating_add(copy.length);
        self.stage = Stage::Copy { left: copy.length };
    }

    #[inline(never)]
    fn copy(&mut self, chunk: &[u8], look: &[u8; UNIT], old: u32, left: u32) {
        let spot = Spot { old, new: self.made, left, around: self.around };
        let unit = self.predictor.unit(look, &spot);
        let coder = &mut Decode { state: &mut self.range, chunk };
        let became = self.models.unit(coder, &unit, self.made, [0; UNIT]);
        self.predictor.learn(&unit, &became, self.made);
        let length = unit.kind.length();
        self.put(became.get(..length).unwrap_or(&[]));
        let left = left.saturating_sub(wide(length));
        self.stage = if left > 0 { Stage::Copy { left } } else { Stage::Choose };
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.fill.saturating_add(bytes.len());
        if let Some(place) = self.page.get_mut(self.fill..end) {
            place.copy_from_slice(bytes);
        }
        self.fill = end;
        self.made = self.made.saturating_add(wide(bytes.len()));
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}
