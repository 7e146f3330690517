//! `attest`, `archive`, `verify-evidence`: a release from its signed evidence to an assessor's desk, and what is caught.

mod bench;
mod held;
mod recheck;
mod tamper;
