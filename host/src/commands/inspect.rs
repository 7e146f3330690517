//! `inspect`: what a bundle says, without judging it.

use super::device::BAUD;
use super::{describe, read_bundle};
use crate::error::Result;
use crate::output::Report;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  patchlane inspect patch.plb
  patchlane inspect patch.plb --baud 9600    how long it takes on this line";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The bundle
    file: PathBuf,
    /// Bits per second of the line that times are for; what the device takes to erase and write comes on top
    #[arg(long, default_value_t = BAUD, value_parser = clap::value_parser!(u32).range(1..))]
    baud: u32,
}

pub(crate) fn run(options: &Options) -> Result<Report> {
    let said = "Not verified: this is what the file says about itself.";
    describe::bundle_at(&read_bundle(&options.file)?, said, options.baud)
}
