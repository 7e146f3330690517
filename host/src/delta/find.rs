//! Where in the base a place of the image may come from.

use patchlane_device::delta::{Isa, UNIT, jump};

/// Bytes that two places have to share to be found at all.
const SHORTEST: usize = 6;
/// Places with the same hash that are looked at.
const DEPTH: usize = 256;
/// Candidates kept for a place of the image.
const KEPT: usize = 4;
const HASH_BITS: u32 = 18;

/// For each place of the image: offsets from there to places of the base that begin alike.
pub(super) fn candidates(base: &[u8], image: &[u8], isa: Isa) -> Vec<Vec<i32>> {
    let mut found = matches(base, image);
    if isa != Isa::Plain {
        // Calls differ wherever code moved; without their targets more of it is alike.
        let blind = matches(&without_jumps(base, isa), &without_jumps(image, isa));
        for (found, more) in found.iter_mut().zip(blind) {
            found.extend(more.into_iter().filter(|offset| !found.contains(offset)).collect::<Vec<_>>());
        }
    }
    found
}

/// The bytes with the targets of jumps blanked out.
fn without_jumps(bytes: &[u8], isa: Isa) -> Vec<u8> {
    let mut blank = bytes.to_vec();
    let mut at = 0;
    while let Some(look) = bytes.get(at..).and_then(|rest| rest.first_chunk::<UNIT>()) {
        let length = jump(isa, look).map_or(0, |kind| kind.length());
        let keep: &[u8] = match isa {
            Isa::Plain | Isa::Thumb => &[],
            Isa::Arm => &[0, 0, 0, 0xff],
            Isa::Riscv => &[0xff, 0x0f, 0, 0, 0xff, 0xff, 0x0f, 0],
        };
        for (place, byte) in blank[at..at + length].iter_mut().enumerate() {
            *byte &= keep.get(place).unwrap_or(&0);
        }
        at += match isa {
            Isa::Plain | Isa::Arm => 4,
            _ if length > 0 => length,
            Isa::Riscv if look[0] & 3 == 3 => 4,
            _ => 2,
        };
    }
    blank
}

fn hash(bytes: &[u8]) -> usize {
    let seed: [u8; 8] = [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], 0, 0];
    (u64::from_le_bytes(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - HASH_BITS)) as usize
}

const NOWHERE: u32 = u32::MAX;

fn matches(base: &[u8], image: &[u8]) -> Vec<Vec<i32>> {
    let (mut heads, mut next) = (vec![NOWHERE; 1 << HASH_BITS], vec![NOWHERE; base.len()]);
    for at in (0..base.len().saturating_sub(SHORTEST - 1)).rev() {
        let head = &mut heads[hash(&base[at..])];
        next[at] = std::mem::replace(head, at as u32);
    }
    let mut found = vec![Vec::new(); image.len()];
    let (mut skip, mut last) = (0, 0i64);
    for at in 0..image.len().saturating_sub(SHORTEST - 1) {
        if at < skip {
            continue;
        }
        let mut places = Vec::new();
        let mut place = heads[hash(&image[at..])];
        while place != NOWHERE && places.len() < DEPTH {
            places.push(place as usize);
            place = next[place as usize];
        }
        places.extend(usize::try_from(at as i64 + last).ok().filter(|place| *place < base.len()));
        let alike = |place: usize| image[at..].iter().zip(&base[place..]).take_while(|(a, b)| a == b).count();
        let mut best: Vec<(usize, i64)> = places
            .into_iter()
            .map(|place| (alike(place), place as i64 - at as i64))
            .filter(|(length, _)| *length >= SHORTEST)
            .collect();
        best.sort_by_key(|(length, offset)| (std::cmp::Reverse(*length), (offset - last).abs(), *offset));
        best.dedup();
        best.truncate(KEPT);
        if let Some((length, offset)) = best.first().filter(|(length, _)| *length >= 32) {
            // Deep inside a long match nothing better begins.
            (skip, last) = (at + length - 8, *offset);
        }
        found[at] = best.into_iter().map(|(_, offset)| offset as i32).collect();
    }
    found
}
