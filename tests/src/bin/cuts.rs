//! Cuts power wherever it can be cut: `cargo xtask cuts`.

use patchlane_flash::Search;
use patchlane_tests::cuts::{Extent, PLANS, Report, SHAPES, Story, Title};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask cuts [--full] [--seed N] [--plan PLAN] [--geometry GEOMETRY]
cargo xtask cuts --replay PLAN/GEOMETRY/TORN/AT:WHEN,AT:WHEN/SEED
cargo xtask cuts --list

Without --full: every single cut, and a sample of pairs and chains. Exit code 1 if any case goes wrong.";

/// What was asked for.
#[derive(Debug, Default)]
struct Request {
    full: bool,
    seed: u64,
    plan: Option<String>,
    shape: Option<String>,
    replay: Option<String>,
    list: bool,
}

fn request() -> Result<Request, String> {
    let mut request = Request { seed: 1, ..Request::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--full" => request.full = true,
            "--list" => request.list = true,
            "--seed" => request.seed = value()?.parse().map_err(|_| "--seed takes a number")?,
            "--plan" => request.plan = Some(value()?),
            "--geometry" => request.shape = Some(value()?),
            "--replay" => request.replay = Some(value()?),
            _ => return Err(format!("`{word}` isn't understood")),
        }
    }
    Ok(request)
}

fn main() -> ExitCode {
    let request = match request() {
        Ok(request) => request,
        Err(problem) => {
            eprintln!("cuts: {problem}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let done = match &request.replay {
        _ if request.list => list(),
        Some(title) => replay(title),
        None => search(&request),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("cuts: {problem}");
            ExitCode::from(2)
        }
    }
}

fn list() -> Result<bool, String> {
    let names = |names: Vec<&str>| names.join("\n  ");
    println!("plans\n  {}", names(PLANS.iter().map(|plan| plan.name).collect()));
    println!("geometries\n  {}", names(SHAPES.iter().map(|shape| shape.name).collect()));
    Ok(true)
}

fn replay(title: &str) -> Result<bool, String> {
    let title: Title = title.parse()?;
    let story = Story::named(&title.plan, &title.shape)?;
    match Search::new(&story).replay(&title.case) {
        Ok(()) => println!("{title}: survived"),
        Err(problem) => {
            println!("{title}: {problem}");
            return Ok(false);
        }
    }
    Ok(true)
}

fn search(request: &Request) -> Result<bool, String> {
    let extent = Extent { full: request.full, seed: request.seed };
    let report = Report::of(extent, request.plan.as_deref(), request.shape.as_deref())?;
    print!("{report}");
    Ok(report.failed() == 0)
}
