//! Scenarios on simulated flash.

use super::answers::answer;
use super::cast::{Cast, Offer};
use super::device::Simulated;
use super::file::{CommitPoint, Scenario};
use super::play::{Interrupted, Player, Stage};
use crate::error::{Error, Result};
use crate::flash::{Chip, Cut, Torn, When};
use patchlane_device::state::Phase;
use patchlane_device::{Boot, Cause, NoCounter, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{Digest, Refusal, Status};
use std::collections::BTreeSet;

/// Bytes that a host sends at once.
const PIECE: usize = 512;
/// More restarts than this are a defect: a trial that fails needs four.
const PATIENCE: usize = 20;

/// A simulated device and the application on it: its window for patches is always open.
#[derive(Debug)]
pub struct Sim {
    device: Simulated,
    /// Manifests of releases that hang.
    broken: BTreeSet<Digest>,
    /// Manifests that were on trial.
    tried: BTreeSet<Digest>,
    /// The operation of the supply at which the step began whose power is to fail, and of the failure.
    planned: Option<(u64, u64)>,
    /// True once the step's own cut has come.
    met: bool,
    interrupted: Option<Interrupted>,
}

/// Why something wasn't done.
enum Trouble {
    /// Power failed where a sweep wants it to.
    Off,
    /// A defect, in words.
    Defect(String),
}

impl From<String> for Trouble {
    fn from(defect: String) -> Self {
        Self::Defect(defect)
    }
}

type Done<T> = std::result::Result<T, Trouble>;

/// What flash says the device was doing.
fn phase(device: &Simulated) -> Option<Phase> {
    let mut fresh = device.fork(1, Torn::Stable);
    fresh.machine.open().ok()?;
    fresh.machine.engine().state().map(|state| state.phase)
}

fn expect(device: &Simulated, point: CommitPoint, wanted: Phase) -> std::result::Result<(), String> {
    match phase(device) {
        Some(phase) if phase == wanted => Ok(()),
        other => Err(format!("power failed at `{}`, and flash says {other:?}", point.name())),
    }
}

impl Sim {
    /// A device that left the factory with the scenario's first release, and started.
    ///
    /// # Errors
    /// `refused`, `image`: what is wrong with the first release.
    pub fn new(scenario: &Scenario, cast: &Cast, chip: Chip) -> Result<Self> {
        let mut device = Simulated::new(cast.provision(chip)?, cast.config, NoCounter);
        let addresses = device.machine.engine().layout().addresses();
        for offer in cast.offers.values() {
            match addresses {
                Some(both) => {
                    both.into_iter()
                        .zip(&offer.images)
                        .for_each(|(at, (image, _))| device.expect_at(offer.manifest, *image, at));
                }
                None => offer.images.iter().for_each(|(image, _)| device.expect(offer.manifest, *image)),
            }
        }
        device.restart(Cause::PowerOn).map_err(Error::internal)?;
        if device.booted != Some(Boot::Run(Running::Confirmed)) {
            let what = format!("`{}` doesn't boot: {:?}", scenario.device.first, device.booted);
            return Err(Error::internal(what));
        }
        let broken = cast.offers.values().filter(|o| !o.works).map(|o| o.manifest).collect();
        Ok(Self { device, broken, tried: BTreeSet::new(), planned: None, met: false, interrupted: None })
    }

    /// A copy on a supply of its own, whose torn words read so.
    #[must_use]
    pub fn fork(&self, seed: u64, torn: Torn) -> Self {
        let device = self.device.fork(seed, torn);
        let (broken, tried) = (self.broken.clone(), BTreeSet::new());
        Self { device, broken, tried, planned: None, met: false, interrupted: None }
    }

    /// Writes and erases so far.
    pub fn operations(&self) -> u64 {
        self.device.power.operations()
    }

    /// Cuts power during a later operation, from 0: the step that begins now survives it as an operator makes it.
    pub fn cut(&mut self, cut: Cut) {
        let begins = self.operations();
        self.planned = Some((begins, begins + cut.at));
        self.device.power.plan(cut);
    }

    /// True if a cut is planned that hasn't come.
    pub const fn spared(&self) -> bool {
        self.planned.is_some()
    }

    /// True if the planned cut has come.
    fn fired(&self) -> bool {
        self.planned.is_some_and(|(_, at)| self.device.power.is_off() && self.operations() == at + 1)
    }

    /// What the device says; a flash error while the planned cut comes is that cut's.
    fn heard<T>(&self, result: std::result::Result<T, Refusal>, doing: &str) -> Done<T> {
        match result {
            Ok(value) => Ok(value),
            Err(_) if self.fired() => Err(Trouble::Off),
            Err(refusal) => Err(Trouble::Defect(format!("{doing}: it {refusal}"))),
        }
    }

    /// A start whose power fails in the middle of the operations that leave the device in `wanted`; false, and nothing
    /// happened, if there are none.
    fn cut_in(&mut self, cause: Cause, point: CommitPoint, wanted: Phase) -> Done<bool> {
        let when = When::Middle;
        let mut met = Vec::new();
        for at in 0.. {
            let mut probe = self.device.fork(1, Torn::Stable);
            probe.power.plan(Cut { at, when });
            probe.restart(cause)?;
            if !probe.power.is_off() {
                break;
            }
            if phase(&probe) == Some(wanted) {
                met.push(at);
            }
        }
        let Some(at) = met.get(met.len() / 2) else { return Ok(false) };
        self.device.power.plan(Cut { at: *at, when });
        self.device.restart(cause)?;
        if self.fired() {
            return Err(Trouble::Off);
        }
        if !self.device.power.is_off() {
            return Err(Trouble::Defect(format!("power never failed at `{}`", point.name())));
        }
        self.met = true;
        expect(&self.device, point, wanted)?;
        self.device.power.restore();
        self.begin(Cause::PowerOn)?;
        Ok(true)
    }

    /// Starts.
    fn begin(&mut self, cause: Cause) -> Done<()> {
        match self.device.restart(cause)? {
            Some(Boot::Service(reason)) => {
                Err(Trouble::Defect(format!("it comes up in service mode: it {reason}")))
            }
            Some(Boot::Run(_)) => Ok(()),
            None if self.fired() => Err(Trouble::Off),
            None => Err(Trouble::Defect("it stays without power".into())),
        }
    }

    /// Starts, and cuts power where it is to be cut; `cut` is taken when it was met.
    fn start(&mut self, cause: Cause, cut: &mut Option<CommitPoint>) -> Done<()> {
        let moves = match cut {
            Some(CommitPoint::Moving) => Some((CommitPoint::Moving, Phase::Swap)),
            Some(CommitPoint::Reverting) => Some((CommitPoint::Reverting, Phase::Revert)),
            _ => None,
        };
        if let Some((point, wanted)) = moves
            && self.cut_in(cause, point, wanted)?
        {
            *cut = None;
            return Ok(());
        }
        self.begin(cause)?;
        if *cut == Some(CommitPoint::Trial) && self.on_trial() {
            self.meets(cut);
            expect(&self.device, CommitPoint::Trial, Phase::Trial { failed: 0 })?;
            self.begin(Cause::PowerOn)?;
        }
        Ok(())
    }

    /// The step's own cut comes.
    fn meets(&mut self, cut: &mut Option<CommitPoint>) {
        (*cut, self.met) = (None, true);
    }

    fn on_trial(&self) -> bool {
        self.device.booted == Some(Boot::Run(Running::Trial))
    }

    /// What runs on trial.
    fn candidate(&mut self) -> Done<Digest> {
        let opened = self.device.machine.open();
        self.heard(opened, "open")?;
        let candidate = self.device.machine.engine().state().and_then(|state| state.candidate);
        candidate.map(|c| c.release.manifest).ok_or_else(|| Trouble::Defect("a trial of nothing".into()))
    }

    /// Restarts until nothing is on trial.
    fn rest(&mut self, mut cause: Cause, mut cut: Option<CommitPoint>) -> Done<()> {
        for _ in 0..PATIENCE {
            self.start(cause, &mut cut)?;
            cause = Cause::Requested;
            if self.on_trial() {
                let candidate = self.candidate()?;
                self.tried.insert(candidate);
                if self.broken.contains(&candidate) {
                    cause = Cause::Watchdog;
                    continue;
                }
                let confirmed = self.device.machine.confirm();
                self.heard(confirmed, "confirm")?;
                if cut == Some(CommitPoint::Confirmed) {
                    self.meets(&mut cut);
                    expect(&self.device, CommitPoint::Confirmed, Phase::Idle)?;
                    self.begin(Cause::PowerOn)?;
                }
            }
            if !self.device.machine.engine().needs_restart() {
                let never = |cut: CommitPoint| format!("the device never came to `{}`", cut.name());
                return cut.map_or(Ok(()), |cut| Err(Trouble::Defect(never(cut))));
            }
        }
        Err(Trouble::Defect("the device never comes to rest".into()))
    }

    /// Power comes back after the planned cut, and the device comes to rest. True if `taken` says so then.
    fn recover(&mut self, taken: impl FnOnce(&mut Self) -> Done<bool>) -> std::result::Result<bool, String> {
        let (begins, at) = self.planned.take().ok_or("power failed, and nobody wanted it")?;
        self.device.power.unplan();
        self.device.power.restore();
        self.tried.clear();
        let taken = self.rest(Cause::PowerOn, None).and_then(|()| taken(self)).map_err(defect)?;
        self.interrupted = Some(Interrupted { operation: at - begins, taken, met: self.met });
        self.violations()?;
        Ok(taken)
    }

    fn violations(&self) -> std::result::Result<(), String> {
        let violations = self.device.power.violations();
        if violations.is_empty() { Ok(()) } else { Err(format!("flash rules broken: {violations:?}")) }
    }

    fn try_send(&mut self, bundle: &[u8], cut: bool) -> Done<String> {
        if cut {
            let _ = self.device.push(&bundle[..bundle.len() / 2], PIECE)?;
            if self.fired() {
                return Err(Trouble::Off);
            }
            self.met = true;
            expect(&self.device, CommitPoint::Receiving, Phase::Receiving)?;
            self.begin(Cause::PowerOn)?;
        }
        let got = self.device.push(bundle, PIECE)?;
        if self.fired() {
            return Err(Trouble::Off);
        }
        let opened = self.device.machine.window(Window::Open);
        self.heard(opened, "window")?;
        let ready = got == Ok(Outcome::Staged) && self.device.machine.engine().needs_restart();
        Ok(answer(if ready { Ok(Outcome::Ready) } else { got }))
    }

    fn try_owner(&mut self, document: &[u8]) -> Done<String> {
        let got = self.device.machine.owner(document);
        if self.fired() { Err(Trouble::Off) } else { Ok(answer(got)) }
    }

    fn try_status(&mut self) -> Done<Status> {
        let status = self.device.machine.status();
        self.heard(status, "status")
    }
}

fn defect(trouble: Trouble) -> String {
    match trouble {
        Trouble::Off => "power failed again, and nobody wanted it".to_owned(),
        Trouble::Defect(defect) => defect,
    }
}

impl Player for Sim {
    fn send(&mut self, offer: &Offer, cut: bool) -> std::result::Result<String, String> {
        self.met = false;
        let answer = match self.try_send(&offer.file, cut) {
            Err(Trouble::Off) => {
                let name = offer.manifest;
                let taken = |sim: &mut Self| {
                    Ok(sim.tried.contains(&name) || sim.try_status()?.confirmed.manifest == name)
                };
                if self.recover(taken)? {
                    return Ok(String::new());
                }
                self.try_send(&offer.file, false)
            }
            other => other,
        };
        self.violations()?;
        answer.map_err(defect)
    }

    fn owner(&mut self, document: &[u8]) -> std::result::Result<String, String> {
        let before = self.try_status().map_err(defect)?.serial;
        let answer = match self.try_owner(document) {
            Err(Trouble::Off) => {
                if self.recover(|sim| Ok(sim.try_status()?.serial != before))? {
                    return Ok(String::new());
                }
                self.try_owner(document)
            }
            other => other,
        };
        self.violations()?;
        answer.map_err(defect)
    }

    fn restart(&mut self, cut: Option<CommitPoint>) -> std::result::Result<(), String> {
        let cause = if cut == Some(CommitPoint::Ready) { Cause::PowerOn } else { Cause::Requested };
        self.met = cut == Some(CommitPoint::Ready);
        if self.met {
            expect(&self.device, CommitPoint::Ready, Phase::Ready)?;
        }
        match self.rest(cause, cut.filter(|cut| *cut != CommitPoint::Ready)) {
            Err(Trouble::Off) => self.recover(|_| Ok(false)).map(drop)?,
            other => other.map_err(defect)?,
        }
        self.violations()
    }

    fn status(&mut self) -> std::result::Result<Status, String> {
        self.try_status().map_err(defect)
    }

    fn ask(&mut self, _: &str) -> std::result::Result<Option<String>, String> {
        Ok(None)
    }

    fn primary(&mut self, length: usize) -> std::result::Result<Vec<u8>, String> {
        Ok(self.device.primary(length))
    }

    fn interrupted(&mut self) -> Option<Interrupted> {
        self.interrupted.take()
    }
}

/// A scenario on simulated flash.
///
/// # Errors
/// `refused`, `image`: what is wrong with the first release.
pub fn on_sim<'a>(scenario: &'a Scenario, cast: &'a Cast, chip: Chip) -> Result<Stage<'a, Sim>> {
    Ok(Stage::new(scenario, cast, Sim::new(scenario, cast, chip)?))
}
