//! `ledger release`: the only writer of releases, seals and indices. It verifies the bundle as a device does first.

use super::{alone, line};
use crate::bundle::Bundle;
use crate::cli::Global;
use crate::commands::{anchor, parse_bundle};
use crate::error::{Code, Error, Result};
use crate::files;
use crate::ledger::entry::{Advisory, Combined, FORMAT, Image, Name, Release, Sha, Waiver};
use crate::ledger::plan::Mint;
use crate::ledger::rules::Rule;
use crate::ledger::time::{Day, Moment};
use crate::ledger::{Filed, Ledger, Written, seal, write, write_all};
use crate::lint::debt::{self, Leniency};
use crate::output::Report;
use clap::Args;
use patchlane_protocol::{Encoding, Manifest, RootDocument};
use serde_json::json;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  patchlane ledger release pump_4.1-s9_security.plb
  patchlane ledger release pump_4.1-s9_security.plb --evidence evidence-after.json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The signed bundle
    file: PathBuf,
    /// The root that devices trust (default: the configuration's)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// What `lint` found before signing, if the manifest names it: waivers and debt are recorded (default:
    /// PATCH.evidence.json beside PATCH.plb)
    #[arg(long, value_name = "FILE")]
    lint: Option<PathBuf>,
    /// Evidence made after signing: its digest is recorded; repeat it for each
    #[arg(long, value_name = "FILE")]
    evidence: Vec<PathBuf>,
    /// A check of the lint that didn't hold, until when that is borne, who approved it, and why; repeat it for each
    #[arg(long, value_parser = waiver, value_name = "CHECK:UNTIL:WHO:WHY")]
    waiver: Vec<Waiver>,
}

fn waiver(text: &str) -> std::result::Result<Waiver, String> {
    let parts: Vec<&str> = text.splitn(4, ':').collect();
    let [check, until, approver, because] = parts[..] else {
        return Err("a waiver is CHECK:UNTIL:APPROVER:REASON, such as 19:2027-06-30:M. Ito:new vector".into());
    };
    let (check, approver, because) = (line(check)?, line(approver)?, line(because)?);
    Ok(Waiver { check, until: Day::parse(until)?, approver, because })
}

/// What the patch was let through with. Who released what nobody can read any more would lose its debt.
fn leniency(options: &Options, m: &Manifest<'_>) -> Result<Leniency> {
    let Some(named) = m.evidence else {
        return Ok(Leniency { waivers: options.waiver.clone(), owed: Vec::new() });
    };
    let beside = options.file.with_extension("evidence.json");
    let path = options.lint.as_ref().unwrap_or(&beside);
    let evidence = files::read_small(path).map_err(|error| match error.code {
        Code::Missing => {
            Error { next: "name the evidence that the bundle was built with: --lint FILE".into(), ..error }
        }
        _ => error,
    })?;
    let mut found = debt::leniency(&evidence, named).map_err(|e| e.at(path.display()))?;
    // What was typed says more.
    found.waivers.retain(|waiver| options.waiver.iter().all(|typed| typed.check != waiver.check));
    found.waivers.splice(0..0, options.waiver.iter().cloned());
    Ok(found)
}

/// What the ledger records of a bundle.
fn entry(options: &Options, bytes: &[u8], bundle: &Bundle, root: &RootDocument<'_>) -> Result<Release> {
    let m = bundle.manifest()?;
    let let_through = leniency(options, &m)?;
    let name = options.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let evidence = options.evidence.iter().map(|path| files::read(path).map(|bytes| Sha::of(&bytes)));
    let text = |text: &str| crate::output::plain(text);
    Ok(Release {
        format: FORMAT,
        baseline: Name(m.version.feature),
        level: m.version.security.level(),
        open: m.version.security.open().iter().collect(),
        lane: m.kind.into(),
        bundle: text(&name),
        bundle_sha256: Sha::of(bytes),
        manifest_sha256: Sha(bundle.digest().0),
        full: full(&m),
        hardware: m.hardware.iter().collect(),
        issued: Moment(m.issued_at),
        root: m.root_version,
        development: root.development,
        evidence_before: m.evidence.map(|digest| Sha(digest.0)),
        evidence_after: evidence.collect::<Result<_>>()?,
        combined: m.combined.map(|c| Combined { reason: c.reason, because: text(c.because) }),
        closes: m.advisories.iter().map(|advisory| advisory.id.to_owned()).collect(),
        image: images(&m),
        waiver: let_through.waivers,
        owed: let_through.owed,
    })
}

fn images(m: &Manifest<'_>) -> Vec<Image> {
    let of = |c: patchlane_protocol::Component<'_>| {
        let image = |i: patchlane_protocol::Image| Image {
            component: c.id.0,
            address: i.address,
            bytes: i.size.get(),
            sha256: Sha(i.digest.0),
        };
        c.images.iter().map(image).collect::<Vec<_>>()
    };
    m.components.iter().flat_map(of).collect()
}

/// Whether a device that has nothing of it can take it: every image is there in full.
fn full(m: &Manifest<'_>) -> bool {
    m.components.iter().all(|component| {
        let whole = |image: usize| {
            let mut ways = component.alternatives.iter();
            ways.any(|way| {
                usize::from(way.image) == image && way.base.is_none() && way.encoding != Encoding::Delta
            })
        };
        (0..component.images.iter().count()).all(whole)
    })
}

/// A new seal over history that doesn't hold would hide that.
fn history_holds(ledger: &Ledger) -> Result<()> {
    // What isn't sealed yet is sealed by releasing it.
    let broken = seal::findings(ledger).into_iter().filter(|finding| finding.rule != Rule::Unsealed);
    let mut broken = broken
        .map(|f| Error::new(Code::Disagrees, format!("{}: {}", f.rule.name(), f.what), f.next).at(f.place));
    match broken.next() {
        Some(first) => Err(Error { also: broken.collect(), ..first }),
        None => Ok(()),
    }
}

/// The bundle's entry as it is there already, without a seal: two branches released at once, and one seal was dropped.
fn there<'a>(ledger: &'a Ledger, new: &mut Release) -> Result<Option<&'a Filed<Release>>> {
    let same = |filed: &&Filed<Release>| filed.entry.manifest_sha256 == new.manifest_sha256;
    let Some(old) = ledger.releases.iter().find(same) else { return Ok(None) };
    let at = ledger.path(&old.file).display().to_string();
    if seal::sealed(ledger, old) {
        let next = "it is released already: nothing is left to do";
        return Err(Error::new(Code::Exists, "records this bundle already", next).at(at));
    }
    new.evidence_after.clone_from(&old.entry.evidence_after);
    new.waiver.clone_from(&old.entry.waiver);
    new.owed.clone_from(&old.entry.owed);
    new.bundle.clone_from(&old.entry.bundle);
    if *new == old.entry {
        return Ok(Some(old));
    }
    let next = "name the bundle that it was made from, or take the entry away";
    Err(Error::new(Code::Conflict, "says otherwise than the bundle", next).at(at))
}

/// Entries to write: advisories that get their index, the release, the seal.
fn written(ledger: &Ledger, mints: &[Mint], mut new: Release) -> Result<(Vec<Written>, Release)> {
    let (mut all, mut entries) = (Vec::new(), seal::entries(ledger));
    for mint in mints {
        let read = super::advisory(ledger, &mint.id)?;
        let minted = Advisory { index: Some(mint.index), ..read.entry.clone() };
        let written = Written::again(read, write::advisory(&minted));
        seal::put(&mut entries, written.file(), Sha::of(written.text().as_bytes()), &minted);
        all.push(written);
    }
    let release = match there(ledger, &mut new)? {
        Some(old) => (old.file.clone(), old.sha256),
        None => {
            let written = Written::new(&new, write::release(&new));
            let named = (written.file().to_owned(), Sha::of(written.text().as_bytes()));
            all.push(written);
            named
        }
    };
    let sealed = crate::ledger::entry::Sealed { sha256: release.1, facts: Default::default() };
    entries.insert(release.0.clone(), sealed);
    let seal = seal::next(ledger, &release.0, entries);
    all.push(Written::new(&seal, write::seal(&seal)));
    Ok((all, new))
}

/// Verified under the root, of this product, and as the ledger says.
fn judged(ledger: &Ledger, bundle: &Bundle, root: &RootDocument<'_>, path: &Path) -> Result<Vec<Mint>> {
    let at = |error: Error| match error.place {
        None => error.at(path.display()),
        Some(_) => error,
    };
    bundle.verify(root, |_| Ok(())).map_err(at)?;
    ledger.agree(&bundle.manifest()?).map_err(at)
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let bytes = files::read(&options.file)?;
    let bundle = parse_bundle(&bytes[..], &options.file)?;
    let root = anchor(global, options.root.as_ref())?;
    let document = root.document()?;
    let (config, ledger, _lock) = alone(global)?;
    if bundle.manifest()?.product != config.product() {
        return Err(Error::refused(patchlane_protocol::Refusal::WrongProduct).at(options.file.display()));
    }
    history_holds(&ledger)?;
    let mints = judged(&ledger, &bundle, &document, &options.file)?;
    let new = entry(options, &bytes, &bundle, &document)?;
    let (all, new) = written(&ledger, &mints, new)?;
    write_all(&ledger.folder, &all)?;
    let seal = all.last().map(|written| (ledger.path(written.file()), Sha::of(written.text().as_bytes())));
    let (seal, head) = seal.ok_or_else(|| Error::internal("no seal was made"))?;
    let version = bundle.manifest()?.version.to_string();
    let data = json!({
        "version": version,
        "file": format!("releases/{}.toml", crate::ledger::Entry::stem(&new, &head)),
        "minted": mints.iter().map(|mint| json!({ "id": mint.id, "index": mint.index })).collect::<Vec<_>>(),
        "seal": seal.display().to_string(),
        "head_sha256": head.to_string(),
        "development": new.development,
        "owed": new.owed.iter().map(|owed| json!({ "check": owed.check, "due": owed.due.to_string() })).collect::<Vec<_>>(),
    });
    let trust = if new.development { " (development: `ledger check` wants --development)" } else { "" };
    let mut report = Report::new(format!("Released, and sealed{trust}."), data)
        .line("release", format!("{version} ({})", crate::commands::describe::lane(bundle.manifest()?.kind)));
    for mint in &mints {
        report = report.line("minted", format!("{}: {}", mint.index, mint.id));
    }
    for owed in &new.owed {
        let what = format!("evidence of check {} until {}: then `ledger check` fails", owed.check, owed.due);
        report = report.line("owed", what);
    }
    for written in &all {
        report = report.line("written", ledger.path(written.file()).display().to_string());
    }
    Ok(report.line("head", format!("SHA-256 {head}")))
}
