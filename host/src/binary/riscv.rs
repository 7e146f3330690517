//! Sites of RISC-V code (RISC-V ELF psABI), linker relaxation included.
//!
//! The linker shortens calls and addresses where what they name is near, so the same function has several lengths:
//! calls become one form ([`Form::Call`]), upper halves of addresses are left out ([`Form::Upper`]), and lower halves
//! lose the register that the upper half went into: their relocation says what they mean.

use super::elf::{Content, Firmware, Reloc};
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
/// The registers that calls link by, and that none links by.
const RA: u8 = 1;
const ZERO: u8 = 0;
const GP: u32 = 3;
/// So far apart an upper half and its lower half may stand, in instructions, where nothing lists them.
const REACH: usize = 32;
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

/// Sites that the linker listed.
pub(super) fn relocated(firmware: &Firmware<'_>, section: usize, sites: &mut Sites) {
    // A lower half names the instruction of its upper half; what is meant stands there.
    let uppers: BTreeMap<u32, &Reloc> = firmware.relocs[section]
        .iter()
        .filter(|reloc| matches!(reloc.kind, r::R_RISCV_PCREL_HI20 | r::R_RISCV_GOT_HI20))
        .map(|reloc| (reloc.at, reloc))
        .collect();
    for reloc in &firmware.relocs[section] {
        let (size, form, purpose) = match shape(firmware, section, reloc) {
            Some(Some(shape)) => shape,
            Some(None) => continue,
            None => {
                sites.unknown += 1;
                (4, NOTHING, Use::Address)
            }
        };
        if size == 0 {
            continue;
        }
        let of = |reloc: &Reloc| target(firmware, reloc.symbol, reloc.addend.unwrap_or(0));
        let to = match reloc.kind {
            r::R_RISCV_ALIGN => None,
            r::R_RISCV_PCREL_LO12_I | r::R_RISCV_PCREL_LO12_S => {
                let label = of(&Reloc { addend: Some(0), ..*reloc }).and_then(|to| place(firmware, to));
                label.and_then(|label| uppers.get(&label)).map_or_else(|| of(reloc), |upper| of(upper))
            }
            // What the linker put there is what counts.
            r::R_RISCV_32 => word(firmware, section, reloc.at).and_then(|value| {
                of(reloc)
                    .filter(|to| place(firmware, *to).is_none_or(|at| at == value))
                    .or(Some(To::Address(value)))
            }),
            _ => of(reloc),
        };
        sites.add(site(reloc.at, size, form, purpose, to));
    }
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
        gp: firmware
            .symbols
            .iter()
            .find(|symbol| symbol.raw == "__global_pointer$")
            .map(|symbol| symbol.value),
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
            _ if code & 3 == 1 && matches!(code >> 13 & 7, 0b001 | 0b101) && code >> 16 == 0 => {
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
                let value = (code << 15 & 0x1f000 | code << 5 & 0x20000) << 14;
                self.upper(at, 2, register, (value as i32 >> 14) as u32, false, sites);
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
        assert_eq!(lower(0xffc5_a503), Some((11, -4, LOWER_LOAD)));
        assert_eq!(lower(0xfea5_ae23), Some((11, -4, LOWER_STORE)));
    }
}
