//! `ledger baseline`: what is supported, until when, and with which interfaces.

use super::{alone, line, today, unknown_baseline};
use crate::cli::Global;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::ledger::entry::{FORMAT, Inventory, Line, Name, Retired, Sha};
use crate::ledger::time::{self, Day, Moment};
use crate::ledger::{Written, write, write_all};
use crate::output::Report;
use clap::{Args, Subcommand};
use patchlane_protocol::Baseline;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a baseline, and freeze its interfaces
    Add(Add),
    /// End a baseline's support before its time
    Retire(Retire),
}

const ADD: &str = "\
Examples:
  patchlane ledger baseline add 4.1 --name \"Pump 4.1\" --support-end 2032-12-31 \\
      --interfaces interfaces-4.1.toml";
const RETIRE: &str = "\
Examples:
  patchlane ledger baseline retire 4.1 --because \"4.2 is free for every owner of 4.1, on the same hardware\"";

#[derive(Debug, Args)]
#[command(after_help = ADD)]
pub(crate) struct Add {
    /// The feature set, such as 4.12
    #[arg(value_parser = crate::commands::baseline, value_name = "LINE.STEP")]
    baseline: Baseline,
    /// What people call it
    #[arg(long, value_parser = line, value_name = "TEXT")]
    name: String,
    /// The last day of its support, such as 2032-12-31
    #[arg(long, value_parser = Day::parse, value_name = "DATE")]
    support_end: Day,
    /// Its interface inventory, below the folder of patchlane.toml; its digest is frozen
    #[arg(long, value_name = "FILE")]
    interfaces: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = RETIRE)]
pub(crate) struct Retire {
    /// The feature set, such as 4.12
    #[arg(value_parser = crate::commands::baseline, value_name = "LINE.STEP")]
    baseline: Baseline,
    /// Why that is allowed (CRA Art. 13(10): a free way to a newer one)
    #[arg(long, value_parser = line, value_name = "TEXT")]
    because: String,
    /// Since when (default: SOURCE_DATE_EPOCH, else now)
    #[arg(long, value_parser = time::today, value_name = "DATE")]
    today: Option<Moment>,
}

pub(crate) fn run(global: &Global, command: &Command) -> Result<Report> {
    match command {
        Command::Add(options) => add(global, options),
        Command::Retire(options) => retire(global, options),
    }
}

fn data(file: &Path, entry: &Line) -> Value {
    json!({
        "file": file.display().to_string(),
        "baseline": entry.baseline.0.to_string(),
        "support_end": entry.support_end.to_string(),
        "retired": entry.retired.as_ref().map(|retired| retired.on.to_string()),
        "inventory_sha256": entry.inventory.as_ref().map(|inventory| inventory.sha256.to_string()),
    })
}

/// The file as the ledger names it: the same on every machine.
fn inventory(folder: &Path, given: &Path) -> Result<Inventory> {
    let sha256 = Sha::of(&files::read_small(given)?);
    let wrong = |what: &str, next: &str| Error::new(Code::Usage, what, next).at(given.display());
    let absolute = |path: &Path| path.canonicalize().ok();
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let below = absolute(folder).zip(absolute(given)).and_then(|(folder, file)| {
        let parts = file.strip_prefix(folder).ok()?.components();
        let parts: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
        parts.map(|parts| parts.join("/"))
    });
    let next = "keep the inventory with the sources: below the folder of patchlane.toml";
    let file = below.ok_or_else(|| wrong("isn't below the folder of patchlane.toml", next))?;
    let file = line(&file).map_err(|what| wrong(&what, "choose another name"))?;
    Ok(Inventory { file, sha256 })
}

fn add(global: &Global, options: &Add) -> Result<Report> {
    let (config, ledger, _lock) = alone(global)?;
    if let Some(there) = ledger.baseline(options.baseline) {
        let next = "a baseline is frozen: a new feature set is a new one";
        return Err(Error::new(Code::Exists, "exists already", next).at(ledger.path(&there.file).display()));
    }
    let entry = Line {
        format: FORMAT,
        baseline: Name(options.baseline),
        name: options.name.clone(),
        support_end: options.support_end,
        inventory: options.interfaces.as_ref().map(|file| inventory(&config.folder, file)).transpose()?,
        retired: None,
        remarks: Vec::new(),
    };
    let written = Written::new(&entry, write::line(&entry));
    write_all(&ledger.folder, std::slice::from_ref(&written))?;
    let path = ledger.path(written.file());
    let mut report = Report::new("Added.", data(&path, &entry))
        .line("baseline", format!("{}: {}", entry.baseline.0, entry.name))
        .line("supported", format!("until {}", entry.support_end))
        .line("file", path.display().to_string());
    match &entry.inventory {
        Some(inventory) => {
            report = report.line("interfaces", format!("{}, SHA-256 {}", inventory.file, inventory.sha256));
        }
        None => report = report.note("its interfaces aren't frozen: --interfaces FILE does that"),
    }
    Ok(report)
}

fn retire(global: &Global, options: &Retire) -> Result<Report> {
    let (_, ledger, _lock) = alone(global)?;
    let read =
        ledger.baseline(options.baseline).ok_or_else(|| unknown_baseline(&ledger, options.baseline))?;
    let path = ledger.path(&read.file);
    if let Some(retired) = &read.entry.retired {
        let what = format!("was retired on {}", retired.on);
        return Err(Error::new(Code::Disagrees, what, "nothing is left to do").at(path.display()));
    }
    let retired = Retired { on: today(options.today)?.day(), because: options.because.clone() };
    let entry = Line { retired: Some(retired), ..read.entry.clone() };
    write_all(&ledger.folder, &[Written::again(read, write::line(&entry))])?;
    Ok(Report::new("Retired: it gets no more releases.", data(&path, &entry))
        .line("baseline", format!("{}: {}", entry.baseline.0, entry.name))
        .line("because", options.because.clone())
        .line("file", path.display().to_string()))
}
