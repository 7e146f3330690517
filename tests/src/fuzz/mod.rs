//! What the fuzz targets do with an input, and what has to hold then. A target panics where something doesn't.
//!
//! libFuzzer calls [`Target::run`] by way of `tests/fuzz/fuzz_targets`; `tests/tests/fuzz.rs` runs every committed seed
//! through it with a stable compiler. That a target can fail is shown by known-bad rules of the device which its seeds catch
//! (`tests/known-bad.txt`): all but `envelope` and `config`, which ask the host and the protocol. Seeds are written by
//! [`seeds`].

mod choices;
pub mod config;
pub mod delta;
pub mod device;
pub mod envelope;
pub mod journal;
pub mod link_frames;
pub mod manifest;
pub mod owner;
pub mod root_chain;
pub mod seeds;

pub use choices::Choices;

use crate::vectors::verify::{ALL, Verdict, Verifier};
use patchlane_protocol::Refusal;

/// One fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: of its program, of its folder of seeds.
    pub name: &'static str,
    /// What an input does.
    pub run: fn(&[u8]),
    /// Where it begins: names and inputs.
    pub seeds: fn() -> Vec<(String, Vec<u8>)>,
}

macro_rules! targets {
    ($($name:ident)+) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[
            $(Target { name: stringify!($name), run: $name::run, seeds: $name::seeds }),+
        ];
    };
}
targets!(config delta device envelope journal link_frames manifest owner root_chain);

/// What everyone who has a say makes of a question: the same, or it is a defect.
fn agreed(what: &str, ask: impl Fn(&dyn Verifier) -> Verdict) -> Result<&'static str, Refusal> {
    let mut answers = ALL.iter().filter_map(|who| ask(*who).map(|verdict| (who.name(), verdict)));
    let (first, verdict) = answers.next().expect("someone has a say");
    for (who, other) in answers {
        assert_eq!(verdict, other, "{what}: {first} and {who} disagree");
    }
    verdict
}
