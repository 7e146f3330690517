//! Cuts power wherever it can be cut: `cargo xtask cuts`.

use patchlane_flash::{Case, Fault, Options, Search, Tally, Torn};
use patchlane_tests::cuts::{PLANS, Plan, SHAPES, Shape, Story, Title};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

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

/// How much is searched where.
fn options(request: &Request, shape: &Shape) -> Options {
    let (full, seed) = (request.full, request.seed);
    let pairs = match (full, shape.small) {
        (true, true) => 1,
        (false, true) => 40,
        _ => 0,
    };
    let chains = if full { 400 } else { 10 };
    let seeds = if full { 2 } else { 1 };
    Options { torn: Torn::ALL.to_vec(), every_mode: full, seeds, pairs, chains, seed }
}

/// What came of one plan on one flash.
struct Outcome {
    plan: &'static Plan,
    shape: &'static Shape,
    tally: Tally,
    failures: Vec<(Case, String)>,
    failed: u64,
}

/// The names that fit, or all.
fn chosen<T>(
    all: &'static [T],
    name: fn(&T) -> &str,
    wanted: Option<&str>,
) -> Result<Vec<&'static T>, String> {
    let fit: Vec<_> = all.iter().filter(|one| wanted.is_none_or(|wanted| wanted == name(one))).collect();
    match wanted {
        Some(wanted) if fit.is_empty() => Err(format!("there is no `{wanted}`; --list shows what there is")),
        _ => Ok(fit),
    }
}

fn search(request: &Request) -> Result<bool, String> {
    let plans = chosen(PLANS, |plan| plan.name, request.plan.as_deref())?;
    let shapes = chosen(SHAPES, |shape| shape.name, request.shape.as_deref())?;
    // What takes longest comes first.
    let mut jobs: Vec<_> = shapes.iter().flat_map(|s| plans.iter().map(|p| (*p, *s))).collect();
    jobs.sort_by_key(|(_, shape)| !shape.small);
    let (next, done, begun) = (AtomicUsize::new(0), AtomicU64::new(0), Instant::now());
    let outcomes = Mutex::new(Vec::new());
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((plan, shape)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let story = Story::new(plan, shape, None);
                    let mut search = Search::new(&story).telling(|cases| {
                        let cases = done.fetch_add(cases, Ordering::Relaxed) + cases;
                        progress(next.load(Ordering::Relaxed).min(jobs.len()), jobs.len(), cases, begun);
                    });
                    search.explore(&options(request, shape));
                    let (tally, failed) = (*search.tally(), search.failed());
                    let failures = search.failures().to_vec();
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.push(Outcome { plan, shape, tally, failures, failed });
                    }
                }
            });
        }
    });
    let _ = std::panic::take_hook();
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    let outcomes = outcomes.into_inner().map_err(|_| "a thread failed")?;
    Ok(report(&outcomes, begun))
}

/// A bar, on a terminal.
fn progress(job: usize, jobs: usize, cases: u64, begun: Instant) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = begun.elapsed().as_millis() as u64;
    if !std::io::stderr().is_terminal() || now < LAST.load(Ordering::Relaxed) + 200 {
        return;
    }
    LAST.store(now, Ordering::Relaxed);
    let filled = 30 * job / jobs.max(1);
    eprint!("\r[{:<30}] {job} of {jobs}, {cases} cases, {} s\x1b[K", "#".repeat(filled), now / 1000);
    let _ = std::io::stderr().flush();
}

/// One line of a table.
fn row(name: &str, tally: &Tally, failed: u64) {
    let [one, two, more] = tally.depths();
    println!("{name:<34} {:>9} {one:>9} {two:>9} {more:>9} {:>9} {failed:>6}", tally.operations, tally.known);
}

fn table<'a>(
    title: &str,
    names: impl Iterator<Item = &'a str>,
    outcomes: &[Outcome],
    is: fn(&Outcome) -> &'a str,
) {
    println!(
        "\n{title:<34} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6}",
        "ops", "one cut", "two", "3 to 5", "known", "failed"
    );
    for name in names {
        let (mut tally, mut failed) = (Tally::default(), 0);
        for outcome in outcomes.iter().filter(|outcome| is(outcome) == name) {
            tally += &outcome.tally;
            failed += outcome.failed;
        }
        if tally.operations > 0 || failed > 0 {
            row(name, &tally, failed);
        }
    }
}

fn report(outcomes: &[Outcome], begun: Instant) -> bool {
    let (mut all, mut failed) = (Tally::default(), 0);
    for outcome in outcomes {
        all += &outcome.tally;
        failed += outcome.failed;
    }
    println!("{:<34} {:>9} {:>9} {:>9}", "fault at the last cut", "one cut", "two", "3 to 5");
    for fault in Fault::all() {
        let name = match fault {
            Fault::Between => "between operations".to_owned(),
            Fault::Write(torn) => format!("torn write, reads {}", torn.name()),
            Fault::Erase(torn) => format!("torn erase, reads {}", torn.name()),
        };
        let [one, two, more] = all.by(fault);
        println!("{name:<34} {one:>9} {two:>9} {more:>9}");
    }
    table("plan", PLANS.iter().map(|plan| plan.name), outcomes, |outcome| outcome.plan.name);
    table("geometry", SHAPES.iter().map(|shape| shape.name), outcomes, |outcome| outcome.shape.name);
    println!();
    row("all", &all, failed);
    println!("\nknown: of the cases, those that left a state from which a run had ended well before.");
    println!("{} cases, {failed} failed, {} s", all.cases(), begun.elapsed().as_secs());
    for outcome in outcomes {
        for (case, problem) in outcome.failures.iter().take(3) {
            let (plan, shape) = (outcome.plan.name.to_owned(), outcome.shape.name.to_owned());
            let title = Title { plan, shape, case: case.clone() };
            println!("\n{problem}\n  cargo xtask cuts --replay {title}");
        }
    }
    failed == 0
}
