//! What stays of a part when it is moved: its bytes without sites, and what the sites point to, in order.

use super::dwarf::{self, Lines};
use super::elf::{Firmware, Home, Names};
use super::names;
use super::parts::{self, Part};
use super::sites::{self, Form, Site, Sites, To, Use};
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// So many places there may be between two bytes.
pub(super) const FINE: i64 = 16;

/// Bytes of a text that is put together again: where texts end without a zero, all of them are one.
const LONGEST: usize = 1024;

/// What a site of a part points to.
///
/// Offsets into parts are times [`FINE`]: between bytes are places behind instructions that were left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// Into the part itself.
    Own(i64),
    /// Into another part.
    Part(usize, i64),
    /// To what has a name and no part: a label of the linker's, an absolute symbol.
    Name(String, i32),
    /// To zeros that nothing else is said of: an empty text. Where they lie says nothing.
    Zeros,
    /// To an address that holds nothing of the program.
    Place(u32),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ref {
    /// Where it stands in [`Shape::code`].
    pub(super) at: u32,
    pub(super) purpose: Use,
    pub(super) end: End,
}

#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) code: Vec<u8>,
    pub(super) refs: Vec<Ref>,
    /// Where offsets begin to differ between the part and `code`: (in the part, in `code`).
    steps: Vec<(u32, u32)>,
    /// Behind instructions that were left out, and how many in a row: not the same place as before them.
    behind: BTreeMap<u32, i64>,
}

impl Shape {
    /// An offset of the part, in `code`, times [`FINE`].
    fn offset(&self, offset: i64) -> i64 {
        let behind = u32::try_from(offset).ok().and_then(|offset| self.behind.get(&offset));
        FINE * self.whole(offset) + behind.map_or(0, |count| count % FINE)
    }

    fn whole(&self, offset: i64) -> i64 {
        let after = self.steps.partition_point(|(raw, _)| i64::from(*raw) <= offset);
        let (raw, code) = self.steps[..after].last().copied().unwrap_or_default();
        // Steps come in pairs; between them is the middle of something that has another length here.
        if after % 2 == 1 && offset > i64::from(raw) {
            return -1 - offset;
        }
        i64::from(code) + (offset - i64::from(raw))
    }

    /// Where an offset of `code` stands in the part.
    pub(super) fn origin(&self, at: usize) -> u32 {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let after = self.steps.partition_point(|(_, code)| *code <= at);
        let (raw, code) = self.steps[..after].last().copied().unwrap_or_default();
        raw.saturating_add(at - code)
    }
}

/// A program taken apart, each part with what stays of it.
#[derive(Debug)]
pub(super) struct Program<'a> {
    pub(super) firmware: Firmware<'a>,
    pub(super) parts: Vec<Part>,
    pub(super) shapes: Vec<Shape>,
    /// Relocations of unknown types.
    pub(super) unknown: usize,
    /// Parts that the linker made to reach far; they come and go with distances.
    pub(super) veneers: BTreeSet<usize>,
    /// Bytes of tables that aren't compared.
    pub(super) passed_over: u64,
    /// Where it came from.
    pub(super) lines: Lines,
}

impl<'a> Program<'a> {
    /// Takes a program apart, by the linker's list of sites or without it.
    ///
    /// # Errors
    /// `image`: it contradicts itself.
    pub(super) fn new(firmware: Firmware<'a>, listed: bool) -> Result<Self> {
        let sites = sites::find(&firmware, listed);
        let parts = parts::take_apart(&firmware, &sites)?;
        let unknown = sites.iter().map(|sites| sites.unknown).sum();
        let lines = dwarf::load(&firmware);
        let passed_over = (0..sites.len()).filter(|index| parts::is_passed_over(&firmware, *index, &sites));
        let passed_over = passed_over.map(|index| u64::from(firmware.sections[index].size)).sum();
        let (shapes, veneers) = (Vec::new(), BTreeSet::new());
        let mut program = Self { firmware, parts, shapes, unknown, veneers, passed_over, lines };
        program.veneers = program.find_veneers();
        let pending: Vec<_> =
            program.parts.iter().map(|part| program.mask(part, &sites[part.section])).collect();
        let (shapes, pending): (Vec<_>, Vec<_>) = pending.into_iter().unzip();
        program.shapes = shapes;
        for (index, pending) in pending.into_iter().enumerate() {
            let refs =
                pending.into_iter().map(|(at, purpose, to)| Ref { at, purpose, end: program.end(index, to) });
            program.shapes[index].refs = refs.collect();
        }
        Ok(program)
    }

    /// Linkers call such code after what it reaches, keep it to themselves, and no source line is its.
    fn find_veneers(&self) -> BTreeSet<usize> {
        let symbols = &self.firmware.symbols;
        let raw: HashSet<&str> = symbols.iter().map(|symbol| &symbol.raw[..]).collect();
        let known = |name: &str| name == "unnamed" || raw.contains(name);
        let is_veneer = |part: &Part| {
            let mut own = part.symbols.iter().map(|index| &symbols[*index]).filter(|symbol| !symbol.global);
            own.any(|symbol| {
                names::is_veneer(&symbol.raw, part.size) && names::reached(&symbol.raw).is_some_and(known)
            }) && self.lines.of(part.from, part.end()).is_empty()
        };
        (0..self.parts.len()).filter(|part| is_veneer(&self.parts[*part])).collect()
    }

    fn mask(&self, part: &Part, sites: &Sites) -> (Shape, Vec<(u32, Use, To)>) {
        let section = &self.firmware.sections[part.section];
        let bytes = section.bytes(part.from, part.size);
        let (mut shape, mut pending) = (Shape::default(), Vec::new());
        let own = |to: To| {
            sites::place(&self.firmware, to).is_some_and(|place| (part.from..part.end()).contains(&place))
        };
        let lowers = Self::lowers(part, sites);
        let mut cursor = 0usize;
        let mut last = None;
        for site in sites.within(part.from, part.end()) {
            if site.decoded && site.to.is_some_and(own) {
                continue;
            }
            let at = (site.at - part.from) as usize;
            if at < cursor && last != Some(at) {
                continue;
            }
            if last != Some(at) {
                shape.code.extend(bytes.get(cursor..at).unwrap_or_default());
            }
            let here = u32::try_from(shape.code.len()).unwrap_or(u32::MAX);
            if last != Some(at) {
                cursor = (at + usize::from(site.size)).min(bytes.len()).max(at);
                let lonely = site.form == Form::Upper && !site.to.is_some_and(|to| lowers.contains(&to));
                emit(&mut shape.code, bytes.get(at..cursor).unwrap_or_default(), site.form, lonely);
                shape.step(at, here, cursor);
                last = Some(at);
                if site.form == Form::Upper && !lonely {
                    let [before, after] = [at, cursor].map(|at| u32::try_from(at).unwrap_or(u32::MAX));
                    let count = shape.behind.get(&before).map_or(1, |count| count + 1);
                    shape.behind.insert(after, count);
                    continue;
                }
            }
            if let Some(to) = site.to {
                pending.push((here, site.purpose, to));
            }
        }
        shape.code.extend(bytes.get(cursor..).unwrap_or_default());
        (shape, pending)
    }

    /// What lower halves of addresses in this part mean, if there are upper ones.
    fn lowers(part: &Part, sites: &Sites) -> BTreeSet<To> {
        let within = || sites.within(part.from, part.end());
        if !within().any(|site| site.form == Form::Upper) {
            return BTreeSet::new();
        }
        let lower = |site: &&Site| site.purpose == Use::Address && site.form != Form::Upper;
        within().filter(lower).filter_map(|site| site.to).collect()
    }

    /// The part that an address belongs to.
    pub(super) fn part_at(&self, address: u32) -> Option<usize> {
        let after = self.parts.partition_point(|part| part.from <= address);
        // Parts seldom overlap, and never deeply.
        (after.saturating_sub(8)..after).rev().find(|index| address < self.parts[*index].end())
    }

    fn end(&self, own: usize, to: To) -> End {
        let firmware = &self.firmware;
        let (named, addend) = match to {
            To::Symbol(index, addend) => (firmware.symbols.get(index), addend),
            To::Address(_) => (None, 0),
        };
        if let Some(symbol) = named {
            let Home::Section(section) = symbol.home else { return End::Name(symbol.name.clone(), addend) };
            let place = firmware.address(symbol);
            let mark = symbol.names == Names::Label && !firmware.sections[section].code;
            let part = self.part_at(place).filter(|_| !mark);
            return part.map_or_else(
                || End::Name(symbol.name.clone(), addend),
                |part| self.into(own, part, i64::from(place) + i64::from(addend)),
            );
        }
        let To::Address(address) = to else { return End::Place(0) };
        match (self.part_at(address), firmware.section_at(address)) {
            (Some(part), _) => self.into(own, part, i64::from(address)),
            // Between functions zeros are code, and what runs into them goes on behind them.
            (None, Some(section)) if !section.code && section.bytes(address, 1) == [0] => End::Zeros,
            (None, Some(section)) => {
                let offset = address.wrapping_sub(section.address);
                End::Name(section.name.clone(), i32::try_from(offset).unwrap_or(i32::MAX))
            }
            (None, None) => match firmware.sections.iter().find(|section| section.end() == address) {
                Some(section) => End::Name(format!("the end of {}", section.name), 0),
                None => End::Place(address),
            },
        }
    }

    fn into(&self, own: usize, part: usize, place: i64) -> End {
        let offset = self.shapes[part].offset(place - i64::from(self.parts[part].from));
        if part == own { End::Own(offset) } else { End::Part(part, offset) }
    }

    /// The parts that point to a part.
    pub(super) fn users(&self, part: usize) -> impl Iterator<Item = usize> {
        let points = move |r: &Ref| matches!(r.end, End::Part(to, _) if to == part);
        let users = self.shapes.iter().enumerate().filter(move |(_, shape)| shape.refs.iter().any(points));
        users.map(|(user, _)| user)
    }

    /// The names of a part that last, aliases too.
    pub(super) fn names(&self, part: usize) -> BTreeSet<&str> {
        self.parts[part].symbols.iter().map(|index| self.firmware.symbols[*index].name.as_str()).collect()
    }

    /// The name of a part, if it has one.
    pub(super) fn name(&self, part: usize) -> Option<&str> {
        self.parts[part].symbols.first().map(|index| self.firmware.symbols[*index].name.as_str())
    }

    /// The source file that the symbol table names for it, without its folder.
    pub(super) fn file(&self, part: usize) -> Option<&str> {
        let symbol = &self.firmware.symbols[*self.parts[part].symbols.first()?];
        let file = self.firmware.files.get(symbol.file?)?;
        Some(file.rsplit(['/', '\\']).next().unwrap_or(file))
    }

    /// The text that begins with a part without a name, and ends with a zero in it or in those right behind it: where
    /// another text is the end of this one, it is cut there.
    pub(super) fn spelled(&self, part: usize) -> Option<Vec<u8>> {
        let (mut text, mut index) = (Vec::new(), part);
        loop {
            let it = self.parts.get(index)?;
            let bytes = &self.shapes[index].code;
            let plain =
                bytes.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b | 0x20..=0x7e | 0x80..));
            if it.code || !it.symbols.is_empty() || !self.shapes[index].refs.is_empty() || !plain {
                return None;
            }
            text.extend(bytes);
            match self.firmware.sections[it.section].bytes(it.end(), 1) {
                [0] => return Some(text),
                _ if text.len() > LONGEST => return None,
                _ => index += 1,
            }
            if self.parts.get(index)?.from != it.end() {
                return None;
            }
        }
    }

    /// The text of a part that is nothing else: words and their ends.
    pub(super) fn text(&self, part: usize) -> Option<&str> {
        let bytes = &self.shapes[part].code;
        if !self.shapes[part].refs.is_empty() || self.parts[part].code {
            return None;
        }
        let end = bytes.iter().rposition(|byte| *byte != 0)? + 1;
        let text = std::str::from_utf8(&bytes[..end]).ok()?;
        let readable = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{1b}') || !c.is_control();
        let words = text.split('\0').all(|word| word.chars().count() >= 3 || text.len() == word.len());
        (words && text.len() >= 2 && text.replace('\0', "").chars().all(readable)).then_some(text)
    }
}

impl Shape {
    /// Notes that from here on offsets differ.
    fn step(&mut self, at: usize, code: u32, cursor: usize) {
        let now = u32::try_from(self.code.len()).unwrap_or(u32::MAX);
        if now - code != (cursor - at) as u32 {
            self.steps.push((at as u32, code));
            self.steps.push((cursor as u32, now));
        }
    }
}

/// A mark that no masked instruction begins with.
const CALL: u8 = 0xca;

fn emit(code: &mut Vec<u8>, bytes: &[u8], form: Form, lonely: bool) {
    match form {
        Form::Keep(mask) => code.extend(bytes.iter().zip(mask).map(|(byte, mask)| byte & mask)),
        Form::Call(register) => code.extend([CALL, register]),
        // Opcode and register.
        Form::Upper if lonely => {
            code.extend(bytes.iter().zip([0xff, 0x0f, 0, 0]).map(|(byte, mask)| byte & mask))
        }
        Form::Upper | Form::Padding => {}
    }
}
