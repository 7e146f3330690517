//! The page as one HTML file: no script, no network, no font but the reader's.

use super::dossier::Changed;
use super::lanes;
use super::markdown::{releases, short};
use super::page::*;
use crate::output::plain;
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");

/// Text that means itself, and steers nothing.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The colour of a result, by what it means.
fn tone(result: &str) -> &'static str {
    match result {
        "pass" | "passed" | "met" | "yes" | "same" => "good",
        "fail" | "refused" | "orphan" | "late" | "missed" | "changes" => "bad",
        "waived" | "owed" | "in-part" | "differs" => "care",
        _ => "quiet",
    }
}

fn span(span: &Span) -> String {
    match span {
        Span::Text(text) => escaped(text),
        Span::Strong(text) => format!("<strong>{}</strong>", escaped(text)),
        Span::Code(text) => format!("<code>{}</code>", escaped(text)),
        Span::Digest(text) => format!("<code class=\"digest\">{}</code>", escaped(text)),
        Span::Short(text) => format!("<code class=\"short\">{}</code>", escaped(&short(text))),
        Span::Result(text) => {
            format!("<span class=\"result {}\">{}</span>", tone(text), escaped(&text.replace('-', " ")))
        }
        Span::Link(text, to) => format!("<a href=\"#{}\">{}</a>", escaped(to), escaped(text)),
    }
}

fn line(line: &Line) -> String {
    line.iter().map(span).collect()
}

fn cell(cell: &Cell) -> String {
    match &cell[..] {
        [one] => line(one),
        several => several.iter().map(|one| format!("<div>{}</div>", line(one))).collect(),
    }
}

/// Choices that work without a script: what is chosen, the style sheet shows.
fn filter(table: &Table) -> String {
    let count = |tag: &str| table.rows.iter().filter(|row| row.tags.contains(&tag)).count();
    let mut out = String::from("<fieldset class=\"filter\"><legend>Show</legend>");
    let name = &table.id;
    let mut choice = |tag: &str, words: &str, count: usize, checked: &str| {
        let _ = write!(
            out,
            "<label><input type=\"radio\" name=\"show-{name}\" class=\"pick-{tag}\"{checked}> {} ({count})</label>",
            escaped(words)
        );
    };
    choice("all", "all", table.rows.len(), " checked");
    for (tag, words) in &table.filters {
        choice(tag, words, count(tag), "");
    }
    out + "</fieldset>\n"
}

fn table(table: &Table) -> String {
    let (id, caption) = (&table.id, escaped(&table.caption));
    let mut out = String::new();
    if !table.filters.is_empty() {
        out += "<div class=\"filtered\">\n";
        out += &filter(table);
    }
    let _ = writeln!(
        out,
        "<div class=\"scroll\" role=\"region\" aria-labelledby=\"{id}-caption\" tabindex=\"0\">\n<table id=\"{id}\">\n\
         <caption id=\"{id}-caption\">{caption}</caption>\n<thead><tr>"
    );
    for (title, class) in &table.columns {
        let _ = write!(out, "<th scope=\"col\" class=\"c-{class}\">{}</th>", escaped(title));
    }
    out += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        let tags: Vec<String> = row.tags.iter().map(|tag| format!("is-{tag}")).collect();
        let id = row.id.as_ref().map_or(String::new(), |id| format!(" id=\"{}\"", escaped(id)));
        let class = if tags.is_empty() { String::new() } else { format!(" class=\"{}\"", tags.join(" ")) };
        let _ = write!(out, "<tr{id}{class}>");
        for (index, one) in row.cells.iter().enumerate() {
            let class = table.columns.get(index).map_or("", |(_, class)| class);
            let (open, close) = if index == 0 { ("th scope=\"row\"", "th") } else { ("td", "td") };
            let _ = write!(out, "<{open} class=\"c-{class}\">{}</{close}>", cell(one));
        }
        out += "</tr>\n";
    }
    out += "</tbody>\n</table>\n</div>\n";
    if !table.filters.is_empty() {
        out += "</div>\n";
    }
    out
}

/// The lines that went, beside those that came.
fn sides(text: &[String]) -> String {
    let side = |mark: char, title: &str, tag: &str| {
        let lines: String = text
            .iter()
            .filter(|line| line.starts_with(mark))
            .map(|line| format!("<{tag}>{}</{tag}>\n", escaped(line.strip_prefix(mark).unwrap_or(line))))
            .collect();
        let lines = if lines.is_empty() { "<span class=\"none\">no line</span>\n".to_owned() } else { lines };
        format!("<div><h5>{title}</h5><pre>{lines}</pre></div>")
    };
    format!("<div class=\"sides\">{}{}</div>\n", side('-', "before", "del"), side('+', "after", "ins"))
}

fn change(changed: &Changed) -> String {
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "not there".to_owned(), |n| format!("{n} bytes"));
    let why: String = changed.why.iter().map(|why| format!("<li>{}</li>", escaped(why))).collect();
    let mut out = format!(
        "<article class=\"change\">\n<h4>{} <span class=\"kind\">{}</span></h4>\n\
         <p class=\"sizes\"><span>{}</span> <span aria-hidden=\"true\">→</span><span class=\"sr\">then</span> <strong>{}</strong></p>\n<ul>{why}</ul>\n",
        span(&Span::Code(changed.name.clone())),
        changed.kind,
        bytes(changed.was),
        bytes(changed.is),
    );
    for lines in &changed.lines {
        let _ = writeln!(out, "<p class=\"place\">{}</p>", span(&Span::Code(lines.place.clone())));
        out += &sides(&lines.text);
    }
    out + "</article>\n"
}

fn block(block: &Block) -> String {
    match block {
        Block::Heading(title) => format!("<h3>{}</h3>\n", escaped(title)),
        Block::Text(text) => format!("<p>{}</p>\n", line(text)),
        Block::Missing(what) => {
            format!("<p class=\"missing\"><strong>Not here:</strong> {}</p>\n", escaped(what))
        }
        Block::Facts(facts) => {
            let fact = |(name, value): &(String, Cell)| {
                format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escaped(name), cell(value))
            };
            format!("<dl class=\"facts\">\n{}</dl>\n", facts.iter().map(fact).collect::<String>())
        }
        Block::Table(one) => table(one),
        Block::Changes(all) => all.iter().map(change).collect(),
    }
}

fn head(page: &Page) -> String {
    let (tone, verdict) = (
        tone(&page.verdict),
        match page.verdict.as_str() {
            "passed" => "Passed",
            "refused" => "Refused",
            _ => "No evidence",
        },
    );
    let mut out = format!(
        "<header>\n<p class=\"kicker\">Evidence report · for the {}</p>\n<h1>{}</h1>\n<p class=\"subtitle\">{}</p>\n\
         <div class=\"verdict {tone}\"><p><strong>{verdict}</strong> {}</p></div>\n<dl class=\"tiles\">\n",
        escaped(&page.audience),
        escaped(&page.title),
        escaped(&page.subtitle),
        escaped(&page.sentence),
    );
    for (name, value) in &page.tiles {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escaped(value));
    }
    out += "</dl>\n</header>\n";
    if !page.glance.is_empty() {
        out += "<section aria-labelledby=\"glance-title\"><h2 id=\"glance-title\" class=\"small\">Thirty checks at a glance</h2>\n<ol class=\"glance\">\n";
        for glance in &page.glance {
            let (number, result) = (glance.number, glance.result.replace('-', " "));
            let _ = writeln!(
                out,
                "<li class=\"{}\"><a href=\"#check-{number}\" title=\"{number} {}: {}\"><span class=\"sr\">check </span>{number}\
                 <span class=\"sr\"> {}: {}</span></a></li>",
                self::tone(&glance.result),
                escaped(&glance.name),
                escaped(&result),
                escaped(&glance.name),
                escaped(&result),
            );
        }
        out += "</ol>\n</section>\n";
    }
    out
}

fn lanes(page: &Page) -> String {
    let mut out = String::from("<section aria-labelledby=\"lanes\"><h2 id=\"lanes\">Lanes</h2>\n");
    out += &page.lanes_missing.as_ref().map_or(String::new(), |what| block(&Block::Missing(what.clone())));
    let figures = lanes::figures(&page.lanes);
    if !figures.is_empty() {
        out += "<figure>\n";
        out += &figures.concat();
        out += "<figcaption><span class=\"key feature\"></span> feature update, signed by both roles \
                <span class=\"key security\"></span> security patch, signed by the security role \
                <span class=\"key this\"></span> this release. s8: advisories up to 8 are handled.</figcaption>\n</figure>\n";
    }
    out += &block(&releases(&page.lanes));
    out + "</section>\n"
}

/// The page.
pub(super) fn write(page: &Page) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}: evidence report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">To the report</a>\n<nav aria-label=\"Contents\">\n<p>Contents</p>\n<ol>\n\
         <li class=\"plain\"><a href=\"#lanes\">Lanes</a></li>\n",
        escaped(&page.title)
    );
    for section in &page.sections {
        let _ = writeln!(
            out,
            "<li><a href=\"#section-{0}\"><span>{0}</span> {1}</a></li>",
            section.number, section.title
        );
    }
    out += "</ol>\n</nav>\n<main id=\"main\">\n";
    out += &head(page);
    out += &lanes(page);
    for section in &page.sections {
        let number = section.number;
        let _ = writeln!(
            out,
            "<section aria-labelledby=\"section-{number}\">\n<h2 id=\"section-{number}\"><span>{number}</span> {}</h2>",
            section.title
        );
        out += &section.blocks.iter().map(block).collect::<String>();
        out += "</section>\n";
    }
    out + "</main>\n</body>\n</html>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_say_is_no_markup() {
        assert_eq!(
            escaped("<script>alert('x')</script>&\""),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;"
        );
        assert_eq!(escaped("a\u{1b}[2J\u{202e}"), "a\\u{1b}[2J\\u{202e}");
        let link = span(&Span::Link("\"><b>".into(), "\" onclick=\"x".into()));
        assert_eq!(link, "<a href=\"#&quot; onclick=&quot;x\">&quot;&gt;&lt;b&gt;</a>");
    }
}
