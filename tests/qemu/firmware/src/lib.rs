//! What bootloader and application share: the device, its link, and how they restart.
#![no_std]

use board_virt::{Nor, ResetCause, Uart, map};
use core::fmt::Write;
use patchlane_device::protocol::link::{Command, Deframer};
use patchlane_device::protocol::owner::Action;
use patchlane_device::service::{Application, OUT};
use patchlane_device::{
    Cause, Config, Device, Layout, LayoutError, Media, MediaError, NoCounter, Place, Region, Single, Watchdog,
};

/// The device on this board.
pub type Machine = Device<Witness, BoardWatchdog>;

/// The flash, and a word to whoever watches when blocks begin to move: tests cut power there.
pub struct Witness {
    flash: Single<Nor>,
    moving: bool,
}

impl Media for Witness {
    fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        self.flash.read(region, at, into)
    }
    fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        if region == Region::Primary && !core::mem::replace(&mut self.moving, true) {
            let _ = Uart.write_str("# bootloader: moves blocks\r\n");
        }
        self.flash.erase(region, at, length)
    }
    fn write(&mut self, region: Region, at: u32, from: &[u8]) -> Result<(), MediaError> {
        self.flash.write(region, at, from)
    }
}

/// The watchdog's time, in milliseconds: longer than the application takes to start.
const WATCHDOG: u64 = 3_000;

/// The board's watchdog, as the device knows it.
pub struct BoardWatchdog(board_virt::Watchdog);

impl Watchdog for BoardWatchdog {
    fn arm(&mut self) {
        self.0.arm();
    }
    fn feed(&mut self) {
        self.0.feed();
    }
}

fn layout() -> Result<Layout, LayoutError> {
    let place = |(offset, length): (u32, u32)| Place::of::<Nor>(offset, length);
    Layout::on_one(place(map::STATE), place(map::PRIMARY), place(map::SECONDARY))
}

static mut MACHINE: core::mem::MaybeUninit<Machine> = core::mem::MaybeUninit::uninit();

/// Makes the device where it stays: it is no guest of the stack. Once in each program; `None` never on this board, whose
/// layout is a constant. The application says how long a healthy release soaks; here it doesn't.
#[inline(never)]
pub fn place() -> Option<&'static mut Machine> {
    let layout = layout().ok()?;
    let config = Config { address: u32::try_from(map::APPLICATION).ok(), soak: 0, fenced: false };
    // SAFETY: one machine in each program, and both run from RAM.
    let flash = unsafe { Nor::new() };
    let watchdog = BoardWatchdog(board_virt::Watchdog::new(WATCHDOG));
    let media = Witness { flash: Single::new(flash, layout), moving: false };
    // SAFETY: each program calls it once, at its beginning.
    let machine = unsafe { &mut *core::ptr::addr_of_mut!(MACHINE) };
    Some(machine.write(Device::new(layout, config, media, watchdog, NoCounter)))
}

/// Why the machine restarted.
pub fn cause() -> Cause {
    match board_virt::take_reset_cause() {
        ResetCause::PowerOn => Cause::PowerOn,
        ResetCause::Requested => Cause::Requested,
        ResetCause::Watchdog => Cause::Watchdog,
        ResetCause::Fault => Cause::Fault,
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

/// One serial line for everything: frames of the service link, and lines of text.
pub struct Serial {
    uart: Uart,
    frames: Deframer,
    /// A frame has begun: its first byte may look like text.
    opened: bool,
    line: [u8; 64],
    length: usize,
}

impl Default for Serial {
    fn default() -> Self {
        Self::new()
    }
}

impl Serial {
    /// The line.
    pub const fn new() -> Self {
        Self { uart: Uart, frames: Deframer::new(), opened: false, line: [0; 64], length: 0 }
    }

    /// A line for whoever watches.
    pub fn say(&mut self, text: core::fmt::Arguments<'_>) {
        let _ = self.uart.write_fmt(format_args!("# {text}\r\n"));
    }

    /// Takes one byte if one has come: serves a frame, or hands a line of text to `answer`.
    pub fn poll(&mut self, machine: &mut Machine, answer: &mut dyn FnMut(&[u8], &mut Uart)) {
        let Some(byte) = self.uart.read() else { return };
        if byte == 0 || self.opened {
            self.opened = byte != 0 || !self.frames.is_inside();
            let mut out = [0; OUT];
            if let Ok(Some(content)) = self.frames.push(byte) {
                let served = machine.serve(content, &mut KeySwitch, &mut out);
                self.uart.write(served.frame);
                if served.restart {
                    board_virt::restart();
                }
            }
            return;
        }
        match byte {
            b':' => {
                self.length = 0;
                self.keep(byte);
            }
            b'\r' | b'\n' => {
                answer(self.line.get(..self.length).unwrap_or(&[]), &mut self.uart);
                self.length = 0;
            }
            _ if self.length > 0 => self.keep(byte),
            // Noise between lines and frames.
            _ => {}
        }
    }

    fn keep(&mut self, byte: u8) {
        if let Some(place) = self.line.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }
}
