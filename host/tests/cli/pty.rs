//! A person at a terminal: a pty whose other end the command line has.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing here takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct Terminal {
    keyboard: File,
    slave: File,
    screen: Receiver<Vec<u8>>,
    shown: String,
    child: Child,
}

impl Terminal {
    /// Runs a command at a terminal of its own.
    pub(crate) fn run(command: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        // `setsid --ctty` makes it the controlling terminal, which prompts ask for.
        let mut session = Command::new("setsid");
        session.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            session.current_dir(folder);
        }
        session.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap());
        let child = session.stderr(slave.try_clone().unwrap()).spawn().expect("setsid, of util-linux");
        let (keyboard, mut from) = (File::from(master.try_clone().unwrap()), File::from(master));
        let (send, screen) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count) = from.read(&mut piece) {
                if count == 0 || send.send(piece[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { keyboard, slave, screen, shown: String::new(), child }
    }

    /// Waits until this is on the screen, after what was waited for before.
    pub(crate) fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.shown.find(text) {
                let rest = self.shown.split_off(at + text.len());
                return std::mem::replace(&mut self.shown, rest);
            }
            match self.screen.recv_timeout(PATIENCE) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(_) => panic!("`{text}` never shows up: {}", self.shown),
            }
        }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// True if the terminal shows what is typed.
    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Types `answer` at each of these questions until it ends; what is shown includes the questions.
    pub(crate) fn answering(mut self, questions: &[&str], answer: &str) -> (ExitStatus, String) {
        let (begun, mut answered) = (Instant::now(), 0);
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "it doesn't end: {}", self.shown);
            if let Ok(piece) = self.screen.recv_timeout(Duration::from_millis(5)) {
                self.shown.push_str(&String::from_utf8_lossy(&piece));
            }
            let asked = self.shown.rsplit('\n').next().unwrap_or_default();
            if self.shown.len() > answered
                && asked.ends_with(": ")
                && questions.iter().any(|q| asked.starts_with(q))
            {
                answered = self.shown.len();
                self.types(&format!("{answer}\n"));
            }
        }
        self.end()
    }

    /// Waits for the end; tells how it ended, and what was shown since the last wait.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        // What is under way to the screen arrives before this.
        (&self.slave).write_all(b"<end>").unwrap();
        let shown = self.until("<end>");
        (status, shown.trim_end_matches("<end>").to_owned())
    }
}
