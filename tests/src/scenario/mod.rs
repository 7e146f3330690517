//! Scenario files (`tests/scenarios/README.md`) on the board, and on every simulated geometry.

pub mod cost;
pub mod cuts;
mod on_board;

pub use on_board::{OnBoard, Plan, cast as board_cast, on_board};

use crate::sim::sweep::{Geometry, layout};
use patchlane::flash::Chip;
use patchlane::scenario::{Cast, Scenario, pseudo_random};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where scenario files lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Where their schema lies.
pub fn schema() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/schema/scenario.schema.json")
}

/// Every scenario of the folder, by name.
///
/// # Errors
/// What is wrong with a file.
pub fn all() -> Result<BTreeMap<String, Scenario>, String> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut all = BTreeMap::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_some_and(|e| e == "toml") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            all.insert(name, Scenario::read(&path).map_err(|e| e.to_string())?);
        }
    }
    Ok(all)
}

/// A chip of this geometry, and a scenario's cast whose images fill its slot.
///
/// # Errors
/// What is wrong with a release.
pub fn on_geometry(scenario: &Scenario, geometry: [Geometry; 3]) -> Result<(Cast, Chip), String> {
    let size = geometry[1].length - 100;
    let images = |name: &str| Ok(pseudo_random(name, size));
    let cast = Cast::of(scenario, None, &[], &images).map_err(|e| e.to_string())?;
    Ok((cast, Chip::new(layout(geometry))))
}
