//! Direct layouts: code runs from both slots, each image is linked for one of them, and nothing is moved. Every single cut
//! of everything that an update can be.

use patchlane_device::{Boot, Cause, Region, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::status::Activity;
use patchlane_protocol::{Refusal, Version};
use patchlane_tests::sim::direct::*;
use patchlane_tests::sim::sweep::{Geometry, Plan, install_round, singles};
use patchlane_tests::sim::world::{Release, Roles, approval};
use patchlane_tests::sim::{SimDevice, Torn};

/// `line.1 s level`, linked for both slots.
fn patch(geometry: &[Geometry; 3], line: u16, level: u32) -> Release {
    linked(Release::patch(line, 1, level, Vec::new()), geometry, u64::from(line) << 8 | u64::from(level))
}

/// The same, signed by both roles.
fn feature(geometry: &[Geometry; 3], line: u16, level: u32) -> Release {
    linked(Release::feature(line, 1, level, Vec::new()), geometry, u64::from(line) << 8 | u64::from(level))
}

/// A device that runs `first`, started; what else may run there.
fn running(geometry: [Geometry; 3], first: &Release, others: &[&Release], soak: u8) -> SimDevice {
    let mut device = device(geometry, first, soak);
    others.iter().for_each(|release| device.expect(release));
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    device
}

/// A device that runs `second`, from its second slot; `first` is the fallback, if it may be.
fn updated(geometry: [Geometry; 3], first: &Release, second: &Release, others: &[&Release]) -> SimDevice {
    let mut device = running(geometry, first, others, 0);
    device.install(second).expect("installed");
    assert_eq!(slot_of(&device), 1);
    device
}

/// Flips a bit of what runs.
fn rot(device: &mut SimDevice) {
    match slot_of(device) {
        0 => device.machine.media.primary.rot(77, 3),
        _ => device.machine.media.secondary.rot(77, 3),
    }
}

/// What happened to both slots so far: erases and bytes written.
fn wear(device: &SimDevice) -> [u64; 4] {
    let media = &device.machine.media;
    let (one, other) = (&media.primary, &media.secondary);
    [one.erases(), one.written(), other.erases(), other.written()]
}

/// What an operator wants to come about, on which device, and how he goes about it.
struct Case {
    name: &'static str,
    device: fn(&Case, [Geometry; 3]) -> SimDevice,
    /// What runs first, and what is sent.
    releases: fn(&[Geometry; 3]) -> (Release, Release),
    round: fn(&Case, &mut SimDevice) -> bool,
    end: fn(&Case, &mut SimDevice),
}

/// The device's geometry, told by its layout.
fn shape(device: &SimDevice) -> [Geometry; 3] {
    [Region::State, Region::Primary, Region::Secondary].map(|region| {
        let place = device.machine.engine().layout().place(region);
        Geometry { write: place.write as usize, erase: place.erase as usize, length: place.length as usize }
    })
}

impl Case {
    fn pair(&self, device: &SimDevice) -> (Release, Release) {
        (self.releases)(&shape(device))
    }
}

impl Plan for Case {
    fn device(&self, geometry: [Geometry; 3]) -> SimDevice {
        (self.device)(self, geometry)
    }
    fn round(&self, device: &mut SimDevice) -> bool {
        (self.round)(self, device)
    }
    fn end(&self, device: &mut SimDevice) {
        (self.end)(self, device);
    }
}

/// The first release runs in the first slot.
fn first_runs(case: &Case, geometry: [Geometry; 3]) -> SimDevice {
    let (old, new) = (case.releases)(&geometry);
    running(geometry, &old, &[&new], 0)
}

/// The new release is sent, goes in, and is confirmed.
fn install(case: &Case, device: &mut SimDevice) -> bool {
    let new = case.pair(device).1;
    install_round(device, &new.bytes(), &new.version)
}

/// The new release runs and is confirmed.
fn new_runs(case: &Case, device: &mut SimDevice) {
    let new = case.pair(device).1;
    assert_eq!(device.booted, Some(Boot::Run(Running::Confirmed)), "{}", case.name);
    assert_eq!(device.status().confirmed.version, new.version, "{}", case.name);
    assert_runs(device, &new);
}

/// The first release runs and is confirmed, from the first slot.
fn old_runs(case: &Case, device: &mut SimDevice) {
    let old = case.pair(device).0;
    assert_eq!(device.booted, Some(Boot::Run(Running::Confirmed)), "{}", case.name);
    assert_eq!(device.status().confirmed.version, old.version, "{}", case.name);
    assert_eq!(slot_of(device), 0);
    assert_runs(device, &old);
}

const PATCH: Case = Case {
    name: "patch",
    device: first_runs,
    releases: |g| (patch(g, 4, 7), patch(g, 4, 8)),
    round: install,
    end: new_runs,
};

/// A patch that follows one: it goes from the second slot back into the first.
const PATCH_BACK: Case = Case {
    name: "patch into the first slot",
    device: |case, geometry| {
        let (second, third) = (case.releases)(&geometry);
        updated(geometry, &patch(&geometry, 4, 7), &second, &[&third])
    },
    releases: |g| (patch(g, 4, 8), patch(g, 4, 9)),
    round: install,
    end: |case, device| {
        new_runs(case, device);
        assert_eq!(slot_of(device), 0);
    },
};

const PAYLOAD_FREE: Case = Case {
    name: "payload-free patch",
    device: |case, geometry| {
        let (second, third) = (case.releases)(&geometry);
        updated(geometry, &patch(&geometry, 4, 7), &second, &[&third])
    },
    releases: |g| {
        let second = patch(g, 4, 8);
        let linked = second.linked.clone();
        (second, Release { linked, payload: false, ..Release::patch(4, 1, 9, Vec::new()) })
    },
    round: |case, device| {
        let before = wear(device);
        let done = install(case, device);
        assert_eq!(wear(device), before, "a patch without payload touched a slot");
        done
    },
    end: |case, device| {
        new_runs(case, device);
        assert_eq!(slot_of(device), 1);
    },
};

const FEATURE: Case = Case {
    name: "feature update",
    device: first_runs,
    releases: |g| (patch(g, 4, 7), feature(g, 5, 7)),
    round: install,
    end: |case, device| {
        new_runs(case, device);
        let fallback = device.machine.engine().state().and_then(|state| state.fallback);
        assert_eq!(fallback.map(|f| f.version), Some(Version::new(4, 1, 7)));
    },
};

const ROLLBACK: Case = Case {
    name: "rollback",
    device: |case, geometry| {
        let (second, back) = (case.releases)(&geometry);
        updated(geometry, &patch(&geometry, 4, 7), &second, &[&back])
    },
    releases: |g| (feature(g, 5, 8), feature(g, 4, 8)),
    round: |case, device| {
        let new = case.pair(device).1;
        let status = device.status();
        if status.serial == 0 {
            let sent = device.machine.owner(&approval(1, new.digest()));
            assert!(sent.is_ok() || device.power.is_off(), "{sent:?}");
            return false;
        }
        install_round(device, &new.bytes(), &new.version)
    },
    end: |case, device| {
        new_runs(case, device);
        assert_eq!(device.status().serial, 1);
    },
};

/// v comes again until it runs.
fn cure(case: &Case, device: &mut SimDevice) -> bool {
    let new = case.pair(device).1;
    match device.booted {
        Some(Boot::Run(Running::Confirmed)) => return true,
        Some(Boot::Run(Running::Trial)) => {
            if device.machine.confirm().is_ok() {
                device.restart(Cause::Requested);
            }
        }
        _ if device.machine.engine().needs_restart() => drop(device.restart(Cause::Requested)),
        _ => {
            let sent = device.push(&new.bytes(), 512);
            assert!(sent == Ok(Outcome::Ready) || device.power.is_off(), "{sent:?}");
        }
    }
    false
}

/// What runs rots, and nothing stands in: its own release comes again, and goes into the other slot.
const REPAIR: Case = Case {
    name: "repair",
    device: |case, geometry| {
        let mut device = first_runs(case, geometry);
        rot(&mut device);
        device
    },
    releases: |g| (feature(g, 4, 7), feature(g, 4, 7)),
    round: cure,
    end: |case, device| {
        new_runs(case, device);
        assert_eq!(slot_of(device), 1);
    },
};

/// Fails until it is taken back.
fn fail(case: &Case, device: &mut SimDevice) -> bool {
    let new = case.pair(device).1;
    let status = device.status();
    let failed = device.machine.engine().state().is_some_and(|s| s.failures.iter().count() > 0);
    if failed && status.activity == Activity::Idle {
        return true;
    }
    if device.machine.engine().needs_restart() {
        device.restart(Cause::Requested);
    } else if status.activity == Activity::Trial {
        device.restart(Cause::Watchdog);
    } else {
        assert!(!failed, "it failed, and isn't idle: {status:?}");
        return install_round(device, &new.bytes(), &new.version);
    }
    false
}

const REVERT: Case = Case {
    name: "revert after a failed trial",
    device: first_runs,
    releases: |g| (patch(g, 4, 7), patch(g, 4, 8)),
    round: fail,
    end: old_runs,
};

/// The application says that it can't work: it records the revert, and still runs from the slot it is in.
const DEADLINE: Case = Case {
    name: "revert that the application asks for",
    device: first_runs,
    releases: |g| (patch(g, 4, 7), patch(g, 4, 8)),
    round: |case, device| {
        if device.status().activity != Activity::Trial {
            return fail(case, device);
        }
        let said = device.machine.fail();
        if said.is_ok() {
            let slot = device.machine.primary_slot().map(|slot| slot.region);
            assert_eq!(slot, Some(Region::Secondary), "roles changed under a running application");
            let again = device.push(&case.pair(device).1.bytes(), 512);
            assert!(again == Err(Refusal::SendAgain) || device.power.is_off(), "{again:?}");
            device.restart(Cause::Requested);
        }
        false
    },
    end: old_runs,
};

/// `5.1 s7` rots; `4.1 s7`, which it came after, stands in.
const FALLBACK: Case = Case {
    name: "fallback",
    device: |case, geometry| {
        let (old, new) = (case.releases)(&geometry);
        let mut device = updated(geometry, &old, &new, &[]);
        rot(&mut device);
        device
    },
    releases: |g| (patch(g, 4, 7), feature(g, 5, 7)),
    round: |_, device| device.booted == Some(Boot::Run(Running::Fallback)),
    end: |case, device| {
        let (old, new) = case.pair(device);
        assert_eq!(device.booted, Some(Boot::Run(Running::Fallback)));
        let status = device.status();
        assert_eq!((status.activity, status.confirmed.version), (Activity::Degraded, new.version));
        assert_eq!(slot_of(device), 0);
        assert_runs(device, &old);
    },
};

/// While the fallback runs, v comes again: into the slot that it rotted in.
const CURE: Case = Case {
    name: "repair while the fallback runs",
    device: |_, geometry| {
        let mut device = (FALLBACK.device)(&FALLBACK, geometry);
        assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Fallback)));
        device
    },
    releases: FALLBACK.releases,
    round: cure,
    end: |case, device| {
        new_runs(case, device);
        let state = device.machine.engine().state().expect("a state");
        // What stood in may do so again.
        assert_eq!(state.fallback.map(|f| f.version), Some(Version::new(4, 1, 7)));
        assert_eq!(slot_of(device), 1);
    },
};

/// `4.1 s8` is staged when a bundle brings a root that revokes its key, and `4.1 s9`.
const ROTATION: Case = Case {
    name: "root rotation",
    device: |case, geometry| {
        let staged = patch(&geometry, 4, 8);
        let (old, new) = (case.releases)(&geometry);
        let mut device = running(geometry, &old, &[&staged, &new], 0);
        assert_eq!(device.push(&staged.bytes(), 512), Ok(Outcome::Staged));
        device
    },
    releases: |g| {
        let roles = Roles { version: 2, security: vec!["security 2"], ..Roles::default() };
        let links = vec![roles.link(&["root"])];
        (patch(g, 4, 7), Release { root: 2, links, signers: vec!["security 2"], ..patch(g, 4, 9) })
    },
    round: |case, device| {
        let new = case.pair(device).1;
        let status = device.status();
        assert!(status.root_version == 1 || status.candidate.is_none_or(|c| c.version == new.version));
        if status.activity == Activity::Staged && status.root_version == 1 {
            let _ = device.push(&new.bytes(), 512);
            return false;
        }
        install_round(device, &new.bytes(), &new.version)
    },
    end: |case, device| {
        new_runs(case, device);
        assert_eq!(device.status().root_version, 2);
    },
};

const SOAK: Case = Case {
    name: "soak",
    device: |case, geometry| {
        let (old, new) = (case.releases)(&geometry);
        running(geometry, &old, &[&new], 3)
    },
    releases: |g| (patch(g, 4, 7), patch(g, 4, 8)),
    round: |case, device| {
        if device.status().activity == Activity::Soak {
            device.restart(Cause::PowerOn);
            return false;
        }
        install(case, device)
    },
    end: new_runs,
};

/// `5.1 s7` is on trial, unhealthy as yet, when `4.1 s8` comes: the trial ends, and the patch goes in.
const DURING_TRIAL: Case = Case {
    name: "patch during a trial",
    device: |case, geometry| {
        let (old, new) = (case.releases)(&geometry);
        let trial = feature(&geometry, 5, 7);
        let mut device = running(geometry, &old, &[&trial, &new], 0);
        assert_eq!(device.push(&trial.bytes(), 512), Ok(Outcome::Staged));
        let _ = device.machine.window(Window::Open).expect("opened");
        assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
        device
    },
    releases: |g| (patch(g, 4, 7), patch(g, 4, 8)),
    round: |case, device| {
        let new = case.pair(device).1;
        let candidate = device.status().candidate;
        let running = candidate.is_some_and(|c| c.version == Version::new(5, 1, 7));
        if running && !device.machine.engine().needs_restart() {
            let sent = device.push(&new.bytes(), 512);
            assert!(sent == Err(Refusal::SendAgain) || device.power.is_off(), "{sent:?}");
            return false;
        }
        install_round(device, &new.bytes(), &new.version)
    },
    end: new_runs,
};

const CASES: [&Case; 13] = [
    &PATCH,
    &PATCH_BACK,
    &PAYLOAD_FREE,
    &FEATURE,
    &ROLLBACK,
    &REPAIR,
    &REVERT,
    &DEADLINE,
    &FALLBACK,
    &CURE,
    &ROTATION,
    &SOAK,
    &DURING_TRIAL,
];

#[test]
fn nothing_is_lost_without_cuts() {
    for geometry in GEOMETRIES {
        for case in CASES {
            let tally = singles(case, *geometry, &[], 1);
            println!("{}, {}: {} operations", geometry.0, case.name, tally.operations);
        }
    }
}

/// Every operation is cut, before, within and after; torn words read in every way.
fn cut_everywhere(cases: &[&Case]) {
    for geometry in GEOMETRIES {
        for case in cases {
            let tally = singles(*case, *geometry, &Torn::ALL, 1);
            println!("{}, {}: {} operations, {} cuts", geometry.0, case.name, tally.operations, tally.cases);
        }
    }
}

#[test]
fn every_single_cut_of_patches_is_survived() {
    cut_everywhere(&[&PATCH, &PATCH_BACK, &PAYLOAD_FREE, &DURING_TRIAL]);
}

#[test]
fn every_single_cut_of_features_is_survived() {
    cut_everywhere(&[&FEATURE, &ROLLBACK, &SOAK, &ROTATION]);
}

#[test]
fn every_single_cut_of_going_back_is_survived() {
    cut_everywhere(&[&REVERT, &DEADLINE, &FALLBACK, &REPAIR, &CURE]);
}

/// Restarts without an erase or a write in either slot.
fn restart_untouched(device: &mut SimDevice, cause: Cause, wanted: Running) {
    let (before, contents) =
        (wear(device), [Region::Primary, Region::Secondary].map(|r| device.machine.media.region(r)));
    assert_eq!(device.restart(cause), Some(Boot::Run(wanted)));
    assert_eq!(wear(device), before, "a slot was erased or written");
    assert_eq!([Region::Primary, Region::Secondary].map(|r| device.machine.media.region(r)), contents);
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
        // One record: its area is erased, two copies and a mark are written. The first of a session is written afresh.
        assert!(
            device.power.counts().2 - before.2
                <= 2 * u64::from(device.machine.engine().layout().area_size()) / 512
        );
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
        Release { linked: linked.collect(), ..Release::patch(4, 1, level, Vec::new()) }
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
    assert_eq!(device.push(&free(v.linked.clone()).bytes(), 512), Ok(Outcome::Applied));
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_runs(&device, &v);
}
