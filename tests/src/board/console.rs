//! What a board says, line by line, also between frames of the service link.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// What the firmware says where a planned power cut comes.
const FAILS: &str = "# power fails";

#[derive(Debug, Default)]
struct Heard {
    partial: Vec<u8>,
    lines: Vec<String>,
    /// Lines that someone waited for.
    taken: usize,
    /// Lines that were said before power came on.
    past: usize,
    failed: bool,
}

/// What was said so far.
#[derive(Debug, Default, Clone)]
pub(super) struct Console(Arc<Mutex<Heard>>);

impl Console {
    fn with<T>(&self, act: impl FnOnce(&mut Heard) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn hear(&self, bytes: &[u8]) {
        self.with(|heard| {
            for byte in bytes {
                match byte {
                    // Frames end with it; text never holds it.
                    0 => heard.partial.clear(),
                    b'\n' => {
                        let line = String::from_utf8_lossy(&heard.partial).trim_end().to_owned();
                        heard.failed |= line == FAILS;
                        heard.lines.push(line);
                        heard.partial.clear();
                    }
                    byte => heard.partial.push(*byte),
                }
            }
        });
    }

    /// Power comes on: what was said is past.
    pub(super) fn fresh(&self) {
        self.with(|heard| {
            heard.partial.clear();
            heard.past = heard.lines.len();
            heard.taken = heard.past;
            heard.failed = false;
        });
    }

    /// From here on only what is new counts.
    pub(super) fn skip(&self) {
        self.with(|heard| heard.taken = heard.lines.len());
    }

    /// True if the planned power cut has come.
    pub(super) fn has_failed(&self) -> bool {
        self.with(|heard| heard.failed)
    }

    /// The first such line that nobody waited for yet.
    pub(super) fn find(&self, is_it: &dyn Fn(&str) -> bool) -> Option<String> {
        self.with(|heard| {
            let found = heard.lines.iter().skip(heard.taken).position(|line| is_it(line))?;
            heard.taken += found + 1;
            heard.lines.get(heard.taken - 1).cloned()
        })
    }

    pub(super) fn has_said(&self, text: &str) -> bool {
        self.with(|heard| heard.lines.iter().skip(heard.past).any(|line| line.contains(text)))
    }

    /// Lines that nobody waited for.
    pub(super) fn rest(&self) -> Vec<String> {
        self.with(|heard| heard.lines.iter().skip(heard.taken).cloned().collect())
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.with(|heard| heard.lines.clone())
    }
}

/// The serial line, for the service link: what isn't a frame is heard, and it is closed once power fails.
pub(super) struct Tap {
    pub(super) line: serial2::SerialPort,
    pub(super) console: Console,
}

impl Read for Tap {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.console.has_failed() {
            return Ok(0);
        }
        let read = self.line.read(into)?;
        self.console.hear(into.get(..read).unwrap_or(&[]));
        Ok(read)
    }
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.line.flush()
    }
}
