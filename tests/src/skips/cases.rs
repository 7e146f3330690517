//! What must not get in, and the flash that it lies on.

use super::machine::Start;
use crate::board::Model;
use crate::sim::device::SimDevice;
use crate::sim::world::{self, Release, Roles};
use patchlane::bundle::{Linked, sha256};
use patchlane::flash::Chip;
use patchlane::scenario::Simulated;
use patchlane_device::log::{self, COPY};
use patchlane_device::state::{Phase, State};
use patchlane_device::{Boot, Cause, Config, Factory, NoCounter, Window};
use patchlane_protocol::link::{Command, encode_frame};
use patchlane_protocol::receipt::{Receipt, ReceiptHeader};
use patchlane_protocol::{Digest, FeaturePolicy, Policy, SecurityPolicy, Writer, limits};

/// Bytes of an image: two blocks of the smallest board, and not a whole number of anything.
const SIZE: usize = 1_500;
/// Where an image is entered, behind its vector table.
const ENTRY: u32 = 0x40;

/// How a start without skips ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Golden {
    /// This image runs.
    Runs(Digest),
    /// None does: service mode.
    Serves,
    /// A request is refused, and a good one taken.
    Answers,
}

/// What comes about if nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installs {
    /// This image runs.
    Image(Digest),
    /// A root of this version is trusted.
    Root(u32),
    /// The release of this manifest is confirmed.
    Manifest(Digest),
}

/// Something that must not get in.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The function that everything is skipped from.
    pub from: &'static str,
    /// What the board starts with.
    pub start: Start,
    /// The same, but for what is wrong with it.
    pub good: Start,
    /// How a start without skips ends.
    pub golden: Golden,
    /// What comes about if nothing is wrong.
    pub installs: Installs,
    /// Images that may run.
    pub may_run: Vec<Digest>,
    /// Manifests that may be confirmed.
    pub may_be: Vec<Digest>,
}

impl Case {
    /// True if flash holds what comes about if nothing is wrong.
    pub fn is_answered(&self, model: &Model, flash: &[u8]) -> bool {
        let Ok(layout) = model.layout() else { return false };
        let config = Config { address: Some(model.address), soak: 0, fenced: false };
        let mut session = Simulated::new(Chip::holding(layout, flash), config, NoCounter);
        session.machine.open().is_ok()
            && session.machine.engine().state().is_some_and(|state| match self.installs {
                Installs::Image(image) => runs(model, flash) == image,
                Installs::Root(version) => state.root.version == version,
                Installs::Manifest(manifest) => state.confirmed.manifest == manifest,
            })
    }
}

/// A small board's world: a factory release, and what comes after it.
struct World {
    model: &'static Model,
    first: Release,
    patch: Release,
    config: Config,
}

/// A program that does nothing, in the way of its own.
fn program(address: u32, seed: u64) -> Vec<u8> {
    let mut bytes = [0x2000_2000u32, (address + ENTRY) | 1].map(u32::to_le_bytes).concat();
    // It branches to itself wherever it is entered.
    bytes.resize(SIZE / 2, 0);
    bytes[ENTRY as usize..].chunks_exact_mut(2).for_each(|half| half.copy_from_slice(&[0xfe, 0xe7]));
    bytes.extend(world::image(seed, SIZE - SIZE / 2));
    bytes
}

fn policy(feature: FeaturePolicy) -> Policy {
    Policy { security: SecurityPolicy::ApplyInWindow, feature }
}

fn digest(release: &Release) -> Digest {
    sha256(&release.image)
}

impl World {
    fn new(model: &'static Model) -> Self {
        let config = Config { address: Some(model.address), soak: 0, fenced: false };
        let linked = |release: Release| {
            let linked = vec![Linked { address: Some(model.address), bytes: release.image.clone() }];
            Release { linked, ..release }
        };
        let first = linked(Release::patch(4, 1, 7, program(model.address, 7)));
        let patch = linked(Release::patch(4, 1, 8, program(model.address, 8)));
        Self { model, first, patch, config }
    }

    /// A device that left the factory with the first release, confirmed and running.
    fn device(&self, factory: Factory) -> Result<SimDevice, String> {
        let chip = Chip::new(self.model.layout()?);
        let mut device = SimDevice::on_chip(self.config, chip, &self.first, factory);
        device.expect(&self.patch);
        device.restart(Cause::PowerOn);
        Ok(device)
    }

    fn start(device: &SimDevice) -> Start {
        Start { flash: device.machine.media.bytes(), ..Start::default() }
    }

    /// The flash after `change` of the record, sealed as the device would.
    fn forged(&self, flash: &[u8], change: impl FnOnce(&mut State)) -> Result<Vec<u8>, String> {
        let layout = self.model.layout()?;
        let chip = Chip::holding(layout, flash);
        let mut session = Simulated::new(chip, self.config, NoCounter);
        session.machine.open().map_err(|e| e.to_string())?;
        let mut state = *session.machine.engine().state().ok_or("no state")?;
        change(&mut state);
        let mut flash = flash.to_vec();
        let mut copy = [0; COPY as usize];
        let length = log::encode_copy(&state, 1, &mut copy).map_err(|e| e.to_string())? as usize;
        let copies = COPY as usize;
        flash[..(layout.area_size() * layout.areas()) as usize].fill(0xff);
        flash[..length].copy_from_slice(&copy[..length]);
        flash[copies..copies + length].copy_from_slice(&copy[..length]);
        flash[2 * copies..2 * copies + 32].copy_from_slice(&log::encode_mark(1, state.step));
        Ok(flash)
    }

    /// The flash with a bit of a receipt's first signature flipped, and the record that names it changed with it: what
    /// someone can do who writes the state region, but has no key.
    fn forged_receipt(
        &self,
        flash: &[u8],
        of: impl Fn(&mut State) -> &mut patchlane_device::state::Release,
    ) -> Result<Vec<u8>, String> {
        let layout = self.model.layout()?;
        let mut probe = None;
        self.forged(flash, |state| probe = Some(*of(state)))?;
        let cell = layout.cell_at(probe.ok_or("no release")?.cell) as usize;
        let header =
            ReceiptHeader::parse(&flash[cell..cell + ReceiptHeader::WIDTH]).map_err(|e| e.to_string())?;
        let receipt = flash[cell..cell + header.total()].to_vec();
        let receipt = Receipt::parse(&receipt).map_err(|e| e.to_string())?;
        let mut signatures = receipt.signatures.to_vec();
        *signatures.last_mut().ok_or("no signature")? ^= 1 << 2;
        let mut bytes = vec![0; header.total()];
        let altered = Receipt { signatures: &signatures, ..receipt };
        let bytes = altered.encode(&mut bytes).map_err(|e| e.to_string())?;
        let mut flash = flash.to_vec();
        flash[cell..cell + bytes.len()].copy_from_slice(bytes);
        self.forged(&flash, |state| of(state).receipt = sha256(bytes))
    }

    fn case(&self, name: &'static str, about: &'static str, start: Start, good: Start) -> Case {
        let (first, patch) = (digest(&self.first), digest(&self.patch));
        Case {
            name,
            about,
            from: "main",
            start,
            good,
            golden: Golden::Runs(first),
            installs: Installs::Image(patch),
            may_run: vec![first],
            may_be: vec![self.first.digest()],
        }
    }

    /// What runs was altered in the slot, and there is no fallback.
    fn altered(&self) -> Result<Case, String> {
        let device = self.device(world::factory(policy(FeaturePolicy::Auto), false))?;
        let good = Self::start(&device);
        let mut start = good.clone();
        self.alter(&mut start.flash, self.model.primary.0);
        let case = self.case("altered", "what runs was altered in its slot", start, good);
        let installs = Installs::Image(digest(&self.first));
        Ok(Case { golden: Golden::Serves, may_run: Vec::new(), installs, ..case })
    }

    /// An attacker's program in the place of an image.
    fn alter(&self, flash: &mut [u8], at: u32) {
        let from = (at - self.model.used().0 as u32) as usize;
        flash[from..from + SIZE].copy_from_slice(&program(self.model.address, 666));
    }

    /// A device on which a release is ready to go in.
    fn ready(&self, release: &Release, factory: Factory) -> Result<SimDevice, String> {
        let mut device = self.device(factory)?;
        device.expect(release);
        device.push(&release.bytes(), 512).map_err(|e| e.to_string())?;
        device.machine.window(Window::Open).map_err(|e| e.to_string())?;
        let phase = device.machine.engine().state().map(|state| state.phase);
        if phase == Some(Phase::Ready) { Ok(device) } else { Err(format!("it is {phase:?}")) }
    }

    /// The payload of a staged patch was altered in the slot.
    fn staged_altered(&self) -> Result<Case, String> {
        let device = self.ready(&self.patch, world::factory(policy(FeaturePolicy::Auto), false))?;
        let good = Self::start(&device);
        let mut start = good.clone();
        self.alter(&mut start.flash, self.model.secondary.0 + self.model.erase);
        Ok(self.case("staged-altered", "a staged patch was altered in its slot", start, good))
    }

    /// What runs on trial was altered in the slot.
    fn trial_altered(&self) -> Result<Case, String> {
        let mut device = self.ready(&self.patch, world::factory(policy(FeaturePolicy::Auto), false))?;
        device.restart(Cause::Requested);
        let good = Self::start(&device);
        let mut start = good.clone();
        self.alter(&mut start.flash, self.model.primary.0);
        Ok(self.case("trial-altered", "what runs on trial was altered in its slot", start, good))
    }

    /// The receipt of a staged patch bears no valid signature, and the record names it.
    fn staged_unsigned(&self) -> Result<Case, String> {
        let device = self.ready(&self.patch, world::factory(policy(FeaturePolicy::Auto), false))?;
        let good = Self::start(&device);
        let flash = self.forged_receipt(&good.flash, |state| {
            // It has a candidate.
            match &mut state.candidate {
                Some(candidate) => &mut candidate.release,
                None => &mut state.confirmed,
            }
        })?;
        let start = Start { flash, ..good.clone() };
        Ok(self.case(
            "staged-unsigned",
            "a staged patch whose signature is wrong; the record is forged to fit",
            start,
            good,
        ))
    }

    /// A staged release lacks a fix that is confirmed by now.
    fn staged_older(&self) -> Result<Case, String> {
        let mut device = self.ready(&self.patch, world::factory(policy(FeaturePolicy::Auto), false))?;
        let good = Self::start(&device);
        // v with a higher level: the patch was the newer one when it was staged.
        let newer = Release { version: patchlane_protocol::Version::new(4, 1, 9), ..self.first.clone() };
        device.machine.open().map_err(|e| e.to_string())?;
        let mut other = SimDevice::on_chip(
            self.config,
            Chip::new(self.model.layout()?),
            &newer,
            world::factory(policy(FeaturePolicy::Auto), false),
        );
        other.machine.open().map_err(|e| e.to_string())?;
        let v = other.machine.engine().state().ok_or("no state")?.confirmed;
        let flash = self.with_confirmed(&good.flash, &other.machine.media.bytes(), v)?;
        let mut case = self.case(
            "staged-older",
            "a staged release that lacks a confirmed fix",
            Start { flash, ..Start::default() },
            good,
        );
        case.may_be = vec![newer.digest()];
        Ok(case)
    }

    /// The flash with another device's confirmed release, which has the same image.
    fn with_confirmed(
        &self,
        flash: &[u8],
        other: &[u8],
        v: patchlane_device::state::Release,
    ) -> Result<Vec<u8>, String> {
        let layout = self.model.layout()?;
        let mut cell = 0;
        let flash = self.forged(flash, |state| {
            cell = state.confirmed.cell;
            state.confirmed = patchlane_device::state::Release { cell, ..v };
        })?;
        let (to, from) = (layout.cell_at(cell) as usize, layout.cell_at(v.cell) as usize);
        let mut flash = flash;
        let size = layout.cell_size() as usize;
        flash[to..to + size].copy_from_slice(&other[from..from + size]);
        Ok(flash)
    }

    /// A feature update that was ready when the owner changed his mind.
    fn staged_unwanted(&self) -> Result<Case, String> {
        let feature = Release {
            linked: vec![Linked { address: Some(self.model.address), bytes: self.patch.image.clone() }],
            ..Release::feature(5, 0, 7, self.patch.image.clone())
        };
        let device = self.ready(&feature, world::factory(policy(FeaturePolicy::Auto), true))?;
        let good = Self::start(&device);
        let flash = self.forged(&good.flash, |state| state.policy = policy(FeaturePolicy::OwnerKey))?;
        Ok(self.case(
            "staged-unwanted",
            "a staged feature update without the owner's consent",
            Start { flash, ..Start::default() },
            good,
        ))
    }

    /// The receipt of the confirmed release bears no valid signature, its record and its image are forged to fit.
    fn unsigned(&self) -> Result<Case, String> {
        let device = self.device(world::factory(policy(FeaturePolicy::Auto), false))?;
        let good = Self::start(&device);
        let flash = self.forged_receipt(&good.flash, |state| &mut state.confirmed)?;
        let case = self.case(
            "unsigned",
            "what runs has a wrong signature; the record is forged to fit",
            Start { flash, ..Start::default() },
            good,
        );
        let installs = Installs::Image(digest(&self.first));
        Ok(Case { golden: Golden::Serves, may_run: Vec::new(), installs, ..case })
    }

    /// A device that the last reset left in service mode, and that is sent a bundle.
    fn asked(device: &SimDevice, bundle: &[u8]) -> Start {
        // The reset leaves a word that asks for the service mode (tests/qemu/board/src/cells.rs).
        let cells = 0x2000_3fe0;
        let ram =
            vec![(cells, 0x5041_5443), (cells + 4, 0), (cells + 8, 1), (cells + 12, 0), (cells + 16, 0)];
        Start { ram, serial: frames(bundle), ..Self::start(device) }
    }

    /// A patch without payload, whose signature is wrong. No boot reads its receipt before it counts.
    fn unsigned_payload_free(&self) -> Result<Case, String> {
        let device = self.device(world::factory(policy(FeaturePolicy::Auto), false))?;
        let fix = Release {
            payload: false,
            version: patchlane_protocol::Version::new(4, 1, 8),
            issued_at: self.first.issued_at + 1,
            ..self.first.clone()
        };
        let bytes = fix.bytes();
        let mut broken = bytes.clone();
        // Its last bytes are the signature's.
        *broken.last_mut().ok_or("no signature")? ^= 1 << 2;
        let case = self.case(
            "unsigned-payload-free",
            "a patch without payload whose signature is wrong, sent in service mode",
            Self::asked(&device, &broken),
            Self::asked(&device, &bytes),
        );
        let installs = Installs::Manifest(fix.digest());
        Ok(Case { from: "Engine>::header", golden: Golden::Answers, installs, ..case })
    }

    /// A link to a new root that the old quorum didn't sign.
    fn root_link(&self) -> Result<Case, String> {
        let device = self.device(world::factory(policy(FeaturePolicy::Auto), false))?;
        let roles = Roles { version: 2, root: vec!["thief"], ..Roles::default() };
        let at = |labels: &[&str]| {
            let release = Release { links: vec![roles.link(labels)], ..self.patch.clone() };
            Self::asked(&device, &release.bytes())
        };
        let (start, good) = (at(&["thief"]), at(&["root", "thief"]));
        let case =
            self.case("root-link", "a link to a new root that the old quorum didn't sign", start, good);
        Ok(Case { from: "links::claim", golden: Golden::Answers, installs: Installs::Root(2), ..case })
    }
}

/// The first bytes of a bundle, as a host sends them, without waiting for an answer.
fn frames(bundle: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut say = |command: &Command<'_>| {
        let (mut content, mut frame) = ([0; limits::FRAME], [0; 2 * limits::FRAME]);
        let mut writer = Writer::new(&mut content);
        command.write(&mut writer).expect("a command");
        out.extend(encode_frame(writer.finish(), &mut frame).expect("a frame"));
    };
    say(&Command::Begin);
    // The link comes right behind the header, and one frame more than it needs is enough.
    for (number, bytes) in bundle.chunks(limits::FRAME_DATA).enumerate().take(4) {
        say(&Command::Data { offset: (number * limits::FRAME_DATA) as u32, bytes });
    }
    out
}

/// All cases on this board.
///
/// # Errors
/// If one can't be made.
pub fn cases(model: &'static Model) -> Result<Vec<Case>, String> {
    let world = World::new(model);
    [
        World::altered,
        World::trial_altered,
        World::staged_altered,
        World::unsigned,
        World::staged_unsigned,
        World::staged_older,
        World::staged_unwanted,
        World::root_link,
        World::unsigned_payload_free,
    ]
    .into_iter()
    .map(|make| make(&world))
    .collect()
}

/// Where images are entered on this board.
pub fn entry(model: &Model) -> u32 {
    model.address + ENTRY
}

/// What a start left on flash: something that must not be is named. Two more starts are simulated, without skips.
pub fn left(model: &Model, case: &Case, flash: &[u8]) -> Option<String> {
    let layout = model.layout().ok()?;
    let config = Config { address: Some(model.address), soak: 0, fenced: false };
    let mut device = Simulated::new(Chip::holding(layout, flash), config, NoCounter);
    for image in &case.may_run {
        case.may_be.iter().for_each(|manifest| device.expect(*manifest, *image));
    }
    for _ in 0..3 {
        match device.restart(Cause::PowerOn) {
            Err(defect) => return Some(format!("the next start: {defect}")),
            // Nothing boots, and nothing may.
            Ok(None | Some(Boot::Service(_))) => {}
            Ok(Some(Boot::Run(_))) => {
                let _ = device.machine.confirm();
            }
        }
        device.machine.open().ok()?;
        let state = device.machine.engine().state()?;
        if !case.may_be.contains(&state.confirmed.manifest) {
            return Some(format!("{} is confirmed", state.confirmed.version));
        }
        if state.root.version != 1 {
            return Some("the root is replaced".into());
        }
    }
    None
}

/// The image in the primary slot.
pub fn runs(model: &Model, flash: &[u8]) -> Digest {
    let from = (model.primary.0 as usize).saturating_sub(model.used().0);
    sha256(flash.get(from..from + SIZE).unwrap_or(&[]))
}

/// True if an address lies in the primary slot.
pub fn is_inside(model: &Model, at: u32) -> bool {
    (model.address..model.address + model.primary.1).contains(&at)
}
