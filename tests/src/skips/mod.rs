//! Every instruction of the bootloader's decisions, skipped: `cargo xtask skips`, threat T47.
//!
//! A glitch of clock or supply makes a processor pass over one instruction. QEMU does that to the board's own
//! bootloader, on flash that must not boot or install: the processor stands still before the instruction, its program
//! counter is moved past it, and it goes on to its end. What the end may be, the case says; what it leaves on flash is
//! judged by two more starts without a skip. Which instructions there are to skip is read from QEMU's own log of the
//! same run.

pub mod cases;
pub mod machine;
pub mod program;
pub mod report;
pub mod search;
pub mod stub;
pub mod trace;

pub use report::{Known, Tally};

use crate::board::{Model, firmware};
use program::{Lines, Program};
use std::path::PathBuf;
use std::time::Duration;

/// How long a run without a skip may take; one that takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What is tried.
#[derive(Debug)]
pub struct Target {
    /// The board.
    pub model: &'static Model,
    /// Its bootloader's file.
    pub bootloader: PathBuf,
    /// Its bootloader.
    pub program: Program,
}

impl Target {
    /// The bootloader that was built for a board, and its source lines.
    ///
    /// # Errors
    /// If it wasn't, or skipping isn't known of it.
    pub fn new(model: &'static Model) -> Result<(Self, Lines), String> {
        let bootloader = firmware(model)?.join("boot");
        let lines = Lines::read(&bootloader)?;
        let program = Program::read(&bootloader)?.with(&lines);
        Ok((Self { model, bootloader, program }, lines))
    }
}
