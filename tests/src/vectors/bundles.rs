//! Vectors for the bundle file and its payloads (SPEC §3, §4.5).

use super::fixtures::{bundle, chain, feature, header, image, link, patch, role, root, splice};
use super::{Expect, Vector, mirror};
use patchlane_protocol::{FormatError, Refusal};

/// Bundles, headers, chunk chains.
pub fn vectors() -> Vec<Vector> {
    [headers(), files(), chunks()].concat()
}

fn headers() -> Vec<Vector> {
    let good = header(0, 300, 74);
    let v = |name, input, error| Vector::refuse(name, "header", input, error);
    vec![
        Vector::accept("header-largest-head", "header", header(32, 1_964, 74))
            .shows(&["M3.1", "M3.2", "M3.3", "M3.4"], "The largest head a device must have room for"),
        v("header-bad-magic", splice(&good, 3, 1, b"X"), FormatError::BadMagic)
            .shows(&["M3.1"], "Another kind of file isn't a bundle"),
        v("header-unknown-format", splice(&good, 4, 1, &[2]), FormatError::UnknownFormat)
            .shows(&["M3.2"], "A later format may give the same bytes another meaning"),
        v("header-head-too-long", header(0, 1_965, 74), FormatError::OverLimit)
            .shows(&["M3.3"], "Nobody exhausts a device's buffer"),
        v("header-too-many-links", header(33, 300, 74), FormatError::OverLimit)
            .shows(&["M3.3"], "Nobody keeps a device verifying without end"),
        v("header-no-manifest", header(0, 0, 74), FormatError::UnexpectedEnd)
            .shows(&["M3.4"], "Payload without a manifest is nothing"),
        v("header-no-signatures", header(0, 300, 0), FormatError::UnexpectedEnd)
            .shows(&["M3.4"], "Unsigned is refused before anything is parsed"),
    ]
}

fn files() -> Vec<Vector> {
    let payload = chain(&image()).1;
    let whole = bundle(&[], &patch(), &payload);
    let next = mirror::Root { version: 2, root: role(2, &["root b", "root c", "root d"]), ..root() };
    let linked = mirror::Manifest { root_version: 2, ..feature() };
    let chained = bundle(&[link(&next, &["root b", "root c"])], &linked, &payload);
    let mut two = patch();
    two.components.push(mirror::Component { id: 7, ..two.components[0].clone() });
    let both = bundle(&[], &two, &[payload.clone(), payload.clone()].concat());
    let v = |name, input, error| Vector::refuse(name, "bundle", input, error);
    vec![
        Vector::accept("bundle-patch", "bundle", whole.clone())
            .shows(&["M3.5"], "The leading example of SPEC §11"),
        Vector::accept("bundle-feature-update-with-link", "bundle", chained)
            .shows(&["M3.5", "M5.6"], "Links lie between header and manifest"),
        Vector::accept("bundle-two-components", "bundle", both)
            .shows(&["M3.5"], "Payloads lie in manifest order, with nothing between"),
        v("bundle-bytes-after-payload", [whole.clone(), vec![0]].concat(), FormatError::TrailingBytes)
            .shows(&["M3.5"], "Unsigned bytes smuggle something past the signature"),
        v("bundle-payload-cut-short", whole[..whole.len() - 1].to_vec(), FormatError::UnexpectedEnd)
            .shows(&["M3.5"], "A truncated download isn't a release"),
    ]
}

fn chunks() -> Vec<Vector> {
    let manifest = mirror::encode(&patch());
    let payload = chain(&image()).1;
    let v = |name, payload: Vec<u8>, expect| {
        Vector::judged(
            name,
            "verify-payload",
            vec![("manifest", manifest.clone()), ("payload", payload)],
            expect,
        )
        .shows(&["M4.15"], "Nothing decodes or writes bytes that aren't authentic")
    };
    let refused = Expect::Refuse(Refusal::ChunkDigest);
    let mut first = payload.clone();
    first[5] ^= 1;
    let mut digest = payload.clone();
    digest[128] ^= 1;
    let mut last = payload.clone();
    *last.last_mut().expect("not empty") ^= 0x80;
    let swapped = [&payload[160..320], &payload[..160], &payload[320..]].concat();
    vec![
        v("payload-chain", payload, Expect::Accept),
        v("payload-first-chunk-altered", first, refused),
        v("payload-next-digest-altered", digest, refused),
        v("payload-last-chunk-altered", last, refused),
        v("payload-chunks-swapped", swapped, refused),
    ]
}
