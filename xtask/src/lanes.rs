//! Parts of a test run side by side: one lane builds in the workspace's folder, the other in folders of its own, so that
//! neither waits for cargo's lock on the other's. Each part is this program once more, whose words are kept until it ends.

use crate::run::run;
use crate::toolchain::root;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

/// Where a part builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// In the workspace's own folder.
    Ours,
    /// Elsewhere: for other targets, by other compilers; or it runs what has been built.
    Other,
}

/// Its lane, its name, and what it does.
pub(crate) type Part = (Lane, &'static str, fn() -> Result<(), String>);

/// As many lines of a part that failed are shown at the end.
const LAST: usize = 30;

/// One part, by `program`; what it says is shown as a whole, for another may speak at the same time.
fn play(program: &Path, log: &Path, name: &str, screen: &Mutex<()>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", log.display());
    println!("--- {name} has begun");
    let begun = Instant::now();
    let said = std::fs::File::create(log).map_err(failed)?;
    let mut one = Command::new(program);
    one.args(["test", name]).stdout(said.try_clone().map_err(failed)?).stderr(said);
    let result = run(&mut one);
    let said = std::fs::read(log).map_err(failed)?;
    let seconds = begun.elapsed().as_secs();
    let _screen = screen.lock().map_err(|e| e.to_string())?;
    println!("\n=== {name}\n{}", String::from_utf8_lossy(&said).trim_end());
    println!("=== {name}: {} in {seconds} s", if result.is_ok() { "ok" } else { "FAILED" });
    // Once more when all is over: what was said here is far up by then.
    result.map_err(|_| format!("{name}; the end of {}:\n{}", log.display(), end_of(log)))
}

/// All parts of a lane, one after the other; what failed.
fn along(parts: &[Part], lane: Lane, program: &Path, screen: &Mutex<()>) -> Vec<String> {
    let of = parts.iter().enumerate().filter(|(_, part)| part.0 == lane);
    let log = |number: usize| program.with_file_name(format!("{:02}.log", number + 1));
    of.filter_map(|(number, (_, name, _))| play(program, &log(number), name, screen).err()).collect()
}

/// A copy of this program: cargo may replace the original meanwhile.
fn copy() -> Result<PathBuf, String> {
    let folder = root().join("target/parts");
    let program = folder.join(format!("xtask{}", std::env::consts::EXE_SUFFIX));
    let original = std::env::current_exe().map_err(|e| format!("where is xtask? {e}"))?;
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::copy(original, &program))
        .map_err(|e| format!("{}: {e}", program.display()))?;
    Ok(program)
}

/// The last lines of what a part said.
fn end_of(log: &Path) -> String {
    let said = std::fs::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.trim_end().lines().collect();
    lines.get(lines.len().saturating_sub(LAST)..).unwrap_or_default().join("\n")
}

/// Both lanes at once, after what may have `failed` already.
pub(crate) fn go(parts: &[Part], failed: Option<String>) -> Result<(), String> {
    let (program, screen) = (copy()?, Mutex::new(()));
    let mut failed: Vec<String> = failed.into_iter().collect();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| along(parts, Lane::Other, &program, &screen));
        failed.extend(along(parts, Lane::Ours, &program, &screen));
        failed.extend(other.join().unwrap_or_else(|_| vec!["a lane ended early".into()]));
    });
    // One more: the machine.
    let count = parts.len() + 1;
    if failed.is_empty() {
        println!("\nall {count} parts passed");
        Ok(())
    } else {
        Err(format!("{} of {count} parts failed:\n{}", failed.len(), failed.join("\n")))
    }
}
