//! What differs between parts that belong together, and why; and what belongs to nothing.

use super::elf::Content;
use super::findings::{Alone, Changed, Comparison, Item, Method, Unnamed, Why};
use super::pairing::{Pairing, Side};
use super::shape::{End, FINE, Program, Ref};
use super::sites::Use;
use super::tables;
use std::collections::{BTreeMap, BTreeSet};

/// Reasons listed for one function: more say nothing new.
const REASONS: usize = 12;
/// Callers listed for something without a name.
const CALLERS: usize = 8;

pub(super) fn of(old: &Program<'_>, new: &Program<'_>, method: Method) -> Comparison {
    let pairing = Pairing::new(old, new);
    let vectors = tables::Vectors::find(&pairing);
    let is_function = |program: &Program<'_>, part: usize| {
        program.parts[part].code && program.name(part).is_some() && !program.veneers.contains(&part)
    };
    let count =
        |program: &Program<'_>| (0..program.parts.len()).filter(|part| is_function(program, *part)).count();
    let (mut changed, mut data) = (Vec::new(), Vec::new());
    for part in 0..new.parts.len() {
        let Some(pair) = differs(&pairing, part).filter(|_| !vectors.holds(Side::New, part)) else {
            continue;
        };
        let found = Changed { old: item(old, pair), new: item(new, part), why: why(&pairing, pair, part) };
        if new.parts[part].code { changed.push(found) } else { data.push(found) }
    }
    let (alone, data_alone) = alone(&pairing, &vectors);
    let renamed = pairing.renamed.iter().map(|(a, b)| (item(old, *a), item(new, *b))).collect();
    Comparison {
        method,
        machine: new.firmware.machine,
        functions: (count(old), count(new)),
        moved: (0..new.parts.len()).filter(|part| is_function(new, *part) && moved(&pairing, *part)).count(),
        changed,
        renamed,
        alone,
        data,
        data_alone,
        unnamed: unnamed(&pairing, &vectors),
        vectors: vectors.changes(&pairing),
        exports: tables::exports(old, new),
        filled: tables::filled(old, new),
        sections: tables::sections(old, new),
        strings: tables::strings(old, new),
        absolutes: tables::absolutes(old, new),
        set: tables::set(old, new),
        unseen: unseen(old, new, method),
        table: None,
    }
}

/// The old part of a new one, if all that it could be differ.
fn differs(pairing: &Pairing<'_, '_>, part: usize) -> Option<usize> {
    let olds = &pairing.back[part];
    let first = olds.first()?;
    // Folded functions: each of them has to be what it was.
    (!olds.iter().all(|old| pairing.same(*old, part))).then_some(*first)
}

/// True for a function that is the same, though its bytes aren't.
fn moved(pairing: &Pairing<'_, '_>, part: usize) -> bool {
    let Some(old) = pairing.back[part].first() else { return false };
    let bytes = |program: &Program<'_>, part: usize| {
        let it = &program.parts[part];
        program.firmware.sections[it.section].bytes(it.from, it.size).to_vec()
    };
    differs(pairing, part).is_none() && bytes(pairing.old, *old) != bytes(pairing.new, part)
}

pub(super) fn item(program: &Program<'_>, part: usize) -> Item {
    let it = &program.parts[part];
    let symbol = it.symbols.first().map(|index| &program.firmware.symbols[*index]);
    Item {
        name: program.name(part).unwrap_or_default().to_owned(),
        symbol: symbol.map(|symbol| symbol.raw.clone()).unwrap_or_default(),
        file: program.file(part).map(str::to_owned),
        section: program.firmware.sections[it.section].name.clone(),
        address: it.from,
        size: it.size,
        global: symbol.is_some_and(|symbol| symbol.global),
        sources: if it.code { program.lines.of(it.from, it.end()) } else { program.lines.of_data(it.from) },
    }
}

/// What an end is called: by name, by text, or by place.
pub(super) fn called(program: &Program<'_>, end: &End) -> String {
    let beyond = |name: &str, offset: i64| match offset {
        0 => name.to_owned(),
        more if more > 0 => format!("{name}+{more}"),
        less => format!("{name}{less}"),
    };
    match end {
        End::Own(offset) => beyond("itself", *offset / FINE),
        End::Name(name, addend) => beyond(name, i64::from(*addend)),
        End::Zeros => "\"\"".to_owned(),
        End::Place(place) => format!("{place:#010x}"),
        End::Part(part, fine) => match (program.name(*part), program.text(*part), *fine / FINE) {
            (Some(name), _, offset) => beyond(name, offset),
            (None, Some(text), offset) => beyond(&format!("{text:?}"), offset),
            (None, None, offset) => {
                let it = &program.parts[*part];
                let section = &program.firmware.sections[it.section].name;
                beyond(&format!("{} bytes in {section}", it.size), offset)
            }
        },
    }
}

fn why(pairing: &Pairing<'_, '_>, old: usize, new: usize) -> Vec<Why> {
    let mut reasons = Vec::new();
    let (a, b) = (&pairing.old.shapes[old], &pairing.new.shapes[new]);
    if a.code != b.code {
        reasons.extend(constants(pairing, old, new).unwrap_or_else(|| vec![Why::Code]));
    } else if a.code.is_empty() && pairing.old.parts[old].size != pairing.new.parts[new].size {
        reasons.push(Why::Size);
    }
    reasons.extend(ends(pairing, &a.refs, &b.refs));
    // The same ends in another order, or at other places.
    if reasons.is_empty() {
        reasons.push(Why::Code);
    }
    reasons.truncate(REASONS);
    reasons
}

/// The numbers that differ, if code doesn't.
fn constants(pairing: &Pairing<'_, '_>, old: usize, new: usize) -> Option<Vec<Why>> {
    let (a, b) = (&pairing.old.shapes[old], &pairing.new.shapes[new]);
    if a.code.len() != b.code.len() {
        return None;
    }
    let mut words = BTreeMap::new();
    for at in (0..a.code.len()).filter(|at| a.code[*at] != b.code[*at]) {
        let [x, y] = [(Side::Old, old, a), (Side::New, new, b)].map(|(side, part, shape)| {
            let (program, offset) = (pairing.program(side), shape.origin(at));
            let it = &program.parts[part];
            let place = it.from.saturating_add(offset) & !3;
            let data = !it.code || program.firmware.content(place) == Content::Data;
            let word: Option<[u8; 4]> = program.firmware.sections[it.section].bytes(place, 4).try_into().ok();
            word.filter(|_| data).map(|word| (place - (it.from & !3), u32::from_le_bytes(word)))
        });
        let ((place, was), (_, is)) = (x?, y?);
        words.insert(place, Why::Constant { was, is });
    }
    // Many words are contents, not constants.
    (words.len() <= 4).then(|| words.into_values().collect())
}

/// What it points to no longer, and now.
fn ends(pairing: &Pairing<'_, '_>, olds: &[Ref], news: &[Ref]) -> Vec<Why> {
    let mut reasons = Vec::new();
    for purpose in [Use::Call, Use::Address, Use::Difference, Use::Unclear] {
        let of = |refs: &[Ref]| -> Vec<End> {
            let outward = |r: &&Ref| r.purpose == purpose && !matches!(r.end, End::Own(_));
            refs.iter().filter(outward).map(|r| r.end.clone()).collect()
        };
        let (mut gone, mut come) = (of(olds), of(news));
        gone.retain(|old| match come.iter().position(|new| pairing.same_end(old, new)) {
            Some(at) => {
                come.remove(at);
                false
            }
            None => true,
        });
        let mut seen = BTreeSet::new();
        for at in 0..gone.len().max(come.len()) {
            let was = gone.get(at).map(|end| called(pairing.old, end));
            let is = come.get(at).map(|end| called(pairing.new, end));
            if seen.insert((was.clone(), is.clone())) {
                reasons.push(if purpose == Use::Call {
                    Why::Calls { was, is }
                } else {
                    Why::Uses { was, is }
                });
            }
        }
    }
    reasons
}

fn alone(pairing: &Pairing<'_, '_>, vectors: &tables::Vectors) -> (Alone<Item>, Alone<Item>) {
    let (mut functions, mut data) =
        (Alone { added: Vec::new(), removed: Vec::new() }, Alone { added: Vec::new(), removed: Vec::new() });
    for (side, pairs) in [(Side::Old, &pairing.forth), (Side::New, &pairing.back)] {
        let program = pairing.program(side);
        for (part, pairs) in pairs.iter().enumerate() {
            let told = program.name(part).is_some()
                && !program.veneers.contains(&part)
                && !vectors.holds(side, part);
            if !pairs.is_empty() || !told {
                continue;
            }
            let kind = if program.parts[part].code { &mut functions } else { &mut data };
            let list = if side == Side::Old { &mut kind.removed } else { &mut kind.added };
            list.push(item(program, part));
        }
    }
    (functions, data)
}

/// What has no name and no counterpart of the same content.
fn unnamed(pairing: &Pairing<'_, '_>, vectors: &tables::Vectors) -> Alone<Unnamed> {
    let mut count: BTreeMap<&[u8; 32], [Vec<usize>; 2]> = BTreeMap::new();
    for side in [Side::Old, Side::New] {
        let program = pairing.program(side);
        for part in 0..program.parts.len() {
            if program.name(part).is_none() && !vectors.holds(side, part) {
                count.entry(pairing.key(side, part)).or_default()[side as usize].push(part);
            }
        }
    }
    let mut left = [BTreeSet::new(), BTreeSet::new()];
    for [olds, news] in count.into_values() {
        // The linker may merge what is the same, or not: copies more or less are no change.
        if olds.is_empty() || news.is_empty() {
            left[0].extend(olds);
            left[1].extend(news);
        }
    }
    // A text that another is cut into is still there.
    let texts = [Side::Old, Side::New].map(|side| {
        let all = 0..pairing.program(side).parts.len();
        all.filter_map(|part| pairing.text(side, part)).collect::<BTreeSet<_>>()
    });
    for (side, others) in [(Side::Old, &texts[1]), (Side::New, &texts[0])] {
        left[side as usize]
            .retain(|part| pairing.text(side, *part).is_none_or(|text| !others.contains(text)));
    }
    let [removed, added] = [Side::Old, Side::New].map(|side| {
        let program = pairing.program(side);
        let (of, called) = (callers(program, &left[side as usize]), called_ones(program));
        // Mapping symbols say what is code; where there are none, whoever calls it.
        let is_code = |part: usize| {
            let it = &program.parts[part];
            it.code && program.firmware.maps_code(it.from, it.end()).unwrap_or_else(|| called.contains(&part))
        };
        of.into_iter().map(|(part, of)| without_name(program, part, is_code(part), of)).collect()
    });
    Alone { added, removed }
}

fn without_name(program: &Program<'_>, part: usize, code: bool, of: Vec<String>) -> Unnamed {
    let it = &program.parts[part];
    Unnamed {
        section: program.firmware.sections[it.section].name.clone(),
        address: it.from,
        size: it.size,
        text: program.text(part).map(str::to_owned),
        code,
        of,
    }
}

/// What something calls or jumps to.
fn called_ones(program: &Program<'_>) -> BTreeSet<usize> {
    let refs = program.shapes.iter().flat_map(|shape| &shape.refs).filter(|r| r.purpose == Use::Call);
    refs.filter_map(|r| if let End::Part(to, _) = r.end { Some(to) } else { None }).collect()
}

/// Who points to these parts.
fn callers(program: &Program<'_>, parts: &BTreeSet<usize>) -> BTreeMap<usize, Vec<String>> {
    let mut all: BTreeMap<usize, Vec<String>> = parts.iter().map(|part| (*part, Vec::new())).collect();
    for (index, shape) in program.shapes.iter().enumerate() {
        for r in &shape.refs {
            let End::Part(to, _) = r.end else { continue };
            let (Some(list), Some(name)) = (all.get_mut(&to), program.name(index)) else { continue };
            if list.len() < CALLERS && list.last().is_none_or(|last| last != name) {
                list.push(name.to_owned());
            }
        }
    }
    all
}

fn unseen(old: &Program<'_>, new: &Program<'_>, method: Method) -> Vec<String> {
    let mut unseen = Vec::new();
    if method == Method::Heuristic {
        unseen.push(
            "which numbers are addresses is guessed: link both with --emit-relocs (-Wl,-q) to know it"
                .to_owned(),
        );
    }
    let unknown = old.unknown + new.unknown;
    if unknown > 0 {
        unseen.push(format!("{unknown} relocations aren't understood: what they fill in counts as code"));
    }
    for (program, name) in [(old, "A"), (new, "B")] {
        let bytes = program.passed_over;
        if bytes > 0 {
            unseen.push(format!("{bytes} bytes of unwinding tables in {name} aren't compared"));
        }
        match (&program.lines.trouble, program.lines.rows.is_empty()) {
            (Some(trouble), _) => {
                unseen.push(format!("some debug information of {name} can't be read: {trouble}"));
            }
            (None, true) => {
                unseen.push(format!("{name} has no debug information (-g): no source lines are known"))
            }
            (None, false) => {}
        }
    }
    unseen
}
