//! Scenarios: stories as data, played on simulated flash or on any other [`Player`].
//!
//! [`Scenario`] reads a file, [`Cast`] makes or reads its releases, and [`Stage`] plays it and says each step.
//! [`Sweep`] plays it once more for each flash operation, with power cut there.

mod answers;
mod cast;
mod device;
mod file;
mod play;
#[cfg(feature = "schema")]
mod schema;
mod simulated;
mod sweep;
#[cfg(test)]
mod tests;

pub use answers::answer;
pub use cast::{Cast, Images, Offer, throw_away_key};
pub use device::{Simulated, send};
pub use file::{
    CommitPoint, Damage, Expected, Feature, Lane, Release, Scenario, Security, Source, Start, Step,
};
pub use play::{Failure, Interrupted, Played, Player, Stage, subject};
#[cfg(feature = "schema")]
pub use schema::schema;
pub use simulated::{Sim, on_sim};
pub use sweep::{Point, Sweep, Tally};

use crate::flash::mix;

/// An image of `size` bytes that no other name has.
pub fn pseudo_random(name: &str, size: usize) -> Vec<u8> {
    let seed = name.bytes().fold(7u64, |seed, byte| mix(seed ^ u64::from(byte)));
    (0..size as u64).map(|i| mix(seed.wrapping_add(i << 32)) as u8).collect()
}
