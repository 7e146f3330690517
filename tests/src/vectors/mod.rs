//! Test vectors: for every MUST of SPEC.md, bytes that keep it and bytes that break it.
//!
//! Bytes come from postcard by way of [`mirror`], never from the code under test. Every expectation is also
//! computed: formats by the protocol crate, trust rules by [`reference`](mod@reference).

#[path = "../../../protocol/tests/suite/describe.rs"]
pub mod describe;
#[path = "../../../protocol/tests/suite/mirror.rs"]
pub mod mirror;

mod bundles;
pub mod deltas;
pub mod fixtures;
mod links;
mod manifests;
pub mod output;
mod owners;
mod pen;
pub mod reference;
mod roots;
mod spec;
mod transitions;
mod trust;
pub mod verify;

use patchlane_protocol::{FormatError, Refusal};

/// What must come of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// A reader takes it.
    Accept,
    /// A device derives this transition.
    Transition(&'static str),
    /// It is refused, for exactly this reason.
    Refuse(Refusal),
}

/// One file under `protocol/vectors/`.
#[derive(Debug, Clone)]
pub struct Vector {
    /// The file's name, for its defect.
    pub name: &'static str,
    /// The MUSTs it shows.
    pub musts: &'static [&'static str],
    /// What the input is; `delta`, `judge` and names starting with `verify-` ask for more than reading.
    pub document: &'static str,
    /// What goes wrong in the world if a reader gets it wrong.
    pub why: &'static str,
    /// Bytes by name.
    pub inputs: Vec<(&'static str, Vec<u8>)>,
    /// Numbers by name.
    pub settings: Vec<(&'static str, u64)>,
    /// The outcome.
    pub expect: Expect,
}

impl Vector {
    /// A document that every reader takes.
    pub fn accept(name: &'static str, document: &'static str, input: Vec<u8>) -> Self {
        Self {
            name,
            musts: &[],
            document,
            why: "",
            inputs: vec![("input", input)],
            settings: Vec::new(),
            expect: Expect::Accept,
        }
    }

    /// A document that every reader refuses.
    pub fn refuse(name: &'static str, document: &'static str, input: Vec<u8>, error: FormatError) -> Self {
        Self { expect: Expect::Refuse(error.into()), ..Self::accept(name, document, input) }
    }

    /// Documents that are judged together.
    pub fn judged(
        name: &'static str,
        document: &'static str,
        inputs: Vec<(&'static str, Vec<u8>)>,
        expect: Expect,
    ) -> Self {
        Self { inputs, expect, ..Self::accept(name, document, Vec::new()) }
    }

    /// Says which MUSTs it shows, and why they exist.
    pub fn shows(self, musts: &'static [&'static str], why: &'static str) -> Self {
        Self { musts, why, ..self }
    }

    /// Adds a number.
    pub fn with(mut self, name: &'static str, value: u64) -> Self {
        self.settings.push((name, value));
        self
    }

    /// The bytes called `name`, empty if there are none.
    pub fn bytes(&self, name: &str) -> &[u8] {
        self.inputs.iter().find(|(n, _)| *n == name).map_or(&[], |(_, bytes)| bytes)
    }

    /// The number called `name`, 0 if there is none.
    pub fn number(&self, name: &str) -> u64 {
        self.settings.iter().find(|(n, _)| *n == name).map_or(0, |(_, value)| *value)
    }
}

/// Every vector, by section.
pub fn all() -> Vec<Vector> {
    let sections = [
        bundles::vectors(),
        deltas::vectors(),
        manifests::primitives(),
        manifests::rules(),
        transitions::vectors(),
        roots::documents(),
        roots::links(),
        trust::vectors(),
        owners::vectors(),
        links::vectors(),
    ];
    sections.concat()
}
