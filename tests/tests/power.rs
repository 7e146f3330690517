//! Power cuts at every operation of an update, a revert and a confirmation (I14).

use patchlane_device::{Boot, Cause, Running};
use patchlane_protocol::status::Activity;
use patchlane_protocol::{FeaturePolicy, Policy, SecurityPolicy};
use patchlane_tests::sim::sweep::Geometry;
use patchlane_tests::sim::sweep::{GEOMETRIES, Plan, install_round, pairs, singles};
use patchlane_tests::sim::world::{self, Release, Roles, image};
use patchlane_tests::sim::{SimDevice, Torn};

fn size(geometry: &[Geometry; 3]) -> usize {
    geometry[1].length
}

/// `4.1 s7` runs, `4.1 s8` goes in and is confirmed.
struct Update;

impl Update {
    fn releases(geometry: &[Geometry; 3]) -> (Release, Release) {
        let full = size(geometry);
        (Release::patch(4, 1, 7, image(1, full - full / 3)), Release::patch(4, 1, 8, image(2, full - 100)))
    }
}

impl Plan for Update {
    fn device(&self, geometry: [Geometry; 3]) -> SimDevice {
        let (old, new) = Self::releases(&geometry);
        let mut device = SimDevice::story(geometry, &old);
        device.expect(&new);
        device
    }
    fn round(&self, device: &mut SimDevice) -> bool {
        let new = Self::releases(&shape(device)).1;
        install_round(device, &new.bytes(), &new.version)
    }
    fn end(&self, device: &mut SimDevice) {
        let new = Self::releases(&shape(device)).1;
        assert_eq!(device.booted, Some(Boot::Run(Running::Confirmed)));
        assert_eq!(device.status().confirmed.version, new.version);
        let digest = device.primary_digest(new.image.len());
        assert_eq!(digest, patchlane::bundle::sha256(&new.image));
    }
}

/// `4.1 s8` goes in, fails three boots, and is taken back.
struct Revert;

impl Plan for Revert {
    fn device(&self, geometry: [Geometry; 3]) -> SimDevice {
        Update.device(geometry)
    }
    fn round(&self, device: &mut SimDevice) -> bool {
        let (_, new) = Update::releases(&shape(device));
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
    fn end(&self, device: &mut SimDevice) {
        let (old, _) = Update::releases(&shape(device));
        assert_eq!(device.booted, Some(Boot::Run(Running::Confirmed)));
        assert_eq!(device.status().confirmed.version, old.version);
    }
}

/// `4.1 s8` is staged when a bundle brings a root that revokes its key, and `4.1 s9`.
struct Rotation;

impl Rotation {
    fn next(geometry: &[Geometry; 3]) -> Release {
        let roles = Roles { version: 2, security: vec!["security 2"], ..Roles::default() };
        let links = vec![roles.link(&["root"])];
        let release = Release::patch(4, 1, 9, image(3, size(geometry) / 2));
        Release { root: 2, links, signers: vec!["security 2"], ..release }
    }
}

impl Plan for Rotation {
    fn device(&self, geometry: [Geometry; 3]) -> SimDevice {
        let mut device = Update.device(geometry);
        device.expect(&Self::next(&geometry));
        device.restart(Cause::PowerOn);
        device.push(&Update::releases(&geometry).1.bytes(), 512).expect("staged");
        device
    }
    fn round(&self, device: &mut SimDevice) -> bool {
        let next = Self::next(&shape(device));
        let status = device.status();
        // Until the link is committed, the staged release waits; then it is gone.
        assert!(status.root_version == 1 || status.candidate.is_none_or(|c| c.version == next.version));
        if status.activity == Activity::Staged && status.root_version == 1 {
            let _ = device.push(&next.bytes(), 512);
            return false;
        }
        install_round(device, &next.bytes(), &next.version)
    }
    fn end(&self, device: &mut SimDevice) {
        assert_eq!(device.booted, Some(Boot::Run(Running::Confirmed)));
        let status = device.status();
        assert_eq!((status.confirmed.version, status.root_version), (Self::next(&shape(device)).version, 2));
    }
}

/// `4.1 s7` becomes `5.1 s7`, whose image rots; the fallback goes in.
struct Fallback;

impl Plan for Fallback {
    fn device(&self, geometry: [Geometry; 3]) -> SimDevice {
        let old = Release::patch(4, 1, 7, image(1, size(&geometry) - 50));
        let new = Release::feature(5, 1, 7, image(2, size(&geometry) / 2));
        let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto };
        let mut device = SimDevice::new(geometry, &old, world::factory(policy, true), 1, Torn::Stable);
        device.restart(Cause::PowerOn);
        device.install(&new).expect("installed");
        device.machine.media.primary.rot(77, 3);
        device
    }
    fn round(&self, device: &mut SimDevice) -> bool {
        device.booted == Some(Boot::Run(Running::Fallback))
    }
    fn end(&self, device: &mut SimDevice) {
        assert_eq!(device.booted, Some(Boot::Run(Running::Fallback)));
        let status = device.status();
        assert_eq!(status.activity, Activity::Degraded);
        assert_eq!(status.confirmed.version, patchlane_protocol::Version::new(5, 1, 7));
    }
}

fn shape(device: &SimDevice) -> [Geometry; 3] {
    let layout = device.machine.engine().layout();
    let place = |region| {
        let place = layout.place(region);
        Geometry { write: place.write as usize, erase: place.erase as usize, length: place.length as usize }
    };
    use patchlane_device::Region::{Primary, Secondary, State};
    [place(State), place(Primary), place(Secondary)]
}

#[test]
fn nothing_is_lost_without_cuts() {
    for geometry in GEOMETRIES {
        let tally = singles(&Update, *geometry, &[], 1);
        println!("{}: {} operations", geometry.0, tally.operations);
        singles(&Revert, *geometry, &[], 1);
    }
}

#[test]
fn every_single_cut_of_an_update_is_survived() {
    let mut cases = 0;
    for geometry in GEOMETRIES {
        let tally = singles(&Update, *geometry, &Torn::ALL, 1);
        println!("update {}: {} operations, {} cuts", geometry.0, tally.operations, tally.cases);
        cases += tally.cases;
    }
    println!("update: {cases} cuts");
}

#[test]
fn every_single_cut_of_a_revert_is_survived() {
    let mut cases = 0;
    for geometry in GEOMETRIES {
        let tally = singles(&Revert, *geometry, &Torn::ALL, 1);
        println!("revert {}: {} operations, {} cuts", geometry.0, tally.operations, tally.cases);
        cases += tally.cases;
    }
    println!("revert: {cases} cuts");
}

#[test]
fn every_single_cut_of_a_root_rotation_and_of_a_fallback_is_survived() {
    for geometry in GEOMETRIES {
        let rotation = singles(&Rotation, *geometry, &Torn::ALL, 1);
        let fallback = singles(&Fallback, *geometry, &Torn::ALL, 1);
        println!("rotation {}: {} operations, {} cuts", geometry.0, rotation.operations, rotation.cases);
        println!("fallback {}: {} operations, {} cuts", geometry.0, fallback.operations, fallback.cases);
    }
}

#[test]
fn pairs_of_cuts_are_survived() {
    let tally = pairs(&Update, GEOMETRIES[3], &Torn::ALL, 11);
    println!("pairs {}: {} operations, {} pairs", GEOMETRIES[3].0, tally.operations, tally.cases);
}

#[test]
fn a_device_is_what_the_factory_made_it() {
    let (old, _) = Update::releases(&GEOMETRIES[1].1);
    let mut device = SimDevice::story(GEOMETRIES[1].1, &old);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    let status = device.status();
    assert_eq!(status.device, world::DEVICE);
    assert_eq!(status.confirmed.version, old.version);
    assert_eq!(status.activity, Activity::Idle);
}
