//! Transcripts: the command line as people and scripts use it, and as they misuse it.

mod codes;
mod dangerous;
mod desk;
mod first;
mod keys;
mod outputs;
#[cfg(unix)]
mod pty;
mod schema;
