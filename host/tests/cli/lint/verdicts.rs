//! Profiles, waivers, emergencies, evidence, and the wrong things people type.

use super::bench::Bench;

/// Small fixes only: check 8 fails.
fn strict(bench: &Bench) {
    bench.replace("change.toml", "churn = 20", "churn = 1");
}

const WAIVE: &str = "lint waive 8 --reason generated --until 2027-03-01 --key approver.pem -o w8.txt";

#[test]
fn profiles_ask_for_more_and_more() {
    let bench = Bench::new("profiles");
    for section in ["source", "build", "sbom", "elf", "proof", "budget", "assessment"] {
        bench.without(section);
    }
    let blocked = |profile: &str| {
        let value = bench.lint(&format!("--profile {profile}"));
        let rows = value["checks"].as_array().unwrap().iter().filter(|row| row["blocks"] == true);
        rows.map(|row| row["check"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(blocked("starter"), [0u64; 0], "a small team's first day");
    let cra = [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 24, 26, 27];
    assert_eq!(blocked("cra"), cra);
    let replay = [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 24, 25, 26, 27];
    assert_eq!(blocked("cra+replay"), replay);
    // What shows a feature change refuses the patch under every profile.
    bench.replace("interfaces-patch.toml", "modbus = 502", "modbus = 502\ntelnet = 23");
    assert_eq!(blocked("starter"), [21]);
    let value = bench.lint("--profile starter");
    assert!(value["next"].as_str().unwrap().contains("feature update"), "{}", value["next"]);
}

#[test]
fn a_second_approver_waives_what_can_be_waived_and_only_what_was_seen() {
    let bench = Bench::new("waive");
    bench.desk.fails(WAIVE, 2, "usage"); // nothing to waive
    strict(&bench);
    assert_eq!(bench.lint("--no-rebuild --profile starter")["code"], "separation");
    let made = bench.desk.ok(WAIVE);
    assert_eq!(made["check"], 8);
    bench.replace("change.toml", "waivers = []", "waivers = [\"w8.txt\"]");
    let value = bench.lint("--no-rebuild --profile starter");
    assert_eq!((&value["checks"][7]["result"], &value["ok"]), (&"waived".into(), &true.into()));
    assert_eq!(value["checks"][7]["waiver"]["reason"], "generated");
    // It speaks of what was seen: another fix has to be waived anew.
    bench.replace("change.toml", "churn = 1", "churn = 0");
    let (code, what) = bench.unread("--no-rebuild");
    assert!(code == "refused" && what.contains("was signed when check 8 said"), "{code}: {what}");
    bench.replace("change.toml", "churn = 0", "churn = 1");
    for (from, to) in [
        ("reason: generated", "reason: trust me"),
        ("until: 2027-03-01", "until: 2030-03-01"),
        ("check: 8", "check: 10"),
        ("signature: ", "signature: 0"),
        ("release: 4.1 s8", "release: 4.1 s9"),
    ] {
        let before = std::fs::read_to_string(bench.desk.path("w8.txt")).unwrap();
        bench.replace("w8.txt", from, to);
        assert_eq!(bench.unread("--no-rebuild").0, "refused", "{from} to {to}");
        bench.write("w8.txt", &before);
    }
    bench.edit("w8.txt", |text| format!("{text}reason: another\n"));
    assert_eq!(bench.unread("--no-rebuild").0, "refused");
}

#[test]
fn who_cannot_waive_and_what_cannot_be_waived() {
    let bench = Bench::new("waive-wrong");
    strict(&bench);
    bench.desk.ok("key new stranger.pem --development");
    bench.desk.fails(&WAIVE.replace("approver.pem", "stranger.pem"), 4, "key");
    // Whoever signs the patch isn't the second pair of eyes.
    bench.desk.fails(&WAIVE.replace("approver.pem", "trust/development-security.pem"), 4, "key");
    bench.desk.fails(&WAIVE.replace("2027-03-01", "2027-01-01"), 2, "usage");
    bench.desk.fails(&WAIVE.replace("2027-03-01", "2027-02-30"), 2, "usage");
    bench.desk.fails(&WAIVE.replace("waive 8", "waive 31"), 2, "usage");
    bench.desk.fails(&WAIVE.replace("--reason generated ", ""), 2, "usage");
    bench.replace("interfaces-patch.toml", "502", "503");
    let what = bench.desk.fails(&WAIVE.replace("waive 8", "waive 21"), 2, "usage");
    assert!(what.contains("can't be waived"), "{what}");
    bench.desk.ok(WAIVE);
    bench.desk.fails(WAIVE, 3, "file-exists");
    // Taken off the list, an approver's old waivers count no more.
    bench.replace("change.toml", "waivers = []", "waivers = [\"w8.txt\"]");
    bench.replace("patchlane.toml", "\"approver.pub\"", "\"stranger.pub\"");
    assert_eq!(bench.unread("--no-rebuild").0, "refused");
}

#[test]
fn an_emergency_turns_what_is_missing_into_debt_and_excuses_no_feature() {
    let bench = Bench::new("emergency");
    for section in ["sbom", "proof", "elf"] {
        bench.without(section);
    }
    let emergency = "--no-rebuild --emergency exploited --due 2027-02-01";
    let value = bench.lint(emergency);
    assert_eq!(value["checks"][12]["result"], "owed");
    assert_eq!(value["checks"][12]["due"], "2027-02-01");
    assert_eq!(value["emergency"]["reason"], "exploited");
    // 18 shows a feature change: it has to be evaluated even now.
    assert_eq!(
        (&value["checks"][17]["result"], &value["checks"][17]["blocks"]),
        (&"not-evaluated".into(), &true.into())
    );
    assert_eq!(value["verdict"], "refused");
    // What fails isn't missing.
    bench.replace("change.toml", "2032-12-31", "2026-12-31");
    assert_eq!(bench.lint(emergency)["checks"][2]["result"], "fail");
    bench.desk.fails("lint --emergency now", 2, "usage");
    bench.desk.fails("lint --emergency now --due 2026-12-31", 2, "usage");
    bench.desk.fails("lint --due 2027-12-31", 2, "usage");
}

#[test]
fn evidence_goes_into_the_manifest_and_sign_asks_for_it() {
    let bench = Bench::new("evidence");
    bench.desk.ok("lint --no-rebuild --profile cra --emergency rebuild --due 2027-02-01 -o weak.json");
    bench.desk.fails("lint --no-rebuild -o weak.json", 3, "file-exists");
    bench.desk.ok("lint -o patch.evidence.json");
    bench.desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
    let signed = bench.desk.ok("sign patch.plb");
    assert_eq!(signed["verified"], true);
    let statement = std::fs::read_to_string(bench.desk.path("patch.evidence.json")).unwrap();
    let statement: serde_json::Value = serde_json::from_str(&statement).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], bench.image_digest("patch.elf"));
    assert_eq!(statement["predicate"]["verdict"], "passed");
    // Same inputs, the same but for the salt: only a key makes one that nobody else can make.
    bench.desk.ok("lint -o again.json");
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(bench.desk.path(name)).unwrap()).unwrap()
    };
    let (mut again, mut before) = (read("again.findings.json"), read("patch.evidence.findings.json"));
    assert_ne!(again["salt"], before["salt"]);
    (again["salt"], before["salt"]) = (0.into(), 0.into());
    assert_eq!(again, before);
    let (mut again, mut before) = (read("again.json"), statement);
    for statement in [&mut again, &mut before] {
        let named = statement["predicate"].as_object_mut().unwrap().remove("findings_sha256").unwrap();
        assert_eq!(named.as_str().unwrap().len(), 64);
    }
    assert_eq!(again, before);
    // Both parts or none, and what was said once by other means isn't taken for what is said now.
    std::fs::write(bench.desk.path("x.findings.json"), "mine").unwrap();
    bench.desk.fails("lint -o x.json", 3, "file-exists");
    let mut old = read("again.json");
    old["predicateType"] = "https://github.com/patchlane/patchlane/separation/v1".into();
    std::fs::write(bench.desk.path("old.json"), old.to_string()).unwrap();
    bench.desk.ok("build security --change change.toml --evidence old.json -o old.plb");
    let what = bench.desk.fails("sign old.plb --evidence old.json", 1, "separation");
    assert!(what.contains("separation/v1, and separation/v2 is read"), "{what}");
    // None, another, one for another image, one of a weaker profile.
    bench.desk.ok("build security --change change.toml -o bare.plb");
    bench.desk.fails("sign bare.plb", 1, "separation");
    bench.desk.fails("sign bare.plb --evidence patch.evidence.json", 1, "separation");
    bench.desk.ok("build security --change change.toml --evidence weak.json -o weak.plb");
    let what = bench.desk.fails("sign weak.plb --evidence weak.json", 1, "separation");
    assert!(what.contains("profile `cra`"), "{what}");
    bench
        .desk
        .ok("build security --baseline 4.1 --level 8 --image base.elf --evidence again.json -o other.plb");
    let what = bench.desk.fails("sign other.plb --evidence again.json", 1, "separation");
    assert!(what.contains("other images"), "{what}");
    bench
        .desk
        .ok("build security --baseline 4.1 --level 9 --image patch.elf --evidence again.json -o nine.plb");
    bench.desk.fails("sign nine.plb --evidence again.json", 1, "separation");
    // Whoever cuts what refuses out of the evidence has none.
    bench.change("again.json", |v| drop(v["predicate"]["checks"].as_array_mut().unwrap().remove(20)));
    bench.desk.ok("build security --change change.toml --evidence again.json -o cut.plb");
    bench.desk.fails("sign cut.plb --evidence again.json", 1, "separation");
    bench.desk.fails("build security --change change.toml --level 8 -o x.plb", 2, "usage");
    bench.desk.fails("build security -o x.plb", 2, "usage");
}

/// `git replace` shows another commit under the same name: what is judged is what the name says.
#[test]
fn a_commit_is_what_its_name_says() {
    let bench = Bench::new("replaced");
    bench.commit("No trailer here\n\nReviewed-by: Rev <rev@example.com>", "v2");
    assert_eq!(bench.result("--no-rebuild", 6).0, "fail");
    let git = |words: &[&str]| {
        let out = std::process::Command::new("git")
            .arg("-C")
            .arg(bench.desk.path("fw"))
            .args(words)
            .env("GIT_EDITOR", "true")
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "Dev")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "dev@example.com")))
            .output()
            .unwrap();
        assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    };
    let all = git(&["log", "--format=%H", "v1..v2"]);
    for commit in all.lines() {
        let (tree, parent) =
            (git(&["rev-parse", &format!("{commit}^{{tree}}")]), git(&["rev-parse", &format!("{commit}^")]));
        let message = "Fix\n\nFixes: CVE-2027-1\nReviewed-by: Rev <rev@example.com>";
        let other = git(&["commit-tree", &tree, "-p", &parent, "-m", message]);
        if other != commit {
            git(&["replace", "-f", commit, &other]);
        }
    }
    assert!(git(&["log", "-1", "--format=%B", "v2"]).contains("Fixes: CVE-2027-1"), "it is replaced");
    assert_eq!(bench.result("--no-rebuild", 6).0, "fail");
}

/// Evidence of the right image and release, and a manifest that promises something else.
#[test]
fn a_manifest_says_what_was_judged() {
    let bench = Bench::new("promised");
    bench.desk.ok("lint -o e.json --no-rebuild --profile starter");
    bench.replace("patchlane.toml", "profile = \"cra+replay\"", "profile = \"starter\"");
    let build = "build security --baseline 4.1 --level 8 --image patch.elf --evidence e.json --support-end 2032-12-31";
    let cases = [
        ("8:CVE-2027-1:high:exploited", "", ""),
        ("8:CVE-2027-2:high:exploited", "", "other vulnerabilities"),
        ("8:CVE-2027-1:low:exploited", "", "other vulnerabilities"),
        ("8:CVE-2027-1:high", "", "other vulnerabilities"),
        ("8:CVE-2027-1:high:exploited", "--closes 7:CVE-2027-9:critical:exploited", "other vulnerabilities"),
        ("8:CVE-2027-1:high:exploited", "--support-end 2027-04-19", "support until 2032-12-31"),
    ];
    for (at, (closes, more, word)) in cases.into_iter().enumerate() {
        let build = if more.starts_with("--support-end") {
            build.replace("--support-end 2032-12-31", "")
        } else {
            build.to_owned()
        };
        bench.desk.ok(&format!("{build} --closes {closes} {more} -o {at}.plb"));
        let sign = format!("sign {at}.plb --evidence e.json");
        if word.is_empty() {
            bench.desk.ok(&sign);
        } else {
            let what = bench.desk.fails(&sign, 1, "separation");
            assert!(what.contains(word), "{closes} {more}: {what}");
        }
    }
    // Another product with the same image and release.
    bench.change("e.json", |v| {
        v["predicate"]["product"]["class_id"] = "00112233-4455-6677-8899-aabbccddeeff".into()
    });
    bench.desk.ok("build security --change change.toml --evidence e.json -o fan.plb");
    let what = bench.desk.fails("sign fan.plb --evidence e.json", 1, "separation");
    assert!(what.contains("another product"), "{what}");
}

/// Evidence that nobody signed can be edited: what can't come from `lint` isn't taken, and what it left out is asked for.
#[test]
fn evidence_that_lint_never_writes_signs_nothing() {
    let bench = Bench::new("edited");
    bench.desk.ok("lint -o e.json --no-rebuild --emergency worm --due 2027-02-01");
    let row = |v: &mut serde_json::Value, number: usize, edit: serde_json::Value| {
        let row = v["predicate"]["checks"][number - 1].as_object_mut().unwrap();
        row.extend(edit.as_object().unwrap().clone());
    };
    use serde_json::json;
    let good = json!({ "reason": "x", "by": "y", "until": "2027-03-01" });
    let cases = [
        (21, json!({ "result": "waived", "waiver": good }), "which can't be"),
        (21, json!({ "result": "owed", "due": "2027-02-01" }), "which can't be"),
        (8, json!({ "result": "waived" }), "has ended"),
        (
            8,
            json!({ "result": "waived", "waiver": { "reason": "x", "by": "y", "until": "2026-03-01" } }),
            "has ended",
        ),
        (12, json!({ "result": "owed", "due": null }), "was due"),
        (12, json!({ "result": "owed", "due": "2026-02-01" }), "was due"),
        (12, json!({ "result": "fine" }), "which can't be"),
        (12, json!({ "result": "not-evaluated" }), "check 12"),
        (3, json!({ "shown": null }), "not until when"),
    ];
    let text = std::fs::read_to_string(bench.desk.path("e.json")).unwrap();
    for (at, (number, edit, word)) in cases.into_iter().enumerate() {
        bench.write("e.json", &text);
        bench.change("e.json", |v| row(v, number, edit.clone()));
        bench.desk.ok(&format!("build security --change change.toml --evidence e.json -o {at}.plb"));
        let what = bench.desk.fails(&format!("sign {at}.plb --evidence e.json"), 1, "separation");
        assert!(what.contains(word), "{number} {edit}: {what}");
    }
    bench.write("e.json", &text);
    bench.desk.ok("build security --change change.toml --evidence e.json -o good.plb");
    bench.desk.ok("sign good.plb --evidence e.json");
}

/// `lint --catalogue` judges by another catalogue; `sign` asks by those of patchlane.toml.
#[test]
fn a_lenient_catalogue_signs_nothing_that_the_own_ones_ask_for() {
    let bench = Bench::new("lenient");
    bench.without("assessment");
    bench.desk.run("lint -o strict.json");
    let cra = include_str!("../../../catalogues/cra.toml");
    bench.write("lenient.toml", &cra.replace("required = true", "required = false"));
    bench.desk.ok("lint -o e.json --catalogue lenient.toml");
    bench.desk.ok("build security --change change.toml --evidence e.json -o p.plb");
    let what = bench.desk.fails("sign p.plb --evidence e.json", 1, "separation");
    assert!(what.contains("check 27"), "{what}");
    bench
        .edit("patchlane.toml", |text| text.replace("[lint]\n", "[lint]\ncatalogues = [\"lenient.toml\"]\n"));
    bench.desk.ok("sign p.plb --evidence e.json");
}

#[test]
fn t14_under_an_embargo_a_manifest_tells_what_may_be_told() {
    let bench = Bench::new("embargo");
    let until = |public: &str| format!("embargo = {{ reason = \"CERT\", until = 2027-02-01{public} }}");
    bench.replace("change.toml", "csaf = [\"csaf.json\"]", &until(", public = \"Security fix\""));
    let (found, told) = bench.result("--no-rebuild", 5);
    assert!(found == "fail" && told.contains("anyone will read"), "{found}: {told}");
    bench.replace("change.toml", "\"Bounds check of register requests\"", "\"Security fix\"");
    bench.desk.ok("lint -o patch.evidence.json");
    bench.desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
    assert_eq!(bench.desk.ok("sign patch.plb")["verified"], true);
    // Nothing is always allowed; what wasn't agreed on never is, however it came into the bundle.
    let by_hand = "build security --baseline 4.1 --level 8 --image patch.elf --closes 8:CVE-2027-1:high:exploited \
                   --support-end 2032-12-31 --evidence patch.evidence.json";
    bench.desk.ok(&format!("{by_hand} -o none.plb"));
    bench.desk.ok("sign none.plb --evidence patch.evidence.json");
    bench.desk.ok(&format!("{by_hand} -m Registers -o told.plb"));
    let what = bench.desk.fails("sign told.plb --evidence patch.evidence.json", 1, "separation");
    assert!(what.contains("embargo"), "{what}");
}

#[test]
fn evidence_of_a_refused_patch_signs_nothing() {
    let bench = Bench::new("refused");
    bench.replace("interfaces-patch.toml", "\"locked\"", "\"open\"");
    let out = bench.desk.run("lint -o no.json --json");
    assert_eq!(out.status.code(), Some(1));
    bench.desk.ok("build security --change change.toml --evidence no.json -o no.plb");
    let what = bench.desk.fails("sign no.plb --evidence no.json", 1, "separation");
    assert!(what.contains("refused"), "{what}");
}

#[test]
fn clauses_say_what_was_shown_and_what_was_not_verified() {
    let bench = Bench::new("clauses");
    bench.replace("interfaces-patch.toml", "502", "503");
    let value = bench.lint("--no-rebuild --catalogue cra --catalogue en-iec-62443-draft");
    let of = |catalogue: usize, id: &str| {
        let rows = value["catalogues"][catalogue]["clauses"].as_array().unwrap();
        rows.iter().find(|row| row["id"] == id).unwrap().clone()
    };
    assert_eq!(of(0, "I.II(2)")["result"], "fail");
    assert_eq!(of(0, "I.II(8)")["result"], "pass");
    assert_eq!(of(0, "I.II(3)")["result"], "in-part", "nothing was rebuilt");
    assert_eq!(of(1, "4-1/A11 SUM-1")["verified"], false);
    let out = bench.desk.run("lint --no-rebuild --clauses --catalogue en-iec-62443-draft");
    assert!(String::from_utf8_lossy(&out.stdout).contains("id not verified against the text"));
    assert_eq!(bench.unread("--catalogue nothing").0, "usage");
    // A clause that only recommends lets its checks be missing.
    bench.replace("interfaces-patch.toml", "503", "502");
    bench.replace("change.toml", "replay = ", "# replay = ");
    let clause = |required: bool| {
        format!(
            "format = 1\nname = \"own\"\ntitle = \"Own\"\nsource = \"us\"\n[[clause]]\nid = \"1\"\ntitle = \"replay\"\n\
             required = {required}\nverified = true\nchecks = [25]\n"
        )
    };
    for (required, blocks) in [(true, true), (false, false)] {
        bench.write("own.toml", &clause(required));
        let value = bench.lint("--no-rebuild --catalogue own.toml");
        assert_eq!(value["checks"][24]["blocks"], blocks, "required: {required}");
    }
}

/// Both in one table: what the same checks serve, what only one asks for, and what no check shows.
#[test]
fn two_catalogues_are_joined_by_the_checks_that_serve_both() {
    let bench = Bench::new("delta");
    let clause = |id: &str, checks: &str| {
        let title = "title = \"t\"\nrequired = true\nverified = true\nalso = [\"a\"]";
        format!("[[clause]]\nid = \"{id}\"\n{title}\nchecks = [{checks}]\n")
    };
    for (name, clauses) in [
        ("one", [clause("A1", "2, 3"), clause("A2", "25"), clause("A3", "")]),
        ("two", [clause("B1", "2, 3"), clause("B2", "4"), clause("B3", "3")]),
    ] {
        let head = format!("format = 1\nname = \"{name}\"\ntitle = \"T\"\nsource = \"s\"\n");
        bench.write(&format!("{name}.toml"), &(head + &clauses.concat()));
    }
    let line = "lint --no-rebuild --clauses --catalogue one.toml --catalogue two.toml";
    let shown = String::from_utf8(bench.desk.run(line).stdout).unwrap();
    let table: Vec<Vec<&str>> = shown
        .lines()
        .skip_while(|line| !line.starts_with("= asked for by both"))
        .skip(2)
        .take_while(|line| !line.is_empty())
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    let wanted = [
        vec!["=", "2", "pass", "A1", "B1"],
        vec!["=", "3", "pass", "A1", "B1, B3"],
        vec!["<", "25", "pass", "A2", "-"],
        vec![">", "4", "pass", "-", "B2"],
        vec!["<", "no check", "elsewhere", "A3", "-"],
    ];
    assert_eq!(table, wanted, "{shown}");
    let value = bench.lint("--no-rebuild --catalogue one.toml --catalogue two.toml");
    assert_eq!(value["deltas"][0]["rows"][0], serde_json::json!({ "checks": [2], "a": ["A1"], "b": ["B1"] }));
    assert_eq!(bench.lint("--no-rebuild --catalogue one.toml")["deltas"], serde_json::json!([]));
}

#[test]
fn what_cannot_be_read_is_said_and_judges_nothing() {
    let bench = Bench::new("unread");
    bench.desk.ok("lint --list");
    bench.desk.fails("lint nothing.toml", 3, "missing-file");
    bench.desk.fails("lint patch.elf", 3, "malformed");
    bench.desk.fails("lint patchlane.toml", 3, "config");
    bench.desk.fails("lint --profile cr", 2, "usage");
    for (from, to, code) in [
        ("format = 1", "format = 2", "config"),
        ("level = 8", "level = -8", "config"),
        ("churn = 20", "chrun = 20", "config"),
        ("\"high\"", "\"hihg\"", "config"),
        ("2032-12-31", "2032-13-31", "config"),
        ("base = \"base.plb\"", "base = \"nothing.plb\"", "missing-file"),
        ("base = \"base.plb\"", "base = \"patch.elf\"", "malformed"),
        ("images = [\"patch.elf\"]", "images = [\"base.plb\"]", "image"),
        ("level = 8", "level = 8\nopen = [9]", "config"),
    ] {
        let before = std::fs::read_to_string(bench.desk.path("change.toml")).unwrap();
        bench.replace("change.toml", from, to);
        bench.desk.fails("lint", 3, code);
        bench.write("change.toml", &before);
    }
}

#[test]
fn the_page_on_compliance_has_every_clause_with_its_checks() {
    let page = include_str!("../../../../docs/COMPLIANCE.md");
    for name in ["cra", "iec-62443-4-1-2018", "iec-62443-4-2-2019", "en-iec-62443-draft"] {
        let catalogue = patchlane::lint::catalogue::Catalogue::find(name, std::path::Path::new("")).unwrap();
        for clause in &catalogue.clauses {
            let checks: Vec<String> = clause.checks.iter().map(u8::to_string).collect();
            let checks = if checks.is_empty() { "–".to_owned() } else { checks.join(", ") };
            let row = format!("| {} | {} | {checks} | {} |", clause.id, clause.title, clause.also.join("; "));
            assert!(page.lines().any(|line| line == row), "docs/COMPLIANCE.md lacks `{row}`");
        }
        assert!(page.contains(&catalogue.source), "{name}");
    }
}

#[test]
fn a_ledger_says_what_was_released_supported_and_frozen() {
    let bench = Bench::new("ledger");
    let detail = |check: usize| bench.result("--no-rebuild", check);
    assert!(detail(1).1.contains("no ledger"), "{}", detail(1).1);
    bench.desk.ok("ledger init --before 7");
    let (found, told) = detail(3);
    assert!(found == "fail" && told.contains("no baseline 4.1"), "{told}");
    let add =
        "ledger baseline add 4.1 --name pumps --support-end 2032-12-31 --interfaces interfaces-base.toml";
    bench.desk.ok(add);
    assert_eq!(detail(3).0, "pass");
    let (found, told) = detail(1);
    assert!(found == "fail" && told.contains("no such release"), "{told}");
    bench.desk.ok("ledger release base.plb");
    assert!(detail(1).1.contains("and released"), "{}", detail(1).1);
    bench.replace("change.toml", "support_end = 2032-12-31", "support_end = 2033-12-31");
    assert!(detail(3).1.contains("2032-12-31"), "{}", detail(3).1);
    // Stated nowhere else, it is the ledger's.
    bench.replace("change.toml", "support_end = 2033-12-31", "");
    assert_eq!(detail(3).0, "pass");
    // Whoever adds a port to both lists is found by what was frozen.
    for side in ["base", "patch"] {
        bench.replace(&format!("interfaces-{side}.toml"), "modbus = 502", "modbus = 502\ntelnet = 23");
    }
    let (found, told) = detail(21);
    assert!(found == "fail" && told.contains("froze"), "{told}");
}

/// Keys of production, and root 1 that lists them.
fn production(bench: &Bench) {
    for key in ["root", "security", "security-2", "feature"] {
        bench.desk.ok(&format!("key new keys-{key}.pem --passphrase-env SECRET"));
    }
    bench.desk.ok(
        "root new -o one.plr --root keys-root.pub --security keys-security.pub --feature keys-feature.pub \
         --sign keys-root.pem --passphrase-env SECRET",
    );
    bench.edit("patchlane.toml", |text| {
        text.replace("trust/root-1.plr", "one.plr").replace("trust/development-", "keys-")
    });
    bench.desk.ok("build feature --baseline 4.1 --level 7 --image base.elf -o base.plb --force");
    bench.desk.ok("sign base.plb --passphrase-env SECRET");
}

#[test]
fn under_a_production_root_no_patch_is_signed_without_evidence() {
    let bench = Bench::new("production");
    production(&bench);
    let sign = "sign patch.plb --passphrase-env SECRET";
    // Whatever patchlane.toml says or lacks.
    bench.edit("patchlane.toml", |text| text[..text.find("[lint]").unwrap()].to_owned());
    bench.desk.ok("lint --no-rebuild -o patch.evidence.json");
    bench.desk.ok("build security --change change.toml -o patch.plb");
    bench.desk.fails(sign, 1, "separation");
    let config = std::fs::read_to_string(bench.desk.path("patchlane.toml")).unwrap();
    std::fs::rename(bench.desk.path("patchlane.toml"), bench.desk.path("away")).unwrap();
    bench.desk.fails(&format!("{sign} --root one.plr --key keys-security.pem"), 1, "separation");
    bench.write("patchlane.toml", &config);
    bench.desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb --force");
    assert_eq!(bench.desk.ok(sign)["verified"], true);
    // What changes no byte needs none: devices take it only for the image that they run.
    bench.desk.ok("build security --baseline 4.1 --level 9 --image patch.elf --no-payload -o none.plb");
    bench.desk.ok("sign none.plb --passphrase-env SECRET");
}

/// A catalogue of one's own may recommend what patchlane.toml's asks for: `sign` goes by the latter.
#[test]
fn a_catalogue_named_to_the_lint_excuses_nothing_to_sign() {
    let bench = Bench::new("excused");
    bench.without("budget");
    let checks: Vec<String> = (1..=30).map(|number| number.to_string()).collect();
    let clause = format!(
        "id = \"all\"\ntitle = \"all\"\nrequired = false\nverified = false\nchecks = [{}]\n",
        checks.join(", ")
    );
    bench.write(
        "own.toml",
        &format!("format = 1\nname = \"own\"\ntitle = \"own\"\nsource = \"own\"\n[[clause]]\n{clause}"),
    );
    bench.desk.ok("lint -o patch.evidence.json --catalogue own.toml");
    bench.desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
    let refused = bench.desk.fails("sign patch.plb", 1, "separation");
    assert!(format!("{refused:?}").contains("ask for: check 26"), "{refused:?}");
    // Unless patchlane.toml itself names it.
    bench.replace(
        "patchlane.toml",
        "profile = \"cra+replay\"",
        "profile = \"cra+replay\"\ncatalogues = [\"own.toml\"]",
    );
    bench.desk.ok("lint -o patch.evidence.json --force");
    bench.desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb --force");
    bench.desk.ok("sign patch.plb");
}

#[test]
fn a_base_is_judged_under_the_root_that_it_was_made_under() {
    let bench = Bench::new("older");
    production(&bench);
    assert!(bench.result("--no-rebuild", 1).1.starts_with("4.1 s7, signed under root 1;"));
    let other = "build feature --baseline 4.1 --level 7 --image base.elf -m stolen -o stolen.plb";
    bench.desk.ok(other);
    bench.desk.ok("sign stolen.plb --passphrase-env SECRET");
    // A root that still lists the key judges what the key signed before.
    let next = "root new --follows one.plr --root keys-root.pub --feature keys-feature.pub --sign keys-root.pem \
                --passphrase-env SECRET --security keys-security-2.pub";
    bench.desk.ok(&format!("{next} --security keys-security.pub -o more.plr"));
    bench.replace("patchlane.toml", "\"one.plr\"", "\"more.plr\"");
    let (found, told) = bench.result("--no-rebuild", 1);
    assert!(found == "pass" && told.contains("under root 1, which root 2 follows"), "{found}: {told}");
    // The security key is retired; the base's signature was good in its time.
    bench.desk.ok(&format!("{next} -o two.plr"));
    bench.replace("patchlane.toml", "\"more.plr\"", "\"two.plr\"");
    let (found, told) = bench.result("--no-rebuild", 1);
    assert!(found == "fail" && told.contains("name that under [trust] older"), "{told}");
    bench.replace("patchlane.toml", "root = \"two.plr\"", "root = \"two.plr\"\nolder = [\"one.plr\"]");
    // But so is one that a thief signs with it today.
    let (found, told) = bench.result("--no-rebuild", 1);
    assert!(found == "fail" && told.contains("ledger release base.plb --root"), "{found}: {told}");
    bench.replace("change.toml", "base.plb", "stolen.plb");
    let (found, told) = bench.result("--no-rebuild", 1);
    assert!(found == "fail" && told.contains("ledger release stolen.plb --root"), "{found}: {told}");
    bench.replace("change.toml", "stolen.plb", "base.plb");
    bench.desk.ok("ledger init --before 7");
    bench.desk.ok("ledger baseline add 4.1 --name pumps --support-end 2032-12-31");
    let (found, told) = bench.result("--no-rebuild", 1);
    assert!(found == "fail" && told.contains("the ledger has no such release"), "{found}: {told}");
    bench.desk.ok("ledger release base.plb --root one.plr");
    let (found, told) = bench.result("--no-rebuild", 1);
    assert!(found == "pass" && told.ends_with("which root 2 follows, and released"), "{found}: {told}");
    bench.replace("change.toml", "base.plb", "stolen.plb");
    let (found, told) = bench.result("--no-rebuild", 1);
    assert!(found == "fail" && told.contains("the ledger has no such release"), "{found}: {told}");
    bench.replace("change.toml", "stolen.plb", "base.plb");
    // A root of one's own making that nothing follows vouches for nothing.
    bench.desk.ok("key new thief.pem --passphrase-env SECRET");
    bench
        .desk
        .ok("root new -o own.plr --root thief.pub --security keys-security.pub --feature keys-feature.pub \
         --sign thief.pem --passphrase-env SECRET");
    bench.replace("patchlane.toml", "older = [\"one.plr\"]", "older = [\"own.plr\"]");
    assert_eq!(bench.unread("--no-rebuild").0, "refused");
}
