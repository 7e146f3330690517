//! The same inputs make the same bytes (I10, I20): in another folder, time zone, locale, home and umask, and under
//! another name of the clock.

use super::desk::{Desk, listing};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A place to run in: nothing of it may show.
struct Surroundings<'a> {
    folder: PathBuf,
    variables: &'a [(&'a str, &'a str)],
    umask: &'a str,
}

impl Surroundings<'_> {
    fn run(&self, line: &str) -> Output {
        let program = env!("CARGO_BIN_EXE_patchlane");
        let mut command = if cfg!(unix) {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("umask {}; exec \"$0\" \"$@\"", self.umask), program]);
            shell
        } else {
            Command::new(program)
        };
        command
            .current_dir(&self.folder)
            .env("SOURCE_DATE_EPOCH", "1800000000")
            .env("SECRET", "correct horse");
        command.envs(self.variables.iter().copied()).args(line.split_whitespace()).output().unwrap()
    }

    /// What it says, without where it is.
    fn said(&self, bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).replace(&self.folder.display().to_string(), "HERE")
    }
}

const PLAIN: &[(&str, &str)] = &[("TZ", "UTC"), ("LC_ALL", "C"), ("LANG", "C"), ("HOME", "/")];
/// Not COLUMNS: help is wrapped to the terminal.
const STRANGE: &[(&str, &str)] = &[
    ("TZ", "Pacific/Apia"),
    ("LC_ALL", "tr_TR.UTF-8"),
    ("LANG", "ar_EG.UTF-8"),
    ("LANGUAGE", "de:fr"),
    ("HOME", "/nonexistent"),
    ("TMPDIR", "/nonexistent"),
    ("USER", "somebody"),
    ("TERM", "dumb"),
    ("XDG_CONFIG_HOME", "/nonexistent"),
];

/// Every verb whose result is a function of its input, in an order in which they can be run.
const LINES: [&str; 25] = [
    "build security --baseline 4.1 --level 7 --image a.bin -o a.plb",
    "build security --baseline 4.1 --level 8 --image fw.hex --closes 8:CVE-2027-1:high:exploited --evidence a.bin --message caf\u{e9} -o b.plb",
    "build feature --baseline 5.0 --level 8 --open 3,5 --image b.bin --combined change-is-fix --because it\u{2019}s -o f.plb",
    "build security --baseline 4.1 --level 9 --image a.bin --link trust/root-1.plr",
    "sign a.plb",
    "sign b.plb --json",
    "sign f.plb -o g.plb",
    "verify a.plb",
    "verify b.plb --json",
    "inspect f.plb",
    "inspect g.plb --json",
    "key show trust/development-root.pub",
    "key show trust/development-security.pem --json",
    "root new -o r.plr --root locked.pub --security s.pub --feature f.pub --sign locked.pem --passphrase-env SECRET",
    "root show r.plr --json",
    "provision a.plb -o flash.bin --development --device-id 00112233445566778899aabbccddeeff",
    "simulate a.plb b.plb g.plb --development --approve --device-id 00112233445566778899aabbccddeeff",
    "simulate a.plb b.plb --development --cut 11 --json --device-id 00112233445566778899aabbccddeeff",
    "completions bash",
    "completions zsh",
    "man",
    "man -o pages",
    "--help",
    "build --help",
    "verify b.plb --root nowhere.plr",
];

/// A folder with the inputs.
fn inputs(from: &Desk, folder: &Path) {
    for (path, bytes) in listing(&from.0) {
        let to = folder.join(path.strip_prefix(&from.0).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, bytes).unwrap();
    }
    std::fs::create_dir(folder.join("pages")).unwrap();
}

#[test]
fn surroundings_change_no_byte() {
    let desk = Desk::started("same-inputs");
    for name in ["locked", "s", "f"] {
        desk.ok(&format!("key new {name}.pem --passphrase-env SECRET"));
    }
    let hex = patchlane::image::to_hex(&[(0, &[7; 5000]), (0x2000, &[9; 33])]);
    std::fs::write(desk.path("fw.hex"), hex).unwrap();
    let (one, other) = (Desk::new("same-one"), Desk::new("same-another, deeper"));
    let deeper = other.path("d\u{e9}eper/still");
    std::fs::create_dir_all(&deeper).unwrap();
    let one = Surroundings { folder: one.0.clone(), variables: PLAIN, umask: "022" };
    let other = Surroundings { folder: deeper, variables: STRANGE, umask: "077" };
    for place in [&one, &other] {
        inputs(&desk, &place.folder);
    }
    for line in LINES {
        let (a, b) = (one.run(line), other.run(line));
        assert_eq!(a.status, b.status, "{line}: {}", String::from_utf8_lossy(&b.stderr));
        assert_eq!(a.status.success(), !line.contains("nowhere"), "{line}: {}", one.said(&a.stderr));
        assert_eq!(one.said(&a.stdout), other.said(&b.stdout), "stdout of {line}");
        assert_eq!(one.said(&a.stderr), other.said(&b.stderr), "stderr of {line}");
    }
    let files = |place: &Surroundings<'_>| -> Vec<(PathBuf, Vec<u8>)> {
        let strip = |path: PathBuf| path.strip_prefix(&place.folder).unwrap().to_path_buf();
        listing(&place.folder).into_iter().map(|(path, bytes)| (strip(path), bytes)).collect()
    };
    let (a, b) = (files(&one), files(&other));
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    for ((path, x), (_, y)) in a.iter().zip(&b) {
        assert!(x == y, "{} differs", path.display());
    }
    assert!(a.iter().any(|(path, _)| path.ends_with("patchlane-build.1")) && a.len() > 30);
}

/// `init` makes new keys; the rest is the same.
#[test]
fn first_days_differ_in_keys_only() {
    let (one, other) = (Desk::new("same-init-one"), Desk::new("same-init-other"));
    let line = "init here --vendor example.com --class pump";
    let (a, b) = (one.run(line), other.run(line));
    assert_eq!(a.stdout, b.stdout);
    let read = |desk: &Desk, name: &str| std::fs::read(desk.path("here").join(name)).unwrap();
    assert_eq!(read(&one, "patchlane.toml"), read(&other, "patchlane.toml"));
    assert_ne!(read(&one, "trust/development-root.pem"), read(&other, "trust/development-root.pem"));
    assert_eq!(read(&one, "trust/root-1.plr").len(), read(&other, "trust/root-1.plr").len());
}

/// The clock is read only where nothing else says when.
#[test]
fn source_date_epoch_is_the_only_clock() {
    let desk = Desk::started("same-clock");
    let build = "build security --baseline 4.1 --level 7 --image a.bin -o a.plb --force --json";
    let run = |epoch: Option<&str>, more: &str| {
        let mut command = desk.command();
        match epoch {
            Some(epoch) => command.env("SOURCE_DATE_EPOCH", epoch),
            None => command.env_remove("SOURCE_DATE_EPOCH"),
        };
        let out = command.args(build.split_whitespace()).args(more.split_whitespace()).output().unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        (value["issued_at"].as_u64().unwrap(), std::fs::read(desk.path("a.plb")).unwrap())
    };
    assert_eq!(run(Some("1700000000"), "").0, 1_700_000_000);
    assert_eq!(run(None, "--issued-at 1700000000"), run(Some("1700000000"), ""));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (issued, _) = run(None, "");
    assert!((now..now + 60).contains(&issued), "{issued} isn't now");
}
