//! What commands print: data on stdout, the rest on stderr.

use crate::error::{Code, Error, Result};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Colour {
    /// Whether text for this stream is coloured. <https://no-color.org>: any value but an empty one.
    pub(crate) fn on(self, stream: &impl IsTerminal) -> bool {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || dumb;
        match self {
            Self::Auto => stream.is_terminal() && !unwanted,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// How to print.
#[derive(Debug, Clone, Copy, Default)]
pub struct Output {
    /// One JSON object on stdout.
    pub json: bool,
    /// Nothing but data and errors.
    pub quiet: bool,
    /// When to colour.
    pub colour: Colour,
}

/// What a command has to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// For people: aligned lines.
    pub lines: Vec<(String, String)>,
    /// For people and for other tools: text as it stands, after the lines.
    pub text: String,
    /// For programs.
    pub data: Value,
    /// One line that sums it up, on stderr.
    pub summary: String,
    /// Not wrong, but worth a look; on stderr.
    pub notes: Vec<String>,
    /// The answer is no: it is said in full, and then the command ends with this error.
    pub failed: Option<Error>,
}

impl Report {
    /// A report with a summary.
    pub fn new(summary: impl Into<String>, data: Value) -> Self {
        Self { data, summary: summary.into(), ..Self::default() }
    }

    /// A report that is a text.
    pub fn of_text(text: impl Into<String>, data: Value) -> Self {
        Self { text: text.into(), data, ..Self::default() }
    }

    /// Adds something worth a look.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a line.
    #[must_use]
    pub fn line(mut self, name: &str, value: impl Into<String>) -> Self {
        self.lines.push((name.to_owned(), value.into()));
        self
    }
}

/// True for what steers a terminal, or turns the direction of the text that follows (Unicode UAX #9).
pub(crate) fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Text that can't steer a terminal, whatever it holds.
pub fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if steers(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// A name of the source as `--json` has it, and as it is typed: `StageOnly` is `stage-only`.
pub(crate) fn slug(name: &impl std::fmt::Debug) -> String {
    let mut slug = String::new();
    for c in format!("{name:?}").chars() {
        if c.is_uppercase() && !slug.is_empty() {
            slug.push('-');
        }
        slug.extend(c.to_lowercase());
    }
    slug
}

/// `1,234 steps`.
pub(crate) fn plural(count: u64, what: &str) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {what}{}", if count == 1 { "" } else { "s" })
}

/// A value on one line. JSON lets control characters above 0x7f through; terminals obey some of them.
fn json_line(value: &Value) -> String {
    let text = value.to_string();
    let escaped = |c: char| if steers(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(escaped).collect::<String>() + "\n"
}

/// Data on stdout.
pub(crate) fn emit(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Whether data got out.
fn written(result: std::io::Result<()>) -> Result<()> {
    match result {
        // A closed pipe is the reader's choice, not an error.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let what = format!("stdout can't be written: {error}");
            Err(Error::new(Code::Io, what, "make room where it is redirected to"))
        }
        _ => Ok(()),
    }
}

/// Text on stderr. Whoever closed it doesn't want to know.
pub fn tell(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

pub(crate) fn paint(wanted: bool, code: &str, text: &str) -> String {
    if wanted { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// An error for programs.
fn no(error: &Error) -> Value {
    let also = error.also.iter().map(|e| json!({ "what": e.what, "place": e.place, "next": e.next }));
    json!({
        "ok": false,
        "code": error.code.name(),
        "exit": error.code.exit(),
        "what": error.what,
        "place": error.place,
        "next": error.next,
        "refusal": error.refusal.map(|refusal| refusal.code()),
        "also": also.collect::<Vec<_>>(),
    })
}

impl Output {
    /// Prints how a command ended and returns its exit code.
    pub fn finish(self, result: Result<Report>) -> u8 {
        match result {
            Ok(report) => {
                if let Err(error) = self.report(&report) {
                    return self.finish(Err(error));
                }
                if let (Some(error), false) = (&report.failed, self.json) {
                    self.error(error);
                }
                report.failed.map_or(0, |error| error.code.exit())
            }
            Err(error) => {
                self.error(&error);
                error.code.exit()
            }
        }
    }

    fn report(self, report: &Report) -> Result<()> {
        if self.json {
            let mut data = report.data.clone();
            if let Value::Object(map) = &mut data {
                map.insert("ok".into(), json!(report.failed.is_none()));
                map.insert("notes".into(), json!(report.notes));
                if let Some(Value::Object(error)) = report.failed.as_ref().map(no) {
                    map.extend(error);
                }
            }
            return emit(&json_line(&data));
        }
        let bold = self.colour.on(&std::io::stdout());
        let width = report.lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        let mut last = "";
        for (name, value) in &report.lines {
            // A name that repeats is said once: what follows belongs together.
            let shown = if name == last { "" } else { name };
            last = name;
            text.push_str(&format!("{}  {}\n", paint(bold, "1", &format!("{shown:width$}")), plain(value)));
        }
        text.push_str(&report.text);
        emit(&text)?;
        if self.quiet {
            return Ok(());
        }
        let coloured = self.colour.on(&std::io::stderr());
        for note in &report.notes {
            tell(&format!("{} {}\n", paint(coloured, "33", "note:"), plain(note)));
        }
        if !report.summary.is_empty() {
            tell(&format!("{}\n", paint(coloured, "32", &plain(&report.summary))));
        }
        Ok(())
    }

    /// Prints an error.
    pub fn error(self, error: &Error) {
        if self.json {
            // Whoever can't be told on stdout is told on stderr.
            let _ = emit(&json_line(&no(error)));
        }
        let coloured = self.colour.on(&std::io::stderr());
        for error in std::iter::once(error).chain(&error.also) {
            let (what, next) = (plain(&error.to_string()), plain(&error.next));
            tell(&format!("{} {what}\n  next: {next}\n", paint(coloured, "31", "error:")));
        }
    }
}
