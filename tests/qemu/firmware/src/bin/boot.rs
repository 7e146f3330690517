//! The bootloader: decides what boots, moves blocks if need be, and takes bundles itself when nothing can run, or when
//! the application asks for it.
#![no_std]
#![no_main]

use demo_firmware::plan::{self, Event};
use demo_firmware::{Board, Cells, Here, Machine, Request, Serial, answer_stack, cause, say};
use patchlane_device::{Boot, Running, Window};

static mut SERIAL: Serial = Serial::new();

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    Here::start();
    let Some(machine) = demo_firmware::place() else { Here::restart() };
    let (why, request) = (cause(), Request::take());
    let top = board::paint_stack();
    if machine.open().is_ok() {
        if let Some(state) = machine.engine().state() {
            say(format_args!("bootloader: {why:?}, {:?}", state.phase));
        }
    }
    let begun = Here::micros();
    let boot = machine.boot(why);
    let took = Here::micros().wrapping_sub(begun);
    match machine.media.moved() {
        Some(moved) => say(format_args!("bootloader: {took} us, moved in {moved} us")),
        None => say(format_args!("bootloader: {took} us")),
    }
    match boot {
        Ok(Boot::Run(_)) if request == Request::Service => {
            say(format_args!("bootloader: service mode: the application asks for it"));
            // It was the application that let someone in: now is fine for a patch, too.
            let _ = machine.window(Window::Open);
            serve(machine, top)
        }
        Ok(Boot::Run(running)) => run(machine, running, request, top),
        Ok(Boot::Service(reason)) => {
            say(format_args!("bootloader: service mode: {reason}"));
            serve(machine, top)
        }
        Err(_) => Here::restart(),
    }
}

fn run(machine: &mut Machine, running: Running, request: Request, top: usize) -> ! {
    let mut on_trial = running == Running::Trial;
    if on_trial && request == Request::Confirm && machine.confirm().is_ok() {
        on_trial = false;
        say(format_args!("bootloader: the trial is over"));
        plan::reached(Event::Confirmed);
    }
    say(format_args!("bootloader: {} bytes of stack", board::used_stack(top)));
    say(format_args!("bootloader: runs {running:?}"));
    if on_trial {
        plan::reached(Event::Trial);
    }
    Here::cells().set(Cells::RUNNING, u32::from(on_trial));
    Here::jump(machine.entry(Here::MAP.application))
}

fn serve(machine: &mut Machine, top: usize) -> ! {
    // SAFETY: once in this program.
    let serial = unsafe { &mut *core::ptr::addr_of_mut!(SERIAL) };
    loop {
        Here::feed();
        serial.poll(machine, &mut |line, to| {
            if line == b":S" {
                answer_stack(to, top);
            } else {
                to.print(format_args!(":E04\r\n"));
            }
        });
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    Here::restart()
}
