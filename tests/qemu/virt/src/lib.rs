//! QEMU's riscv32 `virt` machine. The watchdog is made of the core's timer and a trap handler that the bootloader
//! leaves in its RAM.
#![no_std]

mod nor;

pub use nor::Nor;

use board::{Board, Map};
use core::arch::{asm, global_asm};
use core::ptr;

// The reset vector; programs lie in RAM already. An application begins with a jump to it, and says how long it is. Every
// trap means a fault or a starved watchdog: the handler writes the cause where a reset leaves it (`Cells::set_cause`),
// and resets.
global_asm!(
    r#"
    .section .header, "ax"
    .option push
    .option norvc
    j _start
    .option pop
    .word _image_length

    .section .start, "ax"
    .globl _start
_start:
    la   sp, _stack_top
    la   t1, _bss
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
/// The interrupt controller: the UART's priority, what it enables for this core, and what it hands out.
const UART_PRIORITY: *mut u32 = (0x0c00_0000 + 10 * 4) as *mut u32;
const ENABLED: *mut u32 = 0x0c00_2000 as *mut u32;
const CLAIM: *mut u32 = 0x0c20_0004 as *mut u32;
/// Interrupts of the timer, and from outside.
const MTI: usize = 1 << 7;
const MEI: usize = 1 << 11;
/// Ticks that the core sleeps at most.
const NAP: u64 = 100 * TICKS;
const FINISHER: *mut u32 = 0x0010_0000 as *mut u32;
const MTIMECMP: *mut u32 = 0x0200_4000 as *mut u32;
const MTIME: *mut u32 = 0x0200_bff8 as *mut u32;
/// Address of the flash: pflash bank 1.
const FLASH: usize = 0x2200_0000;
/// Where applications run, and how far they may reach.
const APPLICATION: usize = 0x8100_0000;
const APPLICATION_MAX: usize = 0x8_0000;
/// Bytes of a sector.
const SECTOR: u32 = 256 * 1024;
/// Ticks of the core's timer in a millisecond.
const TICKS: u64 = 10_000;

/// The machine.
pub struct Virt;

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

fn set_alarm(at: u64) {
    // SAFETY: the core's timer compare register; the highest value first, so that no trap comes between.
    unsafe {
        ptr::write_volatile(MTIMECMP.add(1), u32::MAX);
        ptr::write_volatile(MTIMECMP, at as u32);
        ptr::write_volatile(MTIMECMP.add(1), (at >> 32) as u32);
    }
}

/// What the watchdog was armed with, in ticks; the application sets it anew.
static mut PERIOD: u64 = 3_000 * TICKS;

impl Board for Virt {
    type Flash = Nor;
    /// Log (three areas) and receipts (five cells), a sector each; slots of two sectors.
    const MAP: Map = Map {
        state: (0, 8 * SECTOR),
        primary: (8 * SECTOR, 2 * SECTOR),
        secondary: (10 * SECTOR, 3 * SECTOR),
        application: FLASH + 8 * SECTOR as usize,
    };
    const CELLS: *mut u32 = 0x8200_0000 as *mut u32;

    unsafe fn flash() -> Nor {
        Nor(())
    }

    fn receive() -> Option<u8> {
        // SAFETY: a 16550's line status and receive registers.
        unsafe {
            let ready = ptr::read_volatile((UART + 5) as *const u8) & 1 == 1;
            ready.then(|| ptr::read_volatile(UART as *const u8))
        }
    }

    fn send(bytes: &[u8]) {
        for byte in bytes {
            // SAFETY: a 16550's line status and transmit registers.
            unsafe {
                while ptr::read_volatile((UART + 5) as *const u8) & 0x20 == 0 {}
                ptr::write_volatile(UART as *mut u8, *byte);
            }
        }
    }

    fn micros() -> u32 {
        (ticks() / (TICKS / 1000)) as u32
    }

    fn arm(millis: u32) {
        // SAFETY: one thread.
        unsafe { PERIOD = u64::from(millis) * TICKS };
        Self::feed();
        // SAFETY: enables the timer interrupt; its handler is installed.
        unsafe {
            asm!("csrs mie, {0}", "csrs mstatus, {1}", in(reg) MTI, in(reg) 1usize << 3);
        }
    }

    fn feed() {
        // SAFETY: one thread.
        set_alarm(ticks() + unsafe { PERIOD });
    }

    /// Interrupts wake the core, and aren't taken meanwhile.
    fn idle() {
        let (enabled, wanted): (usize, usize);
        // SAFETY: interrupts are off while those are on that no handler is there for.
        unsafe {
            asm!("csrrci {0}, mstatus, 8", out(reg) enabled);
            asm!("csrr {0}, mie", out(reg) wanted);
            set_alarm(ticks() + NAP);
            asm!("csrs mie, {0}", "wfi", in(reg) MTI | MEI);
            Self::feed();
            ptr::write_volatile(CLAIM, ptr::read_volatile(CLAIM));
            asm!("csrw mie, {0}", "csrs mstatus, {1}", in(reg) wanted, in(reg) enabled & 8);
        }
    }

    fn start() {
        // SAFETY: a 16550's FIFO control and interrupt registers, the interrupt controller; the handler is aligned, touches no
        // stack and never returns.
        unsafe {
            ptr::write_volatile((UART + 2) as *mut u8, 1);
            ptr::write_volatile((UART + 1) as *mut u8, 1);
            ptr::write_volatile(UART_PRIORITY, 1);
            ptr::write_volatile(ENABLED, 1 << 10);
            asm!("csrw mtvec, {0}", in(reg) board_trap as *const () as usize);
        }
    }

    fn reset() -> ! {
        // SAFETY: the finisher's reset code ends this program.
        unsafe { ptr::write_volatile(FINISHER, 0x7777) };
        loop {}
    }

    /// The bootloader copies the image: QEMU keeps what it translated of flash, also when that has changed, so nothing may
    /// run from there. Interrupts stay as they are: the watchdog is running.
    fn jump(entry: usize) -> ! {
        let image = entry as *const u32;
        // SAFETY: a verified image in flash, which is in reading mode; RAM that no bootloader is linked into; and the image's
        // own startup sets up everything else.
        unsafe {
            let length = (ptr::read_volatile(image.wrapping_add(1)) as usize).min(APPLICATION_MAX);
            for at in 0..length / 4 {
                ptr::write_volatile(
                    (APPLICATION as *mut u32).add(at),
                    ptr::read_volatile(image.wrapping_add(at)),
                );
            }
            asm!("fence.i", "jr {0}", in(reg) APPLICATION, options(noreturn))
        }
    }
}
