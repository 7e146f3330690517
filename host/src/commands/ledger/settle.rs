//! `ledger settle`: evidence that an emergency left owing was made.

use super::{alone, today};
use crate::cli::Global;
use crate::commands::anchor;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::evidence::{self, Evidence};
use crate::files;
use crate::ledger::entry::{FORMAT, Release, Settlement, Sha};
use crate::ledger::time::{self, Moment};
use crate::ledger::{Entry, Filed, Ledger, Written, write, write_all};
use crate::lint::debt;
use crate::output::Report;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Example:
  patchlane lint -o later.json
  patchlane ledger settle pump_4.1-s9_security.plb --evidence later.json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The release: its bundle's file name, or its entry's name
    release: String,
    /// What `lint` found later, on the same images
    #[arg(long, value_name = "FILE")]
    evidence: PathBuf,
    /// As of this day (default: SOURCE_DATE_EPOCH, else now)
    #[arg(long, value_parser = time::today, value_name = "DATE")]
    today: Option<Moment>,
}

/// The release that is meant.
fn meant<'a>(ledger: &'a Ledger, name: &str) -> Result<&'a Filed<Release>> {
    let file = std::path::Path::new(name).file_name().unwrap_or_default().to_string_lossy();
    let stem = |filed: &Filed<Release>| filed.entry.stem(&filed.sha256);
    let named = |filed: &&Filed<Release>| filed.entry.bundle == file || stem(filed) == name;
    let found: Vec<&Filed<Release>> = ledger.releases.iter().filter(named).collect();
    match found[..] {
        [one] => Ok(one),
        [] => {
            let known: Vec<&str> = ledger.releases.iter().map(|filed| &filed.entry.bundle[..]).collect();
            let next = crate::explain::meant(&file, &known);
            Err(Error::new(Code::Disagrees, format!("the ledger has no release {name}"), next))
        }
        _ => {
            let stems: Vec<String> = found.into_iter().map(stem).collect();
            let what = format!("the ledger has {} releases {name}", stems.len());
            Err(Error::new(Code::Usage, what, format!("name one of them: {}", stems.join(", "))))
        }
    }
}

/// Where patchlane.toml names evidence keys, nothing else is evidence: as for `sign`.
fn signed(global: &Global, config: &Config, bytes: &[u8]) -> Result<()> {
    if config.evidence.is_none() {
        return Ok(());
    }
    let root = anchor(global, None)?;
    let keys = evidence::trusted(config, &root.document()?)?;
    Evidence::parse(bytes)?.verify(&keys).map(drop).map_err(|e| {
        let next = "make it with `patchlane lint -o FILE --key KEY`";
        Error { next: next.into(), ..e }
    })
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let evidence = files::read_small(&options.evidence)?;
    let (config, ledger, _lock) = alone(global)?;
    signed(global, &config, &evidence).map_err(|e| e.at(options.evidence.display()))?;
    let release = meant(&ledger, &options.release)?;
    let checks: Vec<u8> = ledger.debts(release).map(|owed| owed.check).collect();
    if checks.is_empty() {
        let error = Error::new(Code::Disagrees, "owes no evidence", "nothing is left to do");
        return Err(error.at(ledger.path(&release.file).display()));
    }
    debt::settles(&evidence, &release.entry, &checks).map_err(|e| e.at(options.evidence.display()))?;
    let entry = Settlement {
        format: FORMAT,
        release: release.entry.stem(&release.sha256),
        evidence: Sha::of(&evidence),
        on: today(options.today)?.day(),
        checks,
    };
    let written = Written::new(&entry, write::settlement(&entry));
    let file = ledger.path(written.file()).display().to_string();
    write_all(&ledger.folder, &[written])?;
    let numbers: Vec<String> = entry.checks.iter().map(u8::to_string).collect();
    let data = json!({
        "file": file, "release": entry.release, "evidence_sha256": entry.evidence.to_string(), "checks": entry.checks,
    });
    Ok(Report::new("Settled: the next release seals it.", data)
        .line("release", entry.release)
        .line("checks", numbers.join(", "))
        .line("written", file))
}
