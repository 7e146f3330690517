//! Which release may stand in when the confirmed one is damaged (I6, design-model2 finding 2).

use super::transition::Transition;
use patchlane_protocol::Version;

/// What the secondary slot holds after a release was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Left {
    /// The release confirmed just before, moved there by the swap.
    Previous,
    /// The fallback that had been running in its stead.
    Fallback,
    /// Nothing that is known to be whole.
    Nothing,
}

/// True if the image left in the secondary slot may be kept as the fallback of the release just confirmed.
///
/// The fallback is the release confirmed **just before** v, if it loses none of v's fixes; whether its receipt
/// holds under the present root is asked when it is needed. A repair doesn't change what came before.
pub fn keeps(left: Left, transition: Transition, confirmed: &Version, candidate: &Version) -> bool {
    match left {
        Left::Previous => {
            transition != Transition::Repair && candidate.security.loses_nothing_of(&confirmed.security)
        }
        Left::Fallback => {
            transition == Transition::Repair && candidate.security.loses_nothing_of(&confirmed.security)
        }
        Left::Nothing => false,
    }
}
