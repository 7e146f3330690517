//! The format's tests, in one binary.
#![allow(unreachable_pub, reason = "crate `tests` shares some of these modules")]

mod conformance; // every vector does what it says
mod oracle; // our bytes are postcard's
mod robustness; // no document has two spellings, no input a panic
mod size; // what a release costs besides its payload
mod writers; // what no reader takes, no writer makes

mod describe; // documents as named fields
mod mirror; // documents as plain serde structs
mod vectors; // reads `protocol/vectors/`
