//! Scenarios on a board: the service link over its serial line, and power that is really cut.

use crate::board::{Board, Model, PATIENCE, firmware};
use patchlane::flash::Chip;
use patchlane::link::{Answer, Link};
use patchlane::scenario::{Cast, CommitPoint, Interrupted, Offer, Player, Scenario, answer};
use patchlane_protocol::link::{Command, Outcome};
use patchlane_protocol::status::Activity;
use patchlane_protocol::{Status, limits};
use std::path::Path;

/// A power cut that the firmware is asked for (`tests/qemu/firmware/src/plan.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    event: u8,
    number: u8,
    how: u8,
    operations: u16,
}

impl Plan {
    /// During this flash operation from now on, from 1: before it, in the middle of it, after it.
    pub const fn at(operation: u16, how: u8) -> Self {
        Self { event: 1, number: 0, how: how % 3, operations: operation }
    }
    const NONE: Self = Self::at(0, 0);
    /// While blocks are moved the first or a later time: a word of the third operation is torn.
    pub const fn moves(number: u8) -> Self {
        Self { event: 2, number, how: 1, operations: 3 }
    }
    const TRIAL: Self = Self { event: 3, number: 1, how: 0, operations: 0 };
    const CONFIRMED: Self = Self { event: 4, ..Self::TRIAL };
}

/// A board that plays a device.
#[derive(Debug)]
pub struct OnBoard {
    /// The board.
    pub board: Board,
    /// True while the bootloader of a small part serves.
    serving: bool,
    /// A cut that the scenario doesn't have, for the next step that has none of its own.
    planned: Option<Plan>,
    interrupted: Option<Interrupted>,
    /// Deepest stack that a serving bootloader told of.
    deepest: usize,
}

impl OnBoard {
    /// Cuts power during the next step, unless it has a cut of its own.
    pub const fn plan(&mut self, plan: Plan) {
        self.planned = Some(plan);
    }

    /// Forgets that cut; true if it hasn't come.
    pub const fn spared(&mut self) -> bool {
        self.planned.take().is_some()
    }

    /// A board that may be on already.
    pub const fn new(board: Board) -> Self {
        Self { board, serving: false, planned: None, interrupted: None, deepest: 0 }
    }

    fn link(&mut self) -> Result<Link, String> {
        self.serve()?;
        self.board.link()
    }

    /// Sees to it that someone serves the link: on a small part the application asks the bootloader.
    ///
    /// # Errors
    /// If it doesn't come to that.
    pub fn serve(&mut self) -> Result<(), String> {
        if self.board.model.small && !self.serving {
            self.board.skip();
            self.board.tell(":U")?;
            self.board.wait_for("service mode: the application asks", PATIENCE)?;
            self.serving = true;
        }
        Ok(())
    }

    /// Sees to it that the application runs.
    ///
    /// # Errors
    /// If it doesn't come to that.
    pub fn run(&mut self) -> Result<(), String> {
        if self.serving {
            self.reboot()?;
            self.settled()?;
        }
        Ok(())
    }

    /// Power comes on, or someone else restarted it: the application runs, or will.
    pub const fn restarted(&mut self) {
        self.serving = false;
    }

    fn power_on(&mut self) -> Result<(), String> {
        self.restarted();
        self.board.power_on()
    }

    /// Power comes on.
    ///
    /// # Errors
    /// If it doesn't come up.
    pub fn start(&mut self) -> Result<(), String> {
        self.power_on()?;
        self.settled()
    }

    /// Waits until a confirmed release runs. A board that counts does each instruction of a release that hangs, until the
    /// watchdog bites; three times.
    fn settled(&mut self) -> Result<(), String> {
        let patience = if self.board.counted { 5 * PATIENCE } else { PATIENCE };
        self.board.wait_for("is confirmed", patience).map(|_| ())
    }

    fn reboot(&mut self) -> Result<(), String> {
        let mut link = self.link()?;
        if self.serving {
            self.deepest = self.deepest.max(self.told(":S")?);
        }
        self.board.skip();
        self.restarted();
        link.request(&Command::Reboot).map(|_| ()).map_err(|e| e.to_string())
    }

    /// Asks the firmware for a cut.
    ///
    /// # Errors
    /// If it doesn't take the plan.
    pub fn ask_for(&mut self, plan: Plan) -> Result<(), String> {
        let Plan { event, number, how, operations } = plan;
        match self.board.ask(&format!(":K{event:x}{number:x}{how:x}{operations:04x}"))?.as_str() {
            ":D" => Ok(()),
            other => Err(format!("the firmware doesn't plan a cut: {other}")),
        }
    }

    /// Power is cut where the firmware stands still, and comes back.
    fn cut_and_back(&mut self) -> Result<(), String> {
        self.board.wait_for("# power fails", PATIENCE)?;
        self.board.cut()?;
        self.power_on()
    }

    /// A number that the firmware tells.
    fn told(&mut self, request: &str) -> Result<usize, String> {
        let told = self.board.ask(request)?;
        let number = told.strip_prefix(":D").and_then(|n| n.parse().ok());
        number.ok_or(format!("{request} is answered by `{told}`"))
    }

    /// Flash operations since power came on.
    ///
    /// # Errors
    /// If the firmware doesn't tell them.
    pub fn operations(&mut self) -> Result<u64, String> {
        self.told(":N").map(|n| n as u64)
    }

    /// How many of the operations that break a rule of NOR flash the driver didn't refuse.
    ///
    /// # Errors
    /// If the firmware doesn't tell it.
    pub fn unrefused(&mut self) -> Result<usize, String> {
        self.told(":V")
    }

    /// What answering cost since this was asked last, in microseconds of the board's clock: the dearest answer, and all.
    ///
    /// # Errors
    /// If the firmware doesn't tell it.
    pub fn cost(&mut self) -> Result<(u64, u64), String> {
        let told = self.board.ask(":T")?;
        let mut numbers = told.trim_start_matches(":D").split(' ').flat_map(str::parse);
        numbers.next().zip(numbers.next()).ok_or(format!(":T is answered by `{told}`"))
    }

    /// Deepest stack of bootloader and application so far, in bytes.
    ///
    /// # Errors
    /// If they don't tell it.
    pub fn stack(&mut self) -> Result<(usize, usize), String> {
        self.run()?;
        let app = self.told(":S")?;
        let bytes = |line: &String| {
            line.strip_prefix("# bootloader: ")?.strip_suffix(" bytes of stack")?.parse().ok()
        };
        let boot = self.board.said().iter().filter_map(bytes).max().ok_or("the bootloader told no stack")?;
        Ok((self.deepest.max(boot), app))
    }

    /// Plays what a step does to the device. If the planned cut comes, power is cut and comes back, the device comes to
    /// rest, and what was sent is sent again unless `taken` says that it went in.
    fn interruptible<T>(
        &mut self,
        act: &dyn Fn(&mut Self) -> Result<T, String>,
        taken: &dyn Fn(&mut Self) -> Result<bool, String>,
    ) -> Result<Option<T>, String> {
        let Some(plan) = self.planned else { return act(self).map(Some) };
        self.serve()?;
        self.ask_for(plan)?;
        let result = act(self);
        if !self.board.has_failed() {
            // A plan outlives restarts; this step is over.
            self.ask_for(Plan::NONE)?;
            return result.map(Some);
        }
        self.planned = None;
        self.board.cut()?;
        self.power_on()?;
        self.settled()?;
        let taken = taken(self)?;
        let operation = u64::from(plan.operations) - 1;
        self.interrupted = Some(Interrupted { operation, taken, met: true });
        if taken { Ok(None) } else { act(self).map(Some) }
    }

    fn receive_half(&mut self, bundle: &[u8]) -> Result<(), String> {
        let mut link = self.link()?;
        let mut reply = link.call(&Command::Begin).map_err(|e| e.to_string())?;
        while let Answer::Want(offset) = reply {
            let from = offset as usize;
            if from > bundle.len() / 2 {
                break;
            }
            let bytes = &bundle[from..(from + limits::FRAME_DATA).min(bundle.len())];
            reply = link.call(&Command::Data { offset, bytes }).map_err(|e| e.to_string())?;
        }
        self.board.cut()?;
        self.power_on()?;
        self.settled()?;
        let activity = self.status()?.activity;
        if activity == Activity::Receiving {
            Ok(())
        } else {
            Err(format!("power failed at `Receiving`, and the device says {activity:?}"))
        }
    }
}

/// An answer as scenarios name it.
fn named(result: patchlane::error::Result<Outcome>) -> Result<String, String> {
    match result {
        Ok(outcome) => Ok(answer(Ok(outcome))),
        Err(error) => error.refusal.map(|r| answer(Err(r))).ok_or_else(|| error.to_string()),
    }
}

impl Player for OnBoard {
    fn send(&mut self, offer: &Offer, cut: bool) -> Result<String, String> {
        if cut {
            self.receive_half(&offer.file)?;
        }
        let push = |player: &mut Self| named(player.link()?.push(&offer.file, |_| {}));
        let taken = |player: &mut Self| {
            // Nothing else was on its way in.
            let tried = player.board.has_said("runs Trial");
            Ok(tried || player.status()?.confirmed.manifest == offer.manifest)
        };
        if cut {
            return push(self);
        }
        self.interruptible(&push, &taken).map(Option::unwrap_or_default)
    }
    fn owner(&mut self, document: &[u8]) -> Result<String, String> {
        let before = if self.planned.is_some() { self.status()?.serial } else { 0 };
        let send = |player: &mut Self| named(player.link()?.request(&Command::Owner(document)));
        let taken = |player: &mut Self| Ok(player.status()?.serial != before);
        self.interruptible(&send, &taken).map(Option::unwrap_or_default)
    }
    fn restart(&mut self, cut: Option<CommitPoint>) -> Result<(), String> {
        let (plan, met) = match cut {
            None => {
                let restart = |player: &mut Self| {
                    player.reboot()?;
                    player.settled()
                };
                // It needn't be done again; nothing was sent.
                self.interruptible(&restart, &|_| Ok(true))?;
                self.interrupted.iter_mut().for_each(|cut| cut.taken = false);
                return Ok(());
            }
            Some(CommitPoint::Receiving) => return Err("`receiving` belongs to `send`".into()),
            Some(CommitPoint::Ready) => {
                self.board.cut()?;
                self.power_on()?;
                self.board.wait_for("PowerOn, Ready", PATIENCE)?;
                return self.settled();
            }
            Some(CommitPoint::Moving) => (Plan::moves(1), "PowerOn, Swap"),
            Some(CommitPoint::Trial) => (Plan::TRIAL, "PowerOn, Trial { failed: 0 }"),
            // Three bites of the watchdog later.
            Some(CommitPoint::Reverting) => (Plan::moves(2), "PowerOn, Revert"),
            Some(CommitPoint::Confirmed) => (Plan::CONFIRMED, "PowerOn, Idle"),
        };
        self.serve()?;
        self.ask_for(plan)?;
        self.reboot()?;
        self.cut_and_back()?;
        let said = self.board.wait_for("bootloader: ", PATIENCE)?;
        if !said.contains(met) {
            return Err(format!("power was to be cut at `{met}`; the bootloader says `{said}`"));
        }
        self.settled()
    }
    fn status(&mut self) -> Result<Status, String> {
        self.link()?.status().map_err(|e| e.to_string())
    }
    fn ask(&mut self, line: &str) -> Result<Option<String>, String> {
        self.run()?;
        self.board.ask(line).map(Some)
    }
    fn primary(&mut self, length: usize) -> Result<Vec<u8>, String> {
        self.board.contents(u64::from(self.board.model.primary.0), length)
    }
    fn interrupted(&mut self) -> Option<Interrupted> {
        self.interrupted.take()
    }
}

/// A scenario's cast, whose images are the board's programs.
///
/// # Errors
/// If they can't be read.
pub fn cast(model: &Model, scenario: &Scenario) -> Result<Cast, String> {
    let folder = firmware(model)?;
    let images = |name: &str| Ok(patchlane::image::read(&folder.join(name))?.bytes);
    Cast::of(scenario, None, &[], &images).map_err(|e| e.to_string())
}

/// A board of this kind; its flash is this file, and power is off.
///
/// # Errors
/// If the first release is wrong.
pub fn on_board(model: &'static Model, cast: &Cast, flash: &Path) -> Result<OnBoard, String> {
    let chip = cast.provision(Chip::new(model.layout()?)).map_err(|e| e.to_string())?;
    let board = Board::new(model, &firmware(model)?.join("boot"), flash, &chip.bytes())?;
    Ok(OnBoard::new(board))
}
