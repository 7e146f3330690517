//! Mutation testing of the device's trust code. cargo-mutants says what may be broken; it would build the tests anew for
//! each of a thousand mutants, so here all of them are woven into one copy, each behind a switch, that is built once.

pub mod explained;
pub mod list;
pub mod run;
pub mod weave;

#[cfg(test)]
mod tests;
