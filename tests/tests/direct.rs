//! Direct layouts: code runs from both slots, each image is linked for one of them, and nothing is moved. What each thing
//! an operator does ends in, and every single cut of what `cargo xtask cuts` doesn't do.

use patchlane_device::{Boot, Cause, Region, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::status::Activity;
use patchlane_protocol::{Refusal, Version};
use patchlane_tests::sim::cases::push_part;
use patchlane_tests::sim::direct::*;
use patchlane_tests::sim::sweep::{Geometry, Plan, install_round, pairs, singles};
use patchlane_tests::sim::world::{Release, Roles, approval};
use patchlane_tests::sim::{SimDevice, Torn};

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
    fn name(&self) -> &str {
        self.name
    }
    fn device(&self, geometry: [Geometry; 3]) -> SimDevice {
        (self.device)(self, geometry)
    }
    fn round(&self, device: &mut SimDevice) -> bool {
        // Power may fail here, too: a record that reads torn today is written afresh.
        if let Err(refusal) = device.machine.open() {
            assert!(device.power.is_off(), "{}: it {refusal}", self.name);
            return false;
        }
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

/// Where nothing is moved, what is received is what will run: no word that a cut left marginal stays, so that all of it is
/// written by one session.
#[test]
fn a_transfer_that_power_broke_is_written_anew() {
    let (_, geometry) = GEOMETRIES[0];
    let (old, new) = (patch(&geometry, 4, 7), patch(&geometry, 4, 8));
    let mut device = running(geometry, &old, &[&new], 0);
    let bundle = new.bytes();
    push_part(&mut device, &bundle[..bundle.len() - 600]).unwrap();
    device.restart(Cause::PowerOn);
    assert_eq!(device.status().activity, Activity::Receiving);
    let before = device.machine.media.secondary.written();
    assert_eq!(device.push(&bundle, 512), Ok(Outcome::Staged));
    let again = device.machine.media.secondary.written() - before;
    assert!(again >= new.linked[1].bytes.len() as u64, "{again} of {}", new.linked[1].bytes.len());
}

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
    let cases = patchlane_tests::cases!();
    for geometry in GEOMETRIES {
        for case in CASES {
            let tally = singles(&cases, case, *geometry, &[], 1);
            println!("{}, {}: {} operations", geometry.0, case.name, tally.operations);
        }
    }
}

/// What no plan of `cargo xtask cuts` does. The others are cut there, on four direct layouts, in more ways.
const ONLY_HERE: [&Case; 3] = [&PATCH_BACK, &PAYLOAD_FREE, &DEADLINE];

#[test]
fn every_single_cut_of_what_only_direct_layouts_do_is_survived() {
    let cases = patchlane_tests::cases!();
    for geometry in GEOMETRIES {
        for case in ONLY_HERE {
            let tally = singles(&cases, case, *geometry, &Torn::ALL, 1);
            println!("{}, {}: {} operations, {} cuts", geometry.0, case.name, tally.operations, tally.cases);
        }
    }
}

#[test]
fn pairs_of_cuts_are_survived() {
    let cases = patchlane_tests::cases!();
    for case in [&PATCH_BACK, &DEADLINE] {
        let tally = pairs(&cases, case, GEOMETRIES[2], &Torn::ALL, 11);
        println!("{}, {}: {tally}", GEOMETRIES[2].0, case.name);
        assert!(!cases.are_all() || tally.cases >= 800, "{tally}");
    }
}
