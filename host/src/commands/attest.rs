//! `attest`: evidence made after signing.

use super::{anchor, now};
use crate::attest::{self, Filing, Over, Statement, Untried};
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::evidence;
use crate::files::{self, Over as Replacing, Secrecy};
use crate::ledger::Ledger;
use crate::ledger::time::Moment;
use crate::output::{Report, plural};
use crate::root::Root;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  patchlane attest patch.plb --base first.plb --key evidence.pem
  patchlane attest patch.plb --base first.plb --key evidence.pem --before-release -o after.json

The signed bundle is played to a device with each base, on simulated flash, under the real root: it installs, survives
power cuts, and goes back when its trial fails. With a ledger, every supported release that it can reach has to be among
the bases, and the statement names the ledger's entry and seal: `ledger release` comes before. `--before-release` leaves
those out; `ledger release --evidence` can record such a statement.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The signed bundle
    file: PathBuf,
    /// A bundle that devices may run when it arrives; repeat it for each
    #[arg(long, value_name = "BUNDLE", required = true)]
    base: Vec<PathBuf>,
    /// The private key that signs the statement; its public half is listed under [evidence] keys
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The root that devices trust (default: the configuration's)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// An older root that a base was made under; repeat it for each
    #[arg(long, value_name = "FILE")]
    older_root: Vec<PathBuf>,
    /// State nothing of the ledger: the bundle isn't released yet
    #[arg(long)]
    before_release: bool,
    /// The statement (default: PATCH.release.json beside PATCH.plb)
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Every release that the ledger wants tried is among the bases; what can't be is told.
fn covered(
    options: &Options,
    new: &Filing,
    bases: &[Filing],
    ledger: &Ledger,
    now: u64,
) -> Result<Vec<Untried>> {
    let (wanted, untried) = attest::wanted(&new.bundle, ledger, Moment(now).day())?;
    let given = |sha256| bases.iter().any(|base| base.bundle.digest().0 == sha256);
    let missing = wanted.iter().filter(|filed| !given(filed.entry.manifest_sha256.0));
    let missing: Vec<&str> = missing.map(|filed| &filed.entry.bundle[..]).collect();
    if missing.is_empty() {
        return Ok(untried);
    }
    let next = format!(
        "name each as a base: {}",
        missing.iter().map(|m| format!("--base {m}")).collect::<Vec<_>>().join(" ")
    );
    let what = format!("devices may run {} when it arrives, by the ledger", missing.join(", "));
    Err(Error::new(Code::Disagrees, what, next).at(options.file.display()))
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let root = anchor(global, options.root.as_ref())?;
    let new = Filing::new(&options.file, files::read(&options.file)?)?;
    new.bundle.verify(&root.document()?, |_| Ok(())).map_err(|e| e.at(options.file.display()))?;
    let older = options.older_root.iter().map(|path| Root::read(path));
    let mut roots = older.collect::<Result<Vec<_>>>()?;
    roots.push(root.clone());
    let bases = options.base.iter().map(|path| Filing::new(path, files::read(path)?));
    let bases = bases.collect::<Result<Vec<_>>>()?;
    let now = now()?;
    let ledger = super::ledger::beside(global, &new.bundle.manifest()?.product)?;
    let untried = match &ledger {
        Some(ledger) => covered(options, &new, &bases, ledger, now)?,
        None => Vec::new(),
    };
    let released = match &ledger {
        Some(ledger) if !options.before_release => Some(attest::released(ledger, &new)?),
        _ => None,
    };
    // A passphrase is asked for before the long part, not after.
    let signer = evidence::signer(&options.key, &global.passphrase(), &config, &root.document()?)?;
    let over = bases.into_iter().map(|base| {
        let cuts = attest::over(&new, &base, &roots, &config)?.map_err(|what| {
            let next = "play it alone: patchlane simulate BASE PATCH --sweep";
            Error::new(Code::Differs, format!("doesn't hold over {}: {what}", base.name), next)
                .at(options.file.display())
        })?;
        Ok(Over { root: attest::root_of(&base.bundle, &roots)?.document()?.version, base, cuts })
    });
    let over = over.collect::<Result<Vec<_>>>()?;
    let made =
        Statement { new: &new, config: &config, root: &root, over: &over, untried: &untried, released, now };
    let made = made.make()?;
    let path = options.output.clone().unwrap_or_else(|| options.file.with_extension("release.json"));
    let text = evidence::sealed(&signer.key, &made)?;
    files::write(&path, text.as_bytes(), Replacing::Nothing, Secrecy::Public)?;
    let predicate = &made["predicate"];
    let mut data = predicate.clone();
    data["evidence"] = json!(path.display().to_string());
    data["signed_by"] = json!(crate::keys::public_of(&signer.key).id().to_string());
    let cuts = predicate["cuts"].as_u64().unwrap_or(0);
    let mut report = Report::new(format!("It holds: {} survived.", plural(cuts, "power cut")), data)
        .line("evidence", path.display().to_string())
        .line("release", predicate["release"].as_str().unwrap_or_default());
    for over in &over {
        let told = format!("{}: {}", over.base.bundle.manifest()?.version, plural(over.cuts, "power cut"));
        report = report.line("over", told);
    }
    if let Some((entry, seal)) = released {
        report = report.line("released", format!("{}, sealed by {}", entry.file, seal.file));
    }
    for one in &untried {
        report = report.note(format!("not tried over {}: {}", one.release, one.why));
    }
    report.notes.extend(signer.notes);
    Ok(report)
}
