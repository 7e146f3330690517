//! The receipt: the head that let an image in, and the root document that admitted it (SPEC §9).
//!
//! ```text
//!  0  magic       "PLRC"
//!  4  format      1
//!  5  manifest    length, u16, little endian (0: this cell keeps a root document only,
//!                and signatures are 0 too)
//!  7  signatures  length, u16, little endian
//!  9  root        length, u16, little endian
//! 11  manifest, signatures, root document (never empty)
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
        // What no bundle brings, no receipt keeps.
        let documents = usize::from(self.manifest).saturating_add(usize::from(self.signatures));
        let head = documents.saturating_add(crate::bundle::Header::WIDTH);
        if head > limits::HEAD || usize::from(self.root) > limits::ROOT_DOCUMENT {
            return Err(FormatError::OverLimit);
        }
        let half_a_head = (self.manifest == 0) != (self.signatures == 0);
        if half_a_head || self.root == 0 { Err(FormatError::UnexpectedEnd) } else { Ok(()) }
    }

    /// Writes the header.
    ///
    /// # Errors
    /// `OverLimit`, `UnexpectedEnd`, `BufferFull`.
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

    /// Writes a whole receipt.
    ///
    /// # Errors
    /// Those of the header, `BufferFull`.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], FormatError> {
        let mut header = [0; ReceiptHeader::WIDTH];
        let mut writer = Writer::new(buffer);
        writer.put(self.header()?.encode(&mut header)?)?;
        writer.put(self.manifest)?;
        writer.put(self.signatures)?;
        writer.put(self.root)?;
        Ok(writer.finish())
    }

    /// The header that goes before these bytes.
    ///
    /// # Errors
    /// `OverLimit`, `UnexpectedEnd`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_holds_a_whole_head_or_none_and_always_a_root() {
        let refused = |manifest, signatures, root| {
            ReceiptHeader { manifest, signatures, root }.encode(&mut [0; ReceiptHeader::WIDTH]).unwrap_err()
        };
        assert_eq!(refused(1, 0, 1), FormatError::UnexpectedEnd);
        assert_eq!(refused(0, 1, 1), FormatError::UnexpectedEnd);
        assert_eq!(refused(1, 1, 0), FormatError::UnexpectedEnd);
        let root_only = Receipt { manifest: &[], signatures: &[], root: &[1] };
        assert_eq!(root_only.header().map(|h| h.total()), Ok(12));
    }
}
