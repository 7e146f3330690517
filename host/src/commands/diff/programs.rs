//! Two linked programs: what changed, function by function, and which changes of the sources that came from.

use super::shown;
use crate::binary::{
    self, Alone, Changed, Comparison, Hunk, Item, Method, Reach, Row, SourceRange, Table, Unnamed, Why,
    WhyAlone,
};
use crate::error::{Error, Result};
use crate::files;
use crate::output::Report;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;

pub(super) fn compare((a, old): (&Path, &[u8]), b: &Path, diff: Option<&Path>) -> Result<Report> {
    let new = files::read(b)?;
    let hunks = diff.map(hunks).transpose()?;
    // The library knows them as A and B only.
    let placed = |error: Error| match error.place.as_deref() {
        Some("A") => error.at(a.display()),
        Some("B") => error.at(b.display()),
        _ => error,
    };
    let comparison = binary::compare_by(old, &new, Method::Relocations, hunks.as_deref()).map_err(placed)?;
    Ok(Report::of_text(shown::text(&comparison), data(&comparison)))
}

fn hunks(path: &Path) -> Result<Vec<Hunk>> {
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(files::LARGEST).read_to_end(&mut bytes);
        read.map_err(|e| Error::new(crate::Code::Io, format!("stdin can't be read: {e}"), "name a file"))?;
        bytes
    } else {
        files::read(path)?
    };
    // Sources may be in any encoding; only names and numbers are read.
    binary::hunks::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| match path.to_str() {
        Some("-") => error,
        _ => error.at(format!("{}:", path.display())),
    })
}

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
            WhyAlone::SameCode(functions) => ("same-code", &functions[..]),
            WhyAlone::LeftOut => ("left-out", &[][..]),
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

fn data(c: &Comparison) -> Value {
    let vector = |v: &binary::Vector| json!({ "table": v.table, "index": v.index, "was": v.was, "is": v.is });
    let place =
        |place: Option<(u32, u32)>| place.map(|(address, size)| json!({ "address": address, "bytes": size }));
    let section = |s: &binary::Section| json!({ "name": s.name, "was": place(s.was), "is": place(s.is) });
    let absolute = |a: &binary::Absolute| json!({ "name": a.name, "was": a.was, "is": a.is });
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
        "sections": c.sections.iter().map(section).collect::<Vec<_>>(),
        "strings": alone(&c.strings, |text| json!(text)),
        "absolutes": c.absolutes.iter().map(absolute).collect::<Vec<_>>(),
        "unseen": c.unseen,
        "table": c.table.as_ref().map(table),
    })
}
