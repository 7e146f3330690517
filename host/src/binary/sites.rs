//! Sites: places in code and data whose bytes say where something lies, not what is done.
//!
//! With `--emit-relocs` the linker lists them. Some are never listed, because the assembler resolved them within a
//! section: those are decoded from the code in either method. Without the list the rest is guessed.

use super::elf::{Content, Firmware, Home, Machine, Names};
use super::{arm, riscv};
use std::collections::BTreeMap;

/// What a site points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum To {
    Address(u32),
    /// A symbol of this index, and bytes beyond it.
    Symbol(usize, i32),
}

/// What kind of use it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Use {
    Call,
    Address,
    /// One side of a difference of two places.
    Difference,
    /// What stands there isn't what the linker's list says: compared as it is.
    Unclear,
}

/// How the bytes of a site become the same wherever things lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// These bits of the bytes stay.
    Keep([u8; 4]),
    /// A call or jump that the linker may have made shorter; the register that it links by.
    Call(u8),
    /// The upper half of an address, left out: the linker may have, too. Its lower half is a site of its own.
    Upper,
    /// Bytes of alignment.
    Padding,
}

/// A place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    pub(super) at: u32,
    /// Bytes of it, 1 to 8.
    pub(super) size: u8,
    pub(super) form: Form,
    pub(super) purpose: Use,
    pub(super) to: Option<To>,
    /// Found by decoding: within a function its bytes say the same.
    pub(super) decoded: bool,
}

/// All sites of a section: some places have two (differences).
#[derive(Debug, Default)]
pub(super) struct Sites {
    by_address: BTreeMap<u32, Vec<Site>>,
    /// Relocations of types that aren't known here.
    pub(super) unknown: usize,
}

impl Sites {
    pub(super) fn add(&mut self, site: Site) {
        self.by_address.entry(site.at).or_default().push(site);
    }

    /// Adds one that was decoded, unless the linker listed it.
    pub(super) fn offer(&mut self, site: Site) {
        self.by_address.entry(site.at).or_insert_with(|| vec![site]);
    }

    /// What a site points to is known better now.
    pub(super) fn amend(&mut self, at: u32, to: To) {
        for site in self.by_address.get_mut(&at).into_iter().flatten() {
            site.to = Some(to);
        }
    }

    pub(super) fn taken(&self, at: u32) -> bool {
        self.by_address.contains_key(&at)
    }

    pub(super) fn within(&self, from: u32, end: u32) -> impl Iterator<Item = &Site> {
        let range = if from <= end { from..end } else { from..from };
        self.by_address.range(range).flat_map(|(_, sites)| sites)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Site> {
        self.by_address.values().flatten()
    }
}

/// A little-endian halfword of the program.
pub(super) fn half(firmware: &Firmware<'_>, section: usize, at: u32) -> Option<u16> {
    let bytes = firmware.sections[section].bytes(at, 2);
    bytes.try_into().ok().map(u16::from_le_bytes)
}

/// A little-endian word of the program.
pub(super) fn word(firmware: &Firmware<'_>, section: usize, at: u32) -> Option<u32> {
    let bytes = firmware.sections[section].bytes(at, 4);
    bytes.try_into().ok().map(u32::from_le_bytes)
}

/// What a relocation points to: its symbol by name where it has one that lasts, or else a place.
pub(super) fn target(firmware: &Firmware<'_>, symbol: Option<usize>, addend: i32) -> Option<To> {
    let index = symbol?;
    let symbol = firmware.symbols.get(index)?;
    if symbol.name.is_empty() && symbol.home != Home::Nowhere {
        return Some(To::Address(firmware.address(symbol).wrapping_add_signed(addend)));
    }
    Some(To::Symbol(index, addend))
}

/// The place that a site points to, if it is one.
pub(super) fn place(firmware: &Firmware<'_>, to: To) -> Option<u32> {
    match to {
        To::Address(address) => Some(address),
        To::Symbol(index, addend) => {
            let symbol = firmware.symbols.get(index)?;
            let here = matches!(symbol.home, Home::Section(_));
            here.then(|| firmware.address(symbol).wrapping_add_signed(addend))
        }
    }
}

/// Finds the sites of every section; `listed` by the linker, or guessed.
pub(super) fn find(firmware: &Firmware<'_>, listed: bool) -> Vec<Sites> {
    let mut all: Vec<Sites> = Vec::new();
    all.resize_with(firmware.sections.len(), Sites::default);
    for (section, sites) in all.iter_mut().enumerate() {
        if listed {
            match firmware.machine {
                Machine::Arm => arm::relocated(firmware, section, sites),
                Machine::RiscV => riscv::relocated(firmware, section, sites),
            }
        }
        for (from, end) in functions(firmware, section) {
            match firmware.machine {
                Machine::Arm => arm::decode(firmware, section, (from, end), listed, sites),
                Machine::RiscV => riscv::decode(firmware, section, (from, end), listed, sites),
            }
        }
        if !listed {
            pointers(firmware, section, sites);
        }
    }
    all
}

/// The stretches of a section that functions take, none twice.
pub(super) fn functions(firmware: &Firmware<'_>, section: usize) -> Vec<(u32, u32)> {
    let home = &firmware.sections[section];
    let here = |symbol: &&super::elf::Symbol| {
        symbol.names == Names::Function && symbol.home == Home::Section(section)
    };
    let mut stretches: Vec<(u32, u32)> = firmware
        .symbols
        .iter()
        .filter(here)
        .map(|symbol| {
            (firmware.address(symbol), firmware.address(symbol).saturating_add(symbol.size).min(home.end()))
        })
        .filter(|(from, end)| home.holds(*from) && from < end)
        .collect();
    stretches.sort_unstable();
    let mut last = 0;
    for (from, end) in &mut stretches {
        *from = last.max(*from);
        last = last.max(*end);
    }
    stretches.retain(|(from, end)| from < end);
    stretches
}

/// Guesses which aligned words of data are addresses: those of a function, or of something in a data section.
fn pointers(firmware: &Firmware<'_>, section: usize, sites: &mut Sites) {
    let home = &firmware.sections[section];
    let starts = function_starts(firmware);
    let mut at = home.address.next_multiple_of(4);
    while let Some(value) = word(firmware, section, at) {
        let data = !home.code || firmware.content(at) == Content::Data;
        if data && !sites.taken(at) && is_pointer(firmware, &starts, value) {
            let code = firmware.plain(value) != value || starts.contains(&value);
            let mut site = address_word(at, To::Address(firmware.plain(value)));
            // The bit that marks Thumb code.
            if code && firmware.machine == Machine::Arm {
                site.form = Form::Keep([1, 0, 0, 0]);
            }
            sites.add(site);
        }
        let Some(next) = at.checked_add(4) else { break };
        at = next;
    }
}

/// Where functions begin, as pointers have it.
pub(super) fn function_starts(firmware: &Firmware<'_>) -> std::collections::BTreeSet<u32> {
    let functions = firmware.symbols.iter().filter(|symbol| symbol.names == Names::Function);
    functions.map(|symbol| symbol.value).collect()
}

/// Small numbers are numbers, even where flash begins at 0.
const SMALLEST_POINTER: u32 = 0x100;

pub(super) fn is_pointer(
    firmware: &Firmware<'_>,
    starts: &std::collections::BTreeSet<u32>,
    value: u32,
) -> bool {
    let data = firmware.section_at(value).is_some_and(|section| !section.code);
    value >= SMALLEST_POINTER && (data || starts.contains(&value))
}

/// A word that is an address.
pub(super) fn address_word(at: u32, to: To) -> Site {
    Site { at, size: 4, form: Form::Keep([0; 4]), purpose: Use::Address, to: Some(to), decoded: false }
}
