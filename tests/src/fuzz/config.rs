//! What people write: `patchlane.toml` and scenarios. Nothing panics, and an error says something.

use patchlane::config::{Config, GENERIC_FLASH, template};
use patchlane::map::{self, Emit};
use patchlane::scenario::Scenario;
use patchlane::{Error, boards};
use std::path::Path;

/// An input: a text.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(text) {
        Ok(config) => maps(&config),
        Err(error) => says(&error),
    }
    match Scenario::parse(text) {
        Ok(scenario) => drop(scenario.has_files().map_err(|error| says(&error))),
        Err(error) => says(&error),
    }
}

fn says(error: &Error) {
    assert!(!error.what.is_empty() && !error.next.is_empty(), "{error:?}");
}

/// Whatever is taken as a configuration answers what verbs ask of it: its map is drawn, right or not, and one that is
/// right is a layout, and is written out in every way.
fn maps(config: &Config) {
    assert!(!config.product.hardware.is_empty());
    let _ = (config.product(), config.addresses(), config.address(), config.ram(), config.file_stem());
    let Some(flash) = &config.flash else { return };
    assert!(!map::draw(flash, &[]).is_empty());
    let findings = map::check(flash);
    match config.layout() {
        Ok(layout) => assert!(layout.areas() >= 3 && layout.room() > 0, "{layout:?}"),
        Err(error) => {
            says(&error);
            assert!(!findings.is_empty(), "nothing is wrong with it, and it is no layout: {error:?}");
        }
    }
    if findings.is_empty() {
        for kind in [
            Emit::MemoryX,
            Emit::SecondaryMemoryX,
            Emit::BootMemoryX,
            Emit::CHeader,
            Emit::ZephyrDts,
            Emit::Rust,
        ] {
            let _ = map::emit(kind, flash, &config.ram());
        }
    }
}

/// The template, for boards of all sorts, and the scenarios of the repository.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = vec![("generic".to_owned(), template("example.com", "pump", GENERIC_FLASH))];
    for name in boards::names() {
        let flash = boards::find(name).expect("it is listed").flash_section();
        seeds.push((format!("board-{name}"), template("example.com", "pump", &flash)));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for entry in std::fs::read_dir(folder).expect("scenarios").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(".toml") {
            let text = std::fs::read_to_string(entry.path()).expect("a scenario");
            seeds.push((format!("scenario-{name}"), text));
        }
    }
    seeds.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
}
