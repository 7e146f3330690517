//! Transcripts: the command line as people and scripts use it, and as they misuse it.

mod badinput;
mod desk;
mod first;
mod fuzz;
mod layout;
mod moments;
mod provision;
mod same;
