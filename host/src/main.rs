//! The patchlane command line.
fn main() {}
