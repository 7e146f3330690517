//! `patchlane.toml`: the product, described once.

use crate::error::{Code, Error, Result};
use crate::explain::explain;
use crate::kind::{self, Kind};
use crate::lint::Profile;
use crate::root::{self, Root};
use crate::{files, map};
use patchlane_device::Layout;
use patchlane_protocol::{ClassId, Product, VendorId, limits};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Its file name.
pub const NAME: &str = "patchlane.toml";

/// The whole file.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is made.
    #[serde(deserialize_with = "table")]
    pub product: ProductSection,
    /// Whom devices trust.
    #[serde(deserialize_with = "table")]
    pub trust: Trust,
    /// What is built.
    #[serde(default, deserialize_with = "table")]
    pub build: Build,
    /// Where things lie in flash.
    #[serde(default, deserialize_with = "some_table")]
    pub flash: Option<Flash>,
    /// What has to hold before a security patch is signed.
    #[serde(default, deserialize_with = "some_table")]
    pub lint: Option<Lint>,
    /// How recorded inputs get to a device.
    #[serde(default, deserialize_with = "some_table")]
    pub replay: Option<Replay>,
    /// Where RAM lies; needed only to check stack pointers and to emit linker scripts without a board that tells.
    #[serde(default, deserialize_with = "some_table")]
    pub ram: Option<Ram>,
    /// Where advisories, baselines and releases are recorded.
    #[serde(default, deserialize_with = "some_table")]
    pub ledger: Option<LedgerSection>,
    /// Who signs evidence.
    #[serde(default, deserialize_with = "some_table")]
    pub evidence: Option<EvidenceSection>,
    /// The folder of the file; paths count from there.
    #[serde(skip)]
    pub folder: PathBuf,
    /// The file, for errors.
    #[serde(skip)]
    pub file: PathBuf,
    /// Its bytes.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// What is made.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductSection {
    /// A domain of the vendor's.
    pub vendor: String,
    /// The product's name.
    pub class: String,
    /// Hardware revisions.
    pub hardware: Vec<u16>,
}

/// Whom devices trust.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The root file.
    pub root: PathBuf,
    /// The roots before it, oldest first: releases in the field were signed under them.
    #[serde(default)]
    pub older: Vec<PathBuf>,
    /// Private keys of the security role.
    #[serde(default)]
    pub security: Vec<PathBuf>,
    /// Private keys of the feature role.
    #[serde(default)]
    pub feature: Vec<PathBuf>,
}

/// What is built.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Build {
    /// Bytes of data per chunk.
    pub chunk: u16,
    /// The addresses images have to be linked for: one, or one for each slot that code runs in.
    pub addresses: Vec<u32>,
}

impl Default for Build {
    fn default() -> Self {
        Self { chunk: limits::CHUNK_DEFAULT, addresses: Vec::new() }
    }
}

/// What has to hold before a security patch is signed.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lint {
    /// How strict: `starter`, `cra` or `cra+replay`.
    pub profile: Profile,
    /// Requirement catalogues to report by: names, or files.
    #[serde(default)]
    pub catalogues: Vec<String>,
    /// Public keys of those who may sign waivers.
    #[serde(default)]
    pub approvers: Vec<PathBuf>,
    /// How a clean build is made.
    #[serde(default, deserialize_with = "some_table")]
    pub reproduce: Option<Reproduce>,
}

/// How a clean build is made.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reproduce {
    /// The program and its arguments, run in a clean copy of the source.
    pub command: Vec<String>,
    /// What it makes: the image, or its ELF file.
    pub artifact: PathBuf,
}

/// How recorded inputs get to a device.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The adapter and its arguments, with places in braces for what it is given.
    pub command: Vec<String>,
    /// Seconds that it may take for one session.
    #[serde(default = "session_seconds")]
    pub timeout: u32,
    /// How often each image is played.
    #[serde(default = "runs")]
    pub runs: u16,
}

const fn session_seconds() -> u32 {
    120
}

const fn runs() -> u16 {
    2
}

/// Where things lie in flash.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flash {
    /// A board that patchlane knows: its sectors are checked against.
    pub board: Option<String>,
    /// Where the chip begins in the memory map.
    pub address: Option<u32>,
    /// Bytes of a word.
    pub write_size: u32,
    /// Bytes of a sector.
    pub erase_size: u32,
    /// What runs first.
    #[serde(default, deserialize_with = "some_table")]
    pub bootloader: Option<Stretch>,
    /// Log and receipts.
    #[serde(deserialize_with = "table")]
    pub state: Stretch,
    /// What runs.
    #[serde(deserialize_with = "table")]
    pub primary: Stretch,
    /// What is received.
    #[serde(deserialize_with = "table")]
    pub secondary: Stretch,
    /// True if code runs from both slots where they lie, and nothing is moved.
    #[serde(default)]
    pub direct_xip: bool,
    /// What `[build]` says images are linked for.
    #[serde(skip)]
    pub linked: Vec<u32>,
}

/// A stretch of flash.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stretch {
    /// Where it begins, in bytes from the beginning of its chip.
    pub offset: u32,
    /// Its bytes.
    pub size: u32,
    /// Bytes of a word, if they differ here.
    pub write_size: Option<u32>,
    /// Bytes of a sector, if they differ here.
    pub erase_size: Option<u32>,
    /// The chip it lies on, if it isn't the main one.
    pub chip: Option<String>,
}

/// Where advisories, baselines and releases are recorded.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerSection {
    /// Its folder; it may lie in another repository.
    pub path: PathBuf,
}

/// Who signs evidence.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceSection {
    /// Public keys; none of them may be in the root, or be an approver's.
    pub keys: Vec<PathBuf>,
}

/// A table, and not a list of its values in order, which serde would take for one.
pub(crate) fn table<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
) -> std::result::Result<T, D::Error> {
    struct Table<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Table<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    input.deserialize_map(Table(PhantomData))
}

/// The same, where it may be missing.
pub(crate) fn some_table<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
) -> std::result::Result<Option<T>, D::Error> {
    table(input).map(Some)
}

impl Stretch {
    /// One past its last byte.
    pub fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.size)
    }
}

/// Where RAM lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ram {
    /// Its first address.
    pub address: u32,
    /// Its bytes.
    pub size: u32,
}

impl Flash {
    /// Every stretch with its name, the bootloader first.
    pub fn stretches(&self) -> Vec<(&'static str, &Stretch)> {
        let three = [("state", &self.state), ("primary", &self.primary), ("secondary", &self.secondary)];
        self.bootloader.iter().map(|b| ("bootloader", b)).chain(three).collect()
    }

    /// How large a word and a sector are there.
    pub fn grain(&self, stretch: &Stretch) -> (u32, u32) {
        (stretch.write_size.unwrap_or(self.write_size), stretch.erase_size.unwrap_or(self.erase_size))
    }

    /// The checked layout.
    ///
    /// # Errors
    /// `config`.
    pub fn layout(&self) -> Result<Layout> {
        map::layout(self, "[flash]")
    }

    /// The address that code in the primary slot is linked for, if it is known.
    pub fn primary_address(&self) -> Option<u32> {
        map::address_of(self, &self.primary)
    }

    /// The addresses of the slots that code runs from where they lie: what the map says, else `[build]`.
    pub fn direct_addresses(&self) -> Option<[u32; 2]> {
        let slots = [(0, &self.primary), (1, &self.secondary)];
        let [first, second] =
            slots.map(|(i, slot)| map::address_of(self, slot).or(self.linked.get(i).copied()));
        first.zip(second).filter(|_| self.direct_xip).map(|(first, second)| [first, second])
    }

    /// The slot that an image linked for this address runs in, with its name.
    pub fn slot_of(&self, address: Option<u32>) -> (&'static str, &Stretch) {
        match self.direct_addresses() {
            Some([_, second]) if Some(second) == address => ("secondary", &self.secondary),
            _ => ("primary", &self.primary),
        }
    }
}

/// What manifests call a product of this vendor and class.
pub(crate) fn product_of(vendor: &str, class: &str) -> Product {
    let vendor = Uuid::new_v5(&Uuid::NAMESPACE_DNS, vendor.as_bytes());
    let class = Uuid::new_v5(&vendor, class.as_bytes());
    Product { vendor: VendorId(vendor.into_bytes()), class: ClassId(class.into_bytes()) }
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// `config`, and those of the file.
    pub fn read(path: &Path) -> Result<Self> {
        let explain = |e: Error, bytes: &[u8]| kind::explain(e, bytes, Kind::Config).at(path.display());
        let bytes = files::read_small(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            explain(Error::new(Code::Malformed, "isn't text (UTF-8)", "check the file"), &bytes)
        })?;
        let mut config = Self::parse(text).map_err(|e| explain(e, &bytes))?;
        config.folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        config.file = path.to_path_buf();
        Ok(config)
    }

    /// Finds the configuration: `given`, or the nearest file in this folder and those above.
    ///
    /// # Errors
    /// `missing-file` if there is none, and as [`Config::read`].
    pub fn find(given: Option<&Path>) -> Result<Self> {
        if let Some(path) = given {
            return Self::read(path);
        }
        let here = std::env::current_dir()
            .map_err(|_| Error::new(Code::Io, "this folder isn't there any more", "change to one that is"))?;
        // From this folder by its short name: errors tell of it.
        let below = std::iter::once(PathBuf::from(NAME));
        let above = here.ancestors().skip(1).map(|folder| folder.join(NAME));
        let found = below.chain(above).find(|path| path.is_file());
        let next = "make one with `patchlane init`, or name it with --config FILE";
        Self::read(&found.ok_or_else(|| {
            Error::new(Code::Missing, format!("there is no {NAME} in this folder or above"), next)
        })?)
    }

    /// Reads the text of a configuration.
    ///
    /// # Errors
    /// `config`: line, key, and what was probably meant.
    pub fn parse(text: &str) -> Result<Self> {
        let mut config: Self = toml::from_str(text).map_err(|e| explain(text, &e))?;
        config.bytes = text.as_bytes().to_vec();
        if let Some(flash) = &mut config.flash {
            flash.linked.clone_from(&config.build.addresses);
        }
        let problem = |what: &str, next: &str| Err(Error::new(Code::Config, what, next));
        if config.product.hardware.is_empty() {
            return problem("[product] hardware is empty", "list the hardware revisions, such as [1]");
        }
        if !config.product.hardware.is_sorted_by(|a, b| a < b) {
            return problem("[product] hardware isn't in increasing order", "sort it, without repeats");
        }
        if config.product.vendor.trim().is_empty() || config.product.class.trim().is_empty() {
            return problem("[product] vendor and class can't be empty", "name them");
        }
        if !config
            .build
            .addresses
            .iter()
            .all(|a| config.build.addresses.iter().filter(|b| a == *b).count() == 1)
        {
            return problem("[build] addresses repeats one", "name each slot's address once");
        }
        if !(limits::CHUNK_MIN..=patchlane_device::evidence::CHUNK).contains(&config.build.chunk) {
            return problem("[build] chunk is out of range", "choose 128 to 1024 bytes");
        }
        if let Some(replay) = &config.replay {
            if !(1..=86_400).contains(&replay.timeout) {
                return problem(
                    "[replay] timeout is out of range",
                    "choose 1 to 86400 seconds for a session",
                );
            }
            if !(2..=100).contains(&replay.runs) {
                let next = "choose 2 to 100: one run doesn't show that answers are the same each time";
                return problem("[replay] runs is out of range", next);
            }
        }
        Ok(config)
    }

    /// The flash map.
    ///
    /// # Errors
    /// `config` if there is none.
    pub fn flash(&self) -> Result<&Flash> {
        let next = "say where state and slots lie, or take it from `patchlane init --board NAME`";
        self.flash
            .as_ref()
            .ok_or_else(|| Error::new(Code::Config, "has no [flash]", next).at(self.file.display()))
    }

    /// The checked layout.
    ///
    /// # Errors
    /// `config`: everything that is wrong with `[flash]`.
    pub fn layout(&self) -> Result<Layout> {
        map::layout(self.flash()?, format!("{}: [flash]", self.file.display()))
    }

    /// The ids that devices and manifests carry: UUID version 5 of the vendor's domain, and of the class in it.
    pub fn product(&self) -> Product {
        product_of(&self.product.vendor, &self.product.class)
    }

    /// The addresses of the slots that code runs from where they lie, if it does.
    pub fn direct_addresses(&self) -> Option<[u32; 2]> {
        self.flash.as_ref().and_then(Flash::direct_addresses)
    }

    /// The addresses that images have to be linked for: those of both slots if code runs from both; else what `[build]`
    /// says; else the primary slot's, if it is known.
    pub fn addresses(&self) -> Vec<u32> {
        if let Some(addresses) = self.direct_addresses() {
            return addresses.to_vec();
        }
        if self.build.addresses.is_empty() {
            self.flash.as_ref().and_then(Flash::primary_address).into_iter().collect()
        } else {
            self.build.addresses.clone()
        }
    }

    /// The address of the image that leaves the factory, and that the device in `provision` and `simulate` runs.
    pub fn address(&self) -> Option<u32> {
        self.direct_addresses().map(|[first, _]| first).or(self.build.addresses.first().copied())
    }

    /// Where RAM lies: what `[ram]` says, then what the board has; the main one first.
    pub fn ram(&self) -> Vec<Ram> {
        let board = self.flash.as_ref().and_then(map::board);
        let known = board.map_or(&[][..], |board| board.ram).iter();
        self.ram.into_iter().chain(known.map(|&(address, size)| Ram { address, size })).collect()
    }

    /// The roots that came before, oldest first: each followed by the next, the last by `[trust] root`.
    ///
    /// # Errors
    /// Those of [`crate::root::chain`].
    pub fn older(&self) -> Result<Vec<Root>> {
        if self.trust.older.is_empty() {
            return Ok(Vec::new());
        }
        let older: Vec<PathBuf> = self.trust.older.iter().map(|path| self.path(path)).collect();
        let mut roots = root::chain(&older, &self.path(&self.trust.root))?;
        roots.pop();
        Ok(roots)
    }

    /// The ledger's folder.
    pub fn ledger(&self) -> PathBuf {
        let given = self.ledger.as_ref().map(|section| section.path.as_path());
        self.path(given.unwrap_or(Path::new(crate::ledger::FOLDER)))
    }

    /// The class as a part of file names.
    pub fn file_stem(&self) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '-' };
        let stem: String = self.product.class.trim().chars().map(safe).collect();
        // A leading dot would hide the file, and a leading dash would make it an option.
        let stem = stem.trim_start_matches(['.', '-']).to_owned();
        if stem.is_empty() { "product".to_owned() } else { stem }
    }

    /// A path of the file, from its folder.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}

/// The file that `init` writes.
pub fn template(vendor: &str, class: &str, flash: &str) -> String {
    // A JSON string is a TOML basic string.
    let line = |key: &str, text: &str| format!("{key} = {}", serde_json::Value::from(text));
    format!(
        r#"# patchlane: security patches and feature updates, kept apart. Paths count from this file's folder.
# Every key there is: host/schema/patchlane.schema.json. A key that isn't known is an error.

[product]
{vendor:<26} # a domain you own; ids are made from it and from class (RFC 9124)
{class}
hardware = [1]             # hardware revisions this firmware runs on, in increasing order

[trust]
root = "trust/root-1.plr"                        # what devices trust; `patchlane root show`
security = ["trust/development-security.pem"]    # sign security patches
feature = ["trust/development-feature.pem"]      # sign feature updates, together with security

[build]
chunk = 1024               # bytes a device authenticates at once: 128 to 1024
# addresses = [0x08020000] # what images are linked for (default: the primary slot); several where code runs in both slots

{flash}"#,
        vendor = line("vendor", vendor),
        class = line("class", class),
    )
}

/// The flash of a product without a known board.
pub const GENERIC_FLASH: &str = "\
# Where things lie in flash, in bytes from the beginning of the chip; `patchlane layout` draws and checks it.
# The secondary slot is one sector longer than the primary one; with `direct_xip = true` code runs from both slots.
[flash]
# address = 0x08000000     # where the chip begins in the memory map
write_size = 4
erase_size = 4096
# bootloader = { offset = 0x0, size = 0x10000 }
state = { offset = 0x10000, size = 0x8000 }
primary = { offset = 0x20000, size = 0x20000 }
secondary = { offset = 0x40000, size = 0x21000 }
";

#[cfg(test)]
mod tests;
