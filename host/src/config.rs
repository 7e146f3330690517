//! `patchlane.toml`: the product, described once.

use crate::error::{Code, Error, Result};
use crate::files;
use crate::kind::{self, Kind};
use patchlane_device::{Layout, Place};
use patchlane_protocol::{ClassId, Product, VendorId, limits};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Its file name.
pub const NAME: &str = "patchlane.toml";

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is made.
    pub product: ProductSection,
    /// Whom devices trust.
    pub trust: Trust,
    /// What is built.
    #[serde(default)]
    pub build: Build,
    /// Where things lie in flash.
    pub flash: Option<Flash>,
    /// Where RAM lies; needed only by `layout`, and only without a board that tells.
    pub ram: Option<Ram>,
    /// The folder of the file; paths count from there.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// What is made.
#[derive(Debug, Clone, Deserialize)]
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
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The root file.
    pub root: PathBuf,
    /// Private keys of the security role.
    #[serde(default)]
    pub security: Vec<PathBuf>,
    /// Private keys of the feature role.
    #[serde(default)]
    pub feature: Vec<PathBuf>,
}

/// What is built.
#[derive(Debug, Clone, Deserialize)]
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

/// Where things lie in flash.
#[derive(Debug, Clone, Deserialize)]
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
    pub bootloader: Option<Stretch>,
    /// Log and receipts.
    pub state: Stretch,
    /// What runs.
    pub primary: Stretch,
    /// What is received.
    pub secondary: Stretch,
}

/// A stretch of flash.
#[derive(Debug, Clone, Deserialize)]
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

impl Stretch {
    /// One past its last byte.
    pub fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.size)
    }
}

/// Where RAM lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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
        let wrong = |what: String, next: &str| Error::new(Code::Config, format!("[flash]: {what}"), next);
        let place = |s: &Stretch| {
            let (write, erase) = self.grain(s);
            Place { offset: s.offset, length: s.size, read: 1, write, erase }
        };
        let stretches = self.stretches();
        for (i, (name, one)) in stretches.iter().enumerate() {
            for (other_name, other) in &stretches[i + 1..] {
                let apart = u64::from(one.offset) >= other.end() || u64::from(other.offset) >= one.end();
                if one.chip == other.chip && !apart {
                    return Err(wrong(format!("{name} and {other_name} overlap"), "move them apart"));
                }
            }
            if let Some(chip) = &one.chip
                && !chip.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            {
                let what = format!("chip `{chip}` of {name}: a name has letters, digits, - and _");
                return Err(wrong(what, "rename it"));
            }
        }
        Layout::new(place(&self.state), place(&self.primary), place(&self.secondary))
            .map_err(|e| wrong(e.to_string(), "correct offsets and sizes; `patchlane layout` draws them"))
    }

    /// The address that code in the primary slot is linked for, if it is known.
    pub fn primary_address(&self) -> Option<u32> {
        self.address.and_then(|address| address.checked_add(self.primary.offset))
    }
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// `config`, and those of the file.
    pub fn read(path: &Path) -> Result<Self> {
        let explain = |e: Error, bytes: &[u8]| kind::explain(e, bytes, Kind::Config).at(path.display());
        let bytes = files::read(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            explain(Error::new(Code::Malformed, "isn't text (UTF-8)", "check the file"), &bytes)
        })?;
        let mut config = Self::parse(text).map_err(|e| explain(e, &bytes))?;
        config.folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
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
        let here = std::env::current_dir().unwrap_or_default();
        // From this folder by its short name: errors tell of it.
        let below = std::iter::once(PathBuf::from(NAME));
        let above = here.ancestors().skip(1).map(|folder| folder.join(NAME));
        let found = below.chain(above).find(|path| path.is_file());
        let next = "make one with `patchlane init`, or name it with --config FILE";
        Self::read(&found.ok_or_else(|| {
            Error::new(Code::Missing, format!("there is no {NAME} in this folder or above"), next)
        })?)
    }

    /// Reads what [`template`] writes.
    ///
    /// # Errors
    /// `config` if vendor or class are unusable.
    pub fn parse_template(text: &str) -> Result<Self> {
        Self::parse(text)
    }

    fn parse(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let line = line.map_or(String::new(), |n| format!("line {n}: "));
            let (what, next) = suggest(e.message());
            Error::new(Code::Config, format!("{line}{what}"), next)
        })?;
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
        Ok(config)
    }

    /// The ids that devices and manifests carry: UUID version 5 of the vendor's domain, and of the class in it.
    pub fn product(&self) -> Product {
        let vendor = Uuid::new_v5(&Uuid::NAMESPACE_DNS, self.product.vendor.as_bytes());
        let class = Uuid::new_v5(&vendor, self.product.class.as_bytes());
        Product { vendor: VendorId(vendor.into_bytes()), class: ClassId(class.into_bytes()) }
    }

    /// The addresses that images have to be linked for: what `[build]` says, else the primary slot's, if it is known.
    pub fn addresses(&self) -> Vec<u32> {
        if self.build.addresses.is_empty() {
            self.flash.as_ref().and_then(Flash::primary_address).into_iter().collect()
        } else {
            self.build.addresses.clone()
        }
    }

    /// The address of the image that the device in `provision` and `simulate` runs.
    pub fn address(&self) -> Option<u32> {
        self.build.addresses.first().copied()
    }

    /// Where RAM lies: what `[ram]` says, else the board's.
    pub fn ram(&self) -> Option<Ram> {
        let board = || crate::map::board(self.flash.as_ref()?).map(|board| board.ram);
        self.ram.or_else(|| board().map(|(address, size)| Ram { address, size }))
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

/// Says which key was meant: serde lists the ones there are.
fn suggest(message: &str) -> (String, String) {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let message = message.lines().next().unwrap_or(message).to_owned();
    let unknown = names.split_first().filter(|_| message.starts_with("unknown field"));
    let meant = |(wrong, known): (&&str, &[&str])| {
        let nearest = known.iter().min_by_key(|name| distance(wrong, name))?;
        Some((
            format!("unknown key `{wrong}`"),
            format!("did you mean `{nearest}`? There are: {}", known.join(", ")),
        ))
    };
    if let Some(answer) = unknown.and_then(meant) {
        return answer;
    }
    (message, "compare with what `patchlane init` writes".to_owned())
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let next = (corner + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.chars().count()]
}

/// The file that `init` writes.
pub fn template(vendor: &str, class: &str, flash: &str) -> String {
    // A JSON string is a TOML basic string.
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        r#"# patchlane: security patches and feature updates, kept apart. Paths count from this file's folder.
# Every key there is: host/schema/patchlane.schema.json. A key that isn't known is an error.

[product]
vendor = {vendor}          # a domain you own; ids are made from it and from class (RFC 9124)
class = {class}
hardware = [1]             # hardware revisions this firmware runs on, in increasing order

[trust]
root = "trust/root-1.plr"                        # what devices trust; `patchlane root show`
security = ["trust/development-security.pem"]    # sign security patches
feature = ["trust/development-feature.pem"]      # sign feature updates, together with security

[build]
chunk = 1024               # bytes a device authenticates at once: 128 to 1024
# addresses = [0x08020000] # what images are linked for (default: the primary slot); several where code runs in both slots

{flash}"#,
        vendor = quote(vendor),
        class = quote(class),
    )
}

/// The flash of a product without a known board.
pub const GENERIC_FLASH: &str = "\
# Where things lie in flash, in bytes from the beginning of the chip; `patchlane layout` draws and checks it.
# The secondary slot is one sector longer than the primary one.
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
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_configuration() {
        let config = Config::parse(&template("example.com", "pump \"3\"", GENERIC_FLASH)).unwrap();
        assert_eq!(config.product.class, "pump \"3\"");
        config.flash.unwrap().layout().unwrap();
    }

    #[test]
    fn a_misspelt_key_is_named_with_the_one_that_was_meant() {
        let text = template("example.com", "pump", GENERIC_FLASH).replace("erase_size", "erase_sise");
        let error = Config::parse(&text).unwrap_err();
        let line = 1 + text.lines().position(|line| line.starts_with("erase_sise")).unwrap();
        assert_eq!(error.what, format!("line {line}: unknown key `erase_sise`"));
        assert!(error.next.starts_with("did you mean `erase_size`?"), "{}", error.next);
    }

    #[test]
    fn ids_are_rfc_9562_version_5() {
        // Python: uuid.uuid5(uuid.NAMESPACE_DNS, "example.com")
        let config = Config::parse(&template("example.com", "pump", GENERIC_FLASH)).unwrap();
        let vendor = Uuid::from_bytes(config.product().vendor.0);
        assert_eq!(vendor.to_string(), "cfbff0d1-9375-5685-968c-48ce8b15ae17");
    }
}
