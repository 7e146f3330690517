//! Bundles as files: building them, reading them whole, signing them, and judging them with the device's verifier.
//!
//! ```
//! use patchlane::bundle::{Bundle, Draft};
//! use patchlane::protocol::{Kind, Product, VendorId, ClassId, Version};
//!
//! let product = Product { vendor: VendorId([1; 16]), class: ClassId([2; 16]) };
//! let image = vec![0x5a; 3000];
//! let mut bundle = Draft::new(Kind::SecurityPatch, product, Version::new(4, 1, 8), image).build()?;
//! let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
//! bundle.sign(&key)?;
//! let bytes = bundle.to_bytes()?;
//! assert_eq!(Bundle::parse(&bytes)?.manifest()?.version.to_string(), "4.1 s8");
//! # Ok::<(), patchlane::Error>(())
//! ```

mod draft;

pub use draft::{Closes, Draft, LARGEST_DELTA, Linked, chain};

use crate::delta;
use crate::error::{Code, Error, Result};
use ed25519_dalek::{Signer, SigningKey};
use patchlane_device::evidence::{Received, Verified};
use patchlane_protocol::bundle::{Header, LINK_PREFIX};
use patchlane_protocol::signature::{SIGNATURE_BOUNDS, read_signatures};
use patchlane_protocol::{
    Alternative, Digest, Encoding, FormatError, Image, Kind, List, Manifest, Preimage, PublicKey, Reader,
    Refusal, RootDocument, Signature, SignedRoot, Writer, limits,
};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Signs a preimage.
pub fn signature(key: &SigningKey, preimage: &Preimage) -> Signature {
    let public = PublicKey::ed25519(key.verifying_key().to_bytes());
    let bytes = key.sign(preimage.as_bytes()).to_bytes();
    Signature { key: public.id(), algorithm: public.algorithm, bytes }
}

/// A signature set by these keys, in the order that the format wants.
pub fn signature_set(keys: &[&SigningKey], preimage: &Preimage) -> Vec<Signature> {
    let mut set: Vec<Signature> = keys.iter().map(|key| signature(key, preimage)).collect();
    set.sort_by_key(|signature| signature.key);
    set
}

/// A whole bundle, signed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    links: Vec<Vec<u8>>,
    manifest: Vec<u8>,
    signatures: Vec<Signature>,
    payload: Vec<u8>,
}

impl Bundle {
    /// Reads a whole bundle file; given a vector, it isn't copied. Every payload's chunks are checked against their
    /// chain.
    ///
    /// A file that `build` made and nobody signed yet has no signatures; devices refuse it.
    ///
    /// # Errors
    /// `malformed`, with the rule of the format that the file breaks.
    pub fn parse<'a>(bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Err(Error::empty());
        }
        let mut reader = Reader::new(&bytes);
        let mut header: [u8; Header::WIDTH] = reader.array()?;
        let unsigned = header[8..] == [0, 0];
        if unsigned {
            header[8] = 1; // what a header needs to be read; taken back below
        }
        let header = Header::parse(&header)?;
        let mut links = Vec::new();
        for _ in 0..header.links {
            let length = u16::from_le_bytes(reader.array::<LINK_PREFIX>()?);
            let link = reader.take(usize::from(length))?;
            SignedRoot::parse(link)?;
            links.push(link.to_vec());
        }
        let manifest = reader.take(usize::from(header.manifest))?.to_vec();
        let signatures = if unsigned {
            Vec::new()
        } else {
            read_signatures(reader.take(usize::from(header.signatures))?)?.iter().collect()
        };
        let head = bytes.len() - reader.rest().len();
        let payload = match bytes {
            Cow::Borrowed(bytes) => bytes[head..].to_vec(),
            Cow::Owned(mut bytes) => {
                bytes.drain(..head);
                bytes
            }
        };
        let bundle = Self { links, manifest, signatures, payload };
        bundle.check_payloads()?;
        Ok(bundle)
    }

    /// What the bundle says. Nobody has verified it.
    ///
    /// # Errors
    /// `malformed`.
    pub fn manifest(&self) -> Result<Manifest<'_>> {
        Ok(Manifest::parse(&self.manifest)?)
    }

    /// The manifest's bytes.
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.manifest
    }

    /// SHA-256 of the manifest: the name that approvals use.
    pub fn digest(&self) -> Digest {
        sha256(&self.manifest)
    }

    /// The signatures.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The root links, oldest first.
    pub fn links(&self) -> &[Vec<u8>] {
        &self.links
    }

    /// Bytes of all payloads.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signature set's bytes.
    ///
    /// # Errors
    /// `malformed` if there are none, or too many.
    pub fn signature_bytes(&self) -> Result<Vec<u8>> {
        let mut buffer = [0; limits::HEAD];
        let mut writer = Writer::new(&mut buffer);
        List::of(&self.signatures)?.write(&mut writer, SIGNATURE_BOUNDS)?;
        Ok(writer.finish().to_vec())
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// `malformed` if the head is above its limit.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok([&self.to_head()?[..], &self.payload].concat())
    }

    /// Bytes of the file.
    ///
    /// # Errors
    /// As [`Bundle::to_bytes`].
    pub fn size(&self) -> Result<usize> {
        Ok(self.to_head()?.len() + self.payload.len())
    }

    /// The file's bytes before the payload, which is the rest of it.
    ///
    /// # Errors
    /// As [`Bundle::to_bytes`].
    pub fn to_head(&self) -> Result<Vec<u8>> {
        let set = if self.signatures.is_empty() { Vec::new() } else { self.signature_bytes()? };
        let length = |n: usize| u16::try_from(n).map_err(|_| Error::from(FormatError::OverLimit));
        let links = u8::try_from(self.links.len()).map_err(|_| Error::from(FormatError::OverLimit))?;
        let signatures = length(set.len())?.max(1);
        let header = Header { links, manifest: length(self.manifest.len())?, signatures };
        let mut buffer = [0; Header::WIDTH];
        let mut file = header.encode(&mut buffer)?.to_vec();
        if set.is_empty() {
            file.truncate(Header::WIDTH - 2);
            file.extend([0, 0]);
        }
        for link in &self.links {
            file.extend(length(link.len())?.to_le_bytes());
            file.extend(link);
        }
        file.extend(&self.manifest);
        file.extend(set);
        Ok(file)
    }

    /// The 96 bytes that a signer signs.
    ///
    /// # Errors
    /// `malformed`.
    pub fn preimage(&self) -> Result<Preimage> {
        let manifest = self.manifest()?;
        Ok(Preimage::new(manifest.kind.document(), &manifest.product, &self.digest()))
    }

    /// Adds a signature by `key`, in the place of an earlier one by it. Same key, same bundle, same bytes.
    ///
    /// # Errors
    /// `malformed`.
    pub fn sign(&mut self, key: &SigningKey) -> Result<()> {
        let new = signature(key, &self.preimage()?);
        self.signatures.retain(|old| old.key != new.key);
        self.signatures.push(new);
        self.signatures.sort_by_key(|signature| signature.key);
        Ok(())
    }

    /// Walks the root links as a device that trusts `root` does, and returns the root that judges after them.
    ///
    /// # Errors
    /// `refused`: which rule a link breaks; `malformed`.
    pub fn walk<'a>(&'a self, root: RootDocument<'a>) -> Result<RootDocument<'a>> {
        let mut present = root;
        for link in &self.links {
            let link = SignedRoot::parse(link)?;
            if link.document.product != present.product {
                return Err(Refusal::WrongProduct.into());
            }
            if link.document.version > present.version {
                patchlane_device::verify::link(&link, &present)?;
                present = link.document;
            }
        }
        Ok(present)
    }

    /// Judges links and head with the device's own verifier, and gives the head to `look`.
    ///
    /// # Errors
    /// `refused`, `not-enough-signatures`, `malformed`.
    pub fn verify<T>(
        &self,
        root: &RootDocument<'_>,
        look: impl FnOnce(&Verified<'_>) -> std::result::Result<T, Refusal>,
    ) -> Result<T> {
        if self.signatures.is_empty() {
            return Err(Error::new(Code::Unsigned, "isn't signed", "sign it: patchlane sign FILE"));
        }
        let set = self.signature_bytes()?;
        let root = &self.walk(*root)?;
        let verified = Received::parse(&self.manifest, &set)?.verify(root).map_err(|refusal| {
            let lacking = if refusal == Refusal::BelowThreshold { self.lacking(root) } else { None };
            let error = Error::refused(refusal);
            Error { what: lacking.unwrap_or_else(|| error.what.clone()), ..error }
        })?;
        Ok(look(&verified)?)
    }

    /// Which role hasn't signed enough, in words.
    fn lacking(&self, root: &RootDocument<'_>) -> Option<String> {
        let feature = self.manifest().is_ok_and(|m| m.kind == Kind::FeatureUpdate);
        let roles =
            [("security", Some(root.roles.security())), ("feature", feature.then_some(root.roles.feature()))];
        roles.into_iter().find_map(|(name, role)| {
            let role = role?;
            let signed = |key: &PublicKey| self.signatures.iter().any(|signature| signature.key == key.id());
            let (signers, needed) =
                (role.keys().iter().filter(signed).count(), usize::from(role.threshold()));
            let (keys, have) =
                (if signers == 1 { "key" } else { "keys" }, if needed == 1 { "has" } else { "have" });
            (signers < needed)
                .then(|| format!("is signed by {signers} {name} {keys}, and {needed} {have} to"))
        })
    }

    /// The ways to deliver its images, each with its payload: the one place that knows where those lie.
    fn ways(&self) -> Result<Vec<Way<'_>>> {
        let manifest = self.manifest()?;
        let (mut rest, mut ways) = (&self.payload[..], Vec::new());
        for component in manifest.components.iter() {
            for alternative in component.alternatives.iter() {
                let stored = usize::try_from(alternative.stored()).unwrap_or(usize::MAX);
                let (payload, after) = rest.split_at_checked(stored).ok_or(FormatError::UnexpectedEnd)?;
                let image =
                    component.images.at(usize::from(alternative.image)).ok_or(FormatError::UnknownImage)?;
                ways.push(Way { alternative, image, payload });
                rest = after;
            }
        }
        if rest.is_empty() { Ok(ways) } else { Err(FormatError::TrailingBytes.into()) }
    }

    /// Every payload lies at its place and is the chain that the manifest names; raw data is the image.
    fn check_payloads(&self) -> Result<()> {
        for way in self.ways()? {
            let mut hash = Sha256::new();
            unchain(way.payload, &way.alternative, |data| hash.update(data))?;
            let raw = way.alternative.encoding == Encoding::Raw;
            if raw && way.image.digest != Digest(hash.finalize().into()) {
                return Err(Refusal::ImageDigest.into());
            }
        }
        Ok(())
    }

    /// Every image that the bundle carries whole.
    ///
    /// # Errors
    /// `malformed`.
    pub fn images(&self) -> Result<Vec<Linked>> {
        let mut images = Vec::new();
        for way in self.ways()?.iter().filter(|way| way.alternative.encoding == Encoding::Raw) {
            images.push(Linked { address: way.image.address, bytes: way.data()? });
        }
        Ok(images)
    }

    /// The images that the bundle's deltas make of this base.
    ///
    /// # Errors
    /// `malformed`, if a delta doesn't make the image it is for.
    pub fn images_from(&self, base: &[u8]) -> Result<Vec<Linked>> {
        let (digest, mut images) = (Some(sha256(base)), Vec::new());
        for way in self.ways()?.iter().filter(|way| way.alternative.base == digest) {
            let bytes = delta::apply(base, &way.data()?, way.image.size.get() as usize)?;
            if sha256(&bytes) != way.image.digest {
                return Err(Refusal::ImageDigest.into());
            }
            images.push(Linked { address: way.image.address, bytes });
        }
        Ok(images)
    }

    /// The image that a device with code at `address` takes, if the bundle carries it whole.
    ///
    /// # Errors
    /// `malformed`.
    pub fn image_for(&self, address: Option<u32>) -> Result<Option<Vec<u8>>> {
        let fits = |image: &Linked| image.address.is_none() || image.address == address;
        Ok(self.images()?.into_iter().find(fits).map(|image| image.bytes))
    }
}

/// One way to deliver an image.
struct Way<'a> {
    alternative: Alternative,
    image: Image,
    payload: &'a [u8],
}

impl Way<'_> {
    /// Its data, out of the chain.
    fn data(&self) -> Result<Vec<u8>> {
        let mut data = Vec::with_capacity(self.payload.len());
        unchain(self.payload, &self.alternative, |piece| data.extend(piece))?;
        Ok(data)
    }
}

/// Gives each chunk's data to `take`, once the chunk is checked.
fn unchain(payload: &[u8], alternative: &Alternative, mut take: impl FnMut(&[u8])) -> Result<()> {
    let chunk = usize::from(alternative.chunk.get());
    let mut expected = alternative.first;
    for piece in payload.chunks(chunk.saturating_add(Digest::WIDTH)) {
        if sha256(piece) != expected {
            return Err(Refusal::ChunkDigest.into());
        }
        let (data, digest) = piece.split_at(piece.len().min(chunk));
        take(data);
        if let Ok(next) = digest.try_into() {
            expected = Digest(next);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchlane_protocol::{ClassId, VendorId};
    use patchlane_protocol::{Product, Version};

    fn draft() -> Draft {
        let product = Product { vendor: VendorId([1; 16]), class: ClassId([2; 16]) };
        let image = (0..3000u32).map(|i| (i * 7 % 251) as u8).collect();
        Draft::new(Kind::SecurityPatch, product, Version::new(4, 1, 8), image)
    }

    #[test]
    fn what_is_written_reads_back_signed_or_not() {
        let mut bundle = draft().build().unwrap();
        assert_eq!(Bundle::parse(bundle.to_bytes().unwrap()).unwrap(), bundle);
        bundle.sign(&SigningKey::from_bytes(&[3; 32])).unwrap();
        bundle.sign(&SigningKey::from_bytes(&[4; 32])).unwrap();
        assert_eq!(Bundle::parse(bundle.to_bytes().unwrap()).unwrap(), bundle);
        assert_eq!(bundle.images().unwrap(), draft().images);
    }

    #[test]
    fn an_unsigned_bundle_is_no_bundle_for_a_device() {
        let bytes = draft().build().unwrap().to_bytes().unwrap();
        assert_eq!(Header::parse(&bytes[..Header::WIDTH]), Err(FormatError::UnexpectedEnd));
    }

    #[test]
    fn any_flipped_byte_and_any_truncation_is_noticed() {
        let mut bundle = draft().build().unwrap();
        bundle.sign(&SigningKey::from_bytes(&[3; 32])).unwrap();
        let good = bundle.to_bytes().unwrap();
        let key = SigningKey::from_bytes(&[3; 32]).verifying_key();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            let noticed = match Bundle::parse(&bad) {
                Err(_) => true,
                Ok(read) => {
                    let set = read.signatures()[0];
                    let signature = ed25519_dalek::Signature::from_bytes(&set.bytes);
                    set.key != bundle.signatures()[0].key
                        || key.verify_strict(read.preimage().unwrap().as_bytes(), &signature).is_err()
                }
            };
            assert!(noticed, "byte {at}");
        }
        for length in 0..good.len() {
            assert!(Bundle::parse(&good[..length]).is_err(), "{length}");
        }
    }
}
