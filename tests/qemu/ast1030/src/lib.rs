//! QEMU's ast1030-evb: a Cortex-M4 that runs from SRAM, a w25q32 SPI-NOR behind the flash memory controller, and a
//! watchdog of its own in hardware.
//!
//! The chip's boot ROM copies the bootloader to SRAM (`-kernel`); the bootloader copies the application there. The chip
//! doesn't say why it was reset, so the word that says it is written in advance: a reset that nobody announced is the
//! watchdog's.
#![no_std]

mod nor;

pub use nor::Nor;

use board::{Board, Map, ResetCause};
use core::arch::asm;
use core::ptr;
use cortex_m_start::{NVIC_CLEAR, NVIC_DISABLE, NVIC_ENABLE, PENDING, jump, read, reset, write};

const UART: usize = 0x7e78_4000;
const UART_STATUS: usize = UART + 0x14;
/// The UART's interrupt.
const UART_INTERRUPT: u32 = 1 << 8;
/// The core's own timer, and its longest time: some 80 ms.
const SYSTICK: usize = 0xe000_e010;
const NAP: u32 = 0xff_ffff;
const TIMER: usize = 0x7e78_2000;
const TIMER_CONTROL: usize = TIMER + 0x30;
const WATCHDOG: usize = 0x7e78_5000;
/// Where the controller shows the flash.
const WINDOW: usize = 0x8000_0000;
/// Where applications run, and how far they may reach.
const APPLICATION: usize = 0x0004_0000;
const APPLICATION_MAX: usize = 0x0006_0000;

/// The machine.
pub struct Ast1030;

impl Board for Ast1030 {
    type Flash = Nor;
    /// Log (three areas) and receipts (five cells), a sector each; slots of 32 sectors.
    const MAP: Map = Map {
        state: (0, 0x8000),
        primary: (0x1_0000, 0x2_0000),
        secondary: (0x4_0000, 0x2_1000),
        application: WINDOW + 0x1_0000,
    };
    const CELLS: *mut u32 = 0x000b_ff00 as *mut u32;

    unsafe fn flash() -> Nor {
        Nor::new()
    }

    fn receive() -> Option<u8> {
        // SAFETY: a 16550's line status and receive registers, four bytes apart.
        unsafe { (read(UART_STATUS) & 1 == 1).then(|| read(UART) as u8) }
    }

    fn send(bytes: &[u8]) {
        for byte in bytes {
            // SAFETY: a 16550's line status and transmit registers.
            unsafe {
                while read(UART_STATUS) & 0x20 == 0 {}
                write(UART, u32::from(*byte));
            }
        }
    }

    /// Timer 1 counts down at 1 MHz.
    fn micros() -> u32 {
        // SAFETY: the timer's registers.
        unsafe {
            if read(TIMER_CONTROL) & 1 == 0 {
                write(TIMER + 4, u32::MAX);
                write(TIMER_CONTROL, 3);
            }
            u32::MAX - read(TIMER)
        }
    }

    fn arm(millis: u32) {
        Self::cells().set_cause(ResetCause::Watchdog);
        // SAFETY: reload value at 1 MHz, restart, and enabled with a reset of the system.
        unsafe {
            write(WATCHDOG + 4, millis.saturating_mul(1000));
            write(WATCHDOG + 8, 0x4755);
            write(WATCHDOG + 12, 0x13);
        }
    }

    fn feed() {
        // SAFETY: the restart register.
        unsafe { write(WATCHDOG + 8, 0x4755) };
    }

    /// Interrupts wake the core, and aren't taken meanwhile.
    fn idle() {
        Self::feed();
        // SAFETY: interrupts are off while those are on that no handler is there for.
        unsafe {
            asm!("cpsid i");
            write(SYSTICK + 4, NAP);
            write(SYSTICK + 8, 0);
            write(SYSTICK, 7);
            write(NVIC_ENABLE, UART_INTERRUPT);
            asm!("wfi");
            write(NVIC_DISABLE, UART_INTERRUPT);
            write(SYSTICK, 0);
            write(NVIC_CLEAR, UART_INTERRUPT);
            write(PENDING, 1 << 25);
            asm!("cpsie i");
        }
        Self::feed();
    }

    /// The vector table has the handlers.
    fn start() {
        // SAFETY: a 16550's FIFO control and interrupt registers.
        unsafe {
            write(UART + 8, 1);
            write(UART + 4, 1);
        }
    }

    fn reset() -> ! {
        reset()
    }

    fn jump(entry: usize) -> ! {
        // SAFETY: a verified image in the window, which is in reading mode; SRAM that no bootloader is linked into.
        unsafe {
            let length = (read(entry.wrapping_add(8)) as usize).min(APPLICATION_MAX);
            for at in (0..length).step_by(4) {
                let word = read(entry.wrapping_add(at));
                ptr::write_volatile((APPLICATION + at) as *mut u32, word);
            }
            jump(APPLICATION)
        }
    }
}
