//! A scenario once for each flash operation, with power cut there.

use super::cast::Cast;
use super::file::Scenario;
use super::play::{Failure, Played, Stage};
use super::simulated::{Sim, on_sim};
use crate::error::Result;
use crate::flash::{Chip, Cut, Torn, When, mix};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Where power fails, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The step's number, from 0.
    pub step: usize,
    /// The flash operation of that step, from 0.
    pub operation: u64,
    /// How the operation is torn, and how torn words read.
    pub seed: u32,
}

/// As `--replay` takes it: steps count from 1.
impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.step + 1, self.operation, self.seed)
    }
}

impl Point {
    /// The point that a sweep plays there.
    pub fn new(step: usize, operation: u64) -> Self {
        // Any good hash does: neighbours are torn differently, and always in the same way.
        let seed = mix(mix(step as u64) ^ operation) as u32;
        Self { step, operation, seed }
    }

    /// How far the operation comes.
    pub fn when(self) -> When {
        When::ALL[self.seed as usize % When::ALL.len()]
    }

    /// How torn words read.
    pub fn torn(self) -> Torn {
        Torn::ALL[self.seed as usize / When::ALL.len() % Torn::ALL.len()]
    }
}

/// A scenario that was played without further cuts, ready to be played with them.
#[derive(Debug)]
pub struct Sweep<'a> {
    scenario: &'a Scenario,
    cast: &'a Cast,
    /// The device before each step.
    before: Vec<Sim>,
    /// Flash operations of each step.
    pub operations: Vec<u64>,
    /// What happened.
    pub played: Vec<Played>,
}

/// What a sweep found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often the scenario was played.
    pub points: u64,
    /// How often of these power failed: a torn word that reads differently can make a step shorter.
    pub cuts: u64,
    /// Where it went otherwise, first things first.
    pub failures: Vec<(Point, Failure)>,
}

impl<'a> Sweep<'a> {
    /// Plays the scenario as it is written. If a step goes otherwise, the result ends before it.
    ///
    /// # Errors
    /// `refused`, `image`: what is wrong with the first release.
    pub fn new(scenario: &'a Scenario, cast: &'a Cast, chip: Chip) -> Result<(Self, Option<Failure>)> {
        let mut stage = on_sim(scenario, cast, chip)?;
        let (before, operations, played) = (Vec::new(), Vec::new(), Vec::new());
        let mut sweep = Self { scenario, cast, before, operations, played };
        for number in 0..scenario.step.len() {
            sweep.before.push(stage.player.fork(1, Torn::Stable));
            let begins = stage.player.operations();
            match stage.step(number) {
                Ok(played) => sweep.played.push(played),
                Err(what) => return Ok((sweep, Some(Failure { number, what }))),
            }
            sweep.operations.push(stage.player.operations() - begins);
        }
        Ok((sweep, None))
    }

    /// Every point, or of more than `most` an even sample.
    pub fn points(&self, most: u64) -> Vec<Point> {
        let total: u64 = self.operations.iter().sum();
        let stride = usize::try_from(total.div_ceil(most.max(1))).unwrap_or(usize::MAX).max(1);
        let all = self.operations.iter().enumerate();
        all.flat_map(|(step, count)| (0..*count).map(move |at| Point::new(step, at)))
            .step_by(stride)
            .collect()
    }

    /// Plays the scenario with one more cut, from the step on in which it comes. True if it came.
    ///
    /// # Errors
    /// The step that went otherwise.
    pub fn replay(&self, point: Point, tell: &mut dyn FnMut(&Played)) -> std::result::Result<bool, Failure> {
        let mut sim = self.before[point.step].fork(u64::from(point.seed), point.torn());
        sim.cut(Cut { at: point.operation, when: point.when() });
        let mut stage = Stage::new(self.scenario, self.cast, sim);
        if let Some(before) = point.step.checked_sub(1).and_then(|step| self.played.get(step)) {
            stage.begins_with(&before.runs);
        }
        stage.play(point.step, tell)?;
        Ok(!stage.player.spared())
    }

    /// Plays all of these points; `done` hears how many are.
    pub fn play(&self, points: &[Point], done: &mut dyn FnMut(u64)) -> Tally {
        let (next, cuts, finished) = (AtomicUsize::new(0), AtomicU64::new(0), Mutex::new(Vec::new()));
        let work = |tell: &std::sync::mpsc::Sender<()>| {
            while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                match self.replay(*point, &mut |_| {}) {
                    Ok(came) => drop(cuts.fetch_add(u64::from(came), Ordering::Relaxed)),
                    Err(failure) => {
                        cuts.fetch_add(1, Ordering::Relaxed);
                        finished.lock().unwrap_or_else(PoisonError::into_inner).push((*point, failure));
                    }
                }
                let _ = tell.send(());
            }
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(points.len().max(1));
        let (tell, heard) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let tell = tell.clone();
                scope.spawn(move || work(&tell));
            }
            drop(tell);
            (1..).zip(heard.iter()).for_each(|(count, ())| done(count));
        });
        let mut failures = finished.into_inner().unwrap_or_else(PoisonError::into_inner);
        failures.sort_by_key(|(point, _)| *point);
        Tally { points: points.len() as u64, cuts: cuts.into_inner(), failures }
    }
}
