//! Truth tables of the pure rules, stated here a second time from DESIGN §2 and §4.

use patchlane_device::protocol::version::Open;
use patchlane_device::protocol::{
    Baseline, Digest, FeaturePolicy, Kind, Policy, Refusal, Security, SecurityPolicy, Version,
};
use patchlane_device::rules::failures::Failures;
use patchlane_device::rules::fallback::{Left, keeps};
use patchlane_device::rules::policy::{decide, owner_alone};
use patchlane_device::rules::transition::{classify, is_outdated};
use patchlane_device::rules::trial::{FAILED_BOOTS, ends, is_over};
use patchlane_device::rules::{
    Consent, Install, Offer, Rank, Situation, Standing, Transition, TrialEnd, TrialFacts,
};
use std::collections::BTreeSet;

/// Every security axis up to level 3.
fn securities() -> Vec<Security> {
    let mut all = Vec::new();
    for level in 0..=3u32 {
        for mask in 0..1u32 << level.saturating_sub(1) {
            let open: Vec<u32> = (1..level).filter(|i| mask >> (i - 1) & 1 == 1).collect();
            all.push(Security::new(level, Open::new(&open).unwrap()).unwrap());
        }
    }
    all
}

fn handled(security: &Security) -> BTreeSet<u32> {
    (1..=9).filter(|index| security.handles(*index)).collect()
}

fn versions() -> Vec<Version> {
    let baselines = [(4, 1), (4, 2), (5, 0)].map(|(line, step)| Baseline { line, step });
    let of = |feature| securities().into_iter().map(move |security| Version { feature, security });
    baselines.into_iter().flat_map(of).collect()
}

const SAME: Digest = Digest([1; 32]);
const OTHER: Digest = Digest([2; 32]);
const TRANSITIONS: [Transition; 4] =
    [Transition::Repair, Transition::Patch, Transition::FeatureUpdate, Transition::Rollback];

/// DESIGN §2, the table of bundles and transitions, on sets instead of versions.
fn wanted_transition(
    v: &Version,
    w: &Version,
    kind: Kind,
    damaged: bool,
    same: bool,
) -> Result<Transition, Refusal> {
    let (old, new) = (handled(&v.security), handled(&w.security));
    if kind == Kind::SecurityPatch && w.feature != v.feature {
        Err(Refusal::PatchMovesFeature)
    } else if !new.is_superset(&old) {
        Err(Refusal::LosesFix)
    } else if w.feature > v.feature {
        Ok(Transition::FeatureUpdate)
    } else if w.feature < v.feature {
        Ok(Transition::Rollback)
    } else if new != old {
        Ok(Transition::Patch)
    } else if kind == Kind::FeatureUpdate && damaged && same {
        Ok(Transition::Repair)
    } else {
        Err(Refusal::SameVersion)
    }
}

#[test]
fn the_transition_is_what_the_table_of_design_2_says() {
    let mut seen = BTreeSet::new();
    for v in versions() {
        for w in versions() {
            for case in 0..8u8 {
                let kind = if case & 1 == 0 { Kind::SecurityPatch } else { Kind::FeatureUpdate };
                let (damaged, same) = (case & 2 != 0, case & 4 != 0);
                let wanted = wanted_transition(&v, &w, kind, damaged, same);
                seen.insert(format!("{wanted:?}"));
                let standing = Standing { version: v, images: SAME, damaged };
                let images = if same { SAME } else { OTHER };
                let got = classify(&standing, &Offer { kind, version: w, images });
                assert_eq!(got, wanted, "{v} {w} {kind:?}");
                // What is outdated can at most repair, and what isn't could go in, whoever had signed it.
                if is_outdated(&v, &w) {
                    assert!(matches!(wanted, Err(_) | Ok(Transition::Repair)), "{v} {w}");
                } else if kind == Kind::FeatureUpdate {
                    assert!(matches!(wanted, Ok(transition) if transition != Transition::Repair), "{v} {w}");
                }
            }
        }
    }
    assert_eq!(seen.len(), 7, "a row of the table was never met: {seen:?}");
}

fn ranks() -> Vec<Rank> {
    let mut all = Vec::new();
    for transition in TRANSITIONS {
        for version in versions() {
            for issued_at in [1, 2] {
                all.push(Rank { transition, version, issued_at });
            }
        }
    }
    all
}

#[test]
fn rank_is_asymmetric_and_knows_its_order() {
    use Transition::{FeatureUpdate, Patch, Repair, Rollback};
    let all = ranks();
    for a in &all {
        assert!(!a.outranks(a), "{a:?} displaces itself");
        for b in &all {
            assert!(!(a.outranks(b) && b.outranks(a)), "{a:?} {b:?}");
        }
    }
    let rank = |transition, version, issued_at| Rank { transition, version, issued_at };
    let v = Version::new;
    let open = Version { security: Security::new(9, Open::new(&[8]).unwrap()).unwrap(), ..v(4, 1, 0) };
    for (high, low) in [
        (rank(Repair, v(4, 1, 1), 1), rank(Patch, v(4, 1, 9), 9)),
        (rank(Patch, v(4, 1, 8), 1), rank(FeatureUpdate, v(9, 9, 9), 9)),
        (rank(Patch, v(4, 1, 8), 1), rank(Rollback, v(3, 0, 9), 9)),
        (rank(Patch, v(4, 1, 9), 1), rank(Patch, v(4, 1, 8), 9)),
        // Inclusion first: 9 handles more than 9 with 8 open.
        (rank(Patch, v(4, 1, 9), 1), rank(Patch, open, 9)),
        // Incomparable: the level decides.
        (rank(Patch, open, 1), rank(Patch, v(4, 1, 8), 9)),
        (rank(FeatureUpdate, v(5, 0, 8), 1), rank(FeatureUpdate, v(4, 9, 8), 9)),
        (rank(Patch, v(4, 1, 8), 2), rank(Patch, v(4, 1, 8), 1)),
    ] {
        assert!(high.outranks(&low), "{high:?} {low:?}");
        assert!(!low.outranks(&high), "{high:?} {low:?}");
    }
}

/// Depth-first search for a cycle in "is displaced by".
fn visit(at: usize, all: &[Rank], state: &mut [u8]) {
    state[at] = 1;
    for next in 0..all.len() {
        if all[next].outranks(&all[at]) {
            assert_ne!(state[next], 1, "a cycle through {:?}", all[next]);
            if state[next] == 0 {
                visit(next, all, state);
            }
        }
    }
    state[at] = 2;
}

/// No set of genuine bundles keeps displacing each other (I15).
#[test]
fn displacement_has_no_cycles() {
    let all = ranks();
    let mut state = vec![0; all.len()];
    for at in 0..all.len() {
        if state[at] == 0 {
            visit(at, &all, &mut state);
        }
    }
}

const SECURITY: [SecurityPolicy; 4] =
    [SecurityPolicy::Off, SecurityPolicy::Notify, SecurityPolicy::StageOnly, SecurityPolicy::ApplyInWindow];
const FEATURE: [FeaturePolicy; 4] =
    [FeaturePolicy::Never, FeaturePolicy::Local, FeaturePolicy::OwnerKey, FeaturePolicy::Auto];
const CONSENT: [Consent; 3] = [Consent::None, Consent::Local, Consent::Owner];

fn situations() -> Vec<Situation> {
    let mut all = Vec::new();
    for security in SECURITY {
        for feature in FEATURE {
            for (anchored, runs) in [(false, false), (false, true), (true, false), (true, true)] {
                for consent in CONSENT {
                    all.push(Situation { policy: Policy { security, feature }, anchored, runs, consent });
                }
            }
        }
    }
    all
}

#[test]
fn what_leaves_the_baseline_obeys_the_security_policy() {
    for on in situations() {
        for transition in [Transition::Patch, Transition::Repair] {
            for payload_free in [false, true] {
                let wanted = match (on.runs, on.policy.security, payload_free) {
                    (false, _, _) => Ok(Install::Now),
                    (true, SecurityPolicy::Off, _) => Err(Refusal::PolicyOff),
                    (true, SecurityPolicy::Notify, _) => Err(Refusal::PolicyNotify),
                    (true, SecurityPolicy::StageOnly, false) => Ok(Install::OnRequest),
                    (true, SecurityPolicy::StageOnly, true) => Ok(Install::InWindow),
                    (true, SecurityPolicy::ApplyInWindow, _) => Ok(Install::InWindow),
                };
                assert_eq!(decide(transition, payload_free, &on), wanted, "{transition:?} {on:?}");
            }
        }
    }
}

#[test]
fn what_moves_the_baseline_obeys_the_feature_policy() {
    for on in situations() {
        // Consent that counts, by policy; columns: none, local, owner.
        let takes = match (on.policy.feature, on.anchored) {
            (FeaturePolicy::Never, _) | (FeaturePolicy::OwnerKey, false) => None,
            (FeaturePolicy::Auto, _) => Some([true, true, true]),
            (FeaturePolicy::Local, _) => Some([false, true, true]),
            (FeaturePolicy::OwnerKey, true) => Some([false, false, true]),
        };
        let column = CONSENT.iter().position(|consent| *consent == on.consent).unwrap();
        let wanted = match takes {
            None => Err(Refusal::PolicyNever),
            Some(takes) if takes[column] => Ok(Install::InWindow),
            Some(_) => Err(Refusal::Held),
        };
        assert_eq!(decide(Transition::FeatureUpdate, false, &on), wanted, "{on:?}");
        // Rollback: always with approval, under every policy; the owner's alone where he reserved it.
        let reserving = [FeaturePolicy::Never, FeaturePolicy::OwnerKey];
        let reserved = on.anchored && reserving.contains(&on.policy.feature);
        assert_eq!(owner_alone(&on.policy, on.anchored), reserved);
        let approved = on.consent == Consent::Owner || on.consent == Consent::Local && !reserved;
        let wanted = if approved { Ok(Install::InWindow) } else { Err(Refusal::Held) };
        assert_eq!(decide(Transition::Rollback, false, &on), wanted, "{on:?}");
    }
}

/// I4.
#[test]
fn refusing_features_never_stops_a_patch() {
    for on in situations() {
        let policy = Policy { feature: FeaturePolicy::Never, ..on.policy };
        let never = Situation { policy, ..on };
        assert_eq!(decide(Transition::Patch, false, &on), decide(Transition::Patch, false, &never));
    }
}

/// DESIGN §4 "Trial", on sets instead of versions.
fn wanted_end(offer: &Offer, facts: &TrialFacts) -> TrialEnd {
    let all = |version: &Version| handled(&version.security);
    let fits = |left: &Standing| {
        let more = all(&offer.version).is_superset(&all(&left.version)) && offer.version != left.version;
        let whole = !facts.payload_free || offer.images == left.images;
        offer.version.feature == left.version.feature && more && whole
    };
    let news = !all(&facts.trial.version).is_superset(&all(&offer.version));
    match facts.healthy {
        true if fits(&facts.trial) => TrialEnd::Confirm,
        false if fits(&facts.v) && news => TrialEnd::RevertIfWhole,
        _ => TrialEnd::Pending,
    }
}

#[test]
fn a_patch_ends_a_trial_only_if_it_will_be_accepted_afterwards() {
    let standing = |version, images| Standing { version, images, damaged: false };
    let mut seen = BTreeSet::new();
    let all = versions();
    for (v, t, w) in all
        .iter()
        .flat_map(|v| all.iter().flat_map(move |t| versions().into_iter().map(move |w| (*v, *t, w))))
    {
        for case in 0..16u8 {
            let (healthy, payload_free) = (case & 1 != 0, case & 2 != 0);
            let facts = TrialFacts { v: standing(v, SAME), trial: standing(t, OTHER), healthy, payload_free };
            let images =
                [SAME, OTHER, Digest([3; 32])].into_iter().nth(usize::from(case >> 2)).unwrap_or(OTHER);
            let offer = Offer { kind: Kind::SecurityPatch, version: w, images };
            let got = ends(&offer, &facts);
            seen.insert(format!("{got:?}"));
            assert_eq!(got, wanted_end(&offer, &facts), "{v} {t} {w} {case}");
            // Whatever remains, the patch has to be a patch of it.
            let remains = match got {
                TrialEnd::Confirm => &facts.trial,
                TrialEnd::RevertIfWhole => &facts.v,
                TrialEnd::Pending => continue,
            };
            assert_eq!(classify(remains, &offer), Ok(Transition::Patch));
        }
    }
    assert_eq!(seen.len(), 3, "an end was never met: {seen:?}");
}

#[test]
fn what_leaves_the_baseline_alone_is_of_security() {
    assert_eq!(TRANSITIONS.map(Transition::is_security), [true, true, false, false]);
}

#[test]
fn failures_are_bounded_and_nothing_resets_them() {
    let digest = |n: u8| Digest([n; 32]);
    let mut failures = Failures::default();
    failures.record(&digest(1), 8);
    failures.record(&digest(1), 8);
    assert!(!failures.needs_retry(&digest(1)));
    failures.record(&digest(1), 8);
    assert!(failures.needs_retry(&digest(1)));
    // A hundred others in turn: no count sinks, none is forgotten for good.
    let mut failures = Failures::default();
    let total = |f: &Failures| f.iter().map(|failure| u32::from(failure.count)).sum::<u32>();
    for n in 0..100u8 {
        let before = total(&failures);
        failures.record(&digest(n), 8);
        assert!(total(&failures) > before, "a failure was forgotten");
    }
    assert_eq!(failures.iter().count(), 4);
    assert!(failures.iter().any(|failure| failures.needs_retry(&failure.manifest)));
    // Alternating two manifests doesn't help either.
    let mut failures = Failures::default();
    for _ in 0..3 {
        failures.record(&digest(1), 8);
        failures.record(&digest(2), 8);
    }
    assert!(failures.needs_retry(&digest(1)) && failures.needs_retry(&digest(2)));
    assert!(failures.forgive(&digest(1)) && !failures.forgive(&digest(1)));
    assert!(!failures.needs_retry(&digest(1)));
}

#[test]
fn alternating_manifests_buy_a_bounded_number_of_trials() {
    let digest = |n: u8| Digest([n; 32]);
    for manifests in 1..12u8 {
        let mut failures = Failures::default();
        let mut trials = 0;
        for turn in 0..1000u16 {
            let next = digest((turn % u16::from(manifests)) as u8);
            if !failures.needs_retry(&next) {
                failures.record(&next, 8);
                trials += 1;
            }
        }
        assert!(trials <= 12, "{manifests} manifests in turn had {trials} trials");
        // An operator can let any of them in, and it has three more.
        let last = digest(manifests - 1);
        assert!(failures.forgive(&last) && !failures.needs_retry(&last));
        (0..3).for_each(|_| failures.record(&last, 8));
        assert!(failures.needs_retry(&last));
    }
}

#[test]
fn a_confirmed_release_forgets_itself_and_what_lies_below() {
    let digest = |n: u8| Digest([n; 32]);
    let mut failures = Failures::default();
    for n in 0..4 {
        (0..3).for_each(|_| failures.record(&digest(n), u32::from(n)));
    }
    assert!(failures.needs_retry(&digest(9)), "the table is full");
    failures.confirmed(&digest(3), 2);
    assert_eq!(failures.iter().map(|failure| failure.level).collect::<Vec<_>>(), [2]);
    assert!(failures.needs_retry(&digest(2)) && !failures.needs_retry(&digest(9)));
}

#[test]
fn the_fallback_loses_no_fix_and_came_just_before() {
    for v in versions() {
        for old in versions() {
            let loses_nothing = handled(&old.security).is_superset(&handled(&v.security));
            for transition in TRANSITIONS {
                let repair = transition == Transition::Repair;
                assert!(!keeps(Left::Nothing, transition, &v, &old));
                assert_eq!(keeps(Left::Previous, transition, &v, &old), !repair && loses_nothing);
                assert_eq!(keeps(Left::Fallback, transition, &v, &old), repair && loses_nothing);
            }
        }
    }
}

#[test]
fn three_failed_boots_end_a_trial() {
    assert_eq!(FAILED_BOOTS, 3);
    assert_eq!([0, 1, 2, 3, 4, 255].map(is_over), [false, false, false, true, true, true]);
}
