//! A release with everything that belongs to it, and its archive.

use super::super::desk::listing;
use super::super::lint::bench::Bench;
use patchlane::evidence::{self, Evidence};
use patchlane::keys;
use patchlane::lint::findings;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lint's bench with an evidence key.
pub(crate) fn keyed(name: &str) -> Bench {
    let bench = Bench::new(&format!("archive-{name}"));
    bench.desk.ok("key new evidence.pem --development");
    bench.edit("patchlane.toml", |text| format!("{text}\n[evidence]\nkeys = [\"evidence.pub\"]\n"));
    bench
}

pub(crate) const CREATE: &str =
    "archive create patch.plb -o ar --after patch.release.json --key evidence.pem";

/// A bundle that was judged, signed and attested.
pub(crate) fn attested(name: &str) -> Bench {
    let bench = keyed(name);
    bench.desk.ok("lint -o patch.evidence.json --key evidence.pem");
    bench.desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
    bench.desk.ok("sign patch.plb");
    bench.desk.ok("attest patch.plb --base base.plb --key evidence.pem");
    bench
}

/// A ledger, in which the base is released and the vulnerability is open.
pub(crate) fn recorded(bench: &Bench) {
    for line in [
        "ledger init --before 7",
        "ledger baseline add 4.1 --name four --support-end 2032-12-31 --interfaces interfaces-base.toml",
        "ledger release base.plb",
        "ledger open CVE-2027-1 --title read --severity high --affects 4.1",
        "ledger amend CVE-2027-1 --exploited --aware 2027-01-09T08:00Z",
    ] {
        bench.desk.ok(line);
    }
}

/// Judges, signs, releases and attests the patch of a bench with a ledger.
pub(crate) fn released(bench: &Bench) {
    for line in [
        "lint -o patch.evidence.json --key evidence.pem",
        "build security --change change.toml --evidence patch.evidence.json -o patch.plb",
        "sign patch.plb",
        "ledger release patch.plb",
        "attest patch.plb --base base.plb --key evidence.pem",
    ] {
        bench.desk.ok(line);
    }
}

/// The same, archived under `ar`.
pub(crate) fn archived(name: &str) -> Bench {
    let bench = attested(name);
    bench.desk.ok(CREATE);
    bench
}

/// The evidence in a file, put together with the findings beside it.
pub(crate) fn whole(bench: &Bench, name: &str) -> Value {
    let path = bench.desk.path(name);
    let mut statement = Evidence::parse(&std::fs::read(&path).unwrap()).unwrap().statement;
    let found = std::fs::read(findings::path(&path)).unwrap();
    statement["predicate"] = findings::join(&statement["predicate"], &found).unwrap();
    statement
}

/// Signs evidence that says this, and writes both of its files.
pub(crate) fn seal(bench: &Bench, name: &str, whole: &Value) {
    let key = keys::read(&bench.desk.path("evidence.pem"), &keys::Passphrase::default()).unwrap();
    let mut bare = whole.clone();
    for row in bare["predicate"]["checks"].as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("shown");
    }
    let parts = findings::split(&bare, Some(&key.key)).unwrap();
    let path = bench.desk.path(name);
    std::fs::write(&path, evidence::sealed(&key.key, &parts.statement).unwrap()).unwrap();
    std::fs::write(findings::path(&path), parts.findings).unwrap();
}

/// What `verify-evidence` says of an archive, whether it holds or not.
pub(crate) fn verified(bench: &Bench, folder: &str) -> Value {
    let line = format!("verify-evidence {folder}");
    let out = bench.desk.run(&format!("{line} --json"));
    let value: Value = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{line}: {e}: {}", String::from_utf8_lossy(&out.stderr)));
    assert!(!String::from_utf8_lossy(&out.stderr).contains("panicked"), "{line}");
    if out.status.success() {
        assert_eq!(super::super::schema::violations("verify-evidence", &value), [""; 0], "{value}");
        assert_eq!(value["differs"], 0);
    } else {
        bench.desk.fails_as(&line, &out, out.status.code().unwrap(), value["code"].as_str().unwrap());
    }
    value
}

/// The verdict of a check, and what is said of it.
pub(crate) fn check(value: &Value, number: u64) -> (String, String) {
    let row = value["rows"].as_array().unwrap().iter().find(|row| row["check"] == number);
    let row = row.unwrap_or_else(|| panic!("no row {number}: {value}"));
    (row["verdict"].as_str().unwrap().to_owned(), row["detail"].as_str().unwrap().to_owned())
}

/// The verdict of a row that is no check.
pub(crate) fn row(value: &Value, name: &str) -> String {
    let row =
        value["rows"].as_array().unwrap().iter().find(|row| row["check"].is_null() && row["name"] == name);
    row.unwrap_or_else(|| panic!("no row {name}: {value}"))["verdict"].as_str().unwrap().to_owned()
}

/// Checks of this verdict, in the order in which they are told.
pub(crate) fn checks(value: &Value, verdict: &str) -> Vec<u64> {
    let rows = value["rows"].as_array().unwrap().iter().filter(|row| row["verdict"] == verdict);
    rows.filter_map(|row| row["check"].as_u64()).collect()
}

/// Names of rows that differ.
pub(crate) fn differing(value: &Value) -> Vec<String> {
    let rows = value["rows"].as_array().unwrap().iter().filter(|row| row["verdict"] == "differs");
    rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

/// A copy of an archive, to be spoiled.
pub(crate) fn copy(bench: &Bench, from: &str, to: &str) -> PathBuf {
    let (from, to) = (bench.desk.path(from), bench.desk.path(to));
    let _ = std::fs::remove_dir_all(&to);
    for (file, bytes) in listing(&from) {
        let place = to.join(file.strip_prefix(&from).unwrap());
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, bytes).unwrap();
    }
    to
}

pub(crate) fn index(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap()
}

/// The object of the first entry of a role.
pub(crate) fn object(folder: &Path, role: &str) -> PathBuf {
    let index = index(folder);
    let entry = index["entries"].as_array().unwrap().iter().find(|entry| entry["role"] == role);
    let entry = entry.unwrap_or_else(|| panic!("no entry {role}"));
    folder.join("objects/sha256").join(entry["sha256"].as_str().unwrap())
}
