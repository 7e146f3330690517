//! Why a device says no: one variant per rule, with the code that travels on the service link.
//!
//! The list is the format's, so that host and device can't disagree about a code; the rules are the device's.

use crate::error::FormatError;
use core::fmt;

/// A rule that a bundle, a document or a request breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes aren't a document of this format; codes 1 to 31.
    Malformed(FormatError),
    /// A signature names a key that the root document doesn't list (SPEC §6.2).
    UnknownKey,
    /// A signature is by a key of a role that has no say in this document (SPEC §6.2).
    WrongRole,
    /// A signature doesn't verify strictly (SPEC §6.2).
    BadSignature,
    /// Fewer distinct keys signed than a role's threshold (SPEC §6.2).
    BelowThreshold,
    /// A root link isn't exactly one version above (SPEC §5.2).
    RootNotNext,
    /// A root link lacks the old or the new quorum (SPEC §5.2).
    RootQuorum,
    /// A root link lowers a ceiling (SPEC §5.2).
    CeilingLowered,
    /// A root link turns a production root into a development one, or provisioning meets a development root (SPEC §5.2).
    DevelopmentRoot,
    /// The manifest was made under a root this device hasn't seen (SPEC §5.3).
    NeedRoot,
    /// Another vendor or class (SPEC §4.1).
    WrongProduct,
    /// Not for this hardware revision (SPEC §4.1).
    WrongHardware,
    /// The version exceeds a ceiling of the root (SPEC §5.4).
    AboveCeiling,
    /// This version is what is confirmed (SPEC §4.3).
    SameVersion,
    /// An advisory handled now wouldn't be handled any more (SPEC §4.3).
    LosesFix,
    /// A security patch for another baseline (SPEC §4.3).
    PatchMovesFeature,
    /// The security policy takes no patches (SPEC §7.2).
    PolicyOff,
    /// The security policy only lists patches (SPEC §7.2).
    PolicyNotify,
    /// The feature policy takes no feature updates (SPEC §7.2).
    PolicyNever,
    /// It waits for consent; nothing was stored (SPEC §7.2).
    Held,
    /// It failed three trials (DESIGN §4).
    RetryNeeded,
    /// A trial is running that this bundle can't end.
    TrialPending,
    /// The trial was ended for this patch.
    SendAgain,
    /// Something of higher rank is staged or half received.
    Busy,
    /// No payload came, and the installed images aren't the ones named, whole and running (SPEC §4.3).
    NeedPayload,
    /// The state region is blank or unreadable (I6).
    NotProvisioned,
    /// Provisioning met a readable record.
    AlreadyProvisioned,
    /// The call doesn't fit what the device is doing.
    NotInService,
    /// No payload fits: base, slot address, encoding, RAM or chunk size (SPEC §4.3).
    NoAlternative,
    /// A component this device doesn't have, or one it has is missing (SPEC §4.3).
    UnknownComponent,
    /// An image exceeds its slot (SPEC §4.3).
    ImageTooLarge,
    /// A chunk isn't the one the chain names (SPEC §4.5, I12).
    ChunkDigest,
    /// The image read back from flash isn't the one named (SPEC §4.5, I16).
    ImageDigest,
    /// No owner anchor is set (SPEC §7.1).
    NoAnchor,
    /// An owner document isn't signed by the owner anchor, or a new anchor didn't sign itself in (SPEC §7.1).
    OwnerSignature,
    /// The serial isn't above the last one accepted (SPEC §7.1).
    SerialSpent,
    /// The document names other devices (SPEC §7.1).
    NotForThisDevice,
    /// The new owner key is a vendor key (SPEC §7.1).
    VendorKeyAsOwner,
    /// Nothing with this manifest digest is here for the action.
    UnknownManifest,
    /// The application didn't grant the request (SPEC §8.2).
    NotGranted,
    /// A flash operation failed.
    Flash,
    /// The monotonic counter is above the floor.
    CounterAbove,
    /// The data isn't a delta of its base (DELTA.md).
    BadDelta,
}

impl Refusal {
    /// Every refusal that isn't a malformed document, in code order.
    pub const RULES: &'static [Self] = &[
        Self::UnknownKey,
        Self::WrongRole,
        Self::BadSignature,
        Self::BelowThreshold,
        Self::RootNotNext,
        Self::RootQuorum,
        Self::CeilingLowered,
        Self::DevelopmentRoot,
        Self::NeedRoot,
        Self::WrongProduct,
        Self::WrongHardware,
        Self::AboveCeiling,
        Self::SameVersion,
        Self::LosesFix,
        Self::PatchMovesFeature,
        Self::PolicyOff,
        Self::PolicyNotify,
        Self::PolicyNever,
        Self::Held,
        Self::RetryNeeded,
        Self::TrialPending,
        Self::SendAgain,
        Self::Busy,
        Self::NeedPayload,
        Self::NotProvisioned,
        Self::AlreadyProvisioned,
        Self::NotInService,
        Self::NoAlternative,
        Self::UnknownComponent,
        Self::ImageTooLarge,
        Self::ChunkDigest,
        Self::ImageDigest,
        Self::NoAnchor,
        Self::OwnerSignature,
        Self::SerialSpent,
        Self::NotForThisDevice,
        Self::VendorKeyAsOwner,
        Self::UnknownManifest,
        Self::NotGranted,
        Self::Flash,
        Self::CounterAbove,
        Self::BadDelta,
    ];

    /// Its code, stable within a format version (SPEC §10).
    pub const fn code(self) -> u8 {
        match self {
            Self::Malformed(error) => error.code(),
            Self::UnknownKey => 32,
            Self::WrongRole => 33,
            Self::BadSignature => 34,
            Self::BelowThreshold => 35,
            Self::RootNotNext => 36,
            Self::RootQuorum => 37,
            Self::CeilingLowered => 38,
            Self::DevelopmentRoot => 39,
            Self::NeedRoot => 40,
            Self::WrongProduct => 41,
            Self::WrongHardware => 42,
            Self::AboveCeiling => 43,
            Self::SameVersion => 44,
            Self::LosesFix => 45,
            Self::PatchMovesFeature => 46,
            Self::PolicyOff => 47,
            Self::PolicyNotify => 48,
            Self::PolicyNever => 49,
            Self::Held => 50,
            Self::RetryNeeded => 51,
            Self::TrialPending => 52,
            Self::SendAgain => 53,
            Self::Busy => 54,
            Self::NeedPayload => 55,
            Self::NotProvisioned => 56,
            Self::AlreadyProvisioned => 57,
            Self::NotInService => 58,
            Self::NoAlternative => 59,
            Self::UnknownComponent => 60,
            Self::ImageTooLarge => 61,
            Self::ChunkDigest => 62,
            Self::ImageDigest => 63,
            Self::NoAnchor => 64,
            Self::OwnerSignature => 65,
            Self::SerialSpent => 66,
            Self::NotForThisDevice => 67,
            Self::VendorKeyAsOwner => 68,
            Self::UnknownManifest => 69,
            Self::NotGranted => 70,
            Self::Flash => 71,
            Self::CounterAbove => 72,
            Self::BadDelta => 73,
        }
    }

    /// The refusal with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        let malformed = FormatError::ALL.iter().copied().map(Self::Malformed);
        malformed.chain(Self::RULES.iter().copied()).find(|refusal| refusal.code() == code)
    }

    /// What the operator can do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Malformed(_) => "fetch the file again; if it stays so, it was damaged where it was made",
            Self::UnknownKey => "ask the vendor for a bundle signed under the root this device has",
            Self::WrongRole => "sign with the keys of the role that this kind of bundle needs",
            Self::BadSignature => "fetch the file again; if it stays so, it was altered",
            Self::BelowThreshold => "collect the missing signatures",
            Self::RootNotNext => "send every root link since the device's own",
            Self::RootQuorum => "sign the new root with both quorums",
            Self::CeilingLowered => "raise ceilings only",
            Self::DevelopmentRoot => "make production keys, or allow development trust on purpose",
            Self::NeedRoot => "send a bundle that carries the root links",
            Self::WrongProduct => "choose the bundle for this product",
            Self::WrongHardware => "choose the bundle for this hardware revision",
            Self::AboveCeiling => "release a new root with a higher ceiling",
            Self::SameVersion => "nothing to do",
            Self::LosesFix => "use a release that handles every advisory this device has",
            Self::PatchMovesFeature => "send the patch for the baseline that is installed",
            Self::PolicyOff => "the owner can change the policy",
            Self::PolicyNotify => "the owner can change the policy",
            Self::PolicyNever => "the owner can change the policy; security patches still go in",
            Self::Held => "approve it, then send it again",
            Self::RetryNeeded => "let an operator request a retry",
            Self::TrialPending => "send it again when the trial has ended",
            Self::SendAgain => "send it again after the restart",
            Self::Busy => "finish or discard that first",
            Self::NeedPayload => "send the bundle with the full image",
            Self::NotProvisioned => "provision the device at its debug or production port",
            Self::AlreadyProvisioned => "erase the state region on purpose first",
            Self::NotInService => "start the transfer again",
            Self::NoAlternative => "send a bundle with a full image",
            Self::UnknownComponent => "choose the bundle for this product",
            Self::ImageTooLarge => "build a smaller image, or enlarge the slot",
            Self::ChunkDigest => "send it again",
            Self::ImageDigest => "send it again; if it stays so, the flash is failing",
            Self::NoAnchor => "set an owner anchor first",
            Self::OwnerSignature => "sign with the owner key",
            Self::SerialSpent => "issue it again with a higher serial",
            Self::NotForThisDevice => "issue it for this device",
            Self::VendorKeyAsOwner => "use a key of the owner's own",
            Self::UnknownManifest => "check the digest with `device status`",
            Self::NotGranted => "request it where the application can authenticate you",
            Self::Flash => "read the device's log; the flash may be failing",
            Self::BadDelta => {
                "send it again, without a restart between: if it holds the image in full, that is taken; the delta was built wrong"
            }
            Self::CounterAbove => "the state region was replaced by an older copy; provision the device anew",
        }
    }
}

impl From<FormatError> for Refusal {
    fn from(error: FormatError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(error) => return error.fmt(f),
            Self::UnknownKey => "is signed by a key this device does not trust",
            Self::WrongRole => "is signed by a key of the wrong role",
            Self::BadSignature => "carries a signature that does not verify",
            Self::BelowThreshold => "is signed by fewer keys than its role demands",
            Self::RootNotNext => "carries a root link that does not follow the one before",
            Self::RootQuorum => "carries a root link that the old or the new quorum did not sign",
            Self::CeilingLowered => "carries a root link that lowers a ceiling",
            Self::DevelopmentRoot => "is rooted in development keys",
            Self::NeedRoot => "was made under a newer root than this device has",
            Self::WrongProduct => "is for another product",
            Self::WrongHardware => "is not for this hardware revision",
            Self::AboveCeiling => "states a version above the root's ceiling",
            Self::SameVersion => "is the version already installed",
            Self::LosesFix => "would lose a security fix",
            Self::PatchMovesFeature => "is a patch for another baseline",
            Self::PolicyOff => "is refused by the security policy (off)",
            Self::PolicyNotify => "is listed, not taken: the security policy is notify",
            Self::PolicyNever => "is refused by the feature policy (never)",
            Self::Held => "is held until it is approved",
            Self::RetryNeeded => "failed three trials",
            Self::TrialPending => "came while a trial is running",
            Self::SendAgain => "ended a trial; the device restarts",
            Self::Busy => "ranks below what the device is busy with",
            Self::NeedPayload => "needs a payload: the installed image is not the one it names",
            Self::NotProvisioned => "met a device without readable state",
            Self::AlreadyProvisioned => "met a device that is provisioned",
            Self::NotInService => "came out of order",
            Self::NoAlternative => "holds no payload that fits this device",
            Self::UnknownComponent => "names components this device does not have",
            Self::ImageTooLarge => "is larger than the slot",
            Self::ChunkDigest => "holds a damaged or foreign chunk",
            Self::ImageDigest => "did not arrive whole in flash",
            Self::NoAnchor => "needs an owner key, and the device has none",
            Self::OwnerSignature => "is not signed by this device's owner",
            Self::SerialSpent => "was used already, or is older than one that was",
            Self::NotForThisDevice => "names other devices",
            Self::VendorKeyAsOwner => "makes a vendor key the owner's",
            Self::UnknownManifest => "names a release this device knows nothing of",
            Self::NotGranted => "was not granted by the application",
            Self::Flash => "met a flash error",
            Self::CounterAbove => "met a counter above the recorded floor",
            Self::BadDelta => "holds a delta that does not decode",
        })
    }
}

impl core::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_reads_back() {
        let all =
            FormatError::ALL.iter().map(|e| Refusal::Malformed(*e)).chain(Refusal::RULES.iter().copied());
        let mut seen = [false; 256];
        for refusal in all {
            let code = refusal.code();
            assert!(!core::mem::replace(&mut seen[usize::from(code)], true), "{refusal:?} shares its code");
            assert_eq!(Refusal::from_code(code), Some(refusal));
        }
        assert_eq!(Refusal::from_code(0), None);
        assert_eq!(Refusal::from_code(255), None);
    }
}
