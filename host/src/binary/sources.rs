//! Which source lines a function came from: its own, and those of what was inlined into it.

use super::dwarf::{Lines, Scope, Spot};
use super::findings::SourceRange;
use std::collections::BTreeMap;

/// Functions inlined into one another deeper than this are taken as the outer one.
const DEEPEST: usize = 64;

/// Whose lines: the function's own, or those of one that was inlined; and the file.
type Whose = (Option<String>, usize);

impl Lines {
    /// The source lines of a stretch of code, its own first.
    ///
    /// A line belongs to the function that is declared last before it: compilers mark some lines of a caller as of what
    /// it inlines, and the other way round.
    pub(super) fn of(&self, from: u32, end: u32) -> Vec<SourceRange> {
        let first = self.scopes.partition_point(|scope| scope.from < from);
        let scopes = || self.scopes[first..].iter().take_while(|scope| scope.from < end);
        let mut declared: Vec<(Spot, Option<&String>)> =
            scopes().filter_map(|scope| Some((scope.declared?, named(scope)))).collect();
        declared.sort_unstable();
        declared.dedup();
        let mut found: BTreeMap<Whose, (u32, u32)> = BTreeMap::new();
        let mut add = |spot: Spot, own: bool, otherwise: Option<&String>| {
            let before = declared[..declared.partition_point(|(at, _)| *at <= spot)].last();
            let owner = before.filter(|(at, _)| at.file == spot.file);
            let name = if own { None } else { owner.map_or(otherwise, |(_, name)| *name) };
            let range = found.entry((name.cloned(), spot.file)).or_insert((spot.line, spot.line));
            *range = (range.0.min(spot.line), range.1.max(spot.line));
        };
        for scope in scopes() {
            scope.declared.into_iter().chain(scope.called).for_each(|spot| add(spot, false, None));
        }
        let mut coming = scopes().peekable();
        let mut open: Vec<&Scope> = Vec::new();
        let start = self.rows.partition_point(|row| row.address <= from).saturating_sub(1);
        for row in self.rows[start..].iter().take_while(|row| row.address < end) {
            let here = row.address.max(from);
            while let Some(scope) = coming.next_if(|scope| scope.from <= here) {
                open.retain(|outer| scope.from < outer.end && outer.depth < scope.depth);
                if open.len() < DEEPEST {
                    open.push(scope);
                }
            }
            open.retain(|scope| here < scope.end);
            if row.end {
                continue;
            }
            let spot = Spot { file: row.file, line: row.line };
            let innermost = open.last().copied();
            // A function's own lines may lie behind those of one that is declared within it.
            let own = innermost.filter(|scope| scope.depth == 0).and_then(|scope| scope.declared);
            let own = own.is_some_and(|declared| declared.file == spot.file && declared.line <= spot.line);
            add(spot, own, innermost.and_then(named));
        }
        let range =
            |((inlined, file), (first, last)): (Whose, (u32, u32))| self.range(file, first, last, inlined);
        found.into_iter().map(range).collect()
    }

    /// Where a data object is declared: up to the next declaration in the file, that may be its contents.
    pub(super) fn of_data(&self, address: u32) -> Vec<SourceRange> {
        let at = self.variables.partition_point(|(at, _)| *at < address);
        let here = self.variables[at..].iter().take_while(|(at, _)| *at == address);
        here.map(|(_, spot)| {
            let others = self.variables.iter().map(|(_, other)| *other);
            let others = others.chain(self.scopes.iter().filter_map(|scope| scope.declared));
            let next = others
                .filter(|other| other.file == spot.file && other.line > spot.line)
                .map(|other| other.line)
                .min();
            let last = next.map_or(u32::MAX, |next| next - 1);
            self.range(spot.file, spot.line, last, None)
        })
        .collect()
    }

    /// The units of compilation that a stretch of code came from.
    pub(super) fn units_of(&self, from: u32, end: u32) -> impl Iterator<Item = &Vec<usize>> {
        let first = self.scopes.partition_point(|scope| scope.from < from);
        let scopes = self.scopes[first..].iter().take_while(move |scope| scope.from < end);
        scopes.filter(|scope| scope.depth == 0).filter_map(|scope| self.units.get(scope.unit))
    }

    fn range(&self, file: usize, first: u32, last: u32, inlined: Option<String>) -> SourceRange {
        let path = self.files.get(file).cloned().unwrap_or_default();
        SourceRange { file: self.shown(&path), path, first, last, inlined }
    }

    /// A path as people know it: from the folder that it was compiled in, or from its package on.
    fn shown(&self, path: &str) -> String {
        if let Some((_, package)) =
            path.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/'))
        {
            return package.to_owned();
        }
        let within = |folder: &String| path.strip_prefix(&folder[..]).and_then(|rest| rest.strip_prefix('/'));
        let shortest = self.folders.iter().filter_map(within).min_by_key(|rest| rest.len());
        shortest.unwrap_or(path).to_owned()
    }
}

/// The name of an inlined function; none for the function itself.
fn named(scope: &Scope) -> Option<&String> {
    scope.name.as_ref().filter(|_| scope.depth > 0)
}
