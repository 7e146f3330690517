//! `ledger check`: the gate. Every finding, and what to do about it.

use super::{read, today};
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::ledger::entry::Sha;
use crate::ledger::rules::{Check, Finding, Rule};
use crate::ledger::seal;
use crate::ledger::time::{self, Moment};
use crate::output::{Report, paint, plain};
use clap::Args;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  patchlane ledger check
  patchlane ledger check --today 2027-02-01 --json | jq -r .findings[].rule";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// As of this day (its end), or moment (default: SOURCE_DATE_EPOCH, else now)
    #[arg(long, value_parser = time::today, value_name = "DATE")]
    today: Option<Moment>,
    /// A seal's digest that you kept: it has to be in the chain still
    #[arg(long, value_parser = digest, value_name = "SHA256")]
    head: Option<Sha>,
    /// On the bench: releases under a development root are no findings
    #[arg(long)]
    development: bool,
}

fn digest(text: &str) -> std::result::Result<Sha, String> {
    Sha::parse(text).ok_or_else(|| "a SHA-256 is 64 digits of lower-case hexadecimal".to_owned())
}

/// A finding in three lines: what, where, and what next.
fn words(finding: &Finding, colour: bool) -> String {
    let Finding { rule, place, what, next } = finding;
    let name = paint(colour, "31", &format!("✗ {}", rule.name()));
    format!("{name}  {}\n  {}\n  next: {}\n", paint(colour, "1", &plain(place)), plain(what), plain(next))
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let ledger = read(&config)?;
    let now = today(options.today)?;
    let mut found = ledger.check(&Check { now, development: options.development });
    if let Some(head) = options.head.filter(|head| ledger.seals.iter().all(|seal| seal.sha256 != *head)) {
        let next = "take the seals and their entries from version control: history was cut off or rewritten";
        found.push(Finding::new(Rule::SealLost, "seals", format!("no seal has the digest {head}"), next));
    }
    let colour = global.color.on(&std::io::stdout());
    let text: String = found.iter().map(|finding| words(finding, colour)).collect();
    let list = found.iter().map(|finding| {
        json!({ "rule": finding.rule.name(), "place": finding.place, "what": finding.what, "next": finding.next })
    });
    let head = seal::head(&ledger).map(|sha| sha.to_string());
    let data = json!({
        "ledger": ledger.folder.display().to_string(),
        "today": now.to_string(),
        "head_sha256": head,
        "findings": list.collect::<Vec<_>>(),
    });
    let mut report = Report::of_text(text, data);
    if found.is_empty() {
        report = report.line(
            "head",
            head.map_or_else(|| "nothing is sealed yet".into(), |sha| format!("SHA-256 {sha}")),
        );
        let (releases, seals) = (ledger.releases.len(), ledger.seals.len());
        report.summary = format!("Nothing is owed, and history holds: {releases} releases, {seals} seals.");
    } else {
        let what = if found.len() == 1 { "1 finding".into() } else { format!("{} findings", found.len()) };
        let next = "do what each says; patchlane ledger show has the matrix";
        report.failed =
            Some(Error::new(Code::Findings, format!("has {what}"), next).at(ledger.folder.display()));
    }
    Ok(report)
}
