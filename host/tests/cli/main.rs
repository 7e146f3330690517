//! Transcripts: the command line as people and scripts use it, and as they misuse it.

mod dangerous;
mod desk;
mod first;
mod keys;
#[cfg(unix)]
mod pty;
