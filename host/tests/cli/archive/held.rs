//! What holds, and what is the vendor's word.

use super::bench::{CREATE, archived, attested, check, checks, digest, index, keyed, row, verified};
use serde_json::Value;

#[test]
fn a_release_is_recomputed_from_its_archive_alone() {
    let bench = archived("whole");
    // Alone: neither the product nor its sources are there.
    let away = bench.desk.path("away");
    std::fs::create_dir(&away).unwrap();
    std::fs::rename(bench.desk.path("ar"), away.join("ar")).unwrap();
    for entry in
        std::fs::read_dir(&bench.desk.0).unwrap().flatten().filter(|entry| entry.file_name() != "away")
    {
        let path = entry.path();
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap()
        } else {
            std::fs::remove_file(path).unwrap()
        }
    }
    let value = verified(&bench, "away/ar");
    assert_eq!(value["ok"], true, "{value}");
    assert_eq!(checks(&value, "vendors-word"), [9, 12], "{value}");
    let reproduced = checks(&value, "reproduced");
    assert_eq!(reproduced[..3], [18, 21, 25], "what matters most is told first");
    assert_eq!(reproduced.len(), 28);
    assert_eq!(
        reproduced[reproduced.len() - 6..],
        [8, 10, 16, 19, 20, 26],
        "what can be waived is told last"
    );
    for name in [
        "root chain",
        "bundle",
        "evidence",
        "evidence signature",
        "files",
        "index",
        "RECHECK.md",
        "over 4.1 s7",
    ] {
        assert_eq!(row(&value, name), "reproduced", "{name}");
    }
    // Nobody was told which root is the right one, and there is no ledger.
    assert_eq!(
        (row(&value, "anchor"), row(&value, "released")),
        ("vendors-word".into(), "vendors-word".into())
    );
    let index = index(&away.join("ar"));
    assert_eq!(index["retain_until"], "2037-01-15", "ten years after issue, which is later than support");
    let text = String::from_utf8(bench.desk.run("verify-evidence away/ar").stdout).unwrap();
    assert!(
        text.contains("REPRODUCED") && text.contains("VENDOR'S WORD") && !text.contains('\u{1b}'),
        "{text}"
    );
}

#[test]
fn indices_and_statements_are_what_their_schemas_say() {
    let bench = archived("schema");
    let of = |schema: &str, value: &Value| super::super::schema::violations_of(schema, value);
    let (index_schema, release_schema) = (
        include_str!("../../../schema/archive.schema.json"),
        include_str!("../../../schema/release.schema.json"),
    );
    let mut value = index(&bench.desk.path("ar"));
    assert_eq!(of(index_schema, &value), [""; 0]);
    value["entries"][0]["path"] = "x".into();
    assert_eq!(of(index_schema, &value).len(), 1);
    let bytes = std::fs::read(bench.desk.path("patch.release.json")).unwrap();
    let mut statement = patchlane::evidence::Evidence::parse(&bytes).unwrap().statement;
    assert_eq!(of(release_schema, &statement), [""; 0]);
    statement["predicate"]["bases"] = serde_json::json!([]);
    assert_eq!(of(release_schema, &statement).len(), 1);
    // Both parts of the evidence made before signing.
    let (evidence_schema, findings_schema) = (
        include_str!("../../../schema/evidence.schema.json"),
        include_str!("../../../schema/findings.schema.json"),
    );
    let bytes = std::fs::read(bench.desk.path("patch.evidence.json")).unwrap();
    let mut statement = patchlane::evidence::Evidence::parse(&bytes).unwrap().statement;
    assert_eq!(of(evidence_schema, &statement), [""; 0]);
    statement["predicate"]["checks"][5]["detail"] = "1 commit".into();
    assert_eq!(of(evidence_schema, &statement).len(), 1);
    let bytes = std::fs::read(bench.desk.path("patch.evidence.findings.json")).unwrap();
    let mut findings: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(of(findings_schema, &findings), [""; 0]);
    findings["salt"] = "short".into();
    assert_eq!(of(findings_schema, &findings).len(), 1);
    // Every role is in the schema, and no other.
    let schema: Value = serde_json::from_str(index_schema).unwrap();
    let roles: Vec<&str> = patchlane::archive::Role::ALL.iter().map(|role| role.name()).collect();
    assert_eq!(
        schema["properties"]["entries"]["items"]["properties"]["role"]["enum"],
        serde_json::json!(roles)
    );
}

#[test]
fn time_passes_and_the_evidence_is_judged_as_of_its_day() {
    let bench = archived("later");
    let mut command = bench.desk.command();
    // The snapshot is older than it may be, and support has ended.
    let out = command
        .env("SOURCE_DATE_EPOCH", "2600000000")
        .args(["verify-evidence", "ar", "--json"])
        .output()
        .unwrap();
    let value: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (check(&value, 3).0, check(&value, 17).0),
        ("reproduced".into(), "reproduced".into()),
        "{value}"
    );
}

#[test]
fn a_history_that_began_before_the_base_ends_there() {
    let bench = keyed("history");
    for line in ["checkout -q --orphan pre", "rm -rfq ."] {
        bench.git(line);
    }
    bench.write("fw/before.txt", "before\n");
    bench.commit("Before", "v0");
    for line in ["rebase -q --onto pre --root v2", "tag -f v1 HEAD~1", "tag -f v2 HEAD"] {
        bench.git(line);
    }
    bench.desk.ok("lint -o patch.evidence.json --key evidence.pem");
    bench.desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
    bench.desk.ok("sign patch.plb");
    bench.desk.ok(&CREATE.replace(" --after patch.release.json", ""));
    std::fs::remove_dir_all(bench.desk.path("fw")).unwrap();
    let value = verified(&bench, "ar");
    for number in [6, 7, 8, 18] {
        assert_eq!(check(&value, number).0, "reproduced", "{value}");
    }
    assert_eq!(value["ok"], true);
}

#[test]
fn the_root_from_elsewhere_is_the_anchor() {
    let bench = archived("anchor");
    let value = verified(&bench, "ar --root trust/root-1.plr");
    assert_eq!(row(&value, "anchor"), "reproduced");
    let other = super::super::desk::Desk::new("archive-anchor-other");
    other.ok("init --vendor example.com --class pump");
    let path = other.path("trust/root-1.plr");
    let value = verified(&bench, &format!("ar --root {}", path.display()));
    assert_eq!((row(&value, "anchor"), &value["code"]), ("differs".into(), &"evidence".into()));
}

/// Everything is there but what is confidential: the results are the vendor's word, and the rest is seen.
#[test]
fn a_customer_sees_what_was_shipped_and_signed() {
    let bench = attested("customer");
    bench.desk.ok(CREATE);
    let made = bench.desk.ok(&CREATE.replace("-o ar", "-o cu --audience customer"));
    assert!(made["left_out"].as_u64().unwrap() > 15, "{made}");
    let cut = index(&bench.desk.path("cu"));
    let redacted: Vec<&Value> =
        cut["entries"].as_array().unwrap().iter().filter(|entry| entry["redacted"] == true).collect();
    assert_eq!(redacted.len(), 1);
    assert_eq!((&redacted[0]["role"], &redacted[0]["name"]), (&"findings".into(), &"findings".into()));
    assert_eq!(redacted[0]["sha256"], bench.digest("patch.evidence.findings.json"));
    let value = verified(&bench, "cu");
    assert_eq!(value["ok"], true, "{value}");
    assert_eq!((checks(&value, "vendors-word").len(), checks(&value, "reproduced").len()), (30, 0));
    for number in 1..=30 {
        let told = check(&value, number).1;
        assert!(told.starts_with("pass; not seen here: ") && told.contains("confidential"), "{told}");
    }
    for name in [
        "root chain",
        "bundle",
        "evidence",
        "evidence signature",
        "files",
        "no others",
        "index",
        "history",
        "release",
        "RECHECK.md",
        "statement",
    ] {
        assert_eq!(row(&value, name), "reproduced", "{name}");
    }
    for name in ["anchor", "over 4.1 s7", "released"] {
        assert_eq!(row(&value, name), "vendors-word", "{name}");
    }
    // What isn't for customers isn't smuggled back.
    let program = std::fs::read(bench.desk.path("patch.elf")).unwrap();
    std::fs::write(bench.desk.path("cu/objects/sha256").join(digest(&program)), program).unwrap();
    assert_eq!(row(&verified(&bench, "cu"), "no others"), "differs");
}

#[test]
fn waivers_count_as_of_the_evidences_day_and_by_the_approvers_of_that_day() {
    let bench = keyed("waiver");
    bench.replace("change.toml", "churn = 20", "churn = 1");
    bench.desk.ok("lint waive 8 --reason generated --until 2027-03-01 --key approver.pem -o w8.txt");
    bench.replace("change.toml", "waivers = []", "waivers = [\"w8.txt\"]");
    bench.desk.ok("lint -o patch.evidence.json --key evidence.pem");
    bench.desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
    bench.desk.ok("sign patch.plb");
    let create = CREATE.replace(" --after patch.release.json", "");
    bench.desk.ok(&create);
    bench.desk.ok(&create.replace("-o ar", "-o cu --audience customer"));
    let mut command = bench.desk.command();
    let out = command
        .env("SOURCE_DATE_EPOCH", "2600000000")
        .args(["verify-evidence", "ar", "--json"])
        .output()
        .unwrap();
    let value: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(check(&value, 8).0, "reproduced", "{value}");
    assert!(check(&value, 8).1.starts_with("waived"), "{value}");
    assert_eq!((value["ok"].clone(), row(&value, "statement")), (true.into(), "vendors-word".into()));
    // A waiver says what the check saw: a customer gets the evidence's word of it.
    let value = verified(&bench, "cu");
    assert_eq!((value["ok"].clone(), check(&value, 8).0), (true.into(), "vendors-word".into()), "{value}");
    assert!(check(&value, 8).1.starts_with("waived"), "{value}");
}

#[test]
fn what_is_released_is_stated_with_its_seal() {
    let bench = keyed("ledger");
    super::bench::recorded(&bench);
    bench.desk.ok("lint -o patch.evidence.json --key evidence.pem");
    bench.desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
    bench.desk.ok("sign patch.plb");
    let attest = "attest patch.plb --base base.plb --key evidence.pem";
    bench.desk.fails(attest, 1, "ledger-refused");
    bench.desk.ok(&format!("{attest} --before-release -o early.json"));
    bench.desk.ok("ledger release patch.plb --evidence early.json");
    let stated = bench.desk.ok(attest);
    assert!(stated["ledger"]["entry"]["file"].as_str().unwrap().starts_with("releases/4.1-s8-security-"));
    assert_eq!(stated["ledger"]["seal"]["number"], 2);
    // Another supported release that devices may run has to be tried, too.
    bench.desk.fails("attest patch.plb --base patch.plb --key evidence.pem -o x.json", 1, "ledger-refused");
    bench.desk.ok(&format!("{CREATE} --after early.json"));
    let value = verified(&bench, "ar");
    assert_eq!(value["ok"], true, "{value}");
    let released: Vec<&Value> =
        value["rows"].as_array().unwrap().iter().filter(|row| row["name"] == "released").collect();
    let verdicts: Vec<&str> = released.iter().map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["reproduced", "vendors-word"], "after the release, and before it");
    assert_eq!((check(&value, 1).0, check(&value, 21).0), ("reproduced".into(), "reproduced".into()));
    assert!(check(&value, 1).1.contains("and released"), "{}", check(&value, 1).1);
}

#[test]
fn an_archive_is_added_to_and_never_exchanged() {
    let bench = attested("add");
    let create = CREATE.replace(" --after patch.release.json", "");
    bench.desk.ok(&create);
    let before = index(&bench.desk.path("ar"));
    assert_eq!(bench.desk.ok(&create)["added"], 0, "the same again");
    let add = "archive add ar --after patch.release.json --key evidence.pem";
    let added = bench.desk.ok(add);
    assert_eq!(added["added"], 1);
    let after = index(&bench.desk.path("ar"));
    let (old, new) = (before["entries"].as_array().unwrap(), after["entries"].as_array().unwrap());
    assert!(old.iter().all(|entry| new.contains(entry)) && new.len() == old.len() + 3);
    assert_eq!(added["previous_sha256"], after["previous"]);
    assert_eq!(bench.desk.ok(add)["added"], 0);
    let value = verified(&bench, "ar");
    assert_eq!(
        (value["ok"].clone(), row(&value, "over 4.1 s7")),
        (true.into(), "reproduced".into()),
        "{value}"
    );
    bench.desk.fails("archive add ar --key evidence.pem", 2, "usage");
    // Another release's archive, or something else, stays as it is.
    bench.desk.ok("lint -o other.json --key evidence.pem --profile cra");
    bench.desk.ok("build security --change change.toml --evidence other.json -o other.plb");
    bench.replace("patchlane.toml", "cra+replay", "cra");
    bench.desk.ok("sign other.plb --evidence other.json");
    bench.replace("patchlane.toml", "profile = \"cra\"", "profile = \"cra+replay\"");
    bench.desk.fails(
        "archive create other.plb -o ar --evidence other.json --key evidence.pem",
        3,
        "file-exists",
    );
    std::fs::create_dir(bench.desk.path("full")).unwrap();
    bench.write("full/mine.txt", "mine");
    bench.desk.fails(&create.replace("-o ar", "-o full"), 3, "file-exists");
}

#[test]
fn only_what_holds_is_attested() {
    let bench = keyed("attest");
    bench.desk.ok("build security --baseline 4.1 --level 8 --image patch.elf -o loose.plb");
    let line = "attest loose.plb --base base.plb --key evidence.pem";
    bench.desk.fails(line, 1, "not-enough-signatures");
    // A base that wasn't signed, one that is no older, one of another baseline.
    bench.desk.ok("build feature --baseline 4.1 --level 7 --image base.elf -o bare.plb");
    bench.desk.ok("build feature --baseline 5.0 --level 8 --image patch.elf -o five.plb");
    bench.desk.ok("sign five.plb");
    bench.desk.fails("attest five.plb --base bare.plb --key evidence.pem", 1, "not-enough-signatures");
    bench.desk.fails("attest base.plb --base five.plb --key evidence.pem", 1, "differs");
    bench.desk.fails("attest five.plb --base five.plb --key evidence.pem", 1, "differs");
    bench.desk.fails("attest five.plb --base base.plb --key approver.pem", 4, "key");
    // A feature update is attested as well as a patch.
    let stated = bench.desk.ok("attest five.plb --base base.plb --key evidence.pem");
    assert_eq!(
        (&stated["lane"], &stated["bases"][0]["release"]),
        (&"feature-update".into(), &"4.1 s7".into())
    );
    assert!(stated["cuts"].as_u64().unwrap() >= 50, "{stated}");
    assert_eq!(stated["bases"][0]["cuts"], stated["cuts"]);
    bench.desk.fails("attest five.plb --base base.plb --key evidence.pem", 3, "file-exists");
}

#[test]
fn what_changed_since_is_refused_unless_it_is_given_as_it_was() {
    let bench = attested("since");
    std::fs::copy(bench.desk.path("risk.txt"), bench.desk.path("risk-then.txt")).unwrap();
    bench.write("risk.txt", "assessed again\n");
    let what = bench.desk.fails(CREATE, 1, "evidence");
    assert!(what.contains("was changed since"), "{what}");
    bench.desk.ok(&format!("{CREATE} --with risk-then.txt"));
    assert_eq!(check(&verified(&bench, "ar"), 27).0, "reproduced");
    // A tag that was moved names other commits.
    bench.write("fw/src/more.c", "int more;\n");
    bench.commit("More\n\nFixes: CVE-2027-1\nReviewed-by: Rev <rev@example.com>", "v2");
    let what = bench.desk.fails(
        &format!("{CREATE}x --with risk-then.txt").replace("-o ar", "-o x").replace("pemx", "pem"),
        1,
        "evidence",
    );
    assert!(what.contains("other commits"), "{what}");
}

#[test]
fn evidence_has_a_key_of_its_own() {
    let bench = keyed("keys");
    bench.desk.ok("key new stranger.pem --development");
    let lint = "lint -o e.json --no-rebuild --profile starter --key";
    bench.desk.fails(&format!("{lint} stranger.pem"), 4, "key");
    bench.desk.fails(&format!("{lint} trust/development-security.pem"), 4, "key");
    bench.desk.fails(&format!("{lint} approver.pem"), 4, "key");
    bench.desk.ok("key new locked.pem --passphrase-env SECRET");
    bench.replace("patchlane.toml", "\"evidence.pub\"", "\"evidence.pub\", \"locked.pub\"");
    bench.desk.fails(&format!("{lint} locked.pem"), 4, "passphrase");
    bench.desk.ok(&format!("{lint} locked.pem --passphrase-env SECRET"));
    // Whoever lists a key of the root for evidence is told.
    bench.replace("patchlane.toml", "\"locked.pub\"", "\"trust/development-feature.pub\"");
    bench.desk.fails(&format!("{lint} evidence.pem").replace("e.json", "f.json"), 4, "key");
    bench.desk.fails("lint --key evidence.pem", 2, "usage");
}

#[test]
fn sign_takes_signed_evidence_only_where_keys_are_named() {
    let bench = keyed("sign");
    bench.desk.ok("key new stranger.pem --development");
    bench.desk.ok("lint -o bare.json");
    bench.replace("patchlane.toml", "\"evidence.pub\"", "\"stranger.pub\"");
    bench.desk.ok("lint -o strange.json --key stranger.pem");
    bench.replace("patchlane.toml", "\"stranger.pub\"", "\"evidence.pub\"");
    bench.desk.ok("lint -o good.json --key evidence.pem");
    for (name, fails) in [("bare", true), ("strange", true), ("good", false)] {
        bench.desk.ok(&format!("build security --change change.toml --evidence {name}.json -o {name}.plb"));
        let line = format!("sign {name}.plb --evidence {name}.json");
        if fails {
            bench.desk.fails(&line, 1, "evidence");
        } else {
            assert_eq!(bench.desk.ok(&line)["verified"], true);
        }
    }
    // Same inputs and key, same bytes.
    bench.desk.ok("lint -o again.json --key evidence.pem");
    let read = |name: &str| std::fs::read(bench.desk.path(name)).unwrap();
    assert_eq!(read("again.json"), read("good.json"));
    assert_eq!(read("again.findings.json"), read("good.findings.json"));
    // Without keys in patchlane.toml an envelope is judged by what is in it, and that is said.
    bench.replace("patchlane.toml", "[evidence]\nkeys = [\"evidence.pub\"]", "");
    bench.desk.ok("build security --change change.toml --evidence strange.json -o loose.plb");
    // Keys without [lint] ask for evidence as well.
    bench.edit("patchlane.toml", |text| {
        text.replace("[lint]", "[evidence]\nkeys = [\"evidence.pub\"]\n[lint]")
    });
    let whole = std::fs::read_to_string(bench.desk.path("patchlane.toml")).unwrap();
    bench.write("patchlane.toml", whole.split("[lint]").next().unwrap());
    bench.desk.fails("sign loose.plb --evidence strange.json", 1, "evidence");
    bench.desk.fails("sign loose.plb", 1, "separation");
    bench.write("patchlane.toml", &whole.replace("[evidence]\nkeys = [\"evidence.pub\"]\n", ""));
    let signed = bench.desk.ok("sign loose.plb --evidence strange.json");
    assert!(signed["notes"].to_string().contains("nobody verified"), "{signed}");
}
