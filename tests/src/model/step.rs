//! What may happen to a device, done to the real one.

use super::catalogue::{Document, Item};
use super::facts::Facts;
use crate::sim::cases::push_part;
use crate::sim::{Cut, SimDevice, Torn, When};
use patchlane::flash::mix;
use patchlane_device::state::Phase;
use patchlane_device::{Boot, Cause, Running, Window};
use patchlane_protocol::Refusal;
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::Action as Ask;
use std::fmt;

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A bundle is sent, whole.
    Push(usize),
    /// A bundle is sent up to its first chunk.
    Part(usize),
    /// An owner document comes.
    Owner(usize),
    /// Somebody at the device asks for something about the candidate, or what is held.
    Local(Ask),
    /// The application says that it works.
    Confirm,
    /// The window opens or closes.
    Window(bool),
    /// A restart.
    Restart(Cause),
    /// The release on trial hangs until it is given up.
    Hang,
    /// A bit of the primary slot flips.
    Rot,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What the device said, if it was asked something.
    pub said: Option<Result<Outcome, Refusal>>,
    /// Writes and erases.
    pub operations: u64,
    /// True if power was cut.
    pub cut: bool,
}

/// Power fails during an action of so many operations, at one that the seed chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerCut {
    /// It chooses the operation, and whether it is cut before, within or after.
    pub seed: u64,
    /// What the action takes if it isn't cut.
    pub operations: u64,
}

/// A step's end, where power is cut.
const CUT: &str = ", and power is cut: ";

impl fmt::Display for PowerCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CUT}{:x}/{}", self.seed, self.operations)
    }
}

/// What [`name`] and [`PowerCut`] wrote, apart.
///
/// # Errors
/// What isn't a cut.
pub fn parse(step: &str) -> Result<(&str, Option<PowerCut>), String> {
    let Some((name, cut)) = step.split_once(CUT) else { return Ok((step, None)) };
    let numbers = cut.split_once('/').and_then(|(seed, operations)| {
        Some(PowerCut { seed: u64::from_str_radix(seed, 16).ok()?, operations: operations.parse().ok()? })
    });
    let numbers = numbers.ok_or_else(|| format!("`{cut}` is no seed and number of operations"))?;
    Ok((name, Some(numbers)))
}

/// A scenario's line for an action.
pub fn name(action: Action, items: &[Item], documents: &[Document]) -> String {
    match action {
        Action::Push(at) => format!("send \"{}\"", items[at].name),
        Action::Part(at) => format!("send the beginning of \"{}\"", items[at].name),
        Action::Owner(at) => format!("owner document \"{}\"", documents[at].name),
        other => format!("{other:?}"),
    }
}

// What `SimDevice` panics about is a verdict here, with the way that led to it.

fn push(device: &mut SimDevice, bytes: &[u8]) -> Result<Result<Outcome, Refusal>, String> {
    let file = bytes.len();
    std::ops::DerefMut::deref_mut(device).push(bytes, file)
}

fn restart(device: &mut SimDevice, cause: Cause) -> Result<(), String> {
    std::ops::DerefMut::deref_mut(device).restart(cause).map(|_| ())
}

/// A session on the flash of a device that runs: the application's, or the bootloader's where nothing runs.
///
/// # Errors
/// What the bootloader does wrong, in words.
fn begin(device: &mut SimDevice, facts: &Facts) -> Result<(), String> {
    match facts.booted {
        Boot::Service(_) => restart(device, Cause::PowerOn),
        Boot::Run(_) => {
            device.booted = Some(facts.booted);
            Ok(())
        }
    }
}

fn act(
    device: &mut SimDevice,
    facts: &Facts,
    action: Action,
    (items, documents): (&[Item], &[Document]),
) -> Result<Option<Result<Outcome, Refusal>>, String> {
    let about = facts.candidate.map(|at| items[at].manifest).or(facts.held);
    Ok(match action {
        Action::Push(at) => Some(push(device, &items[at].bytes)?),
        Action::Part(at) => {
            Some(push_part(device, &items[at].bytes[..items[at].part]).map(|()| Outcome::Done))
        }
        Action::Owner(at) => Some(device.machine.owner(&documents[at].bytes)),
        Action::Local(ask) => about.map(|manifest| device.machine.local(ask, &manifest)),
        Action::Confirm => Some(device.machine.confirm()),
        Action::Window(open) => Some(device.machine.window(if open { Window::Open } else { Window::Closed })),
        Action::Restart(cause) => {
            restart(device, cause)?;
            None
        }
        Action::Hang => {
            for _ in 0..3 {
                if device.power.is_off() {
                    break;
                }
                restart(device, Cause::Watchdog)?;
            }
            None
        }
        Action::Rot => {
            device.machine.media.primary.rot(100, 3);
            None
        }
    })
}

/// Does it to a copy of the device; with a cut, power is cut at one of its operations, and comes back.
///
/// # Errors
/// What can't be, in words.
pub fn perform(
    from: &SimDevice,
    facts: &Facts,
    action: Action,
    world: (&[Item], &[Document]),
    cut: Option<PowerCut>,
) -> Result<(SimDevice, Answer), String> {
    let mut device = from.fork(cut.map_or(1, |cut| cut.seed), Torn::Stable);
    begin(&mut device, facts)?;
    let before = device.power.operations();
    if let Some(PowerCut { seed, operations }) = cut {
        let when = When::ALL[(mix(seed) % 5) as usize];
        device.power.plan(Cut { at: mix(seed ^ 0x5a) % operations.max(1), when });
    }
    let said = act(&mut device, facts, action, world)?;
    let answer = Answer { said, operations: device.power.operations() - before, cut: device.power.is_off() };
    if answer.cut {
        device.power.restore();
        restart(&mut device, Cause::PowerOn)?;
    }
    device.power.unplan();
    let violations = device.power.violations();
    if violations.is_empty() { Ok((device, answer)) } else { Err(format!("flash rules: {violations:?}")) }
}

/// What a history lets happen.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Bundles that are sent.
    pub sends: Vec<usize>,
    /// Those of which the beginning is sent.
    pub parts: Vec<usize>,
    /// Owner documents that are sent.
    pub documents: Vec<usize>,
    /// Failed trials at most.
    pub hangs: u8,
    /// True if the primary slot may rot, once.
    pub rots: bool,
}

/// What may happen to a device that is so.
pub fn enabled(facts: &Facts, reach: &Reach) -> Vec<Action> {
    let mut all: Vec<Action> = reach.sends.iter().map(|at| Action::Push(*at)).collect();
    all.extend(reach.documents.iter().map(|at| Action::Owner(*at)));
    all.push(Action::Restart(Cause::PowerOn));
    match facts.phase {
        Phase::Idle => all.extend(reach.parts.iter().map(|at| Action::Part(*at))),
        Phase::Receiving => all.push(Action::Local(Ask::Withdraw)),
        Phase::Staged => {
            let local = [Action::Local(Ask::Apply), Action::Local(Ask::Withdraw), Action::Window(true)];
            all.extend(local);
        }
        Phase::Ready => all.extend([Action::Window(false), Action::Local(Ask::Withdraw)]),
        Phase::Trial { .. } => all.extend([Action::Confirm, Action::Local(Ask::Revert)]),
        Phase::Soak { .. } => all.extend([Action::Local(Ask::Keep), Action::Local(Ask::Revert)]),
        Phase::Swap | Phase::Revert | Phase::Fallback => {}
    }
    if facts.phase == Phase::Idle && facts.held.is_some() {
        all.push(Action::Local(Ask::Approve));
    }
    let failed: u8 = facts.failures.iter().map(|(_, count)| count).sum();
    if facts.booted == Boot::Run(Running::Trial) && facts.phase.on_trial() && failed < reach.hangs {
        all.push(Action::Hang);
    }
    if reach.rots && !facts.rotted && facts.phase == Phase::Idle {
        all.push(Action::Rot);
    }
    all
}
