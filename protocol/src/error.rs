//! One variant per way in which bytes can fail to be a document.

use core::fmt;

/// Why bytes are not a document of this format. Each variant is a MUST of SPEC.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes end before the document does (SPEC §2.1).
    UnexpectedEnd,
    /// Bytes follow the document (SPEC §2.1).
    TrailingBytes,
    /// A varint has more bytes than its value needs (SPEC §2.2).
    OverlongVarint,
    /// A varint exceeds the integer it stands for (SPEC §2.2).
    VarintOverflow,
    /// A tag names nothing in this version of the format (SPEC §2.3).
    UnknownTag,
    /// A list, text or document is longer than its limit (SPEC §2.4).
    OverLimit,
    /// A list that needs an element is empty (SPEC §2.4).
    EmptyList,
    /// List elements repeat or are out of order (SPEC §2.4).
    NotIncreasing,
    /// A text is not UTF-8 or holds a control character (SPEC §2.5).
    BadText,
    /// The file doesn't start with the magic number (SPEC §3).
    BadMagic,
    /// The format version is not one this reader knows (SPEC §3).
    UnknownFormat,
    /// An open advisory is not below the level, or is zero (SPEC §4.2).
    OpenNotBelowLevel,
    /// A closed advisory is above the level, zero, or listed as open (SPEC §4.6).
    AdvisoryNotHandled,
    /// A security patch carries a `combined` justification (SPEC §4.7).
    CombinedOnPatch,
    /// A feature update lacks a full image among its payloads (SPEC §4.5).
    MissingFullImage,
    /// A delta names no base, or another encoding names one (SPEC §4.5).
    BaseMismatch,
    /// An alternative names an image its component doesn't list (SPEC §4.5).
    UnknownImage,
    /// Sizes are zero, out of range or contradict one another (SPEC §4.5).
    SizeMismatch,
    /// Several images of one component lack a link address (SPEC §4.4).
    AddressMismatch,
    /// The same public key, or key id, occurs twice in a root document (SPEC §5.1).
    DuplicateKey,
    /// A threshold is zero or exceeds its role's keys (SPEC §5.1).
    BadThreshold,
    /// A version or serial is zero where counting starts at one (SPEC §4, §5.1, §7.1).
    ZeroVersion,
    /// A frame is not validly stuffed or its checksum is wrong (SPEC §8.1).
    BadFrame,
    /// The output buffer is too small for the document being written.
    BufferFull,
}

impl FormatError {
    /// Every variant, in code order.
    pub const ALL: &'static [Self] = &[
        Self::UnexpectedEnd,
        Self::TrailingBytes,
        Self::OverlongVarint,
        Self::VarintOverflow,
        Self::UnknownTag,
        Self::OverLimit,
        Self::EmptyList,
        Self::NotIncreasing,
        Self::BadText,
        Self::BadMagic,
        Self::UnknownFormat,
        Self::OpenNotBelowLevel,
        Self::AdvisoryNotHandled,
        Self::CombinedOnPatch,
        Self::MissingFullImage,
        Self::BaseMismatch,
        Self::UnknownImage,
        Self::SizeMismatch,
        Self::AddressMismatch,
        Self::DuplicateKey,
        Self::BadThreshold,
        Self::ZeroVersion,
        Self::BadFrame,
        Self::BufferFull,
    ];

    /// Its code on the service link and in `--json`, stable within a format version (SPEC §10).
    pub const fn code(self) -> u8 {
        match self {
            Self::UnexpectedEnd => 1,
            Self::TrailingBytes => 2,
            Self::OverlongVarint => 3,
            Self::VarintOverflow => 4,
            Self::UnknownTag => 5,
            Self::OverLimit => 6,
            Self::EmptyList => 7,
            Self::NotIncreasing => 8,
            Self::BadText => 9,
            Self::BadMagic => 10,
            Self::UnknownFormat => 11,
            Self::OpenNotBelowLevel => 12,
            Self::AdvisoryNotHandled => 13,
            Self::CombinedOnPatch => 14,
            Self::MissingFullImage => 15,
            Self::BaseMismatch => 16,
            Self::UnknownImage => 17,
            Self::SizeMismatch => 18,
            Self::AddressMismatch => 19,
            Self::DuplicateKey => 20,
            Self::BadThreshold => 21,
            Self::ZeroVersion => 22,
            Self::BadFrame => 23,
            Self::BufferFull => 24,
        }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnexpectedEnd => "ends too early",
            Self::TrailingBytes => "has bytes after its end",
            Self::OverlongVarint => "holds an overlong varint",
            Self::VarintOverflow => "holds a number too large for its field",
            Self::UnknownTag => "holds a tag this format version doesn't know",
            Self::OverLimit => "exceeds a limit of the format",
            Self::EmptyList => "holds an empty list where an element is needed",
            Self::NotIncreasing => "holds a list that repeats or is out of order",
            Self::BadText => "holds a text that isn't plain UTF-8",
            Self::BadMagic => "doesn't start with the magic number",
            Self::UnknownFormat => "has a format version this reader doesn't know",
            Self::OpenNotBelowLevel => "lists an open advisory that isn't below its level",
            Self::AdvisoryNotHandled => "closes an advisory its version doesn't handle",
            Self::CombinedOnPatch => "is a security patch that claims to be combined",
            Self::MissingFullImage => "is a feature update without a full image",
            Self::BaseMismatch => "has a delta without a base, or a base without a delta",
            Self::UnknownImage => "has a payload for an image it doesn't list",
            Self::SizeMismatch => "states sizes that contradict one another",
            Self::AddressMismatch => "lists several images without link addresses",
            Self::DuplicateKey => "lists a key twice",
            Self::BadThreshold => "has a threshold of zero or above its keys",
            Self::ZeroVersion => "has version number zero",
            Self::BadFrame => "is a damaged frame",
            Self::BufferFull => "doesn't fit into the buffer",
        })
    }
}

impl core::error::Error for FormatError {}
