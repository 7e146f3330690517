//! `init`: from nothing to a product that can be built, in one command.

use crate::boards::{self, Board};
use crate::config::{self, Config};
use crate::error::{Code, Error, Result};
use crate::files::{self, Over, Secrecy};
use crate::keys;
use crate::output::Report;
use crate::root::{CEILINGS, Draft};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where (default: this folder)
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// A domain you own; product ids are made from it
    #[arg(long, default_value = "example.com")]
    vendor: String,
    /// The product's name
    #[arg(long, default_value = "demo")]
    class: String,
    /// A board that patchlane knows: its flash map goes into patchlane.toml (`patchlane layout --list`)
    #[arg(long, value_parser = board, value_name = "NAME")]
    board: Option<&'static Board>,
}

fn board(name: &str) -> std::result::Result<&'static Board, String> {
    let known: Vec<_> = boards::ALL.iter().map(|board| board.name).collect();
    boards::find(name).ok_or_else(|| format!("known boards: {}", known.join(", ")))
}

/// Writes everything into a new folder first, so that a failure leaves nothing behind.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let folder = &options.folder;
    let made = |path: &Path| {
        std::fs::create_dir_all(path).map_err(|e| {
            Error::new(Code::Io, format!("can't be made: {e}"), "check the path").at(path.display())
        })
    };
    for taken in [folder.join(config::NAME), folder.join("trust")] {
        if taken.exists() {
            let next = "this product is started already; use another folder";
            return Err(Error::new(Code::Exists, "exists already", next).at(taken.display()));
        }
    }
    made(folder)?;
    let work = folder.join(format!(".trust.{}.part", std::process::id()));
    let result = made(&work).and_then(|()| fill(options, folder, &work));
    if result.is_err() {
        let _ = std::fs::remove_dir_all(&work);
    }
    result
}

fn fill(options: &Options, folder: &Path, work: &Path) -> Result<Report> {
    let flash = match options.board {
        None => config::GENERIC_FLASH.to_owned(),
        Some(board) => board.flash_section().ok_or_else(|| {
            let next = format!("{} Start without --board, and write your own [flash]", board.note);
            Error::new(Code::Config, format!("there is no flash map for {}", board.name), next)
        })?,
    };
    let text = config::template(&options.vendor, &options.class, &flash);
    let mut signing = Vec::new();
    for role in ["root", "security", "feature"] {
        let key = keys::generate()?;
        keys::write(&work.join(format!("development-{role}.pem")), &key, true, None)?;
        signing.push(key);
    }
    let role = |i: usize| (vec![keys::public_of(&signing[i])], 1);
    let parsed = Config::parse_template(&text)?;
    let draft = Draft {
        product: parsed.product(),
        version: 1,
        development: true,
        ceilings: CEILINGS,
        roles: [role(0), role(1), role(2)],
    };
    let root = draft.sign(&[&signing[0]])?;
    files::write(&work.join("root-1.plr"), root.bytes(), Over::Nothing, Secrecy::Public)?;
    let trust = folder.join("trust");
    std::fs::rename(work, &trust).map_err(|e| {
        Error::new(Code::Io, format!("can't be made: {e}"), "check the folder").at(trust.display())
    })?;
    let toml = folder.join(config::NAME);
    files::write(&toml, text.as_bytes(), Over::Nothing, Secrecy::Public)?;
    let data = json!({
        "config": toml.display().to_string(),
        "root": trust.join("root-1.plr").display().to_string(),
        "vendor_id": draft.product.vendor.to_string(),
        "class_id": draft.product.class.to_string(),
        "development": true,
    });
    Ok(Report::new("Development keys protect nothing: production devices refuse them.", data)
        .line("configuration", toml.display().to_string())
        .line("root", trust.join("root-1.plr").display().to_string())
        .line("keys", trust.join("development-{root,security,feature}.pem").display().to_string())
        .line("vendor id", draft.product.vendor.to_string())
        .line("class id", draft.product.class.to_string())
        .line("next", "patchlane build security --baseline 1.0 --level 1 --image FIRMWARE -o patch.plb"))
}
