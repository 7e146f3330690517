//! Verify, install and boot updates that keep security patches and feature updates apart.
//!
//! * [`Device`] (blocking) and [`AsyncDevice`] are what firmware uses: [`Device::boot`] in the bootloader, the rest
//!   in the application or in service mode.
//! * [`rules`] holds every decision of the model as pure functions; [`verify`] is the one place where signatures
//!   count; [`evidence`] makes a wrong order of steps uncompilable.
//! * [`engine`] turns what flash holds into the next flash operation; power may fail between and inside any two.
//!
//! The story of one interrupted update is in `DESIGN.md` beside this crate.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

// 26 KiB that nobody meant to spend: see `fast-hash` in Cargo.toml.
#[cfg(all(target_os = "none", not(feature = "fast-hash"), not(sha2_backend_soft = "compact")))]
compile_error!(
    "patchlane-device: sha2's unrolled back end costs 26 KiB on bare metal. Add to .cargo/config.toml:\n\
     [target.'cfg(target_os = \"none\")']\n\
     rustflags = ['--cfg', 'sha2_backend_soft=\"compact\"']\n\
     or enable the feature `fast-hash` to pay for its speed."
);

pub mod drive;
pub mod engine;
pub mod evidence;
mod io;
pub mod layout;
pub mod log;
pub mod media;
pub mod rules;
pub mod service;
pub mod state;
mod swap;
pub mod verify;

pub use drive::{AsyncDevice, Device, MonotonicCounter, NoCounter, NoWatchdog, Watchdog};
pub use engine::{Boot, Cause, Config, Done, Factory, Running, Window};
pub use io::Op;
pub use layout::{Layout, LayoutError, Place, Slot};
pub use media::{AsyncMedia, Media, MediaError, Region, Single, Split};
pub use patchlane_protocol as protocol;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
