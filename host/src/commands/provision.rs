//! `provision`: a device's flash as it leaves the factory.

use super::{anchor, read_bundle};
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::files::{self, Over, Secrecy};
use crate::flash::Chip;
use crate::keys;
use crate::output::Report;
use clap::{Args, ValueEnum};
use patchlane_device::{Config as DeviceConfig, Device, Factory, NoCounter, NoWatchdog, Region};
use patchlane_protocol::{DeviceId, FeaturePolicy, Policy, SecurityPolicy};
use serde_json::json;
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

#[derive(Debug, Clone, Copy, ValueEnum)]
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

#[derive(Debug, Clone, Copy, ValueEnum)]
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

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The first release: a signed bundle with a full image
    bundle: PathBuf,
    /// The root to provision (default: the configuration's)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    #[command(flatten)]
    factory: Factoring,
    /// The flash image: raw bytes from the lowest offset of [flash] on
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

fn device_id(text: &str) -> std::result::Result<DeviceId, String> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32);
    number.map(|n| DeviceId(n.to_be_bytes())).ok_or_else(|| "an id is 32 hexadecimal digits".to_owned())
}

impl Factoring {
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
        Ok(Factory {
            device,
            hardware: self.hardware.unwrap_or(first),
            group: self.group,
            policy: Policy { security, feature },
            anchor: self.owner_key.as_ref().map(|path| keys::read_public(path)).transpose()?,
            production: !self.development,
        })
    }
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
        let next = "give a bundle that carries a full image, linked for [build] addresses' first";
        Error::new(Code::Malformed, "has no full image to start with", next).at(path.display())
    })?;
    let missing =
        || Error::new(Code::Config, "[flash] is missing", "say in patchlane.toml where state and slots lie");
    let layout = config.flash.as_ref().ok_or_else(missing)?.layout()?;
    if Chip::span(&layout) > files::LARGEST {
        let what = format!(
            "[flash]: state and slots span {} MiB, and no more than {} MiB are made here",
            Chip::span(&layout) >> 20,
            files::LARGEST >> 20
        );
        return Err(Error::new(Code::Config, what, "correct offsets and sizes"));
    }
    if image.len() > layout.room() as usize {
        let what = format!("has an image of {} bytes, and the primary slot {}", image.len(), layout.room());
        return Err(Error::new(Code::Image, what, "make the slot larger").at(path.display()));
    }
    let root = anchor(global, root)?;
    bundle.verify(&root.document()?, |_| Ok(())).map_err(|e| e.at(path.display()))?;
    let mut chip = Chip::new(layout);
    chip.program_primary(&image);
    let device_config = DeviceConfig { address: config.address(), soak: 0, fenced: false };
    let mut device = Device::new(layout, device_config, chip, NoWatchdog, NoCounter);
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

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let factory = options.factory.factory(&config)?;
    let mut device = provisioned(global, &config, &options.bundle, options.root.as_ref(), &factory)?;
    let status = device.status().map_err(Error::refused)?;
    let over = if options.force { Over::Existing } else { Over::Nothing };
    let bytes = device.media.bytes();
    files::write(&options.output, &bytes, over, Secrecy::Public)?;
    let (base, length) = (device.media.base(), bytes.len());
    let places = [("state", Region::State), ("primary", Region::Primary), ("secondary", Region::Secondary)];
    let layout = *device.engine().layout();
    let data = json!({
        "file": options.output.display().to_string(),
        "base": base,
        "bytes": length,
        "device_id": status.device.to_string(),
        "version": status.confirmed.version.to_string(),
        "root_version": status.root_version,
        "development": status.development,
    });
    let mut report =
        Report::new("Write it to the chip with the bootloader; nothing else makes a factory state.", data)
            .line("file", options.output.display().to_string())
            .line("covers", format!("{length} bytes from offset {base:#x}"))
            .line("device id", status.device.to_string())
            .line("release", status.confirmed.version.to_string())
            .line("root", format!("version {}", status.root_version));
    for (name, region) in places {
        let place = layout.place(region);
        report = report.line(name, format!("{} bytes at {:#x}", place.length, place.offset));
    }
    Ok(report)
}
