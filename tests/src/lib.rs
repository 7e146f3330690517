//! Simulated flash and devices, power-cut sweeps, scenarios and vectors for patchlane.

pub mod board;
pub mod cuts;
pub mod scenario;
pub mod sim;
