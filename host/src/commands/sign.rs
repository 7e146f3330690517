//! `sign`: adds signatures, and hands the bundle to the device's own verifier before it calls it signed.

use super::{anchor, describe, now, parse_bundle};
use crate::bundle::Bundle;
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::evidence::{self, Evidence};
use crate::files::{self, New, Over, Secrecy};
use crate::keys;
use crate::lint::{Profile, statement};
use crate::output::Report;
use crate::root::role_of;
use clap::Args;
use patchlane_protocol::{Kind, Manifest, Refusal, RootDocument};
use serde_json::json;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  patchlane sign patch.plb
  patchlane sign feature.plb --key keys/security.pem --partial    the feature key signs later";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The bundle; it is replaced once it is verified
    file: PathBuf,
    /// A private key; repeat it for each (default: those of the bundle's lane in patchlane.toml)
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// The root to verify under (default: the configuration's)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// What `lint` found, for a security patch (default: PATCH.evidence.json beside PATCH.plb)
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
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

/// A signature that was made.
struct Signed {
    key: String,
    path: PathBuf,
    notes: Vec<String>,
}

/// A key that the root doesn't list for this lane is an error, not a signature nobody counts.
fn sign_with(bundle: &mut Bundle, global: &Global, path: &Path, root: &RootDocument<'_>) -> Result<Signed> {
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
    Ok(Signed { key: id.to_string(), path: path.to_path_buf(), notes: private.notes })
}

fn sign_with_all(
    bundle: &mut Bundle,
    global: &Global,
    paths: &[PathBuf],
    root: &RootDocument<'_>,
) -> Result<Vec<Signed>> {
    let mut signed: Vec<Signed> = Vec::new();
    for path in paths {
        let new = sign_with(bundle, global, path, root)?;
        if let Some(other) = signed.iter().find(|other| other.key == new.key) {
            // Two names for one key would look like two signatures.
            let what = format!("is the same key as {}", other.path.display());
            return Err(Error::new(Code::Usage, what, "name each key once").at(path.display()));
        }
        signed.push(new);
    }
    Ok(signed)
}

/// The device's verdict: true if the quorum is complete, false if it isn't and needn't be yet.
fn judged(bundle: &Bundle, root: &RootDocument<'_>, partial: bool) -> Result<bool> {
    match bundle.verify(root, |_| Ok(())) {
        Ok(()) => Ok(true),
        Err(error) if error.code == Code::Unsigned && partial => Ok(false),
        Err(error) if error.code == Code::Unsigned => {
            let next = "name all keys with --key, or use --partial and let the others sign";
            Err(Error { next: next.into(), ..error })
        }
        // The keys of this command are in the root: one that isn't has signed before.
        Err(error) if error.refusal == Some(Refusal::UnknownKey) => {
            let next = "it carries a signature made under another root: build it anew, and sign that";
            Err(Error { next: next.into(), ..error })
        }
        Err(error) => Err(error),
    }
}

/// How strict the evidence has to be that `sign` asks for, if it asks for any.
///
/// Under a development root only where patchlane.toml has `[lint]`; under a production one always, whatever
/// patchlane.toml says or lacks. Who names evidence keys asks for evidence, if only as strict as on the first day.
/// A patch without payload needs none: devices take it only if it names the image that they run, so it changes nothing
/// but what they know.
pub(super) fn asks(
    manifest: &Manifest<'_>,
    config: Option<&Config>,
    root: &RootDocument<'_>,
) -> Option<Profile> {
    if !separable(manifest) {
        return None;
    }
    match config.and_then(|config| config.lint.as_ref()) {
        Some(lint) => Some(lint.profile),
        None if root.development && config.is_none_or(|config| config.evidence.is_none()) => None,
        None => Some(Profile::Starter),
    }
}

fn separable(manifest: &Manifest<'_>) -> bool {
    manifest.kind == Kind::SecurityPatch && !manifest.is_payload_free()
}

/// A security patch is signed only if the lint let it pass: that is what its signature says.
fn separated(
    bundle: &Bundle,
    global: &Global,
    options: &Options,
    root: &RootDocument<'_>,
) -> Result<Vec<String>> {
    let manifest = bundle.manifest()?;
    if !separable(&manifest) {
        return Ok(Vec::new());
    }
    let config = match Config::find(global.config.as_deref()) {
        Ok(config) => Some(config),
        Err(error) if error.code == Code::Missing && global.config.is_none() => None,
        Err(error) => return Err(error),
    };
    let Some(profile) = asks(&manifest, config.as_ref(), root) else { return Ok(Vec::new()) };
    let keys = config.as_ref().filter(|config| config.evidence.is_some());
    let beside = options.file.with_extension("evidence.json");
    let path = options.evidence.as_ref().unwrap_or(&beside);
    let bytes = files::read_small(path).map_err(|e| match e.code {
        Code::Missing => Error::new(
            Code::Separation,
            "isn't there: nothing shows that this is a security patch",
            "run `patchlane lint -o FILE`, then `build --change … --evidence FILE`, and name it here: --evidence FILE; \
             a baseline's first release is a feature update",
        )
        .at(path.display()),
        _ => e,
    })?;
    let at = |e: Error| e.at(path.display());
    let evidence = Evidence::parse(&bytes).map_err(at)?;
    let mut notes = statement::judge(&evidence, bundle, profile, now()?).map_err(at)?;
    let catalogues = super::lint::own_catalogues(config.as_ref())?;
    statement::evaluated(&evidence, profile, &catalogues).map_err(at)?;
    if let Some(config) = keys {
        let signed = evidence.verify(&evidence::trusted(config, root)?).map_err(|e| {
            let next = "make it with `patchlane lint -o FILE --key KEY`, and build the bundle with that";
            at(Error { next: next.into(), ..e })
        })?;
        notes.push(format!("the evidence is signed by {}", signed.id()));
    } else if evidence.envelope.is_some() {
        notes.push("nobody verified who signed the evidence: patchlane.toml names no [evidence] keys".into());
    }
    Ok(notes)
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let (bytes, seen) = files::read_seen(&options.file)?;
    let mut bundle = parse_bundle(bytes, &options.file)?;
    let root = anchor(global, options.root.as_ref())?;
    let document = root.document()?;
    if let Some(ledger) = super::ledger::beside(global, &bundle.manifest()?.product)? {
        // A signature on what the ledger refuses is one too many.
        ledger.agree(&bundle.manifest()?).map_err(|e| match e.place {
            None => e.at(options.file.display()),
            Some(_) => e,
        })?;
    }
    let paths = if options.key.is_empty() {
        default_keys(global, bundle.manifest()?.kind)?
    } else {
        options.key.clone()
    };
    let notes = separated(&bundle, global, options, &document)?;
    let before: Vec<String> = bundle.signatures().iter().map(|s| s.key.to_string()).collect();
    let signed = sign_with_all(&mut bundle, global, &paths, &document)?;
    let whole = judged(&bundle, &document, options.partial).map_err(|e| e.at(options.file.display()))?;
    let target = options.output.as_ref().unwrap_or(&options.file);
    let over = if options.output.is_some() { Over::Nothing } else { Over::Seen(seen) };
    let pieces: [&[u8]; 2] = [&bundle.to_head()?, bundle.payload()];
    files::write_together(&[New { path: target, pieces: &pieces, over, secrecy: Secrecy::Public }])?;
    let summary = if whole {
        let trust = if document.development { " (development: production devices refuse it)" } else { "" };
        format!("Signed, and verified under root {}{trust}.", document.version)
    } else {
        "Signed in part: the quorum isn't complete, and devices refuse it.".to_owned()
    };
    let mut report = describe::bundle(&bundle, &summary)?;
    report.lines.insert(0, ("file".into(), target.display().to_string()));
    report.data["file"] = json!(target.display().to_string());
    report.data["signed_by"] = json!(signed.iter().map(|s| &s.key).collect::<Vec<_>>());
    report.data["verified"] = json!(whole);
    report.data["development"] = json!(document.development);
    report.notes.extend(notes);
    for signature in signed {
        if before.contains(&signature.key) {
            report = report.note(format!("key {} had signed it already", signature.key));
        }
        report.notes.extend(signature.notes);
    }
    if !whole {
        report
            .lines
            .insert(1, ("signed".into(), "in part: devices refuse it until the quorum is complete".into()));
    }
    Ok(report)
}
