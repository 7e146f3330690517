//! Scenarios on simulated flash.

use super::file::{CommitPoint, ReleaseEntry, Scenario};
use super::{Player, Stage, told};
use crate::sim::chip::Geometry;
use crate::sim::power::{Cut, Torn, When};
use crate::sim::{SimDevice, world};
use patchlane_device::state::Phase;
use patchlane_device::{Boot, Cause, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{Digest, Status};

struct Sim {
    device: SimDevice,
    /// Manifests of releases that hang.
    broken: Vec<Digest>,
}

/// What flash says the device was doing.
fn phase(device: &SimDevice) -> Option<Phase> {
    let mut fresh = device.fork(1, Torn::Stable);
    fresh.machine.open().ok()?;
    fresh.machine.engine().state().map(|state| state.phase)
}

fn expect(device: &SimDevice, point: CommitPoint, wanted: Phase) -> Result<(), String> {
    match phase(device) {
        Some(phase) if phase == wanted => Ok(()),
        other => Err(format!("power failed at `{point:?}`, and flash says {other:?}")),
    }
}

impl Sim {
    /// A start whose power fails in the middle of the operations that leave the device in `wanted`; false, and nothing
    /// happened, if there are none.
    fn cut_in(&mut self, cause: Cause, point: CommitPoint, wanted: Phase) -> Result<bool, String> {
        let middle = When::Middle;
        let mut met = Vec::new();
        for at in 0.. {
            let mut probe = self.device.fork(1, Torn::Stable);
            probe.power.plan(Cut { at, when: middle });
            probe.restart(cause);
            if !probe.power.is_off() {
                break;
            }
            if phase(&probe) == Some(wanted) {
                met.push(at);
            }
        }
        let Some(at) = met.get(met.len() / 2) else { return Ok(false) };
        self.device.power.plan(Cut { at: *at, when: middle });
        self.device.restart(cause);
        if !self.device.power.is_off() {
            return Err(format!("power never failed at `{point:?}`"));
        }
        expect(&self.device, point, wanted)?;
        self.power_on();
        Ok(true)
    }

    fn power_on(&mut self) {
        self.device.power.restore();
        self.device.restart(Cause::PowerOn);
    }

    fn hangs(&mut self) -> bool {
        self.device.machine.open().is_ok()
            && self.device.machine.engine().state().is_some_and(|state| {
                state.candidate.is_some_and(|candidate| self.broken.contains(&candidate.release.manifest))
            })
    }

    /// Starts, and cuts power where it is to be cut; `cut` is taken when it was met.
    fn start(&mut self, cause: Cause, cut: &mut Option<CommitPoint>) -> Result<(), String> {
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
        self.device.restart(cause);
        if *cut == Some(CommitPoint::Trial) && self.device.booted == Some(Boot::Run(Running::Trial)) {
            *cut = None;
            expect(&self.device, CommitPoint::Trial, Phase::Trial { failed: 0 })?;
            self.device.restart(Cause::PowerOn);
        }
        Ok(())
    }

    fn rest(&mut self, mut cut: Option<CommitPoint>) -> Result<(), String> {
        let mut cause = Cause::Requested;
        if cut == Some(CommitPoint::Ready) {
            cut = None;
            expect(&self.device, CommitPoint::Ready, Phase::Ready)?;
            cause = Cause::PowerOn;
        }
        for _ in 0..20 {
            self.start(cause, &mut cut)?;
            cause = Cause::Requested;
            if self.device.booted == Some(Boot::Run(Running::Trial)) {
                if self.hangs() {
                    cause = Cause::Watchdog;
                    continue;
                }
                self.device.machine.confirm().map_err(|e| format!("confirm: {e}"))?;
                if cut == Some(CommitPoint::Confirmed) {
                    cut = None;
                    expect(&self.device, CommitPoint::Confirmed, Phase::Idle)?;
                    self.device.restart(Cause::PowerOn);
                }
            }
            if !self.device.machine.engine().needs_restart() {
                return cut.map_or(Ok(()), |cut| Err(format!("the device never came to `{cut:?}`")));
            }
        }
        Err("the device never comes to rest".into())
    }
}

impl Player for Sim {
    fn name(&self) -> &'static str {
        "sim"
    }
    fn send(&mut self, bundle: &[u8], cut: bool) -> Result<String, String> {
        if cut {
            let _ = self.device.push(&bundle[..bundle.len() / 2], 512);
            expect(&self.device, CommitPoint::Receiving, Phase::Receiving)?;
            self.device.restart(Cause::PowerOn);
        }
        let answer = self.device.push(bundle, 512);
        // A plant whose window is open.
        self.device.machine.window(Window::Open).map_err(|e| format!("window: {e}"))?;
        let ready = answer == Ok(Outcome::Staged) && self.device.machine.engine().needs_restart();
        Ok(told(if ready { Ok(Outcome::Ready) } else { answer }))
    }
    fn owner(&mut self, document: &[u8]) -> Result<String, String> {
        Ok(told(self.device.machine.owner(document)))
    }
    fn restart(&mut self, cut: Option<CommitPoint>) -> Result<(), String> {
        self.rest(cut)?;
        let violations = self.device.power.violations();
        if violations.is_empty() { Ok(()) } else { Err(format!("{violations:?}")) }
    }
    fn status(&mut self) -> Result<Status, String> {
        self.device.machine.status().map_err(|e| format!("status: {e}"))
    }
    fn ask(&mut self, _: &str) -> Result<Option<String>, String> {
        Ok(None)
    }
    fn stack(&mut self) -> Result<Option<(usize, usize)>, String> {
        Ok(None)
    }
    fn primary(&mut self, length: usize) -> Result<Vec<u8>, String> {
        Ok(self.device.machine.media.primary.contents(0, length))
    }
}

/// A scenario on simulated flash.
///
/// # Errors
/// What is wrong with the scenario.
pub fn on_sim(scenario: &Scenario, geometry: [Geometry; 3]) -> Result<Stage<'static>, String> {
    let size = geometry[1].length - 100;
    let images = move |entry: &ReleaseEntry| {
        let seed = entry.firmware.bytes().fold(7u64, |seed, byte| (seed * 31 + u64::from(byte)) & 0xffff);
        Ok(world::image(seed, size))
    };
    let first = scenario.release(&scenario.device.first, &images)?;
    let mut device = SimDevice::new(geometry, &first, scenario.factory(), 1, Torn::Stable);
    let mut broken = Vec::new();
    for (name, entry) in &scenario.release {
        let release = scenario.release(name, &images)?;
        device.expect(&release);
        if !entry.works {
            broken.push(release.digest());
        }
    }
    device.restart(Cause::PowerOn);
    Ok(Stage { player: Box::new(Sim { device, broken }), images: Box::new(images) })
}
