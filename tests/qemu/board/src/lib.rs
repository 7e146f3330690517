//! What bootloader and application want of a board, and what its RAM keeps over a reset.
//!
//! Boards are the only unsafe code of the project: registers, one jump, the reset vector.
#![no_std]

mod cells;
mod nor;
mod stack;

pub use cells::Cells;
pub use nor::{NorError, erased, inside, mapped};
pub use stack::{paint_stack, used_stack};

use embedded_storage::nor_flash::NorFlash;

/// Where things lie on the board's flash: offset and length, in bytes. `tests/src/board/models.rs` has the same numbers
/// for the host (checked by every scenario: a device provisioned elsewhere doesn't boot).
#[derive(Clone, Copy)]
pub struct Map {
    /// Log and receipts.
    pub state: (u32, u32),
    /// What runs.
    pub primary: (u32, u32),
    /// What is received, or ran before: one block more.
    pub secondary: (u32, u32),
    /// The address that images are linked for.
    pub application: usize,
}

/// Why the machine restarted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetCause {
    /// Power came on: RAM holds no cause.
    PowerOn,
    /// Software asked.
    Requested,
    /// The watchdog wasn't fed.
    Watchdog,
    /// The core met a fault.
    Fault,
}

/// A board. Its functions are called by one thread, outside of interrupts.
pub trait Board {
    /// The driver of its flash.
    type Flash: NorFlash;
    /// Where things lie.
    const MAP: Map;
    /// Words of RAM that no program is linked into, and that a reset leaves alone.
    const CELLS: *mut u32;

    /// The flash.
    ///
    /// # Safety
    /// At most one at a time, in a program that doesn't run from what it erases.
    unsafe fn flash() -> Self::Flash;
    /// A byte from the serial line, if one has come.
    fn receive() -> Option<u8>;
    /// Sends bytes.
    fn send(bytes: &[u8]);
    /// A clock in microseconds that wraps.
    fn micros() -> u32;
    /// Starts the watchdog; it can't be stopped.
    fn arm(millis: u32);
    /// Puts off its reset.
    fn feed();
    /// What the bootloader does first: the serial line takes bytes in while nobody looks, and faults restart the machine,
    /// to be told from other restarts.
    fn start();
    /// Sleeps until a byte has come, or for a while, and feeds the watchdog. A processor that asks the line without end
    /// would also leave QEMU little time to fetch a byte.
    fn idle();
    /// Resets the machine.
    fn reset() -> !;
    /// Runs the image that begins at `entry`: [`Map::application`], or where no code lies if it wasn't verified; that ends in
    /// a fault.
    fn jump(entry: usize) -> !;

    /// The words that a reset leaves alone.
    fn cells() -> Cells {
        Cells::at(Self::CELLS)
    }
    /// Restarts at software's request.
    fn restart() -> ! {
        Self::cells().set_cause(ResetCause::Requested);
        Self::reset()
    }
    /// Reads the cause once; the next reset starts from none.
    fn take_cause() -> ResetCause {
        Self::cells().take_cause()
    }
}

/// Waits, and feeds the watchdog meanwhile.
pub fn pause<B: Board>(millis: u32) {
    let begun = B::micros();
    while B::micros().wrapping_sub(begun) < millis.saturating_mul(1000) {
        B::feed();
    }
}
