//! Who and what appears in a scenario: root, owner, releases; throw-away keys where no bundle files are named.

use super::file::{Damage, Feature, Lane, Release, Scenario, Security, Source, Step};
use crate::bundle::{Bundle, Closes, Draft, Linked, sha256};
use crate::error::{Code, Error, Result};
use crate::explain::meant;
use crate::root::{self, Root};
use crate::{files, keys};
use ed25519_dalek::SigningKey;
use patchlane_device::{Config, Device, Factory, NoCounter, NoWatchdog, Region};
use patchlane_protocol::owner::{Action, Request, Target};
use patchlane_protocol::{
    Baseline, Ceilings, ClassId, DeviceId, Digest, FeaturePolicy, GroupId, Kind, Manifest, OwnerDocument,
    Policy, Product, Refusal, SecurityPolicy, Severity, VendorId, Version,
};
use std::collections::BTreeMap;

/// A key that anyone can compute: it protects nothing.
pub fn throw_away_key(label: &str) -> SigningKey {
    SigningKey::from_bytes(&sha256(format!("patchlane simulation key: {label}").as_bytes()).0)
}

/// The product of described releases.
const PRODUCT: Product = Product { vendor: VendorId([0x11; 16]), class: ClassId([0x22; 16]) };
/// The device.
const DEVICE: DeviceId = DeviceId([0x33; 16]);

/// Where the images of described releases come from, by name.
pub type Images<'a> = dyn Fn(&str) -> Result<Vec<u8>> + 'a;

/// A release, ready to be sent.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Its version.
    pub version: Version,
    /// Its kind.
    pub kind: Kind,
    /// SHA-256 of its manifest.
    pub manifest: Digest,
    /// SHA-256 of its image and its bytes; one for each slot that code runs from.
    pub images: Vec<(Digest, u32)>,
    /// False if it hangs when it runs.
    pub works: bool,
    /// The file as it is sent.
    pub file: Vec<u8>,
}

/// Everything a scenario needs but the device.
#[derive(Debug, Clone)]
pub struct Cast {
    /// Releases by name.
    pub offers: BTreeMap<String, Offer>,
    /// The integrator's choices.
    pub config: Config,
    root: Root,
    factory: Factory,
    first: Bundle,
    image: Vec<u8>,
}

fn throw_away_root() -> Result<Root> {
    let role = |label| (vec![keys::public_of(&throw_away_key(label))], 1);
    let draft = root::Draft {
        product: PRODUCT,
        version: 1,
        development: false,
        ceilings: Ceilings { feature: Baseline { line: 9, step: 99 }, level: 99 },
        roles: ["root", "security", "feature"].map(role),
    };
    draft.sign(&[&throw_away_key("root")])
}

/// Makes and signs a described release.
fn described(lane: Lane, version: Version, payload: bool, images: Vec<Linked>) -> Result<Bundle> {
    let (kind, signers) = match lane {
        Lane::Security => (Kind::SecurityPatch, &["security"][..]),
        Lane::Feature => (Kind::FeatureUpdate, &["security", "feature"][..]),
    };
    let level = version.security.level();
    let mut draft = Draft::new(kind, PRODUCT, version, Vec::new());
    draft.images = images;
    draft.payload = payload;
    draft.issued_at = 1000 + u64::from(level);
    if level > 0 {
        let id = format!("CVE-2027-{level}");
        draft.closes = vec![Closes { index: level, id, severity: Severity::High, exploited: true }];
    }
    let mut bundle = draft.build()?;
    signers.iter().try_for_each(|label| bundle.sign(&throw_away_key(label)))?;
    Ok(bundle)
}

/// A bundle's file, damaged where the scenario says so.
fn damaged(bundle: &Bundle, damage: Option<Damage>) -> Result<Vec<u8>> {
    let mut bytes = bundle.to_bytes()?;
    let payload = bytes.len() - bundle.payload().len();
    let signatures = payload - bundle.signature_bytes()?.len();
    let at = match damage {
        None => return Ok(bytes),
        Some(Damage::Manifest) => signatures - 3,
        Some(Damage::Signatures) => payload - 5,
        Some(Damage::Payload) if bundle.payload().is_empty() => {
            let next = "damage its manifest or its signatures";
            return Err(Error::new(Code::Malformed, "has no payload to damage", next));
        }
        Some(Damage::Payload) => payload + bundle.payload().len() / 2,
    };
    bytes[at] ^= 0x10;
    Ok(bytes)
}

/// The image that a device with code at `address` runs.
fn image_of(manifest: &Manifest<'_>, address: Option<u32>) -> Option<(Digest, u32)> {
    let component = manifest.components.iter().next()?;
    let fits = component.images.iter().find(|image| image.address.is_none() || image.address == address);
    fits.map(|image| (image.digest, image.size.get()))
}

/// The images of a described release: one, or one for each slot that code runs from.
fn linked(firmware: &str, slots: &[u32], images: &Images<'_>) -> Result<Vec<Linked>> {
    match slots {
        [_, _] => slots
            .iter()
            .map(|address| {
                let bytes = images(&format!("{firmware}@{address:#010x}"))?;
                Ok(Linked { address: Some(*address), bytes })
            })
            .collect(),
        _ => Ok(vec![Linked { address: None, bytes: images(firmware)? }]),
    }
}

fn bundle_of(release: &Release, scenario: &Scenario, slots: &[u32], images: &Images<'_>) -> Result<Bundle> {
    match &release.source {
        Source::Bundle(path) => {
            let path = scenario.folder.join(path);
            let bundle = Bundle::parse(&files::read(&path)?).map_err(|e| e.at(path.display()))?;
            if bundle.signatures().is_empty() {
                let error = Error::new(Code::Unsigned, "isn't signed", "sign it: patchlane sign FILE");
                return Err(error.at(path.display()));
            }
            Ok(bundle)
        }
        Source::Described { lane, version, firmware, payload } => {
            described(*lane, *version, *payload, linked(firmware, slots, images)?)
        }
    }
}

impl Scenario {
    /// True if its releases are bundle files.
    ///
    /// # Errors
    /// `malformed` if some are, and some aren't; or if there is a root, and none are.
    pub fn has_files(&self) -> Result<bool> {
        let is_file = |release: &&Release| matches!(release.source, Source::Bundle(_));
        let (count, all) = (self.release.values().filter(is_file).count(), self.release.len());
        let wrong = |what, next| Err(Error::new(Code::Malformed, what, next));
        match (count, &self.device.root) {
            (0, Some(_)) => wrong(
                "has a root, and no bundle files to judge by it",
                "take `root` out: throw-away keys sign what is described",
            ),
            (n, _) if n == 0 || n == all => Ok(n > 0),
            _ => wrong(
                "names bundle files and describes releases, and no root trusts both",
                "make a bundle of each, or describe each",
            ),
        }
    }

    fn policy(&self) -> Policy {
        let security = match self.device.security {
            Security::Off => SecurityPolicy::Off,
            Security::Notify => SecurityPolicy::Notify,
            Security::StageOnly => SecurityPolicy::StageOnly,
            Security::ApplyInWindow => SecurityPolicy::ApplyInWindow,
        };
        let feature = match self.device.feature {
            Feature::Never => FeaturePolicy::Never,
            Feature::Local => FeaturePolicy::Local,
            Feature::OwnerKey => FeaturePolicy::OwnerKey,
            Feature::Auto => FeaturePolicy::Auto,
        };
        Policy { security, feature }
    }
}

impl Cast {
    /// Everyone and everything that a scenario names. Bundle files are judged under `root`, and run in these slots, known
    /// by their addresses: one, two if code runs from both, or none if nobody says.
    ///
    /// # Errors
    /// `malformed`, and those of bundles and images.
    pub fn of(scenario: &Scenario, root: Option<Root>, slots: &[u32], images: &Images<'_>) -> Result<Self> {
        let root = root.map_or_else(throw_away_root, Ok)?;
        let named = |name: &str, e: Error| match &e.place {
            Some(_) => e,
            None => Error { what: format!("release `{name}` {}", e.what), ..e },
        };
        let mut bundles = BTreeMap::new();
        for (name, release) in &scenario.release {
            let bundle = bundle_of(release, scenario, slots, images).map_err(|e| named(name, e))?;
            bundles.insert(name, bundle);
        }
        let first = bundles.get(&scenario.device.first).ok_or_else(|| Error::internal("no first release"))?;
        let address = slots.first().copied().or_else(|| first.images().ok()?.first()?.address);
        let places =
            if let [_, _] = slots { slots.iter().copied().map(Some).collect() } else { vec![address] };
        let image = first.image_for(address)?.ok_or_else(|| {
            let what = format!("release `{}` has no full image to start with", scenario.device.first);
            Error::new(Code::Malformed, what, "start with one that has")
        })?;
        let mut offers = BTreeMap::new();
        for (name, release) in &scenario.release {
            let bundle = &bundles[name];
            let file = damaged(bundle, release.damage).map_err(|e| named(name, e))?;
            let manifest = bundle.manifest()?;
            let images =
                places.iter().map(|address| image_of(&manifest, *address)).collect::<Option<Vec<_>>>();
            let images = images.ok_or_else(|| {
                let next = "name the address in patchlane.toml: [build] addresses";
                named(name, Error::new(Code::Image, "has no image for this device", next))
            })?;
            let (version, kind, works) = (manifest.version, manifest.kind, release.works);
            let offer = Offer { version, kind, manifest: bundle.digest(), images, works, file };
            offers.insert(name.clone(), offer);
        }
        let first = first.clone();
        check_versions(scenario, &offers)?;
        let factory = Factory {
            device: DEVICE,
            hardware: first.manifest()?.hardware.iter().next().unwrap_or(0),
            group: GroupId(7),
            policy: scenario.policy(),
            anchor: scenario.device.owner.then(|| keys::public_of(&throw_away_key("owner"))),
            production: !root.document()?.development,
        };
        let config = Config { address, soak: 0, fenced: false };
        Ok(Self { offers, config, root, factory, first, image })
    }

    /// Provisions a device with the first release.
    ///
    /// # Errors
    /// `refused`: the rule that the first release breaks; `image` if it doesn't fit.
    pub fn provision(&self, mut chip: crate::flash::Chip) -> Result<crate::flash::Chip> {
        let layout = chip.layout();
        let rooms = [Region::Primary, Region::Secondary].map(|role| layout.slot(role, false, None).room);
        let named = ["primary", "secondary"].into_iter().zip(rooms);
        let over = self.offers.iter().find_map(|(name, offer)| {
            let mut sizes = offer.images.iter().map(|(_, size)| *size).zip(named.clone());
            sizes.find(|(size, (_, room))| size > room).map(|found| (name, found))
        });
        if let Some((name, (size, (slot, room)))) = over {
            let what = format!("release `{name}` has an image of {size} bytes, and the {slot} slot {room}");
            return Err(Error::new(Code::Image, what, "make the slots larger: [flash]"));
        }
        chip.program_primary(&self.image);
        let mut device = Device::new(chip.layout(), self.config, chip, NoWatchdog, NoCounter);
        let (root, set) = (self.root.document_bytes()?, self.first.signature_bytes()?);
        device.provision(root, self.first.manifest_bytes(), &set, self.factory).map_err(
            |refusal: Refusal| {
                let error = Error::refused(refusal);
                Error { what: format!("the first release {}", error.what), ..error }
            },
        )?;
        Ok(device.media)
    }

    /// A release.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn offer(&self, name: &str) -> std::result::Result<&Offer, String> {
        self.offers.get(name).ok_or_else(|| format!("there is no release `{name}`"))
    }

    /// The owner's approval of a release.
    ///
    /// # Errors
    /// `malformed`: the rule that the document breaks.
    pub fn approval(&self, manifest: Digest, serial: u64) -> Result<Vec<u8>> {
        let request = Request::Release { action: Action::Approve, manifest };
        let product = self.root.document()?.product;
        let document = OwnerDocument { product, target: Target::All, serial, request };
        crate::owner::sign(&document, &[&throw_away_key("owner")])
    }
}

/// A status can only speak of versions that appear.
fn check_versions(scenario: &Scenario, offers: &BTreeMap<String, Offer>) -> Result<()> {
    let versions: Vec<String> = offers.values().map(|offer| offer.version.to_string()).collect();
    let known: Vec<&str> = versions.iter().map(String::as_str).collect();
    for (step, line) in scenario.step.iter().zip(&scenario.lines) {
        let Step::Status(expected) = step else { continue };
        let named = [&expected.installed, &expected.held].into_iter().flatten();
        if let Some(wrong) = named.filter(|v| !v.is_empty()).find(|v| !known.contains(&v.as_str())) {
            let what = format!("line {line}: no release has the version `{wrong}`");
            return Err(Error::new(Code::Malformed, what, meant(wrong, &known)));
        }
    }
    Ok(())
}
