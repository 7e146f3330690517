//! Cuts power wherever it can be cut: `cargo xtask cuts`.

use patchlane::flash::{Power, Torn};
use patchlane_flash::{Options, Run, Search, Subject};
use patchlane_tests::cuts::world::Instant;
use patchlane_tests::cuts::{Extent, PLANS, Report, SHAPES, Story, Title, shape};
use std::cell::Cell;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask cuts [--full] [--seed N] [--plan PLAN] [--geometry GEOMETRY]
cargo xtask cuts --replay PLAN/GEOMETRY/TORN/AT:WHEN,AT:WHEN/SEED
cargo xtask cuts --list
cargo xtask cuts --embassy

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
    beside: bool,
}

fn request() -> Result<Request, String> {
    let mut request = Request { seed: 1, ..Request::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--full" => request.full = true,
            "--list" => request.list = true,
            "--beside" => request.beside = true,
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
        _ if request.beside => beside(),
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

/// A story whose failures are counted by kind.
struct Kinds {
    story: Story,
    /// Stuck, neither old nor new, programmed twice, anything else.
    counts: Cell<[u64; 4]>,
}

impl Subject for Kinds {
    type Left = Instant;
    fn begin(&self) -> Instant {
        self.story.begin()
    }
    fn perform(&self, left: Instant, power: &Power, run: &mut Run<'_, Instant>) -> Result<(), String> {
        let result = self.story.perform(left, power, run);
        if let Err(problem) = &result {
            let says = |words: &[&str]| words.iter().any(|word| problem.contains(word));
            let kind = match () {
                () if says(&["stuck", "nothing runs", "fails with power on"]) => 0,
                () if says(&["neither old nor new"]) => 1,
                () if says(&["programmed twice"]) => 2,
                () => 3,
            };
            let mut counts = self.counts.get();
            counts[kind] += 1;
            self.counts.set(counts);
        }
        result
    }
}

/// Our figures in the form of `tests/embassy`, on the same flash.
fn beside() -> Result<bool, String> {
    println!("patchlane: the same flash; reception, verification and the record included\n");
    let [stuck, mixed, twice, other] = ["stuck", "mixed", "twice", "other"];
    let heads = ["flash", "then", "torn reads"];
    let [flash, then, torn] = heads;
    println!("{flash:<10} {then:<8} {torn:<10} {:>8} {stuck:>8} {mixed:>8} {twice:>8} {other:>8}", "cases");
    let mut failed = 0;
    for (flash, lenient) in [("write-once", false), ("lenient", true)] {
        for (then, plan) in [("confirm", "patch"), ("revert", "revert")] {
            for torn in Torn::ALL {
                let plan = PLANS.iter().find(|p| p.name == plan).ok_or("no such plan")?;
                let mut story = Story::new(plan, &shape::BESIDE, None);
                if lenient {
                    story.lenient();
                }
                let kinds = Kinds { story, counts: Cell::default() };
                let mut search = Search::new(&kinds);
                search.explore(&Options { torn: vec![torn], seeds: 8, pairs: 8, ..Options::default() });
                let ([stuck, mixed, twice, other], cases) = (kinds.counts.get(), search.tally().cases());
                let name = torn.name();
                println!(
                    "{flash:<10} {then:<8} {name:<10} {cases:>8} {stuck:>8} {mixed:>8} {twice:>8} {other:>8}"
                );
                failed += search.failed();
            }
        }
    }
    Ok(failed == 0)
}
