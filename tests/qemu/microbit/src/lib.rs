//! QEMU's microbit: a Cortex-M0 (nRF51822) with 256 KiB of internal flash, from which everything executes, and 16 KiB
//! of RAM.
//!
//! QEMU's model has no watchdog; this one is made of TIMER0 and the bootloader's interrupt handler, which no application
//! can replace: a Cortex-M0's vector table stays where it is.
#![no_std]

mod nor;

pub use nor::Nor;

use board::{Board, Map};
use core::arch::asm;
use cortex_m_start::{NVIC_CLEAR, NVIC_DISABLE, NVIC_ENABLE, jump, read, reset, write};

const UART: usize = 0x4000_2000;
const TIMER: usize = 0x4000_8000;
/// Moves the time into CC[1].
const CAPTURE: usize = TIMER + 0x44;
const COMPARE: usize = TIMER + 0x140;
const CC: usize = TIMER + 0x540;
/// The event of CC[2].
const ALARM: usize = TIMER + 0x148;
/// Microseconds that the core sleeps at most.
const NAP: u32 = 100_000;
/// The UART's interrupt.
const UART_INTERRUPT: u32 = 1 << 2;
/// TIMER0's interrupt.
const TIMER_INTERRUPT: u32 = 1 << 8;
/// Where the bootloader ends.
const BOOTLOADER: u32 = 0x1_5000;

/// The machine.
pub struct Microbit;

/// What the watchdog was armed with, in microseconds; the application starts with the same.
static mut PERIOD: u32 = 3_000_000;

impl Board for Microbit {
    type Flash = Nor;
    /// Log (three areas of 4 KiB) and receipts (five cells of 3 KiB); slots of 72 KiB.
    const MAP: Map = Map {
        state: (BOOTLOADER, 0x6c00),
        primary: (0x1_bc00, 0x1_2000),
        secondary: (0x2_dc00, 0x1_2400),
        application: 0x1_bc00,
    };
    const CELLS: *mut u32 = 0x2000_3fe0 as *mut u32;

    unsafe fn flash() -> Nor {
        Nor(())
    }

    fn receive() -> Option<u8> {
        uart();
        // SAFETY: the UART's event of a byte received, and the byte.
        unsafe {
            if read(UART + 0x108) == 0 {
                return None;
            }
            write(UART + 0x108, 0);
            Some(read(UART + 0x518) as u8)
        }
    }

    fn send(bytes: &[u8]) {
        uart();
        for byte in bytes {
            // SAFETY: the UART's transmit register, and the event of a byte sent.
            unsafe {
                write(UART + 0x11c, 0);
                write(UART + 0x51c, u32::from(*byte));
                while read(UART + 0x11c) == 0 {}
            }
        }
    }

    fn micros() -> u32 {
        clock();
        // SAFETY: the timer's capture task and register.
        unsafe {
            write(CAPTURE, 1);
            read(CC + 4)
        }
    }

    fn arm(millis: u32) {
        // SAFETY: one thread; then the timer's interrupt of CC[0].
        unsafe {
            PERIOD = millis.saturating_mul(1000);
            Self::feed();
            write(COMPARE, 0);
            write(TIMER + 0x304, 1 << 16);
            write(NVIC_ENABLE, TIMER_INTERRUPT);
        }
    }

    fn feed() {
        let now = Self::micros();
        // SAFETY: one thread; the timer's compare register.
        unsafe { write(CC, now.wrapping_add(PERIOD)) };
    }

    /// Interrupts wake the core, and aren't taken meanwhile.
    fn idle() {
        let alarm = Self::micros().wrapping_add(NAP);
        // SAFETY: interrupts are off while those are on that no handler is there for; CC[2] is the alarm.
        unsafe {
            asm!("cpsid i");
            let enabled = read(NVIC_ENABLE);
            write(CC + 8, alarm);
            write(ALARM, 0);
            write(TIMER + 0x304, 1 << 18);
            write(UART + 0x304, 1 << 2);
            write(NVIC_ENABLE, UART_INTERRUPT | TIMER_INTERRUPT);
            asm!("wfi");
            write(TIMER + 0x308, 1 << 18);
            write(UART + 0x308, 1 << 2);
            write(ALARM, 0);
            Self::feed();
            write(NVIC_DISABLE, (UART_INTERRUPT | TIMER_INTERRUPT) & !enabled);
            write(NVIC_CLEAR, UART_INTERRUPT | TIMER_INTERRUPT);
            asm!("cpsie i");
        }
    }

    /// The vector table has the handlers, and the line starts when it is used first.
    fn start() {}

    fn reset() -> ! {
        reset()
    }

    fn jump(entry: usize) -> ! {
        // SAFETY: the caller verified it.
        unsafe { jump(entry) }
    }
}

/// Starts the UART unless it runs.
fn uart() {
    // SAFETY: the UART's registers: enabled, receiving, transmitting.
    unsafe {
        if read(UART + 0x500) != 4 {
            write(UART + 0x500, 4);
            write(UART, 1);
            write(UART + 8, 1);
        }
    }
}

/// Starts the clock unless it runs: 32 bits at 1 MHz.
fn clock() {
    // SAFETY: TIMER0's registers.
    unsafe {
        if read(TIMER + 0x508) != 3 {
            write(TIMER + 0x508, 3);
            write(TIMER + 0x510, 4);
            write(TIMER, 1);
        }
    }
}
