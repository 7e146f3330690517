//! The asset owner's policy: two settings, one per lane (SPEC §7.2).

use crate::codec::{Reader, Writer, tagged};
use crate::error::FormatError;

tagged! {
    /// What happens to a security patch (a transition that leaves the baseline alone).
    pub enum SecurityPolicy {
        /// Nothing is taken or listed.
        Off = 0,
        /// It is listed; nothing is taken.
        Notify = 1,
        /// It is taken and waits for an apply request.
        StageOnly = 2,
        /// It is taken and applied as soon as the application allows it.
        ApplyInWindow = 3,
    }
}

tagged! {
    /// What happens to a feature update (a transition that moves the baseline up).
    pub enum FeaturePolicy {
        /// Refused.
        Never = 0,
        /// Needs an approval at the device, granted by its application.
        Local = 1,
        /// Needs an approval signed by the owner key.
        OwnerKey = 2,
        /// Goes in like a patch.
        Auto = 3,
    }
}

/// Both lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The security lane.
    pub security: SecurityPolicy,
    /// The feature lane.
    pub feature: FeaturePolicy,
}

impl Policy {
    /// What an OT device does until its owner says otherwise (CRA recital 56).
    pub const DEFAULT: Self = Self { security: SecurityPolicy::StageOnly, feature: FeaturePolicy::Local };

    /// Reads both settings.
    ///
    /// # Errors
    /// `UnknownTag`, `UnexpectedEnd`.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self { security: SecurityPolicy::read(reader)?, feature: FeaturePolicy::read(reader)? })
    }

    /// Writes both settings.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        self.security.write(writer)?;
        self.feature.write(writer)
    }
}
