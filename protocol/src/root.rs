//! The root document: which keys speak for which role, and how far they may go (SPEC §5).

use crate::codec::{Reader, Writer};
use crate::error::FormatError;
use crate::ids::Product;
use crate::limits;
use crate::list::{Bounds, List};
use crate::signature::{PublicKey, SIGNATURE_BOUNDS, Signature};
use crate::version::{Baseline, Version};

/// A role: its keys, and how many of them must sign.
#[derive(Debug, Clone, Copy)]
pub struct Role<'a> {
    /// Distinct keys that must sign, at least 1.
    pub threshold: u8,
    /// The keys, by key id.
    pub keys: List<'a, PublicKey>,
}

impl<'a> Role<'a> {
    fn read(reader: &mut Reader<'a>, max: usize) -> Result<Self, FormatError> {
        let role = Self { threshold: reader.u8()?, keys: List::read(reader, Bounds { min: 1, max })? };
        role.check().map(|()| role)
    }

    fn write(&self, writer: &mut Writer<'_>, max: usize) -> Result<(), FormatError> {
        self.check()?;
        writer.u8(self.threshold)?;
        self.keys.write(writer, Bounds { min: 1, max })
    }

    fn check(&self) -> Result<(), FormatError> {
        if self.threshold == 0 || usize::from(self.threshold) > self.keys.len() {
            Err(FormatError::BadThreshold)
        } else {
            Ok(())
        }
    }
}

/// The highest version a bundle may state under this root (inclusive, on each axis).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    /// The feature axis.
    pub feature: Baseline,
    /// The security level.
    pub level: u32,
}

impl Ceilings {
    /// True if `version` stays within both.
    pub fn admit(&self, version: &Version) -> bool {
        version.feature <= self.feature && version.security.level() <= self.level
    }

    /// True if neither axis is below `older`'s.
    pub fn cover(&self, older: &Self) -> bool {
        self.feature >= older.feature && self.level >= older.level
    }
}

/// Who may sign what.
#[derive(Debug, Clone, Copy)]
pub struct RootDocument<'a> {
    /// For which product.
    pub product: Product,
    /// Counts from 1; the next is exactly one more.
    pub version: u32,
    /// Made by `init` for a first day; production provisioning refuses it.
    pub development: bool,
    /// Bounds on what the roles may release.
    pub ceilings: Ceilings,
    /// Signs the next root.
    pub root: Role<'a>,
    /// Signs patches, and feature updates together with the feature role.
    pub security: Role<'a>,
    /// Signs feature updates together with the security role.
    pub feature: Role<'a>,
}

impl<'a> RootDocument<'a> {
    /// Reads a whole root document.
    ///
    /// # Errors
    /// Every [`FormatError`] of SPEC §2 and §5.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        if bytes.len() > limits::ROOT_DOCUMENT {
            return Err(FormatError::OverLimit);
        }
        let mut reader = Reader::new(bytes);
        let document = Self {
            product: Product::read(&mut reader)?,
            version: reader.u32()?,
            development: reader.flag()?,
            ceilings: Ceilings { feature: Baseline::read(&mut reader)?, level: reader.u32()? },
            root: Role::read(&mut reader, limits::ROOT_KEYS)?,
            security: Role::read(&mut reader, limits::ROLE_KEYS)?,
            feature: Role::read(&mut reader, limits::ROLE_KEYS)?,
        };
        reader.finish()?;
        document.check().map(|()| document)
    }

    /// Writes the document; what it writes, [`RootDocument::parse`] reads back.
    ///
    /// # Errors
    /// `BufferFull`, or the rule that the values break.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], FormatError> {
        self.check()?;
        let mut w = Writer::new(buffer);
        self.product.write(&mut w)?;
        w.u64(u64::from(self.version))?;
        w.flag(self.development)?;
        self.ceilings.feature.write(&mut w)?;
        w.u64(u64::from(self.ceilings.level))?;
        self.root.write(&mut w, limits::ROOT_KEYS)?;
        self.security.write(&mut w, limits::ROLE_KEYS)?;
        self.feature.write(&mut w, limits::ROLE_KEYS)?;
        if w.written() > limits::ROOT_DOCUMENT { Err(FormatError::OverLimit) } else { Ok(w.finish()) }
    }

    /// All keys of all roles.
    pub fn keys(&self) -> impl Iterator<Item = PublicKey> + 'a {
        self.root.keys.iter().chain(self.security.keys.iter()).chain(self.feature.keys.iter())
    }

    /// One person's signature must not serve two roles: no key id occurs twice anywhere.
    fn check(&self) -> Result<(), FormatError> {
        if self.version == 0 {
            return Err(FormatError::ZeroVersion);
        }
        for (position, key) in self.keys().enumerate() {
            if self.keys().skip(position.saturating_add(1)).any(|other| other.id() == key.id()) {
                return Err(FormatError::DuplicateKey);
            }
        }
        Ok(())
    }
}

/// A root document as it travels: `length u16 LE, document, signature set`.
#[derive(Debug, Clone, Copy)]
pub struct SignedRoot<'a> {
    /// The signed bytes.
    pub bytes: &'a [u8],
    /// What they say.
    pub document: RootDocument<'a>,
    /// Signatures by the old and the new quorum.
    pub signatures: List<'a, Signature>,
}

impl<'a> SignedRoot<'a> {
    /// Reads a whole link.
    ///
    /// # Errors
    /// `OverLimit`, and those of the document and of the signatures.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        if bytes.len() > limits::ROOT_LINK {
            return Err(FormatError::OverLimit);
        }
        let mut reader = Reader::new(bytes);
        let length = usize::from(u16::from_le_bytes(reader.array()?));
        let document = reader.take(length)?;
        let signatures = List::read(&mut reader, SIGNATURE_BOUNDS)?;
        reader.finish()?;
        Ok(Self { bytes: document, document: RootDocument::parse(document)?, signatures })
    }

    /// Writes a link from an encoded document and its signatures.
    ///
    /// # Errors
    /// `OverLimit`, `BufferFull`, and those of the signatures.
    pub fn encode<'b>(
        document: &[u8],
        signatures: &List<'_, Signature>,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], FormatError> {
        let mut writer = Writer::new(buffer);
        let length = u16::try_from(document.len()).map_err(|_| FormatError::OverLimit)?;
        writer.put(&length.to_le_bytes())?;
        writer.put(document)?;
        signatures.write(&mut writer, SIGNATURE_BOUNDS)?;
        if writer.written() > limits::ROOT_LINK { Err(FormatError::OverLimit) } else { Ok(writer.finish()) }
    }
}
