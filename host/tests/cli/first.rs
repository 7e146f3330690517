//! The first day and after: keys, bundles, verdicts, and their misuse.

use super::desk::Desk;
use serde_json::Value;
use std::process::Command;

/// I19.
#[test]
fn three_commands_from_nothing_to_a_verified_bundle() {
    let desk = Desk::new("three");
    std::fs::write(desk.path("fw.bin"), vec![1; 5000]).unwrap();
    desk.ok("init");
    desk.ok("build feature --baseline 1.0 --level 0 --image fw.bin -o first.plb");
    let signed = desk.ok("sign first.plb");
    assert_eq!((&signed["verified"], &signed["development"]), (&Value::from(true), &Value::from(true)));
    assert_eq!(desk.ok("verify first.plb")["verified"], true);
}

/// What `init` proposes is what production takes.
#[test]
fn a_baselines_first_release_is_a_feature_update() {
    let desk = Desk::new("first-release");
    std::fs::write(desk.path("firmware"), vec![1; 5000]).unwrap();
    let out = desk.run("init");
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    let next = told.lines().find_map(|line| line.strip_prefix("next")).expect("init proposes nothing").trim();
    let proposed = next.strip_prefix("patchlane ").unwrap().replace("FIRMWARE", "firmware");
    for key in ["root", "security", "feature"] {
        desk.ok(&format!("key new {key}.pem --passphrase-env SECRET"));
    }
    desk.ok(
        "root new -o own.plr --root root.pub --security security.pub --feature feature.pub --sign root.pem \
             --passphrase-env SECRET",
    );
    let config = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let config = config.replace("trust/root-1.plr", "own.plr").replace("trust/development-", "");
    std::fs::write(desk.path("patchlane.toml"), config).unwrap();
    let sign = "sign first.plb --passphrase-env SECRET";
    // `build` sees what `sign` will say.
    let notes = |line: &str| desk.ok(line)["notes"].to_string();
    let patch = "build security --baseline 1.0 --image firmware -o first.plb --force";
    let told = notes(&format!("{patch} --level 1"));
    assert!(told.contains("will ask for evidence") && told.contains("build feature"), "{told}");
    desk.fails(sign, 1, "separation");
    assert!(notes(&format!("{patch} --level 0")).contains("level 0 handles nothing"));
    desk.ok("ledger init --before 1");
    desk.ok("ledger baseline add 1.0 --name one --support-end 2032-12-31");
    let told = notes(&format!("{patch} --level 1"));
    assert!(told.contains("the ledger has no release of 1.0"), "{told}");
    std::fs::remove_dir_all(desk.path("ledger")).unwrap();
    let told = notes(&format!("{proposed} --force"));
    assert!(!told.contains("feature update"), "{told}");
    desk.ok(sign);
}

/// I10, I20: other folder, other time zone, other locale, other umask.
#[test]
fn the_same_inputs_make_the_same_bytes() {
    let desk = Desk::signed("same");
    let first = std::fs::read(desk.path("b.plb")).unwrap();
    std::fs::create_dir(desk.path("deep")).unwrap();
    let run = |line: &str| {
        let mut command = desk.command();
        command.current_dir(desk.path("deep")).env("TZ", "Pacific/Apia").env("LC_ALL", "tr_TR.UTF-8");
        let out = command.args(line.split_whitespace()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    run(
        "build security --baseline 4.1 --level 8 --image ../b.bin --closes 8:CVE-2027-1:high:exploited -o c.plb",
    );
    run("sign c.plb");
    assert_eq!(std::fs::read(desk.path("deep/c.plb")).unwrap(), first);
}

#[test]
fn the_overhead_of_a_small_patch_is_at_most_512_bytes() {
    let desk = Desk::signed("overhead");
    let overhead = desk.ok("inspect b.plb")["overhead_bytes"].as_u64().unwrap();
    println!("overhead: {overhead} bytes");
    assert!((150..=512).contains(&overhead), "{overhead}");
}

#[test]
fn nothing_is_verified_without_a_trust_anchor() {
    let desk = Desk::signed("anchor");
    let elsewhere = Desk::new("anchor-elsewhere");
    std::fs::copy(desk.path("a.plb"), elsewhere.path("a.plb")).unwrap();
    elsewhere.fails("verify a.plb", 1, "no-trust-anchor");
    elsewhere.fails("verify a.plb --root nowhere.plr", 3, "missing-file");
    // Another product's root isn't this one's.
    elsewhere.ok("init --class valve");
    elsewhere.fails("verify a.plb", 1, "refused");
}

#[test]
fn what_is_not_a_bundle_is_refused_with_its_reason() {
    let desk = Desk::signed("broken");
    desk.fails("inspect none.plb", 3, "missing-file");
    desk.fails("inspect trust", 3, "file-access");
    std::fs::write(desk.path("empty"), b"").unwrap();
    desk.fails("inspect empty", 3, "malformed");
    let good = std::fs::read(desk.path("b.plb")).unwrap();
    for at in (0..good.len()).step_by(173) {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        std::fs::write(desk.path("bad"), &bad).unwrap();
        let out = desk.run("verify bad");
        assert!(matches!(out.status.code(), Some(1 | 3)), "byte {at}: {out:?}");
        std::fs::write(desk.path("bad"), &good[..at]).unwrap();
        assert_eq!(desk.run("verify bad").status.code(), Some(3), "cut at {at}");
    }
    let mut long = good.clone();
    long.push(0);
    std::fs::write(desk.path("bad"), &long).unwrap();
    desk.fails("verify bad", 3, "malformed");
}

#[test]
fn an_unsigned_bundle_is_not_verified() {
    let desk = Desk::started("unsigned");
    desk.ok("build feature --baseline 5.0 --level 7 --image a.bin -o f.plb");
    desk.fails("verify f.plb", 1, "not-enough-signatures");
    // One of two roles.
    desk.fails("sign f.plb --key trust/development-security.pem", 1, "not-enough-signatures");
    desk.ok("sign f.plb --key trust/development-security.pem --partial");
    desk.fails("verify f.plb", 1, "not-enough-signatures");
    desk.ok("sign f.plb --key trust/development-feature.pem");
    desk.ok("verify f.plb");
}

#[test]
fn only_the_declared_key_signs() {
    let desk = Desk::started("keys");
    desk.ok("build security --baseline 4.1 --level 8 --image a.bin -o a.plb");
    desk.fails("sign a.plb --key trust/development-feature.pem", 4, "key");
    desk.fails("sign a.plb --key trust/development-root.pem", 4, "key");
    desk.fails("sign a.plb --key trust/development-security.pub", 4, "key");
    desk.fails("sign a.plb --key patchlane.toml", 4, "key");
    desk.fails("sign a.plb --key none.pem", 3, "missing-file");
    desk.ok("key new other.pem --development");
    desk.fails("sign a.plb --key other.pem", 4, "key");
}

#[test]
fn keys_are_encrypted_private_and_never_overwritten() {
    let desk = Desk::new("secret");
    desk.fails("key new k.pem", 4, "passphrase");
    desk.fails("key new k.pem --passphrase-env UNSET_HERE", 4, "passphrase");
    desk.ok("key new k.pem --passphrase-env SECRET");
    desk.fails("key new k.pem --passphrase-env SECRET", 3, "file-exists");
    let text = std::fs::read_to_string(desk.path("k.pem")).unwrap();
    assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(desk.path("k.pem")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let id = desk.ok("key show k.pub")["key_id"].clone();
    assert_eq!(desk.ok("key show k.pem --passphrase-env SECRET")["key_id"], id);
    // openssl opens it, and makes one that patchlane signs with.
    let openssl = |arguments: &str| {
        Command::new("openssl")
            .current_dir(&desk.0)
            .args(arguments.split_whitespace())
            .env("SECRET", "correct horse")
            .output()
    };
    match openssl("pkey -in k.pem -passin env:SECRET -pubout") {
        Ok(out) if out.status.success() => {
            assert_eq!(out.stdout, std::fs::read(desk.path("k.pub")).unwrap());
            assert!(openssl("genpkey -algorithm ed25519 -out o.pem").unwrap().status.success());
            assert!(openssl("pkey -in o.pem -pubout -out o.pub").unwrap().status.success());
            desk.ok("key show o.pub");
            desk.ok("key show o.pem");
        }
        Ok(out) => panic!("openssl: {}", String::from_utf8_lossy(&out.stderr)),
        Err(_) => println!("skipped: there is no openssl here"),
    }
}

#[test]
fn wrong_passphrases_are_told_from_wrong_keys() {
    let desk = Desk::started("passphrase");
    desk.ok("build security --baseline 4.1 --level 8 --image a.bin -o a.plb");
    desk.ok("key new k.pem --passphrase-env SECRET");
    std::fs::write(desk.path("wrong"), "battery staple\n").unwrap();
    desk.fails("sign a.plb --key k.pem", 4, "passphrase");
    desk.fails("sign a.plb --key k.pem --passphrase-file wrong", 4, "passphrase");
    desk.fails("sign a.plb --key k.pem --passphrase-file nowhere", 3, "missing-file");
    // Right passphrase, but a key the root doesn't list.
    desk.fails("sign a.plb --key k.pem --passphrase-env SECRET", 4, "key");
}

#[test]
fn images_that_are_none_are_refused() {
    let desk = Desk::started("images");
    let build = "build security --baseline 4.1 --level 8 -o x.plb --image";
    std::fs::write(desk.path("empty.bin"), b"").unwrap();
    desk.fails(&format!("{build} empty.bin"), 3, "image");
    desk.fails(&format!("{build} none.bin"), 3, "missing-file");
    desk.fails(&format!("{build} trust"), 3, "file-access");
    std::fs::write(desk.path("bad.hex"), b":0400000001020304F3\n:00000001FF\n").unwrap();
    desk.fails(&format!("{build} bad.hex"), 3, "image");
    // The host's own program is no firmware.
    std::fs::copy(env!("CARGO_BIN_EXE_patchlane"), desk.path("host.elf")).unwrap();
    let what = desk.fails(&format!("{build} host.elf"), 3, "image");
    assert!(!what.is_empty());
    std::fs::write(desk.path("huge.bin"), vec![0; 0x20001]).unwrap();
    desk.fails(&format!("{build} huge.bin"), 3, "image");
}

#[test]
fn releases_that_cannot_be_are_refused() {
    let desk = Desk::started("releases");
    let build = "build security --baseline 4.1 --image a.bin -o x.plb";
    desk.fails(&format!("{build} --level 1000"), 1, "refused");
    desk.fails(&format!("{build} --level 8 --open 9"), 2, "usage");
    desk.fails(&format!("{build} --level 8 --closes 9:CVE-2027-9:high"), 3, "malformed");
    desk.fails(&format!("{build} --level 8 --combined not-feasible --because no"), 3, "malformed");
    desk.ok(&format!("{build} --level 8"));
    desk.fails(&format!("{build} --level 8"), 3, "file-exists");
    desk.ok(&format!("{build} --level 8 --force"));
}

#[test]
fn usage_errors_exit_with_2() {
    let desk = Desk::started("usage");
    for line in [
        "",
        "frobnicate",
        "build",
        "build security",
        "build both --baseline 4.1 --level 8 --image a.bin",
        "build security --baseline four --level 8 --image a.bin",
        "build security --baseline 4.1 --level -1 --image a.bin",
        "sign",
        "key new",
        "device status",
        "provision a.plb",
        "device approve --port x",
        "provision a.plb -o f --device-id 12",
    ] {
        let out = desk.run(line);
        assert_eq!(out.status.code(), Some(2), "{line}: {out:?}");
        assert!(out.stdout.is_empty(), "{line}: errors go to stderr");
        assert!(!out.stderr.is_empty(), "{line} says nothing");
    }
    desk.fails("frobnicate", 2, "usage");
    for line in ["--help", "--version", "build --help", "device --help"] {
        assert!(desk.run(line).status.success(), "{line}");
    }
}

#[test]
fn the_configuration_is_checked() {
    let desk = Desk::started("config");
    let good = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let build = "build security --baseline 4.1 --level 8 --image a.bin -o x.plb";
    for (from, to) in [
        ("vendor =", "vendr ="),
        ("hardware = [1]", "hardware = []"),
        ("hardware = [1]", "hardware = [2, 1]"),
        ("chunk = 1024", "chunk = 100000"),
        ("size = 0x21000", "size = 0x20000"),
        ("primary = { offset = 0x20000", "primary = { offset = 0x21000"),
        ("[flash]", "[flash"),
        ("class = \"pump\"", "class = \"valve\""),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(desk.path("patchlane.toml"), good.replace(from, to)).unwrap();
        desk.fails(build, 3, "config");
    }
    desk.fails(&format!("{build} --config nowhere.toml"), 3, "missing-file");
    std::fs::write(desk.path("patchlane.toml"), [0xff, 0xfe]).unwrap();
    desk.fails(build, 3, "malformed");
}

#[test]
fn init_never_touches_a_product_that_exists() {
    let desk = Desk::started("init");
    desk.fails("init", 3, "file-exists");
    desk.ok("init other");
    assert!(desk.path("other/trust/root-1.plr").exists());
}

#[test]
fn production_refuses_development_trust() {
    let desk = Desk::signed("production");
    desk.fails("provision a.plb -o f.bin", 1, "development-trust");
    let made = desk.ok("provision a.plb -o f.bin --development --device-id 00112233445566778899aabbccddeeff");
    assert_eq!(made["device_id"], "00112233445566778899aabbccddeeff");
    let first = std::fs::read(desk.path("f.bin")).unwrap();
    desk.fails("provision a.plb -o f.bin --development", 3, "file-exists");
    desk.ok("provision a.plb -o f.bin --development --force --device-id 00112233445566778899aabbccddeeff");
    assert_eq!(std::fs::read(desk.path("f.bin")).unwrap(), first, "same inputs, same bytes");
    // A bundle without an image is no beginning.
    desk.ok("build security --baseline 4.1 --level 7 --image a.bin --no-payload -o n.plb");
    desk.ok("sign n.plb");
    desk.fails("provision n.plb -o g.bin --development", 3, "malformed");
}

#[test]
fn simulate_survives_every_cut_and_refuses_what_it_must() {
    let desk = Desk::signed("simulate");
    let plain = desk.ok("simulate a.plb b.plb --development");
    assert_eq!(plain["installed"], "4.1 s8");
    let operations = plain["bundles"][0]["flash_operations"].as_u64().unwrap();
    for cut in 0..operations {
        let cut = desk.ok(&format!("simulate a.plb b.plb --development --cut {cut}"));
        assert_eq!(cut["installed"], "4.1 s8");
        assert_eq!(cut["image_sha256"], plain["image_sha256"]);
    }
    desk.ok("build feature --baseline 5.0 --level 7 --image a.bin -o f.plb");
    desk.ok("sign f.plb");
    let refused = |line: &str| {
        let out = desk.run(&format!("{line} --json"));
        desk.fails_as(line, &out, 1, "refused")
    };
    let held = refused("simulate a.plb f.plb --development");
    assert_eq!((&held["installed"], &held["bundles"][0]["installed"]), (&"4.1 s7".into(), &false.into()));
    assert_eq!((&held["place"], &held["refusal"]), (&"5.0 s7".into(), &50.into()));
    let approved = desk.ok("simulate a.plb f.plb --development --approve");
    assert_eq!(approved["installed"], "5.0 s7");
    let old = refused("simulate b.plb a.plb --development");
    assert_eq!(old["bundles"][0]["installed"], false);
}

#[test]
fn a_device_that_isnt_there_is_an_error_of_the_link() {
    let desk = Desk::signed("link");
    desk.fails("device status --port /dev/nowhere", 3, "device-link");
    desk.fails("device push nothing.plb --port /dev/nowhere", 3, "missing-file");
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_error_and_a_read_only_folder_is() {
    let desk = Desk::signed("pipe");
    let line = format!("'{}' inspect b.plb | true", env!("CARGO_BIN_EXE_patchlane"));
    let out = Command::new("sh").current_dir(&desk.0).args(["-c", &line]).output().unwrap();
    assert!(!String::from_utf8_lossy(&out.stderr).contains("panicked"));
    desk.fails("build security --baseline 4.1 --level 8 --image a.bin -o no/where/x.plb", 3, "missing-file");
    desk.fails("build security --baseline 4.1 --level 8 --image a.bin -o trust", 3, "file-exists");
}

/// Out of the first day: encrypted keys, a production root, a device that trusts it, and a rotation that retires a key.
#[test]
fn production_trust_from_keys_to_a_rotated_root() {
    let desk = Desk::started("root");
    let secret = "--passphrase-env SECRET";
    for name in ["root", "security", "security2", "feature"] {
        desk.ok(&format!("key new {name}.pem {secret}"));
    }
    let roles = "--root root.pub --feature feature.pub";
    let first =
        desk.ok(&format!("root new -o r1.plr {roles} --security security.pub --sign root.pem {secret}"));
    assert_eq!((&first["version"], &first["development"]), (&1.into(), &false.into()));
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let toml = toml.replace("trust/root-1.plr", "r1.plr").replace("trust/development-", "");
    std::fs::write(desk.path("patchlane.toml"), &toml).unwrap();
    desk.ok("build feature --baseline 4.1 --level 7 --image a.bin -o a.plb");
    desk.fails("sign a.plb --key trust/development-security.pem", 4, "key");
    desk.ok(&format!("sign a.plb {secret}"));
    desk.ok("provision a.plb -o flash.bin");
    // The next root retires the security key. Nothing else makes one.
    let next = format!("root new -o r2.plr {roles} --security security2.pub --follows r1.plr");
    desk.fails(&format!("{next} --sign security.pem {secret}"), 4, "key");
    desk.fails(&format!("{next} --sign root.pem --ceiling-level 5 {secret}"), 1, "refused");
    desk.fails(&format!("{next} --sign trust/development-root.pem"), 1, "development-trust");
    desk.fails(&format!("{next} --root security2.pub --sign root.pem {secret}"), 3, "malformed");
    assert_eq!(desk.ok(&format!("{next} --sign root.pem {secret}"))["version"], 2);
    desk.fails(&format!("{next} --sign root.pem {secret}"), 3, "file-exists");
    let toml = toml.replace("\"r1.plr\"", "\"r2.plr\"").replace("security.pem", "security2.pem");
    std::fs::write(desk.path("patchlane.toml"), toml).unwrap();
    desk.ok("build security --baseline 4.1 --level 8 --image a.bin --no-payload --link r2.plr -o b.plb");
    desk.ok(&format!("sign b.plb {secret}"));
    desk.fails("verify a.plb", 1, "refused");
    // A device of the first root takes both, by the link that the bundle carries.
    assert_eq!(desk.ok("simulate a.plb b.plb --root r1.plr")["installed"], "4.1 s8");
}
