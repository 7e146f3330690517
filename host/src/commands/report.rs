//! `report`: what an assessor or a customer reads of a release, made of its archive alone.

use crate::archive::{Archive, Audience};
use crate::cli::Global;
use crate::error::{Code, Error, Result};
use crate::files::{self, New, Over, Secrecy};
use crate::output::Report;
use crate::report::{self, Format};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  patchlane report pump-4.1-s9.archive -o report           report.json, report.md, report.html
  patchlane report pump-4.1-s9.archive -o report --format html --force
  patchlane report pump-4.1-s9.archive -o for-customers --audience customer

Twelve sections, from the release's identity to how everything is verified again; what isn't in the archive is said. The
same archive gives the same bytes: whoever has it can make the report again. Nothing is judged here: the evidence was.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The archive's folder
    archive: PathBuf,
    /// The folder that the report is written to
    #[arg(long, short, value_name = "FOLDER")]
    output: PathBuf,
    /// What to write (default: all); repeat it for each
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Vec<Format>,
    /// For whom (default: for whom the archive is): a customer sees how the checks came out, and not what they found
    #[arg(long, value_enum, value_name = "WHO")]
    audience: Option<Audience>,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(_: &Global, options: &Options) -> Result<Report> {
    let archive = Archive::open(&options.archive)?;
    let audience = options.audience.unwrap_or(archive.index.audience);
    let made = report::Report::make(archive, audience)?;
    let mut formats = if options.format.is_empty() { Format::ALL.to_vec() } else { options.format.clone() };
    formats.sort();
    formats.dedup();
    let texts = formats.iter().map(|format| made.write(*format)).collect::<Result<Vec<_>>>()?;
    let paths: Vec<PathBuf> = formats.iter().map(|format| options.output.join(format.file())).collect();
    let over = if options.force { Over::Existing } else { Over::Nothing };
    let folder = if options.output.is_dir() { None } else { Some(files::NewFolder::make(&options.output)?) };
    let pieces: Vec<[&[u8]; 1]> = texts.iter().map(|text| [text.as_bytes()]).collect();
    let each = paths.iter().zip(&pieces);
    let new: Vec<New<'_>> =
        each.map(|(path, pieces)| New { path, pieces, over, secrecy: Secrecy::Public }).collect();
    files::write_together(&new).map_err(|error| match error.code {
        Code::Exists => Error { next: "name another folder, or say --force".into(), ..error },
        _ => error,
    })?;
    if let Some(folder) = folder {
        folder.keep();
    }
    let dossier = &made.dossier;
    let files = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    let missing = made.missing();
    let data = json!({
        "files": files,
        "audience": dossier.audience,
        "release": dossier.identity.to.release,
        "verdict": dossier.verdict.result,
        "orphans": dossier.separation.orphans,
        "missing": missing,
    });
    let mut report = Report::new("Written; the same archive gives the same bytes.", data)
        .line("release", dossier.identity.to.release.clone())
        .line("verdict", dossier.verdict.sentence.clone())
        .line("audience", dossier.audience);
    for file in files {
        report = report.line("file", file);
    }
    if missing > 0 {
        report = report.note(format!(
            "{} not here: each section says what",
            crate::output::plural(missing as u64, "thing")
        ));
    }
    Ok(report)
}
