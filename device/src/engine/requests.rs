//! What the application, the operator and the owner ask for. Each request changes the state in RAM and says whether
//! a record has to be written; nothing here touches flash.

use super::Engine;
use super::boot::{end_trial, fail_trial};
use super::head::is_superseded;
use crate::evidence::Trial;
use crate::rules::policy::{self, Consent, Install};
use crate::rules::trial;
use crate::state::{Approval, Phase, State};
use crate::verify::{self, Addressee, OwnerClaim};
use patchlane_protocol::owner::{Action, Request, SignedOwner};
use patchlane_protocol::{Digest, Policy, PublicKey, Refusal};

/// Whether the application lets a restart happen now. Nothing is ever forced (recital 56).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// Now is fine.
    Open,
    /// Not now.
    Closed,
    /// Not now, and for longer than the plant's own rule allows: status says so.
    Overdue,
}

/// What a request led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Change {
    /// The state changed; [`super::Task::Save`] makes it last.
    Save,
    /// Nothing changed.
    Nothing,
}

impl Engine {
    fn open_state(&mut self) -> Result<&mut State, Refusal> {
        if !self.open {
            return Err(Refusal::NotProvisioned);
        }
        self.bench.state.as_mut().ok_or(Refusal::NotProvisioned)
    }

    /// The application says that the release it is works.
    ///
    /// # Errors
    /// `NotProvisioned`.
    #[inline(never)]
    pub fn healthy(&mut self) -> Result<Change, Refusal> {
        let soak = self.config.soak;
        let state = self.open_state()?;
        match (state.phase, Trial::of(state)) {
            (Phase::Trial { failed }, Some(_)) if soak > 0 => {
                state.phase = Phase::Soak { failed, boots: soak };
                Ok(Change::Save)
            }
            (Phase::Trial { .. }, Some(trial)) => {
                trial.confirm().commit(state);
                Ok(Change::Save)
            }
            _ => Ok(Change::Nothing),
        }
    }

    /// The application says that it can't work: its own deadline passed. Counts as a failed boot; a restart follows.
    ///
    /// # Errors
    /// `NotProvisioned`.
    pub fn failing(&mut self) -> Result<Change, Refusal> {
        let state = self.open_state()?;
        let failed = match &mut state.phase {
            Phase::Trial { failed } | Phase::Soak { failed, .. } => {
                *failed = failed.saturating_add(1);
                *failed
            }
            _ => return Ok(Change::Nothing),
        };
        if trial::is_over(failed) {
            fail_trial(state);
        }
        self.restart = true;
        Ok(Change::Save)
    }

    /// The application opens or closes the window in which patches may go in.
    ///
    /// # Errors
    /// `NotProvisioned`.
    pub fn window(&mut self, window: Window) -> Result<Change, Refusal> {
        self.window = window;
        match (window, self.install_of(Phase::Staged), self.install_of(Phase::Ready)) {
            (Window::Open, Some(Install::Now | Install::InWindow), _) => self.move_to(Phase::Ready),
            // A power cycle applies nothing whose window is closed.
            (Window::Closed | Window::Overdue, _, Some(Install::InWindow)) => self.move_to(Phase::Staged),
            _ => Ok(Change::Nothing),
        }
    }

    pub(super) const fn is_overdue(&self) -> bool {
        matches!(self.window, Window::Overdue)
    }

    /// When the candidate that is in this phase goes in, judged by the policy and the approvals of now.
    #[inline(never)]
    pub(super) fn install_of(&self, phase: Phase) -> Option<Install> {
        let state = self.bench.state.as_ref().filter(|state| state.phase == phase)?;
        let candidate = state.candidate?;
        let facts = self.facts(state, &candidate.release.manifest);
        policy::decide(candidate.transition, false, &facts.on).ok()
    }

    fn move_to(&mut self, phase: Phase) -> Result<Change, Refusal> {
        let state = self.open_state()?;
        state.phase = phase;
        Ok(Change::Save)
    }

    /// What goes in when may have changed with the policy: what was ready waits, unless the new one lets it go on.
    fn change_policy(&mut self, policy: Policy) -> Result<Change, Refusal> {
        let state = self.open_state()?;
        if core::mem::replace(&mut state.policy, policy) == policy {
            return Ok(Change::Nothing);
        }
        let goes_on = match self.install_of(Phase::Ready) {
            Some(Install::Now) => true,
            Some(Install::InWindow) => self.window == Window::Open,
            Some(Install::OnRequest) | None => false,
        };
        let state = self.open_state()?;
        if state.phase == Phase::Ready && !goes_on {
            state.phase = Phase::Staged;
        }
        Ok(Change::Save)
    }

    /// A request that came over the service link, granted by the application.
    ///
    /// # Errors
    /// The rule that the request breaks.
    pub fn local(&mut self, action: Action, manifest: &Digest) -> Result<Change, Refusal> {
        self.release_request(action, manifest, Consent::Local)
    }

    /// A local request for a policy, granted by the application; only while no owner exists.
    ///
    /// # Errors
    /// `OwnerSignature` if there is an owner.
    pub fn set_policy(&mut self, policy: Policy) -> Result<Change, Refusal> {
        let state = self.open_state()?;
        if state.anchor.is_some() {
            return Err(Refusal::OwnerSignature);
        }
        self.change_policy(policy)
    }

    /// A local request for an owner anchor, granted by the application; only while none exists.
    ///
    /// # Errors
    /// `OwnerSignature` if there is one, `VendorKeyAsOwner`.
    pub fn set_anchor(&mut self, key: PublicKey) -> Result<Change, Refusal> {
        verify::new_anchor(&key, &self.root_document()?)?;
        let state = self.open_state()?;
        if state.anchor.is_some() {
            return Err(Refusal::OwnerSignature);
        }
        state.anchor = Some(key);
        Ok(Change::Save)
    }

    /// A signed document of the owner. Its serial is spent once it is accepted.
    ///
    /// # Errors
    /// As [`verify::owner`], and the rule that the request breaks; then the serial isn't spent.
    #[inline(never)]
    pub fn owner(&mut self, bytes: &[u8]) -> Result<Change, Refusal> {
        match &self.owner_claim(bytes) {
            Ok(claim) => claim.holds()?,
            Err(refusal) => return Err(*refusal),
        }
        self.owner_asks(bytes)
    }

    #[inline(never)]
    fn owner_claim<'a>(&self, bytes: &'a [u8]) -> Result<OwnerClaim<'a>, Refusal> {
        let signed = SignedOwner::parse(bytes)?;
        let state = self.bench.state.as_ref().filter(|_| self.open).ok_or(Refusal::NotProvisioned)?;
        let root = self.root_document()?;
        let on = Addressee {
            root: &root,
            anchor: state.anchor,
            device: state.device,
            group: state.group,
            serial: state.serial,
        };
        OwnerClaim::of(&signed, &on)
    }

    /// What the owner asks for, once it is known that he does.
    #[inline(never)]
    fn owner_asks(&mut self, bytes: &[u8]) -> Result<Change, Refusal> {
        let document = SignedOwner::parse(bytes)?.document;
        match document.request {
            Request::Release { action, manifest } => {
                let _ = self.release_request(action, &manifest, Consent::Owner)?;
            }
            Request::Policy(policy) => {
                let _ = self.change_policy(policy)?;
            }
            Request::Anchor(key) => self.open_state()?.anchor = Some(key),
        }
        self.open_state()?.serial = document.serial;
        Ok(Change::Save)
    }

    #[inline(never)]
    fn release_request(&mut self, action: Action, manifest: &Digest, by: Consent) -> Result<Change, Refusal> {
        if action == Action::Apply {
            // Any answer but a refusal will do: someone asks for it now.
            let _when = self.judge_staged(manifest)?;
            return self.move_to(Phase::Ready);
        }
        let soaked = Trial::of(self.open_state()?);
        let state = self.open_state()?;
        let on_trial = state.phase.on_trial()
            && state.candidate.is_some_and(|candidate| candidate.release.manifest == *manifest);
        match action {
            Action::Approve => approve(state, manifest, by),
            Action::Withdraw => withdraw(state, manifest),
            Action::Retry if state.failures.forgive(manifest) => Ok(Change::Save),
            Action::Keep | Action::Revert if !on_trial => Err(Refusal::UnknownManifest),
            Action::Keep => match (state.phase, soaked) {
                (Phase::Soak { .. }, Some(trial)) => {
                    trial.confirm().commit(state);
                    Ok(Change::Save)
                }
                _ => Err(Refusal::TrialPending),
            },
            Action::Revert => {
                state.approval = state.approval.filter(|approval| approval.manifest != *manifest);
                end_trial(state);
                self.restart = true;
                Ok(Change::Save)
            }
            Action::Retry | Action::Apply => Err(Refusal::UnknownManifest),
        }
    }

    /// What is staged is judged again when someone asks for it.
    fn judge_staged(&mut self, manifest: &Digest) -> Result<Install, Refusal> {
        let state = self.bench.state.as_ref().filter(|state| state.phase == Phase::Staged);
        let state = state.ok_or(Refusal::UnknownManifest)?;
        let candidate = state.candidate.filter(|candidate| candidate.release.manifest == *manifest);
        let candidate = candidate.ok_or(Refusal::UnknownManifest)?;
        policy::decide(candidate.transition, false, &self.facts(state, manifest).on)
    }
}

/// One approval is pending; a later one replaces it. It may come before its bundle was seen.
fn approve(state: &mut State, manifest: &Digest, by: Consent) -> Result<Change, Refusal> {
    let by_owner = by == Consent::Owner;
    if !by_owner && policy::owner_alone(&state.policy, state.anchor.is_some()) {
        return Err(Refusal::OwnerSignature);
    }
    if state.held.is_some_and(|held| held.manifest == *manifest && is_superseded(state, &held)) {
        return Err(Refusal::LosesFix);
    }
    if *manifest == state.confirmed.manifest {
        return Err(Refusal::SameVersion);
    }
    let approval = Some(Approval { manifest: *manifest, by_owner });
    let before = core::mem::replace(&mut state.approval, approval);
    Ok(if before == approval { Change::Nothing } else { Change::Save })
}

/// Ends an approval, and discards what is on its way in under this manifest.
fn withdraw(state: &mut State, manifest: &Digest) -> Result<Change, Refusal> {
    let waits = matches!(state.phase, Phase::Receiving | Phase::Staged | Phase::Ready);
    let candidate = state.candidate.is_some_and(|candidate| candidate.release.manifest == *manifest);
    let approved = state.approval.is_some_and(|approval| approval.manifest == *manifest);
    let held = state.held.is_some_and(|held| held.manifest == *manifest);
    if !(approved || held || candidate && waits) {
        return Err(Refusal::UnknownManifest);
    }
    if approved {
        state.approval = None;
    }
    if held {
        state.held = None;
    }
    if candidate && waits {
        state.drop_candidate();
    }
    Ok(Change::Save)
}
