//! Everybody's vectors through our own verification.

extern crate std;
use super::ed25519;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use std::vec::Vec;

const WYCHEPROOF: &str = include_str!("../../vectors/wycheproof-ed25519.txt");
const SPECCHECK: &str = include_str!("../../vectors/speccheck-ed25519.txt");

fn bytes(hex: &str) -> Vec<u8> {
    let digits = if hex == "-" { "" } else { hex };
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits")).collect()
}

fn lines(file: &str) -> impl Iterator<Item = Vec<&str>> {
    file.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').collect())
}

/// Our verdict. What isn't 64 bytes long is no signature that our format can carry.
fn strict(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key: &[u8; 32] = key.try_into().expect("keys have 32 bytes");
    signature.try_into().is_ok_and(|signature| ed25519(key, message, signature))
}

#[test]
fn all_of_wycheproof() {
    let mut counted = [0, 0];
    for line in lines(WYCHEPROOF) {
        let [id, verdict, key, message, signature, ..] = line[..] else { panic!("{line:?}") };
        let valid = verdict == "valid";
        assert_eq!(strict(&bytes(key), &bytes(message), &bytes(signature)), valid, "test {id}: {line:?}");
        counted[usize::from(valid)] += 1;
    }
    assert_eq!(counted, [63, 88]);
}

#[test]
fn all_of_speccheck_strictly() {
    let mut counted = 0;
    for line in lines(SPECCHECK) {
        let [number, ours, plain, key, message, signature, ..] = line[..] else { panic!("{line:?}") };
        let (key, message, signature) = (bytes(key), bytes(message), bytes(signature));
        assert_eq!(strict(&key, &message, &signature), ours == "valid", "case {number}");
        // That the vectors are what they should be: a plain verifier answers otherwise.
        let loose = VerifyingKey::try_from(&key[..]).is_ok_and(|key| {
            Signature::from_slice(&signature).is_ok_and(|signature| key.verify(&message, &signature).is_ok())
        });
        assert_eq!(loose, plain == "valid", "case {number}, not strictly");
        counted += 1;
    }
    assert_eq!(counted, 12);
}

/// `legacy_compatibility` accepts an S above the order of the group, so that one signature has two forms: every such
/// vector is refused before the curve is asked.
#[test]
fn no_signature_has_two_forms() {
    let above = |signature: &[u8]| {
        // L = 2^252 + 27742317777372353535851937790883648493, little-endian.
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        signature.get(32..64).is_some_and(|s| s.iter().rev().ge(L.iter().rev()))
    };
    let wycheproof = lines(WYCHEPROOF).map(|line| (line[2], line[3], line[4]));
    let speccheck = lines(SPECCHECK).map(|line| (line[3], line[4], line[5]));
    let mut seen = 0;
    for (key, message, signature) in wycheproof.chain(speccheck) {
        let signature = bytes(signature);
        if above(&signature) {
            assert!(!strict(&bytes(key), &bytes(message), &signature), "{signature:02x?}");
            assert!(
                Signature::from_slice(&signature)
                    .and_then(|signature| {
                        VerifyingKey::try_from(&bytes(key)[..])?.verify(&bytes(message), &signature)
                    })
                    .is_err(),
                "the library itself is lax: legacy_compatibility"
            );
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen} vectors have such an S");
}
