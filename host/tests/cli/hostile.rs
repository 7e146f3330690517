//! Whatever is at the other end of the cable: a command ends by itself, soon after its patience, with a documented exit
//! code, under the schema, and has written nothing.

use super::bench::pty;
use super::desk::{Desk, listing};
use super::schema;
use patchlane_protocol::link::{Outcome, Reply, STUFFED, encode_frame};
use patchlane_protocol::{Writer, limits};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stranger {
    Silence,
    /// What it hears, back.
    Echo,
    /// Random bytes, without end.
    Noise,
    /// Nothing but delimiters, without end.
    Zeros,
    /// A line that never ends.
    Line,
    /// A frame that never ends.
    Frame,
    /// A status report of random bytes, in a good frame.
    Garbage,
    /// The beginning of a status report, in a good frame.
    Short,
    /// An outcome, whatever the question was.
    Done,
    /// Outcomes, without end.
    Flood,
    /// A refusal that nobody knows.
    Refuses,
    /// The bytes at the end of what can be named.
    WantsMore,
    /// Back and forth, for ever.
    WantsAgain,
    /// The next piece, and each time as many answers as it can.
    WantsOften,
}

use Stranger::*;

const STRANGERS: [Stranger; 14] = [
    Silence, Echo, Noise, Zeros, Line, Frame, Garbage, Short, Done, Flood, Refuses, WantsMore, WantsAgain,
    WantsOften,
];

fn frame(reply: &Reply<'_>) -> Vec<u8> {
    let (mut content, mut out) = ([0; limits::FRAME], [0; STUFFED + 4]);
    let mut writer = Writer::new(&mut content);
    reply.write(&mut writer).unwrap();
    encode_frame(writer.finish(), &mut out).unwrap().to_vec()
}

impl Stranger {
    /// What it says to what it heard: a piece with something in it, or nothing for a while.
    fn says(self, heard: &[u8], turn: u32) -> Vec<u8> {
        let noise = |i: u32| (i.wrapping_add(turn).wrapping_mul(0x9e37_79b1) >> 24) as u8;
        let random: Vec<u8> = (0..900).map(noise).collect();
        match self {
            Noise => return random,
            Zeros => return vec![0; 900],
            Line => return vec![b'x'; 900],
            Frame if turn == 0 => return vec![0, 1],
            Frame => return vec![0x55; 900],
            Flood => return frame(&Reply::Outcome(Outcome::Done)),
            _ if heard.is_empty() => return Vec::new(),
            _ => {}
        }
        match self {
            Echo => heard.to_vec(),
            Garbage => frame(&Reply::Status(&random[..200])),
            Short => frame(&Reply::Status(&[1])),
            Done => frame(&Reply::Outcome(Outcome::Done)),
            Refuses => frame(&Reply::Refused(250)),
            WantsMore => frame(&Reply::Want(u32::MAX)),
            WantsAgain => frame(&Reply::Want(turn % 2 * 512)),
            WantsOften => frame(&Reply::Want(turn * 64 % 4096)).repeat(20),
            _ => Vec::new(),
        }
    }
}

/// A port with a stranger at it.
struct Port {
    name: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Port {
    fn with(stranger: Stranger) -> Self {
        let (master, held, name) = pty();
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut line, mut buffer, mut turn) = (File::from(master), [0; 4096], 0);
            while !ended.load(Ordering::Relaxed) {
                let read = line.read(&mut buffer).unwrap_or(0);
                let said = stranger.says(&buffer[..read], turn);
                // What doesn't fit on the line is lost: it is no better than that.
                let _ = line.write(&said);
                turn += u32::from(!said.is_empty());
                std::thread::sleep(Duration::from_millis(if said.is_empty() { 1 } else { 3 }));
            }
            drop(held);
        });
        Self { name, stop, thread: Some(thread) }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

const LINES: [&str; 10] = [
    "device status",
    "device list --probe",
    "device push a.plb",
    "device approve a.plb",
    "device approve a.plb --owner-key trust/development-root.pem",
    "device request apply a.plb",
    "device policy --feature never",
    "device reboot",
    "device log --for 1",
    "diff a.plb",
];

/// How one command ended with one stranger.
fn one(desk: &Desk, stranger: Stranger, line: &str) {
    let port = Port::with(stranger);
    let line = format!("{line} --timeout 1 --port {}", port.name);
    let begun = Instant::now();
    let out = desk.run(&format!("{line} --json --no-input"));
    let took = begun.elapsed();
    let told = format!("{stranger:?}, {line}: {out:?}");
    // Two questions and what comes between them, on a machine that has other things to do.
    assert!(took < Duration::from_secs(15), "{took:?}: {told}");
    let last = String::from_utf8_lossy(&out.stdout);
    let value: Value = serde_json::from_str(last.lines().last().unwrap_or_default()).expect(&told);
    match out.status.code() {
        Some(0) => assert_eq!(schema::violations(&schema::name_of(&line), &value), [""; 0], "{told}"),
        Some(exit @ (1 | 3)) => {
            assert_eq!(schema::violations("error", &value), [""; 0], "{told}");
            assert_eq!(value["exit"], exit, "{told}");
        }
        _ => panic!("{told}"),
    }
    // What looks like a success is one that the stranger said, or one of ours that says what it found.
    let says_done = matches!(stranger, Done | Flood);
    let asks = ["push", "approve a.plb -", "request", "reboot"].iter().any(|verb| line.contains(verb));
    let ours = ["list", "log"].iter().any(|verb| line.contains(verb));
    assert!(!out.status.success() || ours || (says_done && asks), "{told}");
    if line.contains("list") {
        assert_eq!(value["ports"][0]["answers"], false, "{told}");
    }
}

/// A device that says what no device says is never believed, nor waited for without end.
#[test]
fn nobody_at_the_port_makes_a_command_hang_or_fall() {
    let desk = Desk::signed("hostile");
    let before = listing(&desk.0);
    std::thread::scope(|scope| {
        // They mostly wait.
        for (stranger, lines) in STRANGERS.iter().flat_map(|s| LINES.chunks(4).map(move |lines| (*s, lines)))
        {
            let desk = &desk;
            scope.spawn(move || lines.iter().for_each(|line| one(desk, stranger, line)));
        }
    });
    assert_eq!(listing(&desk.0), before);
}
