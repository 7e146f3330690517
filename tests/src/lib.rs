//! Simulated flash and devices, power-cut sweeps, scenarios and vectors for patchlane.

pub mod sim;
