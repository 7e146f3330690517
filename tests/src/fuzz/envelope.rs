//! A bundle file, as the host reads it and as a reader of the protocol does: what either takes, it writes again as it
//! was (I10).

use crate::vectors::all;
use crate::vectors::describe::{describe, rewrite};
use patchlane::bundle::{Bundle, chain, sha256};
use patchlane_protocol::bundle::{Header, LINK_PREFIX};
use patchlane_protocol::{Alternative, Component, Encoding, Image, List, Manifest};

/// An input: a bundle file.
pub fn run(data: &[u8]) {
    let head = again(data);
    let bundle = Bundle::parse(data);
    if let Ok(bundle) = &bundle {
        assert_eq!(bundle.to_bytes().expect("it was read"), data, "the host reads a second spelling");
        assert_eq!(bundle.size().expect("it was read"), data.len());
        bundle.images().expect("its chains were checked");
        assert!(bundle.signatures().is_empty() || head.is_some(), "the host reads more than the protocol");
    }
    if let Some(head) = head
        && let Some(healed) = healed(&data[..head], &data[head..])
    {
        let bundle = Bundle::parse(&healed[..]).expect("head and chains are what they should be");
        assert_eq!(bundle.to_bytes().expect("it was read"), healed);
        bundle.images().expect("its chains were checked");
    }
}

/// Reads each part and writes it again; the length of the head, if all of it is a bundle.
fn again(data: &[u8]) -> Option<usize> {
    describe("bundle", data).ok()?;
    let same = |document: &str, part: &[u8]| {
        assert_eq!(rewrite(document, part).as_deref(), Ok(part), "a second spelling of one {document}");
    };
    let (head, mut rest) = data.split_at(Header::WIDTH);
    let header = Header::parse(head).expect("it was read");
    same("header", head);
    for _ in 0..header.links {
        let (length, after) = rest.split_at(LINK_PREFIX);
        let link;
        (link, rest) = after.split_at(usize::from(length[0]) | usize::from(length[1]) << 8);
        same("root-link", link);
    }
    let (manifest, rest) = rest.split_at(usize::from(header.manifest));
    let (signatures, payload) = rest.split_at(usize::from(header.signatures));
    same("manifest", manifest);
    same("signatures", signatures);
    Some(data.len() - payload.len())
}

/// The same bundle with the digests that its payloads have: no fuzzer guesses those. `None` if two payloads claim to be
/// one image.
fn healed(head: &[u8], mut payload: &[u8]) -> Option<Vec<u8>> {
    let header = Header::parse(&head[..Header::WIDTH]).expect("it was read");
    let documents = head.len() - header.documents();
    let (manifest, signatures) = head[documents..].split_at(usize::from(header.manifest));
    let manifest = Manifest::parse(manifest).expect("it was read");
    let mut payloads = Vec::new();
    let mut parts: Vec<(Component<'_>, Vec<Image>, Vec<Alternative>)> = Vec::new();
    for component in manifest.components.iter() {
        let mut images: Vec<Image> = component.images.iter().collect();
        let mut ways = Vec::new();
        for way in component.alternatives.iter() {
            let stored;
            (stored, payload) = payload.split_at(usize::try_from(way.stored()).ok()?);
            let size = usize::from(way.chunk.get());
            let data: Vec<u8> =
                stored.chunks(size + 32).flat_map(|chunk| &chunk[..chunk.len().min(size)]).copied().collect();
            let (first, chunks) = chain(&data, way.chunk.get());
            if way.encoding == Encoding::Raw {
                images[usize::from(way.image)].digest = sha256(&data);
            }
            payloads.extend(chunks);
            ways.push(Alternative { first, ..way });
        }
        let raws =
            |image: u8| ways.iter().filter(|w| w.image == image && w.encoding == Encoding::Raw).count();
        if (0..images.len() as u8).any(|image| raws(image) > 1) {
            return None;
        }
        parts.push((component, images, ways));
    }
    let components: Vec<Component<'_>> = parts
        .iter()
        .map(|(component, images, ways)| Component {
            images: List::of(images).expect("as many as there were"),
            alternatives: List::of(ways).expect("as many as there were"),
            ..*component
        })
        .collect();
    let components = List::of(&components).expect("as many as there were");
    let mut buffer = [0; 4096];
    let document = Manifest { components, ..manifest };
    let document = document.encode(&mut buffer).expect("it keeps the rules it kept");
    assert_eq!(document.len(), usize::from(header.manifest), "digests are of one length");
    Some([&head[..documents], document, signatures, &payloads].concat())
}

/// The bundles among the vectors.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let bundles = all().into_iter().filter(|v| v.document == "bundle");
    bundles.map(|v| (v.name.to_owned(), v.bytes("input").to_vec())).collect()
}
