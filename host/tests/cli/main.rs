//! Transcripts: the command line as people and scripts use it, and as they misuse it.

#[cfg(unix)]
mod bench;
mod desk;
#[cfg(unix)]
mod device;
#[cfg(unix)]
mod diff;
mod first;
