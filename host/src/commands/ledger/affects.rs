//! `ledger affects`: what is known of an advisory on a baseline.

use super::{advisory, alone, baselines, line};
use crate::cli::Global;
use crate::error::{Code, Error, Result};
use crate::ledger::entry::{Justification, Statement};
use crate::ledger::{Written, write, write_all};
use crate::output::Report;
use clap::Args;
use patchlane_protocol::Baseline;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  patchlane ledger affects CVE-2027-4108 affected 4.1 4.2
  patchlane ledger affects CVE-2027-4108 not-affected 5.0 \\
      --justification vulnerable-code-not-present --because \"5.0 has no register requests\"";

/// What can be said, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Said {
    /// It has the vulnerability, until a release fixes it
    Affected,
    /// It hasn't; --justification says why
    NotAffected,
    /// Nobody knows yet
    UnderInvestigation,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The advisory, by any of its ids
    id: String,
    /// What is known
    status: Said,
    /// The baselines, such as 4.1 4.2
    #[arg(required = true, value_parser = crate::commands::baseline, value_name = "LINE.STEP")]
    baselines: Vec<Baseline>,
    /// Why they aren't affected, in the words of VEX
    #[arg(long, value_enum, value_name = "REASON")]
    justification: Option<Justification>,
    /// The same in your own words
    #[arg(long, value_parser = line, requires = "justification", value_name = "TEXT")]
    because: Option<String>,
}

fn statement(options: &Options) -> Result<Statement> {
    match (options.status, options.justification) {
        (Said::Affected, None) => Ok(Statement::Affected),
        (Said::UnderInvestigation, None) => Ok(Statement::UnderInvestigation),
        (Said::NotAffected, Some(why)) => Ok(Statement::NotAffected(why, options.because.clone())),
        (Said::NotAffected, None) => {
            let next = "say why: --justification vulnerable-code-not-present, or another; see --help";
            Err(Error::new(Code::Usage, "not-affected without a reason", next))
        }
        _ => {
            let next = "leave it out, or say not-affected";
            Err(Error::new(Code::Usage, "--justification says why something isn't affected", next))
        }
    }
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let statement = statement(options)?;
    let (_, ledger, _lock) = alone(global)?;
    let read = advisory(&ledger, &options.id)?;
    let mut entry = read.entry.clone();
    if let Some(day) = entry.closed {
        let next = "it is finished: a new vulnerability is a new advisory";
        let error = Error::new(Code::Disagrees, format!("was closed on {day}"), next);
        return Err(error.at(ledger.path(&read.file).display()));
    }
    for baseline in baselines(&ledger, &options.baselines)? {
        entry.affects.insert(baseline, statement.clone());
    }
    write_all(&ledger.folder, &[Written::again(read, write::advisory(&entry))])?;
    let file = ledger.path(&read.file).display().to_string();
    let names: Vec<String> = options.baselines.iter().map(ToString::to_string).collect();
    let data =
        json!({ "file": file, "id": entry.id, "status": statement.status().name(), "baselines": names });
    let mut report = Report::new("Recorded.", data)
        .line("advisory", format!("{}: {}", entry.id, entry.title))
        .line(&statement.status().name().replace('_', " "), names.join(", "));
    if let Statement::NotAffected(why, because) = &statement {
        let because = because.as_ref().map_or(String::new(), |text| format!(": {text}"));
        report = report.line("because", format!("{}{because}", why.name()));
        for baseline in &options.baselines {
            if entry.index.is_some() && !ledger.handles(*baseline, entry.index) {
                let next = format!("patchlane build security --baseline {baseline} --not-affected");
                report = report.line("next", next);
            }
        }
    }
    Ok(report)
}
