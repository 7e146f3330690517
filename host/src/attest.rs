//! Evidence made after signing: the signed bundle itself, on every release that devices may run when it arrives.
//!
//! The stories of check 28, but with the real bundles under the real root: what is shown is about the file that is
//! shipped. Its statement names the bundle and the manifest; the manifest names the evidence made before. Nothing names
//! itself.

use crate::archive::broken;
use crate::bundle::Bundle;
use crate::commands::date;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::evidence::{self, Evidence};
use crate::ledger::entry::Sha;
use crate::ledger::rules::Rule;
use crate::ledger::{Filed, Ledger, entry, seal};
use crate::lint::proof::{story_of, survives};
use crate::output::slug;
use crate::root::Root;
use crate::scenario::{Cast, Feature, Source};
use patchlane_protocol::{Kind, PublicKey};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The kind of statement.
pub const KIND: &str = "https://github.com/patchlane/patchlane/release/v2";

/// A bundle and its file.
#[derive(Debug, Clone)]
pub struct Filing {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is called in the statement.
    pub name: String,
    /// The file's digest.
    pub sha256: Sha,
    /// Its content.
    pub bundle: Bundle,
}

impl Filing {
    /// Of these bytes.
    ///
    /// # Errors
    /// `malformed`.
    pub fn new(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let sha256 = Sha::of(&bytes);
        let name = crate::output::plain(&path.file_name().unwrap_or_default().to_string_lossy());
        Ok(Self {
            path: path.to_path_buf(),
            name,
            sha256,
            bundle: crate::commands::parse_bundle(bytes, path)?,
        })
    }
}

/// That a statement made after signing is about this bundle, says that it passed, and is signed by one of these keys.
///
/// # Errors
/// `evidence`: what it is instead.
pub fn about(evidence: &Evidence, bundle: &Sha, keys: &[PublicKey]) -> Result<PublicKey> {
    let key = evidence.verify(keys)?;
    evidence::of_kind(&evidence.statement, KIND, "patchlane attest").map_err(broken)?;
    let about = evidence.statement["subject"][0]["digest"]["sha256"].as_str();
    if about != Some(&bundle.to_string()) || evidence.statement["predicate"]["verdict"] != "passed" {
        return Err(broken("is about something else, or doesn't say that it passed"));
    }
    Ok(key)
}

/// A release that devices ran when the bundle arrived.
#[derive(Debug, Clone)]
pub struct Over {
    /// The base.
    pub base: Filing,
    /// The root that this device was made with.
    pub root: u32,
    /// Power cuts survived.
    pub cuts: u64,
}

/// The root among these that a bundle says it was made under; the last one, if none is.
pub fn root_of<'a>(bundle: &Bundle, roots: &'a [Root]) -> Result<&'a Root> {
    let version = bundle.manifest()?.root_version;
    let fits = |root: &&Root| root.document().is_ok_and(|document| document.version == version);
    let last = roots.last().ok_or_else(|| Error::internal("no root"))?;
    Ok(roots.iter().find(fits).unwrap_or(last))
}

/// Plays the bundle to a device that runs a base. The number of power cuts survived, or what went otherwise.
///
/// # Errors
/// `refused`: a bundle isn't what its root lets pass; `config` without `[flash]`.
pub fn over(
    new: &Filing,
    base: &Filing,
    roots: &[Root],
    config: &Config,
) -> Result<std::result::Result<u64, String>> {
    let layout = config.layout()?;
    let slots =
        config.direct_addresses().map_or_else(|| config.address().into_iter().collect(), |b| b.to_vec());
    let root = root_of(&base.bundle, roots)?;
    base.bundle.verify(&root.document()?, |_| Ok(())).map_err(|e| e.at(base.path.display()))?;
    let versions = (base.bundle.manifest()?.version, new.bundle.manifest()?.version);
    let nothing = |_: &str| Err(Error::internal("a bundle's image was asked for by name"));
    let image = |bundle: &Bundle| -> Result<Vec<patchlane_protocol::Digest>> {
        let manifest = bundle.manifest()?;
        Ok(manifest.components.iter().flat_map(|c| c.images.iter()).map(|image| image.digest).collect())
    };
    // A patch that changes no image has no trial that could fail.
    let stories: &[bool] = if image(&base.bundle)? == image(&new.bundle)? { &[true] } else { &[true, false] };
    let patch = new.bundle.manifest()?.kind == Kind::SecurityPatch;
    let feature = if patch { Feature::Never } else { Feature::Auto };
    let mut cuts = 0;
    for works in stories {
        let of = |filing: &Filing| Source::Bundle(filing.path.clone());
        let scenario = story_of((versions.0, of(base)), (versions.1, of(new)), feature, *works);
        let cast = Cast::of(&scenario, Some(root.clone()), &slots, &nothing)?;
        match survives(&scenario, &cast, layout)? {
            Ok(survived) => cuts += survived,
            Err(what) => return Ok(Err(what)),
        }
    }
    Ok(Ok(cuts))
}

/// A release that devices may run, and that wasn't tried; why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untried {
    /// Its version, or its file.
    pub release: String,
    /// Why.
    pub why: String,
}

/// The releases of the ledger that devices may run when this patch arrives: those to be tried, and those that can't be.
pub fn wanted<'a>(
    new: &Bundle,
    ledger: &'a Ledger,
    today: crate::ledger::time::Day,
) -> Result<(Vec<&'a Filed<entry::Release>>, Vec<Untried>)> {
    let manifest = new.manifest()?;
    let version = manifest.version;
    let (mut all, mut untried) = (Vec::new(), Vec::new());
    let supported = ledger.baseline(version.feature).is_none_or(|line| line.entry.supported(today));
    if manifest.kind != Kind::SecurityPatch || !supported {
        return Ok((all, untried));
    }
    let ways = || manifest.components.iter().flat_map(|c| c.alternatives.iter());
    let deltas: Vec<_> = ways().filter_map(|way| way.base).collect();
    let whole = ways().count() == 0 || ways().any(|way| way.base.is_none());
    for filed in ledger.of_baseline(version.feature) {
        let older = filed
            .entry
            .version()
            .is_some_and(|old| version.security.handles_strictly_more_than(&old.security));
        if !older {
            continue;
        }
        let reached =
            whole || filed.entry.image.iter().any(|image| deltas.iter().any(|base| base.0 == image.sha256.0));
        let release = filed.entry.version().map_or_else(String::new, |version| version.to_string());
        let mut skip = |why: &str| untried.push(Untried { release: release.clone(), why: why.to_owned() });
        if !filed.entry.full {
            skip("it carries no full image to start a device with");
        } else if !reached {
            skip("the bundle holds a delta for another image");
        } else {
            all.push(filed);
        }
    }
    Ok((all, untried))
}

/// The ledger's entry of a bundle, and the seal that came with it.
///
/// # Errors
/// `ledger-refused` if it isn't released, or if the history doesn't hold.
pub fn released<'a>(
    ledger: &'a Ledger,
    new: &Filing,
) -> Result<(&'a Filed<entry::Release>, &'a Filed<entry::Seal>)> {
    let no = |what: &str, next: &str| Error::new(Code::Disagrees, what, next).at(new.path.display());
    let manifest = Sha(new.bundle.digest().0);
    let filed = ledger.releases.iter().find(|filed| filed.entry.manifest_sha256 == manifest);
    let filed = filed.ok_or_else(|| {
        no("isn't released", "release it: patchlane ledger release; or say --before-release")
    })?;
    if filed.entry.bundle_sha256 != new.sha256 {
        return Err(no(
            "isn't the file that was released: its signatures differ",
            "name the file that was released",
        ));
    }
    if let Some(finding) = seal::findings(ledger).into_iter().find(|finding| finding.rule != Rule::Unsealed) {
        return Err(Error::new(Code::Disagrees, finding.what, finding.next).at(finding.place));
    }
    let seal = ledger.seals.iter().find(|seal| seal.entry.entries.contains_key(&filed.file));
    let seal =
        seal.ok_or_else(|| no("is recorded and not sealed", "release it: patchlane ledger release"))?;
    Ok((filed, seal))
}

/// What is stated of a bundle.
#[derive(Debug)]
pub struct Statement<'a> {
    /// The bundle.
    pub new: &'a Filing,
    /// The product.
    pub config: &'a Config,
    /// The root that judged it.
    pub root: &'a Root,
    /// What it was played to.
    pub over: &'a [Over],
    /// What it wasn't played to.
    pub untried: &'a [Untried],
    /// Its entry in the ledger, and the seal.
    pub released: Option<(&'a Filed<entry::Release>, &'a Filed<entry::Seal>)>,
    /// Now.
    pub now: u64,
}

impl Statement<'_> {
    /// As in-toto has it.
    ///
    /// # Errors
    /// `malformed`; not for what was read.
    pub fn make(&self) -> Result<Value> {
        let manifest = self.new.bundle.manifest()?;
        let product = self.config.product();
        let bases = self.over.iter().map(|over| {
            Ok(json!({
                "name": over.base.name,
                "release": over.base.bundle.manifest()?.version.to_string(),
                "bundle_sha256": over.base.sha256.to_string(),
                "manifest_sha256": over.base.bundle.digest().to_string(),
                "root": over.root,
                "cuts": over.cuts,
            }))
        });
        let bases = bases.collect::<Result<Vec<_>>>()?;
        let untried = self.untried.iter().map(|one| json!({ "release": one.release, "why": one.why }));
        let ledger = self.released.map(|(entry, seal)| {
            json!({
                "entry": { "file": entry.file, "sha256": entry.sha256.to_string() },
                "seal": { "file": seal.file, "number": seal.entry.number, "sha256": seal.sha256.to_string() },
            })
        });
        Ok(json!({
            "_type": crate::evidence::IN_TOTO,
            "subject": [
                { "name": self.new.name, "digest": { "sha256": self.new.sha256.to_string() } },
                { "name": "manifest", "digest": { "sha256": self.new.bundle.digest().to_string() } },
            ],
            "predicateType": KIND,
            "predicate": {
                "tool": { "name": "patchlane", "version": env!("CARGO_PKG_VERSION") },
                "product": {
                    "vendor": self.config.product.vendor,
                    "class": self.config.product.class,
                    "vendor_id": product.vendor.to_string(),
                    "class_id": product.class.to_string(),
                },
                "release": manifest.version.to_string(),
                "lane": slug(&manifest.kind),
                "root": {
                    "version": self.root.document()?.version,
                    "sha256": Sha::of(self.root.bytes()).to_string(),
                    "development": self.root.document()?.development,
                },
                "evidence_before_sha256": manifest.evidence.map(|digest| digest.to_string()),
                "evaluated": date(self.now),
                "bases": bases,
                "untried": untried.collect::<Vec<_>>(),
                "cuts": self.over.iter().map(|over| over.cuts).sum::<u64>(),
                "verdict": "passed",
                "ledger": ledger,
            },
        }))
    }
}
