//! A simulated device at the other end of a real pty: the device crate on flash in memory, and a line that can be bad.

use super::desk::Desk;
use patchlane::config::Config;
use patchlane::flash::Chip;
use patchlane_device::service::{Application, OUT};
use patchlane_device::{Boot, Cause, Config as DeviceConfig, Device, NoCounter, NoWatchdog, Running, Window};
use patchlane_protocol::Status;
use patchlane_protocol::link::{Command, Deframer};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the cable and the application do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nature {
    /// The application grants what comes over the link.
    pub(crate) grants: bool,
    /// Where images have to be linked for.
    pub(crate) address: Option<u32>,
    /// The application opens its window after each bundle.
    pub(crate) window: bool,
    /// Boots for which a healthy trial soaks.
    pub(crate) soak: u8,
    /// A new release isn't confirmed by itself.
    pub(crate) unsure: bool,
    /// Every so many frames, the one from the host is damaged, and the answer to another.
    pub(crate) noise: Option<u32>,
    /// It prints a line before each answer.
    pub(crate) chatty: bool,
    /// After so many frames it says nothing more.
    pub(crate) silent_after: Option<u32>,
    /// After so many frames the cable is pulled.
    pub(crate) pulled_after: Option<u32>,
}

/// A good line, and an application that grants everything.
pub(crate) const GRANTS: Nature = Nature {
    grants: true,
    address: None,
    window: false,
    soak: 0,
    unsure: false,
    noise: None,
    chatty: false,
    silent_after: None,
    pulled_after: None,
};

struct Grants(bool);

impl Application for Grants {
    fn grants(&mut self, _: &Command<'_>) -> bool {
        self.0
    }
}

/// A line: the device's end, which doesn't wait; the other end, held open; and that one's name.
pub(crate) fn pty() -> (OwnedFd, File, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    fcntl_setfl(&master, OFlags::NONBLOCK).unwrap();
    // A command that inherits it would keep a pulled cable plugged in.
    rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC).unwrap();
    let port = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    // Someone always holds the other end, so that what is written waits for the next command.
    let held = File::options().read(true).write(true).open(&port).unwrap();
    let mut raw = rustix::termios::tcgetattr(&held).unwrap();
    raw.make_raw();
    rustix::termios::tcsetattr(&held, rustix::termios::OptionalActions::Now, &raw).unwrap();
    (master, held, port)
}

/// A device that is plugged in.
pub(crate) struct Bench {
    pub(crate) port: String,
    /// Frames that the line damaged.
    pub(crate) damaged: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    status: Arc<Mutex<Option<Status>>>,
    thread: Option<JoinHandle<Device<Chip>>>,
}

impl Bench {
    /// What `provision ARGUMENTS` made, plugged in. `--development -o` are given here.
    pub(crate) fn provisioned(desk: &Desk, arguments: &str, nature: Nature) -> Self {
        desk.ok(&format!("provision {arguments} --development --force -o factory.bin"));
        Self::again(desk, nature)
    }

    /// Another one, as the last.
    pub(crate) fn again(desk: &Desk, nature: Nature) -> Self {
        let config = Config::read(&desk.path("patchlane.toml")).unwrap();
        let layout = config.flash.unwrap().layout().unwrap();
        let chip = Chip::holding(layout, &std::fs::read(desk.path("factory.bin")).unwrap());
        Self::plugged(Device::new(layout, configured(nature), chip, NoWatchdog, NoCounter), nature)
    }

    pub(crate) fn plugged(device: Device<Chip>, nature: Nature) -> Self {
        let (master, held, port) = pty();
        let damaged = Arc::new(AtomicU32::new(0));
        let (stop, status) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let mut side = Side {
            device,
            nature,
            line: File::from(master),
            frames: 0,
            damaged: Arc::clone(&damaged),
            status: Arc::clone(&status),
        };
        let ended = Arc::clone(&stop);
        let builder = std::thread::Builder::new().stack_size(16 << 20);
        let thread = builder
            .spawn(move || {
                side.restart(Cause::PowerOn);
                side.serve(&ended);
                drop(held);
                side.device
            })
            .unwrap();
        let bench = Self { port, damaged, stop, status, thread: Some(thread) };
        let _started = bench.status();
        bench
    }

    /// Runs a command of `device` on it.
    pub(crate) fn ok(&self, desk: &Desk, line: &str) -> serde_json::Value {
        desk.ok(&format!("device --port {} {line}", self.port))
    }

    pub(crate) fn fails(&self, desk: &Desk, line: &str, exit: i32, code: &str) -> serde_json::Value {
        let line = format!("device --port {} {line}", self.port);
        let out = desk.run(&format!("{line} --json --no-input"));
        desk.fails_as(&line, &out, exit, code)
    }

    /// The device's own word, after the last frame.
    pub(crate) fn status(&self) -> Status {
        for _ in 0..10_000 {
            if let Some(status) = *self.status.lock().unwrap_or_else(PoisonError::into_inner) {
                return status;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("the device never starts");
    }

    /// Unplugs it; what was in flash stays.
    pub(crate) fn unplug(mut self) -> Device<Chip> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn configured(nature: Nature) -> DeviceConfig {
    DeviceConfig { address: nature.address, soak: nature.soak, fenced: false }
}

/// The device's side of the line.
struct Side {
    device: Device<Chip>,
    nature: Nature,
    line: File,
    frames: u32,
    damaged: Arc<AtomicU32>,
    status: Arc<Mutex<Option<Status>>>,
}

impl Side {
    fn session(&mut self) {
        let (layout, media) = (*self.device.engine().layout(), self.device.media.clone());
        self.device = Device::new(layout, configured(self.nature), media, NoWatchdog, NoCounter);
    }

    /// Bootloader, then application.
    fn restart(&mut self, cause: Cause) {
        self.session();
        let boot = self.device.boot(cause).unwrap();
        if let Boot::Run(running) = boot {
            self.session();
            if running == Running::Trial && !self.nature.unsure {
                self.device.confirm().unwrap();
            }
        }
        self.publish();
    }

    fn publish(&mut self) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = self.device.status().ok();
    }

    fn serve(&mut self, stop: &AtomicBool) {
        let mut frames = Deframer::new();
        let mut buffer = [0; 1024];
        while !stop.load(Ordering::Relaxed) {
            let Ok(read) = self.line.read(&mut buffer) else {
                std::thread::sleep(Duration::from_micros(200));
                continue;
            };
            for byte in &mut buffer[..read] {
                let damaged = self.nature.noise.is_some_and(|every| self.frames % every == every - 1);
                // One damaged byte in the middle of a frame, once.
                if damaged && *byte != 0 && frames.is_inside() {
                    *byte ^= 0x11;
                    self.damaged.fetch_add(1, Ordering::Relaxed);
                    self.frames += 1;
                }
                let Ok(Some(content)) = frames.push(*byte) else { continue };
                let content = content.to_vec();
                if self.frame(&content) {
                    return;
                }
            }
        }
    }

    /// Answers a frame; true if the cable is pulled.
    fn frame(&mut self, content: &[u8]) -> bool {
        self.frames += 1;
        if self.nature.pulled_after.is_some_and(|n| self.frames > n) {
            return true;
        }
        let mut out = [0; OUT];
        let served = self.device.serve(content, &mut Grants(self.nature.grants), &mut out);
        let (mut frame, restart) = (served.frame.to_vec(), served.restart);
        if self.nature.window {
            self.device.window(Window::Open).unwrap();
        }
        self.publish();
        if self.nature.silent_after.is_some_and(|n| self.frames > n) {
            return false;
        }
        if self.nature.noise.is_some_and(|every| self.frames % every == every / 2) {
            frame[2] ^= 0x08;
            self.damaged.fetch_add(1, Ordering::Relaxed);
        }
        if self.nature.chatty {
            let words = format!("# tick {}\u{1b}[2J\r\n", self.frames);
            self.say(words.as_bytes());
        }
        self.say(&frame);
        if restart {
            self.restart(Cause::Requested);
        }
        false
    }

    fn say(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.line.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(_) => std::thread::sleep(Duration::from_micros(200)),
            }
        }
    }
}
