//! Differential replay: base and patch answer the same recorded inputs, and the answers are compared.
//!
//! A [`Recording`] says what is sent, an [`Adapter`] is the command that sends it to a device, and [`judge`] says what
//! the answers show. `lint` judges again from the statement and the recording: it trusts no count.

mod adapter;
mod answer;
mod recording;
mod statement;
mod verdict;

pub use adapter::{Adapter, Image};
pub use answer::{Answer, Mask, Sent};
pub use recording::{Input, Recording, Session};
pub(crate) use statement::differences;
pub use statement::{KIND, Made, TEST_RESULT, exploits, make, read};
pub use verdict::{Played, Problem, Row, Verdict, judge};

use crate::error::Result;

/// Which of the two releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What devices run.
    Base,
    /// What is to come.
    Patch,
}

impl Side {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::Base, Self::Patch];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Patch => "patch",
        }
    }
}

/// Plays a recording to one image of each release, as often as the adapter is configured to.
///
/// # Errors
/// `replay-adapter`, and those of temporary files.
pub fn play(recording: &Recording, adapter: &Adapter<'_>, pair: &[Image<'_>; 2]) -> Result<Played> {
    let mut rows: Vec<Row> =
        recording.inputs().map(|(session, input)| Row::of(&session.name, input)).collect();
    for _ in 0..adapter.runs() {
        for image in pair {
            let mut at = 0;
            for session in &recording.sessions {
                for answer in adapter.play(image, session)? {
                    rows[at].hear(image.side, answer);
                    at += 1;
                }
            }
        }
    }
    let [base, patch] = pair;
    Ok(Played { address: patch.address, base: base.digest(), patch: patch.digest(), rows })
}
