//! Keys, signatures, and the fixed preimage that a signer signs (SPEC §6).
//!
//! A signature never covers a document itself but [`Preimage`]: a domain tag, the product, and the document's
//! SHA-256 digest, 96 bytes in all. So HSMs, cloud key services and air-gapped signers take it in one call,
//! and a signature on one kind of document never counts for another.

use crate::codec::{Reader, Writer, tagged};
use crate::error::FormatError;
use crate::ids::{Digest, Product, bytes_id};
use crate::limits;
use crate::list::{Bounds, Element, List};

tagged! {
    /// Signature algorithms. Tags from 1 on are free for post-quantum signatures.
    pub enum Algorithm {
        /// Ed25519 (RFC 8032), verified strictly: canonical encodings, no small-order keys.
        Ed25519 = 0,
    }
}

bytes_id!(
    /// The first eight bytes of a public key: enough to find it, and no two keys of a root share one.
    KeyId, 8
);

/// A public key with its algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey {
    /// What kind of key it is.
    pub algorithm: Algorithm,
    /// The key as RFC 8032 encodes it.
    pub bytes: [u8; 32],
}

impl PublicKey {
    /// An Ed25519 key.
    pub const fn ed25519(bytes: [u8; 32]) -> Self {
        Self { algorithm: Algorithm::Ed25519, bytes }
    }

    /// Its short name.
    pub fn id(&self) -> KeyId {
        let [a, b, c, d, e, f, g, h, ..] = self.bytes;
        KeyId([a, b, c, d, e, f, g, h])
    }
}

impl<'a> Element<'a> for PublicKey {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        Ok(Self { algorithm: Algorithm::read(reader)?, bytes: reader.array()? })
    }
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        self.algorithm.write(writer)?;
        writer.put(&self.bytes)
    }
    fn follows(&self, previous: &Self) -> bool {
        self.id().follows(&previous.id())
    }
}

/// One signature and the key it claims to be by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature {
    /// Which key.
    pub key: KeyId,
    /// Which algorithm; it must be the key's.
    pub algorithm: Algorithm,
    /// The signature as RFC 8032 encodes it.
    pub bytes: [u8; 64],
}

impl<'a> Element<'a> for Signature {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        Ok(Self { key: KeyId::read(reader)?, algorithm: Algorithm::read(reader)?, bytes: reader.array()? })
    }
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        self.key.write(writer)?;
        self.algorithm.write(writer)?;
        writer.put(&self.bytes)
    }
    /// By key: a key can't appear twice in a set.
    fn follows(&self, previous: &Self) -> bool {
        self.key.follows(&previous.key)
    }
}

/// How many signatures a set holds.
pub const SIGNATURE_BOUNDS: Bounds = Bounds { min: 1, max: limits::SIGNATURES };

/// Reads a whole signature set.
///
/// # Errors
/// Those of the list, `TrailingBytes`.
pub fn read_signatures(bytes: &[u8]) -> Result<List<'_, Signature>, FormatError> {
    let mut reader = Reader::new(bytes);
    let set = List::read(&mut reader, SIGNATURE_BOUNDS)?;
    reader.finish()?;
    Ok(set)
}

tagged! {
    /// What a signature is about. The tag in the preimage is [`DocumentKind::domain`].
    pub enum DocumentKind {
        /// The manifest of a security patch.
        SecurityPatch = 0,
        /// The manifest of a feature update.
        FeatureUpdate = 1,
        /// A root document.
        Root = 2,
        /// An owner document.
        Owner = 3,
        /// A status report signed by a device key.
        Status = 4,
    }
}

impl DocumentKind {
    /// The domain tag: 32 bytes, zero-padded. It holds the format version.
    pub const fn domain(self) -> &'static [u8; 32] {
        match self {
            Self::SecurityPatch => b"patchlane/1/security-patch\0\0\0\0\0\0",
            Self::FeatureUpdate => b"patchlane/1/feature-update\0\0\0\0\0\0",
            Self::Root => b"patchlane/1/root-document\0\0\0\0\0\0\0",
            Self::Owner => b"patchlane/1/owner-document\0\0\0\0\0\0",
            Self::Status => b"patchlane/1/status-report\0\0\0\0\0\0\0",
        }
    }
}

/// Exactly what is signed: domain tag (32), vendor (16), class (16), SHA-256 of the document (32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preimage([u8; Preimage::WIDTH]);

impl Preimage {
    /// Width in bytes.
    pub const WIDTH: usize = 96;

    /// The preimage for a document of `kind`, for `product`, whose bytes have `digest`.
    pub fn new(kind: DocumentKind, product: &Product, digest: &Digest) -> Self {
        let mut bytes = [0; Self::WIDTH];
        let mut writer = Writer::new(&mut bytes);
        // 32 + 16 + 16 + 32 bytes fill the buffer exactly (tested), so no write can fail.
        let _ = writer.put(kind.domain());
        let _ = product.write(&mut writer);
        let _ = digest.write(&mut writer);
        Self(bytes)
    }

    /// The bytes to sign or to verify.
    pub const fn as_bytes(&self) -> &[u8; Self::WIDTH] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClassId, VendorId};

    #[test]
    fn the_preimage_holds_every_part_and_no_two_kinds_share_one() {
        let product = Product { vendor: VendorId([1; 16]), class: ClassId([2; 16]) };
        let digest = Digest([3; 32]);
        for kind in DocumentKind::ALL {
            let p = Preimage::new(*kind, &product, &digest);
            assert_eq!(&p.0[..32], kind.domain());
            assert_eq!(p.0[32..48], [1; 16]);
            assert_eq!(p.0[48..64], [2; 16]);
            assert_eq!(p.0[64..], [3; 32]);
            for other in DocumentKind::ALL.iter().filter(|o| *o != kind) {
                assert_ne!(p, Preimage::new(*other, &product, &digest));
            }
        }
    }
}
