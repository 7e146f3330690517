//! `simulate FILE.toml …`: scenarios, played and judged.

use super::junit::{self, Case, Suite, Verdict};
use super::piece::{self, Piece};
use super::timeline::{Head, Timeline};
use super::{Options, usage};
use crate::cli::Global;
use crate::error::{Code, Error, Result};
use crate::output::{Report, plural};
use crate::progress::Progress;
use crate::scenario::{Failure, Played, Point, Sweep, Tally, subject};
use serde_json::{Value, json};
use std::path::Path;

/// What came of a scenario.
struct Outcome<'a> {
    piece: &'a Piece,
    /// What was played, as it was written or with the cut of `--replay`.
    played: Vec<Played>,
    /// Flash operations of the steps, as written.
    operations: u64,
    /// The step that went otherwise.
    failure: Option<Failure>,
    /// What a sweep found.
    tally: Option<Tally>,
    /// Why it isn't as written.
    error: Option<Error>,
}

/// A file as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:\\".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn step_at(piece: &Piece, number: usize) -> String {
    let line = piece.scenario.lines.get(number).copied().unwrap_or(0);
    format!("step {} (line {line})", number + 1)
}

/// Where power was cut, and what came of it.
fn cut_told(piece: &Piece, point: Point, failure: &Failure) -> String {
    let (cut, then) = (step_at(piece, point.step), step_at(piece, failure.number));
    format!("with power cut at flash operation {} of {cut}, {then}: {}", point.operation, failure.what)
}

fn replay_line(piece: &Piece, point: Point) -> String {
    format!("patchlane simulate {} --replay {point}", quoted(&piece.path))
}

/// Refuses a point that the scenario doesn't have.
fn within(operations: &[u64], point: Point) -> Result<()> {
    let number = point.step + 1;
    let Some(count) = operations.get(point.step) else {
        let next = format!("the steps are 1 to {}", operations.len());
        return Err(usage(&format!("--replay: there is no step {number}"), &next));
    };
    if point.operation < *count {
        return Ok(());
    }
    let next = match count {
        0 => "it has none; --sweep finds the steps that have".to_owned(),
        _ => format!("it has {}: 0 to {}", plural(*count, "flash operation"), count - 1),
    };
    Err(usage(&format!("--replay: step {number} has no flash operation {}", point.operation), &next))
}

fn play<'a>(piece: &'a Piece, global: &Global, options: &Options) -> Result<Outcome<'a>> {
    let at = |e: Error| if e.place.is_none() { e.at(piece.path.display()) } else { e };
    let (sweep, failure) = Sweep::new(&piece.scenario, &piece.cast, piece.chip.clone()).map_err(at)?;
    let mut outcome = Outcome {
        piece,
        played: sweep.played.clone(),
        operations: sweep.operations.iter().sum(),
        failure,
        tally: None,
        error: None,
    };
    let differs = |what, next| Some(Error::new(Code::Differs, what, next).at(piece.path.display()));
    if let Some(failure) = &outcome.failure {
        let what = format!("{}: {}", step_at(piece, failure.number), failure.what);
        let next = "find out why; or, if it is right so, write the new outcome down";
        outcome.error = differs(what, next.to_owned());
    } else if let Some(point) = options.replay {
        within(&sweep.operations, point)?;
        outcome.played.truncate(point.step);
        match sweep.replay(point, &mut |step| outcome.played.push(step.clone())) {
            Ok(true) => {}
            Ok(false) => {
                outcome.error = differs(format!("power never failed at {point}"), "try another seed".into())
            }
            Err(failure) => {
                let next = format!("once more: {}", replay_line(piece, point));
                outcome.error = differs(cut_told(piece, point, &failure), next);
                outcome.failure = Some(failure);
            }
        }
    } else if options.sweep {
        let points = sweep.points(options.points.unwrap_or(u64::MAX));
        let silent = global.quiet || global.json;
        let mut progress = Progress::new("cutting power", points.len() as u64, silent);
        let tally = sweep.play(&points, &mut |done| progress.at(done));
        if let Some((point, failure)) = tally.failures.first() {
            let (count, of) = (tally.failures.len(), plural(tally.points, "power cut"));
            let what = format!("{count} of {of} went otherwise: {}", cut_told(piece, *point, failure));
            outcome.error = differs(what, format!("see it: {}", replay_line(piece, *point)));
        }
        outcome.tally = Some(tally);
    }
    Ok(outcome)
}

impl Outcome<'_> {
    fn head(&self, number: usize) -> Head {
        let step = &self.piece.scenario.step[number];
        Head { number, action: step.name(), subject: subject(step, &self.piece.cast) }
    }

    fn runs(&self) -> &str {
        self.played.last().map_or("", |step| &step.runs)
    }

    /// How it ended, in a line or two.
    fn result(&self) -> String {
        let all = plural(self.operations, "flash operation");
        let swept = self.tally.as_ref().map(|tally| {
            let of = if tally.points == self.operations {
                format!("each of {all}")
            } else {
                format!("{} of {all}", plural(tally.points, "").trim_end_matches([' ', 's']))
            };
            format!("power cut at {of}")
        });
        match (&self.failure, &self.error, swept) {
            (Some(failure), ..) => format!("differs: {}", step_at(self.piece, failure.number)),
            (None, Some(error), _) => format!("differs: {}", error.what),
            (None, None, swept) => {
                let cuts = self
                    .played
                    .iter()
                    .map(|step| u64::from(step.cut.is_some()) + u64::from(step.interrupted.is_some()));
                let cuts = match cuts.sum() {
                    0 => String::new(),
                    cuts => format!(", {}", plural(cuts, "power cut")),
                };
                let steps = plural(self.played.len() as u64, "step");
                let swept = swept
                    .map(|swept| format!("\n{swept}: old or new, whole and verified, after each"))
                    .unwrap_or_default();
                format!("as written: {steps}{cuts}, {all}; {} runs{swept}", self.runs())
            }
        }
    }

    fn timeline(&self, colour: bool) -> String {
        let timeline = Timeline {
            file: self.piece.path.display().to_string(),
            title: &self.piece.scenario.title,
            about: &self.piece.about,
            played: &self.played,
            differs: self.failure.as_ref().map(|f| (self.head(f.number), f.what.clone())),
            passed: self.error.is_none(),
            result: self.result(),
        };
        timeline.text(colour)
    }

    fn suite(&self) -> Suite {
        let digits = self.piece.scenario.step.len().to_string().len();
        let name = |number: usize| {
            let head = self.head(number);
            format!("{:0digits$} {} {}", number + 1, head.action, head.subject).trim_end().to_owned()
        };
        let mut cases: Vec<Case> = self
            .played
            .iter()
            .map(|step| {
                let told = [&step.outcome[..], &format!("{} runs", step.runs)];
                let told = told.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
                Case { name: name(step.number), verdict: Verdict::Passed(told) }
            })
            .collect();
        if let Some(failure) = &self.failure {
            let what = self.error.as_ref().map_or(&failure.what, |error| &error.what);
            cases.push(Case { name: name(failure.number), verdict: Verdict::Failed(what.clone()) });
        }
        let rest = cases.len()..self.piece.scenario.step.len();
        cases.extend(rest.map(|number| Case { name: name(number), verdict: Verdict::Skipped }));
        if self.failure.is_none()
            && let Some(tally) = &self.tally
        {
            let verdict = match &self.error {
                Some(error) => Verdict::Failed(format!("{}\n{}", error.what, error.next)),
                None => Verdict::Passed(self.result()),
            };
            cases.push(Case { name: format!("power cuts ({})", tally.points), verdict });
        }
        Suite { name: self.piece.scenario.title.clone(), file: self.piece.path.display().to_string(), cases }
    }

    fn data(&self) -> Value {
        let steps: Vec<Value> = self
            .played
            .iter()
            .map(|step| {
                json!({
                    "number": step.number + 1,
                    "line": self.piece.scenario.lines[step.number],
                    "action": step.action,
                    "subject": step.subject,
                    "outcome": step.outcome,
                    "runs": step.runs,
                    "cut": step.cut.map(crate::scenario::CommitPoint::name),
                    "cut_operation": step.interrupted.map(|cut| cut.operation),
                })
            })
            .collect();
        json!({
            "file": self.piece.path.display().to_string(),
            "title": self.piece.scenario.title,
            "installed": self.runs(),
            "flash_operations": self.operations,
            "power_cuts": self.tally.as_ref().map(|tally| tally.points),
            "steps": steps,
        })
    }
}

pub(super) fn run(global: &Global, options: &Options) -> Result<Report> {
    // Everything is read before anything is played: a wrong file is an error, and not half a report.
    let config = piece::find_config(global)?;
    let pieces = options.files.iter().map(|path| piece::read(path, config.as_ref()));
    let pieces = pieces.collect::<Result<Vec<Piece>>>()?;
    options.junit.as_deref().map_or(Ok(()), junit::check)?;
    let outcomes = pieces.iter().map(|piece| play(piece, global, options)).collect::<Result<Vec<_>>>()?;
    if let Some(path) = &options.junit {
        let suites: Vec<Suite> = outcomes.iter().map(Outcome::suite).collect();
        junit::write(path, &suites)?;
    }
    let colour = global.color.on(&std::io::stdout());
    let texts: Vec<String> = outcomes.iter().map(|outcome| outcome.timeline(colour)).collect();
    let text = texts.join("\n");
    let data = json!({
        "scenarios": outcomes.iter().map(Outcome::data).collect::<Vec<_>>(),
        "junit": options.junit.as_ref().map(|path| path.display().to_string()),
    });
    let mut errors = outcomes.iter().filter_map(|outcome| outcome.error.clone());
    let failed = errors.next().map(|first| Error { also: errors.collect(), ..first });
    let summary = match failed {
        None => format!("{} went as written.", plural(outcomes.len() as u64, "scenario")),
        Some(_) => String::new(),
    };
    Ok(Report { summary, failed, ..Report::of_text(text, data) })
}
