//! What a comparison finds, in types.

use super::elf::Machine;
use super::hunks::Hunk;

/// How places were told from code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By the linker's own list (`--emit-relocs`): exact.
    Relocations,
    /// By decoding, and by guessing which numbers are addresses: weaker.
    Heuristic,
}

impl Method {
    /// Its name in `--json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relocations => "relocations",
            Self::Heuristic => "heuristic",
        }
    }
}

/// Lines of a source file that code or data came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceRange {
    /// The file, from the folder that it was compiled in or from its package on.
    pub file: String,
    /// The whole path, as the compiler wrote it.
    pub path: String,
    /// The first line, from 1.
    pub first: u32,
    /// The last line; `u32::MAX`: to the end of the file, as far as anyone knows.
    pub last: u32,
    /// The function whose lines they are, if it was inlined.
    pub inlined: Option<String>,
}

/// A function or a data object of one of the programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name, demangled, without hashes.
    pub name: String,
    /// Its symbol as the linker wrote it.
    pub symbol: String,
    /// The file that the symbol table names for it.
    pub file: Option<String>,
    /// The section it lies in.
    pub section: String,
    /// Where it lies.
    pub address: u32,
    /// Bytes of it.
    pub size: u32,
    /// Whether other files could name it.
    pub global: bool,
    /// The source lines it came from, its own first; empty without debug information.
    pub sources: Vec<SourceRange>,
}

/// Why something counts as changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Instructions differ, or bytes of data do.
    Code,
    /// A number beside the code differs: in a literal pool, or a word of a table.
    Constant {
        /// What it was.
        was: u32,
        /// What it is.
        is: u32,
    },
    /// It calls or jumps elsewhere.
    Calls {
        /// What it called.
        was: Option<String>,
        /// What it calls now.
        is: Option<String>,
    },
    /// It uses other data.
    Uses {
        /// What it used.
        was: Option<String>,
        /// What it uses now.
        is: Option<String>,
    },
    /// Only its size differs: it holds nothing yet.
    Size,
}

/// Something that is in both programs, and not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// As it was.
    pub old: Item,
    /// As it is.
    pub new: Item,
    /// Why it counts as changed, at least one reason.
    pub why: Vec<Why>,
}

impl Changed {
    /// The source lines that it comes from now: its own, and those of what is inlined into it.
    pub fn sources(&self) -> &[SourceRange] {
        &self.new.sources
    }
}

/// Data or code without a name that lasts: constants, string literals, jump tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// The section it lies in.
    pub section: String,
    /// Where it lies.
    pub address: u32,
    /// Bytes of it.
    pub size: u32,
    /// Its text, if it is one.
    pub text: Option<String>,
    /// Functions and data that point to it.
    pub of: Vec<String>,
    /// True if it is code.
    pub code: bool,
}

/// An entry of a table of interrupt handlers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vector {
    /// The table: its symbol or section.
    pub table: String,
    /// Which entry, from 0.
    pub index: u32,
    /// Where it led, if there was one.
    pub was: Option<String>,
    /// Where it leads, if there is one.
    pub is: Option<String>,
    /// Where the table stands in the sources.
    pub sources: Vec<SourceRange>,
}

/// A section whose size or place differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Address and bytes, if it was there.
    pub was: Option<(u32, u32)>,
    /// Address and bytes, if it is there.
    pub is: Option<(u32, u32)>,
}

/// A symbol whose value is a number, not a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absolute {
    /// Its name.
    pub name: String,
    /// What it was.
    pub was: Option<u32>,
    /// What it is.
    pub is: Option<u32>,
}

/// What is in one of them only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alone<T> {
    /// In the new one only.
    pub added: Vec<T>,
    /// In the old one only.
    pub removed: Vec<T>,
}

impl<T> Alone<T> {
    /// True if there is nothing.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// All that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// How places were told from code.
    pub method: Method,
    /// What both are for.
    pub machine: Machine,
    /// How many functions the old and the new program have.
    pub functions: (usize, usize),
    /// How many functions are the same, and have other bytes: they or what they name lie elsewhere.
    pub moved: usize,
    /// Functions that changed, by address.
    pub changed: Vec<Changed>,
    /// Functions of the same content under another name.
    pub renamed: Vec<(Item, Item)>,
    /// Functions in one of them only.
    pub alone: Alone<Item>,
    /// Data objects that changed, by address.
    pub data: Vec<Changed>,
    /// Data objects in one of them only.
    pub data_alone: Alone<Item>,
    /// What has no name, in one of them only.
    pub unnamed: Alone<Unnamed>,
    /// Entries of vector tables that differ.
    pub vectors: Vec<Vector>,
    /// Global symbols in one of them only, aliases and labels too.
    pub exports: Alone<String>,
    /// Names whose weak definition gave way to another one.
    pub filled: Vec<String>,
    /// Sections that differ in size or place.
    pub sections: Vec<Section>,
    /// Texts in one of them only.
    pub strings: Alone<String>,
    /// Absolute symbols that differ: sizes and places that the linker script sets.
    pub absolutes: Vec<Absolute>,
    /// Those of them that don't follow from where sections lie.
    pub set: Vec<String>,
    /// What this comparison can't see.
    pub unseen: Vec<String>,
    /// Findings against changes of the sources, if a diff of them was given.
    pub table: Option<Table>,
}

/// How a change of the sources reaches something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It changes lines that this came from.
    Lines,
    /// It changes lines of a function that was inlined into this.
    Inlined(String),
    /// It changes this, which uses what came, or no longer uses what went.
    Through(String),
    /// It changes the release of the dependency that this came from: which one, in words.
    Dependency(String),
    /// It changes a declaration in a file that this was made from: it may be why.
    Declaration,
}

/// A finding, and the hunks that reach it: none, and nobody knows where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was found: a function, a data object, an entry of a vector table.
    pub name: String,
    /// Indices of [`Table::hunks`], and how they reach it.
    pub hunks: Vec<(usize, Reach)>,
}

/// Why a hunk reaches nothing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyAlone {
    /// It changes comments or empty lines.
    Comment,
    /// These functions came from its lines, and their code is the same.
    SameCode(Vec<String>),
    /// It changes functions that the linker left out.
    LeftOut,
    /// Its file was compiled; no code or data comes from its lines.
    Outside,
    /// Its file is a header that no code comes from.
    Header,
    /// Nothing in the program comes from its file.
    NotCompiled,
}

/// A hunk that reaches nothing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HunkAlone {
    /// Index of [`Table::hunks`].
    pub hunk: usize,
    /// Why.
    pub why: WhyAlone,
}

/// Findings against changes of the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Every hunk of the diff.
    pub hunks: Vec<Hunk>,
    /// Every finding: changed, renamed, added and removed functions and data, entries of vector tables.
    pub rows: Vec<Row>,
    /// Hunks that reach none of them.
    pub alone: Vec<HunkAlone>,
}

impl Table {
    /// Findings that no change of the sources reaches.
    pub fn orphans(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.hunks.is_empty())
    }
}

impl Comparison {
    /// True if nothing differs that a device could tell, places aside.
    pub fn is_same(&self) -> bool {
        self.changed.is_empty()
            && self.alone.is_empty()
            && self.data.is_empty()
            && self.data_alone.is_empty()
            && self.unnamed.is_empty()
            && self.vectors.is_empty()
            && self.absolutes.is_empty()
    }
}
