//! Every truncation and every change of one byte of every valid document: refused, or written again as it was
//! read. So no document has two spellings one byte apart, and no input makes a reader panic.

use crate::describe::{describe, rewrite};
use crate::vectors;

/// Reads and writes; refusing is fine, changing isn't.
fn identical_or_refused(name: &str, document: &str, bytes: &[u8]) -> bool {
    match rewrite(document, bytes) {
        Ok(again) => {
            assert_eq!(again, bytes, "{name}: two spellings of one {document}");
            true
        }
        Err(_) => false,
    }
}

#[test]
fn no_truncation_of_a_document_is_a_document() {
    for (name, document, bytes) in vectors::valid_documents() {
        for length in 0..bytes.len() {
            assert!(!identical_or_refused(&name, &document, &bytes[..length]), "{name} cut to {length}");
        }
    }
}

#[test]
fn no_change_of_one_byte_gives_a_document_a_second_spelling() {
    let mut tried = 0u32;
    for (name, document, bytes) in vectors::valid_documents() {
        let mut changed = bytes.clone();
        for place in 0..bytes.len() {
            for change in 1..=u8::MAX {
                changed[place] = bytes[place] ^ change;
                identical_or_refused(&name, &document, &changed);
                tried += 1;
            }
            changed[place] = bytes[place];
        }
    }
    assert!(tried > 1_000_000);
    println!("{tried} changes tried");
}

#[test]
fn no_inserted_or_doubled_byte_gives_a_document_a_second_spelling() {
    for (name, document, bytes) in vectors::valid_documents() {
        for place in 0..=bytes.len() {
            for byte in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let grown = [&bytes[..place], &[byte], &bytes[place..]].concat();
                identical_or_refused(&name, &document, &grown);
            }
        }
    }
}

/// Bundles and frames are composed; here it is enough that reading them ends well or badly.
#[test]
fn damaged_bundles_and_frames_never_panic() {
    let composed = |v: &vectors::Vector| v.document == "bundle" || v.document == "frame";
    for vector in vectors::all().iter().filter(|v| composed(v)) {
        let bytes = vector.bytes("input");
        for place in 0..bytes.len() {
            let _ = describe(&vector.document, &bytes[..place]);
            for change in [0x01, 0x02, 0x10, 0x7f, 0x80, 0xff, bytes[place]] {
                let mut changed = bytes.clone();
                changed[place] ^= change;
                let _ = describe(&vector.document, &changed);
            }
        }
    }
}

/// A step of xorshift: the same tries on every machine.
struct Tries(u64);

impl Tries {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    /// Flips, replaces, removes, doubles, or goes on as another document does.
    fn damage(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let place = self.below(bytes.len() + 1);
        let end = (place + [1, 8, 16, 32, 33, 73][self.below(6)]).min(bytes.len());
        match self.below(6) {
            0 if place < bytes.len() => bytes[place] ^= 1 << self.below(8),
            1 if place < bytes.len() => bytes[place] = [0, 1, 2, 8, 17, 0x7f, 0x80, 0xff][self.below(8)],
            2 => drop(bytes.drain(place..end)),
            3 => drop(bytes.splice(place..place, bytes[place..end].to_vec())),
            4 => {
                bytes.truncate(place);
                bytes.extend(&other[self.below(other.len())..]);
            }
            _ => bytes.insert(place, self.below(256) as u8),
        }
    }
}

/// Up to four kinds of damage at once, to every kind of document.
#[test]
fn no_heap_of_damage_gives_a_document_a_second_spelling_or_a_reader_a_panic() {
    let good: Vec<_> = vectors::all().into_iter().filter(vectors::Vector::is_format).collect();
    let inputs: Vec<_> = good.iter().map(|v| (v.document.as_str(), v.bytes("input"))).collect();
    let mut tries = Tries(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0u32;
    for _ in 0..300_000 {
        let (document, bytes) = &inputs[tries.below(inputs.len())];
        let mut bytes = bytes.clone();
        for _ in 0..=tries.below(4) {
            let other = tries.below(inputs.len());
            tries.damage(&mut bytes, &inputs[other].1);
        }
        accepted += u32::from(match *document {
            "bundle" | "frame" => describe(document, &bytes).is_ok(),
            document => identical_or_refused("damaged", document, &bytes),
        });
    }
    assert!(accepted > 1_000, "hardly anything was read: {accepted}");
    println!("{accepted} of 300000 accepted");
}
