//! One table: what changed in the program against what changed in its sources. What has no counterpart is told.

use super::Changes;
use super::findings::{
    Changed, Comparison, HunkAlone, Item, Reach, Row, SourceRange, Table, Vector, WhyAlone,
};
use super::hunks::Hunk;
use super::packages::Moved;
use super::place::Places;
use super::shape::Program;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Doubts are told so far.
const DOUBTS: usize = 8;

/// Functions that came because of one another are followed so far.
const CHAIN: usize = 8;

/// Which side of a diff.
type Side = usize;

struct Join<'c> {
    programs: [&'c Program<'c>; 2],
    changes: &'c Changes<'c>,
    hunks: &'c [Hunk],
    /// Per side: what files are called in the repository.
    places: [Places; 2],
    /// Per side: the number of a file by its path.
    numbers: [HashMap<&'c str, usize>; 2],
    /// Per hunk and side: the files of the program that it may mean.
    files: Vec<[BTreeSet<usize>; 2]>,
    /// Per hunk: why it reaches nothing, if so.
    whys: Vec<WhyAlone>,
    /// Hunks that something was found for.
    used: BTreeSet<usize>,
}

/// Joins findings and hunks; tells what it couldn't join for certain.
pub(super) fn table<'c>(
    comparison: &Comparison,
    programs: [&'c Program<'c>; 2],
    changes: &'c Changes<'c>,
) -> (Table, Vec<String>) {
    let hunks = changes.hunks;
    let mut join = Join::new(programs, changes);
    let mut rows = Vec::new();
    for Changed { old, new, .. } in comparison.changed.iter().chain(&comparison.data) {
        rows.push(join.row(&new.name, [Some(old), Some(new)]));
    }
    for (old, new) in &comparison.renamed {
        rows.push(join.row(&new.name, [Some(old), Some(new)]));
    }
    for item in comparison.alone.added.iter().chain(&comparison.data_alone.added) {
        rows.push(join.row(&item.name, [None, Some(item)]));
    }
    for item in comparison.alone.removed.iter().chain(&comparison.data_alone.removed) {
        rows.push(join.row(&item.name, [Some(item), None]));
    }
    for Vector { table, index, sources, .. } in &comparison.vectors {
        let hunks = join.reached(&[&[], &sources[..]]);
        rows.push(Row { name: format!("{table}[{index}]"), hunks });
    }
    for data in
        comparison.unnamed.added.iter().chain(&comparison.unnamed.removed).filter(|data| data.of.is_empty())
    {
        rows.push(Row { name: format!("{} bytes in {}", data.size, data.section), hunks: Vec::new() });
    }
    join.declarations(&mut rows, comparison);
    let removed = comparison.alone.removed.iter().chain(&comparison.data_alone.removed).map(|item| (0, item));
    let added = comparison.alone.added.iter().chain(&comparison.data_alone.added).map(|item| (1, item));
    join.callers(&mut rows, &removed.chain(added).collect::<Vec<_>>());
    let alone = (0..hunks.len()).filter(|index| !join.used.contains(index));
    let alone = alone.map(|index| HunkAlone { hunk: index, why: join.whys[index].clone() }).collect();
    (Table { hunks: hunks.to_vec(), rows, alone }, join.doubts())
}

/// True if some lines of a hunk lie within a range; where lines only went, those on either side of the gap.
fn touches(hunk: &Hunk, side: Side, first: u32, last: u32) -> bool {
    let (from, count) = if side == 0 { hunk.old } else { hunk.new };
    match count {
        0 => first <= from && from < last,
        count => from <= last && from.saturating_add(count - 1) >= first,
    }
}

/// The file of a hunk on one side.
fn named(hunk: &Hunk, side: Side) -> Option<&str> {
    if side == 0 { hunk.old_name() } else { hunk.new_name() }
}

impl<'c> Join<'c> {
    fn new(programs: [&'c Program<'c>; 2], changes: &'c Changes<'c>) -> Self {
        let hunks = changes.hunks;
        let numbers = programs.map(|program| {
            let files = program.lines.files.iter().enumerate();
            files.map(|(number, path)| (&path[..], number)).collect()
        });
        let sides = [0, 1].map(|side| {
            let lines = &programs[side].lines;
            match &changes.files {
                Some(files) => Places::new(lines, &files[side].iter().map(String::as_str).collect(), true),
                None => {
                    let names: HashSet<&str> = hunks.iter().filter_map(|hunk| named(hunk, side)).collect();
                    Places::new(lines, &names, false)
                }
            }
        });
        let of = |hunk: &Hunk, side: Side| {
            let name = named(hunk, side).filter(|_| !hunk.link);
            name.map_or_else(BTreeSet::new, |name| sides[side].meant(name))
        };
        let files: Vec<_> = hunks.iter().map(|hunk| [of(hunk, 0), of(hunk, 1)]).collect();
        let (whys, used) = (Vec::new(), BTreeSet::new());
        let mut join = Self { programs, changes, hunks, places: sides, numbers, files, whys, used };
        let places = [0, 1].map(|side| join.addresses(side));
        join.whys = (0..hunks.len()).map(|index| join.why_alone(index, &places)).collect();
        join
    }

    /// Lines of the files that hunks mean, and the addresses that came from them.
    fn addresses(&self, side: Side) -> BTreeSet<(usize, u32, u32)> {
        let wanted: BTreeSet<usize> = self.files.iter().flat_map(|files| &files[side]).copied().collect();
        let rows = self.programs[side].lines.rows.iter();
        let rows = rows.filter(|row| !row.end && wanted.contains(&row.file));
        rows.map(|row| (row.file, row.line, row.address)).collect()
    }

    fn row(&mut self, name: &str, items: [Option<&Item>; 2]) -> Row {
        let sources = items.map(|item| item.map_or(&[][..], |item| &item.sources));
        Row { name: name.to_owned(), hunks: self.reached(&sources) }
    }

    /// Hunks whose lines something came from, on either side.
    fn reached(&mut self, sources: &[&[SourceRange]; 2]) -> Vec<(usize, Reach)> {
        let mut found = Vec::new();
        for (index, hunk) in self.hunks.iter().enumerate() {
            let mut reach: Option<Reach> = None;
            for (side, ranges) in sources.iter().enumerate() {
                for range in *ranges {
                    let number = self.numbers[side].get(&range.path[..]);
                    let same = number.is_some_and(|number| self.files[index][side].contains(number));
                    if !same || !touches(hunk, side, range.first, range.last) {
                        continue;
                    }
                    // Its own lines say more than those of what it inlines.
                    match (&reach, &range.inlined) {
                        (Some(Reach::Lines), _) => {}
                        (_, None) => reach = Some(Reach::Lines),
                        (None, Some(name)) => reach = Some(Reach::Inlined(name.clone())),
                        _ => {}
                    }
                }
            }
            if let Some(reach) = reach {
                self.used.insert(index);
                found.push((index, reach));
            }
        }
        if found.is_empty() { self.by_dependency(sources) } else { found }
    }

    /// What a lock file leads to: the sources of a dependency whose release it changed.
    fn by_dependency(&mut self, sources: &[&[SourceRange]; 2]) -> Vec<(usize, Reach)> {
        let dependencies: &'c [Moved] = self.changes.dependencies;
        let of = |side: Side, path: &str| {
            // A folder of the repository may be called as cargo's.
            let foreign = !self.places[side].own(path);
            dependencies.iter().find(|moved| foreign && moved.holds(side, path))
        };
        let mut ranges = sources
            .iter()
            .enumerate()
            .flat_map(|(side, ranges)| ranges.iter().map(move |range| (side, range)));
        let found = ranges.find_map(|(side, range)| of(side, &range.path));
        let Some(moved) = found else { return Vec::new() };
        self.used.extend(&moved.hunks);
        moved.hunks.iter().map(|hunk| (*hunk, Reach::Dependency(moved.told.clone()))).collect()
    }

    /// Files that only end like one of the diff.
    fn doubts(&self) -> Vec<String> {
        let told = self.hunks.iter().flat_map(|hunk| {
            let sides = [0, 1].into_iter();
            sides.filter_map(|side| named(hunk, side).and_then(|name| self.places[side].doubt(name)))
        });
        told.collect::<BTreeSet<String>>().into_iter().take(DOUBTS).collect()
    }

    /// What no hunk reaches may come from a declaration: a macro, a constant, a type of a file that it was made from.
    fn declarations(&mut self, rows: &mut [Row], comparison: &Comparison) {
        let outside: Vec<usize> = (0..self.hunks.len())
            .filter(|index| !self.used.contains(index))
            .filter(|index| matches!(self.whys[*index], WhyAlone::Outside | WhyAlone::Header))
            .collect();
        let items = comparison.changed.iter().chain(&comparison.data).map(|changed| &changed.new);
        for (row, item) in rows.iter_mut().zip(items).filter(|(row, _)| row.hunks.is_empty()) {
            let lines = &self.programs[1].lines;
            let files: BTreeSet<usize> =
                match lines.units_of(item.address, item.address.saturating_add(item.size)) {
                    units if !item.sources.is_empty() => units.flatten().copied().collect(),
                    _ => BTreeSet::new(),
                };
            for index in &outside {
                let mut meant = self.files[*index][1].iter();
                let header = self.whys[*index] == WhyAlone::Header && !item.sources.is_empty();
                if header || meant.any(|file| files.contains(file)) {
                    row.hunks.push((*index, Reach::Declaration));
                    self.used.insert(*index);
                }
            }
        }
    }

    /// What came or went because something that a hunk reaches uses it now, or no longer.
    fn callers(&self, rows: &mut [Row], items: &[(Side, &Item)]) {
        for _ in 0..CHAIN {
            let mut more = Vec::new();
            for (side, item) in items {
                let open = |row: &Row| row.name == item.name && row.hunks.is_empty();
                let Some(at) = rows.iter().position(open) else { continue };
                let program = self.programs[*side];
                let Some(part) = program.part_at(item.address) else { continue };
                let found = program.users(part).find_map(|user| {
                    rows.iter().find(|row| Some(&row.name[..]) == program.name(user) && !row.hunks.is_empty())
                });
                if let Some(row) = found {
                    let reach = |(hunk, _): &(usize, Reach)| (*hunk, Reach::Through(row.name.clone()));
                    more.push((at, row.hunks.iter().map(reach).collect()));
                }
            }
            if more.is_empty() {
                return;
            }
            for (at, hunks) in more {
                rows[at].hunks = hunks;
            }
        }
    }

    fn why_alone(&self, index: usize, places: &[BTreeSet<(usize, u32, u32)>; 2]) -> WhyAlone {
        let hunk = &self.hunks[index];
        if hunk.is_comment() {
            return WhyAlone::Comment;
        }
        let mut functions = BTreeSet::new();
        for (side, (first, count)) in [hunk.old, hunk.new].into_iter().enumerate() {
            let end = first.saturating_add(count);
            for file in &self.files[index][side] {
                for (_, _, address) in places[side].range((*file, first, 0)..(*file, end, 0)) {
                    let program = self.programs[side];
                    functions.extend(program.part_at(*address).and_then(|part| program.name(part)));
                }
            }
        }
        if !functions.is_empty() {
            return WhyAlone::SameCode(functions.into_iter().take(8).map(str::to_owned).collect());
        }
        let sides = [hunk.old, hunk.new].into_iter().enumerate();
        let left_out = sides.into_iter().any(|(side, (first, count))| {
            let (lines, end) = (&self.programs[side].lines.left_out, first.saturating_add(count));
            self.files[index][side]
                .iter()
                .any(|file| lines.range((*file, first)..(*file, end)).next().is_some())
        });
        if left_out {
            return WhyAlone::LeftOut;
        }
        let compiled = self.files[index].iter().any(|files| !files.is_empty());
        let ends = [".h", ".hh", ".hpp", ".inc"];
        let header = !hunk.link && ends.iter().any(|end| hunk.file().ends_with(end));
        match (compiled, header) {
            (true, _) => WhyAlone::Outside,
            (false, true) => WhyAlone::Header,
            (false, false) => WhyAlone::NotCompiled,
        }
    }
}
