//! How deep a stack was.

use core::ptr;

unsafe extern "C" {
    /// Where the stack ends, says the linker script.
    static _stack_end: u8;
}

/// What stack that was never used holds.
const PAINT: u32 = 0x5aa5_c33c;
/// Bytes above the painted ones: the painter's own frame, with room.
const MARGIN: usize = 64;

/// Paints the stack below this frame; returns where it begins.
#[inline(never)]
pub fn paint_stack() -> usize {
    let mark = 0u32;
    let top = (&raw const mark as usize & !3) - MARGIN;
    for at in (bottom()..top).step_by(4) {
        // SAFETY: below the stack pointer, above the stack's end, and nothing else is there.
        unsafe { ptr::write_volatile(at as *mut u32, PAINT) };
    }
    top
}

fn bottom() -> usize {
    &raw const _stack_end as usize
}

/// Bytes of stack used below `top` since it was painted.
pub fn used_stack(top: usize) -> usize {
    let mut at = bottom();
    // SAFETY: memory of the stack, read only.
    while at < top && unsafe { ptr::read_volatile(at as *const u32) } == PAINT {
        at += 4;
    }
    top - at + MARGIN
}
