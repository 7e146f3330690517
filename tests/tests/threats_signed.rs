//! Threats of docs/THREATS.md that only signatures and thresholds stop: each of these tests fails on a device that
//! verifies none, or counts none.

use patchlane::bundle::{Bundle, Draft, sha256};
use patchlane_device::state::{Release as Known, State};
use patchlane_device::{Boot, Cause, Factory, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{FormatError, Kind, PublicKey, Refusal, Version};
use patchlane_tests::sim::cases::*;
use patchlane_tests::sim::device::CONFIG;
use patchlane_tests::sim::sweep::layout;
use patchlane_tests::sim::world::{self, PRODUCT, Release, Roles, STORY_POLICY, factory, key, public};
use patchlane_tests::sim::{Chip, Power, SimDevice, Torn};

/// Sends it; it is refused without a flash operation.
#[track_caller]
fn refuse(device: &mut SimDevice, bytes: &[u8]) -> Refusal {
    let before = device.power.operations();
    let refusal = device.push(bytes, 512).expect_err("it was taken");
    assert_eq!(device.power.operations(), before, "{refusal:?} touched flash");
    refusal
}

fn by(signers: &[&'static str], release: Release) -> Release {
    Release { signers: signers.to_vec(), ..release }
}

/// A device that knows nothing yet; the image of `first` lies in it.
fn blank(first: &Release) -> SimDevice {
    SimDevice::blank(CONFIG, Chip::new(layout(SMALL)).on(&Power::new(1, Torn::Stable)), first)
}

fn rules() -> Factory {
    factory(STORY_POLICY, true)
}

/// A device under this root document.
fn under(root: &[u8], first: &Release) -> SimDevice {
    let mut device = blank(first);
    device.provision(root, &first.bundle(), rules()).unwrap();
    device.restart(Cause::PowerOn);
    device
}

/// A bundle without links, with this signature set instead of its own.
fn with_set(bundle: &Bundle, set: &[u8]) -> Vec<u8> {
    let lengths = [bundle.manifest_bytes().len() as u16, set.len() as u16].map(u16::to_le_bytes).concat();
    [b"PLBN\x01\x00", &lengths[..], bundle.manifest_bytes(), set, bundle.payload()].concat()
}

#[test]
fn t09_no_signature_and_one_of_zeros_are_refused() {
    let mut device = story();
    let fix = patch(4, 8, 2);
    let bundle = fix.bundle();
    let set = bundle.signature_bytes().unwrap();
    assert_eq!(with_set(&bundle, &set), fix.bytes());
    assert_eq!(refuse(&mut device, &with_set(&bundle, &[0])), Refusal::Malformed(FormatError::EmptyList));
    assert_eq!(refuse(&mut device, &with_set(&bundle, &[])), Refusal::Malformed(FormatError::UnexpectedEnd));
    // Number, key id, algorithm, then the 64 bytes that count.
    let zeros = [&set[..10], &[0; 64]].concat();
    assert_eq!(refuse(&mut device, &with_set(&bundle, &zeros)), Refusal::BadSignature);
    let nobody = [&[1][..], &[0; 73]].concat();
    assert_eq!(refuse(&mut device, &with_set(&bundle, &nobody)), Refusal::UnknownKey);
    assert_eq!(device.push(&fix.bytes(), 512), Ok(Outcome::Staged));
}

/// Two keys sign for root and for security.
fn two_of_two() -> Roles {
    Roles { root: vec!["root", "root b"], security: vec!["security", "security b"], ..Roles::default() }
}

const BOTH: [&str; 2] = ["security", "security b"];

/// A device on which a patch, and a link, takes two signatures.
fn strict() -> SimDevice {
    under(&two_of_two().needing([2, 2, 1]), &by(&BOTH, patch(4, 7, 1)))
}

#[test]
fn t28_one_of_two_signatures_is_too_few() {
    let mut device = strict();
    for signer in BOTH {
        assert_eq!(refuse(&mut device, &by(&[signer], patch(4, 8, 2)).bytes()), Refusal::BelowThreshold);
    }
    // Who speaks for another role fills no place in this one.
    for other in ["feature", "root", "root b"] {
        let helped = by(&["security", other], patch(4, 8, 2));
        assert_eq!(refuse(&mut device, &helped.bytes()), Refusal::WrongRole, "{other}");
    }
    for few in [&["security", "feature"][..], &["security", "security b"], &["feature"]] {
        assert_eq!(refuse(&mut device, &by(few, feature(5, 8, 3)).bytes()), Refusal::BelowThreshold);
    }
    let whole = by(&["security", "security b", "feature"], feature(5, 8, 3));
    assert_eq!(strict().push(&whole.bytes(), 512), Err(Refusal::Held), "what is left is the owner's say");
    assert_eq!(device.push(&by(&BOTH, patch(4, 8, 2)).bytes(), 512), Ok(Outcome::Staged));
}

#[test]
fn t28_signatures_are_counted_once() {
    let mut device = strict();
    let bundle = by(&["security"], patch(4, 8, 2)).bundle();
    let one = bundle.signature_bytes().unwrap()[1..].to_vec();
    let twice = [&[2][..], &one, &one].concat();
    let repeated = Refusal::Malformed(FormatError::NotIncreasing);
    assert_eq!(refuse(&mut device, &with_set(&bundle, &twice)), repeated);
    // Nor does another signature by the same key help.
    let mut other = twice.clone();
    *other.last_mut().unwrap() ^= 1;
    assert_eq!(refuse(&mut device, &with_set(&bundle, &other)), repeated);
    let whole = by(&BOTH, patch(4, 8, 2)).bundle();
    let set = whole.signature_bytes().unwrap();
    let (count, [first, second]) = (&set[..1], [&set[1..74], &set[74..]]);
    let backwards = [count, second, first].concat();
    assert_eq!(refuse(&mut device, &with_set(&whole, &backwards)), repeated);
    assert_eq!(device.push(&with_set(&whole, &set), 512), Ok(Outcome::Staged));
}

/// A patch under root 2 that brings this link.
fn bringing(link: Vec<u8>) -> Vec<u8> {
    Release { root: 2, links: vec![link], ..by(&BOTH, patch(4, 8, 2)) }.bytes()
}

#[test]
fn t28_a_root_link_takes_every_signature_of_both_roots() {
    let next = Roles { version: 2, root: vec!["root 2", "root 2 b"], ..two_of_two() };
    let document = next.needing([2, 2, 1]);
    let all = ["root", "root b", "root 2", "root 2 b"];
    for missing in all {
        let mut device = strict();
        let signers: Vec<&str> = all.into_iter().filter(|label| *label != missing).collect();
        let link = world::link(&document, &signers);
        assert_eq!(refuse(&mut device, &bringing(link)), Refusal::RootQuorum, "without {missing}");
        assert_eq!(device.status().root_version, 1);
    }
    let mut device = strict();
    assert_eq!(device.push(&bringing(world::link(&document, &all)), 512), Ok(Outcome::Staged));
    assert_eq!(device.status().root_version, 2);
}

/// The same document with another key in the place of one.
fn exchanged(document: &[u8], old: PublicKey, new: PublicKey) -> Vec<u8> {
    let at = document.windows(32).position(|window| window == old.bytes).expect("the key");
    let mut document = document.to_vec();
    document[at..at + 32].copy_from_slice(&new.bytes);
    document
}

#[test]
fn t28_a_key_listed_twice_makes_no_root() {
    let next = Roles { version: 2, ..two_of_two() };
    let signed = |document: &[u8]| bringing(world::link(document, &["root", "root b"]));
    let document = next.needing([2, 2, 1]);
    let [first, second] = {
        let mut keys = BOTH.map(public);
        keys.sort_by_key(PublicKey::id);
        keys
    };
    for (old, new, error) in [
        // One person for two roles.
        (public("feature"), first, FormatError::DuplicateKey),
        (public("feature"), public("root"), FormatError::DuplicateKey),
        // One person for both places of a role.
        (second, first, FormatError::NotIncreasing),
        (first, second, FormatError::NotIncreasing),
    ] {
        let refused = Refusal::Malformed(error);
        let twice = exchanged(&document, old, new);
        assert_eq!(refuse(&mut strict(), &signed(&twice)), refused);
        let first = by(&BOTH, patch(4, 7, 1));
        assert_eq!(blank(&first).provision(&twice, &first.bundle(), rules()), Err(refused));
    }
    assert_eq!(strict().push(&signed(&document), 512), Ok(Outcome::Staged));
}

#[test]
fn t16_one_of_two_root_keys_makes_no_root() {
    let thiefs = Roles {
        version: 2,
        root: vec!["thief root"],
        security: vec!["thief"],
        feature: vec!["thief 2"],
        ..Roles::default()
    };
    let sent = |signers: &[&str]| {
        let links = vec![thiefs.link(signers)];
        Release { root: 2, links, ..by(&["thief"], patch(4, 8, 7)) }.bytes()
    };
    for stolen in ["root", "root b"] {
        let mut device = strict();
        for signers in [&[stolen][..], &["thief root"], &[stolen, "thief root"]] {
            assert_eq!(refuse(&mut device, &sent(signers)), Refusal::RootQuorum, "{signers:?}");
        }
        let helped = sent(&[stolen, "security", "thief root"]);
        assert_eq!(refuse(&mut device, &helped), Refusal::WrongRole, "{stolen}");
        assert_eq!((device.status().root_version, runs(&mut device)), (1, "4.1 s7".into()));
    }
    // With both, the device is the thief's: that is what two keys in two places are for.
    let mut device = strict();
    assert_eq!(device.push(&sent(&["root", "root b", "thief root"]), 512), Ok(Outcome::Staged));
    assert_eq!(device.status().root_version, 2);
}

/// Of which release a receipt is looked at.
type Which = fn(&mut State) -> &mut Known;

/// What has happened to a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// One bit has changed, and the record is as it was.
    Rot,
    /// The record names what now lies there: someone wrote to the state region.
    Forged,
}

/// Hands over the same device for each byte of a release's receipt (manifest, signatures, root), one bit of it flipped
/// in flash.
fn altered(start: &SimDevice, which: Which, mut each: impl FnMut(SimDevice, &str)) {
    let mut opened = start.fork(1, Torn::Stable);
    opened.machine.open().unwrap();
    let mut state = *opened.machine.engine().state().unwrap();
    let at = layout(SMALL).cell_at(which(&mut state).cell) as usize;
    // "PLRC", format, and how long manifest, signatures and root are.
    let header = opened.machine.media.state.contents(at, 11);
    let length = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let [manifest, set, root] = [5, 7, 9].map(length);
    let body = at + header.len();
    let forge = |device: &mut SimDevice| {
        let flash = &device.machine.media.state;
        let receipt = sha256(&flash.contents(at, header.len() + manifest + set + root));
        let manifest = sha256(&flash.contents(body, manifest));
        device.forge(|state| {
            let release = which(state);
            (release.receipt, release.manifest) = (receipt, manifest);
        });
    };
    // The record that is written here is believed, and names a receipt as the device does.
    let mut same = start.fork(1, Torn::Stable);
    forge(&mut same);
    same.machine.open().unwrap();
    assert_eq!(*same.machine.engine().state().unwrap(), state);
    let whole = header.len() + manifest + set + root;
    let head = header.len()..header.len() + manifest + set;
    for place in 0..whole {
        // Whoever writes the state region has the root in it, too (docs/THREATS.md): only the head can't be forged.
        let changes =
            [Change::Rot, Change::Forged].into_iter().filter(|c| *c == Change::Rot || head.contains(&place));
        for change in changes {
            let mut device = start.fork(1, Torn::Stable);
            device.machine.media.state.rot(at + place, (place % 8) as u8);
            if change == Change::Forged {
                forge(&mut device);
            }
            each(device, &format!("{change:?}, byte {place} of {whole}, the head is {head:?}"));
        }
    }
}

#[test]
fn t18_a_staged_head_that_changes_before_it_goes_in_is_not_installed() {
    let mut start = story();
    let fix = patch(4, 8, 2);
    start.expect(&fix);
    start.push(&fix.bytes(), 512).unwrap();
    start.machine.window(Window::Open).unwrap();
    let candidate: Which = |state| &mut state.candidate.as_mut().unwrap().release;
    let mut cases = 0;
    altered(&start, candidate, |mut device, case| {
        assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Confirmed)), "{case}");
        assert_eq!(device.primary(7000), img(1), "{case}");
        let status = device.status();
        assert_eq!((status.confirmed.version, status.candidate), (Version::new(4, 1, 7), None), "{case}");
        cases += 1;
    });
    assert!(cases > 500, "{cases}");
    assert_eq!(start.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
}

#[test]
fn t18_a_head_that_changes_during_its_trial_ends_it() {
    let mut start = story();
    on_trial(&mut start, &patch(4, 8, 2));
    let candidate: Which = |state| &mut state.candidate.as_mut().unwrap().release;
    altered(&start, candidate, |mut device, case| {
        assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)), "{case}");
        assert_eq!(device.primary(7000), img(1), "{case}");
    });
    assert_eq!(start.restart(Cause::PowerOn), Some(Boot::Run(Running::Trial)));
}

#[test]
fn t18_a_confirmed_head_that_changes_runs_no_more() {
    // Nothing stands in: it serves.
    let start = story();
    altered(
        &start,
        |state| &mut state.confirmed,
        |mut device, case| {
            let boot = device.restart(Cause::PowerOn);
            assert!(matches!(boot, Some(Boot::Service(_))), "{case}: {boot:?}");
            assert_eq!(device.machine.entry(0x0800_8000), usize::MAX, "{case}");
        },
    );
    // The release before it is kept, and loses no fix: it runs instead.
    let mut start = eager(&patch(4, 7, 1));
    start.install(&feature(5, 7, 3)).unwrap();
    altered(
        &start,
        |state| &mut state.confirmed,
        |mut device, case| {
            assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Fallback)), "{case}");
            assert_eq!(device.primary(7000), img(1), "{case}");
        },
    );
    assert_eq!(start.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
}

/// What is wrong with a release, the bundle, and what every entry says to it.
fn wrong() -> Vec<(&'static str, Bundle, Refusal)> {
    let drafted = |change: &dyn Fn(&mut Draft), kind| {
        let mut draft = Draft::new(kind, PRODUCT, Version::new(4, 1, 8), img(1));
        change(&mut draft);
        let mut bundle = draft.build().unwrap();
        bundle.sign(&key("security")).unwrap();
        bundle
    };
    let patched = |change: &dyn Fn(&mut Draft)| drafted(change, Kind::SecurityPatch);
    let broken = {
        // Signed, and then one bit of the last signature differs.
        let mut bytes = patch(4, 8, 1).bytes();
        let last = bytes.len() - patch(4, 8, 1).bundle().payload().len() - 1;
        bytes[last] ^= 1;
        Bundle::parse(&bytes).unwrap()
    };
    vec![
        ("a foreign key's", by(&["somebody"], patch(4, 8, 1)).bundle(), Refusal::UnknownKey),
        ("a root key's", by(&["root"], patch(4, 8, 1)).bundle(), Refusal::WrongRole),
        ("broken", broken, Refusal::BadSignature),
        ("security alone", by(&["security"], feature(5, 8, 1)).bundle(), Refusal::BelowThreshold),
        ("feature alone", by(&["feature"], feature(5, 8, 1)).bundle(), Refusal::BelowThreshold),
        ("a vendor", patched(&|draft| draft.product.vendor.0[0] ^= 1), Refusal::WrongProduct),
        ("a class", patched(&|draft| draft.product.class.0[15] ^= 1), Refusal::WrongProduct),
        ("a board", patched(&|draft| draft.hardware = vec![2, 3]), Refusal::WrongHardware),
        ("another root's", patched(&|draft| draft.root_version = 2), Refusal::NeedRoot),
        ("a level", patch(4, 100, 1).bundle(), Refusal::AboveCeiling),
        ("a line", feature(10, 8, 1).bundle(), Refusal::AboveCeiling),
        ("a step", Release::feature(9, 100, 8, img(1)).bundle(), Refusal::AboveCeiling),
    ]
}

/// Offers this head to a device that knows nothing: it is refused, and nothing was written.
#[track_caller]
fn unprovisioned(root: &[u8], bundle: &Bundle) -> Refusal {
    let mut device = blank(&patch(4, 7, 1));
    let refusal = device.provision(root, bundle, rules()).expect_err("it was taken");
    assert_eq!(device.power.operations(), 0, "{refusal:?} touched flash");
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Service(Refusal::NotProvisioned)));
    refusal
}

#[test]
fn t50_provisioning_judges_as_strictly() {
    let root = Roles::default().document();
    let mut device = story();
    for (what, bundle, refusal) in wrong() {
        assert_eq!(refuse(&mut device, &bundle.to_bytes().unwrap()), refusal, "pushed: {what}");
        assert_eq!(unprovisioned(&root, &bundle), refusal, "provisioned: {what}");
    }
    // A quorum of two is one of two here, too.
    let strict_root = two_of_two().needing([2, 2, 1]);
    for signer in BOTH {
        let one = by(&[signer], patch(4, 8, 1)).bundle();
        assert_eq!(refuse(&mut strict(), &one.to_bytes().unwrap()), Refusal::BelowThreshold);
        assert_eq!(unprovisioned(&strict_root, &one), Refusal::BelowThreshold);
    }
    // Each flaw is the only one: without it, either entry takes the release.
    assert_eq!(device.push(&patch(4, 8, 1).bytes(), 512), Ok(Outcome::Staged));
    let first = by(&BOTH, patch(4, 8, 1));
    assert_eq!(blank(&first).provision(&root, &patch(4, 8, 1).bundle(), rules()), Ok(()));
    assert_eq!(blank(&first).provision(&strict_root, &first.bundle(), rules()), Ok(()));
}

#[test]
fn t50_a_production_device_takes_no_development_root_and_no_other_image() {
    let draft = |development| patchlane::root::Draft {
        product: PRODUCT,
        version: 1,
        development,
        ceilings: patchlane::root::CEILINGS,
        roles: ["root", "security", "feature"].map(|label| (vec![public(label)], 1)),
    };
    let root =
        |development| draft(development).sign(&[&key("root")]).unwrap().document_bytes().unwrap().to_vec();
    let first = patch(4, 7, 1).bundle();
    assert_eq!(unprovisioned(&root(true), &first), Refusal::DevelopmentRoot);
    assert_eq!(blank(&patch(4, 7, 1)).provision(&root(false), &first, rules()), Ok(()));
    // The head is right, and what lies in the slot is another image.
    assert_eq!(unprovisioned(&root(false), &patch(4, 7, 2).bundle()), Refusal::ImageDigest);
}
