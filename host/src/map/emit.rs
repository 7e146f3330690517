//! The map, written out for others.

use super::{Finding, address, address_of, board, chips, finding};
use crate::boards::Machine;
use crate::config::{Flash, Ram, Stretch};
use std::fmt::Write as _;

/// What a map can be written out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Emit {
    /// Linker script of the application: memory.x
    MemoryX,
    /// Linker script of the application in the secondary slot, where code runs from both: memory.x
    SecondaryMemoryX,
    /// Linker script of the bootloader: memory.x
    BootMemoryX,
    /// C header
    CHeader,
    /// Zephyr devicetree fragment
    ZephyrDts,
    /// Rust constants for patchlane-device
    Rust,
}

const MADE: &str = "Made by `patchlane layout` from patchlane.toml; don't edit.";

/// Writes a map out.
///
/// # Errors
/// What the map doesn't say.
pub fn emit(kind: Emit, flash: &Flash, ram: &[Ram]) -> Result<String, Finding> {
    match kind {
        Emit::MemoryX => memory_x(&flash.primary, 0, "the application: the primary slot", flash, ram),
        Emit::SecondaryMemoryX if !flash.direct_xip => Err(finding(
            "code doesn't run from the secondary slot",
            "take --emit memory-x; or say `direct_xip = true` in [flash] if code runs from both slots",
        )),
        Emit::SecondaryMemoryX => {
            memory_x(&flash.secondary, 0, "the application: the secondary slot", flash, ram)
        }
        Emit::BootMemoryX => {
            let missing = finding("[flash] bootloader is missing", "say where the bootloader lies");
            let preamble = board(flash).map_or(0, |board| board.preamble);
            memory_x(flash.bootloader.as_ref().ok_or(missing)?, preamble, "the bootloader", flash, ram)
        }
        Emit::CHeader => Ok(c_header(flash)),
        Emit::ZephyrDts => Ok(zephyr(flash)),
        Emit::Rust => Ok(rust(flash)),
    }
}

/// Where code in this stretch is seen.
fn seen_at(flash: &Flash, stretch: &Stretch) -> Result<u32, Finding> {
    // Where code runs from both slots, `[build]` may say where another chip is seen.
    let mut slots =
        [&flash.primary, &flash.secondary].into_iter().zip(flash.direct_addresses().into_iter().flatten());
    let said = slots.find(|(slot, _)| slot.chip == stretch.chip && slot.offset == stretch.offset);
    let known = address_of(flash, stretch).or(said.map(|(_, address)| address));
    known.ok_or_else(|| match board(flash) {
        Some(board) if board.address.is_none() => {
            let what = format!("code doesn't run from the flash of {}", board.name);
            finding(what, "link it for where the bootloader copies it to")
        }
        _ if stretch.chip.is_some() => finding(
            "it lies on another chip: the map doesn't say where that is seen",
            "write the script by hand",
        ),
        _ => finding(
            "[flash] address is missing",
            "say where the chip begins in the memory map, or name a board",
        ),
    })
}

/// `memory.x`, as cortex-m-rt and riscv-rt read it.
fn memory_x(
    stretch: &Stretch,
    preamble: u32,
    whose: &str,
    flash: &Flash,
    ram: &[Ram],
) -> Result<String, Finding> {
    let begin = seen_at(flash, stretch)?;
    let ram = ram.first().ok_or_else(|| {
        finding("[ram] is missing", "say where RAM lies: [ram] address and size, or name a board")
    })?;
    let begin = u64::from(begin);
    let mut text = format!("/* {MADE} For {whose}. */\nMEMORY\n{{\n");
    if preamble > 0 {
        let _ = writeln!(text, "  BOOT2 (r)  : ORIGIN = {begin:#010x}, LENGTH = {preamble:#x}");
    }
    let _ = writeln!(
        text,
        "  FLASH (rx) : ORIGIN = {:#010x}, LENGTH = {:#x}\n  RAM (rwx)  : ORIGIN = {:#010x}, LENGTH = {:#x}\n}}",
        begin + u64::from(preamble),
        stretch.size.saturating_sub(preamble),
        ram.address,
        ram.size
    );
    if preamble > 0 {
        text.push_str(
            "\nSECTIONS\n{\n  .boot2 ORIGIN(BOOT2) : { KEEP(*(.boot2)); } > BOOT2\n} INSERT BEFORE .text;\n",
        );
    }
    if board(flash).is_some_and(|board| board.machine == Machine::RiscV) {
        text.push('\n');
        for (region, memory) in [
            ("TEXT", "FLASH"),
            ("RODATA", "FLASH"),
            ("DATA", "RAM"),
            ("BSS", "RAM"),
            ("HEAP", "RAM"),
            ("STACK", "RAM"),
        ] {
            let _ = writeln!(text, "REGION_ALIAS(\"REGION_{region}\", {memory});");
        }
    }
    Ok(text)
}

fn c_header(flash: &Flash) -> String {
    let mut text = format!("/* {MADE} Offsets count from the beginning of the chip; all in bytes. */\n");
    text.push_str("#ifndef PATCHLANE_LAYOUT_H\n#define PATCHLANE_LAYOUT_H\n\n");
    if let Some(address) = address(flash) {
        let _ = writeln!(text, "#define PATCHLANE_FLASH_ADDRESS {address:#010x}u");
    }
    for (name, address) in
        ["PRIMARY", "SECONDARY"].into_iter().zip(flash.direct_addresses().into_iter().flatten())
    {
        let _ = writeln!(text, "#define PATCHLANE_{name}_ADDRESS {address:#010x}u");
    }
    for (name, stretch) in flash.stretches() {
        let (write, erase) = flash.grain(stretch);
        let name = name.to_uppercase();
        let _ = writeln!(text, "#define PATCHLANE_{name}_OFFSET {:#x}u", stretch.offset);
        let _ = writeln!(text, "#define PATCHLANE_{name}_SIZE {:#x}u", stretch.size);
        let _ = writeln!(text, "#define PATCHLANE_{name}_WRITE_SIZE {write}u");
        let _ = writeln!(text, "#define PATCHLANE_{name}_ERASE_SIZE {erase}u");
    }
    text.push_str("\n#endif\n");
    text
}

fn zephyr(flash: &Flash) -> String {
    let mut text = format!("/* {MADE} */\n");
    for (chip, parts) in chips(flash) {
        let node = chip.unwrap_or("flash0");
        let _ = writeln!(text, "&{node} {{\n\tpartitions {{\n\t\tcompatible = \"fixed-partitions\";");
        text.push_str("\t\t#address-cells = <1>;\n\t\t#size-cells = <1>;\n");
        for (name, stretch) in parts {
            let label = match name {
                "bootloader" => "boot_partition",
                "primary" => "slot0_partition",
                "secondary" => "slot1_partition",
                _ => "patchlane_state_partition",
            };
            let _ = writeln!(
                text,
                "\n\t\t{label}: partition@{:x} {{\n\t\t\tlabel = \"{name}\";\n\t\t\treg = <{:#010x} {:#010x}>;\n\t\t}};",
                stretch.offset, stretch.offset, stretch.size
            );
        }
        text.push_str("\t};\n};\n");
    }
    text
}

fn rust(flash: &Flash) -> String {
    let mut text = format!("// {MADE}\nuse patchlane_device::{{Layout, LayoutError, Place}};\n\n");
    for (name, stretch) in flash.stretches().into_iter().filter(|(name, _)| *name != "bootloader") {
        let (write, erase) = flash.grain(stretch);
        let _ = writeln!(
            text,
            "pub const {}: Place =\n    Place {{ offset: {:#x}, length: {:#x}, read: 1, write: {write}, erase: {erase} }};",
            name.to_uppercase(),
            stretch.offset,
            stretch.size
        );
    }
    let layout = match flash.direct_addresses() {
        Some([first, second]) => {
            format!("Layout::direct(STATE, [PRIMARY, SECONDARY], [{first:#010x}, {second:#010x}])")
        }
        None => "Layout::new(STATE, PRIMARY, SECONDARY)".to_owned(),
    };
    let _ = write!(
        text,
        "\n/// The checked layout.\npub fn layout() -> Result<Layout, LayoutError> {{\n    {layout}\n}}\n"
    );
    text
}
