//! The debugger's side of QEMU's stub: as much of gdb's remote protocol as skipping an instruction takes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the stub may take for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The number of the program counter, as gdb counts the registers of an Arm core.
const PC: u8 = 15;

/// Why the processor stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It met a breakpoint, or did its step.
    Here,
    /// It ran on, and was stopped.
    Late,
    /// QEMU is gone: the processor locked up, which it takes for its own end.
    Gone,
}

/// The line to the stub.
#[derive(Debug)]
pub struct Stub {
    stream: UnixStream,
    heard: Vec<u8>,
}

fn failed(error: std::io::Error) -> String {
    format!("the debugger's stub: {error}")
}

impl Stub {
    /// Connects; the socket is there already.
    ///
    /// # Errors
    /// If it isn't.
    pub fn connect(path: &Path) -> Result<Self, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            match UnixStream::connect(path) {
                Ok(stream) => {
                    let mut stub = Self { stream, heard: Vec::new() };
                    // Only someone who has read what registers there are may ask for one.
                    stub.ask("qXfer:features:read:target.xml:0,800")?;
                    return Ok(stub);
                }
                Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
                Err(e) => return Err(failed(e)),
            }
        }
    }

    fn send(&mut self, body: &str) -> Result<(), String> {
        let sum = body.bytes().fold(0u8, u8::wrapping_add);
        self.stream.write_all(format!("${body}#{sum:02x}").as_bytes()).map_err(failed)
    }

    /// The next packet; `None` if none comes in time, and an error if the stub is gone.
    fn receive(&mut self, patience: Duration) -> Result<Option<String>, String> {
        let until = Instant::now() + patience;
        loop {
            if let Some(end) =
                self.heard.iter().position(|byte| *byte == b'#').filter(|end| self.heard.len() > end + 2)
            {
                let packet: Vec<u8> = self.heard.drain(..end + 3).collect();
                self.stream.write_all(b"+").map_err(failed)?;
                let begin = packet.iter().position(|byte| *byte == b'$').map_or(0, |at| at + 1);
                return Ok(Some(String::from_utf8_lossy(&packet[begin..end]).into_owned()));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left)).map_err(failed)?;
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err("the debugger's stub is gone".into()),
                Ok(read) => self.heard.extend(&bytes[..read]),
                Err(e)
                    if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                Err(e) => return Err(failed(e)),
            }
        }
    }

    fn ask(&mut self, body: &str) -> Result<String, String> {
        self.send(body)?;
        self.receive(PATIENCE)?.ok_or_else(|| "the debugger's stub says nothing".into())
    }

    fn demand(&mut self, body: &str) -> Result<(), String> {
        match self.ask(body)?.as_str() {
            "OK" => Ok(()),
            other => Err(format!("the debugger's stub answers `{body:.20}` by `{other}`")),
        }
    }

    /// Sets a breakpoint.
    ///
    /// # Errors
    /// If the stub refuses.
    pub fn set(&mut self, at: u32) -> Result<(), String> {
        self.demand(&format!("Z0,{at:x},2"))
    }

    /// Removes a breakpoint.
    ///
    /// # Errors
    /// If the stub refuses.
    pub fn clear(&mut self, at: u32) -> Result<(), String> {
        self.demand(&format!("z0,{at:x},2"))
    }

    /// The program counter.
    ///
    /// # Errors
    /// If the stub doesn't say.
    pub fn pc(&mut self) -> Result<u32, String> {
        let text = self.ask(&format!("p{PC:x}"))?;
        let word = u32::from_str_radix(&text, 16).map_err(|_| format!("a register reads `{text}`"))?;
        Ok(word.swap_bytes())
    }

    /// Sets the program counter.
    ///
    /// # Errors
    /// If the stub refuses.
    pub fn jump(&mut self, to: u32) -> Result<(), String> {
        self.demand(&format!("P{PC:x}={:08x}", to.swap_bytes()))
    }

    /// Writes memory.
    ///
    /// # Errors
    /// If the stub refuses.
    pub fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), String> {
        for (at, piece) in (at..).step_by(1024).zip(bytes.chunks(1024)) {
            let data: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
            self.demand(&format!("M{at:x},{:x}:{data}", piece.len()))?;
        }
        Ok(())
    }

    /// One instruction.
    ///
    /// # Errors
    /// If the stub says something else.
    pub fn step(&mut self) -> Result<Stop, String> {
        self.go("s", PATIENCE)
    }

    /// Runs to a breakpoint, or is stopped after a while.
    ///
    /// # Errors
    /// If the stub says something else.
    pub fn run(&mut self, patience: Duration) -> Result<Stop, String> {
        self.go("c", patience)
    }

    fn go(&mut self, how: &str, patience: Duration) -> Result<Stop, String> {
        self.send(how)?;
        match self.receive(patience) {
            Ok(Some(reply)) if reply.starts_with('T') || reply.starts_with('S') => Ok(Stop::Here),
            Ok(Some(reply)) if reply.starts_with('W') || reply.starts_with('X') => Ok(Stop::Gone),
            Ok(Some(reply)) => Err(format!("the debugger's stub answers `{how}` by `{reply}`")),
            Err(_) => Ok(Stop::Gone),
            Ok(None) => {
                self.stream.write_all(&[3]).map_err(failed)?;
                match self.receive(PATIENCE) {
                    Ok(Some(_)) => Ok(Stop::Late),
                    Ok(None) | Err(_) => Ok(Stop::Gone),
                }
            }
        }
    }
}
