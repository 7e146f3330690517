//! The head of a bundle: the one place where it is decided what becomes of a release.

use super::{Act, Done, Engine, Stage as EngineStage, Who};
use crate::evidence::{Authentic, Facts, Permitted, Received, Trial, Verified};
use crate::io::{Hash, Job, Put, Source};
use crate::media::Region;
use crate::rules::Standing;
use crate::rules::transition::is_outdated;
use crate::rules::trial::{self, TrialEnd, TrialFacts};
use crate::state::{Listed, Phase, State};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{Digest, Refusal, SecurityPolicy, Version};

/// How far the taking of a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The log is open; flash may change.
    Opened {
        /// It comes without payload.
        payload_free: bool,
    },
    /// Its receipt lies in its cell; its payload may come.
    Stored,
    /// The record names it; the payload may come.
    Saved,
    /// The primary slot was read back for a release without payload.
    ReadBack,
    /// The primary slot was read back: it may be the base of a delta.
    Base {
        /// A part of the image is here already.
        resume: bool,
    },
}

/// What becomes of a release.
#[derive(Debug, Clone, Copy)]
enum Ruling {
    /// It waits for consent, and is listed; or is only listed.
    List(Refusal),
    /// It ends the trial, which is confirmed.
    Confirm,
    /// It ends the trial, which is reverted if what ran before is whole.
    Revert,
    /// It is here already.
    Here(Outcome),
    /// It is half here.
    Resume,
    /// It is taken.
    Take,
}

/// What a ruling is about, as far as it was found out. Beside the ruling, not in it: so it isn't moved about.
#[derive(Debug, Default)]
struct Found {
    listed: Option<Listed>,
    permitted: Option<Permitted>,
}

impl Engine {
    /// What is found out isn't on the stack yet while curves are computed.
    pub(super) fn head(&mut self) -> Act {
        let authentic = self.verify_head(false);
        self.verified(authentic)
    }

    #[inline(never)]
    fn verified(&mut self, authentic: Result<Authentic, Refusal>) -> Act {
        let mut found = Found::default();
        let ruling = match authentic.and_then(|authentic| self.rule(&authentic, &mut found)) {
            Ok(ruling) => ruling,
            // The bundle brought a new root, and nothing else this device needs.
            Err(Refusal::SameVersion) if self.intake.committed => {
                self.intake.stop();
                return Act::End(Ok(Done::Outcome(Outcome::RootCommitted)));
            }
            Err(refusal) => return Act::End(Err(refusal)),
        };
        self.permitted = found.permitted;
        match ruling {
            Ruling::List(refusal) => self.list(refusal, found.listed),
            Ruling::Confirm => self.confirm_for_patch(),
            Ruling::Revert => self.check(Who::Kept),
            Ruling::Here(outcome) => {
                self.intake.stop();
                Act::End(Ok(Done::Outcome(outcome)))
            }
            Ruling::Resume => self.look_at_base(true),
            Ruling::Take => self.take(),
        }
    }

    /// The rules, in order. Nothing here changes anything.
    #[inline(never)]
    fn rule(&self, authentic: &Authentic, found: &mut Found) -> Result<Ruling, Refusal> {
        let state = self.bench.state.as_ref().ok_or(Refusal::NotProvisioned)?;
        let docs = &self.bench.mem.docs;
        let verified = Received::parse(docs.manifest(), docs.signatures())?.recall(authentic)?;
        if state.phase.moves() || self.restart {
            return Err(Refusal::SendAgain);
        }
        let manifest = verified.digest();
        let facts = self.facts(state, &manifest);
        if state.phase.on_trial() {
            return self.rule_during_trial(state, &verified, &facts);
        }
        let rank = verified.rank(&facts)?;
        found.listed = Some(Listed { manifest, rank });
        // Its fixes come in no other way, so it is listed as a patch would be, though it may not go in.
        let notifies = verified.manifest().combined.is_some() && state.policy.security != SecurityPolicy::Off;
        match verified.permit(&facts) {
            Err(refusal @ Refusal::PolicyNever) if notifies => return Ok(Ruling::List(refusal)),
            Err(refusal @ (Refusal::Held | Refusal::PolicyNotify)) => return Ok(Ruling::List(refusal)),
            Err(refusal) => return Err(refusal),
            Ok(permitted) => found.permitted = Some(permitted),
        }
        match &state.candidate {
            Some(known) if known.release.manifest == manifest => {
                let has_payload = found.permitted.as_ref().is_some_and(Permitted::has_payload);
                // Where nothing is moved, what is received is what will run, and a word that a cut left marginal would
                // stay: it may have been compared on a good day. One session writes all of it.
                let resumes = self.written.is_some() || !self.bench.layout.is_direct();
                Ok(same_candidate(state.phase, has_payload && resumes))
            }
            Some(known) if !rank.outranks(&known.rank()) => Err(Refusal::Busy),
            _ => Ok(Ruling::Take),
        }
    }

    fn rule_during_trial(
        &self,
        state: &State,
        verified: &Verified<'_>,
        facts: &Facts<'_>,
    ) -> Result<Ruling, Refusal> {
        let candidate = &state.candidate.as_ref().ok_or(Refusal::TrialPending)?.release;
        if candidate.manifest == verified.digest() {
            return Err(Refusal::SameVersion);
        }
        verified.could_go_in(facts)?;
        let ends = TrialFacts {
            v: facts.v,
            trial: Standing { version: candidate.version, images: candidate.images, damaged: false },
            healthy: matches!(state.phase, Phase::Soak { .. }),
            payload_free: verified.manifest().is_payload_free(),
        };
        match trial::ends(&verified.offer(), &ends) {
            TrialEnd::Confirm => Ok(Ruling::Confirm),
            // With v damaged, what goes back is the fallback, which no payload-free patch of v fits.
            TrialEnd::RevertIfWhole if state.keep && !(state.degraded && ends.payload_free) => {
                Ok(Ruling::Revert)
            }
            TrialEnd::RevertIfWhole | TrialEnd::Pending => Err(Refusal::TrialPending),
        }
    }

    /// Remembers what waits for consent, unless something of higher rank waits already.
    #[inline(never)]
    fn list(&mut self, refusal: Refusal, listed: Option<Listed>) -> Act {
        let (Some(listed), Some(state)) = (listed, self.bench.state.as_mut()) else {
            return Act::End(Err(Refusal::NotProvisioned));
        };
        let displaces = state.held.as_ref().is_none_or(|held| {
            held.manifest != listed.manifest
                && (listed.rank.outranks(&held.rank) || is_superseded(state, held))
        });
        if !displaces {
            return Act::End(Err(refusal));
        }
        state.held = Some(listed);
        self.intake.stop();
        self.save(EngineStage::Ending(Err(refusal)))
    }

    #[inline(never)]
    fn confirm_for_patch(&mut self) -> Act {
        let trial = self.bench.state.as_ref().and_then(Trial::of);
        if let (Some(trial), Some(state)) = (trial, self.bench.state.as_mut()) {
            trial.confirm().commit(state);
        }
        self.save(EngineStage::Ending(Err(Refusal::SendAgain)))
    }

    /// What ran before the trial was judged: only if it is whole does the patch end the trial.
    pub(super) fn kept_judged(&mut self, verdict: Result<(), Refusal>) -> Act {
        if verdict.is_err() {
            return Act::End(Err(Refusal::TrialPending));
        }
        if let Some(state) = self.bench.state.as_mut() {
            super::boot::end_trial(state);
        }
        self.save(EngineStage::Ending(Err(Refusal::SendAgain)))
    }

    #[inline(never)]
    fn take(&mut self) -> Act {
        let (Some(permitted), Some(state)) = (self.permitted.as_ref(), self.bench.state.as_ref()) else {
            return Act::End(Err(Refusal::NotInService));
        };
        if permitted.has_payload() {
            return self.look_at_base(false);
        }
        if !self.runs || !permitted.is_same_images(&state.confirmed.images) {
            return Act::End(Err(Refusal::NeedPayload));
        }
        let hash = Hash::new(Region::Primary, 0, permitted.image().size.get());
        self.job(EngineStage::Head(Stage::ReadBack), Job::Hash(hash))
    }

    /// A delta is for one base: what lies in the primary slot is read, whatever the record says of it.
    fn look_at_base(&mut self, resume: bool) -> Act {
        let wants = self.permitted.as_ref().is_some_and(Permitted::wants_base);
        #[cfg(feature = "delta")]
        let wants = wants && self.distrust != Some(crate::verify::sha256(self.bench.mem.docs.manifest()));
        self.readback = None;
        if !wants {
            return self.base_known(resume);
        }
        let hash = Hash::new(Region::Primary, 0, self.base_size());
        self.job(EngineStage::Head(Stage::Base { resume }), Job::Hash(hash))
    }

    /// Bytes of the release in the primary slot.
    pub(super) fn base_size(&self) -> u32 {
        let Some(state) = self.bench.state.as_ref() else { return 0 };
        let fallback = state.fallback.as_ref().filter(|_| state.degraded);
        fallback.unwrap_or(&state.confirmed).size
    }

    #[inline(never)]
    fn base_known(&mut self, resume: bool) -> Act {
        let base = self.readback.take();
        let slot = self.slot(Region::Secondary);
        let Some(permitted) = self.permitted.as_mut() else { return Act::End(Err(Refusal::NotInService)) };
        let manifest = self.bench.mem.docs.manifest();
        match permitted.choose(manifest, &slot, base.as_ref()) {
            Err(refusal) => Act::End(Err(refusal)),
            Ok(()) if resume => self.expect_payload(None),
            Ok(()) => self.open_log(false),
        }
    }

    /// Flash is changed only on the word of a record that this session wrote.
    fn open_log(&mut self, payload_free: bool) -> Act {
        if self.bench.log.is_owned() {
            self.store_receipt(payload_free)
        } else {
            self.save(EngineStage::Head(Stage::Opened { payload_free }))
        }
    }

    fn store_receipt(&mut self, payload_free: bool) -> Act {
        let cell = self.bench.state.as_ref().map_or(0, |state| state.free_cell());
        let length = self.bench.mem.docs.receipt_length(Source::Receipt);
        let (at, erase) = (self.bench.layout.cell_at(cell), self.bench.layout.cell_size());
        let put = Put::new(Region::State, at, erase, Source::Receipt, length);
        let next = if payload_free { EngineStage::Applying } else { EngineStage::Head(Stage::Stored) };
        self.job(next, Job::Put(put))
    }

    #[inline(never)]
    pub(super) fn head_went_on(&mut self, stage: Stage, result: Result<(), Refusal>) -> Act {
        match stage {
            Stage::ReadBack => {
                let there = match (&self.permitted, &self.readback) {
                    (Some(permitted), Some(readback)) => result.is_ok() && permitted.is_there(readback),
                    _ => false,
                };
                if there { self.open_log(true) } else { Act::End(Err(Refusal::NeedPayload)) }
            }
            // What can't be read is no base.
            Stage::Base { resume } => self.base_known(resume),
            _ if result.is_err() => Act::End(Err(Refusal::Flash)),
            Stage::Opened { payload_free } => self.store_receipt(payload_free),
            Stage::Stored => self.receive(),
            Stage::Saved => self.expect_payload(Some(0)),
        }
    }

    fn expect_payload(&mut self, write_from: Option<u32>) -> Act {
        let Some(payload) = self.permitted.as_ref().and_then(Permitted::payload) else {
            return Act::End(Err(Refusal::NotInService));
        };
        self.begin_payload(payload, write_from);
        self.wanting()
    }

    fn receive(&mut self) -> Act {
        let receipt = self.receipt_digest();
        let (Some(permitted), Some(state)) = (self.permitted.as_ref(), self.bench.state.as_mut()) else {
            return Act::End(Err(Refusal::NotInService));
        };
        let cell = state.free_cell();
        permitted.receive(state, receipt, cell);
        self.save(EngineStage::Head(Stage::Saved))
    }

    /// A release without payload is about to be confirmed, and its head is verified once more: a floor is for good, and one
    /// skipped instruction mustn't raise it (T47).
    #[inline(never)]
    pub(super) fn apply(&mut self, stored: Result<(), Refusal>) -> Act {
        let again = stored.and_then(|()| self.verify_head(false));
        self.applied(again)
    }

    /// Confirms a release without payload: every digest was read back from the primary slot.
    #[inline(never)]
    fn applied(&mut self, again: Result<Authentic, Refusal>) -> Act {
        let receipt = self.receipt_digest();
        let taken = (self.permitted.take(), self.readback.take(), self.bench.state.as_mut());
        let (Some(permitted), Some(readback), Some(state)) = taken else {
            return Act::End(Err(Refusal::NotInService));
        };
        let cell = state.free_cell();
        let installed = again.and_then(|again| permitted.is_installed(&again, &readback, receipt, cell));
        match installed {
            Ok(confirmed) => {
                confirmed.commit(state);
                drop_if_outdated(state);
                self.intake.stop();
                self.save(EngineStage::Ending(Ok(Done::Outcome(Outcome::Applied))))
            }
            Err(refusal) => Act::End(Err(refusal)),
        }
    }

    fn receipt_digest(&self) -> Digest {
        self.bench.mem.docs.receipt_digest(Source::Receipt)
    }
}

fn same_candidate(phase: Phase, resumes: bool) -> Ruling {
    match phase {
        Phase::Ready => Ruling::Here(Outcome::Ready),
        Phase::Staged => Ruling::Here(Outcome::Staged),
        _ if resumes => Ruling::Resume,
        _ => Ruling::Take,
    }
}

/// True if installing it would by now be refused.
pub(super) fn is_superseded(state: &State, held: &Listed) -> bool {
    is_outdated(&state.confirmed.version, &held.rank.version)
}

/// A candidate that the new level outdated is forgotten; one that still moves the baseline up goes on.
fn drop_if_outdated(state: &mut State) {
    let outdated = |version: &Version| is_outdated(&state.confirmed.version, version);
    if state.candidate.is_some_and(|candidate| outdated(&candidate.release.version)) {
        state.drop_candidate();
    }
}
