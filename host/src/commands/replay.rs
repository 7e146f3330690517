//! `replay`: recorded inputs, played to base and patch; the evidence of lint's checks 24 and 25.

use super::now;
use crate::bundle::{Linked, sha256};
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::files::{self, New, Over, Secrecy};
use crate::lint::Case;
use crate::lint::change::Change;
use crate::output::{Report, plain, plural};
use crate::replay::{self, Adapter, Image, Made, Played, Recording, Side, Verdict, judge};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  patchlane replay                         play the recording that change.toml names, and judge the answers
  patchlane replay -o replay.json          and keep them, for [proof] of the change record: replay.json,
                                           replay.exploit-base.json, replay.exploit-patch.json

The adapter is a command in patchlane.toml, run once for each session, image and run, in that file's folder:
  [replay]
  command = [\"./adapter\", \"{image}\", \"{inputs}\", \"{outputs}\"]
Its words may hold {image} (a file: the image as devices get it), {digest}, {side} (base or patch), {address},
{session}, {inputs} and {outputs}. It starts a fresh device with that image, reads a line for each input
(NUMBER text WORDS, or NUMBER hex DIGITS), and writes one for each answer, in order:
  1 text WORDS   2 hex DIGITS   3 silence   4 gone WHY
`silence`: nothing came in time. `gone`: the device crashed or restarted; nothing may follow. Then it ends with 0.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The change record
    #[arg(default_value = "change.toml")]
    change: PathBuf,
    /// The recorded inputs (default: [proof] recording of the change record)
    #[arg(long, value_name = "FILE")]
    recording: Option<PathBuf>,
    /// Write what was answered as an in-toto statement, and the exploit's test results beside it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace existing files
    #[arg(long, requires = "output")]
    force: bool,
}

/// Images of base and patch that belong together.
fn pairs(case: &Case<'_>, base: &[Linked]) -> Result<Vec<(Linked, Linked)>> {
    let no =
        |what: String, next: &str| Err(Error::new(Code::Image, what, next).at(case.change.file.display()));
    if case.images.is_empty() {
        return no(
            "names no image: there is nothing to play".into(),
            "a patch without an image needs no replay",
        );
    }
    if base.is_empty() {
        let what = format!("{} carries no full image to compare with", case.change.base.display());
        return no(what, "name the bundle that brought the base's image");
    }
    if let ([old], [new]) = (base, &case.images[..]) {
        return Ok(vec![(old.clone(), new.clone())]);
    }
    let mut pairs = Vec::new();
    for new in &case.images {
        let Some(old) = base.iter().find(|old| old.address == new.address) else {
            let at = new.address.map_or("no address".to_owned(), |address| format!("{address:#010x}"));
            return no(
                format!("the base has no image for {at}"),
                "name an image for each slot, as the base has them",
            );
        };
        pairs.push((old.clone(), new.clone()));
    }
    Ok(pairs)
}

/// Where the test results go: beside the statement.
fn beside(output: &Path, side: Side) -> PathBuf {
    output.with_extension(format!("exploit-{}.json", side.name()))
}

/// Writes the statement and the test results; tells which.
fn write(options: &Options, made: &Made<'_>) -> Result<(Option<String>, Vec<String>)> {
    let Some(output) = &options.output else { return Ok((None, Vec::new())) };
    let text = |value: &Value| -> Result<Vec<u8>> {
        let text = serde_json::to_string_pretty(value).map_err(|e| Error::internal(e.to_string()))?;
        Ok((text + "\n").into_bytes())
    };
    let mut all = vec![(output.clone(), text(&replay::make(made))?)];
    if let Some(results) = replay::exploits(made) {
        for (side, result) in Side::BOTH.into_iter().zip(&results) {
            all.push((beside(output, side), text(result)?));
        }
    }
    let over = if options.force { Over::Existing } else { Over::Nothing };
    let pieces: Vec<[&[u8]; 1]> = all.iter().map(|(_, bytes)| [&bytes[..]]).collect();
    let new = all.iter().zip(&pieces);
    let new: Vec<New<'_>> =
        new.map(|((path, _), pieces)| New { path, pieces, over, secrecy: Secrecy::Public }).collect();
    files::write_together(&new)?;
    let mut names = all.iter().map(|(path, _)| path.display().to_string());
    Ok((names.next(), names.collect()))
}

/// Why the patch is refused, if it is.
fn refusal(verdict: &Verdict, change: &Path) -> Option<Error> {
    let (first, others) = verdict.problems.split_first()?;
    let mut error =
        Error::new(Code::Separation, first.what.clone(), first.next).at(format!("{}:", change.display()));
    error.also =
        others.iter().map(|other| Error::new(Code::Separation, other.what.clone(), other.next)).collect();
    Some(error)
}

/// A line for each session, and for what differs.
fn table(recording: &Recording, played: &[Played], verdict: &Verdict) -> String {
    let mut text = String::new();
    let width = recording.sessions.iter().map(|s| plain(&s.name).chars().count()).max().unwrap_or(0).max(7);
    text.push_str(&format!("{:width$}  inputs  the same  otherwise\n", "session"));
    for session in &recording.sessions {
        let rows = || played.iter().flat_map(|one| &one.rows).filter(|row| row.session == session.name);
        let (all, same) = (rows().count(), rows().filter(|row| row.is_same()).count());
        text.push_str(&format!("{:width$}  {all:>6}  {same:>8}  {:>9}\n", plain(&session.name), all - same));
    }
    for (id, count) in &verdict.shown {
        let what = plural(*count, "input");
        text.push_str(&format!("\n{}: {what} that the base fails and the patch answers safely\n", plain(id)));
        let rows = played.first().into_iter().flat_map(|one| &one.rows);
        let shown = rows.filter(|row| row.advisories.contains(id) && !row.is_same());
        for row in shown.take(3) {
            let told = |side| row.heard(side).first().map_or_else(String::new, ToString::to_string);
            let line = format!(
                "{}: {} on the base, {} on the patch",
                row.input,
                told(Side::Base),
                told(Side::Patch)
            );
            text.push_str(&format!("  {}\n", plain(&line)));
        }
        if *count > 3 {
            text.push_str(&format!("  and {} more\n", count - 3));
        }
    }
    text
}

fn data(made: &Made<'_>, case: &Case<'_>) -> Result<Value> {
    let problems = made.verdict.problems.iter().map(|p| json!({ "what": p.what, "next": p.next }));
    Ok(json!({
        "from": case.base.manifest()?.version.to_string(),
        "to": case.version.to_string(),
        "recording": { "name": made.name, "sha256": sha256(&made.recording.bytes).to_string() },
        "sessions": made.recording.sessions.len(),
        "inputs": made.recording.inputs().count(),
        "swept": made.recording.swept,
        "runs": made.adapter.runs(),
        "images": made.played.iter().map(|one| json!({
            "address": one.address.map(|address| format!("{address:#010x}")),
            "base": one.base,
            "patch": one.patch,
        })).collect::<Vec<_>>(),
        "differences": replay::differences(made.played),
        "shown": made.verdict.shown,
        "problems": problems.collect::<Vec<_>>(),
    }))
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let change = Change::read(&options.change)?;
    let case = Case::open(global, &config, &change, now()?, false)?;
    let (path, name) = match (&options.recording, &change.proof.recording) {
        (Some(path), _) => (path.clone(), path.display().to_string()),
        (None, Some(path)) => (change.path(path), path.display().to_string()),
        (None, None) => {
            let next = "name it there, or with --recording FILE; the manual says what one looks like";
            let what = "names no [proof] recording";
            return Err(Error::new(Code::Config, what, next).at(options.change.display()));
        }
    };
    let (recording, adapter) = (Recording::read(&path)?, Adapter::of(&config)?);
    let pairs = pairs(&case, &case.base.images()?)?;
    // Before minutes of play, not after them.
    if let Some(output) = options.output.as_ref().filter(|_| !options.force) {
        let all = [output.clone(), beside(output, Side::Base), beside(output, Side::Patch)];
        if let Some(there) = all.iter().find(|path| path.exists()) {
            let next = "choose another name, or say --force";
            return Err(Error::new(Code::Exists, "exists already", next).at(there.display()));
        }
    }
    let mut played = Vec::new();
    for (old, new) in &pairs {
        let pair =
            [Image::of(Side::Base, old), Image { address: new.address, ..Image::of(Side::Patch, new) }];
        played.push(replay::play(&recording, &adapter, &pair)?);
    }
    let ids: Vec<&str> = change.closes.iter().map(|closing| closing.id.as_str()).collect();
    let verdict = judge(&played, &ids);
    let made =
        Made { name: &name, recording: &recording, adapter: &adapter, played: &played, verdict: &verdict };
    let (statement, exploit) = write(options, &made)?;
    let mut data = data(&made, &case)?;
    data["statement"] = json!(statement);
    data["exploit"] = json!(exploit);
    let mut report = Report::of_text(table(&recording, &played, &verdict), data);
    report.notes.clone_from(&verdict.notes);
    if let Some(why) = &recording.unswept {
        report.notes.push(format!("the recording sweeps nothing: {why}"));
    }
    if options.recording.is_some() && change.proof.recording.is_none() {
        report.notes.push("name the recording under [proof], too: check 25 reads it".into());
    }
    report.failed = refusal(&verdict, &options.change);
    if report.failed.is_none() {
        let inputs = plural(recording.inputs().count() as u64, "input");
        report.summary = format!(
            "{inputs}, each played {} times to base and patch: the same but for what the patch closes.",
            adapter.runs()
        );
    }
    Ok(report)
}
