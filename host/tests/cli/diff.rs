//! `diff`, `extract` and `inspect`: what a bundle holds, what it changes, and what a device would say to it.

use super::bench::{Bench, GRANTS, Nature};
use super::desk::Desk;
use patchlane::config::Config;
use patchlane::keys;
use patchlane::root::{CEILINGS, Draft};
use patchlane_protocol::Refusal;
use serde_json::Value;

/// Saves what `device status --json` prints.
fn save(desk: &Desk, bench: &Bench) {
    let out = desk.run(&format!("device --port {} status --json", bench.port));
    assert!(out.status.success());
    std::fs::write(desk.path("status.json"), out.stdout).unwrap();
}

/// What is foretold from the saved status, whatever it is.
fn foretold(desk: &Desk, bundle: &str) -> Value {
    let out = desk.run(&format!("diff {bundle} --status status.json --json"));
    let value: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{bundle}: {e}"));
    let refused = value["verdict"] == "refused";
    assert_eq!(out.status.code(), Some(i32::from(refused)), "{bundle}: {value}");
    assert_eq!(value["ok"], !refused);
    value
}

/// What the device did with it.
fn did(desk: &Desk, bench: &Bench, bundle: &str) -> (String, Option<u8>) {
    let out = desk.run(&format!("device --port {} push {bundle} --json", bench.port));
    let value: Value = serde_json::from_slice(&out.stdout).unwrap();
    let refusal = value["refusal"].as_u64().map(|code| code as u8);
    (value["outcome"].as_str().unwrap_or_default().to_owned(), refusal)
}

/// Releases of every kind that matters here.
fn shelf(name: &str) -> Desk {
    let desk = Desk::signed(name);
    for (file, line) in [
        ("p7.plb", "build security --baseline 4.1 --level 7 --image a.bin"),
        ("p9.plb", "build security --baseline 4.1 --level 9 --image b.bin"),
        ("p9o.plb", "build security --baseline 4.1 --level 9 --open 7 --image b.bin"),
        ("p9n.plb", "build security --baseline 4.1 --level 9 --image a.bin --no-payload"),
        ("p5.plb", "build security --baseline 5.0 --level 9 --image b.bin"),
        ("f7.plb", "build feature --baseline 5.0 --level 7 --image b.bin"),
        ("f9.plb", "build feature --baseline 5.0 --level 9 --image b.bin"),
        ("r9.plb", "build feature --baseline 3.0 --level 9 --image b.bin"),
        ("x9.plb", "build feature --baseline 4.1 --level 9 --image b.bin"),
    ] {
        desk.ok(&format!("{line} -o {file}"));
        desk.ok(&format!("sign {file}"));
    }
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    std::fs::write(desk.path("patchlane.toml"), toml.replace("hardware = [1]", "hardware = [7]")).unwrap();
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o hw.plb");
    desk.ok("sign hw.plb");
    std::fs::write(desk.path("patchlane.toml"), toml).unwrap();
    desk
}

const SHELF: [&str; 12] = [
    "a.plb", "b.plb", "p7.plb", "p9.plb", "p9o.plb", "p9n.plb", "p5.plb", "f7.plb", "f9.plb", "r9.plb",
    "x9.plb", "hw.plb",
];

/// Every verdict from the status alone is what the device then does.
#[test]
fn what_is_foretold_is_what_the_device_does() {
    let desk = shelf("diff-foretold");
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for (security, feature) in
        [("stage-only", "local"), ("apply-in-window", "auto"), ("notify", "never"), ("off", "owner-key")]
    {
        let policy = format!("a.plb --security-policy {security} --feature-policy {feature}");
        drop(Bench::provisioned(&desk, &policy, GRANTS));
        // Nothing done before; a patch staged; a feature update approved; one on trial; one that soaks.
        for before in ["", "push p9.plb", "approve f9.plb", "trial", "soak"] {
            let nature =
                Nature { unsure: before == "trial", soak: if before == "soak" { 3 } else { 0 }, ..GRANTS };
            for bundle in SHELF {
                let bench = Bench::again(&desk, nature);
                let run = |line: &str| desk.run(&format!("device --port {} {line}", bench.port));
                match before {
                    "" => {}
                    "trial" | "soak" => {
                        // Only policies that let one in have one on trial.
                        run("approve f7.plb");
                        if !run("push f7.plb").status.success() {
                            continue;
                        }
                        if feature == "local" || feature == "auto" {
                            run("request apply f7.plb");
                        }
                        run("reboot");
                    }
                    line => {
                        run(line);
                    }
                }
                save(&desk, &bench);
                let told = foretold(&desk, bundle);
                let (outcome, refusal) = did(&desk, &bench, bundle);
                let verdict = told["verdict"].as_str().unwrap();
                let case = format!(
                    "{security}/{feature}, {before}, {bundle}: told {told}, did {outcome} {refusal:?}"
                );
                match verdict {
                    "refused" => assert_eq!(told["refusal"].as_u64().map(|c| c as u8), refusal, "{case}"),
                    "held" => assert_eq!(refusal, Some(Refusal::Held.code()), "{case}"),
                    "applied" => assert_eq!(outcome, "applied", "{case}"),
                    "taken" | "here" => assert!(matches!(&*outcome, "ready" | "staged"), "{case}"),
                    // `push` restarts the device and sends it again.
                    "ends-trial" => assert!(matches!(&*outcome, "ready" | "staged" | "applied"), "{case}"),
                    other => panic!("{other}: {case}"),
                }
                *seen.entry(verdict.to_owned()).or_default() += 1;
            }
        }
    }
    println!("{seen:?}");
    for verdict in ["refused", "held", "applied", "taken", "here", "ends-trial"] {
        assert!(seen.contains_key(verdict), "{verdict} never came up: {seen:?}");
    }
}

/// Where the confirmed release is damaged, repair and patches go in under any policy.
#[test]
fn what_is_foretold_of_a_damaged_device_is_what_it_does() {
    let desk = shelf("diff-damaged");
    desk.ok("build feature --baseline 4.1 --level 7 --image a.bin -o again.plb");
    desk.ok("sign again.plb");
    for (bundle, verdict, outcome, refusal) in [
        ("again.plb", "taken", "ready", None),
        ("b.plb", "taken", "ready", None),
        ("p9n.plb", "refused", "", Some(Refusal::NeedPayload.code())),
        ("f9.plb", "refused", "", Some(Refusal::PolicyNever.code())),
        ("r9.plb", "held", "", Some(Refusal::Held.code())),
        ("a.plb", "refused", "", Some(Refusal::SameVersion.code())),
    ] {
        let bench = Bench::provisioned(&desk, "a.plb --security-policy off --feature-policy never", GRANTS);
        let mut device = bench.unplug();
        device.media.program_primary(&[0; 64]);
        let bench = Bench::plugged(device, GRANTS);
        save(&desk, &bench);
        let told = foretold(&desk, bundle);
        assert_eq!(told["verdict"], verdict, "{bundle}: {told}");
        assert_eq!(did(&desk, &bench, bundle), (outcome.to_owned(), refusal), "{bundle}");
        if bundle == "again.plb" {
            assert_eq!(told["transition"], "repair");
            bench.ok(&desk, "reboot");
            assert_eq!(bench.ok(&desk, "status")["activity"], "idle");
        }
    }
}

#[test]
fn two_bundles_are_compared() {
    let desk = shelf("diff-two");
    let patch = desk.ok("diff a.plb b.plb");
    assert_eq!((&patch["transition"], &patch["closes"][0]), (&"patch".into(), &serde_json::json!([8, 8])));
    assert_eq!(patch["changed"]["release"], serde_json::json!(["4.1 s7", "4.1 s8"]));
    assert_eq!(
        (&patch["images"][0]["differ"], &patch["images"][0]["bytes"]),
        (&9500.into(), &serde_json::json!([9000, 9500]))
    );
    let back = desk.ok("diff b.plb a.plb");
    assert_eq!(
        (&back["transition"], &back["refusal"], &back["opens"][0][0]),
        (&Value::Null, &45.into(), &8.into())
    );
    let up = desk.ok("diff b.plb f9.plb");
    assert_eq!(up["transition"], "feature-update");
    assert_eq!(up["kinds"], serde_json::json!(["security", "feature"]));
    assert_eq!(desk.ok("diff f9.plb x9.plb")["transition"], "rollback");
    let same = desk.ok("diff b.plb b.plb");
    assert_eq!((&same["same"], &same["changed"]), (&true.into(), &serde_json::json!({})));
    assert_eq!(same["notes"], serde_json::json!([]));
    // Only blocks that differ are counted: one byte in the last of three.
    let mut image = vec![0x42; 9000];
    image[8999] = 0;
    std::fs::write(desk.path("c.bin"), image).unwrap();
    desk.ok("build security --baseline 4.1 --level 8 --image c.bin -o c.plb");
    let one = desk.ok("diff a.plb c.plb");
    assert_eq!(one["images"][0]["regions"], serde_json::json!([{ "from": 8192, "to": 9000, "differ": 1 }]));
    assert_eq!(one["notes"], serde_json::json!(["c.plb isn't verified: it isn't signed"]));
    assert_eq!(one["verified"].as_array().unwrap().iter().filter(|v| **v == false).count(), 1);
    // Elsewhere there is no anchor, and that is said.
    let elsewhere = Desk::new("diff-two-elsewhere");
    std::fs::copy(desk.path("a.plb"), elsewhere.path("a.plb")).unwrap();
    let notes = elsewhere.ok("diff a.plb a.plb")["notes"].clone();
    assert_eq!(notes[0], "a.plb isn't verified: there is no trust anchor");
    // For people.
    let out = desk.run("diff a.plb b.plb");
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("transition  patch: on a device that runs 4.1 s7\n"), "{text}");
    assert!(text.contains("closes      8: CVE-2027-1, High, exploited\n"), "{text}");
}

#[test]
fn a_device_is_asked_over_its_cable() {
    let desk = shelf("diff-port");
    let bench = Bench::provisioned(&desk, "a.plb", GRANTS);
    let ask = |line: &str| desk.ok(&format!("diff {line} --port {}", bench.port));
    let held = ask("f9.plb");
    assert_eq!((&held["verdict"], &held["transition"]), (&"held".into(), &"feature-update".into()));
    assert_eq!(held["next"], format!("patchlane device approve f9.plb --port {}", bench.port));
    // Asking changes nothing: it isn't even listed.
    assert_eq!(bench.status().held, None);
    let line = format!("diff f7.plb --port {}", bench.port);
    desk.ok(&line);
    let unsigned = "build security --baseline 4.1 --level 9 --image b.bin -o u.plb";
    desk.ok(unsigned);
    let refused = desk.run(&format!("diff u.plb --port {} --json", bench.port));
    let refused = desk.fails_as("diff u.plb", &refused, 1, "not-enough-signatures");
    assert_eq!(
        (&refused["otherwise"], &refused["next"]),
        (&"taken".into(), &"sign it: patchlane sign u.plb".into())
    );
    desk.fails(&format!("diff a.plb --port {} --status x", bench.port), 2, "usage");
    let device = bench.unplug();
    let bench = Bench::plugged(device, Nature { silent_after: Some(0), ..GRANTS });
    desk.fails(&format!("diff a.plb --port {} --timeout 1", bench.port), 3, "device-link");
}

/// What the bundle brings to a device of an older root, and what can't be known here.
#[test]
fn root_links_are_walked_as_the_device_walks_them() {
    let desk = Desk::signed("diff-root");
    let bench = Bench::provisioned(&desk, "a.plb", GRANTS);
    save(&desk, &bench);
    let key = |role: &str| {
        let path = desk.path(&format!("trust/development-{role}.pem"));
        keys::read(&path, &keys::Passphrase { no_input: true, ..Default::default() }).unwrap().key
    };
    let signing = ["root", "security", "feature"].map(key);
    let product = Config::read(&desk.path("patchlane.toml")).unwrap().product();
    let roles = signing.each_ref().map(|key| (vec![keys::public_of(key)], 1));
    let draft = Draft { product, version: 2, development: true, ceilings: CEILINGS, roles };
    std::fs::write(desk.path("trust/root-2.plr"), draft.sign(&[&signing[0]]).unwrap().bytes()).unwrap();
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    std::fs::write(desk.path("patchlane.toml"), toml.replace("root-1.plr", "root-2.plr")).unwrap();
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o bare.plb");
    desk.ok("sign bare.plb");
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin --link trust/root-2.plr -o linked.plb");
    desk.ok("sign linked.plb");
    let bare = foretold(&desk, "bare.plb");
    assert_eq!((&bare["refusal"], did(&desk, &bench, "bare.plb").1), (&40.into(), Some(40)));
    let linked = foretold(&desk, "linked.plb");
    assert_eq!((&linked["verdict"], &linked["new_root"]), (&"taken".into(), &2.into()));
    let unknown = linked["unknown"].to_string();
    assert!(unknown.contains("whether the device's own root 1 signed the next one"), "{unknown}");
    // With the device's own root that is known, too.
    let known = desk.ok("diff linked.plb --status status.json --root trust/root-1.plr");
    assert!(!known["unknown"].to_string().contains("own root"), "{known}");
    assert_eq!(did(&desk, &bench, "linked.plb").0, "staged");
}

#[test]
fn misuse_of_diff_is_told() {
    let desk = Desk::signed("diff-misuse");
    std::fs::write(desk.path("text.json"), "hello").unwrap();
    std::fs::write(desk.path("other.json"), "{\"report\": 7}").unwrap();
    std::fs::write(desk.path("hex.json"), "{\"report\": \"zz\"}").unwrap();
    std::fs::write(desk.path("short.json"), "{\"report\": \"0011\"}").unwrap();
    for (line, exit, code) in [
        ("diff", 2, "usage"),
        ("diff a.plb", 2, "usage"),
        ("diff a.plb b.plb --status text.json", 2, "usage"),
        ("diff a.plb --status text.json --address 12", 2, "usage"),
        ("diff a.plb none.plb", 3, "missing-file"),
        ("diff trust b.plb", 3, "file-access"),
        ("diff a.bin b.plb", 3, "malformed"),
        ("diff a.plb --status none.json", 3, "missing-file"),
        ("diff a.plb --status text.json", 3, "malformed"),
        ("diff a.plb --status other.json", 3, "malformed"),
        ("diff a.plb --status hex.json", 3, "malformed"),
        ("diff a.plb --status short.json", 3, "malformed"),
        ("diff a.plb --port /dev/nowhere", 3, "device-link"),
        ("diff a.plb b.plb --root none.plr", 3, "missing-file"),
        ("diff a.plb b.plb --root a.plb", 3, "malformed"),
    ] {
        desk.fails(line, exit, code);
    }
}

#[test]
fn images_are_extracted_after_they_are_verified() {
    let desk = Desk::signed("extract");
    let made = desk.ok("extract b.plb -o out.bin --manifest m.bin --signatures s.bin");
    assert_eq!((&made["verified"], &made["files"][0]["bytes"]), (&true.into(), &9500.into()));
    assert_eq!(std::fs::read(desk.path("out.bin")).unwrap(), std::fs::read(desk.path("b.bin")).unwrap());
    assert_eq!(made["files"][1]["sha256"], desk.ok("inspect b.plb")["manifest_sha256"]);
    desk.fails("extract b.plb -o out.bin", 3, "file-exists");
    // One that exists keeps all from being written.
    desk.fails("extract b.plb -o new.bin --manifest m.bin", 3, "file-exists");
    desk.fails("extract b.plb -o new.bin --manifest new.bin", 2, "usage");
    desk.ok("extract a.plb -o out.bin --force");
    assert_eq!(std::fs::read(desk.path("out.bin")).unwrap(), std::fs::read(desk.path("a.bin")).unwrap());
    desk.ok("extract b.plb --manifest only.bin");
    std::fs::create_dir(desk.path("links")).unwrap();
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin --link trust/root-1.plr -o l.plb");
    desk.ok("sign l.plb");
    desk.ok("extract l.plb --links links");
    assert_eq!(
        std::fs::read(desk.path("links/root-1.plr")).unwrap(),
        std::fs::read(desk.path("trust/root-1.plr")).unwrap()
    );
    // Nothing comes out of what isn't verified, unless that is what was asked for.
    desk.ok("build security --baseline 4.1 --level 8 --image b.bin -o u.plb");
    desk.fails("extract u.plb -o u.bin", 1, "not-enough-signatures");
    assert_eq!(desk.ok("extract u.plb -o u.bin --unverified")["verified"], false);
    let elsewhere = Desk::new("extract-elsewhere");
    std::fs::copy(desk.path("b.plb"), elsewhere.path("b.plb")).unwrap();
    elsewhere.fails("extract b.plb -o b.bin", 1, "no-trust-anchor");
    elsewhere.ok("init --class valve");
    elsewhere.fails("extract b.plb -o b.bin", 1, "refused");
    let mut bad = std::fs::read(desk.path("b.plb")).unwrap();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    std::fs::write(desk.path("bad.plb"), bad).unwrap();
    desk.fails("extract bad.plb -o bad.bin --unverified", 1, "refused");
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin --no-payload -o n.plb");
    desk.ok("sign n.plb");
    desk.fails("extract n.plb -o n.bin", 3, "malformed");
    for (line, exit, code) in [
        ("extract b.plb", 2, "usage"),
        ("extract b.plb -o x.bin --unverified --root trust/root-1.plr", 2, "usage"),
        ("extract none.plb -o x.bin", 3, "missing-file"),
        ("extract a.bin -o x.bin", 3, "malformed"),
        ("extract b.plb -o no/where.bin", 3, "missing-file"),
        ("extract b.plb --links nowhere", 3, "missing-file"),
        ("extract u.plb --signatures x.bin --unverified", 1, "not-enough-signatures"),
    ] {
        desk.fails(line, exit, code);
    }
}

#[test]
fn several_images_go_into_a_folder_named_after_their_slots() {
    let desk = Desk::started("extract-slots");
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let toml = toml.replace("[build]\n", "[build]\naddresses = [0x08020000, 0x08040000]\n");
    std::fs::write(desk.path("patchlane.toml"), toml).unwrap();
    let images = "--image a.bin@0x08020000 --image b.bin@0x08040000";
    desk.ok(&format!("build feature --baseline 4.1 --level 7 {images} -o s.plb"));
    desk.ok("sign s.plb");
    desk.fails("extract s.plb -o one.bin", 3, "missing-file");
    std::fs::create_dir(desk.path("out")).unwrap();
    desk.ok("extract s.plb -o out");
    assert_eq!(
        std::fs::read(desk.path("out/s_0x08020000.bin")).unwrap(),
        std::fs::read(desk.path("a.bin")).unwrap()
    );
    assert_eq!(
        std::fs::read(desk.path("out/s_0x08040000.bin")).unwrap(),
        std::fs::read(desk.path("b.bin")).unwrap()
    );
    // The second is in the way: the first doesn't stay behind.
    std::fs::remove_file(desk.path("out/s_0x08020000.bin")).unwrap();
    desk.fails("extract s.plb -o out", 3, "file-exists");
    // Against a device the slot matters.
    let out = desk.run("inspect s.plb --baud 9600");
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("payload     0x08020000  9256 bytes, raw, 11 s at 9600 baud\n"), "{text}");
    assert!(text.contains("            0x08040000  9788 bytes, raw, "), "{text}");
}

#[test]
fn times_are_for_the_line_that_was_named() {
    let desk = Desk::signed("inspect");
    let slow = desk.ok("inspect b.plb --baud 9600");
    let fast = desk.ok("inspect b.plb");
    let seconds = |value: &Value| value["components"][0]["alternatives"][0]["seconds"].as_u64().unwrap();
    assert_eq!((&slow["baud"], &fast["baud"]), (&9600.into(), &115_200.into()));
    assert!(seconds(&slow) >= 10 && seconds(&fast) == 1, "{slow}");
    for (line, exit, code) in [
        ("inspect b.plb --baud 0", 2, "usage"),
        ("inspect b.plb --baud fast", 2, "usage"),
        ("inspect", 2, "usage"),
        ("inspect none.plb", 3, "missing-file"),
    ] {
        desk.fails(line, exit, code);
    }
}
