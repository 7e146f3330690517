//! `verify`: the device's own verdict.

use super::{anchor, describe, read_bundle};
use crate::cli::Global;
use crate::error::Result;
use crate::output::Report;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  patchlane verify patch.plb
  patchlane verify patch.plb --root trust/root-1.plr --json | jq -e .verified";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The bundle
    file: PathBuf,
    /// The root that devices trust (default: the configuration's)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let bundle = read_bundle(&options.file)?;
    let root = anchor(global, options.root.as_ref())?;
    let document = root.document()?;
    bundle.verify(&document, |_| Ok(())).map_err(|e| e.at(options.file.display()))?;
    let trust = if document.development { " (development: production devices refuse it)" } else { "" };
    let summary = format!("Verified under root {}{trust}.", document.version);
    let mut report = describe::bundle(&bundle, &summary)?;
    report.data["verified"] = json!(true);
    report.data["development"] = json!(document.development);
    Ok(report)
}
