//! Transcripts: the command line as people and scripts use it, and as they misuse it.

#[cfg(unix)]
mod archive;
mod badinput;
#[cfg(unix)]
mod bench;
mod codes;
mod dangerous;
mod delta;
mod desk;
#[cfg(unix)]
mod device;
#[cfg(unix)]
mod diff;
mod direct;
mod first;
mod fuzz;
mod help;
#[cfg(unix)]
mod hostile;
mod keys;
mod layout;
mod ledger;
mod lint;
#[cfg(unix)]
mod manual;
mod moments;
mod outputs;
mod programs;
mod provision;
#[cfg(unix)]
mod pty;
#[cfg(unix)]
mod replay;
mod report;
mod review;
mod same;
mod schema;
mod silent;
mod simulate;
