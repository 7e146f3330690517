//! Threats of docs/THREATS.md that no finding of the red team is about: what is signed is strange itself, or what
//! nobody signs lies. On the real device code.

use patchlane::bundle::{Closes, Draft, sha256};
use patchlane_device::{Boot, Cause, Done, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{
    Activity, DeviceId, DocumentKind, FeaturePolicy, FormatError, Kind, List, OwnerDocument, Policy, Reason,
    Refusal, Request, SecurityPolicy, Severity, Target, Version, owner::SignedOwner,
};
use patchlane_tests::sim::cases::*;
use patchlane_tests::sim::world::{self, PRODUCT, Release, Roles, approval, image, key};
use patchlane_tests::sim::{SimDevice, Torn};
use std::collections::BTreeMap;

/// All that flash holds.
fn flash(device: &SimDevice) -> [Vec<u8>; 3] {
    let media = &device.machine.media;
    [&media.state, &media.primary, &media.secondary].map(|bank| bank.contents(0, bank.length()))
}

/// Sends it; it is refused, and flash is as it was.
fn refuse(device: &mut SimDevice, bytes: &[u8]) -> Refusal {
    let before = flash(device);
    let refusal = device.push(bytes, 512).expect_err("it was taken");
    assert!(flash(device) == before, "{refusal:?} changed flash");
    refusal
}

/// Where the one alternative begins in a manifest, by the digest that ends it: image, encoding, base, size, chunk, RAM.
fn alternative_at(document: &[u8], release: &Release) -> usize {
    let (first, _) = patchlane::bundle::chain(&release.image, release.chunk);
    let digest = document.windows(32).position(|window| window == first.0).expect("the first chunk's digest");
    // 7,000 and 1,024 take two bytes each, all else one.
    digest - 8
}

#[test]
fn t04_a_payload_is_decoded_as_nothing_but_what_was_signed() {
    let mut device = story();
    let fix = patch(4, 8, 2);
    let bundle = fix.bundle();
    let at = alternative_at(bundle.manifest_bytes(), &fix);
    for tag in 1..=255 {
        let mut document = bundle.manifest_bytes().to_vec();
        assert_eq!(document[at..at + 2], [0, 0], "image 0, raw");
        document[at + 1] = tag;
        let refusal = refuse(&mut device, &signed_as_patch(&document, &["security"], bundle.payload()));
        let known = match tag {
            1 => Refusal::NoAlternative,
            2 => Refusal::Malformed(FormatError::BaseMismatch),
            _ => Refusal::Malformed(FormatError::UnknownTag),
        };
        assert_eq!(refusal, known, "encoding {tag}");
    }
}

#[test]
fn t29_a_payload_that_grows_or_shrinks_is_malformed() {
    let mut device = story();
    let fix = patch(4, 8, 2);
    let bundle = fix.bundle();
    let at = alternative_at(bundle.manifest_bytes(), &fix);
    for size in [[0xff, 0x7f], [0x80, 0x01]] {
        let mut document = bundle.manifest_bytes().to_vec();
        document[at + 3..at + 5].copy_from_slice(&size);
        let bytes = signed_as_patch(&document, &["security"], bundle.payload());
        assert_eq!(refuse(&mut device, &bytes), Refusal::Malformed(FormatError::SizeMismatch));
    }
}

#[test]
fn t05_a_payload_goes_into_the_secondary_slot_and_never_past_it() {
    let mut device = story();
    let room = device.machine.engine().layout().room() as usize;
    let fix = Release::patch(4, 1, 8, image(2, room));
    device.expect(&fix);
    let [_, primary, _] = flash(&device);
    assert_eq!(device.push(&fix.bytes(), 512), Ok(Outcome::Staged));
    assert!(flash(&device)[1] == primary, "what runs was written to");
    assert!(device.power.violations().is_empty(), "{:?}", device.power.violations());
    device.machine.window(Window::Open).unwrap();
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
    assert!(device.power.violations().is_empty(), "{:?}", device.power.violations());
    assert!(flash(&device)[1] == fix.image, "not the image");
}

#[test]
fn t06_a_payload_from_anywhere_counts_by_its_digest_only() {
    let mut device = story();
    let fix = patch(4, 8, 2);
    let bytes = fix.bytes();
    let head = bytes.len() - fix.bundle().payload().len();
    let elsewhere = [&bytes[..head], patch(4, 8, 9).bundle().payload()].concat();
    assert_eq!(device.push(&elsewhere, 512), Err(Refusal::ChunkDigest));
    assert_eq!(device.push(&bytes, 512), Ok(Outcome::Staged));
}

/// A release of several chunks, all of one size but the last, and where its payload begins.
fn chunked() -> (Release, Vec<u8>, usize) {
    let fix = patch(4, 8, 2);
    let (bytes, payload) = (fix.bytes(), fix.bundle().payload().len());
    let head = bytes.len() - payload;
    (fix, bytes, head)
}

/// Bytes of a chunk on its way: data, and the digest of the next.
const CHUNK: usize = 1024 + 32;

/// Sends a bundle whose chunks were tampered with from chunk `first_bad` on: it ends there, and only what came before
/// lies in flash.
fn stops_at(first_bad: usize, bytes: &[u8], fix: &Release, case: &str) {
    let mut device = story();
    assert_eq!(device.push(bytes, 333), Err(Refusal::ChunkDigest), "{case}");
    let written = device.machine.media.secondary.contents(4096, first_bad * 1024);
    assert!(written == fix.image[..first_bad * 1024], "{case}: what came before differs");
    let rest = device.machine.media.secondary.contents(4096 + first_bad * 1024, 7168 - first_bad * 1024);
    assert!(rest.iter().all(|byte| *byte == 0xff), "{case}: bytes of a bad chunk were written");
    device.machine.window(Window::Open).unwrap();
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Confirmed)), "{case}");
    assert_eq!(runs(&mut device), "4.1 s7", "{case}");
}

#[test]
fn t07_chunks_that_are_lost_exchanged_or_repeated_are_refused() {
    let (fix, bytes, head) = chunked();
    let chunks: Vec<&[u8]> = bytes[head..].chunks(CHUNK).collect();
    assert_eq!(chunks.len(), 7);
    let sent = |chunks: &[&[u8]]| [&bytes[..head], &chunks.concat()].concat();
    for at in 0..chunks.len() - 1 {
        let mut lost = chunks.clone();
        lost.remove(at);
        if at + 2 < chunks.len() {
            stops_at(at, &sent(&lost), &fix, &format!("without chunk {at}"));
        } else {
            // What follows the gap is too short for a chunk: the device waits for more.
            assert_eq!(story().push(&sent(&lost), 333), Err(Refusal::NotInService));
        }
        let mut repeated = chunks.clone();
        repeated.insert(at, chunks[at]);
        stops_at(at + 1, &sent(&repeated), &fix, &format!("chunk {at} twice"));
        for other in at + 1..chunks.len() {
            let mut exchanged = chunks.clone();
            exchanged.swap(at, other);
            stops_at(at, &sent(&exchanged), &fix, &format!("chunks {at} and {other} exchanged"));
        }
    }
    assert_eq!(story().push(&bytes, 333), Ok(Outcome::Staged));
}

#[test]
fn t07_bytes_from_elsewhere_in_the_file_are_not_taken() {
    let (fix, bytes, head) = chunked();
    let mut device = story();
    device.expect(&fix);
    let mut want = device.machine.begin().unwrap() as usize;
    while want < bytes.len() {
        let before = device.power.operations();
        // What comes too early, what was there already, and what begins within what is wanted.
        for other in [want + CHUNK, want + 1, want.saturating_sub(CHUNK), want.saturating_sub(1), 0, head] {
            if other != want && other < bytes.len() {
                let taken = device.machine.push(other as u32, &bytes[other..(other + 100).min(bytes.len())]);
                assert_eq!(taken, Ok(Done::Want(want as u32)), "{other} instead of {want}");
            }
        }
        assert_eq!(device.power.operations(), before, "at {want}");
        match device.machine.push(want as u32, &bytes[want..(want + 100).min(bytes.len())]).unwrap() {
            Done::Want(next) => want = next as usize,
            Done::Outcome(outcome) => {
                assert_eq!((outcome, want + 100 >= bytes.len()), (Outcome::Staged, true));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(device.machine.media.secondary.contents(4096, 7000), fix.image);
}

#[test]
fn t34_t35_truncated_anywhere_nothing_is_installed() {
    // Small, and still of several chunks: every length of it is tried.
    let fix = Release { image: image(2, 700), chunk: 256, ..patch(4, 8, 2) };
    let bytes = fix.bytes();
    let start = story();
    for length in 0..bytes.len() {
        let mut device = start.fork(1, Torn::Stable);
        assert_eq!(device.push(&bytes[..length], 512), Err(Refusal::NotInService), "{length}");
        device.machine.window(Window::Open).unwrap();
        assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Confirmed)), "{length}");
        let status = device.status();
        assert_eq!(status.confirmed.version, Version::new(4, 1, 7));
        assert!(!matches!(status.activity, Activity::Staged | Activity::Ready), "{length}");
    }
    assert_eq!(start.fork(1, Torn::Stable).push(&bytes, 512), Ok(Outcome::Staged));
}

#[test]
fn t33_an_image_of_size_zero_is_refused() {
    let mut device = story();
    // 100 takes one byte, as 0 does.
    let fix = Release { image: image(2, 100), ..patch(4, 8, 2) };
    let bundle = fix.bundle();
    // Image: address, size, digest. Alternative: image, encoding, base, size, chunk (two bytes), RAM, first. The image is
    // one chunk, so both name the same digest.
    let of = |window: &[u8]| window == sha256(&fix.image).0;
    let mut windows = bundle.manifest_bytes().windows(32);
    let of_image = windows.position(of).expect("the image's digest") - 1;
    let mut windows = bundle.manifest_bytes().windows(32);
    let of_payload = windows.rposition(of).expect("the chunk's digest") - 4;
    for places in [&[of_image, of_payload][..], &[of_image], &[of_payload]] {
        let mut document = bundle.manifest_bytes().to_vec();
        for at in places {
            assert_eq!(document[*at], 100, "a size");
            document[*at] = 0;
        }
        for payload in [bundle.payload(), &[]] {
            let bytes = signed_as_patch(&document, &["security"], payload);
            assert_eq!(refuse(&mut device, &bytes), Refusal::Malformed(FormatError::SizeMismatch));
        }
    }
    assert_eq!(device.push(&fix.bytes(), 512), Ok(Outcome::Staged));
}

#[test]
fn t13_a_second_manifest_in_the_file_is_never_looked_at() {
    let mut device = story();
    let (first, second) = (patch(4, 8, 2), patch(4, 9, 3));
    let both = [first.bytes(), second.bytes()].concat();
    assert_eq!(device.push(&both, 512), Ok(Outcome::Staged));
    assert_eq!(device.status().candidate.map(|candidate| candidate.manifest), Some(first.digest()));
    // A bundle inside a bundle is an image like any other: nothing unwraps it.
    let wrapped = Release::patch(4, 1, 9, patch(4, 10, 4).bytes());
    let mut device = story();
    device.expect(&wrapped);
    device.install(&wrapped).unwrap();
    assert_eq!(runs(&mut device), "4.1 s9");
}

/// What a thief of one key can sign, and what becomes of it.
#[test]
fn t16_one_stolen_key_at_a_time() {
    let next = Roles { version: 2, security: vec!["thief"], feature: vec!["thief 2"], ..Roles::default() };
    for stolen in ["security", "feature", "root 2", "owner"] {
        let mut device = eager(&patch(4, 7, 1));
        let by = |release: Release| Release { signers: vec![stolen], ..release };
        for release in
            [feature(5, 7, 2), feature(5, 8, 3), feature(3, 7, 4), patch(5, 8, 5), patch(4, 100, 6)]
        {
            assert!(device.push(&by(release).bytes(), 512).is_err(), "{stolen}");
        }
        let links = vec![next.link(&[stolen])];
        let taken = Release { root: 2, links, signers: vec!["thief"], ..patch(4, 8, 7) };
        assert!(device.push(&taken.bytes(), 512).is_err(), "{stolen}");
        assert_eq!(device.status().root_version, 1, "{stolen}");
        let patched = device.push(&by(patch(4, 8, 8)).bytes(), 512);
        assert_eq!(patched.is_ok(), stolen == "security", "{stolen}: what SECURITY.md says of I9");
        assert_eq!(runs(&mut device), "4.1 s7");
    }
}

#[test]
fn t17_the_same_inputs_make_the_same_bytes() {
    let make = || feature(5, 8, 2).bytes();
    assert_eq!(make(), make());
    let other = Release { issued_at: 7, ..feature(5, 8, 2) };
    assert_ne!(other.digest(), feature(5, 8, 2).digest());
}

#[test]
fn t20_nothing_expires_and_no_date_decides() {
    let mut draft = Draft::new(Kind::SecurityPatch, PRODUCT, Version::new(4, 1, 8), img(2));
    for (issued_at, support_end) in [(0, 1), (u64::MAX, 0), (1, u64::MAX)] {
        (draft.issued_at, draft.support_end) = (issued_at, support_end);
        let mut bundle = draft.build().unwrap();
        bundle.sign(&key("security")).unwrap();
        assert_eq!(story().push(&bundle.to_bytes().unwrap(), 512), Ok(Outcome::Staged));
    }
    // A date from the far future holds nothing back once it was confirmed.
    let mut device = eager(&patch(4, 7, 1));
    device.install(&Release { issued_at: u64::MAX, ..patch(4, 8, 2) }).unwrap();
    device.install(&Release { issued_at: 1, ..patch(4, 9, 3) }).unwrap();
    assert_eq!(runs(&mut device), "4.1 s9");
}

#[test]
fn t22_a_component_that_is_none_of_the_devices_is_refused() {
    let mut device = story();
    for id in 1..=255 {
        assert_eq!(refuse(&mut device, &with_components(&[id])), Refusal::UnknownComponent, "{id}");
    }
    assert_eq!(device.push(&with_components(&[0]), 512), Ok(Outcome::Staged));
}

#[test]
fn t27_one_strange_component_and_none_is_installed() {
    let mut device = story();
    for ids in [&[0, 1][..], &[0, 255], &[0, 1, 2]] {
        assert_eq!(refuse(&mut device, &with_components(ids)), Refusal::UnknownComponent);
    }
}

/// An owner document for one device, as the host makes it from what a report says.
fn for_device(device: DeviceId, serial: u64, request: Request) -> Vec<u8> {
    let devices = [device];
    let target = Target::Devices(List::of(&devices).unwrap());
    let document = OwnerDocument { product: PRODUCT, target, serial, request };
    let document = document.encode(&mut [0; 384]).unwrap().to_vec();
    let set = world::sign(DocumentKind::Owner, &document, &["owner"]);
    SignedOwner::encode(&document, &List::of(&set).unwrap(), &mut [0; 384]).unwrap().to_vec()
}

#[test]
fn t23_a_report_that_lies_buys_nothing_at_the_device() {
    let mut device = story();
    let off = Request::Policy(Policy { security: SecurityPolicy::Off, feature: FeaturePolicy::Auto });
    // It names another device: what the owner signs for that one counts only there.
    let elsewhere = for_device(DeviceId([0x44; 16]), 1, off);
    assert_eq!(device.machine.owner(&elsewhere), Err(Refusal::NotForThisDevice));
    // It is an old one: the serial made from it is spent.
    device.machine.owner(&approval(5, patch(4, 8, 2).digest())).unwrap();
    assert_eq!(device.machine.owner(&for_device(world::DEVICE, 5, off)), Err(Refusal::SerialSpent));
    assert_eq!(device.status().policy, world::STORY_POLICY);
    assert_eq!(device.machine.owner(&for_device(world::DEVICE, 6, off)), Ok(Outcome::Done));
}

#[test]
fn t30_a_patch_states_no_range_of_versions() {
    for level in [1, 2, 38, 39] {
        let mut device = eager(&patch(4, level, 1));
        device.install(&patch(4, 40, 2)).unwrap();
        assert_eq!(runs(&mut device), "4.1 s40");
    }
    let mut device = eager(&patch(4, 40, 1));
    assert_eq!(refuse(&mut device, &patch(4, 40, 2).bytes()), Refusal::SameVersion);
    let mut device = eager(&patch(4, 41, 1));
    assert_eq!(refuse(&mut device, &patch(4, 40, 2).bytes()), Refusal::LosesFix);
}

#[test]
fn t36_nothing_in_a_bundle_forces_an_install() {
    let mut draft = Draft::new(Kind::SecurityPatch, PRODUCT, Version::new(4, 1, 8), img(2));
    draft.text = "install at once, whatever the policy says".into();
    let id = "CVE-2027-8".into();
    draft.closes = vec![Closes { index: 8, id, severity: Severity::Critical, exploited: true }];
    let mut bundle = draft.build().unwrap();
    bundle.sign(&key("security")).unwrap();
    let bytes = bundle.to_bytes().unwrap();
    let mut device = device_under(SecurityPolicy::StageOnly, FeaturePolicy::Local, &patch(4, 7, 1));
    assert_eq!(device.push(&bytes, 512), Ok(Outcome::Staged));
    device.machine.window(Window::Open).unwrap();
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(runs(&mut device), "4.1 s7");
    let mut device = device_under(SecurityPolicy::Off, FeaturePolicy::Auto, &patch(4, 7, 1));
    assert_eq!(refuse(&mut device, &bytes), Refusal::PolicyOff);
    draft.kind = Kind::FeatureUpdate;
    draft.version = Version::new(5, 1, 8);
    draft.combined = Some((Reason::FixForcesChange, "there is no other way".into()));
    let mut bundle = draft.build().unwrap();
    ["security", "feature"].iter().for_each(|label| bundle.sign(&key(label)).unwrap());
    assert_eq!(story().push(&bundle.to_bytes().unwrap(), 512), Err(Refusal::Held));
}

#[test]
fn t37_a_new_root_lowers_no_floor() {
    let next = Roles { version: 2, security: vec!["security 2"], ceilings: (9, 199), ..Roles::default() };
    let mut device = eager(&patch(4, 8, 1));
    let renewed = |level, seed| Release {
        root: 2,
        links: vec![next.link(&["root"])],
        signers: vec!["security 2"],
        ..patch(4, level, seed)
    };
    assert_eq!(device.push(&renewed(7, 2).bytes(), 512), Err(Refusal::LosesFix));
    assert_eq!(device.status().root_version, 2, "the link counts, its bundle doesn't");
    // What the retired key signed for the same level isn't let in again, either.
    assert_eq!(refuse(&mut device, &patch(4, 9, 3).bytes()), Refusal::UnknownKey);
    assert_eq!(refuse(&mut device, &renewed(7, 2).bytes()), Refusal::LosesFix);
    device.install(&renewed(100, 4)).unwrap();
    assert_eq!(runs(&mut device), "4.1 s100");
}

#[test]
fn t40_a_slow_transfer_holds_nothing_up() {
    let (slow, urgent) = (patch(4, 8, 2), patch(4, 9, 3));
    let bytes = slow.bytes();
    let mut device = story();
    let mut offset = device.machine.begin().unwrap() as usize;
    let mut serial = 0;
    while offset < bytes.len() - 1 {
        match device.machine.push(offset as u32, &bytes[offset..=offset]).unwrap() {
            Done::Want(want) => offset = want as usize,
            other => panic!("{other:?}"),
        }
        // All else is served meanwhile; a request may cost the chunk under way.
        if offset as u64 / 1000 > serial {
            serial += 1;
            device.machine.owner(&approval(serial, feature(5, 7, 4).digest())).unwrap();
            assert_eq!(device.status().serial, serial);
        }
    }
    // A patch that ranks higher doesn't wait for the last byte.
    device.install(&urgent).unwrap();
    assert_eq!(runs(&mut device), "4.1 s9");
}

#[test]
fn t49_a_refusal_leaves_every_byte_as_it_was() {
    let mut device = story();
    let seen: Vec<Refusal> = rejected().iter().map(|(bytes, _)| refuse(&mut device, bytes)).collect();
    let expected: Vec<Refusal> = rejected().iter().map(|(_, refusal)| *refusal).collect();
    assert_eq!(seen, expected);
}

/// A bundle for every refusal that comes before anything is permitted, to a device that runs `4.1 s7`.
fn rejected() -> Vec<(Vec<u8>, Refusal)> {
    let fix = patch(4, 8, 2);
    let by =
        |signers: &[&'static str], release: Release| Release { signers: signers.to_vec(), ..release }.bytes();
    let link =
        |roles: Roles, signers: &[&str]| Release { links: vec![roles.link(signers)], ..fix.clone() }.bytes();
    let second = || Roles { version: 2, root: vec!["root 2"], ..Roles::default() };
    let mut wrong_hardware = Draft::new(Kind::SecurityPatch, PRODUCT, fix.version, img(2));
    wrong_hardware.hardware = vec![3];
    let mut wrong_product = Draft { hardware: vec![1], ..wrong_hardware.clone() };
    wrong_product.product.class.0[0] ^= 1;
    let drafted = |draft: &Draft| {
        let mut bundle = draft.build().unwrap();
        bundle.sign(&key("security")).unwrap();
        bundle.to_bytes().unwrap()
    };
    let mut forged = fix.bytes();
    let signature = forged.len() - fix.bundle().payload().len() - 1;
    forged[signature] ^= 1;
    let mut compressed = fix.bundle().manifest_bytes().to_vec();
    let at = alternative_at(&compressed, &fix);
    compressed[at + 1] = 1;
    vec![
        (b"not a bundle at all".to_vec(), Refusal::Malformed(FormatError::BadMagic)),
        (fix.bytes()[..150].to_vec(), Refusal::NotInService),
        (by(&["somebody"], fix.clone()), Refusal::UnknownKey),
        (by(&["root"], fix.clone()), Refusal::WrongRole),
        (forged, Refusal::BadSignature),
        (by(&["security"], feature(5, 8, 3)), Refusal::BelowThreshold),
        (link(Roles { version: 3, ..second() }, &["root", "root 2"]), Refusal::RootNotNext),
        (link(second(), &["root"]), Refusal::RootQuorum),
        (link(Roles { ceilings: (9, 98), ..second() }, &["root", "root 2"]), Refusal::CeilingLowered),
        (Release { root: 2, ..fix.clone() }.bytes(), Refusal::NeedRoot),
        (drafted(&wrong_product), Refusal::WrongProduct),
        (drafted(&wrong_hardware), Refusal::WrongHardware),
        (patch(4, 100, 3).bytes(), Refusal::AboveCeiling),
        (patch(4, 7, 3).bytes(), Refusal::SameVersion),
        (patch(4, 6, 3).bytes(), Refusal::LosesFix),
        (patch(5, 8, 3).bytes(), Refusal::PatchMovesFeature),
        (Release { payload: false, ..fix.clone() }.bytes(), Refusal::NeedPayload),
        (signed_as_patch(&compressed, &["security"], fix.bundle().payload()), Refusal::NoAlternative),
        (with_components(&[1]), Refusal::UnknownComponent),
        (Release::patch(4, 1, 8, image(2, 8193)).bytes(), Refusal::ImageTooLarge),
    ]
}

/// Every refusal there is before `Permitted`, ten thousand times, and genuine bundles between them.
#[test]
fn t44_ten_thousand_rejected_bundles_of_every_sort_erase_nothing() {
    let mut device = device_under(SecurityPolicy::StageOnly, FeaturePolicy::OwnerKey, &patch(4, 7, 1));
    // A patch is staged: the genuine ones below rank lower, and are refused for it.
    let staged = patch(4, 20, 1);
    assert_eq!(device.push(&staged.bytes(), 512), Ok(Outcome::Staged));
    let mut sorts = rejected();
    // What is without payload would rank below what is staged, and is told so.
    sorts.retain(|(_, refusal)| *refusal != Refusal::NeedPayload);
    sorts.push((patch(4, 9, 4).bytes(), Refusal::Busy));
    sorts.push((feature(5, 7, 5).bytes(), Refusal::Held));
    sorts.push((feature(5, 8, 6).bytes(), Refusal::Held));
    sorts.push((feature(3, 7, 7).bytes(), Refusal::Held));
    let (mut counts, mut writes) = (BTreeMap::new(), Vec::new());
    for round in 0..10_000 {
        let (bytes, expected) = &sorts[round % sorts.len()];
        let before = device.power.operations();
        assert_eq!(device.push(bytes, bytes.len()), Err(*expected), "round {round}");
        if device.power.operations() != before {
            writes.push((round, *expected));
        }
        *counts.entry(format!("{expected:?}")).or_insert(0) += 1;
    }
    // Held is remembered: each that ranks higher than what is listed is listed once, and never again.
    assert!(
        writes.len() <= 3 && writes.iter().all(|(at, sort)| *at < sorts.len() && *sort == Refusal::Held),
        "{writes:?}"
    );
    assert!(counts.len() >= 21 && counts.values().all(|count| *count >= 400), "{counts:?}");
    assert_eq!(device.status().candidate.map(|candidate| candidate.manifest), Some(staged.digest()));
    assert_eq!(sha256(&device.machine.media.primary(7000)), sha256(&patch(4, 7, 1).image));
}
