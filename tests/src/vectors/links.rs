//! Vectors for the service link, the status report, receipts and codes (SPEC §8 to §10).

use super::fixtures::{feature, kind, patch, product, public, root, sha256, sign, signers, splice, version};
use super::mirror::{Held, Named, Policy, Status, Tag, encode};
use super::{Vector, fixtures::short};
use patchlane_protocol::link::crc32;
use patchlane_protocol::{FormatError, Refusal};

/// Frames, commands, replies, reports, receipts.
pub fn vectors() -> Vec<Vector> {
    [frames(), messages(), reports(), receipts()].concat()
}

/// Stuffs as the COBS paper does, in the plainest way: runs between zeros, in blocks of at most 254.
fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    for run in content.split(|b| *b == 0) {
        let mut rest = run;
        while rest.len() >= 254 {
            out.push(255);
            out.extend(&rest[..254]);
            rest = &rest[254..];
        }
        out.push(rest.len() as u8 + 1);
        out.extend(rest);
    }
    out.push(0);
    out
}

fn checked(content: &[u8]) -> Vec<u8> {
    [content, &crc32(content).to_le_bytes()].concat()
}

fn frames() -> Vec<Vector> {
    let good = stuffed(&checked(&[0x01]));
    let v = |name, input, error| Vector::refuse(name, "frame", input, error);
    let long: Vec<u8> = vec![7; 641];
    // 250 bytes and a checksum without a zero fill one block exactly.
    let full = stuffed(&checked(&[9; 250]));
    let short_form = [&full[..full.len() - 2], &[0]].concat();
    vec![
        Vector::accept("frame-status-command", "frame", good.clone())
            .shows(&["M8.1"], "The shortest command"),
        Vector::accept("frame-with-zeros", "frame", stuffed(&checked(&[0x02, 0, 0, 1])))
            .shows(&["M8.1"], "Zeros are stuffed"),
        Vector::accept("frame-after-empty-ones", "frame", [vec![0, 0], good.clone()].concat())
            .shows(&["M8.1"], "One frame's end is the next one's start, and idle lines send zeros"),
        Vector::accept("frame-largest", "frame", stuffed(&checked(&[7; 640])))
            .shows(&["M8.2"], "Limits are inclusive"),
        Vector::accept("frame-full-block", "frame", full).shows(&["M8.3"], "A full block, then an empty one"),
        Vector::accept("frame-full-block-short-form", "frame", short_form)
            .shows(&["M8.3"], "COBS libraries differ here, and nothing is signed here"),
        v("frame-bad-checksum", splice(&good, 3, 1, &[good[3] ^ 1]), FormatError::BadFrame)
            .shows(&["M8.1"], "Noise on the line"),
        v("frame-block-past-end", vec![0, 9, 1, 2, 0], FormatError::BadFrame)
            .shows(&["M8.1"], "A reader's overrun"),
        v("frame-shorter-than-checksum", vec![0, 3, 1, 2, 0], FormatError::BadFrame)
            .shows(&["M8.1"], "An underflow"),
        v("frame-overrun", stuffed(&checked(&[7; 700])), FormatError::OverLimit)
            .shows(&["M8.2"], "A reader's overrun"),
        v("frame-too-long", stuffed(&checked(&long)), FormatError::OverLimit)
            .shows(&["M8.2"], "Buffers have a size"),
    ]
}

fn messages() -> Vec<Vector> {
    let command = |name, input, error| Vector::refuse(name, "command", input, error);
    let reply = |name, input, error| Vector::refuse(name, "reply", input, error);
    let refused = Refusal::LosesFix.code();
    vec![
        Vector::accept("command-data", "command", encode(&(3u8, 1_024u32, vec![1u8, 2, 3])))
            .shows(&["M8.4"], "Type, offset, bytes"),
        Vector::accept("command-local-approve", "command", encode(&(5u8, Tag::T0, sha256(b"a manifest"))))
            .shows(&["M8.4"], "Type, action, digest"),
        Vector::accept("reply-want", "reply", [vec![0x82], encode(&1_024u32)].concat())
            .shows(&["M8.4"], "Type, offset"),
        Vector::accept("reply-refused", "reply", vec![0x84, refused])
            .shows(&["M10.1"], "45 is LosesFix everywhere"),
        Vector::accept("reply-refused-unknown-code", "reply", vec![0x84, 255])
            .shows(&["M10.1"], "A later device's code is shown as a number"),
        Vector::accept("reply-status", "reply", encode(&(0x81u8, encode(&status()))))
            .shows(&["M8.4"], "Type, report"),
        Vector::accept("reply-outcome", "reply", vec![0x83, 4]).shows(&["M8.4"], "Type, outcome"),
        Vector::accept("command-begin", "command", vec![2]).shows(&["M8.4"], "A type alone"),
        Vector::accept("command-owner", "command", encode(&(4u8, vec![0u8; 384])))
            .shows(&["M8.4"], "Type, document; whether it is one is asked later"),
        Vector::accept("command-set-policy", "command", vec![6, 3, 2]).shows(&["M8.4"], "Type, policy"),
        Vector::accept("command-set-anchor", "command", encode(&(7u8, Tag::T0, public("owner"))))
            .shows(&["M8.4"], "Type, key"),
        Vector::accept("command-reboot", "command", vec![8]).shows(&["M8.4"], "A type alone"),
        command("command-unknown", vec![0x09], FormatError::UnknownTag)
            .shows(&["M8.4"], "What isn't known isn't done"),
        command("command-reply-type", vec![0x81, 0], FormatError::UnknownTag)
            .shows(&["M8.4"], "An echo of a reply is no command"),
        command("command-data-too-long", encode(&(3u8, 0u32, vec![0u8; 513])), FormatError::OverLimit)
            .shows(&["M2.6", "M8.4"], "Buffers have a size"),
        command("command-trailing", vec![0x02, 0], FormatError::TrailingBytes)
            .shows(&["M2.2", "M8.4"], "One command a frame"),
        reply("reply-unknown-outcome", vec![0x83, 5], FormatError::UnknownTag)
            .shows(&["M8.4"], "Never taken for success"),
    ]
}

fn status() -> Status {
    let release = |m| Named { version: version(4, 1, 7), manifest: sha256(m) };
    Status {
        device: [0xd1; 16],
        product: product(),
        hardware: 1,
        group: 7,
        root_version: 1,
        development: false,
        owned: true,
        serial: 5,
        policy: Policy { security: Tag::T3, feature: Tag::T2 },
        confirmed: release(b"confirmed"),
        activity: Tag::T0,
        candidate: None,
        held: Some(Held {
            release: Named { version: version(5, 0, 7), manifest: sha256(b"held") },
            superseded: false,
        }),
        approval: None,
        overdue: false,
        failed_boots: 0,
        rejections: 1,
        last_refusal: Some(Refusal::Held.code()),
        counter: Tag::T0,
        fenced: false,
        signature: None,
    }
}

fn reports() -> Vec<Vector> {
    let good = encode(&status());
    let signed = Status {
        signature: sign(patchlane_protocol::DocumentKind::Status, &good[..good.len() - 1], &["device"]).pop(),
        ..status()
    };
    vec![
        Vector::accept("status-unsigned", "status", good.clone())
            .shows(&["M8.5"], "Ends with flag 0: unauthenticated"),
        Vector::accept("status-signed", "status", encode(&signed))
            .shows(&["M8.5"], "The signature covers what comes before its flag"),
        Vector::refuse(
            "status-unknown-activity",
            "status",
            encode(&Status { activity: Tag::T7, ..status() })
                .iter()
                .enumerate()
                .map(|(i, b)| {
                    // The activity lies behind the confirmed digest.
                    if i == activity_offset() { 8 } else { *b }
                })
                .collect(),
            FormatError::UnknownTag,
        )
        .shows(&["M2.5", "M8.5"], "An unknown state is never shown as idle"),
        Vector::refuse(
            "status-cut-before-signature",
            "status",
            good[..good.len() - 1].to_vec(),
            FormatError::UnexpectedEnd,
        )
        .shows(&["M2.1", "M8.5"], "Unsigned is said, never implied"),
    ]
}

/// Where two reports differ that differ in their activity only.
fn activity_offset() -> usize {
    let (a, b) = (encode(&status()), encode(&Status { activity: Tag::T7, ..status() }));
    a.iter().zip(&b).position(|(a, b)| a != b).expect("they differ")
}

fn receipt(manifest: &[u8], signatures: &[u8], root: &[u8]) -> Vec<u8> {
    let lengths = [short(manifest.len()), short(signatures.len()), short(root.len())].concat();
    [b"PLRC\x01", &lengths[..], manifest, signatures, root].concat()
}

fn receipts() -> Vec<Vector> {
    let manifest = encode(&feature());
    let set = encode(&sign(kind(&feature()), &manifest, signers(&feature())));
    let root = encode(&root());
    let good = receipt(&manifest, &set, &root);
    assert_ne!(manifest, encode(&patch()));
    let v = |name, input, error| Vector::refuse(name, "receipt", input, error);
    vec![
        Vector::accept("receipt", "receipt", good.clone()).shows(&["M9.1"], "Head and root together"),
        Vector::accept("receipt-root-only", "receipt", receipt(&[], &[], &root))
            .shows(&["M9.3"], "A root kept by itself"),
        v("receipt-bad-magic", splice(&good, 0, 1, &[0xff]), FormatError::BadMagic)
            .shows(&["M9.1"], "Erased flash is no receipt"),
        v("receipt-unknown-format", splice(&good, 4, 1, &[2]), FormatError::UnknownFormat)
            .shows(&["M9.1"], "An older bootloader meets a newer flash format"),
        Vector::accept("receipt-largest", "receipt", receipt(&[1; 1_964], &[1; 74], &[1; 512]))
            .shows(&["M9.2"], "Limits are inclusive; what it holds is judged by whoever boots it"),
        v("receipt-head-too-long", receipt(&[1; 1_965], &[1; 74], &root), FormatError::OverLimit)
            .shows(&["M9.2"], "Buffers have a size"),
        v("receipt-root-too-long", receipt(&manifest, &set, &vec![1; 513]), FormatError::OverLimit)
            .shows(&["M9.2"], "Buffers have a size"),
        v("receipt-without-signatures", receipt(&manifest, &[], &root), FormatError::UnexpectedEnd)
            .shows(&["M9.3"], "Half a head admits nothing"),
        v("receipt-without-root", receipt(&manifest, &set, &[]), FormatError::UnexpectedEnd)
            .shows(&["M9.3"], "A head without its root can't be judged"),
        v("receipt-trailing", [good, vec![0]].concat(), FormatError::TrailingBytes)
            .shows(&["M2.2", "M9.1"], "One spelling"),
    ]
}
