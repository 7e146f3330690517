//! Bad input, bad disks, bad moments: exact words, documented exit codes, nothing half-written, nothing lost.

use super::desk::{Desk, listing};
use std::path::Path;

/// Fails as documented, leaves everything as it was, and says exactly this.
fn says(desk: &Desk, line: &str, exit: i32, code: &str, told: &str) {
    desk.fails(line, exit, code);
    let out = desk.run(&format!("{line} --no-input"));
    assert_eq!(String::from_utf8_lossy(&out.stderr), format!("error: {told}\n"), "{line}");
    assert!(out.stdout.is_empty(), "{line}");
}

/// What takes a bundle, with the bundle's place as `@`.
const BUNDLES: [&str; 14] = [
    "inspect @",
    "verify @",
    "sign @",
    "extract @ -o out.bin",
    "extract @ -o out.bin --unverified",
    "diff @ b.plb",
    "diff b.plb @",
    "diff @ --port nowhere",
    "provision @ -o out.bin --development",
    "provision @ -o out.hex --development",
    "device approve @ --port nowhere",
    "simulate @ --development",
    "simulate a.plb @ --development",
    "device push @ --port nowhere",
];

const ANY: &str = "256 MiB";
const TEXT: &str = "1 MiB";
const KEY: &str = "64 KiB";
/// One line of it.
const LINE: &str = "1 KiB";

/// What takes another file: the command, and the most that such a file may have.
const OTHERS: [(&str, &str); 22] = [
    ("build security --baseline 4.1 --level 8 -o out.plb --image @", ANY),
    ("build security --baseline 4.1 --level 8 -o out.plb --image a.bin --base @", ANY),
    ("extract a.plb -o out.bin --base @", ANY),
    ("build security --baseline 4.1 --level 8 -o out.plb --image a.bin --evidence @", ANY),
    ("build security --baseline 4.1 --level 8 -o out.plb --image a.bin --link @", ANY),
    ("build security --baseline 4.1 --level 8 -o out.plb --image a.bin --config @", TEXT),
    ("sign a.plb --key @", KEY),
    ("verify a.plb --root @", ANY),
    ("extract a.plb -o out.bin --root @", ANY),
    ("diff a.plb b.plb --root @", ANY),
    ("diff a.plb --status @", TEXT),
    ("root show @", ANY),
    ("key show @", KEY),
    ("key passwd @ --new-passphrase-env SECRET", KEY),
    ("key import @ -o out.pem --new-passphrase-env SECRET", KEY),
    ("key new new.pem --passphrase-file @", LINE),
    ("layout --image @", ANY),
    ("layout --config @", TEXT),
    ("layout --config @ --emit c-header -o out.h", TEXT),
    ("provision a.plb -o out.bin --development --config @", TEXT),
    ("provision a.plb -o out.bin --development --owner-key @", KEY),
    ("provision a.plb -o out.hex --development --root @", ANY),
];

fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    BUNDLES.into_iter().map(|line| (line, ANY)).chain(OTHERS)
}

#[test]
fn what_is_missing_or_a_folder_is_said_so_by_every_verb() {
    let desk = Desk::signed("bad-missing");
    std::fs::create_dir(desk.path("folder")).unwrap();
    for (line, _) in all() {
        let told = "none isn't there\n  next: check the path";
        says(&desk, &line.replace('@', "none"), 3, "missing-file", told);
        let told = "folder is a folder, not a file\n  next: check the path and its permissions";
        says(&desk, &line.replace('@', "folder"), 3, "file-access", told);
    }
}

#[test]
fn what_is_empty_or_of_another_kind_is_refused_by_every_verb() {
    let desk = Desk::signed("bad-kinds");
    std::fs::write(desk.path("empty"), b"").unwrap();
    std::fs::write(desk.path("noise"), (0..400u32).map(|i| ((i * i) >> 3) as u8).collect::<Vec<_>>())
        .unwrap();
    let kinds =
        ["empty", "noise", "a.plb", "trust/root-1.plr", "trust/development-root.pub", "patchlane.toml"];
    // A digest takes any evidence, raw firmware has no format, and any first line is a passphrase.
    let takes_anything = |line: &str| {
        ["--evidence", "--image @", "--base @", "--passphrase-file"].iter().any(|part| line.contains(part))
    };
    for (line, _) in all().filter(|(line, _)| !takes_anything(line)) {
        for kind in kinds {
            let takes_it = match kind {
                "a.plb" => BUNDLES.contains(&line),
                "trust/root-1.plr" => {
                    line.contains("--root") || line.contains("--link") || line.contains("root show")
                }
                "trust/development-root.pub" => line.contains("key show") || line.contains("--owner-key"),
                // A scenario ends in .toml: `simulate` says what doesn't go together, as a usage error.
                "patchlane.toml" => line.contains("--config") || line.starts_with("simulate"),
                _ => false,
            };
            if takes_it {
                continue;
            }
            let before = listing(&desk.0);
            let line = line.replace('@', kind);
            let out = desk.run(&format!("{line} --no-input"));
            let told = String::from_utf8_lossy(&out.stderr);
            assert!(matches!(out.status.code(), Some(3 | 4)), "{line}: {:?} {told}", out.status);
            assert!(told.starts_with("error: ") && told.contains("\n  next: "), "{line}: {told}");
            assert!(told.contains(kind), "{line} doesn't say which file: {told}");
            assert_eq!(listing(&desk.0), before, "{line} left something behind");
        }
    }
}

#[test]
fn what_is_empty_or_of_another_kind_is_told_exactly() {
    let desk = Desk::signed("bad-exactly");
    std::fs::write(desk.path("empty"), b"").unwrap();
    let config = "build security --baseline 4.1 --level 8 -o out.plb --image a.bin --config";
    for (line, exit, code, told) in [
        (
            "inspect empty",
            3,
            "malformed",
            "empty is empty\n  next: name the bundle: `patchlane build` makes it (.plb)",
        ),
        (
            "verify empty",
            3,
            "malformed",
            "empty is empty\n  next: name the bundle: `patchlane build` makes it (.plb)",
        ),
        (
            "verify a.plb --root empty",
            3,
            "malformed",
            "empty is empty\n  next: name the root file: `patchlane init` and `root new` make it (.plr)",
        ),
        ("verify a.plb --root a.plb", 3, "malformed", ""),
        (
            "sign trust/root-1.plr",
            3,
            "malformed",
            "trust/root-1.plr is a root file, not a bundle\n  next: name the bundle: `patchlane build` makes it (.plb)",
        ),
        (
            "sign a.plb --key empty",
            4,
            "key",
            "empty is empty\n  next: name the private key: `patchlane key new` makes it (.pem)",
        ),
        (
            &format!("{config} empty"),
            3,
            "config",
            "empty is empty\n  next: name the configuration: `patchlane init` makes it (patchlane.toml)",
        ),
    ] {
        if told.is_empty() {
            desk.fails(line, exit, code);
        } else {
            says(&desk, line, exit, code, told);
        }
    }
}

/// The place of a swapped file is the place that the message names.
#[test]
fn swapped_files_and_wrong_keys_are_told_apart() {
    let desk = Desk::signed("bad-swapped");
    let next = "\n  next: sign with the key that the root declares for this lane";
    let told = format!("trust/development-feature.pem is a feature key, and this is a security patch{next}");
    says(&desk, "sign a.plb --key trust/development-feature.pem", 4, "key", &told);
    desk.ok("key new other.pem --development");
    says(&desk, "sign a.plb --key other.pem", 4, "key", &format!("other.pem isn't in root 1{next}"));
    // Another first day: the same product, other keys.
    desk.ok("init other --vendor example.com --class pump");
    desk.fails("verify a.plb --root other/trust/root-1.plr", 1, "refused");
    desk.fails("sign a.plb --root other/trust/root-1.plr", 4, "key");
    desk.ok("key new locked.pem --passphrase-env SECRET");
    std::fs::write(desk.path("wrong"), "battery staple\n").unwrap();
    let told = "locked.pem isn't opened by this passphrase\n  next: try again; no key file was changed";
    says(&desk, "sign a.plb --key locked.pem --passphrase-file wrong", 4, "passphrase", told);
}

#[test]
fn releases_without_room_are_refused() {
    let desk = Desk::signed("bad-long");
    let long = "x".repeat(5000);
    desk.fails(&format!("inspect {long}"), 3, "file-access");
    let build = "build security --baseline 4.1 --level 8 --image a.bin";
    desk.fails(&format!("{build} -o {long}"), 3, "file-access");
    desk.fails(&format!("{build} -o out.plb --message {}", "x".repeat(100_000)), 3, "malformed");
    desk.fails(&format!("{build} -o out.plb --open {}", vec!["1"; 20_000].join(",")), 2, "usage");
    // The longest name that there can be.
    desk.ok(&format!("{build} -o {}", "y".repeat(255)));
    desk.ok(&format!("sign {}", "y".repeat(255)));
}

#[test]
fn source_date_epoch_is_a_number_or_an_error() {
    let desk = Desk::started("bad-epoch");
    let run = |value: &std::ffi::OsStr, more: &[&str]| {
        let line = "build security --baseline 4.1 --level 8 --image a.bin -o out.plb --force --json";
        let mut command = desk.command();
        command.args(line.split_whitespace()).args(more).env("SOURCE_DATE_EPOCH", value).output().unwrap()
    };
    for bad in ["", " ", "+5", "-1", "5 ", "0x5", "1e9", "2027-01-01", "18446744073709551616"] {
        let out = run(bad.as_ref(), &[]);
        assert_eq!(out.status.code(), Some(2), "`{bad}`");
        assert!(String::from_utf8_lossy(&out.stderr).contains("SOURCE_DATE_EPOCH"), "`{bad}`");
        assert!(!desk.path("out.plb").exists());
    }
    #[cfg(unix)]
    assert_eq!(run(std::os::unix::ffi::OsStrExt::from_bytes(b"\xff"), &[]).status.code(), Some(2));
    for (good, at) in [("0", 0u64), ("007", 7), ("18446744073709551615", u64::MAX)] {
        let out = run(good.as_ref(), &[]);
        let value: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(value["issued_at"].as_u64(), Some(at), "{value}");
    }
    // What is said on the command line needs no clock.
    assert!(run("nonsense".as_ref(), &["--issued-at", "5"]).status.success());
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Output};

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn shell(desk: &Desk, script: &str) -> Output {
        let mut shell = Command::new("sh");
        shell.current_dir(&desk.0).args(["-c", script]).env("P", env!("CARGO_BIN_EXE_patchlane"));
        shell.env("SOURCE_DATE_EPOCH", "1800000000").output().unwrap()
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// A sparse file as long as 4 GiB, in an address space of 1 GiB: it is refused before it is read.
    #[test]
    fn four_gibibytes_are_refused_unread() {
        let desk = Desk::signed("bad-huge");
        std::fs::File::create(desk.path("huge")).unwrap().set_len(1 << 32).unwrap();
        for (line, limit) in all() {
            let line = line.replace('@', "huge");
            let out = shell(&desk, &format!("ulimit -v 1048576; exec \"$P\" {line} --no-input"));
            let told = match limit {
                // Read byte by byte, as far as a passphrase may go.
                LINE => "error: huge holds a passphrase of more than 1024 bytes\n  next: check that it is the right one\n".into(),
                _ => format!("error: huge is larger than {limit}\n  next: check that this is the right file\n"),
            };
            let exit = if matches!(limit, KEY | LINE) { 4 } else { 3 };
            assert_eq!((out.status.code(), text(&out.stderr)), (Some(exit), told), "{line}");
        }
        // An endless device has no length.
        let out = shell(&desk, "ulimit -v 1048576; exec \"$P\" key show /dev/zero");
        assert_eq!(out.status.code(), Some(4), "{}", text(&out.stderr));
        let _ = std::fs::remove_file(desk.path("huge"));
    }

    /// As somebody whom permissions bind. `None` if there is no way to be that here.
    fn as_nobody(desk: &Desk, line: &str) -> Option<Output> {
        let program = desk.path("patchlane");
        if !program.exists() {
            std::fs::copy(env!("CARGO_BIN_EXE_patchlane"), &program).unwrap();
        }
        let run = |command: &mut Command| {
            command.current_dir(&desk.0).env("SOURCE_DATE_EPOCH", "1800000000").output()
        };
        let me = Command::new("id").arg("-u").output().ok()?.stdout;
        let out = if me == b"0\n" {
            let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
            run(Command::new("setpriv").args(nobody).arg(&program).args(line.split_whitespace())).ok()?
        } else {
            run(Command::new(&program).args(line.split_whitespace())).ok()?
        };
        Some(out)
    }

    #[test]
    fn what_may_not_be_read_or_written_is_said_so() {
        let desk = Desk::signed("bad-permissions");
        mode(&desk.0, 0o755);
        for name in ["patchlane.toml", "trust/root-1.plr", "a.plb", "b.plb", "a.bin", "b.bin"] {
            mode(&desk.path(name), 0o644);
        }
        mode(&desk.path("trust"), 0o755);
        mode(&desk.path("b.plb"), 0o000);
        mode(&desk.path("b.bin"), 0o000);
        let build = "build security --baseline 4.1 --level 8 -o out.plb --image";
        let lines = [
            ("inspect b.plb".to_owned(), "b.plb can't be opened: permission denied"),
            ("verify b.plb".to_owned(), "b.plb can't be opened: permission denied"),
            (format!("{build} b.bin"), "b.bin can't be opened: permission denied"),
            (format!("{build} a.bin"), "out.plb can't be written: permission denied"),
            ("key new k.pem --development".to_owned(), "k.pem can't be written: permission denied"),
            ("init new".to_owned(), "new can't be made: permission denied"),
            // Keys are their owner's: 0600.
            ("sign a.plb".to_owned(), "trust/development-security.pem can't be opened: permission denied"),
        ];
        let before = {
            as_nobody(&desk, "--version");
            listing(&desk.0)
        };
        for (line, told) in lines {
            let Some(out) = as_nobody(&desk, &line) else {
                println!("skipped: there is no setpriv here");
                return;
            };
            let told = format!("error: {told}\n  next: check the path and its permissions\n");
            assert_eq!((out.status.code(), text(&out.stderr)), (Some(3), told), "{line}");
        }
        mode(&desk.path("b.plb"), 0o644);
        mode(&desk.path("b.bin"), 0o644);
        assert_eq!(listing(&desk.0).len(), before.len());
    }

    /// A rename asks the folder only, not the file.
    #[test]
    fn a_read_only_file_is_not_replaced() {
        let desk = Desk::started("bad-readonly");
        desk.ok("build security --baseline 4.1 --level 7 --image a.bin -o a.plb");
        mode(&desk.path("a.plb"), 0o444);
        let told = "a.plb is read-only\n  next: make it writable, or write to another file";
        says(&desk, "sign a.plb", 3, "file-access", told);
        says(
            &desk,
            "build security --baseline 4.1 --level 7 --image a.bin -o a.plb --force",
            3,
            "file-access",
            told,
        );
        desk.ok("sign a.plb -o signed.plb");
    }

    /// A script with disks of its own; `None` where none can be mounted.
    fn with_disks(desk: &Desk, script: &str) -> Option<Output> {
        let quoted = format!("set -e; {script}");
        let mut run = Command::new("unshare");
        run.current_dir(&desk.0)
            .args(["--mount", "sh", "-c", &quoted])
            .env("P", env!("CARGO_BIN_EXE_patchlane"));
        let out = run.env("SOURCE_DATE_EPOCH", "1800000000").output().ok()?;
        let told = text(&out.stderr);
        if ["unshare:", "mount:"].iter().any(|tool| told.starts_with(tool)) {
            println!("skipped: no disk can be mounted here: {told}");
            return None;
        }
        Some(out)
    }

    #[test]
    fn a_full_disk_loses_nothing_and_keeps_no_rest() {
        let desk = Desk::started("bad-full");
        std::fs::create_dir(desk.path("disk")).unwrap();
        desk.ok("build security --baseline 4.1 --level 7 --image a.bin -o a.plb");
        let no_space = "can't be written: no space is left\n  next: make room, and run it again";
        for (line, told) in [
            ("build security --baseline 4.1 --level 8 --image b.bin -o disk/out.plb", "disk/out.plb"),
            ("build security --baseline 4.1 --level 8 --image b.bin -o disk/a.plb --force", "disk/a.plb"),
            ("sign disk/a.plb", "disk/a.plb"),
            ("sign a.plb -o disk/out.plb", "disk/out.plb"),
            ("key new disk/k.pem --development", "disk/k.pem"),
            ("man -o disk", "disk/patchlane.1"),
            ("init disk", "disk/trust/development-root.pem"),
        ] {
            let script = format!(
                "mount -t tmpfs -o size=64k,mode=755 none disk; cp a.plb disk; \
                 dd if=/dev/zero of=disk/filler bs=4096 2>/dev/null || true; \
                 find disk | sort > before; set +e; \"$P\" {line}; code=$?; \
                 cmp a.plb disk/a.plb || exit 99; find disk | sort | cmp - before || exit 98; exit $code"
            );
            let Some(out) = with_disks(&desk, &script) else { return };
            let told = format!("error: {told} {no_space}\n");
            assert_eq!((text(&out.stderr), out.status.code()), (told, Some(3)), "{line}");
        }
    }

    #[test]
    fn a_read_only_disk_is_said_so() {
        let desk = Desk::started("bad-rodisk");
        std::fs::create_dir(desk.path("disk")).unwrap();
        desk.ok("build security --baseline 4.1 --level 7 --image a.bin -o a.plb");
        let next = "the disk is read-only\n  next: check the path and its permissions";
        for (line, told) in [
            ("sign disk/a.plb", "disk/a.plb can't be written"),
            (
                "build security --baseline 4.1 --level 8 --image b.bin -o disk/out.plb",
                "disk/out.plb can't be written",
            ),
            ("key new disk/k.pem --development", "disk/k.pem can't be written"),
            ("init disk/new", "disk/new can't be made"),
        ] {
            let script = format!(
                "mount -t tmpfs none disk; cp a.plb disk; mount -o remount,ro disk; exec \"$P\" {line}"
            );
            let Some(out) = with_disks(&desk, &script) else { return };
            let told = format!("error: {told}: {next}\n");
            assert_eq!((text(&out.stderr), out.status.code()), (told, Some(3)), "{line}");
        }
    }

    #[test]
    fn a_stdout_that_is_full_is_an_error() {
        let desk = Desk::signed("bad-stdout");
        for line in
            ["inspect a.plb", "inspect a.plb --json", "man", "completions bash", "--help", "--version"]
        {
            let out = shell(&desk, &format!("exec \"$P\" {line} > /dev/full"));
            let told = text(&out.stderr);
            assert_eq!(out.status.code(), Some(3), "{line}: {told}");
            assert!(told.starts_with("error: stdout can't be written: No space left"), "{line}: {told}");
        }
    }

    /// Nobody reads what is said; the work is done, and its exit code stands.
    #[test]
    fn closed_pipes_change_no_exit_code() {
        let desk = Desk::signed("bad-pipes");
        let build = "build security --baseline 4.1 --level 9 --image a.bin -o";
        for (line, code) in [
            ("inspect a.plb", 0),
            ("inspect a.plb --json", 0),
            ("man", 0),
            ("completions zsh", 0),
            ("--help", 0),
            ("frobnicate", 2),
            ("frobnicate --json", 2),
            ("inspect none", 3),
            ("inspect none --json", 3),
            ("sign a.plb", 0),
            (&format!("{build} o.plb"), 0),
            (&format!("{build} e.plb"), 0),
        ] {
            for which in ["stdout", "stderr"] {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                let mut command = desk.command();
                command.args(line.split_whitespace()).args(line.contains("build").then_some("--force"));
                if which == "stdout" {
                    command.stdout(writer).stderr(std::process::Stdio::null());
                } else {
                    command.stderr(writer).stdout(std::process::Stdio::null());
                }
                assert_eq!(command.status().unwrap().code(), Some(code), "{line}, closed {which}");
            }
        }
        assert!(desk.path("o.plb").exists() && desk.path("e.plb").exists());
        let out = shell(&desk, "\"$P\" man | head -c0; \"$P\" man | head -c100 | wc -c");
        assert_eq!(text(&out.stdout).trim(), "100");
        // Closed altogether.
        assert_eq!(shell(&desk, "exec \"$P\" inspect a.plb >&- 2>&- <&-").status.code(), Some(0));
    }

    #[test]
    fn names_need_not_be_utf8() {
        let desk = Desk::signed("bad-names");
        let name = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
        let run = |arguments: &[OsString]| desk.command().args(arguments).output().unwrap();
        let s = |text: &str| OsString::from(text);
        let (image, bundle, key) = (name(b"\xff\xfe.bin"), name(b"b\xfc.plb"), name(b"k\xfc.pem"));
        std::fs::copy(desk.path("a.bin"), desk.0.join(&image)).unwrap();
        let build = ["build", "security", "--baseline", "4.1", "--level", "8", "--image"].map(s);
        let mut arguments = build.to_vec();
        arguments.extend([image, s("-o"), bundle.clone()]);
        assert!(run(&arguments).status.success());
        for verb in ["sign", "verify", "inspect"] {
            let out = run(&[s(verb), bundle.clone()]);
            assert!(out.status.success(), "{verb}: {}", text(&out.stderr));
            let out = run(&[s(verb), bundle.clone(), s("--json")]);
            serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap();
        }
        assert!(run(&[s("key"), s("new"), key.clone(), s("--development")]).status.success());
        assert!(run(&[s("key"), s("show"), key]).status.success());
        let out = run(&[s("inspect"), name(b"no\xff")]);
        assert_eq!(text(&out.stderr), "error: no\u{fffd} isn't there\n  next: check the path\n");
        // Words for people have to be words.
        assert_eq!(run(&[s("build"), s("--message"), name(b"\xff")]).status.code(), Some(2));
        assert_eq!(run(&[name(b"\xff\x1b[2J")]).status.code(), Some(2));
    }

    /// File names, arguments, and configurations from elsewhere end up in messages.
    #[test]
    fn no_message_steers_a_terminal() {
        let desk = Desk::signed("bad-steering");
        let evil = "\u{1b}[2J\u{9b}31m\u{7}\r\n\u{202e}x\u{2028}";
        let config = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
        let key = format!("{config}\n\"{}\" = 1\n", "\\u001b[2J\\u009b31m");
        std::fs::write(desk.path("key.toml"), key).unwrap();
        std::fs::write(desk.0.join(format!("there{evil}")), "no bundle").unwrap();
        let there = format!("there{evil}");
        for arguments in [
            vec!["inspect", evil],
            vec!["inspect", &there],
            vec!["verify", "a.plb", "--root", &there],
            vec!["sign", "a.plb", "--key", &there],
            vec![evil],
            vec!["build", evil],
            vec!["build", "security", "--baseline", evil, "--level", "8", "--image", "a.bin"],
            vec![
                "build",
                "security",
                "--baseline",
                "4.1",
                "--level",
                "8",
                "--image",
                "a.bin",
                "--closes",
                evil,
            ],
            vec!["root", "show", "--config", "key.toml"],
            vec!["key", "new", "k.pem", "--passphrase-env", evil],
            vec!["init", evil],
            vec!["init", &there],
            vec!["init", "new", "--class", evil],
            vec!["completions", evil],
            vec!["device", "status", "--port", evil],
            vec!["provision", "a.plb", "-o", "f", "--device-id", evil],
        ] {
            for more in [None, Some("--json"), Some("--no-input")] {
                let out = desk.command().args(&arguments).args(more).output().unwrap();
                for shown in [text(&out.stdout), text(&out.stderr)] {
                    let bad = shown.chars().find(|c| {
                        c.is_control() && *c != '\n' || matches!(c, '\u{202e}' | '\u{2028}' | '\u{9b}')
                    });
                    assert_eq!(bad, None, "{arguments:?}: {shown:?}");
                }
                assert!(out.status.code().is_some_and(|code| code < 70), "{arguments:?}");
            }
        }
    }

    #[test]
    fn a_folder_that_disappears_is_said_so() {
        let desk = Desk::signed("bad-gone");
        let gone = "mkdir gone; cd gone; rmdir ../gone; exec \"$P\"";
        let out = shell(&desk, &format!("{gone} verify ../a.plb"));
        assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
        let out = shell(&desk, &format!("{gone} verify {}", desk.path("a.plb").display()));
        let told = "error: this folder isn't there any more\n  next: change to one that is\n";
        assert_eq!((out.status.code(), text(&out.stderr)), (Some(3), told.to_owned()));
        let out = shell(&desk, &format!("{gone} init"));
        assert!(matches!(out.status.code(), Some(3)), "{}", text(&out.stderr));
        let told = "gone isn't there\n  next: check the path";
        says(
            &desk,
            "build security --baseline 4.1 --level 8 --image a.bin -o gone/out.plb",
            3,
            "missing-file",
            told,
        );
    }

    #[test]
    fn devices_and_pipes_are_not_replaced() {
        let desk = Desk::signed("bad-devices");
        let build = "build security --baseline 4.1 --level 8 --image a.bin --force -o";
        let told = "/dev/null isn't a regular file\n  next: name a file; a device or a pipe isn't replaced";
        says(&desk, &format!("{build} /dev/null"), 3, "file-access", told);
        std::os::unix::fs::symlink("/dev/null", desk.path("null")).unwrap();
        desk.fails(&format!("{build} null"), 3, "file-access");
        std::os::unix::fs::symlink("loop", desk.path("loop")).unwrap();
        desk.fails(&format!("{build} loop"), 3, "file-access");
        desk.fails("inspect loop", 3, "file-access");
        // What is signed through a link is signed where it lies.
        std::os::unix::fs::symlink("a.plb", desk.path("link.plb")).unwrap();
        desk.ok("build security --baseline 4.1 --level 7 --image a.bin -o a.plb --force");
        desk.ok("sign link.plb");
        desk.ok("verify a.plb");
        assert!(std::fs::symlink_metadata(desk.path("link.plb")).unwrap().is_symlink());
    }
}
