//! An owner's document: one spelling, and the same verdict by every verifier on a device with an owner.

use super::{Choices, agreed};
use crate::vectors::reference::Owned;
use crate::vectors::{all, describe::rewrite, fixtures, mirror};
use patchlane_protocol::{DocumentKind, GroupId, OwnerDocument};

/// Who may sign.
const SIGNERS: [&str; 4] = ["owner", "owner 2", "root a", "stranger"];
/// The device of the vectors.
const DEVICE: [u8; 16] = [0xd1; 16];

/// An input: what the device is like, who signs, what is broken; then an owner document, or a signed one.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (serial, group, signers, broken) =
        (u64::from(choices.byte()), u32::from(choices.byte()), choices.byte(), choices.short());
    let bytes = choices.rest();
    let anchor = if signers & 0x80 == 0 { fixtures::public("owner").to_vec() } else { Vec::new() };
    let root = mirror::encode(&fixtures::root());
    let on = Owned { root: &root, anchor: &anchor, device: &DEVICE, group: GroupId(group), serial };
    if let Ok(again) = rewrite("signed-owner", bytes) {
        assert_eq!(again, bytes, "a second spelling");
    }
    let _ = agreed("a document as it came", |who| who.owner(bytes, &on));
    let labels: Vec<&str> =
        SIGNERS.iter().enumerate().filter(|(n, _)| signers >> n & 1 == 1).map(|(_, l)| *l).collect();
    let Ok(document) = OwnerDocument::parse(bytes) else { return };
    assert_eq!(rewrite("owner-document", bytes).as_deref(), Ok(bytes), "a second spelling");
    let plain: mirror::Owner = postcard::from_bytes(bytes).expect("postcard reads what we do");
    assert_eq!(mirror::encode(&plain), bytes, "postcard spells it another way");
    if labels.is_empty() {
        return;
    }
    let mut set = fixtures::sign(DocumentKind::Owner, bytes, &labels);
    let count = set.len();
    if broken != 0 {
        set[broken % count].s[broken >> 3 & 31] ^= 1 << (broken & 7);
    }
    let signed = [b"PLOD\x01".to_vec(), fixtures::framed(bytes, &set)].concat();
    let verdict = agreed("a signed document", |who| who.owner(&signed, &on));
    if let Ok(again) = rewrite("signed-owner", &signed) {
        assert_eq!(again, signed, "a second spelling");
    }
    let obeys = verdict == Ok("accept");
    let by_owner = labels.contains(&"owner") && !anchor.is_empty() && broken == 0;
    assert!(!obeys || by_owner && document.serial > serial, "it obeys {labels:?} at {serial}");
}

/// The owner documents among the vectors.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for vector in all() {
        let (input, choices): (_, &[[u8; 5]]) = match vector.document {
            "owner-document" => ("input", &[[5, 7, 1, 0, 0], [5, 7, 3, 0, 0], [5, 7, 1, 9, 1]]),
            "signed-owner" => ("input", &[[5, 7, 0, 0, 0]]),
            "verify-owner" => ("owner", &[[5, 7, 0, 0, 0]]),
            _ => continue,
        };
        for (n, choices) in choices.iter().enumerate() {
            seeds.push((format!("{}-{n}", vector.name), [&choices[..], vector.bytes(input)].concat()));
        }
    }
    seeds
}
