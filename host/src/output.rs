//! What commands print: data on stdout, the rest on stderr.

use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};

/// How to print.
#[derive(Debug, Clone, Copy, Default)]
pub struct Output {
    /// One JSON object on stdout.
    pub json: bool,
    /// Nothing but data and errors.
    pub quiet: bool,
}

/// What a command has to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// For people: aligned lines.
    pub lines: Vec<(String, String)>,
    /// For programs.
    pub data: Value,
    /// One line that sums it up, on stderr.
    pub summary: String,
}

impl Report {
    /// A report with a summary.
    pub fn new(summary: impl Into<String>, data: Value) -> Self {
        Self { lines: Vec::new(), data, summary: summary.into() }
    }

    /// Adds a line.
    #[must_use]
    pub fn line(mut self, name: &str, value: impl Into<String>) -> Self {
        self.lines.push((name.to_owned(), value.into()));
        self
    }
}

/// Text that can't steer a terminal, whatever it holds.
pub fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn emit(text: &str) {
    // A closed pipe is the reader's choice, not an error.
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn colour(code: &str, text: &str) -> String {
    let wanted = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if wanted { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

impl Output {
    /// Prints how a command ended and returns its exit code.
    pub fn finish(self, result: Result<Report>) -> u8 {
        match result {
            Ok(report) => {
                self.report(&report);
                0
            }
            Err(error) => {
                self.error(&error);
                error.code.exit()
            }
        }
    }

    fn report(self, report: &Report) {
        if self.json {
            let mut data = report.data.clone();
            if let Value::Object(map) = &mut data {
                map.insert("ok".into(), json!(true));
            }
            return emit(&format!("{data}\n"));
        }
        let width = report.lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &report.lines {
            text.push_str(&format!("{name:width$}  {}\n", plain(value)));
        }
        emit(&text);
        if !self.quiet && !report.summary.is_empty() {
            eprintln!("{}", colour("32", &plain(&report.summary)));
        }
    }

    /// Prints an error.
    pub fn error(self, error: &Error) {
        if self.json {
            let value = json!({
                "ok": false,
                "code": error.code.name(),
                "exit": error.code.exit(),
                "what": error.what,
                "place": error.place,
                "next": error.next,
                "refusal": error.refusal.map(|refusal| refusal.code()),
            });
            emit(&format!("{value}\n"));
        }
        eprintln!("{} {}", colour("31", "error:"), plain(&error.to_string()));
        eprintln!("  next: {}", plain(&error.next));
    }
}
