//! Vectors for delta data (SPEC §4.5, DELTA.md).

use super::fixtures::sha256;
use super::pen::{Part, Pen, Script, header};
use super::{Expect, Vector};
use crate::code::Program;
use crate::sim::world::image as noise;
use patchlane_device::delta::{Isa, Number};
use patchlane_protocol::Refusal;
use std::collections::BTreeSet;

/// Deltas taken and refused.
pub fn vectors() -> Vec<Vector> {
    [code(), images(), units(), pairs(), broken_tables(), broken_items(), ends(), foreign()].concat()
}

const NOTHING: (Isa, Option<(u32, u32)>) = (Isa::Plain, None);

/// A base, data for it, and what comes of them.
fn vector(name: &'static str, base: &[u8], data: Vec<u8>, length: usize, expect: Expect) -> Vector {
    let inputs = vec![("base", base.to_vec()), ("named", sha256(base).to_vec()), ("data", data)];
    Vector::judged(name, "delta", inputs, expect).with("length", length as u64)
}

fn made(name: &'static str, base: &[u8], data: Vec<u8>, image: &[u8], why: &'static str) -> Vector {
    let mut vector = vector(name, base, data, image.len(), Expect::Accept).shows(&["M4.18"], why);
    vector.inputs.push(("image", sha256(image).to_vec()));
    vector
}

fn scripted(name: &'static str, script: &Script<'_>, why: &'static str) -> Vector {
    let mut pen = Pen::new();
    let data = [header(script.isa, script.linked), pen.script(script).trimmed()].concat();
    made(name, script.base, data, script.image, why)
}

/// A program before and after a fix, some of whose bytes changed besides; parts by function.
fn program(isa: Isa, linked: (u32, u32)) -> (Vec<u8>, Vec<u8>, Vec<Part>) {
    let old = Program::new(isa, 3, 9);
    let new = old.fixed(4);
    let (mut base, mut image) = (old.linked(linked.0), new.linked(linked.1));
    // The table twice: what a pointer became is known when it comes again.
    base.extend_from_within(base.len() - 4 * old.places().len()..);
    image.extend_from_within(image.len() - 4 * new.places().len()..);
    let mut parts = Vec::new();
    let (before, mut end) = (old.places(), 0);
    for (name, at, length) in new.places() {
        let same = before.iter().find(|f| f.0 == name && old.shares(&new, name));
        parts.push(same.map_or(Part::Literal(length), |f| Part::Cover(f.1, length)));
        if same.is_some() {
            (at..at + length).step_by(29).for_each(|at| image[at as usize] ^= 0x10);
        }
        end = at + length;
    }
    let table = 4 * before.len() as u32;
    for back in [2, 1] {
        parts.extend([Part::Copy(base.len() as u32 - back * table, table), Part::Literal(4)]);
    }
    // A pointer to somewhere else; its twin goes where the others go.
    image[end as usize + 8] ^= 0x10;
    (base, image, parts)
}

fn code() -> Vec<Vector> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    let moved = "Jumps and pointers follow what they point to, or don't";
    for (isa, name, other) in [
        (Isa::Plain, "delta-pointers-only", "delta-pointers-other-address"),
        (Isa::Thumb, "delta-thumb", "delta-thumb-other-address"),
        (Isa::Arm, "delta-a32", "delta-a32-other-address"),
        (Isa::Riscv, "delta-rv32", "delta-rv32-other-address"),
    ] {
        let here = (0x0800_4000, 0x0800_4000);
        for (name, linked) in [(name, here), (other, (0x0800_4000, 0x2001_0000))] {
            let (base, image, parts) = program(isa, linked);
            let script = Script { isa, linked: Some(linked), base: &base, image: &image, parts: &parts };
            let mut pen = Pen::new();
            pen.script(&script);
            seen.extend(pen.units);
            all.push(scripted(name, &script, moved));
        }
    }
    let units = (0..8).flat_map(|kind| [(kind, false), (kind, true)]);
    let unseen: Vec<_> = units.filter(|unit| !seen.contains(unit)).collect();
    // Aligned covers hold no lone bytes: `units` has those.
    assert_eq!(unseen, [(0, false), (0, true)], "kinds of units that no vector hits, or misses");
    all
}

fn images() -> Vec<Vector> {
    let (isa, linked) = NOTHING;
    let base = noise(70, 120);
    let script = |name, image: &[u8], parts: &[Part], why| {
        scripted(name, &Script { isa, linked, base: &base, image, parts }, why)
    };
    let fresh = noise(71, 90);
    let mut shuffled: Vec<u8> = [&base[40..90], &fresh[..3], &base[3..40], &base[81..120]].concat();
    shuffled[7] ^= 1;
    let around = [Part::Copy(40, 50), Part::Literal(3), Part::Copy(3, 37), Part::Copy(81, 39)];
    let wide = noise(72, 48 * 7);
    let (mut full, mut covers) = (Vec::new(), Vec::new());
    for n in (0..48).rev() {
        full.extend(&wide[n * 7..n * 7 + 6]);
        full.push(n as u8);
        covers.extend([Part::Cover(n as u32 * 7, 6), Part::Literal(1)]);
    }
    let table = Script { isa, linked, base: &wide, image: &full, parts: &covers };
    vec![
        script(
            "delta-literals-only",
            &fresh,
            &[Part::Literal(60), Part::Literal(30)],
            "A base may serve nothing",
        ),
        script("delta-one-byte", &[0xa5], &[Part::Literal(1)], "The least image"),
        script("delta-no-table", &shuffled, &around, "Copies of any alignment, forward and back"),
        scripted("delta-table-full", &table, "The most covers a device has room for"),
        made("delta-identity", &base, vec![0], &base, "A coder that reads only zeros copies byte by byte"),
        made("delta-prefix", &base, vec![0], &base[..50], "The image's length ends it, not the base's"),
    ]
}

/// Rules that code as compilers make it seldom needs.
fn units() -> Vec<Vector> {
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let whole = |name, isa, linked, base: &[u8], image: &[u8], parts: &[Part], why| {
        scripted(name, &Script { isa, linked, base, image, parts }, why)
    };
    let zeros = words(&[0, 0, 7, 0, 0, 9, 0]);
    let turned = words(&[0, 5, 7, 0, 5, 9, 5]);
    // Two calls of the same function; where the first was is none any more.
    let calls = words(&[0xf802_f000, 0xf800_f000, 0, 0x4770_4770]);
    let gone = words(&[0x2100_2000, 0xf800_f000, 0, 0x4770_4770]);
    // The covers move by 3 and by 8: pointers with and without a lowest bit, into either.
    let odd = [words(&[0x1009, 0x1008, 0x1018, 0x1019]), noise(73, 16)].concat();
    let led = [&words(&[0x100c, 0x100b, 0x1020, 0x1021])[..], &[1, 2, 3, 4, 5, 6, 7], &odd[12..28]].concat();
    vec![
        whole(
            "delta-zero-is-known",
            Isa::Plain,
            None,
            &zeros,
            &turned,
            &[Part::Cover(0, 28)],
            "Memory begins with key 0 and value 0",
        ),
        whole(
            "delta-jump-gone",
            Isa::Thumb,
            None,
            &calls,
            &gone,
            &[Part::Cover(0, 16)],
            "Of a jump that is none any more nothing is remembered",
        ),
        whole(
            "delta-pointer-lowest-bit",
            Isa::Plain,
            Some((0x1000, 0x1000)),
            &odd,
            &led,
            &[Part::Copy(0, 16), Part::Literal(7), Part::Cover(12, 16)],
            "The lowest bit is set again, not added",
        ),
    ]
}

fn pairs() -> Vec<Vector> {
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let whole = |name, isa, linked, base: &[u8], image: &[u8], parts: &[Part], why| {
        scripted(name, &Script { isa, linked, base, image, parts }, why)
    };
    // AUIPC t0; then opcode 67 with function 1, a load of two bytes, SLTI on it.
    let pairs = words(&[0x297, 0x0142_90e7, 0x297, 0x0182_9503, 0x297, 0x01c2_a513, 0x13, 0x13]);
    let later = [&pairs[..24], &[0x13, 0, 0, 0], &pairs[24..]].concat();
    let mut fitted = later.clone();
    fitted[7] = 0x01;
    vec![
        whole(
            "delta-rv32-pairs",
            Isa::Riscv,
            None,
            &pairs,
            &fitted,
            &[Part::Cover(0, 24), Part::Literal(4), Part::Cover(24, 8)],
            "What completes an address is told by opcode; ADDI by its function too",
        ),
        whole(
            "delta-ends-of-copies",
            Isa::Riscv,
            None,
            &pairs,
            &[&pairs[..6], &pairs[8..15], &pairs[18..21]].concat(),
            &[Part::Copy(0, 6), Part::Copy(8, 7), Part::Copy(18, 3)],
            "No unit reaches past its copy",
        ),
    ]
}

fn refused(name: &'static str, data: Vec<u8>, why: &'static str) -> Vector {
    let expect = Expect::Refuse(Refusal::BadDelta);
    vector(name, &noise(74, 64), data, 64, expect).shows(&["M4.18"], why)
}

fn coded(write: impl FnOnce(&mut Pen)) -> Vec<u8> {
    let mut pen = Pen::new();
    write(&mut pen);
    [header(NOTHING.0, NOTHING.1), pen.trimmed()].concat()
}

fn broken_tables() -> Vec<Vector> {
    let table = |covers: &[(u32, u32, i32)]| {
        coded(|pen| {
            pen.number(Number::Count, covers.len() as u32);
            for (gap, length, shift) in covers {
                pen.cover(*gap, *length, shift.cast_unsigned());
            }
        })
    };
    let outside = "A cover outside makes a device read what isn't the base";
    let first = |byte: u8| [vec![byte], table(&[(0, 64, 0)])[1..].to_vec()].concat();
    vec![
        refused("delta-unknown-instruction-set", first(4), "What a device doesn't know it doesn't guess"),
        refused("delta-unknown-flag", first(0x40), "What a device doesn't know it doesn't guess"),
        refused("delta-49-covers", table(&[(0, 1, 0); 49]), "Nobody exhausts a device"),
        refused("delta-cover-past-base", table(&[(0, 8, -57)]), outside),
        refused("delta-cover-before-base", table(&[(0, 8, 1)]), outside),
        refused("delta-cover-past-image", table(&[(57, 8, 57)]), "Nobody writes past a slot"),
        refused("delta-cover-without-end", table(&[(1, u32::MAX, 0)]), "Lengths don't wrap"),
        refused(
            "delta-cover-back",
            table(&[(0, 16, 0), (0xffff_fff8, 8, 0)]),
            "Covers don't overlap: gaps don't wrap",
        ),
    ]
}

/// Refused at the first item, with or without a cover from 4 to 12.
fn item(
    name: &'static str,
    covered: bool,
    write: impl FnOnce(&mut Pen) -> &mut Pen,
    why: &'static str,
) -> Vector {
    let data = coded(|pen| {
        pen.number(Number::Count, u32::from(covered));
        write(if covered { pen.cover(4, 8, 0) } else { pen });
    });
    refused(name, data, why)
}

fn broken_items() -> Vec<Vector> {
    let past = "Nobody writes past a slot";
    let outside = "Nothing outside the base is read";
    let over = "One place of the image, one source";
    vec![
        item("delta-literal-past-cover", true, |pen| pen.literal(5, &[1; 5]), over),
        item("delta-copy-past-cover", true, |pen| pen.copy(0, 5), over),
        item("delta-literal-past-image", false, |pen| pen.literal(65, &[1; 65]), past),
        item("delta-copy-past-image", false, |pen| pen.literal(60, &[1; 60]).copy(0, 5), past),
        item("delta-copy-past-base", false, |pen| pen.copy(57, 8), outside),
        item("delta-copy-before-base", false, |pen| pen.copy(1u32.wrapping_neg(), 1), outside),
    ]
}

fn ends() -> Vec<Vector> {
    let (base, image) = (noise(74, 64), noise(75, 64));
    let parts = [Part::Literal(64)];
    let script = Script { isa: Isa::Plain, linked: None, base: &base, image: &image, parts: &parts };
    let good = [&[0], &Pen::new().script(&script).whole()[..]].concat();
    let said = "Where data ends is where it is consumed, zeros or not";
    let (short, alone) = ([&[0x80][..], &[0; 7]].concat(), [&[0x80][..], &[0; 8]].concat());
    vec![
        made("delta-zeros-sent", &base, good.clone(), &image, said),
        refused("delta-data-after-end", [&good[..], &[0]].concat(), said),
        refused("delta-addresses-cut-short", short, "Only the coded part ends in zeros unsent"),
        made("delta-addresses-alone", &base, alone, &base, "The coded part may be all zeros"),
    ]
}

/// Right data where it doesn't belong.
fn foreign() -> Vec<Vector> {
    let (base, other) = (noise(76, 80), noise(77, 80));
    let named = |expect| {
        let mut vector = vector("delta-other-base", &base, vec![0], 80, expect);
        vector.inputs[1].1 = sha256(&other).to_vec();
        vector.shows(&["M4.18"], "On another base a delta makes an image nobody signed")
    };
    let mut image = vector("delta-other-image", &base, vec![0], 80, Expect::Refuse(Refusal::ImageDigest));
    image.inputs.push(("image", sha256(&other).to_vec()));
    vec![
        named(Expect::Refuse(Refusal::NoAlternative)),
        image.shows(&["M4.15", "M4.18"], "Authentic data that makes another image is still refused"),
    ]
}
