//! The parallel NOR flash (Intel command set; two 16-bit chips side by side).
//!
//! QEMU's model lets a program set bits back to one and calls that success. A chip doesn't, so this driver reads first
//! and refuses. While a chip is in command mode nothing can be fetched from it: all code runs from RAM.

use crate::map;
use core::ptr;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NorError {
    /// Not aligned, or beyond the end.
    Place,
    /// A program would set a bit from 0 to 1: it wasn't erased.
    NotErased,
    /// The chip reports an error.
    Status,
}

impl NorFlashError for NorError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Place => NorFlashErrorKind::OutOfBounds,
            Self::NotErased | Self::Status => NorFlashErrorKind::Other,
        }
    }
}

/// Bytes of the part of the flash that is used.
const LENGTH: u32 = map::SECONDARY.0 + map::SECONDARY.1;
const READY: u32 = 0x0080_0080;
const ERRORS: u32 = 0x003a_003a;
/// Words of the chip's write buffer that are used at once.
const BUFFER: usize = 128;

/// The flash, from its beginning.
pub struct Nor(());

impl Nor {
    /// The flash.
    ///
    /// # Safety
    /// At most one at a time, in a program that runs from RAM.
    pub const unsafe fn new() -> Self {
        Self(())
    }

    fn word(offset: u32) -> *mut u32 {
        (map::FLASH + offset as usize) as *mut u32
    }

    fn command(offset: u32, command: u32) {
        // SAFETY: `offset` is aligned and inside the flash (checked by every caller).
        unsafe { ptr::write_volatile(Self::word(offset), command << 16 | command) };
    }

    /// Waits for the chip and returns to reading.
    fn finish(offset: u32) -> Result<(), NorError> {
        Self::command(offset, 0x70);
        let status = loop {
            // SAFETY: as in `command`.
            let status = unsafe { ptr::read_volatile(Self::word(offset)) };
            if status & READY == READY {
                break status;
            }
        };
        Self::command(offset, 0x50);
        Self::command(offset, 0xff);
        if status & ERRORS == 0 { Ok(()) } else { Err(NorError::Status) }
    }

    fn check(offset: u32, length: usize, align: u32) -> Result<(), NorError> {
        let length = u32::try_from(length).map_err(|_| NorError::Place)?;
        let end = offset.checked_add(length).ok_or(NorError::Place)?;
        let aligned = offset % align == 0 && length % align == 0;
        if aligned && end <= LENGTH { Ok(()) } else { Err(NorError::Place) }
    }
}

impl ErrorType for Nor {
    type Error = NorError;
}

impl ReadNorFlash for Nor {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        Self::check(offset, bytes.len(), 1)?;
        for (at, byte) in (map::FLASH + offset as usize..).zip(bytes) {
            // SAFETY: inside the flash, which is in reading mode between operations.
            *byte = unsafe { ptr::read_volatile(at as *const u8) };
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        LENGTH as usize
    }
}

impl NorFlash for Nor {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = map::SECTOR as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        Self::check(from, to.saturating_sub(from) as usize, map::SECTOR)?;
        for sector in (from..to).step_by(map::SECTOR as usize) {
            Self::command(sector, 0x20);
            Self::command(sector, 0xd0);
            Self::finish(sector)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        Self::check(offset, bytes.len(), 4)?;
        for (index, word) in bytes.chunks_exact(4).enumerate() {
            let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            // SAFETY: inside the flash, which is in reading mode.
            let there = unsafe { ptr::read_volatile(Self::word(offset).add(index)) };
            if word & !there != 0 {
                return Err(NorError::NotErased);
            }
        }
        for (number, block) in bytes.chunks(BUFFER * 4).enumerate() {
            let at = offset + (number * BUFFER * 4) as u32;
            let words = (block.len() / 4) as u32;
            Self::command(at, 0xe8);
            Self::command(at, words - 1);
            for (index, word) in block.chunks_exact(4).enumerate() {
                let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                // SAFETY: inside the flash; the chip expects data now.
                unsafe { ptr::write_volatile(Self::word(at).add(index), word) };
            }
            Self::command(at, 0xd0);
            Self::finish(at)?;
        }
        Ok(())
    }
}
