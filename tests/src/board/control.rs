//! Two lines to a QEMU process: QMP, and the debugger's stub, of which only writing memory is needed.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long QEMU may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

fn connect(path: &Path) -> Result<UnixStream, String> {
    let until = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
                return Ok(stream);
            }
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
            Err(e) => return Err(format!("{}: {e}", path.display())),
        }
    }
}

/// QEMU's control line.
#[derive(Debug)]
pub(crate) struct Qmp(BufReader<UnixStream>);

impl Qmp {
    pub(crate) fn connect(path: &Path) -> Result<Self, String> {
        let mut qmp = Self(BufReader::new(connect(path)?));
        qmp.read()?;
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    fn read(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        self.0.read_line(&mut line).map_err(|e| format!("QMP: {e}"))?;
        serde_json::from_str(&line).map_err(|e| format!("QMP says `{line}`: {e}"))
    }

    /// Executes a command, waits until it is done, and returns what it says.
    pub(crate) fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, String> {
        let request = json!({ "execute": command, "arguments": arguments }).to_string() + "\n";
        self.0.get_mut().write_all(request.as_bytes()).map_err(|e| format!("QMP: {e}"))?;
        loop {
            let answer = self.read()?;
            if let Some(answer) = answer.get("return") {
                return Ok(answer.clone());
            }
            if let Some(error) = answer.get("error") {
                return Err(format!("QMP refuses {command}: {error}"));
            }
        }
    }

    /// Stops the machine; returns when every write to its flash file is done.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        self.execute("stop", &json!({})).map(|_| ())
    }

    pub(super) fn go_on(&mut self) -> Result<(), String> {
        self.execute("cont", &json!({})).map(|_| ())
    }

    /// A line to the monitor that people use, and what it says.
    pub(crate) fn monitor(&mut self, line: &str) -> Result<String, String> {
        let said = self.execute("human-monitor-command", &json!({ "command-line": line }))?;
        Ok(said.as_str().unwrap_or_default().to_owned())
    }

    /// Memory, as the processor sees it.
    pub(crate) fn memory(&mut self, at: usize, length: usize, through: &Path) -> Result<Vec<u8>, String> {
        let file = through.display().to_string();
        self.execute("memsave", &json!({ "val": at, "size": length, "filename": file }))?;
        std::fs::read(through).map_err(|e| format!("{file}: {e}"))
    }
}

/// Writes memory of a machine that hasn't started, and starts it.
pub(super) fn write_and_start(path: &Path, at: usize, bytes: &[u8]) -> Result<(), String> {
    let mut stub = connect(path)?;
    for (number, piece) in bytes.chunks(1024).enumerate() {
        let data: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
        packet(&mut stub, &format!("M{:x},{:x}:{data}", at + number * 1024, piece.len()))?;
    }
    packet(&mut stub, "D")
}

/// Sends a packet that is answered by OK.
fn packet(stub: &mut UnixStream, body: &str) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("the debugger's stub: {e}");
    let sum = body.bytes().fold(0u8, u8::wrapping_add);
    write!(stub, "${body}#{sum:02x}").map_err(failed)?;
    let mut answer = Vec::new();
    let mut byte = [0];
    // `+`, and an answer that ends with a checksum of two digits.
    while answer.iter().rev().nth(2) != Some(&b'#') {
        if stub.read(&mut byte).map_err(failed)? == 0 {
            return Err("the debugger's stub is gone".into());
        }
        answer.extend(byte);
    }
    stub.write_all(b"+").map_err(failed)?;
    if answer.ends_with(b"$OK#9a") {
        Ok(())
    } else {
        Err(format!("the debugger's stub answers {}", String::from_utf8_lossy(&answer)))
    }
}
