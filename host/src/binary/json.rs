//! What a comparison found, as JSON: `diff` prints it, and the lint's evidence keeps it.

use super::findings::{
    Absolute, Alone, Changed, Comparison, Item, Reach, Row, Section, SourceRange, Table, Unnamed, Vector,
    Why, WhyAlone,
};
use super::hunks::Hunk;
use serde_json::{Value, json};

fn range(range: &SourceRange) -> Value {
    let last = Some(range.last).filter(|last| *last != u32::MAX);
    json!({ "file": range.file, "first": range.first, "last": last, "inlined": range.inlined })
}

fn item(item: &Item) -> Value {
    json!({
        "name": item.name, "symbol": item.symbol, "file": item.file, "section": item.section,
        "address": item.address, "bytes": item.size, "global": item.global,
        "sources": item.sources.iter().map(range).collect::<Vec<_>>(),
    })
}

fn why(why: &Why) -> Value {
    match why {
        Why::Code => json!({ "kind": "code" }),
        Why::Size => json!({ "kind": "size" }),
        Why::Constant { was, is } => {
            json!({ "kind": "constant", "was": format!("{was:#010x}"), "is": format!("{is:#010x}") })
        }
        Why::Calls { was, is } => json!({ "kind": "calls", "was": was, "is": is }),
        Why::Uses { was, is } => json!({ "kind": "uses", "was": was, "is": is }),
    }
}

fn changed(changed: &Changed) -> Value {
    let why: Vec<_> = changed.why.iter().map(why).collect();
    json!({ "old": item(&changed.old), "new": item(&changed.new), "why": why })
}

fn alone<T>(alone: &Alone<T>, told: impl Fn(&T) -> Value) -> Value {
    let all = |list: &[T]| list.iter().map(&told).collect::<Vec<_>>();
    json!({ "added": all(&alone.added), "removed": all(&alone.removed) })
}

fn unnamed(data: &Unnamed) -> Value {
    json!({
        "section": data.section, "address": data.address, "bytes": data.size, "text": data.text, "of": data.of,
    })
}

fn row(row: &Row) -> Value {
    let reach = |(hunk, reach): &(usize, Reach)| {
        let (how, through) = match reach {
            Reach::Lines => ("lines", None),
            Reach::Inlined(name) => ("inlined", Some(name)),
            Reach::Through(name) => ("through", Some(name)),
            Reach::Dependency(told) => ("dependency", Some(told)),
            Reach::Declaration => ("declaration", None),
        };
        json!({ "hunk": hunk, "reach": how, "through": through })
    };
    json!({ "name": row.name, "hunks": row.hunks.iter().map(reach).collect::<Vec<_>>() })
}

fn table(table: &Table) -> Value {
    let hunk = |hunk: &Hunk| {
        json!({
            "file": hunk.file(), "old": [hunk.old.0, hunk.old.1], "new": [hunk.new.0, hunk.new.1], "lines": hunk.lines,
        })
    };
    let alone = table.alone.iter().map(|alone| {
        let (why, functions) = match &alone.why {
            WhyAlone::Comment => ("comment", &[][..]),
            WhyAlone::LeftOut => ("left-out", &[][..]),
            WhyAlone::SameCode(functions) => ("same-code", &functions[..]),
            WhyAlone::Outside => ("outside", &[][..]),
            WhyAlone::Header => ("header", &[][..]),
            WhyAlone::NotCompiled => ("not-compiled", &[][..]),
        };
        json!({ "hunk": alone.hunk, "why": why, "functions": functions })
    });
    json!({
        "hunks": table.hunks.iter().map(hunk).collect::<Vec<_>>(),
        "rows": table.rows.iter().map(row).collect::<Vec<_>>(),
        "alone": alone.collect::<Vec<_>>(),
        "orphans": table.orphans().map(|row| &row.name).collect::<Vec<_>>(),
    })
}

/// Everything that a comparison found.
pub fn json(c: &Comparison) -> Value {
    let vector = |v: &Vector| json!({ "table": v.table, "index": v.index, "was": v.was, "is": v.is });
    let place =
        |place: Option<(u32, u32)>| place.map(|(address, size)| json!({ "address": address, "bytes": size }));
    let section = |s: &Section| json!({ "name": s.name, "was": place(s.was), "is": place(s.is) });
    let absolute = |a: &Absolute| json!({ "name": a.name, "was": a.was, "is": a.is });
    let renamed = |(old, new): &(Item, Item)| json!({ "old": item(old), "new": item(new) });
    json!({
        "method": c.method.name(),
        "machine": c.machine.name(),
        "same": c.is_same(),
        "functions": { "old": c.functions.0, "new": c.functions.1, "changed": c.changed.len(), "moved": c.moved },
        "changed": c.changed.iter().map(changed).collect::<Vec<_>>(),
        "renamed": c.renamed.iter().map(renamed).collect::<Vec<_>>(),
        "alone": alone(&c.alone, item),
        "data": c.data.iter().map(changed).collect::<Vec<_>>(),
        "data_alone": alone(&c.data_alone, item),
        "unnamed": alone(&c.unnamed, unnamed),
        "vectors": c.vectors.iter().map(vector).collect::<Vec<_>>(),
        "exports": alone(&c.exports, |name| json!(name)),
        "filled": c.filled,
        "sections": c.sections.iter().map(section).collect::<Vec<_>>(),
        "strings": alone(&c.strings, |text| json!(text)),
        "absolutes": c.absolutes.iter().map(absolute).collect::<Vec<_>>(),
        "unseen": c.unseen,
        "table": c.table.as_ref().map(table),
    })
}
