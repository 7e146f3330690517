//! `diff`: what a bundle would change.

use crate::cli::Global;
use crate::error::{Error, Result};
use crate::output::Report;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Options {}

pub(crate) fn run(_global: &Global, _options: &Options) -> Result<Report> {
    Err(Error::internal("not written yet"))
}
