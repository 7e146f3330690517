//! Simulated flash and devices, power-cut sweeps, scenarios and vectors for patchlane.

pub mod board;
pub mod code;
pub mod cuts;
pub mod model;
pub mod scenario;
pub mod sim;
pub mod skips;
