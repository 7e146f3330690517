//! Every limit of the format in one place. Units are bytes unless the name says otherwise (SPEC §2).

/// Header, manifest and signatures together; root links lie outside.
pub const HEAD: usize = 2_048;
/// One signed root document, as it travels in a bundle.
pub const ROOT_LINK: usize = 1_024;
/// One root document without its signatures.
pub const ROOT_DOCUMENT: usize = 512;
/// Root links a bundle can carry.
pub const LINKS: usize = 32;
/// Data bytes of one payload chunk, at most.
pub const CHUNK_MAX: u16 = 4_096;
/// Data bytes of one payload chunk, at least; only the last chunk of a payload is shorter.
pub const CHUNK_MIN: u16 = 128;
/// The chunk size a builder takes unless told otherwise.
pub const CHUNK_DEFAULT: u16 = 1_024;
/// Components of a release.
pub const COMPONENTS: usize = 4;
/// Link addresses (execute-in-place slots) of one component.
pub const IMAGES: usize = 4;
/// Payload alternatives of one component.
pub const ALTERNATIVES: usize = 8;
/// Hardware revisions one manifest names.
pub const HARDWARE: usize = 8;
/// Advisories one release closes.
pub const ADVISORIES: usize = 16;
/// Advisories below the level that an image still has open.
pub const OPEN: usize = 16;
/// Text shown to an operator.
pub const TEXT: usize = 256;
/// One advisory's public identifier, such as `CVE-2027-12345`.
pub const ADVISORY_ID: usize = 32;
/// Justification of a combined release.
pub const BECAUSE: usize = 160;
/// Signatures in one set.
pub const SIGNATURES: usize = 8;
/// Keys of the root role.
pub const ROOT_KEYS: usize = 5;
/// Keys of the security role and of the feature role.
pub const ROLE_KEYS: usize = 3;
/// Device ids one owner document names.
pub const TARGETS: usize = 8;
/// A signed owner document.
pub const OWNER_DOCUMENT: usize = 384;
/// A receipt: a head and the root document that admitted it.
pub const RECEIPT: usize = HEAD + ROOT_DOCUMENT + 16;
/// An encoded status report; the longest takes 569.
pub const STATUS: usize = 576;
/// Body of one frame of the service link, before framing.
pub const FRAME: usize = 640;
/// Bundle bytes one data frame carries.
pub const FRAME_DATA: usize = 512;
