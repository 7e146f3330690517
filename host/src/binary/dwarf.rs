//! Where code came from, by DWARF 2 to 5: rows of line tables, functions inlined into others, declared places.
//!
//! Each part of the debug information is walked once, and a budget in proportion to its size ends what repeats itself.

use super::elf::{Firmware, Names};
use gimli::{AttributeValue, Dwarf, EndianSlice, LittleEndian, Unit, UnitOffset, constants as dw};
use std::collections::{BTreeSet, HashMap};

type Bytes<'a> = EndianSlice<'a, LittleEndian>;
type Die<'a, 'd, 'u> = gimli::DebuggingInformationEntry<'u, 'd, Bytes<'a>>;

/// Longer paths and names aren't read, in bytes.
const LONGEST: usize = 1024;

/// A row of a line table: from this address on, up to the next row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) address: u32,
    /// True where a stretch ends.
    pub(super) end: bool,
    /// Of [`Lines::files`].
    pub(super) file: usize,
    pub(super) line: u32,
}

/// A place in a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) file: usize,
    pub(super) line: u32,
}

/// A function, or one that was put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) from: u32,
    pub(super) end: u32,
    /// 0: a function itself.
    pub(super) depth: u32,
    pub(super) name: Option<String>,
    pub(super) declared: Option<Spot>,
    /// Where it is called from, for what was inlined.
    pub(super) called: Option<Spot>,
    /// Of [`Lines::units`].
    pub(super) unit: usize,
}

/// All of a program's debug information that is used here.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Paths, with the folder that they were compiled in.
    pub(super) files: Vec<String>,
    /// By address.
    pub(super) rows: Vec<Row>,
    /// Files and lines of code that the linker left out.
    pub(super) left_out: BTreeSet<(usize, u32)>,
    /// By address, outer ones first.
    pub(super) scopes: Vec<Scope>,
    /// Data objects by address.
    pub(super) variables: Vec<(u32, Spot)>,
    /// The files that each unit of compilation was made from.
    pub(super) units: Vec<Vec<usize>>,
    /// Folders that were compiled in.
    pub(super) folders: BTreeSet<String>,
    /// Why some of it couldn't be read.
    pub(super) trouble: Option<String>,
}

/// What an entry says of what it stands for.
#[derive(Debug, Clone)]
struct About {
    name: Option<String>,
    declared: Option<Spot>,
    /// Where the entry stands that says more.
    origin: Option<usize>,
}

/// Entries that refer to one another are followed so far.
const CHAIN: usize = 4;

/// Why not all of it was read.
enum Trouble {
    Damaged(gimli::Error),
    Endless,
}

impl From<gimli::Error> for Trouble {
    fn from(error: gimli::Error) -> Self {
        Self::Damaged(error)
    }
}

type Walked<T> = std::result::Result<T, Trouble>;

/// What may still be walked, in entries.
struct Budget {
    entries: usize,
    rows: usize,
    ranges: usize,
    /// In bytes: many entries may have one name, and it may be as long as the file.
    texts: usize,
}

/// Names are so much longer than the entries that have them, at most.
const NAMES: usize = 64;

struct Loader<'a> {
    dwarf: Dwarf<Bytes<'a>>,
    lines: Lines,
    numbers: HashMap<String, usize>,
    budget: Budget,
    /// Functions and variables, by where they stand.
    entries: HashMap<usize, About>,
    /// Where the second function begins, if one begins at 0; 0 if none does.
    second: u32,
    /// Scopes, and the entry that says more of each.
    pending: Vec<(usize, Option<usize>)>,
    variables: Vec<(u32, About)>,
}

/// Reads what the program says about its sources; nothing where it says nothing.
pub(super) fn load(firmware: &Firmware<'_>) -> Lines {
    let section =
        |name: &str| firmware.debug.iter().find(|(found, _)| found == name).map_or(&[][..], |(_, data)| data);
    let size = |names: &[&str]| names.iter().map(|name| section(name).len()).sum::<usize>();
    let load = |id: gimli::SectionId| Ok::<_, gimli::Error>(Bytes::new(section(id.name()), LittleEndian));
    let Ok(dwarf) = Dwarf::load(load) else { return Lines::default() };
    let budget = Budget {
        entries: size(&[".debug_info"]),
        rows: size(&[".debug_line"]),
        ranges: size(&[".debug_info", ".debug_ranges", ".debug_rnglists"]),
        texts: NAMES * size(&[".debug_info", ".debug_line"]),
    };
    let mut loader = Loader {
        dwarf,
        lines: Lines::default(),
        numbers: HashMap::new(),
        budget,
        entries: HashMap::new(),
        second: second(firmware),
        pending: Vec::new(),
        variables: Vec::new(),
    };
    loader.lines.trouble = loader.all().err().map(|trouble| match trouble {
        Trouble::Damaged(error) => error.to_string(),
        Trouble::Endless => "it repeats itself".to_owned(),
    });
    loader.finish()
}

/// Where the code after a function at 0 begins; 0 if there is none at 0.
fn second(firmware: &Firmware<'_>) -> u32 {
    let Some(section) = firmware.section_at(0).filter(|section| section.code) else { return 0 };
    let code = firmware.symbols.iter().filter(|symbol| {
        matches!(symbol.names, Names::Function) || symbol.names == Names::Label && !symbol.name.is_empty()
    });
    let starts: BTreeSet<u32> =
        code.map(|symbol| firmware.address(symbol)).filter(|address| section.holds(*address)).collect();
    if starts.contains(&0) { starts.range(1..).next().copied().unwrap_or(section.end()) } else { 0 }
}

/// What ends the walk: debug information that contradicts itself, or never ends.
fn spend(budget: &mut usize) -> Walked<()> {
    *budget = budget.checked_sub(1).ok_or(Trouble::Endless)?;
    Ok(())
}

impl<'a> Loader<'a> {
    fn all(&mut self) -> Walked<()> {
        let mut headers = self.dwarf.units();
        while let Some(header) = headers.next()? {
            let unit = self.dwarf.unit(header)?;
            for text in [&unit.name, &unit.comp_dir].into_iter().flatten() {
                self.pay(text.len());
            }
            spend(&mut self.budget.entries)?;
            if let Some(folder) = unit.comp_dir.filter(|folder| folder.len() <= LONGEST) {
                self.lines.folders.insert(tidy(&folder.to_string_lossy()));
            }
            let files = self.rows(&unit)?;
            self.lines.units.push(Vec::new());
            self.walk(&unit, &files)?;
            let mut own: Vec<usize> = files.into_iter().flatten().collect();
            own.sort_unstable();
            own.dedup();
            if let Some(last) = self.lines.units.last_mut() {
                *last = own;
            }
        }
        Ok(())
    }

    /// The rows of a unit; returns its files, as its entries number them.
    fn rows(&mut self, unit: &Unit<Bytes<'a>>) -> Walked<Vec<Option<usize>>> {
        let Some(program) = unit.line_program.clone() else { return Ok(Vec::new()) };
        let header = program.header().clone();
        let count = header.file_names().len() as u64 + u64::from(header.version() < 5);
        let mut files = Vec::new();
        for index in 0..count {
            spend(&mut self.budget.rows)?;
            files.push(self.path(unit, &header, index));
        }
        let mut rows = program.rows();
        // Rows of a stretch that hasn't ended yet.
        let mut start = self.lines.rows.len();
        while let Some((_, row)) = rows.next_row()? {
            spend(&mut self.budget.rows)?;
            let file = files.get(usize::try_from(row.file_index()).unwrap_or(usize::MAX)).copied().flatten();
            let line = row.line().and_then(|line| u32::try_from(line.get()).ok());
            let Ok(address) = u32::try_from(row.address()) else { continue };
            let (file, line, known) = match (file, line) {
                (Some(file), Some(line)) => (file, line, true),
                _ => (0, 0, false),
            };
            self.lines.rows.push(Row { address, end: row.end_sequence() || !known, file, line });
            if row.end_sequence() {
                let from = self.lines.rows.get(start).map_or(0, |row| row.address);
                if self.is_dead(from, address) {
                    let dead = self.lines.rows.drain(start..).filter(|row| !row.end);
                    self.lines.left_out.extend(dead.map(|row| (row.file, row.line)));
                }
                start = self.lines.rows.len();
            }
        }
        Ok(files)
    }

    /// True for what is said of code that isn't there: linkers leave functions out, and put what is said of them at 0.
    /// Where flash begins at 0, it would be said of the functions that lie there.
    fn is_dead(&self, from: u32, end: u32) -> bool {
        from == 0 && end > self.second
    }

    /// What was read to find the end of a text. When that is too much, nothing more is walked.
    fn pay(&mut self, bytes: usize) {
        match self.budget.texts.checked_sub(bytes) {
            Some(left) => self.budget.texts = left,
            None => (self.budget.entries, self.budget.rows) = (0, 0),
        }
    }

    fn text(&mut self, unit: &Unit<Bytes<'a>>, value: AttributeValue<Bytes<'a>>) -> Option<String> {
        let text = self.dwarf.attr_string(unit, value).ok()?;
        self.pay(text.len());
        (text.len() <= LONGEST).then(|| text.to_string_lossy().into_owned())
    }

    fn path(
        &mut self,
        unit: &Unit<Bytes<'a>>,
        header: &gimli::LineProgramHeader<Bytes<'a>>,
        index: u64,
    ) -> Option<usize> {
        let file = header.file(index)?;
        let mut path = self.text(unit, file.path_name())?;
        if let Some(folder) = file.directory(header).and_then(|value| self.text(unit, value)) {
            path = beneath(&folder, &path);
        }
        if let Some(folder) = unit.comp_dir.filter(|folder| folder.len() <= LONGEST) {
            path = beneath(&folder.to_string_lossy(), &path);
        }
        let path = tidy(&path);
        Some(*self.numbers.entry(path).or_insert_with_key(|path| {
            self.lines.files.push(path.clone());
            self.lines.files.len() - 1
        }))
    }

    fn walk(&mut self, unit: &Unit<Bytes<'a>>, files: &[Option<usize>]) -> Walked<()> {
        let mut cursor = unit.entries();
        let mut depth = 0isize;
        // The functions that stand around an entry: their depth, and whether they were inlined there.
        let mut around: Vec<(isize, bool)> = Vec::new();
        // What was inlined into code that isn't there lies behind 0.
        let mut dead: Option<isize> = None;
        while let Some((step, entry)) = cursor.next_dfs()? {
            spend(&mut self.budget.entries)?;
            depth += step;
            while around.last().is_some_and(|(outer, _)| *outer >= depth) {
                around.pop();
            }
            match entry.tag() {
                dw::DW_TAG_subprogram | dw::DW_TAG_inlined_subroutine => {
                    let inlined = entry.tag() == dw::DW_TAG_inlined_subroutine;
                    let outer = around.iter().rev().take_while(|(_, inlined)| *inlined).count();
                    let nested = if inlined { u32::try_from(outer).unwrap_or(u32::MAX - 1) + 1 } else { 0 };
                    dead = dead.filter(|outer| *outer < depth);
                    if dead.is_some() {
                        self.about(unit, files, entry)?;
                    } else if self.scope(unit, files, entry, nested)? {
                        dead = Some(depth);
                    }
                    around.push((depth, inlined));
                }
                dw::DW_TAG_variable => self.variable(unit, files, entry)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes in a function; true if it isn't there.
    fn scope(
        &mut self,
        unit: &Unit<Bytes<'a>>,
        files: &[Option<usize>],
        entry: &Die<'a, '_, '_>,
        depth: u32,
    ) -> Walked<bool> {
        let about = self.about(unit, files, entry)?;
        let mut ranges = self.dwarf.die_ranges(unit, entry)?;
        let (mut found, mut dead) = (Vec::new(), false);
        while let Some(range) = ranges.next()? {
            spend(&mut self.budget.ranges)?;
            if let (Ok(from), Ok(end)) = (u32::try_from(range.begin), u32::try_from(range.end))
                && from < end
            {
                match self.is_dead(from, end) {
                    true => dead = true,
                    false => found.push((from, end)),
                }
            }
        }
        let nothing = found.is_empty();
        let called = spot(files, entry, dw::DW_AT_call_file, dw::DW_AT_call_line)?;
        let unit = self.lines.units.len().saturating_sub(1);
        for (from, end) in found {
            let (name, declared) = (about.name.clone(), about.declared);
            self.pending.push((self.lines.scopes.len(), about.origin));
            self.lines.scopes.push(Scope { from, end, depth, name, declared, called, unit });
        }
        Ok(dead && nothing)
    }

    /// What an entry says itself, and which entry says the rest; noted for those that refer to it.
    fn about(
        &mut self,
        unit: &Unit<Bytes<'a>>,
        files: &[Option<usize>],
        entry: &Die<'a, '_, '_>,
    ) -> Walked<About> {
        let name = entry.attr_value(dw::DW_AT_name)?.and_then(|value| self.text(unit, value));
        let declared = spot(files, entry, dw::DW_AT_decl_file, dw::DW_AT_decl_line)?;
        let place = |offset: UnitOffset| {
            let at = offset.to_debug_info_offset(&unit.header)?;
            Some(at.0)
        };
        let mut origin = None;
        for attribute in [dw::DW_AT_abstract_origin, dw::DW_AT_specification] {
            origin = origin.or(match entry.attr_value(attribute)? {
                Some(AttributeValue::UnitRef(offset)) => place(offset),
                Some(AttributeValue::DebugInfoRef(at)) => Some(at.0),
                _ => None,
            });
        }
        let about = About { name, declared, origin };
        if let Some(at) = place(entry.offset()) {
            self.entries.insert(at, about.clone());
        }
        Ok(about)
    }

    fn variable(
        &mut self,
        unit: &Unit<Bytes<'a>>,
        files: &[Option<usize>],
        entry: &Die<'a, '_, '_>,
    ) -> Walked<()> {
        let about = self.about(unit, files, entry)?;
        let Some(AttributeValue::Exprloc(expression)) = entry.attr_value(dw::DW_AT_location)? else {
            return Ok(());
        };
        let address = match expression.operations(unit.encoding()).next() {
            Ok(Some(gimli::Operation::Address { address })) => address,
            Ok(Some(gimli::Operation::AddressIndex { index })) => self.dwarf.address(unit, index)?,
            _ => return Ok(()),
        };
        if let Ok(address) = u32::try_from(address) {
            self.variables.push((address, about));
        }
        Ok(())
    }

    /// What an entry's abstract instance or declaration says; they may refer on, and in a circle.
    fn origin(&self, mut at: Option<usize>) -> (Option<String>, Option<Spot>) {
        let (mut name, mut declared) = (None, None);
        for _ in 0..CHAIN {
            let Some(about) = at.and_then(|at| self.entries.get(&at)) else { break };
            name = name.or_else(|| about.name.clone());
            declared = declared.or(about.declared);
            at = about.origin;
        }
        (name, declared)
    }

    /// What entries say of others is known once all were read: they may stand in any unit.
    fn finish(mut self) -> Lines {
        for (index, origin) in std::mem::take(&mut self.pending) {
            let (name, declared) = self.origin(origin);
            let scope = &mut self.lines.scopes[index];
            scope.name = scope.name.take().or(name);
            scope.declared = scope.declared.or(declared);
        }
        for (address, about) in std::mem::take(&mut self.variables) {
            let declared = about.declared.or_else(|| self.origin(about.origin).1);
            self.lines.variables.extend(declared.map(|spot| (address, spot)));
        }
        let mut lines = self.lines;
        lines.rows.sort_unstable();
        lines.scopes.sort_by_key(|scope| (scope.from, scope.depth));
        lines.variables.sort_unstable();
        lines
    }
}

fn spot(
    files: &[Option<usize>],
    entry: &Die<'_, '_, '_>,
    file: dw::DwAt,
    line: dw::DwAt,
) -> gimli::Result<Option<Spot>> {
    let number = |value: Option<AttributeValue<Bytes<'_>>>| match value {
        Some(AttributeValue::FileIndex(index)) => Some(index),
        Some(value) => value.udata_value(),
        None => None,
    };
    let file = number(entry.attr_value(file)?).and_then(|index| usize::try_from(index).ok());
    let line = number(entry.attr_value(line)?).and_then(|line| u32::try_from(line).ok());
    let file = file.and_then(|index| files.get(index).copied().flatten());
    Ok(file.zip(line).map(|(file, line)| Spot { file, line }))
}

/// A path below a folder, unless it stands by itself.
fn beneath(folder: &str, path: &str) -> String {
    let absolute = path.starts_with(['/', '\\']) || path.get(1..2) == Some(":");
    if absolute || folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

/// The same path without detours.
fn tidy(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    for (index, part) in path.split('/').enumerate() {
        match part {
            "." => {}
            "" if index > 0 => {}
            ".." if parts.last().is_some_and(|last| !matches!(*last, "" | "..")) => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_and_tidied() {
        assert_eq!(tidy(&beneath("/fw", "src/../inc/./limits.h")), "/fw/inc/limits.h");
        assert_eq!(tidy(&beneath("/fw", "/usr/include/x.h")), "/usr/include/x.h");
        assert_eq!(tidy(&beneath("C:\\fw", "src\\main.c")), "C:/fw/src/main.c");
        assert_eq!(tidy("../x.c"), "../x.c");
    }
}
