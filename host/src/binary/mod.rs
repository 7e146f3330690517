//! What changed between two linked programs, function by function.
//!
//! A fix of four lines moves nine tenths of an image: code after it lies elsewhere, and so does every address in what
//! calls it. Here each function is compared without the places that only say where things lie (sites), but with what
//! they point to: a call that goes elsewhere is a change, a function that moved is none.
//!
//! Bytes in, findings out; no file is read, nothing is run. Damaged input is an error, never a panic, and costs memory
//! in proportion to its own size.
//!
//! ```no_run
//! let old = std::fs::read("old.elf")?;
//! let new = std::fs::read("new.elf")?;
//! let comparison = patchlane::binary::compare(&old, &new)?;
//! for changed in &comparison.changed {
//!     println!("{}: {} -> {} bytes", changed.new.name, changed.old.size, changed.new.size);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arm;
mod changes;
mod dwarf;
mod elf;
mod findings;
pub mod hunks;
mod join;
mod json;
mod names;
mod packages;
mod pairing;
mod parts;
mod place;
mod riscv;
mod segments;
mod shape;
mod sites;
mod sources;
mod tables;

pub use elf::Machine;
pub use findings::*;
pub use hunks::Hunk;
pub use json::json;
pub use packages::Moved;

use crate::error::{Code, Error, Result};
use shape::Program;
use std::collections::{BTreeMap, BTreeSet};

/// What changed in the sources.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// The diff.
    pub hunks: &'a [Hunk],
    /// Every file of the repository, as it was and as it is; without them, less is certain.
    pub files: Option<&'a [BTreeSet<String>; 2]>,
    /// Dependencies whose release a lock file changed.
    pub dependencies: &'a [Moved],
}

impl<'a> Changes<'a> {
    /// Nothing but a diff is known.
    pub const fn of(hunks: &'a [Hunk]) -> Self {
        Self { hunks, files: None, dependencies: &[] }
    }
}

/// Compares two linked programs.
///
/// # Errors
/// `image`: one of them can't be read, or they are for different machines; `place` is `A` or `B`.
pub fn compare(old: &[u8], new: &[u8]) -> Result<Comparison> {
    compare_by(old, new, Method::Relocations, None)
}

/// The same by this method at best, and joined with what changed in the sources. Without relocations in both the weaker
/// method is used.
///
/// # Errors
/// As [`compare`].
pub fn compare_by(old: &[u8], new: &[u8], best: Method, changes: Option<&Changes<'_>>) -> Result<Comparison> {
    let old = elf::read(old).map_err(|error| error.at("A"))?;
    let new = elf::read(new).map_err(|error| error.at("B"))?;
    if old.machine != new.machine {
        let what = format!("A is for {}, B for {}", old.machine.name(), new.machine.name());
        return Err(Error::new(Code::Image, what, "compare two builds for the same device"));
    }
    let listed = old.relocated && new.relocated && best == Method::Relocations;
    let method = if listed { Method::Relocations } else { Method::Heuristic };
    let old = Program::new(old, listed).map_err(|error| error.at("A"))?;
    let new = Program::new(new, listed).map_err(|error| error.at("B"))?;
    let mut comparison = changes::of(&old, &new, method);
    if let Some(changes) = changes {
        let (table, doubts) = join::table(&comparison, [&old, &new], changes);
        comparison.table = Some(table);
        comparison.unseen.extend(doubts);
    }
    Ok(comparison)
}

/// The global symbols that a linked program defines, and what each is.
///
/// # Errors
/// `image`: it can't be read.
pub fn exports(program: &[u8]) -> Result<BTreeMap<String, &'static str>> {
    let firmware = elf::read(program)?;
    let symbols = firmware.symbols.into_iter();
    let defined = symbols.filter(tables::is_export);
    Ok(defined
        .map(|symbol| {
            let kind = match symbol.names {
                elf::Names::Function => "function",
                elf::Names::Object => "object",
                elf::Names::Label | elf::Names::Section => "label",
            };
            (symbol.name, kind)
        })
        .collect())
}

#[cfg(test)]
mod tests;
