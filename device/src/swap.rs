//! Which block moves at which step: a pure function of the state.
//!
//! The secondary slot has one block more than the primary. A new image is staged from its block 1 on; going in, the
//! two images pass each other through the block between them:
//!
//! ```text
//! step 2k    primary[k]     → secondary[k]     keeps what runs now (if it is worth keeping)
//! step 2k+1  secondary[k+1] → primary[k]
//! ```
//! No step's source is written before the step after next, so a step that was cut is simply done again. Going back
//! (revert, fallback) is a plain copy from secondary[k] to primary[k], which spoils no source at all. Only blocks that
//! hold image bytes are moved.

use crate::io::Copy;
use crate::layout::Layout;
use crate::media::Region;
use crate::state::{Phase, State};

/// Bytes of the image that runs before the swap.
fn running(state: &State) -> u32 {
    let standby = state.fallback.filter(|_| state.degraded);
    standby.unwrap_or(state.confirmed).size
}

/// The copy that step `step` makes, if it makes one.
fn copy_at(state: &State, layout: &Layout, step: u32) -> Option<Copy> {
    let block = layout.block();
    // Whatever size a record states, no block lies outside the slots.
    let part = |size: u32, k: u32| size.min(layout.room()).saturating_sub(k.saturating_mul(block)).min(block);
    let at = |k: u32| k.saturating_mul(block);
    let (size, k, from, to) = match state.phase {
        Phase::Swap => {
            let k = step / 2;
            if step.is_multiple_of(2) {
                let kept = if state.keep { running(state) } else { 0 };
                (kept, k, (Region::Primary, at(k)), (Region::Secondary, at(k)))
            } else {
                let next = at(k.saturating_add(1));
                let size = state.candidate.map_or(0, |candidate| candidate.release.size);
                (size, k, (Region::Secondary, next), (Region::Primary, at(k)))
            }
        }
        Phase::Revert => {
            let kept = if state.keep { running(state) } else { 0 };
            (kept, step, (Region::Secondary, at(step)), (Region::Primary, at(step)))
        }
        Phase::Fallback => {
            let size = state.fallback.map_or(0, |fallback| fallback.size);
            (size, step, (Region::Secondary, at(step)), (Region::Primary, at(step)))
        }
        _ => return None,
    };
    let length = part(size, k);
    (length > 0).then(|| Copy::new(from, to, length))
}

/// The first step from `state.step` on that moves something; `None` when all is moved.
pub fn next(state: &State, layout: &Layout) -> Option<(u32, Copy)> {
    let blocks = layout.room().checked_div(layout.block())?;
    let end = blocks.saturating_mul(2);
    (state.step..end).find_map(|step| copy_at(state, layout, step).map(|copy| (step, copy)))
}
