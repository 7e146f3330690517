//! Checks of the binary: functions, symbols, growth.

use super::Answer::Unknown;
use super::release::lacks;
use super::{Answer, Case};
use crate::error::Result;

fn later(case: &Case<'_>) -> Result<Answer> {
    Ok(match lacks(&case.change.elf, "elf") {
        Ok(_) => Unknown("not built yet".into()),
        Err(answer) => answer,
    })
}

/// 18: every function that changed is reached from a changed line.
pub(super) fn functions(case: &Case<'_>) -> Result<Answer> {
    later(case)
}

/// 19: no symbol, export or interrupt vector was added or removed.
pub(super) fn symbols(case: &Case<'_>) -> Result<Answer> {
    later(case)
}

/// 20: sections and texts grew within limits.
pub(super) fn growth(case: &Case<'_>) -> Result<Answer> {
    later(case)
}
