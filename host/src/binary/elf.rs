//! What is read of an ELF file: sections that a device holds, symbols, relocations, debug sections.
//!
//! Nothing here is copied in proportion to what the file claims: sizes are checked against the file's own.

use super::names;
use super::segments::Segment;
use crate::error::{Code, Error, Result};
use object::elf::{
    EM_ARM, EM_RISCV, FileHeader32, PF_X, PT_LOAD, SHF_ALLOC, SHF_EXECINSTR, SHN_ABS, SHN_UNDEF, SHT_NOBITS,
    SHT_REL, SHT_RELA, SHT_SYMTAB, STB_LOCAL, STB_WEAK, STT_FILE, STT_FUNC, STT_NOTYPE, STT_OBJECT,
    STT_SECTION,
};
use object::read::elf::{FileHeader, ProgramHeader, Rel, Rela, SectionHeader, SectionTable, SymbolTable};
use object::{Endianness, SectionIndex, SymbolIndex};
use std::collections::BTreeSet;

type Header = FileHeader32<Endianness>;

/// What the code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// Arm, mostly Thumb.
    Arm,
    /// RISC-V, 32 bits.
    RiscV,
}

impl Machine {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arm => "Arm",
            Self::RiscV => "RISC-V",
        }
    }
}

/// A section that the device holds.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) name: String,
    pub(super) address: u32,
    pub(super) size: u32,
    /// Empty where the file holds nothing (`.bss`).
    pub(super) data: &'a [u8],
    pub(super) code: bool,
    /// Where it stands in the file.
    pub(super) offset: u32,
    /// Where the image has it, if anything loads it.
    pub(super) load: Option<u32>,
}

impl Section<'_> {
    /// One past its last address; it fits, that was checked.
    pub(super) fn end(&self) -> u32 {
        self.address + self.size
    }

    pub(super) fn holds(&self, address: u32) -> bool {
        (self.address..self.end()).contains(&address)
    }

    /// The bytes of a stretch of addresses; empty where the file has none.
    pub(super) fn bytes(&self, from: u32, size: u32) -> &[u8] {
        let start = from.wrapping_sub(self.address) as usize;
        let end = start.saturating_add(size as usize).min(self.data.len());
        self.data.get(start..end).unwrap_or_default()
    }
}

/// What a symbol names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Function,
    Object,
    Section,
    Label,
}

/// Where a symbol is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// In a section of [`Firmware::sections`].
    Section(usize),
    Absolute,
    /// Nowhere, or where the device holds nothing.
    Nowhere,
}

#[derive(Debug)]
pub(super) struct Symbol {
    /// As the linker wrote it.
    pub(super) raw: String,
    /// The same from build to build; empty for what has no lasting name.
    pub(super) name: String,
    /// The source file that a local symbol belongs to, if the table says so.
    pub(super) file: Option<usize>,
    /// Its value as it stands: a Thumb function's is odd.
    pub(super) value: u32,
    pub(super) size: u32,
    pub(super) names: Names,
    pub(super) home: Home,
    pub(super) global: bool,
    /// Gives way to another one of its name.
    pub(super) weak: bool,
}

/// A place that the linker filled in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reloc {
    pub(super) at: u32,
    pub(super) kind: u32,
    pub(super) symbol: Option<usize>,
    /// None where the place itself holds it (REL).
    pub(super) addend: Option<i32>,
}

/// A linked program, taken apart.
#[derive(Debug)]
pub(super) struct Firmware<'a> {
    pub(super) machine: Machine,
    pub(super) sections: Vec<Section<'a>>,
    pub(super) symbols: Vec<Symbol>,
    /// Names of source files, from the symbol table.
    pub(super) files: Vec<String>,
    /// Per section, by address.
    pub(super) relocs: Vec<Vec<Reloc>>,
    /// Whether any code was linked with `--emit-relocs`.
    pub(super) relocated: bool,
    /// Where code and data begin within code sections (`$t`, `$a`, `$x`, `$d`), by address.
    pub(super) mapping: Vec<(u32, Content)>,
    /// Where the linker's own code stands that reaches far ([`names::is_veneer`]).
    pub(super) veneers: BTreeSet<u32>,
    /// Debug sections by name.
    pub(super) debug: Vec<(String, &'a [u8])>,
}

/// What a stretch of a code section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Content {
    Thumb,
    A32,
    RiscV,
    Data,
}

/// More sections than any firmware has: each look at an address walks them.
const MOST_SECTIONS: usize = 256;

pub(super) fn wrong(what: impl Into<String>, next: &str) -> Error {
    Error::new(Code::Image, what, next)
}

fn damaged(error: object::read::Error) -> Error {
    wrong(format!("isn't a sound ELF file: {error}"), "build it again")
}

/// Names in a section of strings. Many may lie in one another: together they are no longer than a few times the section.
struct Texts<'a> {
    data: &'a [u8],
    left: usize,
}

/// Room for short names that many symbols share (`$t`), in bytes.
const SHARED: usize = 1 << 20;

impl<'a> Texts<'a> {
    fn new(
        bytes: &'a [u8],
        endian: Endianness,
        table: &SectionTable<'a, Header>,
        section: SectionIndex,
    ) -> Result<Self> {
        let header = table.section(section).map_err(damaged)?;
        let data = header.data(endian, bytes).map_err(damaged)?;
        Ok(Self { data, left: data.len().saturating_mul(4).saturating_add(SHARED) })
    }

    /// The name at an offset, as far as names are read.
    fn at(&mut self, offset: u32) -> Result<String> {
        let broken = |what: &str| wrong(format!("isn't a sound ELF file: {what}"), "build it again");
        let text =
            self.data.get(offset as usize..).ok_or_else(|| broken("a name lies outside its section"))?;
        let text = &text[..text.len().min(names::LONGEST + 1)];
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        self.left = self
            .left
            .checked_sub(text.len())
            .ok_or_else(|| broken("its names are longer than what holds them"))?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}

/// The section that has the names of sections.
fn table_of_names(bytes: &[u8], endian: Endianness) -> Result<SectionIndex> {
    let header = Header::parse(bytes).map_err(damaged)?;
    let index = header.shstrndx(endian, bytes).map_err(damaged)?;
    Ok(SectionIndex(index as usize))
}

/// Reads a linked program.
///
/// # Errors
/// `image`: not an ELF file of 32 bits, little-endian, for Arm or RISC-V; or one that contradicts itself.
pub(super) fn read(bytes: &[u8]) -> Result<Firmware<'_>> {
    if bytes.get(4) == Some(&2) {
        return Err(wrong("is a 64-bit ELF file", "give the firmware for the device, not a host program"));
    }
    let header = Header::parse(bytes).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    if endian == Endianness::Big {
        return Err(wrong("is a big-endian ELF file", "big-endian devices aren't supported"));
    }
    let machine = match header.e_machine.get(endian) {
        EM_ARM => Machine::Arm,
        EM_RISCV => Machine::RiscV,
        other => {
            let what = format!("is an ELF file for another machine (e_machine {other})");
            return Err(wrong(what, "give the firmware for the device (Arm or RISC-V, 32 bits)"));
        }
    };
    let table = header.sections(endian, bytes).map_err(damaged)?;
    let mut firmware = Firmware {
        machine,
        sections: Vec::new(),
        symbols: Vec::new(),
        files: Vec::new(),
        relocs: Vec::new(),
        relocated: false,
        mapping: Vec::new(),
        veneers: BTreeSet::new(),
        debug: Vec::new(),
    };
    let homes = firmware.take_sections(bytes, endian, &table)?;
    firmware.take_loaded(bytes, endian, header)?;
    let symbols = table.symbols(endian, bytes, SHT_SYMTAB).map_err(damaged)?;
    if symbols.is_empty() {
        let what = "has no symbols: it can't be compared function by function";
        return Err(wrong(what, "give the linker's own output, before `strip`"));
    }
    let texts = Texts::new(bytes, endian, &table, symbols.string_section())?;
    firmware.take_symbols(endian, &symbols, texts, &homes)?;
    firmware.take_relocs(bytes, endian, &table, &symbols, &homes)?;
    Ok(firmware)
}

impl<'a> Firmware<'a> {
    /// Returns which of the file's sections became which of ours.
    fn take_sections(
        &mut self,
        bytes: &'a [u8],
        endian: Endianness,
        table: &SectionTable<'a, Header>,
    ) -> Result<Vec<Option<usize>>> {
        let mut homes = vec![None; table.len()];
        let mut names = Texts::new(bytes, endian, table, table_of_names(bytes, endian)?)?;
        for (index, header) in table.enumerate() {
            let name = names.at(header.sh_name.get(endian))?;
            let flags = header.sh_flags.get(endian);
            if flags & SHF_ALLOC == 0 {
                if name.starts_with(".debug_") {
                    let data = header.data(endian, bytes).map_err(damaged)?;
                    self.debug.push((name, data));
                }
                continue;
            }
            let (address, size) = (header.sh_addr.get(endian), header.sh_size.get(endian));
            if address.checked_add(size).is_none() {
                return Err(wrong(format!("has a section `{name}` that ends above 4 GiB"), "build it again"));
            }
            let zeroed = header.sh_type.get(endian) == SHT_NOBITS;
            let data = if zeroed { &[][..] } else { header.data(endian, bytes).map_err(damaged)? };
            if size == 0 {
                continue;
            }
            if self.sections.len() == MOST_SECTIONS {
                return Err(wrong(
                    format!("has more than {MOST_SECTIONS} sections"),
                    "link it for the device",
                ));
            }
            if let Some(home) = homes.get_mut(index.0) {
                *home = Some(self.sections.len());
            }
            let code = flags & SHF_EXECINSTR != 0;
            let offset = header.sh_offset.get(endian);
            self.sections.push(Section { name, address, size, data, code, offset, load: None });
        }
        Ok(homes)
    }

    fn take_loaded(&mut self, bytes: &'a [u8], endian: Endianness, header: &Header) -> Result<()> {
        let mut segments = Vec::new();
        let all = header.program_headers(endian, bytes).map_err(damaged)?;
        for segment in all.iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
            let data = segment.data(endian, bytes);
            let data =
                data.map_err(|()| wrong("is cut short: a segment ends behind the file", "build it again"))?;
            if data.is_empty() {
                continue;
            }
            let (offset, address) = (segment.p_offset.get(endian), segment.p_vaddr.get(endian));
            let (load, code) = (segment.p_paddr.get(endian), segment.p_flags(endian) & PF_X != 0);
            segments.push(Segment { offset, address, load, data, code });
        }
        if segments.len() > MOST_SECTIONS {
            return Err(wrong(format!("has more than {MOST_SECTIONS} segments"), "link it for the device"));
        }
        let table = header.e_phoff.get(endian);
        let size = u32::try_from(size_of_val(all)).unwrap_or(u32::MAX);
        let own = u32::try_from(size_of::<Header>()).unwrap_or(u32::MAX);
        self.take_segments(&segments, [(0, own), (table, table.saturating_add(size))])?;
        if let Some(section) = self.sections.iter().find(|s| s.address.checked_add(s.size).is_none()) {
            return Err(wrong(format!("loads `{}` above 4 GiB", section.name), "build it again"));
        }
        if self.sections.len() > MOST_SECTIONS {
            let what = format!("has more than {MOST_SECTIONS} sections, and stretches without one");
            return Err(wrong(what, "link it for the device"));
        }
        self.relocs.resize_with(self.sections.len(), Vec::new);
        Ok(())
    }

    fn take_symbols(
        &mut self,
        endian: Endianness,
        table: &SymbolTable<'a, Header>,
        mut texts: Texts<'a>,
        homes: &[Option<usize>],
    ) -> Result<()> {
        let mut file = None;
        for (index, symbol) in table.enumerate() {
            let raw = texts.at(symbol.st_name.get(endian))?;
            if symbol.st_type() == STT_FILE {
                file = Some(self.files.len());
                self.files.push(raw.clone());
            }
            let names = match symbol.st_type() {
                STT_FUNC => Names::Function,
                STT_OBJECT => Names::Object,
                STT_SECTION => Names::Section,
                _ => Names::Label,
            };
            let home = match symbol.st_shndx.get(endian) {
                SHN_ABS => Home::Absolute,
                SHN_UNDEF => Home::Nowhere,
                _ => {
                    let at = table.symbol_section(endian, symbol, index).map_err(damaged)?;
                    let home = at.and_then(|SectionIndex(at)| homes.get(at).copied().flatten());
                    home.map_or(Home::Nowhere, Home::Section)
                }
            };
            let value = symbol.st_value.get(endian);
            let content = names::content(&raw).filter(|_| symbol.st_type() == STT_NOTYPE);
            if let (Some(content), Home::Section(_)) = (content, home) {
                self.mapping.push((value, content));
            }
            // Linkers keep theirs to themselves.
            let own = symbol.st_bind() == STB_LOCAL;
            if own && names::is_veneer(&raw, symbol.st_size.get(endian)) {
                self.veneers.insert(value & !1);
            }
            let global = symbol.st_bind() != STB_LOCAL;
            let lasting = names != Names::Section && symbol.st_type() != STT_FILE;
            self.symbols.push(Symbol {
                name: if lasting { names::steady(&raw) } else { String::new() },
                raw,
                file: if global { None } else { file },
                value,
                size: symbol.st_size.get(endian),
                names,
                home,
                global,
                weak: symbol.st_bind() == STB_WEAK,
            });
        }
        self.mapping.sort_unstable();
        Ok(())
    }

    fn take_relocs(
        &mut self,
        bytes: &'a [u8],
        endian: Endianness,
        table: &SectionTable<'a, Header>,
        symbols: &SymbolTable<'a, Header>,
        homes: &[Option<usize>],
    ) -> Result<()> {
        for section in table.iter() {
            let target = section.sh_info.get(endian) as usize;
            let Some(home) = homes.get(target).copied().flatten() else { continue };
            if section.link(endian) != symbols.section() {
                continue;
            }
            let symbol =
                |index: Option<SymbolIndex>| index.map(|SymbolIndex(i)| i).filter(|i| *i < symbols.len());
            let mut relocs = Vec::new();
            match section.sh_type.get(endian) {
                SHT_REL => {
                    let rels = section.rel(endian, bytes).map_err(damaged)?;
                    for rel in rels.map_or(&[][..], |(rels, _)| rels) {
                        let (at, kind) = (rel.r_offset.get(endian), rel.r_type(endian));
                        relocs.push(Reloc { at, kind, symbol: symbol(rel.symbol(endian)), addend: None });
                    }
                }
                SHT_RELA => {
                    let relas = section.rela(endian, bytes).map_err(damaged)?;
                    for rela in relas.map_or(&[][..], |(relas, _)| relas) {
                        let (at, kind) = (rela.r_offset.get(endian), rela.r_type(endian));
                        let (symbol, addend) =
                            (symbol(rela.symbol(endian, false)), Some(rela.r_addend.get(endian)));
                        relocs.push(Reloc { at, kind, symbol, addend });
                    }
                }
                _ => continue,
            }
            relocs.retain(|reloc| self.sections[home].holds(reloc.at));
            self.relocated |= self.sections[home].code && !relocs.is_empty();
            self.relocs[home].extend(relocs);
            // In the order of the file where several fill in one place.
            self.relocs[home].sort_by_key(|reloc| reloc.at);
        }
        Ok(())
    }

    /// True for a section that only unwinders read: they list every function in its order. What is called so and holds
    /// code, or anything that has a name, is none.
    pub(super) fn is_unwinding(&self, index: usize) -> bool {
        let section = &self.sections[index];
        let named = |symbol: &Symbol| {
            symbol.home == Home::Section(index) && symbol.size > 0 && !symbol.name.is_empty()
        };
        let called = [".ARM.exidx", ".ARM.extab", ".eh_frame", ".eh_frame_hdr", ".gcc_except_table"];
        let called = called.iter().any(|name| {
            section.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        called && !section.code && !self.symbols.iter().any(named)
    }

    /// What a mapping symbol says that an address holds, if one does.
    pub(super) fn mapped(&self, address: u32) -> Option<Content> {
        let after = self.mapping.partition_point(|(at, _)| *at <= address);
        let section = self.section_at(address).map_or(address, |section| section.address);
        self.mapping[..after].last().filter(|(at, _)| *at >= section).map(|(_, content)| *content)
    }

    /// Whether mapping symbols say that a stretch holds code; none: they say nothing.
    pub(super) fn maps_code(&self, from: u32, end: u32) -> Option<bool> {
        let is_code = |content: Content| content != Content::Data;
        let within = self.mapping.partition_point(|(at, _)| *at < from);
        let within = self.mapping[within..].iter().take_while(|(at, _)| *at < end);
        let more = within.map(|(_, content)| is_code(*content)).reduce(|a, b| a || b);
        let first = self.mapped(from).map(is_code);
        first.or(more).map(|_| first == Some(true) || more == Some(true))
    }

    /// The section that holds an address.
    pub(super) fn section_at(&self, address: u32) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.holds(address))
    }

    /// An address without the bit that marks Thumb code.
    pub(super) fn plain(&self, address: u32) -> u32 {
        let even = address & !1;
        let thumb = self.machine == Machine::Arm && self.section_at(even).is_some_and(|section| section.code);
        if thumb { even } else { address }
    }

    /// Where a symbol lies.
    pub(super) fn address(&self, symbol: &Symbol) -> u32 {
        match symbol.names {
            Names::Function if self.machine == Machine::Arm => symbol.value & !1,
            _ => symbol.value,
        }
    }

    /// What the code section holds at an address; code, where nothing says otherwise.
    pub(super) fn content(&self, address: u32) -> Content {
        let otherwise = if self.machine == Machine::Arm { Content::Thumb } else { Content::RiscV };
        self.mapped(address).unwrap_or(otherwise)
    }
}
