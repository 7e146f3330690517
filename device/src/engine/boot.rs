//! What boots: authenticity and image digest of every release are checked at every boot (I6, I14, I16).

use super::{Act, Done, Engine, Stage, Who};
use crate::evidence::{Authentic, Permitted, Received, Trial};
use crate::io::{Hash, Job, mark};
use crate::media::Region;
use crate::rules::trial;
use crate::state::{Phase, Release, State};
use crate::swap;
use patchlane_protocol::Refusal;
use patchlane_protocol::status::CounterState;

/// Why the device restarted. Only what a bad image causes counts against a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Power came on, or the reset pin was used.
    PowerOn,
    /// Software asked for it.
    Requested,
    /// The watchdog bit.
    Watchdog,
    /// The processor met a fault.
    Fault,
}

/// What to boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Boot {
    /// The image in the primary slot: [`Engine::primary_slot`] says where that is.
    Run(Running),
    /// Nothing: service mode, and why.
    Service(Refusal),
}

/// What the image in the primary slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Running {
    /// The confirmed release.
    Confirmed,
    /// A release on trial, or soaking.
    Trial,
    /// The fallback, because the confirmed release is damaged.
    Fallback,
}

/// Ends a failed trial.
pub(super) fn fail_trial(state: &mut State) {
    if let Some(candidate) = state.candidate {
        let release = &candidate.release;
        state.failures.record(&release.manifest, release.version.security.level());
    }
    end_trial(state);
}

/// Ends a trial without blame: what ran before goes back, if it was kept.
pub(super) fn end_trial(state: &mut State) {
    state.phase = Phase::Revert;
    state.step = 0;
}

/// Counts a boot of a trial; true if the record changes.
fn count_boot(state: &mut State, failed_now: bool) -> bool {
    match state.phase {
        Phase::Trial { failed } if failed_now => {
            let failed = failed.saturating_add(1);
            state.phase = Phase::Trial { failed };
            if trial::is_over(failed) {
                fail_trial(state);
            }
            true
        }
        Phase::Soak { failed, boots } => {
            let failed = failed.saturating_add(u8::from(failed_now));
            let boots = boots.saturating_sub(1);
            state.phase = Phase::Soak { failed, boots };
            if trial::is_over(failed) {
                fail_trial(state);
            } else if let (0, false, Some(trial)) = (boots, failed_now, Trial::of(state)) {
                trial.confirm().commit(state);
            }
            true
        }
        _ => false,
    }
}

impl Engine {
    #[inline(never)]
    pub(super) fn count_and_go(&mut self, cause: Cause, counter: Option<u32>) -> Act {
        let Some(state) = self.bench.state.as_mut() else { return self.service(Refusal::NotProvisioned) };
        let floor = state.confirmed.version.security.level();
        if counter.is_some_and(|counter| counter > floor) {
            // An older state region was put back (T-rollback); running it would undo a fix.
            self.counter = CounterState::Above;
            return self.service(Refusal::CounterAbove);
        }
        let failed = matches!(cause, Cause::Watchdog | Cause::Fault);
        if count_boot(state, failed) { self.save(Stage::Go) } else { self.go() }
    }

    /// One decision for every phase.
    #[inline(never)]
    pub(super) fn go(&mut self) -> Act {
        let Some(state) = self.bench.state.as_ref() else { return self.service(Refusal::NotProvisioned) };
        let runs = if state.degraded { Who::Standby } else { Who::Confirmed };
        match state.phase {
            Phase::Idle | Phase::Receiving | Phase::Staged => self.check(runs),
            // What runs now is kept only if it is whole.
            Phase::Ready if self.whole.is_none() => self.check(runs),
            Phase::Ready => self.check(Who::Staged),
            Phase::Trial { .. } | Phase::Soak { .. } => self.check(Who::Trial),
            // The choice is written afresh before it is acted upon.
            Phase::Swap | Phase::Revert | Phase::Fallback => {
                let may_move = self.bench.log.is_owned() && !self.bench.layout.is_direct();
                if may_move { self.move_block() } else { self.save(Stage::Go) }
            }
        }
    }

    fn release(&self, who: Who) -> Option<&Release> {
        let state = self.bench.state.as_ref()?;
        match who {
            Who::Confirmed => Some(&state.confirmed),
            Who::Kept if !state.degraded => Some(&state.confirmed),
            Who::Standby | Who::Spare | Who::Kept => state.fallback.as_ref(),
            Who::Staged | Who::Trial => state.candidate.as_ref().map(|candidate| &candidate.release),
        }
    }

    /// Begins to judge a release: its receipt, then its image.
    pub(super) fn check(&mut self, who: Who) -> Act {
        (self.admitted, self.readback) = (None, None);
        match self.release(who).map(|release| release.cell) {
            Some(cell) => self.load(Stage::Loading(who), cell),
            None => self.judged(who, Err(Refusal::UnknownManifest)),
        }
    }

    pub(super) fn loaded(&mut self, who: Who, result: Result<(), Refusal>) -> Act {
        let authentic = result.and_then(|()| self.own_root(who)).and_then(|own| self.verify_head(own));
        self.receipt_verified(who, authentic)
    }

    #[inline(never)]
    fn receipt_verified(&mut self, who: Who, authentic: Result<Authentic, Refusal>) -> Act {
        match authentic.and_then(|authentic| self.judge_receipt(who, &authentic)) {
            Ok((region, at, size)) => self.job(Stage::Hashing(who), Job::Hash(Hash::new(region, at, size))),
            Err(refusal) => self.judged(who, Err(refusal)),
        }
    }

    /// Checks that the receipt just loaded is the one that the record names, and says under which root it is judged: a
    /// confirmed one under the root that admitted it, all others under the present one (I8).
    fn own_root(&mut self, who: Who) -> Result<bool, Refusal> {
        let read = self.receipt.take();
        let release = self.release(who).ok_or(Refusal::UnknownManifest)?;
        let state = self.bench.state.as_ref().ok_or(Refusal::NotProvisioned)?;
        if read.as_ref() != Some(&release.receipt) {
            return Err(Refusal::ImageDigest);
        }
        Ok(who == Who::Confirmed || who == Who::Kept && !state.degraded)
    }

    /// Judges the receipt just loaded and verified, and says what to read back: region, beginning, bytes.
    fn judge_receipt(&mut self, who: Who, authentic: &Authentic) -> Result<(Region, u32, u32), Refusal> {
        let release = self.release(who).ok_or(Refusal::UnknownManifest)?;
        let state = self.bench.state.as_ref().ok_or(Refusal::NotProvisioned)?;
        let docs = &self.bench.mem.docs;
        let verified = Received::parse(docs.manifest(), docs.signatures())?.recall(authentic)?;
        let role = match who {
            Who::Staged | Who::Spare | Who::Kept => Region::Secondary,
            Who::Confirmed | Who::Standby | Who::Trial => Region::Primary,
        };
        let slot = self.slot(role);
        if !verified.is(release, &slot) {
            return Err(Refusal::UnknownManifest);
        }
        let size = release.size;
        if who == Who::Staged {
            let permitted = verified.permit_staged(&self.facts(state, &release.manifest))?;
            self.permitted = Some(permitted);
            return Ok((role, self.bench.layout.staged_at(), size));
        }
        self.admitted = Some(verified.admit(&slot)?);
        Ok((role, 0, size))
    }

    #[inline(never)]
    pub(super) fn hashed(&mut self, who: Who, result: Result<(), Refusal>) -> Act {
        if who == Who::Staged {
            return self.staged_is_whole(result);
        }
        let boots = match (result, &self.admitted, &self.readback) {
            (Ok(()), Some(admitted), Some(readback)) => admitted.boots(readback),
            _ => Err(Refusal::ImageDigest),
        };
        self.judged(who, boots)
    }

    /// Where to jump to run what lies in the primary slot: after [`Boot::Run`], `address`; the last address there is if not
    /// all of it was found as it should be.
    #[inline(never)]
    pub fn entry(&self, address: usize) -> usize {
        match (&self.admitted, &self.readback) {
            (Some(admitted), Some(readback)) => admitted.entry(readback, address),
            _ => usize::MAX,
        }
    }

    /// Every rule is asked once more: it moves in what no later start asks them of.
    fn staged_again(&mut self) -> Result<Permitted, Refusal> {
        let permitted = self.permitted.take().ok_or(Refusal::ImageDigest)?;
        let state = self.bench.state.as_ref().ok_or(Refusal::NotProvisioned)?;
        let candidate = state.candidate.as_ref().ok_or(Refusal::UnknownManifest)?;
        let facts = self.facts(state, &candidate.release.manifest);
        permitted.again(self.bench.mem.docs.manifest(), &facts)
    }

    fn staged_is_whole(&mut self, read: Result<(), Refusal>) -> Act {
        let keep = self.whole == Some(true);
        let readback = self.readback.take().filter(|_| read.is_ok()).ok_or(Refusal::ImageDigest);
        let staged = readback.and_then(|readback| self.staged_again()?.stage(&readback));
        let installed = match (staged, self.bench.state.as_mut()) {
            (Ok(staged), Some(state)) => staged.install(state, keep),
            (Err(refusal), _) => Err(refusal),
            (_, None) => Err(Refusal::NotProvisioned),
        };
        match installed {
            Ok(()) => self.save(Stage::Go),
            Err(refusal) => self.judged(Who::Staged, Err(refusal)),
        }
    }

    /// Acts on what a release turned out to be.
    #[inline(never)]
    fn judged(&mut self, who: Who, verdict: Result<(), Refusal>) -> Act {
        match (who, verdict) {
            (Who::Kept, verdict) => self.kept_judged(verdict),
            (Who::Confirmed | Who::Standby, verdict) => self.primary_judged(who, verdict),
            (Who::Trial, Ok(())) => self.run(Running::Trial),
            (Who::Trial, Err(_)) => {
                if let Some(state) = self.bench.state.as_mut() {
                    fail_trial(state);
                }
                self.save(Stage::Go)
            }
            (Who::Spare, Ok(())) => {
                if let Some(state) = self.bench.state.as_mut() {
                    state.phase = Phase::Fallback;
                    state.step = 0;
                }
                self.save(Stage::Go)
            }
            (Who::Spare, Err(refusal)) => self.service(refusal),
            (Who::Staged, Ok(())) => self.go(),
            (Who::Staged, Err(refusal)) => self.staged_failed(refusal),
        }
    }

    fn primary_judged(&mut self, who: Who, verdict: Result<(), Refusal>) -> Act {
        let Some(state) = self.bench.state.as_ref() else { return self.service(Refusal::NotProvisioned) };
        let phase = state.phase;
        match verdict {
            Ok(()) if phase == Phase::Ready => {
                self.whole = Some(true);
                self.go()
            }
            Ok(()) if who == Who::Confirmed => self.run(Running::Confirmed),
            Ok(()) => self.run(Running::Fallback),
            Err(refusal) => {
                self.damaged |= who == Who::Confirmed;
                self.runs = false;
                self.whole = Some(false);
                match phase {
                    // A cure that waits for its hour needn't wait any longer.
                    Phase::Ready | Phase::Staged => self.check(Who::Staged),
                    _ => self.stand_in(refusal),
                }
            }
        }
    }

    /// v doesn't run: the fallback, or nothing.
    fn stand_in(&mut self, refusal: Refusal) -> Act {
        let spare =
            self.bench.state.as_ref().is_some_and(|state| {
                !state.degraded && state.fallback.is_some() && state.phase == Phase::Idle
            });
        if spare { self.check(Who::Spare) } else { self.service(refusal) }
    }

    /// What was staged can't go in. If only the owner's policy or consent is missing, it waits on.
    fn staged_failed(&mut self, refusal: Refusal) -> Act {
        let Some(state) = self.bench.state.as_mut() else { return self.service(Refusal::NotProvisioned) };
        let waits = matches!(
            refusal,
            Refusal::Held | Refusal::PolicyOff | Refusal::PolicyNotify | Refusal::PolicyNever
        );
        if waits && state.phase == Phase::Staged {
            return self.stand_in(refusal);
        }
        if waits {
            state.phase = Phase::Staged;
        } else {
            state.drop_candidate();
        }
        self.note_refusal(refusal);
        self.save(Stage::Go)
    }

    fn run(&mut self, running: Running) -> Act {
        let super::Task::Boot { counter, .. } = self.task else {
            return Act::End(Err(Refusal::NotInService));
        };
        self.runs = running != Running::Fallback;
        let done = Ok(Done::Boot(Boot::Run(running)));
        let floor = self.bench.state.as_ref().map_or(0, |state| state.confirmed.version.security.level());
        // The counter follows the record, and only a record written in this session is sure to stay.
        if counter.is_some_and(|counter| counter < floor) && !self.bench.log.is_owned() {
            return self.save(Stage::Ending(done));
        }
        Act::End(done)
    }

    pub(super) fn service(&mut self, reason: Refusal) -> Act {
        self.runs = false;
        self.serving = true;
        self.damaged = true;
        self.last_refusal = Some(reason.code());
        Act::End(Ok(Done::Boot(Boot::Service(reason))))
    }

    /// Moves the next block, or ends the move.
    #[inline(never)]
    pub(super) fn move_block(&mut self) -> Act {
        let Some(state) = self.bench.state.as_mut() else { return self.service(Refusal::NotProvisioned) };
        let Some((step, copy)) = swap::next(state, &self.bench.layout) else {
            state.arrive();
            return self.save(Stage::Go);
        };
        state.step = step;
        // A step is recorded before it erases.
        if self.marked == Some(step) {
            return self.job(Stage::Moving, Job::Copy(copy));
        }
        match mark(&mut self.bench, step) {
            Some(put) => {
                self.marked = Some(step);
                self.job(Stage::Marking, Job::Put(put))
            }
            None => self.save(Stage::Go),
        }
    }

    pub(super) fn moved(&mut self) -> Act {
        if let Some(state) = self.bench.state.as_mut() {
            state.step = state.step.saturating_add(1);
        }
        self.move_block()
    }
}
