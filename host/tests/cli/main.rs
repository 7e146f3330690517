//! Transcripts: the command line as people and scripts use it, and as they misuse it.

mod desk;
mod first;
mod layout;
mod provision;
mod simulate;
