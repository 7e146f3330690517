//! What a release costs besides its payload: header, manifest and signatures of a realistic patch.

use patchlane_protocol::bundle::payload_total;
use patchlane_protocol::signature::SIGNATURE_BOUNDS;
use patchlane_protocol::*;

/// A delta of 6,000 bytes for an image of 256 KiB: one component, one alternative, one signature.
#[test]
fn a_patch_with_one_alternative_has_at_most_512_bytes_of_overhead() {
    let image = Image { address: None, size: Size::new(262_144).unwrap(), digest: Digest([1; 32]) };
    let delta = Alternative {
        image: 0,
        encoding: Encoding::Delta,
        base: Some(Digest([2; 32])),
        size: Size::new(6_000).unwrap(),
        chunk: ChunkSize::new(limits::CHUNK_DEFAULT).unwrap(),
        ram: 8_192,
        first: Digest([3; 32]),
    };
    let images = [image];
    let alternatives = [delta];
    let components = [Component {
        id: ComponentId(0),
        images: List::of(&images).unwrap(),
        alternatives: List::of(&alternatives).unwrap(),
    }];
    let advisories =
        [Advisory { index: 208, id: "CVE-2027-12345", severity: Severity::Critical, exploited: true }];
    let security = version::Security::new(208, Open::new(&[203]).unwrap()).unwrap();
    let manifest = Manifest {
        kind: Kind::SecurityPatch,
        product: Product { vendor: VendorId([4; 16]), class: ClassId([5; 16]) },
        hardware: List::of(&[1, 2, 3]).unwrap(),
        version: Version { feature: Baseline { line: 4, step: 12 }, security },
        root_version: 3,
        components: List::of(&components).unwrap(),
        advisories: List::of(&advisories).unwrap(),
        issued_at: 1_800_000_000,
        support_end: 1_957_000_000,
        evidence: Some(Digest([6; 32])),
        text: "Fixes a stack overflow in the Modbus parser that a single frame can trigger",
        combined: None,
    };
    let signature = Signature { key: KeyId([7; 8]), algorithm: Algorithm::Ed25519, bytes: [8; 64] };
    let mut buffer = [0; 128];
    let mut writer = Writer::new(&mut buffer);
    List::of(&[signature]).unwrap().write(&mut writer, SIGNATURE_BOUNDS).unwrap();
    let signatures = writer.written();
    let body = manifest.encode(&mut [0; 2048]).unwrap().len();
    let overhead = Header::WIDTH + body + signatures;
    let links = payload_total(&manifest) - u64::from(delta.size.get());
    println!("overhead {overhead} bytes: header {}, manifest {body}, signatures {signatures}", Header::WIDTH);
    println!("digests between chunks: {links} bytes for {} bytes of data", delta.size.get());
    assert!(overhead <= 512, "{overhead} bytes");
}
