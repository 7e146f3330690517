//! What the Cortex-M boards have in common: reset vector, faults, reset, the jump.
//!
//! The bootloader's vector table stays in force while the application runs (a Cortex-M0 has no other). Every exception
//! means a fault, and every interrupt a starved watchdog: the handler writes the cause where a reset leaves it
//! (`board::Cells`, at the linker script's `_cells`), and resets.
#![no_std]

use core::arch::{asm, global_asm};
use core::ptr;

global_asm!(
    r#"
    .syntax unified
    .section .vectors, "a"
    .word _stack_top
    .word board_start
    .word _image_length
    .rept 45
    .word board_trap
    .endr

    .section .start, "ax"
    .globl board_start
    .thumb_func
board_start:
    ldr  r0, =_load
    ldr  r1, =_ram
    ldr  r2, =_ram_end
1:  cmp  r1, r2
    bhs  2f
    cmp  r0, r1
    beq  2f
    ldr  r3, [r0]
    str  r3, [r1]
    adds r0, #4
    adds r1, #4
    b    1b
2:  movs r3, #0
    ldr  r1, =_bss
    ldr  r2, =_bss_end
3:  cmp  r1, r2
    bhs  4f
    str  r3, [r1]
    adds r1, #4
    b    3b
4:  ldr  r0, =main
    bx   r0

    .globl board_trap
    .thumb_func
board_trap:
    mrs  r0, ipsr
    movs r1, #3
    cmp  r0, #16
    blo  5f
    movs r1, #2
5:  ldr  r2, =_cells
    str  r1, [r2, #4]
    ldr  r0, =0x50415443
    str  r0, [r2]
    ldr  r0, =0xe000ed0c
    ldr  r1, =0x05fa0004
    str  r1, [r0]
6:  b    6b
    .ltorg
"#
);

/// Registers that enable interrupts 0 to 31, disable them, and clear those that are pending.
pub const NVIC_ENABLE: usize = 0xe000_e100;
/// See [`NVIC_ENABLE`].
pub const NVIC_DISABLE: usize = 0xe000_e180;
/// See [`NVIC_ENABLE`].
pub const NVIC_CLEAR: usize = 0xe000_e280;
/// The core's own exceptions that are pending; bit 25 clears its timer's.
pub const PENDING: usize = 0xe000_ed04;
const AIRCR: *mut u32 = 0xe000_ed0c as *mut u32;

/// Reads a register.
///
/// # Safety
/// `address` is a register whose reading has no effect that the caller doesn't want.
pub unsafe fn read(address: usize) -> u32 {
    // SAFETY: the caller's.
    unsafe { ptr::read_volatile(address as *const u32) }
}

/// Writes a register.
///
/// # Safety
/// `address` is a register, and nothing breaks by what is written.
pub unsafe fn write(address: usize, value: u32) {
    // SAFETY: the caller's.
    unsafe { ptr::write_volatile(address as *mut u32, value) };
}

/// SYSRESETREQ.
pub fn reset() -> ! {
    // SAFETY: it ends this program.
    unsafe { ptr::write_volatile(AIRCR, 0x05fa_0004) };
    loop {}
}

/// Runs the program whose vector table lies at `table`.
///
/// # Safety
/// What lies there was verified.
pub unsafe fn jump(table: usize) -> ! {
    // SAFETY: the caller's; the program's own startup sets up everything else. Interrupts stay as they are: a watchdog may
    // be made of one.
    unsafe {
        let (stack, start) = (read(table), read(table + 4));
        asm!("msr msp, {0}", "bx {1}", in(reg) stack, in(reg) start, options(noreturn))
    }
}
