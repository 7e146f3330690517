//! The demo application. Where it has room it takes updates while it runs, and holds the verifier for that; on a small
//! part it asks the bootloader for its service mode, and the verifier is on the part once.
#![no_std]
#![no_main]

use board::pause;
use demo_firmware::registers::{BOUND, REGISTERS, answer};
use demo_firmware::{Board, Here, Serial, answer_stack, say};

/// The self-test of a demo, in milliseconds without a fault.
const HEALTHY: u32 = 50;

static mut SERIAL: Serial = Serial::new();

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    // SAFETY: once in this program.
    let serial = unsafe { &mut *core::ptr::addr_of_mut!(SERIAL) };
    say(format_args!("application: {} registers, bound {BOUND}", REGISTERS.len()));
    if cfg!(feature = "hang") {
        // A release that doesn't work. The bootloader armed the watchdog; nobody feeds it.
        loop {}
    }
    work(serial)
}

#[cfg(not(feature = "microbit"))]
fn work(serial: &mut Serial) -> ! {
    use demo_firmware::plan::{self, Event};
    use patchlane_device::Window;
    let Some(machine) = demo_firmware::place() else { Here::restart() };
    let top = board::paint_stack();
    // On trial this confirms; otherwise it changes nothing.
    pause::<Here>(HEALTHY);
    if machine.confirm().is_ok() {
        if let Some(state) = machine.engine().state() {
            say(format_args!("application: {} is confirmed", state.confirmed.version));
            plan::reached(Event::Confirmed);
        }
    }
    // This plant has no hours in which a restart would hurt.
    let _ = machine.window(Window::Open);
    loop {
        Here::feed();
        serial.poll(machine, &mut |line, to| match line {
            b":S" => answer_stack(to, top),
            _ => answer(line, to),
        });
    }
}

#[cfg(feature = "microbit")]
fn work(serial: &mut Serial) -> ! {
    use demo_firmware::{Cells, Request};
    let top = board::paint_stack();
    pause::<Here>(HEALTHY);
    if Here::cells().take(Cells::RUNNING) == 1 {
        Request::Confirm.restart();
    }
    say(format_args!("application: what runs is confirmed"));
    loop {
        Here::feed();
        let frame = serial.begins_frame(&mut |line, to| match line {
            b":S" => answer_stack(to, top),
            b":U" => Request::Service.restart(),
            _ => answer(line, to),
        });
        // Whoever sends it sends it again.
        if frame {
            Request::Service.restart();
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    Here::restart()
}
