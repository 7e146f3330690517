//! All plans on all flashes, in parallel, and what came of it.

use super::{PLANS, Plan, SHAPES, Shape, Story, Title};
use patchlane_flash::{Case, Fault, Options, Search, Tally, Torn};
use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How much is searched.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Every pair on small flashes, and more of the rest.
    pub full: bool,
    /// What is drawn is drawn from this.
    pub seed: u64,
}

impl Extent {
    fn options(self, shape: &Shape) -> Options {
        let pairs = match (self.full, shape.small) {
            (true, true) => 1,
            (false, true) => 20,
            (_, false) => 0,
        };
        Options {
            torn: Torn::ALL.to_vec(),
            every_mode: self.full,
            every_second: self.full,
            seeds: if self.full { 2 } else { 1 },
            pairs,
            chains: if self.full { 400 } else { 10 },
            seed: self.seed,
        }
    }
}

/// What came of one plan on one flash.
#[derive(Debug)]
struct Outcome {
    plan: &'static Plan,
    shape: &'static Shape,
    tally: Tally,
    failures: Vec<(Case, String)>,
    failed: u64,
}

/// What came of it all.
#[derive(Debug)]
pub struct Report {
    outcomes: Vec<Outcome>,
    took: Duration,
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

/// A bar on stderr, if that is a terminal.
struct Bar {
    jobs: usize,
    begun: Instant,
    cases: AtomicU64,
    shown: AtomicU64,
}

impl Bar {
    fn tell(&self, job: usize, cases: u64) {
        let cases = self.cases.fetch_add(cases, Ordering::Relaxed) + cases;
        let now = self.begun.elapsed().as_millis() as u64;
        if !std::io::stderr().is_terminal() || now < self.shown.load(Ordering::Relaxed) + 200 {
            return;
        }
        self.shown.store(now, Ordering::Relaxed);
        let (job, jobs, seconds) = (job.min(self.jobs), self.jobs, now / 1000);
        let filled = "#".repeat(30 * job / jobs.max(1));
        eprint!("\r[{filled:<30}] {job} of {jobs}, {cases} cases, {seconds} s\x1b[K");
        let _ = std::io::stderr().flush();
    }

    fn end(&self) {
        if std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
    }
}

impl Report {
    /// Searches, on all processors.
    ///
    /// # Errors
    /// If there is no such plan or geometry.
    pub fn of(extent: Extent, plan: Option<&str>, shape: Option<&str>) -> Result<Self, String> {
        let plans = chosen(PLANS, |plan| plan.name, plan)?;
        let shapes = chosen(SHAPES, |shape| shape.name, shape)?;
        let mut jobs: Vec<_> = shapes.iter().flat_map(|s| plans.iter().map(|p| (*p, *s))).collect();
        // What takes longest comes first.
        jobs.sort_by_key(|(_, shape)| !shape.small);
        let zero = || AtomicU64::new(0);
        let bar = Bar { jobs: jobs.len(), begun: Instant::now(), cases: zero(), shown: zero() };
        let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while let Some((plan, shape)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let story = Story::new(plan, shape, None);
                        let tell = |cases| bar.tell(next.load(Ordering::Relaxed), cases);
                        let mut search = Search::new(&story).telling(tell);
                        search.explore(&extent.options(shape));
                        let (tally, failed) = (*search.tally(), search.failed());
                        let failures = search.failures().to_vec();
                        if let Ok(mut outcomes) = outcomes.lock() {
                            outcomes.push(Outcome { plan, shape, tally, failures, failed });
                        }
                    }
                });
            }
        });
        bar.end();
        let outcomes = outcomes.into_inner().map_err(|_| "a thread failed")?;
        Ok(Self { outcomes, took: bar.begun.elapsed() })
    }

    /// Cases that went wrong.
    pub fn failed(&self) -> u64 {
        self.outcomes.iter().map(|outcome| outcome.failed).sum()
    }

    /// Cases.
    pub fn cases(&self) -> u64 {
        self.outcomes.iter().map(|outcome| outcome.tally.cases()).sum()
    }

    /// One line of a table: what those came to that fit.
    fn row(&self, f: &mut fmt::Formatter<'_>, name: &str, fits: impl Fn(&Outcome) -> bool) -> fmt::Result {
        let (mut tally, mut failed) = (Tally::default(), 0);
        for outcome in self.outcomes.iter().filter(|outcome| fits(outcome)) {
            tally += &outcome.tally;
            failed += outcome.failed;
        }
        let [one, two, more] = tally.depths();
        if tally.operations == 0 && failed == 0 {
            return Ok(());
        }
        writeln!(
            f,
            "{name:<30} {:>8} {one:>8} {two:>8} {more:>8} {:>8} {failed:>6}",
            tally.operations, tally.known
        )
    }

    fn by_fault(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<39} {:>8} {:>8} {:>8}", "fault at the last cut", "one cut", "two", "3 to 5")?;
        let mut all = Tally::default();
        self.outcomes.iter().for_each(|outcome| all += &outcome.tally);
        for fault in Fault::all() {
            let name = match fault {
                Fault::Between => "between operations".to_owned(),
                Fault::Write(torn) => format!("torn write, reads {}", torn.name()),
                Fault::Erase(torn) => format!("torn erase, reads {}", torn.name()),
            };
            let [one, two, more] = all.by(fault);
            writeln!(f, "{name:<39} {one:>8} {two:>8} {more:>8}")?;
        }
        Ok(())
    }
}

/// Headings of a table.
fn heading(f: &mut fmt::Formatter<'_>, first: &str) -> fmt::Result {
    let (one, two, more) = ("one cut", "two", "3 to 5");
    writeln!(f, "\n{first:<30} {:>8} {one:>8} {two:>8} {more:>8} {:>8} {:>6}", "flash op", "known", "failed")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.by_fault(f)?;
        heading(f, "plan")?;
        PLANS.iter().try_for_each(|plan| self.row(f, plan.name, |o| o.plan.name == plan.name))?;
        heading(f, "geometry")?;
        SHAPES.iter().try_for_each(|shape| self.row(f, shape.name, |o| o.shape.name == shape.name))?;
        writeln!(f)?;
        self.row(f, "all", |_| true)?;
        writeln!(
            f,
            "\nknown: of the cases, those that left what another had left, whose run had ended well."
        )?;
        let (cases, failed, seconds) = (self.cases(), self.failed(), self.took.as_secs());
        writeln!(f, "{cases} cases, {failed} failed, {seconds} s")?;
        for outcome in &self.outcomes {
            for (case, problem) in outcome.failures.iter().take(3) {
                let (plan, shape) = (outcome.plan.name.to_owned(), outcome.shape.name.to_owned());
                let title = Title { plan, shape, case: case.clone() };
                writeln!(f, "\n{problem}\n  cargo xtask cuts --replay {title}")?;
            }
        }
        Ok(())
    }
}
