//! Cuts a run at every operation, and the runs that recover from that, too.

use crate::case::Case;
use crate::power::{Cut, Power, Torn, When, mix};
use crate::tally::{Fault, Tally};
use crate::tape::{Left, Moment, Run, Tape, seed_of};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Something that lives on flash, and must survive whatever happens to power.
pub trait Subject {
    /// What a cut leaves of it.
    type Left: Left;
    /// What there is in the beginning. Power is off.
    fn begin(&self) -> Self::Left;
    /// Power comes back; goes on until all is done, and judges every step.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn perform(&self, left: Self::Left, power: &Power, run: &mut Run<'_, Self::Left>) -> Result<(), String>;
}

/// How much is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How torn words read.
    pub torn: Vec<Torn>,
    /// Every operation is cut in every way with each of these; without, with one that is drawn.
    pub every_mode: bool,
    /// The second cut of a pair comes in every way; without, in one that is drawn.
    pub every_second: bool,
    /// So many seeds for each torn operation.
    pub seeds: u64,
    /// Of all pairs of operations, one in so many is cut; 0: none.
    pub pairs: u64,
    /// Chains of up to five cuts: fewer where a recovery writes nothing.
    pub chains: u64,
    /// What all else is drawn from.
    pub seed: u64,
}

impl Default for Options {
    /// Every single cut, in every way.
    fn default() -> Self {
        Self {
            torn: Torn::ALL.to_vec(),
            every_mode: true,
            every_second: false,
            seeds: 1,
            pairs: 0,
            chains: 0,
            seed: 1,
        }
    }
}

/// Failures that are kept.
const KEPT: usize = 50;
/// Cuts of a chain, at most.
const CHAIN: usize = 5;

/// A search over the cuts of one subject.
pub struct Search<'a, S: Subject> {
    subject: &'a S,
    known: HashSet<u64>,
    tally: Tally,
    failures: Vec<(Case, String)>,
    failed: u64,
    each: Box<dyn Fn(u64) + 'a>,
}

/// What a run did, and the states it met.
type Recorded<L> = (Vec<Moment<L>>, Vec<u64>);

/// The salt of runs that are to be cut again, with torn words that read so.
const fn salt(torn: Torn) -> u64 {
    torn as u64 + 1
}

impl<'a, S: Subject> Search<'a, S> {
    /// A search that has found nothing yet.
    pub fn new(subject: &'a S) -> Self {
        let (known, failures) = (HashSet::new(), Vec::new());
        Self { subject, known, tally: Tally::default(), failures, failed: 0, each: Box::new(|_| {}) }
    }

    /// The same, telling how many cases were done whenever some were.
    #[must_use]
    pub fn telling(self, each: impl Fn(u64) + 'a) -> Self {
        Self { each: Box::new(each), ..self }
    }

    /// What was counted.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The first cases that went wrong, and why.
    pub fn failures(&self) -> &[(Case, String)] {
        &self.failures
    }

    /// How many cases went wrong.
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// One run; what it recorded.
    fn run(&self, left: S::Left, power: &Power, run: &mut Run<'_, S::Left>) -> Result<(), String> {
        let performed = catch_unwind(AssertUnwindSafe(|| self.subject.perform(left, power, run)));
        performed.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(format!("panic: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?")))
        })
    }

    /// The run without cuts.
    fn first(&self) -> Result<Recorded<S::Left>, String> {
        let power = Power::new(1, Torn::Stable);
        let left = self.subject.begin().on(&power);
        let mut run = Run::new(Tape::recording(), None, 0);
        self.run(left, &power, &mut run)?;
        Ok((run.tape.take(), run.met))
    }

    fn learn(&mut self, met: &[u64], salts: impl IntoIterator<Item = u64>) {
        for salt in salts {
            self.known.extend(met.iter().map(|state| crate::page::mixed(*state, salt)));
        }
    }

    fn fails(&mut self, case: Case, problem: String) {
        self.failed += 1;
        if self.failures.len() < KEPT {
            self.failures.push((case, problem));
        }
    }

    /// Judges one case; what its run recorded, if it is to be cut again.
    fn judge(&mut self, case: &Case, moment: &Moment<S::Left>, reason: Reason) -> Vec<Moment<S::Left>> {
        let depth = case.cuts.len();
        let Some(cut) = case.cuts.last() else { return Vec::new() };
        let (left, power) = moment.cut(cut.when, case.torn, seed_of(case.seed, depth));
        let deeper = reason != Reason::Leaf;
        let tape = if deeper { Tape::recording() } else { Tape::default() };
        let salt = if deeper { salt(case.torn) } else { 0 };
        let known = (reason != Reason::Chain).then_some(&self.known);
        let mut run = Run::new(tape, known, salt);
        let result = self.run(left, &power, &mut run);
        let (moments, met, at_once) = (run.tape.take(), run.met, run.stopped && run.starts == 1);
        self.tally.count(depth, Fault::of(cut.when, moment.is_erase(), case.torn), at_once);
        match result {
            Ok(()) => {
                if reason != Reason::Chain {
                    self.learn(&met, [0].into_iter().chain((salt > 0).then_some(salt)));
                }
                moments
            }
            Err(problem) => {
                self.fails(case.clone(), problem);
                Vec::new()
            }
        }
    }

    /// Searches.
    ///
    /// # Panics
    /// Without a way in which torn words read, or without a seed: nothing would be torn.
    pub fn explore(&mut self, options: &Options) {
        assert!(
            !options.torn.is_empty() && options.seeds > 0,
            "a search needs ways to read torn words, and a seed"
        );
        let first = match self.first() {
            Ok(first) => first,
            Err(problem) => {
                let case = Case { torn: Torn::Stable, cuts: Vec::new(), seed: options.seed };
                return self.fails(case, problem);
            }
        };
        let (moments, met) = first;
        if moments.is_empty() {
            // A subject that forgets its tape would pass whatever it does.
            let case = Case { torn: Torn::Stable, cuts: Vec::new(), seed: options.seed };
            return self.fails(case, "nothing was recorded: there is no operation to cut".to_owned());
        }
        self.tally.operations = moments.len() as u64;
        self.learn(&met, [0].into_iter().chain(Torn::ALL.map(salt)));
        for (at, moment) in (0u64..).zip(&moments) {
            let before = self.tally.cases();
            self.singles(options, at, moment);
            if options.pairs > 0 {
                self.pairs(options, at, moment);
            }
            (self.each)(self.tally.cases() - before);
        }
        for number in 0..options.chains {
            let before = self.tally.cases();
            self.chain(options, number, &moments);
            (self.each)(self.tally.cases() - before);
        }
    }

    /// Cuts one operation in every way.
    fn singles(&mut self, options: &Options, at: u64, moment: &Moment<S::Left>) {
        for when in When::ALL {
            let drawn = [draw(&options.torn, mix(options.seed ^ at << 8 ^ when as u64))];
            // What isn't torn has nothing to read differently.
            let every = options.every_mode && when.tears();
            for torn in if every { &options.torn[..] } else { &drawn } {
                for number in 0..if when.tears() { options.seeds } else { 1 } {
                    let seed = options.seed.wrapping_add(number);
                    let case = Case { torn: *torn, cuts: vec![Cut { at, when }], seed };
                    self.judge(&case, moment, Reason::Leaf);
                }
            }
        }
    }

    /// Cuts one operation in every way, then all operations that come after.
    fn pairs(&mut self, options: &Options, at: u64, moment: &Moment<S::Left>) {
        for when in When::ALL {
            let pick = mix(options.seed ^ mix(at << 8 ^ when as u64));
            let torn = draw(&options.torn, pick);
            let case = Case { torn, cuts: vec![Cut { at, when }], seed: pick };
            let moments = self.judge(&case, moment, Reason::Pair);
            for (second, moment) in (0u64..).zip(&moments) {
                let pick = mix(pick ^ mix(second));
                if !pick.is_multiple_of(options.pairs) {
                    continue;
                }
                let drawn = [draw(&When::ALL, pick >> 8)];
                for when in if options.every_second { &When::ALL[..] } else { &drawn } {
                    let cuts = vec![case.cuts[0], Cut { at: second, when: *when }];
                    self.judge(&Case { cuts, ..case.clone() }, moment, Reason::Leaf);
                }
            }
        }
    }

    /// Cuts somewhere, then somewhere in the recovery, and so on.
    fn chain(&mut self, options: &Options, number: u64, moments: &[Moment<S::Left>]) {
        let mut pick = mix(mix(options.seed ^ 0xc4a1) ^ number);
        let mut case = Case { torn: draw(&options.torn, pick >> 32), cuts: Vec::new(), seed: pick };
        let mut moments = moments.to_vec();
        while case.cuts.len() < CHAIN && !moments.is_empty() {
            pick = mix(pick);
            let at = pick % moments.len() as u64;
            case.cuts.push(Cut { at, when: draw(&When::ALL, pick >> 40) });
            moments = self.judge(&case, &moments[at as usize], Reason::Chain);
        }
    }

    /// Repeats a case, from the beginning.
    ///
    /// # Errors
    /// What goes wrong, or that there is no such case.
    pub fn replay(&self, case: &Case) -> Result<(), String> {
        let (mut moments, _) = self.first()?;
        for (depth, cut) in (1..).zip(&case.cuts) {
            let there = usize::try_from(cut.at).ok().and_then(|at| moments.get(at));
            let moment = there.ok_or_else(|| {
                format!("cut {depth} comes at operation {}, and there are {}", cut.at, moments.len())
            })?;
            let (left, power) = moment.cut(cut.when, case.torn, seed_of(case.seed, depth));
            let mut run = Run::new(Tape::recording(), None, 0);
            self.run(left, &power, &mut run)?;
            moments = run.tape.take();
        }
        Ok(())
    }
}

/// Why a case is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// For itself.
    Leaf,
    /// To be cut again at every operation.
    Pair,
    /// To be cut again somewhere: it goes on to its end, whatever is known.
    Chain,
}

fn draw<T: Copy>(from: &[T], pick: u64) -> T {
    from[(pick % from.len() as u64) as usize]
}
