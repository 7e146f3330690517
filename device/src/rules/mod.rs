//! Every decision of the model, as pure functions of plain values (DESIGN §2 and §4).
//!
//! Nothing here reads flash, verifies a signature or knows how far a transfer is: the engine brings facts, a
//! rule answers, and the engine acts. So each rule has a truth table of tests, and no rule exists twice.

pub mod failures;
pub mod fallback;
pub mod policy;
pub mod rank;
pub mod transition;
pub mod trial;

pub use failures::Failures;
pub use policy::{Consent, Install, Situation};
pub use rank::Rank;
pub use transition::{Offer, Standing, Transition};
pub use trial::{TrialEnd, TrialFacts};
