//! The decoder of deltas under any data, on any base; and what the encoder makes of any two images.

use super::Choices;
use crate::code::{Program, decode};
use crate::vectors::all;
use patchlane::delta::{Input, apply, encode, smallest};
use patchlane_device::delta::{Isa, POINTERS};

/// Bytes of a base or an image at most: some pages, so that an input takes no more than milliseconds.
const MOST: usize = 4096;

/// An input: whether data is to be decoded or two images compared; sizes, addresses; then the bytes of both.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let kind = choices.byte();
    let split = choices.short();
    match kind & 1 {
        0 => hostile(split % MOST + 1, &mut choices),
        _ => both_ways(kind, split, &mut choices),
    }
}

/// Data that nobody encoded: an image of the right length or none, whatever the pieces it comes in.
fn hostile(size: usize, choices: &mut Choices<'_>) {
    let length = choices.short() % MOST + 1;
    let base = choices.take(length);
    let data = choices.rest();
    if base.is_empty() || data.is_empty() {
        return;
    }
    let image = decode(base, data, size, data.len(), base.len());
    if let Ok(image) = &image {
        assert_eq!(image.len(), size);
    }
    for (chunk, window) in [(128, 8), (129, 64), (512, 9), (1024, 512)] {
        assert_eq!(decode(base, data, size, chunk, window), image, "pieces of {chunk} and {window} decide");
    }
    assert_eq!(apply(base, data, size).ok(), image.ok(), "the host decodes another way");
}

/// What is encoded comes back, for every instruction set and with any addresses.
fn both_ways(kind: u8, split: usize, choices: &mut Choices<'_>) {
    let linked = (kind & 2 != 0).then(|| (choices.word(), choices.word()));
    let bytes = choices.rest();
    let (base, image) = bytes.split_at(split.min(bytes.len()));
    let (base, image) = (&base[..base.len().min(MOST)], &image[..image.len().min(MOST)]);
    if base.is_empty() || image.is_empty() {
        return;
    }
    let isa = Isa::ALL[usize::from(kind >> 2 & 3)];
    let data = encode(&Input { base, image, isa, linked });
    assert_eq!(data[0], isa.number() | if linked.is_some() { POINTERS } else { 0 });
    for (chunk, window) in [(128, 8), (512, 300)] {
        let made = decode(base, &data, image.len(), chunk, window);
        assert_eq!(made.as_deref(), Ok(image), "{isa:?}, {linked:?}: another image");
    }
    if kind & 0xc0 == 0xc0 {
        let least = smallest(base, image, None, linked);
        assert!(least.len() <= data.len());
        assert_eq!(apply(base, &least, image.len()).as_deref(), Ok(image));
    }
}

/// The vectors, and programs before and after a fix.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let short = |n: usize| (n as u16).to_le_bytes();
    let mut seeds = Vec::new();
    for vector in all().iter().filter(|v| v.document == "delta") {
        let (base, size) = (vector.bytes("base"), vector.number("length") as usize);
        if base.len() <= MOST && (1..=MOST).contains(&size) {
            let head = [&[0][..], &short(size - 1), &short(base.len() - 1)].concat();
            seeds.push((vector.name.to_owned(), [&head, base, vector.bytes("data")].concat()));
        }
    }
    for (number, isa) in (0u8..).zip(Isa::ALL) {
        let old = Program::new(isa, 7, 12);
        let (base, image) = (old.linked(0x0800_0000), old.fixed(3).linked(0x0800_0000));
        let head = [&[number << 2 | 3][..], &short(base.len()), &[0, 0, 0, 8, 0, 0, 0, 8]].concat();
        seeds.push((format!("program-{isa:?}").to_lowercase(), [head, base, image].concat()));
    }
    seeds
}
