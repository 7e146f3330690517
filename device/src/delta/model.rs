//! What is coded under which odds: numbers, literal bytes, and whether a unit became what was predicted.

use super::coder::{Bit, Coder};
use super::predict::{UNIT, Unit};

/// Which number: each has odds of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Covers in the table.
    Count,
    /// From the end of one cover to the next.
    Gap,
    /// Length of a cover, less one.
    Cover,
    /// How much further a cover moved than the one before.
    Shift,
    /// Length of a literal, less one.
    Literal,
    /// From where the last copy ended in the base to where the next begins.
    Seek,
    /// Length of a copy, less one.
    Copy,
}

const NUMBERS: usize = 7;
/// Nodes of a tree of so many leaves; the first one is unused.
const EXPONENTS: usize = 32;
const BYTES: usize = 256;
/// Kinds of units ([`super::predict::Kind`]).
const KINDS: usize = 8;
/// Places in units: four sizes of up to eight bytes.
const PLACES: usize = 32;

/// A number with a sign, as one without: the sign is the lowest bit.
pub const fn fold(n: i32) -> u32 {
    (n.cast_unsigned() << 1) ^ (n >> 31).cast_unsigned()
}

/// The reverse of [`fold`].
pub const fn unfold(n: u32) -> i32 {
    (n >> 1).cast_signed() ^ (n & 1).cast_signed().wrapping_neg()
}

/// All odds, and what they depend on.
#[derive(Debug)]
pub struct Models {
    exponents: [[Bit; EXPONENTS]; NUMBERS],
    literal: [Bit; 1],
    literals: [Bit; BYTES],
    /// By kind: of the last two units and of the last two of the kind, which were missed.
    missed: [[Bit; 16]; KINDS],
    /// By place: which of the two bytes before differed.
    differs: [[Bit; 4]; PLACES],
    /// By place in a word of the image.
    again: [Bit; 4],
    /// By parity of the place in the unit.
    differences: [[Bit; BYTES]; 2],
    /// The last difference at this place in a word.
    last: [u8; 4],
    history: u8,
    histories: [u8; KINDS],
}

fn ask(coder: &mut impl Coder, models: &mut [Bit], index: usize, bit: bool) -> bool {
    // Every index is below its array's length; if one weren't, both directions would take this for a no.
    models.get_mut(index).is_some_and(|model| coder.bit(model, bit))
}

/// Codes the lowest `bits` of `value`, highest first, each under odds of its own for what came before it.
#[inline(never)]
fn tree(coder: &mut impl Coder, models: &mut [Bit], bits: u32, value: u32) -> u32 {
    let mut node = 1usize;
    for place in (0..bits).rev() {
        let yes = ask(coder, models, node, value >> place & 1 == 1);
        node = node << 1 | usize::from(yes);
    }
    u32::try_from(node).unwrap_or(0) & !(u32::MAX << bits)
}

fn push(history: &mut u8, missed: bool) -> usize {
    let seen = usize::from(*history & 3);
    *history = *history << 1 | u8::from(missed);
    seen
}

impl Models {
    /// Even odds.
    #[inline(always)]
    pub const fn new() -> Self {
        Self {
            exponents: [[Bit::NEW; EXPONENTS]; NUMBERS],
            literal: [Bit::NEW],
            literals: [Bit::NEW; BYTES],
            missed: [[Bit::NEW; 16]; KINDS],
            differs: [[Bit::NEW; 4]; PLACES],
            again: [Bit::NEW; 4],
            differences: [[Bit::NEW; BYTES]; 2],
            last: [0; 4],
            history: 0,
            histories: [0; KINDS],
        }
    }

    /// Even odds again, in place.
    pub fn reset(&mut self) {
        let all = |models: &mut [Bit]| models.fill(Bit::NEW);
        self.exponents.iter_mut().for_each(|models| all(models));
        self.missed.iter_mut().for_each(|models| all(models));
        self.differs.iter_mut().for_each(|models| all(models));
        self.differences.iter_mut().for_each(|models| all(models));
        all(&mut self.literal);
        all(&mut self.literals);
        all(&mut self.again);
        self.last = [0; 4];
        self.history = 0;
        self.histories = [0; KINDS];
    }

    /// Codes a number below 2^32 - 1: the position of the highest bit of one more, then the bits below it.
    pub fn number(&mut self, coder: &mut impl Coder, which: Number, value: u32) -> u32 {
        let more = value.saturating_add(1);
        let index = match which {
            Number::Count => 0,
            Number::Gap => 1,
            Number::Cover => 2,
            Number::Shift => 3,
            Number::Literal => 4,
            Number::Seek => 5,
            Number::Copy => 6,
        };
        let models = self.exponents.get_mut(index).map_or(&mut [][..], |models| models);
        let exponent = tree(coder, models, 5, 31u32.saturating_sub(more.leading_zeros()));
        let below = !(u32::MAX << exponent);
        (1 << exponent | coder.plain(exponent, more & below)).saturating_sub(1)
    }

    /// Codes whether what comes next is a literal.
    pub fn literal(&mut self, coder: &mut impl Coder, yes: bool) -> bool {
        ask(coder, &mut self.literal, 0, yes)
    }

    /// Codes a byte of a literal.
    pub fn byte(&mut self, coder: &mut impl Coder, byte: u8) -> u8 {
        low(tree(coder, &mut self.literals, 8, u32::from(byte)))
    }

    /// Codes what a unit at `at` in the image became.
    #[inline(never)]
    pub fn unit(&mut self, coder: &mut impl Coder, unit: &Unit, at: u32, became: [u8; UNIT]) -> [u8; UNIT] {
        let kind = unit.kind.index();
        let length = unit.kind.length();
        let hit = became.iter().zip(&unit.predicted).take(length).all(|(a, b)| a == b);
        let own = self.histories.get(kind).map_or(0, |history| usize::from(*history & 3));
        let context = usize::from(self.history & 3) << 2 | own;
        let models = self.missed.get_mut(kind).map_or(&mut [][..], |models| models);
        let missed = ask(coder, models, context, !hit);
        push(&mut self.history, missed);
        if let Some(history) = self.histories.get_mut(kind) {
            push(history, missed);
        }
        if missed { self.differences(coder, unit, at, became) } else { unit.predicted }
    }

    /// Codes a unit byte by byte, as differences from what was predicted.
    fn differences(
        &mut self,
        coder: &mut impl Coder,
        unit: &Unit,
        at: u32,
        became: [u8; UNIT],
    ) -> [u8; UNIT] {
        let length = unit.kind.length();
        let size = usize::try_from(length.trailing_zeros()).unwrap_or(0);
        let mut out = unit.predicted;
        let mut before = 0u8;
        for (place, (byte, became)) in out.iter_mut().zip(became).take(length).enumerate() {
            let difference = became.wrapping_sub(*byte);
            let models = self.differs.get_mut(size << 3 | place & 7).map_or(&mut [][..], |models| models);
            // A missed unit of one byte differs.
            let context = usize::from(before & 3);
            let differs = length == 1 || ask(coder, models, context, difference != 0);
            push(&mut before, differs);
            if differs {
                let lane = usize::try_from(at).unwrap_or(0).wrapping_add(place) & 3;
                *byte = byte.wrapping_add(self.difference(coder, lane, place & 1, difference));
            }
        }
        out
    }

    fn difference(&mut self, coder: &mut impl Coder, lane: usize, odd: usize, difference: u8) -> u8 {
        let last = self.last.get(lane).copied().unwrap_or(0);
        if ask(coder, &mut self.again, lane, difference == last) {
            return last;
        }
        let models = self.differences.get_mut(odd).map_or(&mut [][..], |models| models);
        let difference = low(tree(coder, models, 8, u32::from(difference)));
        if let Some(last) = self.last.get_mut(lane) {
            *last = difference;
        }
        difference
    }
}

impl Default for Models {
    fn default() -> Self {
        Self::new()
    }
}

fn low(n: u32) -> u8 {
    u8::try_from(n & 0xff).unwrap_or(0)
}
