//! What an authentic bundle would do to this device (SPEC §4.3). Nothing declares it; it is derived here.

use core::cmp::Ordering;
use patchlane_protocol::{Digest, FormatError, Kind, Refusal, Version};

/// The four things a bundle can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// The confirmed release again, because its image or its receipt is damaged.
    Repair,
    /// The same baseline, handling strictly more advisories.
    Patch,
    /// A higher baseline, losing no fix.
    FeatureUpdate,
    /// A lower baseline, losing no fix.
    Rollback,
}

impl Transition {
    /// Its tag in the state record.
    pub(crate) const fn tag(self) -> u8 {
        match self {
            Self::Repair => 0,
            Self::Patch => 1,
            Self::FeatureUpdate => 2,
            Self::Rollback => 3,
        }
    }

    pub(crate) const fn from_tag(tag: u8) -> Result<Self, FormatError> {
        Ok(match tag {
            0 => Self::Repair,
            1 => Self::Patch,
            2 => Self::FeatureUpdate,
            3 => Self::Rollback,
            _ => return Err(FormatError::UnknownTag),
        })
    }

    /// True if it leaves the baseline alone, and so obeys the security policy.
    pub const fn is_security(self) -> bool {
        matches!(self, Self::Repair | Self::Patch)
    }
}

/// What a bundle is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its version.
    pub version: Version,
    /// Digest over all its component images.
    pub images: Digest,
    /// True if its image or its receipt was found damaged.
    pub damaged: bool,
}

/// What an authentic manifest offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Patch or feature update: who signed it.
    pub kind: Kind,
    /// Its version.
    pub version: Version,
    /// Digest over all its component images.
    pub images: Digest,
}

/// True if a release that once could go in would by now be refused, whatever signed it.
pub fn is_outdated(v: &Version, offered: &Version) -> bool {
    !offered.security.loses_nothing_of(&v.security) || offered == v
}

/// Derives the transition from the confirmed release `v` to `offer`.
///
/// # Errors
/// `PatchMovesFeature`, `LosesFix`, `SameVersion`.
pub fn classify(v: &Standing, offer: &Offer) -> Result<Transition, Refusal> {
    let moves = offer.version.feature.cmp(&v.version.feature);
    if offer.kind == Kind::SecurityPatch && moves != Ordering::Equal {
        return Err(Refusal::PatchMovesFeature);
    }
    if !offer.version.security.loses_nothing_of(&v.version.security) {
        return Err(Refusal::LosesFix);
    }
    match moves {
        Ordering::Greater => Ok(Transition::FeatureUpdate),
        Ordering::Less => Ok(Transition::Rollback),
        Ordering::Equal if offer.version.security != v.version.security => Ok(Transition::Patch),
        Ordering::Equal => {
            let repairs = offer.kind == Kind::FeatureUpdate && v.damaged && offer.images == v.images;
            if repairs { Ok(Transition::Repair) } else { Err(Refusal::SameVersion) }
        }
    }
}
