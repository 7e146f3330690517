//! The library behind the `patchlane` command line.
//!
//! It builds and signs bundles ([`bundle`]), keeps keys and roots ([`keys`], [`root`]), and talks to devices
//! ([`link`]). It never decides by itself whether something is trusted: it runs the device's own verifier.
//!
//! # From keys to a verified bundle
//!
//! What `key new`, `root new`, `build`, `sign` and `verify` do, in memory:
//!
//! ```
//! use patchlane::bundle::{Bundle, Closes, Draft};
//! use patchlane::protocol::{Baseline, Ceilings, ClassId, Kind, Product, Severity, VendorId, Version};
//! use patchlane::{Code, keys, root};
//!
//! // Three roles, three keys. `keys::write` puts them into encrypted PKCS#8 files.
//! let (owner, security, feature) = (keys::generate()?, keys::generate()?, keys::generate()?);
//! let product = Product { vendor: VendorId([0x11; 16]), class: ClassId([0x22; 16]) };
//!
//! // What devices trust: which key may do what, and how far. One signature of each role is enough here.
//! let root = root::Draft {
//!     product,
//!     version: 1,
//!     development: false,
//!     ceilings: Ceilings { feature: Baseline { line: 9, step: 99 }, level: 500 },
//!     roles: [&owner, &security, &feature].map(|key| (vec![keys::public_of(key)], 1)),
//! }
//! .sign(&[&owner])?;
//!
//! // A security patch on baseline 4.1 that closes advisory 8.
//! let image = vec![0x5a; 20_000];
//! let mut draft = Draft::new(Kind::SecurityPatch, product, Version::new(4, 1, 8), image.clone());
//! draft.closes.push(Closes { index: 8, id: "CVE-2027-1".into(), severity: Severity::High, exploited: true });
//! let mut bundle = draft.build()?;
//!
//! // The feature role's signature doesn't count for a patch; the security role's does.
//! bundle.sign(&feature)?;
//! assert_eq!(bundle.verify(&root.document()?, |_| Ok(())).unwrap_err().code, Code::Refused);
//! let mut bundle = draft.build()?;
//! bundle.sign(&security)?;
//! let file = bundle.to_bytes()?;
//!
//! // Whoever gets the file checks it whole: every chunk of the payload while it is read, then the head as a device does.
//! let received = Bundle::parse(file)?;
//! let version = received.verify(&root.document()?, |verified| Ok(verified.manifest().version))?;
//! assert_eq!(version.to_string(), "4.1 s8");
//! assert_eq!(received.image_for(None)?, Some(image));
//! # Ok::<(), patchlane::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod archive;
pub mod attest;
pub mod binary;
pub mod boards;
pub mod bundle;
pub mod cli;
mod commands;
pub mod config;
pub mod delta;
pub mod ear;
pub mod error;
pub mod evidence;
mod explain;
pub mod files;
pub mod flash;
mod hex;
pub mod image;
pub mod keys;
pub mod kind;
pub mod ledger;
pub mod link;
pub mod lint;
pub mod map;
pub mod output;
pub mod owner;
pub mod passphrase;
pub mod progress;
pub mod replay;
pub mod report;
pub mod root;
pub mod scenario;

pub use error::{Code, Error, Result};
pub use patchlane_device as device;
pub use patchlane_protocol as protocol;
