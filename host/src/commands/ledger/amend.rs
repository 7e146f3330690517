//! `ledger amend`: what became known of an advisory after it was opened.

use super::open::new_ids;
use super::{advisory, alone, line, severity};
use crate::cli::Global;
use crate::error::{Code, Error, Result};
use crate::ledger::art14::deadlines;
use crate::ledger::entry::{Advisory, id};
use crate::ledger::time::Moment;
use crate::ledger::{Written, write, write_all};
use crate::output::Report;
use clap::Args;
use patchlane_protocol::Severity;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  patchlane ledger amend CVE-2027-4108 --early-warning 2027-01-15T09:00Z
  patchlane ledger amend CVE-2027-4108 --alias EUVD-2027-0815 --csaf advisories/2027-4108.json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The advisory, by any of its ids
    id: String,
    /// Another title
    #[arg(long, value_parser = line, value_name = "TEXT")]
    title: Option<String>,
    /// none, low, medium, high or critical
    #[arg(long, value_parser = severity, value_name = "RATING")]
    severity: Option<Severity>,
    /// Its CVSS vector
    #[arg(long, value_parser = line, value_name = "VECTOR")]
    cvss: Option<String>,
    /// It is known to be exploited; --aware says since when you know
    #[arg(long)]
    exploited: bool,
    /// When you became aware of it, such as 2027-01-14T16:30Z
    #[arg(long, value_parser = Moment::parse, value_name = "MOMENT")]
    aware: Option<Moment>,
    /// When the early warning was sent
    #[arg(long, value_parser = Moment::parse, value_name = "MOMENT")]
    early_warning: Option<Moment>,
    /// When the notification was sent
    #[arg(long, value_parser = Moment::parse, value_name = "MOMENT")]
    notification: Option<Moment>,
    /// When a measure was available, if that was before the first release that fixes it
    #[arg(long, value_parser = Moment::parse, value_name = "MOMENT")]
    measure: Option<Moment>,
    /// When the final report was sent
    #[arg(long, value_parser = Moment::parse, value_name = "MOMENT")]
    final_report: Option<Moment>,
    /// Another id of it; repeat it for each
    #[arg(long, value_parser = id, value_name = "ID")]
    alias: Vec<String>,
    /// A CSAF document of it: a file or an address; repeat it for each
    #[arg(long, value_parser = line, value_name = "REFERENCE")]
    csaf: Vec<String>,
    /// A VEX document of it: a file or an address; repeat it for each
    #[arg(long, value_parser = line, value_name = "REFERENCE")]
    vex: Vec<String>,
    /// Where it was reported to the maintainers of the component: an address; repeat it for each
    #[arg(long, value_parser = line, value_name = "REFERENCE")]
    upstream: Vec<String>,
}

/// A date that was said stands: who could change it could meet any deadline.
fn date(old: &mut Option<Moment>, new: Option<Moment>, name: &str) -> Result<()> {
    if let (Some(old), Some(new)) = (*old, new)
        && old != new
    {
        let next = "a date that was recorded stands; correct a slip in the file, before it is sealed";
        return Err(Error::new(Code::Disagrees, format!("says {name} was {old} already"), next));
    }
    *old = old.or(new);
    Ok(())
}

fn amended(options: &Options, mut entry: Advisory) -> Result<Advisory> {
    let dates = &mut entry.dates;
    date(&mut dates.aware, options.aware, "aware")?;
    date(&mut dates.early_warning, options.early_warning, "early_warning")?;
    date(&mut dates.notification, options.notification, "notification")?;
    date(&mut dates.measure, options.measure, "measure")?;
    date(&mut dates.final_report, options.final_report, "final_report")?;
    entry.exploited |= options.exploited;
    if entry.exploited && entry.dates.aware.is_none() {
        let next = "say when you became aware of it: --aware 2027-01-14T16:30Z";
        return Err(Error::new(Code::Usage, "--exploited without --aware", next));
    }
    entry.title = options.title.clone().unwrap_or(entry.title);
    entry.severity = options.severity.unwrap_or(entry.severity);
    entry.cvss = options.cvss.clone().or(entry.cvss);
    entry.aliases.extend(options.alias.clone());
    entry.csaf.extend(options.csaf.clone());
    entry.vex.extend(options.vex.clone());
    entry.upstream.extend(options.upstream.clone());
    Ok(entry)
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let (_, ledger, _lock) = alone(global)?;
    let read = advisory(&ledger, &options.id)?;
    let path = ledger.path(&read.file).display().to_string();
    if let Some(day) = read.entry.closed {
        let next = "it is finished: a new vulnerability is a new advisory";
        return Err(Error::new(Code::Disagrees, format!("was closed on {day}"), next).at(path));
    }
    new_ids(&ledger, &options.alias.iter().collect::<Vec<_>>(), None)?;
    let entry = amended(options, read.entry.clone()).map_err(|e| match e.code {
        Code::Disagrees => e.at(&path),
        _ => e,
    })?;
    if entry == read.entry {
        let next = "say what became known: see patchlane help ledger amend";
        return Err(Error::new(Code::Usage, "there is nothing to add", next));
    }
    write_all(&ledger.folder, &[Written::again(read, write::advisory(&entry))])?;
    let mut report = Report::new("Recorded.", json!({ "file": path, "id": entry.id }))
        .line("advisory", format!("{}: {}", entry.id, entry.title));
    for deadline in deadlines(&entry, ledger.first_fix(&entry)) {
        let done = deadline.done.map_or(String::new(), |done| format!(", sent {done}"));
        report = report.line("due", format!("{}  {}{done}", deadline.due, deadline.step.words()));
    }
    Ok(report)
}
