//! The status report (SPEC §8.4).

use super::Engine;
use super::head::is_superseded;
use crate::state::{Phase, Release, State};
use patchlane_protocol::status::{Activity, CounterState, Held, Named};
use patchlane_protocol::{Refusal, Status};

const fn named(release: &Release) -> Named {
    Named { version: release.version, manifest: release.manifest }
}

impl Engine {
    /// Notes what the monotonic counter turned out to be.
    pub fn note_counter(&mut self, counter: CounterState) {
        // A counter above the floor stays news until the device is provisioned anew.
        if self.counter != CounterState::Above {
            self.counter = counter;
        }
    }

    fn activity(&self, state: &State) -> Activity {
        match state.phase {
            _ if self.serving => Activity::Service,
            Phase::Receiving => Activity::Receiving,
            Phase::Staged => Activity::Staged,
            Phase::Ready | Phase::Swap | Phase::Revert | Phase::Fallback => Activity::Ready,
            Phase::Trial { .. } => Activity::Trial,
            Phase::Soak { .. } => Activity::Soak,
            Phase::Idle if state.degraded => Activity::Degraded,
            Phase::Idle => Activity::Idle,
        }
    }

    /// What the device says about itself.
    ///
    /// # Errors
    /// `NotProvisioned` if there is no readable state.
    pub fn status(&self) -> Result<Status, Refusal> {
        let state = self.bench.state.as_ref().filter(|_| self.open).ok_or(Refusal::NotProvisioned)?;
        let product = self.root_document().map_err(|_| Refusal::NotProvisioned)?.product;
        let failed_boots = match state.phase {
            Phase::Trial { failed } | Phase::Soak { failed, .. } => failed,
            _ => 0,
        };
        Ok(Status {
            device: state.device,
            product,
            hardware: state.hardware,
            group: state.group,
            root_version: state.root.version,
            development: state.root.development,
            owned: state.anchor.is_some(),
            serial: state.serial,
            policy: state.policy,
            confirmed: named(&state.confirmed),
            activity: self.activity(state),
            candidate: state.candidate.map(|candidate| named(&candidate.release)),
            held: state.held.map(|held| Held {
                release: Named { version: held.rank.version, manifest: held.manifest },
                superseded: is_superseded(state, &held),
            }),
            approval: state.approval.map(|approval| approval.manifest),
            overdue: self.is_overdue() && matches!(state.phase, Phase::Staged | Phase::Ready),
            failed_boots,
            rejections: self.rejections,
            last_refusal: self.last_refusal,
            counter: self.counter,
            fenced: self.config.fenced,
        })
    }
}
