// Made by `patchlane layout` from patchlane.toml; don't edit.
use patchlane_device::{Layout, LayoutError, Place};

pub const STATE: Place =
    Place { offset: 0x20000, length: 0x100000, read: 1, write: 32, erase: 131072 };
pub const PRIMARY: Place =
    Place { offset: 0x120000, length: 0x60000, read: 1, write: 32, erase: 131072 };
pub const SECONDARY: Place =
    Place { offset: 0x180000, length: 0x80000, read: 1, write: 32, erase: 131072 };

/// The checked layout.
pub fn layout() -> Result<Layout, LayoutError> {
    Layout::new(STATE, PRIMARY, SECONDARY)
}
