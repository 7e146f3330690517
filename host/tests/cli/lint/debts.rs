//! What an emergency leaves out is written down at the release, asked for when it is due, and settled by later evidence.

use super::bench::Bench;

const LATER: &str = "ledger check --development --today 2027-02-02";

/// 4.1 s8 went out without a rebuild: check 12 is owed until 2027-02-01.
fn in_debt(name: &str) -> Bench {
    let bench = Bench::new(name);
    bench.desk.ok("ledger init --before 7");
    bench.desk.ok("ledger baseline add 4.1 --name pumps --support-end 2032-12-31");
    bench.desk.ok("ledger release base.plb");
    bench.desk.ok("ledger open CVE-2027-1 --title over-read --severity high --exploited --affects 4.1 \
         --aware 2027-01-14T12:00Z");
    let sent = "ledger amend CVE-2027-1 --early-warning 2027-01-14T13:00Z --notification 2027-01-14T14:00Z \
         --final-report 2027-01-14T15:00Z";
    bench.desk.ok(sent);
    bench.desk.ok("lint --no-rebuild --emergency exploited --due 2027-02-01 -o patch.evidence.json");
    bench.desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
    bench.desk.ok("sign patch.plb");
    bench
}

#[test]
fn a_debt_is_recorded_asked_for_when_due_and_settled_by_later_evidence() {
    let bench = in_debt("debt");
    // Without the evidence nobody would know what is owed.
    std::fs::rename(bench.desk.path("patch.evidence.json"), bench.desk.path("kept.json")).unwrap();
    bench.desk.fails("ledger release patch.plb", 3, "missing-file");
    bench.write("patch.evidence.json", "{}");
    bench.desk.fails("ledger release patch.plb", 1, "separation");
    let released = bench.desk.ok("ledger release patch.plb --lint kept.json");
    assert_eq!(released["owed"].as_array().unwrap().len(), 1, "{released}");
    assert_eq!(
        (&released["owed"][0]["check"], &released["owed"][0]["due"]),
        (&12.into(), &"2027-02-01".into())
    );
    let debts = |bench: &Bench| bench.desk.ok("ledger show")["debts"].as_array().unwrap().len();
    assert_eq!(debts(&bench), 1);
    bench.desk.ok("ledger check --development");
    bench.desk.ok("ledger check --development --today 2027-02-01");
    let found = bench.desk.fails(LATER, 1, "ledger-findings");
    assert!(!found.is_empty());
    let value = bench.desk.run(&format!("{LATER} --json"));
    assert!(String::from_utf8_lossy(&value.stdout).contains("evidence-owed"));
    // The same evidence again settles nothing, nor does that of another release.
    let what = bench.desk.fails("ledger settle patch.plb --evidence kept.json", 1, "separation");
    assert!(what.contains("check 12: owed"), "{what}");
    bench.desk.ok("lint -o later.json");
    bench.change("later.json", |v| v["predicate"]["to"]["release"] = "4.1 s9".into());
    bench.desk.fails("ledger settle patch.plb --evidence later.json", 1, "separation");
    bench.desk.ok("lint -o later.json --force");
    bench.desk.fails("ledger settle base.plb --evidence later.json", 1, "ledger-refused");
    bench.desk.fails("ledger settle nothing.plb --evidence later.json", 1, "ledger-refused");
    // Where evidence has keys of its own, a bare statement is none.
    bench.desk.ok("key new evidence.pem --development");
    bench.edit("patchlane.toml", |text| format!("{text}\n[evidence]\nkeys = [\"evidence.pub\"]\n"));
    bench.desk.fails("ledger settle patch.plb --evidence later.json", 1, "evidence");
    bench.desk.ok("lint -o later.json --force --key evidence.pem");
    let settled = bench.desk.ok("ledger settle patch.plb --evidence later.json");
    assert_eq!(settled["checks"], serde_json::json!([12]));
    assert_eq!(debts(&bench), 0);
    bench.desk.ok(LATER);
    bench.desk.fails("ledger settle patch.plb --evidence later.json", 1, "ledger-refused");
}

#[test]
fn a_settlement_is_sealed_and_stands() {
    let bench = in_debt("settled");
    bench.desk.ok("ledger release patch.plb");
    bench.desk.ok("lint -o later.json");
    let settled = bench.desk.ok("ledger settle patch.plb --evidence later.json");
    // The next release seals it.
    bench.desk.ok("build feature --baseline 4.1 --image patch.elf -o again.plb");
    bench.desk.ok("sign again.plb");
    bench.desk.ok("ledger release again.plb");
    bench.desk.ok(LATER);
    let path = bench.desk.path(settled["file"].as_str().unwrap());
    let rules = |bench: &Bench| {
        String::from_utf8_lossy(&bench.desk.run(&format!("{LATER} --json")).stdout).into_owned()
    };
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("checks = [12]", "checks = [12, 13]")).unwrap();
    assert!(rules(&bench).contains("history-edited"), "{}", rules(&bench));
    std::fs::remove_file(&path).unwrap();
    assert!(rules(&bench).contains("history-deleted") && rules(&bench).contains("evidence-owed"));
}
