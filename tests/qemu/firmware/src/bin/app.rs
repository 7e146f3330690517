//! The demo application: a small Modbus-like register server that takes updates while it runs.
//!
//! A request is a line `:R AA CC` in hexadecimal (first register, how many); the answer is `:D` and so many words, or
//! `:E` and a code. Up to 4.1 s7 the server checks against the wrong bound and gives away what lies behind the
//! registers; the patch 4.1 s8 corrects one comparison; the feature update 5.0 adds a register.
#![no_std]
#![no_main]

use board_virt::Uart;
use core::fmt::Write;
use demo_firmware::{Machine, Serial};
use patchlane_device::{Watchdog, Window};

/// What the plant may read.
#[cfg(not(feature = "flow"))]
const REGISTERS: [u16; 4] = [230, 501, 17, 1];
/// What the plant may read: the last one is new.
#[cfg(feature = "flow")]
const REGISTERS: [u16; 5] = [230, 501, 17, 1, 42];
/// What lies behind: nobody's business.
const SECRET: [u16; 4] = [0xdead, 0xbeef, 0xcafe, 0xf00d];

/// Registers and secret, one after the other, as a linker would lay them out.
fn memory(at: usize) -> u16 {
    match REGISTERS.get(at) {
        Some(register) => *register,
        None => SECRET.get(at - REGISTERS.len()).copied().unwrap_or(0),
    }
}

/// How far a request may reach.
#[cfg(feature = "fix")]
const BOUND: usize = REGISTERS.len();
/// How far a request may reach. (CVE-2027-4108: the bound of the buffer, not of the registers.)
#[cfg(not(feature = "fix"))]
const BOUND: usize = REGISTERS.len() + SECRET.len();

fn digit(byte: u8) -> Option<usize> {
    char::from(byte).to_digit(16).map(|digit| digit as usize)
}

/// Answers one request.
fn answer(line: &[u8], top: usize, uart: &mut Uart) {
    if line == b":S" {
        // How deep the stack was since the start: `cargo xtask sizes` asks.
        let _ = write!(uart, ":D{}\r\n", board_virt::used_stack(top));
        return;
    }
    let &[b':', b'R', a, b, c, d] = line else {
        let _ = uart.write_str(":E01\r\n");
        return;
    };
    let (Some(a), Some(b), Some(c), Some(d)) = (digit(a), digit(b), digit(c), digit(d)) else {
        let _ = uart.write_str(":E03\r\n");
        return;
    };
    let (first, count) = (a * 16 + b, c * 16 + d);
    if count == 0 || first + count > BOUND {
        let _ = uart.write_str(":E02\r\n");
        return;
    }
    let _ = uart.write_str(":D");
    for at in first..first + count {
        let _ = write!(uart, "{:04x}", memory(at));
    }
    let _ = uart.write_str("\r\n");
}

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    let mut serial = Serial::new();
    let Some(machine) = demo_firmware::place() else { board_virt::restart() };
    let top = board_virt::paint_stack();
    serial.say(format_args!("application: {} registers, bound {BOUND}", REGISTERS.len()));
    if cfg!(feature = "hang") {
        // A release that doesn't work. The bootloader armed the watchdog; nobody feeds it.
        loop {}
    }
    // The self-test of a demo: half a second without a fault. On trial this confirms; otherwise it changes nothing.
    let healthy = board_virt::millis() + 500;
    while board_virt::millis() < healthy {
        machine.watchdog.feed();
    }
    if machine.confirm().is_ok() {
        say_version(&mut serial, machine);
    }
    // This plant has no hours in which a restart would hurt.
    let _ = machine.window(Window::Open);
    loop {
        machine.watchdog.feed();
        serial.poll(machine, &mut |line, uart| answer(line, top, uart));
    }
}

fn say_version(serial: &mut Serial, machine: &Machine) {
    if let Some(state) = machine.engine().state() {
        serial.say(format_args!("application: {} is confirmed", state.confirmed.version));
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    board_virt::restart()
}
