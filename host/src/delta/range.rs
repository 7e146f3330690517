//! The writing end of the device's range coder.

use patchlane_device::delta::{Bit, Coder};

/// A range encoder.
#[derive(Debug)]
pub(super) struct Encoder {
    low: u64,
    range: u32,
    /// The last byte that a carry can still change, and how many 0xff follow it.
    cache: u8,
    pending: usize,
    bytes: Vec<u8>,
}

impl Encoder {
    pub(super) const fn new() -> Self {
        Self { low: 0, range: u32::MAX, cache: 0, pending: 0, bytes: Vec::new() }
    }

    fn normalise(&mut self) {
        while self.range < 1 << 24 {
            self.range <<= 8;
            self.shift();
        }
    }

    fn shift(&mut self) {
        if !(0xff00_0000..=0xffff_ffff).contains(&self.low) {
            let carry = (self.low >> 32) as u8;
            self.bytes.push(self.cache.wrapping_add(carry));
            self.bytes.extend(std::iter::repeat_n(0xffu8.wrapping_add(carry), self.pending));
            self.pending = 0;
            self.cache = (self.low >> 24) as u8;
        } else {
            self.pending += 1;
        }
        self.low = self.low << 8 & 0xffff_ffff;
    }

    /// The bytes. The first is always 0, and zeros at the end are what a decoder reads anyway.
    pub(super) fn finish(mut self) -> Vec<u8> {
        for _ in 0..5 {
            self.shift();
        }
        let end = self.bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
        self.bytes.truncate(end.max(1));
        self.bytes.remove(0);
        self.bytes
    }
}

impl Coder for Encoder {
    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool {
        let bound = (self.range >> 16) * model.odds();
        if bit {
            self.low += u64::from(bound);
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
                self.low += u64::from(self.range);
            }
            self.normalise();
        }
        value
    }
}
