//! Bootloader and application of a simulated device.

use super::chip::{Geometry, SimMedia};
use super::power::{Power, Torn};
use super::world::{self, Release, Roles};
use patchlane::bundle::sha256;
use patchlane_device::{Boot, Cause, Config, Device, Done, Factory, MonotonicCounter, NoWatchdog, Running};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{Digest, Refusal, Status};
use std::collections::BTreeSet;

/// A counter that survives everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct SimCounter {
    /// What it reads; `None` if the part has none.
    pub value: Option<u32>,
    /// What it can express.
    pub most: u32,
}

impl MonotonicCounter for SimCounter {
    fn exists(&self) -> bool {
        self.value.is_some()
    }
    fn read(&mut self) -> Option<u32> {
        self.value
    }
    fn raise(&mut self, level: u32) -> Option<u32> {
        let value = self.value?;
        if level > value && level <= self.most {
            self.value = Some(level);
        }
        self.value
    }
}

/// What runs a device.
pub type Machine = Device<SimMedia, NoWatchdog, SimCounter>;

/// A device.
#[derive(Debug)]
pub struct SimDevice {
    /// The session that runs: the application's, or the bootloader's in service mode.
    pub machine: Machine,
    /// Its supply.
    pub power: Power,
    /// What the last start led to; `None` while power is off.
    pub booted: Option<Boot>,
    config: Config,
    /// Images that were ever meant for it, by digest; nothing else may run.
    known: BTreeSet<Digest>,
}

/// Integrator's choices of all simulations.
pub const CONFIG: Config = Config { address: None, soak: 0, fenced: false };

impl SimDevice {
    /// A device that left the factory with this release.
    pub fn new(geometry: [Geometry; 3], first: &Release, factory: Factory, seed: u64, torn: Torn) -> Self {
        Self::with(CONFIG, geometry, first, factory, seed, torn)
    }

    /// The same with other choices.
    pub fn with(
        config: Config,
        geometry: [Geometry; 3],
        first: &Release,
        factory: Factory,
        seed: u64,
        torn: Torn,
    ) -> Self {
        let power = Power::new(seed, torn);
        let [state, primary, secondary] = geometry;
        let mut media = SimMedia::new(state, primary, secondary, &power);
        media.primary.program(0, &first.image);
        let bundle = first.bundle();
        let machine = Self::machine(&media, config, SimCounter::default());
        let mut device = Self { machine, power, booted: None, config, known: BTreeSet::new() };
        device.known.insert(sha256(&first.image));
        let set = bundle.signature_bytes().expect("signatures");
        let root = Roles::default().document();
        device.machine.provision(&root, bundle.manifest_bytes(), &set, factory).expect("provisioned");
        device
    }

    fn machine(media: &SimMedia, config: Config, counter: SimCounter) -> Machine {
        Device::new(media.layout(), config, media.clone(), NoWatchdog, counter)
    }

    /// A copy on a supply of its own.
    pub fn fork(&self, seed: u64, torn: Torn) -> Self {
        let power = Power::new(seed, torn);
        let media = self.machine.media.on(&power);
        let machine = Self::machine(&media, self.config, self.machine.counter);
        Self { machine, power, booted: None, config: self.config, known: self.known.clone() }
    }

    /// Lets this release's image run.
    pub fn expect(&mut self, release: &Release) {
        self.known.insert(sha256(&release.image));
    }

    /// Restarts: bootloader, then application. Checks that whatever runs is whole and what the record says.
    pub fn restart(&mut self, cause: Cause) -> Option<Boot> {
        let media = self.machine.media.clone();
        let counter = self.machine.counter;
        self.machine = Self::machine(&media, self.config, counter);
        self.booted = self.machine.boot(cause).ok();
        match self.booted {
            Some(Boot::Run(running)) => {
                self.check_image(running);
                let (media, counter) = (self.machine.media.clone(), self.machine.counter);
                self.machine = Self::machine(&media, self.config, counter);
            }
            Some(Boot::Service(_)) => {}
            None => assert!(
                self.power.is_off(),
                "the bootloader failed with power on: {:?}",
                self.power.violations()
            ),
        }
        self.booted
    }

    fn check_image(&self, running: Running) {
        let state = self.machine.engine().state().expect("a state");
        let release = match running {
            Running::Confirmed => state.confirmed,
            Running::Trial => state.candidate.expect("a candidate").release,
            Running::Fallback => state.fallback.expect("a fallback"),
        };
        let image = self.machine.media.primary.contents(0, release.size as usize);
        assert!(self.known.contains(&sha256(&image)), "what runs is neither old nor new: {running:?}");
    }

    /// SHA-256 of the first `size` bytes of the primary slot.
    pub fn primary_digest(&self, size: usize) -> Digest {
        sha256(&self.machine.media.primary.contents(0, size))
    }

    /// Sends a bundle in pieces of `split` bytes, as a host does.
    ///
    /// # Errors
    /// What the device answers.
    pub fn push(&mut self, bundle: &[u8], split: usize) -> Result<Outcome, Refusal> {
        let mut offset = self.machine.begin()? as usize;
        for _ in 0..4 * bundle.len() / split + 16 {
            let end = (offset + split).min(bundle.len());
            if offset >= end {
                // The file ends before the device has what it wants.
                return Err(Refusal::NotInService);
            }
            match self.machine.push(offset as u32, &bundle[offset..end])? {
                Done::Want(want) => offset = want as usize,
                Done::Outcome(outcome) => return Ok(outcome),
                other => panic!("a transfer ended with {other:?}"),
            }
        }
        panic!("the transfer doesn't end");
    }

    /// What it says about itself.
    pub fn status(&mut self) -> Status {
        self.machine.status().expect("a status")
    }

    /// Sends a release and lets it in: restart, confirm.
    ///
    /// # Errors
    /// What the device answers.
    pub fn install(&mut self, release: &Release) -> Result<(), Refusal> {
        self.expect(release);
        match self.push(&release.bytes(), 512)? {
            Outcome::Staged => {
                self.machine.window(patchlane_device::Window::Open)?;
            }
            Outcome::Ready => {}
            _ => return Ok(()),
        }
        if self.machine.engine().needs_restart() {
            assert_eq!(self.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
            self.machine.confirm()?;
        }
        Ok(())
    }

    /// The fixed story policy, with an owner.
    pub fn story(geometry: [Geometry; 3], first: &Release) -> Self {
        Self::new(geometry, first, world::factory(world::STORY_POLICY, true), 1, Torn::Stable)
    }
}
