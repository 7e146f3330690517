//! `init`: from nothing to a product that can be built, in one command.

use crate::boards::{self, Board};
use crate::config::{self, Config};
use crate::error::{Code, Error, Result};
use crate::explain::meant;
use crate::files::{self, New, NewFolder, Over, Secrecy};
use crate::keys;
use crate::output::Report;
use crate::root::{CEILINGS, Draft};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  patchlane init --vendor example.com --class pump --board nrf52840
  patchlane init pump --vendor example.com --class pump    in a folder of its own";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The product's folder; made if it isn't there
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// A domain you own; the vendor's id is made from it, and never changes again
    #[arg(long, default_value = "example.com", value_name = "DOMAIN")]
    vendor: String,
    /// The product's name; the class id is made from it and the domain
    #[arg(long, default_value = "demo", value_name = "NAME")]
    class: String,
    /// A board that patchlane knows: its flash map goes into patchlane.toml (`patchlane layout --list`; default: a generic map)
    #[arg(long, value_parser = board, value_name = "NAME")]
    board: Option<&'static Board>,
}

pub(crate) fn board(name: &str) -> std::result::Result<&'static Board, String> {
    boards::find(name).ok_or_else(|| meant(name, &boards::names()))
}

/// Everything appears together, or nothing.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let folder = &options.folder;
    for taken in [folder.join(config::NAME), folder.join("trust")] {
        if taken.exists() {
            let next = "this product is started already; use another folder";
            return Err(Error::new(Code::Exists, "exists already", next).at(taken.display()));
        }
    }
    let made = if folder.exists() { None } else { Some(NewFolder::make(folder)?) };
    let trust = NewFolder::make(&folder.join("trust"))?;
    let report = fill(options, folder)?;
    trust.keep();
    if let Some(made) = made {
        made.keep();
    }
    Ok(report)
}

fn fill(options: &Options, folder: &Path) -> Result<Report> {
    let flash = match options.board {
        None => config::GENERIC_FLASH.to_owned(),
        Some(board) => board.flash_section(),
    };
    let text = config::template(&options.vendor, &options.class, &flash);
    let trust = folder.join("trust");
    // Never grown: that would leave keys behind.
    let (mut signing, mut texts) = (Vec::with_capacity(3), Vec::with_capacity(7));
    for role in ["root", "security", "feature"] {
        let key = keys::generate()?;
        let path = trust.join(format!("development-{role}.pem"));
        texts.push((path.clone(), keys::private_pem(&key, true, None)?, Secrecy::Secret));
        texts.push((
            keys::public_path(&path),
            keys::public_pem(&key.verifying_key(), true)?.into(),
            Secrecy::Public,
        ));
        signing.push(key);
    }
    let role = |i: usize| (vec![keys::public_of(&signing[i])], 1);
    let parsed = Config::parse(&text)?;
    let draft = Draft {
        product: parsed.product(),
        version: 1,
        development: true,
        ceilings: CEILINGS,
        roles: [role(0), role(1), role(2)],
    };
    let root = draft.sign(&[&signing[0]])?;
    let toml = folder.join(config::NAME);
    let root_path = trust.join("root-1.plr");
    let public = [(&root_path, root.bytes()), (&toml, text.as_bytes())];
    let all = texts.iter().map(|(path, text, secrecy)| (path, text.as_bytes(), *secrecy));
    let all = all.chain(public.into_iter().map(|(path, bytes)| (path, bytes, Secrecy::Public)));
    let all: Vec<_> = all.map(|(path, bytes, secrecy)| (path, [bytes], secrecy)).collect();
    let new: Vec<_> = all
        .iter()
        .map(|(path, pieces, secrecy)| New { path, pieces, over: Over::Nothing, secrecy: *secrecy })
        .collect();
    files::write_together(&new)?;
    let data = json!({
        "config": toml.display().to_string(),
        "root": root_path.display().to_string(),
        "vendor_id": draft.product.vendor.to_string(),
        "class_id": draft.product.class.to_string(),
        "development": true,
    });
    Ok(Report::new("Development keys protect nothing: production devices refuse them.", data)
        .line("configuration", toml.display().to_string())
        .line("root", root_path.display().to_string())
        .line("keys", trust.join("development-{root,security,feature}.pem").display().to_string())
        .line("vendor id", draft.product.vendor.to_string())
        .line("class id", draft.product.class.to_string())
        .line("next", "patchlane build feature --baseline 1.0 --level 0 --image FIRMWARE -o first.plb"))
}
