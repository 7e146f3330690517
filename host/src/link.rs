//! The host's end of the service link (SPEC §8): a serial port or a pty.

use crate::ear::{Ear, Heard};
use crate::error::{Code, Error, Result};
use patchlane_protocol::link::{Command, Outcome, Reply, STUFFED, encode_frame};
use patchlane_protocol::{Refusal, Status, Writer, limits};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Within the patience for one answer a frame that may be sent twice is sent so often: lines are noisy.
const TRIES: u32 = 4;
/// How long the line has to be silent until nothing belated follows.
const SILENCE: Duration = Duration::from_millis(200);
/// How often a device may ask for the same bytes without getting on.
const REPEATS: u32 = 8;
/// A device that gets on takes at least so many bytes of a piece.
const STEP: usize = 64;
/// Bits on the line for each byte: start, eight of data, stop.
const BITS: u64 = 10;

/// A device at the other end of a cable.
pub struct Link {
    port: Box<dyn Port>,
    name: Option<String>,
    ear: Ear,
    /// How long to wait for one answer.
    pub patience: Duration,
    /// How much longer the last attempt waits: one frame of a delta can stand for a whole image to be written.
    pub slow: Duration,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("name", &self.name)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// Something bytes go through. Reads return after at most some 100 ms; no bytes and no error mean that it was closed.
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

/// What goes over the line besides answers that were waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An answer.
    Answer(Answer),
    /// A line that the device printed.
    Text(Vec<u8>),
}

impl Link {
    /// Opens a serial port.
    ///
    /// # Errors
    /// `device-link`.
    pub fn open(path: &Path, baud: u32) -> Result<Self> {
        let failed = |e: std::io::Error| {
            let (what, next) = match e.kind() {
                ErrorKind::NotFound => {
                    ("isn't there".to_owned(), "`patchlane device list` shows the ports there are")
                }
                ErrorKind::PermissionDenied => (
                    "can't be opened: permission denied".to_owned(),
                    "join the group that owns it (`ls -l` shows it; often dialout), and log in again",
                ),
                ErrorKind::ResourceBusy => (
                    "is in use".to_owned(),
                    "end the other program that holds it: a terminal, or `patchlane device log`",
                ),
                // ENOTTY: a file or folder of another kind.
                _ if path.is_file() || path.is_dir() || e.raw_os_error() == Some(25) => {
                    ("isn't a serial port".to_owned(), "`patchlane device list` shows the ports there are")
                }
                _ => (
                    format!("can't be opened: {e}"),
                    "check the port's name, and that no other program holds it",
                ),
            };
            Error::new(Code::Link, what, next).at(path.display())
        };
        let mut port = serial2::SerialPort::open(path, |mut settings: serial2::Settings| {
            settings.set_raw();
            settings.set_baud_rate(baud)?;
            Ok(settings)
        })
        .map_err(failed)?;
        if is_taken(&port) {
            return Err(failed(ErrorKind::ResourceBusy.into()));
        }
        port.set_read_timeout(Duration::from_millis(100)).map_err(failed)?;
        port.set_write_timeout(Duration::from_secs(5)).map_err(failed)?;
        // What came before anyone asked answers nobody.
        let _ = port.discard_input_buffer();
        let mut link = Self::over(port);
        link.name = Some(path.display().to_string());
        Ok(link)
    }

    /// A link over anything that carries bytes.
    pub fn over(port: impl Port + 'static) -> Self {
        Self {
            port: Box::new(port),
            name: None,
            ear: Ear::default(),
            patience: Duration::from_secs(20),
            slow: Duration::ZERO,
        }
    }

    fn broken(&self, what: impl Into<String>, next: &str) -> Error {
        let error = Error::new(Code::Link, what, next);
        match &self.name {
            Some(name) => error.at(name),
            None => error,
        }
    }

    fn lost(&self, doing: &str, error: &std::io::Error) -> Error {
        self.broken(
            format!("can't be {doing} any more: {error}"),
            "plug the device in again, and run it again",
        )
    }

    fn silent(&self) -> Error {
        let what = format!("brings no answer within {:?}", self.patience + self.slow);
        self.broken(what, "check cable and baud rate, and that the device runs its service link")
    }

    /// Sends a command, and doesn't wait.
    ///
    /// # Errors
    /// `device-link`.
    pub fn send(&mut self, command: &Command<'_>) -> Result<()> {
        let mut content = [0; limits::FRAME];
        let mut writer = Writer::new(&mut content);
        command.write(&mut writer)?;
        let mut out = [0; STUFFED + 4];
        let frame = encode_frame(writer.finish(), &mut out)?;
        let written = self.port.write_all(frame).and_then(|()| self.port.flush());
        written.map_err(|e| self.lost("written", &e))
    }

    /// Sends a command, once, and waits for its answer.
    ///
    /// # Errors
    /// `device-link`.
    pub fn call(&mut self, command: &Command<'_>) -> Result<Answer> {
        self.send(command)?;
        self.answer(command, Instant::now() + self.patience)?.ok_or_else(|| self.silent())
    }

    /// Sends a command that may arrive twice, again and again until it is answered. True if it was sent more than once.
    fn insist(&mut self, command: &Command<'_>) -> Result<(Answer, bool)> {
        for attempt in 0..TRIES {
            self.send(command)?;
            let more = if attempt + 1 == TRIES { self.slow } else { Duration::ZERO };
            let until = Instant::now() + self.patience / TRIES + more;
            let Some(first) = self.answer(command, until)? else { continue };
            return Ok(if attempt == 0 { (first, false) } else { (self.settle(command, first)?, true) });
        }
        Err(self.silent())
    }

    /// After a frame was sent twice two answers may come; the transfer goes on by the last of them, unless one ended it.
    fn settle(&mut self, command: &Command<'_>, first: Answer) -> Result<Answer> {
        let (mut kept, until) = (first, Instant::now() + self.patience);
        // Who never falls silent is heard out no longer than any answer.
        while let Some(next) = self.answer(command, until.min(Instant::now() + SILENCE))? {
            if matches!(kept, Answer::Want(_)) {
                kept = next;
            }
        }
        Ok(kept)
    }

    /// Whatever comes within one read.
    ///
    /// # Errors
    /// `device-link` if the port is gone.
    pub fn listen(&mut self) -> Result<Vec<Event>> {
        let mut buffer = [0; 256];
        let read = match self.port.read(&mut buffer) {
            Ok(0) => {
                return Err(
                    self.broken("was closed: the device is unplugged", "plug it in, and run it again")
                );
            }
            Ok(read) => read,
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted
                ) =>
            {
                0
            }
            Err(e) => return Err(self.lost("read", &e)),
        };
        let heard = buffer.get(..read).unwrap_or(&[]).iter().flat_map(|byte| self.ear.push(*byte));
        Ok(heard.filter_map(event).collect())
    }

    /// What was heard of a line that hasn't ended.
    pub fn rest(&mut self) -> Option<Event> {
        self.ear.rest().and_then(event)
    }

    /// Noise and other traffic on the line isn't an answer.
    fn answer(&mut self, to: &Command<'_>, until: Instant) -> Result<Option<Answer>> {
        while Instant::now() < until {
            // Of several the last is about the command just sent.
            let answer = self.listen()?.into_iter().rev().find_map(|event| match event {
                Event::Answer(answer) if is_about(&answer, to) => Some(answer),
                _ => None,
            });
            if answer.is_some() {
                return Ok(answer);
            }
        }
        Ok(None)
    }

    /// Asks for the status report.
    ///
    /// # Errors
    /// `device-link`, `malformed`, `refused`.
    pub fn status(&mut self) -> Result<Status> {
        match self.insist(&Command::Status)?.0 {
            Answer::Status(report) => Ok(Status::parse(&report)?.0),
            answer => Err(self.unexpected(&answer)),
        }
    }

    /// Sends a request, once, and expects an outcome.
    ///
    /// # Errors
    /// `device-link`, `refused`.
    pub fn request(&mut self, command: &Command<'_>) -> Result<Outcome> {
        let answer = self.call(command);
        self.outcome(answer)
    }

    /// Sends a request that may arrive twice, again and again until it is answered. True if it was sent more than once.
    ///
    /// # Errors
    /// As [`Link::request`].
    pub fn request_again(&mut self, command: &Command<'_>) -> (Result<Outcome>, bool) {
        match self.insist(command) {
            Ok((answer, twice)) => (self.outcome(Ok(answer)), twice),
            Err(error) => (self.outcome(Err(error)), true),
        }
    }

    fn outcome(&self, answer: Result<Answer>) -> Result<Outcome> {
        match answer {
            Ok(Answer::Outcome(outcome)) => Ok(outcome),
            Ok(answer) => Err(self.unexpected(&answer)),
            Err(error) => {
                let next =
                    "`patchlane device status` shows whether it was taken; then run it again if need be";
                Err(Error { next: next.into(), ..error })
            }
        }
    }

    /// Sends a bundle; the device says which bytes it wants. `progress` sees the offset of each piece.
    ///
    /// # Errors
    /// `device-link`, `refused`.
    pub fn push(&mut self, bundle: &[u8], mut progress: impl FnMut(u32)) -> Result<Outcome> {
        let (mut answer, mut twice) = self.insist(&Command::Begin)?;
        let (mut repeats, mut last) = (0u32, None);
        // Nobody needs more than the whole of it, twice.
        let mut left = 2 * bundle.len().div_ceil(STEP) + STEP;
        loop {
            let offset = match answer {
                Answer::Want(offset) => offset,
                Answer::Outcome(outcome) => return Ok(outcome),
                // The transfer had ended, and the word of it was lost: begun anew, the device says what came of it.
                Answer::Refused(code)
                    if twice && code == Refusal::NotInService.code() && repeats <= REPEATS =>
                {
                    repeats += 1;
                    (answer, twice) = self.insist(&Command::Begin)?;
                    continue;
                }
                other => return Err(self.unexpected(&other)),
            };
            repeats = if last == Some(offset) { repeats + 1 } else { 0 };
            last = Some(offset);
            let piece = bundle.get(offset as usize..).unwrap_or(&[]);
            let piece = &piece[..piece.len().min(limits::FRAME_DATA)];
            left = left.saturating_sub(1);
            if piece.is_empty() || repeats > REPEATS || left == 0 {
                let what = format!("leads nowhere: the device asks for byte {offset} again and again");
                return Err(self.broken(what, "restart the device, and send it again"));
            }
            progress(offset);
            (answer, twice) = self.insist(&Command::Data { offset, bytes: piece }).map_err(|error| {
                let next = "what arrived is kept: push it again, and the transfer goes on from there";
                Error { next: next.into(), ..error }
            })?;
        }
    }

    fn unexpected(&self, answer: &Answer) -> Error {
        match answer {
            Answer::Refused(code) => match Refusal::from_code(*code) {
                Some(refusal) => Error::refused(refusal),
                None => {
                    let what = format!(
                        "is refused by the device, with code {code}, which this patchlane doesn't know"
                    );
                    Error::new(Code::Refused, what, "update patchlane")
                }
            },
            _ => self.broken("brings an answer to another question", "restart the device, and run it again"),
        }
    }
}

/// True if another program has locked the port. Where ports can't be locked nobody can tell.
#[cfg(unix)]
fn is_taken(port: &serial2::SerialPort) -> bool {
    use rustix::fs::{FlockOperation, flock};
    flock(port, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::WOULDBLOCK)
}

/// Windows opens a port once.
#[cfg(not(unix))]
fn is_taken(_: &serial2::SerialPort) -> bool {
    false
}

/// True if this can be the answer to that; another is somebody else's, or belated.
const fn is_about(answer: &Answer, command: &Command<'_>) -> bool {
    match (command, answer) {
        (_, Answer::Refused(_)) => true,
        (Command::Status, answer) => matches!(answer, Answer::Status(_)),
        (Command::Begin | Command::Data { .. }, answer) => {
            matches!(answer, Answer::Want(_) | Answer::Outcome(_))
        }
        (_, answer) => matches!(answer, Answer::Outcome(_)),
    }
}

fn event(heard: Heard) -> Option<Event> {
    match heard {
        Heard::Line(line) => Some(Event::Text(line)),
        Heard::Frame(content) => Some(Event::Answer(match Reply::parse(&content).ok()? {
            Reply::Status(report) => Answer::Status(report.to_vec()),
            Reply::Want(offset) => Answer::Want(offset),
            Reply::Outcome(outcome) => Answer::Outcome(outcome),
            Reply::Refused(code) => Answer::Refused(code),
        })),
    }
}

/// Bytes on the line for `bytes` of a bundle file: its frames, and the answer to each. What the device takes to answer
/// comes on top.
pub fn wire_bytes(bytes: u64) -> u64 {
    // No byte of it needs stuffing, and its offset is the longest: nothing sent takes more but by chance.
    let data = [1; limits::FRAME_DATA];
    let full = framed(|w| Command::Data { offset: u32::MAX, bytes: &data }.write(w));
    let answer = framed(|w| Reply::Want(u32::MAX).write(w));
    let frames = bytes.div_ceil(limits::FRAME_DATA as u64);
    let overhead = full.saturating_sub(limits::FRAME_DATA as u64) + answer;
    bytes.saturating_add(frames.saturating_mul(overhead))
}

fn framed(
    write: impl FnOnce(&mut Writer<'_>) -> std::result::Result<(), patchlane_protocol::FormatError>,
) -> u64 {
    let (mut content, mut out) = ([0; limits::FRAME], [0; STUFFED + 4]);
    let mut writer = Writer::new(&mut content);
    let written = write(&mut writer).and_then(|()| encode_frame(writer.finish(), &mut out).map(<[u8]>::len));
    written.map_or(0, |length| length as u64)
}

/// Seconds that `bytes` of a bundle file take at `baud` bits per second, rounded up.
pub fn seconds(bytes: u64, baud: u32) -> u64 {
    wire_bytes(bytes).saturating_mul(BITS).div_ceil(u64::from(baud.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_on_the_line_counts_frames_and_answers() {
        // Data: two delimiters, type, offset of 5, length of 2, 4 of checksum, 3 of stuffing; Want: 2 + 1 + 5 + 4 + 1.
        let overhead = 2 + 1 + 5 + 2 + 4 + 3 + 13;
        assert_eq!(wire_bytes(512), 512 + overhead);
        assert_eq!(wire_bytes(513), 513 + 2 * overhead);
        assert_eq!(wire_bytes(0), 0);
        assert_eq!(seconds(11_520 - 23 * overhead, 115_200), 1);
        assert_eq!(seconds(u64::MAX, 0), u64::MAX);
    }
}
