//! Who judges the vectors of trust: the reference rules, and every verifier that plugs in here.
//!
//! A verifier answers the questions it can and says `None` to the others; each answer must be the vector's.

use super::fixtures::sha256;
use super::reference::{self, Owned};
use super::{Expect, Vector};
use crate::code::decode;
use crate::sim::SimDevice;
use crate::sim::sweep::uniform;
use crate::sim::world::Release;
use patchlane_device::Cause;
use patchlane_device::evidence::Received;
use patchlane_device::rules::transition::classify;
use patchlane_device::rules::{Offer, Standing, Transition};
use patchlane_device::verify::{self, Addressee};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::SignedOwner;
use patchlane_protocol::{
    DeviceId, Digest, GroupId, Image, Manifest, PublicKey, Refusal, RootDocument, SignedRoot, Size,
};

/// `accept`, a transition, or a refusal; `None` if the verifier has no such rule.
pub type Verdict = Option<Result<&'static str, Refusal>>;

/// Judges what more than reading decides.
pub trait Verifier {
    /// What problems call it.
    fn name(&self) -> &'static str;
    /// A manifest and its signatures under a root document.
    fn head(&self, manifest: &[u8], signatures: &[u8], root: &[u8]) -> Verdict;
    /// A root link from the present root document.
    fn link(&self, link: &[u8], present: &[u8]) -> Verdict;
    /// A signed owner document on a device.
    fn owner(&self, document: &[u8], on: &Owned<'_>) -> Verdict;
    /// A payload of the first alternative.
    fn payload(&self, manifest: &[u8], stored: &[u8]) -> Verdict;
    /// Authentic data of a delta, on the base that flash holds.
    fn delta(&self, delta: &Delta<'_>) -> Verdict;
    /// An authentic manifest on a device with another one confirmed.
    fn transition(&self, confirmed: &[u8], offered: &[u8], hardware: u16, damaged: bool) -> Verdict;
}

/// A delta where it is to be applied.
pub struct Delta<'a> {
    /// What flash holds.
    base: &'a [u8],
    /// The SHA-256 of the base it was made for.
    named: &'a [u8],
    data: &'a [u8],
    /// Bytes of the image.
    length: usize,
    /// The image's SHA-256; empty where it is never reached.
    image: &'a [u8],
}

/// Everyone who has a say.
pub const ALL: &[&dyn Verifier] = &[&Reference, &Device, &Flash];

/// What one verifier makes of a vector.
pub fn judge(who: &dyn Verifier, v: &Vector) -> Option<Expect> {
    let verdict = match v.document {
        "verify-head" => who.head(v.bytes("manifest"), v.bytes("signatures"), v.bytes("root")),
        "verify-link" => who.link(v.bytes("link"), v.bytes("present")),
        "verify-owner" => who.owner(
            v.bytes("owner"),
            &Owned {
                root: v.bytes("root"),
                anchor: v.bytes("anchor"),
                device: v.bytes("device"),
                group: GroupId(v.number("group") as u32),
                serial: v.number("serial"),
            },
        ),
        "verify-payload" => who.payload(v.bytes("manifest"), v.bytes("payload")),
        "delta" => who.delta(&Delta {
            base: v.bytes("base"),
            named: v.bytes("named"),
            data: v.bytes("data"),
            length: v.number("length") as usize,
            image: v.bytes("image"),
        }),
        "judge" => {
            let damaged = v.number("damaged") == 1;
            who.transition(v.bytes("confirmed"), v.bytes("offered"), v.number("hardware") as u16, damaged)
        }
        _ => None,
    };
    verdict.map(|verdict| match verdict {
        Ok("accept") => Expect::Accept,
        Ok(transition) => Expect::Transition(transition),
        Err(refusal) => Expect::Refuse(refusal),
    })
}

/// The rules as SPEC states them.
struct Reference;

impl Verifier for Reference {
    fn name(&self) -> &'static str {
        "the reference"
    }
    fn head(&self, manifest: &[u8], signatures: &[u8], root: &[u8]) -> Verdict {
        Some(reference::head(manifest, signatures, root))
    }
    fn link(&self, link: &[u8], present: &[u8]) -> Verdict {
        Some(reference::link(link, present))
    }
    fn owner(&self, document: &[u8], on: &Owned<'_>) -> Verdict {
        Some(reference::owner(document, on))
    }
    fn payload(&self, manifest: &[u8], stored: &[u8]) -> Verdict {
        Some(reference::payload(manifest, stored))
    }
    /// Has no decoder: the stranger's is in `tests/stranger/delta.py`.
    fn delta(&self, _: &Delta<'_>) -> Verdict {
        None
    }
    fn transition(&self, confirmed: &[u8], offered: &[u8], hardware: u16, damaged: bool) -> Verdict {
        Some(reference::judge(confirmed, offered, hardware, damaged))
    }
}

/// The device's own verifier: what runs on a microcontroller, and in the command line.
struct Device;

impl Verifier for Device {
    fn name(&self) -> &'static str {
        "the device"
    }
    fn head(&self, manifest: &[u8], signatures: &[u8], root: &[u8]) -> Verdict {
        let judge = || {
            let root = RootDocument::parse(root)?;
            Received::parse(manifest, signatures)?.verify(&root).map(|_| "accept")
        };
        Some(judge())
    }
    fn link(&self, link: &[u8], present: &[u8]) -> Verdict {
        let judge = || {
            let present = RootDocument::parse(present)?;
            verify::link(&SignedRoot::parse(link)?, &present).map(|()| "accept")
        };
        Some(judge())
    }
    fn owner(&self, document: &[u8], on: &Owned<'_>) -> Verdict {
        let judge = || {
            let signed = SignedOwner::parse(document)?;
            let root = RootDocument::parse(on.root)?;
            let device = DeviceId(on.device.try_into().map_err(|_| Refusal::NotForThisDevice)?);
            let anchor = on.anchor.try_into().ok().map(PublicKey::ed25519);
            let addressee = Addressee { root: &root, anchor, device, group: on.group, serial: on.serial };
            verify::owner(&signed, &addressee).map(|()| "accept")
        };
        Some(judge())
    }
    /// Needs flash: `t07_a_flipped_payload_byte_is_caught_in_its_own_chunk` sends payloads to a whole device.
    fn payload(&self, _: &[u8], _: &[u8]) -> Verdict {
        None
    }
    /// Decodes in pieces of any size; [`Flash`] reads the digests back.
    fn delta(&self, delta: &Delta<'_>) -> Verdict {
        if sha256(delta.base) != delta.named {
            return Some(Err(Refusal::NoAlternative));
        }
        let decoded = |(chunk, window)| decode(delta.base, delta.data, delta.length, chunk, window);
        let image = decoded((128, 8));
        for pieces in [(129, 64), (512, 9), (4096, 512)] {
            assert_eq!(decoded(pieces), image, "pieces decide");
        }
        Some(match image {
            Err(_) => Err(Refusal::BadDelta),
            Ok(image) if sha256(&image) != delta.image => Err(Refusal::ImageDigest),
            Ok(_) => Ok("accept"),
        })
    }
    fn transition(&self, confirmed: &[u8], offered: &[u8], hardware: u16, damaged: bool) -> Verdict {
        let judge = || {
            let (old, new) = (Manifest::parse(confirmed)?, Manifest::parse(offered)?);
            if !new.hardware.iter().any(|revision| revision == hardware) {
                return Err(Refusal::WrongHardware);
            }
            let v = Standing { version: old.version, images: verify::images(&old), damaged };
            let offer = Offer { kind: new.kind, version: new.version, images: verify::images(&new) };
            classify(&v, &offer).map(|transition| match transition {
                Transition::Repair => "repair",
                Transition::Patch => "patch",
                Transition::FeatureUpdate => "feature-update",
                Transition::Rollback => "rollback",
            })
        };
        Some(judge())
    }
}

/// A whole device whose flash holds a base.
struct Flash;

impl Verifier for Flash {
    fn name(&self) -> &'static str {
        "a device in simulation"
    }
    fn head(&self, _: &[u8], _: &[u8], _: &[u8]) -> Verdict {
        None
    }
    fn link(&self, _: &[u8], _: &[u8]) -> Verdict {
        None
    }
    fn owner(&self, _: &[u8], _: &Owned<'_>) -> Verdict {
        None
    }
    fn payload(&self, _: &[u8], _: &[u8]) -> Verdict {
        None
    }
    fn delta(&self, delta: &Delta<'_>) -> Verdict {
        let old = Release::patch(4, 1, 7, delta.base.to_vec());
        let bases = vec![delta.base.to_vec()];
        // Large enough for a delta to pay; what it says of itself is replaced.
        let new = Release { bases, full: false, ..Release::patch(4, 1, 8, vec![0; 2_000]) };
        let digest = |bytes: &[u8]| Digest(bytes.try_into().unwrap_or([0; 32]));
        let size = Size::new(delta.length as u32).expect("not empty");
        let image = Image { address: None, size, digest: digest(delta.image) };
        let bundle = new.with_data(delta.data, Some((digest(delta.named), image)));
        let mut device = SimDevice::story(uniform(4, 4096, 8, 2), &old);
        device.restart(Cause::PowerOn);
        Some(device.push(&bundle, 512).map(|outcome| match outcome {
            Outcome::Staged => "accept",
            other => panic!("{other:?}"),
        }))
    }
    fn transition(&self, _: &[u8], _: &[u8], _: u16, _: bool) -> Verdict {
        None
    }
}
