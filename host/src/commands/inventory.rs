//! `lint inventory`: groups of an interface inventory that a build can tell.

use crate::error::{Code, Error, Result};
use crate::files::{self, Over, Secrecy};
use crate::lint::extract;
use crate::lint::inventory::{Group, Inventory, changes, entries};
use crate::output::{Report, plural};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

const AFTER: &str = "\
Writes [cargo], [kconfig] and [exports] of an inventory from what a build says of itself; what is declared in the others,
and comments, stay. Check 21 compares them with the base's as it does all others.

Examples:
  cargo build --release --message-format=json > build.json
  patchlane lint inventory interfaces.toml --cargo build.json
  patchlane lint inventory interfaces.toml --kconfig build/zephyr/.config
  patchlane lint inventory interfaces.toml --elf app.elf --export \"api_*\"
  patchlane lint inventory interfaces.toml --cargo build.json --check

What it can't see: what code does with an option, interfaces that no symbol or option stands for, features that a build
script switches by itself. Exit code 1 with --check: the inventory says otherwise than the build.";

#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Options {
    /// The inventory; it is started if it isn't there
    inventory: PathBuf,
    /// Cargo features that are on: what `cargo build --message-format=json` printed, its unit graph, or `cargo metadata`
    #[arg(long, value_name = "FILE", required_unless_present_any = ["kconfig", "elf"])]
    cargo: Option<PathBuf>,
    /// Options that are set: Kconfig's .config
    #[arg(long, value_name = "FILE")]
    kconfig: Option<PathBuf>,
    /// Global symbols of a linked program: an interface where something else is linked against it
    #[arg(long, value_name = "FILE")]
    elf: Option<PathBuf>,
    /// Only symbols of this name, with `*` and `?`; repeat it for each
    #[arg(long, value_name = "PATTERN", requires = "elf")]
    export: Vec<String>,
    /// Write nothing: compare, and end with exit code 1 if the inventory says otherwise
    #[arg(long)]
    check: bool,
}

fn utf8(bytes: Vec<u8>, path: &Path) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| {
        Error::new(Code::Malformed, "isn't text (UTF-8)", "check that it is the right file")
            .at(path.display())
    })
}

/// What the build says, by group.
fn groups(options: &Options) -> Result<Vec<(&'static str, Group)>> {
    let mut groups = Vec::new();
    // The messages of a large build are longer than what people write.
    let text = |path: &PathBuf| utf8(files::read(path)?, path);
    if let Some(path) = &options.cargo {
        groups.push(("cargo", extract::cargo(&text(path)?).map_err(|e| e.at(path.display()))?));
    }
    if let Some(path) = &options.kconfig {
        groups.push(("kconfig", extract::options(&text(path)?).map_err(|e| e.at(path.display()))?));
    }
    if let Some(path) = &options.elf {
        let found =
            extract::exports(&files::read(path)?, &options.export).map_err(|e| e.at(path.display()))?;
        groups.push(("exports", found));
    }
    Ok(groups)
}

pub(crate) fn run(options: &Options) -> Result<Report> {
    let groups = groups(options)?;
    let path = &options.inventory;
    let (old, over) = match files::read_seen(path) {
        Ok((bytes, seen)) => (utf8(bytes, path)?, Over::Seen(seen)),
        Err(error) if error.code == Code::Missing && !options.check => {
            ("format = 1\n".to_owned(), Over::Nothing)
        }
        Err(error) => return Err(error),
    };
    let before = Inventory::parse(&old, path)?;
    let none = Group::new();
    let told: Vec<String> = groups
        .iter()
        .flat_map(|(name, group)| match (before.group(name), options.check) {
            (None, true) => vec![format!("[{name}] isn't there")],
            (old, _) => changes(name, old.unwrap_or(&none), group),
        })
        .collect();
    let file = path.display().to_string();
    let mut report = Report::default().line("file", file.clone());
    for (name, group) in &groups {
        report = report.line(name, entries(group.len()));
    }
    report.lines.extend(told.iter().map(|one| ("changed".to_owned(), one.clone())));
    let counts: Vec<_> =
        groups.iter().map(|(name, group)| json!({ "group": name, "entries": group.len() })).collect();
    report.data = json!({ "file": file, "groups": counts, "changes": told, "written": !options.check });
    if !options.check {
        let new = extract::put(&old, path, &groups)?;
        files::write(path, new.as_bytes(), over, Secrecy::Public)?;
        report.summary = if told.is_empty() { "As it was.".into() } else { "Written.".into() };
    } else if told.is_empty() {
        report.summary = "The inventory says what the build says.".into();
    } else {
        let what = format!("says otherwise than the build: {}", plural(told.len() as u64, "difference"));
        let next = "if it is meant, write it anew without --check; in a patch it is a feature";
        report.failed = Some(Error::new(Code::Differs, what, next).at(path.display()));
    }
    Ok(report)
}
