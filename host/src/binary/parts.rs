//! What a program is made of: every byte that the device holds belongs to one part.
//!
//! Functions and data objects are parts by their symbols. What lies between them has no name that lasts (string
//! literals, constants, jump tables): it is cut where something points to, and known by its content.

use super::elf::{Firmware, Home, Machine, Names, Symbol};
use super::sites::{Sites, place};
use crate::error::{Code, Error, Result};
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Part {
    /// The symbols at its beginning, the one that names it first; none: it has no name.
    pub(super) symbols: Vec<usize>,
    /// Of [`Firmware::sections`].
    pub(super) section: usize,
    pub(super) from: u32,
    pub(super) size: u32,
    pub(super) code: bool,
}

impl Part {
    pub(super) fn end(&self) -> u32 {
        self.from.saturating_add(self.size)
    }
}

/// So often a byte may belong to something: symbols that all cover all of it would take for ever.
const OVERLAP: u64 = 4;

/// Takes a program apart.
///
/// # Errors
/// `image`: its symbols contradict each other.
pub(super) fn take_apart(firmware: &Firmware<'_>, sites: &[Sites]) -> Result<Vec<Part>> {
    let mut cuts: Vec<u32> = sites
        .iter()
        .flat_map(Sites::all)
        .filter_map(|site| place(firmware, site.to?))
        .chain(
            firmware.symbols.iter().filter(|symbol| symbol.size > 0).map(|symbol| firmware.address(symbol)),
        )
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut all = Vec::new();
    for (index, section) in firmware.sections.iter().enumerate() {
        if is_passed_over(firmware, index, sites) {
            continue;
        }
        let named = named(firmware, index);
        let total: u64 = named.iter().map(|part| u64::from(part.size)).sum();
        if total > OVERLAP * u64::from(section.size) {
            let what = format!("has symbols in `{}` that cover it more than {OVERLAP} times", section.name);
            return Err(Error::new(Code::Image, what, "build it again"));
        }
        let rest = between(firmware, index, &named, &cuts);
        all.extend(named);
        all.extend(rest);
    }
    all.sort_by_key(|part| (part.from, std::cmp::Reverse(part.size)));
    Ok(all)
}

/// True for tables of unwinders that nothing else points into: at their beginning they are handed over as a whole.
pub(super) fn is_passed_over(firmware: &Firmware<'_>, index: usize, sites: &[Sites]) -> bool {
    let section = &firmware.sections[index];
    let others = || sites.iter().enumerate().filter(|(of, _)| !firmware.is_unwinding(*of));
    let inside = |at: u32| section.address < at && at < section.end();
    firmware.is_unwinding(index)
        && !others()
            .flat_map(|(_, sites)| sites.all())
            .any(|s| s.to.and_then(|to| place(firmware, to)).is_some_and(inside))
}

/// True for a symbol that names what follows it: a label of data marks a place only.
fn leads(symbol: &Symbol, code: bool) -> bool {
    match symbol.names {
        Names::Function => true,
        Names::Object => symbol.size > 0,
        Names::Label => code && !symbol.name.is_empty(),
        Names::Section => false,
    }
}

fn named(firmware: &Firmware<'_>, index: usize) -> Vec<Part> {
    let section = &firmware.sections[index];
    let mut at: BTreeMap<u32, (u32, Vec<usize>)> = BTreeMap::new();
    for (number, symbol) in firmware.symbols.iter().enumerate() {
        let from = firmware.address(symbol);
        if symbol.home != Home::Section(index) || !leads(symbol, section.code) || !section.holds(from) {
            continue;
        }
        let size = symbol.size.min(section.end() - from);
        let entry = at.entry(from).or_default();
        entry.0 = entry.0.max(size);
        entry.1.push(number);
    }
    let starts: Vec<u32> = at.keys().copied().collect();
    let mut parts = Vec::new();
    let mut covered = section.address;
    for (from, (size, mut symbols)) in at {
        // Without a size it goes on to the next; within something that has one it is only a label.
        let unsized_size = || {
            let next = starts[starts.partition_point(|start| *start <= from)..].first();
            next.copied().unwrap_or(section.end()) - from
        };
        if size == 0 && from < covered {
            continue;
        }
        let size = if size == 0 { unsized_size() } else { size };
        covered = covered.max(from.saturating_add(size));
        let rank = |number: &usize| {
            let symbol = &firmware.symbols[*number];
            (symbol.name.is_empty(), symbol.names == Names::Label, !symbol.global, *number)
        };
        symbols.sort_by_key(rank);
        symbols.retain(|number| !firmware.symbols[*number].name.is_empty());
        parts.push(Part { symbols, section: index, from, size, code: section.code });
    }
    parts
}

/// What no symbol covers.
fn between(firmware: &Firmware<'_>, index: usize, named: &[Part], cuts: &[u32]) -> Vec<Part> {
    let section = &firmware.sections[index];
    let mut parts = Vec::new();
    if section.data.is_empty() {
        return parts;
    }
    let mut add = |from: u32, end: u32| {
        let bytes = section.bytes(from, end - from);
        let mut size = bytes.len() - padding(firmware.machine, section.code, bytes);
        // What something points to is more than padding, though it may look like it.
        if size == 0 && section.code && cuts.binary_search(&from).is_ok() {
            size = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
        }
        if size > 0 {
            let size = u32::try_from(size).unwrap_or(0);
            parts.push(Part { symbols: Vec::new(), section: index, from, size, code: section.code });
        }
    };
    let mut cursor = section.address;
    let ends = named.iter().map(|part| (part.from, part.end())).chain([(section.end(), section.end())]);
    for (from, end) in ends {
        if cursor < from {
            let first = cuts.partition_point(|cut| *cut <= cursor);
            for cut in cuts[first..].iter().take_while(|cut| **cut < from) {
                add(cursor, *cut);
                cursor = *cut;
            }
            add(cursor, from);
        }
        cursor = cursor.max(end);
    }
    parts
}

/// Bytes at the end that are only there to align what follows.
pub(super) fn padding(machine: Machine, code: bool, bytes: &[u8]) -> usize {
    let empty = |bytes: &[u8]| bytes.iter().rev().take_while(|byte| matches!(**byte, 0 | 0xff)).count();
    if !code {
        return bytes.iter().rev().take_while(|byte| **byte == 0).count();
    }
    let nops: &[&[u8]] = match machine {
        Machine::Arm => {
            &[&[0x00, 0xbf], &[0xc0, 0x46], &[0xd4, 0xd4], &[0x00, 0xf0, 0x20, 0xe3], &[0xaf, 0xf3, 0, 0x80]]
        }
        Machine::RiscV => &[&[0x01, 0x00], &[0x13, 0x00, 0x00, 0x00]],
    };
    let mut rest = bytes;
    loop {
        let before = rest.len();
        for nop in nops {
            rest = rest.strip_suffix(*nop).unwrap_or(rest);
        }
        // A NOP may end with zeros: whole ones come first.
        if rest.len() == before {
            rest = &rest[..rest.len() - empty(rest)];
        }
        if rest.len() == before {
            return bytes.len() - rest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_known_by_what_it_does() {
        assert_eq!(padding(Machine::Arm, true, &[0x70, 0x47, 0x00, 0xbf, 0x00, 0x00]), 4);
        assert_eq!(padding(Machine::Arm, true, &[0x00, 0xbf]), 2);
        assert_eq!(padding(Machine::RiscV, true, &[0x82, 0x80, 0x13, 0x00, 0x00, 0x00, 0x01, 0x00]), 6);
        assert_eq!(padding(Machine::Arm, false, b"hello\0\0\0"), 3);
        assert_eq!(padding(Machine::Arm, false, &[1, 0xff]), 0);
    }
}
