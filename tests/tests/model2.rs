//! What the second model found (design-model2.md), on the real device code: one test for each finding that touches it.

use patchlane_device::{Boot, Cause, Config, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::Action;
use patchlane_protocol::status::Activity;
use patchlane_protocol::version::Open;
use patchlane_protocol::{FeaturePolicy, Policy, Refusal, Request, Security, SecurityPolicy, Version};
use patchlane_tests::sim::cases::*;
use patchlane_tests::sim::device::CONFIG;
use patchlane_tests::sim::world::{self, Release, Roles, approval, factory, owner, public};
use patchlane_tests::sim::{SimDevice, Torn};

#[test]
fn model2_01_a_patch_manifest_never_counts_as_a_feature_update() {
    let mut device = eager(&patch(4, 7, 1));
    let genuine = patch(5, 8, 2);
    let mut bytes = genuine.bytes();
    let kind = patchlane_protocol::Header::WIDTH;
    assert_eq!(bytes[kind], 0);
    bytes[kind] = 1;
    assert!(matches!(device.push(&bytes, 512), Err(Refusal::BadSignature | Refusal::BelowThreshold)));
}

#[test]
fn model2_02_the_fallback_is_the_release_just_before() {
    let mut device = eager(&patch(4, 7, 1));
    device.install(&feature(5, 7, 2)).unwrap();
    device.machine.media.primary.rot(5000, 1);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Fallback)));
    let status = device.status();
    assert_eq!(
        (status.activity, status.confirmed.version.to_string()),
        (Activity::Degraded, "5.1 s7".into())
    );
    // Running it doesn't change v: a patch of v goes in, one of the fallback doesn't.
    assert_eq!(device.push(&patch(4, 8, 4).bytes(), 512), Err(Refusal::PatchMovesFeature));
    device.install(&patch(5, 8, 3)).unwrap();
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(runs(&mut device), "5.1 s8");
}

#[test]
fn model2_02_a_release_that_lacks_a_fix_is_no_fallback() {
    let mut device = eager(&patch(4, 7, 1));
    device.install(&patch(4, 8, 2)).unwrap();
    device.machine.media.primary.rot(5000, 1);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Service(Refusal::ImageDigest)));
}

#[test]
fn model2_02_a_revoked_key_signs_no_fallback() {
    let mut device = eager(&patch(4, 7, 1));
    device.install(&feature(5, 7, 2)).unwrap();
    let next = Roles { version: 2, security: vec!["security 2"], ..Roles::default() };
    let carries = Release {
        root: 2,
        links: vec![next.link(&["root"])],
        signers: vec!["security 2", "feature"],
        ..feature(5, 7, 2)
    };
    assert_eq!(device.push(&carries.bytes(), 512), Ok(Outcome::RootCommitted));
    device.machine.media.primary.rot(5000, 1);
    assert!(matches!(device.restart(Cause::PowerOn), Some(Boot::Service(_))));
    // Nor is it moved in, to be found out there.
    assert!(!device.machine.engine().state().unwrap().degraded);
}

#[test]
fn model2_03_repair_goes_by_images_not_by_manifest() {
    let mut device = eager(&patch(4, 8, 1));
    assert_eq!(device.push(&feature(4, 8, 1).bytes(), 512), Err(Refusal::SameVersion));
    device.machine.media.primary.rot(0, 0);
    device.restart(Cause::PowerOn);
    let other_image = feature(4, 8, 9);
    assert_eq!(device.push(&other_image.bytes(), 512), Err(Refusal::SameVersion));
    assert_eq!(device.push(&feature(4, 8, 1).bytes(), 512), Ok(Outcome::Ready));
}

#[test]
fn model2_04_a_patch_confirms_the_healthy_release_it_is_for() {
    let config = Config { soak: 5, ..CONFIG };
    let policy =
        factory(Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto }, true);
    let mut device = SimDevice::with(config, SMALL, &patch(4, 7, 1), policy, 1, Torn::Stable);
    device.restart(Cause::PowerOn);
    on_trial(&mut device, &feature(5, 7, 2));
    device.machine.confirm().unwrap();
    assert_eq!(device.status().activity, Activity::Soak);
    // A patch for the old baseline must wait; one for the soaking release ends the soak.
    assert_eq!(device.push(&patch(4, 8, 3).bytes(), 512), Err(Refusal::TrialPending));
    assert_eq!(device.push(&patch(5, 8, 4).bytes(), 512), Err(Refusal::SendAgain));
    assert_eq!(runs(&mut device), "5.1 s7");
    device.install(&patch(5, 8, 4)).unwrap_or(());
    device.restart(Cause::Requested);
}

#[test]
fn model2_04_a_trial_isnt_reverted_into_nothing() {
    let mut device = eager(&patch(4, 7, 1));
    on_trial(&mut device, &feature(5, 7, 2));
    device.machine.media.secondary.rot(50, 2);
    assert_eq!(device.push(&patch(4, 8, 3).bytes(), 512), Err(Refusal::TrialPending));
}

#[test]
fn model2_04_a_payload_free_patch_ends_no_trial_it_doesnt_fit() {
    let free = |line, seed| Release { payload: false, ..patch(line, 8, seed) };
    // Not healthy yet: it isn't for the image that would go back.
    let mut device = eager(&patch(4, 7, 1));
    on_trial(&mut device, &feature(5, 7, 2));
    assert_eq!(device.push(&free(4, 3).bytes(), 512), Err(Refusal::TrialPending));
    assert_eq!(device.status().activity, Activity::Trial);
    // Nor, once it soaks, for the image that would stay.
    let config = Config { soak: 5, ..CONFIG };
    let auto = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto };
    let mut device = SimDevice::with(config, SMALL, &patch(4, 7, 1), factory(auto, true), 1, Torn::Stable);
    device.restart(Cause::PowerOn);
    on_trial(&mut device, &feature(5, 7, 2));
    device.machine.confirm().unwrap();
    assert_eq!(device.push(&free(5, 4).bytes(), 512), Err(Refusal::TrialPending));
    assert_eq!(device.status().activity, Activity::Soak);
    // For that very image it does.
    assert_eq!(device.push(&free(5, 2).bytes(), 512), Err(Refusal::SendAgain));
    assert_eq!(runs(&mut device), "5.1 s7");
}

#[test]
fn model2_05_a_new_root_judges_what_isnt_confirmed() {
    let next = Roles { version: 2, security: vec!["security 2"], ..Roles::default() };
    let carries =
        Release { root: 2, links: vec![next.link(&["root"])], signers: vec!["security 2"], ..patch(4, 9, 4) };
    // Half received.
    let mut device = eager(&patch(4, 7, 1));
    let evil = patch(4, 8, 2).bytes();
    push_part(&mut device, &evil[..3000]).unwrap();
    assert_eq!(device.status().activity, Activity::Receiving);
    device.install(&carries).unwrap();
    assert_eq!(runs(&mut device), "4.1 s9");
    // On trial.
    let mut device = eager(&patch(4, 7, 1));
    on_trial(&mut device, &patch(4, 8, 2));
    assert_eq!(device.push(&carries.bytes(), 512), Err(Refusal::SendAgain));
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(runs(&mut device), "4.1 s7");
    device.install(&carries).unwrap();
    assert_eq!(runs(&mut device), "4.1 s9");
}

#[test]
fn model2_06_a_feature_update_that_is_a_patch_obeys_the_security_policy() {
    let mut device = device_under(SecurityPolicy::ApplyInWindow, FeaturePolicy::Never, &patch(4, 7, 1));
    device.install(&feature(4, 8, 2)).unwrap();
    assert_eq!(runs(&mut device), "4.1 s8");
    assert_eq!(device.push(&feature(5, 8, 3).bytes(), 512), Err(Refusal::PolicyNever));
    // Rollback needs approval under every policy, and is possible under Never.
    let back = feature(3, 8, 4);
    assert_eq!(device.push(&back.bytes(), 512), Err(Refusal::Held));
    device.machine.owner(&approval(1, back.digest())).unwrap();
    device.install(&back).unwrap();
    assert_eq!(runs(&mut device), "3.1 s8");
}

#[test]
fn model2_07_a_payload_free_patch_reads_every_digest_back() {
    let mut device = eager(&patch(4, 7, 1));
    let same = Release { payload: false, ..patch(4, 8, 1) };
    let mut damaged = device.fork(1, Torn::Stable);
    damaged.restart(Cause::PowerOn);
    damaged.machine.media.primary.rot(6000, 4);
    assert_eq!(damaged.push(&same.bytes(), 512), Err(Refusal::NeedPayload));
    let other = Release { payload: false, ..patch(4, 8, 2) };
    assert_eq!(device.push(&other.bytes(), 512), Err(Refusal::NeedPayload));
    device.expect(&same);
    assert_eq!(device.push(&same.bytes(), 512), Ok(Outcome::Applied));
    assert_eq!(runs(&mut device), "4.1 s8");
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    // Under Notify it is only listed.
    let mut device = device_under(SecurityPolicy::Notify, FeaturePolicy::Never, &patch(4, 7, 1));
    assert_eq!(device.push(&same.bytes(), 512), Err(Refusal::PolicyNotify));
    assert!(device.status().held.is_some());
}

#[test]
fn model2_07_a_payload_free_patch_commits_only_while_v_runs_and_no_trial_is_open() {
    let same = Release { payload: false, ..patch(4, 8, 1) };
    // Its image is whole, and yet it doesn't run: an older record was put back.
    let mut device = eager(&patch(4, 7, 1));
    (device.machine.counter.value, device.machine.counter.most) = (Some(8), 16);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Service(Refusal::CounterAbove)));
    assert_eq!(device.push(&same.bytes(), 512), Err(Refusal::NeedPayload));
    assert_eq!(device.status().confirmed.version.security.level(), 7);
    // On trial it ends the trial first.
    let mut device = eager(&patch(4, 7, 1));
    device.expect(&same);
    on_trial(&mut device, &feature(5, 7, 2));
    assert_eq!(device.push(&same.bytes(), 512), Err(Refusal::SendAgain));
    assert_eq!(runs(&mut device), "4.1 s7");
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(device.push(&same.bytes(), 512), Ok(Outcome::Applied));
    assert_eq!(runs(&mut device), "4.1 s8");
}

#[test]
fn model2_08_an_old_open_advisory_stops_no_new_fix() {
    let open = |level, seed| {
        let mut release = patch(4, level, seed);
        let open = Open::new(&[1]).unwrap();
        release.version.security = Security::new(level, open).unwrap();
        release
    };
    let mut device = eager(&open(7, 1));
    device.install(&open(40, 2)).unwrap();
    assert_eq!(runs(&mut device), "4.1 s40 open 1");
}

#[test]
fn model2_08_open_advisories_are_a_set_not_a_number() {
    let with_open = |level: u32, open: &[u32], seed: u64| {
        let mut release = patch(4, level, seed);
        release.version.security = Security::new(level, Open::new(open).unwrap()).unwrap();
        release
    };
    let mut device = eager(&patch(4, 7, 1));
    // An urgent fix overtakes a slow one, visibly.
    device.install(&with_open(9, &[8], 2)).unwrap();
    assert_eq!(runs(&mut device), "4.1 s9 open 8");
    // 8 alone is a lower level, and loses 9.
    assert_eq!(device.push(&patch(4, 8, 3).bytes(), 512), Err(Refusal::LosesFix));
    // The same level with nothing open handles more.
    device.install(&patch(4, 9, 4)).unwrap();
    assert_eq!(runs(&mut device), "4.1 s9");
    assert_eq!(device.push(&with_open(10, &[9], 5).bytes(), 512), Err(Refusal::LosesFix));
}

#[test]
fn model2_09_one_version_is_one_set_of_images() {
    let mut device = eager(&patch(4, 8, 1));
    assert_eq!(device.push(&patch(4, 8, 2).bytes(), 512), Err(Refusal::SameVersion));
    assert_eq!(device.push(&feature(4, 8, 2).bytes(), 512), Err(Refusal::SameVersion));
}

#[test]
fn model2_10_ceilings_bound_and_never_sink() {
    let mut device = eager(&patch(4, 7, 1));
    assert_eq!(device.push(&patch(4, 100, 2).bytes(), 512), Err(Refusal::AboveCeiling));
    let lower = Roles { version: 2, ceilings: (9, 98), ..Roles::default() };
    let carries = Release { links: vec![lower.link(&["root"])], ..patch(4, 8, 2) };
    assert_eq!(device.push(&carries.bytes(), 512), Err(Refusal::CeilingLowered));
    let higher = Roles { version: 2, ceilings: (9, 199), ..Roles::default() };
    let after = Release { root: 2, links: vec![higher.link(&["root"])], ..patch(4, 100, 3) };
    device.install(&after).unwrap();
    assert_eq!(runs(&mut device), "4.1 s100");
}

#[test]
fn model2_11_a_bundle_carries_every_link_since_the_oldest_root() {
    let roots: Vec<Roles> = (2..=12).map(|version| Roles { version, ..Roles::default() }).collect();
    let links: Vec<Vec<u8>> = roots.iter().map(|root| root.link(&["root"])).collect();
    assert!(links.iter().map(Vec::len).sum::<usize>() > 2048);
    let with = |root: usize, level, seed| Release {
        root: root as u32,
        links: links[..root - 1].to_vec(),
        ..patch(4, level, seed)
    };
    // From the oldest root, and from one in between.
    let mut device = eager(&patch(4, 7, 1));
    device.install(&with(12, 8, 2)).unwrap();
    assert_eq!((runs(&mut device), device.status().root_version), ("4.1 s8".into(), 12));
    let mut device = eager(&patch(4, 7, 1));
    device.install(&with(5, 8, 2)).unwrap();
    device.install(&with(12, 9, 3)).unwrap();
    assert_eq!((runs(&mut device), device.status().root_version), ("4.1 s9".into(), 12));
}

#[test]
fn model2_12_what_ranks_higher_goes_first() {
    let mut device = device_under(SecurityPolicy::StageOnly, FeaturePolicy::Auto, &patch(4, 7, 1));
    assert_eq!(device.push(&feature(5, 7, 2).bytes(), 512), Ok(Outcome::Staged));
    assert_eq!(device.push(&patch(4, 8, 3).bytes(), 512), Ok(Outcome::Staged));
    assert_eq!(device.push(&feature(5, 8, 4).bytes(), 512), Err(Refusal::Busy));
    assert_eq!(device.push(&patch(4, 9, 5).bytes(), 512), Ok(Outcome::Staged));
    assert_eq!(device.push(&patch(4, 8, 3).bytes(), 512), Err(Refusal::Busy));
    assert_eq!(device.status().candidate.map(|c| c.version), Some(Version::new(4, 1, 9)));
}

#[test]
fn model2_13_service_mode_takes_patches_under_any_policy() {
    for security in [SecurityPolicy::Off, SecurityPolicy::Notify, SecurityPolicy::StageOnly] {
        let mut device = device_under(security, FeaturePolicy::Never, &patch(4, 7, 1));
        device.machine.media.primary.rot(9, 1);
        assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Service(Refusal::ImageDigest)));
        assert_eq!(device.status().activity, Activity::Service);
        assert_eq!(device.push(&feature(5, 7, 3).bytes(), 512), Err(Refusal::PolicyNever));
        let fix = patch(4, 8, 2);
        device.expect(&fix);
        assert_eq!(device.push(&fix.bytes(), 512), Ok(Outcome::Ready));
        assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
        device.machine.confirm().unwrap();
        assert_eq!(runs(&mut device), "4.1 s8");
    }
}

#[test]
fn model2_13_a_trial_begun_in_service_mode_that_fails_returns_there() {
    let mut device = eager(&patch(4, 7, 1));
    device.machine.media.primary.rot(9, 1);
    device.restart(Cause::PowerOn);
    let bad = patch(4, 8, 2);
    device.expect(&bad);
    device.push(&bad.bytes(), 512).unwrap();
    device.restart(Cause::Requested);
    for _ in 0..2 {
        assert_eq!(device.restart(Cause::Watchdog), Some(Boot::Run(Running::Trial)));
    }
    assert!(matches!(device.restart(Cause::Watchdog), Some(Boot::Service(_))));
    let good = patch(4, 9, 3);
    device.expect(&good);
    assert_eq!(device.push(&good.bytes(), 512), Ok(Outcome::Ready));
}

#[test]
fn model2_14_a_policy_document_leaves_the_approval_pending() {
    let mut device = story();
    let later = feature(5, 7, 2);
    device.machine.owner(&approval(1, later.digest())).unwrap();
    let policy = Policy { security: SecurityPolicy::StageOnly, feature: FeaturePolicy::OwnerKey };
    device.machine.owner(&owner(2, Request::Policy(policy))).unwrap();
    assert_eq!(device.status().approval, Some(later.digest()));
    device.install(&later).unwrap();
    assert_eq!(device.status().approval, None);
    assert_eq!(runs(&mut device), "5.1 s7");
}

#[test]
fn model2_14_a_withdrawn_approval_is_gone() {
    let mut device = story();
    let later = feature(5, 7, 2);
    device.machine.owner(&approval(1, later.digest())).unwrap();
    let withdraw = Request::Release { action: Action::Withdraw, manifest: later.digest() };
    device.machine.owner(&owner(2, withdraw)).unwrap();
    assert_eq!(device.push(&later.bytes(), 512), Err(Refusal::Held));
}

#[test]
fn model2_15_an_anchor_changes_by_both_hands_and_serials_stay() {
    let mut device = story();
    device.machine.owner(&approval(7, feature(5, 7, 2).digest())).unwrap();
    device.machine.owner(&owner(8, Request::Anchor(public("owner 2")))).unwrap();
    // The old owner is none any more.
    let policy = Policy { security: SecurityPolicy::Off, feature: FeaturePolicy::Never };
    assert_eq!(device.machine.owner(&owner(9, Request::Policy(policy))), Err(Refusal::OwnerSignature));
    assert_eq!(device.status().serial, 8);
    // A new anchor that didn't sign itself in.
    let mut device = story();
    assert_eq!(
        device.machine.owner(&owner(1, Request::Anchor(public("owner 3")))),
        Err(Refusal::OwnerSignature)
    );
}

#[test]
fn model2_15_owner_key_without_an_owner_acts_as_never() {
    let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::OwnerKey };
    let mut device = SimDevice::new(SMALL, &patch(4, 7, 1), factory(policy, false), 1, Torn::Stable);
    device.restart(Cause::PowerOn);
    let later = feature(5, 7, 2);
    device.machine.local(Action::Approve, &later.digest()).unwrap();
    assert_eq!(device.push(&later.bytes(), 512), Err(Refusal::PolicyNever));
    assert_eq!(device.machine.owner(&approval(1, later.digest())), Err(Refusal::NoAnchor));
}

#[test]
fn model2_16_stage_only_waits_for_a_request_and_judges_again() {
    let mut device = device_under(SecurityPolicy::StageOnly, FeaturePolicy::Local, &patch(4, 7, 1));
    let fix = patch(4, 8, 2);
    device.expect(&fix);
    assert_eq!(device.push(&fix.bytes(), 512), Ok(Outcome::Staged));
    device.machine.window(Window::Open).unwrap();
    assert!(!device.machine.engine().needs_restart());
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(device.status().activity, Activity::Staged);
    assert_eq!(device.machine.local(Action::Apply, &patch(4, 9, 3).digest()), Err(Refusal::UnknownManifest));
    device.machine.local(Action::Apply, &fix.digest()).unwrap();
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
}

#[test]
fn model2_17_provisioning_refuses_over_a_readable_record() {
    let mut device = story();
    let first = patch(4, 1, 9);
    let bundle = first.bundle();
    let set = bundle.signature_bytes().unwrap();
    let root = Roles::default().document();
    let again =
        device.machine.provision(&root, bundle.manifest_bytes(), &set, factory(world::STORY_POLICY, true));
    assert_eq!(again, Err(Refusal::AlreadyProvisioned));
    assert_eq!(runs(&mut device), "4.1 s7");
}

#[test]
fn model2_18_only_bad_boots_count_and_alternation_resets_nothing() {
    let mut device = eager(&patch(4, 7, 1));
    let bad = patch(4, 8, 2);
    for _ in 0..3 {
        on_trial(&mut device, &bad);
        for _ in 0..9 {
            assert_eq!(
                device.restart(Cause::PowerOn),
                Some(Boot::Run(Running::Trial)),
                "a power cycle counted"
            );
        }
        device.restart(Cause::Watchdog);
        device.restart(Cause::Fault);
        assert_eq!(device.restart(Cause::Watchdog), Some(Boot::Run(Running::Confirmed)));
    }
    assert_eq!(device.push(&bad.bytes(), 512), Err(Refusal::RetryNeeded));
    // A newly signed manifest starts at zero; the operator's retry opens the old one again.
    let better = patch(4, 9, 3);
    device.expect(&better);
    assert_eq!(device.push(&better.bytes(), 512), Ok(Outcome::Staged));
    device.machine.local(Action::Withdraw, &better.digest()).unwrap();
    device.machine.local(Action::Retry, &bad.digest()).unwrap();
    assert_eq!(device.push(&bad.bytes(), 512), Ok(Outcome::Staged));
}
