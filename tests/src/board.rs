//! A board in QEMU: riscv32 `virt` with its parallel NOR flash on a file, and its serial line on a pty.
//!
//! Power cuts are real: the process is killed and started again on the same file, which holds an exact prefix of the
//! flash operations (measured: reference qemu.md §2).

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Bytes of the flash chip; QEMU wants exactly so many.
const FLASH: u64 = 32 * 1024 * 1024;

/// Bytes of it that the firmware uses, from the beginning (`virt/src/map.rs`).
const USED: usize = 0x34_0000;
/// How long the board may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The board's flash map as `patchlane.toml` states it; the firmware has the same numbers in `virt/src/map.rs`.
pub const FLASH_SECTION: &str = "\
[flash]
write_size = 4
erase_size = 0x40000
state = { offset = 0x0, size = 0x200000 }
primary = { offset = 0x200000, size = 0x80000 }
secondary = { offset = 0x280000, size = 0xc0000 }
";
/// Where the application is linked to lie.
pub const ADDRESS: &str = "0x22200000";

/// A board.
#[derive(Debug)]
pub struct Board {
    bootloader: PathBuf,
    flash: PathBuf,
    machine: Option<Machine>,
    /// What the firmware said, line by line.
    pub said: Vec<String>,
}

#[derive(Debug)]
struct Machine {
    process: Child,
    port: PathBuf,
    /// Keeps the pty open: QEMU drops what it sends to one that nobody holds.
    line: serial2::SerialPort,
    partial: Vec<u8>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn problem(what: impl Into<String>) -> String {
    what.into()
}

impl Board {
    /// A board whose flash holds `contents` from its beginning on, and is erased otherwise.
    ///
    /// # Errors
    /// If the flash file can't be written.
    pub fn new(bootloader: &Path, flash: &Path, contents: &[u8]) -> Result<Self, String> {
        let failed = |e: std::io::Error| problem(format!("{}: {e}", flash.display()));
        let mut file = File::create(flash).map_err(failed)?;
        let blank = vec![0xff; 1 << 20];
        for _ in 0..FLASH >> 20 {
            file.write_all(&blank).map_err(failed)?;
        }
        file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(contents)).map_err(failed)?;
        Ok(Self { bootloader: bootloader.into(), flash: flash.into(), machine: None, said: Vec::new() })
    }

    /// The flash file.
    pub fn flash(&self) -> &Path {
        &self.flash
    }

    /// Bytes of the flash, read from the file.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn contents(&self, offset: u64, length: usize) -> Result<Vec<u8>, String> {
        let failed = |e: std::io::Error| problem(format!("{}: {e}", self.flash.display()));
        let mut file = OpenOptions::new().read(true).open(&self.flash).map_err(failed)?;
        let mut bytes = vec![0; length];
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes)).map_err(failed)?;
        Ok(bytes)
    }

    /// Power on.
    ///
    /// # Errors
    /// If QEMU can't be started.
    pub fn power_on(&mut self) -> Result<(), String> {
        self.machine = None;
        let drive = format!("if=pflash,unit=1,format=raw,file={}", self.flash.display());
        let mut process = Command::new("qemu-system-riscv32")
            .args(["-M", "virt", "-m", "64", "-display", "none", "-monitor", "none", "-serial", "pty"])
            .args(["-bios".as_ref(), self.bootloader.as_os_str()])
            .args(["-drive", &drive])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| problem(format!("qemu-system-riscv32 doesn't start: {e}")))?;
        let port = port_of(&mut process)?;
        let mut line = serial2::SerialPort::open(&port, 115_200)
            .map_err(|e| problem(format!("{}: {e}", port.display())))?;
        line.set_read_timeout(Duration::from_millis(20)).map_err(|e| e.to_string())?;
        self.machine = Some(Machine { process, port, line, partial: Vec::new() });
        Ok(())
    }

    /// Power off, now, whatever is under way.
    pub fn cut(&mut self) {
        self.machine = None;
    }

    /// Restarts the board with `restart`, cuts power once it said all of `announced` in turn, and power comes back.
    /// Returns what it says then, which is `met`. A cut that came too early or too late (this machine is busy) counts
    /// for nothing: the flash is put back to what it was before, and power comes on over it once more.
    ///
    /// # Errors
    /// If the cut is never met.
    pub fn cut_at(
        &mut self,
        announced: &[&str],
        met: &str,
        restart: &mut dyn FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<String, String> {
        let before = self.contents(0, USED)?;
        let mut said = String::new();
        for attempt in 0..8 {
            if attempt == 0 {
                restart(self)?;
            } else {
                self.cut();
                self.restore(&before)?;
                self.power_on()?;
            }
            for line in announced {
                self.wait_for(line, PATIENCE)?;
            }
            std::thread::sleep(Duration::from_millis(20 >> attempt));
            self.cut();
            self.power_on()?;
            said = self.wait_for("bootloader: ", PATIENCE)?;
            if said.contains(met) {
                return Ok(said);
            }
        }
        Err(problem(format!("power was never cut at `{met}`; the last time it said `{said}`")))
    }

    fn restore(&self, contents: &[u8]) -> Result<(), String> {
        let file = OpenOptions::new().write(true).open(&self.flash);
        let written = file.and_then(|mut file| file.write_all(contents));
        written.map_err(|e| problem(format!("{}: {e}", self.flash.display())))
    }

    /// True while it runs.
    pub const fn is_on(&self) -> bool {
        self.machine.is_some()
    }

    /// The serial port, for `patchlane device --port`.
    ///
    /// # Errors
    /// If power is off.
    pub fn port(&self) -> Result<PathBuf, String> {
        self.machine.as_ref().map(|machine| machine.port.clone()).ok_or_else(|| problem("the board is off"))
    }

    /// Collects what the firmware says until a line holds `text`.
    ///
    /// # Errors
    /// If it doesn't within `patience`; with what it said instead.
    pub fn wait_for(&mut self, text: &str, patience: Duration) -> Result<String, String> {
        let until = Instant::now() + patience;
        let begun = self.said.len();
        while Instant::now() < until {
            let machine = self.machine.as_mut().ok_or_else(|| problem("the board is off"))?;
            let mut buffer = [0; 512];
            let read = machine.line.read(&mut buffer).unwrap_or(0);
            machine.partial.extend(&buffer[..read]);
            while let Some(end) = machine.partial.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = machine.partial.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim_matches(['\r', '\n', '\0']).to_owned();
                self.said.push(line.clone());
                if line.contains(text) {
                    return Ok(line);
                }
            }
        }
        Err(problem(format!("the board never said `{text}` but {:?}", &self.said[begun..])))
    }

    /// Throws away what waits on the line, so that the next reader starts clean.
    pub fn drain(&mut self) {
        let _ = self.wait_for("\u{1}", Duration::from_millis(60));
        if let Some(machine) = &mut self.machine {
            machine.partial.clear();
        }
    }

    /// Sends a line of text to the application and returns its answer, the next line that begins with a colon.
    ///
    /// # Errors
    /// If none comes.
    pub fn ask(&mut self, request: &str) -> Result<String, String> {
        self.drain();
        let machine = self.machine.as_mut().ok_or_else(|| problem("the board is off"))?;
        let sent = machine.line.write_all(format!("{request}\r\n").as_bytes());
        sent.map_err(|e| e.to_string())?;
        self.wait_for(":", Duration::from_secs(10))
    }
}

/// Reads where QEMU put the serial line.
fn port_of(process: &mut Child) -> Result<PathBuf, String> {
    // It is announced on either stream, depending on QEMU's version.
    let (send, receive) = std::sync::mpsc::channel();
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        process.stdout.take().map(|s| Box::new(s) as Box<dyn Read + Send>),
        process.stderr.take().map(|s| Box::new(s) as Box<dyn Read + Send>),
    ];
    for stream in streams.into_iter().flatten() {
        let send = send.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
    }
    let mut said = Vec::new();
    while let Ok(line) = receive.recv_timeout(Duration::from_secs(10)) {
        if let Some(rest) = line.split("redirected to ").nth(1) {
            return Ok(PathBuf::from(rest.split_whitespace().next().unwrap_or(rest)));
        }
        said.push(line);
    }
    let _ = process.kill();
    Err(problem(format!("QEMU named no pty: {said:?}")))
}

/// Where `cargo xtask` left the board's firmware, or why there is none.
///
/// # Errors
/// If it wasn't built.
pub fn firmware() -> Result<PathBuf, String> {
    let folder = std::env::var_os("PATCHLANE_FIRMWARE").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/firmware"));
    if fs::metadata(folder.join("boot")).is_ok() {
        Ok(folder)
    } else {
        Err(problem(format!("no firmware in {}: run `cargo xtask firmware`", folder.display())))
    }
}
