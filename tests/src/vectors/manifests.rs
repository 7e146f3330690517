//! Vectors for the primitives, shown on a manifest (SPEC §2), and for the manifest's own rules (SPEC §4).

use super::Vector;
use super::fixtures::{feature, patch, raw, splice, version};
use super::mirror::{Advisory, Alternative, Combined, Component, Image, Manifest, Tag, Version, encode};
use patchlane_protocol::FormatError;

// Offsets in the patch: kind 0, product 1, then one byte each.
const HARDWARE_COUNT: usize = 33;
const LINE: usize = 36;
const ROOT_VERSION: usize = 40;
const COMPONENT_COUNT: usize = 41;
const ADDRESS_FLAG: usize = 44;

fn refuse(name: &'static str, input: Vec<u8>, error: FormatError) -> Vector {
    Vector::refuse(name, "manifest", input, error)
}

/// SPEC §2.
pub fn primitives() -> Vec<Vector> {
    [bytes_and_numbers(), lists_and_texts()].concat()
}

fn bytes_and_numbers() -> Vec<Vector> {
    let good = encode(&patch());
    let one = "One manifest, one spelling: else one signature covers two byte strings";
    vec![
        Vector::accept("manifest-patch", "manifest", good.clone())
            .shows(&["M2.1", "M2.2", "M2.5", "M4.1", "M4.16"], "The fields in their order, and nothing else"),
        Vector::accept("manifest-largest-numbers", "manifest", largest())
            .shows(&["M2.3", "M2.4", "M4.2"], "Every number of every width can be written"),
        refuse("manifest-truncated", good[..good.len() - 1].to_vec(), FormatError::UnexpectedEnd)
            .shows(&["M2.1"], "Missing is never read as zero"),
        refuse("manifest-empty", Vec::new(), FormatError::UnexpectedEnd)
            .shows(&["M2.1"], "Missing is never read as zero"),
        refuse("manifest-field-left-out", good[..good.len() - 2].to_vec(), FormatError::UnexpectedEnd)
            .shows(&["M4.1"], "What isn't said isn't the default"),
        refuse("manifest-trailing-byte", [good.clone(), vec![0]].concat(), FormatError::TrailingBytes)
            .shows(&["M2.2"], "A later field can't hide behind an older reader's end"),
        refuse("manifest-overlong-varint", splice(&good, LINE, 1, &[0x84, 0]), FormatError::OverlongVarint)
            .shows(&["M2.3"], one),
        refuse(
            "manifest-overlong-count",
            splice(&good, HARDWARE_COUNT, 1, &[0x82, 0]),
            FormatError::OverlongVarint,
        )
        .shows(&["M2.3"], one),
        refuse(
            "manifest-varint-above-u16",
            splice(&good, LINE, 1, &[0x80, 0x80, 4]),
            FormatError::VarintOverflow,
        )
        .shows(&["M2.4"], "65,536 must not wrap to line 0"),
        refuse(
            "manifest-varint-above-u32",
            splice(&good, ROOT_VERSION, 1, &[0x80, 0x80, 0x80, 0x80, 0x10]),
            FormatError::VarintOverflow,
        )
        .shows(&["M2.4"], "2^32 must not wrap to root version 0"),
        refuse(
            "manifest-varint-above-u64",
            splice(&good, ROOT_VERSION, 1, &[0xff; 11]),
            FormatError::VarintOverflow,
        )
        .shows(&["M2.4"], "No reader shifts past its word"),
        refuse("manifest-unknown-kind", splice(&good, 0, 1, &[2]), FormatError::UnknownTag)
            .shows(&["M2.5"], "What a reader doesn't know it doesn't guess"),
        refuse("manifest-unknown-flag", splice(&good, ADDRESS_FLAG, 1, &[2]), FormatError::UnknownTag)
            .shows(&["M2.5"], "Only 0 and 1 are flags: 2 would be a second spelling of true"),
        refuse("manifest-overlong-tag", splice(&good, 0, 1, &[0x80, 0]), FormatError::UnknownTag)
            .shows(&["M2.5"], "A tag is one byte, never a longer varint"),
    ]
}

fn largest() -> Vec<u8> {
    let version = Version { open: vec![u32::MAX - 1], ..version(u16::MAX, u16::MAX, u32::MAX) };
    let (issued_at, support_end) = (u64::MAX, u64::MAX);
    encode(&Manifest {
        hardware: vec![0, u16::MAX],
        version,
        root_version: u32::MAX,
        issued_at,
        support_end,
        ..patch()
    })
}

fn lists_and_texts() -> Vec<Vector> {
    let good = encode(&patch());
    let hardware = |revisions: Vec<u16>| encode(&Manifest { hardware: revisions, ..patch() });
    let text = |text: &str| encode(&Manifest { text: text.into(), ..patch() });
    let plain = good.len() - 2 - patch().text.len();
    vec![
        Vector::accept("manifest-longest-text", "manifest", text(&"x".repeat(256)))
            .shows(&["M2.6"], "Limits are inclusive"),
        Vector::accept("manifest-text-beyond-ascii", "manifest", text("Überlauf behoben: 修正済み"))
            .shows(&["M2.9"], "Operators read their own language"),
        Vector::accept("manifest-most-revisions", "manifest", hardware((1..=8).collect()))
            .shows(&["M2.6", "M2.8"], "Limits are inclusive"),
        refuse("manifest-text-too-long", text(&"x".repeat(257)), FormatError::OverLimit)
            .shows(&["M2.6"], "Buffers have a size"),
        refuse("manifest-too-many-revisions", hardware((1..=9).collect()), FormatError::OverLimit)
            .shows(&["M2.6"], "Buffers have a size"),
        refuse("manifest-no-hardware", hardware(Vec::new()), FormatError::EmptyList)
            .shows(&["M2.7"], "For no hardware must not be read as for all"),
        refuse(
            "manifest-no-component",
            encode(&Manifest { components: Vec::new(), ..patch() }),
            FormatError::EmptyList,
        )
        .shows(&["M2.7"], "A release without components would raise a level and change nothing"),
        refuse("manifest-revision-twice", hardware(vec![2, 2]), FormatError::NotIncreasing)
            .shows(&["M2.8"], "A set has one spelling"),
        refuse("manifest-revisions-out-of-order", hardware(vec![2, 1]), FormatError::NotIncreasing)
            .shows(&["M2.8"], "A set has one spelling"),
        refuse(
            "manifest-component-twice",
            {
                let mut twice = patch();
                twice.components.push(twice.components[0].clone());
                encode(&twice)
            },
            FormatError::NotIncreasing,
        )
        .shows(&["M2.8"], "Two digests for one component: which one runs?"),
        refuse("manifest-text-not-utf8", splice(&good, plain + 1, 1, &[0xff]), FormatError::BadText)
            .shows(&["M2.9"], "An operator reads what was signed"),
        refuse("manifest-text-escape", text("\u{1b}[2J"), FormatError::BadText)
            .shows(&["M2.9"], "A text can't repaint an operator's terminal"),
        refuse("manifest-text-right-to-left", text("fix \u{202e}4.1"), FormatError::BadText)
            .shows(&["M2.9"], "A text can't read as something else"),
        refuse("manifest-text-invisible", text("4.\u{2060}1"), FormatError::BadText)
            .shows(&["M2.9"], "Two texts that look the same are the same"),
        refuse(
            "manifest-component-count-too-large",
            splice(&good, COMPONENT_COUNT, 1, &[5]),
            FormatError::OverLimit,
        )
        .shows(&["M2.6"], "A count is checked before anything is read by it"),
    ]
}

/// SPEC §4.
pub fn rules() -> Vec<Vector> {
    [versions(), images(), alternatives(), advisories()].concat()
}

fn versions() -> Vec<Vector> {
    let open = |open: &[u32]| {
        let advisories = Vec::new();
        encode(&Manifest {
            version: Version { open: open.to_vec(), ..version(4, 1, 8) },
            advisories,
            ..patch()
        })
    };
    vec![
        Vector::accept("manifest-open-advisories", "manifest", open(&[3, 7]))
            .shows(&["M4.4"], "An urgent fix may overtake a slower one"),
        refuse("manifest-open-zero", open(&[0]), FormatError::OpenNotBelowLevel)
            .shows(&["M4.4"], "Index 0 names nothing: a second spelling of nothing open"),
        refuse("manifest-open-at-level", open(&[8]), FormatError::OpenNotBelowLevel)
            .shows(&["M4.4"], "8 with 8 open would be a second spelling of 7"),
        refuse("manifest-open-out-of-order", open(&[7, 3]), FormatError::NotIncreasing)
            .shows(&["M2.8"], "A set has one spelling"),
        refuse(
            "manifest-open-too-many",
            {
                let many: Vec<u32> = (1..=17).collect();
                encode(&Manifest { version: Version { open: many, ..version(4, 1, 99) }, ..patch() })
            },
            FormatError::OverLimit,
        )
        .shows(&["M2.6"], "Buffers have a size"),
        refuse(
            "manifest-root-version-zero",
            encode(&Manifest { root_version: 0, ..patch() }),
            FormatError::ZeroVersion,
        )
        .shows(&["M4.2"], "No root is older than the first"),
    ]
}

fn with(images: Vec<Image>, alternatives: Vec<Alternative>) -> Vec<u8> {
    encode(&Manifest { components: vec![Component { id: 0, images, alternatives }], ..patch() })
}

fn picture() -> Image {
    patch().components[0].images[0].clone()
}

fn at(address: u32) -> Image {
    Image { address: Some(address), ..picture() }
}

fn images() -> Vec<Vector> {
    let second = Alternative { image: 1, ..raw() };
    vec![
        Vector::accept(
            "manifest-two-slots",
            "manifest",
            with(vec![at(0x800_4000), at(0x802_0000)], vec![raw(), second]),
        )
        .shows(&["M2.8", "M4.10", "M4.12"], "Execute in place: one image for each slot address"),
        Vector::accept("manifest-payload-free", "manifest", with(vec![picture()], Vec::new()))
            .shows(&["M2.7", "M4.14"], "A patch for an image that isn't affected"),
        Vector::accept(
            "manifest-image-of-one-byte",
            "manifest",
            with(vec![Image { size: 1, ..picture() }], Vec::new()),
        )
        .shows(&["M4.9"], "The smallest image there is"),
        refuse(
            "manifest-image-empty",
            with(vec![Image { size: 0, ..picture() }], Vec::new()),
            FormatError::SizeMismatch,
        )
        .shows(&["M4.9"], "An erased slot is no release"),
        refuse(
            "manifest-second-image-without-address",
            with(vec![Image { address: None, ..picture() }, at(1)], Vec::new()),
            FormatError::AddressMismatch,
        )
        .shows(&["M4.10"], "An image linked for one slot must not run in another"),
        refuse(
            "manifest-same-address-twice",
            with(vec![at(1), at(1)], Vec::new()),
            FormatError::NotIncreasing,
        )
        .shows(&["M2.8", "M4.10"], "Two digests for one slot: which one runs?"),
    ]
}

fn alternatives() -> Vec<Vector> {
    let one = |a: Alternative| with(vec![picture()], vec![a]);
    let delta = Alternative { encoding: Tag::T2, base: Some([9; 32]), size: 64, ram: 512, ..raw() };
    let packed = Alternative { encoding: Tag::T1, size: 200, ram: 4_096, ..raw() };
    let size = |name, a| {
        refuse(name, one(a), FormatError::SizeMismatch)
            .shows(&["M4.13"], "Every reader computes the same chunks and offsets")
    };
    let base = |name, a| {
        refuse(name, one(a), FormatError::BaseMismatch)
            .shows(&["M4.11"], "A delta on the wrong base makes an image nobody built")
    };
    vec![
        Vector::accept(
            "manifest-three-alternatives",
            "manifest",
            with(vec![picture()], vec![raw(), packed.clone(), delta.clone()]),
        )
        .shows(&["M4.11", "M4.13"], "A full image is there for whoever lacks the base"),
        base("manifest-delta-without-base", Alternative { base: None, ..delta.clone() }),
        base("manifest-raw-with-base", Alternative { base: Some([9; 32]), ..raw() }),
        base("manifest-compressed-with-base", Alternative { base: Some([9; 32]), ..packed }),
        refuse("manifest-unknown-image", one(Alternative { image: 1, ..raw() }), FormatError::UnknownImage)
            .shows(&["M4.12"], "A payload produces an image that is named"),
        refuse(
            "manifest-same-alternative-twice",
            with(vec![picture()], vec![raw(), raw()]),
            FormatError::NotIncreasing,
        )
        .shows(&["M2.8"], "A set has one spelling"),
        size("manifest-payload-empty", Alternative { size: 0, ..delta.clone() }),
        size("manifest-chunk-too-small", Alternative { chunk: 127, ..raw() }),
        size("manifest-chunk-too-large", Alternative { chunk: 4_097, ..raw() }),
        size("manifest-raw-not-image-size", Alternative { size: 299, ..raw() }),
        size("manifest-raw-with-ram", Alternative { ram: 1, ..raw() }),
    ]
}

fn advisories() -> Vec<Vector> {
    let closing = |indices: &[u32], open: Vec<u32>| {
        let advisory = |index: &u32| Advisory { index: *index, ..patch().advisories[0].clone() };
        let version = Version { open, ..version(4, 1, 8) };
        encode(&Manifest { version, advisories: indices.iter().map(advisory).collect(), ..patch() })
    };
    let unhandled = |name, input| {
        refuse(name, input, FormatError::AdvisoryNotHandled)
            .shows(&["M4.16"], "What is said to be fixed is what the device records as fixed")
    };
    let delta_only = {
        let mut m = feature();
        m.components[0].alternatives = vec![Alternative { encoding: Tag::T2, base: Some([9; 32]), ..raw() }];
        encode(&m)
    };
    let mut bare = feature();
    bare.components[0].alternatives.clear();
    vec![
        Vector::accept("manifest-feature-update", "manifest", encode(&feature()))
            .shows(&["M4.14", "M4.17"], "A feature update may say why its fixes come only with features"),
        unhandled("manifest-advisory-above-level", closing(&[9], Vec::new())),
        unhandled("manifest-advisory-zero", closing(&[0], Vec::new())),
        unhandled("manifest-advisory-open", closing(&[7], vec![7])),
        refuse("manifest-advisories-out-of-order", closing(&[8, 7], Vec::new()), FormatError::NotIncreasing)
            .shows(&["M2.8"], "A set has one spelling"),
        refuse(
            "manifest-combined-patch",
            encode(&Manifest {
                combined: Some(Combined { reason: Tag::T0, because: "x".into() }),
                ..patch()
            }),
            FormatError::CombinedOnPatch,
        )
        .shows(&["M4.17"], "A patch is separate by definition"),
        refuse("manifest-feature-delta-only", delta_only, FormatError::MissingFullImage)
            .shows(&["M4.14"], "A rollback or a repair finds no base to build on"),
        refuse("manifest-feature-payload-free", encode(&bare), FormatError::MissingFullImage)
            .shows(&["M4.14"], "A rollback or a repair finds no base to build on"),
    ]
}
