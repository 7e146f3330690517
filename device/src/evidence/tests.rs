//! What flash has to hold before anything acts on it.

extern crate std;
use super::{Admitted, Authentic, Permitted, Readback, Supply, Verified};
use crate::layout::{Layout, Place};
use crate::media::Region;
use crate::rules::{Rank, Transition};
use crate::state::Release;
use patchlane_protocol::{Digest, Image, Manifest, Refusal, Size, Version};
use std::vec::Vec;

const SIZE: u32 = 0x1234;
const DIGEST: Digest = Digest([0x5a; 32]);
const WHERE: usize = 0x0800_0200;
const NOWHERE: usize = usize::MAX;

fn image() -> Image {
    Image { address: None, size: Size::new(SIZE).expect("not empty"), digest: DIGEST }
}

/// As the image is where it runs, but for these.
fn differs(region: Region, at: u32, size: u32, bits: &[usize]) -> Readback {
    let mut digest = DIGEST;
    for bit in bits {
        digest.0[bit / 8] ^= 1 << (bit % 8);
    }
    Readback::of(region, at, SIZE ^ size, digest)
}

/// T47: no difference cancels another, and any bit of any leads nowhere.
#[test]
fn only_the_image_in_the_primary_slot_has_an_entry() {
    use Region::{Primary, Secondary, State};
    let admitted = Admitted { image: image() };
    let entry = |readback: Readback| admitted.entry(&readback, WHERE);
    assert_eq!(entry(differs(Primary, 0, 0, &[])), WHERE);
    for bit in 0..32 {
        assert_eq!(entry(differs(Primary, 1 << bit, 0, &[])), NOWHERE, "bit {bit} of the place");
        assert_eq!(entry(differs(Primary, 0, 1 << bit, &[])), NOWHERE, "bit {bit} of the size");
        assert_eq!(entry(differs(Primary, 1 << bit, 1 << bit, &[])), NOWHERE, "bit {bit} of both");
    }
    for bit in 0..256 {
        assert_eq!(entry(differs(Primary, 0, 0, &[bit])), NOWHERE, "bit {bit} of the digest");
        assert_eq!(entry(differs(Primary, 0, 0, &[bit, (bit + 8) % 256])), NOWHERE, "bit {bit}, twice");
        assert_eq!(entry(differs(Primary, 0, 1 << (bit % 8), &[bit])), NOWHERE, "bit {bit} and the size");
    }
    for elsewhere in [Secondary, State] {
        for (at, size) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            assert_eq!(entry(differs(elsewhere, at, size, &[])), NOWHERE, "{elsewhere:?} {at} {size}");
        }
    }
}

#[test]
fn an_image_boots_if_its_size_and_digest_are_what_was_read() {
    let admitted = Admitted { image: image() };
    assert_eq!(admitted.boots(&differs(Region::Primary, 0, 0, &[])), Ok(()));
    assert_eq!(admitted.boots(&differs(Region::Primary, 0, 1, &[])), Err(Refusal::ImageDigest));
    assert_eq!(admitted.boots(&differs(Region::Primary, 0, 0, &[77])), Err(Refusal::ImageDigest));
}

fn permitted(transition: Transition, supply: Supply) -> Permitted {
    let rank = Rank { transition, version: Version::new(4, 1, 8), issued_at: 1 };
    Permitted { manifest: Digest([1; 32]), images: Digest([2; 32]), image: image(), rank, supply }
}

/// A release goes on only from the slot that its next step reads.
#[test]
fn each_step_asks_for_its_own_slot() {
    use Region::{Primary, Secondary, State};
    for (region, at, size, bits) in [
        (Primary, 0, 0, &[][..]),
        (Primary, 4096, 0, &[]),
        (Primary, 0, 1, &[]),
        (Primary, 0, 0, &[3]),
        (Secondary, 0, 0, &[]),
        (Secondary, 4096, 0, &[]),
        (Secondary, 0, 1, &[]),
        (Secondary, 4096, 0, &[3]),
        (State, 0, 0, &[]),
    ] {
        let readback = differs(region, at, size, bits);
        let same = size == 0 && bits.is_empty();
        let patch = || permitted(Transition::Patch, Supply::Installed);
        let staged = patch().stage(&readback).map(|_| ());
        assert_eq!(staged.is_ok(), region == Secondary && same, "{readback:?}");
        let there = region == Primary && at == 0 && same;
        assert_eq!(patch().is_there(&readback), there, "{readback:?}");
        let again = |byte| Authentic { digest: Digest([byte; 32]) };
        let installed =
            |permitted: Permitted| permitted.is_installed(&again(1), &readback, DIGEST, 3).is_ok();
        // Nor does another head that was verified vouch for it.
        let other = patch().is_installed(&again(3), &readback, DIGEST, 3);
        assert!(matches!(other, Err(Refusal::BadSignature)));
        assert_eq!(installed(patch()), there, "{readback:?}");
        // Only a patch comes without payload.
        assert!(!installed(permitted(Transition::Repair, Supply::Installed)));
        assert!(!installed(permitted(Transition::FeatureUpdate, Supply::Installed)));
        assert!(!installed(permitted(Transition::Patch, Supply::Staged)));
    }
    assert!(permitted(Transition::Patch, Supply::Staged).is_same_images(&Digest([2; 32])));
    assert!(!permitted(Transition::Patch, Supply::Staged).is_same_images(&Digest([3; 32])));
}

/// The manifest of a vector.
fn manifest() -> Vec<u8> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/vectors/head-patch.toml");
    let text = std::fs::read_to_string(file).expect("a vector");
    let hex = text.split("manifest = \"\"\"\n").nth(1).and_then(|rest| rest.split("\"\"\"").next());
    let digits: Vec<u32> = hex.expect("a manifest").chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// What a record says has to be what the receipt says, each part of it.
#[test]
fn a_head_is_the_release_that_the_record_names() {
    let bytes = manifest();
    let document = Manifest::parse(&bytes).expect("a manifest");
    let image = document.components.at(0).and_then(|c| c.images.at(0)).expect("an image");
    let digest = crate::verify::sha256(&bytes);
    let verified = || Verified { manifest: Manifest::parse(&bytes).expect("a manifest"), digest };
    let block = image.size.get().next_multiple_of(512);
    let place = |length| Place { offset: 0, length, read: 1, write: 4, erase: 512 };
    let moved = Layout::new(place(0x8000), place(block), place(block + 512)).expect("a layout");
    let own = moved.slot(Region::Primary, false, image.address);
    // Code that states no address can't run from where it lies.
    let addresses = [0x0800_0000, 0x0900_0000];
    let direct = Layout::direct(place(0x8000), [place(block); 2], addresses).expect("a layout");
    let elsewhere = direct.slot(Region::Primary, false, None);
    let other = Digest([9; 32]);
    let (images, receipt, size) = (other, other, image.size.get());
    let good = Release { version: document.version, manifest: digest, images, size, receipt, cell: 0 };
    assert!(verified().is(&good, &own));
    assert!(!verified().is(&Release { manifest: other, ..good }, &own), "another manifest");
    assert!(!verified().is(&Release { version: Version::new(9, 9, 9), ..good }, &own), "another version");
    assert!(!verified().is(&Release { size: size ^ 1, ..good }, &own), "another size");
    assert!(!verified().is(&good, &elsewhere), "another slot");
    let admitted = |room| {
        let mut slot = own;
        slot.room = room;
        verified().admit(&slot).map(|admitted| admitted.image().size.get())
    };
    assert_eq!(admitted(size), Ok(size));
    assert_eq!(admitted(size - 1), Err(Refusal::ImageTooLarge));
    assert_eq!(admitted(size + 1), Ok(size));
}
