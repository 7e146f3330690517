//! Which parts of the image are copied from where: the cheapest way through, by a running estimate of what each costs.

use super::{Input, look};
use patchlane_device::delta::{Cover, Kind, Predictor, Spot};

/// A part of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// New bytes.
    Literal {
        /// Where it begins.
        at: u32,
        /// Bytes.
        length: u32,
    },
    /// Bytes of the base, or what became of them.
    Copy(Cover),
}

/// Alignments followed at once.
const LANES: usize = 12;
/// The lane of literals.
const NEW: usize = LANES;
const NEVER: f64 = f64::INFINITY;
const NONE: i32 = i32::MIN;

/// Costs in bits, found by trying them on real firmware.
mod cost {
    pub(super) const LITERAL: f64 = 6.5;
    pub(super) const TO_LITERAL: f64 = 12.0;
    pub(super) const TO_COPY: f64 = 24.0;
    pub(super) const HIT: f64 = 0.06;
    pub(super) const MISS: f64 = 2.0;
    pub(super) const DIFFERENCE: f64 = 8.0;
    /// A reference that moved another way than expected: it may turn out to be expected once covers are known.
    pub(super) const REFERENCE: f64 = 5.0;
}

/// One alignment: where in the base, relative to the image, and what of its unit is still to be paid.
#[derive(Debug, Clone, Copy)]
struct Lane {
    offset: i32,
    cost: f64,
    left: usize,
    byte: f64,
}

/// The way that led to each place.
struct Trail {
    /// Whether each lane went on, or came from the best one of the place before.
    stayed: Vec<u16>,
    best: Vec<u8>,
    /// From which place on a lane has which offset.
    offsets: Vec<Vec<(usize, i32)>>,
}

/// Parts of the image in order; `map` predicts where references lead, as far as that is known yet.
pub(super) fn plan(input: &Input<'_>, map: &Predictor, found: &[Vec<i32>]) -> Vec<Part> {
    let trail = follow(input, map, found);
    retrace(&trail, input.image.len())
}

fn follow(input: &Input<'_>, map: &Predictor, found: &[Vec<i32>]) -> Trail {
    let mut lanes = [Lane { offset: NONE, cost: NEVER, left: 0, byte: 0.0 }; LANES + 1];
    lanes[0] = Lane { offset: 0, cost: 0.0, left: 0, byte: 0.0 };
    lanes[NEW].cost = 0.0;
    let mut trail = Trail { stayed: Vec::new(), best: Vec::new(), offsets: vec![Vec::new(); LANES] };
    trail.offsets[0].push((0, 0));
    let mut best = NEW;
    for (at, offsets) in found.iter().enumerate() {
        let cheapest = lanes[best].cost;
        for offset in offsets {
            admit(&mut lanes, best, *offset, at, &mut trail);
        }
        let mut stayed = 0u16;
        for (index, lane) in lanes.iter_mut().enumerate().take(LANES) {
            let Some(old) = usize::try_from(at as i64 + i64::from(lane.offset))
                .ok()
                .filter(|old| lane.offset != NONE && *old < input.base.len())
            else {
                lane.cost = NEVER;
                continue;
            };
            let stays = lane.cost <= cheapest + cost::TO_COPY;
            if !stays {
                lane.left = 0;
            }
            if lane.left == 0 {
                (lane.left, lane.byte) = unit(input, map, old, at);
            }
            stayed |= u16::from(stays) << index;
            lane.cost = if stays { lane.cost } else { cheapest + cost::TO_COPY } + lane.byte;
            lane.left -= 1;
        }
        let stays = lanes[NEW].cost <= cheapest + cost::TO_LITERAL;
        stayed |= u16::from(stays) << NEW;
        lanes[NEW].cost = if stays { lanes[NEW].cost } else { cheapest + cost::TO_LITERAL } + cost::LITERAL;
        trail.stayed.push(stayed);
        trail.best.push(best as u8);
        best = (0..=LANES).min_by(|a, b| lanes[*a].cost.total_cmp(&lanes[*b].cost)).unwrap_or(NEW);
    }
    trail.best.push(best as u8);
    trail
}

/// Follows an alignment from here on, in the place of the worst.
fn admit(lanes: &mut [Lane; LANES + 1], best: usize, offset: i32, at: usize, trail: &mut Trail) {
    if lanes[..LANES].iter().any(|lane| lane.offset == offset) {
        return;
    }
    let others = (0..LANES).filter(|lane| *lane != best);
    let Some(worst) = others.max_by(|a, b| lanes[*a].cost.total_cmp(&lanes[*b].cost)) else { return };
    lanes[worst] = Lane { offset, cost: NEVER, left: 0, byte: 0.0 };
    trail.offsets[worst].push((at, offset));
}

/// Bytes of the unit here, and what each of them costs.
fn unit(input: &Input<'_>, map: &Predictor, old: usize, new: usize) -> (usize, f64) {
    let (base, became) = (look(input.base, old), look(input.image, new));
    let left = (input.image.len() - new).min(input.base.len() - old);
    let moved = (new as u32).wrapping_sub(old as u32);
    let spot = Spot {
        old: old as u32,
        new: new as u32,
        left: left as u32,
        around: Cover { old: old as u32, length: 1, moved },
    };
    let unit = map.unit(&base, &spot);
    let length = unit.kind.length();
    let differences = (0..length).filter(|place| unit.predicted[*place] != became[*place]).count();
    let reference = match unit.kind {
        Kind::Branch | Kind::Pair => map.meaning(unit.kind, &became, new as u32).is_some(),
        // A pointer into the image, before and after.
        Kind::Pointer => became[..4][3] == base[3],
        _ => false,
    };
    let bits = match differences {
        0 => cost::HIT * length as f64,
        _ if reference => cost::REFERENCE,
        n => cost::MISS + cost::DIFFERENCE * n as f64,
    };
    (length, bits / length as f64)
}

fn retrace(trail: &Trail, length: usize) -> Vec<Part> {
    let offset_at = |lane: usize, at: usize| {
        let offsets = &trail.offsets[lane];
        let index = offsets.partition_point(|(from, _)| *from <= at);
        index.checked_sub(1).map_or(0, |index| offsets[index].1)
    };
    let mut parts: Vec<Part> = Vec::new();
    let (mut lane, mut end) = (usize::from(trail.best[length]), length);
    for at in (0..length).rev() {
        if at > 0 && trail.stayed[at] >> lane & 1 == 1 {
            continue;
        }
        let length = (end - at) as u32;
        parts.push(if lane == NEW {
            Part::Literal { at: at as u32, length }
        } else {
            let moved = offset_at(lane, at).wrapping_neg() as u32;
            Part::Copy(Cover { old: (at as u32).wrapping_sub(moved), length, moved })
        });
        end = at;
        lane = usize::from(trail.best[at]);
    }
    parts.reverse();
    joined(parts)
}

/// The same parts, neighbours that go on alike in one.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    for part in parts {
        match (all.last_mut(), part) {
            (Some(Part::Literal { length, .. }), Part::Literal { length: more, .. }) => *length += more,
            (Some(Part::Copy(before)), Part::Copy(cover))
                if before.moved == cover.moved && before.old + before.length == cover.old =>
            {
                before.length += cover.length;
            }
            _ => all.push(part),
        }
    }
    all
}
