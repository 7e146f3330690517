//! Boards whose sectors patchlane knows, with a flash map that works on them.
//!
//! Figures are the vendors'; `source` names where each board's are from, and what else agrees with them. The tests
//! check that every map passes the checks that `patchlane layout` makes of anyone's.

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

/// Another chip, beside the one with the code.
#[derive(Debug, Clone, Copy)]
struct Outside {
    name: &'static str,
    write_size: u32,
    erase_size: u32,
}

/// A SPI-NOR of any size; all have 4 KiB sectors.
const SPI: Outside = Outside { name: "spi", write_size: 1, erase_size: 4 * KIB };

/// A stretch of a suggested map.
#[derive(Debug, Clone, Copy)]
struct Part {
    offset: u32,
    size: u32,
    chip: Option<Outside>,
}

/// A suggested map. Without a bootloader, it lies elsewhere.
#[derive(Debug, Clone, Copy)]
struct Map {
    bootloader: Option<Part>,
    state: Part,
    primary: Part,
    secondary: Part,
}

/// A board or part.
#[derive(Debug, Clone, Copy)]
pub struct Board {
    /// What `--board` and patchlane.toml call it.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Where the figures are from.
    pub source: &'static str,
    /// What it runs.
    pub machine: Machine,
    /// Where its flash begins in the memory map; none if no code runs from it.
    pub address: Option<u32>,
    /// Its sectors.
    pub sectors: &'static [Run],
    /// Bytes of a word.
    pub write_size: u32,
    /// How an erased word reads.
    pub erased: [u8; 4],
    /// Where its RAMs begin, and their bytes; the main one first.
    pub ram: &'static [(u32, u32)],
    /// Bytes before the bootloader's vector table.
    pub preamble: u32,
    /// A map that works.
    map: Map,
    /// What to know.
    pub note: &'static str,
}

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

const fn run(count: u32, size: u32) -> Run {
    Run { count, size }
}

const fn part(offset: u32, size: u32) -> Part {
    Part { offset, size, chip: None }
}

const fn on(chip: Outside, offset: u32, size: u32) -> Part {
    Part { offset, size, chip: Some(chip) }
}

/// Every board.
pub const ALL: &[Board] = &[
    Board {
        name: "stm32f407",
        title: "STM32F407xG",
        source: "ST RM0090, flash module organization",
        machine: Machine::CortexM,
        address: Some(0x0800_0000),
        sectors: &[run(4, 16 * KIB), run(1, 64 * KIB), run(7, 128 * KIB)],
        write_size: 4,
        erased: [0xff; 4],
        ram: &[(0x2000_0000, 128 * KIB), (0x1000_0000, 64 * KIB)],
        preamble: 0,
        map: Map {
            bootloader: Some(part(0, 128 * KIB)),
            state: on(SPI, 0, 32 * KIB),
            primary: part(128 * KIB, 384 * KIB),
            secondary: part(512 * KIB, 512 * KIB),
        },
        note: "12 sectors don't leave the eight that state wants beside two slots: it lies on a small SPI-NOR.",
    },
    Board {
        name: "stm32h743",
        title: "STM32H743xI",
        source: "ST RM0433, flash memory organization; Zephyr stm32h743.dtsi",
        machine: Machine::CortexM,
        address: Some(0x0800_0000),
        sectors: &[run(16, 128 * KIB)],
        write_size: 32,
        erased: [0xff; 4],
        ram: &[(0x2400_0000, 512 * KIB), (0x2000_0000, 128 * KIB), (0x3000_0000, 288 * KIB)],
        preamble: 0,
        map: Map {
            bootloader: Some(part(0, 128 * KIB)),
            state: part(128 * KIB, MIB),
            primary: part(1152 * KIB, 384 * KIB),
            secondary: part(1536 * KIB, 512 * KIB),
        },
        note: "Eight sectors of 128 KiB go to state; a small SPI-NOR for it gives each slot 512 KiB more.",
    },
    Board {
        name: "nrf52840",
        title: "nRF52840",
        source: "Nordic nRF52840 product specification, NVMC; Zephyr nrf52840.dtsi",
        machine: Machine::CortexM,
        address: Some(0),
        sectors: &[run(256, 4 * KIB)],
        write_size: 4,
        erased: [0xff; 4],
        ram: &[(0x2000_0000, 256 * KIB)],
        preamble: 0,
        map: Map {
            bootloader: Some(part(0, 96 * KIB)),
            state: part(96 * KIB, 32 * KIB),
            primary: part(128 * KIB, 444 * KIB),
            secondary: part(572 * KIB, 448 * KIB),
        },
        note: "Without a SoftDevice. The last page is the application's.",
    },
    Board {
        name: "rp2040",
        title: "RP2040 with 2 MiB of QSPI flash, as on the Pico",
        source: "RP2040 datasheet, SSI and boot ROM; W25Q16JV; embassy-rp",
        machine: Machine::CortexM,
        address: Some(0x1000_0000),
        sectors: &[run(512, 4 * KIB)],
        write_size: 1,
        erased: [0xff; 4],
        ram: &[(0x2000_0000, 264 * KIB)],
        preamble: 256,
        map: Map {
            bootloader: Some(part(0, 128 * KIB)),
            state: part(128 * KIB, 32 * KIB),
            primary: part(160 * KIB, 892 * KIB),
            secondary: part(1052 * KIB, 896 * KIB),
        },
        note: "The bootloader begins with the 256 bytes of boot2. The last 100 KiB are the application's.",
    },
    Board {
        name: "ch32v307",
        title: "CH32V307xC",
        source: "WCH CH32FV2x_V3xRM, flash memory: standard programming; probe-rs, Zephyr",
        machine: Machine::RiscV,
        address: Some(0x0800_0000),
        sectors: &[run(64, 4 * KIB)],
        write_size: 2,
        erased: [0x39, 0xe3, 0x39, 0xe3],
        ram: &[(0x2000_0000, 64 * KIB)],
        preamble: 0,
        map: Map {
            bootloader: Some(part(0, 96 * KIB)),
            state: part(96 * KIB, 32 * KIB),
            primary: part(128 * KIB, 60 * KIB),
            secondary: part(188 * KIB, 64 * KIB),
        },
        note: "Erased words read 0xe339e339 here. The secondary slot on a SPI-NOR doubles the image.",
    },
    Board {
        name: "gd32vf103",
        title: "GD32VF103xB",
        source: "GigaDevice GD32VF103 user manual, FMC; probe-rs, Zephyr gd32vf103.dtsi",
        machine: Machine::RiscV,
        address: Some(0x0800_0000),
        sectors: &[run(128, KIB)],
        write_size: 4,
        erased: [0xff; 4],
        ram: &[(0x2000_0000, 32 * KIB)],
        preamble: 0,
        map: Map {
            bootloader: Some(part(0, 96 * KIB)),
            state: on(SPI, 0, 32 * KIB),
            primary: part(96 * KIB, 32 * KIB),
            secondary: on(SPI, 32 * KIB, 36 * KIB),
        },
        note: "128 KiB hold a bootloader and one slot: the rest lies on a small SPI-NOR.",
    },
    Board {
        name: "virt",
        title: "QEMU riscv32 virt, second bank of its CFI NOR",
        source: "QEMU hw/riscv/virt.c; tests/qemu has the same map",
        machine: Machine::RiscV,
        address: Some(0x2200_0000),
        sectors: &[run(128, 256 * KIB)],
        write_size: 4,
        erased: [0xff; 4],
        ram: &[(0x8000_0000, 128 * MIB)],
        preamble: 0,
        map: Map {
            bootloader: None,
            state: part(0, 2 * MIB),
            primary: part(2 * MIB, 512 * KIB),
            secondary: part(2560 * KIB, 768 * KIB),
        },
        note: "QEMU loads the bootloader into RAM (-bios): the map holds none.",
    },
    Board {
        name: "microbit",
        title: "QEMU microbit (nRF51822)",
        source: "Nordic nRF51 reference manual, NVMC; Zephyr nrf51822.dtsi",
        machine: Machine::CortexM,
        address: Some(0),
        sectors: &[run(256, KIB)],
        write_size: 4,
        erased: [0xff; 4],
        ram: &[(0x2000_0000, 16 * KIB)],
        preamble: 0,
        map: Map {
            bootloader: Some(part(0, 80 * KIB)),
            state: part(80 * KIB, 28 * KIB),
            primary: part(108 * KIB, 73 * KIB),
            secondary: part(181 * KIB, 74 * KIB),
        },
        note: "With 16 KiB of RAM, reception belongs into the bootloader's service mode.",
    },
    Board {
        name: "ast1030",
        title: "QEMU ast1030-evb with a w25q32 SPI-NOR",
        source: "QEMU hw/arm/aspeed_ast10x0.c; W25Q32JV",
        machine: Machine::CortexM,
        address: None,
        sectors: &[run(1024, 4 * KIB)],
        write_size: 1,
        erased: [0xff; 4],
        ram: &[(0, 768 * KIB)],
        preamble: 0,
        map: Map {
            bootloader: Some(part(0, 128 * KIB)),
            state: part(128 * KIB, 32 * KIB),
            primary: part(160 * KIB, MIB),
            secondary: part(1184 * KIB, 1028 * KIB),
        },
        note: "Code is copied to SRAM and runs there. The last 1,884 KiB are the application's.",
    },
];

/// The board of that name.
pub fn find(name: &str) -> Option<&'static Board> {
    ALL.iter().find(|board| board.name == name)
}

/// Every name.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|board| board.name).collect()
}

/// The runs in a list of sector sizes.
pub fn runs(sizes: &[u64]) -> Vec<(u64, u64)> {
    sizes.chunk_by(|a, b| a == b).map(|run| (run.len() as u64, run[0])).collect()
}

impl Board {
    /// Bytes of its flash.
    pub fn size(&self) -> u64 {
        self.sectors.iter().map(|run| u64::from(run.count) * u64::from(run.size)).sum()
    }

    /// Where each sector begins, and the end of the last.
    pub fn borders(&self) -> Vec<u64> {
        let sizes = self.sectors.iter().flat_map(|run| (0..run.count).map(|_| u64::from(run.size)));
        let ends = sizes.scan(0, |at, size| {
            *at += size;
            Some(*at)
        });
        std::iter::once(0).chain(ends).collect()
    }

    /// Sector sizes between two offsets, if both are borders.
    pub fn between(&self, from: u64, to: u64) -> Option<Vec<u64>> {
        let borders = self.borders();
        let at = |offset: u64| borders.binary_search(&offset).ok();
        let sectors = borders.get(at(from)?..=at(to)?)?;
        Some(sectors.windows(2).map(|pair| pair[1] - pair[0]).collect())
    }

    /// The nearest borders at or below, and above, an offset.
    pub fn around(&self, offset: u64) -> (u64, u64) {
        let borders = self.borders();
        let above = borders.partition_point(|border| *border <= offset);
        let end = self.size();
        (
            borders.get(above.saturating_sub(1)).copied().unwrap_or(0),
            borders.get(above).copied().unwrap_or(end),
        )
    }

    /// The `[flash]` section of its map.
    pub fn flash_section(&self) -> String {
        let map = &self.map;
        let at = u64::from(map.primary.offset);
        let (from, to) = self.around(at);
        let mut text = format!(
            "# {}: {}\n# Offsets count from the beginning of the chip; `patchlane layout` draws and checks them.\n\
             [flash]\nboard = \"{}\"\n",
            self.title, self.note, self.name,
        );
        if let Some(address) = self.address {
            let _ = writeln!(text, "address = {address:#010x}");
        }
        let _ = writeln!(text, "write_size = {}\nerase_size = {}", self.write_size, to - from);
        let parts = [
            ("bootloader", map.bootloader),
            ("state", Some(map.state)),
            ("primary", Some(map.primary)),
            ("secondary", Some(map.secondary)),
        ];
        for (name, part) in parts.into_iter().filter_map(|(name, part)| Some((name, part?))) {
            let chip = part.chip.map(|c| {
                format!(
                    ", chip = \"{}\", write_size = {}, erase_size = {}",
                    c.name, c.write_size, c.erase_size
                )
            });
            let (offset, size, chip) = (part.offset, part.size, chip.unwrap_or_default());
            let _ = writeln!(text, "{name} = {{ offset = {offset:#x}, size = {size:#x}{chip} }}");
        }
        text
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
            let config = Config::parse(&template("example.com", "pump", &board.flash_section())).unwrap();
            let flash = config.flash.as_ref().unwrap();
            assert_eq!(map::check(flash), [], "{}", board.name);
            assert_eq!(map::address(flash), board.address);
            assert_eq!(config.ram().len(), board.ram.len());
        }
    }

    /// Bytes of flash, of its sectors and words, and of RAM: written down apart from the table above.
    #[test]
    fn figures_are_the_parts_own() {
        let figures = |name| {
            let board = find(name).unwrap();
            let sizes: Vec<u64> = board.between(0, board.size()).unwrap();
            (board.size() >> 10, runs(&sizes), board.write_size, board.ram[0].1 >> 10)
        };
        let k = 1024;
        assert_eq!(figures("stm32f407"), (1024, vec![(4, 16 * k), (1, 64 * k), (7, 128 * k)], 4, 128));
        assert_eq!(figures("stm32h743"), (2048, vec![(16, 128 * k)], 32, 512));
        assert_eq!(figures("nrf52840"), (1024, vec![(256, 4 * k)], 4, 256));
        assert_eq!(figures("rp2040"), (2048, vec![(512, 4 * k)], 1, 264));
        assert_eq!(figures("ch32v307"), (256, vec![(64, 4 * k)], 2, 64));
        assert_eq!(figures("gd32vf103"), (128, vec![(128, k)], 4, 32));
        assert_eq!(figures("virt"), (32768, vec![(128, 256 * k)], 4, 131_072));
        assert_eq!(figures("microbit"), (256, vec![(256, k)], 4, 16));
        assert_eq!(figures("ast1030"), (4096, vec![(1024, 4 * k)], 1, 768));
        assert_eq!(ALL.len(), 9, "a board without figures here");
    }

    /// What the whole of patchlane takes there has to fit, with a twentieth for drivers (tests/sizes.txt).
    #[test]
    fn bootloaders_have_room() {
        let budgets = include_str!("../../tests/sizes.txt");
        for board in ALL {
            let target = match board.machine {
                Machine::RiscV => "riscv32imac-unknown-none-elf",
                Machine::CortexM if matches!(board.name, "microbit" | "rp2040") => "thumbv6m-none-eabi",
                Machine::CortexM => "thumbv7m-none-eabi",
            };
            let line = budgets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let whole = line
                .filter(|words| words.starts_with(&[target, "whole"]))
                .find_map(|w| w[2].parse::<u32>().ok());
            if let Some(bootloader) = board.map.bootloader {
                assert!(bootloader.size >= whole.unwrap() / 20 * 21, "{}", board.name);
            }
        }
    }

    #[test]
    fn sectors_are_found_by_their_borders() {
        let board = find("stm32f407").unwrap();
        assert_eq!(board.borders()[..6], [0, 0x4000, 0x8000, 0xc000, 0x10000, 0x20000]);
        assert_eq!(board.between(0xc000, 0x40000), Some(vec![0x4000, 0x10000, 0x20000]));
        assert_eq!(board.between(0, 0x10001), None);
        assert_eq!(board.around(0x10001), (0x10000, 0x20000));
        assert_eq!(board.around(0x10000), (0x10000, 0x20000));
        assert_eq!(board.around(1 << 20), (1 << 20, 1 << 20));
    }
}
