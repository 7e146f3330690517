//! The bootloader: decides what boots, moves blocks if need be, and takes bundles itself when nothing can run.
#![no_std]
#![no_main]

use board_virt::map;
use demo_firmware::{Serial, cause};
use patchlane_device::Boot;

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    board_virt::install_traps();
    let mut serial = Serial::new();
    let Some(machine) = demo_firmware::place() else { board_virt::restart() };
    let why = cause();
    let top = board_virt::paint_stack();
    if machine.open().is_ok() {
        if let Some(state) = machine.engine().state() {
            serial.say(format_args!("bootloader: {why:?}, {:?}", state.phase));
        }
    }
    match machine.boot(why) {
        Ok(Boot::Run(running)) => {
            serial.say(format_args!("bootloader: {} bytes of stack", board_virt::used_stack(top)));
            serial.say(format_args!("bootloader: runs {running:?}"));
            board_virt::jump(map::APPLICATION)
        }
        Ok(Boot::Service(reason)) => {
            serial.say(format_args!("bootloader: service mode: {reason}"));
            loop {
                serial.poll(machine, &mut |_, _| {});
            }
        }
        Err(_) => board_virt::restart(),
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    board_virt::restart()
}
