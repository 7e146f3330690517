//! Builds the copy with all mutants in it, and lets tests meet them one by one.

use super::list::Mutant;
use super::weave::{mutant_at, weave};
use crate::broken::{self, Changed, LIBRARY, cargo, programs, root, source};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Test binaries that may catch one, besides the device's own.
const BINARIES: [&str; 20] = [
    "asked",
    "failing",
    "journal",
    "rules",
    "redteam",
    "model2",
    "threats",
    "threats_rest",
    "threats_signed",
    "defects",
    "rot",
    "delta",
    "direct",
    "direct_rules",
    "drivers",
    "fuzz",
    "model",
    "power",
    "scenarios",
    "walk",
];
/// A test that takes longer when nothing is broken isn't asked: its quicker relatives are.
const LONGEST: Duration = Duration::from_secs(60);
/// Memory of a test, in KiB: a device that runs on for ever writes a log of it.
const MEMORY: u32 = 3_000_000;
/// How one is switched on; `trace:FILE` notes which are met.
const SWITCH: &str = r#"
extern crate std;

/// True if this mutant is on.
pub fn on(mutant: u32) -> bool {
    use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
    static NOW: AtomicU32 = AtomicU32::new(u32::MAX);
    static MET: [AtomicBool; 4096] = [const { AtomicBool::new(false) }; 4096];
    static TRACE: std::sync::OnceLock<std::string::String> = std::sync::OnceLock::new();
    let mut now = NOW.load(Relaxed);
    if now == u32::MAX {
        let asked = std::env::var("PATCHLANE_MUTANT").unwrap_or_default();
        now = asked.parse().unwrap_or(u32::MAX - 1);
        if let Some(file) = asked.strip_prefix("trace:") {
            let _ = TRACE.set(file.into());
        }
        NOW.store(now, Relaxed);
    }
    if now == u32::MAX - 1 && !MET[mutant as usize].swap(true, Relaxed) {
        if let Some(file) = TRACE.get() {
            use std::io::Write;
            let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
            let _ = file.and_then(|mut file| file.write_all(std::format!("{mutant}\n").as_bytes()));
        }
    }
    now == mutant
}
"#;

/// The copy: where it is, and which mutants can't be in it since the compiler refuses them.
pub struct Copy {
    folder: PathBuf,
    /// Mutants that don't compile.
    pub unviable: BTreeSet<usize>,
}

/// The device's sources with these mutants in them.
fn woven(all: &[Mutant], chosen: &BTreeSet<usize>) -> Result<(Changed, BTreeSet<usize>), String> {
    let (mut changed, mut never) = (Changed::new(), BTreeSet::new());
    let files: BTreeSet<&str> = chosen.iter().map(|n| all[*n].file.as_str()).collect();
    for file in files {
        let of = chosen.iter().copied().filter(|n| all[*n].file == file).collect();
        let (text, not) = weave(&source(file)?, all, &of).map_err(|e| format!("{file}: {e}"))?;
        never.extend(not);
        changed.insert(file.into(), text);
    }
    changed.insert(LIBRARY.into(), source(LIBRARY)? + SWITCH);
    Ok((changed, never))
}

/// Which mutants the compiler refuses; an error elsewhere is ours.
fn refused(messages: &str, changed: &Changed) -> Result<BTreeSet<usize>, String> {
    let mut refused = BTreeSet::new();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let message = &message["message"];
        let spans = message["spans"].as_array().map_or(&[][..], |spans| &spans[..]);
        if message["level"] != "error" || spans.is_empty() {
            continue;
        }
        let mutant = |span: &Value| {
            let text = changed.get(Path::new(span["file_name"].as_str()?))?;
            mutant_at(text, usize::try_from(span["byte_start"].as_u64()?).ok()?)
        };
        let primary = spans.iter().filter(|span| span["is_primary"] == true);
        match primary.chain(spans).find_map(mutant) {
            Some(mutant) => refused.insert(mutant),
            None => return Err(format!("the woven device doesn't compile:\n{}", message["rendered"])),
        };
    }
    Ok(refused)
}

impl Copy {
    /// Weaves all mutants, and takes out those that don't compile until the rest does.
    ///
    /// # Errors
    /// What the compiler says of the rest.
    pub fn make(all: &[Mutant]) -> Result<Self, String> {
        let mut chosen: BTreeSet<usize> = (0..all.len()).filter(|n| !all[*n].constant).collect();
        let mut unviable = BTreeSet::new();
        loop {
            let (changed, never) = woven(all, &chosen)?;
            unviable.extend(never);
            // In a copy of its own: the tests' copy is written when all is known, so that what is the same isn't built anew.
            let folder = broken::copy("mutants-check", &changed)?;
            let mut check = cargo(&folder);
            check.args(["check", "--quiet", "--message-format", "json", "-p", "patchlane-device"]);
            check.args(["--features", "delta"]).env("CARGO_TARGET_DIR", root().join("target"));
            let out = check.output().map_err(|e| e.to_string())?;
            if out.status.success() {
                return Ok(Self { folder: broken::copy("mutants", &changed)?, unviable });
            }
            let refused = refused(&String::from_utf8_lossy(&out.stdout), &changed)?;
            if refused.is_empty() {
                let said = String::from_utf8_lossy(&out.stderr).into_owned();
                return Err(format!("the copy doesn't build:\n{said}"));
            }
            println!("{} don't compile", refused.len());
            chosen.retain(|n| !refused.contains(n));
            unviable.extend(refused);
        }
    }

    /// Builds the tests.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn tests(&self) -> Result<Vec<Test>, String> {
        let names = BINARIES.iter().flat_map(|name| ["--test", *name]);
        let packages = ["-p", "patchlane-device", "-p", "patchlane-tests", "--lib"];
        let arguments: Vec<&str> = packages.into_iter().chain(names).collect();
        let mut tests = Vec::new();
        for program in programs(&self.folder, &root().join("target"), &arguments)? {
            let listed = Command::new(&program).arg("--list").output().map_err(|e| e.to_string())?;
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
            tests.extend(names.map(|name| Test::new(name, &program, &self.folder.join("tests"))));
        }
        Ok(tests)
    }
}

/// One test.
#[derive(Debug, Clone)]
pub struct Test {
    /// Its name.
    pub name: String,
    program: PathBuf,
    folder: PathBuf,
    /// How long it takes if nothing is broken.
    pub takes: Duration,
    /// The mutants it meets.
    pub meets: BTreeSet<usize>,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It ran on, and was stopped.
    RanOn,
}

fn wait(child: &mut Child, most: Duration) -> Result<End, String> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok(if status.success() { End::Passed } else { End::Failed });
        }
        if begun.elapsed() > most {
            child.kill().and_then(|()| child.wait()).map_err(|e| e.to_string())?;
            return Ok(End::RanOn);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

impl Test {
    fn new(name: &str, program: &Path, folder: &Path) -> Self {
        let (name, program, folder) = (name.to_owned(), program.to_owned(), folder.to_owned());
        Self { name, program, folder, takes: Duration::ZERO, meets: BTreeSet::new() }
    }

    /// Runs it with the switch like this.
    fn run(&self, switch: &str, most: Duration) -> Result<End, String> {
        // The shell becomes the test, so it is the test that is stopped.
        let limited = format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"");
        let mut test = Command::new("sh");
        test.arg("-c").arg(limited).arg(&self.program).args(["--exact", &self.name]);
        test.current_dir(&self.folder).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        test.env("PATCHLANE_MUTANT", switch).env("PATCHLANE_MODEL", "invariants").env("RUST_BACKTRACE", "0");
        let mut child = test.spawn().map_err(|e| format!("{}: {e}", self.name))?;
        wait(&mut child, most)
    }

    /// Runs it with nothing broken, and notes what it meets.
    ///
    /// # Errors
    /// It fails.
    pub fn measure(&mut self, note: &Path) -> Result<bool, String> {
        let _ = fs::remove_file(note);
        let begun = Instant::now();
        let end = self.run(&format!("trace:{}", note.display()), LONGEST)?;
        self.takes = begun.elapsed();
        let met = fs::read_to_string(note).unwrap_or_default();
        self.meets = met.lines().filter_map(|line| line.parse().ok()).collect();
        match end {
            End::Passed => Ok(true),
            End::RanOn => Ok(false),
            End::Failed => Err(format!("{} fails with nothing broken", self.name)),
        }
    }
}

/// What became of a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// This test failed.
    Caught(String),
    /// This test ran on.
    RanOn(String),
    /// No test minded.
    Survived,
    /// No test ever came there.
    Unmet,
    /// It is in a constant, so it can't be switched on.
    Constant,
}

/// Tests that already caught something are asked first.
pub type Kills = BTreeMap<String, u32>;

/// Lets all tests that meet a mutant meet it until one minds; those first that are quick or have caught much.
///
/// # Errors
/// A test doesn't start.
pub fn judge(mutant: usize, tests: &[Test], kills: &Kills) -> Result<Fate, String> {
    let mut asked: Vec<&Test> = tests.iter().filter(|test| test.meets.contains(&mutant)).collect();
    if asked.is_empty() {
        return Ok(Fate::Unmet);
    }
    let cost = |test: &Test| {
        let takes = test.takes.as_millis().max(1);
        takes / u128::from(kills.get(&test.name).copied().unwrap_or(0) + 1)
    };
    asked.sort_by_key(|test| cost(test));
    for test in asked {
        let most = test.takes * 10 + Duration::from_secs(20);
        match test.run(&mutant.to_string(), most)? {
            End::Passed => {}
            End::Failed => return Ok(Fate::Caught(test.name.clone())),
            End::RanOn => return Ok(Fate::RanOn(test.name.clone())),
        }
    }
    Ok(Fate::Survived)
}
