//! Scenarios on the board: the service link over its serial line, and a process that is killed.

use crate::board::{Board, PATIENCE, firmware};
use patchlane::flash::Chip;
use patchlane::link::{Answer, Link};
use patchlane::scenario::{Cast, CommitPoint, Offer, Player, Scenario, answer};
use patchlane_device::{Layout, Place};
use patchlane_protocol::link::Command;
use patchlane_protocol::status::Activity;
use patchlane_protocol::{Status, limits};
use std::path::Path;

/// The board.
#[derive(Debug)]
pub struct OnBoard {
    board: Board,
}

impl OnBoard {
    fn link(&mut self) -> Result<Link, String> {
        self.board.drain();
        Link::open(&self.board.port()?, 115_200).map_err(|e| e.to_string())
    }

    fn power_on(&mut self) -> Result<(), String> {
        self.board.power_on()?;
        self.settled()
    }

    /// Deepest stack of bootloader and application so far, in bytes.
    ///
    /// # Errors
    /// If they don't tell it.
    pub fn stack(&mut self) -> Result<(usize, usize), String> {
        let bytes = |line: &String| {
            line.strip_prefix("# bootloader: ")?.strip_suffix(" bytes of stack")?.parse().ok()
        };
        let boot: usize =
            self.board.said.iter().filter_map(bytes).max().ok_or("the bootloader told no stack")?;
        let told = self.board.ask(":S")?;
        let app = told.strip_prefix(":D").and_then(|n| n.parse().ok()).ok_or(format!("no stack: {told}"))?;
        Ok((boot, app))
    }

    /// Waits until a confirmed release runs.
    fn settled(&mut self) -> Result<(), String> {
        self.board.wait_for("is confirmed", PATIENCE).map(|_| ())
    }
}

fn reboot(board: &mut Board) -> Result<(), String> {
    board.drain();
    let mut link = Link::open(&board.port()?, 115_200).map_err(|e| e.to_string())?;
    link.request(&Command::Reboot).map(|_| ()).map_err(|e| e.to_string())
}

impl Player for OnBoard {
    fn send(&mut self, offer: &Offer, cut: bool) -> Result<String, String> {
        let bundle = &offer.file[..];
        if cut {
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
            self.board.cut();
            self.power_on()?;
            let activity = self.status()?.activity;
            if activity != Activity::Receiving {
                return Err(format!("power failed at `Receiving`, and the device says {activity:?}"));
            }
        }
        let sent = self.link()?.push(bundle, |_| {});
        match sent {
            Ok(outcome) => Ok(answer(Ok(outcome))),
            Err(error) => error.refusal.map(|r| answer(Err(r))).ok_or_else(|| error.to_string()),
        }
    }
    fn owner(&mut self, document: &[u8]) -> Result<String, String> {
        match self.link()?.request(&Command::Owner(document)) {
            Ok(outcome) => Ok(answer(Ok(outcome))),
            Err(error) => error.refusal.map(|r| answer(Err(r))).ok_or_else(|| error.to_string()),
        }
    }
    fn restart(&mut self, cut: Option<CommitPoint>) -> Result<(), String> {
        const MOVES: &str = "moves blocks";
        let (announced, met): (&[&str], _) = match cut {
            None => {
                reboot(&mut self.board)?;
                return self.settled();
            }
            Some(CommitPoint::Receiving) => return Err("`receiving` belongs to `send`".into()),
            Some(CommitPoint::Ready) => {
                self.board.cut();
                self.board.power_on()?;
                self.board.wait_for("PowerOn, Ready", PATIENCE)?;
                return self.settled();
            }
            Some(CommitPoint::Moving) => (&[MOVES], "PowerOn, Swap"),
            Some(CommitPoint::Trial) => (&["runs Trial"], "PowerOn, Trial { failed: 0 }"),
            // Three bites of the watchdog later.
            Some(CommitPoint::Reverting) => (&[MOVES, MOVES], "PowerOn, Revert"),
            Some(CommitPoint::Confirmed) => (&["is confirmed"], "PowerOn, Idle"),
        };
        self.board.cut_at(announced, met, &mut reboot)?;
        self.settled()
    }
    fn status(&mut self) -> Result<Status, String> {
        self.link()?.status().map_err(|e| e.to_string())
    }
    fn ask(&mut self, line: &str) -> Result<Option<String>, String> {
        self.board.ask(line).map(Some)
    }
    fn primary(&mut self, length: usize) -> Result<Vec<u8>, String> {
        self.board.contents(0x20_0000, length)
    }
}

/// A scenario's cast, whose images are the programs of target/firmware.
///
/// # Errors
/// If they can't be read.
pub fn cast(scenario: &Scenario) -> Result<Cast, String> {
    let folder = firmware()?;
    let images = |name: &str| Ok(patchlane::image::read(&folder.join(name))?.bytes);
    Cast::of(scenario, None, &[], &images).map_err(|e| e.to_string())
}

/// The board; its flash is this file.
///
/// # Errors
/// If it can't be started, or the first release is wrong.
pub fn on_board(cast: &Cast, flash: &Path) -> Result<OnBoard, String> {
    let sector = 0x4_0000;
    let place = |offset, length| Place { offset, length, read: 1, write: 4, erase: sector };
    let layout =
        Layout::new(place(0, 8 * sector), place(8 * sector, 2 * sector), place(10 * sector, 3 * sector))
            .map_err(|e| e.to_string())?;
    let chip = cast.provision(Chip::new(layout)).map_err(|e| e.to_string())?;
    let mut board = OnBoard { board: Board::new(&firmware()?.join("boot"), flash, &chip.bytes())? };
    board.power_on()?;
    Ok(board)
}
