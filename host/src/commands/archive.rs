//! `archive`: keeps what a release needs to be verified in ten years.

use super::{anchor, now};
use crate::archive::collect::{self, Around, Collector, Others};
use crate::archive::index::{Audience, Index, Role};
use crate::archive::recheck::{self, Parts};
use crate::archive::write::{Draft, File, Top, Written};
use crate::archive::{Archive, broken};
use crate::attest::Filing;
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::evidence::{self, Envelope, Evidence};
use crate::files;
use crate::keys::{self, Private};
use crate::ledger::entry::Sha;
use crate::ledger::time::Moment;
use crate::lint::change::Change;
use crate::output::{Report, plural};
use crate::root::Root;
use clap::{Args, Subcommand};
use patchlane_protocol::PublicKey;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const CREATE: &str = "\
Examples:
  patchlane archive create patch.plb -o archive/4.1-s8 --after patch.release.json --key evidence.pem
  patchlane archive create patch.plb -o for-customers --audience customer --key evidence.pem

Everything that the evidence names goes in, by digest: what was changed since is refused, and --with names the file as it
was. A customer's archive has what was shipped and signed, the thirty results, and nothing that is confidential: neither
change record, sources, programs and SBOMs nor what the checks found (PATCH.evidence.findings.json), not even by name.";

const ADD: &str = "\
Example:
  patchlane archive add archive/4.1-s8 --after patch.release.json --key evidence.pem

Nothing that is there is exchanged: a new index names the one before.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the archive of a release
    #[command(after_help = CREATE)]
    Create(Create),
    /// Add to an archive: statements made after signing, with what they name
    #[command(after_help = ADD)]
    Add(Add),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The signed bundle
    file: PathBuf,
    /// The archive's folder
    #[arg(long, short, value_name = "FOLDER")]
    output: PathBuf,
    /// The change record
    #[arg(long, default_value = "change.toml", value_name = "FILE")]
    change: PathBuf,
    /// Evidence made before signing, its findings beside it (default: PATCH.evidence.json beside PATCH.plb)
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    #[command(flatten)]
    more: More,
    /// For whom: a customer gets nothing that is confidential
    #[arg(long, value_enum, default_value = "assessor", value_name = "WHOM")]
    audience: Audience,
    /// The root that devices trust (default: the configuration's)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The archive's folder
    folder: PathBuf,
    #[command(flatten)]
    more: More,
}

#[derive(Debug, Args)]
struct More {
    /// Evidence made after signing: what `patchlane attest` wrote; repeat it for each
    #[arg(long, value_name = "FILE")]
    after: Vec<PathBuf>,
    /// A bundle that such evidence names as a base; the change record's are taken anyway
    #[arg(long, value_name = "BUNDLE")]
    base: Vec<PathBuf>,
    /// A file as it was when the evidence was made, found by its digest; repeat it for each
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// The private key that signs the index; its public half is listed under [evidence] keys
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

pub(crate) fn run(global: &Global, command: &Command) -> Result<Report> {
    match command {
        Command::Create(options) => create(global, options),
        Command::Add(options) => add(global, options),
    }
}

fn filings(paths: &[PathBuf]) -> Result<Vec<Filing>> {
    paths.iter().map(|path| Filing::new(path, files::read(path)?)).collect()
}

/// The index is signed by a key that the evidence names: only those can be told from a stranger's in ten years.
fn signer(
    global: &Global,
    more: &More,
    config: &Config,
    root: &Root,
    named: &[PublicKey],
) -> Result<Private> {
    let signer = evidence::signer(&more.key, &global.passphrase(), config, &root.document()?)?;
    if named.contains(&keys::public_of(&signer.key)) {
        return Ok(signer);
    }
    let next = "sign with a key that was under [evidence] keys when the evidence was made";
    Err(Error::new(Code::Key, "isn't a key that the evidence names", next).at(more.key.display()))
}

/// What an archive says beside its files.
struct Tops<'a> {
    bundle: &'a Filing,
    root: &'a Root,
    before: &'a Evidence,
    /// For an assessor.
    findings: Option<&'a [u8]>,
    named: &'a [PublicKey],
    after: BTreeMap<Sha, PublicKey>,
    signer: &'a Private,
}

impl Tops<'_> {
    fn make(&self, index: &Index) -> Result<Top> {
        let envelope =
            self.before.envelope.as_ref().ok_or_else(|| broken("holds evidence that isn't signed"))?;
        let parts = Parts {
            bundle: &self.bundle.bundle,
            root: self.root,
            before: envelope,
            findings: self.findings,
            evidence_key: self.before.verify(self.named)?,
            index_key: keys::public_of(&self.signer.key),
            after_keys: self.after.clone(),
        };
        let signed = Envelope::seal(&self.signer.key, evidence::INDEX, index.text()?.as_bytes())?;
        Ok(Top { signed, recheck: recheck::text(index, &parts)? })
    }
}

/// Statements made after signing, with what they name; `there` tells which files are archived anyway.
fn statements(
    around: &Around<'_>,
    more: &More,
    named: &[PublicKey],
    there: &dyn Fn(&Sha) -> bool,
) -> Result<Vec<File>> {
    let bases = filings(&more.base)?;
    let all = more.after.iter().map(|after| around.after(after, named, &bases, there));
    Ok(all.collect::<Result<Vec<_>>>()?.concat())
}

/// Who signed the statements made after signing, among these files and in the archive that is there.
fn signers(files: &[File], there: Option<&Archive>, named: &[PublicKey]) -> Result<BTreeMap<Sha, PublicKey>> {
    let kept = there
        .into_iter()
        .flat_map(|archive| archive.of(Role::EvidenceAfter).map(|entry| archive.bytes(&entry.sha256)));
    let new = files.iter().filter(|file| file.role == Role::EvidenceAfter).map(|file| Ok(file.bytes.clone()));
    let who = |bytes: Result<Vec<u8>>| {
        let bytes = bytes?;
        Ok((Sha::of(&bytes), Evidence::parse(&bytes)?.verify(named)?))
    };
    new.chain(kept).map(who).collect()
}

fn create(global: &Global, options: &Create) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let change = Change::read(&options.change)?;
    let root = anchor(global, options.root.as_ref())?;
    let bundle = Filing::new(&options.file, files::read(&options.file)?)?;
    bundle.bundle.verify(&root.document()?, |_| Ok(())).map_err(|e| e.at(options.file.display()))?;
    let ledger = super::ledger::beside(global, &bundle.bundle.manifest()?.product)?;
    let older = config.older()?;
    let others = Others::read(&options.more.with)?;
    let around = Around { bundle: &bundle, ledger: ledger.as_ref(), others: &others };
    let collector =
        Collector { config: &config, change: &change, root: &root, older: &older, around: &around };
    let path = options.evidence.clone().unwrap_or_else(|| options.file.with_extension("evidence.json"));
    let bytes = files::read(&path)?;
    let before = Evidence::parse(&bytes).map_err(|e| e.at(path.display()))?;
    let mut files = collector.all(&path, bytes)?;
    let named = collect::evidence_keys(&before.statement["predicate"])?;
    let signer = signer(global, &options.more, &config, &root, &named)?;
    let there =
        |sha256: &Sha| files.iter().any(|file| file.role == Role::Base && Sha::of(&file.bytes) == *sha256);
    files.extend(statements(&around, &options.more, &named, &there)?);
    let findings = files.iter().find(|file| file.role == Role::Findings);
    let findings = findings.filter(|_| options.audience == Audience::Assessor).map(|file| file.bytes.clone());
    // An archive that is there has statements of its own.
    let old = Archive::open(&options.output).ok();
    let tops = Tops {
        bundle: &bundle,
        root: &root,
        before: &before,
        findings: findings.as_deref(),
        named: &named,
        after: signers(&files, old.as_ref(), &named)?,
        signer: &signer,
    };
    let draft = Draft {
        audience: options.audience,
        release: collect::release(&config, &bundle)?,
        created: Moment(now()?).day(),
        files,
    };
    finish(&options.output, &draft, &tops)
}

fn add(global: &Global, options: &Add) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let archive = Archive::open(&options.folder)?;
    let read = |role: Role| -> Result<Vec<u8>> { archive.bytes(&archive.only(role)?.sha256) };
    let entry = archive.only(Role::Bundle)?;
    let bundle = Filing::new(&archive.path(&entry.sha256), read(Role::Bundle)?)?;
    let first = archive.of(Role::Root).next().ok_or_else(|| broken("has no root"))?;
    let root = Root::parse(&archive.bytes(&first.sha256)?)?;
    bundle.bundle.verify(&root.document()?, |_| Ok(())).map_err(|e| e.at(options.folder.display()))?;
    let before = Evidence::parse(&read(Role::EvidenceBefore)?)?;
    let named = collect::evidence_keys(&before.statement["predicate"])?;
    let signer = signer(global, &options.more, &config, &root, &named)?;
    if options.more.after.is_empty() {
        return Err(Error::new(Code::Usage, "there is nothing to add", "name a statement: --after FILE"));
    }
    let ledger = super::ledger::beside(global, &bundle.bundle.manifest()?.product)?;
    let others = Others::read(&options.more.with)?;
    let around = Around { bundle: &bundle, ledger: ledger.as_ref(), others: &others };
    let files = statements(&around, &options.more, &named, &|sha256| archive.entry(sha256).is_some())?;
    let findings = match archive.index.audience {
        Audience::Assessor => Some(read(Role::Findings)?),
        Audience::Customer => None,
    };
    let tops = Tops {
        bundle: &bundle,
        root: &root,
        before: &before,
        findings: findings.as_deref(),
        named: &named,
        after: signers(&files, Some(&archive), &named)?,
        signer: &signer,
    };
    let draft = Draft {
        audience: archive.index.audience,
        release: archive.index.release.clone(),
        created: Moment(now()?).day(),
        files,
    };
    finish(&options.folder, &draft, &tops)
}

fn finish(folder: &Path, draft: &Draft, tops: &Tops<'_>) -> Result<Report> {
    let (index, written) = draft.write(folder, &|index| tops.make(index))?;
    report(folder, &index, written, draft.left_out(), tops.signer.notes.clone())
}

fn report(
    folder: &Path,
    index: &Index,
    written: Written,
    left_out: usize,
    notes: Vec<String>,
) -> Result<Report> {
    let sha256 = Sha::of(index.text()?.as_bytes()).to_string();
    let data = json!({
        "folder": folder.display().to_string(),
        "audience": index.audience.name(),
        "release": index.release.version,
        "entries": index.entries.len(),
        "left_out": left_out,
        "retain_until": index.retain_until.to_string(),
        "index_sha256": sha256,
        "previous_sha256": index.previous.map(|previous| previous.to_string()),
        "added": match written { Written::New => index.entries.len(), Written::Same => 0, Written::Added(count) => count },
    });
    let summary = match written {
        Written::New => format!(
            "Archived: {} for the {}.",
            plural(index.entries.len() as u64, "file"),
            index.audience.name()
        ),
        Written::Same => "It was there already, with the same files.".to_owned(),
        Written::Added(count) => format!("Added {}.", plural(count as u64, "file")),
    };
    let mut report = Report::new(summary, data)
        .line("archive", folder.display().to_string())
        .line("release", index.release.version.clone())
        .line("keep until", index.retain_until.to_string())
        .line("index", format!("SHA-256 {sha256}"));
    if left_out > 0 {
        report =
            report.line("left out", format!("{} that no customer gets", plural(left_out as u64, "file")));
    }
    report.notes.extend(notes);
    Ok(report)
}
