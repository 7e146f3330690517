//! MANUAL.md and README.md as their readers type them: every example runs, in order, at a terminal, a desk for each
//! section. `UPDATE=1 cargo test -p patchlane --test cli manual::` writes down what commands print now.

mod recipe;
mod text;

use super::bench::{Bench, GRANTS, Nature};
use super::desk::Desk;
use super::layout::{cortex_m, elf};
use super::pty::Terminal;
use patchlane::image::to_hex;
use recipe::Job;
use std::path::{Path, PathBuf};
use std::process::Command;
use text::{Piece, Section, Typed, fits, sections};

/// The firmware that examples name: file, address, bytes. The board is nrf52840 (bootloader at 0, slots at 0x20000 and
/// 0x8f000).
const FIRMWARE: [(&str, u32, usize); 13] = [
    ("boot.elf", 0, 20_000),
    ("app.elf", 0x2_0000, 48_000),
    ("app.hex", 0x2_0000, 48_000),
    ("app5.elf", 0x2_0000, 61_000),
    ("old.elf", 0x2_0000, 47_000),
    ("pump-4.1.elf", 0x2_0000, 48_100),
    ("pump-4.2.elf", 0x2_0000, 52_300),
    ("pump-4.2.bin", 0x2_0000, 52_400),
    ("pump-5.0.elf", 0x2_0000, 61_200),
    ("pump-a.elf", 0x2_0000, 48_200),
    ("pump-b.elf", 0x8_f000, 48_200),
    ("valve.bin", 0x0802_0000, 30_000),
    ("wrong.elf", 0x2_6000, 48_000),
];

/// Both of production's keys, in the examples, have this one.
const PASSPHRASE: &str = "correct horse";
const QUESTIONS: [&str; 3] = ["Passphrase for ", "New passphrase for ", "The same again: "];
/// The port in examples; at the desk it is a pty.
const PORT: &str = "/dev/ttyUSB0";

fn firmware(desk: &Desk) {
    for (seed, (name, address, size)) in FIRMWARE.into_iter().enumerate() {
        let mut image = cortex_m(address, 0, 0x2000_4000, size);
        image[8] = u8::try_from(seed).unwrap();
        let file = match name.rsplit_once('.').unwrap().1 {
            "elf" => elf(40, address + 0x81, address, &image),
            "hex" => to_hex(&[(address, &image)]).into_bytes(),
            _ => image,
        };
        std::fs::write(desk.path(name), file).unwrap();
    }
    // Programs of a compiler, and what changed in their sources.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elf");
    for (from, to) in [
        ("arm-base.elf", "s8.elf"),
        ("arm-fix.elf", "s9.elf"),
        ("arm-added.elf", "more.elf"),
        ("changes/fix.diff", "fix.diff"),
    ] {
        std::fs::copy(folder.join(from), desk.path(to)).unwrap();
    }
}

/// What is left on the screen: where a machine is slow, bars are drawn, and wiped out again.
fn settled(shown: &str) -> String {
    let left = |line: &str| line.rsplit("\r\u{1b}[K").next().unwrap_or_default().replace('\r', "");
    shown.split('\n').map(left).collect::<Vec<_>>().join("\n")
}

#[test]
fn bars_leave_nothing_on_the_screen() {
    let shown = "$ push\r\n\r\u{1b}[Ksending [=> ]\r\u{1b}[Ksending [==>]\r\u{1b}[Krelease 4.1\r\nok\r\n";
    assert_eq!(settled(shown), "$ push\nrelease 4.1\nok\n");
}

/// What a reader has in front of them.
struct Reader {
    desk: Desk,
    bench: Option<Bench>,
    /// Where `cd` has led.
    folder: PathBuf,
    /// `line: what` for each thing that is otherwise than written.
    wrong: Vec<String>,
    /// Lines of the file to exchange.
    new: Vec<((usize, usize), Vec<String>)>,
}

impl Reader {
    fn new(name: &str) -> Self {
        let desk = Desk::new(&format!("manual-{name}"));
        firmware(&desk);
        let folder = desk.0.clone();
        Self { desk, bench: None, folder, wrong: Vec::new(), new: Vec::new() }
    }

    /// Runs a script at a terminal: how it ended, and what was on the screen.
    fn types(&self, script: &str) -> (Option<i32>, String) {
        let port = self.bench.as_ref().map_or(PORT, |bench| &bench.port);
        let mut shell = environment(&self.folder, &self.desk.0);
        shell.args(["-euc", &script.replace(PORT, port)]);
        let (status, shown) = Terminal::run(&shell).answering(&QUESTIONS, PASSPHRASE);
        (status.code(), settled(&shown).replace(port, PORT))
    }

    fn succeeds(&mut self, line: usize, script: &str) {
        let (status, shown) = self.types(script);
        if status != Some(0) {
            self.wrong.push(format!("{line}: {script}ends with {status:?}: {shown}"));
        }
    }

    fn shows(&mut self, lines: &[&str], typed: &Typed) {
        if let Some(folder) = typed.command.strip_prefix("cd ") {
            let folder = if folder == "~" { self.desk.0.clone() } else { self.folder.join(folder) };
            self.folder = folder.canonicalize().unwrap();
            return;
        }
        let (status, output) = self.types(&typed.command);
        let shown = &lines[typed.shown.0..typed.shown.1];
        let mut real: Vec<&str> = output.lines().map(str::trim_end).collect();
        while real.last().is_some_and(|line| line.is_empty()) {
            real.pop();
        }
        let line = typed.shown.0;
        // An example that fails shows it.
        let said = real.iter().any(|line| line.starts_with("error: "));
        if (status == Some(0)) == said {
            self.wrong.push(format!("{line}: {} ends with {status:?}: {output}", typed.command));
        }
        if !fits(shown, &real) {
            self.wrong.push(format!("{line}: {} shows\n{}", typed.command, real.join("\n")));
            self.new.push((typed.shown, real.iter().map(|line| (*line).to_owned()).collect()));
        }
    }

    /// Exchanges a table of patchlane.toml.
    fn table(&self, table: &str) {
        let path = self.desk.path("patchlane.toml");
        let old = std::fs::read_to_string(&path).unwrap();
        let (header, _) = table.split_once('\n').unwrap();
        let (before, rest) =
            old.split_once(header).unwrap_or_else(|| panic!("patchlane.toml has no {header}"));
        let after = rest.find("\n[").map_or("", |at| &rest[at..]);
        std::fs::write(&path, format!("{before}{table}{after}")).unwrap();
    }

    /// Plugs in what `provision WORDS` makes; `soak=2` and the like are the device's nature.
    fn plug(&mut self, words: &str) {
        let (nature, words): (Vec<_>, Vec<_>) = words.split(' ').partition(|word| word.contains('='));
        let mut device = Nature { ..GRANTS };
        for word in nature {
            match word.split_once('=') {
                Some(("soak", boots)) => device.soak = boots.parse().unwrap(),
                Some(("window", "open")) => device.window = true,
                _ => panic!("{word}: unknown nature"),
            }
        }
        self.bench = None;
        let line = format!("provision {} --force -q -o factory.bin", words.join(" "));
        let out = self.desk.run(&line);
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
        self.bench = Some(Bench::again(&self.desk, device));
    }

    fn reads(&mut self, lines: &[&str], section: &Section) {
        for (line, piece) in &section.pieces {
            match piece {
                Piece::Before(script) | Piece::Script(script) => self.succeeds(*line, script),
                Piece::Console(all) => all.iter().for_each(|typed| self.shows(lines, typed)),
                Piece::Table(table) => self.table(table),
                Piece::Device(words) => self.plug(words),
                Piece::Recipe(yaml) => self.wrong.extend(pipeline(&self.desk, &recipe::jobs(yaml))),
                Piece::Text => {}
            }
        }
    }
}

/// A shell as at any desk: the command on the path, a fixed date, no colours.
fn environment(folder: &Path, home: &Path) -> Command {
    let built = Path::new(env!("CARGO_BIN_EXE_patchlane")).parent().unwrap();
    let path = format!("{}:{}", built.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.current_dir(folder).env("PATH", path).env("SOURCE_DATE_EPOCH", "1800000000").env("NO_COLOR", "1");
    shell.env("HOME", home).env("SHELL", "/bin/sh");
    shell
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

/// Runs each job in a clone of `repository`, with what the one before handed on; tells what failed. GitHub hands secrets
/// over as variables, GitLab as files.
fn pipeline(desk: &Desk, jobs: &[Job]) -> Vec<String> {
    assert!(jobs.len() >= 2, "{jobs:?}");
    let github = jobs.iter().any(|job| !job.secrets.is_empty());
    let (mut wrong, mut handed): (Vec<String>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    for job in jobs {
        let folder = desk.path(&format!("{}-{}", if github { "github" } else { "gitlab" }, job.name));
        copy(&desk.path("repository"), &folder);
        for file in &handed {
            std::fs::copy(file, folder.join(file.file_name().unwrap())).unwrap();
        }
        let pem = std::fs::read_to_string(desk.path("vault/security.pem")).unwrap();
        assert!(!job.scripts.is_empty(), "{job:?}");
        for script in &job.scripts {
            let mut shell = environment(&folder, &folder);
            shell.args(["-ec", script]).env_remove("SOURCE_DATE_EPOCH");
            if github {
                shell.env("RUNNER_TEMP", desk.path("vault")).env("GITHUB_REF_NAME", "v4.1-s9");
                for name in &job.secrets {
                    let secret = if name.ends_with("KEY") { pem.trim_end() } else { PASSPHRASE };
                    shell.env(name, secret);
                }
            } else {
                shell.env("CI_COMMIT_TAG", "v4.1-s9");
                shell.env("SECURITY_KEY", desk.path("vault/security.pem"));
                shell.env("SECURITY_PASSPHRASE", desk.path("vault/passphrase"));
            }
            let out = shell.stdin(std::process::Stdio::null()).output().unwrap();
            if !out.status.success() {
                let told = String::from_utf8_lossy(&out.stderr).into_owned();
                wrong.push(format!("{} of {folder:?}: {script} ends with {}: {told}", job.name, out.status));
            }
        }
        let all: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().flatten().map(|e| e.path()).collect();
        let named = |file: &Path, pattern: &str| {
            let name = file.file_name().unwrap().to_string_lossy();
            pattern.strip_prefix('*').map_or(name == pattern, |end| name.ends_with(end))
        };
        for pattern in &job.artifacts {
            let files: Vec<_> = all.iter().filter(|file| named(file, pattern)).cloned().collect();
            assert!(!files.is_empty(), "{pattern} names nothing: {wrong:?}");
            handed.extend(files);
        }
    }
    wrong
}

#[test]
fn every_example_of_the_manual_runs_and_shows_what_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("MANUAL.md");
    let manual = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = manual.lines().collect();
    let sections = sections(&manual);
    let unrun =
        sections.iter().flat_map(|s| &s.pieces).filter(|(_, piece)| matches!(piece, Piece::Text)).count();
    assert_eq!(unrun, 0, "blocks that aren't run");
    let only = std::env::var("SECTION").unwrap_or_default();
    let readers: Vec<Reader> = std::thread::scope(|scope| {
        let read = |section| {
            let mut reader = Reader::new(&section_name(section));
            reader.reads(&lines, section);
            reader
        };
        let chosen = sections.iter().filter(|section| section.title.contains(&only) && has_tools(section));
        let threads: Vec<_> = chosen.map(|section| scope.spawn(move || read(section))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    if std::env::var_os("UPDATE").is_some() {
        let mut new: Vec<_> = readers.iter().flat_map(|reader| reader.new.clone()).collect();
        new.sort();
        let mut text: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for ((from, to), output) in new.into_iter().rev() {
            text.splice(from..to, output);
        }
        std::fs::write(&path, text.join("\n") + "\n").unwrap();
    }
    let wrong: Vec<String> = readers.into_iter().flat_map(|reader| reader.wrong).collect();
    assert!(
        wrong.is_empty(),
        "MANUAL.md isn't true (UPDATE=1 writes down what is shown):\n{}",
        wrong.join("\n\n")
    );
}

/// Whether what a section's examples call, beside patchlane and a shell, is here.
fn has_tools(section: &Section) -> bool {
    let calls = |tool: &str| {
        section.pieces.iter().any(|(_, piece)| match piece {
            Piece::Before(text) | Piece::Script(text) | Piece::Recipe(text) => {
                text.split_whitespace().any(|word| word == tool)
            }
            _ => false,
        })
    };
    let lacks = |tool: &&str| calls(tool) && Command::new(tool).arg("--version").output().is_err();
    let missing = ["git", "jq"].into_iter().find(lacks);
    if let Some(tool) = missing {
        println!("skipped: {} needs {tool}", section.title);
    }
    missing.is_none()
}

/// For the desk's folder.
fn section_name(section: &Section) -> String {
    section.title.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// README: each line of a section's first script, with the exit code it ends with.
fn readme(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let section = sections(&text).into_iter().find(|section| section.title == name).expect("no such section");
    let script = section.pieces.into_iter().find_map(|(_, piece)| match piece {
        Piece::Script(script) => Some(script),
        _ => None,
    });
    let script = script.unwrap().replace("\\\n", "");
    // What builds the command isn't for a test that has it.
    script.lines().filter(|line| !line.starts_with("cargo ")).map(str::to_owned).collect()
}

#[test]
fn the_release_engineer_of_the_readme_gets_there() {
    let reader = Reader::new("readme");
    let lines = readme("Release engineer");
    assert!(lines.len() >= 9, "{lines:?}");
    for line in lines {
        let (status, shown) = reader.types(&line);
        assert_eq!(status, Some(0), "{line}: {shown}");
    }
}

/// The feature update is held at first; everything else is taken.
#[test]
fn the_asset_owner_of_the_readme_gets_there() {
    let mut reader = Reader::new("owner");
    for line in readme("Release engineer").iter().filter(|line| !line.contains("simulate")) {
        assert_eq!(reader.types(line).0, Some(0), "{line}");
    }
    assert_eq!(reader.types("patchlane key new owner.pem").0, Some(0));
    let policies = "--security-policy apply-in-window --feature-policy owner-key";
    reader.plug(&format!("first.plb --development --owner-key owner.pub {policies} soak=1 window=open"));
    let lines = readme("Asset owner");
    let held = lines.iter().position(|line| line.contains("held until")).expect("nothing is held");
    assert!(lines.len() >= 8, "{lines:?}");
    for (number, line) in lines.iter().enumerate() {
        let (status, shown) = reader.types(line);
        if line.contains("reboot") && number < held {
            // The patch soaks for one boot; on a device that soaks longer, `push` says to wait or to keep it.
            assert_eq!(reader.types(line).0, Some(0), "{line}");
        }
        let wanted = i32::from(number == held);
        assert_eq!(status, Some(wanted), "{line}: {shown}");
        assert!(number != held || shown.contains("is held until it is approved"), "{shown}");
    }
}
