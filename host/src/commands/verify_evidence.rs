//! `verify-evidence`: a release from its archive alone.

use crate::archive::Archive;
use crate::archive::verify::{Row, Verdict, verify};
use crate::cli::Global;
use crate::error::{Code, Error, Result};
use crate::output::{Report, paint, plain};
use crate::root::Root;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  patchlane verify-evidence archive/4.1-s8
  patchlane verify-evidence archive/4.1-s8 --root root-from-the-device.plr --json

REPRODUCED was seen here, from the archive's bytes. VENDOR'S WORD can't be: a file is missing or confidential, or it would
have to be run. DIFFERS is otherwise than claimed, and the command ends with 1. Dates count as of the day of the evidence.
No patchlane.toml and no network is needed; checks of commits ask `git`.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The archive's folder
    folder: PathBuf,
    /// The root that devices trust, from elsewhere than the archive
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let anchor = options.root.as_ref().map(|path| Root::read(path)).transpose()?;
    let archive = Archive::open(&options.folder)?;
    let rows = verify(&archive, anchor.as_ref())?;
    let count = |verdict: Verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let (reproduced, word, differs) =
        (count(Verdict::Reproduced), count(Verdict::VendorsWord), count(Verdict::Differs));
    let listed = rows.iter().map(|row| {
        json!({
            "part": row.part,
            "name": row.name,
            "check": row.check,
            "verdict": row.verdict.name(),
            "detail": row.detail,
        })
    });
    let data = json!({
        "archive": options.folder.display().to_string(),
        "release": archive.index.release.version,
        "audience": archive.index.audience.name(),
        "retain_until": archive.index.retain_until.to_string(),
        "reproduced": reproduced,
        "vendors_word": word,
        "differs": differs,
        "rows": listed.collect::<Vec<_>>(),
    });
    let mut report = Report::of_text(table(&rows, global.color.on(&std::io::stdout())), data);
    report.summary = format!("{reproduced} reproduced, {word} the vendor's word.");
    if let Some(first) = rows.iter().find(|row| row.verdict == Verdict::Differs) {
        report.summary.clear();
        let what =
            format!("doesn't hold: {reproduced} reproduced, {word} the vendor's word, {differs} differ");
        let next = format!("don't rely on it; first: {}: {}", first.name, first.detail);
        report.failed = Some(Error::new(Code::Evidence, what, next).at(options.folder.display()));
    }
    Ok(report)
}

fn table(rows: &[Row], colour: bool) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let (mut text, mut part) = (String::new(), "");
    for row in rows {
        if row.part != part {
            let gap = if part.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}{}\n", paint(colour, "1", row.part)));
            part = row.part;
        }
        let (word, tint) = match row.verdict {
            Verdict::Reproduced => ("REPRODUCED", "32"),
            Verdict::VendorsWord => ("VENDOR'S WORD", "33"),
            Verdict::Differs => ("DIFFERS", "31;1"),
        };
        let number = row.check.map_or_else(String::new, |check| check.to_string());
        text.push_str(&format!(
            "{number:>2}  {:width$}  {}  {}\n",
            plain(&row.name),
            paint(colour, tint, &format!("{word:13}")),
            plain(&row.detail)
        ));
    }
    text
}
