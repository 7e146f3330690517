//! Components, their images, and the alternative payloads that produce them (SPEC §4.4, §4.5).
//!
//! A payload travels as a reversed hash chain: each chunk carries the digest of the next, and the manifest
//! carries the digest of the first, so that every chunk is authentic before anything reads it.
//!
//! ```text
//! chunk i      data, `chunk` bytes            | SHA-256 of chunk i+1 (32)
//! last chunk   data, what is left (1..=chunk) |
//! ```

use crate::codec::{Reader, Writer, tagged};
use crate::error::FormatError;
use crate::ids::{ComponentId, Digest};
use crate::limits;
use crate::list::{Bounds, Element, List};

tagged! {
    /// How a payload's data becomes an image.
    pub enum Encoding {
        /// The data is the image.
        Raw = 0,
        /// The data is the image, compressed.
        Compressed = 1,
        /// The data turns the base image into the image.
        Delta = 2,
    }
}

/// A length in bytes: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u32);

impl Size {
    /// A length that isn't zero.
    ///
    /// # Errors
    /// `SizeMismatch`.
    pub const fn new(bytes: u32) -> Result<Self, FormatError> {
        if bytes == 0 { Err(FormatError::SizeMismatch) } else { Ok(Self(bytes)) }
    }

    /// In bytes.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Data bytes per chunk: 128 to 4,096.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkSize(u16);

impl ChunkSize {
    /// A chunk size within the limits.
    ///
    /// # Errors
    /// `SizeMismatch`.
    pub fn new(bytes: u16) -> Result<Self, FormatError> {
        let within = (limits::CHUNK_MIN..=limits::CHUNK_MAX).contains(&bytes);
        if within { Ok(Self(bytes)) } else { Err(FormatError::SizeMismatch) }
    }

    /// In bytes.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// One linked image of a component. A component that executes in place has one per slot address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Image {
    /// The slot address it is linked for; `None` where the slot doesn't matter or there is only one.
    pub address: Option<u32>,
    /// Bytes.
    pub size: Size,
    /// SHA-256 of the image.
    pub digest: Digest,
}

impl<'a> Element<'a> for Image {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        let (address, size) = (reader.option(Reader::u32)?, reader.u32()?);
        let digest = Digest::read(reader)?;
        Ok(Self { address, size: Size::new(size)?, digest })
    }
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        writer.option(self.address, |w, address| w.u64(u64::from(address)))?;
        writer.u64(u64::from(self.size.get()))?;
        self.digest.write(writer)
    }
    fn follows(&self, previous: &Self) -> bool {
        self.address > previous.address
    }
}

/// One way to deliver an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alternative {
    /// Position of the image in its component's list.
    pub image: u8,
    /// How data becomes the image.
    pub encoding: Encoding,
    /// Digest of the image a delta starts from.
    pub base: Option<Digest>,
    /// Data bytes, without the digests between chunks.
    pub size: Size,
    /// Data bytes per chunk.
    pub chunk: ChunkSize,
    /// RAM in bytes that decoding needs besides one chunk; 0 for raw.
    pub ram: u32,
    /// SHA-256 of the first chunk.
    pub first: Digest,
}

impl Alternative {
    /// Number of chunks.
    pub fn chunks(&self) -> u32 {
        self.size.get().div_ceil(u32::from(self.chunk.get()).max(1))
    }

    /// Bytes it takes in the bundle: data and the digests between chunks.
    pub fn stored(&self) -> u64 {
        let links = u64::from(self.chunks()).saturating_sub(1);
        u64::from(self.size.get()).saturating_add(links.saturating_mul(32))
    }

    fn check(&self) -> Result<(), FormatError> {
        if self.encoding == Encoding::Raw && self.ram != 0 {
            return Err(FormatError::SizeMismatch);
        }
        if self.base.is_some() == (self.encoding == Encoding::Delta) {
            Ok(())
        } else {
            Err(FormatError::BaseMismatch)
        }
    }
}

impl<'a> Element<'a> for Alternative {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        let (image, encoding) = (reader.u8()?, Encoding::read(reader)?);
        let base = reader.option(Digest::read)?;
        let (size, chunk, ram) = (reader.u32()?, reader.u16()?, reader.u32()?);
        let first = Digest::read(reader)?;
        let (size, chunk) = (Size::new(size)?, ChunkSize::new(chunk)?);
        let alternative = Self { image, encoding, base, size, chunk, ram, first };
        alternative.check().map(|()| alternative)
    }
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        self.check()?;
        writer.u8(self.image)?;
        self.encoding.write(writer)?;
        writer.option(self.base, |w, base| base.write(w))?;
        writer.u64(u64::from(self.size.get()))?;
        writer.u64(u64::from(self.chunk.get()))?;
        writer.u64(u64::from(self.ram))?;
        self.first.write(writer)
    }
    fn follows(&self, previous: &Self) -> bool {
        (self.image, self.encoding.tag(), self.base)
            > (previous.image, previous.encoding.tag(), previous.base)
    }
}

/// A component of a release, always named with its final images, even if no payload comes with it.
#[derive(Debug, Clone, Copy)]
pub struct Component<'a> {
    /// Which component.
    pub id: ComponentId,
    /// Its images, by address.
    pub images: List<'a, Image>,
    /// Ways to deliver them; none if the image must already be installed.
    pub alternatives: List<'a, Alternative>,
}

const IMAGE_BOUNDS: Bounds = Bounds { min: 1, max: limits::IMAGES };
const ALTERNATIVE_BOUNDS: Bounds = Bounds { min: 0, max: limits::ALTERNATIVES };

impl<'a> Component<'a> {
    /// Rules that span the two lists.
    fn check(&self) -> Result<(), FormatError> {
        if self.images.len() > 1 && self.images.iter().any(|image| image.address.is_none()) {
            return Err(FormatError::AddressMismatch);
        }
        for alternative in self.alternatives.iter() {
            let image = self.images.at(usize::from(alternative.image)).ok_or(FormatError::UnknownImage)?;
            if alternative.encoding == Encoding::Raw && alternative.size != image.size {
                return Err(FormatError::SizeMismatch);
            }
        }
        Ok(())
    }

    /// True if every image can be installed on any device, whatever runs there.
    pub fn is_self_contained(&self) -> bool {
        (0u8..)
            .zip(self.images.iter())
            .all(|(position, _)| self.alternatives.iter().any(|a| a.image == position && a.base.is_none()))
    }
}

impl<'a> Element<'a> for Component<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        let component = Self {
            id: ComponentId(reader.u8()?),
            images: List::read(reader, IMAGE_BOUNDS)?,
            alternatives: List::read(reader, ALTERNATIVE_BOUNDS)?,
        };
        component.check().map(|()| component)
    }
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        self.check()?;
        writer.u8(self.id.0)?;
        self.images.write(writer, IMAGE_BOUNDS)?;
        self.alternatives.write(writer, ALTERNATIVE_BOUNDS)
    }
    fn follows(&self, previous: &Self) -> bool {
        self.id > previous.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_data_needs_no_ram() {
        let digest = Digest([7; 32]);
        let raw = Alternative {
            image: 0,
            encoding: Encoding::Raw,
            base: None,
            size: Size::new(1).unwrap(),
            chunk: ChunkSize::new(limits::CHUNK_DEFAULT).unwrap(),
            ram: 0,
            first: digest,
        };
        let write = |a: Alternative| a.write(&mut Writer::new(&mut [0; 64]));
        assert_eq!(write(raw), Ok(()));
        assert_eq!(write(Alternative { ram: 1, ..raw }), Err(FormatError::SizeMismatch));
        assert_eq!(write(Alternative { encoding: Encoding::Compressed, ram: 1, ..raw }), Ok(()));
    }
}
