//! `inspect`: what a bundle says, without judging it.

use super::{describe, read_bundle};
use crate::error::Result;
use crate::output::Report;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The bundle
    file: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<Report> {
    describe::bundle(&read_bundle(&options.file)?, "Not verified: this is what the file says about itself.")
}
