//! What reviews of the finished device found: one test for each defect, failing before its fix.

use patchlane::flash::{Cut, When};
use patchlane_device::{Boot, Cause, Done, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::Action;
use patchlane_protocol::status::Activity;
use patchlane_protocol::{FeaturePolicy, Policy, Refusal, Request, SecurityPolicy};
use patchlane_tests::sim::cases::*;
use patchlane_tests::sim::world::{Release, Roles, STORY_POLICY, approval, factory, owner};
use patchlane_tests::sim::{SimDevice, Torn};

fn owner_policy(serial: u64, security: SecurityPolicy) -> Vec<u8> {
    owner(serial, Request::Policy(Policy { security, feature: FeaturePolicy::OwnerKey }))
}

/// Torn words read as errors.
fn with_ecc() -> SimDevice {
    let mut device = story().fork(3, Torn::Ecc);
    device.restart(Cause::PowerOn);
    device
}

#[test]
fn an_unreadable_word_of_what_goes_back_ends_in_service_mode_not_in_a_loop() {
    let mut device = with_ecc();
    on_trial(&mut device, &patch(4, 8, 2));
    device.machine.media.secondary.tear(5000);
    for _ in 0..2 {
        assert_eq!(device.restart(Cause::Watchdog), Some(Boot::Run(Running::Trial)));
    }
    assert_eq!(device.restart(Cause::Watchdog), Some(Boot::Service(Refusal::ImageDigest)));
    device.install(&patch(4, 9, 3)).unwrap();
    assert_eq!(runs(&mut device), "4.1 s9");
}

#[test]
fn an_unreadable_word_of_what_goes_in_takes_the_old_release_back() {
    let mut device = with_ecc();
    let fix = patch(4, 8, 2);
    device.expect(&fix);
    device.push(&fix.bytes(), 512).unwrap();
    device.machine.window(Window::Open).unwrap();
    // Power fails in the middle of the swap; then a word of the second block can't be read any more.
    device.power.plan(Cut { at: 10, when: When::After });
    device.restart(Cause::Requested);
    assert!(device.power.is_off());
    device.machine.media.secondary.tear(2 * 4096 + 100);
    device.power.restore();
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(runs(&mut device), "4.1 s7");
}

#[test]
fn a_root_that_rots_comes_back_with_the_chain() {
    let mut device = eager(&patch(4, 7, 1));
    let second = Roles { version: 2, security: vec!["security 2"], ..Roles::default() };
    let third = Roles { version: 3, security: vec!["security 3"], ..Roles::default() };
    let links = vec![second.link(&["root"]), third.link(&["root"])];
    let with = |level, seed| Release {
        root: 3,
        links: links.clone(),
        signers: vec!["security 3"],
        ..patch(4, level, seed)
    };
    assert_eq!(device.push(&with(7, 1).bytes(), 512), Ok(Outcome::RootCommitted));
    let cell = device.machine.engine().state().unwrap().root.cell;
    let at = device.machine.engine().layout().cell_at(cell) as usize;
    device.machine.media.state.rot(at + 100, 2);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    // Neither another root of that number nor the old one takes its place.
    let forged = Roles { feature: vec!["thief"], ..third.clone() };
    let evil = Release { links: vec![forged.link(&["root"])], ..with(8, 5) };
    assert!(device.push(&evil.bytes(), 512).is_err());
    let old = Release { links: vec![second.link(&["root"])], root: 2, ..with(8, 6) };
    assert!(device.push(&old.bytes(), 512).is_err());
    device.install(&with(8, 2)).unwrap();
    assert_eq!(runs(&mut device), "4.1 s8");
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(device.status().root_version, 3);
}

#[test]
fn a_window_that_closes_takes_back_what_was_ready() {
    let mut device = story();
    let fix = patch(4, 8, 2);
    device.expect(&fix);
    device.push(&fix.bytes(), 512).unwrap();
    device.machine.window(Window::Open).unwrap();
    assert!(device.machine.engine().needs_restart());
    device.machine.window(Window::Closed).unwrap();
    assert!(!device.machine.engine().needs_restart());
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(device.status().activity, Activity::Staged);
    device.machine.window(Window::Overdue).unwrap();
    assert!(device.status().overdue);
    device.machine.window(Window::Open).unwrap();
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Trial)));
    // What somebody asked for under StageOnly doesn't depend on a window.
    let mut device = device_under(SecurityPolicy::StageOnly, FeaturePolicy::Local, &patch(4, 7, 1));
    device.expect(&fix);
    device.push(&fix.bytes(), 512).unwrap();
    device.machine.local(Action::Apply, &fix.digest()).unwrap();
    device.machine.window(Window::Closed).unwrap();
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Trial)));
}

#[test]
fn stage_only_holds_what_was_ready_under_another_policy() {
    let fix = patch(4, 8, 2);
    // Ready when the policy changes.
    let mut device = story();
    device.push(&fix.bytes(), 512).unwrap();
    device.machine.window(Window::Open).unwrap();
    device.machine.owner(&owner_policy(1, SecurityPolicy::StageOnly)).unwrap();
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(device.status().activity, Activity::Staged);
    // Half received when the policy changes.
    let mut device = story();
    device.machine.window(Window::Open).unwrap();
    let bytes = fix.bytes();
    let from = device_begin(&mut device);
    assert!(matches!(device.machine.push(from, &bytes[..3000]), Ok(Done::Want(_))));
    device.machine.owner(&owner_policy(1, SecurityPolicy::StageOnly)).unwrap();
    assert_eq!(device.push(&bytes, 512), Ok(Outcome::Staged));
}

fn device_begin(device: &mut SimDevice) -> u32 {
    device.machine.begin().unwrap()
}

#[test]
fn an_owner_who_reverts_takes_the_approval_back() {
    let mut device = story();
    let later = feature(5, 7, 2);
    device.machine.owner(&approval(1, later.digest())).unwrap();
    on_trial(&mut device, &later);
    let revert = Request::Release { action: Action::Revert, manifest: later.digest() };
    device.machine.owner(&owner(2, revert)).unwrap();
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(device.status().approval, None);
    assert_eq!(device.push(&later.bytes(), 512), Err(Refusal::Held));
}

#[test]
fn service_mode_says_so_when_the_fallback_is_damaged_too() {
    let mut device = eager(&patch(4, 7, 1));
    device.install(&feature(5, 7, 2)).unwrap();
    device.machine.media.primary.rot(5000, 1);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Fallback)));
    assert_eq!(device.status().activity, Activity::Degraded);
    device.machine.media.primary.rot(3000, 1);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Service(Refusal::ImageDigest)));
    assert_eq!(device.status().activity, Activity::Service);
}

#[test]
fn a_request_amid_a_chunk_spoils_no_transfer() {
    let mut device = story();
    let bytes = patch(4, 8, 2).bytes();
    let mut offset = device_begin(&mut device) as usize;
    let mut serial = 0;
    while offset < bytes.len() {
        let end = (offset + 700).min(bytes.len());
        match device.machine.push(offset as u32, &bytes[offset..end]) {
            Ok(Done::Want(want)) => offset = want as usize,
            Ok(Done::Outcome(Outcome::Staged)) => return,
            other => panic!("at {offset}: {other:?}"),
        }
        if serial < 40 {
            serial += 1;
            let approval = approval(serial, feature(5, serial as u32, 3).digest());
            device.machine.owner(&approval).unwrap();
        }
    }
    panic!("the transfer didn't end");
}

#[test]
fn a_combined_release_notifies_under_never() {
    let mut device = device_under(SecurityPolicy::StageOnly, FeaturePolicy::Never, &patch(4, 7, 1));
    let plain = feature(5, 8, 2);
    assert_eq!(device.push(&plain.bytes(), 512), Err(Refusal::PolicyNever));
    assert_eq!(device.status().held, None);
    let combined = Release { combined: true, ..feature(5, 9, 3) };
    assert_eq!(device.push(&combined.bytes(), 512), Err(Refusal::PolicyNever));
    assert_eq!(device.status().held.map(|held| held.release.version), Some(combined.version));
    let mut device = device_under(SecurityPolicy::Off, FeaturePolicy::Never, &patch(4, 7, 1));
    assert_eq!(device.push(&combined.bytes(), 512), Err(Refusal::PolicyNever));
    assert_eq!(device.status().held, None);
}

#[test]
fn a_payload_free_patch_ends_no_trial_that_leaves_only_the_fallback() {
    let mut device = eager(&patch(4, 7, 1));
    device.install(&feature(5, 7, 2)).unwrap();
    device.machine.media.primary.rot(5000, 1);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Fallback)));
    on_trial(&mut device, &feature(6, 7, 3));
    let unaffected = Release { payload: false, ..patch(5, 8, 2) };
    assert_eq!(device.push(&unaffected.bytes(), 512), Err(Refusal::TrialPending));
    assert_eq!(device.push(&patch(5, 8, 4).bytes(), 512), Err(Refusal::SendAgain));
}

/// Sends chunks until the device goes back to write a block anew, then one chunk more; or all of the prefix.
fn break_off(device: &mut SimDevice, prefix: &[u8]) {
    let mut offset = device_begin(device) as usize;
    let mut end = prefix.len();
    while offset < end {
        match device.machine.push(offset as u32, &prefix[offset..end]).unwrap() {
            Done::Want(want) => {
                if (want as usize) < offset.max(1000) {
                    end = want as usize + 1024 + 32;
                }
                offset = want as usize;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_transfer_broken_off_again_and_again_doesnt_wear_out_flash() {
    let mut device = story();
    let bytes = patch(4, 8, 2).bytes();
    let erases = |device: &SimDevice| device.power.counts().2;
    break_off(&mut device, &bytes[..2800]);
    for _ in 0..3 {
        // After a restart the last block is written anew, once; the record before that.
        device.restart(Cause::PowerOn);
        let before = erases(&device);
        break_off(&mut device, &bytes[..4000]);
        assert!(erases(&device) <= before + 2);
        let before = erases(&device);
        for _ in 0..100 {
            break_off(&mut device, &bytes[..2800]);
            break_off(&mut device, &bytes[..4000]);
        }
        assert_eq!(erases(&device), before, "each attempt erases");
    }
    assert_eq!(device.push(&bytes, 512), Ok(Outcome::Staged));
    assert!(device.power.violations().is_empty(), "{:?}", device.power.violations());
}

#[test]
fn a_payload_free_patch_for_a_damaged_image_writes_nothing() {
    // Found by the model check: the receipt was stored before the image was compared, at every attempt.
    let mut device = eager(&patch(4, 7, 1));
    device.machine.media.primary.rot(6000, 4);
    let unaffected = Release { payload: false, ..patch(4, 8, 1) };
    let before = device.power.operations();
    for _ in 0..3 {
        assert_eq!(device.push(&unaffected.bytes(), 512), Err(Refusal::NeedPayload));
    }
    assert_eq!(device.power.operations(), before);
}

#[test]
fn a_refused_provisioning_leaves_no_root_behind() {
    let mut device = story();
    let before = device.status();
    // A root of somebody else's, and a release that isn't signed under it.
    let other = Roles { security: vec!["security 2"], ..Roles::default() };
    let foreign = Release { signers: vec!["security 2"], ..patch(4, 8, 2) };
    let wrong = patch(4, 7, 1).bundle();
    let set = wrong.signature_bytes().unwrap();
    let factory = factory(STORY_POLICY, true);
    let refused = device.machine.provision(&other.document(), wrong.manifest_bytes(), &set, factory);
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(device.push(&foreign.bytes(), 512), Err(Refusal::UnknownKey));
    assert_eq!(device.status().confirmed, before.confirmed);
}
