//! What bootloader and application share: the device, its link, and how they restart.
#![no_std]

mod lenient;
pub mod plan;
pub mod registers;
mod serial;
mod witness;

pub use board::{Board, Cells};
pub use serial::{Answers, Line, Serial, say};
pub use witness::Witness;

use patchlane_device::protocol::link::Command;
use patchlane_device::protocol::owner::Action;
use patchlane_device::service::Application;
use patchlane_device::{Cause, Config, Device, Layout, LayoutError, NoCounter, Place, Single, Watchdog};

#[cfg(feature = "ast1030-evb")]
pub use board_ast1030::Ast1030 as Here;
#[cfg(feature = "microbit")]
pub use board_microbit::Microbit as Here;
#[cfg(feature = "virt")]
pub use board_virt::Virt as Here;

/// The device on this board.
pub type Machine = Device<Witness, BoardWatchdog>;
type Flash = <Here as Board>::Flash;

/// The watchdog's time, in milliseconds: longer than the application takes to start.
const WATCHDOG: u32 = 3_000;

/// The board's watchdog, as the device knows it.
pub struct BoardWatchdog;

impl Watchdog for BoardWatchdog {
    fn arm(&mut self) {
        Here::arm(WATCHDOG);
    }
    fn feed(&mut self) {
        Here::feed();
    }
}

fn layout() -> Result<Layout, LayoutError> {
    let place = |(offset, length): (u32, u32)| Place::of::<Flash>(offset, length);
    Layout::on_one(place(Here::MAP.state), place(Here::MAP.primary), place(Here::MAP.secondary))
}

static mut MACHINE: core::mem::MaybeUninit<Machine> = core::mem::MaybeUninit::uninit();

/// Makes the device where it stays: it is no guest of the stack. Once in each program; `None` never on these boards,
/// whose layouts are constants. The application says how long a healthy release soaks; here it doesn't.
#[inline(never)]
pub fn place() -> Option<&'static mut Machine> {
    let layout = layout().ok()?;
    let config = Config { address: u32::try_from(Here::MAP.application).ok(), soak: 0, fenced: false };
    // SAFETY: one machine in each program, and none runs from what it erases.
    let flash = unsafe { Here::flash() };
    let media = Witness::new(Single::new(flash, layout));
    // SAFETY: each program calls it once, at its beginning.
    let machine = unsafe { &mut *core::ptr::addr_of_mut!(MACHINE) };
    Some(machine.write(Device::new(layout, config, media, BoardWatchdog, NoCounter)))
}

/// Why the machine restarted.
pub fn cause() -> Cause {
    match Here::take_cause() {
        board::ResetCause::PowerOn => Cause::PowerOn,
        board::ResetCause::Requested => Cause::Requested,
        board::ResetCause::Watchdog => Cause::Watchdog,
        board::ResetCause::Fault => Cause::Fault,
    }
}

/// What an application without a verifier of its own asks the bootloader for, by a word that a reset leaves alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Nothing: run.
    Nothing,
    /// Serve the link, and let in what is staged.
    Service,
    /// The release on trial works.
    Confirm,
}

impl Request {
    /// Asks, and restarts.
    pub fn restart(self) -> ! {
        Here::cells().set(Cells::REQUEST, self as u32);
        Here::restart()
    }

    /// What was asked for; it isn't asked for twice.
    pub fn take() -> Self {
        match Here::cells().take(Cells::REQUEST) {
            1 => Self::Service,
            2 => Self::Confirm,
            _ => Self::Nothing,
        }
    }
}

/// What someone at the device may ask for without the owner's signature. On this demo the cable is the key switch: it
/// lets a restart and a staged patch through, and nothing that an owner has a say in.
pub struct KeySwitch;

impl Application for KeySwitch {
    fn grants(&mut self, request: &Command<'_>) -> bool {
        let harmless = [Action::Apply, Action::Retry, Action::Withdraw];
        match request {
            Command::Reboot => true,
            Command::Local { action, .. } => harmless.contains(action),
            _ => false,
        }
    }
}

/// Says how deep the stack was: `cargo xtask qemu` asks with `:S`.
pub fn answer_stack(line: &mut Line, top: usize) {
    line.print(format_args!(":D{}\r\n", board::used_stack(top)));
}
