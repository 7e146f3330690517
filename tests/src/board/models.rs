//! The boards there are. Flash maps are the firmware's (`Board::MAP` of each crate in tests/qemu): a device that was
//! provisioned elsewhere doesn't boot, so every scenario compares them.

use patchlane_device::{Layout, Place};
use std::ffi::OsString;
use std::path::Path;

/// Where a board's flash is while power is off, and how power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// A file that is exact after every flash operation: the process is killed.
    Exactly,
    /// A file whose writes are under way for a while: the machine is stopped, which waits for them, then killed.
    Belatedly,
    /// Nowhere: the machine is stopped, flash is read out, and written into the next machine before it runs.
    Nowhere,
}

/// A kind of board.
#[derive(Debug)]
pub struct Model {
    /// As QEMU calls the machine.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    /// QEMU's option for the bootloader.
    bootloader: &'static str,
    /// QEMU's option for the flash file, if it knows one.
    drive: Option<&'static str>,
    /// How flash outlives power.
    pub keeps: Keeps,
    /// Bytes of the whole flash, which QEMU wants the file to have.
    pub size: usize,
    /// Bytes of a block.
    pub erase: u32,
    state: (u32, u32),
    /// The primary slot: offset and length.
    pub primary: (u32, u32),
    /// The secondary slot, likewise.
    pub secondary: (u32, u32),
    /// The address that images are linked for.
    pub address: u32,
    /// True if the application holds no verifier: the bootloader receives, when it is asked for its service mode.
    pub small: bool,
    /// Bytes of stack that bootloader and application may use.
    pub stack: usize,
}

/// All boards.
pub const MODELS: [Model; 3] = [
    Model {
        name: "virt",
        about: "RV32IMAC, parallel NOR in 256 KiB sectors",
        program: "qemu-system-riscv32",
        arguments: &["-M", "virt", "-m", "64"],
        bootloader: "-bios",
        drive: Some("if=pflash,unit=1,format=raw,file="),
        keeps: Keeps::Exactly,
        size: 32 << 20,
        erase: 0x4_0000,
        state: (0, 0x20_0000),
        primary: (0x20_0000, 0x8_0000),
        secondary: (0x28_0000, 0xc_0000),
        address: 0x2220_0000,
        small: false,
        stack: 14 * 1024,
    },
    Model {
        name: "ast1030-evb",
        about: "Cortex-M4, SPI-NOR behind a controller, hardware watchdog",
        program: "qemu-system-arm",
        arguments: &["-M", "ast1030-evb,fmc-model=w25q32"],
        bootloader: "-kernel",
        drive: Some("if=mtd,unit=0,format=raw,file="),
        keeps: Keeps::Belatedly,
        size: 4 << 20,
        erase: 4096,
        state: (0, 0x8000),
        primary: (0x1_0000, 0x2_0000),
        secondary: (0x4_0000, 0x2_1000),
        address: 0x8001_0000,
        small: false,
        stack: 12 * 1024,
    },
    Model {
        name: "microbit",
        about: "Cortex-M0, 16 KiB of RAM, executes in place; the bootloader receives",
        program: "qemu-system-arm",
        arguments: &["-M", "microbit"],
        bootloader: "-kernel",
        drive: None,
        keeps: Keeps::Nowhere,
        size: 256 << 10,
        erase: 1024,
        state: (0x1_5000, 0x6c00),
        primary: (0x1_bc00, 0x1_2000),
        secondary: (0x2_dc00, 0x1_2400),
        address: 0x1_bc00,
        small: true,
        stack: 9696,
    },
];

impl Model {
    /// A board by its name.
    pub fn named(name: &str) -> Option<&'static Self> {
        MODELS.iter().find(|model| model.name == name)
    }

    /// The layout, as the device has it.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn layout(&self) -> Result<Layout, String> {
        let place = |(offset, length)| Place { offset, length, read: 1, write: 4, erase: self.erase };
        Layout::on_one(place(self.state), place(self.primary), place(self.secondary))
            .map_err(|e| e.to_string())
    }

    /// The flash map as patchlane.toml states it.
    pub fn flash_section(&self) -> String {
        let place = |name: &str, (offset, size): (u32, u32)| {
            format!("{name} = {{ offset = {offset:#x}, size = {size:#x} }}\n")
        };
        let places = [("state", self.state), ("primary", self.primary), ("secondary", self.secondary)];
        let places: String = places.map(|(name, at)| place(name, at)).concat();
        format!("[flash]\nwrite_size = 4\nerase_size = {:#x}\n{places}", self.erase)
    }

    /// Offset of the first byte that the firmware uses, and of the one after the last.
    pub(crate) const fn used(&self) -> (usize, usize) {
        (self.state.0 as usize, (self.secondary.0 + self.secondary.1) as usize)
    }

    /// The command that starts it.
    pub(crate) fn command(&self, bootloader: &Path, flash: &Path) -> (&'static str, Vec<OsString>) {
        let mut arguments: Vec<OsString> = self.arguments.iter().map(Into::into).collect();
        arguments.extend([self.bootloader.into(), bootloader.into()]);
        if let Some(drive) = self.drive {
            let mut option = OsString::from(drive);
            option.push(flash);
            arguments.extend(["-drive".into(), option]);
        }
        (self.program, arguments)
    }
}
