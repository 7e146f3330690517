//! Nothing that is confidential is in what a customer gets: not as it is, not in an envelope, not as a digest.

use super::super::desk::listing;
use super::super::lint::bench::Bench;
use super::bench::{CREATE, check, digest, index, keyed, released, verified, whole};
use patchlane::evidence::Envelope;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// What every secret that the bench makes up contains.
const MARK: &str = "zqsecret";

/// Moves a file into a folder of its own, and has what names it follow.
fn hide(bench: &Bench, record: &str, file: &str) {
    let folder = format!("{MARK}-{}", file.replace(['.', '/'], "-"));
    std::fs::create_dir_all(bench.desk.path(&folder)).unwrap();
    std::fs::rename(bench.desk.path(file), bench.desk.path(&format!("{folder}/{file}"))).unwrap();
    bench.replace(record, &format!("\"{file}\""), &format!("\"{folder}/{file}\""));
}

/// A ledger with remarks, with a line that isn't out, and with an advisory under embargo.
fn ledger(bench: &Bench) {
    bench.desk.ok("ledger init --before 7");
    bench.desk.ok(&format!(
        "ledger baseline add 4.1 --name four --support-end 2032-12-31 --interfaces \
         {MARK}-interfaces-base-toml/interfaces-base.toml"
    ));
    for file in ["ledger/ledger.toml", "ledger/baselines/4.1.toml"] {
        bench.edit(file, |text| format!("# {MARK}: ask Bob\n{text}"));
    }
    bench.desk.ok(&format!("ledger baseline add 9.9 --name {MARK}-line --support-end 2039-12-31"));
    bench
        .desk
        .ok(&format!("ledger open CVE-2099-666 --title {MARK}-embargo --severity critical --affects 9.9"));
    bench.desk.ok("ledger release base.plb");
    bench.desk.ok(&format!(
        "ledger open CVE-2027-1 --title read --severity high --affects 4.1 --affects 9.9 --csaf {MARK}/c.json --csaf \
         https://example.com/c.json"
    ));
    bench.desk.ok("ledger amend CVE-2027-1 --exploited --aware 2027-01-09T08:00Z");
    bench.edit("ledger/advisories/CVE-2027-1.toml", |text| format!("# {MARK}: Bob found it\n{text}"));
}

/// A product whose every path, inventory, remark and message can be told apart, and whose ledger knows more than is out.
fn marked(name: &str) -> Bench {
    let bench = keyed(name);
    // A VEX document names components to customers: not by the name of a function here.
    for file in ["vex.json", "sbom-base.json", "sbom-patch.json"] {
        bench.replace(file, "modbus", "fieldbus");
    }
    for file in [
        "csaf.json",
        "vex.json",
        "snapshot.json",
        "sbom-base.json",
        "sbom-patch.json",
        "interfaces-base.toml",
        "interfaces-patch.toml",
        "risk.txt",
        "replay.json",
        "recording.toml",
        "build-base.toml",
        "build-patch.toml",
    ] {
        hide(&bench, "change.toml", file);
    }
    for side in ["base", "patch"] {
        for file in ["arm.ld", "kconfig"] {
            let to = format!("{MARK}-build-{side}-toml/{file}");
            std::fs::copy(bench.desk.path(file), bench.desk.path(&to)).unwrap();
        }
        let inventory = format!("{MARK}-interfaces-{side}-toml/interfaces-{side}.toml");
        bench.replace(&inventory, "modbus = 502", &format!("modbus = 502\n{MARK}-port = 9"));
    }
    ledger(&bench);
    // patchlane.toml: approvers, evidence keys, the root, how it is built.
    for file in ["approver.pub", "evidence.pub"] {
        hide(&bench, "patchlane.toml", file);
    }
    std::fs::rename(bench.desk.path("trust"), bench.desk.path(&format!("{MARK}-trust"))).unwrap();
    bench.replace("patchlane.toml", "\"trust/", &format!("\"{MARK}-trust/"));
    bench.replace(
        "patchlane.toml",
        "\"sh\", \"build.sh\"",
        &format!("\"sh\", \"build.sh\", \"{MARK}-argument\""),
    );
    bench.commit(
        &format!("Nothing more {MARK}-subject\n\nFixes: CVE-2027-1\nReviewed-by: Rev <rev@example.com>"),
        "v2",
    );
    // A waiver says what the check saw, which is lines of a file here.
    bench.replace("change.toml", "churn = 20", "churn = 1");
    bench
        .desk
        .ok("lint waive 8 --reason generated --until 2027-03-01 --key approver.pem -o w8.txt --no-rebuild");
    bench.replace("change.toml", "waivers = []", "waivers = [\"w8.txt\"]");
    hide(&bench, "change.toml", "w8.txt");
    hide(&bench, "change.toml", "base.plb");
    let base = format!("{MARK}-base-plb/base.plb");
    std::fs::copy(bench.desk.path(&base), bench.desk.path("base.plb")).unwrap();
    released(&bench);
    bench
}

/// Texts that nobody made up: names of functions and files, commits, what checks said, lines of sources.
fn found(bench: &Bench) -> BTreeSet<String> {
    let whole = whole(bench, "patch.evidence.json");
    let checks = &whole["predicate"]["checks"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut secrets: BTreeSet<String> = [
        "modbus.c",
        "build.sh",
        "dev@example.com",
        "CVE-2099-666",
        "rev@example.com",
        "Check bounds",
        "arm-none-eabi",
    ]
    .map(str::to_owned)
    .into();
    let comparison = &checks[17]["data"]["comparison"];
    for changed in comparison["changed"].as_array().unwrap() {
        secrets.insert(text(&changed["new"]["name"]));
    }
    for hunk in comparison["table"]["hunks"].as_array().unwrap() {
        secrets
            .extend(hunk["lines"].as_array().unwrap().iter().map(|line| text(line)[1..].trim().to_owned()));
    }
    for commit in checks[5]["data"]["commits"].as_array().unwrap() {
        let id = text(&commit["id"]);
        secrets.extend([id[..10].to_owned(), id, text(&commit["subject"])]);
    }
    // What checks say of the sources, the build and the program.
    for number in [6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 18, 19, 20, 24, 26, 30] {
        secrets.insert(text(&checks[number - 1]["detail"]));
    }
    secrets.retain(|secret| secret.len() > 5);
    assert!(secrets.len() > 25, "{secrets:?}");
    secrets
}

/// A file, and what is in it if it is an envelope.
fn opened(bytes: &[u8]) -> Vec<u8> {
    let payload = Envelope::parse(bytes).ok().flatten().map(|envelope| envelope.payload);
    [bytes, &payload.unwrap_or_default()].concat()
}

fn has(hay: &[u8], needle: &str) -> bool {
    hay.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// Every file below a folder, without what nobody is to see.
fn clean(folder: &Path, secrets: &BTreeSet<String>) -> usize {
    let files = listing(folder);
    for (path, bytes) in &files {
        let all = opened(bytes);
        for secret in secrets {
            assert!(!has(&all, secret), "{} shows {secret}", path.display());
            for text in [secret.clone(), format!("{secret}\n")] {
                assert!(
                    !has(&all, &digest(text.as_bytes())),
                    "{} shows a digest of {secret}",
                    path.display()
                );
            }
        }
    }
    files.len()
}

/// A customer's archive can be verified: what isn't seen is the vendor's word.
fn verifies(bench: &Bench, secrets: &BTreeSet<String>) {
    let value = verified(bench, "cu");
    assert_eq!(value["ok"], true, "{value}");
    for number in (1..=30).filter(|number| *number != 8) {
        let (verdict, detail) = check(&value, number);
        assert_eq!(
            (&verdict[..], detail.starts_with("pass; not seen here")),
            ("vendors-word", true),
            "{detail}"
        );
    }
    assert_eq!(super::bench::row(&value, "statement"), "reproduced");
    // The ledger's entry is seen; the seal names advisories under embargo.
    assert_eq!(super::bench::row(&value, "released"), "vendors-word");
    assert!(value.to_string().contains("is about this bundle; seals/"), "{value}");
    let text = String::from_utf8(bench.desk.run("verify-evidence cu").stdout).unwrap();
    assert!(!secrets.iter().any(|secret| text.contains(secret)), "{text}");
}

#[test]
fn a_customers_archive_and_report_show_nothing_that_is_confidential() {
    let bench = marked("leak");
    bench.desk.ok(CREATE);
    bench.desk.ok(&CREATE.replace("-o ar", "-o cu --audience customer"));
    let (whole, cut) = (bench.desk.path("ar"), bench.desk.path("cu"));
    let mut secrets = found(&bench);
    secrets.insert(MARK.to_owned());
    // Digests of what customers don't get would tell whether a guess at a short file is right.
    for entry in index(&whole)["entries"].as_array().unwrap() {
        let role = patchlane::archive::Role::ALL.iter().find(|role| entry["role"] == role.name()).unwrap();
        if role.confidential() && role.name() != "findings" {
            secrets.insert(entry["sha256"].as_str().unwrap().to_owned());
        }
    }
    let shown: Vec<u8> = listing(&whole).iter().flat_map(|(_, bytes)| opened(bytes)).collect();
    for secret in &secrets {
        assert!(has(&shown, secret), "the assessor doesn't see {secret}: the test looks for nothing");
    }
    assert!(clean(&cut, &secrets) > 15);
    // Both ways to a customer's report give the same, and it is as clean.
    bench.desk.ok("report ar -o from-ar --audience customer");
    bench.desk.ok("report cu -o from-cu");
    for file in ["report.json", "report.md", "report.html"] {
        let read =
            |folder: &str| std::fs::read_to_string(bench.desk.path(&format!("{folder}/{file}"))).unwrap();
        assert!(read("from-ar") == read("from-cu"), "{file}");
    }
    assert_eq!(clean(&bench.desk.path("from-cu"), &secrets), 3);
    let report: Value =
        serde_json::from_slice(&std::fs::read(bench.desk.path("from-cu/report.json")).unwrap()).unwrap();
    let violations =
        super::super::schema::violations_of(include_str!("../../../schema/report.schema.json"), &report);
    assert_eq!(violations, [""; 0]);
    let it = &report["predicate"];
    assert_eq!((&it["audience"], &it["verdict"]["counts"]["pass"]), (&"customer".into(), &29.into()));
    assert_eq!(it["vulnerabilities"]["closed"][0]["csaf"][0], "https://example.com/c.json");
    assert_eq!(
        it["lines"].as_array().unwrap().len(),
        1,
        "a baseline without a release isn't told: {}",
        it["lines"]
    );
    bench.desk.fails("report cu -o out --audience assessor", 2, "usage");
    verifies(&bench, &secrets);
}

/// A customer's archive is added to like any other, and stays one.
#[test]
fn what_is_added_for_customers_is_for_customers() {
    let bench = marked("leak-add");
    bench
        .desk
        .ok(&CREATE.replace("-o ar", "-o cu --audience customer").replace(" --after patch.release.json", ""));
    let added = bench.desk.ok("archive add cu --after patch.release.json --key evidence.pem");
    assert_eq!(
        (&added["audience"], &added["left_out"]),
        (&"customer".into(), &1.into()),
        "the seal: {added}"
    );
    let secrets = [MARK.to_owned(), "CVE-2099-666".to_owned()].into();
    clean(&bench.desk.path("cu"), &secrets);
    assert_eq!(verified(&bench, "cu")["ok"], true);
}
