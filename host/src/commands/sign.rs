//! `sign`: adds signatures, and hands the bundle to the device's own verifier before it calls it signed.

use super::{anchor, describe};
use crate::bundle::Bundle;
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::files::{self, New, Over, Secrecy};
use crate::keys;
use crate::output::Report;
use crate::root::role_of;
use clap::Args;
use patchlane_protocol::{Kind, RootDocument};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The bundle; it is replaced once it is verified
    file: PathBuf,
    /// Private keys (default: those of the bundle's lane in patchlane.toml)
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// The root to verify under (default: the configuration's)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// Keep the bundle although others have yet to sign it
    #[arg(long)]
    partial: bool,
    /// Write the signed bundle here, and leave FILE as it is
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn default_keys(global: &Global, kind: Kind) -> Result<Vec<PathBuf>> {
    let config = Config::find(global.config.as_deref())?;
    let mut paths = config.trust.security.clone();
    if kind == Kind::FeatureUpdate {
        paths.extend(config.trust.feature.clone());
    }
    if paths.is_empty() {
        let next = "name one with --key FILE, or list them under [trust] in patchlane.toml";
        return Err(Error::new(Code::Key, "there is no key to sign with", next));
    }
    Ok(paths.iter().map(|path| config.path(path)).collect())
}

/// A key that the root doesn't list for this lane is an error, not a signature nobody counts.
fn sign_with(bundle: &mut Bundle, global: &Global, path: &Path, root: &RootDocument<'_>) -> Result<String> {
    let private = keys::read(path, &global.passphrase())?;
    let id = keys::public_of(&private.key).id();
    let kind = bundle.manifest()?.kind;
    let wrong = |what: String| {
        Error::new(Code::Key, what, "sign with the key that the root declares for this lane")
            .at(path.display())
    };
    match role_of(root, &id) {
        Some("security") => {}
        Some("feature") if kind == Kind::FeatureUpdate => {}
        Some(role) => return Err(wrong(format!("is a {role} key, and this is a {}", describe::lane(kind)))),
        None => return Err(wrong(format!("isn't in root {}", root.version))),
    }
    if private.development && !root.development {
        let what = "is a development key, and the root is a production one";
        return Err(Error::new(Code::Development, what, "use the production key").at(path.display()));
    }
    bundle.sign(&private.key)?;
    Ok(id.to_string())
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let (bytes, seen) = files::read_seen(&options.file)?;
    let mut bundle = Bundle::parse(bytes).map_err(|e| e.at(options.file.display()))?;
    let root = anchor(global, options.root.as_ref())?;
    let document = root.document()?;
    let paths = if options.key.is_empty() {
        default_keys(global, bundle.manifest()?.kind)?
    } else {
        options.key.clone()
    };
    let mut signed = Vec::new();
    for path in &paths {
        signed.push(sign_with(&mut bundle, global, path, &document)?);
    }
    let whole = match bundle.verify(&document, |_| Ok(())) {
        Ok(()) => true,
        Err(error) if error.code == Code::Unsigned && options.partial => false,
        Err(error) if error.code == Code::Unsigned => {
            let next = "name all keys with --key, or use --partial and let the others sign";
            return Err(Error { next: next.into(), ..error }.at(options.file.display()));
        }
        Err(error) => return Err(error.at(options.file.display())),
    };
    let target = options.output.as_ref().unwrap_or(&options.file);
    let over = if options.output.is_some() { Over::Nothing } else { Over::Seen(seen) };
    let pieces: [&[u8]; 2] = [&bundle.to_head()?, bundle.payload()];
    files::write_together(&[New { path: target, pieces: &pieces, over, secrecy: Secrecy::Public }])?;
    let summary = if whole {
        format!("Signed, and verified under root {}.", document.version)
    } else {
        "Signed in part: the quorum isn't complete, and devices refuse it.".to_owned()
    };
    let mut report = describe::bundle(&bundle, &summary)?;
    report.lines.insert(0, ("file".into(), target.display().to_string()));
    report.data["file"] = json!(target.display().to_string());
    report.data["signed_by"] = json!(signed);
    report.data["verified"] = json!(whole);
    report.data["development"] = json!(document.development);
    Ok(report)
}
