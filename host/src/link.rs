//! The host's end of the service link (SPEC §8): a serial port or a pty.

use crate::error::{Code, Error, Result};
use patchlane_protocol::link::{Command, Deframer, Outcome, Reply, STUFFED, encode_frame};
use patchlane_protocol::{Refusal, Status, Writer, limits};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// A device at the other end of a cable.
pub struct Link {
    port: Box<dyn Port>,
    frames: Deframer,
    /// How long to wait for one reply.
    pub patience: Duration,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// Something bytes go through. Reads return after at most some 100 ms.
pub trait Port: Read + Write + Send {}
impl<T: Read + Write + Send> Port for T {}

/// What a device answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Its report, encoded.
    Status(Vec<u8>),
    /// The transfer goes on here.
    Want(u32),
    /// It was taken.
    Outcome(Outcome),
    /// It was refused.
    Refused(u8),
}

impl Link {
    /// Opens a serial port.
    ///
    /// # Errors
    /// `device-link`.
    pub fn open(path: &Path, baud: u32) -> Result<Self> {
        let failed = |e: std::io::Error| {
            let next = "check the port's name, its permissions, and that no other program holds it";
            Error::new(Code::Link, format!("can't be opened: {e}"), next).at(path.display())
        };
        let mut port = serial2::SerialPort::open(path, |mut settings: serial2::Settings| {
            settings.set_raw();
            settings.set_baud_rate(baud)?;
            Ok(settings)
        })
        .map_err(failed)?;
        port.set_read_timeout(Duration::from_millis(100)).map_err(failed)?;
        port.set_write_timeout(Duration::from_secs(5)).map_err(failed)?;
        Ok(Self::over(port))
    }

    /// A link over anything that carries bytes.
    pub fn over(port: impl Port + 'static) -> Self {
        Self { port: Box::new(port), frames: Deframer::new(), patience: Duration::from_secs(20) }
    }

    fn broken(what: impl Into<String>) -> Error {
        let next = "check cable and baud rate, and that the device runs its service link";
        Error::new(Code::Link, what, next)
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// `device-link`.
    pub fn call(&mut self, command: &Command<'_>) -> Result<Answer> {
        let mut content = [0; limits::FRAME];
        let mut writer = Writer::new(&mut content);
        command.write(&mut writer)?;
        let mut out = [0; STUFFED + 4];
        let frame = encode_frame(writer.finish(), &mut out)?;
        let write = self.port.write_all(frame).and_then(|()| self.port.flush());
        write.map_err(|e| Self::broken(format!("the port can't be written: {e}")))?;
        self.answer(Instant::now() + self.patience)
    }

    fn answer(&mut self, until: Instant) -> Result<Answer> {
        let mut buffer = [0; 256];
        while Instant::now() < until {
            let read = match self.port.read(&mut buffer) {
                Ok(read) => read,
                Err(e)
                    if matches!(e.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock) =>
                {
                    0
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => 0,
                Err(e) => return Err(Self::broken(format!("the port can't be read: {e}"))),
            };
            for byte in &buffer[..read] {
                // Noise and other traffic on the line isn't an answer.
                let Ok(Some(content)) = self.frames.push(*byte) else { continue };
                let Ok(reply) = Reply::parse(content) else { continue };
                return Ok(match reply {
                    Reply::Status(report) => Answer::Status(report.to_vec()),
                    Reply::Want(offset) => Answer::Want(offset),
                    Reply::Outcome(outcome) => Answer::Outcome(outcome),
                    Reply::Refused(code) => Answer::Refused(code),
                });
            }
        }
        Err(Self::broken(format!("no answer within {} s", self.patience.as_secs())))
    }

    /// Asks for the status report.
    ///
    /// # Errors
    /// `device-link`, `malformed`, `refused`.
    pub fn status(&mut self) -> Result<Status> {
        match self.call(&Command::Status)? {
            Answer::Status(report) => Ok(Status::parse(&report)?.0),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Sends a request and expects an outcome.
    ///
    /// # Errors
    /// `device-link`, `refused`.
    pub fn request(&mut self, command: &Command<'_>) -> Result<Outcome> {
        match self.call(command)? {
            Answer::Outcome(outcome) => Ok(outcome),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Sends a bundle; the device says which bytes it wants. `progress` sees bytes sent so far.
    ///
    /// # Errors
    /// `device-link`, `refused`.
    pub fn push(&mut self, bundle: &[u8], mut progress: impl FnMut(usize)) -> Result<Outcome> {
        let mut answer = self.call(&Command::Begin)?;
        let mut sent = 0usize;
        let (mut repeats, mut last) = (0u32, None);
        loop {
            let offset = match answer {
                Answer::Want(offset) => offset,
                Answer::Outcome(outcome) => return Ok(outcome),
                other => return Err(unexpected(&other)),
            };
            repeats = if last == Some(offset) { repeats + 1 } else { 0 };
            last = Some(offset);
            let from = offset as usize;
            let piece = bundle.get(from..).unwrap_or(&[]);
            let piece = &piece[..piece.len().min(limits::FRAME_DATA)];
            if piece.is_empty() || repeats > 8 {
                return Err(Self::broken(format!("the device asks for byte {offset} again and again")));
            }
            answer = self.call(&Command::Data { offset, bytes: piece })?;
            sent += piece.len();
            progress(sent);
        }
    }
}

fn unexpected(answer: &Answer) -> Error {
    match answer {
        Answer::Refused(code) => match Refusal::from_code(*code) {
            Some(refusal) => Error::refused(refusal).at("the device says: this"),
            None => Error::new(Code::Refused, format!("the device refuses, code {code}"), "update patchlane"),
        },
        other => Link::broken(format!("the device answers something else: {other:?}")),
    }
}
