//! `provision`: a device's flash as it leaves the factory.

use super::layout::no_place;
use super::{anchor, read_bundle};
use crate::cli::Global;
use crate::config::{Config, Flash, Stretch};
use crate::error::{Code, Error, Result};
use crate::files::{self, New, Over, Secrecy};
use crate::flash::Chip;
use crate::image::{self, Source, source};
use crate::output::Report;
use crate::{keys, map};
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use patchlane_device::{
    Boot, Cause, Config as DeviceConfig, Device, Factory, Layout, NoCounter, NoWatchdog, Region, Running,
};
use patchlane_protocol::{DeviceId, FeaturePolicy, GroupId, Policy, SecurityPolicy, Status};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Args)]
pub(crate) struct Factoring {
    /// The device's id: 32 hexadecimal digits (default: random)
    #[arg(long, value_parser = device_id, value_name = "HEX")]
    device_id: Option<DeviceId>,
    /// The board's hardware revision (default: the first of the configuration)
    #[arg(long, value_name = "NUMBER")]
    hardware: Option<u16>,
    /// The group that owner documents can name
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    group: u32,
    /// What happens to security patches
    #[arg(long, value_enum, default_value = "stage-only", value_name = "POLICY")]
    security_policy: SecurityChoice,
    /// What happens to feature updates
    #[arg(long, value_enum, default_value = "local", value_name = "POLICY")]
    feature_policy: FeatureChoice,
    /// The asset owner's public key
    #[arg(long, value_name = "FILE")]
    owner_key: Option<PathBuf>,
    /// Allow a development root: for the bench, not for customers
    #[arg(long)]
    development: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SecurityChoice {
    /// Nothing is taken or listed
    Off,
    /// Listed, not taken
    Notify,
    /// Taken; goes in on request
    StageOnly,
    /// Goes in as soon as the application allows
    ApplyInWindow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FeatureChoice {
    /// Refused
    Never,
    /// Approved at the device
    Local,
    /// Approved by the owner's key
    OwnerKey,
    /// Goes in like a patch
    Auto,
}

const EXAMPLES: &str = "\
Examples:
  patchlane provision first.plb --bootloader boot.elf -o factory.hex
  patchlane provision first.plb --development -o bench.bin    on the bench";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The first release: a signed bundle with a full image
    bundle: PathBuf,
    /// The root to provision (default: the configuration's)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    #[command(flatten)]
    factory: Factoring,
    /// Put this bootloader in: ELF, Intel HEX or raw binary, checked against [flash] bootloader
    #[arg(long, value_name = "FILE[@ADDRESS]", value_parser = PathBufValueParser::new().try_map(source))]
    bootloader: Option<Source>,
    /// The flash image: Intel HEX at real addresses (.hex), or raw from the lowest offset of [flash] on (.bin); what
    /// lies on another chip goes into a file beside it (FILE-CHIP.hex)
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// The format, if the file's name doesn't tell
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// What programmers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Intel HEX
    Hex,
    /// Raw bytes
    Bin,
}

pub(crate) fn device_id(text: &str) -> std::result::Result<DeviceId, String> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok();
    // The parser takes a sign, an id doesn't.
    let plain = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = number.filter(|_| plain);
    number.map(|n| DeviceId(n.to_be_bytes())).ok_or_else(|| "an id is 32 hexadecimal digits".to_owned())
}

impl Factoring {
    /// True if anything is said.
    pub(crate) fn is_given(&self) -> bool {
        let options = self.device_id.is_some() || self.hardware.is_some() || self.owner_key.is_some();
        let policies =
            self.security_policy != SecurityChoice::StageOnly || self.feature_policy != FeatureChoice::Local;
        options || policies || self.group != 0 || self.development
    }

    /// The factory's word.
    pub(crate) fn factory(&self, config: &Config) -> Result<Factory> {
        let device = match self.device_id {
            Some(id) => id,
            None => {
                let mut id = [0; 16];
                getrandom::fill(&mut id).map_err(|e| Error::internal(format!("no randomness: {e}")))?;
                DeviceId(id)
            }
        };
        let security = match self.security_policy {
            SecurityChoice::Off => SecurityPolicy::Off,
            SecurityChoice::Notify => SecurityPolicy::Notify,
            SecurityChoice::StageOnly => SecurityPolicy::StageOnly,
            SecurityChoice::ApplyInWindow => SecurityPolicy::ApplyInWindow,
        };
        let feature = match self.feature_policy {
            FeatureChoice::Never => FeaturePolicy::Never,
            FeatureChoice::Local => FeaturePolicy::Local,
            FeatureChoice::OwnerKey => FeaturePolicy::OwnerKey,
            FeatureChoice::Auto => FeaturePolicy::Auto,
        };
        let first = config.product.hardware.first().copied().unwrap_or(0);
        let owner = if self.development { keys::read_public } else { keys::read_production };
        Ok(Factory {
            device,
            hardware: self.hardware.unwrap_or(first),
            group: GroupId(self.group),
            policy: Policy { security, feature },
            anchor: self.owner_key.as_ref().map(|path| owner(path)).transpose()?,
            production: !self.development,
        })
    }
}

pub(crate) fn device_config(config: &Config) -> DeviceConfig {
    DeviceConfig { address: config.address(), soak: 0, fenced: false }
}

fn blank(config: &Config) -> Result<Chip> {
    erased(config.flash()?, config.layout()?).map_err(|e| e.at(config.file.display()))
}

/// Flash as the board's is when it is erased.
pub(crate) fn erased(flash: &Flash, layout: Layout) -> Result<Chip> {
    let total = flash.stretches().iter().map(|(_, s)| u64::from(s.size)).sum();
    fits(total, "has stretches of", "make the slots smaller")?;
    Ok(Chip::reading(layout, map::board(flash).map_or([0xff; 4], |board| board.erased)))
}

/// Flash is held in memory here: as much as the largest file may be.
fn fits(bytes: u64, what: &str, next: &str) -> Result<()> {
    if bytes <= files::LARGEST {
        return Ok(());
    }
    let what = format!("{what} {} MiB, and {} MiB can be made", bytes >> 20, files::LARGEST >> 20);
    Err(Error::new(Code::Config, what, next))
}

/// A provisioned device on a chip in memory.
pub(crate) fn provisioned(
    global: &Global,
    config: &Config,
    path: &Path,
    root: Option<&PathBuf>,
    factory: &Factory,
) -> Result<Device<Chip>> {
    let bundle = read_bundle(path)?;
    let image = bundle.image_for(config.address())?.ok_or_else(|| {
        let next = "give a bundle that carries a full image, linked for the primary slot";
        Error::new(Code::Malformed, "has no full image to start with", next).at(path.display())
    })?;
    let layout = config.layout()?;
    let room = layout.slot(Region::Primary, false, None).room;
    if image.len() > room as usize {
        let what = format!("has an image of {} bytes, and the primary slot {room}", image.len());
        return Err(Error::new(Code::Image, what, "make the slot larger").at(path.display()));
    }
    let root = anchor(global, root)?;
    bundle.verify(&root.document()?, |_| Ok(())).map_err(|e| e.at(path.display()))?;
    let mut chip = blank(config)?;
    chip.program_primary(&image);
    let mut device = Device::new(layout, device_config(config), chip, NoWatchdog, NoCounter);
    let set = bundle.signature_bytes()?;
    device.provision(root.document_bytes()?, bundle.manifest_bytes(), &set, *factory).map_err(|refusal| {
        let mut error = Error::refused(refusal).at(path.display());
        if refusal == patchlane_protocol::Refusal::DevelopmentRoot {
            error.code = Code::Development;
            error.next = "make production keys and a production root; on the bench, say --development".into();
        }
        error
    })?;
    Ok(device)
}

/// The bootloader, checked against its place in the map.
fn bootloader(options: &Options, config: &Config) -> Result<Option<(Stretch, Vec<u8>)>> {
    let Some(source) = &options.bootloader else { return Ok(None) };
    let flash = config.flash()?;
    let place = flash.bootloader.as_ref().ok_or_else(|| no_place(config))?;
    let loaded = image::load(source)?;
    let findings = map::check_bootloader(&loaded, place, flash, &config.ram());
    match map::error(Code::Image, source.path.display(), findings) {
        Some(error) => Err(error),
        None => Ok(Some((place.clone(), loaded.bytes))),
    }
}

/// What a chip is programmed with: pieces by offset. What isn't in a piece stays erased.
struct Factored {
    /// The chip's name; none for the main one.
    chip: Option<String>,
    /// The address of offset 0.
    base: u32,
    /// From where to where its stretches lie, in bytes.
    range: (u32, u32),
    pieces: BTreeMap<u32, Vec<u8>>,
    file: PathBuf,
}

impl Factored {
    /// The bytes of its file.
    fn encode(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Bin => {
                let mut bytes = vec![0xff; (self.range.1 - self.range.0) as usize];
                for (offset, piece) in &self.pieces {
                    let from = (offset - self.range.0) as usize;
                    bytes[from..from + piece.len()].copy_from_slice(piece);
                }
                bytes
            }
            Format::Hex => {
                let pieces: Vec<_> =
                    self.pieces.iter().map(|(at, piece)| (self.base + at, &piece[..])).collect();
                image::to_hex(&pieces).into_bytes()
            }
        }
    }
}

/// The state region whole, erased bytes too: an older log that stayed there would count. Of the slots the image only.
fn factored(options: &Options, config: &Config, chip: &Chip, size: usize) -> Result<Vec<Factored>> {
    let flash = config.flash()?;
    let boot = bootloader(options, config)?;
    let mut list = Vec::new();
    for (name, parts) in map::chips(flash) {
        let named: Vec<_> =
            parts.iter().filter(|(part, _)| *part != "bootloader" || boot.is_some()).collect();
        let from = named.iter().map(|(_, s)| s.offset).min();
        let to = named.iter().map(|(_, s)| s.offset.saturating_add(s.size)).max();
        let mut pieces = BTreeMap::new();
        for (part, stretch) in parts {
            let bytes = match (part, &boot) {
                ("bootloader", Some((_, bytes))) => bytes.clone(),
                ("state", _) => chip.region(Region::State).to_vec(),
                ("primary", _) => chip.primary(size).to_vec(),
                _ => continue,
            };
            pieces.insert(stretch.offset, bytes);
        }
        if let (Some(from), Some(to), false) = (from, to, pieces.is_empty()) {
            let base = map::address(flash).filter(|_| name.is_none()).unwrap_or(0);
            let file = beside(&options.output, name);
            list.push(Factored { chip: name.map(str::to_owned), base, range: (from, to), pieces, file });
        }
    }
    Ok(list)
}

/// `factory.hex` for the main chip, `factory-spi.hex` for `spi`.
fn beside(output: &Path, chip: Option<&str>) -> PathBuf {
    let Some(chip) = chip else { return output.to_path_buf() };
    let mut name = output.file_stem().unwrap_or_default().to_os_string();
    name.push(format!("-{chip}"));
    if let Some(extension) = output.extension() {
        name.push(".");
        name.push(extension);
    }
    output.with_file_name(name)
}

fn format(options: &Options) -> Result<Format> {
    let extension = options.output.extension().map(|e| e.to_ascii_lowercase());
    match (options.format, extension.as_deref().and_then(|e| e.to_str())) {
        (Some(format), _) => Ok(format),
        (None, Some("hex" | "ihex")) => Ok(Format::Hex),
        (None, Some("bin")) => Ok(Format::Bin),
        _ => {
            let next = "name it .hex or .bin, or say --format hex or --format bin";
            Err(Error::new(Code::Usage, "has a name that tells no format", next).at(options.output.display()))
        }
    }
}

/// Boots the device crate on what the files hold, read back: it has to be what was provisioned.
fn boots(config: &Config, files: &[(Factored, Vec<u8>)], format: Format, status: &Status) -> Result<()> {
    let (flash, layout) = (config.flash()?, config.layout()?);
    let mut chip = blank(config)?;
    for (region, stretch) in [(Region::State, &flash.state), (Region::Primary, &flash.primary)] {
        let Some((factored, bytes)) = files.iter().find(|(f, _)| f.chip == stretch.chip) else { continue };
        let (start, held) = match format {
            Format::Bin => (factored.range.0, bytes.clone()),
            Format::Hex => {
                let loaded = image::parse(&factored.file, bytes.clone())?;
                (loaded.address.unwrap_or(0).saturating_sub(factored.base), loaded.bytes)
            }
        };
        let from = stretch.offset.saturating_sub(start) as usize;
        chip.program(region, held.get(from..).unwrap_or(&[]));
    }
    let mut device = Device::new(layout, device_config(config), chip, NoWatchdog, NoCounter);
    let boot = device.boot(Cause::PowerOn).map_err(Error::refused)?;
    let found = device.status().map_err(Error::refused)?;
    if boot == Boot::Run(Running::Confirmed) && found == *status {
        return Ok(());
    }
    Err(Error::internal(format!("the flash image doesn't boot as provisioned: {boot:?}")))
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let format = format(options)?;
    let config = Config::find(global.config.as_deref())?;
    let factory = options.factory.factory(&config)?;
    let mut device = provisioned(global, &config, &options.bundle, options.root.as_ref(), &factory)?;
    let status = device.status().map_err(Error::refused)?;
    let size = device.engine().state().map_or(0, |state| state.confirmed.size) as usize;
    let list = factored(options, &config, &device.media, size)?;
    if format == Format::Bin {
        for f in &list {
            let next = "choose .hex: it leaves gaps out";
            fits(u64::from(f.range.1 - f.range.0), "would have", next).map_err(|e| e.at(f.file.display()))?;
        }
    }
    let files: Vec<_> = list
        .into_iter()
        .map(|f| {
            let bytes = f.encode(format);
            (f, bytes)
        })
        .collect();
    boots(&config, &files, format, &status)?;
    let over = if options.force { Over::Existing } else { Over::Nothing };
    let pieces: Vec<_> = files.iter().map(|(_, bytes)| [&bytes[..]]).collect();
    let all: Vec<_> = files
        .iter()
        .zip(&pieces)
        .map(|((f, _), pieces)| New { path: &f.file, pieces, over, secrecy: Secrecy::Public })
        .collect();
    files::write_together(&all)?;
    report(options, &config, format, &files, &status)
}

fn data(options: &Options, format: Format, files: &[(Factored, Vec<u8>)], status: &Status) -> Value {
    let rows: Vec<_> = files
        .iter()
        .map(|(f, bytes)| {
            json!({
                "file": f.file.display().to_string(),
                "chip": f.chip,
                "address": f.base + f.range.0,
                "offset": f.range.0,
                "bytes": bytes.len(),
            })
        })
        .collect();
    json!({
        "file": files.first().map(|(f, _)| f.file.display().to_string()),
        "format": if format == Format::Hex { "hex" } else { "bin" },
        "files": rows,
        "bootloader": options.bootloader.as_ref().map(|b| b.path.display().to_string()),
        "device_id": status.device.to_string(),
        "version": status.confirmed.version.to_string(),
        "root_version": status.root_version,
        "development": status.development,
    })
}

fn report(
    options: &Options,
    config: &Config,
    format: Format,
    files: &[(Factored, Vec<u8>)],
    status: &Status,
) -> Result<Report> {
    let flash = config.flash()?;
    let data = data(options, format, files, status);
    let mut report = Report::new("It boots: the device crate ran on it, read back.", data);
    for (f, bytes) in files {
        let chip = f.chip.as_ref().map_or(String::new(), |chip| format!(" of the chip `{chip}`"));
        let how = match format {
            Format::Hex => "Intel HEX".to_owned(),
            Format::Bin => {
                format!("{} bytes, to be written at {:#010x}{chip}", bytes.len(), f.base + f.range.0)
            }
        };
        let chip = if format == Format::Hex { &chip[..] } else { "" };
        report = report.line("file", format!("{}  {how}{chip}", f.file.display()));
        for (offset, piece) in &f.pieces {
            let part = flash.stretches().into_iter().find(|(_, s)| s.offset == *offset && s.chip == f.chip);
            let (name, _) = part.unwrap_or(("", &flash.primary));
            report = report.line(name, format!("{:#010x}  {} bytes", f.base + offset, piece.len()));
        }
    }
    let root = if status.development { "development" } else { "production" };
    report = report
        .line("release", status.confirmed.version.to_string())
        .line("root", format!("version {}, {root}", status.root_version))
        .line("device id", status.device.to_string());
    if options.bootloader.is_none() {
        report = report.note(match (&flash.bootloader, map::address(flash)) {
            (None, _) => "it holds no bootloader: [flash] has no place for one".to_owned(),
            (Some(s), base) => format!(
                "it holds no bootloader: program one at {:#010x}, or say --bootloader FILE",
                base.unwrap_or(0).saturating_add(s.offset)
            ),
        });
    }
    if format == Format::Hex && map::address(flash).is_none() {
        report = report.note("addresses count from the beginning of the chip: [flash] has no address");
    }
    Ok(report)
}
