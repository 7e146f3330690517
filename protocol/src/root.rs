//! The root document: which keys speak for which role, and how far they may go (SPEC §5).

use crate::codec::{Reader, Writer};
use crate::error::FormatError;
use crate::ids::Product;
use crate::limits;
use crate::list::{Bounds, List};
use crate::signature::{KeyId, PublicKey, SIGNATURE_BOUNDS, Signature};
use crate::version::{Baseline, Version};

/// A role: its keys, and how many of them must sign.
#[derive(Debug, Clone, Copy)]
pub struct Role<'a> {
    threshold: u8,
    keys: List<'a, PublicKey>,
}

impl<'a> Role<'a> {
    /// A role whose keys can reach its threshold.
    ///
    /// # Errors
    /// `BadThreshold`.
    pub fn new(threshold: u8, keys: List<'a, PublicKey>) -> Result<Self, FormatError> {
        if threshold == 0 || usize::from(threshold) > keys.len() {
            Err(FormatError::BadThreshold)
        } else {
            Ok(Self { threshold, keys })
        }
    }

    /// Distinct keys that must sign, at least 1.
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The keys, by key id.
    pub const fn keys(&self) -> &List<'a, PublicKey> {
        &self.keys
    }

    /// The key with this id.
    #[inline(never)]
    pub fn key(&self, id: &KeyId) -> Option<PublicKey> {
        self.keys.iter().find(|key| key.id() == *id)
    }

    fn read(reader: &mut Reader<'a>, max: usize) -> Result<Self, FormatError> {
        Self::new(reader.u8()?, List::read(reader, Bounds { min: 1, max })?)
    }

    fn write(&self, writer: &mut Writer<'_>, max: usize) -> Result<(), FormatError> {
        writer.u8(self.threshold)?;
        self.keys.write(writer, Bounds { min: 1, max })
    }
}

/// The three roles of a root document. No key id occurs twice among them: one person's signature must not serve
/// two roles.
#[derive(Debug, Clone, Copy)]
pub struct Roles<'a> {
    root: Role<'a>,
    security: Role<'a>,
    feature: Role<'a>,
}

impl<'a> Roles<'a> {
    /// Roles without a key in common.
    ///
    /// # Errors
    /// `DuplicateKey`.
    pub fn new(root: Role<'a>, security: Role<'a>, feature: Role<'a>) -> Result<Self, FormatError> {
        // Inside a role no id repeats: its list is strictly increasing.
        for (role, other) in [(&root, &security), (&root, &feature), (&security, &feature)] {
            if role.keys.iter().any(|key| other.key(&key.id()).is_some()) {
                return Err(FormatError::DuplicateKey);
            }
        }
        Ok(Self { root, security, feature })
    }

    /// Signs the next root.
    pub const fn root(&self) -> &Role<'a> {
        &self.root
    }

    /// Signs patches, and feature updates together with the feature role.
    pub const fn security(&self) -> &Role<'a> {
        &self.security
    }

    /// Signs feature updates together with the security role.
    pub const fn feature(&self) -> &Role<'a> {
        &self.feature
    }

    /// True if one of the roles has a key with this id.
    pub fn list(&self, id: &KeyId) -> bool {
        [&self.root, &self.security, &self.feature].iter().any(|role| role.key(id).is_some())
    }

    /// All keys of all roles.
    pub fn keys(&self) -> impl Iterator<Item = PublicKey> + 'a {
        self.root.keys.iter().chain(self.security.keys.iter()).chain(self.feature.keys.iter())
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        Self::new(
            Role::read(reader, limits::ROOT_KEYS)?,
            Role::read(reader, limits::ROLE_KEYS)?,
            Role::read(reader, limits::ROLE_KEYS)?,
        )
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        self.root.write(writer, limits::ROOT_KEYS)?;
        self.security.write(writer, limits::ROLE_KEYS)?;
        self.feature.write(writer, limits::ROLE_KEYS)
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
    /// Who signs.
    pub roles: Roles<'a>,
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
            roles: Roles::read(&mut reader)?,
        };
        reader.finish()?;
        if document.version == 0 { Err(FormatError::ZeroVersion) } else { Ok(document) }
    }

    /// Writes the document; what it writes, [`RootDocument::parse`] reads back.
    ///
    /// # Errors
    /// `BufferFull`, or the rule that the values break.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], FormatError> {
        if self.version == 0 {
            return Err(FormatError::ZeroVersion);
        }
        let mut w = Writer::new(buffer);
        self.product.write(&mut w)?;
        w.u64(u64::from(self.version))?;
        w.flag(self.development)?;
        self.ceilings.feature.write(&mut w)?;
        w.u64(u64::from(self.ceilings.level))?;
        self.roles.write(&mut w)?;
        if w.written() > limits::ROOT_DOCUMENT { Err(FormatError::OverLimit) } else { Ok(w.finish()) }
    }

    /// All keys of all roles.
    pub fn keys(&self) -> impl Iterator<Item = PublicKey> + 'a {
        self.roles.keys()
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
