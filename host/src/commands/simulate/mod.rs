//! `simulate`: the device crate itself, on flash in memory.

mod bundles;
mod junit;
mod piece;
mod scenarios;
mod timeline;

use super::provision::Factoring;
use crate::cli::Global;
use crate::error::{Code, Error, Result};
use crate::output::Report;
use crate::scenario::Point;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

/// A scenario to copy.
const EXAMPLE: &str = include_str!("../../../docs/scenario.toml");

const MORE: &str = "\
A scenario says what happens to a device and what has to come of it: bundles sent, approvals, restarts, power cuts.
  patchlane simulate --example > story.toml      one to copy, with comments
  patchlane simulate story.toml                  play it; exit 1 if a step goes otherwise
  patchlane simulate story.toml --sweep          once more for each flash operation, with power cut there
  patchlane simulate *.toml --junit report.xml   for continuous integration
Its format: host/schema/scenario.schema.json. The device is the device crate; its flash tears what power cuts.";

#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct Options {
    /// Scenarios (.toml); or bundles: what the device runs at first, then what is sent, one after the other
    #[arg(required_unless_present = "example", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print a scenario to copy
    #[arg(long, conflicts_with = "files", help_heading = SCENARIOS)]
    example: bool,
    /// Write what came of each step as JUnit XML; an earlier report is replaced
    #[arg(long, value_name = "FILE", help_heading = SCENARIOS)]
    junit: Option<PathBuf>,
    /// Play once more for each flash operation, with power cut there
    #[arg(long, conflicts_with = "replay", help_heading = SCENARIOS)]
    sweep: bool,
    /// At most so many of them, spread evenly (default: all)
    #[arg(long, value_name = "NUMBER", requires = "sweep", help_heading = SCENARIOS,
        value_parser = clap::value_parser!(u64).range(1..))]
    points: Option<u64>,
    /// Play with power cut at one flash operation of a step, as a sweep names it
    #[arg(long, value_name = "STEP:OPERATION[:SEED]", value_parser = point, help_heading = SCENARIOS)]
    replay: Option<Point>,
    /// The root to trust (default: the configuration's)
    #[arg(long, value_name = "FILE", help_heading = BUNDLES)]
    root: Option<PathBuf>,
    /// Approve each held bundle locally and send it again
    #[arg(long, help_heading = BUNDLES)]
    approve: bool,
    /// Power fails during this flash operation of the last bundle, counted from 0
    #[arg(long, value_name = "NUMBER", help_heading = BUNDLES)]
    cut: Option<u64>,
    #[command(flatten, next_help_heading = BUNDLES)]
    factory: Factoring,
}

const SCENARIOS: &str = "Scenarios";
const BUNDLES: &str = "Bundles";

/// Reads `5:12` or `5:12:99`.
fn point(text: &str) -> std::result::Result<Point, String> {
    let wrong = || format!("`{text}` isn't STEP:OPERATION or STEP:OPERATION:SEED, such as 5:12");
    let mut parts = text.split(':');
    let mut number = || parts.next().map(|part| part.parse::<u64>().map_err(|_| wrong())).transpose();
    let (step, operation, seed) = (number()?, number()?, number()?);
    let (Some(step), Some(operation), None) = (step, operation, parts.next()) else { return Err(wrong()) };
    let step = usize::try_from(step).ok().and_then(|step| step.checked_sub(1)).ok_or("steps count from 1")?;
    let point = Point::new(step, operation);
    let seed =
        seed.map(|seed| u32::try_from(seed).map_err(|_| "a seed is at most 4294967295")).transpose()?;
    Ok(Point { seed: seed.unwrap_or(point.seed), ..point })
}

fn is_scenario(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

fn usage(what: &str, next: &str) -> Error {
    Error::new(Code::Usage, what, next)
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    if options.example {
        return Ok(Report::of_text(EXAMPLE, json!({ "example": EXAMPLE })));
    }
    let scenarios = options.files.iter().filter(|path| is_scenario(path)).count();
    if scenarios == 0 {
        if options.junit.is_some() || options.sweep || options.replay.is_some() {
            let next = "name scenario files, which end in .toml";
            return Err(usage("--junit, --sweep and --replay are for scenarios", next));
        }
        return bundles::run(global, options);
    }
    if scenarios < options.files.len() {
        let next = "play them apart; a scenario itself can name bundles: bundle = \"FILE\"";
        return Err(usage("scenarios (.toml) and bundles don't go together", next));
    }
    if options.root.is_some() || options.approve || options.cut.is_some() || options.factory.is_given() {
        let next = "say it in the scenario: [device], and a step for each thing that happens";
        return Err(usage("options for bundles mean nothing to a scenario", next));
    }
    if options.replay.is_some() && scenarios > 1 {
        return Err(usage("--replay plays one scenario", "name the one that the sweep named"));
    }
    scenarios::run(global, options)
}
