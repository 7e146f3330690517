//! Our bytes are postcard's: every document type equals what postcard writes for a plain serde struct, and
//! postcard reads what we accept. Framing by fixed-width lengths lies outside these documents.

use crate::mirror::{self, Tag};
use crate::{describe, vectors};
use patchlane_protocol::*;
use serde::{Serialize, de::DeserializeOwned};

const VENDOR: [u8; 16] = [0xa1; 16];
const CLASS: [u8; 16] = [0xa2; 16];
const OPEN: [u32; 3] = [1, 300, 70_000];

fn product() -> (Product, mirror::Product) {
    let ours = Product { vendor: VendorId(VENDOR), class: ClassId(CLASS) };
    (ours, mirror::Product { vendor: VENDOR, class: CLASS })
}

fn version() -> (Version, mirror::Version) {
    let security = version::Security::new(u32::MAX, Open::new(&OPEN).unwrap()).unwrap();
    let ours = Version { feature: Baseline { line: u16::MAX, step: 300 }, security };
    (ours, mirror::Version { line: u16::MAX, step: 300, level: u32::MAX, open: OPEN.to_vec() })
}

fn keys(first: u8) -> (Vec<PublicKey>, Vec<mirror::Key>) {
    let bytes = [[first; 32], [first + 1; 32]];
    let ours = bytes.map(PublicKey::ed25519).to_vec();
    (ours, bytes.map(|bytes| mirror::Key { algorithm: Tag::T0, bytes }).to_vec())
}

fn signature() -> (Signature, mirror::Signature) {
    let mut bytes = [0x51; 64];
    bytes[32..].fill(0x52);
    let ours = Signature { key: KeyId([9; 8]), algorithm: Algorithm::Ed25519, bytes };
    (ours, mirror::Signature { key: [9; 8], algorithm: Tag::T0, r: [0x51; 32], s: [0x52; 32] })
}

#[test]
fn a_manifest_is_what_postcard_writes() {
    let digest = |n| Digest([n; 32]);
    let size = |bytes| Size::new(bytes).unwrap();
    let images = [
        Image { address: Some(0x800_0000), size: size(300_000), digest: digest(1) },
        Image { address: Some(u32::MAX), size: size(u32::MAX), digest: digest(2) },
    ];
    let full = |image| Alternative {
        image,
        encoding: Encoding::Compressed,
        base: None,
        size: size(200_000),
        chunk: ChunkSize::new(4_096).unwrap(),
        ram: 70_000,
        first: digest(3),
    };
    let delta = Alternative { encoding: Encoding::Delta, base: Some(digest(4)), ..full(0) };
    let alternatives = [full(0), delta, full(1)];
    let components = [Component {
        id: ComponentId(200),
        images: List::of(&images).unwrap(),
        alternatives: List::of(&alternatives).unwrap(),
    }];
    let advisories = [Advisory { index: 299, id: "CVE-ü", severity: Severity::High, exploited: true }];
    let ours = Manifest {
        kind: Kind::FeatureUpdate,
        product: product().0,
        hardware: List::of(&[0, 128, u16::MAX]).unwrap(),
        version: version().0,
        root_version: 16_384,
        components: List::of(&components).unwrap(),
        advisories: List::of(&advisories).unwrap(),
        issued_at: u64::MAX,
        support_end: 1 << 35,
        evidence: Some(digest(5)),
        text: "what an operator reads",
        combined: Some(Combined { reason: Reason::NotFeasible, because: "why" }),
    };
    let mut buffer = [0; 2048];
    assert_eq!(ours.encode(&mut buffer).unwrap(), mirror::encode(&manifest_mirror()));
}

fn manifest_mirror() -> mirror::Manifest {
    let full = |image| mirror::Alternative {
        image,
        encoding: Tag::T1,
        base: None,
        size: 200_000,
        chunk: 4_096,
        ram: 70_000,
        first: [3; 32],
    };
    let delta = mirror::Alternative { encoding: Tag::T2, base: Some([4; 32]), ..full(0) };
    let images = vec![
        mirror::Image { address: Some(0x800_0000), size: 300_000, digest: [1; 32] },
        mirror::Image { address: Some(u32::MAX), size: u32::MAX, digest: [2; 32] },
    ];
    let id = "CVE-ü".to_string();
    mirror::Manifest {
        kind: Tag::T1,
        product: product().1,
        hardware: vec![0, 128, u16::MAX],
        version: version().1,
        root_version: 16_384,
        components: vec![mirror::Component { id: 200, images, alternatives: vec![full(0), delta, full(1)] }],
        advisories: vec![mirror::Advisory { index: 299, id, severity: Tag::T3, exploited: true }],
        issued_at: u64::MAX,
        support_end: 1 << 35,
        evidence: Some([5; 32]),
        text: "what an operator reads".into(),
        combined: Some(mirror::Combined { reason: Tag::T2, because: "why".into() }),
    }
}

#[test]
fn a_root_document_is_what_postcard_writes() {
    let [a, b, c] = [1, 11, 21].map(keys);
    let role = |threshold, keys: &'_ (Vec<PublicKey>, Vec<mirror::Key>)| mirror::Role {
        threshold,
        keys: keys.1.clone(),
    };
    let our = |threshold, keys| Role::new(threshold, List::of(keys).unwrap()).unwrap();
    let ours = RootDocument {
        product: product().0,
        version: 300,
        development: true,
        ceilings: Ceilings { feature: Baseline { line: 200, step: u16::MAX }, level: 1 << 30 },
        roles: Roles::new(our(2, &a.0), our(1, &b.0), our(2, &c.0)).unwrap(),
    };
    let theirs = mirror::Root {
        product: product().1,
        version: 300,
        development: true,
        line: 200,
        step: u16::MAX,
        level: 1 << 30,
        root: role(2, &a),
        security: role(1, &b),
        feature: role(2, &c),
    };
    assert_eq!(ours.encode(&mut [0; 512]).unwrap(), mirror::encode(&theirs));
}

#[test]
fn an_owner_document_is_what_postcard_writes_for_every_target_and_request() {
    let ids = [DeviceId([1; 16]), DeviceId([2; 16])];
    let targets = [
        (Target::All, mirror::Target::All),
        (Target::Group(GroupId(300)), mirror::Target::Group(300)),
        (Target::Devices(List::of(&ids).unwrap()), mirror::Target::Devices(vec![[1; 16], [2; 16]])),
    ];
    let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::OwnerKey };
    let requests = [
        (
            Request::Release { action: Action::Retry, manifest: Digest([8; 32]) },
            mirror::Request::Release(Tag::T5, [8; 32]),
        ),
        (
            Request::Policy(policy),
            mirror::Request::Policy(mirror::Policy { security: Tag::T3, feature: Tag::T2 }),
        ),
        (
            Request::Anchor(PublicKey::ed25519([7; 32])),
            mirror::Request::Anchor(mirror::Key { algorithm: Tag::T0, bytes: [7; 32] }),
        ),
    ];
    for (target, mirrored_target) in &targets {
        for (request, mirrored_request) in &requests {
            let serial = 1 << 63;
            let ours = OwnerDocument { product: product().0, target: *target, serial, request: *request };
            let theirs = mirror::Owner {
                product: product().1,
                target: mirrored_target.clone(),
                serial,
                request: mirrored_request.clone(),
            };
            assert_eq!(ours.encode(&mut [0; 512]).unwrap(), mirror::encode(&theirs));
        }
    }
}

#[test]
fn a_status_report_is_what_postcard_writes() {
    let named = status::Named { version: version().0, manifest: Digest([6; 32]) };
    let ours = Status {
        device: DeviceId([3; 16]),
        product: product().0,
        hardware: 300,
        group: GroupId(70_000),
        root_version: 129,
        development: true,
        owned: false,
        serial: u64::MAX,
        policy: Policy { security: SecurityPolicy::Off, feature: FeaturePolicy::Auto },
        confirmed: named,
        activity: status::Activity::Service,
        candidate: Some(named),
        held: Some(status::Held { release: named, superseded: true }),
        approval: Some(Digest([7; 32])),
        overdue: true,
        failed_boots: 255,
        rejections: u32::MAX,
        last_refusal: Some(200),
        counter: status::CounterState::Above,
        fenced: true,
    };
    let named = mirror::Named { version: version().1, manifest: [6; 32] };
    let theirs = mirror::Status {
        device: [3; 16],
        product: product().1,
        hardware: 300,
        group: 70_000,
        root_version: 129,
        development: true,
        owned: false,
        serial: u64::MAX,
        policy: mirror::Policy { security: Tag::T0, feature: Tag::T3 },
        confirmed: named.clone(),
        activity: Tag::T7,
        candidate: Some(named.clone()),
        held: Some(mirror::Held { release: named, superseded: true }),
        approval: Some([7; 32]),
        overdue: true,
        failed_boots: 255,
        rejections: u32::MAX,
        last_refusal: Some(200),
        counter: Tag::T3,
        fenced: true,
        signature: Some(signature().1),
    };
    assert_eq!(ours.encode(Some(&signature().0), &mut [0; 1024]).unwrap(), mirror::encode(&theirs));
}

/// Reads with postcard, all of it, and writes again.
fn through_postcard<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Vec<u8>> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).ok()?;
    rest.is_empty().then(|| mirror::encode(&value))
}

#[test]
fn postcard_reads_every_document_we_accept_and_writes_it_back() {
    let mut seen = 0;
    for (name, document, bytes) in vectors::valid_documents() {
        let got = match document.as_str() {
            "manifest" => through_postcard::<mirror::Manifest>(&bytes),
            "root-document" => through_postcard::<mirror::Root>(&bytes),
            "owner-document" => through_postcard::<mirror::Owner>(&bytes),
            "signatures" => through_postcard::<Vec<mirror::Signature>>(&bytes),
            "status" => through_postcard::<mirror::Status>(&bytes),
            _ => continue,
        };
        assert_eq!(got.as_ref(), Some(&bytes), "{name}");
        assert_eq!(describe::rewrite(&document, &bytes).as_ref(), Ok(&bytes), "{name}");
        seen += 1;
    }
    assert!(seen > 10);
}

/// Why we don't read with postcard: what it lets through.
#[test]
fn postcard_takes_overlong_varints_and_we_do_not() {
    let vector =
        vectors::all().into_iter().find(|v| v.name == "manifest-overlong-varint").expect("it exists");
    let bytes = vector.bytes("input");
    assert!(through_postcard::<mirror::Manifest>(&bytes).is_some_and(|again| again != bytes));
    assert_eq!(Manifest::parse(&bytes).unwrap_err(), FormatError::OverlongVarint);
}
