//! What a patch does to a trial that is under way (DESIGN §4 "Trial", design-model2 finding 4).
//!
//! A patch must not wait for a feature update on trial (I3), and must not cost the device its only bootable
//! image (I14). So it ends the trial, one way or the other, but only if it will be accepted afterwards.

use super::transition::{Offer, Standing, Transition, classify};

/// How many failed boots end a trial.
pub const FAILED_BOOTS: u8 = 3;
/// How many failed trials of one manifest ask for an operator.
pub const FAILED_TRIALS: u8 = 3;

/// What is known when a bundle arrives during a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialFacts {
    /// The confirmed release.
    pub v: Standing,
    /// The release on trial.
    pub trial: Standing,
    /// True once the application said it is healthy: it soaks.
    pub healthy: bool,
    /// True if the bundle has no payload.
    pub payload_free: bool,
}

/// What to do with the trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrialEnd {
    /// Confirm it; the patch is for its baseline.
    Confirm,
    /// Revert it, if the confirmed release's image still verifies; the patch is for that one.
    RevertIfWhole,
    /// Let it go on; the bundle has to wait.
    Pending,
}

/// Says how `offer` ends the trial.
pub fn ends(offer: &Offer, facts: &TrialFacts) -> TrialEnd {
    // A payload-free patch fits only the images that remain.
    let fits = |left: &Standing| {
        classify(left, offer) == Ok(Transition::Patch) && (!facts.payload_free || offer.images == left.images)
    };
    if facts.healthy {
        return if fits(&facts.trial) { TrialEnd::Confirm } else { TrialEnd::Pending };
    }
    let news = !facts.trial.version.security.loses_nothing_of(&offer.version.security);
    if news && fits(&facts.v) { TrialEnd::RevertIfWhole } else { TrialEnd::Pending }
}

/// True if a trial has failed for good.
pub const fn is_over(failed_boots: u8) -> bool {
    failed_boots >= FAILED_BOOTS
}
