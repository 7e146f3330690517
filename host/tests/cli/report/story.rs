//! What the report of a whole product says, section by section.

use super::super::schema;
use super::sample::Sample;
use serde_json::{Value, json};
use std::path::Path;

/// Everything that is wrong with a report under its published schema.
pub(super) fn violations(report: &Value) -> Vec<String> {
    schema::violations_of(include_str!("../../../schema/report.schema.json"), report)
}

/// Leaves the sample where `cargo xtask report` looks at it.
fn keep(sample: &Sample) {
    let Some(folder) = std::env::var_os("PATCHLANE_REPORT_SAMPLE") else { return };
    for (audience, name) in [("customer", "customer.html"), ("assessor", "report.html")] {
        sample.report("archive", &format!("--audience {audience}"));
        std::fs::write(Path::new(&folder).join(name), sample.text("archive", "report.html")).unwrap();
    }
    for file in ["report.json", "report.md"] {
        std::fs::write(Path::new(&folder).join(file), sample.text("archive", file)).unwrap();
    }
}

#[test]
fn the_sample_says_all_twelve_sections() {
    let sample = Sample::new("story");
    sample.archive("archive");
    let report = sample.report("archive", "");
    assert_eq!(violations(&report), [""; 0]);
    let it = &report["predicate"];
    assert_eq!(
        (&it["verdict"]["result"], &it["verdict"]["profile"]),
        (&json!("passed"), &json!("cra+replay"))
    );
    let identity = &it["identity"];
    assert_eq!(
        (&identity["from"]["release"], &identity["to"]["release"]),
        (&json!("4.1 s7"), &json!("4.1 s8"))
    );
    requirements(&it["requirements"]);
    vulnerability(&it["vulnerabilities"]["closed"][0]);
    separation(&it["separation"]);
    assert_eq!(
        it["build"]["rows"][0],
        json!({
        "name": "toolchain", "base": "arm-none-eabi-gcc 12.2.1", "patch": "arm-none-eabi-gcc 12.2.1", "same": true })
    );
    let made = &it["build"]["reproduced"];
    assert_eq!((&made["command"], &made["result"]), (&json!("sh build.sh"), &json!("pass")));
    assert_eq!(
        (&made["built_sha256"][0], &made["built_sha256"][1]),
        (&made["image_sha256"], &made["image_sha256"])
    );
    assert_eq!(
        it["sbom"]["rows"],
        json!([
        { "component": "pkg:generic/modbus", "was": "1.0.0", "is": "1.0.1", "named": true }])
    );
    let tests: Vec<&str> = it["verification"]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["result"].as_str().unwrap())
        .collect();
    assert!(tests[0].contains("the exploit works") && tests[1].contains("the exploit fails"), "{tests:?}");
    assert!(
        tests[2].contains("262 inputs, 1 answered otherwise") && tests[4].contains("power cuts survived"),
        "{tests:?}"
    );
    let distribution = &it["distribution"];
    assert_eq!((&distribution["verified"], &distribution["root"]), (&json!("verified"), &json!(1)));
    assert!(distribution["signed_by"][0].as_str().unwrap().ends_with("(security)"));
    assert_eq!(distribution["claims"][2]["claim"], "none: this is a development root");
    assert_eq!(it["assessment"]["questions"].as_array().unwrap().len(), 4);
    assert_eq!(it["exceptions"]["waivers"][0]["reason"], "generated");
    assert_eq!(it["exceptions"]["debts"], json!([]));
    let notice = &it["notice"];
    assert_eq!(
        (&notice["support_end"], &notice["retain_until"]),
        (&json!("2032-12-31"), &json!("2037-01-15"))
    );
    lanes(&it["lines"]);
    keep(&sample);
}

/// What the newest seal names and nobody kept is said: a diagram with gaps isn't shown as a whole one.
#[test]
fn a_ledger_in_part_is_said_to_be_one() {
    let sample = Sample::new("part");
    sample.archive("whole");
    assert_eq!(sample.report("whole", "")["predicate"]["lines_missing"], Value::Null);
    let desk = &sample.bench.desk;
    let five = std::fs::read_dir(desk.path("ledger/releases")).unwrap().flatten().map(|entry| entry.path());
    let five = five.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("5.0"));
    assert_eq!(five.map(|path| std::fs::remove_file(path).unwrap()).count(), 2);
    sample.archive("part");
    let missing = sample.report("part", "")["predicate"]["lines_missing"].clone();
    assert!(missing.as_str().unwrap().contains("aren't in the archive: 2"), "{missing}");
}

fn requirements(it: &Value) {
    assert_eq!(it["checks"].as_array().unwrap().len(), 30);
    let clause = |id: &str| {
        let rows = it["catalogues"][0]["clauses"].as_array().unwrap();
        rows.iter().find(|row| row["id"] == id).unwrap().clone()
    };
    assert_eq!(clause("I.II(2)")["result"], "in-part", "check 8 is waived");
    assert_eq!(
        (&clause("I.II(8)")["result"], &clause("I.II(8)")["checks"]),
        (&json!("pass"), &json!([5, 29]))
    );
    let delta = &it["deltas"][0];
    assert_eq!((&delta["a"], &delta["b"]), (&json!("cra"), &json!("iec-62443-4-1-2018")));
    let rows = delta["rows"].as_array().unwrap();
    assert!(rows.contains(&json!({ "checks": [27], "a": ["Art. 13(7)", "VIII.II.7"], "b": [] })), "{delta}");
    assert!(rows.iter().any(|row| row["a"] == json!(["I.II(2)"]) && row["b"] == json!(["SUM-1"])), "{delta}");
}

fn vulnerability(it: &Value) {
    assert_eq!(
        (&it["id"], &it["exploited"], &it["aliases"][0]),
        (&json!("CVE-2027-1"), &json!(true), &json!("EUVD-2027-9"))
    );
    let step = |name: &str| {
        it["steps"].as_array().unwrap().iter().find(|step| step["step"] == name).unwrap().clone()
    };
    assert_eq!(step("early warning")["elapsed"], 77_400, "21 hours and a half");
    assert_eq!(step("this release")["at"], "2027-01-15T08:00:00Z");
    let met: Vec<&Value> =
        it["deadlines"].as_array().unwrap().iter().map(|deadline| &deadline["met"]).collect();
    assert_eq!(met, [&json!(true), &json!(false), &json!(true)], "the notification came after 74 hours");
    assert_eq!(it["upstream"], json!(["https://example.com/upstream/issues/7"]));
    assert_eq!(
        it["baselines"],
        json!([{ "baseline": "4.1", "state": "fixed" }, { "baseline": "5.0", "state": "not-affected" }])
    );
}

fn separation(it: &Value) {
    assert_eq!(
        (&it["orphans"], &it["functions"]["changed"], &it["method"]),
        (&json!(0), &json!(1), &json!("relocations"))
    );
    let row = &it["rows"][0];
    assert_eq!((&row["ids"], &row["orphan"]), (&json!(["CVE-2027-1"]), &json!(false)));
    assert_eq!(row["commits"][0], it["commits"][0]["id"]);
    assert!(row["hunks"][0].as_str().unwrap().starts_with("src/modbus.c:"), "{row}");
    let changed = &it["changed"][0];
    assert_eq!(changed["name"], row["function"]);
    assert!(changed["was"].as_u64() < changed["is"].as_u64(), "{changed}");
    assert!(changed["lines"][0]["text"][0].as_str().unwrap().starts_with(['+', '-']), "{changed}");
    assert_eq!((&it["inventories"][0]["check"], &it["inventories"][0]["frozen"]), (&json!(21), &json!(true)));
    assert_eq!(it["inventories"][0]["base_sha256"], it["inventories"][0]["patch_sha256"]);
}

fn lanes(lines: &Value) {
    let of = |line: usize| -> Vec<String> {
        let releases = lines[line]["releases"].as_array().unwrap().iter();
        releases
            .map(|release| {
                format!("{} {}", release["release"].as_str().unwrap(), release["lane"].as_str().unwrap())
            })
            .collect()
    };
    assert_eq!(of(0), ["4.1 s6 feature", "4.1 s7 security", "4.1 s8 security"]);
    assert_eq!(of(1), ["5.0 s7 feature", "5.0 s8 security"]);
    assert_eq!(
        (&lines[0]["releases"][2]["this"], &lines[1]["support_end"]),
        (&json!(true), &json!("2034-06-30"))
    );
}

/// Whoever has the archive makes the same report, wherever and whenever.
#[test]
fn the_same_archive_gives_the_same_bytes() {
    let sample = Sample::bare("same");
    sample.patch("cra+replay");
    sample.archive("archive");
    sample.report("archive", "");
    let first = ["report.json", "report.md", "report.html"].map(|file| sample.text("archive", file));
    std::fs::rename(sample.bench.desk.path("archive"), sample.bench.desk.path("elsewhere")).unwrap();
    for file in ["patchlane.toml", "change.toml", "base.elf"] {
        std::fs::remove_file(sample.bench.desk.path(file)).unwrap();
    }
    sample.on(4, "report elsewhere -o elsewhere-report");
    let again = ["report.json", "report.md", "report.html"].map(|file| sample.text("elsewhere", file));
    assert!(first == again, "the bytes differ");
}

#[test]
fn what_is_there_is_not_overwritten_and_what_is_wrong_is_said() {
    let sample = Sample::bare("usage");
    let desk = &sample.bench.desk;
    sample.patch("cra+replay");
    sample.archive("archive");
    desk.ok("report archive -o out --format html");
    assert!(desk.path("out/report.html").exists() && !desk.path("out/report.json").exists());
    desk.fails("report archive -o out", 3, "file-exists");
    assert!(!desk.path("out/report.json").exists(), "all or none");
    desk.ok("report archive -o out --force --format json --format html");
    desk.fails("report nothing -o new", 3, "missing-file");
    desk.fails("report archive -o new --format pdf", 2, "usage");
    desk.fails("report archive -o new --audience everyone", 2, "usage");
    desk.fails("report archive -o patch.plb", 3, "file-exists");
    // An object that was changed is no source of anything.
    let digest = sample.bench.digest("patch.evidence.json");
    let object = desk.path(&format!("archive/objects/sha256/{digest}"));
    let text = std::fs::read_to_string(&object).unwrap();
    std::fs::write(&object, text.replacen("\"pass\"", "\"fail\"", 1)).unwrap();
    desk.fails("report archive -o new", 1, "evidence");
}
