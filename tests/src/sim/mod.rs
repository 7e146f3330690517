//! A device without hardware: strict flash that tears, and bootloader and application logic on it.

pub mod cases;
pub mod device;
pub mod direct;
pub mod sweep;
pub mod world;

pub use device::SimDevice;
pub use patchlane::flash::{Bank, Chip, Cut, Power, Torn, When};
pub use patchlane_flash::Nor;
