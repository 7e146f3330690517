//! The pen of delta vectors: writes what it is told, rules of DELTA.md or not. How bits are coded is written here once
//! more; models and predictions are the device's, and a stranger's decoder reads all of it (`tests/stranger/delta.py`).

use patchlane_device::delta::{
    Bit, Coder, Cover, Isa, Models, Number, POINTERS, Pointers, Predictor, Spot, UNIT, fold,
};
use std::collections::BTreeSet;

/// A range encoder over one long number: what carries goes up into the bytes written.
struct Range {
    low: u64,
    range: u32,
    bytes: Vec<u8>,
}

impl Range {
    fn up(&mut self, by: u32) {
        self.low += u64::from(by);
        if self.low >> 32 == 1 {
            for byte in self.bytes.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }
        self.low &= 0xffff_ffff;
    }

    fn normalise(&mut self) {
        while self.range < 1 << 24 {
            self.range <<= 8;
            self.bytes.push((self.low >> 24) as u8);
            self.low = self.low << 8 & 0xffff_ffff;
        }
    }
}

impl Coder for Range {
    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool {
        let bound = (self.range >> 16) * model.odds();
        if bit {
            self.up(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
        model.learn(bit);
        self.normalise();
        bit
    }

    fn plain(&mut self, bits: u32, value: u32) -> u32 {
        for place in (0..bits).rev() {
            self.range >>= 1;
            if value >> place & 1 == 1 {
                self.up(self.range);
            }
            self.normalise();
        }
        value
    }
}

/// A part of an image.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// So many new bytes.
    Literal(u32),
    /// A copy from there of so many bytes, and in the table.
    Cover(u32, u32),
    /// The same, outside the table.
    Copy(u32, u32),
}

/// What a delta is made of.
#[derive(Debug)]
pub struct Script<'a> {
    /// Whose jumps.
    pub isa: Isa,
    /// Addresses of base and image.
    pub linked: Option<(u32, u32)>,
    /// The base.
    pub base: &'a [u8],
    /// The image.
    pub image: &'a [u8],
    /// How one makes the other.
    pub parts: &'a [Part],
}

/// Writes a coded part.
pub struct Pen {
    coder: Range,
    models: Models,
    /// Kinds of units written, and whether each was missed.
    pub units: BTreeSet<(usize, bool)>,
}

impl Pen {
    /// Nothing written yet.
    pub fn new() -> Self {
        let coder = Range { low: 0, range: u32::MAX, bytes: Vec::new() };
        Self { coder, models: Models::new(), units: BTreeSet::new() }
    }

    /// A number.
    pub fn number(&mut self, sort: Number, n: u32) -> &mut Self {
        self.models.number(&mut self.coder, sort, n);
        self
    }

    /// A number with a sign.
    pub fn signed(&mut self, sort: Number, n: u32) -> &mut Self {
        self.number(sort, fold(n.cast_signed()))
    }

    /// A cover of the table.
    pub fn cover(&mut self, gap: u32, length: u32, shift: u32) -> &mut Self {
        self.number(Number::Gap, gap).number(Number::Cover, length - 1).signed(Number::Shift, shift)
    }

    /// A literal of these bytes, said to be this long.
    pub fn literal(&mut self, length: u32, bytes: &[u8]) -> &mut Self {
        self.models.literal(&mut self.coder, true);
        self.number(Number::Literal, length - 1);
        for byte in bytes {
            self.models.byte(&mut self.coder, *byte);
        }
        self
    }

    /// Where a copy begins, and its length; its units are to follow.
    pub fn copy(&mut self, seek: u32, length: u32) -> &mut Self {
        self.models.literal(&mut self.coder, false);
        self.signed(Number::Seek, seek).number(Number::Copy, length - 1)
    }

    fn units(&mut self, script: &Script<'_>, predictor: &mut Predictor, cover: Cover) {
        let look = |bytes: &[u8], at: u32| {
            let mut look = [0; UNIT];
            look.iter_mut().zip(&bytes[at as usize..]).for_each(|(to, from)| *to = *from);
            look
        };
        let (mut old, mut new, mut left) = (cover.old, cover.lands(), cover.length);
        while left > 0 {
            let spot = Spot { old, new, left, around: cover };
            let unit = predictor.unit(&look(script.base, old), &spot);
            let became = look(script.image, new);
            let length = unit.kind.length();
            self.units.insert((unit.kind.index(), unit.predicted[..length] != became[..length]));
            self.models.unit(&mut self.coder, &unit, new, became);
            predictor.learn(&unit, &became, new);
            let length = length as u32;
            (old, new, left) = (old + length, new + length, left - length);
        }
    }

    /// All of a script.
    pub fn script(&mut self, script: &Script<'_>) -> &mut Self {
        let length = script.base.len() as u32;
        let pointers = script.linked.map(|(base, image)| Pointers { base, length, image });
        let mut predictor = Predictor::new(script.isa, pointers);
        let covers = script.parts.iter().filter(|part| matches!(part, Part::Cover(..))).count();
        self.number(Number::Count, covers as u32);
        let (mut at, mut end, mut moved) = (0u32, 0, 0u32);
        for part in script.parts {
            if let Part::Cover(old, length) = *part {
                let cover = Cover { old, length, moved: at.wrapping_sub(old) };
                self.cover(at - end, length, cover.moved.wrapping_sub(moved));
                predictor.add(cover);
                (end, moved) = (at + length, cover.moved);
            }
            at += part.length();
        }
        assert_eq!(at as usize, script.image.len(), "the parts are the image");
        let (mut at, mut ended) = (0, 0u32);
        for part in script.parts {
            match *part {
                Part::Literal(length) => {
                    self.literal(length, &script.image[at as usize..(at + length) as usize]);
                }
                Part::Cover(old, length) | Part::Copy(old, length) => {
                    if matches!(part, Part::Copy(..)) {
                        self.copy(old.wrapping_sub(ended), length);
                    }
                    self.units(script, &mut predictor, Cover { old, length, moved: at.wrapping_sub(old) });
                    ended = old + length;
                }
            }
            at += part.length();
        }
        self
    }

    /// The bytes, all that a decoder consumes.
    pub fn whole(&self) -> Vec<u8> {
        [&self.coder.bytes[..], &(self.coder.low as u32).to_be_bytes()].concat()
    }

    /// The bytes without the zeros that end them.
    pub fn trimmed(&self) -> Vec<u8> {
        let whole = self.whole();
        let end = whole.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        whole[..end].to_vec()
    }
}

impl Part {
    fn length(self) -> u32 {
        match self {
            Self::Literal(length) | Self::Cover(_, length) | Self::Copy(_, length) => length,
        }
    }
}

/// What comes before the coded part.
pub fn header(isa: Isa, linked: Option<(u32, u32)>) -> Vec<u8> {
    let addresses =
        linked.iter().flat_map(|(base, image)| [base.to_le_bytes(), image.to_le_bytes()].concat());
    [isa.number() | if linked.is_some() { POINTERS } else { 0 }].into_iter().chain(addresses).collect()
}
