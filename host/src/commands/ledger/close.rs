//! `ledger close`: an advisory is finished.

use super::{advisory, alone, today};
use crate::cli::Global;
use crate::error::{Code, Error, Result};
use crate::ledger::art14::deadlines;
use crate::ledger::entry::Advisory;
use crate::ledger::time::{self, Moment};
use crate::ledger::{Ledger, Written, write, write_all};
use crate::output::Report;
use clap::Args;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  patchlane ledger close CVE-2027-4108";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The advisory, by any of its ids
    id: String,
    /// As of this day (default: SOURCE_DATE_EPOCH, else now)
    #[arg(long, value_parser = time::today, value_name = "DATE")]
    today: Option<Moment>,
}

/// Everything that is left to do.
fn left(ledger: &Ledger, entry: &Advisory, now: Moment) -> Vec<Error> {
    let id = &entry.id;
    let mut left = Vec::new();
    for line in ledger.baselines.iter().map(|filed| &filed.entry).filter(|line| line.supported(now.day())) {
        let cell = ledger.cell(entry, line.baseline.0, &[]);
        if !cell.settled() {
            let what = format!("{id} can't be closed: {} on {}", cell.words().1, line.baseline.0);
            let next = "see patchlane ledger show; a baseline may be fixed, not affected, or retired";
            left.push(Error::new(Code::Disagrees, what, next));
        }
    }
    for deadline in
        deadlines(entry, ledger.first_fix(entry)).iter().filter(|deadline| deadline.done.is_none())
    {
        let what = format!("{id} can't be closed: the {} isn't sent", deadline.step.words());
        let next = format!("patchlane ledger amend {id} {} MOMENT", deadline.step.option());
        left.push(Error::new(Code::Disagrees, what, next));
    }
    left
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let (_, ledger, _lock) = alone(global)?;
    let now = today(options.today)?;
    let read = advisory(&ledger, &options.id)?;
    let path = ledger.path(&read.file).display().to_string();
    if let Some(day) = read.entry.closed {
        let what = format!("was closed on {day}");
        return Err(Error::new(Code::Disagrees, what, "nothing is left to do").at(path));
    }
    let mut left = left(&ledger, &read.entry, now).into_iter();
    if let Some(first) = left.next() {
        return Err(Error { also: left.collect(), ..first });
    }
    let entry = Advisory { closed: Some(now.day()), ..read.entry.clone() };
    write_all(&ledger.folder, &[Written::again(read, write::advisory(&entry))])?;
    let data = json!({ "file": path, "id": entry.id, "closed": now.day().to_string() });
    Ok(Report::new("Closed: from the next release on it can't be changed any more.", data)
        .line("advisory", format!("{}: {}", entry.id, entry.title))
        .line("closed", now.day().to_string()))
}
