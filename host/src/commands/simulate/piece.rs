//! Scenario files with all that they name: releases, root, flash.

use crate::cli::Global;
use crate::commands::provision::erased;
use crate::config::{self, Config, Flash};
use crate::error::{Code, Error, Result};
use crate::flash::Chip;
use crate::root::Root;
use crate::scenario::{Cast, CommitPoint, Scenario, Source, Step, pseudo_random};
use crate::{image, map};
use patchlane_device::Region;
use std::path::{Path, PathBuf};

/// A checked scenario file with all that it names.
pub(super) struct Piece {
    pub(super) path: PathBuf,
    pub(super) scenario: Scenario,
    pub(super) cast: Cast,
    pub(super) chip: Chip,
    /// What it is played on: names and values.
    pub(super) about: Vec<(&'static str, String)>,
}

/// Sectors of a pseudo-random image, at most: enough for blocks to be swapped, few enough for sweeps.
const SECTORS: u32 = 3;

/// The configuration, if there is one.
pub(super) fn find_config(global: &Global) -> Result<Option<Config>> {
    match Config::find(global.config.as_deref()) {
        Ok(config) => Ok(Some(config)),
        Err(error) if error.code == Code::Missing && global.config.is_none() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The flash that `init` writes without a board.
fn usual_flash() -> Result<Flash> {
    #[derive(serde::Deserialize)]
    struct Only {
        flash: Flash,
    }
    let only: Only = toml::from_str(config::GENERIC_FLASH).map_err(|e| Error::internal(e.to_string()))?;
    Ok(only.flash)
}

fn size(bytes: u32) -> String {
    if bytes.is_multiple_of(1024) { format!("{} KiB", bytes / 1024) } else { format!("{bytes}-byte") }
}

/// The chip, and what to say about it.
fn chip(path: &Path, scenario: &Scenario, config: Option<&Config>) -> Result<(Chip, String)> {
    let configured = config.and_then(|config| Some((config.flash.as_ref()?, config.file.display())));
    let usual = usual_flash()?;
    let (flash, place, from) = match (&scenario.flash, configured) {
        (Some(flash), _) => (flash, path.display().to_string(), "the scenario's".to_owned()),
        (None, Some((flash, file))) => (flash, file.to_string(), format!("{file}'s")),
        (None, None) => (&usual, String::new(), "as `patchlane init` writes it".to_owned()),
    };
    let layout = map::layout(flash, format!("{place}: [flash]"))?;
    let chip = erased(flash, layout).map_err(|e| e.at(&place))?;
    let primary = layout.place(Region::Primary);
    let (slot, sector) = (size(primary.length), size(primary.erase));
    let how = if layout.is_direct() { ", code runs from both" } else { "" };
    Ok((chip, format!("{slot} slots{how}, {sector} sectors, {}-byte words; {from}", primary.write)))
}

/// Names that can't be those of pseudo-random images.
fn means_a_file(name: &str) -> bool {
    let linked = |e: &std::ffi::OsStr| {
        ["elf", "axf", "out", "hex", "ihex", "bin"].iter().any(|known| e.eq_ignore_ascii_case(known))
    };
    name.contains(['/', '\\']) || Path::new(name).extension().is_some_and(linked)
}

fn images_told(scenario: &Scenario, size: usize) -> String {
    let named = scenario.release.values().filter_map(|release| match &release.source {
        Source::Described { firmware, .. } => Some(scenario.folder.join(firmware).is_file()),
        Source::Bundle(_) => None,
    });
    let (files, others): (Vec<bool>, Vec<bool>) = named.partition(|file| *file);
    match (files.len(), others.len()) {
        (0, 0) => "in bundle files".to_owned(),
        (0, _) => format!("pseudo-random, {size} bytes each"),
        (_, 0) => "files".to_owned(),
        (files, others) => format!("files: {files}; pseudo-random, {size} bytes each: {others}"),
    }
}

/// Where code runs from both slots, a record is the whole move: power can't fail within it.
fn moves_nothing(scenario: &Scenario) -> Result<()> {
    for (step, line) in scenario.step.iter().zip(&scenario.lines) {
        let Step::Restart { cut: Some(point @ (CommitPoint::Moving | CommitPoint::Reverting)) } = step else {
            continue;
        };
        let what = format!("line {line}: cuts at `{}`, and this device moves nothing", point.name());
        let next = "cut at `ready` or `trial`, or everywhere: --sweep";
        return Err(Error::new(Code::Malformed, what, next));
    }
    Ok(())
}

/// Reads a scenario, and everything that it names.
pub(super) fn read(path: &Path, config: Option<&Config>) -> Result<Piece> {
    let scenario = Scenario::read(path)?;
    let (chip, flash) = chip(path, &scenario, config)?;
    let at = |e: Error| if e.place.is_none() { e.at(path.display()) } else { e };
    let layout = chip.layout();
    if layout.is_direct() {
        moves_nothing(&scenario).map_err(at)?;
    }
    let size = layout.room().min(SECTORS * layout.block()) as usize - 100;
    let images = |name: &str| {
        let file = scenario.folder.join(name);
        // `NAME@ADDRESS`: one for each slot.
        let (plain, _) = name.split_once('@').filter(|_| layout.is_direct()).unwrap_or((name, ""));
        if layout.is_direct() && (scenario.folder.join(plain).is_file() || means_a_file(plain)) {
            let next = "name bundle files, each with an image for both";
            return Err(
                Error::new(Code::Malformed, "is one file, and code runs from two slots", next).at(plain)
            );
        }
        if file.is_file() || means_a_file(name) {
            return Ok(image::read(&file)?.bytes);
        }
        Ok(pseudo_random(name, size))
    };
    let root = if scenario.has_files().map_err(at)? {
        Some(match (&scenario.device.root, config) {
            (Some(root), _) => Root::read(&scenario.folder.join(root))?,
            (None, Some(config)) => Root::read(&config.path(&config.trust.root))?,
            (None, None) => {
                let next = "name the root that devices trust: root in [device], or a patchlane.toml";
                let what = "names bundle files, and there is no trust anchor to judge them by";
                return Err(at(Error::new(Code::NoAnchor, what, next)));
            }
        })
    } else {
        None
    };
    let alone = config.and_then(Config::address).filter(|_| root.is_some());
    let slots = layout.addresses().map_or(alone.into_iter().collect(), |both| both.to_vec());
    let cast = Cast::of(&scenario, root, &slots, &images).map_err(at)?;
    let about = vec![("flash", flash), ("images", images_told(&scenario, size))];
    Ok(Piece { path: path.to_path_buf(), scenario, cast, chip, about })
}
