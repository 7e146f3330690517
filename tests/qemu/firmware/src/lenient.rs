//! What QEMU's flash models let pass and chips don't: the drivers refuse it. `:V` tries.

use crate::{Board, Flash, Here, Line};
use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind};
use embedded_storage::nor_flash::{NorFlashError, ReadNorFlash};

/// Tries what has to be refused, and says how much of it was: nothing of it touches flash.
pub fn tell(to: &mut Line) {
    // SAFETY: one thread, and whoever else has the flash waits for this answer.
    let mut flash = unsafe { Here::flash() };
    let sector = <Flash as NorFlash>::ERASE_SIZE as u32;
    let (begin, end) = (Here::MAP.primary.0, flash.capacity() as u32);
    let kind = |result: Result<(), <Flash as embedded_storage::nor_flash::ErrorType>::Error>| {
        result.map_err(|error| error.kind()).err()
    };
    let tried = [
        // A model erases from there on, or the sector around it.
        (kind(flash.erase(begin + 4, begin + 4 + sector)), NorFlashErrorKind::NotAligned),
        (kind(flash.erase(begin, begin + sector / 2)), NorFlashErrorKind::NotAligned),
        (kind(flash.write(begin + 1, &[0; 4])), NorFlashErrorKind::NotAligned),
        (kind(flash.write(begin, &[0; 3])), NorFlashErrorKind::NotAligned),
        (kind(flash.erase(end, end + sector)), NorFlashErrorKind::OutOfBounds),
        (kind(flash.write(end, &[0; 4])), NorFlashErrorKind::OutOfBounds),
        // What runs isn't erased: bits may be cleared there, on a lenient chip, or set, on one more lenient still.
        (kind(flash.write(begin, &[0; 4])), NorFlashErrorKind::Other),
        (kind(flash.write(begin, &[0xff; 4])), NorFlashErrorKind::Other),
    ];
    let refused = tried.iter().filter(|(got, wanted)| *got == Some(*wanted)).count();
    to.print(format_args!(":D{}\r\n", tried.len() - refused));
}
