//! Each of the thirty checks: it passes on a sound change, and fails on one that is spoilt where it looks.

use super::bench::{Bench, statement};
use crate::desk::listing;
use serde_json::{Value, json};

/// Puts everything back as it was.
fn restore(bench: &Bench, before: &[(std::path::PathBuf, Vec<u8>)]) {
    let is_git = |path: &std::path::Path| path.components().any(|part| part.as_os_str() == ".git");
    for (path, _) in listing(&bench.desk.0) {
        if !is_git(&path) && !before.iter().any(|(kept, _)| *kept == path) {
            std::fs::remove_file(path).unwrap();
        }
    }
    for (path, bytes) in before.iter().filter(|(path, _)| !is_git(path)) {
        std::fs::write(path, bytes).unwrap();
    }
}

type Spoil<'a> = (usize, &'a str, &'a str, &'a dyn Fn(&Bench));

/// Spoils one thing at a time, and sees what the check says of it.
fn each(name: &str, cases: &[Spoil<'_>]) {
    let bench = Bench::new(name);
    let before = listing(&bench.desk.0);
    for (check, result, word, spoil) in cases {
        let (sound, detail) = bench.result("--no-rebuild", *check);
        assert_eq!(sound, "pass", "check {check} before it is spoilt: {detail}");
        spoil(&bench);
        let (found, detail) = bench.result("--no-rebuild", *check);
        assert_eq!(found, *result, "check {check}, {word}: {detail}");
        assert!(detail.contains(word), "check {check} says `{detail}`, not `{word}`");
        restore(&bench, &before);
    }
}

#[test]
fn a_sound_change_passes_all_thirty() {
    let bench = Bench::new("sound");
    let value = bench.lint("");
    let all = value["checks"].as_array().unwrap();
    assert_eq!(all.len(), 30);
    let other: Vec<&Value> = all.iter().filter(|row| row["result"] != "pass").collect();
    assert!(other.is_empty(), "{other:#?}");
    assert_eq!((value["verdict"].as_str(), value["ok"].as_bool()), (Some("passed"), Some(true)));
    // Whoever reads it sees what was looked at: each file, by its digest.
    let names: Vec<&Value> =
        all[17]["inputs"].as_array().unwrap().iter().map(|input| &input["name"]).collect();
    assert_eq!(names, ["commits:v1..v2", "base.elf", "patch.elf"], "{}", all[17]);
}

#[test]
fn checks_of_the_release() {
    each(
        "release",
        &[
            (1, "fail", "isn't signed", &|b| {
                b.desk.ok("build security --baseline 4.1 --level 7 --image base.elf -o base.plb --force");
            }),
            (2, "fail", "another baseline", &|b| b.replace("change.toml", "\"4.1\"", "\"4.2\"")),
            (2, "fail", "handles no more", &|b| b.replace("change.toml", "level = 8", "level = 7")),
            (2, "fail", "loses a fix", &|b| b.replace("change.toml", "level = 8", "level = 8\nopen = [5]")),
            (2, "fail", "doesn't handle", &|b| b.replace("change.toml", "index = 8", "index = 9")),
            (3, "fail", "isn't stated", &|b| b.replace("change.toml", "support_end", "# support_end")),
            (3, "fail", "support ended", &|b| b.replace("change.toml", "2032-12-31", "2026-12-31")),
            (4, "fail", "no vulnerability", &|b| {
                b.edit("change.toml", |t| t.split("[[closes]]").next().unwrap().to_owned());
            }),
            (4, "fail", "has no id", &|b| b.replace("change.toml", "\"CVE-2027-1\"", "\" \"")),
            (27, "not-evaluated", "no [assessment]", &|b| b.without("assessment")),
            (27, "fail", "no reason", &|b| b.replace("change.toml", "\"it falls\"", "\"\"")),
            (27, "fail", "impact changes", &|b| {
                b.replace("change.toml", "impact = { changes = false", "impact = { changes = true");
            }),
            (27, "fail", "risk.txt", &|b| std::fs::remove_file(b.desk.path("risk.txt")).unwrap()),
            (27, "fail", "risk.txt is empty", &|b| b.write("risk.txt", "\n")),
            (29, "not-evaluated", "no [notice]", &|b| b.without("notice")),
            (29, "fail", "outage", &|b| b.replace("change.toml", "\"two seconds of restart\"", "\"\"")),
            (30, "fail", "isn't a key of the security role", &|b| {
                b.replace("patchlane.toml", "development-security.pem", "development-feature.pem");
            }),
            (30, "not-evaluated", "lists no key", &|b| {
                b.replace("patchlane.toml", "[\"trust/development-security.pem\"]", "[]");
            }),
        ],
    );
}

#[test]
fn checks_of_advisories() {
    each(
        "advisories",
        &[
            (5, "not-evaluated", "no embargo", &|b| b.replace("change.toml", "csaf = [\"csaf.json\"]", "")),
            (5, "pass", "under embargo", &|b| {
                b.replace(
                    "change.toml",
                    "csaf = [\"csaf.json\"]",
                    "embargo = { reason = \"coordinated\", until = 2027-02-01, public = \"Bounds check of register requests\" }",
                );
            }),
            (5, "fail", "let both say what may be told", &|b| {
                b.replace(
                    "change.toml",
                    "csaf = [\"csaf.json\"]",
                    "embargo = { reason = \"coordinated\", until = 2027-02-01 }",
                );
            }),
            (5, "fail", "embargo ended", &|b| {
                b.replace(
                    "change.toml",
                    "csaf = [\"csaf.json\"]",
                    "embargo = { reason = \"coordinated\", until = 2027-01-01 }",
                );
            }),
            (5, "fail", "is fixed in pump 4.1 s8", &|b| b.replace("csaf.json", "4.1 s8", "4.1 s9")),
            (5, "fail", "no advisory is about", &|b| b.replace("csaf.json", "CVE-2027-1", "CVE-2027-2")),
            (5, "fail", "is a draft", &|b| b.replace("csaf.json", "\"final\"", "\"draft\"")),
            (5, "fail", "csaf_withdrawn", &|b| {
                b.replace("csaf.json", "csaf_security_advisory", "csaf_withdrawn")
            }),
            (5, "fail", "and that it is affected", &|b| {
                b.change("csaf.json", |v| {
                    v["vulnerabilities"][0]["product_status"]["known_affected"] = json!(["P8"])
                });
            }),
            (5, "fail", "isn't JSON", &|b| b.write("csaf.json", "{")),
            (17, "not-evaluated", "snapshot", &|b| b.replace("change.toml", "snapshot = ", "# snapshot = ")),
            (17, "fail", "days old", &|b| b.replace("snapshot.json", "2027-01-10", "2026-11-10")),
            (17, "fail", "a day to come", &|b| b.replace("snapshot.json", "2027-01-10", "2099-01-10")),
            (17, "fail", "CVE-2027-9", &|b| {
                b.change("snapshot.json", |v| {
                    let more = json!({ "id": "CVE-2027-9", "analysis": { "state": "exploitable" } });
                    v["vulnerabilities"].as_array_mut().unwrap().push(more);
                });
            }),
            (17, "fail", "no list", &|b| b.change("snapshot.json", |v| v["vulnerabilities"] = Value::Null)),
        ],
    );
}

/// The same component, from Debian.
fn debian(bench: &Bench, old: &str, new: &str) {
    for (file, was, is) in [("sbom-base.json", "1.0.0", old), ("sbom-patch.json", "1.0.1", new)] {
        bench.replace(file, &format!("pkg:generic/modbus@{was}"), &format!("pkg:deb/debian/modbus@{is}"));
        bench.replace(file, &format!("\"{was}\""), &format!("\"{is}\""));
    }
}

#[test]
fn checks_of_the_build() {
    each(
        "build",
        &[
            (10, "not-evaluated", "no [build]", &|b| b.without("build")),
            (10, "fail", "is now arm-none-eabi-gcc 13", &|b| {
                b.replace("build-patch.toml", "gcc 12.2.1", "gcc 13.1")
            }),
            (10, "fail", "flags:", &|b| b.replace("build-base.toml", "\"-Os\"", "\"-O3\"")),
            (10, "fail", "another linker script", &|b| {
                b.write("other.ld", "MEMORY {}\n");
                b.replace("build-patch.toml", "arm.ld", "other.ld");
            }),
            (11, "fail", "features: +remote", &|b| {
                b.replace("build-patch.toml", "features = []", "features = [\"remote\"]")
            }),
            (11, "fail", "defines: -NDEBUG", &|b| b.replace("build-patch.toml", "[\"NDEBUG\"]", "[]")),
            (11, "fail", "kconfig: +CONFIG_DEBUG", &|b| {
                b.write("kconfig2", "CONFIG_MODBUS=y\nCONFIG_DEBUG=y\n");
                b.replace("build-patch.toml", "\"kconfig\"", "\"kconfig2\"");
            }),
        ],
    );
}

#[test]
fn checks_of_the_bill_of_materials() {
    each(
        "bill",
        &[
            (13, "not-evaluated", "no [sbom]", &|b| b.without("sbom")),
            (13, "fail", "doesn't name the image", &|b| {
                b.change("sbom-patch.json", |v| v["metadata"]["component"]["hashes"] = json!([]));
            }),
            (13, "fail", "the base's SBOM", &|b| {
                b.change("sbom-base.json", |v| v["metadata"]["component"]["hashes"] = json!([]));
            }),
            (13, "fail", "CycloneDX 9.9", &|b| {
                b.change("sbom-patch.json", |v| v["specVersion"] = json!("9.9"))
            }),
            (14, "fail", "added: pkg:generic/mqtt", &|b| {
                b.change("sbom-patch.json", |v| {
                    let new = json!({ "type": "library", "name": "mqtt", "version": "1", "purl": "pkg:generic/mqtt@1" });
                    v["components"].as_array_mut().unwrap().push(new);
                });
            }),
            (14, "fail", "removed: pkg:generic/crc", &|b| {
                b.change("sbom-patch.json", |v| drop(v["components"].as_array_mut().unwrap().pop()));
            }),
            (15, "fail", "no advisory or VEX names pkg:generic/crc", &|b| {
                b.replace("sbom-patch.json", "crc@2.1.0", "crc@2.1.1");
                b.replace("sbom-patch.json", "\"2.1.0\"", "\"2.1.1\"");
            }),
            (15, "fail", "names pkg:generic/crc 2.1.0 with another sha256", &|b| {
                for (file, digest) in [("sbom-base.json", "00"), ("sbom-patch.json", "01")] {
                    b.change(file, |v| {
                        v["components"][1]["hashes"] = json!([{ "alg": "SHA-256", "content": digest }]);
                    });
                }
            }),
            (15, "fail", "names pkg:generic/crc 2.1.0 with another vcs_url", &|b| {
                for (file, from) in
                    [("sbom-base.json", "git.example.com"), ("sbom-patch.json", "git.example.net")]
                {
                    b.change(file, |v| {
                        v["components"][1]["purl"] = json!(format!("pkg:generic/crc@2.1.0?vcs_url={from}"));
                    });
                }
            }),
            (16, "fail", "moves more than its patch level", &|b| {
                b.replace("sbom-patch.json", "\"1.0.1\"", "\"1.1.0\"");
            }),
            (16, "pass", "1 version moved", &|b| debian(b, "1.0.0-1", "1.0.0-1+deb12u4")),
            (16, "fail", "moves more than its patch level", &|b| debian(b, "1.0.0-1", "1.0.0-1~bpo12+1")),
            (16, "fail", "has no Debian versions", &|b| debian(b, "1.0.0-1", "newest")),
        ],
    );
}

#[test]
fn checks_of_interfaces() {
    each(
        "interfaces",
        &[
            (21, "not-evaluated", "no [interfaces]", &|b| b.without("interfaces")),
            (21, "fail", "functions: +16", &|b| {
                b.replace("interfaces-patch.toml", "[commands]", "16 = \"write\"\n[commands]")
            }),
            (21, "fail", "config: -address", &|b| b.replace("interfaces-patch.toml", "address = \"u8\"", "")),
            (21, "fail", "ports: modbus changed", &|b| b.replace("interfaces-patch.toml", "502", "503")),
            (21, "fail", "isn't in the patch's inventory", &|b| {
                b.replace("interfaces-patch.toml", "[features]", "")
            }),
            (22, "fail", "schemas: config changed", &|b| {
                b.replace("interfaces-patch.toml", "config = 1", "config = 2")
            }),
            (22, "not-evaluated", "no [schemas]", &|b| {
                for side in ["base", "patch"] {
                    b.replace(&format!("interfaces-{side}.toml"), "[schemas]\nconfig = 1", "");
                }
            }),
            (23, "fail", "debug: swd changed", &|b| {
                b.replace("interfaces-patch.toml", "\"locked\"", "\"open\"")
            }),
            (23, "fail", "memory: primary changed", &|b| {
                b.replace("interfaces-patch.toml", "0x20000", "0x21000")
            }),
        ],
    );
}

#[test]
fn checks_of_the_binary() {
    let with = |name: &'static str| {
        move |b: &Bench| {
            let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elf").join(name);
            std::fs::copy(from, b.desk.path("patch.elf")).unwrap();
        }
    };
    each(
        "binary",
        &[
            (18, "not-evaluated", "no [elf]", &|b| b.without("elf")),
            (18, "not-evaluated", "nothing to compare", &|b| b.without("source")),
            // The source of the fix, and a program with something else in it, too.
            (18, "fail", "no changed line leads there", &with("arm-added.elf")),
            (18, "fail", "no changed line leads there", &with("arm-vector.elf")),
            (18, "fail", "isn't what the base was made of", &|b| {
                std::fs::copy(b.desk.path("patch.elf"), b.desk.path("base.elf")).map(drop).unwrap();
            }),
            (19, "fail", "added:", &with("arm-added.elf")),
            (19, "fail", "vectors:", &with("arm-vector.elf")),
            (20, "fail", "texts added", &with("arm-text.elf")),
            (20, "fail", "are the most", &|b| b.replace("change.toml", "growth = 64", "growth = 1")),
        ],
    );
}

/// Changes a row of the replay's statement.
fn row(bench: &Bench, at: usize, edit: impl FnOnce(&mut Value)) {
    bench.change("replay.json", |v| edit(&mut v["predicate"]["images"][0]["rows"][at]));
}

#[test]
fn checks_of_the_exploit() {
    each(
        "exploit",
        &[
            (24, "not-evaluated", "exploit", &|b| {
                b.replace(
                    "change.toml",
                    "exploit = [\"replay.exploit-base.json\", \"replay.exploit-patch.json\"]",
                    "",
                );
            }),
            (24, "fail", "nothing shows the exploit", &|b| {
                b.change("replay.exploit-base.json", |v| v["predicate"]["failedTests"] = json!([]));
            }),
            (24, "fail", "both fails and passes on the base", &|b| {
                b.change("replay.exploit-base.json", |v| {
                    v["predicate"]["passedTests"] = v["predicate"]["failedTests"].clone()
                })
            }),
            // Another vulnerability's test, whose id begins alike.
            (24, "fail", "nothing shows the exploit", &|b| {
                for side in ["base", "patch"] {
                    b.replace(&format!("replay.exploit-{side}.json"), "CVE-2027-1", "CVE-2027-10");
                }
            }),
            (24, "fail", "fails on the patch", &|b| {
                b.change("replay.exploit-patch.json", |v| {
                    v["predicate"]["failedTests"] = json!(["CVE-2027-1 over-read"])
                });
            }),
            (24, "fail", "doesn't pass on the patch", &|b| {
                b.change("replay.exploit-patch.json", |v| v["predicate"]["passedTests"] = json!(["other"]));
            }),
            (24, "fail", "neither the base's image", &|b| {
                let other =
                    statement(&"0".repeat(64), "https://in-toto.io/attestation/test-result/v0.1", &json!({}));
                b.json("replay.exploit-patch.json", &other);
            }),
        ],
    );
}

#[test]
fn checks_of_the_replay() {
    each(
        "replay",
        &[
            (25, "not-evaluated", "no [proof] replay", &|b| {
                b.replace("change.toml", "replay = ", "# replay = ")
            }),
            (25, "not-evaluated", "no [proof] recording", &|b| {
                b.replace("change.toml", "recording = ", "# recording = ");
            }),
            (
                25,
                "fail",
                "`read it` is answered `hex 000000002a` by the base and `hex 00` by the patch",
                &|b| {
                    row(b, 1, |row| row["patch"] = json!([{ "hex": "00" }]));
                },
            ),
            (25, "fail", "in several ways", &|b| {
                row(b, 0, |row| row["base"] = json!([{ "hex": "00" }, { "hex": "01" }]));
            }),
            (25, "fail", "this patch doesn't close", &|b| {
                b.replace("change.toml", "CVE-2027-1", "CVE-2027-3")
            }),
            (25, "fail", "nothing shows the exploit of CVE-2027-1", &|b| {
                row(b, 261, |row| row["base"] = row["patch"].clone());
            }),
            (25, "fail", "is safe", &|b| row(b, 261, |row| row["patch"] = row["base"].clone())),
            // What the statement concludes itself convinces nobody.
            (25, "fail", "aren't the inputs of the recording", &|b| {
                row(b, 16, |row| row["advisories"] = json!(["CVE-2027-1"]));
            }),
            (25, "fail", "aren't the inputs of the recording", &|b| {
                b.change("replay.json", |v| {
                    drop(v["predicate"]["images"][0]["rows"].as_array_mut().unwrap().remove(16));
                });
            }),
            (25, "fail", "another recording", &|b| b.replace("recording.toml", "01{00..ff}", "01{00..0f}")),
            (25, "fail", "was played once", &|b| {
                b.change("replay.json", |v| v["predicate"]["runs"] = json!(1))
            }),
            (25, "fail", "another adapter than patchlane.toml names", &|b| {
                b.change("replay.json", |v| v["predicate"]["adapter"]["command"][0] = json!("./same"))
            }),
            (25, "not-evaluated", "has no [replay]", &|b| {
                let text = std::fs::read_to_string(b.desk.0.join("patchlane.toml")).unwrap();
                b.write("patchlane.toml", &text[..text.find("\n[replay]").unwrap()]);
            }),
            (25, "fail", "other images than the patch's", &|b| {
                b.change("replay.json", |v| v["subject"][0]["digest"]["sha256"] = json!("00"));
            }),
            (25, "fail", "another image than the base's", &|b| {
                b.change("replay.json", |v| v["predicate"]["images"][0]["base"]["sha256"] = json!("00"));
            }),
            (25, "fail", "has a row that is none", &|b| row(b, 0, |row| row["sent"] = json!({}))),
            (25, "fail", "sweeps nothing", &|b| b.replace("recording.toml", "01{00..ff}", "0103")),
        ],
    );
}

#[test]
fn checks_of_budget_and_installation() {
    each(
        "installs",
        &[
            (26, "not-evaluated", "no [budget]", &|b| b.without("budget")),
            (26, "fail", "flash", &|b| b.replace("change.toml", "flash = 65536", "flash = 16")),
            (26, "not-evaluated", "wasn't measured", &|b| {
                b.replace("change.toml", "measured = { ram = 2048 }", "")
            }),
            (28, "not-evaluated", "no [flash]", &|b| {
                b.edit("patchlane.toml", |text| {
                    let (before, after) = text.split_once("[flash]").unwrap();
                    let (_, after) = after.split_once("[lint]").unwrap();
                    format!("{before}[lint]{after}")
                });
            }),
            (28, "fail", "of another baseline", &|b| {
                b.desk.ok("build security --baseline 5.0 --level 7 --image base.elf -o other.plb");
                b.replace("change.toml", "[proof]", "[proof]\nbases = [\"other.plb\"]");
            }),
            (28, "fail", "the primary slot 512", &|b| {
                b.replace("patchlane.toml", "erase_size = 4096", "erase_size = 512");
                b.replace("patchlane.toml", "size = 0x20000 }", "size = 0x200 }");
                b.replace("patchlane.toml", "size = 0x21000 }", "size = 0x400 }");
            }),
        ],
    );
}

#[test]
fn checks_of_the_source() {
    let spoilt: [Spoil<'_>; 12] = [
        (6, "not-evaluated", "no [source]", &|b| b.without("source")),
        (6, "not-evaluated", "isn't a git work tree", &|b| b.replace("change.toml", "\"fw\"", "\"/\"")),
        (6, "fail", "rev-parse", &|b| b.replace("change.toml", "\"v2\"", "\"v3\"")),
        (6, "fail", "no commit between", &|b| b.replace("change.toml", "\"v2\"", "\"v1\"")),
        (6, "fail", "Tidy", &|b| b.commit("Tidy", "v2")),
        (6, "fail", "without a `Fixes`", &|b| b.commit("Tidy\n\nFixes: CVE-2020-1", "v2")),
        (7, "fail", "src/main.c", &|b| {
            b.edit("fw/src/main.c", |text| format!("{text}\n"));
            b.commit("Tidy", "v2");
        }),
        (7, "fail", "holds everything", &|b| b.replace("change.toml", "\"src/modbus.c\"", "\"**\"")),
        (7, "fail", "scope is empty", &|b| b.replace("change.toml", "\"src/modbus.c\"", "")),
        (8, "fail", "1 are the most", &|b| b.replace("change.toml", "churn = 20", "churn = 1")),
        (9, "fail", "isn't clean", &|b| b.write("fw/new.c", "int x;\n")),
        (9, "fail", "has no reviewer", &|b| b.commit("Tidy\n\nFixes: CVE-2027-1", "v2")),
    ];
    for (number, case) in spoilt.iter().enumerate() {
        // A repository is spoilt for good: each case has its own.
        each(&format!("source-{number}"), std::slice::from_ref(case));
    }
    each(
        "source-own",
        &[(9, "fail", "reviewed by its author", &|b| {
            b.commit("Tidy\n\nFixes: CVE-2027-1\nReviewed-by: Dev <DEV@example.com>", "v2");
        })],
    );
    each(
        "source-untagged",
        &[(9, "fail", "has no tag", &|b| {
            b.git("tag -d v2");
            b.replace("change.toml", "\"v2\"", "\"HEAD\"");
        })],
    );
}

/// A merge can hold what no side of it had, and a base that isn't the head's hides what went.
#[test]
fn merges_and_forks_hide_nothing() {
    let bench = Bench::new("merges");
    bench.git("checkout -q -b side v1");
    bench.commit("Check more\n\nFixes: CVE-2027-1\nReviewed-by: Rev <rev@example.com>", "side-tip");
    bench.git("checkout -q -B main v2");
    bench.git("merge -q --no-ff -m Merge side");
    bench.git("tag -f v2");
    assert_eq!(bench.result("--no-rebuild", 6).0, "pass", "a merge of two sides says nothing of its own");
    bench.git("reset -q --hard HEAD~1");
    bench.git("merge -q --no-ff --no-commit side");
    bench.edit("fw/src/modbus.c", |text| format!("{text}\nint telnet;\n"));
    bench.commit("Merge", "v2");
    let (found, told) = bench.result("--no-rebuild", 6);
    assert!(found == "fail" && told.contains("Merge"), "{told}");
    bench.replace("change.toml", "base = \"v1\"", "base = \"side-tip\"");
    bench.git("tag -f v2 v2~1");
    let (found, told) = bench.result("--no-rebuild", 6);
    assert!(found == "fail" && told.contains("isn't an ancestor"), "{told}");
}

#[test]
fn check_12_builds_twice_in_clean_copies() {
    let bench = Bench::new("rebuild");
    let before = listing(&bench.desk.0);
    let cases: [(&str, &str, &str, &str); 5] = [
        (
            "command = [\"sh\", \"build.sh\"]",
            "command = [\"sh\", \"-c\", \"cp ../../base.elf out.elf\"]",
            "fail",
            "fails:",
        ),
        (
            "command = [\"sh\", \"build.sh\"]",
            "command = [\"sh\", \"-c\", \"pwd > out.elf\"]",
            "fail",
            "differ from each other",
        ),
        (
            "command = [\"sh\", \"build.sh\"]",
            "command = [\"sh\", \"-c\", \"echo constant > out.elf\"]",
            "fail",
            "differs from the image",
        ),
        ("command = [\"sh\", \"build.sh\"]", "command = [\"no-such-program\"]", "fail", "doesn't run"),
        ("artifact = \"out.elf\"", "artifact = \"nothing\"", "fail", "nothing"),
    ];
    assert_eq!(bench.result("", 12).0, "pass");
    assert_eq!(bench.result("--no-rebuild", 12).0, "not-evaluated");
    for (from, to, result, word) in cases {
        bench.replace("patchlane.toml", from, to);
        let (found, detail) = bench.result("", 12);
        assert!(found == result && detail.contains(word), "{to}: {found}: {detail}");
        restore(&bench, &before);
    }
    let (found, detail) = {
        bench.replace("patchlane.toml", "[lint.reproduce]", "[lint.reproduced]");
        bench.unread("")
    };
    assert!(found == "config" && detail.contains("reproduced"), "{found}: {detail}");
}
