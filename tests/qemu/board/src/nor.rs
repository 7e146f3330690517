//! What every driver checks before it touches its chip. QEMU's models are lenient where chips aren't: a driver that
//! relies on them works nowhere else.

use embedded_storage::nor_flash::{NorFlashError, NorFlashErrorKind};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NorError {
    /// Not aligned.
    Alignment,
    /// Beyond the end of what the firmware may touch.
    Bounds,
    /// A word is programmed a second time: it wasn't erased.
    NotErased,
    /// The chip reports an error, isn't ready, or isn't the one that it should be.
    Status,
}

impl NorFlashError for NorError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Alignment => NorFlashErrorKind::NotAligned,
            Self::Bounds => NorFlashErrorKind::OutOfBounds,
            Self::NotErased | Self::Status => NorFlashErrorKind::Other,
        }
    }
}

/// Checks that an access is aligned and lies between `from` and `to`.
///
/// # Errors
/// `Alignment`, `Bounds`.
pub fn inside((from, to): (u32, u32), at: u32, length: usize, align: u32) -> Result<(), NorError> {
    let length = u32::try_from(length).map_err(|_| NorError::Bounds)?;
    let end = at.checked_add(length).ok_or(NorError::Bounds)?;
    if at % align != 0 || length % align != 0 {
        Err(NorError::Alignment)
    } else if at < from || end > to {
        Err(NorError::Bounds)
    } else {
        Ok(())
    }
}

/// Reads memory-mapped flash.
///
/// # Safety
/// `address` and as many bytes from there on are flash in reading mode.
pub unsafe fn mapped(address: usize, bytes: &mut [u8]) {
    for (at, byte) in (address..).zip(bytes) {
        // SAFETY: the caller's.
        *byte = unsafe { core::ptr::read_volatile(at as *const u8) };
    }
}

/// Checks that memory-mapped flash is erased where it is to be programmed: words are programmed once.
///
/// # Errors
/// `NotErased`.
///
/// # Safety
/// `address` and `length` are aligned words of flash in reading mode.
pub unsafe fn erased(address: usize, length: usize) -> Result<(), NorError> {
    // SAFETY: the caller's.
    let is_blank = |at| unsafe { core::ptr::read_volatile(at as *const u32) } == u32::MAX;
    if (address..address + length).step_by(4).all(is_blank) { Ok(()) } else { Err(NorError::NotErased) }
}
