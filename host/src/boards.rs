//! Boards whose sectors patchlane knows, with a flash map that works on them.
//!
//! Figures are the vendors': reference manuals are named with each board. `cargo test -p patchlane boards` checks that
//! every map passes the checks that `patchlane layout` makes of anyone's.

use std::fmt::Write as _;

/// Sectors of one size, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How many.
    pub count: u32,
    /// Bytes of each.
    pub size: u32,
}

/// What the code runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// Arm Cortex-M: an image begins with a vector table.
    CortexM,
    /// RISC-V, 32 bits: an image begins with its first instruction.
    RiscV,
}

/// A stretch of a suggested map: offset and bytes.
type Part = (u32, u32);

/// A suggested map.
#[derive(Debug, Clone, Copy)]
pub struct Map {
    bootloader: Part,
    state: Part,
    primary: Part,
    secondary: Part,
    /// The state region's erase size, and the chip it lies on, if the main one's sectors are too few.
    outside: Option<(&'static str, u32, u32)>,
}

/// A board or part.
#[derive(Debug, Clone, Copy)]
pub struct Board {
    /// What `--board` and patchlane.toml call it.
    pub name: &'static str,
    /// What it is, and where the figures are from.
    pub title: &'static str,
    /// What it runs.
    pub machine: Machine,
    /// Where its flash begins in the memory map.
    pub address: u32,
    /// Its sectors.
    pub sectors: &'static [Run],
    /// Bytes of a word.
    pub write_size: u32,
    /// Where its RAM begins, and its bytes.
    pub ram: (u32, u32),
    /// A map that works.
    pub map: Option<Map>,
    /// What to know.
    pub note: &'static str,
}

const KIB: u32 = 1024;

const fn run(count: u32, size: u32) -> Run {
    Run { count, size }
}

/// Every board.
pub const ALL: &[Board] = &[
    Board {
        name: "stm32f407",
        title: "STM32F407xG, 1 MiB (RM0090, table of flash module organisation)",
        machine: Machine::CortexM,
        address: 0x0800_0000,
        sectors: &[run(4, 16 * KIB), run(1, 64 * KIB), run(7, 128 * KIB)],
        write_size: 4,
        ram: (0x2000_0000, 128 * KIB),
        map: Some(Map {
            bootloader: (0, 128 * KIB),
            state: (0, 32 * KIB),
            primary: (128 * KIB, 384 * KIB),
            secondary: (512 * KIB, 512 * KIB),
            outside: Some(("spi", 1, 4 * KIB)),
        }),
        note: "Its 12 sectors don't leave the eight that the state region wants: state lies on a small SPI-NOR.",
    },
    Board {
        name: "stm32h743",
        title: "STM32H743xI, 2 MiB (RM0433: two banks of eight 128 KiB sectors, 256-bit words)",
        machine: Machine::CortexM,
        address: 0x0800_0000,
        sectors: &[run(16, 128 * KIB)],
        write_size: 32,
        ram: (0x2400_0000, 512 * KIB),
        map: Some(Map {
            bootloader: (0, 128 * KIB),
            state: (128 * KIB, 1024 * KIB),
            primary: (1152 * KIB, 384 * KIB),
            secondary: (1536 * KIB, 512 * KIB),
            outside: None,
        }),
        note: "Eight sectors of 128 KiB go to the state region; a small SPI-NOR for it would give the slots 1 MiB more.",
    },
    Board {
        name: "nrf52840",
        title: "nRF52840, 1 MiB (product specification, NVMC: 4 KiB pages)",
        machine: Machine::CortexM,
        address: 0,
        sectors: &[run(256, 4 * KIB)],
        write_size: 4,
        ram: (0x2000_0000, 256 * KIB),
        map: Some(Map {
            bootloader: (0, 96 * KIB),
            state: (96 * KIB, 32 * KIB),
            primary: (128 * KIB, 444 * KIB),
            secondary: (572 * KIB, 448 * KIB),
            outside: None,
        }),
        note: "The last page is left to the application. Without a SoftDevice.",
    },
    Board {
        name: "rp2040",
        title: "RP2040 with 2 MiB of QSPI flash, as on the Pico (datasheet 2.6.3; W25Q16: 4 KiB sectors)",
        machine: Machine::CortexM,
        address: 0x1000_0000,
        sectors: &[run(512, 4 * KIB)],
        write_size: 1,
        ram: (0x2000_0000, 264 * KIB),
        map: Some(Map {
            bootloader: (0, 128 * KIB),
            state: (128 * KIB, 32 * KIB),
            primary: (160 * KIB, 892 * KIB),
            secondary: (1052 * KIB, 896 * KIB),
            outside: None,
        }),
        note: "The bootloader begins with the 256 bytes of boot2. The last 100 KiB are left to the application.",
    },
    Board {
        name: "ch32v307",
        title: "CH32V307xC, 256 KiB (CH32FV2x_V3x reference manual: 4 KiB standard sectors)",
        machine: Machine::RiscV,
        address: 0x0800_0000,
        sectors: &[run(64, 4 * KIB)],
        write_size: 2,
        ram: (0x2000_0000, 64 * KIB),
        map: Some(Map {
            bootloader: (0, 96 * KIB),
            state: (96 * KIB, 32 * KIB),
            primary: (128 * KIB, 60 * KIB),
            secondary: (188 * KIB, 64 * KIB),
            outside: None,
        }),
        note: "Half of the flash is bootloader and state: external flash for the secondary slot doubles the image.",
    },
    Board {
        name: "gd32vf103",
        title: "GD32VF103xB, 128 KiB (user manual, FMC: 1 KiB pages)",
        machine: Machine::RiscV,
        address: 0x0800_0000,
        sectors: &[run(128, KIB)],
        write_size: 4,
        ram: (0x2000_0000, 32 * KIB),
        map: None,
        note: "128 KiB hold no bootloader of today's size beside two slots: put the secondary slot on external flash.",
    },
    Board {
        name: "virt",
        title: "QEMU riscv32 virt, the second 32 MiB bank of its CFI NOR",
        machine: Machine::RiscV,
        address: 0x2200_0000,
        sectors: &[run(128, 256 * KIB)],
        write_size: 4,
        ram: (0x8000_0000, 128 * KIB * KIB),
        map: Some(Map {
            bootloader: (31 * KIB * KIB, KIB * KIB),
            state: (0, 2 * KIB * KIB),
            primary: (2 * KIB * KIB, 512 * KIB),
            secondary: (2560 * KIB, 768 * KIB),
            outside: None,
        }),
        note: "The map of tests/qemu, but for the bootloader, which QEMU loads into RAM by -bios.",
    },
    Board {
        name: "microbit",
        title: "QEMU microbit (nRF51822, 256 KiB, 1 KiB pages)",
        machine: Machine::CortexM,
        address: 0,
        sectors: &[run(256, KIB)],
        write_size: 4,
        ram: (0x2000_0000, 16 * KIB),
        map: Some(Map {
            bootloader: (0, 80 * KIB),
            state: (80 * KIB, 28 * KIB),
            primary: (108 * KIB, 73 * KIB),
            secondary: (181 * KIB, 74 * KIB),
            outside: None,
        }),
        note: "16 KiB of RAM: reception belongs into the bootloader's service mode.",
    },
    Board {
        name: "ast1030",
        title: "QEMU ast1030-evb with a w25q32 SPI-NOR, 4 MiB",
        machine: Machine::CortexM,
        address: 0x8000_0000,
        sectors: &[run(1024, 4 * KIB)],
        write_size: 1,
        ram: (0, 768 * KIB),
        map: Some(Map {
            bootloader: (0, 128 * KIB),
            state: (128 * KIB, 32 * KIB),
            primary: (160 * KIB, 1024 * KIB),
            secondary: (1184 * KIB, 1028 * KIB),
            outside: None,
        }),
        note: "Code runs from SRAM.",
    },
];

/// The board of that name.
pub fn find(name: &str) -> Option<&'static Board> {
    ALL.iter().find(|board| board.name == name)
}

impl Board {
    /// Bytes of its flash.
    pub fn size(&self) -> u64 {
        self.sectors.iter().map(|run| u64::from(run.count) * u64::from(run.size)).sum()
    }

    /// Where each sector begins, and the end of the last.
    pub fn borders(&self) -> Vec<u64> {
        let mut borders = vec![0];
        let mut at = 0u64;
        for run in self.sectors {
            for _ in 0..run.count {
                at += u64::from(run.size);
                borders.push(at);
            }
        }
        borders
    }

    /// Sector sizes between two offsets, if both are borders.
    pub fn between(&self, from: u64, to: u64) -> Option<Vec<u64>> {
        let borders = self.borders();
        let at = |offset: u64| borders.binary_search(&offset).ok();
        let sectors = borders.get(at(from)?..=at(to)?)?;
        Some(sectors.windows(2).map(|pair| pair[1] - pair[0]).collect())
    }

    /// The `[flash]` section of its map.
    pub fn flash_section(&self) -> Option<String> {
        let map = self.map?;
        let size_at = |at: u32| self.between(u64::from(at), self.size()).and_then(|s| s.first().copied());
        let erase = size_at(map.primary.0)?;
        let mut text = format!(
            "# {title}\n# {note}\n# Offsets count from the beginning of the chip; `patchlane layout` draws and checks \
             them.\n[flash]\nboard = \"{name}\"\naddress = {address:#010x}\nwrite_size = {write}\nerase_size = {erase}\n",
            title = self.title,
            note = self.note,
            name = self.name,
            address = self.address,
            write = self.write_size,
        );
        let part = |(offset, size): Part| format!("offset = {offset:#x}, size = {size:#x}");
        let _ = writeln!(text, "bootloader = {{ {} }}", part(map.bootloader));
        let _ = match map.outside {
            None => writeln!(text, "state = {{ {} }}", part(map.state)),
            Some((chip, write, erase)) => writeln!(
                text,
                "state = {{ {}, chip = \"{chip}\", write_size = {write}, erase_size = {erase} }}",
                part(map.state)
            ),
        };
        let _ = writeln!(text, "primary = {{ {} }}", part(map.primary));
        let _ = writeln!(text, "secondary = {{ {} }}", part(map.secondary));
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, template};
    use crate::map;

    #[test]
    fn every_map_passes_the_checks_that_anyones_has_to() {
        for board in ALL {
            let Some(flash) = board.flash_section() else { continue };
            let config = Config::parse_template(&template("example.com", "pump", &flash)).unwrap();
            let findings = map::check(config.flash.as_ref().unwrap());
            assert!(findings.is_empty(), "{}: {findings:?}", board.name);
        }
    }

    #[test]
    fn sizes_are_the_parts_own() {
        let size = |name| find(name).unwrap().size();
        assert_eq!(size("stm32f407"), 1 << 20);
        assert_eq!(size("stm32h743"), 2 << 20);
        assert_eq!(size("virt"), 32 << 20);
        assert_eq!(find("stm32f407").unwrap().borders()[..6], [0, 0x4000, 0x8000, 0xc000, 0x10000, 0x20000]);
        assert_eq!(find("stm32f407").unwrap().between(0, 0x10001), None);
    }
}
