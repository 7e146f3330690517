//! Ten dangerous successes of other tools, and what would be one of ours: each fails as it should.
//!
//! Where a tool is named, it ended with exit code 0 when it was tried.

use super::desk::{Desk, listing};
use serde_json::Value;

/// A line that has to fail: with this exit code, this stable code, and these words on stderr.
pub(crate) fn refused(desk: &Desk, line: &str, exit: i32, code: &str, words: &str) {
    desk.fails(line, exit, code);
    let told = desk.run(&format!("{line} --no-input"));
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    println!("$ patchlane {line}\n{told}[exit {exit}]");
    assert_eq!(told.lines().next(), Some(format!("error: {words}").as_str()), "{line}");
    assert!(told.lines().nth(1).is_some_and(|next| next.starts_with("  next: ")), "{line}: {told}");
}

/// A product under production trust: root 1 wants two of two security keys.
fn two_signers(name: &str) -> Desk {
    let desk = Desk::started(name);
    for name in ["root", "one", "two", "feature"] {
        desk.ok(&format!("key new {name}.pem --passphrase-env SECRET"));
    }
    desk.ok(
        "root new -o r.plr --root root.pub --security one.pub --security two.pub --security-threshold 2 \
         --feature feature.pub --sign root.pem --passphrase-env SECRET",
    );
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let toml = toml
        .replace("trust/root-1.plr", "r.plr")
        .replace("\"trust/development-security.pem\"", "\"one.pem\", \"two.pem\"");
    std::fs::write(desk.path("patchlane.toml"), toml).unwrap();
    // Without payload: nobody asks for evidence that it is a patch.
    desk.ok("build security --baseline 4.1 --level 7 --image a.bin --no-payload -o a.plb");
    desk
}

/// imgtool `keygen` silently overwrote a private key, and wrote mode 0644.
#[test]
fn d01_making_a_key_never_overwrites_one_and_only_its_owner_reads_it() {
    let desk = Desk::new("d01");
    desk.ok("key new k.pem --passphrase-env SECRET");
    refused(&desk, "key new k.pem --passphrase-env SECRET", 3, "file-exists", "k.pem exists already");
    refused(&desk, "key new k.pem --development", 3, "file-exists", "k.pem exists already");
    // k.key's public half would be k.pub, which is another key's.
    refused(&desk, "key new k.key --passphrase-env SECRET", 3, "file-exists", "k.pub exists already");
    refused(
        &desk,
        "key import k.pem -o k.pem --passphrase-env SECRET",
        3,
        "file-exists",
        "k.pem exists already",
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::os::unix::fs::symlink("nowhere", desk.path("link.pem")).unwrap();
        desk.fails("key new link.pem --development", 3, "file-exists");
        // Whatever the umask.
        let line = format!("umask 0; '{}' key new loose.pem --development", env!("CARGO_BIN_EXE_patchlane"));
        let made =
            std::process::Command::new("sh").current_dir(&desk.0).args(["-c", &line]).output().unwrap();
        assert!(made.status.success());
        for name in ["k.pem", "loose.pem"] {
            let mode = std::fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        }
    }
}

/// imgtool `verify` without a key: "correctly validated" (hash only).
#[test]
fn d02_nothing_is_verified_without_a_trust_anchor() {
    let desk = Desk::signed("d02");
    std::fs::create_dir(desk.path("trust/elsewhere")).unwrap();
    std::fs::rename(desk.path("patchlane.toml"), desk.path("trust/elsewhere/patchlane.toml")).unwrap();
    let words = "there is no trust anchor to judge by";
    refused(&desk, "verify a.plb", 1, "no-trust-anchor", words);
    // What only describes doesn't sound like a verdict.
    let shown = desk.run("inspect a.plb");
    let told = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert!(told.contains("Not verified: this is what the file says about itself."), "{told}");
    assert_eq!(desk.ok("inspect a.plb").get("verified"), None);
}

/// The bytes of a bundle with one signature exchanged for bytes that are none.
fn forged(desk: &Desk, name: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(desk.path(name)).unwrap();
    let bundle = patchlane::bundle::Bundle::parse(&bytes).unwrap();
    let good = bundle.signatures()[0].bytes;
    let at = bytes.windows(64).position(|window| window == good).unwrap();
    for (i, byte) in bytes[at..at + 64].iter_mut().enumerate() {
        *byte = (i * 37 + 11) as u8;
    }
    bytes
}

/// imgtool `--fix-sig` with a random signature: an invalid image.
#[test]
fn d03_a_signature_that_is_none_makes_no_signed_bundle() {
    let desk = two_signers("d03");
    let words = "f.plb carries a signature that does not verify";
    desk.ok("sign a.plb --key one.pem --partial --passphrase-env SECRET");
    std::fs::write(desk.path("f.plb"), forged(&desk, "a.plb")).unwrap();
    refused(&desk, "sign f.plb --key two.pem --passphrase-env SECRET", 1, "refused", words);
    refused(&desk, "sign f.plb --key two.pem --partial --passphrase-env SECRET", 1, "refused", words);
    refused(&desk, "verify f.plb", 1, "refused", words);
    // Its own key replaces it, and only then the whole is signed.
    desk.ok("sign f.plb --passphrase-env SECRET");
    assert_eq!(desk.ok("verify f.plb")["verified"], true);
}

/// imgtool `-k A -k B`: signed by B only.
#[test]
fn d04_every_key_that_is_named_signs() {
    let desk = two_signers("d04");
    let signed = desk.ok("sign a.plb --key one.pem --key two.pem --passphrase-env SECRET");
    let mut ids: Vec<Value> = ["one.pub", "two.pub"]
        .iter()
        .map(|name| desk.ok(&format!("key show {name}"))["key_id"].clone())
        .collect();
    assert_eq!(signed["signed_by"], Value::from(ids.clone()));
    ids.sort_by_key(Value::to_string);
    assert_eq!(desk.ok("inspect a.plb")["signatures"], Value::from(ids));
    // One key under two names isn't two.
    desk.ok("build security --baseline 4.1 --level 8 --image b.bin --no-payload -o b.plb");
    std::fs::copy(desk.path("one.pem"), desk.path("copy.pem")).unwrap();
    let twice = "sign b.plb --key one.pem --key copy.pem --passphrase-env SECRET";
    refused(&desk, twice, 2, "usage", "copy.pem is the same key as one.pem");
    let alone = "sign b.plb --key one.pem --passphrase-env SECRET";
    let words = "b.plb is signed by 1 security key, and 2 have to";
    refused(&desk, alone, 1, "not-enough-signatures", words);
    // The second one fails: the first one's signature isn't left behind.
    let torn = "sign b.plb --key one.pem --key none.pem --passphrase-env SECRET";
    refused(&desk, torn, 3, "missing-file", "none.pem isn't there");
    assert_eq!(desk.ok("inspect b.plb")["signatures"], Value::Array(Vec::new()));
}

/// swugenerator `-k FOO,key`: an unsigned .swu.
#[test]
fn d05_an_option_that_isnt_understood_never_means_unsigned() {
    let desk = Desk::signed("d05");
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o c.plb");
    let odd = "sign c.plb --key FOO,trust/development-security.pem";
    refused(&desk, odd, 3, "missing-file", "FOO,trust/development-security.pem isn't there");
    let odd = "sign c.plb --key AWS:trust/development-security.pem";
    refused(&desk, odd, 3, "missing-file", "AWS:trust/development-security.pem isn't there");
    let empty = desk.command().args(["sign", "c.plb", "--key", "", "--json"]).output().unwrap();
    assert!(matches!(empty.status.code(), Some(2 | 3)), "{empty:?}");
    desk.fails("sign c.plb --keys trust/development-security.pem", 2, "usage");
    desk.fails("sign c.plb trust/development-security.pem", 2, "usage");
    // An unsigned bundle says so, to people and to programs; no verb takes it for a signed one.
    assert_eq!(desk.ok("inspect c.plb")["signatures"], Value::Array(Vec::new()));
    refused(&desk, "verify c.plb", 1, "not-enough-signatures", "c.plb isn't signed");
    refused(
        &desk,
        "provision c.plb -o c.bin --development",
        1,
        "not-enough-signatures",
        "c.plb isn't signed",
    );
    desk.fails("simulate c.plb --development", 1, "not-enough-signatures");
    // A misspelt key of the configuration is no missing one.
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    std::fs::write(desk.path("patchlane.toml"), toml.replace("security =", "securty =")).unwrap();
    let line = 1 + toml.lines().position(|line| line.starts_with("security =")).unwrap();
    let words = format!("patchlane.toml line {line}: unknown key `securty`");
    refused(&desk, "sign c.plb", 3, "config", &words);
}

/// mender `validate` with a missing or garbage key.
#[test]
fn d06_a_missing_or_garbage_root_verifies_nothing() {
    let desk = Desk::signed("d06");
    std::fs::write(desk.path("garbage.plr"), [0x5a; 300]).unwrap();
    std::fs::write(desk.path("empty.plr"), []).unwrap();
    let good = std::fs::read(desk.path("trust/root-1.plr")).unwrap();
    std::fs::write(desk.path("cut.plr"), &good[..good.len() - 1]).unwrap();
    for (root, exit, code, words) in [
        ("none.plr", 3, "missing-file", "none.plr isn't there"),
        ("trust", 3, "file-access", "trust is a folder, not a file"),
        ("garbage.plr", 3, "malformed", "garbage.plr isn't a root file: it ends too early"),
        ("empty.plr", 3, "malformed", "empty.plr is empty"),
        ("cut.plr", 3, "malformed", "cut.plr isn't a root file: it ends too early"),
        (
            "trust/development-root.pub",
            3,
            "malformed",
            "trust/development-root.pub is a public key, not a root file",
        ),
        ("a.plb", 3, "malformed", "a.plb is a bundle, not a root file"),
    ] {
        refused(&desk, &format!("verify a.plb --root {root}"), exit, code, words);
    }
    // The same when the configuration names it.
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    std::fs::write(desk.path("patchlane.toml"), toml.replace("trust/root-1.plr", "none.plr")).unwrap();
    desk.fails("verify a.plb", 3, "missing-file");
    desk.fails("sign a.plb", 3, "missing-file");
}

/// `rauc info` on a tampered payload printed "Verified".
#[test]
fn d07_a_tampered_payload_is_noticed_by_every_verb_that_reads_it() {
    let desk = Desk::signed("d07");
    let good = std::fs::read(desk.path("b.plb")).unwrap();
    desk.save_status("status.json");
    let overhead = desk.ok("inspect b.plb")["overhead_bytes"].as_u64().unwrap() as usize;
    for at in [overhead, overhead + 1055, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(desk.path("t.plb"), &bad).unwrap();
        for line in [
            "inspect t.plb",
            "verify t.plb",
            "sign t.plb",
            "provision t.plb -o t.bin --development",
            "simulate t.plb --development",
            "simulate a.plb t.plb --development",
            "extract t.plb -o t.bin",
            "extract t.plb -o t.bin --unverified",
            "diff a.plb t.plb",
            "diff t.plb a.plb",
            "diff t.plb --status status.json",
            "device push t.plb --port /dev/null",
            "device approve t.plb --port /dev/null",
        ] {
            let words = "t.plb holds a damaged or foreign chunk";
            refused(&desk, line, 1, "refused", words);
        }
    }
}

/// avbtool `verify_image` hashed the sibling that the descriptor named, not the image that was named.
#[test]
fn d08_the_file_that_is_named_is_judged_and_no_sibling() {
    let desk = Desk::signed("d08");
    let mut bad = std::fs::read(desk.path("b.plb")).unwrap();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    // The good one lies beside it, under the name that was built.
    std::fs::write(desk.path("fl.plb"), &bad).unwrap();
    let words = "fl.plb holds a damaged or foreign chunk";
    refused(&desk, "verify fl.plb", 1, "refused", words);
    // A good one elsewhere doesn't help a bad one here, nor the reverse.
    std::fs::create_dir(desk.path("sub")).unwrap();
    std::fs::copy(desk.path("fl.plb"), desk.path("sub/b.plb")).unwrap();
    desk.fails("verify sub/b.plb", 1, "refused");
    desk.ok("verify b.plb");
    // A private key isn't told by the public key beside it.
    std::fs::copy(desk.path("trust/development-feature.pub"), desk.path("trust/development-root.pub"))
        .unwrap();
    let words = "trust/development-root.pub is another key's public half than trust/development-root.pem's";
    refused(&desk, "key show trust/development-root.pem", 4, "key", words);
}

/// `pkcs11-tool --sign --label nokey` ignored the label and signed with another key.
#[test]
fn d09_a_key_that_isnt_there_or_has_no_say_never_becomes_another() {
    let desk = Desk::signed("d09");
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o c.plb");
    refused(&desk, "sign c.plb --key nokey.pem", 3, "missing-file", "nokey.pem isn't there");
    let words = "trust/development-feature.pem is a feature key, and this is a security patch";
    refused(&desk, "sign c.plb --key trust/development-feature.pem", 4, "key", words);
    desk.ok("key new stranger.pem --development");
    refused(&desk, "sign c.plb --key stranger.pem", 4, "key", "stranger.pem isn't in root 1");
    // What it says it signed with is what it signed with.
    let id = desk.ok("key show trust/development-security.pub")["key_id"].clone();
    assert_eq!(
        desk.ok("sign c.plb --key trust/development-security.pem")["signed_by"],
        Value::from(vec![id])
    );
    // The configuration's keys don't stand in for one that can't be opened.
    desk.ok("build security --baseline 4.1 --level 10 --image b.bin -o d.plb");
    desk.ok("key new locked.pem --passphrase-env SECRET");
    let words = "locked.pem needs a passphrase, and --no-input forbids to ask for it";
    refused(&desk, "sign d.plb --key locked.pem", 4, "passphrase", words);
}

/// RAUC with PKCS#11 and no `--keyring`: "skipping signature verification" after signing.
#[test]
fn d10_nothing_is_signed_that_cant_be_verified() {
    let desk = Desk::signed("d10");
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o c.plb");
    let key = "--key trust/development-security.pem";
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    std::fs::remove_file(desk.path("patchlane.toml")).unwrap();
    let words = "there is no trust anchor to judge by";
    refused(&desk, &format!("sign c.plb {key}"), 1, "no-trust-anchor", words);
    refused(&desk, &format!("sign c.plb {key} --partial"), 1, "no-trust-anchor", words);
    refused(&desk, &format!("sign c.plb {key} --root none.plr"), 3, "missing-file", "none.plr isn't there");
    // Under another product's root it wouldn't verify: it isn't written.
    std::fs::write(desk.path("patchlane.toml"), toml).unwrap();
    desk.ok("init other --class valve");
    let other = "sign c.plb --root other/trust/root-1.plr --key other/trust/development-security.pem";
    refused(&desk, other, 1, "refused", "c.plb is for another product");
}

/// What goes into a bundle is what was meant: no key, no text, no other tool's file as firmware.
#[test]
fn build_packs_nothing_that_is_plainly_no_firmware() {
    let desk = Desk::signed("not-firmware");
    let kinds: [(&str, &[u8], &str); 6] = [
        ("x.srec", b"S00600004844521B\nS9030000FC\n", "a Motorola S-record file"),
        ("x.uf2", b"UF2\n\x57\x51\x5d\x9e\0\0\0\0", "a UF2 file"),
        ("x.bin.gz", b"\x1f\x8b\x08\0\0\0\0\0", "a gzip file"),
        ("x.zip", b"PK\x03\x04\0\0\0\0", "a zip file"),
        ("x.json", b"{\"ok\": true}", "a JSON file"),
        ("x.pem", b"-----BEGIN CERTIFICATE-----\n", "a PEM file without a key that patchlane uses"),
    ];
    let build = |image: &str| format!("build security --baseline 4.1 --level 9 -o x.plb --image {image}");
    for (name, content, kind) in kinds {
        std::fs::write(desk.path(name), content).unwrap();
        refused(&desk, &build(name), 3, "image", &format!("{name} is {kind}, not a firmware image"));
    }
    for (name, kind) in [
        ("trust/development-security.pem", "a private key"),
        ("trust/development-security.pub", "a public key"),
        ("trust/root-1.plr", "a root file"),
        ("a.plb", "a bundle"),
        ("patchlane.toml", "a patchlane.toml"),
    ] {
        refused(&desk, &build(name), 3, "image", &format!("{name} is {kind}, not a firmware image"));
    }
    std::fs::write(desk.path("erased.bin"), [0xff; 4096]).unwrap();
    refused(&desk, &build("erased.bin"), 3, "image", "erased.bin is erased flash: every byte is 0xff");
    // What is asked for is done or refused, never left out.
    let build = "build security --baseline 4.1 --level 9 --image b.bin -o x.plb";
    for wrong in ["--open 9", "--open 3,2", "--combined not-feasible", "--because x", "--issued-at soon"] {
        desk.fails(&format!("{build} {wrong}"), 2, "usage");
    }
    for wrong in ["--closes 10:CVE-2027-1:high", "--closes 3:A:low --closes 3:B:low"] {
        desk.fails(&format!("{build} {wrong}"), 3, "malformed");
    }
    desk.fails(&format!("{build} --evidence none.json"), 3, "missing-file");
}

/// A link that leads nowhere would strand the devices that need it.
#[test]
fn build_carries_only_links_that_lead_to_its_root() {
    let desk = two_signers("links");
    let next =
        "--root root.pub --security one.pub --feature feature.pub --sign root.pem --passphrase-env SECRET";
    desk.ok(&format!("root new -o r2.plr --follows r.plr {next}"));
    desk.ok(&format!("root new -o r3.plr --follows r2.plr {next}"));
    let build = "build security --baseline 4.1 --level 8 --image b.bin -o b.plb";
    // The configuration is at root 1.
    let words = "r2.plr is root 2, and not the root that this bundle is made under";
    refused(&desk, &format!("{build} --link r2.plr"), 3, "malformed", words);
    refused(&desk, &format!("{build} --link a.plb"), 3, "malformed", "a.plb is a bundle, not a root file");
    refused(
        &desk,
        &format!("{build} --link b.bin"),
        3,
        "malformed",
        "b.bin isn't a root file: it exceeds a limit of the format",
    );
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    std::fs::write(desk.path("patchlane.toml"), toml.replace("\"r.plr\"", "\"r3.plr\"")).unwrap();
    desk.fails(&format!("{build} --link r3.plr --link r2.plr"), 1, "refused");
    desk.fails(&format!("{build} --link r.plr --link r3.plr"), 1, "refused");
    desk.fails(&format!("{build} --link r2.plr"), 3, "malformed");
    desk.ok(&format!("{build} --link r2.plr --link r3.plr"));
}

/// A signature that nobody counts would look like one that somebody does.
#[test]
fn root_new_takes_no_key_without_a_say_and_no_root_without_its_quorum() {
    let desk = two_signers("roots");
    let roles = "--root root.pub --security one.pub --feature feature.pub";
    let new = |more: &str| format!("root new -o n.plr {more} --passphrase-env SECRET");
    let words = "two.pem isn't a root key, neither of this root nor of the one before";
    refused(&desk, &new(&format!("{roles} --sign root.pem --sign two.pem")), 4, "key", words);
    refused(&desk, &new(&format!("{roles} --sign one.pem")), 4, "key", &words.replace("two", "one"));
    let words = "root.pem is named twice among --sign";
    refused(&desk, &new(&format!("{roles} --sign root.pem --sign root.pem")), 2, "usage", words);
    let words = "root.pem is a private key, where a public one is needed";
    let private = "--root root.pem --security one.pub --feature feature.pub --sign root.pem";
    refused(&desk, &new(private), 4, "key", words);
    // A quorum that can't be reached, that one person has twice, that isn't there.
    desk.fails(&new(&format!("{roles} --root-threshold 2 --sign root.pem")), 3, "malformed");
    desk.fails(&new(&format!("{roles} --root-threshold 0 --sign root.pem")), 3, "malformed");
    desk.fails(&new(&format!("{roles} --security root.pub --sign root.pem")), 3, "malformed");
    let two = format!("{roles} --root two.pub --root-threshold 2 --sign root.pem");
    desk.fails(&new(&two), 1, "not-enough-signatures");
    desk.fails(&new(&format!("{roles} --sign root.pem --follows a.plb")), 3, "malformed");
    desk.fails(&new(&format!("{roles} --sign root.pem --follows none.plr")), 3, "missing-file");
}

/// A partial signature isn't a whole one, and says so wherever it is looked at.
#[test]
fn a_bundle_signed_in_part_never_passes_for_a_signed_one() {
    let desk = two_signers("part");
    desk.ok("build feature --baseline 4.1 --level 7 --image a.bin -o a.plb --force");
    let part = "sign a.plb --key one.pem --partial --passphrase-env SECRET";
    let signed = desk.ok(part);
    assert_eq!(signed["verified"], false);
    let again = desk.run(part);
    let (data, told) = (String::from_utf8_lossy(&again.stdout), String::from_utf8_lossy(&again.stderr));
    assert!(data.contains("in part: devices refuse it until the quorum is complete"), "{data}");
    assert!(told.contains("had signed it already"), "{told}");
    let words = "a.plb is signed by 1 security key, and 2 have to";
    refused(&desk, "verify a.plb", 1, "not-enough-signatures", words);
    refused(&desk, "provision a.plb -o f.bin", 1, "not-enough-signatures", words);
    desk.fails("simulate a.plb", 1, "not-enough-signatures");
    // The rest, and then once more: the same bytes.
    assert_eq!(
        desk.ok("sign a.plb --key two.pem --key feature.pem --passphrase-env SECRET")["verified"],
        true
    );
    let whole = std::fs::read(desk.path("a.plb")).unwrap();
    let again = desk.ok("sign a.plb --key one.pem --key two.pem --key feature.pem --passphrase-env SECRET");
    // All had signed it.
    assert_eq!(again["notes"].as_array().map(Vec::len), Some(3), "{again}");
    assert_eq!(std::fs::read(desk.path("a.plb")).unwrap(), whole);
}

/// Every argument is asked for what it is.
#[test]
fn swapped_files_are_told_what_they_are() {
    let desk = Desk::signed("swapped");
    let (key, root) = ("trust/development-security.pem", "trust/root-1.plr");
    let bundle = |file: &str, kind: &str| (3, "malformed", format!("{file} is {kind}, not a bundle"));
    for (line, (exit, code, words)) in [
        (format!("sign {key} --key a.plb"), bundle(key, "a private key")),
        (format!("sign {root}"), bundle(root, "a root file")),
        ("sign patchlane.toml".into(), bundle("patchlane.toml", "a patchlane.toml")),
        (format!("verify {root} --root a.plb"), bundle(root, "a root file")),
        (format!("inspect {root}"), bundle(root, "a root file")),
        ("inspect trust/development-root.pub".into(), bundle("trust/development-root.pub", "a public key")),
        (format!("provision {root} -o x.bin --development"), bundle(root, "a root file")),
        (format!("extract {key} -o x.bin"), bundle(key, "a private key")),
        (format!("diff a.plb {root}"), bundle(root, "a root file")),
        ("diff patchlane.toml a.plb".into(), bundle("patchlane.toml", "a patchlane.toml")),
        (format!("device approve {key} --port /dev/null"), bundle(key, "a private key")),
        ("layout --image a.plb".into(), (3, "image", "a.plb is a bundle, not a firmware image".into())),
        (
            format!("layout --image {key}"),
            (3, "image", format!("{key} is a private key, not a firmware image")),
        ),
        ("layout --config a.plb".into(), (3, "malformed", "a.plb is a bundle, not a patchlane.toml".into())),
        (
            "provision a.plb -o x.bin --development --owner-key b.plb".into(),
            (4, "key", "b.plb is a bundle, not a public key".into()),
        ),
        (format!("simulate {root} --development"), bundle(root, "a root file")),
        (format!("device push {root} --port /dev/null"), bundle(root, "a root file")),
        ("sign a.plb --key b.plb".into(), (4, "key", "b.plb is a bundle, not a private key".into())),
        (format!("sign a.plb --key {root}"), (4, "key", format!("{root} is a root file, not a private key"))),
        (
            format!("verify a.plb --root {key}"),
            (3, "malformed", format!("{key} is a private key, not a root file")),
        ),
        ("root show b.plb".into(), (3, "malformed", "b.plb is a bundle, not a root file".into())),
        ("key show a.plb".into(), (4, "key", "a.plb is a bundle, not a public key".into())),
        (
            "verify a.plb --config b.plb".into(),
            (3, "malformed", "b.plb is a bundle, not a patchlane.toml".into()),
        ),
        (
            format!("verify a.plb --config {key}"),
            (3, "config", format!("{key} is a private key, not a patchlane.toml")),
        ),
    ] {
        refused(&desk, &line, exit, code, &words);
    }
    std::fs::copy(env!("CARGO_BIN_EXE_patchlane"), desk.path("host.elf")).unwrap();
    let words = "host.elf is an ELF file, not a bundle";
    refused(&desk, "verify host.elf", 3, "malformed", words);
}

/// A factory image under trust that isn't production's, or of an owner who is the vendor, isn't made.
#[test]
fn provision_makes_nothing_that_isnt_what_it_seems() {
    let desk = Desk::signed("factory");
    let words = "a.plb";
    desk.fails("provision a.plb -o f.bin", 1, "development-trust");
    let vendor = "provision a.plb -o f.bin --development --owner-key trust/development-security.pub";
    assert!(!desk.fails(vendor, 1, "refused").is_empty(), "{words}");
    let private = "provision a.plb -o f.bin --development --owner-key trust/development-security.pem";
    let words = "trust/development-security.pem is a private key, where a public one is needed";
    refused(&desk, private, 4, "key", words);
    desk.fails("provision a.plb -o f.bin --development --hardware 9", 1, "refused");
    let before = listing(&desk.0);
    desk.fails("provision a.plb -o a.plb --development", 2, "usage");
    desk.fails("provision a.plb -o a.plb --format bin --development", 3, "file-exists");
    assert_eq!(listing(&desk.0), before);
}
