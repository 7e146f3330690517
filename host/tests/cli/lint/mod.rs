//! `lint`: a change that passes everything, and each check with what makes it fail.

pub(crate) mod bench;
mod checks;
mod smuggling;
mod verdicts;
