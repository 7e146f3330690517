//! What belongs into the archive of a release: everything that its evidence names, by digest.

use super::broken;
use super::index::{Release, Role};
use super::write::File;
use crate::attest::{self, Filing};
use crate::bundle::Bundle;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::evidence::{self, Evidence};
use crate::files;
use crate::keys;
use crate::ledger::Ledger;
use crate::ledger::entry::Sha;
use crate::ledger::time::Moment;
use crate::lint::archived::{COMMITS, CONFIG, LEDGER, commits_text};
use crate::lint::catalogue;
use crate::lint::change::Change;
use crate::lint::findings;
use crate::lint::git::Repository;
use crate::lint::statement;
use crate::root::Root;
use ed25519_dalek::VerifyingKey;
use patchlane_protocol::{Digest, PublicKey};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files as they were, where they lie no more: by digest.
#[derive(Debug, Default)]
pub struct Others(BTreeMap<Sha, Vec<u8>>);

impl Others {
    /// Reads them.
    ///
    /// # Errors
    /// Those of the files.
    pub fn read(paths: &[PathBuf]) -> Result<Self> {
        let read = |path: &PathBuf| files::read(path).map(|bytes| (Sha::of(&bytes), bytes));
        paths.iter().map(read).collect::<Result<_>>().map(Self)
    }

    /// The file of this digest: where it lies, or among these.
    fn find(&self, path: &Path, sha256: &Sha) -> Result<Vec<u8>> {
        let there = files::read(path);
        match there {
            Ok(bytes) if Sha::of(&bytes) == *sha256 => return Ok(bytes),
            _ => {}
        }
        if let Some(bytes) = self.0.get(sha256) {
            return Ok(bytes.clone());
        }
        let next = "name it as it was: --with FILE; or run `patchlane lint`, and build and sign with the new evidence";
        Err(match there {
            Ok(_) => {
                Error::new(Code::Evidence, "was changed since the evidence was made", next).at(path.display())
            }
            Err(e) => Error { next: next.into(), ..e },
        })
    }
}

/// What an archive is made of.
#[derive(Debug)]
pub struct Collector<'a> {
    /// The product.
    pub config: &'a Config,
    /// The change record.
    pub change: &'a Change,
    /// The root that judges the bundle.
    pub root: &'a Root,
    /// Older ones.
    pub older: &'a [Root],
    /// What statements made after signing are looked for among.
    pub around: &'a Around<'a>,
}

/// A signed bundle, and where what is said of it lies.
#[derive(Debug)]
pub struct Around<'a> {
    /// The signed bundle.
    pub bundle: &'a Filing,
    /// The ledger, if there is one.
    pub ledger: Option<&'a Ledger>,
    /// Files as they were.
    pub others: &'a Others,
}

impl Around<'_> {
    /// An entry of the ledger.
    fn recorded(&self, entry: &str, sha256: &Sha) -> Result<File> {
        let path = self.ledger.map_or_else(|| PathBuf::from(entry), |ledger| ledger.path(entry));
        Ok(file(Role::Ledger, entry, self.others.find(&path, sha256)?))
    }
}

/// A digest in a statement.
fn digest(value: &Value) -> Result<Sha> {
    value.as_str().and_then(Sha::parse).ok_or_else(|| broken("lacks a digest where one belongs"))
}

/// A release, as its manifest has it.
///
/// # Errors
/// `malformed`; not for what was read.
pub fn release(config: &Config, bundle: &Filing) -> Result<Release> {
    let manifest = bundle.bundle.manifest()?;
    Ok(Release {
        vendor: config.product.vendor.clone(),
        class: config.product.class.clone(),
        version: manifest.version.to_string(),
        manifest_sha256: Sha(bundle.bundle.digest().0),
        bundle_sha256: bundle.sha256,
        issued: Moment(manifest.issued_at).day(),
        support_end: Moment(manifest.support_end).day(),
    })
}

fn file(role: Role, name: impl Into<String>, bytes: Vec<u8>) -> File {
    File { role, name: crate::output::plain(&name.into()), bytes }
}

fn root_file(root: &Root) -> Result<File> {
    Ok(file(Role::Root, format!("root {}", root.document()?.version), root.bytes().to_vec()))
}

/// A public key, as openssl reads it.
fn pem(key: &PublicKey) -> Result<Vec<u8>> {
    let key = VerifyingKey::from_bytes(&key.bytes).map_err(|_| broken("lists a key that is none"))?;
    Ok(keys::public_pem(&key, false)?.into_bytes())
}

/// The public keys that a manual check needs: those of the root's roles, and those of evidence.
fn public_keys(root: &Root, evidence: &[PublicKey]) -> Result<Vec<File>> {
    let document = root.document()?;
    let roles = [
        ("root", document.roles.root()),
        ("security", document.roles.security()),
        ("feature", document.roles.feature()),
    ];
    let mut all = Vec::new();
    for (name, role) in roles {
        for key in role.keys().iter() {
            all.push(file(Role::Key, format!("root {} {name} {}", document.version, key.id()), pem(&key)?));
        }
    }
    for key in evidence {
        all.push(file(Role::Key, format!("evidence {}", key.id()), pem(key)?));
    }
    Ok(all)
}

impl Collector<'_> {
    /// Everything, from evidence made before signing.
    ///
    /// # Errors
    /// `evidence`: it isn't signed, isn't what the manifest names, or a file was changed since; those of files.
    pub fn all(&self, path: &Path, bytes: Vec<u8>) -> Result<Vec<File>> {
        let at = |e: Error| if e.place.is_some() { e } else { e.at(path.display()) };
        let before = Evidence::parse(&bytes).map_err(at)?;
        let bundle = self.around.bundle;
        let named = bundle.bundle.manifest()?.evidence.map(|digest| Sha(digest.0));
        if named != Some(before.sha256) {
            let next = "name the evidence that the bundle was built with: --evidence FILE";
            return Err(at(Error::new(Code::Evidence, "isn't the evidence that the manifest names", next)));
        }
        statement::of_this_kind(&before.statement).map_err(at)?;
        before.verify(&evidence::trusted(self.config, &self.root.document()?)?).map_err(at)?;
        let beside = findings::path(path);
        let named = findings::named(&before.statement["predicate"]).map_err(at)?;
        let found = self.around.others.find(&beside, &named)?;
        let predicate =
            &findings::join(&before.statement["predicate"], &found).map_err(|e| e.at(beside.display()))?;
        let by = &predicate["judged_by"];
        let mut all = vec![
            file(Role::Bundle, &bundle.name, bundle.bundle.to_bytes()?),
            file(Role::EvidenceBefore, name_of(path), bytes),
            file(Role::Findings, name_of(&beside), found),
            file(
                Role::Change,
                name_of(&self.change.file),
                self.find(&self.change.file, &predicate["change_sha256"])?,
            ),
            file(
                Role::Config,
                name_of(&self.config.file),
                self.find(&self.config.file, &by["config_sha256"])?,
            ),
        ];
        all.push(root_file(self.root)?);
        let root_path = self.config.path(&self.config.trust.root);
        all.push(root_file(&Root::parse(&self.find(&root_path, &by["root"]["sha256"])?)?)?);
        all.extend(self.named(predicate)?);
        let base = all.iter().find(|file| file.role == Role::Base).map(|file| file.bytes.clone());
        let base = base.ok_or_else(|| broken("names no base")).map_err(at)?;
        let base = Bundle::parse(base)?;
        all.extend(self.roots(&base)?);
        let evidence_keys = evidence_keys(predicate)?;
        all.extend(public_keys(self.root, &evidence_keys)?);
        all.extend(self.ledger_files(&base)?);
        Ok(all)
    }

    /// What a predicate names by digest: what checks read, waivers, catalogues.
    fn named(&self, predicate: &Value) -> Result<Vec<File>> {
        let mut all = Vec::new();
        for check in predicate["checks"].as_array().into_iter().flatten() {
            for input in check["inputs"].as_array().into_iter().flatten() {
                let name = input["name"].as_str().unwrap_or_default();
                all.extend(self.input(
                    check["check"].as_u64().unwrap_or(0),
                    name,
                    &digest(&input["sha256"])?,
                )?);
            }
        }
        all.extend(self.sources()?);
        for (list, role) in [("waivers", Role::Waiver), ("approvers", Role::Listed)] {
            for input in predicate["judged_by"][list].as_array().into_iter().flatten() {
                let name = input["name"].as_str().unwrap_or_default();
                let path = match name.strip_prefix(CONFIG) {
                    Some(name) => self.config.path(Path::new(name)),
                    None => self.change.path(Path::new(name)),
                };
                all.push(file(role, name, self.find(&path, &input["sha256"])?));
            }
        }
        for catalogue in predicate["catalogues"].as_array().into_iter().flatten() {
            all.push(self.catalogue(catalogue)?);
        }
        Ok(all)
    }

    fn find(&self, path: &Path, sha256: &Value) -> Result<Vec<u8>> {
        self.around.others.find(path, &digest(sha256)?)
    }

    /// A file that a check read.
    fn input(&self, check: u64, name: &str, sha256: &Sha) -> Result<Option<File>> {
        // What a rebuild made went with its folder; no check of an archive reads it.
        if check == 12 && !name.starts_with(COMMITS) {
            return Ok(None);
        }
        if let Some(entry) = name.strip_prefix(LEDGER) {
            return self.around.recorded(entry, sha256).map(Some);
        }
        if let Some(key) = name.strip_prefix(CONFIG) {
            let bytes = self.around.others.find(&self.config.path(Path::new(key)), sha256)?;
            return Ok(Some(file(Role::Listed, name, bytes)));
        }
        if name.starts_with(COMMITS) {
            let Some((_, base, head)) = self.range()? else { return Ok(None) };
            let text = commits_text(&base, &head);
            if Sha::of(text.as_bytes()) != *sha256 {
                let next = "move the tags back to the commits that were judged";
                return Err(Error::new(Code::Evidence, "names other commits now than were judged", next)
                    .at(self.change.file.display()));
            }
            return Ok(Some(file(Role::Commits, name, text.into_bytes())));
        }
        let path = self.change.path(Path::new(name));
        Ok(Some(file(self.role(Path::new(name)), name, self.around.others.find(&path, sha256)?)))
    }

    /// What the change record calls a file.
    fn role(&self, path: &Path) -> Role {
        let change = self.change;
        let pair = |pair: &Option<crate::lint::change::Pair>| {
            pair.as_ref().is_some_and(|pair| pair.base == path || pair.patch == path)
        };
        let among = |paths: &[PathBuf]| paths.iter().any(|other| other == path);
        match () {
            () if change.base == path || among(&change.proof.bases) => Role::Base,
            () if among(&change.advisory.csaf) || among(&change.advisory.vex) => Role::Advisory,
            () if change.advisory.snapshot.as_deref() == Some(path) => Role::Snapshot,
            () if pair(&change.sbom) => Role::Sbom,
            () if change.elf.as_ref().is_some_and(|elf| elf.base == path || elf.patch == path) => {
                Role::Program
            }
            () if pair(&change.interfaces) => Role::Interfaces,
            () if change.assessment.as_ref().is_some_and(|a| a.risk_assessment == path) => Role::Assessment,
            () if among(&change.proof.exploit)
                || [&change.proof.replay, &change.proof.recording]
                    .into_iter()
                    .any(|p| p.as_deref() == Some(path)) =>
            {
                Role::Proof
            }
            // What build descriptions name isn't in the record.
            () => Role::Build,
        }
    }

    fn range(&self) -> Result<Option<(Repository, String, String)>> {
        let Some(source) = &self.change.source else { return Ok(None) };
        let folder = self.change.path(&source.repository);
        let Ok(repository) = Repository::at(&folder) else {
            let next = "run this where the sources are";
            return Err(Error::new(Code::Missing, "isn't a git work tree", next).at(folder.display()));
        };
        let (base, head) = (repository.commit(&source.base)?, repository.commit(&source.head)?);
        Ok(Some((repository, base, head)))
    }

    fn sources(&self) -> Result<Option<File>> {
        let Some((repository, base, head)) = self.range()? else { return Ok(None) };
        let pack = repository.pack(&base, &head)?;
        if pack.len() as u64 > files::LARGEST {
            let next = "let the record name a repository of the firmware alone";
            return Err(Error::new(Code::Evidence, "has sources of more than 256 MiB", next));
        }
        Ok(Some(file(Role::Sources, format!("{base}..{head}"), pack)))
    }

    fn catalogue(&self, named: &Value) -> Result<File> {
        let (name, sha256) = (named["name"].as_str().unwrap_or_default(), digest(&named["sha256"])?);
        if let Some(text) = catalogue::own(&Digest(sha256.0)) {
            return Ok(file(Role::Catalogue, name, text.as_bytes().to_vec()));
        }
        let listed = self
            .config
            .lint
            .iter()
            .flat_map(|lint| &lint.catalogues)
            .map(|path| self.config.path(Path::new(path)));
        let mut found = listed.filter_map(|path| self.around.others.find(&path, &sha256).ok());
        let bytes = found.next().map_or_else(|| self.around.others.find(Path::new(name), &sha256), Ok)?;
        Ok(file(Role::Catalogue, name, bytes))
    }

    /// Roots that lead from the base's to the bundle's.
    fn roots(&self, base: &Bundle) -> Result<Vec<File>> {
        let links =
            self.around.bundle.bundle.links().iter().chain(base.links()).map(|link| Root::parse(link));
        let links = links.collect::<Result<Vec<_>>>()?;
        let mut all = Vec::new();
        for root in self.older.iter().chain(&links) {
            all.push(root_file(root)?);
        }
        Ok(all)
    }

    /// The ledger's entries that this release is about, and every seal.
    fn ledger_files(&self, base: &Bundle) -> Result<Vec<File>> {
        let Some(ledger) = self.around.ledger else { return Ok(Vec::new()) };
        ledger_files(ledger, &[&self.around.bundle.bundle, base])
    }
}

impl Around<'_> {
    /// A release statement, with the bundles and entries that it names.
    ///
    /// # Errors
    /// `evidence`: it isn't signed, or isn't about this bundle; those of files.
    pub fn after(
        &self,
        path: &Path,
        keys: &[PublicKey],
        bases: &[Filing],
        there: &dyn Fn(&Sha) -> bool,
    ) -> Result<Vec<File>> {
        let bytes = files::read_small(path)?;
        let at = |e: Error| if e.place.is_some() { e } else { e.at(path.display()) };
        let after = Evidence::parse(&bytes).map_err(at)?;
        evidence::of_kind(&after.statement, attest::KIND, "patchlane attest").map_err(|e| at(broken(e)))?;
        after.verify(keys).map_err(at)?;
        if after.statement["subject"][0]["digest"]["sha256"].as_str() != Some(&self.bundle.sha256.to_string())
        {
            let next = "name the statement about this very file: patchlane attest";
            return Err(at(Error::new(Code::Evidence, "is about another bundle", next)));
        }
        let mut all = vec![file(Role::EvidenceAfter, name_of(path), bytes)];
        for base in after.statement["predicate"]["bases"].as_array().into_iter().flatten() {
            let sha256 = digest(&base["bundle_sha256"]).map_err(at)?;
            match bases.iter().find(|filing| filing.sha256 == sha256) {
                Some(filing) => all.push(file(Role::Base, &filing.name, filing.bundle.to_bytes()?)),
                None if there(&sha256) => {}
                None => {
                    let name = base["name"].as_str().unwrap_or_default();
                    let next = format!("name it: --base {name}");
                    return Err(at(Error::new(
                        Code::Evidence,
                        format!("tells of {name}, which isn't archived"),
                        next,
                    )));
                }
            }
        }
        let named = &after.statement["predicate"]["ledger"];
        for one in [&named["entry"], &named["seal"]].into_iter().filter(|one| !one.is_null()) {
            all.push(self.recorded(one["file"].as_str().unwrap_or_default(), &digest(&one["sha256"])?)?);
        }
        Ok(all)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The evidence keys that a statement names: whoever signed the manifest vouches for them.
///
/// # Errors
/// `evidence` for one that is none.
pub fn evidence_keys(predicate: &Value) -> Result<Vec<PublicKey>> {
    let keys = predicate["judged_by"]["evidence_keys"].as_array().into_iter().flatten();
    let key = |key: &Value| key.as_str().and_then(crate::hex::read).map(PublicKey::ed25519);
    keys.map(|value| key(value).ok_or_else(|| broken("names an evidence key that is none"))).collect()
}

/// Every baseline, release and seal of the ledger, and the advisories that these bundles are about. Others aren't anybody's
/// who reads this: some are under embargo.
fn ledger_files(ledger: &Ledger, bundles: &[&Bundle]) -> Result<Vec<File>> {
    let mut names = vec![ledger.head.file.clone()];
    names.extend(ledger.baselines.iter().map(|filed| filed.file.clone()));
    names.extend(ledger.releases.iter().map(|filed| filed.file.clone()));
    names.extend(ledger.settlements.iter().map(|filed| filed.file.clone()));
    for bundle in bundles {
        let manifest = bundle.manifest()?;
        let advisories = manifest.advisories.iter().filter_map(|advisory| ledger.advisory(advisory.id));
        names.extend(advisories.map(|filed| filed.file.clone()));
    }
    names.extend(ledger.seals.iter().map(|filed| filed.file.clone()));
    names.sort();
    names.dedup();
    names.into_iter().map(|name| Ok(file(Role::Ledger, &name, files::read(&ledger.path(&name))?))).collect()
}
