//! Bad moments: signals in mid-write, and several commands at one file.
#![cfg(unix)]

use super::desk::{Desk, listing};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

fn start(desk: &Desk, line: &str) -> Child {
    let mut command = desk.command();
    command.args(line.split_whitespace()).args(["--json", "--no-input"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(child: &Child, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_child(child);
    // It may have ended; it isn't waited for yet, so the number is still its own.
    rustix::process::kill_process(id, signal).unwrap();
}

fn parts(desk: &Desk) -> Vec<PathBuf> {
    let all = listing(&desk.0).into_iter().map(|(path, _)| path);
    all.filter(|path| path.to_string_lossy().contains(".part")).collect()
}

/// A part file lies in this folder now.
fn is_writing(folder: &std::path::Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".part"))
}

/// Runs a command, stops it while it writes, signals it, and lets it go on. `None`: it was too fast for that.
fn interrupted(desk: &Desk, line: &str, folder: &str, signal: Signal) -> Option<(ExitStatus, String)> {
    let (folder, begun) = (desk.path(folder), Instant::now());
    let mut child = start(desk, line);
    while !is_writing(&folder) {
        // Waited for, its number may be someone else's by now.
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{line} hangs");
    }
    send(&child, Signal::STOP);
    let caught = is_writing(&folder);
    send(&child, signal);
    send(&child, Signal::CONT);
    let out = child.wait_with_output().unwrap();
    caught.then(|| (out.status, String::from_utf8_lossy(&out.stderr).into_owned()))
}

/// Ctrl-C and SIGTERM in mid-write: the whole old state or the whole new one, and no rest.
#[test]
fn signals_in_mid_write_leave_the_old_or_the_new() {
    let desk = Desk::started("moment-write");
    // Long enough in writing to be met there.
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let toml = toml
        .replace("size = 0x20000 }", "size = 0x1000000 }")
        .replace("offset = 0x40000", "offset = 0x1020000");
    std::fs::write(desk.path("patchlane.toml"), toml.replace("size = 0x21000", "size = 0x1001000")).unwrap();
    std::fs::write(desk.path("large.bin"), vec![0x5a; 8 << 20]).unwrap();
    let build = |level: u32| {
        format!("build security --baseline 4.1 --level {level} --image large.bin -o x.plb --force")
    };
    desk.ok(&build(7));
    let unsigned = std::fs::read(desk.path("x.plb")).unwrap();
    desk.ok("sign x.plb");
    let signed = std::fs::read(desk.path("x.plb")).unwrap();
    let mut met = BTreeSet::new();
    for attempt in 0..40 {
        let signal = if attempt % 2 == 0 { Signal::INT } else { Signal::TERM };
        std::fs::write(desk.path("x.plb"), &unsigned).unwrap();
        let Some((status, told)) = interrupted(&desk, "sign x.plb", ".", signal) else { continue };
        let there = std::fs::read(desk.path("x.plb")).unwrap();
        match status.code() {
            Some(0) => assert!(there == signed, "it ended well, and x.plb isn't signed"),
            Some(130) => {
                assert_eq!(told, "stopped; nothing was half-written\n");
                assert!(there == signed || there == unsigned, "x.plb is neither the old nor the new one");
                met.insert(signal.as_raw());
            }
            _ => panic!("{status}: {told}"),
        }
        assert_eq!(parts(&desk), Vec::<PathBuf>::new());
        if met.len() == 2 {
            return;
        }
    }
    println!("skipped: the disk is too fast to be met in mid-write (met: {met:?})");
}

/// At any time, whatever it does: the whole of it or nothing.
#[test]
fn a_first_day_that_is_interrupted_can_be_begun_again() {
    let desk = Desk::new("moment-init");
    let mut seed = 0x9e37_79b9_u32;
    for attempt in 0..24 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mut child = start(&desk, "init here");
        std::thread::sleep(Duration::from_micros(u64::from(seed >> 16) % 12_000));
        let signal = if attempt % 2 == 0 { Signal::INT } else { Signal::TERM };
        send(&child, signal);
        let status = child.wait().unwrap();
        // Before main a signal ends a program by itself.
        let documented = matches!(status.code(), Some(0 | 130)) || status.signal() == Some(signal.as_raw());
        assert!(documented, "{status}");
        let there: Vec<_> = listing(&desk.0);
        assert!(matches!(there.len(), 0 | 8), "{:?}", there.iter().map(|(path, _)| path).collect::<Vec<_>>());
        if status.success() {
            assert_eq!(there.len(), 8);
        }
        if there.is_empty() {
            desk.ok("init here");
        }
        desk.ok("root show --config here/patchlane.toml");
        std::fs::remove_dir_all(desk.path("here")).unwrap();
    }
}

/// Ctrl-C while it waits for a passphrase from a pipe that nobody fills.
#[test]
fn waiting_can_be_interrupted() {
    use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
    let desk = Desk::signed("moment-wait");
    desk.ok("key new k.pem --passphrase-env SECRET");
    let fifo = desk.path("fifo");
    mkfifoat(CWD, &fifo, Mode::RWXU).unwrap();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut child = start(&desk, "sign b.plb --key k.pem --passphrase-file fifo");
        // A writer that doesn't wait is let in once there is a reader: the command waits at the other end.
        let writer = loop {
            match open(&fifo, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()) {
                Ok(writer) => break writer,
                Err(_) => assert_eq!(child.try_wait().unwrap(), None, "it doesn't wait"),
            }
        };
        send(&child, signal);
        let out = child.wait_with_output().unwrap();
        drop(writer);
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!((out.status.code(), &told[..]), (Some(130), "stopped; nothing was half-written\n"));
    }
}

/// Two people sign their part of one file at the same time: every signature that was called made is there.
#[test]
fn signers_of_one_file_dont_lose_each_others_signatures() {
    let desk = Desk::started("moment-sign");
    desk.ok("build feature --baseline 5.0 --level 7 --image a.bin -o unsigned.plb");
    let roles = ["security", "feature"];
    let sign = |role| format!("sign f.plb --key trust/development-{role}.pem --partial");
    for _ in 0..15 {
        std::fs::copy(desk.path("unsigned.plb"), desk.path("f.plb")).unwrap();
        let both = roles.map(|role| start(&desk, &sign(role)));
        let mut made = 0;
        for child in both {
            let out = child.wait_with_output().unwrap();
            let told = String::from_utf8_lossy(&out.stderr).into_owned();
            match out.status.code() {
                Some(0) => made += 1,
                Some(3) => assert_eq!(
                    told,
                    "error: f.plb was changed by someone else meanwhile; it is left as they made it\n  next: run it again\n"
                ),
                _ => panic!("{}: {told}", out.status),
            }
        }
        let there = desk.ok("inspect f.plb")["signatures"].as_array().unwrap().len();
        assert!(made >= 1 && there == made, "{made} were made, {there} are there");
        for role in roles {
            desk.ok(&sign(role));
        }
        desk.ok("verify f.plb");
    }
    assert_eq!(parts(&desk), Vec::<PathBuf>::new());
}

/// Of several that make the same file, one makes it.
#[test]
fn of_several_makers_of_one_name_one_succeeds() {
    let desk = Desk::started("moment-make");
    for (line, files) in [
        ("build security --baseline 4.1 --level 8 --image a.bin -o made.plb", &["made.plb"][..]),
        ("key new made.pem --development", &["made.pem", "made.pub"]),
        ("init made", &["made/patchlane.toml", "made/trust/root-1.plr"]),
    ] {
        let children: Vec<_> = (0..6).map(|_| start(&desk, line)).collect();
        let mut codes: Vec<_> = children.into_iter().map(|mut c| c.wait().unwrap().code()).collect();
        codes.sort();
        assert_eq!(codes, [Some(0), Some(3), Some(3), Some(3), Some(3), Some(3)], "{line}");
        assert!(files.iter().all(|file| desk.path(file).exists()), "{line}");
        assert_eq!(parts(&desk), Vec::<PathBuf>::new());
    }
    desk.ok("inspect made.plb");
    desk.ok("root show --config made/patchlane.toml");
    // The halves belong together.
    let public = desk.ok("key show made.pub")["key_id"].clone();
    std::fs::remove_file(desk.path("made.pub")).unwrap();
    assert_eq!(desk.ok("key show made.pem")["key_id"], public);
}

/// Whoever reads while another one writes sees the old file or the new one.
#[test]
fn readers_see_whole_files_only() {
    let desk = Desk::signed("moment-read");
    let build = |level: u32| {
        format!(
            "build security --baseline 4.1 --level {level} --image b.bin -o x.plb --force --evidence a.bin"
        )
    };
    desk.ok(&build(8));
    for level in 9..17 {
        let (one, other) = (start(&desk, &build(level)), start(&desk, &build(level + 100)));
        let readers: Vec<_> = (0..4).map(|_| start(&desk, "inspect x.plb")).collect();
        for mut child in readers.into_iter().chain([one, other]) {
            assert_eq!(child.wait().unwrap().code(), Some(0));
        }
    }
    assert_eq!(parts(&desk), Vec::<PathBuf>::new());
}
