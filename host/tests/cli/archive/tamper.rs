//! What someone changes in an archive is caught, and one made to harm does none.

use super::bench::{
    CREATE, archived, attested, check, checks, copy, differing, digest, index, object, row, verified,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

fn write_index(folder: &Path, value: &Value) {
    std::fs::write(folder.join("index.json"), serde_json::to_string_pretty(value).unwrap() + "\n").unwrap();
}

fn edit(folder: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value = index(folder);
    edit(&mut value);
    write_index(folder, &value);
}

/// Puts other bytes in the place of an object, under their own digest, and has the index say so.
fn exchange(folder: &Path, role: &str, bytes: &[u8]) {
    let old = object(folder, role);
    let was = old.file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::remove_file(&old).unwrap();
    std::fs::write(folder.join("objects/sha256").join(digest(bytes)), bytes).unwrap();
    edit(folder, |index| {
        for entry in
            index["entries"].as_array_mut().unwrap().iter_mut().filter(|entry| entry["sha256"] == was[..])
        {
            entry["sha256"] = digest(bytes).into();
            entry["size"] = bytes.len().into();
        }
    });
}

#[test]
fn a_flipped_byte_in_any_object_is_caught() {
    let bench = archived("flip");
    let roles: BTreeSet<String> = index(&bench.desk.path("ar"))["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["role"].as_str().unwrap().to_owned())
        .collect();
    assert!(roles.len() >= 17, "{roles:?}");
    for role in roles {
        let folder = copy(&bench, "ar", "spoiled");
        let path = object(&folder, &role);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x04;
        std::fs::write(&path, bytes).unwrap();
        let value = verified(&bench, "spoiled");
        assert_eq!((&value["code"], row(&value, "files")), (&"evidence".into(), "differs".into()), "{role}");
    }
    for (name, expected) in [("index.dsse.json", "index"), ("RECHECK.md", "RECHECK.md")] {
        let folder = copy(&bench, "ar", "spoiled");
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        std::fs::write(folder.join(name), text.replacen('e', "f", 1)).unwrap();
        let value = verified(&bench, "spoiled");
        assert!(differing(&value).contains(&expected.to_owned()), "{name}: {value}");
    }
}

#[test]
fn an_index_that_was_edited_is_not_the_one_that_was_signed() {
    let bench = archived("index");
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit); 5] = [
        ("dropped", |index| drop(index["entries"].as_array_mut().unwrap().pop())),
        ("renamed", |index| index["entries"][4]["name"] = "other".into()),
        ("kept shorter", |index| index["retain_until"] = "2030-01-01".into()),
        ("of another class", |index| index["release"]["class"] = "fan".into()),
        ("made later", |index| index["created"] = "2029-01-01".into()),
    ];
    for (what, change) in edits {
        let folder = copy(&bench, "ar", "spoiled");
        edit(&folder, change);
        let value = verified(&bench, "spoiled");
        assert!(differing(&value).contains(&"index".to_owned()), "{what}: {value}");
    }
    let folder = copy(&bench, "ar", "spoiled");
    edit(&folder, |index| index["retain_until"] = "2030-01-01".into());
    assert_eq!(row(&verified(&bench, "spoiled"), "release"), "differs");
}

#[test]
fn evidence_is_the_one_that_the_manifest_names_and_its_key_the_one_that_it_vouches_for() {
    let bench = archived("swap");
    // Other evidence, well made and signed with the right key.
    bench.desk.ok("lint -o other.json --key evidence.pem --profile cra");
    let folder = copy(&bench, "ar", "spoiled");
    exchange(&folder, "evidence-before", &std::fs::read(bench.desk.path("other.json")).unwrap());
    let value = verified(&bench, "spoiled");
    assert!(differing(&value).contains(&"evidence".to_owned()), "{value}");
    // A stranger signs the release statement anew.
    bench.desk.ok("key new stranger.pem --development");
    bench.replace("patchlane.toml", "\"evidence.pub\"", "\"stranger.pub\"");
    bench.desk.ok("attest patch.plb --base base.plb --key stranger.pem -o strange.json");
    let folder = copy(&bench, "ar", "spoiled");
    exchange(&folder, "evidence-after", &std::fs::read(bench.desk.path("strange.json")).unwrap());
    let value = verified(&bench, "spoiled");
    assert_eq!(row(&value, "statement"), "differs", "{value}");
    // …and no archive takes it.
    bench.replace("patchlane.toml", "\"stranger.pub\"", "\"evidence.pub\", \"stranger.pub\"");
    bench.desk.fails("archive add ar --after strange.json --key evidence.pem", 1, "evidence");
    bench.desk.fails("archive add ar --after strange.json --key stranger.pem", 4, "key");
    // The index, signed anew by a stranger.
    let folder = copy(&bench, "ar", "spoiled");
    let bytes = std::fs::read(folder.join("index.json")).unwrap();
    let key =
        patchlane::keys::read(&bench.desk.path("stranger.pem"), &patchlane::keys::Passphrase::default())
            .unwrap();
    let sealed = patchlane::evidence::Envelope::seal(&key.key, patchlane::evidence::INDEX, &bytes).unwrap();
    std::fs::write(folder.join("index.dsse.json"), sealed).unwrap();
    let value = verified(&bench, "spoiled");
    assert!(differing(&value).contains(&"index".to_owned()), "{value}");
}

#[test]
fn a_vendor_who_claims_what_his_files_dont_show_is_found_out() {
    // He signs everything himself: only the checks themselves can tell.
    let bench = super::bench::keyed("liar");
    bench.replace("interfaces-patch.toml", "modbus = 502", "modbus = 502\ntelnet = 23");
    let out = bench.desk.run("lint -o honest.json --key evidence.pem");
    assert_eq!(out.status.code(), Some(1));
    let mut lie = super::bench::whole(&bench, "honest.json");
    lie["predicate"]["verdict"] = "passed".into();
    let row = &mut lie["predicate"]["checks"][20];
    assert_eq!((&row["check"], &row["result"]), (&json!(21), &json!("fail")));
    (row["result"], row["blocks"], row["detail"]) =
        ("pass".into(), false.into(), "the same: 6 entries".into());
    // …and says of a check that he never made that it passed.
    lie["predicate"]["checks"][24]["inputs"] = json!([]);
    super::bench::seal(&bench, "patch.evidence.json", &lie);
    bench.desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
    bench.desk.ok("sign patch.plb");
    bench.desk.ok(&CREATE.replace(" --after patch.release.json", ""));
    let value = verified(&bench, "ar");
    assert_eq!((value["ok"].clone(), check(&value, 21).0), (false.into(), "differs".into()), "{value}");
    assert!(check(&value, 21).1.contains("telnet"), "{}", check(&value, 21).1);
    let (verdict, detail) = check(&value, 25);
    assert!(verdict == "vendors-word" && detail.contains("gives no digest"), "{detail}");
    // Nor may he call a failure one that doesn't matter: no evidence with one is signed.
    let row = &mut lie["predicate"]["checks"][20];
    (row["result"], row["detail"]) = ("fail".into(), "ports: +telnet".into());
    super::bench::seal(&bench, "fail.json", &lie);
    bench.desk.ok("build security --change change.toml --evidence fail.json -o fail.plb");
    bench.desk.fails("sign fail.plb --evidence fail.json", 1, "separation");
    // …and signed by other means, it isn't believed.
    let config = std::fs::read_to_string(bench.desk.path("patchlane.toml")).unwrap();
    bench.write("patchlane.toml", config.split("\n[lint]").next().unwrap());
    bench.desk.ok("sign fail.plb");
    bench.write("patchlane.toml", &config);
    bench.desk.ok("archive create fail.plb -o fail --evidence fail.json --key evidence.pem");
    let value = verified(&bench, "fail");
    assert_eq!(
        (super::bench::row(&value, "evidence"), check(&value, 21).0),
        ("differs".into(), "differs".into()),
        "{value}"
    );
}

#[test]
fn what_is_missing_is_the_vendors_word_and_never_reproduced() {
    let bench = attested("missing");
    bench.desk.ok(CREATE);
    let folder = copy(&bench, "ar", "spoiled");
    // Taken out with its entry: the index tells, and the checks that read it are told apart.
    let sources = object(&folder, "sources");
    let name = sources.file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::remove_file(&sources).unwrap();
    edit(&folder, |index| {
        index["entries"].as_array_mut().unwrap().retain(|entry| entry["sha256"] != name[..])
    });
    let value = verified(&bench, "spoiled");
    for number in [6, 7, 8, 9, 18] {
        assert_eq!(check(&value, number).0, "vendors-word", "{number}: {value}");
    }
    assert!(differing(&value).contains(&"index".to_owned()));
    for role in ["bundle", "root", "evidence-before", "findings", "change", "config"] {
        let folder = copy(&bench, "ar", "spoiled");
        edit(&folder, |index| index["entries"].as_array_mut().unwrap().retain(|entry| entry["role"] != role));
        let value = verified(&bench, "spoiled");
        assert_eq!(value["code"], "evidence", "{role}: {value}");
    }
}

/// Only what needs a file that was lost is the vendor's word; that it was lost is told once.
#[test]
fn what_was_lost_takes_no_other_check_with_it() {
    let bench = super::bench::keyed("lost");
    super::bench::recorded(&bench);
    bench.replace("change.toml", "churn = 20", "churn = 1");
    bench.desk.ok("lint waive 8 --reason generated --until 2027-03-01 --key approver.pem -o w8.txt");
    bench.replace("change.toml", "waivers = []", "waivers = [\"w8.txt\"]");
    super::bench::released(&bench);
    bench.desk.ok(CREATE);
    let whole = verified(&bench, "ar");
    assert_eq!((whole["ok"].clone(), checks(&whole, "vendors-word")), (true.into(), vec![9, 12]));
    let entry = |folder: &Path, role: &str, name: &str| {
        let index = index(folder);
        let entries = index["entries"].as_array().unwrap().iter();
        let mut found =
            entries.filter(|e| e["role"] == role && e["name"].as_str().unwrap().starts_with(name));
        folder.join("objects/sha256").join(found.next().unwrap()["sha256"].as_str().unwrap())
    };
    let all: Vec<u64> = (1..=30).collect();
    let cases: [(&str, &str, &[u64]); 9] = [
        // Version and support are compared with its manifest; SBOM, programs and proof are about its images.
        ("base", "base.plb", &[1, 2, 3, 13, 18, 19, 20, 24, 25, 28]),
        ("ledger", "baselines/4.1", &[3, 21, 22, 23]),
        ("ledger", "releases/4.1-s7", &[1]),
        ("ledger", "ledger.toml", &[1, 3, 21, 22, 23]),
        ("waiver", "w8.txt", &[8]),
        ("listed-key", "config:approver.pub", &[8]),
        ("catalogue", "cra", &[]),
        ("findings", "", &all),
        ("change", "", &all),
    ];
    for (role, name, lost) in cases {
        for way in ["gone", "flipped"] {
            let folder = copy(&bench, "ar", "spoiled");
            let path = entry(&folder, role, name);
            if way == "gone" {
                std::fs::remove_file(&path).unwrap();
            } else {
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[7] ^= 1;
                std::fs::write(&path, bytes).unwrap();
            }
            let value = verified(&bench, "spoiled");
            let told = format!("{role} {name} {way}: {value}");
            let mut expected: Vec<u64> = lost.iter().chain(&[9, 12]).copied().collect();
            let mut seen = checks(&value, "vendors-word");
            expected.sort_unstable();
            seen.sort_unstable();
            expected.dedup();
            assert_eq!(seen, expected, "{told}");
            assert_eq!(checks(&value, "reproduced").len(), 30 - expected.len(), "{told}");
            assert_eq!(differing(&value), ["files"], "{told}");
            for number in lost {
                assert!(check(&value, *number).1.contains("not seen here: "), "{told}");
            }
        }
    }
}

#[test]
fn an_archive_made_to_harm_reaches_nothing_outside_and_takes_no_memory() {
    let bench = archived("hostile");
    bench.write("secret.txt", "secret");
    let secret = digest(b"secret");
    let entry = |name: &str, sha256: &str, size: u64| json!({ "role": "advisory", "name": name, "sha256": sha256, "size": size });
    let refused: [(&str, Value); 8] = [
        ("a path for a digest", entry("x", "../../../secret.txt", 6)),
        ("upper case", entry("x", &secret.to_uppercase(), 6)),
        ("a terminal's", entry("\u{1b}[2J", &secret, 6)),
        ("huge", entry("x", &secret, u64::MAX)),
        ("a role that there isn't", json!({ "role": "virus", "name": "x", "sha256": secret, "size": 6 })),
        (
            "more than is known",
            json!({ "role": "advisory", "name": "x", "sha256": secret, "size": 6, "path": "/etc/passwd" }),
        ),
        (
            "redacted for an assessor",
            json!({ "role": "sbom", "name": "x", "sha256": secret, "size": 6, "redacted": true }),
        ),
        ("no number", json!({ "role": "advisory", "name": "x", "sha256": secret, "size": -1 })),
    ];
    for (what, entry) in refused {
        let folder = copy(&bench, "ar", "spoiled");
        edit(&folder, |index| index["entries"].as_array_mut().unwrap().push(entry));
        let out = bench.desk.run("verify-evidence spoiled --json");
        let value: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert!(matches!(value["code"].as_str(), Some("evidence" | "malformed")), "{what}: {value}");
        assert!(value.get("rows").is_none(), "{what}");
    }
    // A name is no path, whatever it looks like.
    let folder = copy(&bench, "ar", "spoiled");
    edit(&folder, |index| {
        index["entries"].as_array_mut().unwrap().push(entry("../../../secret.txt", &secret, 6))
    });
    let value = verified(&bench, "spoiled");
    assert_eq!(row(&value, "files"), "differs", "it isn't there: {value}");
    // A link leads outside, and isn't followed; nor is one in the place of the folder.
    std::os::unix::fs::symlink(bench.desk.path("secret.txt"), folder.join("objects/sha256").join(&secret))
        .unwrap();
    let value = verified(&bench, "spoiled");
    let files = value["rows"].as_array().unwrap().iter().find(|row| row["name"] == "files").unwrap().clone();
    assert!(files["detail"].as_str().unwrap().contains("regular file"), "{files}");
    std::fs::rename(folder.join("objects"), bench.desk.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(bench.desk.path("elsewhere"), folder.join("objects")).unwrap();
    let out = bench.desk.run("verify-evidence spoiled --json");
    bench.desk.fails_as("verify-evidence", &out, 1, "evidence");
    for (bytes, code) in
        [("", "malformed"), ("{", "malformed"), ("[[[[[[", "malformed"), ("null", "malformed")]
    {
        let folder = copy(&bench, "ar", "spoiled");
        std::fs::write(folder.join("index.json"), bytes).unwrap();
        bench.desk.fails("verify-evidence spoiled", 3, code);
    }
    let folder = copy(&bench, "ar", "spoiled");
    std::fs::write(folder.join("index.json"), vec![b' '; 2 << 20]).unwrap();
    bench.desk.fails("verify-evidence spoiled", 3, "malformed");
    bench.desk.fails("verify-evidence nothing", 3, "missing-file");
}
