//! A device without hardware: strict flash that tears, and bootloader and application logic on it.

pub mod cases;
pub mod chip;
pub mod device;
pub mod power;
pub mod sweep;
pub mod world;

pub use chip::{Chip, Nor, SimMedia};
pub use device::SimDevice;
pub use power::{Cut, Power, Torn, When};
