//! The first instructions, and what the firmware sees of its board.

use core::panic::PanicInfo;

extern "C" {
    static mut data_start: u32;
    static mut data_end: u32;
    static data_load: u32;
    static mut bss_start: u32;
    static mut bss_end: u32;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Lays out RAM, and runs the application.
///
/// # Safety
/// The reset vector's alone.
#[no_mangle]
pub unsafe extern "C" fn reset() -> ! {
    let (mut to, mut from) = (&raw mut data_start, &raw const data_load);
    while to < &raw mut data_end {
        to.write_volatile(from.read_volatile());
        (to, from) = (to.add(1), from.add(1));
    }
    let mut to = &raw mut bss_start;
    while to < &raw mut bss_end {
        to.write_volatile(0);
        to = to.add(1);
    }
    crate::run()
}

/// A fault has nobody to tell.
#[cfg(target_arch = "arm")]
#[no_mangle]
pub extern "C" fn fault() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

#[cfg(target_arch = "arm")]
mod vectors {
    #[repr(C)]
    pub union Vector {
        address: *const u32,
        handler: unsafe extern "C" fn() -> !,
        nothing: u32,
    }
    unsafe impl Sync for Vector {}

    extern "C" {
        static stack_top: u32;
    }

    #[link_section = ".vectors"]
    #[no_mangle]
    pub static VECTORS: [Vector; 16] = {
        let (fault, nothing) = (super::fault, Vector { nothing: 0 });
        [
            Vector { address: &raw const stack_top },
            Vector { handler: super::reset },
            Vector { handler: fault },
            Vector { handler: fault },
            Vector { handler: fault },
            Vector { handler: fault },
            Vector { handler: fault },
            nothing,
            Vector { nothing: 0 },
            Vector { nothing: 0 },
            Vector { nothing: 0 },
            Vector { handler: fault },
            Vector { handler: fault },
            Vector { nothing: 0 },
            Vector { handler: fault },
            Vector { handler: fault },
        ]
    };
}

#[cfg(target_arch = "riscv32")]
core::arch::global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    ".type _start, @function",
    "_start: la sp, stack_top",
    "tail reset",
    ".size _start, . - _start",
);

/// A UART with a data register and a flag that says whether a byte waits.
#[cfg(target_arch = "arm")]
const UART: usize = 0x4000_c000;
#[cfg(target_arch = "riscv32")]
const UART: usize = 0x1000_0000;

#[cfg(target_arch = "arm")]
fn waits() -> bool {
    unsafe { ((UART + 0x18) as *const u32).read_volatile() & 0x10 == 0 }
}
#[cfg(target_arch = "riscv32")]
fn waits() -> bool {
    unsafe { ((UART + 5) as *const u8).read_volatile() & 1 == 1 }
}

/// The next byte of the line.
pub fn receive() -> u8 {
    while !waits() {
        core::hint::spin_loop();
    }
    unsafe { (UART as *const u8).read_volatile() }
}

/// Sends bytes.
pub fn send(bytes: &[u8]) {
    for byte in bytes {
        unsafe { (UART as *mut u8).write_volatile(*byte) }
    }
}
