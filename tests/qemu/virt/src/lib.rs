//! QEMU's riscv32 `virt` machine: what the bootloader and the application touch of it.
//!
//! The only unsafe code of the project: registers, one jump, and the reset vector. The watchdog is made of the core's
//! timer and a trap handler that the bootloader leaves in its RAM.
#![no_std]

pub mod map;
mod nor;

pub use nor::{Nor, NorError};

use core::arch::{asm, global_asm};
use core::ptr;

// The reset vector. An application is linked to lie in flash and to run in RAM, so it first copies itself; the
// bootloader lies in RAM already (the symbols are equal then). Every trap means a fault or a starved watchdog: the
// handler writes the cause where a reset leaves it, and resets.
global_asm!(
    r#"
    .section .start, "ax"
    .globl _start
_start:
    la   sp, _stack_top
    la   t0, _load
    la   t1, _ram
    la   t2, _ram_end
1:  bgeu t1, t2, 2f
    beq  t0, t1, 2f
    lw   t3, 0(t0)
    sw   t3, 0(t1)
    addi t0, t0, 4
    addi t1, t1, 4
    j    1b
2:  la   t1, _bss
    la   t2, _bss_end
3:  bgeu t1, t2, 4f
    sw   zero, 0(t1)
    addi t1, t1, 4
    j    3b
4:  fence.i
    la   t0, main
    jr   t0

    .section .text.trap, "ax"
    .globl board_trap
    .align 2
board_trap:
    csrr t0, mcause
    li   t1, 3
    bgez t0, 5f
    li   t1, 2
5:  li   t2, 0x82000000
    sw   t1, 4(t2)
    li   t0, 0x50415443
    sw   t0, 0(t2)
    li   t0, 0x100000
    li   t1, 0x7777
    sw   t1, 0(t0)
6:  j    6b
"#
);

unsafe extern "C" {
    fn board_trap();
}

const UART: usize = 0x1000_0000;
const FINISHER: *mut u32 = 0x0010_0000 as *mut u32;
const MTIMECMP: *mut u32 = 0x0200_4000 as *mut u32;
const MTIME: *mut u32 = 0x0200_bff8 as *mut u32;
/// Two words of RAM that no program is linked into: a magic number and the cause of the reset.
const CAUSE: *mut u32 = 0x8200_0000 as *mut u32;
const CAUSE_MAGIC: u32 = 0x5041_5443;
/// Ticks of the core's timer in a millisecond.
const TICKS: u64 = 10_000;

/// Why the machine restarted.
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// Reads the cause once; the next reset starts from none.
pub fn take_reset_cause() -> ResetCause {
    // SAFETY: two aligned words of RAM that nothing else uses.
    let (magic, cause) = unsafe { (ptr::read_volatile(CAUSE), ptr::read_volatile(CAUSE.add(1))) };
    // SAFETY: as above.
    unsafe { ptr::write_volatile(CAUSE, 0) };
    match (magic == CAUSE_MAGIC, cause) {
        (true, 1) => ResetCause::Requested,
        (true, 2) => ResetCause::Watchdog,
        (true, 3) => ResetCause::Fault,
        _ => ResetCause::PowerOn,
    }
}

/// What stack that was never used holds.
const PAINT: u32 = 0x5aa5_c33c;
/// Bytes painted below the caller's frame.
const PAINTED: usize = 64 * 1024;

/// Paints the stack below this frame; returns where it begins.
#[inline(never)]
pub fn paint_stack() -> usize {
    let mark = 0u32;
    let top = (&raw const mark as usize & !3) - 256;
    for at in (top - PAINTED..top).step_by(4) {
        // SAFETY: below the stack pointer of a program with megabytes of stack and no interrupts that use it.
        unsafe { ptr::write_volatile(at as *mut u32, PAINT) };
    }
    top
}

/// Bytes of stack used below `top` since it was painted.
pub fn used_stack(top: usize) -> usize {
    let mut at = top - PAINTED;
    // SAFETY: memory of the stack, read only.
    while at < top && unsafe { ptr::read_volatile(at as *const u32) } == PAINT {
        at += 4;
    }
    top - at
}

/// Restarts the machine at software's request.
pub fn restart() -> ! {
    // SAFETY: the cause words as above; the finisher's reset code ends this program.
    unsafe {
        ptr::write_volatile(CAUSE.add(1), 1);
        ptr::write_volatile(CAUSE, CAUSE_MAGIC);
        ptr::write_volatile(FINISHER, 0x7777);
    }
    loop {}
}

/// Milliseconds since the machine started.
pub fn millis() -> u64 {
    ticks() / TICKS
}

fn ticks() -> u64 {
    loop {
        // SAFETY: the core's timer, read high, low, high.
        let (high, low, again) = unsafe {
            (ptr::read_volatile(MTIME.add(1)), ptr::read_volatile(MTIME), ptr::read_volatile(MTIME.add(1)))
        };
        if high == again {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// A watchdog made of the core's timer.
pub struct Watchdog {
    millis: u64,
}

impl Watchdog {
    /// One that resets after so many milliseconds without food.
    pub const fn new(millis: u64) -> Self {
        Self { millis }
    }

    /// Puts off the reset.
    pub fn feed(&mut self) {
        let until = ticks() + self.millis * TICKS;
        // SAFETY: the core's timer compare register; the highest value first, so that no trap comes between.
        unsafe {
            ptr::write_volatile(MTIMECMP.add(1), u32::MAX);
            ptr::write_volatile(MTIMECMP, until as u32);
            ptr::write_volatile(MTIMECMP.add(1), (until >> 32) as u32);
        }
    }

    /// Starts it. Called by the bootloader, whose trap handler stays in place.
    pub fn arm(&mut self) {
        self.feed();
        install_traps();
        // SAFETY: enables the timer interrupt; its handler is installed.
        unsafe {
            asm!("csrs mie, {0}", "csrs mstatus, {1}", in(reg) 1usize << 7, in(reg) 1usize << 3);
        }
    }
}

/// Lets faults restart the machine, and be told from other restarts.
pub fn install_traps() {
    // SAFETY: the handler is aligned, touches no stack and never returns.
    unsafe { asm!("csrw mtvec, {0}", in(reg) board_trap as *const () as usize) };
}

/// The serial port, polled.
pub struct Uart;

impl Uart {
    /// A byte, if one has come.
    pub fn read(&mut self) -> Option<u8> {
        // SAFETY: a 16550's line status and receive registers.
        unsafe {
            let ready = ptr::read_volatile((UART + 5) as *const u8) & 1 == 1;
            ready.then(|| ptr::read_volatile(UART as *const u8))
        }
    }

    /// Sends bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // SAFETY: a 16550's line status and transmit registers.
            unsafe {
                while ptr::read_volatile((UART + 5) as *const u8) & 0x20 == 0 {}
                ptr::write_volatile(UART as *mut u8, *byte);
            }
        }
    }
}

impl core::fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

/// Runs the program that begins at `address`; its own startup sets up everything else.
pub fn jump(address: usize) -> ! {
    // SAFETY: the caller verified what lies there. Interrupts stay as they are: the watchdog is running.
    unsafe { asm!("fence.i", "jr {0}", in(reg) address, options(noreturn)) }
}
