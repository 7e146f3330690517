//! What would be a dangerous success of `extract`, `diff`, `layout`, `simulate` and `provision`: each says so, or fails.

use super::dangerous::refused;
use super::desk::{Desk, listing};
use serde_json::{Value, json};

/// What nobody verified says so wherever it is looked at, `--quiet` or not.
#[test]
fn extract_never_passes_what_nobody_verified_for_verified() {
    let desk = Desk::signed("silent-extract");
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o u.plb");
    refused(&desk, "extract u.plb -o x.bin", 1, "not-enough-signatures", "u.plb isn't signed");
    for quiet in ["", " --quiet"] {
        let out = desk.run(&format!("extract u.plb -o x.bin --unverified --force{quiet}"));
        let data = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(data.starts_with("verified  ") && data.contains("no: nobody asked who signed it"), "{data}");
    }
    let loud = desk.run("extract u.plb -o x.bin --unverified --force");
    let told = String::from_utf8_lossy(&loud.stderr).into_owned();
    assert!(told.contains("NOT VERIFIED"), "{told}");
    let data = desk.ok("extract a.plb -o x.bin --unverified --force");
    assert_eq!((&data["verified"], &data["development"]), (&false.into(), &Value::Null));
    let data = desk.ok("extract a.plb -o x.bin --force");
    assert_eq!((&data["verified"], &data["development"]), (&true.into(), &true.into()));
    // An anchor that can't be read isn't none, and --unverified doesn't go with one.
    refused(&desk, "extract a.plb -o y.bin --root none.plr", 3, "missing-file", "none.plr isn't there");
    desk.fails("extract a.plb -o y.bin --unverified --root trust/root-1.plr", 2, "usage");
    // Another product's root verifies nothing.
    desk.ok("init other --class valve");
    let words = "a.plb is for another product";
    refused(&desk, "extract a.plb -o y.bin --root other/trust/root-1.plr", 1, "refused", words);
    // It doesn't write over its own bundle, or over what is there.
    desk.fails("extract a.plb -o a.plb", 3, "file-exists");
    desk.fails("extract a.plb -o z.bin --manifest a.plb", 3, "file-exists");
    desk.fails("extract a.plb -o z.bin --signatures z.bin", 2, "usage");
}

/// A verdict about a device is never better than the device's own.
#[test]
fn diff_never_calls_taken_what_a_device_refuses() {
    let desk = Desk::signed("silent-diff");
    desk.save_status("status.json");
    let ask = |bundle: &str| format!("diff {bundle} --status status.json");
    assert_eq!(desk.ok(&ask("b.plb"))["verdict"], "taken");
    // Only the report itself counts, not the words beside it.
    let text = std::fs::read_to_string(desk.path("status.json")).unwrap();
    let lie = text.replace('{', "{\"confirmed\": \"9.9 s99\", \"hardware\": 7, \"ok\": false, ");
    std::fs::write(desk.path("lie.json"), lie).unwrap();
    assert_eq!(desk.ok("diff b.plb --status lie.json")["confirmed"], "4.1 s7");
    // The same release, an older one, one that nobody signed, one that a stranger signed.
    let words = |what: &str| format!("a.plb would be refused: it {what}");
    refused(&desk, &ask("a.plb"), 1, "refused", &words("is the version already installed"));
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o u.plb");
    let words = "u.plb would be refused: it is signed by fewer keys than its role demands";
    refused(&desk, &ask("u.plb"), 1, "not-enough-signatures", words);
    desk.ok("init other --vendor example.com --class pump");
    for line in ["build security --baseline 4.1 --level 9 --image b.bin -o s.plb", "sign s.plb"] {
        desk.ok(&format!("{line} --config other/patchlane.toml"));
    }
    desk.fails(&ask("s.plb"), 1, "refused");
    let forged = desk.run(&format!("{} --json", ask("s.plb")));
    let forged: Value = serde_json::from_slice(&forged.stdout).unwrap();
    assert_eq!((&forged["verdict"], &forged["otherwise"]), (&"refused".into(), &"taken".into()));
    // Without an anchor who signed it is unknown, and said to be.
    std::fs::rename(desk.path("patchlane.toml"), desk.path("gone.toml")).unwrap();
    let blind = desk.ok(&ask("s.plb"));
    let unknown = blind["unknown"].to_string();
    assert!(unknown.contains("who signed it: there is no trust anchor"), "{unknown}");
    let notes = desk.ok("diff a.plb b.plb")["notes"].to_string();
    assert!(notes.contains("a.plb isn't verified") && notes.contains("b.plb isn't verified"), "{notes}");
    // A root that was named and isn't there isn't left out.
    desk.fails(&format!("{} --root none.plr", ask("s.plb")), 3, "missing-file");
}

/// A status that isn't whole is no status.
#[test]
fn diff_takes_no_report_in_part() {
    let desk = Desk::signed("silent-status");
    desk.save_status("status.json");
    let text = std::fs::read_to_string(desk.path("status.json")).unwrap();
    let hex = text.split('"').nth(3).unwrap();
    let put = |report: Value| {
        std::fs::write(desk.path("s.json"), json!({ "report": report }).to_string()).unwrap();
    };
    for cut in (0..hex.len()).step_by(7) {
        put(json!(hex[..cut]));
        desk.fails("diff b.plb --status s.json", 3, "malformed");
    }
    for report in [
        json!(format!("{hex}00")),
        json!(format!("{hex}0")),
        json!(null),
        json!([hex]),
        json!(format!(" {hex}")),
    ] {
        put(report);
        desk.fails("diff b.plb --status s.json", 3, "malformed");
    }
    for text in ["", "null", "[]", "{}", "{\"report\":", &format!("{text}{text}")] {
        std::fs::write(desk.path("s.json"), text).unwrap();
        desk.fails("diff b.plb --status s.json", 3, "malformed");
    }
}

/// A map with a finding is written out in no form, and nothing on stdout looks like one.
#[test]
fn layout_emits_no_map_that_is_wrong() {
    let desk = Desk::new("silent-layout");
    desk.ok("init --board stm32f407 --class pump");
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let wrong = toml.replace("primary = { offset = 0x20000", "primary = { offset = 0x21000");
    assert_ne!(toml, wrong);
    for kind in ["memory-x", "boot-memory-x", "c-header", "zephyr-dts", "rust"] {
        std::fs::write(desk.path("patchlane.toml"), &toml).unwrap();
        desk.ok(&format!("layout --emit {kind} -o good-{kind}"));
        let before = listing(&desk.0);
        // An image that doesn't fit the map is a finding, too.
        std::fs::write(desk.path("w.bin"), [0x42; 600]).unwrap();
        desk.fails(&format!("layout --emit {kind} --image w.bin"), 3, "image");
        desk.fails(&format!("layout --emit {kind} --image w.bin -o out"), 3, "image");
        std::fs::write(desk.path("patchlane.toml"), &wrong).unwrap();
        for line in [format!("layout --emit {kind}"), format!("layout --emit {kind} -o out")] {
            desk.fails(&line, 3, "config");
            assert!(desk.run(&line).stdout.is_empty(), "{line}");
        }
        // The good one from before isn't replaced by nothing.
        desk.fails(&format!("layout --emit {kind} -o good-{kind} --force"), 3, "config");
        std::fs::remove_file(desk.path("w.bin")).unwrap();
        std::fs::write(desk.path("patchlane.toml"), &toml).unwrap();
        assert_eq!(listing(&desk.0), before);
        desk.fails(&format!("layout --emit {kind} -o good-{kind}"), 3, "file-exists");
    }
}

/// CI that plays a release to a device hears of it when the device refuses it.
#[test]
fn simulate_fails_when_a_bundle_is_refused() {
    let desk = Desk::signed("silent-simulate");
    desk.ok("build feature --baseline 5.0 --level 7 --image a.bin -o f.plb");
    desk.ok("sign f.plb");
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o u.plb");
    let words = "4.1 s7 would lose a security fix";
    refused_after_data(&desk, "simulate b.plb a.plb --development", words);
    // A later one that is taken doesn't make up for it.
    refused_after_data(
        &desk,
        "simulate a.plb f.plb b.plb --development",
        "5.0 s7 is held until it is approved",
    );
    let words = "u.plb isn't signed: no device takes it";
    refused(&desk, "simulate a.plb u.plb --development", 1, "not-enough-signatures", words);
    desk.ok("simulate a.plb f.plb --development --approve");
    desk.ok("simulate a.plb b.plb --development");
}

/// Data on stdout, and then this error.
fn refused_after_data(desk: &Desk, line: &str, words: &str) {
    desk.fails(line, 1, "refused");
    let out = desk.run(line);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.stdout.is_empty() && told.contains(&format!("error: {words}\n  next: ")), "{line}: {told}");
}

/// A factory image is what it is called, and goes where it is said to go, or there is none.
#[test]
fn provision_makes_no_image_of_another_format_place_or_product() {
    let desk = Desk::signed("silent-provision");
    let id = "--device-id 00112233445566778899aabbccddeeff --development";
    for name in ["f.elf", "f", "f.bin.txt", "f.uf2"] {
        desk.fails(&format!("provision a.plb {id} -o {name}"), 2, "usage");
    }
    // The name and the option say different things.
    let contradicts = desk.run(&format!("provision a.plb {id} -o g.hex --format bin"));
    let made = desk.path("g.hex").exists();
    assert!(!made || std::fs::read(desk.path("g.hex")).unwrap()[0] != b':', "{contradicts:?}");
    desk.fails(&format!("provision a.plb {id} -o h.bin --bootloader a.bin"), 3, "config");
    desk.fails(&format!("provision a.plb {id} -o h.hex --hardware 9"), 1, "refused");
    desk.ok("init other --class valve");
    let other = "--root other/trust/root-1.plr";
    desk.fails(&format!("provision a.plb {id} -o h.hex {other}"), 1, "refused");
    desk.fails("provision a.plb -o h.hex", 1, "development-trust");
    for wrong in ["0011", "zz112233445566778899aabbccddeeff", "00112233445566778899aabbccddeeff00"] {
        desk.fails(&format!("provision a.plb -o h.hex --development --device-id {wrong}"), 2, "usage");
    }
}
