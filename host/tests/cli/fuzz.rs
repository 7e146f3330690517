//! Every verb on damaged files: it ends by itself with a documented exit code, in bounded memory, and writes nothing
//! but what it says.
//!
//! Seeded: a failure prints the seed that repeats it. `PATCHLANE_FUZZ_SECONDS` makes it run longer (12 by default),
//! `PATCHLANE_FUZZ_SEED` starts elsewhere.

use super::desk::{Desk, listing};
use super::layout::cortex_m;
use super::schema;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// SplitMix64, Steele, Lea and Flood 2014: every seed gives another sequence.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(super) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Numbers that parsers trip over.
const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_0000,
    0xffff_fff0,
    0xffff_ffff,
    u64::MAX,
];
/// Words that stand where numbers and paths stand in text.
const WORDS: [&str; 12] = [
    "0",
    "-1",
    "0x0",
    "4294967295",
    "4294967296",
    "99999999999999999999",
    "\"\"",
    "[]",
    "{}",
    "\"../../../etc/passwd\"",
    "\"/dev/null\"",
    "true",
];

/// Damages a file: bits, numbers, lengths, pieces of itself, words of its text.
pub(super) fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            bytes.push(random.next() as u8);
        }
        // Heads hold what decides; half of the damage goes there.
        let reach = if random.below(2) == 0 { bytes.len() } else { bytes.len().min(512) };
        let at = random.below(reach);
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => {
                let width = 1 << random.below(4);
                let number = random.of(&NUMBERS).to_le_bytes();
                let end = bytes.len().min(at + width);
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            4 => {
                let piece = bytes[at..bytes.len().min(at + 1 + random.below(64))].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            5 => {
                let end = bytes.len().min(at + 1 + random.below(64));
                bytes.drain(at..end);
            }
            6 => words(bytes, random),
            _ => bytes.extend((0..random.below(40)).map(|_| random.next() as u8)),
        }
    }
}

/// Puts a word in the place of one.
fn words(bytes: &mut Vec<u8>, random: &mut Random) {
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'"' | b'/' | b'.' | b'_' | b'-');
    let starts: Vec<usize> =
        (1..bytes.len().min(4000)).filter(|i| is_word(&bytes[*i]) && !is_word(&bytes[i - 1])).collect();
    if starts.is_empty() {
        return;
    }
    let at = *random.of(&starts);
    let end = at + bytes[at..].iter().take_while(|b| is_word(b)).count();
    bytes.splice(at..end, random.of(&WORDS).bytes());
}

/// An ELF file for Arm with a few segments, some of them strange.
fn elf(random: &mut Random) -> Vec<u8> {
    let count = *random.of(&[0usize, 1, 2, 3, 40, 2000]);
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2, 0, *random.of(&[40, 243, 3]), 0]);
    for word in [1u32, 0x0802_0001, 52, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [52, 32, count as u16, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut at = 0x0802_0000u32;
    for _ in 0..count {
        let strange = random.below(3) == 0;
        let pick = |random: &mut Random, plain: u32| {
            if strange { *random.of(&NUMBERS) as u32 } else { plain }
        };
        let size = random.below(3000) as u32;
        let words = [1, pick(random, 52), at, pick(random, at), pick(random, size), size, 5, 4];
        file.extend(words.into_iter().flat_map(u32::to_le_bytes));
        at = at.wrapping_add(*random.of(&[size, size + 64, 0, 0x0100_0000]));
    }
    file.resize(file.len() + 4096, 0x5a);
    file
}

/// Intel HEX with right checksums and strange addresses.
fn hex(random: &mut Random) -> Vec<u8> {
    let mut text = String::new();
    let mut record = |kind: u8, address: u16, data: &[u8]| {
        let mut bytes = vec![data.len() as u8];
        bytes.extend(address.to_be_bytes());
        bytes.push(kind);
        bytes.extend(data);
        bytes.push(bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte)));
        text.push(':');
        text.extend(bytes.iter().map(|byte| format!("{byte:02x}")));
        text.push('\n');
    };
    for _ in 0..random.below(300) {
        let upper = (random.next() as u16).to_be_bytes();
        match random.below(8) {
            0 => record(4, 0, random.of::<[u8; 2]>(&[[0xff, 0xff], [0, 0], [8, 2], upper])),
            1 => record(2, 0, random.of::<[u8; 2]>(&[[0xff, 0xff], [0, 0], upper])),
            2 => record(*random.of(&[3, 5, 6, 1]), 0, &[0; 4]),
            _ => {
                let anywhere = random.next() as u16;
                let address = *random.of(&[0, 16, 0xfff0, 0xffff, anywhere]);
                let data = vec![random.next() as u8; random.below(256)];
                record(0, address, &data);
            }
        }
    }
    record(1, 0, &[]);
    text.into_bytes()
}

/// A configuration whose slots fit each other, wherever they lie and however large they are.
fn toml(desk: &Desk, random: &mut Random) -> Vec<u8> {
    let text = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let head = text.split("[flash]").next().unwrap_or_default();
    let erase = *random.of(&[1u64, 32, 4096, 0x2_0000, 0x1000_0000]);
    let size = erase * *random.of(&[1u64, 3, 32, 1000, 0x7_ffff, 0xf_0000]);
    let mut at = *random.of(&[0u64, 4096, 0x8000_0000]);
    let mut place = |size: u64| {
        let offset = at;
        at += size + *random.of(&[0u64, 0x1000, 0x4000_0000]);
        format!("{{ offset = {offset}, size = {size} }}")
    };
    let (state, primary, secondary) = (place(erase * 64), place(size), place(size + erase));
    let sizes = format!("write_size = 1\nerase_size = {erase}\nstate = {state}\nprimary = {primary}\n");
    format!("{head}[flash]\n{sizes}secondary = {secondary}\n").into_bytes()
}

/// A saved status whose report is damaged, not its JSON.
fn status(desk: &Desk, random: &mut Random) -> Vec<u8> {
    let text = std::fs::read_to_string(desk.path("status.json")).unwrap();
    let hex = text.split('"').nth(3).unwrap();
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let mut bytes: Vec<u8> = (0..hex.len()).step_by(2).map(pair).collect();
    // One byte is often enough to make another status of it; more make it none.
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        bytes[at] = random.next() as u8;
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{\"report\": \"{hex}\"}}").into_bytes()
}

/// Every verb that reads a file, with the damaged file as `@`; and the files that it is made from.
const LINES: [(&str, &[&str]); 45] = [
    ("inspect @", &["b.plb", "f.plb", "l.plb"]),
    ("verify @", &["b.plb", "f.plb", "l.plb"]),
    ("sign @", &["u.plb", "b.plb", "f.plb"]),
    ("sign @ --partial -o out", &["u.plb", "f.plb"]),
    ("provision @ -o out --format bin --development", &["b.plb", "f.plb"]),
    ("simulate @ b.plb --development", &["a.plb"]),
    ("simulate a.plb @ --development --approve", &["b.plb", "f.plb", "l.plb"]),
    ("extract @ -o out", &["b.plb", "f.plb", "l.plb"]),
    ("extract @ -o out --manifest out.m --unverified", &["u.plb", "b.plb", "f.plb"]),
    ("extract l.plb -o out --root @", &["trust/root-1.plr"]),
    ("diff @ b.plb", &["a.plb", "f.plb", "u.plb"]),
    ("diff a.plb @", &["b.plb", "f.plb", "l.plb"]),
    ("diff @ --status status.json", &["b.plb", "f.plb", "l.plb"]),
    ("diff b.plb --status @", &["status.json", "fw.status"]),
    ("diff f.plb --status @", &["fw.status"]),
    ("diff l.plb --status @ --address 0x08020000", &["fw.status"]),
    ("diff b.plb --status status.json --root @", &["trust/root-1.plr"]),
    ("diff b.plb --status status.json --config @", &["patchlane.toml", "fw.toml"]),
    ("layout --config @", &["patchlane.toml", "board.toml", "fw.toml"]),
    ("layout --emit memory-x -o out --config @", &["board.toml", "board.toml", "fw.toml"]),
    ("layout --emit boot-memory-x -o out --config @", &["board.toml", "fw.toml"]),
    ("layout --emit c-header -o out --config @", &["board.toml", "fw.toml"]),
    ("layout --emit zephyr-dts -o out --config @", &["board.toml", "fw.toml"]),
    ("layout --emit rust -o out --config @", &["board.toml", "fw.toml"]),
    ("layout --image @ --config board.toml", &["fw.elf", "fw.hex", "board.hex"]),
    ("layout --bootloader @ --config board.toml", &["fw.elf", "fw.hex", "boot.hex"]),
    (
        "provision h.plb -o out --format hex --development --config board.toml --bootloader @",
        &["fw.elf", "fw.hex", "boot.hex"],
    ),
    ("provision @ -o out --format hex --development --config board.toml", &["h.plb"]),
    ("provision h.plb -o out --format bin --development --config @", &["board.toml"]),
    (
        "key import @ -o out.pem --new-passphrase-env SECRET",
        &["trust/development-security.pem", "locked.pem"],
    ),
    ("key passwd @ --new-passphrase-env SECRET", &["trust/development-security.pem", "locked.pem"]),
    ("provision a.plb -o out --format hex --development --owner-key @", &["locked.pub"]),
    ("device push @ --port nowhere", &["b.plb"]),
    ("device approve @ --port nowhere", &["f.plb"]),
    ("verify b.plb --root @", &["trust/root-1.plr"]),
    ("root show @", &["trust/root-1.plr"]),
    ("build security --baseline 4.1 --level 9 --image a.bin -o out --link @", &["trust/root-1.plr"]),
    (
        "sign u.plb -o out --key @",
        &["trust/development-security.pem", "locked.pem", "trust/development-security.pub"],
    ),
    ("key show @", &["trust/development-root.pub", "trust/development-root.pem", "locked.pem"]),
    (
        "root new -o out --root @ --security locked.pub --feature trust/development-feature.pub --sign locked.pem",
        &["trust/development-root.pub"],
    ),
    (
        "build feature --baseline 5.1 --level 9 --image a.bin -o out --config @",
        &["patchlane.toml", "board.toml", "fw.toml"],
    ),
    (
        "provision a.plb -o out --format bin --development --config @",
        &["patchlane.toml", "board.toml", "fw.toml"],
    ),
    ("simulate a.plb --development --config @", &["patchlane.toml", "fw.toml"]),
    ("build security --baseline 4.1 --level 9 -o out --image @", &["fw.elf", "fw.hex", "a.bin"]),
    (
        "build security --baseline 4.1 --level 9 -o out --image @ --config board.toml",
        &["fw.elf", "fw.hex", "a.bin"],
    ),
];

/// Memory that a command may use, in bytes: firmware here has some kilobytes, scrypt takes 16 MiB.
const MEMORY: u64 = 640 << 20;

fn desk() -> Desk {
    let desk = Desk::signed("fuzz");
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o u.plb");
    desk.ok("build feature --baseline 5.0 --level 9 --image b.bin -o f.plb");
    desk.ok("sign f.plb");
    desk.ok("build security --baseline 4.1 --level 8 --image b.bin --link trust/root-1.plr -o l.plb");
    desk.ok("sign l.plb");
    desk.ok("key new locked.pem --passphrase-env SECRET");
    desk.save_status("status.json");
    desk.ok("init board --board stm32f407 --vendor example.com --class pump");
    let toml = std::fs::read_to_string(desk.path("board/patchlane.toml")).unwrap();
    std::fs::write(desk.path("board.toml"), toml).unwrap();
    std::fs::remove_dir_all(desk.path("board")).unwrap();
    for (name, address) in [("board.hex", 0x0802_0000), ("boot.hex", 0x0800_0000)] {
        let image = cortex_m(address, 0, 0x2002_0000, 5000);
        std::fs::write(desk.path(name), patchlane::image::to_hex(&[(address, &image)])).unwrap();
    }
    desk.ok("build feature --baseline 1.0 --level 1 --image board.hex -o h.plb --config board.toml");
    desk.ok("sign h.plb --config board.toml");
    desk
}

/// One damaged file, under one command.
fn source(desk: &Desk, from: &str, random: &mut Random) -> Vec<u8> {
    let mut bytes = match from {
        "fw.elf" => elf(random),
        "fw.hex" => hex(random),
        "fw.toml" => toml(desk, random),
        "fw.status" => status(desk, random),
        _ => std::fs::read(desk.path(from)).unwrap(),
    };
    // What is made strange needs no damage on top of it.
    if !from.starts_with("fw.") || random.below(2) == 0 {
        mutate(&mut bytes, random);
    }
    bytes
}

/// The command, in bounded memory where that can be asked for.
fn bounded(desk: &Desk, line: &str) -> Command {
    let program = env!("CARGO_BIN_EXE_patchlane");
    let mut command = if cfg!(target_os = "linux") {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -v {}; exec \"$0\" \"$@\"", MEMORY >> 10), program]);
        shell
    } else {
        Command::new(program)
    };
    command.current_dir(&desk.0).env("SOURCE_DATE_EPOCH", "1800000000").env("SECRET", "correct horse");
    command.args(line.split_whitespace()).args(["--json", "--no-input", "--passphrase-env", "SECRET"]);
    command.stdin(Stdio::null());
    command
}

/// True for what a command makes: `out`, and what goes beside it.
fn is_out(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("out"))
}

/// Every file but the damaged one, and what was made.
fn others(desk: &Desk, but: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let but = desk.path(but);
    listing(&desk.0).into_iter().filter(|(path, _)| *path != but && !is_out(path)).collect()
}

/// Which command, and how it ended.
fn one(desk: &Desk, seed: u64) -> (usize, i32) {
    let mut random = Random(seed);
    let number = random.below(LINES.len());
    let (line, sources) = LINES[number];
    let from = *random.of(sources);
    let name = if from == "fw.hex" { "in.hex" } else { "in" };
    let (given, line) = (source(desk, from, &mut random), line.replace('@', name));
    std::fs::write(desk.path(name), &given).unwrap();
    let (before, begun) = (others(desk, name), Instant::now());
    let out = bounded(desk, &line).output().unwrap();
    let took = begun.elapsed();
    let told = String::from_utf8_lossy(&out.stderr);
    let again = format!("PATCHLANE_FUZZ_SEED={seed} ({line}, made from {from}): {:?}: {told}", out.status);
    let code = out.status.code().unwrap_or_else(|| panic!("killed: {again}"));
    assert!(matches!(code, 0..=4), "exit code: {again}");
    assert!(took < Duration::from_secs(20), "{took:?}: {again}");
    let value: serde_json::Value =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {again}"));
    assert_eq!(value["ok"], code == 0, "{again}");
    let name_of = if code == 0 { schema::name_of(&line) } else { schema::failure_of(&value).to_owned() };
    assert_eq!(schema::violations(&name_of, &value), [""; 0], "{again}");
    assert!(others(desk, name) == before, "it changed a file that isn't its own: {again}");
    let made: Vec<PathBuf> =
        listing(&desk.0).into_iter().map(|(path, _)| path).filter(|path| is_out(path)).collect();
    assert!(code == 0 || made.is_empty(), "it failed, and left a file: {again}");
    let changes = [format!("sign {name}"), format!("key passwd {name} --new-passphrase-env SECRET")];
    let signed = code == 0 && changes.contains(&line);
    assert!(signed || std::fs::read(desk.path(name)).unwrap() == given, "it changed its input: {again}");
    made.iter().for_each(|path| drop(std::fs::remove_file(path)));
    let _ = std::fs::remove_file(desk.path(name));
    (number, code)
}

#[test]
fn damaged_files_never_end_a_command_badly() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("PATCHLANE_FUZZ_SECONDS").unwrap_or(12);
    let first = number("PATCHLANE_FUZZ_SEED").unwrap_or(1);
    let (desk, begun) = (desk(), Instant::now());
    let (mut seed, mut met) = (first, BTreeSet::new());
    while begun.elapsed() < Duration::from_secs(seconds) {
        met.insert(one(&desk, seed));
        seed += 1;
    }
    println!("{} commands, {} kinds of endings", seed - first, met.len());
    let lines: BTreeSet<_> = met.iter().map(|(line, _)| line).collect();
    assert!(lines.len() * 2 > LINES.len(), "too few commands were run: {}", seed - first);
    assert!(met.iter().any(|(_, code)| *code == 0) && met.iter().any(|(_, code)| *code == 3));
}
