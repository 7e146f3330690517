//! One file for several bases: deltas built, shown, extracted, and taken by the devices that run them.

#[cfg(unix)]
use super::bench::{Bench, GRANTS, Nature};
use super::desk::Desk;
use patchlane::bundle::sha256;
use patchlane::flash::mix;

fn noise(seed: u64, size: u64) -> Vec<u8> {
    (0..size).map(|n| mix(seed << 32 | n) as u8).collect()
}

/// A product with two baselines in the field, of 9,000 bytes each, and a fix that is much like both.
fn desk(name: &str) -> Desk {
    let desk = Desk::started(name);
    let (one, two) = (noise(1, 6_000), noise(2, 3_000));
    std::fs::write(desk.path("old.bin"), [&one[..], &noise(3, 3_000)].concat()).unwrap();
    std::fs::write(desk.path("older.bin"), [&noise(4, 6_000)[..], &two].concat()).unwrap();
    std::fs::write(desk.path("new.bin"), [&one[..], &two].concat()).unwrap();
    std::fs::write(desk.path("other.bin"), noise(5, 9_000)).unwrap();
    for (level, file) in [(5, "older"), (6, "old"), (7, "other")] {
        desk.ok(&format!("build security --baseline 4.1 --level {level} --image {file}.bin -o {file}.plb"));
        desk.ok(&format!("sign {file}.plb"));
    }
    desk
}

const BUILD: &str =
    "build security --baseline 4.1 --level 8 --image new.bin --closes 8:CVE-2027-1:high -o new.plb";

#[test]
fn a_bundle_brings_a_delta_for_each_base() {
    let desk = desk("delta-build");
    let built = desk.ok(&format!("{BUILD} --base old.plb --base older.bin"));
    let ways = built["components"][0]["alternatives"].as_array().unwrap();
    let bases: Vec<_> = ways.iter().map(|way| way["base_sha256"].as_str()).collect();
    let mut expected: Vec<_> = ["old.bin", "older.bin"]
        .map(|file| sha256(&std::fs::read(desk.path(file)).unwrap()).to_string())
        .into();
    expected.sort();
    assert_eq!(bases, [None, Some(&expected[0][..]), Some(&expected[1][..])]);
    for way in &ways[1..] {
        assert!(way["bytes"].as_u64().unwrap() < 6_700, "a third, or two, of it is new: {way}");
    }
    desk.ok("sign new.plb");
    for base in ["old.bin", "old.plb", "older.bin", "older.plb"] {
        desk.ok(&format!("extract new.plb --base {base} -o made.bin --force"));
        assert!(
            std::fs::read(desk.path("made.bin")).unwrap() == std::fs::read(desk.path("new.bin")).unwrap()
        );
    }
    assert!(
        desk.fails("extract new.plb --base other.bin -o m.bin", 3, "image").contains("no base of new.plb")
    );
    desk.fails("extract new.plb --base missing.bin -o m.bin", 3, "missing-file");
    desk.fails("extract new.plb --base old.bin --manifest m", 2, "usage");
}

#[test]
fn a_delta_that_is_no_use_is_left_out_and_said() {
    let desk = desk("delta-useless");
    let built = desk.ok(&format!("{BUILD} --base other.plb --base new.bin"));
    assert_eq!(built["components"][0]["alternatives"].as_array().unwrap().len(), 1, "{built}");
    let notes: Vec<_> = built["notes"].as_array().unwrap().iter().filter_map(|note| note.as_str()).collect();
    assert!(notes.contains(&"no delta from other.plb: it saves nothing here"), "{notes:?}");
    assert!(notes.contains(&"no delta from new.bin: it is the image itself"), "{notes:?}");
    // The same file twice is one base.
    let built = desk.ok(&format!("{BUILD} --base old.plb --base old.bin --force"));
    assert_eq!(built["components"][0]["alternatives"].as_array().unwrap().len(), 2);
}

#[test]
fn wrong_bases_are_refused_before_anything_is_written() {
    let desk = desk("delta-wrong");
    std::fs::write(desk.path("empty"), "").unwrap();
    std::fs::create_dir(desk.path("folder")).unwrap();
    let mut damaged = std::fs::read(desk.path("old.plb")).unwrap();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    std::fs::write(desk.path("damaged.plb"), damaged).unwrap();
    desk.fails(&format!("{BUILD} --base missing.plb"), 3, "missing-file");
    desk.fails(&format!("{BUILD} --base folder"), 3, "file-access");
    desk.fails(&format!("{BUILD} --base empty"), 3, "image");
    desk.fails(&format!("{BUILD} --base damaged.plb"), 1, "refused");
    desk.fails(&format!("{BUILD} --base old.plb --no-payload"), 2, "usage");
    desk.fails(&format!("{BUILD} --base old.plb@0x08000000"), 2, "usage");
    // More payloads than a manifest has room for.
    let many: String = (0..8).map(|n| format!(" --base v{n}.bin")).collect();
    for n in 0..8 {
        let mut image = std::fs::read(desk.path("new.bin")).unwrap();
        image[n * 100] ^= 1;
        std::fs::write(desk.path(&format!("v{n}.bin")), image).unwrap();
    }
    desk.fails(&format!("{BUILD}{many}"), 3, "malformed");
}

#[cfg(unix)]
#[test]
fn each_device_takes_the_payload_that_fits_what_it_runs() {
    let desk = desk("delta-push");
    desk.ok(&format!("{BUILD} --base old.plb --base older.plb"));
    desk.ok("sign new.plb");
    for (runs, encoding) in [("old.plb", "delta"), ("older.plb", "delta"), ("other.plb", "raw")] {
        let nature = Nature { window: true, ..GRANTS };
        let bench = Bench::provisioned(&desk, &format!("{runs} --security-policy apply-in-window"), nature);
        let pushed = bench.ok(&desk, "push new.plb");
        assert_eq!((&pushed["outcome"], &pushed["payload"]["encoding"]), (&"ready".into(), &encoding.into()));
        bench.ok(&desk, "reboot");
        assert_eq!(bench.ok(&desk, "status")["confirmed"], "4.1 s8");
        let device = bench.unplug();
        assert_eq!(device.media.primary(9_000), &std::fs::read(desk.path("new.bin")).unwrap()[..], "{runs}");
    }
}
