//! The library behind the `patchlane` command line.
//!
//! It builds and signs bundles ([`bundle`]), keeps keys and roots ([`keys`], [`root`]), and talks to devices
//! ([`link`]). It never decides by itself whether something is trusted: it runs the device's own verifier.
#![forbid(unsafe_code)]

pub mod boards;
pub mod bundle;
pub mod cli;
mod commands;
pub mod config;
pub mod error;
mod explain;
pub mod files;
pub mod flash;
pub mod image;
pub mod keys;
pub mod link;
pub mod map;
pub mod output;
pub mod owner;
pub mod progress;
pub mod root;
pub mod scenario;

pub use error::{Code, Error, Result};
pub use patchlane_device as device;
pub use patchlane_protocol as protocol;
