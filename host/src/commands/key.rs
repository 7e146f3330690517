//! `key`: make, show, import keys, and change their passphrases.

use crate::bundle::sha256;
use crate::cli::{Global, descriptor};
use crate::error::{Code, Error, Result};
use crate::keys::{self, Private};
use crate::output::Report;
use crate::passphrase::{Passphrase, Secret};
use clap::{Args, Subcommand};
use patchlane_protocol::PublicKey;
use serde_json::json;
use std::path::{Path, PathBuf};

const NEW_EXAMPLES: &str = "\
Examples:
  patchlane key new security.pem
  patchlane key new security.pem --passphrase-file secret";

const SHOW_EXAMPLES: &str = "\
Examples:
  patchlane key show security.pub";

const PASSWD_EXAMPLES: &str = "\
Examples:
  patchlane key passwd security.pem
  patchlane key passwd security.pem --passphrase-file old --new-passphrase-file new";

const IMPORT_EXAMPLES: &str = "\
Examples:
  patchlane key import vendor.der -o security.pem";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key, encrypted under a passphrase; its public half goes beside it, as .pub
    #[command(after_help = NEW_EXAMPLES)]
    New {
        /// The private key's file, such as security.pem
        file: PathBuf,
        /// Don't encrypt: a development key, which production refuses
        #[arg(long)]
        development: bool,
    },
    /// Show a key's id and fingerprint; an encrypted private key has to be opened for that
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// A .pub or .pem file
        file: PathBuf,
    },
    /// Change a private key's passphrase, in place
    #[command(after_help = PASSWD_EXAMPLES)]
    Passwd {
        /// The private key's file
        file: PathBuf,
        #[command(flatten)]
        new: NewPassphrase,
    },
    /// Take over an Ed25519 key made by openssl or others (PKCS#8, PEM or DER), encrypted anew
    Import(Import),
}

#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(crate) struct Import {
    /// The key as it is; it stays there
    file: PathBuf,
    /// The private key's new file (default: FILE's name with .pem, in this folder)
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Don't encrypt, and mark as a development key, which production refuses
    #[arg(long, conflicts_with = "new-passphrase")]
    development: bool,
    #[command(flatten)]
    new: NewPassphrase,
}

const NEW: &str = "New passphrase (asked at the terminal unless one of these is given)";

/// Where the new passphrase comes from.
#[derive(Debug, Args)]
pub(crate) struct NewPassphrase {
    /// Read the new passphrase from the first line of this file
    #[arg(long, value_name = "FILE", group = "new-passphrase", help_heading = NEW)]
    new_passphrase_file: Option<PathBuf>,
    /// Read it from the next line of this open file descriptor (not on Windows)
    #[arg(long, value_name = "NUMBER", group = "new-passphrase", help_heading = NEW)]
    new_passphrase_fd: Option<u32>,
    /// Read it from this environment variable
    #[arg(long, value_name = "NAME", group = "new-passphrase", help_heading = NEW)]
    new_passphrase_env: Option<String>,
}

impl NewPassphrase {
    fn source(&self, global: &Global) -> Passphrase {
        Passphrase {
            file: self.new_passphrase_file.clone().or(self.new_passphrase_fd.map(descriptor)),
            env: self.new_passphrase_env.clone(),
            option: "--new-passphrase",
            no_input: global.passphrase().no_input,
        }
    }
}

/// What there is to say about a key. `private` tells whether it is encrypted, and whether it is a development key.
fn describe(path: &Path, key: &PublicKey, private: Option<(bool, bool)>) -> Report {
    let fingerprint = sha256(&key.bytes).to_string();
    let public = crate::hex::write(&key.bytes);
    let data = json!({
        "file": path.display().to_string(),
        "private": private.is_some(),
        "encrypted": private.map(|(encrypted, _)| encrypted),
        "development": private.map(|(_, development)| development),
        "key_id": key.id().to_string(),
        "algorithm": "Ed25519",
        "public_key": public,
        "sha256": fingerprint,
    });
    let kind = match private {
        None => "public",
        Some((true, false)) => "private, encrypted",
        Some((false, false)) => "private, not encrypted",
        Some((true, true)) => "private, encrypted; development: production refuses it",
        Some((false, true)) => "private, not encrypted; development: production refuses it",
    };
    Report::new("", data)
        .line("file", path.display().to_string())
        .line("key", kind)
        .line("key id", key.id().to_string())
        .line("algorithm", "Ed25519")
        .line("public key", public)
        .line("SHA-256", fingerprint)
}

/// Writes a new key file with its public half, and tells of both.
fn write(path: &Path, private: &Private, secret: Option<&Secret>) -> Result<Report> {
    let bytes = secret.map(|secret| secret.as_slice());
    let public = keys::write(path, &private.key, private.development, bytes)?;
    let development = private.development || secret.is_none();
    let key = keys::public_of(&private.key);
    let mut report = describe(path, &key, Some((secret.is_some(), development)));
    report.lines.insert(1, ("public half".into(), public.display().to_string()));
    report.data["public_file"] = json!(public.display().to_string());
    Ok(report)
}

fn new(global: &Global, path: &Path, development: bool) -> Result<Report> {
    keys::free(path)?;
    let passphrase = global.passphrase();
    if development && passphrase.is_given() {
        let next = "leave out the passphrase, or --development";
        return Err(Error::new(
            Code::Usage,
            "a development key isn't encrypted: the passphrase has no use",
            next,
        ));
    }
    let secret = if development { None } else { Some(passphrase.get(path, true)?) };
    let private = Private { key: keys::generate()?, development, passphrase: None, notes: Vec::new() };
    let mut report = write(path, &private, secret.as_ref())?;
    report.summary = match &secret {
        Some(_) => "Made. Keep the passphrase apart from the file: one without the other is lost.".into(),
        None => "Made, unencrypted: a development key protects nothing.".into(),
    };
    Ok(report)
}

fn show(global: &Global, path: &Path) -> Result<Report> {
    if !keys::is_private(path)? {
        return Ok(describe(path, &keys::read_public(path)?, None));
    }
    let public = keys::public_path(path);
    let private = keys::read(path, &global.passphrase()).map_err(|e| match e.code {
        // Only the key itself can tell which one it is; what lies beside it may be another's.
        Code::Passphrase if !global.passphrase().is_given() && public.is_file() => {
            let next =
                format!("{}; or show its public half: patchlane key show {}", e.next, public.display());
            Error { next, ..e }
        }
        _ => e,
    })?;
    let key = keys::public_of(&private.key);
    if public.is_file() && keys::read_public(&public)? != key {
        let what = format!("is another key's public half than {}'s", path.display());
        let next = "find out which one is right, and move the other away";
        return Err(Error::new(Code::Key, what, next).at(public.display()));
    }
    let mut report = describe(path, &key, Some((private.passphrase.is_some(), private.development)));
    report.notes = private.notes;
    Ok(report)
}

fn passwd(global: &Global, path: &Path, new: &NewPassphrase) -> Result<Report> {
    let private = keys::read(path, &global.passphrase())?;
    if !keys::is_pem(path)? {
        let next = "make a PEM file of it: patchlane key import";
        return Err(Error::new(Code::Key, "is a DER file, and stays as it is", next).at(path.display()));
    }
    let secret = new.source(global).get(path, true)?;
    if private.passphrase.as_ref() == Some(&secret) {
        let next = "choose another one; nothing was changed";
        return Err(Error::new(Code::Passphrase, "has this passphrase already", next).at(path.display()));
    }
    keys::rewrite(path, &private, &secret)?;
    let mut report = describe(path, &keys::public_of(&private.key), Some((true, private.development)));
    report.summary = "The passphrase is changed. Copies of the file still have the old one.".into();
    report.notes = if private.development { Vec::new() } else { keys::notes(path) };
    Ok(report)
}

fn import(global: &Global, options: &Import) -> Result<Report> {
    let name = options.file.with_extension("pem");
    let path = match (&options.output, name.file_name()) {
        (Some(path), _) => path.clone(),
        (None, Some(name)) => PathBuf::from(name),
        (None, None) => {
            let next = "name a file";
            return Err(Error::new(Code::Usage, "isn't a file's name", next).at(options.file.display()));
        }
    };
    keys::free(&path).map_err(|e| match e.code {
        Code::Exists => Error { next: "name the copy with -o FILE: nothing is overwritten".into(), ..e },
        _ => e,
    })?;
    let private = keys::read(&options.file, &global.passphrase())?;
    let secret = if options.development { None } else { Some(new_secret(global, options, &private, &path)?) };
    let mut report = write(&path, &private, secret.as_ref())?;
    let still = if private.passphrase.is_some() { "" } else { ", unencrypted" };
    report.summary = format!("Imported. {} is still there{still}.", options.file.display());
    Ok(report)
}

/// The new file's passphrase: the one said, the one that opened the old file, or the only one there is.
fn new_secret(global: &Global, options: &Import, private: &Private, path: &Path) -> Result<Secret> {
    let (given, usual) = (options.new.source(global), global.passphrase());
    match &private.passphrase {
        _ if given.is_given() => given.get(path, true),
        Some(old) => Ok(old.clone()),
        None => usual.get(path, true),
    }
}

pub(crate) fn run(global: &Global, command: &Command) -> Result<Report> {
    match command {
        Command::New { file, development } => new(global, file, *development),
        Command::Show { file } => show(global, file),
        Command::Passwd { file, new } => passwd(global, file, new),
        Command::Import(options) => import(global, options),
    }
}
