//! Transcripts: the command line as people and scripts use it, and as they misuse it.

mod badinput;
mod codes;
mod dangerous;
mod desk;
mod first;
mod fuzz;
mod keys;
mod layout;
mod moments;
mod outputs;
mod provision;
#[cfg(unix)]
mod pty;
mod same;
mod schema;
