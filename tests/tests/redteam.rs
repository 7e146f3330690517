//! What the red team and the second model found, on the real device code: one test for each finding that touches it.
//! Names are those of design-redteam.md (`redteam_`) and design-model2.md (`model2_`).

use patchlane_device::{Boot, Cause, Config, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::Action;
use patchlane_protocol::status::Activity;
use patchlane_protocol::version::Open;
use patchlane_protocol::{FeaturePolicy, Policy, Refusal, Request, Security, SecurityPolicy, Version};
use patchlane_tests::sim::chip::Geometry;
use patchlane_tests::sim::device::CONFIG;
use patchlane_tests::sim::sweep::uniform;
use patchlane_tests::sim::world::{self, PRODUCT, Release, Roles, approval, factory, image, owner, public};
use patchlane_tests::sim::{SimDevice, Torn};

const SMALL: [Geometry; 3] = uniform(4, 4096, 8, 2);

fn img(seed: u64) -> Vec<u8> {
    image(seed, 7000)
}

fn patch(line: u16, level: u32, seed: u64) -> Release {
    Release::patch(line, 1, level, img(seed))
}

fn feature(line: u16, level: u32, seed: u64) -> Release {
    Release::feature(line, 1, level, img(seed))
}

fn device_under(security: SecurityPolicy, feature: FeaturePolicy, first: &Release) -> SimDevice {
    let mut device =
        SimDevice::new(SMALL, first, factory(Policy { security, feature }, true), 1, Torn::Stable);
    device.restart(Cause::PowerOn);
    device
}

/// ApplyInWindow and OwnerKey, running `4.1 s7`.
fn story() -> SimDevice {
    device_under(SecurityPolicy::ApplyInWindow, FeaturePolicy::OwnerKey, &patch(4, 7, 1))
}

/// ApplyInWindow and Auto: everything that may go in does.
fn eager(first: &Release) -> SimDevice {
    device_under(SecurityPolicy::ApplyInWindow, FeaturePolicy::Auto, first)
}

fn runs(device: &mut SimDevice) -> String {
    device.status().confirmed.version.to_string()
}

/// Puts a release on trial, without confirming it.
fn on_trial(device: &mut SimDevice, release: &Release) {
    device.expect(release);
    device.push(&release.bytes(), 512).unwrap();
    device.machine.window(Window::Open).unwrap();
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
}

#[test]
fn redteam_01_a_stolen_feature_key_moves_nothing() {
    let mut device = eager(&patch(4, 7, 1));
    for kind_of in [feature(5, 7, 2), feature(6, 7, 3), feature(4, 8, 4)] {
        let alone = Release { signers: vec!["feature"], ..kind_of };
        assert_eq!(device.push(&alone.bytes(), 512), Err(Refusal::BelowThreshold));
    }
    let as_patch = Release { signers: vec!["feature"], ..patch(4, 8, 5) };
    assert_eq!(device.push(&as_patch.bytes(), 512), Err(Refusal::WrongRole));
    device.install(&patch(4, 8, 6)).unwrap();
    assert_eq!(runs(&mut device), "4.1 s8");
}

#[test]
fn redteam_01_a_stolen_security_key_moves_no_feature() {
    let mut device = eager(&patch(4, 7, 1));
    assert_eq!(device.push(&patch(5, 8, 2).bytes(), 512), Err(Refusal::PatchMovesFeature));
    let alone = Release { signers: vec!["security"], ..feature(5, 8, 2) };
    assert_eq!(device.push(&alone.bytes(), 512), Err(Refusal::BelowThreshold));
    assert_eq!(runs(&mut device), "4.1 s7");
}

#[test]
fn redteam_02_the_rollback_of_the_story_happens() {
    let mut device = eager(&feature(5, 8, 1));
    let back = feature(4, 8, 2);
    assert_eq!(device.push(&back.bytes(), 512), Err(Refusal::Held));
    device.machine.owner(&approval(1, back.digest())).unwrap();
    device.install(&back).unwrap();
    assert_eq!(runs(&mut device), "4.1 s8");
}

/// A patch whose manifest lists these components instead of the one there is.
fn with_components(ids: &[u8]) -> Vec<u8> {
    use patchlane_protocol::{Component, ComponentId, DocumentKind, Header, List, Manifest};
    let bundle = patch(4, 8, 2).bundle();
    let manifest = bundle.manifest().unwrap();
    let only = manifest.components.at(0).unwrap();
    let components: Vec<Component<'_>> =
        ids.iter().map(|id| Component { id: ComponentId(*id), ..only }).collect();
    let mut buffer = [0; 2048];
    let manifest = Manifest { components: List::of(&components), ..manifest };
    let document = manifest.encode(&mut buffer).unwrap().to_vec();
    let set = world::sign(DocumentKind::SecurityPatch, &document, &["security"]);
    let mut buffer = [0; 256];
    let mut writer = patchlane_protocol::Writer::new(&mut buffer);
    List::of(&set).write(&mut writer, patchlane_protocol::signature::SIGNATURE_BOUNDS).unwrap();
    let set = writer.finish().to_vec();
    let header = Header { links: 0, manifest: document.len() as u16, signatures: set.len() as u16 };
    [header.encode(&mut [0; 10]).unwrap(), &document, &set, bundle.payload()].concat()
}

#[test]
fn redteam_03_a_manifest_names_every_component() {
    // This installer has component 0: a list that leaves it out, or names more, is refused.
    let mut device = eager(&patch(4, 7, 1));
    assert_eq!(device.push(&with_components(&[1]), 512), Err(Refusal::UnknownComponent));
    assert_eq!(device.push(&with_components(&[0, 1]), 512), Err(Refusal::UnknownComponent));
    assert_eq!(device.push(&with_components(&[0]), 512), Ok(Outcome::Staged));
}

#[test]
fn redteam_04_a_link_retires_a_key_and_what_runs_still_boots() {
    let mut device = eager(&patch(4, 7, 1));
    let next = Roles { version: 2, security: vec!["security 2"], ..Roles::default() };
    let carries =
        Release { root: 2, links: vec![next.link(&["root"])], signers: vec!["security 2"], ..patch(4, 8, 2) };
    // Stripped of its link, it isn't judged under the old root.
    let stripped = Release { links: Vec::new(), ..carries.clone() };
    assert_eq!(device.push(&stripped.bytes(), 512), Err(Refusal::NeedRoot));
    // A refused bundle that carries the link commits it (I8), and nothing else.
    let useless = Release { signers: vec!["security 2"], version: Version::new(4, 1, 7), ..carries.clone() };
    assert_eq!(device.push(&useless.bytes(), 512), Ok(Outcome::RootCommitted));
    assert_eq!(device.status().root_version, 2);
    // The retired key signs nothing any more, and what it signed still boots.
    let stolen = patch(4, 9, 3);
    assert_eq!(device.push(&stolen.bytes(), 512), Err(Refusal::UnknownKey));
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    device.install(&stripped).unwrap();
    assert_eq!(runs(&mut device), "4.1 s8");
}

#[test]
fn redteam_04_a_link_needs_both_quorums_and_the_next_number() {
    let mut device = eager(&patch(4, 7, 1));
    let next = Roles { version: 2, root: vec!["root 2"], ..Roles::default() };
    let with = |roles: &Roles, labels: &[&str]| {
        Release { links: vec![roles.link(labels)], ..patch(4, 8, 2) }.bytes()
    };
    assert_eq!(device.push(&with(&next, &["root"]), 512), Err(Refusal::RootQuorum));
    assert_eq!(device.push(&with(&next, &["root 2"]), 512), Err(Refusal::RootQuorum));
    let third = Roles { version: 3, ..next.clone() };
    assert_eq!(device.push(&with(&third, &["root", "root 2"]), 512), Err(Refusal::RootNotNext));
    assert_eq!(device.status().root_version, 1);
    assert_eq!(device.push(&with(&next, &["root", "root 2"]), 512), Ok(Outcome::Staged));
    assert_eq!(device.status().root_version, 2);
}

#[test]
fn redteam_05_a_patch_ends_an_unhealthy_trial_and_costs_no_image() {
    let mut device = eager(&patch(4, 7, 1));
    on_trial(&mut device, &feature(5, 7, 2));
    let fix = patch(4, 8, 3);
    assert_eq!(device.push(&fix.bytes(), 512), Err(Refusal::SendAgain));
    assert!(device.machine.engine().needs_restart());
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Confirmed)));
    device.install(&fix).unwrap();
    assert_eq!(runs(&mut device), "4.1 s8");
}

#[test]
fn redteam_05_during_a_trial_no_slot_is_erased() {
    let mut device = eager(&patch(4, 7, 1));
    on_trial(&mut device, &patch(4, 8, 2));
    let before = device.power.operations();
    for other in [feature(5, 8, 3), patch(4, 8, 4), patch(5, 9, 5), feature(4, 8, 2)] {
        assert!(device.push(&other.bytes(), 512).is_err());
    }
    assert_eq!(device.power.operations(), before);
}

#[test]
fn redteam_07_held_is_remembered_not_stored() {
    let mut device = story();
    let later = feature(5, 7, 2);
    let slot = |device: &SimDevice| device.machine.media.secondary.contents(0, 12_288);
    let before = slot(&device);
    assert_eq!(device.push(&later.bytes(), 512), Err(Refusal::Held));
    assert_eq!(slot(&device), before);
    assert_eq!(device.status().held.map(|held| held.release.version), Some(later.version));
    // Heard again, it changes nothing at all.
    let operations = device.power.operations();
    assert_eq!(device.push(&later.bytes(), 512), Err(Refusal::Held));
    assert_eq!(device.power.operations(), operations);
    // Every rule is judged again after consent: by now it would lose a fix.
    device.install(&patch(4, 8, 3)).unwrap();
    assert_eq!(device.machine.owner(&approval(1, later.digest())), Err(Refusal::LosesFix));
    assert_eq!(device.push(&later.bytes(), 512), Err(Refusal::LosesFix));
    assert!(device.status().held.is_some_and(|held| held.superseded));
}

#[test]
fn redteam_08_a_rotten_record_doesnt_lower_the_floor() {
    let mut device = eager(&patch(4, 7, 1));
    device.install(&patch(4, 8, 2)).unwrap();
    let length = device.machine.media.state.length();
    // One bit anywhere in the state region, at a time: never s7 again, and never nothing.
    for at in (0..length).step_by(37) {
        let mut rotten = device.fork(at as u64, Torn::Stable);
        rotten.machine.media.state.rot(at, (at % 8) as u8);
        let media = rotten.machine.media.clone();
        rotten.restart(Cause::PowerOn);
        drop(media);
        match rotten.booted {
            Some(Boot::Run(Running::Confirmed)) => assert_eq!(runs(&mut rotten), "4.1 s8", "byte {at}"),
            // v's receipt is the one thing that has no copy: repair brings it back.
            Some(Boot::Service(Refusal::ImageDigest)) => {
                let again = feature_of(4, 8, 2);
                assert_eq!(rotten.push(&again.bytes(), 512), Ok(Outcome::Ready), "byte {at}");
            }
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

/// The same image as `patch(line, level, seed)`, signed by both roles.
fn feature_of(line: u16, level: u32, seed: u64) -> Release {
    feature(line, level, seed)
}

#[test]
fn redteam_08_the_counter_follows_the_record() {
    let mut device = eager(&patch(4, 7, 1));
    device.machine.counter.value = Some(0);
    device.machine.counter.most = 100;
    device.restart(Cause::PowerOn);
    assert_eq!(device.machine.counter.value, Some(7));
    device.install(&patch(4, 8, 2)).unwrap();
    assert_eq!(device.machine.counter.value, Some(8));
    // An older state region under a newer counter is an error, not a floor.
    let mut old = eager(&patch(4, 7, 1));
    old.machine.counter = device.machine.counter;
    assert_eq!(old.restart(Cause::PowerOn), Some(Boot::Service(Refusal::CounterAbove)));
}

#[test]
fn redteam_09_an_approval_is_for_one_manifest_and_once() {
    let mut device = story();
    let later = feature(5, 7, 2);
    let approved = approval(5, later.digest());
    device.machine.owner(&approved).unwrap();
    assert_eq!(device.machine.owner(&approved), Err(Refusal::SerialSpent));
    assert_eq!(device.machine.owner(&approval(4, later.digest())), Err(Refusal::SerialSpent));
    // Not for another release.
    assert_eq!(device.push(&feature(5, 8, 3).bytes(), 512), Err(Refusal::Held));
    device.install(&later).unwrap();
    let back = feature(4, 7, 1);
    device.machine.owner(&approval(6, back.digest())).unwrap();
    device.install(&back).unwrap();
    // The approval ended with its trial: the same release needs a new one.
    assert_eq!(device.push(&later.bytes(), 512), Err(Refusal::Held));
}

#[test]
fn redteam_09_policy_and_anchor_are_the_owners() {
    let mut device = story();
    let off = Policy { security: SecurityPolicy::Off, feature: FeaturePolicy::Auto };
    assert_eq!(device.machine.set_policy(off), Err(Refusal::OwnerSignature));
    assert_eq!(device.machine.set_anchor(public("thief")), Err(Refusal::OwnerSignature));
    assert_eq!(
        device.machine.local(Action::Approve, &feature(5, 7, 2).digest()),
        Err(Refusal::OwnerSignature)
    );
    device.machine.owner(&owner(1, Request::Policy(off))).unwrap();
    assert_eq!(device.status().policy, off);
}

#[test]
fn redteam_10_a_rotten_image_has_a_way_back() {
    let mut device = eager(&patch(4, 8, 1));
    device.machine.media.primary.rot(100, 3);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Service(Refusal::ImageDigest)));
    let repair = feature(4, 8, 1);
    assert_eq!(device.push(&repair.bytes(), 512), Ok(Outcome::Ready));
    device.restart(Cause::Requested);
    device.machine.confirm().unwrap();
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(device.status().confirmed.manifest, repair.digest());
}

#[test]
fn redteam_10_blank_state_is_service_mode_and_takes_nothing() {
    let mut device = eager(&patch(4, 8, 1));
    let blank = patchlane_tests::sim::Chip::new("state", 4, 4096, 8 * 4096, &device.power);
    device.machine.media.state = blank;
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Service(Refusal::NotProvisioned)));
    assert_eq!(device.push(&patch(4, 9, 2).bytes(), 512), Err(Refusal::NotProvisioned));
    assert_eq!(device.machine.set_anchor(public("thief")), Err(Refusal::NotProvisioned));
}

#[test]
fn redteam_11_genuine_bundles_in_alternation_dont_wear_out_flash() {
    let mut device = device_under(SecurityPolicy::StageOnly, FeaturePolicy::Local, &patch(4, 7, 1));
    let (low, high) = (patch(4, 8, 2).bytes(), patch(4, 9, 3).bytes());
    // Heads only, in turn: the higher one displaces the lower once, and never the reverse.
    let head = |bytes: &[u8]| bytes[..1200].to_vec();
    let (mut first, mut last) = (0, 0);
    for round in 0..100 {
        let _ = push_part(&mut device, &head(&low));
        let _ = push_part(&mut device, &head(&high));
        if round == 0 {
            first = device.power.counts().2;
        }
        last = device.power.counts().2;
    }
    assert_eq!(first, last, "erases grow with alternation");
}

/// Sends a prefix and leaves it there.
fn push_part(device: &mut SimDevice, bytes: &[u8]) -> Result<(), Refusal> {
    let mut offset = device.machine.begin()? as usize;
    while offset < bytes.len() {
        match device.machine.push(offset as u32, &bytes[offset..])? {
            patchlane_device::Done::Want(want) if want as usize > offset => offset = want as usize,
            _ => break,
        }
    }
    Ok(())
}

#[test]
fn redteam_12_a_patch_has_no_conditions() {
    // From a level far behind, in one install.
    let mut device = eager(&patch(4, 1, 1));
    device.install(&patch(4, 40, 2)).unwrap();
    assert_eq!(runs(&mut device), "4.1 s40");
}

#[test]
fn redteam_14_one_key_serves_one_role() {
    let twice = Roles { version: 2, feature: vec!["security"], ..Roles::default() };
    let encoded = std::panic::catch_unwind(|| twice.document());
    assert!(encoded.is_err(), "a root with one key in two roles was written");
    let mut device = story();
    device.machine.owner(&owner(1, Request::Anchor(public("owner 2")))).unwrap();
    // A vendor key as owner key.
    let mut fresh =
        SimDevice::new(SMALL, &patch(4, 7, 1), factory(world::STORY_POLICY, false), 1, Torn::Stable);
    fresh.restart(Cause::PowerOn);
    assert_eq!(fresh.machine.set_anchor(public("security")), Err(Refusal::VendorKeyAsOwner));
    fresh.machine.set_anchor(public("owner")).unwrap();
}

#[test]
fn redteam_20_a_counter_that_cant_express_the_floor_blocks_nothing() {
    let mut device = eager(&patch(4, 7, 1));
    device.machine.counter.value = Some(0);
    device.machine.counter.most = 7;
    device.restart(Cause::PowerOn);
    device.install(&patch(4, 30, 2)).unwrap();
    assert_eq!(device.machine.counter.value, Some(7));
    assert_eq!(device.status().counter, patchlane_protocol::status::CounterState::CannotExpress);
}

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
    assert_eq!(device.push(&same.bytes(), 512), Ok(Outcome::Applied));
    assert_eq!(runs(&mut device), "4.1 s8");
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    // Under Notify it is only listed.
    let mut device = device_under(SecurityPolicy::Notify, FeaturePolicy::Never, &patch(4, 7, 1));
    assert_eq!(device.push(&same.bytes(), 512), Err(Refusal::PolicyNotify));
    assert!(device.status().held.is_some());
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

#[test]
fn another_products_bundle_is_refused() {
    let mut device = story();
    let mut other = patch(4, 8, 2).bundle();
    let _ = &mut other;
    let mut draft = patchlane::bundle::Draft::new(
        patchlane_protocol::Kind::SecurityPatch,
        patchlane_protocol::Product { class: patchlane_protocol::ClassId([9; 16]), ..PRODUCT },
        Version::new(4, 1, 8),
        img(2),
    );
    draft.hardware = vec![1];
    let mut bundle = draft.build().unwrap();
    bundle.sign(&world::key("security")).unwrap();
    assert_eq!(device.push(&bundle.to_bytes().unwrap(), 512), Err(Refusal::WrongProduct));
}
