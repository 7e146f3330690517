//! The service link (SPEC §8): one frame in, one frame out. How bytes travel is the integrator's business.
//!
//! ```no_run
//! # use patchlane_device::{*, service::*};
//! # fn serve<M: Media>(device: &mut Device<M>, app: &mut impl Application, uart: &mut dyn FnMut(Option<&[u8]>) -> u8) {
//! let mut frames = patchlane_device::protocol::link::Deframer::new();
//! let mut out = [0; OUT];
//! loop {
//!     if let Ok(Some(content)) = frames.push(uart(None)) {
//!         let reply = device.serve(content, app, &mut out);
//!         uart(Some(reply.frame));
//!         if reply.restart {
//!             break; // reset the part
//!         }
//!     }
//! }
//! # }
//! ```

use crate::engine::Engine;
use patchlane_protocol::codec::Writer;
use patchlane_protocol::link::{Command, Outcome, Reply, STUFFED, encode_frame};
use patchlane_protocol::{FormatError, Refusal, limits};

/// Bytes of a buffer that holds any reply.
pub const OUT: usize = STUFFED + 4;

/// What the application has a say in.
pub trait Application {
    /// True if it grants a request that is not signed by the owner: a local approval, a policy, an anchor, a restart.
    /// It asks for a password, looks at a key switch, or says no; the link itself proves nothing.
    fn grants(&mut self, request: &Command<'_>) -> bool;
}

/// Grants nothing: what a device without means to authenticate anyone does.
#[derive(Debug, Clone, Copy, Default)]
pub struct GrantNothing;

impl Application for GrantNothing {
    fn grants(&mut self, _: &Command<'_>) -> bool {
        false
    }
}

/// What a command led to.
#[must_use = "it may ask for a restart"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The report: the engine's, of the moment it is written.
    Status,
    /// The transfer goes on here.
    Want(u32),
    /// It was taken.
    Outcome(Outcome),
    /// It was refused.
    Refused(Refusal),
    /// The device restarts.
    Restart,
}

/// A frame to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served<'o> {
    /// The frame, delimiters included.
    pub frame: &'o [u8],
    /// True if the device has to restart once it is sent.
    pub restart: bool,
}

/// True if the application has to grant this command.
pub const fn is_request(command: &Command<'_>) -> bool {
    match command {
        Command::Local { .. } | Command::SetPolicy(_) | Command::SetAnchor(_) | Command::Reboot => true,
        // An owner's document is judged by its signature, a bundle by its own.
        Command::Status | Command::Begin | Command::Data { .. } | Command::Owner(_) => false,
    }
}

/// Writes the frame that carries `answer`.
#[inline(never)]
pub fn reply<'o>(answer: Answer, engine: &Engine, out: &'o mut [u8; OUT]) -> Served<'o> {
    let restart = answer == Answer::Restart;
    let mut content = [0; limits::FRAME];
    let written = write(answer, engine, &mut content).unwrap_or(0);
    // Any reply fits (tested in the protocol crate); if not, silence is what a lost frame looks like, too.
    let frame = encode_frame(content.get(..written).unwrap_or(&[]), out).unwrap_or(&[]);
    Served { frame, restart }
}

fn write(answer: Answer, engine: &Engine, content: &mut [u8]) -> Result<usize, FormatError> {
    let mut report = [0; limits::STATUS];
    let reply = match answer {
        Answer::Status => match engine.status() {
            Ok(status) => Reply::Status(status.encode(None, &mut report)?),
            Err(refusal) => Reply::Refused(refusal.code()),
        },
        Answer::Want(offset) => Reply::Want(offset),
        Answer::Outcome(outcome) => Reply::Outcome(outcome),
        Answer::Restart => Reply::Outcome(Outcome::Done),
        Answer::Refused(refusal) => Reply::Refused(refusal.code()),
    };
    let mut writer = Writer::new(content);
    reply.write(&mut writer)?;
    Ok(writer.written())
}
