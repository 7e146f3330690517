//! The SPI-NOR (w25q32: 4 MiB, sectors of 4 KiB, pages of 256 bytes) behind the flash memory controller.
//!
//! QEMU's model programs across page boundaries, erases from where it is told, keeps the write enable latch for ever and
//! is never busy. A chip wraps, aligns, forgets and takes its time. So this driver splits at pages, refuses what isn't
//! aligned, sets the latch before each operation and reads it back, waits, and refuses words that aren't erased. It clears
//! the latch after each operation (the model does that if it is told to), so that an operation before which it isn't set is
//! noticed here, too. It asks the chip who it is before it writes anything.

use crate::{Ast1030, WINDOW};
use board::{Board, NorError, erased, inside, mapped};
use core::ptr;
use cortex_m_start::{read, write};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

const CONTROLLER: usize = 0x7e62_0000;
const CONTROL: usize = CONTROLLER + 0x10;
/// Chip select 0 may be written to.
const WRITE_ENABLE: u32 = 1 << 16;
/// Bytes go to and from the chip as they are; it is selected.
const USER: u32 = 3;
/// The same; it isn't selected.
const USER_IDLE: u32 = 7;
/// The window shows the chip's contents.
const MAPPED: u32 = 0;

const LENGTH: u32 = Ast1030::MAP.secondary.0 + Ast1030::MAP.secondary.1;
const SECTOR: u32 = 4096;
const PAGE: usize = 256;
/// Winbond, w25q32.
const IDENTITY: [u8; 3] = [0xef, 0x40, 0x16];
const BUSY: u8 = 1;
const LATCH: u8 = 2;

/// The chip.
pub struct Nor {
    identified: bool,
}

impl Nor {
    pub(crate) const fn new() -> Self {
        Self { identified: false }
    }

    /// One command: selects the chip, sends, receives, and lets go.
    fn command(send: &[&[u8]], receive: &mut [u8]) {
        // SAFETY: the controller's registers, and its window in user mode.
        unsafe {
            write(CONTROLLER, read(CONTROLLER) | WRITE_ENABLE);
            write(CONTROL, USER_IDLE);
            write(CONTROL, USER);
            for byte in send.iter().flat_map(|bytes| bytes.iter()) {
                ptr::write_volatile(WINDOW as *mut u8, *byte);
            }
            for byte in receive {
                *byte = ptr::read_volatile(WINDOW as *const u8);
            }
            write(CONTROL, USER_IDLE);
            write(CONTROL, MAPPED);
        }
    }

    fn status() -> u8 {
        let mut status = [0];
        Self::command(&[&[0x05]], &mut status);
        status[0]
    }

    /// Waits until the chip has done it, and closes it: the model doesn't forget by itself that it is open.
    fn lock() {
        Self::wait();
        Self::command(&[&[0x04]], &mut []);
    }

    /// Waits until the chip is ready, and opens it for one operation.
    fn unlock(&mut self) -> Result<(), NorError> {
        if !self.identified {
            let mut identity = [0; 3];
            Self::command(&[&[0x9f]], &mut identity);
            self.identified = identity == IDENTITY;
        }
        Self::wait();
        Self::command(&[&[0x06]], &mut []);
        if self.identified && Self::status() & LATCH != 0 { Ok(()) } else { Err(NorError::Status) }
    }

    fn wait() {
        while Self::status() & BUSY != 0 {
            Ast1030::feed();
        }
    }

    fn addressed(command: u8, at: u32) -> [u8; 4] {
        let [_, a, b, c] = at.to_be_bytes();
        [command, a, b, c]
    }
}

impl ErrorType for Nor {
    type Error = NorError;
}

impl ReadNorFlash for Nor {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        inside((0, LENGTH), offset, bytes.len(), 1)?;
        // SAFETY: inside the window, which is mapped between operations.
        unsafe { mapped(WINDOW + offset as usize, bytes) };
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
            self.unlock()?;
            Self::command(&[&Self::addressed(0x20, sector)], &mut []);
            Self::lock();
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        inside((0, LENGTH), offset, bytes.len(), 4)?;
        // SAFETY: inside the window, aligned, and mapped.
        unsafe { erased(WINDOW + offset as usize, bytes.len())? };
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let room = PAGE - at as usize % PAGE;
            let (page, after) = rest.split_at(rest.len().min(room));
            self.unlock()?;
            Self::command(&[&Self::addressed(0x02, at), page], &mut []);
            Self::lock();
            at += page.len() as u32;
            rest = after;
        }
        Ok(())
    }
}
