//! Making delta payloads, and applying them with the device's own decoder (`protocol/DELTA.md`).
//!
//! ```
//! use patchlane::delta::{self, Input};
//! use patchlane::device::delta::Isa;
//!
//! let base: Vec<u8> = (0..4000u32).map(|n| (n * n >> 5) as u8).collect();
//! let mut image = base.clone();
//! image.splice(1000..1004, *b"patched");
//! let data = delta::encode(&Input { base: &base, image: &image, isa: Isa::Plain, linked: None });
//! assert!(data.len() < 100);
//! assert_eq!(delta::apply(&base, &data, image.len())?, image);
//! # Ok::<(), patchlane::Error>(())
//! ```

mod find;
mod plan;
mod range;

use crate::error::{Code, Error, Result};
use crate::files;
use find::candidates;
use patchlane_device::delta::{
    BadDelta, COVERS, Decoder, Input as Chunk, Isa, Models, Need, Number, POINTERS, Pointers, Predictor,
    Spot, UNIT, Window, fold,
};
use plan::{Part, plan};
use range::Encoder;

/// What a delta is made of.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What devices have.
    pub base: &'a [u8],
    /// What they are to have.
    pub image: &'a [u8],
    /// Whose code it is.
    pub isa: Isa,
    /// Which addresses base and image are linked for, if words may be pointers.
    pub linked: Option<(u32, u32)>,
}

/// Covers shorter than this aren't worth a place in the table, in bytes.
const SHORTEST_COVER: u32 = 64;
/// Rounds of planning: the first one finds covers, the others know where references lead.
const ROUNDS: usize = 3;

/// The bytes at an offset, 0 beyond the end.
fn look(bytes: &[u8], at: usize) -> [u8; UNIT] {
    let mut look = [0; UNIT];
    look.iter_mut().zip(&bytes[at..]).for_each(|(to, from)| *to = *from);
    look
}

/// The data of a delta. Same inputs, same bytes. For images up to `bundle::LARGEST_DELTA`.
pub fn encode(input: &Input<'_>) -> Vec<u8> {
    let found = candidates(input.base, input.image, input.isa);
    let mut map = input.predictor();
    let mut best: Option<Vec<u8>> = None;
    for _ in 0..ROUNDS {
        let parts = plan(input, &map, &found);
        let table = table(&parts);
        let data = write(input, &parts, &table);
        if best.as_ref().is_none_or(|best| data.len() < best.len()) {
            best = Some(data);
        }
        map = input.predictor();
        for index in &table {
            if let Part::Copy(cover) = parts[*index] {
                map.add(cover);
            }
        }
    }
    best.unwrap_or_default()
}

/// The smallest delta for any instruction set, or for the one that is known.
pub fn smallest(base: &[u8], image: &[u8], isa: Option<Isa>, linked: Option<(u32, u32)>) -> Vec<u8> {
    let isas: &[Isa] = isa.as_ref().map_or(&Isa::ALL, std::slice::from_ref);
    let of = |isa: &Isa| encode(&Input { base, image, isa: *isa, linked });
    isas.iter().map(of).min_by_key(Vec::len).unwrap_or_default()
}

impl Input<'_> {
    fn predictor(&self) -> Predictor {
        let length = self.base.len() as u32;
        Predictor::new(self.isa, self.linked.map(|(base, image)| Pointers { base, length, image }))
    }
}

/// Which parts go into the table: the longest copies.
fn table(parts: &[Part]) -> Vec<usize> {
    let mut covers: Vec<(u32, usize)> = parts
        .iter()
        .enumerate()
        .filter_map(|(index, part)| match part {
            Part::Copy(cover) if cover.length >= SHORTEST_COVER => Some((cover.length, index)),
            _ => None,
        })
        .collect();
    covers.sort_by_key(|(length, index)| (std::cmp::Reverse(*length), *index));
    covers.truncate(COVERS);
    let mut table: Vec<usize> = covers.into_iter().map(|(_, index)| index).collect();
    table.sort_unstable();
    table
}

fn write(input: &Input<'_>, parts: &[Part], table: &[usize]) -> Vec<u8> {
    let mut coder = Encoder::new();
    let (mut models, mut predictor) = (Models::new(), input.predictor());
    models.number(&mut coder, Number::Count, table.len() as u32);
    let (mut end, mut moved) = (0, 0u32);
    for index in table {
        let Part::Copy(cover) = parts[*index] else { continue };
        models.number(&mut coder, Number::Gap, cover.lands() - end);
        models.number(&mut coder, Number::Cover, cover.length - 1);
        models.number(&mut coder, Number::Shift, fold(cover.moved.wrapping_sub(moved) as i32));
        (end, moved) = (cover.lands() + cover.length, cover.moved);
        predictor.add(cover);
    }
    let mut ended = 0u32;
    for (index, part) in parts.iter().enumerate() {
        match *part {
            Part::Literal { at, length } => {
                models.literal(&mut coder, true);
                models.number(&mut coder, Number::Literal, length - 1);
                for byte in &input.image[at as usize..(at + length) as usize] {
                    models.byte(&mut coder, *byte);
                }
            }
            Part::Copy(cover) => {
                if table.binary_search(&index).is_err() {
                    models.literal(&mut coder, false);
                    models.number(&mut coder, Number::Seek, fold(cover.old.wrapping_sub(ended) as i32));
                    models.number(&mut coder, Number::Copy, cover.length - 1);
                }
                ended = cover.old + cover.length;
                let (mut old, mut new, mut left) = (cover.old, cover.lands(), cover.length);
                while left > 0 {
                    let spot = Spot { old, new, left, around: cover };
                    let unit = predictor.unit(&look(input.base, old as usize), &spot);
                    let became = look(input.image, new as usize);
                    models.unit(&mut coder, &unit, new, became);
                    predictor.learn(&unit, &became, new);
                    let length = unit.kind.length() as u32;
                    (old, new, left) = (old + length, new + length, left - length);
                }
            }
        }
    }
    let mut data = vec![input.isa.number() | if input.linked.is_some() { POINTERS } else { 0 }];
    for address in input.linked.iter().flat_map(|(base, image)| [base, image]) {
        data.extend(address.to_le_bytes());
    }
    data.extend(coder.finish());
    data
}

/// Applies a delta with the device's decoder.
///
/// # Errors
/// `malformed` if it isn't a delta for this base and this size.
pub fn apply(base: &[u8], data: &[u8], size: usize) -> Result<Vec<u8>> {
    let bad = |BadDelta| {
        Error::new(Code::Malformed, "the delta doesn't fit its base", "the bundle is damaged: build it anew")
    };
    if size as u64 > files::LARGEST || base.len() as u64 > files::LARGEST {
        return Err(Error::new(
            Code::Malformed,
            "the image is larger than any device's",
            "check who made it",
        ));
    }
    let mut decoder = Decoder::new();
    decoder.begin(base.len() as u32, size as u32);
    let (chunk, window) = (Chunk { chunk: data, last: true }, Window { at: 0, bytes: base });
    let mut image = Vec::new();
    loop {
        match decoder.run(chunk, window).map_err(bad)? {
            Need::Page => {
                image.extend(decoder.page().1);
                decoder.turn();
            }
            Need::End => return Ok(image),
            Need::Input | Need::Base(_) => return Err(bad(BadDelta)),
        }
    }
}
