//! The owner's policy, applied to the derived transition (I17, SPEC §7.2).

use super::transition::Transition;
use patchlane_protocol::{FeaturePolicy, Policy, Refusal, SecurityPolicy};

/// Who approved this very manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Consent {
    /// Nobody.
    None,
    /// Someone whom the application authenticated.
    Local,
    /// The owner, by a signed document.
    Owner,
}

/// When a release that may be taken goes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Install {
    /// At the next restart: nothing useful runs.
    Now,
    /// As soon as the application allows it.
    InWindow,
    /// When someone asks for it.
    OnRequest,
}

/// All that the rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// The policy in force.
    pub policy: Policy,
    /// True if an owner anchor is set.
    pub anchored: bool,
    /// True if the confirmed release runs; false when a fallback runs, or nothing.
    pub runs: bool,
    /// The approval for this manifest.
    pub consent: Consent,
}

/// Says when the release goes in.
///
/// # Errors
/// `PolicyOff`, `PolicyNotify`, `PolicyNever`: not at all. `Held`: not without consent.
pub fn decide(transition: Transition, payload_free: bool, on: &Situation) -> Result<Install, Refusal> {
    match transition {
        Transition::Repair | Transition::Patch => security(payload_free, on),
        Transition::FeatureUpdate => feature(on),
        Transition::Rollback => rollback(on),
    }
}

fn security(payload_free: bool, on: &Situation) -> Result<Install, Refusal> {
    if !on.runs {
        // Nothing is protected by refusing the cure (I6).
        return Ok(Install::Now);
    }
    match on.policy.security {
        SecurityPolicy::Off => Err(Refusal::PolicyOff),
        SecurityPolicy::Notify => Err(Refusal::PolicyNotify),
        // Without payload nothing restarts, so nothing has to be waited for.
        SecurityPolicy::StageOnly if payload_free => Ok(Install::InWindow),
        SecurityPolicy::StageOnly => Ok(Install::OnRequest),
        SecurityPolicy::ApplyInWindow => Ok(Install::InWindow),
    }
}

/// OwnerKey without an owner acts as Never.
fn effective(on: &Situation) -> FeaturePolicy {
    if on.policy.feature == FeaturePolicy::OwnerKey && !on.anchored {
        FeaturePolicy::Never
    } else {
        on.policy.feature
    }
}

fn feature(on: &Situation) -> Result<Install, Refusal> {
    match (effective(on), on.consent) {
        (FeaturePolicy::Never, _) => Err(Refusal::PolicyNever),
        (FeaturePolicy::Auto, _)
        | (FeaturePolicy::Local, Consent::Local | Consent::Owner)
        | (FeaturePolicy::OwnerKey, Consent::Owner) => Ok(Install::InWindow),
        (FeaturePolicy::Local | FeaturePolicy::OwnerKey, _) => Err(Refusal::Held),
    }
}

/// True if only the owner's own approval counts: he reserves features to his key, or refuses them.
pub const fn owner_alone(policy: &Policy, anchored: bool) -> bool {
    anchored && matches!(policy.feature, FeaturePolicy::Never | FeaturePolicy::OwnerKey)
}

/// A rollback needs approval under every policy, and is possible under every policy. Where an owner exists who
/// reserves features to his key or refuses them, only his own approval counts.
fn rollback(on: &Situation) -> Result<Install, Refusal> {
    match on.consent {
        Consent::Owner => Ok(Install::InWindow),
        Consent::Local if !owner_alone(&on.policy, on.anchored) => Ok(Install::InWindow),
        Consent::Local | Consent::None => Err(Refusal::Held),
    }
}
