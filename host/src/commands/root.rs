//! `root`: show what devices trust.

use super::anchor;
use crate::bundle::sha256;
use crate::cli::Global;
use crate::error::Result;
use crate::output::Report;
use clap::Subcommand;
use patchlane_protocol::Role;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a root file: keys, thresholds, ceilings
    Show {
        /// The file (default: the configuration's)
        file: Option<PathBuf>,
    },
}

pub(crate) fn run(global: &Global, command: &Command) -> Result<Report> {
    let Command::Show { file } = command;
    let root = anchor(global, file.as_ref())?;
    let document = root.document()?;
    let ids = |role: &Role<'_>| role.keys.iter().map(|k| k.id().to_string()).collect::<Vec<_>>();
    let role =
        |role: &Role<'_>| format!("{} of {}: {}", role.threshold, role.keys.len(), ids(role).join(", "));
    let json_role = |role: &Role<'_>| json!({ "threshold": role.threshold, "keys": ids(role) });
    let ceilings = document.ceilings;
    let data = json!({
        "version": document.version,
        "development": document.development,
        "vendor_id": document.product.vendor.to_string(),
        "class_id": document.product.class.to_string(),
        "ceiling_baseline": ceilings.feature.to_string(),
        "ceiling_level": ceilings.level,
        "sha256": sha256(root.document_bytes()?).to_string(),
        "root": json_role(&document.root),
        "security": json_role(&document.security),
        "feature": json_role(&document.feature),
    });
    let kind = if document.development { "development: production refuses it" } else { "production" };
    Ok(Report::new("", data)
        .line("root", format!("version {}, {kind}", document.version))
        .line("vendor id", document.product.vendor.to_string())
        .line("class id", document.product.class.to_string())
        .line("ceilings", format!("baseline {}, level {}", ceilings.feature, ceilings.level))
        .line("root role", role(&document.root))
        .line("security role", role(&document.security))
        .line("feature role", role(&document.feature))
        .line("SHA-256", sha256(root.document_bytes()?).to_string()))
}
