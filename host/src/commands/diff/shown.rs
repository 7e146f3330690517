//! What changed between two programs, for people: the finding first, then one table, then the rest by kind.

use crate::binary::{
    Absolute, Changed, Comparison, HunkAlone, Item, Machine, Method, Reach, Row, SourceRange, Table, Unnamed,
    Vector, Why, WhyAlone,
};
use crate::output::plain;
use std::fmt::Write as _;

/// Entries listed of a kind; `--json` has all.
const LISTED: usize = 12;
/// Names longer than this stand on a line of their own, in characters.
const WIDE: usize = 36;
const HEAD: [&str; 4] = ["FUNCTION", "BYTES", "SOURCE", "WHY"];

pub(super) fn text(c: &Comparison) -> String {
    let mut text = headline(c);
    text.push_str(&functions(c));
    let lists = lists(c);
    let width =
        lists.iter().map(|(name, lines)| if lines.is_empty() { 0 } else { name.len() }).max().unwrap_or(0);
    for (name, lines) in lists {
        let more = lines.len().saturating_sub(LISTED);
        let rest = (more > 0).then(|| format!("and {more} more"));
        for (number, line) in lines.into_iter().take(LISTED).chain(rest).enumerate() {
            let shown = if number == 0 { name } else { "" };
            let _ = writeln!(text, "{shown:width$}  {}", plain(&line));
        }
    }
    text
}

/// What there is beside changed functions, by kind.
fn lists(c: &Comparison) -> Vec<(&'static str, Vec<String>)> {
    let reached = |name: &str| c.table.as_ref().map_or(String::new(), |table| arrows(c, table, name));
    let lone = |item: &Item| one(item) + &reached(&item.name);
    let renamed = |(a, b): &(Item, Item)| format!("{} is {} now, its code is the same", a.name, b.name);
    let entry = |v: &Vector| vector(c.machine, v) + &reached(&format!("{}[{}]", v.table, v.index));
    let absolute =
        |a: &Absolute| format!("{}: {}", a.name, turn(a.was, a.is, |value| format!("{value:#010x}")));
    let [came, went] = exports(c);
    let (orphans, hunks) = c.table.as_ref().map_or_else(Default::default, |table| {
        let alone =
            |alone: &HunkAlone| format!("{}: {}", table.hunks[alone.hunk].place(), reason(&alone.why));
        (orphans(c, table), table.alone.iter().map(alone).collect())
    });
    vec![
        ("added", c.alone.added.iter().map(lone).collect()),
        ("removed", c.alone.removed.iter().map(lone).collect()),
        ("renamed", c.renamed.iter().map(renamed).collect()),
        ("data", data(c, &reached)),
        ("vectors", c.vectors.iter().map(entry).collect()),
        ("strings", signed(&c.strings.added, &c.strings.removed, |text| format!("{text:?}"))),
        ("filled", c.filled.clone()),
        ("exports", signed(&came, &went, Clone::clone)),
        ("linker", c.absolutes.iter().map(absolute).collect()),
        ("sections", c.sections.iter().filter_map(section).collect()),
        ("orphans", orphans),
        ("hunks", hunks),
        ("method", vec![method(c.method)]),
        ("unseen", c.unseen.clone()),
    ]
}

/// Global names that came and went, but those of functions and data that are listed as such.
fn exports(c: &Comparison) -> [Vec<String>; 2] {
    let others = |names: &[String], items: [&[Item]; 2]| {
        let listed = |name: &String| items.iter().any(|items| items.iter().any(|item| item.name == *name));
        names.iter().filter(|name| !listed(name)).cloned().collect()
    };
    [
        others(&c.exports.added, [&c.alone.added, &c.data_alone.added]),
        others(&c.exports.removed, [&c.alone.removed, &c.data_alone.removed]),
    ]
}

fn headline(c: &Comparison) -> String {
    let moved = match c.moved {
        0 => String::new(),
        1 => "; 1 more is the same, with other addresses in it".to_owned(),
        n => format!("; {n} more are the same, with other addresses in them"),
    };
    let (count, all) = (c.changed.len(), c.functions.1);
    let functions = if all == 1 { "function" } else { "functions" };
    format!("{count} of {all} {functions} changed{moved}\n")
}

/// A cell or four; the first names what the rest is about.
type Cells = [String; 4];

fn functions(c: &Comparison) -> String {
    let mut rows: Vec<Cells> = Vec::new();
    for (index, changed) in c.changed.iter().enumerate() {
        let hunks = c.table.as_ref().map(|table| (&table.rows[index], table));
        rows.extend(function(changed, hunks));
    }
    if rows.is_empty() {
        return String::new();
    }
    let head = HEAD.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).map(|row| row[column].chars().count());
        cells.filter(|width| column > 0 || *width <= WIDE).max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for row in [&head].into_iter().chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            if cell.chars().count() > width {
                // The rest goes below a long name.
                let _ = writeln!(text, "{cell}");
                let _ = write!(line, "{:width$}  ", "");
            } else {
                let _ = write!(line, "{cell:width$}  ");
            }
        }
        line.push_str(&row[3]);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn function(changed: &Changed, hunks: Option<(&Row, &Table)>) -> Vec<Cells> {
    let mut sources = sources(&changed.new.sources);
    if let Some((row, table)) = hunks {
        sources.extend(row.hunks.iter().take(LISTED).map(|(hunk, reach)| {
            let place = table.hunks[*hunk].place();
            match reach {
                Reach::Lines => format!("<- {place}"),
                Reach::Inlined(name) => format!("<- {place}, in {name}"),
                Reach::Through(name) => format!("<- {place}, through {name}"),
                Reach::Dependency(told) => format!("<- {place}, {told}"),
                Reach::Declaration => format!("<- {place}, a declaration"),
            }
        }));
        if row.hunks.is_empty() {
            sources.push("<- no hunk reaches it".to_owned());
        }
    }
    let why: Vec<String> = changed.why.iter().map(self::why).collect();
    let lines = sources.len().max(why.len()).max(1);
    let cell = |list: &[String], line: usize| plain(list.get(line).map_or("", |text| text));
    let row = |line: usize| {
        let first = line == 0;
        let name = if first { plain(&changed.new.name) } else { String::new() };
        let size = if first { sizes(changed) } else { String::new() };
        [name, size, cell(&sources, line), cell(&why, line)]
    };
    (0..lines).map(row).collect()
}

fn sizes(changed: &Changed) -> String {
    match (changed.old.size, changed.new.size) {
        (was, is) if was == is => is.to_string(),
        (was, is) => format!("{was} -> {is}"),
    }
}

/// Its own lines, and those inlined that belong to the same project: not those of the language's library.
fn sources(all: &[SourceRange]) -> Vec<String> {
    let own = |range: &&SourceRange| {
        range.inlined.is_none() || !range.file.starts_with('/') && !range.path.contains("/registry/src/")
    };
    let mut lines: Vec<String> = all.iter().filter(own).take(LISTED).map(place).collect();
    let more = all.len() - lines.len();
    if more > 0 {
        lines.push(format!("and {more} inlined from libraries"));
    }
    lines
}

fn place(range: &SourceRange) -> String {
    let lines = match (range.first, range.last) {
        (first, last) if first == last => first.to_string(),
        // To the end of the file.
        (first, u32::MAX) => format!("{first}-"),
        (first, last) => format!("{first}-{last}"),
    };
    let inlined = range.inlined.as_ref().map_or(String::new(), |name| format!(", {name}"));
    format!("{}:{lines}{inlined}", range.file)
}

fn turn<T>(was: Option<T>, is: Option<T>, shown: impl Fn(T) -> String) -> String {
    match (was.map(&shown), is.map(&shown)) {
        (Some(was), Some(is)) => format!("{was} -> {is}"),
        (None, Some(is)) => format!("{is}, new"),
        (Some(was), None) => format!("{was}, gone"),
        (None, None) => String::new(),
    }
}

fn why(why: &Why) -> String {
    match why {
        Why::Code => "code".into(),
        Why::Size => "size".into(),
        Why::Constant { was, is } => format!("{was:#x} -> {is:#x}"),
        Why::Calls { was: Some(was), is: Some(is) } => format!("calls {is} instead of {was}"),
        Why::Calls { was: None, is: Some(is) } => format!("calls {is}"),
        Why::Calls { was, .. } => format!("no longer calls {}", was.as_deref().unwrap_or_default()),
        Why::Uses { was: Some(was), is: Some(is) } => format!("uses {is} instead of {was}"),
        Why::Uses { was: None, is: Some(is) } => format!("uses {is}"),
        Why::Uses { was, .. } => format!("no longer uses {}", was.as_deref().unwrap_or_default()),
    }
}

fn one(item: &Item) -> String {
    let place = item.sources.first().map_or(String::new(), |range| format!(", {}", place(range)));
    format!("{}, {} bytes{place}", item.name, item.size)
}

/// The hunks that reach something beside changed functions.
fn arrows(c: &Comparison, table: &Table, name: &str) -> String {
    let row = table.rows.iter().skip(c.changed.len()).find(|row| row.name == name);
    let hunks = row.map_or(&[][..], |row| &row.hunks).iter().take(LISTED);
    let arrow = |(hunk, reach): &(usize, Reach)| {
        let through = match reach {
            Reach::Through(name) => format!(", through {name}"),
            _ => String::new(),
        };
        format!(" <- {}{through}", table.hunks[*hunk].place())
    };
    hunks.map(arrow).collect()
}

fn data(c: &Comparison, reached: &impl Fn(&str) -> String) -> Vec<String> {
    let changed = c.data.iter().map(|changed| {
        let why: Vec<_> = changed
            .why
            .iter()
            .map(|why| if *why == Why::Code { "contents".into() } else { self::why(why) })
            .collect();
        let place = changed
            .new
            .sources
            .first()
            .map_or(String::new(), |range| format!(", {}:{}", range.file, range.first));
        let name = &changed.new.name;
        format!("{name}, {} bytes{place}: {}{}", sizes(changed), why.join(", "), reached(name))
    });
    let alone = signed(&c.data_alone.added, &c.data_alone.removed, |item| one(item) + &reached(&item.name));
    // Texts are listed as such.
    let unnamed =
        |list: &[Unnamed]| list.iter().filter(|data| data.text.is_none()).cloned().collect::<Vec<_>>();
    let without_name = signed(&unnamed(&c.unnamed.added), &unnamed(&c.unnamed.removed), |data| {
        let of = if data.of.is_empty() { String::new() } else { format!(", of {}", data.of.join(", ")) };
        format!("{} bytes without a name in {}{of}", data.size, data.section)
    });
    changed.chain(alone).chain(without_name).collect()
}

fn signed<T>(added: &[T], removed: &[T], shown: impl Fn(&T) -> String) -> Vec<String> {
    let removed = removed.iter().map(|one| format!("- {}", shown(one)));
    removed.chain(added.iter().map(|one| format!("+ {}", shown(one)))).collect()
}

/// What the architecture calls the entries of a table at the beginning (Armv7-M Architecture Reference Manual B1.5).
const EXCEPTIONS: [&str; 16] = [
    "initial SP",
    "Reset",
    "NMI",
    "HardFault",
    "MemManage",
    "BusFault",
    "UsageFault",
    "SecureFault",
    "",
    "",
    "",
    "SVCall",
    "DebugMonitor",
    "",
    "PendSV",
    "SysTick",
];

fn vector(machine: Machine, v: &Vector) -> String {
    let section = v.table.starts_with('.') || v.table.eq_ignore_ascii_case("vectors");
    let name = match (machine, EXCEPTIONS.get(v.index as usize)) {
        (Machine::Arm, Some(name)) if section && !name.is_empty() => format!(" ({name})"),
        (Machine::Arm, None) if section => format!(" (IRQ {})", v.index - 16),
        _ => String::new(),
    };
    format!("{}[{}]{name}: {}", v.table, v.index, turn(v.was.as_ref(), v.is.as_ref(), Clone::clone))
}

fn section(s: &crate::binary::Section) -> Option<String> {
    let shown = |(_, size): (u32, u32)| size.to_string();
    match (s.was, s.is) {
        (Some((_, was)), Some((_, is))) if was == is => None,
        (was, is) => Some(format!("{}: {} bytes", s.name, turn(was, is, shown))),
    }
}

/// What no hunk reaches; changed functions say so in their table.
fn orphans(c: &Comparison, table: &Table) -> Vec<String> {
    let rows = table.rows.iter().skip(c.changed.len());
    rows.filter(|row| row.hunks.is_empty()).map(|row| format!("{}: no hunk reaches it", row.name)).collect()
}

fn reason(why: &WhyAlone) -> String {
    match why {
        WhyAlone::Comment => "comments".into(),
        WhyAlone::SameCode(functions) => format!("the code of {} is the same", functions.join(", ")),
        WhyAlone::Outside => "a declaration, or not compiled in: no code comes from these lines".into(),
        WhyAlone::Header => "a header that no code comes from".into(),
        WhyAlone::LeftOut => "functions that the linker left out".into(),
        WhyAlone::NotCompiled => "nothing in the program comes from this file".into(),
    }
}

fn method(method: Method) -> String {
    match method {
        Method::Relocations => "relocations: the linker's own list of what depends on places".into(),
        Method::Heuristic => "heuristic, weaker: what depends on places is decoded and guessed".into(),
    }
}
