//! `lint`: a change that passes everything, and each check with what makes it fail.

pub(crate) mod bench;
mod checks;
mod debts;
mod hidden;
mod inventory;
mod join;
mod smuggling;
mod verdicts;
