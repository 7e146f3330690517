//! SPEC.md and DELTA.md are enough: readers in another language, written from them alone, read every vector as ours do.

use patchlane::bundle::sha256;
use patchlane::delta::{self, Input};
use patchlane::flash::mix;
use patchlane_device::delta::Isa;
use patchlane_tests::code::{Program, decode};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the stranger says of a folder of vectors; `None` if there is no Python 3.11 here.
fn told(folder: &Path) -> Option<String> {
    let python = |arguments: &[&Path]| Command::new("python3").args(arguments).output();
    let tomllib = python(&[Path::new("-c"), Path::new("import tomllib")]);
    if !tomllib.is_ok_and(|out| out.status.success()) {
        println!("skipped: there is no Python 3.11 here");
        return None;
    }
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("stranger/reader.py");
    let out = python(&[&reader, folder]).unwrap();
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{told}{}", String::from_utf8_lossy(&out.stderr));
    print!("{told}");
    Some(told)
}

#[test]
fn a_stranger_reads_every_vector_as_we_do() {
    let Some(told) = told(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors")) else { return };
    let count: usize = told.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(count > 240, "{told}");
}

/// As text, what our decoder makes of data, for the stranger to agree with.
fn vector(base: &[u8], data: &[u8], length: usize) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (expect, image) = match decode(base, data, length, 512, 64) {
        Ok(image) => ("accept", hex(&sha256(&image).0)),
        Err(_) => ("BadDelta", String::new()),
    };
    let (named, base, data) = (hex(&sha256(base).0), hex(base), hex(data));
    format!(
        "document = \"delta\"\nexpect = \"{expect}\"\nlength = {length}\nimage = \"{image}\"\n\
         named = \"{named}\"\nbase = \"{base}\"\ndata = \"{data}\"\n"
    )
}

#[test]
fn a_stranger_decodes_what_our_encoder_makes_whole_or_damaged() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stranger");
    fs::create_dir_all(&folder).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..24u64 {
        let isa = Isa::ALL[seed as usize % 4];
        let (old, new) = (0x0800_0000, 0x0800_0000 + (mix(seed) as u32 & 0xffff));
        let linked = (seed % 3 != 0).then_some((old, new));
        let program = Program::new(isa, seed, 40);
        let (base, image) = (program.linked(old), program.fixed(mix(seed) as usize % 99).linked(new));
        let good = delta::encode(&Input { base: &base, image: &image, isa, linked });
        for damage in 0..4u64 {
            let mut data = good.clone();
            if damage > 0 {
                let at = mix(seed << 8 | damage) as usize % data.len();
                data[at] ^= 1 << damage;
            }
            let text = vector(&base, &data, image.len());
            if text.contains("accept") {
                taken += 1
            } else {
                refused += 1
            }
            fs::write(folder.join(format!("{seed}-{damage}.toml")), text).unwrap();
        }
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken >= 24 && refused > 10, "{taken} taken, {refused} refused");
    told(&folder);
}
