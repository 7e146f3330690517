//! `cargo xtask bench host`: this command line against MCUboot's imgtool, on the same machine in the same minutes.
//!
//! Both are whole processes, as a release script starts them. Medians say what one waits; a machine's other work only
//! adds, so the least is nearest to what the work itself takes.

use crate::run::{cargo, run};
use crate::toolchain::root;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The version that is measured against (PyPI).
const IMGTOOL: &str = "imgtool==2.5.0";
/// Runs of each command.
pub(crate) const RUNS: usize = 15;
/// Images, in MiB.
const SIZES: [usize; 2] = [1, 16];

/// What is measured: a command in a folder, and what it has to be given back before it runs again.
struct Case<'a> {
    program: &'a Path,
    arguments: String,
    restore: Option<(PathBuf, PathBuf)>,
}

impl Case<'_> {
    fn once(&self, folder: &Path) -> Result<Duration, String> {
        if let Some((from, to)) = &self.restore {
            fs::copy(from, to).map_err(|e| format!("{}: {e}", to.display()))?;
        }
        let mut command = Command::new(self.program);
        command.current_dir(folder).args(self.arguments.split_whitespace());
        command.env("SOURCE_DATE_EPOCH", "1800000000").stdout(Stdio::null()).stderr(Stdio::piped());
        let begun = Instant::now();
        let out = command.output().map_err(|e| format!("{}: {e}", self.program.display()))?;
        let took = begun.elapsed();
        if out.status.success() {
            return Ok(took);
        }
        Err(format!(
            "`{}` ended with {}: {}",
            self.arguments,
            out.status,
            String::from_utf8_lossy(&out.stderr)
        ))
    }
}

/// The middle one and the least of all runs, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) median: f64,
    pub(crate) least: f64,
}

/// The first run fills caches and doesn't count.
pub(crate) fn times(mut once: impl FnMut() -> Result<Duration, String>) -> Result<Times, String> {
    once()?;
    let mut all = (0..RUNS).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
    all.sort();
    let at = |index: usize| all.get(index).map_or(0.0, Duration::as_secs_f64) * 1e3;
    Ok(Times { median: at(RUNS / 2), least: at(0) })
}

/// imgtool in a virtual environment of its own. `None`, with the reason said, where it can't be had.
fn imgtool() -> Option<PathBuf> {
    let venv = root().join("target/imgtool");
    let program = venv.join("bin/imgtool");
    let said = |program: &Path| {
        let out = Command::new(program).arg("version").output().ok()?;
        Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let wanted = IMGTOOL.rsplit('=').next();
    if said(&program).as_deref() != wanted {
        println!("Installing {IMGTOOL} from PyPI into {}.", venv.display());
        let made = run(Command::new("python3").args(["-m", "venv"]).arg(&venv))
            .and_then(|()| run(Command::new(venv.join("bin/pip")).args(["install", "--quiet", IMGTOOL])));
        if let Err(problem) = made {
            println!("imgtool can't be had here, so there is nothing to compare with: {problem}");
            return None;
        }
    }
    said(&program).filter(|said| Some(said.as_str()) == wanted).map(|_| program)
}

/// Bytes without a pattern, the same every time (SplitMix64).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0u64;
    let mut word = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    };
    (0..length / 8).flat_map(|_| word()).collect()
}

/// A product whose slot has room for 16 MiB, with unsigned and signed bundles; and imgtool's key and signed images.
fn prepare(ours: &Path, theirs: Option<&Path>, folder: &Path) -> Result<(), String> {
    let io = |e: std::io::Error| format!("{}: {e}", folder.display());
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(io)?;
    let quietly = |program: &Path, line: String| {
        Case { program, arguments: line, restore: None }.once(folder).map(|_| ())
    };
    quietly(ours, "init".into())?;
    let toml = fs::read_to_string(folder.join("patchlane.toml")).map_err(io)?;
    let toml = toml
        .replace("size = 0x20000 }", "size = 0x1100000 }")
        .replace("0x40000, size = 0x21000", "0x1120000, size = 0x1101000");
    fs::write(folder.join("patchlane.toml"), toml).map_err(io)?;
    if let Some(theirs) = theirs {
        quietly(theirs, "keygen -k key.pem -t ed25519".into())?;
    }
    for mib in SIZES {
        fs::write(folder.join(format!("{mib}.bin")), noise(mib << 20)).map_err(io)?;
        quietly(ours, format!("build security --baseline 1.0 --level {mib} --image {mib}.bin -o {mib}.plb"))?;
        quietly(ours, format!("sign {mib}.plb -o {mib}-signed.plb"))?;
        if let Some(theirs) = theirs {
            quietly(theirs, imgtool_sign(mib))?;
        }
    }
    Ok(())
}

fn imgtool_sign(mib: usize) -> String {
    format!(
        "sign --key key.pem --align 4 --version 1.0.0 --header-size 0x200 --pad-header --slot-size 0x1200000 \
         {mib}.bin {mib}.signed"
    )
}

/// Name, ours, theirs.
type Row = (String, Times, Option<Times>);

fn rows(ours: &Path, theirs: Option<&Path>, folder: &Path) -> Result<Vec<Row>, String> {
    let time = |program: &Path, arguments: String, restore| {
        let case = Case { program, arguments, restore };
        times(|| case.once(folder))
    };
    let other = |arguments: String| theirs.map(|theirs| time(theirs, arguments, None)).transpose();
    let mut rows =
        vec![("start: --version".into(), time(ours, "--version".into(), None)?, other("version".into())?)];
    for mib in SIZES {
        let path = |name: String| folder.join(name);
        let read = times(|| {
            let begun = Instant::now();
            fs::read(path(format!("{mib}-signed.plb"))).map_err(|e| e.to_string())?;
            Ok(begun.elapsed())
        })?;
        rows.push((format!("{mib:2} MiB: read the file, in one process"), read, None));
        let again = (path(format!("{mib}.plb")), path("work.plb".into()));
        let signed = time(ours, "sign work.plb".into(), Some(again))?;
        rows.push((
            format!("{mib:2} MiB: sign, and verify what was signed"),
            signed,
            other(imgtool_sign(mib))?,
        ));
        let synced = times(|| synced(&path(format!("{mib}.plb")), &path("synced".into())))?;
        rows.push((format!("{mib:2} MiB: of which write and fsync take about"), synced, None));
        let verify = other(format!("verify --key key.pem {mib}.signed"))?;
        rows.push((
            format!("{mib:2} MiB: verify"),
            time(ours, format!("verify {mib}-signed.plb"), None)?,
            verify,
        ));
    }
    Ok(rows)
}

/// What the promise that a file is whole or absent costs: the same bytes, written and synced.
fn synced(from: &Path, to: &Path) -> Result<Duration, String> {
    let bytes = fs::read(from).map_err(|e| e.to_string())?;
    let begun = Instant::now();
    let mut file = fs::File::create(to).map_err(|e| e.to_string())?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(|e| e.to_string())?;
    Ok(begun.elapsed())
}

pub(crate) fn host() -> Result<(), String> {
    run(&mut cargo(&["build", "--quiet", "--release", "-p", "patchlane"]))?;
    let ours = root().join("target/release/patchlane");
    let (theirs, folder) = (imgtool(), root().join("target/bench-host"));
    prepare(&ours, theirs.as_deref(), &folder)?;
    let rows = rows(&ours, theirs.as_deref(), &folder);
    let _ = fs::remove_dir_all(&folder);
    println!(
        "{RUNS} runs each, in milliseconds. imgtool signs Ed25519 without verifying, and verifies hash and signature.\n"
    );
    println!("{:<44}  {:^17}  {:^17}", "", "patchlane", "imgtool");
    println!("{:<44}  {:>8} {:>8}  {:>8} {:>8}  medians' ratio", "", "median", "least", "median", "least");
    for (name, ours, theirs) in rows? {
        let two = |times: Times| format!("{:>8.1} {:>8.1}", times.median, times.least);
        let theirs =
            theirs.map_or(String::new(), |t| format!("  {}  {:>13.1}x", two(t), t.median / ours.median));
        println!("{name:<44}  {}{theirs}", two(ours));
    }
    Ok(())
}
