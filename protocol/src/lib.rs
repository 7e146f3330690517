//! Bytes and meaning of patchlane documents: no I/O, no cryptography, no allocation.
//!
//! Everything a bundle, a root document, an owner document, a receipt, a status report or a frame of the
//! service link can say is a type of this crate, and [`SPEC.md`](https://docs.rs/patchlane-protocol) says
//! the same in prose for readers in other languages.
//!
//! Three promises:
//! * **Canonical.** One byte string per meaning. A reader refuses overlong varints, unknown tags, disorder,
//!   repeats and trailing bytes, each with its own [`FormatError`].
//! * **Bounded.** Every list and text has a limit (see [`limits`]); decoding borrows and never allocates.
//! * **No panics**, for any input.
//!
//! Trust is not decided here: who may sign what, and what a device does with it, is `patchlane-device`.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

pub mod bundle;
pub mod codec;
pub mod error;
pub mod ids;
pub mod limits;
pub mod link;
pub mod list;
pub mod manifest;
pub mod owner;
pub mod payload;
pub mod policy;
pub mod receipt;
pub mod refusal;
pub mod root;
pub mod signature;
pub mod status;
pub mod version;

pub use bundle::Header;
pub use codec::{Reader, Writer};
pub use error::FormatError;
pub use ids::{ClassId, ComponentId, DeviceId, Digest, GroupId, Product, VendorId};
pub use list::List;
pub use manifest::{Advisory, Combined, Kind, Manifest, Reason, Severity};
pub use owner::{Action, OwnerDocument, Request, Target};
pub use payload::{Alternative, ChunkSize, Component, Encoding, Image, Size};
pub use policy::{FeaturePolicy, Policy, SecurityPolicy};
pub use receipt::Receipt;
pub use refusal::Refusal;
pub use root::{Ceilings, Role, Roles, RootDocument, SignedRoot};
pub use signature::{Algorithm, DocumentKind, KeyId, Preimage, PublicKey, Signature};
pub use status::{Activity, Status};
pub use version::{Baseline, Open, Security, Version};
