//! What cargo-mutants would break.

use crate::broken::{cargo, root};
use serde_json::Value;
use std::collections::BTreeMap;

/// The parts of the device that decide about trust, and their files.
pub const AREAS: [(&str, &[&str]); 5] = [
    ("verify", &["device/src/verify.rs", "device/src/evidence.rs", "device/src/evidence/"]),
    ("policy", &["device/src/rules/"]),
    (
        "journal",
        &["device/src/log.rs", "device/src/state.rs", "device/src/io/scan.rs", "device/src/io/record.rs"],
    ),
    ("swap", &["device/src/swap.rs", "device/src/io/"]),
    ("engine", &["device/src/engine/"]),
];

/// The area of a file; every file that `.cargo/mutants.toml` names has one.
fn area_of(file: &str) -> Result<&'static str, String> {
    let of = AREAS.iter().find(|(_, files)| files.iter().any(|start| file.starts_with(start)));
    of.map(|(area, _)| *area).ok_or_else(|| format!("{file} is in .cargo/mutants.toml, but in no area"))
}

/// Line and column, both from 1.
pub type Place = (usize, usize);

/// What kind of thing is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Genre {
    /// A function's body.
    Body,
    /// An operator of an expression.
    Operator,
    /// An arm of a match is gone.
    Arm,
    /// The guard of an arm is decided.
    Guard,
    /// A field of a struct expression is left to its base.
    Field,
}

/// One way to break the device.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// What it is: file, change and function, and its number if the function holds several like it.
    pub name: String,
    /// The part of the device it is in.
    pub area: &'static str,
    /// Its file.
    pub file: String,
    /// Where what is replaced begins and ends.
    pub span: (Place, Place),
    /// What replaces it.
    pub replacement: String,
    /// What kind it is.
    pub genre: Genre,
    /// True if it is in a constant, which no switch can change.
    pub constant: bool,
}

fn place(value: &Value) -> Option<Place> {
    let number = |name: &str| usize::try_from(value.get(name)?.as_u64()?).ok();
    Some((number("line")?, number("column")?))
}

fn read(value: &Value) -> Option<Mutant> {
    let text = |name: &str| value.get(name)?.as_str();
    let span = value.get("span")?;
    let (begin, end) = (place(span.get("start")?)?, place(span.get("end")?)?);
    let file = text("file")?;
    let what = text("name")?.strip_prefix(&format!("{file}:{}:{}: ", begin.0, begin.1))?;
    let genre = match text("genre")? {
        "FnValue" => Genre::Body,
        "BinaryOperator" | "UnaryOperator" => Genre::Operator,
        "MatchArm" => Genre::Arm,
        "MatchArmGuard" => Genre::Guard,
        "StructField" => Genre::Field,
        _ => return None,
    };
    let name = format!("{file}: {}", what.split_whitespace().collect::<Vec<_>>().join(" "));
    let (file, replacement) = (file.to_owned(), text("replacement")?.to_owned());
    let constant = value.get("function")?.is_null();
    Some(Mutant { name, area: "", file, span: (begin, end), replacement, genre, constant })
}

/// Reads what `cargo mutants --list --json` prints.
///
/// # Errors
/// It isn't what it should be.
pub fn parse(json: &str) -> Result<Vec<Mutant>, String> {
    let values: Vec<Value> = serde_json::from_str(json).map_err(|e| format!("cargo mutants: {e}"))?;
    let mut seen = BTreeMap::new();
    let mut all = Vec::new();
    for value in &values {
        let mut mutant =
            read(value).ok_or_else(|| format!("cargo mutants lists what isn't understood: {value}"))?;
        mutant.area = area_of(&mutant.file)?;
        let count = seen.entry(mutant.name.clone()).or_insert(0);
        *count += 1;
        if *count > 1 {
            mutant.name = format!("{} #{count}", mutant.name);
        }
        all.push(mutant);
    }
    Ok(all)
}

/// All of them, in the order of the files.
///
/// # Errors
/// cargo-mutants isn't installed, or says something else.
pub fn list() -> Result<Vec<Mutant>, String> {
    let out = cargo(&root()).args(["mutants", "--list", "--json"]).output().map_err(|e| e.to_string())?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        return Err(format!("`cargo install --locked cargo-mutants` first, if it isn't there:\n{said}"));
    }
    parse(&String::from_utf8_lossy(&out.stdout))
}
