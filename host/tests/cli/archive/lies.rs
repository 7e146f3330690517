//! Archives that hold together and are signed with the right key: only what they say is false, or meant to harm.

use super::bench::{
    CREATE, attested, check, copy, differing, digest, index, keyed, object, row, seal, verified, whole,
};
use patchlane::archive::recheck::{self, Parts};
use patchlane::archive::{Archive, Role};
use patchlane::bundle::Bundle;
use patchlane::evidence::{self, Envelope, Evidence};
use patchlane::keys;
use patchlane::root::Root;
use serde_json::{Value, json};
use std::path::Path;

use super::super::lint::bench::Bench;

/// Edits the index, and signs it with the evidence key as it is then: its RECHECK.md, too, is what belongs to it.
fn resigned(bench: &Bench, folder: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value = index(folder);
    edit(&mut value);
    std::fs::write(folder.join("index.json"), serde_json::to_string_pretty(&value).unwrap() + "\n").unwrap();
    let archive = Archive::open(folder).unwrap();
    let text = archive.index.text().unwrap();
    std::fs::write(folder.join("index.json"), &text).unwrap();
    let passphrase = keys::Passphrase { file: Some(bench.desk.path("secret.txt")), ..Default::default() };
    let key = keys::read(&bench.desk.path("evidence.pem"), &passphrase).unwrap().key;
    let sealed = Envelope::seal(&key, evidence::INDEX, text.as_bytes()).unwrap();
    std::fs::write(folder.join("index.dsse.json"), sealed).unwrap();
    let read = |role: Role| {
        let entry = archive.of(role).next().unwrap();
        std::fs::read(archive.path(&entry.sha256)).unwrap()
    };
    let before = Evidence::parse(&read(Role::EvidenceBefore)).unwrap().envelope.unwrap();
    let (public, findings) = (keys::public_of(&key), read(Role::Findings));
    let parts = Parts {
        bundle: &Bundle::parse(read(Role::Bundle)).unwrap(),
        root: &Root::parse(&read(Role::Root)).unwrap(),
        before: &before,
        findings: Some(&findings),
        evidence_key: public,
        index_key: public,
        after_keys: archive.of(Role::EvidenceAfter).map(|entry| (entry.sha256, public)).collect(),
    };
    std::fs::write(folder.join("RECHECK.md"), recheck::text(&archive.index, &parts).unwrap()).unwrap();
}

/// Puts a file into an archive as an object, and gives its entry.
fn put(folder: &Path, role: &str, name: &str, bytes: &[u8]) -> Value {
    let sha256 = digest(bytes);
    std::fs::write(folder.join("objects/sha256").join(&sha256), bytes).unwrap();
    json!({ "role": role, "name": name, "sha256": sha256, "size": bytes.len() })
}

fn entries(index: &mut Value) -> &mut Vec<Value> {
    index["entries"].as_array_mut().unwrap()
}

#[test]
fn a_root_that_retired_the_judging_one_is_no_anchor_of_it() {
    let bench = keyed("retired");
    // Two production roots that may follow the first: one retires its security key, and one keeps it.
    const SECRET: &str = "--passphrase-env SECRET";
    bench.write("secret.txt", "correct horse\n");
    for name in ["evidence.pem", "evidence.pub"] {
        std::fs::remove_file(bench.desk.path(name)).unwrap();
    }
    for key in ["evidence", "root", "feature", "old", "new"] {
        bench.desk.ok(&format!("key new {key}.pem {SECRET}"));
    }
    let made = format!("--root root.pub --feature feature.pub --sign root.pem {SECRET}");
    bench.desk.ok(&format!("root new -o one.plr --security old.pub {made}"));
    bench.desk.ok(&format!("root new -o two.plr --follows one.plr --security new.pub {made}"));
    bench
        .desk
        .ok(&format!("root new -o more.plr --follows one.plr --security old.pub --security new.pub {made}"));
    bench.edit("patchlane.toml", |text| {
        let from = text.find("[trust]").unwrap();
        let to = text[from + 1..].find("\n[").map_or(text.len(), |at| from + 1 + at);
        let trust = "[trust]\nroot = \"one.plr\"\nsecurity = [\"old.pem\"]\nfeature = [\"feature.pem\"]\n";
        format!("{}{trust}{}", &text[..from], &text[to..]).replace("cra+replay", "starter")
    });
    for line in [
        "build feature --baseline 4.1 --level 7 --image base.elf -o base.plb --force",
        &format!("sign base.plb {SECRET}"),
        &format!("lint -o patch.evidence.json --key evidence.pem {SECRET}"),
        "build security --change change.toml --evidence patch.evidence.json -o patch.plb",
        &format!("sign patch.plb {SECRET}"),
        &format!("archive create patch.plb -o ar --key evidence.pem {SECRET}"),
    ] {
        bench.desk.ok(line);
    }
    let told = |root: &str| {
        let out = bench.desk.run(&format!("verify-evidence forged --root {root} --json"));
        let value: Value = serde_json::from_slice(&out.stdout).unwrap();
        (row(&value, "root chain"), row(&value, "anchor"), value)
    };
    for (root, anchor) in [("two.plr", "differs"), ("more.plr", "reproduced"), ("one.plr", "reproduced")] {
        let folder = copy(&bench, "ar", "forged");
        if root != "one.plr" {
            let entry = put(&folder, "root", "root 2", &std::fs::read(bench.desk.path(root)).unwrap());
            resigned(&bench, &folder, |index| entries(index).push(entry));
        }
        let (chain, found, value) = told(root);
        assert_eq!((&chain[..], &found[..]), ("reproduced", anchor), "{root}: {value}");
        assert_eq!(value["ok"], anchor == "reproduced", "{root}: {value}");
    }
}

/// Seals evidence that says this, and makes bundle and archive of it.
fn archived_as(bench: &Bench, name: &str, lie: &Value) -> Value {
    seal(bench, &format!("{name}.evidence.json"), lie);
    bench
        .desk
        .ok(&format!("build security --change change.toml --evidence {name}.evidence.json -o {name}.plb"));
    bench.desk.ok(&format!("sign {name}.plb"));
    bench.desk.ok(&format!("archive create {name}.plb -o {name} --key evidence.pem"));
    verified(bench, name)
}

#[test]
fn what_evidence_says_of_a_check_beside_its_result_is_recomputed_too() {
    let bench = keyed("beside");
    bench.replace("change.toml", "churn = 20", "churn = 1");
    bench.desk.ok("lint waive 8 --reason generated --until 2027-03-01 --key approver.pem -o w8.txt");
    bench.replace("change.toml", "waivers = []", "waivers = [\"w8.txt\"]");
    bench.desk.ok("lint -o honest.json --key evidence.pem");
    let honest = whole(&bench, "honest.json");
    assert_eq!(archived_as(&bench, "a0", &honest)["ok"], true);
    type Edit = fn(&mut Value);
    let edits: [(u64, Edit); 5] = [
        (8, |row| row["waiver"]["reason"] = "a comment was reworded".into()),
        (8, |row| row["waiver"]["until"] = "2036-03-01".into()),
        (8, |row| row["waiver"]["by"] = "0011223344556677".into()),
        (18, |row| row["detail"] = "no function changed at all".into()),
        (21, |row| row["title"] = "audited by a notified body".into()),
    ];
    for (at, (number, edit)) in edits.into_iter().enumerate() {
        let mut lie = honest.clone();
        edit(&mut lie["predicate"]["checks"][number as usize - 1]);
        let value = archived_as(&bench, &format!("b{at}"), &lie);
        assert_eq!(check(&value, number).0, "differs", "{at}: {}", check(&value, number).1);
        assert_eq!(differing(&value).len(), 1, "{at}: {value}");
    }
    // Another patchlane may word it otherwise: then it isn't the same, and isn't a lie.
    let mut other = honest.clone();
    other["predicate"]["tool"]["version"] = "0.0.9".into();
    other["predicate"]["checks"][17]["detail"] = "one function, in older words".into();
    let value = archived_as(&bench, "c", &other);
    assert_eq!((&value["ok"], &check(&value, 18).0[..]), (&json!(true), "vendors-word"), "{value}");
}

#[test]
fn what_evidence_says_of_clauses_follows_from_its_results() {
    let bench = keyed("clauses");
    bench.desk.ok("lint -o honest.json --key evidence.pem");
    let honest = whole(&bench, "honest.json");
    let value = archived_as(&bench, "a0", &honest);
    assert_eq!(row(&value, "clauses of cra"), "reproduced", "{value}");
    type Edit = fn(&mut Value);
    let edits: [Edit; 3] = [
        |clause| clause["result"] = "elsewhere".into(),
        |clause| clause["verified"] = json!(!clause["verified"].as_bool().unwrap()),
        |clause| clause["title"] = "certified".into(),
    ];
    for (at, edit) in edits.into_iter().enumerate() {
        let mut lie = honest.clone();
        let clauses = lie["predicate"]["catalogues"][0]["clauses"].as_array_mut().unwrap();
        edit(clauses.iter_mut().find(|clause| clause["result"] == "pass").unwrap());
        let value = archived_as(&bench, &format!("b{at}"), &lie);
        assert_eq!(differing(&value), ["clauses of cra"], "{value}");
    }
    // Customers have the catalogue, too; without it, nobody can tell.
    bench.desk.ok("archive create b0.plb -o customers --audience customer --key evidence.pem");
    assert_eq!(differing(&verified(&bench, "customers")), ["clauses of cra"]);
    let folder = copy(&bench, "b0", "lost");
    std::fs::remove_file(object(&folder, "catalogue")).unwrap();
    assert_eq!(row(&verified(&bench, "lost"), "clauses of cra"), "vendors-word");
}

#[test]
fn an_index_of_another_product_isnt_this_releases() {
    let bench = attested("product");
    bench.desk.ok(CREATE);
    for (key, other) in [("vendor", "example.org"), ("class", "insulin pump")] {
        let folder = copy(&bench, "ar", "forged");
        resigned(&bench, &folder, |index| index["release"][key] = other.into());
        let value = verified(&bench, "forged");
        assert_eq!(differing(&value), ["release"], "{key}: {value}");
        // A report would call the release by that name.
        bench.desk.fails("report forged -o told", 1, "evidence");
    }
}

#[test]
fn what_a_stranger_states_after_signing_is_neither_played_nor_reported() {
    let bench = attested("stranger");
    bench.desk.ok("key new stranger.pem --development");
    bench.replace("patchlane.toml", "\"evidence.pub\"", "\"stranger.pub\"");
    bench.desk.ok("attest patch.plb --base base.plb --key stranger.pem -o strange.json");
    bench.replace("patchlane.toml", "\"stranger.pub\"", "\"evidence.pub\"");
    bench.desk.ok(&CREATE.replace(" --after patch.release.json", ""));
    let folder = copy(&bench, "ar", "forged");
    let entry =
        put(&folder, "evidence-after", "x.json", &std::fs::read(bench.desk.path("strange.json")).unwrap());
    resigned(&bench, &folder, |index| entries(index).push(entry));
    let value = verified(&bench, "forged");
    assert!(differing(&value).contains(&"statement".to_owned()), "{value}");
    let rows = value["rows"].as_array().unwrap();
    assert!(!rows.iter().any(|row| row["name"].as_str().unwrap().starts_with("over ")), "{value}");
    bench.desk.ok("report forged -o told --format json --format md");
    let report: Value =
        serde_json::from_slice(&std::fs::read(bench.desk.path("told/report.json")).unwrap()).unwrap();
    let verification = &report["predicate"]["verification"];
    assert!(!verification["rows"].to_string().contains("the signed bundle, over"), "{verification}");
    assert!(
        verification["missing"].to_string().contains("the statement x.json shows nothing"),
        "{verification}"
    );
}

#[test]
fn an_approver_who_signs_evidence_is_no_second_pair_of_eyes() {
    let bench = keyed("approver");
    bench.replace("change.toml", "churn = 20", "churn = 1");
    bench.desk.ok("lint waive 8 --reason generated --until 2027-03-01 --key approver.pem -o w8.txt");
    bench.replace("change.toml", "waivers = []", "waivers = [\"w8.txt\"]");
    bench.desk.ok("lint -o honest.json --key evidence.pem");
    let mut lie = whole(&bench, "honest.json");
    let approver = keys::read_public(&bench.desk.path("approver.pub")).unwrap();
    let hex: String = approver.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    lie["predicate"]["judged_by"]["evidence_keys"].as_array_mut().unwrap().push(hex.into());
    let value = archived_as(&bench, "one", &lie);
    assert!(differing(&value).contains(&"waivers".to_owned()), "{value}");
}

#[test]
fn an_index_that_names_files_over_and_over_is_read_once() {
    let bench = attested("over");
    bench.desk.ok(CREATE);
    // 900 names for one signature of 3 MiB, for one root, for one statement.
    let folder = copy(&bench, "ar", "forged");
    let large = put(&folder, "index-signed", "0", &vec![b' '; 3 << 20]);
    let first = |index: &Value, role: &str| {
        index["entries"].as_array().unwrap().iter().find(|entry| entry["role"] == role).unwrap().clone()
    };
    let begun = std::time::Instant::now();
    resigned(&bench, &folder, |index| {
        let (root, after) = (first(index, "root"), first(index, "evidence-after"));
        for entry in [large, root, after] {
            for number in 0..900 {
                let mut more = entry.clone();
                more["name"] = format!("n{number}").into();
                entries(index).push(more);
            }
        }
    });
    let value = verified(&bench, "forged");
    assert_eq!(value["ok"], true, "{value}");
    let rows = value["rows"].as_array().unwrap();
    assert_eq!(rows.iter().filter(|row| row["name"] == "statement").count(), 1, "{value}");
    assert!(begun.elapsed().as_secs() < 120);
    // One that is too large to be an index's isn't read at all.
    let folder = copy(&bench, "ar", "forged");
    let large = put(&folder, "index-signed", "0", &vec![b' '; 17 << 20]);
    resigned(&bench, &folder, |index| entries(index).push(large));
    assert_eq!(differing(&verified(&bench, "forged")), ["history"]);
    let folder = copy(&bench, "ar", "forged");
    let signed = put(&folder, "index-signed", "0", b"{}");
    let value = index(&folder);
    let names = (0..1001).map(|number| {
        let mut more = signed.clone();
        more["name"] = format!("n{number}").into();
        more
    });
    let all: Vec<Value> = value["entries"].as_array().unwrap().iter().cloned().chain(names).collect();
    let text = json!({ "entries": all }).to_string();
    let mut value = value;
    value["entries"] = serde_json::from_str::<Value>(&text).unwrap()["entries"].clone();
    std::fs::write(folder.join("index.json"), value.to_string()).unwrap();
    bench.desk.fails("verify-evidence forged", 1, "evidence");
}

#[test]
fn every_file_that_was_lost_is_named() {
    let bench = attested("names");
    bench.desk.ok(CREATE);
    let folder = copy(&bench, "ar", "forged");
    for role in ["sbom", "snapshot", "sources"] {
        std::fs::remove_file(object(&folder, role)).unwrap();
    }
    let value = verified(&bench, "forged");
    let files = value["rows"].as_array().unwrap().iter().find(|row| row["name"] == "files").unwrap().clone();
    let told = files["detail"].as_str().unwrap();
    for name in ["sbom `sbom-base.json`", "snapshot `snapshot.json`", "sources `"] {
        assert!(told.contains(name), "{name}: {told}");
    }
}

/// A ledger of ten years and many lines: what is written can be read again.
#[test]
fn an_index_of_many_files_is_read_again() {
    use patchlane::archive::index::{Audience, Release};
    use patchlane::archive::write::{Draft, File, Top};
    use patchlane::ledger::entry::Sha;
    use patchlane::ledger::time::Day;
    let bench = Bench::new("archive-many");
    let day = |text: &str| Day::parse(text).unwrap();
    let file = |number: u32| File {
        role: Role::Advisory,
        name: format!("releases/{number}-{}.toml", "x".repeat(80)),
        bytes: number.to_string().into_bytes(),
    };
    let release = Release {
        vendor: "example.com".into(),
        class: "pump".into(),
        version: "4.1 s8".into(),
        manifest_sha256: Sha::of(b""),
        bundle_sha256: Sha::of(b""),
        issued: day("2027-01-15"),
        support_end: day("2032-12-31"),
    };
    let draft = Draft {
        audience: Audience::Assessor,
        release,
        created: day("2027-01-21"),
        files: (0..5000).map(file).collect(),
    };
    let folder = bench.desk.path("many");
    draft.write(&folder, &|_| Ok(Top { signed: "{}".into(), recheck: String::new() })).unwrap();
    assert_eq!(Archive::open(&folder).unwrap().index.entries.len(), 5000);
}

#[test]
fn what_lies_beside_the_objects_is_named_by_nothing_either() {
    let bench = attested("beside-objects");
    bench.desk.ok(CREATE);
    for name in ["REPORT.html", "objects/sha512", "objects/index.json"] {
        let folder = copy(&bench, "ar", "forged");
        std::fs::write(folder.join(name), "trust me").unwrap();
        let value = verified(&bench, "forged");
        assert_eq!(differing(&value), ["no others"], "{name}: {value}");
        assert!(value.to_string().contains(name), "{value}");
    }
}

/// The assessor's own git is configured as he likes it: what is found is the same.
#[test]
fn what_an_assessor_configured_for_git_has_no_say() {
    let bench = attested("gitconfig");
    bench.desk.ok(CREATE);
    let text = "[safe]\nbareRepository = explicit\n[log]\nshowSignature = true\n[diff]\nnoprefix = true\nalgorithm = patience\n\
                external = touch ran\norderFile = /nonexistent\n[core]\nquotePath = true\n";
    std::fs::create_dir(bench.desk.path("home")).unwrap();
    bench.write("home/.gitconfig", text);
    let mut command = bench.desk.command();
    command.args(["verify-evidence", "ar", "--json"]).env("HOME", bench.desk.path("home"));
    let out = command.env_remove("GIT_CONFIG_GLOBAL").env_remove("XDG_CONFIG_HOME").output().unwrap();
    let value: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (&value["ok"], super::bench::checks(&value, "vendors-word")),
        (&json!(true), vec![9, 12]),
        "{value}"
    );
    assert!(!bench.desk.path("ran").exists());
}

/// That it was tried over everything that devices may run is no word of the vendor's: the ledger tells.
#[test]
fn a_statement_that_leaves_a_base_out_is_found_out() {
    let bench = keyed("every-base");
    super::bench::recorded(&bench);
    super::bench::released(&bench);
    bench.desk.ok(CREATE);
    let value = verified(&bench, "ar");
    assert_eq!(row(&value, "every base"), "reproduced", "{value}");
    let path = bench.desk.path("patch.release.json");
    let mut lie = Evidence::parse(&std::fs::read(&path).unwrap()).unwrap().statement;
    let bases = lie["predicate"]["bases"].as_array_mut().unwrap();
    let base = bases.pop().unwrap();
    assert!(bases.is_empty());
    let key = keys::read(&bench.desk.path("evidence.pem"), &keys::Passphrase::default()).unwrap().key;
    std::fs::write(&path, evidence::sealed(&key, &lie).unwrap()).unwrap();
    bench.desk.ok(&CREATE.replace("-o ar", "-o less"));
    let value = verified(&bench, "less");
    assert_eq!(differing(&value), ["every base"], "{value}");
    assert!(value.to_string().contains("releases/4.1-s7"), "{value}");
    // What wasn't tried is said; and a base has the manifest that the statement gives it.
    lie["predicate"]["bases"] = json!([base]);
    lie["predicate"]["untried"] = json!([{ "release": "4.1 s6", "why": "it carries no full image" }]);
    lie["predicate"]["bases"][0]["manifest_sha256"] = digest(b"other").into();
    std::fs::write(&path, evidence::sealed(&key, &lie).unwrap()).unwrap();
    bench.desk.ok(&CREATE.replace("-o ar", "-o other"));
    let value = verified(&bench, "other");
    assert_eq!(row(&value, "over 4.1 s6"), "vendors-word");
    assert_eq!(differing(&value), ["over 4.1 s7", "every base"], "{value}");
}
