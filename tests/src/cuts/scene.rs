//! What a plan is played with: the device as it is in the beginning, releases, papers.

use super::driver::Lie;
use super::shape::Shape;
use super::world::{Instant, Memory};
use crate::sim::SimDevice;
use crate::sim::device::CONFIG;
use crate::sim::direct::{self, ADDRESSES};
use crate::sim::world::{Release, approval, factory, image};
use patchlane::bundle::{Linked, sha256};
use patchlane_device::state::State;
use patchlane_device::{Cause, Config, Window};
use patchlane_protocol::{Digest, FeaturePolicy, Policy, SecurityPolicy, Version};
use std::collections::BTreeMap;

/// A release, ready to be sent.
#[derive(Debug, Clone)]
pub struct Offer {
    /// SHA-256 of its manifest.
    pub manifest: Digest,
    /// Its version.
    pub version: Version,
    /// Its bundle.
    pub bytes: Vec<u8>,
}

/// An owner's approval, ready to be sent.
#[derive(Debug, Clone)]
pub struct Paper {
    /// Its serial.
    pub serial: u64,
    /// What it approves.
    pub manifest: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a plan is played with.
#[derive(Debug, Clone)]
pub struct Scene {
    /// In the beginning.
    pub start: Instant,
    /// The integrator's choices.
    pub config: Config,
    /// Releases. The first is what the device left the factory with.
    pub offers: Vec<Offer>,
    /// The owner's papers.
    pub papers: Vec<Paper>,
    /// By manifest: the digest of the image for each slot.
    pub known: BTreeMap<Digest, [Digest; 2]>,
    /// What a root revokes, and that root's version.
    pub revoked: Option<(Digest, u32)>,
    /// True if what left the factory was damaged, so that service mode is right until it is repaired.
    pub damaged: bool,
    /// How the driver lies.
    pub lie: Option<Lie>,
}

/// ApplyInWindow; features as stated.
pub const fn policy(feature: FeaturePolicy) -> Policy {
    Policy { security: SecurityPolicy::ApplyInWindow, feature }
}

/// A device that is made ready for a plan.
pub struct Maker {
    /// The device.
    pub device: SimDevice,
    releases: Vec<Release>,
    config: Config,
    papers: Vec<Paper>,
}

impl Maker {
    /// A device of this shape that left the factory with the first of these releases, and started.
    pub fn new(shape: &Shape, soak: u8, feature: FeaturePolicy, owned: bool, releases: Vec<Release>) -> Self {
        let config = Config { soak, ..CONFIG };
        let chip = patchlane::flash::Chip::reading(shape.layout(), shape.erased);
        let mut device = SimDevice::on_chip(config, chip, &releases[0], factory(policy(feature), owned));
        releases.iter().for_each(|release| device.expect(release));
        device.restart(Cause::PowerOn);
        Self { device, releases, config, papers: Vec::new() }
    }

    /// Puts a release on trial.
    pub fn on_trial(&mut self, release: usize) {
        self.device.push(&self.releases[release].bytes(), 512).expect("staged");
        self.device.machine.window(Window::Open).expect("ready");
        self.device.restart(Cause::Requested);
    }

    /// A bit of what runs flips.
    pub fn rot(&mut self) {
        direct::rot(&mut self.device);
    }

    /// The owner approves a release.
    pub fn approves(&mut self, serial: u64, release: usize) {
        let manifest = self.releases[release].digest();
        self.papers.push(Paper { serial, manifest, bytes: approval(serial, manifest) });
    }

    /// The scene, from here on.
    pub fn scene(mut self) -> Scene {
        self.device.machine.open().expect("a state");
        let state = *self.device.machine.engine().state().expect("a state");
        let of = |release: &Release| {
            let bundle = release.bundle();
            let bytes = bundle.to_bytes().expect("a bundle");
            Offer { manifest: bundle.digest(), version: release.version, bytes }
        };
        let offers: Vec<Offer> = self.releases.iter().map(of).collect();
        let images = self.releases.iter().map(|release| match &release.linked[..] {
            [first, second] => [sha256(&first.bytes), sha256(&second.bytes)],
            _ => [sha256(&release.image); 2],
        });
        let known = offers.iter().map(|offer| offer.manifest).zip(images).collect();
        let staged = state.phase == patchlane_device::state::Phase::Staged;
        let memory = Memory {
            stage: 0,
            floor: state.confirmed.version,
            confirmed: state.confirmed.manifest,
            sent: state.candidate.map(|candidate| candidate.release.manifest),
            promised: state.candidate.filter(|_| staged).map(|candidate| candidate.release.manifest),
            held: None,
            approved: None,
            root: state.root.version,
            serial: state.serial,
            bitten: false,
        };
        let start = Instant { chip: self.device.machine.media.clone(), memory, fuses: u32::MAX };
        let (config, papers) = (self.config, self.papers);
        Scene { start, config, offers, papers, known, revoked: None, damaged: false, lie: None }
    }
}

impl Scene {
    /// True if service mode is right.
    pub fn may_serve(&self, state: Option<&State>) -> bool {
        self.damaged && state.is_some_and(|state| state.confirmed.manifest == self.offers[0].manifest)
    }

    /// True if a root that is there by now revoked it.
    pub fn is_revoked(&self, manifest: &Digest, state: &State) -> bool {
        self.revoked.is_some_and(|(revoked, root)| revoked == *manifest && state.root.version >= root)
    }
}

/// An image for each slot, where that matters.
pub fn linked(shape: &Shape, seed: u64) -> Vec<Linked> {
    let of = |(address, seed)| Linked { address: Some(address), bytes: img(shape, seed) };
    let images = ADDRESSES.into_iter().zip([seed, seed + 7]).map(of);
    if shape.direct { images.collect() } else { Vec::new() }
}

/// An image of this device, no other seed has it.
pub fn img(shape: &Shape, seed: u64) -> Vec<u8> {
    // Neither a multiple of a word nor of a block.
    let less = [3, 0, 10, 1, 5][seed as usize % 5] * shape.size / 16;
    image(seed, shape.size - less - seed as usize % 3)
}
