//! Bootloader and application of a simulated device: the device crate on flash in memory.

use crate::bundle::sha256;
use crate::flash::{Chip, Power, Torn};
use patchlane_device::{
    Boot, Cause, Config, Device, Done, Media, MonotonicCounter, NoCounter, NoWatchdog, Region, Running, Slot,
    Watchdog,
};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{Digest, Refusal};
use std::collections::{BTreeMap, BTreeSet};

/// A device. What it does wrong is an error, in words; what it answers isn't.
#[derive(Debug)]
pub struct Simulated<C = NoCounter> {
    /// The session that runs: the application's, or the bootloader's in service mode.
    pub machine: Device<Chip, NoWatchdog, C>,
    /// Its supply.
    pub power: Power,
    /// What the last start led to; `None` while power is off.
    pub booted: Option<Boot>,
    /// The slot that the last start jumped into.
    pub slot: Option<Slot>,
    config: Config,
    /// Releases that were ever meant for it: manifest and image, by digest. Under a manifest nothing else may run.
    known: BTreeSet<(Digest, Digest)>,
    /// Of the images, the ones that run only at an address.
    linked: BTreeMap<Digest, u32>,
}

impl<C: MonotonicCounter + Copy> Simulated<C> {
    /// A device with this flash. It hasn't started yet.
    pub fn new(chip: Chip, config: Config, counter: C) -> Self {
        let power = chip.power.clone();
        let machine = Device::new(chip.layout(), config, chip, NoWatchdog, counter);
        Self {
            machine,
            power,
            booted: None,
            slot: None,
            config,
            known: BTreeSet::new(),
            linked: BTreeMap::new(),
        }
    }

    /// A copy on a supply of its own. It hasn't started yet.
    pub fn fork(&self, seed: u64, torn: Torn) -> Self {
        let chip = self.machine.media.on(&Power::new(seed, torn));
        Self {
            known: self.known.clone(),
            linked: self.linked.clone(),
            ..Self::new(chip, self.config, self.machine.counter)
        }
    }

    /// Lets the image with this digest run as the release with this manifest.
    pub fn expect(&mut self, manifest: Digest, image: Digest) {
        self.known.insert((manifest, image));
    }

    /// The same, but only where it is linked for.
    pub fn expect_at(&mut self, manifest: Digest, image: Digest, address: u32) {
        self.expect(manifest, image);
        self.linked.insert(image, address);
    }

    /// A new session on the same flash: what a reset leaves of the old one is nothing.
    pub fn session(&mut self) {
        let (media, counter) = (self.machine.media.clone(), self.machine.counter);
        self.machine = Device::new(media.layout(), self.config, media, NoWatchdog, counter);
    }

    /// Restarts: bootloader, then application. Checks that whatever runs is whole and what the record says.
    ///
    /// # Errors
    /// If something else runs, or the bootloader fails while there is power.
    pub fn restart(&mut self, cause: Cause) -> Result<Option<Boot>, String> {
        self.session();
        let boot = self.machine.boot(cause);
        self.booted = boot.ok();
        match boot {
            Ok(Boot::Run(running)) => {
                self.slot = self.machine.primary_slot();
                self.check_image(running)?;
                self.session();
            }
            Err(refusal) if !self.power.is_off() => {
                let violations = self.power.violations();
                return Err(format!("the bootloader fails with power on: it {refusal} {violations:?}"));
            }
            Ok(Boot::Service(_)) | Err(_) => {}
        }
        Ok(self.booted)
    }

    fn check_image(&self, running: Running) -> Result<(), String> {
        let state = self.machine.engine().state().ok_or("it runs without a state")?;
        let release = match running {
            Running::Confirmed => Some(state.confirmed),
            Running::Trial => state.candidate.map(|candidate| candidate.release),
            Running::Fallback => state.fallback,
        };
        let release = release.ok_or_else(|| format!("the record knows no release for {running:?}"))?;
        let image = self.primary_digest(release.size as usize);
        if !self.known.contains(&(release.manifest, image)) {
            return Err(format!("what runs ({running:?}) isn't the image of {}", release.version));
        }
        let slot = self.slot.ok_or("it runs from nowhere")?;
        match self.linked.get(&image) {
            Some(address) if Some(*address) != slot.address => {
                Err(format!("what runs ({running:?}) is linked for {address:#010x}, and lies in {slot:?}"))
            }
            _ => Ok(()),
        }
    }

    /// The first `size` bytes of the slot that it started from last; of the first before any start.
    pub fn primary(&self, size: usize) -> Vec<u8> {
        let region = self.slot.map_or(Region::Primary, |slot| slot.region);
        let mut bytes = self.machine.media.region(region);
        bytes.truncate(size);
        bytes
    }

    /// SHA-256 of the first `size` bytes of what runs.
    pub fn primary_digest(&self, size: usize) -> Digest {
        sha256(&self.primary(size))
    }

    /// As [`send`].
    ///
    /// # Errors
    /// If the transfer doesn't end as transfers do.
    pub fn push(&mut self, bundle: &[u8], split: usize) -> Result<Result<Outcome, Refusal>, String> {
        send(&mut self.machine, bundle, split)
    }
}

/// Sends a bundle in pieces of `split` bytes, as a host does, and returns what the device answers.
///
/// # Errors
/// If the transfer doesn't end as transfers do.
pub fn send<M: Media, W: Watchdog, C: MonotonicCounter>(
    machine: &mut Device<M, W, C>,
    bundle: &[u8],
    split: usize,
) -> Result<Result<Outcome, Refusal>, String> {
    let mut offset = match machine.begin() {
        Ok(offset) => offset as usize,
        Err(refusal) => return Ok(Err(refusal)),
    };
    for _ in 0..4 * bundle.len() / split + 16 {
        let end = (offset + split).min(bundle.len());
        if offset >= end {
            // The file ends before the device has what it wants.
            return Ok(Err(Refusal::NotInService));
        }
        match machine.push(offset as u32, &bundle[offset..end]) {
            Ok(Done::Want(want)) => offset = want as usize,
            Ok(Done::Outcome(outcome)) => return Ok(Ok(outcome)),
            Ok(other) => return Err(format!("a transfer ends with {other:?}")),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    Err("the transfer doesn't end".into())
}
