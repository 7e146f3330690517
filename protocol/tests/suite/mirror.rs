//! Every document as a plain serde struct, so that postcard can write it.
//!
//! The mirror knows no rule: it is the oracle for our bytes, and the pen for vectors that break a rule.
//! Fixed-width little-endian lengths are framing, not documents; they are put around these by hand.

use serde::{Deserialize, Serialize};

/// A digest, or a public key.
pub type Bytes32 = [u8; 32];
/// Vendor, class or device id.
pub type Bytes16 = [u8; 16];

macro_rules! mirror {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $kind:ty),+ $(,)? })+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "named as in the protocol crate, which documents them")]
        pub struct $name { $(pub $field: $kind),+ }
    )+};
}

mirror! {
    /// SPEC §4.1.
    Product { vendor: Bytes16, class: Bytes16 }
    /// SPEC §4.2.
    Version { line: u16, step: u16, level: u32, open: Vec<u32> }
    /// SPEC §4.4.
    Image { address: Option<u32>, size: u32, digest: Bytes32 }
    /// SPEC §4.5.
    Alternative {
        image: u8, encoding: Tag, base: Option<Bytes32>, size: u32, chunk: u16, ram: u32, first: Bytes32,
    }
    /// SPEC §4.4.
    Component { id: u8, images: Vec<Image>, alternatives: Vec<Alternative> }
    /// SPEC §4.6.
    Advisory { index: u32, id: String, severity: Tag, exploited: bool }
    /// SPEC §4.7.
    Combined { reason: Tag, because: String }
    /// SPEC §4.
    Manifest {
        kind: Tag, product: Product, hardware: Vec<u16>, version: Version, root_version: u32,
        components: Vec<Component>, advisories: Vec<Advisory>, issued_at: u64, support_end: u64,
        evidence: Option<Bytes32>, text: String, combined: Option<Combined>,
    }
    /// SPEC §5.1.
    Key { algorithm: Tag, bytes: Bytes32 }
    /// SPEC §5.1.
    Role { threshold: u8, keys: Vec<Key> }
    /// SPEC §5.1.
    Root {
        product: Product, version: u32, development: bool, line: u16, step: u16, level: u32,
        root: Role, security: Role, feature: Role,
    }
    /// SPEC §6.1; R and S are one array of 64 on the wire.
    Signature { key: [u8; 8], algorithm: Tag, r: Bytes32, s: Bytes32 }
    /// SPEC §7.
    Owner { product: Product, target: Target, serial: u64, request: Request }
    /// SPEC §7.2.
    Policy { security: Tag, feature: Tag }
    /// SPEC §8.4.
    Named { version: Version, manifest: Bytes32 }
    /// SPEC §8.4.
    Held { release: Named, superseded: bool }
    /// SPEC §8.4.
    Status {
        device: Bytes16, product: Product, hardware: u16, group: u32, root_version: u32, development: bool,
        owned: bool, serial: u64, policy: Policy, confirmed: Named, activity: Tag, candidate: Option<Named>,
        held: Option<Held>, approval: Option<Bytes32>, overdue: bool, failed_boots: u8, rejections: u32,
        last_refusal: Option<u8>, counter: Tag, fenced: bool, signature: Option<Signature>,
    }
}

/// A field-less enum; postcard writes the variant's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the name is the tag")]
pub enum Tag {
    T0,
    T1,
    T2,
    T3,
    T4,
    T5,
    T6,
    T7,
}

/// SPEC §7.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the protocol crate, which documents them")]
pub enum Target {
    All,
    Group(u32),
    Devices(Vec<Bytes16>),
}

/// SPEC §7.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the protocol crate, which documents them")]
pub enum Request {
    Release(Tag, Bytes32),
    Policy(Policy),
    Anchor(Key),
}

/// What postcard writes for `value`.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("an allocating writer can't run out")
}
