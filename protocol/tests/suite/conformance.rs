//! Every vector through this crate: what must be accepted is read field by field, what must be refused is
//! refused for exactly the reason given. Rules of trust are run where a verifier is (crate `tests`).

use crate::describe;
use crate::vectors::{self, Vector};
use patchlane_protocol::*;
use sha2::{Digest as _, Sha256};

fn refusal(vector: &Vector) -> Refusal {
    let code = u8::try_from(vector.number("code").expect("a code")).expect("a byte");
    let refusal = Refusal::from_code(code).expect("a known code");
    let name = match refusal {
        Refusal::Malformed(error) => format!("{error:?}"),
        rule => format!("{rule:?}"),
    };
    assert_eq!(name, vector.expect, "{}: name and code disagree", vector.name);
    refusal
}

#[test]
fn every_document_is_read_or_refused_as_its_vector_says() {
    for vector in vectors::all().iter().filter(|v| v.is_format()) {
        let got = describe::describe(&vector.document, &vector.bytes("input"));
        if vector.expect != "accept" {
            assert_eq!(got.map_err(Refusal::from), Err(refusal(vector)), "{}", vector.name);
            continue;
        }
        let fields = vector.table("fields").expect("fields");
        let got = got.unwrap_or_else(|e| panic!("{}: {e:?}", vector.name));
        assert_eq!(got.len(), fields.len(), "{}", vector.name);
        for (name, value) in got {
            assert_eq!(fields[&name].as_str(), Some(value.as_str()), "{}: {name}", vector.name);
        }
    }
}

#[test]
fn digests_and_preimages_are_those_of_the_vectors() {
    let mut seen = 0;
    for vector in vectors::all() {
        let Some(derived) = vector.table("derived") else { continue };
        let (kind, product, digest) = signed(&vector);
        assert_eq!(derived["sha256"].as_str(), Some(digest.to_string().as_str()), "{}", vector.name);
        let preimage: String = derived["preimage"].as_str().expect("text").split_whitespace().collect();
        let ours = Preimage::new(kind, &product, &digest);
        assert_eq!(preimage, describe::hex(ours.as_bytes()), "{}", vector.name);
        seen += 1;
    }
    assert!(seen > 50);
}

/// What a signature on this vector's document covers.
fn signed(vector: &Vector) -> (DocumentKind, Product, Digest) {
    let hashed = |bytes: &[u8]| Digest(Sha256::digest(bytes).into());
    let input = if vector.is_format() { "input" } else { vector.document.trim_start_matches("verify-") };
    let bytes = if input == "head" { vector.bytes("manifest") } else { vector.bytes(input) };
    match vector.document.as_str() {
        "manifest" | "verify-head" => {
            let manifest = Manifest::parse(&bytes).expect("manifest");
            (manifest.kind.document(), manifest.product, hashed(&bytes))
        }
        "root-document" => {
            let root = RootDocument::parse(&bytes).expect("root");
            (DocumentKind::Root, root.product, hashed(&bytes))
        }
        "root-link" | "verify-link" => {
            let link = SignedRoot::parse(&bytes).expect("link");
            (DocumentKind::Root, link.document.product, hashed(link.bytes))
        }
        "signed-owner" | "verify-owner" => {
            let owner = owner::SignedOwner::parse(&bytes).expect("owner document");
            (DocumentKind::Owner, owner.document.product, hashed(owner.bytes))
        }
        "status" => {
            let (status, _) = Status::parse(&bytes).expect("report");
            (DocumentKind::Status, status.product, hashed(describe::signed_report(&bytes).expect("signed")))
        }
        other => panic!("nobody signs a {other}"),
    }
}

/// A refusal of trust must not hide a malformed input: then two readers would disagree about the reason.
#[test]
fn vectors_of_trust_break_no_rule_of_format() {
    for vector in vectors::all().iter().filter(|v| !v.is_format()) {
        if vector.number("code").is_some_and(|code| code < 32) {
            continue;
        }
        for (input, document) in [
            ("manifest", "manifest"),
            ("confirmed", "manifest"),
            ("offered", "manifest"),
            ("signatures", "signatures"),
            ("root", "root-document"),
            ("present", "root-document"),
            ("link", "root-link"),
            ("owner", "signed-owner"),
        ] {
            let known = matches!(
                (vector.document.as_str(), input),
                ("verify-head", "manifest" | "signatures" | "root")
                    | ("verify-link", "present" | "link")
                    | ("verify-owner", "root" | "owner")
                    | ("verify-payload", "manifest")
                    | ("judge", "confirmed" | "offered")
            );
            if known {
                let got = describe::rewrite(document, &vector.bytes(input));
                assert_eq!(got, Ok(vector.bytes(input)), "{}: {input}", vector.name);
            }
        }
        if vector.number("code").is_some() {
            assert!(refusal(vector).code() >= 32);
        }
    }
}
