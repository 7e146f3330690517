//! The internal flash behind the NVMC: pages of 1 KiB, words of 4 bytes. The core stands still while it works, so code
//! may run from it.
//!
//! QEMU's model is honest here (stores only clear bits, and only in write mode). This driver refuses words that aren't
//! erased and the bootloader's own pages, and leaves the controller read-only.

use crate::{BOOTLOADER, Microbit};
use board::{Board, NorError, erased, inside, mapped};
use core::ptr;
use cortex_m_start::{read, write};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

const NVMC: usize = 0x4001_e000;
const READY: usize = NVMC + 0x400;
const CONFIG: usize = NVMC + 0x504;
const ERASE_PAGE: usize = NVMC + 0x508;
const PAGE: u32 = 1024;
const LIMITS: (u32, u32) = (BOOTLOADER, Microbit::MAP.secondary.0 + Microbit::MAP.secondary.1);

/// The flash, from address 0.
pub struct Nor(pub(crate) ());

impl Nor {
    /// Waits until the controller is ready, then sets what it allows: 0 nothing, 1 programming, 2 erasing.
    fn allow(mode: u32) {
        // SAFETY: the controller's registers.
        unsafe {
            while read(READY) & 1 == 0 {}
            write(CONFIG, mode);
        }
    }
}

impl ErrorType for Nor {
    type Error = NorError;
}

impl ReadNorFlash for Nor {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        inside(LIMITS, offset, bytes.len(), 1)?;
        // SAFETY: flash that nothing is programming.
        unsafe { mapped(offset as usize, bytes) };
        Ok(())
    }

    fn capacity(&self) -> usize {
        LIMITS.1 as usize
    }
}

impl NorFlash for Nor {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        inside(LIMITS, from, to.saturating_sub(from) as usize, PAGE)?;
        Self::allow(2);
        for page in (from..to).step_by(PAGE as usize) {
            // SAFETY: the controller is ready; the page isn't one that a program runs from.
            unsafe { write(ERASE_PAGE, page) };
            Self::allow(2);
        }
        Self::allow(0);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        inside(LIMITS, offset, bytes.len(), 4)?;
        // SAFETY: aligned words of flash.
        unsafe { erased(offset as usize, bytes.len())? };
        Self::allow(1);
        for (at, word) in (offset as usize..).step_by(4).zip(bytes.chunks_exact(4)) {
            let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            // SAFETY: an aligned, erased word of flash in write mode.
            unsafe { ptr::write_volatile(at as *mut u32, word) };
            Self::allow(1);
        }
        Self::allow(0);
        Ok(())
    }
}
