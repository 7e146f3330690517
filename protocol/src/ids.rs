//! Identifiers and digests: newtypes, so that one can't be taken for another.

use crate::codec::{Reader, Writer};
use crate::error::FormatError;
use crate::list::Element;

/// Declares a fixed-width identifier that prints as hexadecimal.
macro_rules! bytes_id {
    ($(#[$meta:meta])* $name:ident, $width:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $width]);

        impl $name {
            /// Width in bytes.
            pub const WIDTH: usize = $width;

            /// Reads the identifier.
            ///
            /// # Errors
            /// `UnexpectedEnd`.
            pub fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
                reader.array().map(Self)
            }

            /// Writes the identifier.
            ///
            /// # Errors
            /// `BufferFull`.
            pub fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
                writer.put(&self.0)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl<'a> Element<'a> for $name {
            fn read(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
                Self::read(reader)
            }
            fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
                Self::write(self, writer)
            }
            fn follows(&self, previous: &Self) -> bool {
                self.0 > previous.0
            }
        }
    };
}
pub(crate) use bytes_id;

bytes_id!(
    /// A SHA-256 digest (FIPS 180-4).
    Digest, 32
);
bytes_id!(
    /// The vendor, a UUID (RFC 9124 §3.3).
    VendorId, 16
);
bytes_id!(
    /// The product class, a UUID (RFC 9124 §3.4).
    ClassId, 16
);
bytes_id!(
    /// One device, a UUID given at provisioning.
    DeviceId, 16
);

/// What a document is for: vendor and class together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Product {
    /// Who makes it.
    pub vendor: VendorId,
    /// What it is.
    pub class: ClassId,
}

impl Product {
    /// Reads vendor, then class.
    ///
    /// # Errors
    /// `UnexpectedEnd`.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self { vendor: VendorId::read(reader)?, class: ClassId::read(reader)? })
    }

    /// Writes vendor, then class.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        self.vendor.write(writer)?;
        self.class.write(writer)
    }
}

/// One component of a release: a small number the firmware engineer gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId(pub u8);

/// The number of a group of devices, given when they are provisioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupId(pub u32);

impl core::fmt::Display for GroupId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}
