//! What the code of a new release most likely is, given the old one: jumps and pointers follow what they point to.
//!
//! Code that moved changes wherever something refers to it, though nobody edited those places. So a copy goes in units,
//! instructions that hold an address and words, and each is predicted: its target moved as the cover around it did, or
//! as it did last time.

use super::{COVERS, Isa};
use crate::io::wide;

/// Bytes of the longest unit.
pub const UNIT: usize = 8;
/// Bytes of the base that a prediction looks at, at most.
pub const LOOK: u32 = 8;

/// A stretch of the image that is much like a stretch of the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cover {
    /// Where it begins in the base.
    pub old: u32,
    /// Bytes.
    pub length: u32,
    /// How far it moved: add it to an offset in the base for the one in the image (modulo 2^32).
    pub moved: u32,
}

impl Cover {
    /// Where it begins in the image.
    pub const fn lands(&self) -> u32 {
        self.old.wrapping_add(self.moved)
    }

    /// Bytes between it and an offset in the base.
    fn distance(&self, old: u32) -> u32 {
        let end = self.old.saturating_add(self.length);
        let behind = old.saturating_add(1).saturating_sub(end);
        self.old.saturating_sub(old).max(behind)
    }
}

/// Which words may be addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointers {
    /// The address of the base's first byte.
    pub base: u32,
    /// Bytes of the base.
    pub length: u32,
    /// The address of the image's first byte: another one where code runs in place.
    pub image: u32,
}

/// What a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One byte.
    Byte,
    /// Two bytes: an instruction.
    Half,
    /// Four bytes: a jump or a call.
    Branch,
    /// Eight bytes: two instructions that make an address.
    Pair,
    /// Four bytes that were seen before.
    Known,
    /// Four bytes: an address in the base.
    Pointer,
    /// Any other four bytes.
    Word,
    /// Four bytes: an instruction that isn't aligned.
    Wide,
}

impl Kind {
    /// Which odds are its.
    pub const fn index(self) -> usize {
        match self {
            Self::Byte => 0,
            Self::Half => 1,
            Self::Branch => 2,
            Self::Pair => 3,
            Self::Known => 4,
            Self::Pointer => 5,
            Self::Word => 6,
            Self::Wide => 7,
        }
    }

    /// Its length in bytes.
    pub const fn length(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Branch | Self::Known | Self::Pointer | Self::Word | Self::Wide => 4,
            Self::Pair => 8,
        }
    }
}

/// A unit of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// What it is.
    pub kind: Kind,
    /// What it is likely to become; [`Kind::length`] bytes of it.
    pub predicted: [u8; UNIT],
    /// What it refers to in the base, to be learned.
    key: Option<u32>,
}

/// Where a unit lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Its offset in the base.
    pub old: u32,
    /// Its offset in the image.
    pub new: u32,
    /// Bytes left of the copy.
    pub left: u32,
    /// The copy itself.
    pub around: Cover,
}

const SEEN: usize = 64;
/// Jumps and words are remembered apart.
const JUMPS: u32 = 0x5a5a_0001;

/// What is known of where things moved.
#[derive(Debug)]
pub struct Predictor {
    isa: Isa,
    pointers: Option<Pointers>,
    covers: [Cover; COVERS],
    count: usize,
    /// What things became, by a hash of what they were.
    seen: [(u32, u32); SEEN],
}

fn word(bytes: &[u8; UNIT], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|bytes| bytes.first_chunk::<4>());
    u32::from_le_bytes(*word.unwrap_or(&[0; 4]))
}

fn half(bytes: &[u8; UNIT], at: usize) -> u32 {
    word(bytes, at) & 0xffff
}

fn four(kind: Kind, word: u32, key: Option<u32>) -> Unit {
    pair(kind, word, 0, key)
}

fn pair(kind: Kind, low: u32, high: u32, key: Option<u32>) -> Unit {
    let predicted = (u64::from(high) << 32 | u64::from(low)).to_le_bytes();
    Unit { kind, predicted, key }
}

impl Predictor {
    /// Knows nothing yet.
    #[inline(always)]
    pub const fn new(isa: Isa, pointers: Option<Pointers>) -> Self {
        let cover = Cover { old: 0, length: 0, moved: 0 };
        Self { isa, pointers, covers: [cover; COVERS], count: 0, seen: [(0, 0); SEEN] }
    }

    /// Forgets all, in place.
    pub fn reset(&mut self, isa: Isa, pointers: Option<Pointers>) {
        (self.isa, self.pointers, self.count) = (isa, pointers, 0);
        self.seen.fill((0, 0));
    }

    /// Adds a cover; false if there are too many.
    pub fn add(&mut self, cover: Cover) -> bool {
        let Some(place) = self.covers.get_mut(self.count) else { return false };
        *place = cover;
        self.count = self.count.saturating_add(1);
        true
    }

    /// The cover with this index.
    pub fn cover(&self, index: usize) -> Option<&Cover> {
        self.covers.get(..self.count)?.get(index)
    }

    /// Where something of the base lies now: it moved with what is around it, or with the cover next to it.
    #[inline(never)]
    fn moved(&self, old: u32, around: &Cover) -> u32 {
        let mut nearest = (around.distance(old), 0);
        if nearest.0 == 0 {
            return old.wrapping_add(around.moved);
        }
        nearest.0 = u32::MAX;
        for cover in self.covers.iter().take(self.count) {
            let distance = cover.distance(old);
            if distance < nearest.0 {
                nearest = (distance, cover.moved);
            }
        }
        old.wrapping_add(nearest.1)
    }

    fn place(key: u32) -> usize {
        usize::try_from(key.wrapping_mul(0x9e37_79b1) >> 26).unwrap_or(0)
    }

    fn seen(&self, key: u32) -> Option<u32> {
        self.seen.get(Self::place(key)).filter(|seen| seen.0 == key).map(|seen| seen.1)
    }

    fn target(&self, old: u32, around: &Cover) -> u32 {
        self.seen(old ^ JUMPS).unwrap_or_else(|| self.moved(old, around))
    }

    /// The unit at a spot; `base` is what lies there, 0 beyond its end.
    #[inline(never)]
    pub fn unit(&self, base: &[u8; UNIT], spot: &Spot) -> Unit {
        let left = spot.left;
        let byte = four(Kind::Byte, word(base, 0) & 0xff, None);
        if left < 2 || (spot.old | spot.new) & 1 != 0 {
            return byte;
        }
        if let Some(unit) = self.jump(base, spot) {
            return unit;
        }
        let aligned = left >= 4 && (spot.old | spot.new) & 3 == 0;
        let known = if aligned { self.pointer(word(base, 0), spot) } else { None };
        let halves = self.isa.halves();
        match (known, self.isa) {
            (Some(unit), _) => unit,
            // The word would hide a jump that begins in its middle.
            (_, Isa::Thumb) if aligned && left >= 6 && thumb(half(base, 2), half(base, 4)).is_some() => {
                four(Kind::Half, half(base, 0), None)
            }
            (_, Isa::Riscv) if word(base, 0) & 3 != 3 => four(Kind::Half, half(base, 0), None),
            (_, Isa::Riscv) if !aligned && left >= 4 => four(Kind::Wide, word(base, 0), None),
            _ if aligned => four(Kind::Word, word(base, 0), Some(word(base, 0))),
            _ if halves => four(Kind::Half, half(base, 0), None),
            _ => byte,
        }
    }

    fn jump(&self, base: &[u8; UNIT], spot: &Spot) -> Option<Unit> {
        let kind = jump(self.isa, base).filter(|kind| wide(kind.length()) <= spot.left)?;
        if self.isa == Isa::Arm && (spot.old | spot.new) & 3 != 0 {
            return None;
        }
        let old = self.meaning(kind, base, spot.old)?;
        let by = self.target(old, &spot.around).wrapping_sub(spot.new);
        let (first, key) = (word(base, 0), Some(old ^ JUMPS));
        Some(match (kind, self.isa) {
            (Kind::Pair, _) => {
                let (low, high) = to_auipc(first, word(base, 4), by);
                pair(kind, low, high, key)
            }
            (_, Isa::Thumb) => four(kind, to_thumb(by.wrapping_sub(4)), key),
            (_, Isa::Arm) => four(kind, to_arm(first, by.wrapping_sub(8)), key),
            _ => four(kind, to_jal(first, by), key),
        })
    }

    /// A word that was seen before, or that is an address in the base.
    fn pointer(&self, word: u32, spot: &Spot) -> Option<Unit> {
        if let Some(now) = self.seen(word) {
            return Some(four(Kind::Known, now, Some(word)));
        }
        let pointers = self.pointers?;
        let old = word.wrapping_sub(pointers.base);
        if old >= pointers.length {
            return None;
        }
        // The lowest bit of a pointer to Thumb code isn't part of the address.
        let now = self.moved(old & !1, &spot.around).wrapping_add(pointers.image) | old & 1;
        Some(four(Kind::Pointer, now, Some(word)))
    }

    /// Learns what a unit at `new` became.
    pub fn learn(&mut self, unit: &Unit, became: &[u8; UNIT], new: u32) {
        let Some(key) = unit.key else { return };
        let now = self.meaning(unit.kind, became, new);
        if let (Some(now), Some(place)) = (now, self.seen.get_mut(Self::place(key))) {
            *place = (key, now);
        }
    }

    /// What bytes at `new` refer to, read as this kind of unit: an offset in the image, or a word.
    pub fn meaning(&self, kind: Kind, became: &[u8; UNIT], new: u32) -> Option<u32> {
        let first = word(became, 0);
        match (kind, self.isa) {
            (Kind::Branch, Isa::Thumb) => {
                thumb(half(became, 0), half(became, 2)).map(|by| new.wrapping_add(4).wrapping_add(by))
            }
            (Kind::Branch, Isa::Arm) => arm(first).map(|by| new.wrapping_add(8).wrapping_add(by)),
            (Kind::Branch, _) => jal(first).map(|by| new.wrapping_add(by)),
            (Kind::Pair, _) => auipc(first, word(became, 4)).map(|by| new.wrapping_add(by)),
            _ => Some(first),
        }
    }
}

/// The jump that begins here, if one does.
pub fn jump(isa: Isa, bytes: &[u8; UNIT]) -> Option<Kind> {
    let first = word(bytes, 0);
    match isa {
        Isa::Plain => None,
        Isa::Thumb => thumb(half(bytes, 0), half(bytes, 2)).map(|_| Kind::Branch),
        Isa::Arm => arm(first).map(|_| Kind::Branch),
        Isa::Riscv => {
            let pair = auipc(first, word(bytes, 4)).map(|_| Kind::Pair);
            pair.or_else(|| jal(first).map(|_| Kind::Branch))
        }
    }
}

/// The lowest `bits` of a word, as a number with a sign.
const fn signed(word: u32, bits: u32) -> u32 {
    let shift = 32u32.saturating_sub(bits);
    ((word << shift).cast_signed() >> shift).cast_unsigned()
}

/// Thumb `BL` (T1): how far it jumps.
fn thumb(first: u32, second: u32) -> Option<u32> {
    if first & 0xf800 != 0xf000 || second & 0xd000 != 0xd000 {
        return None;
    }
    let sign = first >> 10 & 1;
    let (one, two) = (!(second >> 13 ^ sign) & 1, !(second >> 11 ^ sign) & 1);
    let by = sign << 24 | one << 23 | two << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
    Some(signed(by, 25))
}

fn to_thumb(by: u32) -> u32 {
    let sign = by >> 24 & 1;
    let (one, two) = (!(by >> 23 ^ sign) & 1, !(by >> 22 ^ sign) & 1);
    let first = 0xf000 | sign << 10 | by >> 12 & 0x3ff;
    let second = 0xd000 | one << 13 | two << 11 | by >> 1 & 0x7ff;
    second << 16 | first
}

/// A32 `BL`, always: how far it jumps.
fn arm(word: u32) -> Option<u32> {
    (word >> 24 == 0xeb).then(|| signed(word << 2, 26))
}

fn to_arm(word: u32, by: u32) -> u32 {
    word & 0xff00_0000 | by >> 2 & 0x00ff_ffff
}

const AUIPC: u32 = 0x17;

/// RISC-V `AUIPC` and the `JALR`, `ADDI`, load or store that completes its address: what they add to it.
fn auipc(first: u32, second: u32) -> Option<u32> {
    let register = first >> 7 & 31;
    if first & 0x7f != AUIPC || register == 0 || second >> 15 & 31 != register {
        return None;
    }
    let low = match second & 0x7f {
        0x67 | 0x03 => second >> 20,
        0x13 if second & 0x7000 == 0 => second >> 20,
        0x23 => second >> 25 << 5 | second >> 7 & 31,
        _ => return None,
    };
    Some((first & 0xffff_f000).wrapping_add(signed(low, 12)))
}

fn to_auipc(first: u32, second: u32, by: u32) -> (u32, u32) {
    let low = by & 0xfff;
    let high = by.wrapping_sub(signed(low, 12));
    let second = if second & 0x7f == 0x23 {
        second & 0x01ff_f07f | low >> 5 << 25 | (low & 31) << 7
    } else {
        second & 0x000f_ffff | low << 20
    };
    (first & 0xfff | high, second)
}

/// RISC-V `JAL`: how far it jumps.
fn jal(word: u32) -> Option<u32> {
    let by =
        word >> 31 << 20 | (word >> 12 & 0xff) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 0x3ff) << 1;
    (word & 0x7f == 0x6f).then(|| signed(by, 21))
}

fn to_jal(word: u32, by: u32) -> u32 {
    let (sign, low) = (by >> 20 & 1, by >> 1 & 0x3ff);
    word & 0xfff | sign << 31 | low << 21 | (by >> 11 & 1) << 20 | (by >> 12 & 0xff) << 12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_of_a_jump_is_what_is_written() {
        for by in [0u32, 2, 0x7fe, 0x1000, 0x000f_fffe, 2u32.wrapping_neg(), 0x000f_f000u32.wrapping_neg()] {
            let word = to_thumb(by);
            assert_eq!(thumb(word & 0xffff, word >> 16), Some(by));
            assert_eq!(arm(to_arm(0xeb00_0000, by << 2)), Some(by << 2));
            assert_eq!(jal(to_jal(0x0000_00ef, by)), Some(by));
            for second in [0x0000_80e7, 0x0000_8093, 0x0000_a083, 0x0020_a023] {
                let (first, second) = to_auipc(0x0000_0097, second, by);
                assert_eq!(auipc(first, second), Some(by), "{second:08x}");
            }
        }
        // What an assembler makes of them: bl .+4, bl .-2; jal ra,.+0x28; auipc ra,0 and jalr 0x656(ra).
        assert_eq!(thumb(0xf000, 0xf800), Some(0));
        assert_eq!(thumb(0xf7ff, 0xfffd), Some(6u32.wrapping_neg()));
        assert_eq!(jal(0x0280_00ef), Some(0x28));
        assert_eq!(auipc(0x0000_0097, 0x6560_80e7), Some(0x656));
        assert_eq!(thumb(0xf000, 0x8000), None);
        assert_eq!(auipc(0x0000_0097, 0x6561_00e7), None);
    }

    #[test]
    fn a_target_moves_with_the_cover_around_or_next_to_it() {
        let mut predictor =
            Predictor::new(Isa::Plain, Some(Pointers { base: 0x1000, length: 0x400, image: 0x1000 }));
        assert!(predictor.add(Cover { old: 0, length: 0x100, moved: 0 }));
        assert!(predictor.add(Cover { old: 0x100, length: 0x100, moved: 16 }));
        let around = Cover { old: 0x300, length: 0x10, moved: 64 };
        assert_eq!(predictor.moved(0x80, &around), 0x80);
        assert_eq!(predictor.moved(0x1ff, &around), 0x20f);
        assert_eq!(predictor.moved(0x280, &around), 0x290);
        assert_eq!(predictor.moved(0x30f, &around), 0x34f);
        let spot = Spot { old: 0x300, new: 0x340, left: 16, around };
        let base = 0x1180u64.to_le_bytes();
        let unit = predictor.unit(&base, &spot);
        assert_eq!((unit.kind, word(&unit.predicted, 0)), (Kind::Pointer, 0x1190));
        // It became something else: next time, that is expected.
        predictor.learn(&unit, &0x1234u64.to_le_bytes(), 0x340);
        let unit = predictor.unit(&base, &spot);
        assert_eq!((unit.kind, word(&unit.predicted, 0)), (Kind::Known, 0x1234));
    }
}
