//! Which of two bundles goes first (I3): repair, patch, feature; then inclusion, else level; then baseline;
//! then issued-at. Only a strictly higher rank displaces what is staged or half received, so that genuine
//! bundles sent in alternation can't wear out flash (I15).

use super::transition::Transition;
use patchlane_protocol::Version;

/// What decides between two bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// What it does.
    pub transition: Transition,
    /// Its version.
    pub version: Version,
    /// Seconds since 1970, as its manifest states them.
    pub issued_at: u64,
}

const fn class(transition: Transition) -> u8 {
    match transition {
        Transition::Repair => 2,
        Transition::Patch => 1,
        Transition::FeatureUpdate | Transition::Rollback => 0,
    }
}

impl Rank {
    /// True if `self` displaces `other`: strictly higher, never equal.
    pub fn outranks(&self, other: &Self) -> bool {
        let (mine, its) = (class(self.transition), class(other.transition));
        if mine != its {
            return mine > its;
        }
        let (mine, its) = (&self.version.security, &other.version.security);
        if mine.handles_strictly_more_than(its) {
            return true;
        }
        if its.handles_strictly_more_than(mine) {
            return false;
        }
        let key = |rank: &Self| (rank.version.security.level(), rank.version.feature, rank.issued_at);
        key(self) > key(other)
    }
}
