//! `ledger show`: the matrix baselines × advisories, and what is due.

use super::{read, today};
use crate::bundle::Bundle;
use crate::cli::Global;
use crate::commands::{anchor, read_bundle};
use crate::config::Config;
use crate::error::Result;
use crate::ledger::art14::{Deadline, deadlines};
use crate::ledger::entry::{Advisory, Line};
use crate::ledger::matrix::{Cell, Waiting};
use crate::ledger::time::{self, Moment, span};
use crate::ledger::{Filed, Ledger, seal};
use crate::output::{Report, paint, slug};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  patchlane ledger show
  patchlane ledger show --all --today 2027-01-15";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Closed advisories, and baselines without support, too
    #[arg(long)]
    all: bool,
    /// Look for bundles that aren't released yet here (default: this folder, and that of patchlane.toml)
    #[arg(long, value_name = "FOLDER")]
    bundles: Vec<PathBuf>,
    /// As of this day (its end), or moment (default: SOURCE_DATE_EPOCH, else now)
    #[arg(long, value_parser = time::today, value_name = "DATE")]
    today: Option<Moment>,
}

/// Bundles that the ledger doesn't know.
fn waiting(global: &Global, ledger: &Ledger, folders: &[PathBuf], notes: &mut Vec<String>) -> Vec<Waiting> {
    let root = anchor(global, None).ok();
    let files: BTreeSet<PathBuf> = folders.iter().flat_map(|folder| bundles(folder)).collect();
    let mut found = Vec::new();
    for path in files {
        let bundle = match read_bundle(&path) {
            Ok(bundle) => bundle,
            Err(error) => {
                notes.push(format!("{error}: left out"));
                continue;
            }
        };
        let known = |manifest: &[u8; 32]| {
            ledger.releases.iter().any(|filed| filed.entry.manifest_sha256.0 == *manifest)
        };
        let Ok(manifest) = bundle.manifest() else { continue };
        if known(&bundle.digest().0) {
            continue;
        }
        found.push(Waiting {
            file: path.display().to_string(),
            version: manifest.version,
            closes: manifest.advisories.iter().map(|advisory| advisory.id.to_owned()).collect(),
            signed: signed(&bundle, root.as_ref()),
        });
    }
    found
}

/// Whether all have signed it: without a root nobody knows.
fn signed(bundle: &Bundle, root: Option<&crate::root::Root>) -> bool {
    let document = root.and_then(|root| root.document().ok());
    document.is_some_and(|root| bundle.verify(&root, |_| Ok(())).is_ok())
}

/// The bundles in a folder.
fn bundles(folder: &Path) -> Vec<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let list = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let bundle = |path: &PathBuf| path.extension().is_some_and(|end| end == "plb") && path.is_file();
    list.filter(bundle).map(|path| path.strip_prefix(".").map_or(path.clone(), Path::to_path_buf)).collect()
}

/// What is shown of the ledger.
struct View<'a> {
    ledger: &'a Ledger,
    baselines: Vec<&'a Line>,
    advisories: Vec<&'a Advisory>,
    waiting: Vec<Waiting>,
    now: Moment,
    colour: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

const fn colour_of(cell: Cell) -> &'static str {
    match cell {
        Cell::Fixed => GREEN,
        Cell::NotAffected => DIM,
        Cell::Built | Cell::Signed | Cell::Open | Cell::Unknown | Cell::Combined => YELLOW,
        Cell::Owed | Cell::Untold => RED,
    }
}

/// How a deadline stands, and its colour.
fn standing(deadline: &Deadline, now: Moment) -> (String, &'static str) {
    let due = deadline.due.0;
    match deadline.done {
        Some(done) if done.0 > due => (format!("sent {done}, {} late", span(done.0 - due)), YELLOW),
        Some(done) => (format!("sent {done}"), DIM),
        None if now.0 > due => (format!("OVERDUE by {}", span(now.0 - due)), RED),
        None => (format!("in {}", span(due - now.0)), BOLD),
    }
}

impl View<'_> {
    fn cell(&self, advisory: &Advisory, line: &Line) -> Cell {
        self.ledger.cell(advisory, line.baseline.0, &self.waiting)
    }

    fn newest(&self, line: &Line) -> String {
        self.ledger
            .newest(line.baseline.0)
            .map_or_else(|| format!("{} -", line.baseline.0), |v| v.to_string())
    }

    fn until(&self, line: &Line) -> String {
        match &line.retired {
            Some(retired) => format!("retired {}", retired.on),
            None => format!("to {}", line.support_end),
        }
    }

    /// A row: what stands before the columns, and each column with its colour.
    fn row(&self, width: usize, first: &str, columns: &[(String, &str)]) -> String {
        let padded = |(text, colour): &(String, &str)| {
            let wide = format!("{text:16}");
            let trailing = wide.len() - wide.trim_end().len();
            format!("{}{}", paint(self.colour, colour, wide.trim_end()), " ".repeat(trailing))
        };
        let columns: String = columns.iter().map(padded).collect();
        format!("{first:width$}  {columns}").trim_end().to_owned() + "\n"
    }

    fn matrix(&self) -> String {
        let first = |advisory: &Advisory| {
            let index = advisory.index.map_or_else(|| "-".to_owned(), |index| index.to_string());
            let exploited = if advisory.exploited { " !" } else { "" };
            (index, advisory.id.clone(), format!("{}{exploited}", slug(&advisory.severity)))
        };
        let rows: Vec<_> = self.advisories.iter().map(|advisory| first(advisory)).collect();
        let most = |width: fn(&(String, String, String)) -> usize| rows.iter().map(width).max().unwrap_or(0);
        let (index, id, severity) = (most(|r| r.0.len()), most(|r| r.1.len()), most(|r| r.2.len()));
        let width = index + id + severity + 4;
        let head = |text: &dyn Fn(&Line) -> String, colour| -> Vec<_> {
            self.baselines.iter().map(|line| (text(line), colour)).collect()
        };
        let mut text = self.row(width, "", &head(&|line| self.newest(line), BOLD));
        text += &self.row(width, "", &head(&|line| self.until(line), DIM));
        for (advisory, row) in self.advisories.iter().zip(&rows) {
            let cells: Vec<_> = self
                .baselines
                .iter()
                .map(|line| {
                    let cell = self.cell(advisory, line);
                    let (sign, word) = cell.words();
                    (format!("{sign} {word}"), colour_of(cell))
                })
                .collect();
            let first = format!("{:>index$}  {:id$}  {:severity$}", row.0, row.1, row.2);
            text += &self.row(width, &first, &cells);
        }
        text
    }

    /// What CRA Art. 14 asks for, and what waits for a signature or a release.
    fn below(&self) -> String {
        let mut rows = Vec::new();
        for advisory in &self.advisories {
            for deadline in deadlines(advisory, self.ledger.first_fix(advisory)) {
                let (standing, colour) = standing(&deadline, self.now);
                let what = format!("{}  {:13}  due {}", advisory.id, deadline.step.words(), deadline.due);
                rows.push(("art. 14", what, standing, colour));
            }
        }
        for filed in &self.ledger.releases {
            for owed in self.ledger.debts(filed) {
                let late = self.now.day() > owed.due;
                let what = format!("{}  evidence of check {}", filed.entry.bundle, owed.check);
                let standing = format!("{} {}", if late { "OVERDUE since" } else { "due" }, owed.due);
                rows.push(("owed", what, standing, if late { RED } else { YELLOW }));
            }
        }
        for bundle in &self.waiting {
            let verb = if bundle.signed { "patchlane ledger release" } else { "patchlane sign" };
            let what = format!("{}  {}", bundle.version, bundle.file);
            let (name, next) =
                (if bundle.signed { "signed" } else { "built" }, format!("{verb} {}", bundle.file));
            rows.push((name, what, next, YELLOW));
        }
        let width = rows.iter().map(|row| row.1.chars().count()).max().unwrap_or(0);
        let line = |(name, what, standing, colour): &(&str, String, String, &str)| {
            let name = paint(self.colour, BOLD, &format!("{name:7}"));
            format!("{name}  {what:width$}  {}\n", paint(self.colour, colour, standing))
        };
        let text: String = rows.iter().map(line).collect();
        if text.is_empty() { text } else { format!("\n{text}") }
    }

    fn data(&self) -> Value {
        let advisory = |entry: &&Advisory| {
            let cells = self.baselines.iter().map(|line| {
                json!({ "baseline": line.baseline.0.to_string(), "state": slug(&self.cell(entry, line)) })
            });
            let deadlines = deadlines(entry, self.ledger.first_fix(entry));
            let deadlines = deadlines.iter().map(|deadline| {
                json!({
                    "step": slug(&deadline.step),
                    "due": deadline.due.to_string(),
                    "done": deadline.done.map(|done| done.to_string()),
                    "passed": deadline.passed(self.now),
                })
            });
            json!({
                "id": entry.id, "aliases": entry.aliases, "index": entry.index, "title": entry.title,
                "severity": slug(&entry.severity), "exploited": entry.exploited,
                "closed": entry.closed.map(|day| day.to_string()),
                "baselines": cells.collect::<Vec<_>>(), "deadlines": deadlines.collect::<Vec<_>>(),
            })
        };
        let line = |line: &&Line| {
            let newest = self.ledger.newest(line.baseline.0);
            json!({
                "baseline": line.baseline.0.to_string(), "name": line.name,
                "support_end": line.support_end.to_string(),
                "supported": line.supported(self.now.day()),
                "newest": newest.map(|version| version.to_string()),
            })
        };
        let waiting = |bundle: &Waiting| json!({ "file": bundle.file, "version": bundle.version.to_string(), "signed": bundle.signed });
        json!({
            "ledger": self.ledger.folder.display().to_string(),
            "today": self.now.to_string(),
            "minted": self.ledger.minted(),
            "head_sha256": seal::head(self.ledger).map(|sha| sha.to_string()),
            "baselines": self.baselines.iter().map(line).collect::<Vec<_>>(),
            "advisories": self.advisories.iter().map(advisory).collect::<Vec<_>>(),
            "debts": self.ledger.releases.iter().flat_map(|filed| self.ledger.debts(filed).map(|owed| json!({
                "release": filed.file, "check": owed.check, "due": owed.due.to_string(), "because": owed.because,
            }))).collect::<Vec<_>>(),
            "waiting": self.waiting.iter().map(waiting).collect::<Vec<_>>(),
        })
    }
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let ledger = read(&config)?;
    let now = today(options.today)?;
    let here = [PathBuf::new(), config.folder.clone()];
    let folders = if options.bundles.is_empty() { &here[..] } else { &options.bundles };
    let mut notes = Vec::new();
    let waiting = waiting(global, &ledger, folders, &mut notes);
    let shown = |filed: &&Filed<Advisory>| options.all || filed.entry.closed.is_none();
    let mut advisories: Vec<&Advisory> =
        ledger.advisories.iter().filter(shown).map(|filed| &filed.entry).collect();
    // In the order of their indices; those without one come last.
    advisories.sort_by_key(|entry| (entry.index.is_none(), entry.index, entry.id.clone()));
    let lines = ledger.baselines.iter().map(|filed| &filed.entry);
    let colour = global.color.on(&std::io::stdout());
    let view = View {
        ledger: &ledger,
        baselines: lines.filter(|line| options.all || line.supported(now.day())).collect(),
        advisories,
        waiting,
        now,
        colour,
    };
    let text = if view.baselines.is_empty() && view.advisories.is_empty() {
        view.below()
    } else {
        view.matrix() + &view.below()
    };
    let mut report = Report::of_text(text, view.data());
    report.notes = notes;
    let hidden = ledger.advisories.len() - view.advisories.len();
    let old = ledger.baselines.len() - view.baselines.len();
    for (count, what) in [(hidden, "closed"), (old, "without support")] {
        if count > 0 {
            report = report.note(format!("{count} {what}: --all shows them"));
        }
    }
    report.summary = summary(&view);
    Ok(report)
}

fn summary(view: &View<'_>) -> String {
    let cells = || view.advisories.iter().flat_map(|a| view.baselines.iter().map(|line| view.cell(a, line)));
    let owed = cells().filter(|cell| matches!(cell, Cell::Owed | Cell::Untold)).count();
    let waits = cells().filter(|cell| matches!(cell, Cell::Built | Cell::Signed)).count();
    let open = cells().filter(|cell| matches!(cell, Cell::Open | Cell::Unknown)).count();
    if view.baselines.is_empty() {
        return "No baseline is supported: patchlane ledger baseline add".to_owned();
    }
    match (owed, waits, open) {
        (0, 0, 0) => "Every supported baseline has every fix.".to_owned(),
        _ => format!("{owed} owed, {waits} to be signed or released, {open} open."),
    }
}
