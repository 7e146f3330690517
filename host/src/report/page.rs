//! A report as a page: sections of paragraphs, facts and tables. Markdown and HTML write the same page down.

use super::dossier::{Changed, Lane};

/// A piece of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Span {
    /// As it is.
    Text(String),
    /// What matters.
    Strong(String),
    /// Names, places, commands.
    Code(String),
    /// A digest in full.
    Digest(String),
    /// The first digits of a digest that stands in full elsewhere.
    Short(String),
    /// `pass`, `fail` …: a word with a colour.
    Result(String),
    /// A link to a place on this page.
    Link(String, String),
}

/// One line.
pub(super) type Line = Vec<Span>;

/// Plain text as a line.
pub(super) fn text(text: impl Into<String>) -> Line {
    vec![Span::Text(text.into())]
}

/// A name, a place or a command as a line; a word instead if there is none.
pub(super) fn code(text: &str) -> Line {
    if text.is_empty() { vec![Span::Text("–".into())] } else { vec![Span::Code(text.to_owned())] }
}

/// What was seen, where that is shown.
pub(super) fn shown(text: &str) -> Line {
    self::text(if text.is_empty() { "confidential" } else { text })
}

/// A digest as a line.
pub(super) fn digest(text: &str) -> Line {
    if text.is_empty() { vec![Span::Text("–".into())] } else { vec![Span::Digest(text.to_owned())] }
}

/// A result as a line.
pub(super) fn result(text: &str) -> Line {
    vec![Span::Result(text.to_owned())]
}

/// Lines of a cell.
pub(super) type Cell = Vec<Line>;

/// Each text as a line of a cell.
pub(super) fn each(texts: &[String], line: impl Fn(&str) -> Line) -> Cell {
    if texts.is_empty() { vec![self::text("–")] } else { texts.iter().map(|text| line(text)).collect() }
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct TableRow {
    /// Where links lead.
    pub(super) id: Option<String>,
    /// What filters know it by.
    pub(super) tags: Vec<&'static str>,
    /// Its cells; the first one is the row's head.
    pub(super) cells: Vec<Cell>,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    /// Its name on this page.
    pub(super) id: String,
    /// What it shows.
    pub(super) caption: String,
    /// Its columns, each with a class: how wide it is.
    pub(super) columns: Vec<(String, &'static str)>,
    /// Its rows.
    pub(super) rows: Vec<TableRow>,
    /// Tags that can be chosen, in words.
    pub(super) filters: Vec<(&'static str, String)>,
}

impl Table {
    pub(super) fn new(id: &str, caption: impl Into<String>, columns: &[(&str, &'static str)]) -> Self {
        Self {
            id: id.to_owned(),
            caption: caption.into(),
            columns: columns.iter().map(|(title, class)| ((*title).to_owned(), *class)).collect(),
            rows: Vec::new(),
            filters: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(TableRow { cells, ..TableRow::default() });
    }

    /// The table, or what it says that it is empty: never a table without rows.
    pub(super) fn or(self, nothing: &str) -> Block {
        if self.rows.is_empty() { Block::Text(text(nothing)) } else { Block::Table(self) }
    }
}

/// A piece of a section.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Block {
    /// A heading below the section's.
    Heading(String),
    /// A paragraph.
    Text(Line),
    /// What isn't there.
    Missing(String),
    /// Names with what they stand for.
    Facts(Vec<(String, Cell)>),
    /// A table.
    Table(Table),
    /// Functions, before and after.
    Changes(Vec<Changed>),
}

/// A section.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Section {
    /// Its number, 1 to 12.
    pub(super) number: usize,
    /// Its title.
    pub(super) title: &'static str,
    /// What it says.
    pub(super) blocks: Vec<Block>,
}

/// A check at a glance.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glance {
    /// Its number.
    pub(super) number: u64,
    /// Its name.
    pub(super) name: String,
    /// What became of it.
    pub(super) result: String,
}

/// A whole report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    /// Product and release.
    pub(super) title: String,
    /// Lane, base, date.
    pub(super) subtitle: String,
    /// For whom.
    pub(super) audience: String,
    /// `passed`, `refused`, `no-evidence`.
    pub(super) verdict: String,
    /// In a sentence.
    pub(super) sentence: String,
    /// What matters most, in numbers.
    pub(super) tiles: Vec<(&'static str, String)>,
    /// All checks.
    pub(super) glance: Vec<Glance>,
    /// All lines.
    pub(super) lanes: Vec<Lane>,
    /// What the diagram lacks.
    pub(super) lanes_missing: Option<String>,
    /// Twelve sections.
    pub(super) sections: Vec<Section>,
}
