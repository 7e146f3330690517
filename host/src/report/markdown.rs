//! The page as Markdown (CommonMark with tables). What files say is escaped: it can neither mark up nor steer a terminal.

use super::dossier::{Changed, Lane};
use super::page::*;
use crate::output::plain;

/// Text that means itself.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in plain(text).chars() {
        // CommonMark 0.31 §2.4: a backslash takes the meaning of any ASCII punctuation.
        if matches!(
            c,
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '!' | '|' | '~' | '&' | '$'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A name or a command: as code where nothing in it could end the code or the cell.
fn code(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || " ._:/@+-=,()#".contains(c);
    if !text.is_empty() && text.chars().all(safe) && text.trim() == text {
        format!("`{text}`")
    } else {
        escaped(text)
    }
}

/// The first digits of a digest.
pub(super) fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

fn span(span: &Span) -> String {
    match span {
        Span::Text(text) => escaped(text),
        Span::Strong(text) => format!("**{}**", escaped(text)),
        Span::Code(text) => code(text),
        Span::Digest(text) => code(text),
        Span::Short(text) => code(&short(text)),
        Span::Result(text) => format!("**{}**", escaped(&text.replace('-', " "))),
        Span::Link(text, _) => escaped(text),
    }
}

fn line(line: &Line) -> String {
    line.iter().map(span).collect()
}

fn cell(cell: &Cell) -> String {
    cell.iter().map(line).collect::<Vec<_>>().join("<br>")
}

fn table(table: &Table) -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = format!("{}:\n\n", escaped(&table.caption));
    text += &row(table.columns.iter().map(|(title, _)| escaped(title)).collect());
    text += &row(table.columns.iter().map(|_| "---".to_owned()).collect());
    for one in &table.rows {
        text += &row(one.cells.iter().map(cell).collect());
    }
    text + "\n"
}

fn change(changed: &Changed) -> String {
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "not there".to_owned(), |n| format!("{n} bytes"));
    let mut text = format!("#### {}\n\n", code(&changed.name));
    text += &format!(
        "{}: {}, then {}. {}.\n\n",
        changed.kind,
        bytes(changed.was),
        bytes(changed.is),
        changed.why.iter().map(|why| escaped(why)).collect::<Vec<_>>().join("; ")
    );
    for lines in &changed.lines {
        text += &format!("{}\n\n", code(&lines.place));
        for line in &lines.text {
            // Indented code: no line of it can end it, as a fence could be ended.
            text += &format!("    {}\n", plain(line));
        }
        text.push('\n');
    }
    text
}

fn block(block: &Block) -> String {
    match block {
        Block::Heading(title) => format!("### {}\n\n", escaped(title)),
        Block::Text(text) => format!("{}\n\n", line(text)),
        Block::Missing(what) => format!("> **Not here:** {}\n\n", escaped(what)),
        Block::Facts(facts) => {
            let fact = |(name, value): &(String, Cell)| format!("- {}: {}\n", escaped(name), cell(value));
            facts.iter().map(fact).collect::<String>() + "\n"
        }
        Block::Table(one) => table(one),
        Block::Changes(all) => all.iter().map(change).collect(),
    }
}

/// Both lanes as a table.
fn lanes(page: &Page) -> String {
    let mut text = String::from("## Lanes\n\n");
    text += &page.lanes_missing.as_ref().map_or(String::new(), |what| block(&Block::Missing(what.clone())));
    text + &block(&releases(&page.lanes))
}

/// Every release of every line.
pub(super) fn releases(lanes: &[Lane]) -> Block {
    let columns = [
        ("line", "name"),
        ("release", "name"),
        ("lane", ""),
        ("issued", "date"),
        ("closes", ""),
        ("supported until", "date"),
    ];
    let mut table = Table::new("releases", "Every release of every line", &columns);
    for lane in lanes {
        let until = match &lane.retired {
            Some(retired) => format!("retired {retired}"),
            None if lane.support_end.is_empty() => "not stated".to_owned(),
            None => lane.support_end.clone(),
        };
        for point in &lane.releases {
            let release = Span::Strong(point.release.clone());
            let this = point.this.then(|| text("this report"));
            table.row(vec![
                vec![text(format!("{} {}", lane.baseline, lane.name).trim())],
                [vec![release]].into_iter().chain(this).collect(),
                vec![text(point.lane)],
                vec![text(point.issued.chars().take(10).collect::<String>())],
                each(&point.closes, |id| text(id)),
                vec![text(until.clone())],
            ]);
        }
    }
    table.or("No release is recorded.")
}

/// The page.
pub(super) fn write(page: &Page) -> String {
    let mut text = format!(
        "# {}\n\nEvidence report for the {}. {}.\n\n",
        escaped(&page.title),
        escaped(&page.audience),
        escaped(&page.subtitle)
    );
    text += &format!("**{}.** {}\n\n", escaped(&page.verdict.replace('-', " ")), escaped(&page.sentence));
    for (name, value) in &page.tiles {
        text += &format!("- {name}: **{}**\n", escaped(value));
    }
    text.push('\n');
    text += &lanes(page);
    for section in &page.sections {
        text += &format!("## {} {}\n\n", section.number, section.title);
        text += &section.blocks.iter().map(block).collect::<String>();
    }
    text.trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_say_marks_nothing_up() {
        assert_eq!(escaped("<script>|*a*`b`"), "\\<script\\>\\|\\*a\\*\\`b\\`");
        assert_eq!(escaped("a\nb\u{1b}[2J\u{202e}"), "a\\\\nb\\\\u\\{1b\\}\\[2J\\\\u\\{202e\\}");
        assert_eq!(code("src/a.c:3-4"), "`src/a.c:3-4`");
        assert_eq!(code("a`b|c"), "a\\`b\\|c");
    }
}
