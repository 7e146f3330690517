//! What is judged: a change record with what it names.

use super::Input;
use super::archived::{Archived, CONFIG, LEDGER};
use super::change::Change;
use crate::bundle::{Bundle, Linked, sha256};
use crate::cli::Global;
use crate::commands::{anchor, parse_bundle};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::image;
use crate::ledger::{Filed, Ledger};
use crate::root::Root;
use patchlane_device::evidence::Verified;
use patchlane_protocol::{Baseline, Digest, Manifest, Open, Refusal, RootDocument, Security, Version};
use serde_json::{Map, Value};
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

/// A JSON document of an archive is no larger, in bytes: in memory it takes ten times that.
pub(crate) const LARGEST_FOREIGN: u64 = 32 << 20;

/// A check reads no more files of an archive: whoever wrote that may mean harm.
const MOST_FILES: usize = 1_000;

/// The release that devices run. An archive may lack it: whatever asks for it then finds nothing.
#[derive(Debug)]
pub struct Base {
    bundle: std::result::Result<Bundle, String>,
    /// The baseline, whether the bundle is there or not.
    baseline: Baseline,
    asked: Cell<bool>,
}

impl Base {
    /// One that is there.
    ///
    /// # Errors
    /// `malformed`; not for a bundle that was read.
    pub fn new(bundle: Bundle) -> Result<Self> {
        let baseline = bundle.manifest()?.version.feature;
        Ok(Self { bundle: Ok(bundle), baseline, asked: Cell::new(false) })
    }

    /// One that isn't there, and why; patches keep its baseline.
    pub const fn gone(why: String, baseline: Baseline) -> Self {
        Self { bundle: Err(why), baseline, asked: Cell::new(false) }
    }

    fn get(&self) -> Result<&Bundle> {
        self.bundle.as_ref().map_err(|why| {
            self.asked.set(true);
            Error::new(Code::Missing, why, "look for it where the archive came from")
        })
    }

    /// Why it was asked for in vain since the last call.
    fn lacked(&self) -> Option<String> {
        self.bundle.as_ref().err().filter(|_| self.asked.take()).cloned()
    }

    /// Its manifest.
    ///
    /// # Errors
    /// `missing-file` if it isn't there.
    pub fn manifest(&self) -> Result<Manifest<'_>> {
        self.get()?.manifest()
    }

    /// Its images.
    ///
    /// # Errors
    /// The same; those of deltas.
    pub fn images(&self) -> Result<Vec<Linked>> {
        self.get()?.images()
    }

    /// The device's verdict.
    ///
    /// # Errors
    /// `missing-file` if it isn't there; what the device would refuse it for.
    pub fn verify<T>(
        &self,
        root: &RootDocument<'_>,
        look: impl FnOnce(&Verified<'_>) -> std::result::Result<T, Refusal>,
    ) -> Result<T> {
        self.get()?.verify(root, look)
    }

    /// Its manifest's digest; of one that isn't there, nothing's.
    pub fn digest(&self) -> Digest {
        self.get().map_or(Digest([0; 32]), Bundle::digest)
    }
}

/// A change, and what it is judged by.
#[derive(Debug)]
pub struct Case<'a> {
    /// The record.
    pub change: &'a Change,
    /// The product.
    pub config: &'a Config,
    /// Advisories, baselines and releases, if they are recorded.
    pub ledger: Option<Ledger>,
    /// What devices trust.
    pub root: Root,
    /// What they trusted before, oldest first; each root follows the one before.
    pub older: Vec<Root>,
    /// The release that devices run.
    pub base: Base,
    /// The images of the patch.
    pub images: Vec<Linked>,
    /// What the patch will be called.
    pub version: Version,
    /// Now, in seconds since 1970.
    pub now: u64,
    /// False if nothing is to be built.
    pub rebuild: bool,
    /// Where the files lie, if not where the record does.
    pub archived: Option<Archived<'a>>,
    check: Cell<u8>,
    seen: RefCell<Vec<Input>>,
    found: RefCell<Map<String, Value>>,
    lacking: RefCell<Vec<String>>,
}

/// What a case is opened with, wherever its files lie.
#[derive(Debug)]
pub struct Opened {
    /// Advisories, baselines and releases, if they are recorded.
    pub ledger: Option<Ledger>,
    /// What devices trust.
    pub root: Root,
    /// What they trusted before, oldest first; each root follows the one before.
    pub older: Vec<Root>,
    /// The release that devices run.
    pub base: Base,
    /// The images of the patch.
    pub images: Vec<Linked>,
}

impl<'a> Case<'a> {
    /// Reads what every check needs: the base, the images, the root.
    ///
    /// # Errors
    /// Those of the files; `config` for a record that contradicts itself.
    pub(crate) fn open(
        global: &Global,
        config: &'a Config,
        change: &'a Change,
        now: u64,
        rebuild: bool,
    ) -> Result<Self> {
        let base_path = change.path(&change.base);
        let base = Base::new(parse_bundle(files::read(&base_path)?, &base_path)?)?;
        let images = change.images.iter().map(|source| {
            let loaded = image::load(&image::Source { path: change.path(&source.path), ..source.clone() })?;
            Ok(Linked { address: loaded.address, bytes: loaded.bytes })
        });
        let images = images.collect::<Result<Vec<_>>>()?;
        let (ledger, root, older) = (Ledger::of(config)?, anchor(global, None)?, config.older()?);
        let opened = Opened { ledger, root, older, base, images };
        Ok(Self { rebuild, ..Self::new(config, change, now, opened, None)? })
    }

    /// A case of what was read already. Nothing is built.
    ///
    /// # Errors
    /// `config` for a record that contradicts itself.
    pub fn new(
        config: &'a Config,
        change: &'a Change,
        now: u64,
        opened: Opened,
        archived: Option<Archived<'a>>,
    ) -> Result<Self> {
        let Opened { ledger, root, older, base, images } = opened;
        let wrong = |what: String| {
            Error::new(Code::Config, what, "correct the change record").at(change.file.display())
        };
        let open = Open::new(&change.open).map_err(|e| wrong(format!("open: {e}")))?;
        let security = Security::new(change.level, open).map_err(|e| wrong(format!("level: {e}")))?;
        let baseline: Baseline = change.baseline.unwrap_or(base.baseline);
        Ok(Self {
            change,
            config,
            ledger,
            root,
            older,
            base,
            images,
            version: Version { feature: baseline, security },
            now,
            rebuild: false,
            archived,
            check: Cell::new(0),
            seen: RefCell::default(),
            found: RefCell::default(),
            lacking: RefCell::default(),
        })
    }

    /// Reads a file that the record names, and notes its digest for the finding.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.named(path.display().to_string(), || files::read(&self.change.path(path)))
    }

    /// The same of a file that patchlane.toml names.
    pub(super) fn read_of_config(&self, path: &Path) -> Result<Vec<u8>> {
        self.named(format!("{CONFIG}{}", path.display()), || files::read_small(&self.config.path(path)))
    }

    pub(super) fn named(&self, name: String, on_disk: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        let bytes = match &self.archived {
            None => on_disk()?,
            Some(_) if self.seen.borrow().len() >= MOST_FILES => {
                let why = format!("more than {MOST_FILES} files are named");
                self.lacks(&why);
                return Err(Error::new(Code::Malformed, why, "check the file"));
            }
            Some(archived) => archived.read(self.check.get(), &name).map_err(|why| {
                self.lacks(&why);
                Error::new(Code::Missing, why, "look for it where the archive came from")
            })?,
        };
        self.saw(name, &bytes);
        Ok(bytes)
    }

    /// Notes that a check looked at an entry of the ledger.
    pub(super) fn saw_entry<T>(&self, filed: &Filed<T>) {
        let input = Input { name: format!("{LEDGER}{}", filed.file), digest: Digest(filed.sha256.0) };
        self.seen.borrow_mut().push(input);
    }

    /// Notes that something isn't there: what the check says then is no finding.
    pub(super) fn lacks(&self, why: &str) {
        self.lacking.borrow_mut().push(why.to_owned());
    }

    /// A check begins.
    pub(super) fn begin(&self, check: u8) {
        self.check.set(check);
    }

    /// What wasn't there since the last call.
    pub(super) fn lacked(&self) -> Vec<String> {
        let mut lacking = self.lacking.take();
        lacking.extend(self.base.lacked().filter(|why| !lacking.contains(why)));
        lacking
    }

    /// The same of a text.
    pub(super) fn text(&self, path: &Path) -> Result<String> {
        String::from_utf8(self.read(path)?).map_err(|_| {
            Error::new(Code::Malformed, "isn't text (UTF-8)", "check the file").at(path.display())
        })
    }

    /// The same of a JSON document.
    pub(super) fn json(&self, path: &Path) -> Result<serde_json::Value> {
        let bytes = self.read(path)?;
        if self.archived.is_some() && bytes.len() as u64 > LARGEST_FOREIGN {
            let why = format!("{} is too large to be read from an archive", path.display());
            self.lacks(&why);
            return Err(Error::new(Code::Malformed, why, "check the file"));
        }
        serde_json::from_slice(&bytes).map_err(|e| {
            Error::new(Code::Malformed, format!("isn't JSON: {e}"), "check the file").at(path.display())
        })
    }

    /// Notes what was read.
    pub(super) fn saw(&self, name: String, bytes: &[u8]) {
        self.seen.borrow_mut().push(Input { name, digest: sha256(bytes) });
    }

    /// What was read since the last call.
    pub(super) fn taken(&self) -> Vec<Input> {
        self.seen.take()
    }

    /// Keeps what was found for whoever reports on it: nobody should have to find it again, or read it out of a sentence.
    pub(super) fn keep(&self, name: &str, value: impl Into<Value>) {
        self.found.borrow_mut().insert(name.to_owned(), value.into());
    }

    /// What was kept since the last call.
    pub(super) fn kept(&self) -> Map<String, Value> {
        self.found.take()
    }

    /// The ids that the patch closes.
    pub(super) fn ids(&self) -> Vec<&str> {
        self.change.closes.iter().map(|closing| closing.id.as_str()).collect()
    }

    /// True if the change has an image at all: a baseline that isn't affected has none.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        self.change.path(path)
    }
}
