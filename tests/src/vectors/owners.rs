//! Vectors for owner documents (SPEC §7).

use super::fixtures::{framed, product, public, root, sha256, sign, splice};
use super::mirror::{Key, Owner, Policy, Product, Request, Tag, Target, encode};
use super::{Expect, Vector};
use patchlane_protocol::{DocumentKind, FormatError, Refusal};

const DEVICE: [u8; 16] = [0xd1; 16];

fn approval() -> Owner {
    let request = Request::Release(Tag::T0, sha256(b"a manifest"));
    Owner { product: product(), target: Target::Devices(vec![DEVICE]), serial: 6, request }
}

fn anchor(label: &str) -> Owner {
    Owner { request: Request::Anchor(Key { algorithm: Tag::T0, bytes: public(label) }), ..approval() }
}

fn signed(owner: &Owner, labels: &[&str]) -> Vec<u8> {
    let document = encode(owner);
    [b"PLOD\x01".to_vec(), framed(&document, &sign(DocumentKind::Owner, &document, labels))].concat()
}

/// On the device `DEVICE` of group 7 that has accepted serial 5.
fn on_device(name: &'static str, signed: Vec<u8>, anchor: &[u8], expect: Expect) -> Vector {
    let inputs = vec![
        ("root", encode(&root())),
        ("anchor", anchor.to_vec()),
        ("device", DEVICE.to_vec()),
        ("owner", signed),
    ];
    Vector::judged(name, "verify-owner", inputs, expect).with("group", 7).with("serial", 5)
}

/// The document, its frame, and what a device makes of it.
pub fn vectors() -> Vec<Vector> {
    [formats(), accepted(), refused()].concat()
}

fn formats() -> Vec<Vector> {
    let good = signed(&approval(), &["owner"]);
    let v = |name, input, error| Vector::refuse(name, "signed-owner", input, error);
    let policy = Owner {
        target: Target::All,
        request: Request::Policy(Policy { security: Tag::T3, feature: Tag::T2 }),
        ..approval()
    };
    let nobody = Owner { target: Target::Devices(Vec::new()), ..approval() };
    vec![
        Vector::accept("owner-policy", "owner-document", encode(&policy))
            .shows(&["M7.1", "M7.2"], "A policy for all"),
        Vector::accept("owner-signed", "signed-owner", good.clone())
            .shows(&["M7.2"], "Frame, document, signatures"),
        Vector::refuse(
            "owner-serial-zero",
            "owner-document",
            encode(&Owner { serial: 0, ..approval() }),
            FormatError::ZeroVersion,
        )
        .shows(&["M7.1"], "A fresh device has accepted serial 0"),
        Vector::refuse("owner-for-no-device", "owner-document", encode(&nobody), FormatError::EmptyList)
            .shows(&["M2.7"], "For no device must not be read as for all"),
        Vector::refuse(
            "owner-unknown-request",
            "owner-document",
            {
                let bytes = encode(&approval());
                splice(&bytes, bytes.len() - 34, 1, &[3])
            },
            FormatError::UnknownTag,
        )
        .shows(&["M2.5"], "What a reader doesn't know it doesn't guess"),
        v("owner-bad-magic", splice(&good, 0, 1, b"X"), FormatError::BadMagic)
            .shows(&["M7.2"], "Not an owner document"),
        v("owner-unknown-format", splice(&good, 4, 1, &[0]), FormatError::UnknownFormat)
            .shows(&["M7.2"], "A later format may give the same bytes another meaning"),
        v("owner-too-long", [good, vec![0; 384]].concat(), FormatError::OverLimit)
            .shows(&["M7.2"], "Buffers have a size"),
    ]
}

fn accepted() -> Vec<Vector> {
    let owner = public("owner");
    let yes = |name, document: &Owner, labels: &[&str]| {
        on_device(name, signed(document, labels), &owner, Expect::Accept)
    };
    let at = |target| Owner { target, ..approval() };
    vec![
        yes("owner-approves", &approval(), &["owner"])
            .shows(&["M7.3", "M7.5", "M7.6", "M7.7"], "Signed by the anchor, with the next serial"),
        yes("owner-approves-group", &at(Target::Group(7)), &["owner"])
            .shows(&["M7.5"], "One document for a plant"),
        yes("owner-new-anchor", &anchor("new owner"), &["owner", "new owner"])
            .shows(&["M7.4"], "Signed by the old anchor and by the new key"),
    ]
}

fn refused() -> Vec<Vector> {
    let owner = public("owner");
    let no = |name, document: &Owner, labels: &[&str], refusal| {
        on_device(name, signed(document, labels), &owner, Expect::Refuse(refusal))
    };
    let at = |target| Owner { target, ..approval() };
    let foreign = Owner { product: Product { class: [0; 16], ..product() }, ..approval() };
    vec![
        no("owner-signed-by-another", &approval(), &["stranger"], Refusal::OwnerSignature)
            .shows(&["M7.3"], "Only the owner speaks for the owner"),
        no("owner-signed-by-vendor", &approval(), &["feature"], Refusal::OwnerSignature)
            .shows(&["M7.3"], "A vendor can't approve its own features"),
        no("owner-with-extra-signature", &approval(), &["owner", "stranger"], Refusal::OwnerSignature)
            .shows(&["M7.3"], "Nothing unneeded rides along"),
        no("owner-anchor-not-self-signed", &anchor("new owner"), &["owner"], Refusal::OwnerSignature)
            .shows(&["M7.4"], "A mistyped key would lock the owner out"),
        no("owner-anchor-without-old", &anchor("new owner"), &["new owner"], Refusal::OwnerSignature)
            .shows(&["M7.4"], "Anyone can sign for their own key"),
        no(
            "owner-anchor-is-vendor-key",
            &anchor("feature"),
            &["owner", "feature"],
            Refusal::VendorKeyAsOwner,
        )
        .shows(&["M7.4"], "The owner's consent must be the owner's"),
        no("owner-other-product", &foreign, &["owner"], Refusal::WrongProduct)
            .shows(&["M7.5"], "One owner, two products"),
        no(
            "owner-other-device",
            &at(Target::Devices(vec![[0xd2; 16]])),
            &["owner"],
            Refusal::NotForThisDevice,
        )
        .shows(&["M7.5"], "An approval replayed on another device"),
        no("owner-other-group", &at(Target::Group(8)), &["owner"], Refusal::NotForThisDevice)
            .shows(&["M7.5"], "An approval replayed in another plant"),
        no("owner-serial-spent", &Owner { serial: 5, ..approval() }, &["owner"], Refusal::SerialSpent)
            .shows(&["M7.6"], "An approval replayed"),
        on_device(
            "owner-without-anchor",
            signed(&approval(), &["owner"]),
            &[],
            Expect::Refuse(Refusal::NoAnchor),
        )
        .shows(&["M7.7"], "No anchor means no owner, never any owner"),
    ]
}
