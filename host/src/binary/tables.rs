//! What is compared beside functions: vector tables, sections, strings, absolute symbols.

use super::changes::called;
use super::elf::{Home, Machine, Names, Symbol};
use super::findings::{Absolute, Alone, Section, Vector};
use super::pairing::{Pairing, Side};
use super::shape::{End, Program};
use std::collections::{BTreeMap, BTreeSet};

/// An entry of a vector table.
#[derive(Debug, Clone, PartialEq)]
enum Entry {
    /// Where it leads, and what else the word holds: the bit that marks Thumb code.
    To(End, u32),
    Number(u32),
}

/// The tables of a program: their name, then entries by number.
type Tables = BTreeMap<String, BTreeMap<u32, Entry>>;

/// Tables of interrupt handlers: found by what sections and symbols are called.
pub(super) struct Vectors {
    parts: [BTreeSet<usize>; 2],
    tables: [Tables; 2],
    /// Where the new ones lie.
    places: BTreeMap<String, u32>,
}

fn is_table(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["vector", "intvec", "isr_table"].iter().any(|word| name.contains(word))
        || ["__interrupts", "__exceptions", "__external_interrupts", "__core_interrupts"].contains(&&name[..])
}

impl Vectors {
    pub(super) fn find(pairing: &Pairing<'_, '_>) -> Self {
        let mut vectors =
            Self { parts: Default::default(), tables: Default::default(), places: BTreeMap::new() };
        for side in [Side::Old, Side::New] {
            let program = pairing.program(side);
            for (index, part) in program.parts.iter().enumerate() {
                let section = &program.firmware.sections[part.section];
                let function = part.code
                    && part
                        .symbols
                        .iter()
                        .any(|symbol| program.firmware.symbols[*symbol].names == Names::Function);
                let (table, from) = if is_table(&section.name) {
                    (section.name.clone(), section.address)
                } else {
                    (program.name(index).unwrap_or_default().to_owned(), part.from)
                };
                if function || !is_table(&table) || section.data.is_empty() {
                    continue;
                }
                vectors.parts[side as usize].insert(index);
                if side == Side::New {
                    vectors.places.entry(table.clone()).or_insert(part.from);
                }
                let entries = vectors.tables[side as usize].entry(table).or_default();
                entries.extend(entries_of(program, index, from));
            }
        }
        vectors
    }

    pub(super) fn holds(&self, side: Side, part: usize) -> bool {
        self.parts[side as usize].contains(&part)
    }

    /// Entries that lead elsewhere.
    pub(super) fn changes(&self, pairing: &Pairing<'_, '_>) -> Vec<Vector> {
        let [old, new] = &self.tables;
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let mut changes = Vec::new();
        let none = BTreeMap::new();
        for name in names {
            let (a, b) = (old.get(name).unwrap_or(&none), new.get(name).unwrap_or(&none));
            let indices: BTreeSet<&u32> = a.keys().chain(b.keys()).collect();
            for index in indices {
                let (was, is) = (a.get(index), b.get(index));
                let same = match (was, is) {
                    (Some(Entry::To(old, a)), Some(Entry::To(new, b))) => {
                        a == b && pairing.same_end(old, new) && !is_parted(pairing, old, new)
                    }
                    (was, is) => was == is,
                };
                if !same {
                    let shown = |program: &Program<'_>, entry: Option<&Entry>| {
                        entry.map(|entry| match entry {
                            Entry::To(end @ End::Part(part, _), 0)
                                if program.firmware.machine == Machine::Arm && program.parts[*part].code =>
                            {
                                format!("{}, not as Thumb", called(program, end))
                            }
                            Entry::To(end, _) => called(program, end),
                            Entry::Number(number) => format!("{number:#x}"),
                        })
                    };
                    let (was, is) = (shown(pairing.old, was), shown(pairing.new, is));
                    let sources =
                        self.places.get(name).map_or(Vec::new(), |at| pairing.new.lines.of_data(*at));
                    changes.push(Vector { table: name.clone(), index: *index, was, is, sources });
                }
            }
        }
        changes
    }
}

/// True if what was one function by several names is several now, and this one holds something else: a weak handler that
/// was another name of the default one.
fn is_parted(pairing: &Pairing<'_, '_>, old: &End, new: &End) -> bool {
    let (End::Part(old, _), End::Part(new, _)) = (old, new) else { return false };
    pairing.forth[*old].len() > 1 && !pairing.same(*old, *new)
}

fn entries_of(program: &Program<'_>, part: usize, from: u32) -> Vec<(u32, Entry)> {
    let (it, shape) = (&program.parts[part], &program.shapes[part]);
    let mut entries = BTreeMap::new();
    for (at, word) in shape.code.chunks_exact(4).enumerate() {
        let number = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        entries.insert(at as u32 * 4, Entry::Number(number));
    }
    for r in &shape.refs {
        let rest = shape.code.get(r.at as usize).copied().map_or(0, u32::from);
        entries.insert(r.at, Entry::To(r.end.clone(), rest));
    }
    let base = it.from.wrapping_sub(from);
    entries.into_iter().map(|(at, entry)| (base.wrapping_add(at) / 4, entry)).collect()
}

/// True for what other programs could be linked against.
pub(super) fn is_export(symbol: &Symbol) -> bool {
    symbol.global && symbol.home != Home::Nowhere && !symbol.name.is_empty()
}

/// Names that other files could use, in one of them only.
pub(super) fn exports(old: &Program<'_>, new: &Program<'_>) -> Alone<String> {
    let [a, b] = [old, new].map(|program| {
        let symbols = program.firmware.symbols.iter();
        let defined = symbols.filter(|symbol| is_export(symbol));
        defined.map(|symbol| &symbol.name[..]).collect::<BTreeSet<_>>()
    });
    let alone = |mine: &BTreeSet<&str>, theirs: &BTreeSet<&str>| {
        mine.difference(theirs).map(|name| (*name).to_owned()).collect()
    };
    Alone { added: alone(&b, &a), removed: alone(&a, &b) }
}

/// Names whose definition was weak, and isn't any more.
pub(super) fn filled(old: &Program<'_>, new: &Program<'_>) -> Vec<String> {
    let names = |program: &Program<'_>, weak: bool| -> BTreeSet<String> {
        let symbols = program.firmware.symbols.iter();
        let wanted = symbols.filter(|symbol| is_export(symbol) && symbol.weak == weak);
        wanted.map(|symbol| symbol.name.clone()).collect()
    };
    names(old, true).intersection(&names(new, false)).cloned().collect()
}

/// Sections that differ in size or place; those of one name as one.
pub(super) fn sections(old: &Program<'_>, new: &Program<'_>) -> Vec<Section> {
    let [was, is] = [old, new].map(|program| {
        let mut all: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for section in &program.firmware.sections {
            let (at, size) = all.entry(&section.name).or_insert((section.address, 0));
            (*at, *size) = ((*at).min(section.address), size.saturating_add(section.size));
        }
        all
    });
    let mut names: Vec<&str> = Vec::new();
    for section in new.firmware.sections.iter().chain(&old.firmware.sections) {
        if !names.contains(&&section.name[..]) {
            names.push(&section.name);
        }
    }
    let all = names.into_iter().map(|name| {
        let (was, is) = (was.get(name).copied(), is.get(name).copied());
        Section { name: name.to_owned(), was, is }
    });
    all.filter(|section| section.was != section.is).collect()
}

/// Shorter texts are chance, in characters.
const SHORTEST: usize = 4;
/// So many new texts are looked for within others.
const SEARCHED: usize = 1000;

/// Texts of one that the other doesn't hold.
pub(super) fn strings(old: &Program<'_>, new: &Program<'_>) -> Alone<String> {
    let texts = |program: &Program<'_>| -> BTreeSet<String> {
        let all = (0..program.parts.len()).filter_map(|part| program.text(part));
        let words = all.flat_map(|text| text.split('\0'));
        words.filter(|word| word.chars().count() >= SHORTEST).map(str::to_owned).collect()
    };
    let (a, b) = (texts(old), texts(new));
    let alone = |mine: &BTreeSet<String>, theirs: &BTreeSet<String>, other: &Program<'_>| -> Vec<String> {
        let left: Vec<&String> = mine.difference(theirs).collect();
        let held = |text: &str| {
            let data = other.firmware.sections.iter().filter(|section| !section.code || section.size > 0);
            left.len() <= SEARCHED && data.into_iter().any(|section| find(section.data, text.as_bytes()))
        };
        left.iter().filter(|text| !held(text)).map(|text| (*text).clone()).collect()
    };
    Alone { added: alone(&b, &a, old), removed: alone(&a, &b, new) }
}

/// True if some bytes hold others.
fn find(within: &[u8], what: &[u8]) -> bool {
    what.is_empty() || within.windows(what.len()).any(|window| window == what)
}

/// Absolute symbols whose value differs: what a linker script sets.
pub(super) fn absolutes(old: &Program<'_>, new: &Program<'_>) -> Vec<Absolute> {
    let [was, is] = [old, new].map(|program| {
        let symbols = program.firmware.symbols.iter();
        let absolute = symbols.filter(|symbol| {
            symbol.home == Home::Absolute && symbol.names != Names::Section && !symbol.name.is_empty()
        });
        absolute.map(|symbol| (&symbol.name[..], symbol.value)).collect::<BTreeMap<_, _>>()
    });
    let names: BTreeSet<&&str> = was.keys().chain(is.keys()).collect();
    let all = names.into_iter().map(|name| Absolute {
        name: (*name).to_owned(),
        was: was.get(name).copied(),
        is: is.get(name).copied(),
    });
    all.filter(|absolute| absolute.was != absolute.is).collect()
}

/// Where sections begin and end, where the image has them, and how large they are: each with the section and which of them.
fn places<'p>(program: &'p Program<'_>) -> BTreeMap<(&'p str, u8), u32> {
    let each = program.firmware.sections.iter().flat_map(|section| {
        let load = section.load.unwrap_or(section.address);
        let all = [section.address, section.end(), section.size, load, load.wrapping_add(section.size)];
        (0u8..).zip(all).map(|(which, value)| ((&section.name[..], which), value))
    });
    each.collect()
}

/// Absolute symbols that were set to something else: what follows from where sections lie is no such thing. Code reads
/// them as numbers, and nothing in it changes when they do.
pub(super) fn set(old: &Program<'_>, new: &Program<'_>) -> Vec<String> {
    let (was, is) = (places(old), places(new));
    let follows = |a: u32, b: u32| {
        was.iter().filter_map(|(which, x)| Some((*x, *is.get(which)?))).any(|(x, y)| {
            let (by, moved) = (b.wrapping_sub(a), y.wrapping_sub(x));
            // A number that is reckoned from a place: the rest of a memory. Small ones agree by chance.
            let reckoned =
                x != y && (by == moved || by == moved.wrapping_neg()) && a.min(b) >= SMALLEST_PLACE;
            (a, b) == (x, y) || reckoned
        })
    };
    let changed = absolutes(old, new).into_iter();
    let set = changed.filter(|absolute| match (absolute.was, absolute.is) {
        (Some(a), Some(b)) => !follows(a, b),
        _ => true,
    });
    set.map(|absolute| absolute.name).collect()
}

/// Less than this is a number.
const SMALLEST_PLACE: u32 = 0x100;
