//! A vendor and an owner for simulated devices: keys, roots, releases.

use ed25519_dalek::{Signer, SigningKey};
use patchlane::bundle::{Bundle, Closes, Draft, Linked, chain, sha256};
use patchlane_device::{Factory, Layout};
use patchlane_protocol::owner::{Action, SignedOwner};
use patchlane_protocol::signature::SIGNATURE_BOUNDS;
use patchlane_protocol::{
    Alternative, Baseline, Ceilings, ChunkSize, ClassId, Component, DeviceId, Digest, DocumentKind, Encoding,
    FeaturePolicy, GroupId, Image, Kind, List, Manifest, OwnerDocument, Policy, Preimage, Product, PublicKey,
    Reason, Request, Role, RootDocument, SecurityPolicy, Severity, Signature, SignedRoot, Size, Target,
    VendorId, Version, Writer,
};

/// A key that anyone can compute.
pub fn key(label: &str) -> SigningKey {
    patchlane::scenario::throw_away_key(label)
}

/// The public half.
pub fn public(label: &str) -> PublicKey {
    PublicKey::ed25519(key(label).verifying_key().to_bytes())
}

/// The product of all simulations.
pub const PRODUCT: Product = Product { vendor: VendorId([0x11; 16]), class: ClassId([0x22; 16]) };
/// The device.
pub const DEVICE: DeviceId = DeviceId([0x33; 16]);

/// Which keys a root lists.
#[derive(Debug, Clone)]
pub struct Roles {
    /// Its version.
    pub version: u32,
    /// Root keys.
    pub root: Vec<&'static str>,
    /// Security keys.
    pub security: Vec<&'static str>,
    /// Feature keys.
    pub feature: Vec<&'static str>,
    /// The highest baseline line and security level.
    pub ceilings: (u16, u32),
}

impl Default for Roles {
    fn default() -> Self {
        Self {
            version: 1,
            root: vec!["root"],
            security: vec!["security"],
            feature: vec!["feature"],
            ceilings: (9, 99),
        }
    }
}

/// Signs a preimage.
pub fn sign(kind: DocumentKind, document: &[u8], labels: &[&str]) -> Vec<Signature> {
    let preimage = Preimage::new(kind, &PRODUCT, &sha256(document));
    let mut set: Vec<Signature> = labels
        .iter()
        .map(|label| Signature {
            key: public(label).id(),
            algorithm: public(label).algorithm,
            bytes: key(label).sign(preimage.as_bytes()).to_bytes(),
        })
        .collect();
    set.sort_by_key(|signature| signature.key);
    set
}

impl Roles {
    /// The root document. One key of each role suffices.
    pub fn document(&self) -> Vec<u8> {
        self.needing([1; 3])
    }

    /// The root document. So many keys have to sign: of root, security, feature.
    pub fn needing(&self, thresholds: [u8; 3]) -> Vec<u8> {
        let keys = |labels: &[&str]| {
            let mut keys: Vec<_> = labels.iter().map(|label| public(label)).collect();
            keys.sort_by_key(PublicKey::id);
            keys
        };
        let (root, security, feature) = (keys(&self.root), keys(&self.security), keys(&self.feature));
        let feature_ceiling = Baseline { line: self.ceilings.0, step: 99 };
        let [a, b, c] = thresholds;
        let role = |threshold, keys| Role::new(threshold, List::of(keys).unwrap()).unwrap();
        RootDocument {
            product: PRODUCT,
            version: self.version,
            development: false,
            ceilings: Ceilings { feature: feature_ceiling, level: self.ceilings.1 },
            roles: patchlane_protocol::Roles::new(role(a, &root), role(b, &security), role(c, &feature))
                .unwrap(),
        }
        .encode(&mut [0; 512])
        .expect("a root")
        .to_vec()
    }

    /// A link to this root, signed by these keys. One key of each role suffices.
    pub fn link(&self, labels: &[&str]) -> Vec<u8> {
        link(&self.document(), labels)
    }
}

/// A link to this root document, whatever it says, signed by these keys.
pub fn link(document: &[u8], labels: &[&str]) -> Vec<u8> {
    let set = sign(DocumentKind::Root, document, labels);
    SignedRoot::encode(document, &List::of(&set).unwrap(), &mut [0; 1024]).expect("a link").to_vec()
}

/// An image of `size` bytes that no other seed has.
pub fn image(seed: u64, size: usize) -> Vec<u8> {
    (0..size as u64).map(|i| patchlane::flash::mix(seed << 32 | i) as u8).collect()
}

/// A release as the vendor thinks of it.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its kind, and so its signers.
    pub kind: Kind,
    /// Its version.
    pub version: Version,
    /// Its image.
    pub image: Vec<u8>,
    /// Its images by address, if code runs from both slots; then `image` is the first slot's.
    pub linked: Vec<Linked>,
    /// False without payload.
    pub payload: bool,
    /// Under which root.
    pub root: u32,
    /// When.
    pub issued_at: u64,
    /// Who signs; the usual keys if empty.
    pub signers: Vec<&'static str>,
    /// Links that travel along.
    pub links: Vec<Vec<u8>>,
    /// Images that it brings deltas from.
    pub bases: Vec<Vec<u8>>,
    /// False if deltas are all it brings.
    pub full: bool,
    /// Bytes of a chunk.
    pub chunk: u16,
    /// True if no patch offers its fixes separately.
    pub combined: bool,
}

impl Release {
    /// A patch `line.step s level`.
    pub fn patch(line: u16, step: u16, level: u32, image: Vec<u8>) -> Self {
        Self {
            kind: Kind::SecurityPatch,
            version: Version::new(line, step, level),
            image,
            linked: Vec::new(),
            payload: true,
            root: 1,
            issued_at: 1000 + u64::from(level),
            signers: Vec::new(),
            links: Vec::new(),
            bases: Vec::new(),
            full: true,
            chunk: 1024,
            combined: false,
        }
    }

    /// A feature update, or any full image signed by both roles.
    pub fn feature(line: u16, step: u16, level: u32, image: Vec<u8>) -> Self {
        Self { kind: Kind::FeatureUpdate, ..Self::patch(line, step, level, image) }
    }

    /// The bundle.
    pub fn bundle(&self) -> Bundle {
        let mut draft = Draft::new(self.kind, PRODUCT, self.version, self.image.clone());
        if !self.linked.is_empty() {
            draft.images.clone_from(&self.linked);
        }
        draft.hardware = vec![1, 2];
        draft.root_version = self.root;
        draft.payload = self.payload;
        draft.full = self.full;
        draft.bases = self.bases.iter().map(|base| Linked { address: None, bytes: base.clone() }).collect();
        draft.issued_at = self.issued_at;
        draft.chunk = self.chunk;
        draft.links.clone_from(&self.links);
        draft.combined =
            self.combined.then(|| (Reason::FixForcesChange, "the fix changes a protocol".into()));
        let level = self.version.security.level();
        if level > 0 {
            draft.closes = vec![Closes {
                index: level,
                id: format!("CVE-2027-{level}"),
                severity: Severity::High,
                exploited: true,
            }];
        }
        let mut bundle = draft.build().expect("a bundle");
        let usual = match self.kind {
            Kind::SecurityPatch => &["security"][..],
            Kind::FeatureUpdate => &["security", "feature"],
        };
        for label in if self.signers.is_empty() { usual } else { &self.signers } {
            bundle.sign(&key(label)).expect("a signature");
        }
        bundle
    }

    /// The bundle's file.
    pub fn bytes(&self) -> Vec<u8> {
        self.bundle().to_bytes().expect("a bundle")
    }

    /// The bundle's file with other data in its deltas, in chunks of 256 bytes, and perhaps another base and image named.
    pub fn with_data(&self, data: &[u8], named: Option<(Digest, Image)>) -> Vec<u8> {
        let bundle = self.bundle();
        let manifest = bundle.manifest().expect("a manifest");
        let component = manifest.components.at(0).expect("a component");
        let mut payload = Vec::new();
        let other = |way: Alternative| {
            let delta = way.encoding == Encoding::Delta;
            let (bytes, chunk) = if delta { (data, 256) } else { (&self.image[..], self.chunk) };
            let (first, chunks) = chain(bytes, chunk);
            payload.extend(chunks);
            let base = named.filter(|_| delta).map(|(base, _)| base).or(way.base);
            let size = Size::new(bytes.len() as u32).expect("not empty");
            Alternative { base, size, chunk: ChunkSize::new(chunk).expect("a size"), first, ..way }
        };
        let ways: Vec<Alternative> = component.alternatives.iter().map(other).collect();
        let image = component.images.at(0).expect("an image");
        let images = [named.map_or(image, |(_, image)| image)];
        let (alternatives, images) = (List::of(&ways).unwrap(), List::of(&images).unwrap());
        let components = [Component { alternatives, images, ..component }];
        let changed = Manifest { components: List::of(&components).unwrap(), ..manifest };
        signed(&changed, &payload)
    }

    /// SHA-256 of the manifest.
    pub fn digest(&self) -> Digest {
        self.bundle().digest()
    }
}

/// A bundle of a patch's manifest and payload.
fn signed(manifest: &Manifest<'_>, payload: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let document = manifest.encode(&mut buffer).expect("a manifest").to_vec();
    let set = sign(manifest.kind.document(), &document, &["security"]);
    let mut writer = Writer::new(&mut buffer);
    List::of(&set).unwrap().write(&mut writer, SIGNATURE_BOUNDS).expect("signatures");
    let set = writer.finish();
    let lengths = [document.len() as u16, set.len() as u16].map(u16::to_le_bytes).concat();
    [b"PLBN\x01\x00", &lengths[..], &document, set, payload].concat()
}

/// The policy of §7's story.
pub const STORY_POLICY: Policy =
    Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::OwnerKey };

/// What the factory says.
pub fn factory(policy: Policy, owned: bool) -> Factory {
    Factory {
        device: DEVICE,
        hardware: 1,
        group: GroupId(7),
        policy,
        anchor: owned.then(|| public("owner")),
        production: true,
    }
}

/// A signed owner document.
pub fn owner(serial: u64, request: Request) -> Vec<u8> {
    let mut signers = vec!["owner"];
    if let Request::Anchor(key) = request {
        signers.extend(["owner 2"].iter().filter(|label| public(label) == key));
    }
    let document = OwnerDocument { product: PRODUCT, target: Target::All, serial, request };
    let document = document.encode(&mut [0; 384]).expect("a document").to_vec();
    let set = sign(DocumentKind::Owner, &document, &signers);
    SignedOwner::encode(&document, &List::of(&set).unwrap(), &mut [0; 384]).expect("a document").to_vec()
}

/// A signed approval.
pub fn approval(serial: u64, manifest: Digest) -> Vec<u8> {
    owner(serial, Request::Release { action: Action::Approve, manifest })
}

/// Room for an image in a layout.
pub fn room(layout: &Layout) -> usize {
    layout.room() as usize
}
