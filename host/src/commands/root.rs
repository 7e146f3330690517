//! `root`: make and show what devices trust.

use super::{anchor, baseline};
use crate::bundle::sha256;
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::files::{self, Over, Secrecy};
use crate::keys;
use crate::output::Report;
use crate::root::{CEILINGS, Draft, Root};
use clap::{Args, Subcommand};
use ed25519_dalek::SigningKey;
use patchlane_device::verify;
use patchlane_protocol::{Baseline, Ceilings, PublicKey, Role, RootDocument, SignedRoot, limits};
use serde_json::json;
use std::path::PathBuf;

const NEW_EXAMPLES: &str = "\
Examples:
  patchlane root new -o root-1.plr --root a.pub --root b.pub --root c.pub --root-threshold 2 \\
      --security security.pub --feature feature.pub --sign a.pem --sign b.pem
  patchlane root new -o root-2.plr --follows root-1.plr --root a.pub --root b.pub --root c.pub \\
      --root-threshold 2 --security security-2.pub --feature feature.pub --sign a.pem --sign b.pem";

const SHOW_EXAMPLES: &str = "\
Examples:
  patchlane root show
  patchlane root show root-2.plr";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a root from public keys: the first one, or the next one after another
    New(New),
    /// Show a root file: keys, thresholds, ceilings
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The file (default: the configuration's)
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = NEW_EXAMPLES)]
pub(crate) struct New {
    /// The root file to make
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// A public key of the root role; repeat it for each
    #[arg(long, required = true, value_name = "PUB")]
    root: Vec<PathBuf>,
    /// How many root keys have to sign
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    root_threshold: u8,
    /// A public key of the security role; repeat it for each
    #[arg(long, required = true, value_name = "PUB")]
    security: Vec<PathBuf>,
    /// How many security keys have to sign
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    security_threshold: u8,
    /// A public key of the feature role; repeat it for each
    #[arg(long, required = true, value_name = "PUB")]
    feature: Vec<PathBuf>,
    /// How many feature keys have to sign
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    feature_threshold: u8,
    /// A private root key to sign with; repeat it until the new quorum is complete, and with --follows also the old one's
    #[arg(long, required = true, value_name = "KEY")]
    sign: Vec<PathBuf>,
    /// The root that this one follows; its version is one more, and devices take it from bundles
    #[arg(long, value_name = "FILE")]
    follows: Option<PathBuf>,
    /// No bundle may state a higher baseline (default: that of --follows, else 99.999)
    #[arg(long, value_parser = baseline, value_name = "LINE.STEP")]
    ceiling_baseline: Option<Baseline>,
    /// No bundle may state a higher level (default: that of --follows, else 999)
    #[arg(long, value_name = "NUMBER")]
    ceiling_level: Option<u32>,
}

pub(crate) fn run(global: &Global, command: &Command) -> Result<Report> {
    match command {
        Command::New(options) => new(global, options),
        Command::Show { file } => {
            let root = anchor(global, file.as_ref())?;
            describe(&root, "")
        }
    }
}

fn publics(paths: &[PathBuf]) -> Result<Vec<PublicKey>> {
    paths.iter().map(|path| keys::read_production(path)).collect()
}

fn new(global: &Global, options: &New) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let old = options.follows.as_ref().map(|path| Root::read(path)).transpose()?;
    let before = old.as_ref().map(Root::document).transpose()?;
    let default = before.map_or(CEILINGS, |old: RootDocument<'_>| old.ceilings);
    let draft = Draft {
        product: config.product(),
        version: before.map_or(1, |old| old.version.saturating_add(1)),
        development: false,
        ceilings: Ceilings {
            feature: options.ceiling_baseline.unwrap_or(default.feature),
            level: options.ceiling_level.unwrap_or(default.level),
        },
        roles: [
            (publics(&options.root)?, options.root_threshold),
            (publics(&options.security)?, options.security_threshold),
            (publics(&options.feature)?, options.feature_threshold),
        ],
    };
    let (private, notes) = signers(global, options, &draft, before.as_ref())?;
    let root = draft.sign(&private.iter().collect::<Vec<_>>()).map_err(|e| {
        let next = format!(
            "give each role keys of its own, at most {} root keys and {} of another role, and thresholds they can reach",
            limits::ROOT_KEYS,
            limits::ROLE_KEYS
        );
        Error { next, ..e }.at(options.output.display())
    })?;
    // Judged as it will be: by its own quorum, and by the device's verifier if it follows another.
    let root = Root::parse(root.bytes()).map_err(|e| e.at(options.output.display()))?;
    if let Some(before) = &before {
        verify::link(&SignedRoot::parse(root.bytes())?, before)
            .map_err(|refusal| Error::refused(refusal).at(options.output.display()))?;
    }
    files::write(&options.output, root.bytes(), Over::Nothing, Secrecy::Public)?;
    let summary = match &before {
        Some(old) => format!("Follows root {}: carry it along with `patchlane build --link`.", old.version),
        None => "Name it as [trust] root in patchlane.toml, and provision devices with it.".to_owned(),
    };
    let mut report = describe(&root, &summary)?;
    report.lines.insert(0, ("file".into(), options.output.display().to_string()));
    report.data["file"] = json!(options.output.display().to_string());
    report.notes = notes;
    Ok(report)
}

/// Reads the keys to sign with. One that has no say is an error, not a signature nobody counts.
fn signers(
    global: &Global,
    options: &New,
    draft: &Draft,
    before: Option<&RootDocument<'_>>,
) -> Result<(Vec<SigningKey>, Vec<String>)> {
    // Never grown: that would leave keys behind.
    let (mut private, mut notes) = (Vec::<SigningKey>::with_capacity(options.sign.len()), Vec::new());
    for path in &options.sign {
        let key = keys::read(path, &global.passphrase())?;
        let wrong = |code, what: &str, next: &str| Err(Error::new(code, what, next).at(path.display()));
        if key.development {
            let what = "is a development key, and this is a production root";
            return wrong(Code::Development, what, "make keys with `patchlane key new`");
        }
        let id = keys::public_of(&key.key).id();
        let listed = draft.roles[0].0.iter().any(|root| root.id() == id)
            || before.is_some_and(|old| old.roles.root().keys().iter().any(|root| root.id() == id));
        if !listed {
            let next = "sign with the keys whose public halves --root names, and with the old root's";
            return wrong(Code::Key, "isn't a root key, neither of this root nor of the one before", next);
        }
        if private.iter().any(|other| keys::public_of(other).id() == id) {
            return wrong(Code::Usage, "is named twice among --sign", "name each key once");
        }
        notes.extend(key.notes);
        private.push(key.key);
    }
    Ok((private, notes))
}

fn describe(root: &Root, summary: &str) -> Result<Report> {
    let document = root.document()?;
    let ids = |role: &Role<'_>| role.keys().iter().map(|k| k.id().to_string()).collect::<Vec<_>>();
    let role =
        |role: &Role<'_>| format!("{} of {}: {}", role.threshold(), role.keys().len(), ids(role).join(", "));
    let json_role = |role: &Role<'_>| json!({ "threshold": role.threshold(), "keys": ids(role) });
    let ceilings = document.ceilings;
    let digest = sha256(root.document_bytes()?).to_string();
    let data = json!({
        "version": document.version,
        "development": document.development,
        "vendor_id": document.product.vendor.to_string(),
        "class_id": document.product.class.to_string(),
        "ceiling_baseline": ceilings.feature.to_string(),
        "ceiling_level": ceilings.level,
        "sha256": digest,
        "root": json_role(document.roles.root()),
        "security": json_role(document.roles.security()),
        "feature": json_role(document.roles.feature()),
    });
    let kind = if document.development { "development: production refuses it" } else { "production" };
    Ok(Report::new(summary, data)
        .line("root", format!("version {}, {kind}", document.version))
        .line("vendor id", document.product.vendor.to_string())
        .line("class id", document.product.class.to_string())
        .line("ceilings", format!("baseline {}, level {}", ceilings.feature, ceilings.level))
        .line("root role", role(document.roles.root()))
        .line("security role", role(document.roles.security()))
        .line("feature role", role(document.roles.feature()))
        .line("SHA-256", digest))
}
