//! The vectors of trust (`protocol/vectors`) through the device's verification: signatures, quorums, links, owner documents.

use patchlane_device::evidence::{Authentic, Received};
use patchlane_device::protocol::owner::SignedOwner;
use patchlane_device::protocol::{DeviceId, GroupId, Manifest, PublicKey, Refusal, RootDocument, SignedRoot};
use patchlane_device::verify::{self, Addressee};
use std::collections::BTreeMap;
use std::path::Path;

/// A vector's fields, as far as these need them: numbers as text, bytes as hex digits.
struct Vector {
    name: String,
    fields: BTreeMap<String, String>,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a vector");
        let (mut fields, mut lines) = (BTreeMap::new(), text.lines());
        while let Some(line) = lines.next() {
            let Some((key, value)) = line.split_once(" = ") else { continue };
            let whole = match value {
                r#"""""# => lines.by_ref().take_while(|line| *line != r#"""""#).collect::<String>(),
                value => value.trim_matches('"').to_owned(),
            };
            fields.entry(key.to_owned()).or_insert(whole);
        }
        Self { name: path.file_stem().expect("a name").to_string_lossy().into_owned(), fields }
    }

    fn text(&self, field: &str) -> &str {
        self.fields.get(field).map_or_else(|| panic!("{} has no {field}", self.name), String::as_str)
    }

    fn number(&self, field: &str) -> u64 {
        self.text(field).parse().expect("a number")
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        let digits = self.text(field);
        let pairs = (0..digits.len()).step_by(2);
        pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits")).collect()
    }

    /// What is wanted: `Ok`, or the refusal of this code.
    fn wanted(&self) -> Result<(), Refusal> {
        if self.text("expect") == "accept" {
            return Ok(());
        }
        let code = u8::try_from(self.number("code")).expect("a byte");
        Err(Refusal::from_code(code).expect("a known code"))
    }
}

/// The vectors of one kind of document.
fn vectors(document: &str) -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors");
    let files = std::fs::read_dir(folder).expect("vectors").map(|entry| entry.expect("an entry").path());
    let vectors = files.filter(|path| path.extension().is_some_and(|kind| kind == "toml"));
    let all: Vec<Vector> = vectors.map(|path| Vector::read(&path)).collect();
    all.into_iter().filter(|vector| vector.text("document") == document).collect()
}

#[test]
fn heads_are_judged_as_their_vectors_say() {
    let all = vectors("verify-head");
    for vector in &all {
        let [manifest, signatures, root] = ["manifest", "signatures", "root"].map(|name| vector.bytes(name));
        let received = || Received::parse(&manifest, &signatures);
        let judged =
            || RootDocument::parse(&root).map_err(Refusal::from).and_then(|root| received()?.verify(&root));
        assert_eq!(judged().map(|_| ()), vector.wanted(), "{}", vector.name);
        // By the way that takes least stack, too.
        let authentic = Authentic::of(&manifest, &signatures, &root);
        assert_eq!(
            authentic.as_ref().map(|_| ()).map_err(|refusal| *refusal),
            vector.wanted(),
            "{}",
            vector.name
        );
        let (Ok(verified), Ok(authentic)) = (judged(), authentic) else { continue };
        let again = received().and_then(|received| received.recall(&authentic)).expect("the same head");
        assert_eq!(
            (again.digest(), verified.digest()),
            (verify::sha256(&manifest), verify::sha256(&manifest))
        );
        assert_eq!(again.manifest().version, Manifest::parse(&manifest).expect("a manifest").version);
    }
    assert!(all.len() >= 20, "{} vectors", all.len());
}

/// What was verified of one head says nothing of another.
#[test]
fn another_head_isnt_recalled() {
    let good: Vec<Vector> =
        vectors("verify-head").into_iter().filter(|vector| vector.wanted().is_ok()).collect();
    let head = |vector: &Vector| (vector.bytes("manifest"), vector.bytes("signatures"));
    let mut tried = 0;
    for one in &good {
        let (manifest, signatures) = head(one);
        let authentic = Authentic::of(&manifest, &signatures, &one.bytes("root")).expect("it is good");
        for (manifest, signatures) in good.iter().map(head).filter(|(other, _)| *other != manifest) {
            let other = Received::parse(&manifest, &signatures).expect("it can be read");
            assert_eq!(other.recall(&authentic).map(|_| ()), Err(Refusal::BadSignature));
            tried += 1;
        }
    }
    assert!(tried > 0);
}

#[test]
fn links_are_judged_as_their_vectors_say() {
    let all = vectors("verify-link");
    for vector in &all {
        let (link, present) = (vector.bytes("link"), vector.bytes("present"));
        let present = RootDocument::parse(&present).expect("a root");
        let judged =
            SignedRoot::parse(&link).map_err(Refusal::from).and_then(|link| verify::link(&link, &present));
        assert_eq!(judged, vector.wanted(), "{}", vector.name);
        let Ok(link) = SignedRoot::parse(&link) else { continue };
        // The new root's own keys among those that signed: both quorums' are needed, and two keys are each one.
        let own = |root: &RootDocument<'_>| {
            link.signatures.iter().filter(|signature| root.roles.root().key(&signature.key).is_some()).count()
        };
        if judged.is_ok() {
            assert_eq!(verify::own_signers(&link), own(&link.document), "{}", vector.name);
            assert!(own(&link.document) > 0 && own(&present) > 0);
        }
        if judged == Err(Refusal::BadSignature) {
            assert!(verify::own_signers(&link) < link.signatures.len(), "{}", vector.name);
        }
    }
    assert!(all.len() >= 15, "{} vectors", all.len());
}

#[test]
fn owner_documents_are_judged_as_their_vectors_say() {
    let all = vectors("verify-owner");
    for vector in &all {
        let (root, document) = (vector.bytes("root"), vector.bytes("owner"));
        let root = RootDocument::parse(&root).expect("a root");
        let addressee = Addressee {
            root: &root,
            anchor: vector.bytes("anchor").try_into().ok().map(PublicKey::ed25519),
            device: DeviceId(vector.bytes("device").try_into().expect("an id")),
            group: GroupId(vector.number("group") as u32),
            serial: vector.number("serial"),
        };
        let signed = SignedOwner::parse(&document).expect("it can be read");
        assert_eq!(verify::owner(&signed, &addressee), vector.wanted(), "{}", vector.name);
        // Once it is accepted its serial is spent; one below is not.
        if vector.wanted().is_ok() {
            let serial = signed.document.serial;
            let at = |serial| verify::owner(&signed, &Addressee { serial, ..addressee });
            assert_eq!(
                (at(serial), at(serial - 1), at(serial + 1)),
                (Err(Refusal::SerialSpent), Ok(()), Err(Refusal::SerialSpent))
            );
        }
    }
    assert!(all.len() >= 14, "{} vectors", all.len());
}

/// A good signature under another key's id is none: whoever reads the set has to see whose it is.
#[test]
fn a_signature_names_its_key() {
    let (mut tried, all) = (0, vectors("verify-owner"));
    for vector in all.iter().filter(|vector| vector.wanted().is_ok()) {
        let (root, mut document) = (vector.bytes("root"), vector.bytes("owner"));
        let root = RootDocument::parse(&root).expect("a root");
        let key = PublicKey::ed25519(vector.bytes("anchor").try_into().expect("a key"));
        let device = DeviceId(vector.bytes("device").try_into().expect("an id"));
        let group = GroupId(vector.number("group") as u32);
        let addressee =
            Addressee { root: &root, anchor: Some(key), device, group, serial: vector.number("serial") };
        let id = key.id().0;
        let at = document.windows(id.len()).rposition(|window| window == id).expect("whose it is");
        document[at + id.len() - 1] ^= 1;
        let signed = SignedOwner::parse(&document).expect("it can be read");
        assert_eq!(verify::owner(&signed, &addressee), Err(Refusal::OwnerSignature), "{}", vector.name);
        tried += 1;
    }
    assert!(tried > 0);
}

/// A key that every signature would satisfy is no anchor, and no vendor's key is one.
#[test]
fn an_anchor_is_a_key_of_its_own() {
    let vector = &vectors("verify-link")[0];
    let present = vector.bytes("present");
    let root = RootDocument::parse(&present).expect("a root");
    let link = vector.bytes("link");
    let link = SignedRoot::parse(&link).expect("a link");
    let listed = link.signatures.iter().find_map(|signature| root.roles.root().key(&signature.key));
    assert_eq!(verify::new_anchor(&listed.expect("a key"), &root), Err(Refusal::VendorKeyAsOwner));
    for weak in [[0; 32], core::array::from_fn(|at| u8::from(at == 0))] {
        assert_eq!(verify::new_anchor(&PublicKey::ed25519(weak), &root), Err(Refusal::BadSignature));
    }
    // Not on the curve at all.
    let nowhere = core::array::from_fn(|at| if at == 0 { 2 } else { 0 });
    assert_eq!(verify::new_anchor(&PublicKey::ed25519(nowhere), &root), Err(Refusal::BadSignature));
    let own = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
    assert_eq!(verify::new_anchor(&PublicKey::ed25519(own), &root), Ok(()));
}
