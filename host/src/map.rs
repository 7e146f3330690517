//! The flash map: checked, drawn, and written out for linkers, C, Zephyr and Rust.

use crate::boards::{self, Board, Machine};
use crate::config::{Flash, Ram, Stretch};
use crate::image::Loaded;
use std::fmt::Write as _;

/// Something that doesn't fit, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What doesn't fit.
    pub what: String,
    /// What to do.
    pub next: String,
}

fn finding(what: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding { what: what.into(), next: next.into() }
}

/// The board that a map names.
pub fn board(flash: &Flash) -> Option<&'static Board> {
    flash.board.as_deref().and_then(boards::find)
}

/// Checks a map: the device's own rules, and the board's sectors if the board is known.
pub fn check(flash: &Flash) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = flash.layout() {
        findings.push(finding(error.what, error.next));
    }
    for (name, stretch) in flash.stretches() {
        let end = u64::from(flash.address.unwrap_or(0)) + stretch.end();
        if stretch.chip.is_none() && end > 1 << 32 {
            findings.push(finding(format!("{name} ends above 4 GiB"), "correct [flash] address"));
        }
    }
    let Some(name) = flash.board.as_deref() else { return findings };
    let Some(board) = boards::find(name) else {
        let known: Vec<_> = boards::ALL.iter().map(|board| board.name).collect();
        let next = format!("leave `board` out, or name one of {}", known.join(", "));
        findings.push(finding(format!("board `{name}` isn't known"), next));
        return findings;
    };
    if flash.address.is_some_and(|address| address != board.address) {
        let what = format!(
            "{name}'s flash begins at {:#010x}, not at {:#010x}",
            board.address,
            flash.address.unwrap_or(0)
        );
        findings.push(finding(what, "correct [flash] address"));
    }
    for (what, stretch) in flash.stretches().into_iter().filter(|(_, s)| s.chip.is_none()) {
        findings.extend(on_board(board, flash, what, stretch));
    }
    findings
}

/// A stretch against the board's sectors.
fn on_board(board: &Board, flash: &Flash, name: &str, stretch: &Stretch) -> Option<Finding> {
    if stretch.end() > board.size() {
        let what =
            format!("{name} ends at {:#x}, and {} has {:#x} bytes", stretch.end(), board.name, board.size());
        return Some(finding(what, "move it, or make it smaller"));
    }
    let (write, erase) = flash.grain(stretch);
    let Some(sectors) = board.between(u64::from(stretch.offset), stretch.end()) else {
        let what = format!("{name} doesn't begin and end at sector borders of {}", board.name);
        return Some(finding(what, "`patchlane layout --board NAME` lists the sectors"));
    };
    // Nobody swaps the bootloader: its sectors may differ.
    if name == "bootloader" {
        return None;
    }
    if let Some(other) = sectors.iter().find(|size| **size != u64::from(erase)) {
        let what = format!("{name} has a sector of {other} bytes, and erase_size says {erase}");
        return Some(finding(what, "keep to sectors of one size, or correct erase_size"));
    }
    if !write.is_multiple_of(board.write_size) {
        let what = format!(
            "{name} is written by {write} bytes, and {} writes {} at once",
            board.name, board.write_size
        );
        return Some(finding(what, "correct write_size"));
    }
    None
}

/// Checks an image against the map: size, address, and what the processor reads first.
pub fn check_image(image: &Loaded, addresses: &[u32], flash: &Flash, ram: Option<Ram>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (size, room) = (image.bytes.len(), flash.primary.size);
    if size > room as usize {
        findings.push(finding(
            format!("has {size} bytes, and the primary slot {room}"),
            "make it smaller, or the slot larger",
        ));
    }
    if let Some(address) = image.address
        && !addresses.is_empty()
        && !addresses.contains(&address)
    {
        let wanted: Vec<_> = addresses.iter().map(|a| format!("{a:#010x}")).collect();
        findings.push(finding(
            format!("is linked for {address:#010x}, and the slot lies at {}", wanted.join(" or ")),
            "link it for the slot (`patchlane layout --emit memory-x`), or correct patchlane.toml",
        ));
    }
    let machine = image.machine.or_else(|| board(flash).map(|board| board.machine));
    let address = image.address.or_else(|| addresses.first().copied());
    if let (Some(Machine::CortexM), Some(address)) = (machine, address) {
        findings.extend(vectors(image, address, ram));
    }
    if let (Some(Machine::RiscV), Some(entry), Some(address)) = (machine, image.entry, address)
        && entry != address
    {
        findings.push(finding(
            format!("is entered at {entry:#010x}, and bootloaders jump to its beginning, {address:#010x}"),
            "place the entry first in the linker script",
        ));
    }
    findings
}

/// A Cortex-M vector table: initial stack pointer, reset vector (Armv6-M/Armv7-M ARM, B1.5.3).
fn vectors(image: &Loaded, address: u32, ram: Option<Ram>) -> Option<Finding> {
    let word = |at: usize| {
        let bytes = image.bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let next = "an image begins with its vector table: check the linker script, and that it isn't encrypted or headed";
    let (Some(stack), Some(reset)) = (word(0), word(4)) else {
        return Some(finding("is too short for a vector table", next));
    };
    let end = u64::from(address) + image.bytes.len() as u64;
    let inside = u64::from(reset) >= u64::from(address) && u64::from(reset) < end;
    if reset & 1 == 0 || !inside {
        return Some(finding(format!("has no vector table: {reset:#010x} can't be its reset vector"), next));
    }
    let ram = ram?;
    let top = u64::from(ram.address) + u64::from(ram.size);
    let in_ram = stack > ram.address && u64::from(stack) <= top;
    if in_ram && stack.is_multiple_of(4) {
        None
    } else {
        Some(finding(format!("has no vector table: {stack:#010x} can't be its initial stack pointer"), next))
    }
}

/// `64 KiB`, `1 MiB`, `100 bytes`.
pub fn bytes(n: u64) -> String {
    match n {
        n if n >= 1 << 20 && n.is_multiple_of(1 << 20) => format!("{} MiB", n >> 20),
        n if n >= 1 << 10 && n.is_multiple_of(1 << 10) => format!("{} KiB", n >> 10),
        n => format!("{n} bytes"),
    }
}

/// `4 x 16 KiB, 1 x 64 KiB`.
pub fn sectors(flash: &Flash, stretch: &Stretch) -> String {
    let known = board(flash).filter(|_| stretch.chip.is_none());
    let list = known.and_then(|board| board.between(u64::from(stretch.offset), stretch.end()));
    let (_, erase) = flash.grain(stretch);
    let list = list.unwrap_or_else(|| vec![u64::from(erase); (stretch.size / erase.max(1)) as usize]);
    let mut runs: Vec<(u64, u32)> = Vec::new();
    for size in list {
        match runs.last_mut() {
            Some((last, count)) if *last == size => *count += 1,
            _ => runs.push((size, 1)),
        }
    }
    runs.iter().map(|(size, count)| format!("{count} x {}", bytes(*size))).collect::<Vec<_>>().join(", ")
}

/// A chip by name (`None`: the main one), with its stretches in order.
type ChipParts<'a> = (Option<&'a str>, Vec<(&'static str, &'a Stretch)>);

/// Every chip of a map; the main chip first.
fn chips(flash: &Flash) -> Vec<ChipParts<'_>> {
    let mut names: Vec<Option<&str>> = vec![None];
    names.extend(flash.stretches().iter().filter_map(|(_, s)| s.chip.as_deref()).map(Some));
    names.dedup();
    let mut list = Vec::new();
    for name in names {
        let mut parts: Vec<_> =
            flash.stretches().into_iter().filter(|(_, s)| s.chip.as_deref() == name).collect();
        parts.sort_by_key(|(_, s)| s.offset);
        list.push((name, parts));
    }
    list
}

/// The map as a picture.
pub fn draw(flash: &Flash) -> String {
    let mut text = String::new();
    for (chip, parts) in chips(flash) {
        let size = board(flash).filter(|_| chip.is_none()).map_or(0, Board::size);
        let title = match (chip, board(flash)) {
            (Some(chip), _) => format!("chip `{chip}`"),
            (None, Some(board)) => format!("{}, {}", board.name, bytes(size)),
            (None, None) => "flash".to_owned(),
        };
        let _ = writeln!(text, "{title}");
        let address = |offset: u64| match (chip, flash.address) {
            (None, Some(base)) => format!("{:#010x}", u64::from(base) + offset),
            _ => format!("+{offset:#09x}"),
        };
        let mut at = 0u64;
        let row = |text: &mut String, from: u64, name: &str, size: u64, note: &str, tall: u64| {
            let _ = writeln!(text, "  {} +{}+", address(from), "-".repeat(60));
            let content = format!("{name:<11}{:>9}  {note}", bytes(size));
            let _ = writeln!(text, "  {:10} | {content:<58} |", "");
            for _ in 1..tall {
                let _ = writeln!(text, "  {:10} | {:58} |", "", "");
            }
        };
        for (name, stretch) in parts {
            if u64::from(stretch.offset) > at {
                row(&mut text, at, "free", u64::from(stretch.offset) - at, "", 1);
            }
            let tall = if matches!(name, "primary" | "secondary") { 2 } else { 1 };
            row(
                &mut text,
                u64::from(stretch.offset),
                name,
                u64::from(stretch.size),
                &sectors(flash, stretch),
                tall,
            );
            at = at.max(stretch.end());
        }
        if size > at {
            row(&mut text, at, "free", size - at, "", 1);
            at = size;
        }
        let _ = writeln!(text, "  {} +{}+", address(at), "-".repeat(60));
    }
    text
}

/// What a map can be written out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Emit {
    /// Linker script of the application: memory.x
    MemoryX,
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
pub fn emit(kind: Emit, flash: &Flash, ram: Option<Ram>) -> Result<String, Finding> {
    match kind {
        Emit::MemoryX => memory_x(&flash.primary, "the application: the primary slot", flash, ram),
        Emit::BootMemoryX => {
            let missing = finding("[flash] bootloader is missing", "say where the bootloader lies");
            memory_x(flash.bootloader.as_ref().ok_or(missing)?, "the bootloader", flash, ram)
        }
        Emit::CHeader => Ok(c_header(flash)),
        Emit::ZephyrDts => Ok(zephyr(flash)),
        Emit::Rust => Ok(rust(flash)),
    }
}

fn memory_x(stretch: &Stretch, whose: &str, flash: &Flash, ram: Option<Ram>) -> Result<String, Finding> {
    let missing = |what: &str, next: &str| finding(what, next);
    let base = flash.address.ok_or_else(|| {
        missing("[flash] address is missing", "say where the chip begins in the memory map, or name a board")
    })?;
    let ram = ram.ok_or_else(|| missing("[ram] is missing", "say where RAM lies, or name a board"))?;
    Ok(format!(
        "/* {MADE} For {whose}. */\nMEMORY\n{{\n  FLASH (rx) : ORIGIN = {:#010x}, LENGTH = {:#x}\n  \
         RAM (rwx)  : ORIGIN = {:#010x}, LENGTH = {:#x}\n}}\n",
        u64::from(base) + u64::from(stretch.offset),
        stretch.size,
        ram.address,
        ram.size
    ))
}

fn c_header(flash: &Flash) -> String {
    let mut text = format!("/* {MADE} Offsets count from the beginning of the chip; all in bytes. */\n");
    text.push_str("#ifndef PATCHLANE_LAYOUT_H\n#define PATCHLANE_LAYOUT_H\n\n");
    if let Some(address) = flash.address {
        let _ = writeln!(text, "#define PATCHLANE_FLASH_ADDRESS {address:#010x}u");
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
    text.push_str(
        "\n/// The checked layout.\npub fn layout() -> Result<Layout, LayoutError> {\n    \
         Layout::new(STATE, PRIMARY, SECONDARY)\n}\n",
    );
    text
}
