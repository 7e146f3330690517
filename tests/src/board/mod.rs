//! Boards in QEMU: flash that outlives the process, and a serial line on a pty.
//!
//! Power cuts are honest on each ([`Keeps`]): the process is killed, and what the next one finds on flash is exactly
//! what the firmware had done (measured: reference qemu.md §2, §3, §4). Where power is to fail at a certain flash
//! operation, the firmware counts it, tears it and stands still (`tests/qemu/firmware/src/plan.rs`).

mod console;
pub(crate) mod control;
mod models;

pub use models::{Keeps, MODELS, Model};

use console::{Console, Tap};
use control::Qmp;
use patchlane::link::Link;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a board may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A board.
#[derive(Debug)]
pub struct Board {
    /// Which.
    pub model: &'static Model,
    /// True if its clock counts instructions: one is a nanosecond.
    pub counted: bool,
    bootloader: PathBuf,
    flash: PathBuf,
    machine: Option<Machine>,
    console: Console,
}

#[derive(Debug)]
struct Machine {
    process: Child,
    port: PathBuf,
    /// Keeps the pty open: QEMU drops what it sends to one that nobody holds.
    line: serial2::SerialPort,
    qmp: Option<Qmp>,
    sockets: Sockets,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Files that a process of QEMU is controlled through.
#[derive(Debug)]
struct Sockets {
    qmp: PathBuf,
    debugger: PathBuf,
    memory: PathBuf,
}

impl Sockets {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = |kind: &str| {
            std::env::temp_dir().join(format!("patchlane-{}-{number}.{kind}", std::process::id()))
        };
        Self { qmp: path("qmp"), debugger: path("gdb"), memory: path("memory") }
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for path in [&self.qmp, &self.debugger, &self.memory] {
            let _ = fs::remove_file(path);
        }
    }
}

impl Board {
    /// A board whose flash holds `contents` from the first byte on that the firmware uses, and is erased otherwise.
    ///
    /// # Errors
    /// If the flash file can't be written.
    pub fn new(
        model: &'static Model,
        bootloader: &Path,
        flash: &Path,
        contents: &[u8],
    ) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("{}: {e}", flash.display());
        let mut file = File::create(flash).map_err(failed)?;
        let blank = vec![0xff; 1 << 16];
        for _ in 0..model.size >> 16 {
            file.write_all(&blank).map_err(failed)?;
        }
        let begin = SeekFrom::Start(model.used().0 as u64);
        file.seek(begin).and_then(|_| file.write_all(contents)).map_err(failed)?;
        let (bootloader, flash) = (bootloader.into(), flash.into());
        Ok(Self { model, counted: false, bootloader, flash, machine: None, console: Console::default() })
    }

    /// The flash file. While power is on it may be behind ([`Keeps`]).
    pub fn flash(&self) -> &Path {
        &self.flash
    }

    /// What the firmware said so far.
    pub fn said(&self) -> Vec<String> {
        self.console.all()
    }

    /// Bytes of the flash, as they are now.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn contents(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, String> {
        if let Some(Machine { qmp: Some(qmp), sockets, .. }) = &mut self.machine {
            if self.model.keeps == Keeps::Nowhere {
                return qmp.memory(offset as usize, length, &sockets.memory);
            }
            qmp.stop()?;
            let bytes = read(&self.flash, offset, length);
            return qmp.go_on().and(bytes);
        }
        read(&self.flash, offset, length)
    }

    /// Power on.
    ///
    /// # Errors
    /// If QEMU can't be started.
    pub fn power_on(&mut self) -> Result<(), String> {
        self.machine = None;
        self.console.fresh();
        let sockets = Sockets::new();
        let (program, arguments) = self.model.command(&self.bootloader, &self.flash);
        let mut command = Command::new(program);
        command.args(["-display", "none", "-monitor", "none", "-serial", "pty"]).args(arguments);
        if self.counted {
            command.args(["-icount", "shift=0,sleep=on"]);
        }
        if self.model.keeps != Keeps::Exactly {
            command.args(["-qmp", &format!("unix:{},server=on,wait=off", sockets.qmp.display())]);
        }
        if self.model.keeps == Keeps::Nowhere {
            let stub = format!("socket,path={},server=on,wait=off,id=stub", sockets.debugger.display());
            command.args(["-S", "-chardev", &stub, "-gdb", "chardev:stub"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(|e| format!("{program} doesn't start: {e}"))?;
        let port = port_of(&mut process)?;
        let mut line =
            serial2::SerialPort::open(&port, 115_200).map_err(|e| format!("{}: {e}", port.display()))?;
        line.set_read_timeout(Duration::from_millis(20)).map_err(|e| e.to_string())?;
        let machine = self.machine.insert(Machine { process, port, line, qmp: None, sockets });
        if self.model.keeps != Keeps::Exactly {
            machine.qmp = Some(Qmp::connect(&machine.sockets.qmp)?);
        }
        if self.model.keeps == Keeps::Nowhere {
            let (begin, end) = self.model.used();
            let bytes = read(&self.flash, begin as u64, end - begin)?;
            control::write_and_start(&machine.sockets.debugger, begin, &bytes)?;
        }
        Ok(())
    }

    /// Power off, now, whatever is under way.
    ///
    /// # Errors
    /// If flash can't be saved.
    pub fn cut(&mut self) -> Result<(), String> {
        if let Some(Machine { qmp: Some(qmp), sockets, .. }) = &mut self.machine {
            qmp.stop()?;
            if self.model.keeps == Keeps::Nowhere {
                let (begin, end) = self.model.used();
                let bytes = qmp.memory(begin, end - begin, &sockets.memory)?;
                write(&self.flash, begin as u64, &bytes)?;
            }
        }
        self.machine = None;
        Ok(())
    }

    fn machine(&mut self) -> Result<&mut Machine, String> {
        self.machine.as_mut().ok_or_else(|| "the board is off".to_owned())
    }

    /// The serial port, for `patchlane device --port`.
    ///
    /// # Errors
    /// If power is off.
    pub fn port(&mut self) -> Result<PathBuf, String> {
        self.machine().map(|machine| machine.port.clone())
    }

    /// The service link over it. It ends at once when a planned power cut comes.
    ///
    /// # Errors
    /// If power is off.
    pub fn link(&mut self) -> Result<Link, String> {
        let line = self.machine()?.line.try_clone().map_err(|e| e.to_string())?;
        Ok(Link::over(Tap { line, console: self.console.clone() }))
    }

    /// True if a planned power cut has come.
    pub fn has_failed(&self) -> bool {
        self.console.has_failed()
    }

    /// True if it said this since power came on.
    pub fn has_said(&self, text: &str) -> bool {
        self.console.has_said(text)
    }

    /// From here on only what is new is waited for.
    pub fn skip(&self) {
        self.console.skip();
    }

    /// Collects what the firmware says until a line holds `text`.
    ///
    /// # Errors
    /// If it doesn't within `patience`, or power fails; with what it said instead.
    pub fn wait_for(&mut self, text: &str, patience: Duration) -> Result<String, String> {
        self.wait(&|line| line.contains(text), patience)
            .map_err(|said| format!("never said `{text}`: {said}"))
    }

    fn wait(&mut self, is_it: &dyn Fn(&str) -> bool, patience: Duration) -> Result<String, String> {
        let until = Instant::now() + patience;
        let console = self.console.clone();
        while Instant::now() < until {
            if let Some(line) = console.find(is_it) {
                return Ok(line);
            }
            if console.has_failed() {
                return Err("power failed".into());
            }
            let mut buffer = [0; 512];
            let read = self.machine()?.line.read(&mut buffer).unwrap_or(0);
            console.hear(&buffer[..read]);
        }
        Err(format!("the board said {:?}", console.rest()))
    }

    /// Sends a line of text.
    ///
    /// # Errors
    /// If it can't be sent.
    pub fn tell(&mut self, line: &str) -> Result<(), String> {
        let sent = self.machine()?.line.write_all(format!("{line}\r\n").as_bytes());
        sent.map_err(|e| e.to_string())
    }

    /// Sends bytes, and returns what comes of it: the application's answer, or the bootloader's first word if the board
    /// restarts; nothing if neither comes in time.
    ///
    /// # Errors
    /// If they can't be sent.
    pub fn hears(&mut self, bytes: &[u8], patience: Duration) -> Result<Option<String>, String> {
        self.skip();
        self.machine()?.line.write_all(bytes).map_err(|e| e.to_string())?;
        let is_it = |line: &str| line.starts_with(':') || line.starts_with("# bootloader: ");
        Ok(self.wait(&is_it, patience).ok())
    }

    /// Sends a line of text to the application and returns its answer, the next line that begins with a colon.
    ///
    /// # Errors
    /// If none comes.
    pub fn ask(&mut self, request: &str) -> Result<String, String> {
        self.skip();
        self.tell(request)?;
        self.wait(&|line| line.starts_with(':'), PATIENCE).map_err(|said| format!("no answer: {said}"))
    }
}

fn read(flash: &Path, offset: u64, length: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; length];
    let read = File::open(flash).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)
    });
    read.map(|()| bytes).map_err(|e| format!("{}: {e}", flash.display()))
}

fn write(flash: &Path, offset: u64, bytes: &[u8]) -> Result<(), String> {
    let written = OpenOptions::new().write(true).open(flash).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    });
    written.map_err(|e| format!("{}: {e}", flash.display()))
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
    Err(format!("QEMU named no pty: {said:?}"))
}

/// Where `cargo xtask` left a board's firmware.
///
/// # Errors
/// If it wasn't built.
pub fn firmware(model: &Model) -> Result<PathBuf, String> {
    let folder = std::env::var_os("PATCHLANE_FIRMWARE").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/firmware"));
    let folder = folder.join(model.name);
    if folder.join("boot").exists() {
        Ok(folder)
    } else {
        Err(format!("no firmware in {}: run `cargo xtask firmware`", folder.display()))
    }
}
