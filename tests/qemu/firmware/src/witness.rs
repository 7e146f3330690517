//! The flash, and a word to whoever watches when blocks begin to move. Power fails here, where a test plans it.

use crate::plan::{self, Event, How};
use crate::{Board, Flash, Here, say};
use embedded_storage::nor_flash::NorFlash;
use patchlane_device::{Media, MediaError, Region, Single};

/// The flash of the device.
pub struct Witness {
    flash: Single<Flash>,
    moving: bool,
    /// When a slot was erased first since the reset (0: none was), and when the primary slot was written last.
    begun: u32,
    ended: u32,
}

/// Bytes that tearing works on at once: a multiple of every board's word.
const PIECE: usize = 32;
/// Bytes at each end of a torn block that are neither old nor erased.
const TORN: u32 = 2048;

impl Witness {
    /// This flash.
    pub const fn new(flash: Single<Flash>) -> Self {
        Self { flash, moving: false, begun: 0, ended: 0 }
    }

    /// Microseconds from the first block that was moved since the reset to the last; `None` if none was.
    pub fn moved(&self) -> Option<u32> {
        self.moving.then(|| self.ended.wrapping_sub(self.begun))
    }

    /// What a cut in the middle leaves of a write: the first half, and a word of which some bits are programmed.
    fn tear_write(&mut self, region: Region, at: u32, from: &[u8]) -> Result<(), MediaError> {
        let word = <Flash as NorFlash>::WRITE_SIZE;
        let half = from.len() / 2 / word * word;
        let (whole, rest) = from.split_at(half);
        if !whole.is_empty() {
            self.flash.write(region, at, whole)?;
        }
        let mut torn = [0; PIECE];
        let torn = torn.get_mut(..word).ok_or(MediaError)?;
        for (index, (torn, byte)) in torn.iter_mut().zip(rest).enumerate() {
            *torn = byte | plan::noise(at + index as u32) as u8;
        }
        self.flash.write(region, at + half as u32, torn)
    }

    /// What a cut in the middle leaves of an erase: words that are erased, and words of random bits.
    fn tear_erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        self.flash.erase(region, at, length)?;
        for offset in (0..length).step_by(PIECE) {
            let bits = plan::noise(at + offset);
            let at_an_end = offset < TORN || offset + TORN >= length;
            if at_an_end && bits & 3 != 0 {
                self.flash.write(region, at + offset, &[bits as u8; PIECE])?;
            }
        }
        Ok(())
    }

    /// An operation that is failing because power is.
    fn cut(&mut self, how: How, tear: impl FnOnce(&mut Self) -> Result<(), MediaError>) -> ! {
        if how == How::Middle && tear(self).is_err() {
            say(format_args!("flash: the operation that was to be torn failed"));
        }
        plan::fail()
    }
}

/// A driver's error is said: what it refuses, no test may miss.
fn heard(result: Result<(), MediaError>) -> Result<(), MediaError> {
    if result.is_err() {
        say(format_args!("flash: an operation failed"));
    }
    result
}

impl Media for Witness {
    fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        heard(self.flash.read(region, at, into))
    }

    fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        if region == Region::Primary && !core::mem::replace(&mut self.moving, true) {
            say(format_args!("bootloader: moves blocks"));
            plan::reached(Event::Moves);
        }
        if region != Region::State && self.begun == 0 {
            self.begun = Here::micros().max(1);
        }
        match plan::operate() {
            Some(How::After) => {
                let _ = heard(self.flash.erase(region, at, length));
                plan::fail()
            }
            Some(how) => self.cut(how, |witness| witness.tear_erase(region, at, length)),
            None => heard(self.flash.erase(region, at, length)),
        }
    }

    fn write(&mut self, region: Region, at: u32, from: &[u8]) -> Result<(), MediaError> {
        match plan::operate() {
            Some(How::After) => {
                let _ = heard(self.flash.write(region, at, from));
                plan::fail()
            }
            Some(how) => self.cut(how, |witness| witness.tear_write(region, at, from)),
            None => {
                heard(self.flash.write(region, at, from))?;
                if region == Region::Primary {
                    self.ended = Here::micros();
                }
                Ok(())
            }
        }
    }
}
