//! What was ever published or forged: what it truly is, as sets and names, beside the bytes that a device sees.

use crate::sim::world::{PRODUCT, Release, Roles, image, public, sign};
use patchlane::bundle::sha256;
use patchlane_protocol::owner::{Action, SignedOwner};
use patchlane_protocol::version::Open;
use patchlane_protocol::{
    Digest, DocumentKind, FeaturePolicy, Kind, List, OwnerDocument, Policy, Request, Security,
    SecurityPolicy, Target,
};
use std::collections::BTreeSet;

/// A baseline: line and step.
pub type Line = (u16, u16);

/// One root link: whether it is genuine, and to which version it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The version it leads to.
    pub to: u32,
    /// True if both quorums signed the vendor's own next root.
    pub genuine: bool,
}

/// One bundle file.
#[derive(Debug, Clone)]
pub struct Item {
    /// What people call it.
    pub name: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// Bytes of it up to the end of the first chunk.
    pub part: usize,
    /// SHA-256 of its manifest.
    pub manifest: Digest,
    /// True if it claims both roles.
    pub both: bool,
    /// Its baseline.
    pub line: Line,
    /// Every advisory that it says it handles.
    pub handled: BTreeSet<u32>,
    /// Who signed it.
    pub signers: Vec<&'static str>,
    /// The root version that it names.
    pub root: u32,
    /// What it installs.
    pub image: Vec<u8>,
    /// False if it comes without payload.
    pub payload: bool,
    /// True if no patch offers its fixes separately.
    pub combined: bool,
    /// What travels along.
    pub links: Vec<Link>,
}

impl Item {
    /// The highest advisory that it handles.
    pub fn level(&self) -> u32 {
        self.handled.last().copied().unwrap_or(0)
    }

    /// True if this root lets it in anywhere: who signed, which root it names, the ceilings.
    pub fn is_authorised(&self, root: &Roles) -> bool {
        let by = |role: &[&'static str]| self.signers.iter().any(|signer| role.contains(signer));
        let strange = |signer: &&'static str| {
            !(root.security.contains(signer) || self.both && root.feature.contains(signer))
        };
        by(&root.security)
            && (!self.both || by(&root.feature))
            && !self.signers.iter().any(strange)
            && self.root <= root.version
            && self.line <= (root.ceilings.0, 99)
            && self.level() <= root.ceilings.1
    }

    /// True if it handles all that `other` handles.
    pub fn keeps_fixes_of(&self, other: &Self) -> bool {
        self.handled.is_superset(&other.handled)
    }
}

/// One owner document.
#[derive(Debug, Clone)]
pub struct Document {
    /// What people call it.
    pub name: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// Its serial.
    pub serial: u64,
    /// Who signed it.
    pub signer: &'static str,
    /// What it asks for.
    pub request: Request,
}

/// The vendor's roots, in order; the device leaves the factory with the first.
pub fn roots() -> Vec<Roles> {
    let first = Roles::default();
    let (root, security) = (vec!["root 2"], vec!["security 2"]);
    let second = Roles { version: 2, root, security, ceilings: (9, 199), ..Roles::default() };
    let third = Roles { version: 3, feature: vec!["feature 3"], ceilings: (10, 299), ..second.clone() };
    vec![first, second, third]
}

/// A link to `next`, signed by these keys.
fn link(next: &Roles, signers: &[&str], genuine: bool) -> (Link, Vec<u8>) {
    (Link { to: next.version, genuine }, next.link(signers))
}

/// The image of a version. Bundles without payload name the one that is there.
fn img(line: u16, level: u32) -> Vec<u8> {
    let seed = u64::from(line) << 8 | u64::from(level);
    image(seed, 560 + (seed as usize * 37) % 400)
}

fn item(name: &'static str, release: Release, links: &[(Link, Vec<u8>)]) -> Item {
    let release =
        Release { links: links.iter().map(|(_, bytes)| bytes.clone()).collect(), chunk: 512, ..release };
    let bundle = release.bundle();
    let bytes = release.bytes();
    let security = &release.version.security;
    let open: Vec<u32> = security.open().iter().collect();
    let usual: &[&str] = match release.kind {
        Kind::SecurityPatch => &["security"],
        Kind::FeatureUpdate => &["security", "feature"],
    };
    Item {
        name,
        part: bytes.len().min(bytes.len() - bundle.payload().len() + 512 + 32),
        manifest: bundle.digest(),
        both: release.kind == Kind::FeatureUpdate,
        line: (release.version.feature.line, release.version.feature.step),
        handled: (1..=security.level()).filter(|n| !open.contains(n)).collect(),
        signers: if release.signers.is_empty() { usual.to_vec() } else { release.signers.clone() },
        root: release.root,
        payload: release.payload,
        combined: release.combined,
        image: release.image,
        links: links.iter().map(|(link, _)| *link).collect(),
        bytes,
    }
}

fn patch(line: u16, level: u32) -> Release {
    Release::patch(line, 1, level, img(line, level))
}

fn full(line: u16, level: u32) -> Release {
    Release::feature(line, 1, level, img(line, level))
}

fn with_open(level: u32, open: &[u32]) -> Release {
    let mut release = patch(4, level);
    release.version.security =
        Open::new(open).and_then(|open| Security::new(level, open)).expect("a security level");
    release.image = image(u64::from(level) << 16, 700);
    release
}

/// What the factory installs.
pub fn first() -> Release {
    Release { chunk: 512, ..patch(4, 7) }
}

/// What the vendor published under the first root.
fn published() -> Vec<Item> {
    let five = |level, kind_of: fn(u16, u32) -> Release| Release { image: img(5, 7), ..kind_of(5, level) };
    vec![
        item("4.1 s7", first(), &[]),
        item("4.1 s6", patch(4, 6), &[]),
        item("4.1 s7 full", full(4, 7), &[]),
        item("4.1 s8", patch(4, 8), &[]),
        item("4.1 s8 full", full(4, 8), &[]),
        item("4.1 s9 open 8", with_open(9, &[8]), &[]),
        item("4.1 s9", patch(4, 9), &[]),
        item("4.1 s9 full", full(4, 9), &[]),
        item("4.1 s10 free", Release { payload: false, image: img(4, 9), ..patch(4, 10) }, &[]),
        item("5.1 s7 full", full(5, 7), &[]),
        item("5.1 s8 free", Release { payload: false, ..five(8, patch) }, &[]),
        item("5.1 s8 full", five(8, full), &[]),
        item("5.1 s9", patch(5, 9), &[]),
        item("5.1 s9 full", Release { combined: true, ..full(5, 9) }, &[]),
    ]
}

/// What the vendor published after a theft of the security key.
fn after_rotation(roots: &[Roles]) -> Vec<Item> {
    let second = link(&roots[1], &["root", "root 2"], true);
    let third = link(&roots[2], &["root 2"], true);
    let (one, two) = (vec![second.clone()], vec![second, third]);
    let patch_of = |root, level| Release { root, signers: vec!["security 2"], ..patch(4, level) };
    let both = Release { root: 2, signers: vec!["security 2", "feature"], ..full(5, 111) };
    vec![
        item("4.1 s110, root 2", patch_of(2, 110), &one),
        item("4.1 s110, link stripped", patch_of(2, 110), &[]),
        item("5.1 s111 full, root 2", both, &one),
        item("4.1 s120, root 3", patch_of(3, 120), &two),
        item("4.1 s7, root 2", patch_of(2, 7), &one),
    ]
}

/// What thieves make with the keys they have.
fn forged(roots: &[Roles]) -> Vec<Item> {
    let evil = |seed: u64, release: Release| Release { image: image(0xe000 + seed, 640), ..release };
    let by = |signers: &[&'static str], release| Release { signers: signers.to_vec(), ..release };
    let thiefs = |version, root: &[&'static str]| Roles {
        version,
        root: root.to_vec(),
        security: vec!["thief"],
        feature: vec!["thief 2"],
        ceilings: (99, 999),
    };
    let with = |version: u32, signers: &[&str], links: &[&Roles]| {
        let links: Vec<_> = links.iter().map(|next| link(next, signers, false)).collect();
        let release = Release { root: version, ..evil(7, by(&["thief"], patch(4, 150))) };
        (release, links)
    };
    let low = Roles { ceilings: (9, 98), ..roots[1].clone() };
    let mut items = vec![
        item("stolen security: 4.1 s9", evil(1, by(&["security"], patch(4, 9))), &[]),
        item(
            "stolen security: 4.1 s9 open 8",
            Release { image: image(0xe002, 640), ..with_open(9, &[8]) },
            &[],
        ),
        item("stolen security: at the ceiling", evil(2, patch(4, 99)), &[]),
        item("stolen security: above the ceiling", evil(3, patch(4, 100)), &[]),
        item("stolen security: patch of 5.1", evil(4, patch(5, 9)), &[]),
        item("stolen security: full 5.1", evil(5, by(&["security"], full(5, 9))), &[]),
        item("stolen feature: full 5.1", evil(6, by(&["feature"], full(5, 9))), &[]),
        item("stolen feature: patch", evil(8, by(&["feature"], patch(4, 9))), &[]),
        item("stolen root: patch", evil(9, by(&["root"], patch(4, 9))), &[]),
    ];
    let chains: [(&'static str, u32, Vec<&'static str>, Vec<Roles>); 5] = [
        ("thief's root, own quorum only", 2, vec!["thief root"], vec![thiefs(2, &["thief root"])]),
        ("thief's root, old quorum only", 2, vec!["root"], vec![thiefs(2, &["thief root"])]),
        ("a retired root key's link", 3, vec!["root", "thief root"], vec![thiefs(3, &["thief root"])]),
        ("a link that skips one", 3, vec!["root", "root 2"], vec![thiefs(3, &["root 2"])]),
        ("a link that lowers a ceiling", 2, vec!["root", "root 2"], vec![low]),
    ];
    for (name, version, signers, next) in chains {
        let (release, links) = with(version, &signers, &next.iter().collect::<Vec<_>>());
        items.push(item(name, release, &links));
    }
    items
}

/// Everything that anyone may send.
pub fn items(roots: &[Roles]) -> Vec<Item> {
    let mut all = published();
    all.extend(after_rotation(roots));
    all.extend(forged(roots));
    all
}

/// An owner document, signed by these keys.
pub fn signed(serial: u64, request: Request, signers: &[&str]) -> Vec<u8> {
    let document = OwnerDocument { product: PRODUCT, target: Target::All, serial, request };
    let document = document.encode(&mut [0; 384]).expect("a document").to_vec();
    let set = sign(DocumentKind::Owner, &document, signers);
    let set = List::of(&set).expect("a set");
    SignedOwner::encode(&document, &set, &mut [0; 384]).expect("a document").to_vec()
}

/// What owners signed, and what thieves did in their name.
pub fn documents(items: &[Item]) -> Vec<Document> {
    let about = |action, name: &str| {
        let manifest = items.iter().find(|item| item.name == name).expect("an item").manifest;
        Request::Release { action, manifest }
    };
    let policy = |security, feature| Request::Policy(Policy { security, feature });
    let make = |(name, serial, request, signer): (&'static str, u64, Request, &'static str)| {
        let mut signers = vec![signer];
        if matches!(request, Request::Anchor(_)) {
            signers.push("owner 2");
        }
        Document { name, bytes: signed(serial, request, &signers), serial, signer, request }
    };
    let (approve, withdraw) = (Action::Approve, Action::Withdraw);
    [
        ("approve 5.1 s7", 1, about(approve, "5.1 s7 full"), "owner"),
        ("approve 4.1 s9", 2, about(approve, "4.1 s9 full"), "owner"),
        ("withdraw 5.1 s7", 3, about(withdraw, "5.1 s7 full"), "owner"),
        ("stage only", 4, policy(SecurityPolicy::StageOnly, FeaturePolicy::Local), "owner"),
        ("apply 4.1 s9", 5, about(Action::Apply, "4.1 s9"), "owner"),
        ("new anchor", 6, Request::Anchor(public("owner 2")), "owner"),
        ("the old owner approves 5.1 s9", 7, about(approve, "5.1 s9 full"), "owner"),
        ("the new owner approves 5.1 s9", 7, about(approve, "5.1 s9 full"), "owner 2"),
        ("a thief's policy", 9, policy(SecurityPolicy::Off, FeaturePolicy::Auto), "thief"),
        ("only tell", 10, policy(SecurityPolicy::Notify, FeaturePolicy::Never), "owner"),
        ("take nothing", 11, policy(SecurityPolicy::Off, FeaturePolicy::Never), "owner"),
        ("take patches", 12, policy(SecurityPolicy::ApplyInWindow, FeaturePolicy::Never), "owner"),
    ]
    .map(make)
    .to_vec()
}

/// SHA-256 of an image.
pub fn image_digest(item: &Item) -> Digest {
    sha256(&item.image)
}
