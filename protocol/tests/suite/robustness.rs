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
