//! `attest`, `archive`, `verify-evidence`: a release from its signed evidence to an assessor's desk, and what is caught.

pub(crate) mod bench;
mod held;
mod leak;
mod lies;
mod recheck;
mod tamper;
