//! `lint`: a change that passes everything, and each check with what makes it fail.

mod bench;
mod checks;
mod inventory;
mod smuggling;
mod verdicts;
