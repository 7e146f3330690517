//! Sites of Arm code (AAELF32, Armv8-M Architecture Reference Manual): mostly Thumb.

use super::elf::{Content, Firmware, Home, Reloc};
use super::sites::{self, Form, Site, Sites, To, Use, half, place, target, word};
use object::elf as r;

/// Bits that stay of a Thumb instruction of four bytes, as its two halfwords.
const fn keep(first: u16, second: u16) -> Form {
    let (a, b) = (first.to_le_bytes(), second.to_le_bytes());
    Form::Keep([a[0], a[1], b[0], b[1]])
}

const BRANCH: Form = keep(0xf800, 0xd000);
const CONDITIONAL: Form = keep(0xfbc0, 0xd000);
const MOVE: Form = keep(0xfbf0, 0x8f00);
const A32_BRANCH: Form = Form::Keep([0, 0, 0, 0xff]);
const A32_MOVE: Form = Form::Keep([0, 0xf0, 0xf0, 0xff]);
const NOTHING: Form = Form::Keep([0; 4]);
/// What isn't understood is compared as it is.
const ALL: Form = Form::Keep([0xff; 4]);

fn site(at: u32, size: u8, form: Form, purpose: Use, to: Option<To>) -> Site {
    Site { at, size, form, purpose, to, decoded: false }
}

/// The 24-bit offset of BL and B.W (encodings T1 and T4).
fn long_offset(first: u16, second: u16) -> i32 {
    let (first, second) = (u32::from(first), u32::from(second));
    let sign = first >> 10 & 1;
    let bit = |at: u32| !(second >> at & 1 ^ sign) & 1;
    let bits = sign << 24 | bit(13) << 23 | bit(11) << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
    wide(bits, 25)
}

/// The immediate of MOVW and MOVT (encodings T3 and T1).
fn move_immediate(first: u16, second: u16) -> u32 {
    let (first, second) = (u32::from(first), u32::from(second));
    (first & 0xf) << 12 | (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xff
}

/// MOVWs that wait for their MOVT: by register, the place and the lower half.
type Halves = [Option<(u32, u32)>; 16];

/// Sites that the linker listed.
pub(super) fn relocated(firmware: &Firmware<'_>, section: usize, sites: &mut Sites) {
    let mut halves = Halves::default();
    for reloc in &firmware.relocs[section] {
        let Reloc { at, kind, .. } = *reloc;
        let (size, form, purpose) = match kind {
            r::R_ARM_NONE | r::R_ARM_V4BX => continue,
            r::R_ARM_THM_PC22 | r::R_ARM_THM_XPC22 => (4, BRANCH, Use::Call),
            r::R_ARM_THM_JUMP24 => (4, BRANCH, Use::Call),
            r::R_ARM_THM_JUMP19 => (4, CONDITIONAL, Use::Call),
            r::R_ARM_THM_PC11 => (2, Form::Keep([0, 0xf8, 0, 0]), Use::Call),
            r::R_ARM_THM_PC9 => (2, Form::Keep([0, 0xff, 0, 0]), Use::Call),
            r::R_ARM_PC24 | r::R_ARM_CALL | r::R_ARM_JUMP24 | r::R_ARM_PLT32 => (4, A32_BRANCH, Use::Call),
            r::R_ARM_THM_MOVW_ABS_NC
            | r::R_ARM_THM_MOVT_ABS
            | r::R_ARM_THM_MOVW_PREL_NC
            | r::R_ARM_THM_MOVT_PREL => (4, MOVE, Use::Address),
            r::R_ARM_MOVW_ABS_NC | r::R_ARM_MOVT_ABS | r::R_ARM_MOVW_PREL_NC | r::R_ARM_MOVT_PREL => {
                (4, A32_MOVE, Use::Address)
            }
            r::R_ARM_PREL31 => (4, Form::Keep([0, 0, 0, 0x80]), Use::Address),
            r::R_ARM_ABS32 | r::R_ARM_REL32 | r::R_ARM_TARGET1 | r::R_ARM_TARGET2 => {
                (4, NOTHING, Use::Address)
            }
            // R_ARM_THM_ALU_ABS_G0_NC to G3: a byte of an address in the immediate of MOVS or ADDS.
            132..=135 if is_byte_of(firmware, section, reloc) => {
                (2, Form::Keep([0, 0xff, 0, 0]), Use::Address)
            }
            _ => {
                sites.unknown += 1;
                (4, ALL, Use::Address)
            }
        };
        let (to, lower) = resolve(firmware, section, reloc, purpose, &mut halves);
        // The upper half tells what both halves mean.
        if let (Some(to), Some(lower)) = (to, lower) {
            sites.amend(lower, to);
        }
        let odd = !matches!(kind, r::R_ARM_THM_MOVT_ABS | r::R_ARM_MOVT_ABS);
        let form =
            if odd && to.is_some_and(|to| is_code(firmware, to)) { with_thumb_bit(form) } else { form };
        sites.add(site(at, size, form, purpose, to));
    }
}

fn is_code(firmware: &Firmware<'_>, to: To) -> bool {
    place(firmware, to).and_then(|place| firmware.section_at(place)).is_some_and(|section| section.code)
}

/// An address of code is odd where it is Thumb: that bit doesn't depend on where it lies.
fn with_thumb_bit(form: Form) -> Form {
    match form {
        NOTHING => Form::Keep([1, 0, 0, 0]),
        MOVE => Form::Keep([0xf0, 0xfb, 0x01, 0x8f]),
        form => form,
    }
}

/// True if the immediate is the byte of the symbol's value that the relocation says.
fn is_byte_of(firmware: &Firmware<'_>, section: usize, reloc: &Reloc) -> bool {
    let symbol = reloc.symbol.and_then(|index| firmware.symbols.get(index));
    let byte = symbol.map(|symbol| symbol.value >> (8 * (reloc.kind - 132)) & 0xff);
    half(firmware, section, reloc.at).map(|code| u32::from(code & 0xff)) == byte
}

/// What a relocation points to; and where the lower half is that belongs to it.
type Resolved = (Option<To>, Option<u32>);

/// REL keeps the addend where the linker put the result: it is what the result has beyond the symbol.
fn resolve(
    firmware: &Firmware<'_>,
    section: usize,
    reloc: &Reloc,
    purpose: Use,
    halves: &mut Halves,
) -> Resolved {
    let Some(symbol) = reloc.symbol.and_then(|index| firmware.symbols.get(index)) else {
        return (None, None);
    };
    let named = !symbol.name.is_empty();
    let only = |addend| (target(firmware, reloc.symbol, addend), None);
    let within = |address: u32| {
        let address = firmware.plain(address);
        if named {
            return only(address.wrapping_sub(firmware.plain(symbol.value)) as i32);
        }
        (Some(To::Address(address)), None)
    };
    if let Some(addend) = reloc.addend {
        return only(addend);
    }
    let value = || word(firmware, section, reloc.at);
    let address = match (reloc.kind, purpose) {
        (kind, Use::Call) => {
            let to = leads(firmware, section, reloc.at, kind);
            // A call by name may go over a veneer; the linker takes out calls of what doesn't exist.
            let over = to.is_some_and(|to| firmware.veneers.contains(&to));
            if named && (over || !matches!(symbol.home, Home::Section(_))) {
                return only(0);
            }
            to
        }
        (r::R_ARM_ABS32 | r::R_ARM_TARGET1, _) => value(),
        (r::R_ARM_REL32 | r::R_ARM_TARGET2, _) => value().map(|value| value.wrapping_add(reloc.at)),
        (r::R_ARM_PREL31, _) => value().map(|value| reloc.at.wrapping_add_signed((value << 1) as i32 >> 1)),
        (r::R_ARM_THM_MOVW_ABS_NC | r::R_ARM_MOVW_ABS_NC, _) => {
            let Some((register, value)) = moved(firmware, section, reloc) else { return only(0) };
            halves[register] = Some((reloc.at, value));
            return only(i32::from(value.wrapping_sub(symbol.value) as u16 as i16));
        }
        (r::R_ARM_THM_MOVT_ABS | r::R_ARM_MOVT_ABS, _) => {
            let upper = moved(firmware, section, reloc);
            let both = upper.and_then(|(register, upper)| Some((halves[register].take()?, upper)));
            let Some(((place, lower), upper)) = both else { return only(0) };
            return (within(upper << 16 | lower).0, Some(place));
        }
        _ => None,
    };
    address.map_or_else(|| only(0), within)
}

/// Register and immediate of MOVW or MOVT.
fn moved(firmware: &Firmware<'_>, section: usize, reloc: &Reloc) -> Option<(usize, u32)> {
    if matches!(reloc.kind, r::R_ARM_MOVW_ABS_NC | r::R_ARM_MOVT_ABS) {
        let code = word(firmware, section, reloc.at)?;
        return Some((code as usize >> 12 & 15, code >> 4 & 0xf000 | code & 0xfff));
    }
    let (first, second) = pair(firmware, section, reloc.at)?;
    Some((usize::from(second >> 8 & 15), move_immediate(first, second)))
}

fn pair(firmware: &Firmware<'_>, section: usize, at: u32) -> Option<(u16, u16)> {
    Some((half(firmware, section, at)?, half(firmware, section, at.checked_add(2)?)?))
}

/// Where a branch of this relocation leads.
fn leads(firmware: &Firmware<'_>, section: usize, at: u32, kind: u32) -> Option<u32> {
    let after = at.wrapping_add(4);
    let offset = match kind {
        r::R_ARM_THM_PC11 => wide(u32::from(half(firmware, section, at)?) << 1, 12),
        r::R_ARM_THM_PC9 => wide(u32::from(half(firmware, section, at)?) << 1, 9),
        r::R_ARM_PC24 | r::R_ARM_CALL | r::R_ARM_JUMP24 | r::R_ARM_PLT32 => {
            wide(word(firmware, section, at)? << 2, 26) + 4
        }
        _ => {
            let (first, second) = pair(firmware, section, at)?;
            if kind == r::R_ARM_THM_JUMP19 { short_offset(first, second) } else { long_offset(first, second) }
        }
    };
    Some(after.wrapping_add_signed(offset))
}

/// The lowest bits as a signed number.
fn wide(bits: u32, count: u32) -> i32 {
    (bits << (32 - count)) as i32 >> (32 - count)
}

/// The 20-bit offset of B<c>.W (encoding T3).
fn short_offset(first: u16, second: u16) -> i32 {
    let (first, second) = (u32::from(first), u32::from(second));
    let (sign, j1, j2) = (first >> 10 & 1, second >> 13 & 1, second >> 11 & 1);
    wide(sign << 20 | j2 << 19 | j1 << 18 | (first & 0x3f) << 12 | (second & 0x7ff) << 1, 21)
}

/// Sites that only the code shows: branches that the assembler resolved, loads from literal pools; without the
/// linker's list, addresses in pairs of moves too.
pub(super) fn decode(
    firmware: &Firmware<'_>,
    section: usize,
    (from, end): (u32, u32),
    listed: bool,
    sites: &mut Sites,
) {
    let starts = if listed { Default::default() } else { sites::function_starts(firmware) };
    let mut halves = Halves::default();
    let mut at = from;
    while at < end {
        if firmware.content(at) != Content::Thumb {
            at = at.saturating_add(2);
            continue;
        }
        let Some(first) = half(firmware, section, at) else { return };
        // A literal pool is aligned: whether something stands before it depends on where the function lies.
        let last = at % 4 == 2 && firmware.content(at.saturating_add(2)) == Content::Data;
        if last && matches!(first, 0 | 0xbf00 | 0x46c0) {
            sites.offer(site(at, 2, Form::Padding, Use::Address, None));
        }
        let long = first >> 11 >= 0b11101;
        let second = if long { half(firmware, section, at.saturating_add(2)) } else { Some(0) };
        let Some(second) = second else { return };
        let found = if long { of_four(at, first, second) } else { of_two(at, first) };
        if let Some(site) = found {
            sites.offer(site);
        }
        if !listed && long {
            moves(firmware, &starts, &mut halves, (at, first, second), sites);
        }
        at = at.saturating_add(if long { 4 } else { 2 });
    }
}

fn decoded(at: u32, size: u8, form: Form, purpose: Use, to: u32) -> Option<Site> {
    Some(Site { at, size, form, purpose, to: Some(To::Address(to)), decoded: true })
}

fn of_two(at: u32, code: u16) -> Option<Site> {
    let base = (at.wrapping_add(4)) & !3;
    match code >> 11 {
        // LDR (literal) T1, ADR T1.
        0b01001 | 0b10100 => {
            let to = base.wrapping_add(u32::from(code & 0xff) << 2);
            decoded(at, 2, Form::Keep([0, 0xff, 0, 0]), Use::Address, to)
                .map(|site| Site { decoded: false, ..site })
        }
        // B T2.
        0b11100 => {
            let offset = i32::from((code << 5) as i16 >> 4);
            decoded(
                at,
                2,
                Form::Keep([0, 0xf8, 0, 0]),
                Use::Call,
                at.wrapping_add(4).wrapping_add_signed(offset),
            )
        }
        _ => None,
    }
}

fn of_four(at: u32, first: u16, second: u16) -> Option<Site> {
    let (base, down) = (at.wrapping_add(4) & !3, first & 0x80 == 0);
    let literal = |offset: u32, first: u16, second: u16| {
        let to = if down { base.wrapping_sub(offset) } else { base.wrapping_add(offset) };
        decoded(at, 4, keep(first, second), Use::Address, to).map(|site| Site { decoded: false, ..site })
    };
    match (first, second) {
        _ if first & 0xf800 == 0xf000 && second & 0xd000 == 0xd000 => decoded(
            at,
            4,
            BRANCH,
            Use::Call,
            at.wrapping_add(4).wrapping_add_signed(long_offset(first, second)),
        ),
        _ if first & 0xf800 == 0xf000 && second & 0xd000 == 0x9000 => decoded(
            at,
            4,
            BRANCH,
            Use::Call,
            at.wrapping_add(4).wrapping_add_signed(long_offset(first, second)),
        ),
        // LDR (literal) T2 and its bytes, halfwords, signed ones; VLDR (literal); LDRD (literal).
        _ if first & 0xfe1f == 0xf81f && first & 0x10 != 0 => {
            literal(u32::from(second & 0xfff), 0xff7f, 0xf000)
        }
        _ if first & 0xff3f == 0xed1f && second & 0x0e00 == 0x0a00 => {
            literal(u32::from(second & 0xff) << 2, 0xff7f, 0xff00)
        }
        _ if first & 0xff7f == 0xe95f => literal(u32::from(second & 0xff) << 2, 0xff7f, 0xff00),
        _ => None,
    }
}

/// A MOVW and a MOVT of one register that make an address of the program.
fn moves(
    firmware: &Firmware<'_>,
    starts: &std::collections::BTreeSet<u32>,
    halves: &mut Halves,
    (at, first, second): (u32, u16, u16),
    sites: &mut Sites,
) {
    let (value, register) = (move_immediate(first, second), usize::from(second >> 8 & 15));
    match first & 0xfbf0 {
        0xf240 if second & 0x8000 == 0 => halves[register] = Some((at, value)),
        0xf2c0 if second & 0x8000 == 0 => {
            let Some((lower, low)) = halves[register].take() else { return };
            let address = value << 16 | low;
            if at.wrapping_sub(lower) <= 64 && sites::is_pointer(firmware, starts, address) {
                let to = Some(To::Address(firmware.plain(address)));
                sites.offer(site(lower, 4, MOVE, Use::Address, to));
                sites.offer(site(at, 4, MOVE, Use::Address, to));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodings as an assembler makes them (`arm-none-eabi-as -mcpu=cortex-m3`).
    #[test]
    fn offsets_are_decoded() {
        assert_eq!(short_offset(0xf43f, 0xaffe), -4);
        assert_eq!(wide(0x7fe << 1, 12), -4);
        assert_eq!(long_offset(0xf7ff, 0xfffe), -4);
        assert_eq!(long_offset(0xf000, 0xf801), 2);
        assert_eq!(long_offset(0xf400, 0xd000), -0x0100_0000);
        assert_eq!(move_immediate(0xf64a, 0x31cd), 0xabcd);
    }
}
