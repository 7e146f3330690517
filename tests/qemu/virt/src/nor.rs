//! The parallel NOR flash (Intel command set; two 16-bit chips side by side).
//!
//! QEMU's model lets a program set bits back to one and calls that success. A chip doesn't, so this driver reads first
//! and refuses. The model erases at the first of the two command words; this driver always sends both. While a chip is in
//! command mode nothing can be fetched from it: all code runs from RAM.

use crate::{FLASH, SECTOR, Virt};
use board::{Board, NorError, erased, inside, mapped};
use core::ptr;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// Bytes of the part of the flash that is used.
const LENGTH: u32 = Virt::MAP.secondary.0 + Virt::MAP.secondary.1;
const READY: u32 = 0x0080_0080;
const ERRORS: u32 = 0x003a_003a;
/// Words of the chip's write buffer that are used at once.
const BUFFER: usize = 128;

/// The flash, from its beginning.
pub struct Nor(pub(crate) ());

impl Nor {
    fn word(offset: u32) -> *mut u32 {
        (FLASH + offset as usize) as *mut u32
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
}

impl ErrorType for Nor {
    type Error = NorError;
}

impl ReadNorFlash for Nor {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        inside((0, LENGTH), offset, bytes.len(), 1)?;
        // SAFETY: inside the flash, which is in reading mode between operations.
        unsafe { mapped(FLASH + offset as usize, bytes) };
        Ok(())
    }

    fn capacity(&self) -> usize {
        LENGTH as usize
    }
}

impl NorFlash for Nor {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        inside((0, LENGTH), from, to.saturating_sub(from) as usize, SECTOR)?;
        for sector in (from..to).step_by(SECTOR as usize) {
            Self::command(sector, 0x20);
            Self::command(sector, 0xd0);
            Self::finish(sector)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        inside((0, LENGTH), offset, bytes.len(), 4)?;
        // SAFETY: inside the flash, aligned, in reading mode.
        unsafe { erased(FLASH + offset as usize, bytes.len())? };
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            // The chip's buffer doesn't cross its own boundaries.
            let room = BUFFER * 4 - at as usize % (BUFFER * 4);
            let (block, after) = rest.split_at(rest.len().min(room));
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
            at += block.len() as u32;
            rest = after;
        }
        Ok(())
    }
}
