//! The frame of a bundle file (SPEC §3).
//!
//! ```text
//!  0  magic            "PLBN"
//!  4  format           1
//!  5  links            number of root links, 0..=32
//!  6  manifest length  u16, little endian
//!  8  signatures       length, u16, little endian
//! 10  root links       each: length u16 little endian, signed root document
//!  .  manifest
//!  .  signatures
//!  .  payloads         of every alternative, in manifest order; then the file ends
//! ```
//! The header isn't signed and decides nothing: what it gets wrong, a signature or a length gives away.

use crate::codec::{Reader, Writer};
use crate::error::FormatError;
use crate::limits;
use crate::manifest::Manifest;

/// The first four bytes of a bundle.
pub const MAGIC: [u8; 4] = *b"PLBN";
/// The format version this crate reads and writes.
pub const FORMAT: u8 = 1;
/// Bytes of a root link's length.
pub const LINK_PREFIX: usize = 2;

/// The fixed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Root links that follow.
    pub links: u8,
    /// Bytes of the manifest.
    pub manifest: u16,
    /// Bytes of the signature set.
    pub signatures: u16,
}

impl Header {
    /// Width in bytes.
    pub const WIDTH: usize = 10;

    /// Reads the header.
    ///
    /// # Errors
    /// `BadMagic`, `UnknownFormat`, `OverLimit`, `UnexpectedEnd`, `TrailingBytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        if reader.array::<4>()? != MAGIC {
            return Err(FormatError::BadMagic);
        }
        if reader.u8()? != FORMAT {
            return Err(FormatError::UnknownFormat);
        }
        let header = Self {
            links: reader.u8()?,
            manifest: u16::from_le_bytes(reader.array()?),
            signatures: u16::from_le_bytes(reader.array()?),
        };
        reader.finish()?;
        header.check().map(|()| header)
    }

    /// Writes the header.
    ///
    /// # Errors
    /// `OverLimit`, `BufferFull`.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], FormatError> {
        self.check()?;
        let mut writer = Writer::new(buffer);
        writer.put(&MAGIC)?;
        writer.u8(FORMAT)?;
        writer.u8(self.links)?;
        writer.put(&self.manifest.to_le_bytes())?;
        writer.put(&self.signatures.to_le_bytes())?;
        Ok(writer.finish())
    }

    /// Bytes of manifest and signatures.
    pub fn documents(&self) -> usize {
        usize::from(self.manifest).saturating_add(usize::from(self.signatures))
    }

    fn check(&self) -> Result<(), FormatError> {
        let head = Self::WIDTH.saturating_add(self.documents());
        if head > limits::HEAD || usize::from(self.links) > limits::LINKS {
            return Err(FormatError::OverLimit);
        }
        if self.manifest == 0 || self.signatures == 0 { Err(FormatError::UnexpectedEnd) } else { Ok(()) }
    }
}

/// Where payloads lie, counted from the end of the signatures: component, alternative, first byte.
pub fn payload_offset(manifest: &Manifest<'_>, component: usize, alternative: usize) -> Option<u64> {
    let mut offset = 0u64;
    for (c, entry) in manifest.components.iter().enumerate() {
        for (a, payload) in entry.alternatives.iter().enumerate() {
            if (c, a) == (component, alternative) {
                return Some(offset);
            }
            offset = offset.checked_add(payload.stored())?;
        }
    }
    None
}

/// Bytes of all payloads together.
pub fn payload_total(manifest: &Manifest<'_>) -> u64 {
    manifest
        .components
        .iter()
        .flat_map(|component| component.alternatives.iter())
        .fold(0, |sum, payload| sum.saturating_add(payload.stored()))
}
