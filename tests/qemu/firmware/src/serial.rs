//! One serial line for everything: frames of the service link, and lines of text.

use crate::{Board, Here, KeySwitch, Machine, plan};
use core::fmt::{self, Write};
use patchlane_device::protocol::link::Deframer;
use patchlane_device::service::{self, OUT};

/// What is written to whoever listens.
pub struct Line(());

impl Line {
    /// Writes text.
    pub fn print(&mut self, text: fmt::Arguments<'_>) {
        let _ = self.write_fmt(text);
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        Here::send(text.as_bytes());
        Ok(())
    }
}

/// A line for whoever watches.
pub fn say(text: fmt::Arguments<'_>) {
    Line(()).print(format_args!("# {text}\r\n"));
}

/// What answers lines of text.
pub type Answers<'a> = &'a mut dyn FnMut(&[u8], &mut Line);

/// The line's receiving end. It is large and belongs into a static.
pub struct Serial {
    frames: Deframer,
    /// A frame has begun: its first byte may look like text.
    opened: bool,
    line: [u8; 12],
    length: usize,
    /// Microseconds that the dearest answer took, and all answers.
    cost: (u32, u32),
}

impl Default for Serial {
    fn default() -> Self {
        Self::new()
    }
}

/// What came in.
pub enum Heard {
    /// Nothing.
    Nothing,
    /// Something that isn't whole yet.
    Piece,
    /// A line, or a frame, and it was answered.
    Whole,
}

impl Serial {
    /// The line.
    pub const fn new() -> Self {
        Self { frames: Deframer::new(), opened: false, line: [0; 12], length: 0, cost: (0, 0) }
    }

    /// Takes one byte if one has come: serves a frame, or hands a line of text to `answer`.
    pub fn poll(&mut self, machine: &mut Machine, answer: Answers<'_>) -> Heard {
        let Some(byte) = next() else { return Heard::Nothing };
        if byte == 0 || self.opened {
            self.opened = byte != 0 || !self.frames.is_inside();
            let Ok(Some(content)) = self.frames.push(byte) else { return Heard::Piece };
            // The answer first, on an empty stack; room for the reply after that.
            let begun = Here::micros();
            let answer = machine.answer(content, &mut KeySwitch);
            let took = Here::micros().wrapping_sub(begun);
            self.cost = (self.cost.0.max(took), self.cost.1 + took);
            reply(machine, answer);
            return Heard::Whole;
        }
        self.text(byte, answer)
    }

    /// Takes one byte of text if one has come; true if a frame begins instead.
    pub fn begins_frame(&mut self, answer: Answers<'_>) -> bool {
        match next() {
            Some(0) => return true,
            Some(byte) => drop(self.text(byte, answer)),
            None => {}
        }
        false
    }

    fn text(&mut self, byte: u8, answer: Answers<'_>) -> Heard {
        match byte {
            b':' => {
                self.length = 0;
                self.keep(byte);
            }
            b'\r' | b'\n' if self.length > 0 => {
                let line = self.line.get(..self.length).unwrap_or(&[]);
                if plan::take(line) {
                    Line(()).print(format_args!(":D\r\n"));
                } else if line == b":V" {
                    crate::lenient::tell(&mut Line(()));
                } else if line == b":T" {
                    let (most, all) = core::mem::take(&mut self.cost);
                    Line(()).print(format_args!(":D{most} {all}\r\n"));
                } else if !plan::tell(line, &mut Line(())) {
                    answer(line, &mut Line(()));
                }
                self.length = 0;
                return Heard::Whole;
            }
            _ if self.length > 0 => self.keep(byte),
            // Noise between lines and frames.
            _ => {}
        }
        Heard::Piece
    }

    fn keep(&mut self, byte: u8) {
        if let Some(place) = self.line.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }
}

/// The next byte, or some time without one.
fn next() -> Option<u8> {
    let byte = Here::receive();
    if byte.is_none() {
        Here::idle();
    }
    byte
}

#[inline(never)]
fn reply(machine: &Machine, answer: service::Answer) {
    let mut out = [0; OUT];
    let served = service::reply(answer, machine.engine(), &mut out);
    Here::send(served.frame);
    if served.restart {
        Here::restart();
    }
}
