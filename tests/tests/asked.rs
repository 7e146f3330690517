//! What is asked of a device and what it says of itself, at edges that no threat passes by: found by breaking the device in
//! every small way (`cargo xtask mutants`).

use patchlane_device::verify::{new_anchor, own_signers};
use patchlane_device::{Boot, Cause, Config, Done, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::{Action, SignedOwner};
use patchlane_protocol::signature::Signature;
use patchlane_protocol::status::Activity;
use patchlane_protocol::{
    DocumentKind, FeaturePolicy, Header, List, OwnerDocument, Policy, PublicKey, Refusal, Request,
    RootDocument, SecurityPolicy, SignedRoot, Target, limits,
};
use patchlane_tests::sim::cases::*;
use patchlane_tests::sim::device::CONFIG;
use patchlane_tests::sim::world::{PRODUCT, Release, Roles, approval, factory, owner, public, sign};
use patchlane_tests::sim::{SimDevice, Torn};

/// Staged, and nobody has opened a window.
fn staged() -> (SimDevice, Release) {
    let (mut device, fix) = (story(), patch(4, 8, 2));
    device.expect(&fix);
    assert_eq!(device.push(&fix.bytes(), 512), Ok(Outcome::Staged));
    (device, fix)
}

fn asked(device: &mut SimDevice, serial: u64, action: Action, of: &Release) -> Result<Outcome, Refusal> {
    device.machine.owner(&owner(serial, Request::Release { action, manifest: of.digest() }))
}

#[test]
fn keep_and_revert_are_for_the_release_on_trial() {
    let config = Config { soak: 3, ..CONFIG };
    let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto };
    let mut device = SimDevice::with(config, SMALL, &patch(4, 7, 1), factory(policy, true), 1, Torn::Stable);
    device.restart(Cause::PowerOn);
    let fix = patch(4, 8, 2);
    on_trial(&mut device, &fix);
    device.machine.confirm().unwrap();
    for (serial, action) in [(1, Action::Revert), (2, Action::Keep)] {
        assert_eq!(asked(&mut device, serial, action, &patch(4, 7, 1)), Err(Refusal::UnknownManifest));
        assert_eq!(device.status().activity, Activity::Soak, "{action:?}");
    }
    asked(&mut device, 3, Action::Keep, &fix).unwrap();
    assert_eq!(runs(&mut device), "4.1 s8");
    // Nothing is on trial any more.
    assert_eq!(asked(&mut device, 4, Action::Revert, &fix), Err(Refusal::UnknownManifest));
}

#[test]
fn what_is_withdrawn_is_what_was_named() {
    let (mut device, fix) = staged();
    let (approved, held) = (feature(6, 8, 4), feature(5, 8, 3));
    assert_eq!(device.push(&held.bytes(), 512), Err(Refusal::Held));
    device.machine.owner(&approval(1, approved.digest())).unwrap();
    assert_eq!(asked(&mut device, 2, Action::Withdraw, &patch(4, 9, 9)), Err(Refusal::UnknownManifest));
    let left = |device: &mut SimDevice| {
        let status = device.status();
        let candidate = status.candidate.map(|named| named.manifest);
        (candidate, status.held.map(|held| held.release.manifest), status.approval)
    };
    asked(&mut device, 2, Action::Withdraw, &approved).unwrap();
    assert_eq!(left(&mut device), (Some(fix.digest()), Some(held.digest()), None));
    asked(&mut device, 3, Action::Withdraw, &fix).unwrap();
    assert_eq!(left(&mut device), (None, Some(held.digest()), None));
    assert_eq!(device.status().activity, Activity::Idle);
    asked(&mut device, 4, Action::Withdraw, &held).unwrap();
    assert_eq!(left(&mut device), (None, None, None));
}

#[test]
fn a_policy_that_says_the_same_of_a_patch_lets_it_go_on() {
    let (mut device, _) = staged();
    device.machine.window(Window::Open).unwrap();
    assert_eq!(device.status().activity, Activity::Ready);
    let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto };
    device.machine.owner(&owner(1, Request::Policy(policy))).unwrap();
    assert_eq!(device.status().activity, Activity::Ready);
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
}

#[test]
fn overdue_is_what_waits_for_too_long() {
    let mut device = story();
    device.machine.window(Window::Overdue).unwrap();
    assert!(!device.status().overdue, "nothing waits");
    let (mut device, _) = staged();
    assert!(!device.status().overdue, "it came just now");
    device.machine.window(Window::Overdue).unwrap();
    assert!(device.status().overdue);
}

#[test]
fn failed_boots_and_refusals_are_counted() {
    let mut device = story();
    assert_eq!((device.status().rejections, device.status().last_refusal), (0, None));
    let mut spoilt = patch(4, 8, 2).bytes();
    spoilt[40] ^= 1;
    let refusal = device.push(&spoilt, 512).unwrap_err();
    assert_eq!((device.status().rejections, device.status().last_refusal), (1, Some(refusal.code())));
    // What waits for consent isn't refused.
    assert_eq!(device.push(&feature(5, 8, 3).bytes(), 512), Err(Refusal::Held));
    assert_eq!((device.status().rejections, device.status().last_refusal), (1, Some(refusal.code())));
    assert_eq!(device.status().failed_boots, 0);
    on_trial(&mut device, &patch(4, 8, 2));
    assert_eq!(device.restart(Cause::Watchdog), Some(Boot::Run(Running::Trial)));
    assert_eq!(device.status().failed_boots, 1);
}

#[test]
fn a_transfer_that_has_ended_wants_nothing() {
    let want = |device: &SimDevice| device.machine.engine().want();
    let (mut device, fix) = staged();
    assert_eq!(want(&device), None);
    // Sent again, it is here already: nothing of it is asked for, and nothing written.
    let bytes = fix.bytes();
    for (window, outcome) in [(Window::Closed, Outcome::Staged), (Window::Open, Outcome::Ready)] {
        device.machine.window(window).unwrap();
        let before = device.power.operations();
        assert_eq!(device.push(&bytes, 512), Ok(outcome));
        assert_eq!((device.power.operations(), want(&device)), (before, None), "{outcome:?}");
    }
    let mut device = story();
    assert_eq!(device.push(&feature(5, 8, 3).bytes(), 512), Err(Refusal::Held));
    assert_eq!(want(&device), None);
    device.machine.begin().unwrap();
    assert_eq!(want(&device), Some(0));
    assert!(device.machine.engine().is_open());
}

#[test]
fn a_feature_that_outranks_what_is_held_takes_its_place() {
    let mut device = story();
    let (lower, higher) = (feature(5, 8, 3), feature(6, 8, 4));
    for release in [&lower, &higher, &lower] {
        assert_eq!(device.push(&release.bytes(), 512), Err(Refusal::Held));
    }
    assert_eq!(device.status().held.map(|held| held.release.manifest), Some(higher.digest()));
}

/// A new root that trusts the same key drops nothing.
#[test]
fn what_the_new_root_trusts_stays_staged() {
    let (mut device, fix) = staged();
    let next = Roles { version: 2, security: vec!["security", "security 2"], ..Roles::default() };
    let carries = Release { root: 2, links: vec![next.link(&["root"])], ..patch(4, 7, 1) };
    assert_eq!(device.push(&carries.bytes(), 512), Ok(Outcome::RootCommitted));
    let status = device.status();
    assert_eq!((status.root_version, status.activity), (2, Activity::Staged));
    assert_eq!(status.candidate.map(|named| named.manifest), Some(fix.digest()));
    device.machine.window(Window::Open).unwrap();
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
}

#[test]
fn the_longest_link_is_waited_for_and_none_that_is_longer() {
    let header = Header { links: 1, manifest: 500, signatures: 73 };
    let header = header.encode(&mut [0; 10]).unwrap().to_vec();
    for (more, taken) in [(0, true), (1, false)] {
        let mut device = story();
        let prefix = u16::try_from(limits::ROOT_LINK + more).unwrap().to_le_bytes();
        device.machine.begin().unwrap();
        let answer = device.machine.push(0, &[&header[..], &prefix].concat());
        assert_eq!(answer == Ok(Done::Want(12)), taken, "{more}: {answer:?}");
    }
}

/// A boot that has nothing to do wears nothing out, wherever the counter stands.
#[test]
fn a_boot_with_nothing_to_do_writes_nothing() {
    let mut device = eager(&patch(4, 7, 1));
    device.machine.counter.value = Some(7);
    device.machine.counter.most = 100;
    let before = device.power.operations();
    for _ in 0..3 {
        assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    }
    assert_eq!(device.power.operations(), before);
}

/// Neither what runs nor what waits is whole: what waits is forgotten, so that it can be sent again.
#[test]
fn a_damaged_candidate_of_a_damaged_device_is_forgotten() {
    let (mut device, fix) = staged();
    device.machine.media.primary.rot(5000, 1);
    device.machine.media.secondary.rot(5000 + 4096, 1);
    assert!(matches!(device.restart(Cause::PowerOn), Some(Boot::Service(_))));
    assert_eq!(device.machine.engine().state().unwrap().candidate, None);
    device.install(&fix).unwrap();
    assert_eq!(runs(&mut device), "4.1 s8");
}

#[test]
fn keys_that_every_signature_would_satisfy_are_no_anchors() {
    let document = Roles::default().document();
    let root = RootDocument::parse(&document).unwrap();
    // The neutral element, and a point of order two: both can be decoded.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut order_two = [0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    for bytes in [neutral, order_two] {
        assert_eq!(new_anchor(&PublicKey::ed25519(bytes), &root), Err(Refusal::BadSignature));
    }
    assert_eq!(new_anchor(&public("owner 2"), &root), Ok(()));
}

#[test]
fn own_signers_are_the_roots_own() {
    let roles = Roles { root: vec!["root", "root 2"], ..Roles::default() };
    let count = |labels: &[&str]| own_signers(&SignedRoot::parse(&roles.link(labels)).unwrap());
    assert_eq!(count(&["root", "root 2", "security"]), 2);
    assert_eq!(count(&["root 2", "root before"]), 1);
    assert_eq!(count(&["security", "root before"]), 0);
}

/// A signature counts for the key that it names, or for none.
#[test]
fn a_signature_under_another_name_is_nobodys() {
    let request = Request::Release { action: Action::Approve, manifest: feature(5, 8, 3).digest() };
    let document = OwnerDocument { product: PRODUCT, target: Target::All, serial: 1, request };
    let document = document.encode(&mut [0; 384]).unwrap().to_vec();
    let good = sign(DocumentKind::Owner, &document, &["owner"])[0];
    let other = Signature { key: public("thief").id(), ..good };
    let encoded =
        |one| SignedOwner::encode(&document, &List::of(&[one]).unwrap(), &mut [0; 384]).unwrap().to_vec();
    let mut device = story();
    assert_eq!(device.machine.owner(&encoded(other)), Err(Refusal::OwnerSignature));
    assert!(device.machine.owner(&encoded(good)).is_ok());
}
