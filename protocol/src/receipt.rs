//! The receipt: the head that let an image in, and the root document that admitted it (SPEC §9).
//!
//! ```text
//!  0  magic       "PLRC"
//!  4  format      1
//!  5  manifest    length, u16, little endian (0: this cell keeps a root document only)
//!  7  signatures  length, u16, little endian
//!  9  root        length, u16, little endian
//! 11  manifest, signatures, root document
//! ```

use crate::codec::{Reader, Writer};
use crate::error::FormatError;
use crate::limits;

/// The first four bytes of a receipt.
pub const MAGIC: [u8; 4] = *b"PLRC";

/// A receipt, as bytes that the verifier judges anew at every boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// The manifest's bytes; empty if only the root document is kept.
    pub manifest: &'a [u8],
    /// The signature set's bytes.
    pub signatures: &'a [u8],
    /// The root document's bytes.
    pub root: &'a [u8],
}

/// The lengths at the start of a receipt, enough to know how much to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptHeader {
    /// Bytes of the manifest.
    pub manifest: u16,
    /// Bytes of the signature set.
    pub signatures: u16,
    /// Bytes of the root document.
    pub root: u16,
}

impl ReceiptHeader {
    /// Width in bytes.
    pub const WIDTH: usize = 11;

    /// Reads the header.
    ///
    /// # Errors
    /// `BadMagic`, `UnknownFormat`, `OverLimit`, `UnexpectedEnd`, `TrailingBytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        if reader.array::<4>()? != MAGIC {
            return Err(FormatError::BadMagic);
        }
        if reader.u8()? != crate::bundle::FORMAT {
            return Err(FormatError::UnknownFormat);
        }
        let header = Self {
            manifest: u16::from_le_bytes(reader.array()?),
            signatures: u16::from_le_bytes(reader.array()?),
            root: u16::from_le_bytes(reader.array()?),
        };
        reader.finish()?;
        header.check().map(|()| header)
    }

    fn check(&self) -> Result<(), FormatError> {
        let head = usize::from(self.manifest).saturating_add(usize::from(self.signatures));
        if head > limits::HEAD || usize::from(self.root) > limits::ROOT_DOCUMENT {
            Err(FormatError::OverLimit)
        } else {
            Ok(())
        }
    }

    /// Writes the header.
    ///
    /// # Errors
    /// `OverLimit`, `BufferFull`.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], FormatError> {
        self.check()?;
        let mut writer = Writer::new(buffer);
        writer.put(&MAGIC)?;
        writer.u8(crate::bundle::FORMAT)?;
        writer.put(&self.manifest.to_le_bytes())?;
        writer.put(&self.signatures.to_le_bytes())?;
        writer.put(&self.root.to_le_bytes())?;
        Ok(writer.finish())
    }

    /// Bytes of the whole receipt.
    pub fn total(&self) -> usize {
        Self::WIDTH
            .saturating_add(usize::from(self.manifest))
            .saturating_add(usize::from(self.signatures))
            .saturating_add(usize::from(self.root))
    }
}

impl<'a> Receipt<'a> {
    /// Reads a whole receipt.
    ///
    /// # Errors
    /// Those of the header, `UnexpectedEnd`, `TrailingBytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let header = ReceiptHeader::parse(reader.take(ReceiptHeader::WIDTH)?)?;
        let receipt = Self {
            manifest: reader.take(usize::from(header.manifest))?,
            signatures: reader.take(usize::from(header.signatures))?,
            root: reader.take(usize::from(header.root))?,
        };
        reader.finish().map(|()| receipt)
    }

    /// The header that goes before these bytes.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn header(&self) -> Result<ReceiptHeader, FormatError> {
        let short = |n: usize| u16::try_from(n).map_err(|_| FormatError::OverLimit);
        let header = ReceiptHeader {
            manifest: short(self.manifest.len())?,
            signatures: short(self.signatures.len())?,
            root: short(self.root.len())?,
        };
        header.check().map(|()| header)
    }
}
