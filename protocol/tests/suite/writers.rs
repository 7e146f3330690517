//! A writer refuses what every reader would refuse, and for the same reason: a builder's mistake is found where
//! it is made.

use patchlane_protocol::link::encode_frame;
use patchlane_protocol::list::Bounds;
use patchlane_protocol::owner::SignedOwner;
use patchlane_protocol::*;

const ONE: Bounds = Bounds { min: 1, max: 8 };

fn product() -> Product {
    Product { vendor: VendorId([1; 16]), class: ClassId([2; 16]) }
}

fn signatures() -> Vec<Signature> {
    let signature = |n: u8| Signature { key: KeyId([n; 8]), algorithm: Algorithm::Ed25519, bytes: [n; 64] };
    (1..=8).map(signature).collect()
}

#[test]
fn lists_are_neither_empty_nor_out_of_order() {
    let write = |values: &[u16]| List::of(values)?.write(&mut Writer::new(&mut [0; 64]), ONE);
    assert_eq!(write(&[]), Err(FormatError::EmptyList));
    assert_eq!(write(&[2, 2]), Err(FormatError::NotIncreasing));
    assert_eq!(write(&[2, 1]), Err(FormatError::NotIncreasing));
    assert_eq!(write(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), Err(FormatError::OverLimit));
    assert_eq!(write(&[1, 2]), Ok(()));
}

/// What counts signatures takes a list of them, and is public: no such list may hold a key twice.
#[test]
fn no_list_of_signatures_or_keys_holds_one_twice() {
    let one = signatures().remove(0);
    let again = Signature { bytes: [9; 64], ..one };
    assert_eq!(List::of(&[one, again]).err(), Some(FormatError::NotIncreasing));
    let key = PublicKey::ed25519([1; 32]);
    assert_eq!(List::of(&[key, key]).err(), Some(FormatError::NotIncreasing));
}

#[test]
fn no_role_is_out_of_its_keys_reach_and_no_two_share_a_key() {
    let keys: Vec<_> = (1..=3).map(|n| PublicKey::ed25519([n; 32])).collect();
    let role = |threshold, keys| Role::new(threshold, List::of(keys)?);
    assert_eq!(role(0, &keys[..1]).err(), Some(FormatError::BadThreshold));
    assert_eq!(role(2, &keys[..1]).err(), Some(FormatError::BadThreshold));
    let [a, b, c] = [0, 1, 2].map(|n| role(1, &keys[n..=n]).unwrap());
    assert!(Roles::new(a, b, c).is_ok());
    for (root, security, feature) in [(a, a, c), (a, b, a), (a, b, b)] {
        assert_eq!(Roles::new(root, security, feature).err(), Some(FormatError::DuplicateKey));
    }
}

#[test]
fn lengths_are_not_empty_and_chunks_have_limits() {
    assert_eq!(Size::new(0), Err(FormatError::SizeMismatch));
    assert_eq!(Size::new(1).map(Size::get), Ok(1));
    for bad in [0, limits::CHUNK_MIN - 1, limits::CHUNK_MAX + 1, u16::MAX] {
        assert_eq!(ChunkSize::new(bad), Err(FormatError::SizeMismatch));
    }
    for good in [limits::CHUNK_MIN, limits::CHUNK_MAX] {
        assert_eq!(ChunkSize::new(good).map(ChunkSize::get), Ok(good));
    }
}

#[test]
fn owner_documents_count_from_one_and_fit_their_limit() {
    let request = Request::Policy(Policy::DEFAULT);
    let document = OwnerDocument { product: product(), target: Target::All, serial: 0, request };
    assert_eq!(document.encode(&mut [0; 512]), Err(FormatError::ZeroVersion));
    let set = signatures();
    let whole = |signers| {
        SignedOwner::encode(&[0; 200], &List::of(signers).unwrap(), &mut [0; 1024]).map(<[u8]>::len)
    };
    assert_eq!(whole(&set[..2]), Ok(354));
    assert_eq!(whole(&set[..3]), Err(FormatError::OverLimit));
}

#[test]
fn root_links_fit_their_limit() {
    let set = signatures();
    let write = |length: usize| {
        SignedRoot::encode(&vec![0; length], &List::of(&set).unwrap(), &mut [0; 2048]).map(<[u8]>::len)
    };
    assert_eq!(write(437), Ok(limits::ROOT_LINK));
    assert_eq!(write(438), Err(FormatError::OverLimit));
}

/// The largest root document there can be, so that no list of keys needs a check of its own.
#[test]
fn the_largest_root_document_fits_a_link_with_eight_signatures() {
    let keys: Vec<_> = (1..=11).map(|n| PublicKey::ed25519([n; 32])).collect();
    let role = |from: usize, to: usize| Role::new(1, List::of(&keys[from..to]).unwrap()).unwrap();
    let top = Baseline { line: u16::MAX, step: u16::MAX };
    let document = RootDocument {
        product: product(),
        version: u32::MAX,
        development: true,
        ceilings: Ceilings { feature: top, level: u32::MAX },
        roles: Roles::new(role(0, 5), role(5, 8), role(8, 11)).unwrap(),
    };
    let mut inner = [0; limits::ROOT_DOCUMENT];
    let bytes = document.encode(&mut inner).unwrap();
    assert_eq!(bytes.len(), 418);
    assert!(
        SignedRoot::encode(bytes, &List::of(&signatures()).unwrap(), &mut [0; limits::ROOT_LINK]).is_ok()
    );
}

#[test]
fn frames_fit_their_limit() {
    let frame = |length: usize| encode_frame(&vec![7; length], &mut [0; 1024]).map(<[u8]>::len);
    assert_eq!(frame(limits::FRAME + 1), Err(FormatError::OverLimit));
    assert!(frame(limits::FRAME).is_ok());
}
