//! A binary range coder: each yes or no costs what it surprises.
//!
//! Encoder and decoder share every rule above it ([`Coder`]): one asks with the bit it knows, the other with any bit, and
//! both go on with the answer. So they can't disagree about a model.

/// How likely a no is, in 65,536ths, and in the three lowest bits how often it was asked: the first answers count more.
/// Kept as the difference to even odds: a decoder that knows nothing is all zeros, which a static takes where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bit(u16);

const EVEN: u16 = 1 << 15;

const COUNT: u32 = 7;
const ONE: u32 = 1 << 16;

impl Bit {
    /// Even odds.
    pub const NEW: Self = Self(0);

    /// 4 to 65,532.
    pub fn odds(self) -> u32 {
        self.word() & !COUNT | 4
    }

    fn word(self) -> u32 {
        u32::from(self.0 ^ EVEN)
    }

    /// Learns an answer.
    pub fn learn(&mut self, yes: bool) {
        let (odds, count) = (self.word() & !COUNT, self.word() & COUNT);
        let rate = count.saturating_add(2).min(7);
        let odds = if yes {
            odds.saturating_sub(odds >> rate)
        } else {
            odds.saturating_add(ONE.saturating_sub(COUNT.saturating_add(1)).saturating_sub(odds) >> rate)
        };
        let word = odds & !COUNT | count.saturating_add(1).min(COUNT);
        self.0 = u16::try_from(word).map_or(self.0, |word| word ^ EVEN);
    }
}

/// Either direction.
pub trait Coder {
    /// Codes `bit` under `model`, which learns it; returns what was coded.
    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool;

    /// Codes the lowest `bits` (at most 31) of `value`, highest first, at even odds; returns them.
    fn plain(&mut self, bits: u32, value: u32) -> u32;
}

/// Bytes that a step of the decoder may read, at most: see [`super::Decoder`].
pub const STEP: usize = 160;

/// What is left of the last chunk, before the one at hand.
#[derive(Debug)]
pub(super) struct Feed {
    kept: [u8; STEP],
    length: usize,
    /// Bytes read of both.
    at: usize,
}

impl Feed {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Self { kept: [0; STEP], length: 0, at: 0 }
    }

    /// Bytes not read yet.
    pub(super) fn left(&self, chunk: &[u8]) -> usize {
        self.length.saturating_add(chunk.len()).saturating_sub(self.at)
    }

    /// The next byte; 0 after the last.
    fn next(&mut self, chunk: &[u8]) -> u8 {
        let kept = self.kept.get(..self.length).unwrap_or(&[]);
        let byte = kept.get(self.at).or_else(|| chunk.get(self.at.saturating_sub(self.length)));
        self.at = self.at.saturating_add(1);
        byte.copied().unwrap_or(0)
    }

    /// Keeps what is left, for the next chunk. False if that is more than a step.
    pub(super) fn keep(&mut self, chunk: &[u8]) -> bool {
        let mut rest = [0; STEP];
        let count = self.left(chunk);
        let Some(place) = rest.get_mut(..count) else { return false };
        for byte in place {
            *byte = self.next(chunk);
        }
        *self = Self { kept: rest, length: count, at: 0 };
        true
    }
}

/// The state of a range decoder.
#[derive(Debug)]
pub(super) struct Range {
    range: u32,
    code: u32,
    pub(super) feed: Feed,
}

impl Range {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Self { range: 0, code: 0, feed: Feed::new() }
    }
}

/// A range decoder over a chunk.
pub(super) struct Decode<'a> {
    pub(super) state: &'a mut Range,
    pub(super) chunk: &'a [u8],
}

impl Decode<'_> {
    /// The next byte, as it is.
    pub(super) fn byte(&mut self) -> u8 {
        self.state.feed.next(self.chunk)
    }

    /// Takes the first four bytes of the coded part.
    pub(super) fn begin(&mut self) {
        self.state.range = u32::MAX;
        for _ in 0..4 {
            self.state.code = self.state.code << 8 | u32::from(self.byte());
        }
    }

    fn normalise(&mut self) {
        // Twice at most: no part of a range is below 2^24 / 2^16 × 4.
        while self.state.range < 1 << 24 {
            self.state.range <<= 8;
            self.state.code = self.state.code << 8 | u32::from(self.byte());
        }
    }
}

impl Coder for Decode<'_> {
    #[inline(never)]
    fn bit(&mut self, model: &mut Bit, _: bool) -> bool {
        let bound = (self.state.range >> 16).saturating_mul(model.odds());
        let yes = self.state.code >= bound;
        if yes {
            self.state.code = self.state.code.saturating_sub(bound);
            self.state.range = self.state.range.saturating_sub(bound);
        } else {
            self.state.range = bound;
        }
        model.learn(yes);
        self.normalise();
        yes
    }

    #[inline(never)]
    fn plain(&mut self, bits: u32, _: u32) -> u32 {
        let mut value = 0;
        for _ in 0..bits {
            self.state.range >>= 1;
            let yes = self.state.code >= self.state.range;
            if yes {
                self.state.code = self.state.code.saturating_sub(self.state.range);
            }
            value = value << 1 | u32::from(yes);
            self.normalise();
        }
        value
    }
}
