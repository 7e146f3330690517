//! A board whose processor stands still wherever it is told to, and goes back in time.

use super::program::Program;
use super::stub::{Stop, Stub};
use crate::board::Model;
use crate::board::control::Qmp;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A machine that hasn't started.
#[derive(Debug)]
pub struct Machine {
    command: Command,
    process: Child,
    qmp: Qmp,
    /// Its debugger's stub.
    pub stub: Stub,
    folder: PathBuf,
    used: (u32, u32),
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What a machine starts with, besides its bootloader.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// The flash that the firmware uses, from its first byte on.
    pub flash: Vec<u8>,
    /// Words of RAM.
    pub ram: Vec<(u32, u32)>,
    /// What comes over the serial line.
    pub serial: Vec<u8>,
}

/// Where snapshots are kept: an empty qcow2 image of 64 MiB (version 3, clusters of 64 KiB; QEMU's
/// docs/interop/qcow2.txt). It is written here because qemu-img is a package of its own.
fn snapshots(path: &Path) -> std::io::Result<()> {
    const CLUSTER: u64 = 1 << 16;
    let mut bytes = vec![0; 4 * CLUSTER as usize];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, b"QFI\xfb");
    put(4, &3u32.to_be_bytes());
    put(20, &16u32.to_be_bytes());
    put(24, &(64u64 << 20).to_be_bytes());
    put(36, &1u32.to_be_bytes());
    put(40, &(3 * CLUSTER).to_be_bytes());
    put(48, &CLUSTER.to_be_bytes());
    put(56, &1u32.to_be_bytes());
    put(96, &4u32.to_be_bytes());
    put(100, &104u32.to_be_bytes());
    put(CLUSTER as usize, &(2 * CLUSTER).to_be_bytes());
    (0..4).for_each(|n| put(2 * CLUSTER as usize + 2 * n, &1u16.to_be_bytes()));
    std::fs::write(path, bytes)
}

fn launch(command: &mut Command, folder: &Path) -> Result<(Child, Qmp, Stub), String> {
    let process = command.spawn().map_err(|e| format!("QEMU doesn't start: {e}"))?;
    Ok((process, Qmp::connect(&folder.join("qmp"))?, Stub::connect(&folder.join("gdb"))?))
}

impl Machine {
    /// Starts QEMU with this bootloader; its processor stands at the reset vector.
    ///
    /// # Errors
    /// If QEMU doesn't start.
    pub fn new(model: &Model, bootloader: &Path, start: &Start, more: &[String]) -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("patchlane-skips-{}-{number}", std::process::id()));
        let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
        std::fs::create_dir_all(&folder).map_err(failed)?;
        snapshots(&folder.join("snapshots")).map_err(failed)?;
        let (program, arguments) = model.command(bootloader, Path::new(""));
        let socket = |name: &str| format!("unix:{},server=on,wait=off", folder.join(name).display());
        let mut command = Command::new(program);
        // One instruction takes as long as it does at 16 MHz, however long it takes here: a watchdog bites the same each time.
        command
            .args(["-display", "none", "-monitor", "none", "-S", "-icount", "shift=6,sleep=on"])
            .args(arguments);
        command.args(["-serial", &if start.serial.is_empty() { "null".into() } else { socket("serial") }]);
        command.args(["-qmp", &socket("qmp"), "-gdb", &socket("gdb")]);
        let drive = format!("if=none,format=qcow2,cache=unsafe,file={}", folder.join("snapshots").display());
        command.args(["-drive", &drive]).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (process, qmp, stub) = launch(&mut command, &folder)?;
        let (begin, end) = model.used();
        let used = (begin as u32, (end - begin) as u32);
        let mut machine = Self { command, process, qmp, stub, folder, used };
        machine.stub.write(begin as u32, &start.flash)?;
        for (at, word) in &start.ram {
            machine.stub.write(*at, &word.to_le_bytes())?;
        }
        if !start.serial.is_empty() {
            machine.speak(&start.serial)?;
        }
        Ok(machine)
    }

    /// Another process in the place of one that is gone, as it was remembered. It has no breakpoints.
    ///
    /// # Errors
    /// If QEMU doesn't start.
    pub fn revive(&mut self) -> Result<(), String> {
        let _ = self.process.kill();
        let _ = self.process.wait();
        (self.process, self.qmp, self.stub) = launch(&mut self.command, &self.folder)?;
        self.recall()
    }

    /// All of it is said at once; the line's own flow control feeds it to the board. What the board says isn't kept.
    fn speak(&self, bytes: &[u8]) -> Result<(), String> {
        let path = self.folder.join("serial");
        let mut line = UnixStream::connect(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut ear = line.try_clone().map_err(|e| e.to_string())?;
        std::thread::spawn(move || {
            let mut heard = [0; 4096];
            while ear.read(&mut heard).is_ok_and(|read| read > 0) {}
        });
        let bytes = bytes.to_vec();
        std::thread::spawn(move || {
            let _ = line.write_all(&bytes);
            // It stays open as long as the ear listens.
            std::mem::forget(line);
        });
        Ok(())
    }

    fn monitor(&mut self, line: &str) -> Result<(), String> {
        match self.qmp.monitor(line)?.trim() {
            "" => Ok(()),
            said => Err(format!("QEMU's monitor answers `{line}` by `{said}`")),
        }
    }

    /// Remembers everything as it is now, instead of what was remembered before.
    ///
    /// # Errors
    /// If QEMU can't.
    pub fn remember(&mut self) -> Result<(), String> {
        self.monitor("savevm here")
    }

    /// All is as it was remembered; breakpoints are as they are.
    ///
    /// # Errors
    /// If QEMU can't.
    pub fn recall(&mut self) -> Result<(), String> {
        self.monitor("loadvm here")
    }

    /// The flash that the firmware uses.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn flash(&mut self) -> Result<Vec<u8>, String> {
        let (begin, length) = self.used;
        self.qmp.memory(begin as usize, length as usize, &self.folder.join("memory"))
    }

    /// Ends, and leaves its log whole.
    ///
    /// # Errors
    /// If it doesn't end.
    pub fn quit(mut self) -> Result<(), String> {
        let _ = self.qmp.execute("quit", &serde_json::json!({}));
        self.process.wait().map(|_| ()).map_err(|e| e.to_string())
    }
}

/// Everything that ends a run.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// The first instruction of every image.
    pub entry: u32,
    /// The bootloader begins.
    pub reset: u32,
    /// It serves the link.
    pub serve: u32,
    /// It answers a request; only where a case is about one.
    pub reply: Option<u32>,
}

impl Ends {
    /// Where they are in this bootloader.
    ///
    /// # Errors
    /// If it has no such functions.
    pub fn of(program: &Program, entry: u32, replies: bool) -> Result<Self, String> {
        let reply = replies.then(|| program.address("service::reply")).transpose()?;
        Ok(Self { entry, reset: program.reset()?, serve: program.address("boot::serve")?, reply })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = u32> {
        // A bootloader that serves answers; that it begins to is no end then.
        let serve = self.reply.unwrap_or(self.serve);
        [self.entry, self.reset, serve].into_iter()
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// An image runs.
    Runs,
    /// The bootloader serves, or answered.
    Serves,
    /// It begins anew.
    Resets,
    /// It did none of that in time: where it was then.
    Hangs(u32),
    /// The processor locked up.
    LocksUp,
}

impl Machine {
    /// Runs to an end.
    ///
    /// # Errors
    /// If QEMU does something else.
    pub fn run(&mut self, ends: &Ends, patience: Duration) -> Result<End, String> {
        match self.stub.run(patience)? {
            Stop::Gone => Ok(End::LocksUp),
            Stop::Late => self.stub.pc().map(End::Hangs),
            Stop::Here => match self.stub.pc()? {
                at if at == ends.entry => Ok(End::Runs),
                at if at == ends.reset => Ok(End::Resets),
                at if at == ends.serve || Some(at) == ends.reply => Ok(End::Serves),
                at => Err(format!("it stands still at {at:#x}")),
            },
        }
    }
}

impl Machine {
    /// Runs to an instruction, once.
    ///
    /// # Errors
    /// If it doesn't come there.
    pub fn reach(&mut self, at: u32, patience: Duration) -> Result<(), String> {
        self.stub.set(at)?;
        let stop = self.stub.run(patience)?;
        self.stub.clear(at)?;
        if stop == Stop::Here { Ok(()) } else { Err(format!("{at:#x} is never reached")) }
    }
}
