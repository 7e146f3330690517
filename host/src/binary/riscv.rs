//! Sites of RISC-V code (RISC-V ELF psABI), linker relaxation included.
//!
//! The linker shortens calls and addresses where what they name is near, so the same function has several lengths:
//! calls become one form ([`Form::Call`]), upper halves of addresses are left out ([`Form::Upper`]), and lower halves
//! lose the register that the upper half went into: their relocation says what they mean.

use super::elf::{Content, Firmware, Home, Reloc};
use super::sites::{self, Form, Site, Sites, To, Use, half, place, target, word};
use object::elf as r;
use std::collections::BTreeMap;

const fn keep(bits: u32) -> Form {
    Form::Keep(bits.to_le_bytes())
}

const LOWER_LOAD: Form = keep(0x0000_7fff);
const LOWER_STORE: Form = keep(0x01f0_707f);
const BRANCH: Form = keep(0x01ff_f07f);
const SHORT_BRANCH: Form = keep(0xe383);
const NOTHING: Form = Form::Keep([0; 4]);
/// What isn't understood is compared as it is.
const ALL: Form = Form::Keep([0xff; 4]);
/// The registers that calls link by, and that none links by.
const RA: u8 = 1;
const ZERO: u8 = 0;
const GP: u32 = 3;
/// So far apart an upper half and its lower half may stand, in instructions, where nothing lists them.
const REACH: usize = 32;
/// So many upper halves are looked at for a lower one.
const NEAR: usize = 256;
/// Types of the psABI that the crate `object` doesn't name.
const PCREL32: u32 = 57;
const PLT32: u32 = 59;

fn site(at: u32, size: u8, form: Form, purpose: Use, to: Option<To>) -> Site {
    Site { at, size, form, purpose, to, decoded: false }
}

/// How a relocation's place is read: bytes, form, use. None: it has no place of its own.
fn shape(firmware: &Firmware<'_>, section: usize, reloc: &Reloc) -> Option<Option<(u8, Form, Use)>> {
    let (at, kind) = (reloc.at, reloc.kind);
    let links = |register: u32| Form::Call(register as u8 & 31);
    Some(Some(match kind {
        r::R_RISCV_NONE | r::R_RISCV_RELAX | r::R_RISCV_TPREL_ADD => return Some(None),
        r::R_RISCV_CALL | r::R_RISCV_CALL_PLT => {
            (8, links(word(firmware, section, at.saturating_add(4))? >> 7), Use::Call)
        }
        r::R_RISCV_JAL => (4, links(word(firmware, section, at)? >> 7), Use::Call),
        r::R_RISCV_RVC_JUMP => (2, Form::Call(short_link(half(firmware, section, at)?)), Use::Call),
        r::R_RISCV_BRANCH => (4, BRANCH, Use::Call),
        r::R_RISCV_RVC_BRANCH => (2, SHORT_BRANCH, Use::Call),
        r::R_RISCV_HI20 | r::R_RISCV_PCREL_HI20 | r::R_RISCV_GOT_HI20 => (4, Form::Upper, Use::Address),
        r::R_RISCV_RVC_LUI => (2, Form::Upper, Use::Address),
        r::R_RISCV_LO12_I | r::R_RISCV_PCREL_LO12_I | r::R_RISCV_GPREL_I => (4, LOWER_LOAD, Use::Address),
        r::R_RISCV_LO12_S | r::R_RISCV_PCREL_LO12_S | r::R_RISCV_GPREL_S => (4, LOWER_STORE, Use::Address),
        r::R_RISCV_32 | PCREL32 | PLT32 => (4, NOTHING, Use::Address),
        r::R_RISCV_ADD8 | r::R_RISCV_SUB8 | r::R_RISCV_SET8 => (1, NOTHING, Use::Difference),
        r::R_RISCV_ADD16 | r::R_RISCV_SUB16 | r::R_RISCV_SET16 => (2, NOTHING, Use::Difference),
        r::R_RISCV_ADD32 | r::R_RISCV_SUB32 | r::R_RISCV_SET32 => (4, NOTHING, Use::Difference),
        r::R_RISCV_SET6 | r::R_RISCV_SUB6 => (1, Form::Keep([0xc0, 0, 0, 0]), Use::Difference),
        r::R_RISCV_ALIGN => (padding(firmware, section, reloc), Form::Padding, Use::Address),
        _ => return None,
    }))
}

/// C.JAL links by ra, C.J doesn't.
const fn short_link(code: u16) -> u8 {
    if code >> 13 == 0b001 { RA } else { ZERO }
}

/// How many bytes of NOPs the linker left of those that the assembler reserved.
fn padding(firmware: &Firmware<'_>, section: usize, reloc: &Reloc) -> u8 {
    let reserved = reloc.addend.unwrap_or(0).clamp(0, 64) as u32;
    let mut size = 0;
    while size < reserved {
        let at = reloc.at.saturating_add(size);
        match (half(firmware, section, at), word(firmware, section, at)) {
            (_, Some(0x0000_0013)) if size + 4 <= reserved => size += 4,
            (Some(0x0001), _) => size += 2,
            _ => break,
        }
    }
    size as u8
}

/// Sites that the linker listed, as far as what stands there is what they say.
pub(super) fn relocated(firmware: &Firmware<'_>, section: usize, sites: &mut Sites) {
    let listed = Listed::new(firmware, section);
    for reloc in &firmware.relocs[section] {
        let (size, form, purpose) = match shape(firmware, section, reloc) {
            Some(Some(shape)) => shape,
            Some(None) => continue,
            None => {
                sites.unknown += 1;
                (4, ALL, Use::Address)
            }
        };
        if size == 0 {
            continue;
        }
        let to = if form == Form::Padding { None } else { listed.target(reloc) };
        let found = site(reloc.at, size, form, purpose, to);
        sites.add(listed.checked(reloc, found));
    }
}

/// A section's relocations, looked up by one another.
struct Listed<'a> {
    firmware: &'a Firmware<'a>,
    section: usize,
    /// Upper halves relative to the program counter: lower halves name their place.
    relative: BTreeMap<u32, &'a Reloc>,
    /// Where functions begin and end.
    functions: Vec<(u32, u32)>,
    /// Upper halves of absolute addresses: where, of what, into which register.
    absolute: Vec<(u32, u32, u32)>,
    gp: Option<u32>,
}

impl<'a> Listed<'a> {
    fn new(firmware: &'a Firmware<'a>, section: usize) -> Self {
        let relocs = || firmware.relocs[section].iter();
        let relative =
            relocs().filter(|reloc| matches!(reloc.kind, r::R_RISCV_PCREL_HI20 | r::R_RISCV_GOT_HI20));
        let relative = relative.map(|reloc| (reloc.at, reloc)).collect();
        let (functions, absolute) = (sites::functions(firmware, section), Vec::new());
        let mut listed = Self { firmware, section, relative, functions, absolute, gp: gp(firmware) };
        for reloc in relocs().filter(|reloc| matches!(reloc.kind, r::R_RISCV_HI20 | r::R_RISCV_RVC_LUI)) {
            let code = half(firmware, section, reloc.at);
            let value = listed.target(reloc).and_then(|to| value(firmware, to));
            if let (Some(value), Some(code)) = (value, code) {
                listed.absolute.push((reloc.at, value, u32::from(code) >> 7 & 31));
            }
        }
        listed
    }

    /// True if a register holds the upper half of a value: by the last instruction before that loads it, in the same
    /// function, or by any if none stands before.
    fn holds(&self, at: u32, value: u32, register: u32) -> bool {
        let number = self.functions.partition_point(|(from, _)| *from <= at);
        let (from, end) = number.checked_sub(1).map_or((0, u32::MAX), |number| self.functions[number]);
        let of = |at: u32| self.absolute.partition_point(|(upper, ..)| *upper < at);
        let between = |from: u32, end: u32| self.absolute.get(of(from)..of(end)).unwrap_or_default().iter();
        let before = between(from, at).rev().take(NEAR);
        let same = before.clone().find(|(_, other, _)| *other == value);
        let last = same.or_else(|| before.clone().find(|(_, other, _)| page(*other) == page(value)));
        if let Some((_, _, loaded)) = last {
            return *loaded == register;
        }
        // What lies behind the last function has none.
        let mut after = between(at, end).take(NEAR);
        after.any(|(_, other, loaded)| page(*other) == page(value) && *loaded == register)
    }

    fn word(&self, at: u32) -> u32 {
        word(self.firmware, self.section, at).unwrap_or(0)
    }

    /// A short instruction may be the last of its section.
    fn half(&self, at: u32) -> u32 {
        half(self.firmware, self.section, at).map_or(0, u32::from)
    }

    /// What a relocation points to.
    fn target(&self, reloc: &Reloc) -> Option<To> {
        let of = |reloc: &Reloc| target(self.firmware, reloc.symbol, reloc.addend.unwrap_or(0));
        match self.upper(reloc) {
            Some(upper) => of(upper),
            None => of(reloc),
        }
    }

    /// A lower half names the instruction of its upper half; what is meant stands there.
    fn upper(&self, reloc: &Reloc) -> Option<&&Reloc> {
        if !matches!(reloc.kind, r::R_RISCV_PCREL_LO12_I | r::R_RISCV_PCREL_LO12_S) {
            return None;
        }
        let label = target(self.firmware, reloc.symbol, 0).and_then(|to| place(self.firmware, to));
        self.relative.get(&label?)
    }

    /// The same site, if its bytes are what the linker makes of its target; or with them as they are.
    fn checked(&self, reloc: &Reloc, site: Site) -> Site {
        let raw = Site { form: ALL, size: site.size.min(4), purpose: Use::Unclear, ..site };
        let Some(to) = site.to else { return site };
        let Some(value) = value(self.firmware, to) else { return raw };
        let leads = |to: Option<u32>| match to {
            Some(to) if to == value => site,
            Some(to) => Site { to: Some(To::Address(to)), ..site },
            None => raw,
        };
        let (at, code, short) = (reloc.at, self.word(reloc.at), self.half(reloc.at));
        let only_if = |right: bool| if right { site } else { raw };
        match reloc.kind {
            r::R_RISCV_CALL | r::R_RISCV_CALL_PLT => leads(self.call(at)),
            r::R_RISCV_JAL => leads((code & 0x7f == 0x6f).then(|| at.wrapping_add_signed(jump_offset(code)))),
            r::R_RISCV_RVC_JUMP => {
                leads(is_short_jump(short).then(|| at.wrapping_add_signed(short_offset(short))))
            }
            r::R_RISCV_BRANCH => leads(Some(at.wrapping_add_signed(branch_offset(code)))),
            r::R_RISCV_RVC_BRANCH => leads(Some(at.wrapping_add_signed(short_branch_offset(short)))),
            r::R_RISCV_HI20 => only_if(code & 0x7f == 0x37 && code & !0xfff == page(value)),
            r::R_RISCV_PCREL_HI20 => {
                only_if(code & 0x7f == 0x17 && code & !0xfff == page(value.wrapping_sub(at)))
            }
            r::R_RISCV_RVC_LUI => only_if(short & 0xe003 == 0x6001 && short_upper(short) == page(value)),
            r::R_RISCV_32 => match self.word(at) {
                there if there == value => site,
                there => Site { to: Some(To::Address(there)), ..site },
            },
            r::R_RISCV_LO12_I | r::R_RISCV_LO12_S | r::R_RISCV_GPREL_I | r::R_RISCV_GPREL_S => {
                self.lower(reloc, site, value, None)
            }
            r::R_RISCV_PCREL_LO12_I | r::R_RISCV_PCREL_LO12_S => {
                self.lower(reloc, site, value, self.upper(reloc).map(|upper| upper.at))
            }
            _ if site.purpose == Use::Difference => only_if(self.difference(at, site.size)),
            _ => raw,
        }
    }

    /// A lower half: its immediate has to fit, and its register to hold what belongs to it.
    fn lower(&self, reloc: &Reloc, site: Site, value: u32, upper: Option<u32>) -> Site {
        let code = self.word(reloc.at);
        let unclear = |form| Site { form, purpose: Use::Unclear, ..site };
        let Some((base, offset, form)) = lower(code) else { return unclear(ALL) };
        let low = |value: u32| (value << 20) as i32 >> 20;
        let by_upper = match upper {
            Some(at) => offset == low(value.wrapping_sub(at)) && base == self.word(at) >> 7 & 31,
            None => offset == low(value) && self.holds(reloc.at, value, base),
        };
        let relaxed = match base {
            GP if upper.is_none() => self.gp.is_some_and(|gp| gp.wrapping_add_signed(offset) == value),
            0 if upper.is_none() => offset as u32 == value,
            _ => false,
        };
        // In another register it may still be the lower half: of a copy, or of a part of a structure.
        let copied = upper.is_none() && offset == low(value);
        let Form::Keep(bits) = form else { return site };
        match (by_upper || relaxed, copied) {
            (true, _) => Site { form, ..site },
            (false, true) => unclear(keep(u32::from_le_bytes(bits) | 0x000f_8000)),
            (false, false) => unclear(ALL),
        }
    }

    /// Where AUIPC and JALR lead, if they are that.
    fn call(&self, at: u32) -> Option<u32> {
        let (first, second) = (self.word(at), self.word(at.checked_add(4)?));
        let joined = first & 0x7f == 0x17 && second & 0x707f == 0x67 && first >> 7 & 31 == second >> 15 & 31;
        joined.then(|| at.wrapping_add(first & !0xfff).wrapping_add_signed(second as i32 >> 20))
    }

    /// True if a place holds the difference that all of its relocations make.
    fn difference(&self, at: u32, size: u8) -> bool {
        let relocs = &self.firmware.relocs[self.section];
        let first = relocs.partition_point(|reloc| reloc.at < at);
        let mut sum = 0u32;
        for reloc in relocs[first..].iter().take_while(|reloc| reloc.at == at) {
            let Some(value) = self.target(reloc).and_then(|to| value(self.firmware, to)) else {
                return false;
            };
            match reloc.kind {
                r::R_RISCV_ADD8 | r::R_RISCV_ADD16 | r::R_RISCV_ADD32 => sum = sum.wrapping_add(value),
                r::R_RISCV_SUB8 | r::R_RISCV_SUB16 | r::R_RISCV_SUB32 => sum = sum.wrapping_sub(value),
                r::R_RISCV_SET8 | r::R_RISCV_SET16 | r::R_RISCV_SET32 => sum = value,
                _ => return false,
            }
        }
        let there = self.firmware.sections[self.section].bytes(at, u32::from(size));
        sum.to_le_bytes().starts_with(there) && there.len() == usize::from(size)
    }
}

/// What the upper half of a value is.
fn page(value: u32) -> u32 {
    value.wrapping_add(0x800) & !0xfff
}

/// What a target comes to, as a number.
fn value(firmware: &Firmware<'_>, to: To) -> Option<u32> {
    match to {
        To::Address(address) => Some(address),
        To::Symbol(index, addend) => {
            let symbol = firmware.symbols.get(index)?;
            (symbol.home != Home::Nowhere).then(|| symbol.value.wrapping_add_signed(addend))
        }
    }
}

fn gp(firmware: &Firmware<'_>) -> Option<u32> {
    firmware.symbols.iter().find(|symbol| symbol.raw == "__global_pointer$").map(|symbol| symbol.value)
}

/// Sites that only the code shows: jumps and addresses relative to the program counter; without the linker's list,
/// absolute addresses and those relative to gp, too.
pub(super) fn decode(
    firmware: &Firmware<'_>,
    section: usize,
    (from, end): (u32, u32),
    listed: bool,
    sites: &mut Sites,
) {
    let walk = Walk {
        firmware,
        section,
        end,
        listed,
        starts: if listed { Default::default() } else { sites::function_starts(firmware) },
        gp: gp(firmware),
    };
    let mut at = from;
    while let Some((code, size)) = walk.instruction(at) {
        if firmware.content(at) != Content::Data && !sites.taken(at) {
            walk.look(at, code, sites);
        }
        at = at.saturating_add(size);
    }
}

struct Walk<'a> {
    firmware: &'a Firmware<'a>,
    section: usize,
    end: u32,
    listed: bool,
    starts: std::collections::BTreeSet<u32>,
    gp: Option<u32>,
}

impl Walk<'_> {
    /// The instruction at a place, and its bytes.
    fn instruction(&self, at: u32) -> Option<(u32, u32)> {
        if at >= self.end {
            return None;
        }
        let first = half(self.firmware, self.section, at)?;
        if first & 3 != 3 {
            return Some((u32::from(first), 2));
        }
        Some((word(self.firmware, self.section, at)?, 4))
    }

    fn look(&self, at: u32, code: u32, sites: &mut Sites) {
        let decoded = |size, form, to| Site {
            at,
            size,
            form,
            purpose: Use::Call,
            to: Some(To::Address(to)),
            decoded: true,
        };
        let register = code >> 7 & 31;
        match code {
            _ if code & 0x7f == 0x6f => {
                let to = at.wrapping_add_signed(jump_offset(code));
                sites.offer(decoded(4, Form::Call(register as u8), to));
            }
            _ if code >> 16 == 0 && is_short_jump(code) => {
                let to = at.wrapping_add_signed(short_offset(code));
                sites.offer(decoded(2, Form::Call(short_link(code as u16)), to));
            }
            _ if code & 0x7f == 0x17 => {
                self.upper(at, 4, register, at.wrapping_add(code & !0xfff), true, sites)
            }
            _ if code & 0x7f == 0x37 && !self.listed => {
                self.upper(at, 4, register, code & !0xfff, false, sites)
            }
            _ if code & 3 == 1 && code >> 13 == 3 && !matches!(register, 0 | 2) && !self.listed => {
                self.upper(at, 2, register, short_upper(code), false, sites);
            }
            _ if !self.listed && self.gp.is_some() => {
                let Some((GP, offset, form)) = lower(code) else { return };
                let to = self.gp.unwrap_or(0).wrapping_add_signed(offset);
                if self.firmware.section_at(to).is_some() {
                    sites.offer(site(at, 4, form, Use::Address, Some(To::Address(to))));
                }
            }
            _ => {}
        }
    }

    /// An upper half: with the instruction that adds the lower one it is an address of the program, or nothing.
    fn upper(&self, at: u32, size: u32, register: u32, value: u32, relative: bool, sites: &mut Sites) {
        let mut next = at.saturating_add(size);
        for _ in 0..REACH {
            let Some((code, length)) = self.instruction(next) else { return };
            if length == 4 && code & 0x707f == 0x67 && code >> 15 & 31 == register {
                let to = Some(To::Address(value.wrapping_add_signed(code as i32 >> 20)));
                if relative && next == at.saturating_add(4) {
                    sites.offer(site(at, 8, Form::Call((code >> 7 & 31) as u8), Use::Call, to));
                }
                return;
            }
            match lower(code).filter(|_| length == 4) {
                Some((base, offset, form)) if base == register => {
                    let to = value.wrapping_add_signed(offset);
                    let here = self.firmware.section_at(to).is_some();
                    if here && (relative || sites::is_pointer(self.firmware, &self.starts, to)) {
                        let to = Some(To::Address(to));
                        sites.offer(site(at, size as u8, Form::Upper, Use::Address, to));
                        sites.offer(site(next, 4, form, Use::Address, to));
                    }
                    let stored = matches!(code & 0x7f, 0x23 | 0x27);
                    if !here || !stored && code >> 7 & 31 == register {
                        return;
                    }
                }
                // The register holds something else from here on.
                _ if length == 4
                    && code & 0x7f != 0x63
                    && code & 0x7f != 0x23
                    && code >> 7 & 31 == register =>
                {
                    return;
                }
                _ => {}
            }
            next = next.saturating_add(length);
        }
    }
}

/// Base register, offset and form of ADDI, a load or a store.
fn lower(code: u32) -> Option<(u32, i32, Form)> {
    let base = code >> 15 & 31;
    match code & 0x7f {
        0x13 if code >> 12 & 7 == 0 => Some((base, code as i32 >> 20, LOWER_LOAD)),
        0x03 | 0x07 => Some((base, code as i32 >> 20, LOWER_LOAD)),
        0x23 | 0x27 => Some((base, (code & 0xfe00_0000) as i32 >> 20 | (code >> 7 & 31) as i32, LOWER_STORE)),
        _ => None,
    }
}

/// True for C.J and C.JAL.
const fn is_short_jump(code: u32) -> bool {
    code & 3 == 1 && matches!(code >> 13 & 7, 0b001 | 0b101)
}

/// The offset of JAL.
fn jump_offset(code: u32) -> i32 {
    let bits =
        code >> 31 << 20 | (code >> 12 & 0xff) << 12 | (code >> 20 & 1) << 11 | (code >> 21 & 0x3ff) << 1;
    (bits << 11) as i32 >> 11
}

/// The offset of C.J and C.JAL.
fn short_offset(code: u32) -> i32 {
    let bit = |from: u32, to: u32| (code >> from & 1) << to;
    let bits = bit(12, 11)
        | bit(11, 4)
        | bit(10, 9)
        | bit(9, 8)
        | bit(8, 10)
        | bit(7, 6)
        | bit(6, 7)
        | (code >> 3 & 7) << 1
        | bit(2, 5);
    (bits << 20) as i32 >> 20
}

/// The offset of BEQ and its like.
fn branch_offset(code: u32) -> i32 {
    let bits = code >> 31 << 12 | (code >> 7 & 1) << 11 | (code >> 25 & 0x3f) << 5 | (code >> 8 & 0xf) << 1;
    (bits << 19) as i32 >> 19
}

/// The offset of C.BEQZ and C.BNEZ.
fn short_branch_offset(code: u32) -> i32 {
    let bit = |from: u32, to: u32| (code >> from & 1) << to;
    let bits = bit(12, 8) | (code >> 10 & 3) << 3 | (code >> 5 & 3) << 6 | (code >> 3 & 3) << 1 | bit(2, 5);
    (bits << 23) as i32 >> 23
}

/// What C.LUI loads.
fn short_upper(code: u32) -> u32 {
    let bits = (code >> 12 & 1) << 17 | (code >> 2 & 0x1f) << 12;
    ((bits << 14) as i32 >> 14) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodings as an assembler makes them (`riscv64-unknown-elf-as -march=rv32imac`).
    #[test]
    fn offsets_are_decoded() {
        assert_eq!(jump_offset(0xffdf_f06f), -4);
        assert_eq!(jump_offset(0x0010_00ef), 0x800);
        assert_eq!(short_offset(0xbfed), -6);
        assert_eq!(short_offset(0xa021), 8);
        assert_eq!(branch_offset(0xfe05_0ee3), -4);
        assert_eq!(branch_offset(0x0005_0463), 8);
        assert_eq!(short_branch_offset(0xdd6d), -6);
        assert_eq!(short_branch_offset(0xc501), 8);
        assert_eq!([short_upper(0x6505), short_upper(0x757d)], [0x1000, 0xffff_f000]);
        assert_eq!(lower(0xffc5_a503), Some((11, -4, LOWER_LOAD)));
        assert_eq!(lower(0xfea5_ae23), Some((11, -4, LOWER_STORE)));
    }
}
