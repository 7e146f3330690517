//! A simulated device whose defects end the test.

use super::sweep::{Geometry, layout};
use super::world::{self, Release, Roles};
use super::{Chip, Torn};
use patchlane::bundle::{Bundle, sha256};
use patchlane::scenario::Simulated;
use patchlane_device::log::{COPY, encode_copy, encode_mark};
use patchlane_device::state::State;
use patchlane_device::{Boot, Cause, Config, Device, Factory, MonotonicCounter, NoWatchdog, Running};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{Refusal, Status};
use std::ops::{Deref, DerefMut};

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
pub type Machine = Device<Chip, NoWatchdog, SimCounter>;

/// A device.
#[derive(Debug)]
pub struct SimDevice(Simulated<SimCounter>);

impl Deref for SimDevice {
    type Target = Simulated<SimCounter>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for SimDevice {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
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
        let chip = Chip::new(layout(geometry)).on(&super::Power::new(seed, torn));
        Self::on_chip(config, chip, first, factory)
    }

    /// The same on this flash.
    pub fn on_chip(config: Config, chip: Chip, first: &Release, factory: Factory) -> Self {
        let mut device = Self::blank(config, chip, first);
        device.provision(&Roles::default().document(), &first.bundle(), factory).expect("provisioned");
        device
    }

    /// One that knows nothing yet: only this release's image lies in the primary slot.
    pub fn blank(config: Config, mut chip: Chip, first: &Release) -> Self {
        chip.program_primary(&first.image);
        let mut device = Self(Simulated::new(chip, config, SimCounter::default()));
        device.expect(first);
        device
    }

    /// Hands it its root and the head of its first release.
    ///
    /// # Errors
    /// What the device answers.
    pub fn provision(&mut self, root: &[u8], first: &Bundle, factory: Factory) -> Result<(), Refusal> {
        let set = first.signature_bytes().expect("signatures");
        self.machine.provision(root, first.manifest_bytes(), &set, factory)
    }

    /// Puts another record in the place of the present one, as code that can write the state region would.
    pub fn forge(&mut self, change: impl FnOnce(&mut State)) {
        self.machine.open().expect("a record");
        let mut state = *self.machine.engine().state().expect("a record");
        change(&mut state);
        // Higher than any that a test comes to, so that it is the newest.
        let (mut copy, sequence) = ([0xff; COPY as usize], 1_000_000);
        encode_copy(&state, sequence, &mut copy).expect("a record");
        let flash = &mut self.machine.media.state;
        flash.program(0, &copy);
        flash.program(copy.len(), &copy);
        flash.program(2 * copy.len(), &encode_mark(sequence, state.step));
    }

    /// A copy on a supply of its own.
    pub fn fork(&self, seed: u64, torn: Torn) -> Self {
        Self(self.0.fork(seed, torn))
    }

    /// Lets this release's image run.
    pub fn expect(&mut self, release: &Release) {
        let manifest = release.digest();
        if release.linked.is_empty() {
            self.0.expect(manifest, sha256(&release.image));
        }
        for linked in &release.linked {
            self.0.expect_at(manifest, sha256(&linked.bytes), linked.address.expect("an address"));
        }
    }

    /// Restarts: bootloader, then application. Whatever runs is whole and what the record says.
    pub fn restart(&mut self, cause: Cause) -> Option<Boot> {
        self.0.restart(cause).unwrap_or_else(|defect| panic!("{defect}"))
    }

    /// Sends a bundle in pieces of `split` bytes, as a host does.
    ///
    /// # Errors
    /// What the device answers.
    pub fn push(&mut self, bundle: &[u8], split: usize) -> Result<Outcome, Refusal> {
        self.0.push(bundle, split).unwrap_or_else(|defect| panic!("{defect}"))
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
