//! Documents of the asset owner: approvals, policy, a new anchor (SPEC §7).

use crate::codec::{Reader, Writer, tagged};
use crate::error::FormatError;
use crate::ids::{DeviceId, Digest, GroupId, Product};
use crate::limits;
use crate::list::{Bounds, Element, List};
use crate::policy::Policy;
use crate::signature::{PublicKey, SIGNATURE_BOUNDS, Signature};

tagged! {
    /// What an approval allows.
    pub enum Action {
        /// Consent to a held feature update or a rollback.
        Approve = 0,
        /// Apply a staged patch now.
        Apply = 1,
        /// Withdraw an approval, or discard what is staged or half received.
        Withdraw = 2,
        /// End a soak: keep the release on trial.
        Keep = 3,
        /// End a trial or a soak: return to the confirmed release.
        Revert = 4,
        /// Try a manifest again that failed its trials.
        Retry = 5,
    }
}

/// Which devices a document speaks to.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// Every device of the product that trusts this owner.
    All,
    /// The devices provisioned with this group number.
    Group(GroupId),
    /// These devices.
    Devices(List<'a, DeviceId>),
}

const TARGET_BOUNDS: Bounds = Bounds { min: 1, max: limits::TARGETS };

impl<'a> Target<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        match reader.u8()? {
            0 => Ok(Self::All),
            1 => reader.u32().map(GroupId).map(Self::Group),
            2 => List::read(reader, TARGET_BOUNDS).map(Self::Devices),
            _ => Err(FormatError::UnknownTag),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        match self {
            Self::All => writer.u8(0),
            Self::Group(number) => {
                writer.u8(1)?;
                writer.u64(u64::from(number.0))
            }
            Self::Devices(devices) => {
                writer.u8(2)?;
                devices.write(writer, TARGET_BOUNDS)
            }
        }
    }

    /// True if the device with this id and group is meant.
    pub fn includes(&self, device: &DeviceId, group: GroupId) -> bool {
        match self {
            Self::All => true,
            Self::Group(number) => *number == group,
            Self::Devices(devices) => devices.iter().any(|id| id == *device),
        }
    }
}

/// What the owner wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Something about one manifest.
    Release {
        /// What.
        action: Action,
        /// SHA-256 of the manifest.
        manifest: Digest,
    },
    /// A new policy.
    Policy(Policy),
    /// A new owner anchor; signed by the old anchor and by this key.
    Anchor(PublicKey),
}

impl Request {
    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        match reader.u8()? {
            0 => Ok(Self::Release { action: Action::read(reader)?, manifest: Digest::read(reader)? }),
            1 => Policy::read(reader).map(Self::Policy),
            2 => PublicKey::read(reader).map(Self::Anchor),
            _ => Err(FormatError::UnknownTag),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        match self {
            Self::Release { action, manifest } => {
                writer.u8(0)?;
                action.write(writer)?;
                manifest.write(writer)
            }
            Self::Policy(policy) => {
                writer.u8(1)?;
                policy.write(writer)
            }
            Self::Anchor(key) => {
                writer.u8(2)?;
                key.write(writer)
            }
        }
    }
}

/// A document of the owner, without its signatures.
#[derive(Debug, Clone, Copy)]
pub struct OwnerDocument<'a> {
    /// For which product.
    pub product: Product,
    /// For which devices.
    pub target: Target<'a>,
    /// Above every serial the device has accepted.
    pub serial: u64,
    /// What is wanted.
    pub request: Request,
}

impl<'a> OwnerDocument<'a> {
    /// Reads a whole owner document.
    ///
    /// # Errors
    /// Every [`FormatError`] of SPEC §2 and §7.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let document = Self {
            product: Product::read(&mut reader)?,
            target: Target::read(&mut reader)?,
            serial: reader.u64()?,
            request: Request::read(&mut reader)?,
        };
        reader.finish()?;
        if document.serial == 0 { Err(FormatError::ZeroVersion) } else { Ok(document) }
    }

    /// Writes the document.
    ///
    /// # Errors
    /// `BufferFull`, or the rule that the values break.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], FormatError> {
        if self.serial == 0 {
            return Err(FormatError::ZeroVersion);
        }
        let mut writer = Writer::new(buffer);
        self.product.write(&mut writer)?;
        self.target.write(&mut writer)?;
        writer.u64(self.serial)?;
        self.request.write(&mut writer)?;
        Ok(writer.finish())
    }
}

/// The first four bytes of a signed owner document.
pub const MAGIC: [u8; 4] = *b"PLOD";

/// A signed owner document as it travels: magic, format, `length u16 LE, document, signature set`.
#[derive(Debug, Clone, Copy)]
pub struct SignedOwner<'a> {
    /// The signed bytes.
    pub bytes: &'a [u8],
    /// What they say.
    pub document: OwnerDocument<'a>,
    /// By the owner anchor, and by the new key of an anchor document.
    pub signatures: List<'a, Signature>,
}

impl<'a> SignedOwner<'a> {
    /// Reads a whole signed owner document.
    ///
    /// # Errors
    /// `BadMagic`, `UnknownFormat`, `OverLimit`, and those of document and signatures.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        if bytes.len() > limits::OWNER_DOCUMENT {
            return Err(FormatError::OverLimit);
        }
        let mut reader = Reader::new(bytes);
        if reader.array::<4>()? != MAGIC {
            return Err(FormatError::BadMagic);
        }
        if reader.u8()? != crate::bundle::FORMAT {
            return Err(FormatError::UnknownFormat);
        }
        let length = usize::from(u16::from_le_bytes(reader.array()?));
        let document = reader.take(length)?;
        let signatures = List::read(&mut reader, SIGNATURE_BOUNDS)?;
        reader.finish()?;
        Ok(Self { bytes: document, document: OwnerDocument::parse(document)?, signatures })
    }

    /// Writes a signed owner document.
    ///
    /// # Errors
    /// `OverLimit`, `BufferFull`, and those of the signatures.
    pub fn encode<'b>(
        document: &[u8],
        signatures: &List<'_, Signature>,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], FormatError> {
        let mut writer = Writer::new(buffer);
        writer.put(&MAGIC)?;
        writer.u8(crate::bundle::FORMAT)?;
        let length = u16::try_from(document.len()).map_err(|_| FormatError::OverLimit)?;
        writer.put(&length.to_le_bytes())?;
        writer.put(document)?;
        signatures.write(&mut writer, SIGNATURE_BOUNDS)?;
        if writer.written() > limits::OWNER_DOCUMENT {
            Err(FormatError::OverLimit)
        } else {
            Ok(writer.finish())
        }
    }
}
