//! What the red team found (design-redteam.md), on the real device code: one test for each finding that touches it.

use patchlane::bundle::{Draft, Linked, sha256};
use patchlane_device::{Boot, Cause, Config, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::Action;
use patchlane_protocol::{
    Digest, FeaturePolicy, FormatError, Header, Kind, Policy, Refusal, Request, SecurityPolicy, Version,
};
use patchlane_tests::sim::cases::*;
use patchlane_tests::sim::device::CONFIG;
use patchlane_tests::sim::world::{self, Release, Roles, approval, factory, owner, public};
use patchlane_tests::sim::{SimDevice, Torn};

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
    // What is on trial may go back, and would then be below the counter.
    on_trial(&mut device, &patch(4, 8, 2));
    assert_eq!(device.machine.counter.value, Some(7));
    device.machine.confirm().unwrap();
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
    device.expect(&repair);
    assert_eq!(device.push(&repair.bytes(), 512), Ok(Outcome::Ready));
    device.restart(Cause::Requested);
    device.machine.confirm().unwrap();
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(device.status().confirmed.manifest, repair.digest());
}

#[test]
fn redteam_10_blank_state_is_service_mode_and_takes_nothing() {
    let mut device = eager(&patch(4, 8, 1));
    let blank = patchlane::flash::Bank::new("state", 4, 4096, 8 * 4096, &device.power);
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

/// A patch whose images are linked for these slot addresses, its manifest, and those images.
fn linked_for(addresses: [u32; 2]) -> (Vec<u8>, Digest, [Release; 2]) {
    let images = [patch(4, 8, 2), patch(4, 8, 3)];
    let version = images[0].version;
    let mut draft = Draft::new(Kind::SecurityPatch, world::PRODUCT, version, Vec::new());
    let linked = addresses.iter().zip(&images);
    draft.images =
        linked.map(|(address, i)| Linked { address: Some(*address), bytes: i.image.clone() }).collect();
    let mut bundle = draft.build().expect("a bundle");
    bundle.sign(&world::key("security")).expect("a signature");
    (bundle.to_bytes().expect("a bundle"), bundle.digest(), images)
}

#[test]
fn redteam_19_a_device_takes_the_image_linked_for_its_slot() {
    let (bundle, manifest, images) = linked_for([0x0800_8000, 0x0804_0000]);
    let device_at = |address| {
        let config = Config { address, ..CONFIG };
        let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto };
        let factory = factory(policy, false);
        let mut device = SimDevice::with(config, SMALL, &patch(4, 7, 1), factory, 1, Torn::Stable);
        for release in &images {
            std::ops::DerefMut::deref_mut(&mut device).expect(manifest, sha256(&release.image));
        }
        device.restart(Cause::PowerOn);
        device
    };
    for (address, release) in [0x0800_8000, 0x0804_0000].into_iter().zip(&images) {
        let mut device = device_at(Some(address));
        assert_eq!(device.push(&bundle, 512), Ok(Outcome::Staged));
        device.machine.window(Window::Open).unwrap();
        assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
        device.machine.confirm().unwrap();
        assert_eq!(device.primary_digest(release.image.len()), sha256(&release.image));
        assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    }
    // One that is linked for neither, or that takes only images which state no address, takes none.
    for address in [Some(0x0808_0000), None] {
        let mut device = device_at(address);
        let before = device.power.operations();
        assert_eq!(device.push(&bundle, 512), Err(Refusal::NoAlternative));
        assert_eq!(device.power.operations(), before, "a refusal cost a flash operation");
        assert_eq!(device.status().confirmed.version, patch(4, 7, 1).version);
    }
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
fn redteam_06_no_steps_and_no_epochs_only_ceilings() {
    let mut device = eager(&patch(4, 1, 1));
    assert_eq!(device.push(&patch(4, 100, 2).bytes(), 512), Err(Refusal::AboveCeiling));
    device.install(&patch(4, 99, 3)).unwrap();
    // A new root doesn't start anything anew: what lies below the level still loses fixes.
    let next = Roles { version: 2, ceilings: (9, 199), ..Roles::default() };
    let low = Release { root: 2, links: vec![next.link(&["root"])], ..patch(4, 98, 4) };
    assert_eq!(device.push(&low.bytes(), 512), Err(Refusal::LosesFix));
    assert_eq!((runs(&mut device), device.status().root_version), ("4.1 s99".into(), 2));
}

#[test]
fn redteam_13_status_says_whether_the_state_is_fenced() {
    for fenced in [false, true] {
        let config = patchlane_device::Config { fenced, ..patchlane_tests::sim::device::CONFIG };
        let factory = factory(world::STORY_POLICY, true);
        let mut device = SimDevice::with(config, SMALL, &patch(4, 7, 1), factory, 1, Torn::Stable);
        device.restart(Cause::PowerOn);
        assert_eq!(device.status().fenced, fenced);
    }
}

#[test]
fn redteam_15_heads_links_and_chunks_are_bounded() {
    let mut device = eager(&patch(4, 7, 1));
    let before = device.power.operations();
    let refused = Err(Refusal::Malformed(FormatError::OverLimit));
    let header = |links, manifest, signatures| {
        Header { links, manifest, signatures }.encode(&mut [0; Header::WIDTH]).unwrap().to_vec()
    };
    let mut head = header(0, 1900, 100);
    let at = head.windows(2).position(|pair| pair == 1900u16.to_le_bytes()).unwrap();
    head[at..at + 2].copy_from_slice(&1949u16.to_le_bytes());
    assert_eq!(device.push(&[head, vec![0; 2049]].concat(), 512), refused, "a head of 2,049 bytes");
    let link = [header(1, 500, 70), 1025u16.to_le_bytes().to_vec(), vec![0; 1025]].concat();
    assert_eq!(device.push(&link, 512), refused, "a link of 1,025 bytes");
    let chunk = Release { chunk: 1056, ..patch(4, 8, 2) };
    assert_eq!(device.push(&chunk.bytes(), 512), Err(Refusal::NoAlternative));
    assert_eq!(device.power.operations(), before, "a refusal cost a flash operation");
}

#[test]
fn redteam_16_a_replay_is_authenticated_again_and_believes_no_flash() {
    let mut device = eager(&patch(4, 7, 1));
    let fix = patch(4, 8, 2);
    let bytes = fix.bytes();
    push_part(&mut device, &bytes[..6500]).unwrap();
    device.restart(Cause::PowerOn);
    // Another byte in a chunk that was taken once: refused, nothing changes.
    let mut other = bytes.clone();
    other[2000] ^= 1;
    let before = device.power.operations();
    assert_eq!(device.push(&other, 512), Err(Refusal::ChunkDigest));
    assert_eq!(device.power.operations(), before);
    // What flash lost meanwhile is written anew.
    device.machine.media.secondary.rot(4096 + 700, 5);
    device.install(&fix).unwrap();
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(runs(&mut device), "4.1 s8");
}

#[test]
fn redteam_17_receipts_lie_outside_the_slots() {
    let mut device = eager(&patch(4, 7, 1));
    let slots = |device: &SimDevice| {
        let media = &device.machine.media;
        (media.primary.contents(0, 2 * 4096), media.secondary.contents(0, 3 * 4096))
    };
    let before = slots(&device);
    let listed = Release { payload: false, ..patch(4, 8, 1) };
    device.expect(&listed);
    assert_eq!(device.push(&listed.bytes(), 512), Ok(Outcome::Applied));
    assert!(slots(&device) == before, "a slot was touched");
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
}

#[test]
fn redteam_21_overdue_is_said_and_never_forced() {
    let mut device = story();
    assert_eq!(device.push(&patch(4, 8, 2).bytes(), 512), Ok(Outcome::Staged));
    device.machine.window(patchlane_device::Window::Overdue).unwrap();
    assert!(device.status().overdue && !device.machine.engine().needs_restart());
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(runs(&mut device), "4.1 s7");
}

/// The same where code runs from both slots: what a replay of heads, or of a head with a spoiled chunk, costs.
#[test]
fn t44_a_replayed_head_wears_out_no_direct_device() {
    use patchlane_tests::sim::direct;
    for geometry in direct::GEOMETRIES {
        let release =
            |level, seed| direct::linked(Release::patch(4, 1, level, Vec::new()), &geometry.1, seed);
        let mut device = direct::device(geometry.1, &release(7, 1), 0);
        device.restart(Cause::PowerOn);
        let bundle = release(8, 2).bytes();
        for spoiled in [false, true] {
            let mut last = None;
            for round in 0..50 {
                let mut sent = bundle[..bundle.len().min(3_000)].to_vec();
                if spoiled {
                    let payload = release(8, 2).bundle().to_head().unwrap().len();
                    sent[payload + 5] ^= 1;
                } else {
                    sent.truncate(700);
                }
                let _ = push_part(&mut device, &sent);
                let erases = device.power.counts().2;
                assert!(last.is_none_or(|last| round < 2 || last == erases), "{}: round {round}", geometry.0);
                last = Some(erases);
            }
        }
    }
}
