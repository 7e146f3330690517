//! Simulated flash and devices, power-cut sweeps, scenarios and vectors for patchlane.

pub mod again;
pub mod board;
pub mod broken;
pub mod code;
pub mod cuts;
pub mod fuzz;
pub mod model;
pub mod mutants;
pub mod scenario;
pub mod sim;
pub mod skips;
#[allow(unreachable_pub, reason = "its modules are shared with the tests that read the vectors")]
pub mod vectors;
