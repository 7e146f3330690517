//! A case's run, forked before every instruction that is to be skipped.

use super::cases::{Case, Golden, Installs, entry, is_inside, left, runs};
use super::machine::{End, Ends, Machine, Start};
use super::trace::{self, Chosen, Extent, Place};
use super::{PATIENCE, Target};
use crate::skips::stub::Stop;
use patchlane_protocol::Digest;
use std::time::{Duration, Instant};

/// What a skip led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The same as without it.
    Same,
    /// Something else that is no harm: another refusal, service mode, another release that may run.
    Other,
    /// It begins anew, hangs or locks up, and nothing bad is on flash.
    Stops,
    /// What must not get in is in.
    Bad(String),
}

/// A skip and what it led to.
#[derive(Debug, Clone)]
pub struct Skip {
    /// The instruction's address.
    pub at: u32,
    /// Its number in the trace.
    pub place: Place,
    /// What it led to.
    pub verdict: Verdict,
}

/// A case that was searched.
#[derive(Debug)]
pub struct Searched {
    /// Instructions that ran.
    pub ran: usize,
    /// Different ones.
    pub different: usize,
    /// Skips that were to be tried.
    pub chosen: usize,
    /// Every skip.
    pub skips: Vec<Skip>,
    /// Where skips that belong to them weren't tried: they are out of reach ([`trace::Chosen`]).
    pub out_of_reach: Vec<u32>,
}

/// How a start ended: how, and what is on flash then.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ended {
    end: End,
    flash: Vec<u8>,
}

struct Search<'a> {
    target: &'a Target,
    case: &'a Case,
    ends: Ends,
    /// How it ends without skips, and how long that takes at most.
    golden: Ended,
    patience: Duration,
}

/// Starts a board, and lets it run to its end.
fn whole(target: &Target, ends: &Ends, from: u32, start: &Start) -> Result<Ended, String> {
    let mut machine = Machine::new(target.model, &target.bootloader, start, &[])?;
    machine.reach(from, PATIENCE)?;
    for end in ends.all() {
        machine.stub.set(end)?;
    }
    let end = machine.run(ends, PATIENCE)?;
    Ok(Ended { end, flash: machine.flash()? })
}

impl<'a> Search<'a> {
    /// Both controls: what is good gets in, and what is bad doesn't.
    fn new(target: &'a Target, case: &'a Case) -> Result<Self, String> {
        let ends = Ends::of(&target.program, entry(target.model), case.golden == Golden::Answers)?;
        let from = target.program.address(case.from)?;
        let good = whole(target, &ends, from, &case.good)?;
        let installs = match case.installs {
            Installs::Image(_) => good.end == End::Runs,
            Installs::Root(_) | Installs::Manifest(_) => true,
        };
        let installs = installs && case.is_answered(target.model, &good.flash);
        if !installs {
            return Err(format!("{}: what is good doesn't get in: {:?}", case.name, good.end));
        }
        let begun = Instant::now();
        let golden = whole(target, &ends, from, &case.start)?;
        let patience = begun.elapsed() * 4 + Duration::from_secs(2);
        let refused = match case.golden {
            Golden::Runs(image) => golden.end == End::Runs && runs(target.model, &golden.flash) == image,
            Golden::Serves | Golden::Answers => golden.end == End::Serves,
        };
        let search = Self { target, case, ends, golden, patience };
        match left(target.model, case, &search.golden.flash) {
            None if refused => Ok(search),
            left => {
                Err(format!("{}: without a skip it ends so: {:?} {left:?}", case.name, search.golden.end))
            }
        }
    }

    fn is_bad(&self, image: Digest) -> bool {
        !self.case.may_run.contains(&image)
    }

    /// From the instruction that the machine stands before: it is skipped.
    fn fork(&self, machine: &mut Machine, at: u32) -> Result<Verdict, String> {
        let length = self.target.program.instruction(at).map_or(2, |(length, _)| length);
        machine.stub.jump(at + length)?;
        for end in self.ends.all() {
            machine.stub.set(end)?;
        }
        let mut end = machine.run(&self.ends, self.patience)?;
        let mut starts = 0;
        // A reset that left no trace is the start that the control has shown.
        while end == End::Resets && machine.flash()? != self.case.start.flash && starts < 3 {
            starts += 1;
            machine.stub.step()?;
            end = machine.run(&self.ends, self.patience)?;
        }
        if end == End::LocksUp {
            machine.revive()?;
            return Ok(Verdict::Stops);
        }
        let verdict = self.judge(&Ended { flash: machine.flash()?, end });
        for end in self.ends.all() {
            machine.stub.clear(end)?;
        }
        machine.recall()?;
        Ok(verdict)
    }

    fn judge(&self, ended: &Ended) -> Verdict {
        let image = runs(self.target.model, &ended.flash);
        let executes = match ended.end {
            End::Runs => true,
            End::Hangs(at) => is_inside(self.target.model, at),
            _ => false,
        };
        if executes && self.is_bad(image) {
            return Verdict::Bad("an image runs that must not".into());
        }
        if *ended == self.golden {
            return Verdict::Same;
        }
        let is_new = ended.flash != self.golden.flash && ended.flash != self.case.start.flash;
        if is_new && let Some(left) = left(self.target.model, self.case, &ended.flash) {
            return Verdict::Bad(left);
        }
        match ended.end {
            End::Runs | End::Serves => Verdict::Other,
            End::Resets | End::Hangs(_) | End::LocksUp => Verdict::Stops,
        }
    }

    /// Goes on to a later place of the trace, and remembers it.
    fn go(&self, machine: &mut Machine, trace: &[u32], here: Place, to: Place) -> Result<(), String> {
        let at = trace[to];
        if here == to {
            return machine.remember();
        }
        if trace[here] == at {
            machine.stub.step()?;
        }
        machine.stub.set(at)?;
        for number in 0..trace::stops(trace, here, to) {
            if number > 0 {
                machine.stub.step()?;
            }
            if machine.stub.pc()? != at && machine.stub.run(PATIENCE)? != Stop::Here {
                return Err(format!("{}: {at:#x} isn't reached as in the trace", self.case.name));
            }
        }
        machine.stub.clear(at)?;
        machine.remember()
    }
}

/// Skips what `extent` asks for, or one instruction alone.
///
/// # Errors
/// If a control fails, or QEMU.
pub fn search(
    target: &Target,
    case: &Case,
    extent: Extent,
    only: Option<(u32, Place)>,
    progress: &dyn Fn(usize, usize),
) -> Result<Searched, String> {
    let search = Search::new(target, case)?;
    let trace = trace::trace(target, case, &search.ends)?;
    let Chosen { places, out_of_reach } = match only {
        Some((_, place)) => Chosen { places: vec![place], ..Chosen::default() },
        None => trace::choose(&target.program, &trace, extent),
    };
    let out_of_reach = out_of_reach.into_iter().map(|place| trace[place]).collect();
    let mut different = trace.clone();
    different.sort_unstable();
    different.dedup();
    let mut machine = Machine::new(target.model, &target.bootloader, &case.start, &[])?;
    machine.reach(target.program.address(case.from)?, PATIENCE)?;
    let mut here = 0;
    let mut skips = Vec::new();
    let tried = if extent.count { &[][..] } else { &places };
    for (number, place) in tried.iter().enumerate() {
        search.go(&mut machine, &trace, here, *place)?;
        here = *place;
        let at = trace[here];
        if only.is_some_and(|(wanted, _)| wanted != at) {
            return Err(format!(
                "instruction {here} of the trace is at {at:#x}: the bootloader is another one"
            ));
        }
        skips.push(Skip { at, place: here, verdict: search.fork(&mut machine, at)? });
        progress(number + 1, places.len());
    }
    Ok(Searched { ran: trace.len(), different: different.len(), chosen: places.len(), skips, out_of_reach })
}
