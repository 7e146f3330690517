//! A device, and an operator who remembers what it answered and holds it to that.

use super::driver::{Driver, Fuses};
use super::scene::Scene;
use patchlane::bundle::sha256;
use patchlane::flash::{Bank, Chip, Power};
use patchlane::scenario::send;
use patchlane_device::state::{Phase, State};
use patchlane_device::{Boot, Cause, Device, NoWatchdog, Region, Running, Window};
use patchlane_flash::{Left, Run};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::Action;
use patchlane_protocol::{Digest, Policy, Refusal, Status, Version};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What the operator knows: promises by which the device is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Memory {
    /// How far a plan is.
    pub stage: u32,
    /// The highest version ever seen confirmed.
    pub floor: Version,
    /// Its manifest.
    pub confirmed: Digest,
    /// What was sent last.
    pub sent: Option<Digest>,
    /// What the device said is staged, or goes in.
    pub promised: Option<Digest>,
    /// What the device said it holds.
    pub held: Option<Digest>,
    /// What the device said is approved.
    pub approved: Option<Digest>,
    /// The highest root version seen.
    pub root: u32,
    /// The highest owner serial seen.
    pub serial: u64,
    /// A watchdog or a fault ended some run: only then may a trial have failed.
    pub bitten: bool,
}

/// All that a power cut leaves.
#[derive(Debug, Clone)]
pub struct Instant {
    /// Flash.
    pub chip: Chip,
    /// The operator's memory.
    pub memory: Memory,
    /// The monotonic counter.
    pub fuses: u32,
}

impl Left for Instant {
    fn bank(&mut self, bank: usize) -> &mut Bank {
        match bank {
            0 => &mut self.chip.state,
            1 => &mut self.chip.primary,
            _ => &mut self.chip.secondary,
        }
    }
    fn on(&self, power: &Power) -> Self {
        Self { chip: self.chip.on(power), ..self.clone() }
    }
}

/// Why a step ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// There is no power.
    Off,
    /// From here on, all was judged before.
    Known,
    /// The device did what it must not do.
    Defect(String),
}

/// What a step leads to.
pub type Step<T> = Result<T, Stop>;

/// A defect, in words.
pub fn defect<T>(text: impl Into<String>) -> Step<T> {
    Err(Stop::Defect(text.into()))
}

/// What runs a device.
pub type Machine = Device<Driver, NoWatchdog, Fuses>;

/// A device and its operator.
pub struct World<'a, 'r> {
    /// What is played.
    pub scene: &'a Scene,
    /// The session that runs.
    pub machine: Machine,
    /// What the last start led to.
    pub booted: Option<Boot>,
    /// True once the plan is done, and only its end is to be judged.
    pub done: bool,
    run: &'a mut Run<'r, Instant>,
}

impl<'a, 'r> World<'a, 'r> {
    /// A device that has no power yet.
    pub fn new(scene: &'a Scene, left: Instant, run: &'a mut Run<'r, Instant>) -> Self {
        let fuses = Fuses::new(left.fuses);
        let driver = Driver::new(left, fuses.clone(), run.tape(), scene.lie);
        let machine = Device::new(driver.chip.layout(), scene.config, driver, NoWatchdog, fuses);
        Self { scene, machine, booted: None, done: false, run }
    }

    /// What feeds it.
    pub fn power(&self) -> &Power {
        self.machine.media.power()
    }

    /// Power comes back.
    pub fn restore(&mut self) {
        if self.power().is_off() {
            self.machine.media.lose_cache();
        }
        self.power().restore();
    }

    /// What the operator knows.
    pub fn memory(&mut self) -> &mut Memory {
        &mut self.machine.media.memory
    }

    fn session(&mut self) {
        let driver = self.machine.media.clone();
        let fuses = driver.fuses.clone();
        self.machine = Device::new(driver.chip.layout(), self.scene.config, driver, NoWatchdog, fuses);
    }

    /// A number for all that decides how this goes on after a start; `None` if nothing does.
    fn fingerprint(&self, cause: Cause) -> Option<u64> {
        let driver = &self.machine.media;
        let banks = [&driver.chip.state, &driver.chip.primary, &driver.chip.secondary].map(Bank::fingerprint);
        let mode = driver.power().torn();
        let torn = banks.iter().any(|(_, torn)| *torn);
        // A driver that lies has a memory of its own.
        if torn && !mode.is_steady() || self.scene.lie.is_some() {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        (banks, torn.then_some(mode), cause, self.done).hash(&mut hasher);
        (driver.memory, driver.fuses.value()).hash(&mut hasher);
        Some(hasher.finish())
    }

    /// Restarts: bootloader, then application. Whatever runs is whole and what the record says.
    pub fn start(&mut self, cause: Cause) -> Step<()> {
        self.memory().bitten |= matches!(cause, Cause::Watchdog | Cause::Fault);
        let state = self.fingerprint(cause);
        if self.run.meets(state) {
            return Err(Stop::Known);
        }
        self.session();
        self.booted = None;
        let boot = self.call(|machine| machine.boot(cause))?;
        match boot {
            Ok(boot) => self.booted = Some(boot),
            Err(refusal) => return defect(format!("the bootloader fails with power on: it {refusal}")),
        }
        match boot {
            Ok(Boot::Run(running)) => {
                self.judge_image(running)?;
                self.session();
                Ok(())
            }
            Ok(Boot::Service(reason)) if !self.scene.may_serve(self.machine.engine().state()) => {
                defect(format!("nothing runs: it {reason}; {:?}", self.machine.engine().state()))
            }
            _ => Ok(()),
        }
    }

    fn judge_image(&mut self, running: Running) -> Step<()> {
        let Some(state) = self.machine.engine().state() else { return defect("it runs without a state") };
        let release = match running {
            Running::Confirmed => Some(state.confirmed),
            Running::Trial => state.candidate.map(|candidate| candidate.release),
            Running::Fallback => state.fallback,
        };
        let Some(release) = release else { return defect(format!("no release for {running:?}")) };
        let Some(slot) = self.machine.primary_slot() else { return defect("it runs from nowhere") };
        let chip = &self.machine.media.chip;
        let (bank, number) = match slot.region {
            Region::Secondary => (&chip.secondary, 1),
            _ => (&chip.primary, 0),
        };
        let there = sha256(&bank.contents(0, release.size as usize));
        match self.scene.known.get(&release.manifest) {
            Some(images) if images[number] == there => Ok(()),
            Some(_) => defect(format!("what runs ({running:?}) is neither old nor new")),
            None => defect(format!("what runs ({running:?}) was never sent")),
        }
    }

    /// Lets the device do something; then judges what it says it is.
    fn call<T>(&mut self, does: impl FnOnce(&mut Machine) -> T) -> Step<T> {
        let result = does(&mut self.machine);
        let violations = self.power().violations();
        if !violations.is_empty() {
            return defect(format!("flash rules broken: {violations:?}"));
        }
        if self.power().is_off() {
            return Err(Stop::Off);
        }
        if let Some(state) = self.machine.engine().state().copied() {
            self.judge(&state)?;
        }
        Ok(result)
    }

    /// Holds the device to what it said.
    fn judge(&mut self, state: &State) -> Step<()> {
        let memory = *self.memory();
        let v = &state.confirmed;
        if !v.version.security.loses_nothing_of(&memory.floor.security) {
            return defect(format!("{} was confirmed, and now {}", memory.floor, v.version));
        }
        if v.manifest != memory.confirmed
            && Some(v.manifest) != memory.sent
            && Some(v.manifest) != memory.promised
        {
            return defect(format!("{} is confirmed, and nobody sent it", v.version));
        }
        if state.root.version < memory.root || state.serial < memory.serial {
            return defect(format!(
                "root {} or serial {} sank: {memory:?}",
                state.root.version, state.serial
            ));
        }
        let candidate = state.candidate.map(|candidate| candidate.release.manifest);
        let lost = |promise: Option<Digest>, there: &[Option<Digest>]| {
            promise.filter(|_| !there.contains(&promise) && promise != Some(v.manifest))
        };
        if let Some(manifest) = lost(memory.promised, &[candidate]) {
            let failed =
                state.failures.iter().any(|failure| failure.manifest == manifest && failure.count > 0);
            let excused = failed && memory.bitten || self.scene.is_revoked(&manifest, state);
            if !excused {
                return defect(format!("an accepted update was lost: {:?}", state.phase));
            }
        }
        if lost(memory.held, &[state.held.map(|held| held.manifest), candidate]).is_some() {
            return defect("a held update was forgotten");
        }
        if lost(memory.approved, &[state.approval.map(|approval| approval.manifest)]).is_some() {
            return defect("an approval was lost");
        }
        let fuses = self.machine.media.fuses.value();
        if fuses != u32::MAX && fuses > v.version.security.level() {
            return defect(format!("the counter reads {fuses}, and {} is confirmed", v.version));
        }
        let memory = self.memory();
        // What was promised is there; from here on it is held to be confirmed.
        for promise in [&mut memory.promised, &mut memory.held, &mut memory.approved] {
            *promise = promise.filter(|manifest| *manifest != v.manifest);
        }
        (memory.floor, memory.confirmed) = (v.version, v.manifest);
        (memory.root, memory.serial) = (state.root.version, state.serial);
        Ok(())
    }

    /// What the record says.
    pub fn look(&mut self) -> Step<State> {
        match self.call(Machine::open)? {
            Ok(()) => {}
            Err(refusal) => return defect(format!("its state can't be read: it {refusal}")),
        }
        self.machine.engine().state().copied().map_or_else(|| defect("it opened no state"), Ok)
    }

    /// What it says about itself.
    pub fn status(&mut self) -> Step<Status> {
        self.call(Machine::status)?.or_else(|refusal| defect(format!("no status: it {refusal}")))
    }

    /// Sends a release, and remembers what was promised.
    pub fn push(&mut self, offer: usize) -> Step<Result<Outcome, Refusal>> {
        let offer = &self.scene.offers[offer];
        self.memory().sent = Some(offer.manifest);
        let sent = self.call(|machine| send(machine, &offer.bytes, 512))?;
        let answer = sent.or_else(defect)?;
        let memory = self.memory();
        match answer {
            Ok(Outcome::Staged | Outcome::Ready) => memory.promised = Some(offer.manifest),
            Err(Refusal::Held) => memory.held = Some(offer.manifest),
            _ => {}
        }
        Ok(answer)
    }

    /// Sends the first half of a release, and no more.
    pub fn push_half(&mut self, offer: usize) -> Step<()> {
        let offer = &self.scene.offers[offer];
        self.memory().sent = Some(offer.manifest);
        let half = &offer.bytes[..offer.bytes.len() * 2 / 3];
        match self.call(|machine| send(machine, half, 512))?.or_else(defect)? {
            // What a file says that ends too early.
            Err(Refusal::NotInService) => Ok(()),
            other => defect(format!("half a bundle leads to {other:?}")),
        }
    }

    /// Sends a paper of the owner.
    pub fn owner(&mut self, paper: usize) -> Step<Result<Outcome, Refusal>> {
        let paper = &self.scene.papers[paper];
        let answer = self.call(|machine| machine.owner(&paper.bytes))?;
        if answer.is_ok() {
            let memory = self.memory();
            (memory.serial, memory.approved) = (paper.serial, Some(paper.manifest));
        }
        Ok(answer)
    }

    /// Something that has to be granted.
    fn granted(&mut self, does: impl FnOnce(&mut Machine) -> Result<Outcome, Refusal>) -> Step<()> {
        match self.call(does)? {
            Ok(_) => Ok(()),
            // A torn word under its nose: it is asked again.
            Err(Refusal::Flash) if self.power().torn() == patchlane_flash::Torn::Ecc => Ok(()),
            Err(refusal) => defect(format!("a request is refused: it {refusal}")),
        }
    }

    /// The window opens.
    pub fn window(&mut self) -> Step<()> {
        self.granted(|machine| machine.window(Window::Open))
    }

    /// The application works.
    pub fn confirm(&mut self) -> Step<()> {
        self.granted(Machine::confirm)
    }

    /// A local request.
    pub fn local(&mut self, action: Action, offer: usize) -> Step<()> {
        let manifest = self.scene.offers[offer].manifest;
        self.granted(|machine| machine.local(action, &manifest))
    }

    /// A local policy.
    pub fn policy(&mut self, policy: Policy) -> Step<()> {
        self.granted(|machine| machine.set_policy(policy))
    }

    /// A promise may end: the operator sends what ranks higher.
    pub fn releases(&mut self) {
        self.memory().promised = None;
    }

    /// One round towards a confirmed release: sends it, restarts, says that it works. True when it is v.
    pub fn drive(&mut self, offer: usize) -> Step<bool> {
        let state = self.look()?;
        let target = self.scene.offers[offer].manifest;
        if self.machine.engine().needs_restart() {
            self.start(Cause::Requested)?;
            return Ok(false);
        }
        let its_own = state.candidate.is_some_and(|candidate| candidate.release.manifest == target);
        match state.phase {
            _ if state.confirmed.manifest == target => return Ok(true),
            Phase::Trial { .. } if its_own => {
                if self.booted != Some(Boot::Run(Running::Trial)) {
                    return defect(format!("a trial is recorded, and {:?} runs", self.booted));
                }
                self.confirm()?;
            }
            Phase::Soak { .. } if its_own => self.start(Cause::PowerOn)?,
            Phase::Staged if its_own => self.window()?,
            _ => match self.push(offer)? {
                Ok(Outcome::Staged) => self.window()?,
                Ok(_) | Err(Refusal::SendAgain | Refusal::Flash) => {}
                Err(refusal) => return defect(format!("it {refusal}, in {:?}", state.phase)),
            },
        }
        Ok(false)
    }
}
