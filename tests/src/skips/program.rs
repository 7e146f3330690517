//! The bootloader as a program: its functions, its instructions, and the source lines that they come from.

use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What an instruction is, as far as a sample has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A conditional branch.
    Branch,
    /// A call.
    Call,
    /// Something is put into the register that results are returned in.
    Value,
    /// Anything else.
    Other,
}

/// A function of the bootloader.
#[derive(Debug, Clone)]
pub struct Function {
    /// Demangled, without its hash.
    pub name: String,
    /// Its first address.
    pub from: u32,
    /// The one after its last.
    pub to: u32,
}

/// What decides nothing: arithmetic of curves and hashes, text, the serial line, flash drivers, startup. All else of the
/// bootloader that runs is skipped, one instruction at a time: the device crate, the protocol, comparison of bytes, the
/// call into the curve and back, the bootloader's own `main`.
const DECIDES_NOTHING: [&str; 12] = [
    "curve25519_dalek::",
    "sha2::",
    "core::fmt",
    "core::str",
    "mem::memcpy",
    "mem::memmove",
    "mem::memset",
    "compiler_builtins::int",
    "demo_firmware::serial",
    "board_",
    "board::stack",
    "__aeabi",
];

/// Where decisions are made and acted upon: evidence, signatures, rules, the engine, its driver, the bootloader itself, and
/// what compares digests.
const CORE: [&str; 9] = [
    "evidence::",
    "verify::",
    "rules::",
    "engine::",
    "drive::",
    "boot::",
    "main",
    "mem::memcmp",
    "mem::bcmp",
];

/// A program.
#[derive(Debug)]
pub struct Program {
    functions: Vec<Function>,
    code: BTreeMap<u32, Vec<u8>>,
    /// Addresses in deciding functions where something that decides nothing was inlined.
    inlined: BTreeSet<u32>,
    /// Addresses where something of [`CORE`] stands.
    core: BTreeSet<u32>,
}

/// The source lines that it was compiled from.
pub struct Lines(addr2line::Loader);

fn demangled(name: &str) -> String {
    let name = addr2line::demangle_auto(name.into(), None);
    match name.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 => name.to_owned(),
        _ => name.into_owned(),
    }
}

impl Program {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read(path: &Path) -> Result<Self, String> {
        let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let bytes = std::fs::read(path).map_err(|e| failed(&e))?;
        let file = object::File::parse(&*bytes).map_err(|e| failed(&e))?;
        let mut functions = Vec::new();
        for symbol in file.symbols().filter(|s| s.kind() == SymbolKind::Text && s.size() > 0) {
            // The lowest bit says that it is Thumb code.
            let from = symbol.address() as u32 & !1;
            let name = demangled(symbol.name().unwrap_or(""));
            functions.push(Function { name, from, to: from + symbol.size() as u32 });
        }
        functions.sort_by_key(|function| function.from);
        let text = file.sections().filter(|section| section.kind() == object::SectionKind::Text);
        let code = text.filter_map(|s| Some((s.address() as u32, s.data().ok()?.to_vec()))).collect();
        Ok(Self { functions, code, inlined: BTreeSet::new(), core: BTreeSet::new() })
    }

    /// All functions in which a skip may change a decision.
    pub fn deciding(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|function| decides(&function.name))
    }

    /// Finds out where something that decides nothing was inlined.
    #[must_use]
    pub fn with(mut self, lines: &Lines) -> Self {
        let places = self.deciding().flat_map(|function| (function.from..function.to).step_by(2));
        for at in places.collect::<Vec<_>>() {
            let Some(name) = lines.innermost(at) else { continue };
            if !decides(&name) {
                self.inlined.insert(at);
            } else if CORE.iter().any(|part| name.contains(part)) {
                self.core.insert(at);
            }
        }
        self
    }

    /// True if it belongs to the decisions themselves, and not to what reads flash and documents for them.
    pub fn is_core(&self, at: u32) -> bool {
        self.core.contains(&at)
    }

    /// True if a skip of this instruction may change a decision.
    pub fn matters(&self, at: u32) -> bool {
        !self.inlined.contains(&at)
    }

    /// The function that holds an address.
    pub fn function(&self, at: u32) -> Option<&Function> {
        self.functions.iter().rev().find(|function| function.from <= at && at < function.to)
    }

    /// Where a function begins.
    ///
    /// # Errors
    /// If none has a name that ends so.
    pub fn address(&self, name: &str) -> Result<u32, String> {
        let found = self.functions.iter().find(|function| function.name.ends_with(name));
        found.map(|function| function.from).ok_or(format!("the bootloader has no function `{name}`"))
    }

    /// Where a reset begins: the second word of the vector table.
    ///
    /// # Errors
    /// If there is none.
    pub fn reset(&self) -> Result<u32, String> {
        let halves = self.halfword(4).zip(self.halfword(6)).ok_or("the bootloader has no vector table")?;
        Ok((u32::from(halves.0) | u32::from(halves.1) << 16) & !1)
    }

    fn halfword(&self, at: u32) -> Option<u16> {
        let (start, bytes) = self.code.range(..=at).next_back()?;
        let rest = bytes.get((at - start) as usize..)?;
        Some(u16::from_le_bytes(*rest.first_chunk::<2>()?))
    }

    /// A Thumb instruction: its length in bytes and its kind (ARM DDI 0419, A5.2 and A5.3).
    pub fn instruction(&self, at: u32) -> Option<(u32, Kind)> {
        let first = self.halfword(at)?;
        let condition = first >> 8 & 15;
        if first >> 11 < 0b11101 {
            let kind = match first {
                _ if first & 0xf000 == 0xd000 && condition < 14 => Kind::Branch,
                _ if first & 0xf500 == 0xb100 => Kind::Branch,
                _ if first & 0xff80 == 0x4780 => Kind::Call,
                _ if first & 0xff00 == 0x2000 || first & 0xff87 == 0x4600 => Kind::Value,
                _ => Kind::Other,
            };
            return Some((2, kind));
        }
        let second = self.halfword(at + 2)?;
        let kind = match second & 0xd000 {
            0xd000 if first & 0xf800 == 0xf000 => Kind::Call,
            0x8000 if first & 0xf800 == 0xf000 && first >> 6 & 15 < 14 => Kind::Branch,
            _ => Kind::Other,
        };
        Some((4, kind))
    }

    /// The function that holds an address, and how far from its beginning.
    pub fn offset(&self, at: u32) -> String {
        let known = self.function(at).map(|f| format!("{}+{:#x}", f.name, at - f.from));
        known.unwrap_or_else(|| format!("{at:#x}"))
    }
}

impl Lines {
    /// Reads an ELF file's.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read(path: &Path) -> Result<Self, String> {
        addr2line::Loader::new(path).map(Self).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// The function that an address comes from, of whatever crate but the core library.
    fn innermost(&self, at: u32) -> Option<String> {
        let mut frames = self.0.find_frames(u64::from(at)).ok()?;
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.and_then(|f| f.raw_name().ok().map(|name| demangled(&name)))?;
            // What a type compares by says less than who compares: the last comparison of a signature is one.
            if !name.starts_with('<') && !is_core_library(&name) || name.contains("patchlane_") {
                return Some(name);
            }
        }
        None
    }

    /// The function that an address comes from, also if it was inlined, and file and line.
    pub fn of(&self, at: u32) -> Option<(String, String)> {
        let mut frames = self.0.find_frames(u64::from(at)).ok()?;
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.and_then(|f| f.raw_name().ok().map(|name| demangled(&name)));
            let Some(name) = name.filter(|name| !is_core_library(name)) else { continue };
            let (file, line) =
                frame.location.map_or(("?", 0), |at| (at.file.unwrap_or("?"), at.line.unwrap_or(0)));
            let file = file.rsplit_once("/src/").map_or(file, |(_, file)| file);
            return Some((name, format!("{file}:{line}")));
        }
        None
    }
}

fn decides(name: &str) -> bool {
    !DECIDES_NOTHING.iter().any(|part| name.contains(part))
}

/// What of it was inlined says less than who called it.
fn is_core_library(name: &str) -> bool {
    name.starts_with("core::") || name.starts_with("<core::")
}
