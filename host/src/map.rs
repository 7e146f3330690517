//! The flash map: checked, drawn, and written out for linkers, C, Zephyr and Rust.

mod draw;
mod emit;

pub use draw::{bar, draw};
pub use emit::{Emit, emit};

use crate::boards::{self, Board, Machine};
use crate::config::{Flash, Ram, Stretch};
use crate::error::{Code, Error, Result};
use crate::explain::meant;
use crate::image::Loaded;
use patchlane_device::{Layout, LayoutError, Place};

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

/// All findings as one error; none if there are none.
pub fn error(code: Code, place: impl std::fmt::Display, findings: Vec<Finding>) -> Option<Error> {
    let mut errors = findings.into_iter().map(|f| Error::new(code, f.what, f.next).at(&place));
    let first = errors.next()?;
    Some(Error { also: errors.collect(), ..first })
}

/// The board that a map names.
pub fn board(flash: &Flash) -> Option<&'static Board> {
    flash.board.as_deref().and_then(boards::find)
}

/// Where the chip with the code begins in the memory map: what the map says, else the board.
pub fn address(flash: &Flash) -> Option<u32> {
    flash.address.or_else(|| board(flash).and_then(|board| board.address))
}

/// Where a stretch begins in the memory map, if that is known.
pub fn address_of(flash: &Flash, stretch: &Stretch) -> Option<u32> {
    address(flash).filter(|_| stretch.chip.is_none())?.checked_add(stretch.offset)
}

/// The device's own layout of a map.
///
/// # Errors
/// `config`: all that [`check`] finds.
pub fn layout(flash: &Flash, place: impl std::fmt::Display) -> Result<Layout> {
    match error(Code::Config, place, check(flash)) {
        Some(error) => Err(error),
        None => device_layout(flash).map_err(|e| Error::internal(e.to_string())),
    }
}

fn place(flash: &Flash, stretch: &Stretch) -> Place {
    let (write, erase) = flash.grain(stretch);
    Place { offset: stretch.offset, length: stretch.size, read: 1, write, erase }
}

fn device_layout(flash: &Flash) -> std::result::Result<Layout, LayoutError> {
    let [state, primary, secondary] =
        [&flash.state, &flash.primary, &flash.secondary].map(|stretch| place(flash, stretch));
    if flash.direct_xip {
        let addresses = flash.direct_addresses().ok_or(LayoutError::Addresses)?;
        Layout::direct(state, [primary, secondary], addresses)
    } else {
        Layout::new(state, primary, secondary)
    }
}

/// Checks a map: the device's own rules, and the board's sectors if the board is known.
pub fn check(flash: &Flash) -> Vec<Finding> {
    let stretches = flash.stretches();
    let mut findings: Vec<Finding> = stretches.iter().flat_map(|(name, s)| grain(flash, name, s)).collect();
    // What follows counts in sectors: it needs sizes that are sizes.
    if findings.is_empty() {
        findings.extend(stretches.iter().filter_map(|(name, s)| borders(flash, name, s)));
        findings.extend(overlaps(&stretches));
        findings.extend(if flash.direct_xip {
            direct_slots(flash)
        } else {
            slots(flash).into_iter().collect()
        });
        findings.extend(state(flash));
        findings.extend(on_board(flash));
    }
    if findings.is_empty()
        && let Err(error) = device_layout(flash)
    {
        findings.push(finding(error.to_string(), "correct offsets and sizes"));
    }
    findings
}

fn grain(flash: &Flash, name: &str, stretch: &Stretch) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (write, erase) = flash.grain(stretch);
    if !write.is_power_of_two() || write > 32 {
        let what = format!("{name} is written by {write} bytes");
        findings.push(finding(what, "write_size has to be a power of two up to 32"));
    }
    if !erase.is_power_of_two() || erase < 512 {
        let what = format!("{name} is erased by {erase} bytes");
        findings.push(finding(what, "erase_size has to be a power of two from 512"));
    }
    let name_is_plain = |chip: &str| {
        !chip.is_empty() && chip.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    if let Some(chip) = stretch.chip.as_deref().filter(|chip| !name_is_plain(chip)) {
        let what = format!("{name} lies on the chip `{chip}`, which is no name");
        findings.push(finding(what, "a chip's name has letters, digits, - and _"));
    }
    findings
}

/// A stretch is whole sectors, below 4 GiB. Sectors of different sizes only the board can tell.
fn borders(flash: &Flash, name: &str, stretch: &Stretch) -> Option<Finding> {
    let (_, erase) = flash.grain(stretch);
    let base = if stretch.chip.is_none() { address(flash).unwrap_or(0) } else { 0 };
    if u64::from(base) + stretch.end() > 1 << 32 {
        return Some(finding(format!("{name} ends above 4 GiB"), "correct address, offset or size"));
    }
    if stretch.size == 0 {
        return Some(finding(format!("{name} has no bytes"), "give it a size"));
    }
    let odd = |n: u32| (!n.is_multiple_of(erase)).then_some(n);
    // The bootloader is never erased by what runs: where its sectors are known, they say where it may lie.
    let known = name == "bootloader" && board(flash).is_some() && stretch.chip.is_none();
    let (key, n) = match (odd(stretch.offset), odd(stretch.size)) {
        (Some(n), _) if !known => ("offset", n),
        (_, Some(n)) if !known => ("size", n),
        _ => return None,
    };
    let below = n - n % erase;
    let what = format!("{name} has {key} {n:#x}, which isn't whole sectors of {erase:#x} bytes");
    let next = match below.checked_add(erase) {
        Some(above) => format!("make it {below:#x} or {above:#x}"),
        None => format!("make it {below:#x}"),
    };
    Some(finding(what, next))
}

fn overlaps(stretches: &[(&'static str, &Stretch)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (i, (name, one)) in stretches.iter().enumerate() {
        for (other_name, other) in stretches.iter().skip(i + 1).filter(|(_, other)| other.chip == one.chip) {
            let (from, to) = (one.offset.max(other.offset), one.end().min(other.end()));
            if u64::from(from) < to {
                let what = format!("{name} and {other_name} overlap from {from:#x} to {to:#x}");
                findings.push(finding(what, "move them apart"));
            }
        }
    }
    findings
}

/// The secondary slot is the primary one and a sector.
fn slots(flash: &Flash) -> Option<Finding> {
    let (primary, secondary) = (&flash.primary, &flash.secondary);
    let block = flash.grain(primary).1.max(flash.grain(secondary).1);
    if !primary.size.is_multiple_of(block) {
        let what = format!("primary has {:#x} bytes, and the slots swap {block:#x} at once", primary.size);
        return Some(finding(what, format!("make it a multiple of {block:#x}")));
    }
    let wanted = u64::from(primary.size) + u64::from(block);
    if u64::from(secondary.size) == wanted {
        return None;
    }
    let what = format!(
        "secondary has {:#x} bytes, and has to be one sector longer than primary: {wanted:#x}",
        secondary.size
    );
    let next = match wanted.cmp(&u64::from(secondary.size)) {
        std::cmp::Ordering::Greater => format!("make it {wanted:#x}, or primary smaller by what is missing"),
        _ => format!("make it {wanted:#x}, or primary larger"),
    };
    Some(finding(what, next))
}

/// Slots that code runs from are whole blocks, and seen at known addresses: those of the map, where it knows them.
fn direct_slots(flash: &Flash) -> Vec<Finding> {
    let slots = [("primary", &flash.primary), ("secondary", &flash.secondary)];
    let block = slots.iter().map(|(_, slot)| flash.grain(slot).1).max().unwrap_or(1);
    let mut findings = Vec::new();
    for (i, (name, slot)) in slots.into_iter().enumerate() {
        if !slot.size.is_multiple_of(block) {
            let what = format!("{name} has {:#x} bytes, which isn't whole blocks of {block:#x}", slot.size);
            findings.push(finding(what, format!("make it a multiple of {block:#x}")));
        }
        match (address_of(flash, slot), flash.linked.get(i)) {
            (None, None) => findings.push(finding(
                format!("{name} is run from, and nothing says where it is seen in the memory map"),
                "say where its chip begins: [flash] address; or where both slots are seen: [build] addresses",
            )),
            (Some(lies), Some(linked)) if lies != *linked => findings.push(finding(
                format!("{name} lies at {lies:#010x}, and [build] addresses says {linked:#010x}"),
                "correct it: the primary slot's first; or leave it out",
            )),
            (Some(_), None) if !flash.linked.is_empty() => findings.push(finding(
                "[build] addresses has one address, and code runs from two slots",
                "name both, the primary slot's first; or leave it out",
            )),
            _ => {}
        }
    }
    if flash.linked.len() > 2 {
        let what =
            format!("[build] addresses has {} addresses, and code runs from two slots", flash.linked.len());
        findings.push(finding(what, "name both, the primary slot's first; or leave it out"));
    }
    findings
}

/// The state region holds what the device wants to keep there; how much that is the device knows.
fn state(flash: &Flash) -> Option<Finding> {
    let (_, erase) = flash.grain(&flash.state);
    let with = |size: u32| {
        let slot = |length| Place { offset: 0, length, read: 1, write: 4, erase: 4096 };
        let state = Place { offset: 0, length: size, ..place(flash, &flash.state) };
        Layout::new(state, slot(4096), slot(8192))
    };
    if with(flash.state.size) != Err(LayoutError::StateTooSmall) {
        return None;
    }
    let sizes = (1u32..=64).filter_map(|n| n.checked_mul(erase));
    let enough = sizes.into_iter().find(|size| with(*size).is_ok());
    let what =
        format!("state has {:#x} bytes: too few for three log areas and five receipts", flash.state.size);
    let next = match enough {
        Some(size) => format!("give it {size:#x} or more, or put it on a chip with smaller sectors"),
        None => "put it on a chip with smaller sectors".to_owned(),
    };
    Some(finding(what, next))
}

/// The map against the board it names.
fn on_board(flash: &Flash) -> Vec<Finding> {
    let Some(name) = flash.board.as_deref() else { return Vec::new() };
    let Some(board) = boards::find(name) else {
        let next = format!("{}; or leave `board` out", meant(name, &boards::names()));
        return vec![finding(format!("board `{name}` isn't known"), next)];
    };
    let mut findings = Vec::new();
    if let (Some(said), Some(known)) = (flash.address, board.address)
        && said != known
    {
        let what = format!("address is {said:#010x}, and {name}'s flash begins at {known:#010x}");
        findings.push(finding(what, "correct address, or leave it out"));
    }
    let here = flash.stretches().into_iter().filter(|(_, s)| s.chip.is_none());
    findings.extend(here.filter_map(|(what, stretch)| in_sectors(board, flash, what, stretch)));
    findings
}

/// A stretch against the board's sectors.
fn in_sectors(board: &Board, flash: &Flash, name: &str, stretch: &Stretch) -> Option<Finding> {
    if stretch.end() > board.size() {
        let what =
            format!("{name} ends at {:#x}, and {} has {:#x} bytes", stretch.end(), board.name, board.size());
        return Some(finding(what, "move it, or make it smaller"));
    }
    let from = u64::from(stretch.offset);
    let Some(sectors) = board.between(from, stretch.end()) else {
        let odd = |at: u64| board.around(at).0 != at;
        let (key, at) = if odd(from) { ("begins", from) } else { ("ends", stretch.end()) };
        let (below, above) = board.around(at);
        let what = format!("{name} {key} at {at:#x}, within a sector of {}", board.name);
        return Some(finding(what, format!("the nearest borders are {below:#x} and {above:#x}")));
    };
    let (write, erase) = flash.grain(stretch);
    // Nobody swaps the bootloader: its sectors may differ.
    if name == "bootloader" {
        return None;
    }
    if let Some(other) = sectors.iter().find(|size| **size != u64::from(erase)) {
        let what = format!("{name} has a sector of {other:#x} bytes, and erase_size says {erase:#x}");
        return Some(finding(what, "keep to sectors of one size, or correct erase_size"));
    }
    if !write.is_multiple_of(board.write_size) {
        let (name_of, least) = (board.name, board.write_size);
        let what = format!("{name} is written by {write} bytes, and {name_of} writes {least} at once");
        return Some(finding(what, format!("make write_size {least}")));
    }
    None
}

/// Checks an image against the map: size, address, and what the processor reads first.
pub fn check_image(image: &Loaded, addresses: &[u32], flash: &Flash, ram: &[Ram]) -> Vec<Finding> {
    let (name, slot) = flash.slot_of(image.address);
    let mut findings = room(image, slot.size, &format!("the {name} slot"));
    if flash.direct_xip && image.address.is_none() {
        let both: Vec<_> = addresses.iter().map(|a| format!("FILE@{a:#010x}")).collect();
        findings.push(finding(
            "doesn't say which slot it is linked for",
            format!("say it: {}", both.join(" or ")),
        ));
    }
    if let Some(address) = image.address.filter(|a| !addresses.is_empty() && !addresses.contains(a)) {
        let wanted: Vec<_> = addresses.iter().map(|a| format!("{a:#010x}")).collect();
        findings.push(finding(
            format!("is linked for {address:#010x}, and the slot lies at {}", wanted.join(" or ")),
            if flash.direct_xip {
                "link one for each slot (`patchlane layout --emit memory-x`, `--emit secondary-memory-x`)"
            } else {
                "link it for the slot (`patchlane layout --emit memory-x`), or correct patchlane.toml"
            },
        ));
    }
    let address = image.address.or_else(|| addresses.first().copied());
    findings.extend(start(image, address, 0, flash, ram));
    findings
}

/// Checks a bootloader against its place in the map.
pub fn check_bootloader(image: &Loaded, place: &Stretch, flash: &Flash, ram: &[Ram]) -> Vec<Finding> {
    let mut findings = room(image, place.size, "[flash] bootloader");
    let wanted = address_of(flash, place);
    if let (Some(found), Some(wanted)) = (image.address, wanted)
        && found != wanted
    {
        findings.push(finding(
            format!("is linked for {found:#010x}, and [flash] bootloader lies at {wanted:#010x}"),
            "link it for its place (`patchlane layout --emit boot-memory-x`), or correct patchlane.toml",
        ));
    }
    let preamble = board(flash).map_or(0, |board| board.preamble);
    findings.extend(start(image, image.address.or(wanted), preamble, flash, ram));
    findings
}

fn room(image: &Loaded, room: u32, whose: &str) -> Vec<Finding> {
    let size = image.bytes.len() as u64;
    if size <= u64::from(room) {
        return Vec::new();
    }
    let over = size - u64::from(room);
    let what = format!("has {size} bytes, {over} more than {whose} ({room})");
    vec![finding(what, "make it smaller, or its place larger")]
}

/// What the processor, or the bootloader, reads first.
fn start(image: &Loaded, address: Option<u32>, preamble: u32, flash: &Flash, ram: &[Ram]) -> Option<Finding> {
    let (board, named) = (board(flash), |machine| match machine {
        Machine::CortexM => "Arm",
        Machine::RiscV => "RISC-V",
    });
    if let (Some(found), Some(board)) = (image.machine, board)
        && found != board.machine
    {
        let what = format!("is for {}, and {} runs {}", named(found), board.name, named(board.machine));
        return Some(finding(what, "build it for the board, or correct [flash] board"));
    }
    let machine = image.machine.or_else(|| board.map(|board| board.machine))?;
    match (machine, image.entry, address?) {
        (Machine::CortexM, _, address) => vectors(image, address, preamble, ram),
        (Machine::RiscV, Some(entry), address) if entry != address => Some(finding(
            format!("is entered at {entry:#010x}, and bootloaders jump to its beginning, {address:#010x}"),
            "place the entry first in the linker script",
        )),
        (Machine::RiscV, ..) => None,
    }
}

/// A Cortex-M vector table: initial stack pointer, reset vector (Armv6-M and Armv7-M ARM, B1.5.3); VTOR has no
/// bits for an address that isn't a multiple of 128 (Armv7-M ARM, B3.2.5).
fn vectors(image: &Loaded, address: u32, preamble: u32, ram: &[Ram]) -> Option<Finding> {
    let next = format!(
        "an image begins with its vector table: link it for {address:#010x} (`patchlane layout --emit memory-x`), \
         neither encrypted nor with a header before it"
    );
    let word = |at: u32| {
        let at = usize::try_from(at.checked_add(preamble)?).ok()?;
        Some(u32::from_le_bytes(image.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
    };
    let (Some(stack), Some(reset)) = (word(0), word(4)) else {
        return Some(finding("is too short for a vector table", next));
    };
    let end = u64::from(address) + image.bytes.len() as u64;
    let inside = |at: u32| at >= address && u64::from(at) < end;
    if reset & 1 == 0 || !inside(reset) {
        let why = if inside(reset) { "lacks the Thumb bit" } else { "lies outside the image" };
        return Some(finding(format!("has no vector table: its reset vector {reset:#010x} {why}"), next));
    }
    let within = |ram: &Ram| {
        let top = u64::from(ram.address) + u64::from(ram.size);
        stack > ram.address && u64::from(stack) <= top
    };
    if !stack.is_multiple_of(4) || !(ram.is_empty() || ram.iter().any(within)) {
        let what = format!("has no vector table: {stack:#010x} can't be its initial stack pointer");
        return Some(finding(what, format!("{next}; [ram] names RAM that patchlane doesn't know of")));
    }
    if !address.is_multiple_of(128) {
        let what = format!("has its vector table at {address:#010x}, which isn't a multiple of 128");
        return Some(finding(what, "move the slot"));
    }
    if let Some(entry) = image.entry.filter(|entry| !inside(*entry)) {
        let what = format!("is entered at {entry:#010x}, outside of itself");
        return Some(finding(what, "check ENTRY in the linker script"));
    }
    None
}

/// `64 KiB`, `1 MiB`, `100 bytes`.
pub fn bytes(n: u64) -> String {
    match n {
        n if n >= 1 << 20 && n.is_multiple_of(1 << 20) => format!("{} MiB", n >> 20),
        n if n >= 1 << 10 && n.is_multiple_of(1 << 10) => format!("{} KiB", n >> 10),
        n => format!("{n} bytes"),
    }
}

/// How many sectors of which size, from the beginning on.
pub fn sectors(flash: &Flash, stretch: &Stretch) -> Vec<(u64, u64)> {
    let known = board(flash).filter(|_| stretch.chip.is_none());
    match known.and_then(|board| board.between(u64::from(stretch.offset), stretch.end())) {
        Some(sizes) => boards::runs(&sizes),
        None => {
            let (_, erase) = flash.grain(stretch);
            vec![(u64::from(stretch.size / erase.max(1)), u64::from(erase))]
        }
    }
}

/// `4 x 16 KiB, 1 x 64 KiB`.
pub fn runs(runs: &[(u64, u64)]) -> String {
    runs.iter().map(|(count, size)| format!("{count} x {}", bytes(*size))).collect::<Vec<_>>().join(", ")
}

/// A chip by name (`None`: the main one), with its stretches in order.
pub(crate) type ChipParts<'a> = (Option<&'a str>, Vec<(&'static str, &'a Stretch)>);

/// Every chip that something lies on; the main chip first.
pub(crate) fn chips(flash: &Flash) -> Vec<ChipParts<'_>> {
    let mut list: Vec<ChipParts<'_>> = vec![(None, Vec::new())];
    for (name, stretch) in flash.stretches() {
        let chip = stretch.chip.as_deref();
        match list.iter_mut().find(|(other, _)| *other == chip) {
            Some((_, parts)) => parts.push((name, stretch)),
            None => list.push((chip, vec![(name, stretch)])),
        }
    }
    list.retain(|(_, parts)| !parts.is_empty());
    for (_, parts) in &mut list {
        parts.sort_by_key(|(_, s)| s.offset);
    }
    list
}

#[cfg(test)]
mod tests;
