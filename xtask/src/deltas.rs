//! `cargo xtask bench deltas`: our deltas against bsdiff's and detools', on real firmware, in the same run.

use crate::run::{cargo, run};
use crate::toolchain::root;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is measured against (PyPI). heatshrink is what small parts decode; lzma is the best detools has.
const ANCHORS: [&str; 2] = ["detools==0.53.0", "bsdiff4==1.3.2"];
const SCRIPT: &str = r#"
import bsdiff4, detools, io, sys
old, new = (open(path, "rb").read() for path in sys.argv[1:3])
def patch(compression):
    out = io.BytesIO()
    detools.create_patch(io.BytesIO(old), io.BytesIO(new), out, compression=compression)
    return len(out.getvalue())
print(patch("heatshrink"), patch("lzma"), len(bsdiff4.diff(old, new)))
"#;

fn corpus() -> Result<Vec<PathBuf>, String> {
    let folder = std::env::var_os("PATCHLANE_CORPUS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| root().join("../shared/corpus"));
    let entries = fs::read_dir(&folder).map_err(|e| {
        format!(
            "{}: {e}\n  next: name a folder of pairs (NAME/old.bin, NAME/new.bin) in PATCHLANE_CORPUS",
            folder.display()
        )
    })?;
    let mut pairs: Vec<_> =
        entries.flatten().map(|e| e.path()).filter(|path| path.join("old.bin").is_file()).collect();
    pairs.sort();
    if pairs.is_empty() {
        return Err(format!("{}: holds no pairs (NAME/old.bin, NAME/new.bin)", folder.display()));
    }
    Ok(pairs)
}

fn output(command: &mut Command) -> Result<Vec<u64>, String> {
    let out = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if !out.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&out.stderr)));
    }
    let numbers = String::from_utf8_lossy(&out.stdout);
    numbers.split_whitespace().map(|n| n.parse().map_err(|e| format!("{n}: {e}"))).collect()
}

fn python() -> Result<PathBuf, String> {
    let venv = root().join("target/delta-anchors");
    let program = venv.join("bin/python");
    if !venv.join("ready").is_file() {
        println!("Installing {} from PyPI into {}.", ANCHORS.join(", "), venv.display());
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        run(Command::new(venv.join("bin/pip")).args(["install", "--quiet"]).args(ANCHORS))?;
        fs::write(venv.join("ready"), "").map_err(|e| e.to_string())?;
    }
    Ok(program)
}

/// Where the images are linked for, as SOURCES.md beside them says: `| NAME | … | Thumb-2 @08020000 | … |`.
fn address(pair: &Path) -> Option<String> {
    let table = fs::read_to_string(pair.with_file_name("SOURCES.md")).unwrap_or_default();
    let row = table.lines().find(|row| row.starts_with(&format!("| {} |", name(pair))))?;
    // The fifth cell; the one before may hold an @ of npm's.
    let (_, address) = row.split('|').nth(4)?.split_once(" @")?;
    Some(address.trim().to_owned())
}

/// One row for each pair.
pub(crate) fn deltas() -> Result<(), String> {
    let (pairs, python) = (corpus()?, python()?);
    run(&mut cargo(&["build", "--quiet", "--release", "-p", "patchlane", "--example", "delta"]))?;
    let ours = root().join("target/release/examples/delta");
    println!(
        "bytes of data; ours is told the address that SOURCES.md names, and tries every instruction set\n"
    );
    println!(
        "{:26}{:>9}{:>12}{:>9}{:>9}{:>9}{:>12}",
        "pair", "image", "heatshrink", "lzma", "bsdiff4", "ours", "ours/least"
    );
    let (mut logs, mut totals) = (Vec::new(), [0u64; 5]);
    for pair in &pairs {
        let (old, new) = (pair.join("old.bin"), pair.join("new.bin"));
        let anchors = output(Command::new(&python).args(["-c", SCRIPT]).arg(&old).arg(&new))?;
        let mut command = Command::new(&ours);
        command.arg(&old).arg(&new);
        command.args(address(pair));
        let [image, bytes] = output(&mut command)?[..] else { return Err("two numbers".into()) };
        let [heatshrink, lzma, bsdiff] = anchors[..] else { return Err("three numbers".into()) };
        let least = heatshrink.min(lzma).min(bsdiff);
        let ratio = bytes as f64 / least as f64;
        logs.push(ratio.ln());
        for (total, n) in totals.iter_mut().zip([image, heatshrink, lzma, bsdiff, bytes]) {
            *total += n;
        }
        let note = if address(pair).is_some() { "" } else { "  no address" };
        println!(
            "{:26}{image:>9}{heatshrink:>12}{lzma:>9}{bsdiff:>9}{bytes:>9}{ratio:>12.3}{note}",
            name(pair)
        );
    }
    let [image, heatshrink, lzma, bsdiff, bytes] = totals;
    let mean = (logs.iter().sum::<f64>() / logs.len().max(1) as f64).exp();
    println!(
        "{:26}{image:>9}{heatshrink:>12}{lzma:>9}{bsdiff:>9}{bytes:>9}{mean:>12.3}",
        "total; geometric mean"
    );
    Ok(())
}

fn name(pair: &Path) -> String {
    pair.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
