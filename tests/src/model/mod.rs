//! A model check: breadth-first search over every order in which a history of releases, forgeries, owner documents,
//! restarts, trials and power cuts can reach a device. The device is the real one, on simulated flash.
//!
//! * `catalogue.rs`: what was published and forged, as sets and names.
//! * `facts.rs`: what flash says, and the key under which two devices count as one.
//! * `step.rs`: what may happen, done to a copy of the device.
//! * `oracle.rs`: I1–I8 over one edge, in DESIGN's terms.
//! * `search.rs`: the search.
//! * `way.rs`: the shortest way to what is wrong, and how it is gone again.

pub mod catalogue;
pub mod facts;
pub mod oracle;
pub mod rescue;
pub mod search;
pub mod step;
pub mod way;
