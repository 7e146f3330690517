//! Where things lie. The flash is pflash bank 1; offsets count from its beginning. `tests/src/board.rs` has the same
//! numbers for the host (checked by the scenario runner: a device provisioned elsewhere doesn't boot).

/// Address of the flash.
pub const FLASH: usize = 0x2200_0000;
/// Bytes of a sector.
pub const SECTOR: u32 = 256 * 1024;
/// Log (three areas) and receipts (five cells), a sector each.
pub const STATE: (u32, u32) = (0, 8 * SECTOR);
/// What runs.
pub const PRIMARY: (u32, u32) = (8 * SECTOR, 2 * SECTOR);
/// What is received, or ran before: one sector more.
pub const SECONDARY: (u32, u32) = (10 * SECTOR, 3 * SECTOR);
/// Address of the image that runs.
pub const APPLICATION: usize = FLASH + PRIMARY.0 as usize;
