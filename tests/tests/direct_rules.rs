//! Direct layouts: nothing is moved, and no image comes into the wrong slot.

use patchlane_device::{
    Boot, Cause, Config, Device, Done, Layout, NoCounter, NoWatchdog, Place, Region, Running, Single, Window,
};
use patchlane_protocol::Refusal;
use patchlane_protocol::link::Outcome;
use patchlane_tests::sim::direct::*;
use patchlane_tests::sim::sweep::Geometry;
use patchlane_tests::sim::world::{self, Release, Roles, factory};
use patchlane_tests::sim::{Nor, Power, SimDevice, Torn};

/// Restarts without an erase or a write in either slot.
fn restart_untouched(device: &mut SimDevice, cause: Cause, wanted: Running) {
    let before = wear(device);
    assert_eq!(device.restart(cause), Some(Boot::Run(wanted)));
    assert_eq!(wear(device), before, "a slot was erased or written");
}

#[test]
fn no_image_byte_is_erased_or_written_when_images_change_places() {
    for (_, geometry) in GEOMETRIES {
        let (old, new) = (patch(geometry, 4, 7), feature(geometry, 5, 7));
        let mut device = running(*geometry, &old, &[&new], 0);
        assert_eq!(device.push(&new.bytes(), 512), Ok(Outcome::Staged));
        let _ = device.machine.window(Window::Open).unwrap();
        let before = device.power.counts();
        restart_untouched(&mut device, Cause::Requested, Running::Trial);
        // One record: its area is erased once.
        let layout = *device.machine.engine().layout();
        let area = layout.area_size() / layout.place(Region::State).erase;
        assert_eq!(device.power.counts().2 - before.2, u64::from(area));
        // It fails, and goes back.
        restart_untouched(&mut device, Cause::Watchdog, Running::Trial);
        restart_untouched(&mut device, Cause::Watchdog, Running::Trial);
        restart_untouched(&mut device, Cause::Watchdog, Running::Confirmed);
        assert_eq!(slot_of(&device), 0);
        // It comes again, works, and rots: what ran before stands in.
        device.install(&new).expect("installed");
        rot(&mut device);
        restart_untouched(&mut device, Cause::PowerOn, Running::Fallback);
        assert_runs(&device, &old);
        restart_untouched(&mut device, Cause::PowerOn, Running::Fallback);
    }
}

/// It lies there whole, linked for its slot and signed: only the record says that it isn't one to fall back on.
#[test]
fn model2_02_what_failed_its_trial_is_no_fallback() {
    let (_, geometry) = GEOMETRIES[0];
    let (v, bad) = (patch(&geometry, 4, 7), feature(&geometry, 5, 7));
    let mut device = running(geometry, &v, &[&bad], 0);
    assert_eq!(device.push(&bad.bytes(), 512), Ok(Outcome::Staged));
    let _ = device.machine.window(Window::Open).unwrap();
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
    device.restart(Cause::Watchdog);
    device.restart(Cause::Watchdog);
    assert_eq!(device.restart(Cause::Watchdog), Some(Boot::Run(Running::Confirmed)));
    rot(&mut device);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Service(Refusal::ImageDigest)));
}

/// This release with one of its images.
fn only(release: &Release, slot: usize) -> Release {
    Release { linked: vec![release.linked[slot].clone()], ..release.clone() }
}

#[test]
fn t31_an_image_linked_for_the_other_slot_is_never_installed() {
    let (_, geometry) = GEOMETRIES[0];
    let new = patch(&geometry, 4, 8);
    let mut device = running(geometry, &patch(&geometry, 4, 7), &[&new], 0);
    let before = device.power.operations();
    // It runs from the first slot: the second is free.
    assert_eq!(device.push(&only(&new, 0).bytes(), 512), Err(Refusal::NoAlternative));
    // One that says nothing of where it runs is for neither.
    let nowhere = Release { linked: Vec::new(), image: new.linked[1].bytes.clone(), ..new.clone() };
    assert_eq!(device.push(&nowhere.bytes(), 512), Err(Refusal::NoAlternative));
    assert_eq!(device.power.operations(), before, "a refusal cost a flash operation");
    // Of two it takes the right one, and the wrong one's bytes never come near flash.
    device.install(&new).expect("installed");
    assert_runs(&device, &new);
    let next = patch(&geometry, 4, 9);
    device.expect(&next);
    assert_eq!(device.push(&only(&next, 1).bytes(), 512), Err(Refusal::NoAlternative));
    device.install(&only(&next, 0)).expect("installed");
    assert_eq!(slot_of(&device), 0);
    assert_runs(&device, &next);
}

#[test]
fn t31_an_image_linked_for_the_other_slot_is_never_booted() {
    let (_, geometry) = GEOMETRIES[0];
    let (old, new) = (patch(&geometry, 4, 7), patch(&geometry, 4, 8));
    let mut device = running(geometry, &old, &[&new], 0);
    assert_eq!(device.push(&new.bytes(), 512), Ok(Outcome::Staged));
    let _ = device.machine.window(Window::Open).unwrap();
    // Someone swaps the images of a genuine release: staged, on trial, confirmed.
    let wrong =
        |device: &mut SimDevice| device.machine.media.program(Region::Secondary, &new.linked[0].bytes);
    let mut staged = device.fork(1, Torn::Stable);
    wrong(&mut staged);
    assert_eq!(staged.restart(Cause::Requested), Some(Boot::Run(Running::Confirmed)));
    assert_runs(&staged, &old);
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
    let mut on_trial = device.fork(1, Torn::Stable);
    wrong(&mut on_trial);
    assert_eq!(on_trial.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_runs(&on_trial, &old);
    let _ = device.machine.confirm().unwrap();
    wrong(&mut device);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Service(Refusal::ImageDigest)));
}

#[test]
fn a_failed_trial_over_a_damaged_release_leaves_each_in_its_slot() {
    for (_, geometry) in GEOMETRIES {
        let (v, next) = (feature(geometry, 4, 7), patch(geometry, 4, 8));
        let mut device = running(*geometry, &v, &[&next], 0);
        rot(&mut device);
        assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Service(Refusal::ImageDigest)));
        assert_eq!(device.push(&next.bytes(), 512), Ok(Outcome::Ready));
        for cause in [Cause::Requested, Cause::Watchdog, Cause::Watchdog] {
            assert_eq!(device.restart(cause), Some(Boot::Run(Running::Trial)));
        }
        assert_eq!(device.restart(Cause::Watchdog), Some(Boot::Service(Refusal::ImageDigest)));
        // What is damaged is in the slot that its record speaks of: the repair goes into the other one.
        assert!(!device.machine.engine().state().unwrap().flipped);
        assert_eq!(device.push(&v.bytes(), 512), Ok(Outcome::Ready));
        assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
        let _ = device.machine.confirm().unwrap();
        assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
        assert_runs(&device, &v);
        assert_eq!(slot_of(&device), 1);
    }
}

#[test]
fn each_slot_has_its_own_room() {
    // Three sectors of 4 KiB against two.
    let geometry =
        [(8, 4096), (3, 4096), (2, 4096)].map(|(n, erase)| Geometry { write: 4, erase, length: n * erase });
    let image = |seed, size| patchlane_tests::sim::world::image(seed, size);
    let with = |level, sizes: [usize; 2]| {
        let linked = ADDRESSES.into_iter().zip(sizes).zip(u64::from(level) << 4..);
        let linked = linked.map(|((address, size), seed)| patchlane::bundle::Linked {
            address: Some(address),
            bytes: image(seed, size),
        });
        let linked: Vec<_> = linked.collect();
        let image = linked[0].bytes.clone();
        Release { linked, ..Release::patch(4, 1, level, image) }
    };
    let (second, third) = (with(8, [12_288, 8192]), with(9, [12_288, 8193]));
    let mut device = running(geometry, &with(7, [12_288, 8192]), &[&second, &third], 0);
    // Its second image has a byte too many.
    assert_eq!(device.push(&third.bytes(), 512), Err(Refusal::ImageTooLarge));
    device.install(&second).expect("installed");
    device.install(&third).expect("its first image goes into the first slot");
    assert_runs(&device, &third);
}

#[test]
fn a_patch_without_payload_needs_the_images_of_both_slots() {
    let (_, geometry) = GEOMETRIES[0];
    let v = patch(&geometry, 4, 7);
    let mut device = running(geometry, &v, &[], 0);
    let free = |linked| Release { linked, payload: false, ..Release::patch(4, 1, 8, Vec::new()) };
    // The image that runs, without the one for the other slot: another release.
    assert_eq!(device.push(&free(only(&v, 0).linked).bytes(), 512), Err(Refusal::NeedPayload));
    assert_eq!(device.push(&free(only(&v, 1).linked).bytes(), 512), Err(Refusal::NoAlternative));
    let both = free(v.linked.clone());
    device.expect(&both);
    assert_eq!(device.push(&both.bytes(), 512), Ok(Outcome::Applied));
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_runs(&device, &v);
}

/// The driver for one chip: a role is a place of its layout.
#[test]
fn one_chip_holds_both_slots() {
    type Chip = Nor<8, 2048>;
    let slot = Geometry { write: 8, erase: 2048, length: 8192 };
    let (old, new) = (patch(&[slot; 3], 4, 7), patch(&[slot; 3], 4, 8));
    let places =
        [(0, 32 * 1024), (32 * 1024, 8192), (40 * 1024, 8192)].map(|(at, n)| Place::of::<Chip>(at, n));
    let [state, one, other] = places;
    let layout = Layout::direct_on_one(state, [one, other], ADDRESSES).unwrap();
    let power = Power::new(1, Torn::Stable);
    let mut chip = Chip::new("chip", 48 * 1024, &power);
    chip.0.program(32 * 1024, &old.linked[0].bytes);
    let config = Config { address: None, soak: 0, fenced: false };
    let session = |chip| Device::new(layout, config, Single::new(chip, layout), NoWatchdog, NoCounter);
    let (mut device, bundle) = (session(chip), old.bundle());
    let set = bundle.signature_bytes().unwrap();
    let rules = factory(world::STORY_POLICY, true);
    device.provision(&Roles::default().document(), bundle.manifest_bytes(), &set, rules).unwrap();
    let (bytes, mut at) = (new.bytes(), device.begin().unwrap() as usize);
    while let Done::Want(want) = device.push(at as u32, &bytes[at..bytes.len().min(at + 512)]).unwrap() {
        at = want as usize;
    }
    let _ = device.window(Window::Open).unwrap();
    let mut device = session(device.media.flash.clone());
    assert_eq!(device.primary_slot(), None);
    assert_eq!(device.boot(Cause::Requested), Ok(Boot::Run(Running::Trial)));
    let slot = device.primary_slot().unwrap();
    assert_eq!((slot.region, slot.address, slot.room), (Region::Secondary, Some(ADDRESSES[1]), 8192));
    let (digest, size) = image_of(&new, 1);
    assert_eq!(patchlane::bundle::sha256(&device.media.flash.0.contents(40 * 1024, size)), digest);
    assert_eq!(device.media.flash.0.contents(32 * 1024, 4), old.linked[0].bytes[..4]);
    assert!(power.violations().is_empty(), "{:?}", power.violations());
}

/// What ends a failing trial is judged for the slots as they will be once it has ended.
#[test]
fn a_patch_that_ends_a_trial_is_for_the_slot_that_is_free_afterwards() {
    let (_, geometry) = GEOMETRIES[0];
    let (v, trial, fix) = (patch(&geometry, 4, 7), feature(&geometry, 5, 7), patch(&geometry, 4, 8));
    let on_trial = || {
        let mut device = running(geometry, &v, &[&trial, &fix], 0);
        assert_eq!(device.push(&trial.bytes(), 512), Ok(Outcome::Staged));
        let _ = device.machine.window(Window::Open).unwrap();
        assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
        assert_eq!(slot_of(&device), 1);
        device
    };
    // The trial runs in the second slot, which is free again once v is back in the first.
    assert_eq!(on_trial().push(&only(&fix, 0).bytes(), 512), Err(Refusal::NoAlternative));
    let mut device = on_trial();
    assert_eq!(device.push(&only(&fix, 1).bytes(), 512), Err(Refusal::SendAgain));
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Confirmed)));
    assert_runs(&device, &v);
    device.install(&only(&fix, 1)).expect("installed");
    // One without payload is for the image that will run then.
    let mut device = on_trial();
    let linked = v.linked.clone();
    let free = Release { linked, payload: false, ..Release::patch(4, 1, 8, Vec::new()) };
    device.expect(&free);
    assert_eq!(device.push(&free.bytes(), 512), Err(Refusal::SendAgain));
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(device.push(&free.bytes(), 512), Ok(Outcome::Applied));
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_runs(&device, &v);
}

/// A trial that works is confirmed for a patch of its own baseline: then the first slot is free.
#[test]
fn a_patch_that_confirms_a_soaking_trial_goes_into_the_slot_it_came_from() {
    let (_, geometry) = GEOMETRIES[0];
    let (v, trial, fix) = (patch(&geometry, 4, 7), feature(&geometry, 5, 7), patch(&geometry, 5, 8));
    let mut device = running(geometry, &v, &[&trial, &fix], 5);
    assert_eq!(device.push(&trial.bytes(), 512), Ok(Outcome::Staged));
    let _ = device.machine.window(Window::Open).unwrap();
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
    let _ = device.machine.confirm().unwrap();
    assert_eq!(device.push(&only(&fix, 1).bytes(), 512), Err(Refusal::NoAlternative));
    let first = only(&fix, 0);
    device.expect(&first);
    assert_eq!(device.push(&first.bytes(), 512), Err(Refusal::SendAgain));
    assert_eq!(device.push(&first.bytes(), 512), Ok(Outcome::Staged));
    let _ = device.machine.window(Window::Open).unwrap();
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
    assert_eq!(slot_of(&device), 0);
    assert_runs(&device, &fix);
}
