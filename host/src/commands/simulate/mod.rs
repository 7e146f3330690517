//! `simulate`: the device crate itself, on flash in memory.

mod bundles;

use super::provision::Factoring;
use crate::cli::Global;
use crate::error::Result;
use crate::output::Report;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What the device runs at first: a signed bundle with a full image; then bundles to send, one after the other
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The root to trust (default: the configuration's)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    #[command(flatten)]
    factory: Factoring,
    /// Approve each held bundle locally and send it again
    #[arg(long)]
    approve: bool,
    /// Power fails during this flash operation of the last bundle, counted from 0
    #[arg(long, value_name = "NUMBER")]
    cut: Option<u64>,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    bundles::run(global, options)
}
