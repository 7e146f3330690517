//! `ledger open`: a new advisory.

use super::{alone, baselines, line, severity};
use crate::cli::Global;
use crate::error::{Code, Error, Result};
use crate::ledger::entry::{Advisory, Dates, FORMAT, Statement, id};
use crate::ledger::time::Moment;
use crate::ledger::{Ledger, Written, write, write_all};
use crate::output::{Report, slug};
use clap::Args;
use patchlane_protocol::{Baseline, Severity};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  patchlane ledger open CVE-2027-4108 --title \"Out-of-bounds read\" --severity critical \\
      --exploited --aware 2027-01-14T16:30Z --affects 4.1,4.2
  patchlane ledger open PUMP-2027-3 --title \"Weak session ids\" --severity medium --affects 4.1";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Its id: a CVE, EUVD, GHSA or one of your own; manifests carry it, at most 32 bytes
    #[arg(value_parser = id)]
    id: String,
    /// What it is, in a few words
    #[arg(long, value_parser = line, value_name = "TEXT")]
    title: String,
    /// none, low, medium, high or critical
    #[arg(long, value_parser = severity, value_name = "RATING")]
    severity: Severity,
    /// Its CVSS vector
    #[arg(long, value_parser = line, value_name = "VECTOR")]
    cvss: Option<String>,
    /// It is known to be exploited: CRA Art. 14 sets deadlines from --aware on
    #[arg(long, requires = "aware")]
    exploited: bool,
    /// When you became aware of it, such as 2027-01-14T16:30Z
    #[arg(long, value_parser = Moment::parse, value_name = "MOMENT")]
    aware: Option<Moment>,
    /// Another id of it; repeat it for each
    #[arg(long, value_parser = id, value_name = "ID")]
    alias: Vec<String>,
    /// Baselines that it affects: 4.1,4.2
    #[arg(long, value_parser = crate::commands::baseline, value_delimiter = ',', value_name = "LINE.STEP")]
    affects: Vec<Baseline>,
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

/// None of these ids is another advisory's.
pub(super) fn new_ids(ledger: &Ledger, ids: &[&String], but: Option<&str>) -> Result<()> {
    for (position, id) in ids.iter().enumerate() {
        if ids.iter().take(position).any(|other| other.eq_ignore_ascii_case(id)) {
            return Err(Error::new(Code::Usage, format!("{id} is named twice"), "name each id once"));
        }
        if let Some(there) = ledger.advisory(id).filter(|there| Some(&there.entry.id[..]) != but) {
            let next = format!("amend it: patchlane ledger amend {}", there.entry.id);
            let path = ledger.path(&there.file);
            return Err(Error::new(Code::Exists, format!("records {id} already"), next).at(path.display()));
        }
    }
    Ok(())
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let (_, ledger, _lock) = alone(global)?;
    let ids: Vec<&String> = std::iter::once(&options.id).chain(&options.alias).collect();
    new_ids(&ledger, &ids, None)?;
    let affects = baselines(&ledger, &options.affects)?;
    let entry = Advisory {
        format: FORMAT,
        id: options.id.clone(),
        aliases: options.alias.clone(),
        title: options.title.clone(),
        severity: options.severity,
        cvss: options.cvss.clone(),
        exploited: options.exploited,
        index: None,
        closed: None,
        csaf: options.csaf.clone(),
        vex: options.vex.clone(),
        upstream: options.upstream.clone(),
        dates: Dates { aware: options.aware, ..Dates::default() },
        affects: affects.into_iter().map(|baseline| (baseline, Statement::Affected)).collect(),
        remarks: Vec::new(),
    };
    let written = Written::new(&entry, write::advisory(&entry));
    write_all(&ledger.folder, std::slice::from_ref(&written))?;
    let file = ledger.path(written.file()).display().to_string();
    let data = json!({ "file": file, "id": entry.id });
    let mut report = Report::new("Opened. It gets its index when its first fix is released.", data)
        .line("advisory", format!("{}: {}", entry.id, entry.title))
        .line("severity", slug(&entry.severity))
        .line("file", file);
    for deadline in crate::ledger::art14::deadlines(&entry, None) {
        report = report.line("due", format!("{}  {}", deadline.due, deadline.step.words()));
    }
    let silent: Vec<String> = ledger
        .baselines
        .iter()
        .map(|filed| filed.entry.baseline)
        .filter(|name| !entry.affects.contains_key(name))
        .map(|name| name.0.to_string())
        .collect();
    if !silent.is_empty() {
        let next =
            format!("patchlane ledger affects {} affected|not-affected {}", entry.id, silent.join(" "));
        report = report.line("next", next);
    }
    Ok(report)
}
