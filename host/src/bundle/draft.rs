//! Making bundles: what goes in, the chain of its chunks, and its deltas.

use super::{Bundle, sha256};
use crate::delta;
use crate::error::{Code, Error, Result};
use patchlane_device::delta::{Isa, RAM};
use patchlane_protocol::{
    Advisory, Alternative, ChunkSize, Combined, Component, ComponentId, Digest, Encoding, FormatError, Image,
    Kind, List, Manifest, Product, Reason, Severity, Size, Version, limits,
};

/// Bytes of the largest image, or base, that a delta is made of: making one takes some 100 times as much memory.
pub const LARGEST_DELTA: usize = 16 * 1024 * 1024;

/// An advisory that a release closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closes {
    /// Its index in the product's ledger.
    pub index: u32,
    /// Its public id.
    pub id: String,
    /// How bad.
    pub severity: Severity,
    /// Whether it is exploited.
    pub exploited: bool,
}

/// An image, linked for one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// The address it is linked for; needed if a release has several images, and good for deltas.
    pub address: Option<u32>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Everything that goes into a bundle.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Patch or feature update.
    pub kind: Kind,
    /// For which product.
    pub product: Product,
    /// For which hardware revisions.
    pub hardware: Vec<u16>,
    /// Which version.
    pub version: Version,
    /// The root it is made under.
    pub root_version: u32,
    /// The image; or one for each slot that code is linked for. A device takes the one that fits.
    pub images: Vec<Linked>,
    /// Images that are known by size and digest only: those of a patch without payload, in the place of `images`.
    pub installed: Vec<Image>,
    /// The address that an image which states none is linked for, if it is known.
    pub address: Option<u32>,
    /// What devices may run now: a delta from each, where that is smaller.
    pub bases: Vec<Linked>,
    /// True if code runs from both slots: what runs in one of them is never the base of an image for the same.
    pub direct: bool,
    /// False if deltas are all it brings: it goes in only where one of the bases runs.
    pub full: bool,
    /// Whose code the images are, if that is known; else it is tried.
    pub isa: Option<Isa>,
    /// False for a patch whose image is installed already.
    pub payload: bool,
    /// Bytes of data per chunk.
    pub chunk: u16,
    /// What it closes.
    pub closes: Vec<Closes>,
    /// Seconds since 1970.
    pub issued_at: u64,
    /// Seconds since 1970.
    pub support_end: u64,
    /// SHA-256 of the evidence made before signing.
    pub evidence: Option<Digest>,
    /// What an operator reads.
    pub text: String,
    /// Why the fixes come only with features.
    pub combined: Option<(Reason, String)>,
    /// Root links, oldest first, as they travel.
    pub links: Vec<Vec<u8>>,
}

impl Draft {
    /// A draft with a payload, for hardware revision 1, under root 1.
    pub fn new(kind: Kind, product: Product, version: Version, image: Vec<u8>) -> Self {
        Self {
            kind,
            product,
            hardware: vec![1],
            version,
            root_version: 1,
            images: vec![Linked { address: None, bytes: image }],
            installed: Vec::new(),
            address: None,
            bases: Vec::new(),
            direct: false,
            full: true,
            isa: None,
            payload: true,
            chunk: limits::CHUNK_DEFAULT,
            closes: Vec::new(),
            issued_at: 0,
            support_end: 0,
            evidence: None,
            text: String::new(),
            combined: None,
            links: Vec::new(),
        }
    }

    /// Makes the bundle, without signatures.
    ///
    /// # Errors
    /// `malformed`: the rule of the format that the values break; `image` if there is none.
    pub fn build(&self) -> Result<Bundle> {
        if self.images.len() > limits::IMAGES {
            return Err(FormatError::OverLimit.into());
        }
        let mut linked: Vec<&Linked> = self.images.iter().collect();
        linked.sort_by_key(|image| image.address);
        let (mut images, mut ways) = (self.installed.clone(), Vec::new());
        for (image, position) in linked.iter().zip(0u8..) {
            let size = u32::try_from(image.bytes.len()).ok().and_then(|size| Size::new(size).ok());
            let size =
                size.ok_or_else(|| Error::new(Code::Image, "is empty or above 4 GiB", "check the image"))?;
            images.push(Image { address: image.address, size, digest: sha256(&image.bytes) });
            if self.payload {
                if self.full {
                    ways.push(self.way(position, None, &image.bytes)?);
                }
                for base in &self.bases {
                    ways.extend(self.delta(position, base, image)?);
                }
            }
        }
        ways.sort_by_key(|(way, _)| (way.image, way.encoding.tag(), way.base));
        ways.dedup_by_key(|(way, _)| (way.image, way.encoding.tag(), way.base));
        let (alternatives, chunks): (Vec<Alternative>, Vec<Vec<u8>>) = ways.into_iter().unzip();
        let payload = chunks.concat();
        let component = Component {
            id: ComponentId(0),
            images: List::of(&images)?,
            alternatives: List::of(&alternatives)?,
        };
        let components = [component];
        let advisories: Vec<Advisory<'_>> = self
            .closes
            .iter()
            .map(|c| Advisory { index: c.index, id: &c.id, severity: c.severity, exploited: c.exploited })
            .collect();
        let manifest = Manifest {
            kind: self.kind,
            product: self.product,
            hardware: List::of(&self.hardware)?,
            version: self.version,
            root_version: self.root_version,
            components: List::of(&components)?,
            advisories: List::of(&advisories)?,
            issued_at: self.issued_at,
            support_end: self.support_end,
            evidence: self.evidence,
            text: &self.text,
            combined: self.combined.as_ref().map(|(reason, because)| Combined { reason: *reason, because }),
        };
        let mut buffer = [0; limits::HEAD];
        let bytes = manifest.encode(&mut buffer)?.to_vec();
        Ok(Bundle { links: self.links.clone(), manifest: bytes, signatures: Vec::new(), payload })
    }

    /// One way to deliver an image, and its chunks.
    fn way(&self, image: u8, base: Option<Digest>, data: &[u8]) -> Result<(Alternative, Vec<u8>)> {
        let (first, chunks) = chain(data, self.chunk);
        let (encoding, ram) = if base.is_some() { (Encoding::Delta, RAM) } else { (Encoding::Raw, 0) };
        let size = u32::try_from(data.len()).map_err(|_| FormatError::OverLimit)?;
        let (size, chunk) = (Size::new(size)?, ChunkSize::new(self.chunk)?);
        Ok((Alternative { image, encoding, base, size, chunk, ram, first }, chunks))
    }

    /// A delta, unless the image in full is no longer, or is what the base already is. What was made is applied once,
    /// by the device's own decoder, before it goes anywhere.
    fn delta(&self, position: u8, base: &Linked, image: &Linked) -> Result<Option<(Alternative, Vec<u8>)>> {
        // What is made of larger ones would take more memory than machines have.
        if base.bytes.len().max(image.bytes.len()) > LARGEST_DELTA {
            return Ok(None);
        }
        let same_slot = self.direct && base.address == image.address;
        if base.bytes == image.bytes || base.bytes.is_empty() || same_slot {
            return Ok(None);
        }
        let linked = image.address.or(self.address).map(|at| (base.address.unwrap_or(at), at));
        let data = delta::smallest(&base.bytes, &image.bytes, self.isa, linked);
        if delta::apply(&base.bytes, &data, image.bytes.len())? != image.bytes {
            return Err(Error::new(Code::Internal, "a delta doesn't make its image", "report it"));
        }
        if data.len() >= image.bytes.len() {
            return Ok(None);
        }
        self.way(position, Some(sha256(&base.bytes)), &data).map(Some)
    }
}

/// Splits data into a reversed hash chain: the first chunk's digest, and the chunks as they travel.
pub fn chain(data: &[u8], chunk: u16) -> (Digest, Vec<u8>) {
    let step = usize::from(chunk).max(1);
    let digests = data.len().div_ceil(step).saturating_sub(1);
    let mut chunks = vec![0; data.len() + digests * Digest::WIDTH];
    let mut rest = &mut chunks[..];
    let mut next: Option<Digest> = None;
    // Each chunk carries the digest of the next, so they are made from the last one on.
    for block in data.chunks(step).rev() {
        let tail: &[u8] = next.as_ref().map_or(&[], |digest| &digest.0);
        let (before, piece) = rest.split_at_mut(rest.len() - block.len() - tail.len());
        let (body, digest) = piece.split_at_mut(block.len());
        body.copy_from_slice(block);
        digest.copy_from_slice(tail);
        next = Some(sha256(piece));
        rest = before;
    }
    (next.unwrap_or(Digest([0; 32])), chunks)
}
