//! Devices that run code from both slots, and releases linked for both.

use super::sweep::{Geometry, Named, places};
use super::world::{Release, factory, image};
use super::{Chip, Power, SimDevice, Torn};
use patchlane::bundle::{Linked, sha256};
use patchlane_device::{Boot, Cause, Config, Layout, Region, Running};
use patchlane_protocol::{Digest, FeaturePolicy, Policy, SecurityPolicy};

/// Where the slots are seen.
pub const ADDRESSES: [u32; 2] = [0x0802_0000, 0x9000_0000];

/// State, first slot, second slot: one chip, two chips of different geometry and length, large words and sectors.
pub const GEOMETRIES: &[Named] = &[
    ("direct 4/4K", slots([4, 4096], [8, 3], [4, 4096, 3])),
    ("direct internal 8/2K, external 1/4K", slots([8, 2048], [16, 4], [1, 4096, 3])),
    ("direct 32/16K one block", slots([32, 16384], [8, 1], [32, 16384, 1])),
];

/// State and first slot share word and sector; the second has its own, and its own number of sectors.
const fn slots([write, erase]: [usize; 2], [state, first]: [usize; 2], second: [usize; 3]) -> [Geometry; 3] {
    let [second_write, second_erase, second] = second;
    [
        Geometry { write, erase, length: state * erase },
        Geometry { write, erase, length: first * erase },
        Geometry { write: second_write, erase: second_erase, length: second * second_erase },
    ]
}

/// The layout: each region on a chip of its own.
pub fn layout(geometry: [Geometry; 3]) -> Layout {
    let [state, first, second] = places(geometry);
    Layout::direct(state, [first, second], ADDRESSES).expect("a layout")
}

/// Links a release for both slots: images of different length that share nothing.
pub fn linked(release: Release, geometry: &[Geometry; 3], seed: u64) -> Release {
    let [_, first, second] = geometry;
    let one = image(seed, first.length - first.length / 3 - 7 * seed as usize % 64);
    let other = image(seed << 8, second.length - 100 - 3 * seed as usize % 64);
    let linked = ADDRESSES.into_iter().zip([one.clone(), other]);
    let linked = linked.map(|(address, bytes)| Linked { address: Some(address), bytes }).collect();
    Release { linked, image: one, ..release }
}

/// ApplyInWindow and Auto: everything that may go in does.
const EAGER: Policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto };

/// A device that left the factory with this release in its first slot.
pub fn device(geometry: [Geometry; 3], first: &Release, soak: u8) -> SimDevice {
    // Where code runs from both slots, this address counts for nothing.
    let config = Config { address: Some(0xdead_0000), soak, fenced: false };
    let chip = Chip::new(layout(geometry)).on(&Power::new(1, Torn::Stable));
    SimDevice::on_chip(config, chip, first, factory(EAGER, true))
}

/// The slot that it started from last: 0 or 1.
pub fn slot_of(device: &SimDevice) -> usize {
    usize::from(device.slot.expect("it started").region == Region::Secondary)
}

/// SHA-256 of a release's image for a slot.
pub fn image_of(release: &Release, slot: usize) -> (Digest, usize) {
    let bytes = &release.linked[slot].bytes;
    (sha256(bytes), bytes.len())
}

/// Checks that this release runs, from the slot that it started from, linked for it.
pub fn assert_runs(device: &SimDevice, release: &Release) {
    let (digest, size) = image_of(release, slot_of(device));
    assert_eq!(device.primary_digest(size), digest, "{} in slot {}", release.version, slot_of(device));
    assert_eq!(device.slot.unwrap().address, Some(ADDRESSES[slot_of(device)]));
}

/// `line.1 s level`, linked for both slots.
pub fn patch(geometry: &[Geometry; 3], line: u16, level: u32) -> Release {
    linked(Release::patch(line, 1, level, Vec::new()), geometry, u64::from(line) << 8 | u64::from(level))
}

/// The same, signed by both roles.
pub fn feature(geometry: &[Geometry; 3], line: u16, level: u32) -> Release {
    linked(Release::feature(line, 1, level, Vec::new()), geometry, u64::from(line) << 8 | u64::from(level))
}

/// A device that runs `first`, started; what else may run there.
pub fn running(geometry: [Geometry; 3], first: &Release, others: &[&Release], soak: u8) -> SimDevice {
    let mut device = device(geometry, first, soak);
    others.iter().for_each(|release| device.expect(release));
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    device
}

/// A device that runs `second`, from its second slot; `first` is the fallback, if it may be.
pub fn updated(geometry: [Geometry; 3], first: &Release, second: &Release, others: &[&Release]) -> SimDevice {
    let mut device = running(geometry, first, others, 0);
    device.install(second).expect("installed");
    assert_eq!(slot_of(&device), 1);
    device
}

/// Flips a bit of what runs.
pub fn rot(device: &mut SimDevice) {
    match slot_of(device) {
        0 => device.machine.media.primary.rot(77, 3),
        _ => device.machine.media.secondary.rot(77, 3),
    }
}

/// What happened to both slots so far: bytes written, and what is there.
pub fn wear(device: &SimDevice) -> [(u64, Vec<u8>); 2] {
    let media = &device.machine.media;
    [&media.primary, &media.secondary].map(|bank| (bank.written(), bank.contents(0, bank.length())))
}
