//! Verifies a release from its archive alone, and recomputes what can be recomputed.
//!
//! Nothing in the archive is believed because it is there: the root is the anchor, the device's own verifier judges the
//! bundle, the manifest names the evidence, the evidence names its files and the keys that may sign more of it.

mod bases;
mod checks;
mod whole;

pub(crate) use whole::release as indexed;

use super::Archive;
use super::index::{Audience, Entry, Role};
use crate::attest::{self, Filing};
use crate::config::Config;
use crate::error::Result;
use crate::evidence::Evidence;
use crate::ledger::Ledger;
use crate::ledger::entry::Sha;
use crate::ledger::time::Moment;
use crate::lint::findings;
use crate::lint::proof::{SIMULATED, SIMULATED_BASES};
use crate::root::Root;
use patchlane_protocol::{PublicKey, SignedRoot};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was seen here, from the archive's bytes.
    Reproduced,
    /// It can't be seen from here: the vendor says so.
    VendorsWord,
    /// It is otherwise than claimed.
    Differs,
}

impl Verdict {
    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::VendorsWord => "vendors-word",
            Self::Differs => "differs",
        }
    }
}

/// One claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What part it belongs to: `archive`, `trust`, `checks`, `after`.
    pub part: &'static str,
    /// Its name.
    pub name: String,
    /// The number of the check, if it is one.
    pub check: Option<u8>,
    /// What became of it.
    pub verdict: Verdict,
    /// What was seen, or why nothing was.
    pub detail: String,
}

/// Claims, as they are looked at.
#[derive(Debug, Default)]
pub struct Rows(pub Vec<Row>);

impl Rows {
    fn add(&mut self, part: &'static str, name: &str, verdict: Verdict, detail: impl Into<String>) {
        self.0.push(Row { part, name: name.to_owned(), check: None, verdict, detail: detail.into() });
    }

    /// What is seen is reproduced; an error says what is otherwise.
    fn seen(&mut self, part: &'static str, name: &str, seen: Result<String>) {
        match seen {
            Ok(detail) => self.add(part, name, Verdict::Reproduced, detail),
            Err(error) => self.add(part, name, Verdict::Differs, error.to_string()),
        }
    }
}

/// What the archive is about, once it is known to hold together.
struct Release {
    bundle: Filing,
    root: Root,
    roots: Vec<Root>,
    before: Evidence,
    /// What it says together with its findings; or why that isn't known, in words.
    whole: std::result::Result<Value, String>,
    keys: Vec<PublicKey>,
}

/// Verifies everything. `anchor` is the root that the assessor got elsewhere.
///
/// # Errors
/// What keeps it from being looked at: a file that can't be read at all. What is otherwise than claimed is a row.
pub fn verify(archive: &Archive, anchor: Option<&Root>) -> Result<Vec<Row>> {
    let mut rows = Rows::default();
    rows.seen("archive", "files", whole::objects(archive));
    rows.seen("archive", "no others", whole::strangers(archive));
    let release = match opened(archive) {
        Ok(release) => release,
        Err(error) => {
            rows.add("trust", "release", Verdict::Differs, error.to_string());
            return Ok(rows.0);
        }
    };
    trust(&release, anchor, &mut rows);
    rows.seen("archive", "index", whole::signed(archive, &release.keys));
    rows.seen("archive", "history", whole::history(archive, &release.keys));
    rows.seen("archive", "release", whole::release(archive, &release.bundle.bundle, release.bundle.sha256));
    match (&release.whole, archive.index.audience) {
        (Err(why), Audience::Assessor) => {
            rows.add("archive", "RECHECK.md", Verdict::VendorsWord, format!("not compared: {why}"));
        }
        _ => rows.seen("archive", "RECHECK.md", whole::recheck(archive, &release)),
    }
    checks::rows(archive, &release, &mut rows);
    after(archive, &release, &mut rows);
    // As they are read: trust first.
    let rank = |row: &Row| ["trust", "archive", "checks", "after"].iter().position(|part| *part == row.part);
    rows.0.sort_by_key(rank);
    Ok(rows.0)
}

fn opened(archive: &Archive) -> Result<Release> {
    let entry = archive.only(Role::Bundle)?;
    let bundle = Filing::new(&archive.path(&entry.sha256), archive.bytes(&entry.sha256)?)?;
    let roots = distinct(archive, Role::Root);
    let roots = roots.into_iter().map(|entry| Root::parse(&archive.bytes(&entry.sha256)?));
    let mut roots = roots.collect::<Result<Vec<_>>>()?;
    let root = roots.first().cloned().ok_or_else(|| super::broken("has no root"))?;
    roots.sort_by_key(|root| root.document().map_or(0, |document| document.version));
    roots.dedup();
    let before = whole::evidence(archive, &archive.only(Role::EvidenceBefore)?.sha256)?;
    let predicate = &before.statement["predicate"];
    let keys = super::collect::evidence_keys(predicate)?;
    let whole = match archive.held(&findings::named(predicate)?) {
        Ok(found) => Ok(findings::join(predicate, &found)?),
        Err(why) => Err(format!("what the checks found {why}")),
    };
    Ok(Release { bundle, root, roots, before, whole, keys })
}

fn trust(release: &Release, anchor: Option<&Root>, rows: &mut Rows) {
    rows.seen("trust", "root chain", chain(&release.roots));
    match anchor {
        Some(anchor) => rows.seen("trust", "anchor", anchored(release, anchor)),
        None => {
            let sha256 = Sha::of(release.root.bytes());
            let told =
                format!("compare its SHA-256 with one that you got elsewhere, or give --root: {sha256}");
            rows.add("trust", "anchor", Verdict::VendorsWord, told);
        }
    }
    let judged = || -> Result<String> {
        let document = release.root.document()?;
        release.bundle.bundle.verify(&document, |_| Ok(()))?;
        let kind =
            if document.development { ", a development root: production devices refuse it" } else { "" };
        Ok(format!("by the device's verifier, under root {}{kind}", document.version))
    };
    rows.seen("trust", "bundle", judged());
    let named = || -> Result<String> {
        let profile = whole::profile(&release.before)?;
        let evaluated = whole::evaluated(&release.before)?;
        let notes =
            crate::lint::statement::judge(&release.before, &release.bundle.bundle, profile, evaluated.0)?;
        let notes = if notes.is_empty() { String::new() } else { format!("; {}", notes.join("; ")) };
        Ok(format!("the manifest names it: passed by profile {}{notes}", profile.name()))
    };
    rows.seen("trust", "evidence", named());
    let signed = || -> Result<String> {
        let document = release.root.document()?;
        if let Some(key) = release.keys.iter().find(|key| document.roles.list(&key.id())) {
            return Err(super::broken(format!(
                "names the key {} for evidence, which the root lists",
                key.id()
            )));
        }
        Ok(format!("by {}, which the manifest vouches for", release.before.verify(&release.keys)?.id()))
    };
    rows.seen("trust", "evidence signature", signed());
}

/// The root given is the archive's, or one before it: devices that trust a later one know of no key that it retired.
fn anchored(release: &Release, anchor: &Root) -> Result<String> {
    let same = |root: &Root| root.document_bytes().ok() == anchor.document_bytes().ok();
    if same(&release.root) {
        return Ok("the root is the one given".into());
    }
    if !release.roots.iter().any(same) {
        return Err(super::broken("isn't in the archive's chain").at("the root given"));
    }
    let (given, judges) = (anchor.document()?, release.root.document()?.version);
    if given.version < judges {
        return Ok("the chain begins at the root given".into());
    }
    release.bundle.bundle.verify(&given, |_| Ok(())).map_err(|error| {
        let what = format!(
            "root {} judged the bundle, and by root {}, which is the one given, it {}",
            judges, given.version, error.what
        );
        crate::Error { what, ..error }
    })?;
    Ok(format!("root {judges} judged the bundle; by the one given, {}, it is sound, too", given.version))
}

/// Each root follows the one before.
fn chain(roots: &[Root]) -> Result<String> {
    for pair in roots.windows(2) {
        let [old, new] = pair else { continue };
        let at = |error: crate::Error| {
            let version = new.document().map_or(0, |document| document.version);
            crate::Error { what: format!("root {version}: {}", error.what), ..error }
        };
        let link = SignedRoot::parse(new.bytes())?;
        patchlane_device::verify::link(&link, &old.document()?).map_err(|refusal| at(refusal.into()))?;
    }
    let versions =
        roots.iter().map(|root| Ok(root.document()?.version.to_string())).collect::<Result<Vec<_>>>()?;
    Ok(format!("root {}", versions.join(", then ")))
}

fn after(archive: &Archive, release: &Release, rows: &mut Rows) {
    let statements = distinct(archive, Role::EvidenceAfter);
    let none = statements.is_empty();
    let mut played = BTreeSet::new();
    for entry in statements {
        let evidence = match whole::evidence(archive, &entry.sha256) {
            Ok(evidence) => evidence,
            Err(error) => {
                rows.add("after", "statement", Verdict::Differs, error.to_string());
                continue;
            }
        };
        let signed = attest::about(&evidence, &release.bundle.sha256, &release.keys);
        // What a stranger says of bases isn't played: it's no claim of the vendor's.
        let vendors = signed.is_ok();
        rows.seen(
            "after",
            "statement",
            signed.map(|key| format!("about this bundle, signed by {}", key.id())),
        );
        if !vendors {
            continue;
        }
        bases(archive, release, &evidence.statement["predicate"], &mut played, rows);
        recorded(archive, release, &evidence.statement["predicate"]["ledger"], rows);
        bases::covered(archive, release, &evidence.statement["predicate"], rows);
    }
    if none {
        rows.add("after", "statement", Verdict::VendorsWord, "there is no evidence made after signing");
    }
}

/// patchlane.toml, whose flash is simulated; why it isn't known, in words.
fn config(archive: &Archive) -> std::result::Result<Result<Config>, String> {
    let Some(entry) = archive.of(Role::Config).next() else {
        let why = match archive.index.audience {
            Audience::Customer => "is confidential",
            Audience::Assessor => "isn't in the archive",
        };
        return Err(format!("patchlane.toml, which says what was simulated, {why}"));
    };
    let bytes = archive.held(&entry.sha256).map_err(|why| format!("patchlane.toml {why}"))?;
    let text = String::from_utf8(bytes).map_err(|_| super::broken("has a patchlane.toml that isn't text"));
    Ok(text.and_then(|text| Config::parse(&text)))
}

/// The entries of a role, one for each file: however often an index names one, it is read once.
fn distinct(archive: &Archive, role: Role) -> Vec<&Entry> {
    let mut seen = BTreeSet::new();
    archive.of(role).filter(|entry| seen.insert(entry.sha256)).collect()
}

/// Plays the bundle to every base once more, to each once: that takes a second or more.
fn bases(
    archive: &Archive,
    release: &Release,
    predicate: &Value,
    played: &mut BTreeSet<String>,
    rows: &mut Rows,
) {
    for base in predicate["bases"].as_array().into_iter().flatten() {
        if !played.insert(base.to_string()) {
            continue;
        }
        if played.len() > SIMULATED_BASES {
            let told = format!("more than {SIMULATED_BASES} bases are named: the others weren't played");
            return rows.add("after", "more bases", Verdict::VendorsWord, told);
        }
        let name = format!("over {}", crate::output::plain(base["release"].as_str().unwrap_or("a base")));
        let Some(sha256) = base["bundle_sha256"].as_str().and_then(Sha::parse) else {
            rows.add("after", &name, Verdict::Differs, "it has no digest");
            continue;
        };
        let held = archive.held(&sha256).map_err(|why| format!("the base {why}"));
        let (bytes, config) = match held.and_then(|bytes| Ok((bytes, config(archive)?))) {
            Ok(both) => both,
            Err(why) => {
                rows.add("after", &name, Verdict::VendorsWord, why);
                continue;
            }
        };
        let survived = || -> Result<std::result::Result<u64, String>> {
            let config = config?;
            let flash =
                config.flash.iter().flat_map(|flash| flash.stretches()).map(|(_, s)| u64::from(s.size));
            if flash.sum::<u64>() > SIMULATED {
                return Err(super::broken("has a flash that is too large to be simulated"));
            }
            let filing = Filing::new(&archive.path(&sha256), bytes)?;
            let said = base["release"].as_str().unwrap_or_default();
            if filing.bundle.manifest()?.version.to_string() != said {
                return Err(super::broken("is of another version than the statement says"));
            }
            if base["manifest_sha256"].as_str() != Some(&filing.bundle.digest().to_string()) {
                return Err(super::broken("has another manifest than the statement says"));
            }
            attest::over(&release.bundle, &filing, &release.roots, &config)
        };
        match survived() {
            Ok(Ok(cuts)) if base["cuts"].as_u64().is_some_and(|said| said <= cuts) => {
                rows.add("after", &name, Verdict::Reproduced, format!("{cuts} power cuts survived"));
            }
            Ok(Ok(cuts)) => {
                let told =
                    format!("{cuts} power cuts survived here, and the statement says {}", base["cuts"]);
                rows.add("after", &name, Verdict::Differs, told);
            }
            Ok(Err(what)) => rows.add("after", &name, Verdict::Differs, what),
            Err(error) => rows.add("after", &name, Verdict::Differs, error.to_string()),
        }
    }
}

/// The ledger's entry is about this bundle, and the seal holds it.
fn recorded(archive: &Archive, release: &Release, named: &Value, rows: &mut Rows) {
    if named.is_null() {
        rows.add("after", "released", Verdict::VendorsWord, "the statement tells of no ledger");
        return;
    }
    match seen_in_ledger(archive, release, named) {
        Ok((told, None)) => rows.add("after", "released", Verdict::Reproduced, told),
        Ok((told, Some(why))) => {
            rows.add("after", "released", Verdict::VendorsWord, format!("{told}{why}"));
        }
        Err(error) => rows.add("after", "released", Verdict::Differs, error.to_string()),
    }
}

/// What is seen of it, and why that isn't all.
fn seen_in_ledger(archive: &Archive, release: &Release, named: &Value) -> Result<(String, Option<String>)> {
    let mut files: BTreeMap<&str, PathBuf> = BTreeMap::new();
    let head = archive.of(Role::Ledger).find(|entry| entry.name == crate::ledger::NAME);
    let mut wanted = vec![(crate::ledger::NAME, head.map(|entry| entry.sha256))];
    for one in [&named["entry"], &named["seal"]] {
        let sha256 = one["sha256"].as_str().and_then(Sha::parse);
        let sha256 =
            sha256.ok_or_else(|| super::broken("names an entry of the ledger without its digest"))?;
        wanted.push((one["file"].as_str().unwrap_or_default(), Some(sha256)));
    }
    let mut gone = Vec::new();
    for (file, sha256) in wanted {
        let held = sha256.map_or_else(|| Err("isn't in the archive".into()), |sha256| archive.held(&sha256));
        match (held, sha256) {
            (Ok(_), Some(sha256)) => drop(files.insert(file, archive.path(&sha256))),
            (Err(why), _) => gone.push(format!("{} {why}", crate::output::plain(file))),
            (Ok(_), None) => {}
        }
    }
    if !files.contains_key(crate::ledger::NAME) {
        return Ok((String::new(), Some(gone.join("; "))));
    }
    let ledger = Ledger::of_files(&archive.folder, &files)?;
    let entry = ledger.releases.first();
    if entry.is_some_and(|entry| entry.entry.bundle_sha256 != release.bundle.sha256) {
        return Err(super::broken("has a ledger's entry of another bundle"));
    }
    let (Some(entry), Some(seal)) = (entry, ledger.seals.first()) else {
        if gone.is_empty() {
            return Err(super::broken("names no release and seal"));
        }
        let told = entry.map_or(String::new(), |entry| format!("{} is about this bundle; ", entry.file));
        return Ok((told, Some(gone.join("; "))));
    };
    if seal.entry.entries.get(&entry.file).is_none_or(|sealed| sealed.sha256 != entry.sha256) {
        return Err(super::broken("has a seal that doesn't hold the ledger's entry"));
    }
    Ok((format!("{}, under seal {}", entry.file, seal.entry.number), None))
}

/// When the evidence was made.
pub(super) fn moment(value: &Value) -> Result<Moment> {
    let moment = value.as_str().and_then(|text| Moment::parse(text).ok());
    moment.ok_or_else(|| super::broken("doesn't say when it was made"))
}
