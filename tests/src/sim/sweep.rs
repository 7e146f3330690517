//! Cuts power at every operation of a task, in every way, and goes on until the task is done.

use super::{Cut, SimDevice, Torn, When};
use crate::again::Cases;
use patchlane::flash::mix;
use patchlane_device::{Boot, Cause, Layout, Place, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::status::Activity;
use patchlane_protocol::{Refusal, Version};

/// One region's geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of a word.
    pub write: usize,
    /// Bytes of a sector.
    pub erase: usize,
    /// Bytes of the region.
    pub length: usize,
}

/// Three regions, each on a chip of its own.
pub(super) fn places(geometry: [Geometry; 3]) -> [Place; 3] {
    geometry.map(|g| Place {
        offset: 0,
        length: g.length as u32,
        read: 1,
        write: g.write as u32,
        erase: g.erase as u32,
    })
}

/// The layout of such regions: state, primary, secondary.
pub fn layout(geometry: [Geometry; 3]) -> Layout {
    let [state, primary, secondary] = places(geometry);
    Layout::new(state, primary, secondary).expect("a layout")
}

/// A geometry by name: state, primary, secondary.
pub type Named = (&'static str, [Geometry; 3]);

/// The same word and sector for all three regions, with slots of `blocks` sectors.
pub const fn uniform(write: usize, erase: usize, state: usize, blocks: usize) -> [Geometry; 3] {
    [
        Geometry { write, erase, length: state * erase },
        Geometry { write, erase, length: blocks * erase },
        Geometry { write, erase, length: (blocks + 1) * erase },
    ]
}

/// Geometries for sweeps: small words and sectors, large words and sectors, one-sector slots, mixed chips.
pub const GEOMETRIES: &[Named] = &[
    ("1/512", uniform(1, 512, 3 * 8 + 5 * 6, 8)),
    ("4/4K", uniform(4, 4096, 8, 3)),
    ("8/2K", uniform(8, 2048, 3 * 2 + 5 * 2, 4)),
    ("32/16K one block", uniform(32, 16384, 8, 1)),
    (
        "internal 8/2K, external 1/4K",
        [
            Geometry { write: 8, erase: 2048, length: 16 * 2048 },
            Geometry { write: 8, erase: 2048, length: 4 * 2048 },
            Geometry { write: 1, erase: 4096, length: 3 * 4096 },
        ],
    ),
];

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Devices whose power was cut as often as that was planned.
    pub cases: u64,
    /// Devices that were done before the last cut came.
    pub spared: u64,
    /// Operations of the task without cuts.
    pub operations: u64,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cases, spared, operations } = self;
        write!(f, "{operations} operations, {cases} pairs of cuts; {spared} more, whose second never came")
    }
}

/// A task: how it begins, what an operator does until it is done, and when it is.
pub trait Plan {
    /// What it is called in a case.
    fn name(&self) -> &str;
    /// The device before it.
    fn device(&self, geometry: [Geometry; 3]) -> SimDevice;
    /// One round of an operator's patience; true when all is done. Never called with power off.
    fn round(&self, device: &mut SimDevice) -> bool;
    /// What has to hold at the end.
    fn end(&self, device: &mut SimDevice);
}

/// Performs the plan on a device, whatever happens to power.
pub fn perform(plan: &dyn Plan, device: &mut SimDevice, case: &str) {
    let mut patience = 60;
    loop {
        if device.power.is_off() || device.booted.is_none() {
            device.power.restore();
            device.restart(Cause::PowerOn);
        } else if plan.round(device) && !device.power.is_off() {
            break;
        }
        assert!(device.power.violations().is_empty(), "{case}: {:?}", device.power.violations());
        patience -= 1;
        assert!(patience > 0, "{case}: stuck, {:?}, {:?}", device.booted, device.machine.engine().state());
    }
    // The end has to be there after one more restart, too.
    device.restart(Cause::PowerOn);
    plan.end(device);
    assert!(device.power.violations().is_empty(), "{case}: {:?}", device.power.violations());
}

/// A plan on a geometry, and its device before it.
struct Sweep<'a> {
    cases: &'a Cases,
    plan: &'a dyn Plan,
    geometry: &'static str,
    start: SimDevice,
    tally: Tally,
}

impl<'a> Sweep<'a> {
    /// Operations that the plan takes without cuts are counted first.
    fn new(cases: &'a Cases, plan: &'a dyn Plan, (geometry, places): Named) -> Self {
        let trying = cases.first(format!("{}, {geometry}, no cut", plan.name()));
        let start = plan.device(places);
        let mut device = start.fork(1, Torn::Stable);
        perform(plan, &mut device, "no cut");
        let tally = Tally { operations: device.power.operations(), ..Tally::default() };
        drop(trying);
        Self { cases, plan, geometry, start, tally }
    }

    /// Cuts are counted from the beginning.
    fn run(&mut self, cuts: &[Cut], torn: Torn) {
        let spelt: Vec<_> = cuts.iter().map(|cut| format!("{}:{}", cut.at, cut.when.name())).collect();
        let case = format!("{}, {}, {}/{}", self.plan.name(), self.geometry, torn.name(), spelt.join(","));
        let Some(_trying) = self.cases.begin(&case) else { return };
        let seed = cuts.iter().fold(7, |seed, cut| seed * 31 + cut.at * 5 + cut.when as u64);
        let mut device = self.start.fork(seed, torn);
        for cut in cuts {
            device.power.plan(*cut);
        }
        perform(self.plan, &mut device, &case);
        // A device that is done before a cut comes shows nothing of that cut.
        let came = cuts.iter().all(|cut| cut.at < device.power.operations());
        let count = if came { &mut self.tally.cases } else { &mut self.tally.spared };
        *count += 1;
    }
}

/// Cuts at every operation, in every way, with these kinds of torn words; `stride` > 1 takes a sample.
pub fn singles(cases: &Cases, plan: &dyn Plan, geometry: Named, torn: &[Torn], stride: usize) -> Tally {
    let mut sweep = Sweep::new(cases, plan, geometry);
    for at in (0..sweep.tally.operations).step_by(stride) {
        for when in When::ALL {
            for torn in torn {
                sweep.run(&[Cut { at, when }], *torn);
            }
        }
    }
    assert_eq!(sweep.tally.spared, 0, "what comes before a cut isn't what comes without one");
    sweep.tally
}

/// Cuts twice: the second time while the device recovers from the first. Every `stride`-th pair.
pub fn pairs(cases: &Cases, plan: &dyn Plan, geometry: Named, torn: &[Torn], stride: u64) -> Tally {
    let mut sweep = Sweep::new(cases, plan, geometry);
    let mut number = 0u64;
    for first in 0..sweep.tally.operations {
        for second in 0..sweep.tally.operations {
            for torn in torn {
                number += 1;
                if !mix(number).is_multiple_of(stride) {
                    continue;
                }
                let pick = mix(number ^ 0x55) as usize;
                let (one, two) = (When::ALL[pick % 5], When::ALL[pick / 5 % 5]);
                let cuts = [Cut { at: first, when: one }, Cut { at: first + 1 + second, when: two }];
                sweep.run(&cuts, *torn);
            }
        }
    }
    sweep.tally
}

/// What an operator who wants `target` does: send, restart, confirm, until it is v.
pub fn install_round(device: &mut SimDevice, bundle: &[u8], target: &Version) -> bool {
    let Ok(status) = device.machine.status() else {
        // A blank or unreadable state never comes from a cut.
        panic!("no status: {:?}", device.booted);
    };
    if status.confirmed.version == *target && !device.machine.engine().needs_restart() {
        return true;
    }
    if device.machine.engine().needs_restart() {
        device.restart(Cause::Requested);
        return false;
    }
    match status.activity {
        Activity::Trial | Activity::Soak => {
            assert!(matches!(device.booted, Some(Boot::Run(Running::Trial))));
            let _ = device.machine.confirm();
        }
        Activity::Staged => {
            let _ = device.machine.window(Window::Open);
        }
        _ => match device.push(bundle, 512) {
            Ok(Outcome::Staged) => {
                let _ = device.machine.window(Window::Open);
            }
            Ok(_) | Err(Refusal::SendAgain | Refusal::Flash) => {}
            Err(_) if device.power.is_off() => {}
            Err(refusal) => panic!("refused: {refusal:?}"),
        },
    }
    false
}
