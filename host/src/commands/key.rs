//! `key`: make and show keys.

use crate::bundle::sha256;
use crate::cli::Global;
use crate::error::Result;
use crate::keys;
use crate::output::Report;
use clap::Subcommand;
use patchlane_protocol::PublicKey;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key, encrypted under a passphrase; its public half goes to FILE.pub
    New {
        /// The private key's file, such as security.pem
        file: PathBuf,
        /// Don't encrypt: a development key, which production refuses
        #[arg(long)]
        development: bool,
    },
    /// Show a key's id and fingerprint
    Show {
        /// A .pub or .pem file
        file: PathBuf,
    },
}

fn describe(path: &Path, key: &PublicKey, summary: String) -> Report {
    let fingerprint = sha256(&key.bytes).to_string();
    let data = json!({
        "file": path.display().to_string(),
        "key_id": key.id().to_string(),
        "algorithm": "Ed25519",
        "public_key": key.bytes.iter().map(|b| format!("{b:02x}")).collect::<String>(),
        "sha256": fingerprint,
    });
    Report::new(summary, data)
        .line("file", path.display().to_string())
        .line("key id", key.id().to_string())
        .line("algorithm", "Ed25519")
        .line("SHA-256", fingerprint)
}

pub(crate) fn run(global: &Global, command: &Command) -> Result<Report> {
    match command {
        Command::New { file, development } => {
            let secret = if *development { None } else { Some(global.passphrase().get(file, true)?) };
            let key = keys::generate()?;
            let public = keys::write(file, &key, secret.as_ref().map(|s| s.as_str()))?;
            Ok(describe(&public, &keys::public_of(&key), format!("Private key in {}.", file.display())))
        }
        Command::Show { file } => Ok(describe(file, &keys::read_public(file)?, String::new())),
    }
}
