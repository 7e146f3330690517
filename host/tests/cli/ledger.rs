//! `ledger`: from an advisory to its last baseline; and everything that `check` finds, once there and once not.

use super::desk::{Desk, listing};
use super::schema;
use serde_json::Value;
use std::fs;

/// 4.1 s7 and 5.0 s7 are released; CVE-2027-1 affects 4.1.
fn product(name: &str) -> Desk {
    let desk = Desk::started(name);
    fs::write(desk.path("c.bin"), vec![0x44; 9900]).unwrap();
    desk.ok("ledger init --before 7");
    desk.ok("ledger baseline add 4.1 --name four --support-end 2032-12-31 --interfaces patchlane.toml");
    desk.ok("ledger baseline add 5.0 --name five --support-end 2034-12-31");
    release(&desk, "feature --baseline 4.1 --image a.bin", "a.plb");
    release(&desk, "feature --baseline 5.0 --image c.bin --contains 4.1", "c.plb");
    desk.ok("ledger open CVE-2027-1 --title read --severity high --affects 4.1 --alias GHSA-1");
    desk
}

/// The same, with the fix of CVE-2027-1 on 4.1, and 5.0 told.
fn settled(name: &str) -> Desk {
    let desk = product(name);
    release(&desk, "security --baseline 4.1 --fixes CVE-2027-1 --image b.bin", "b.plb");
    desk.ok("ledger affects cve-2027-1 not-affected 5.0 --justification vulnerable-code-not-present");
    release(&desk, "security --baseline 5.0 --not-affected", "d.plb");
    release(&desk, "feature --baseline 5.0 --image c.bin", "e.plb");
    desk
}

fn signed(desk: &Desk, words: &str, file: &str) {
    desk.ok(&format!("build {words} -o {file}"));
    desk.ok(&format!("sign {file}"));
}

fn release(desk: &Desk, words: &str, file: &str) -> Value {
    signed(desk, words, file);
    desk.ok(&format!("ledger release {file}"))
}

/// The rules that `check` names.
fn found(desk: &Desk, words: &str) -> Vec<String> {
    let line = format!("ledger check {words}");
    let out = desk.run(&format!("{line} --json"));
    let value: Value = serde_json::from_slice(&out.stdout).unwrap();
    let findings = value["findings"].as_array().unwrap_or_else(|| panic!("{value}"));
    if findings.is_empty() {
        assert_eq!(out.status.code(), Some(0), "{value}");
        assert_eq!(schema::violations("ledger-check", &value), [""; 0]);
    } else {
        desk.fails_as(&line, &out, 1, "ledger-findings");
    }
    assert!(findings.iter().all(|finding| !finding["next"].as_str().unwrap().is_empty()));
    findings.iter().map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

/// On the bench.
fn bench(desk: &Desk) -> Vec<String> {
    found(desk, "--development")
}

fn entry(desk: &Desk, folder: &str, beginning: &str) -> std::path::PathBuf {
    let list = fs::read_dir(desk.path("ledger").join(folder)).unwrap().flatten().map(|e| e.path());
    let fits = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(beginning);
    list.into_iter().find(fits).unwrap_or_else(|| panic!("{folder} has no {beginning}"))
}

fn edit(path: &std::path::Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn state(desk: &Desk, baseline: &str) -> String {
    let shown = desk.ok("ledger show --all");
    let cells = shown["advisories"][0]["baselines"].as_array().unwrap().clone();
    let cell = cells.iter().find(|cell| cell["baseline"] == baseline).unwrap();
    cell["state"].as_str().unwrap().to_owned()
}

#[test]
fn an_advisory_goes_from_open_to_closed() {
    let desk = product("ledger-story");
    assert_eq!((state(&desk, "4.1"), state(&desk, "5.0")), ("open".into(), "unknown".into()));
    assert_eq!(bench(&desk), [""; 0]);
    let built = desk.ok("build security --baseline 4.1 --fixes GHSA-1 --image b.bin -o b.plb");
    assert_eq!((&built["version"], &built["advisories"][0]["index"]), (&"4.1 s8".into(), &8.into()));
    assert_eq!(state(&desk, "4.1"), "built");
    desk.ok("sign b.plb");
    assert_eq!(state(&desk, "4.1"), "signed");
    desk.fails("ledger close CVE-2027-1", 1, "ledger-refused");
    let released = desk.ok("ledger release b.plb");
    assert_eq!(released["minted"][0]["index"], 8);
    assert_eq!((state(&desk, "4.1"), state(&desk, "5.0")), ("fixed".into(), "unknown".into()));
    assert_eq!(bench(&desk), ["baseline-lags"]);
    desk.ok("ledger affects CVE-2027-1 affected 5.0");
    assert_eq!(state(&desk, "5.0"), "owed");
    desk.ok("ledger affects CVE-2027-1 not-affected 5.0 --justification vulnerable-code-not-present");
    assert_eq!((state(&desk, "5.0"), bench(&desk)), ("untold".into(), vec!["baseline-lags".into()]));
    let told = release(&desk, "security --baseline 5.0 --not-affected", "d.plb");
    assert_eq!((&told["version"], state(&desk, "5.0")), (&"5.0 s8".into(), "not-affected".into()));
    assert_eq!(bench(&desk), ["no-full-image"]);
    release(&desk, "feature --baseline 5.0 --image c.bin", "e.plb");
    assert_eq!(bench(&desk), [""; 0]);
    desk.ok("ledger close CVE-2027-1");
    desk.fails("ledger amend CVE-2027-1 --title other", 1, "ledger-refused");
    assert_eq!(desk.ok("ledger show")["advisories"], serde_json::json!([]));
    let shown = String::from_utf8(desk.run("ledger show --all").stdout).unwrap();
    assert!(shown.contains("8  CVE-2027-1  high  ✓ fixed") && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn wrong_words_leave_nothing_behind() {
    let desk = product("ledger-wrong");
    desk.fails("ledger init", 3, "file-exists");
    desk.fails("ledger open CVE-2027-1 --title x --severity high", 3, "file-exists");
    desk.fails("ledger open ghsa-1 --title x --severity high", 3, "file-exists");
    desk.fails("ledger open ../x --title x --severity high", 2, "usage");
    desk.fails("ledger open B --title x --severity worse", 2, "usage");
    desk.fails("ledger open B --title x --severity low --exploited", 2, "usage");
    desk.fails("ledger open B --title x --severity low --aware 2027-01-14", 2, "usage");
    desk.fails("ledger open B --title x --severity low --affects 9.9", 1, "ledger-refused");
    desk.fails("ledger affects CVE-2027-1 not-affected 5.0", 2, "usage");
    desk.fails("ledger affects CVE-2027-1 affected 9.9", 1, "ledger-refused");
    desk.fails("ledger affects CVE-2027-9 affected 4.1", 1, "ledger-refused");
    desk.fails("ledger amend CVE-2027-1", 2, "usage");
    desk.fails("ledger amend CVE-2027-1 --exploited", 2, "usage");
    desk.fails("ledger amend CVE-2027-9 --title x", 1, "ledger-refused");
    desk.fails("ledger baseline add 4.1 --name x --support-end 2032-12-31", 3, "file-exists");
    desk.fails("ledger baseline add 4.3 --name x --support-end 2032-02-30", 2, "usage");
    desk.fails(
        "ledger baseline add 4.3 --name x --support-end 2032-12-31 --interfaces none",
        3,
        "missing-file",
    );
    desk.fails("ledger baseline retire 9.9 --because x", 1, "ledger-refused");
    desk.fails("ledger close CVE-2027-1", 1, "ledger-refused");
    desk.fails("ledger show --today tomorrow", 2, "usage");
    desk.fails("ledger check --head 12", 2, "usage");
    desk.fails("ledger release a.bin", 3, "malformed");
    desk.fails("ledger release none.plb", 3, "missing-file");
    desk.fails("ledger release a.plb", 3, "file-exists");
    desk.ok("ledger amend CVE-2027-1 --aware 2027-01-14T16:30Z");
    desk.fails("ledger amend CVE-2027-1 --aware 2027-01-15T16:30Z", 1, "ledger-refused");
}

#[test]
fn build_and_sign_say_what_the_ledger_says() {
    let desk = product("ledger-build");
    let no = |words: &str, exit, code: &str| desk.fails(&format!("build {words} -o x.plb"), exit, code);
    no("security --baseline 4.1 --image b.bin --fixes CVE-2027-9", 1, "ledger-refused");
    no("security --baseline 9.9 --image b.bin --fixes CVE-2027-1", 1, "ledger-refused");
    no("security --baseline 4.1 --image b.bin --level 9 --fixes CVE-2027-1", 1, "ledger-refused");
    no("security --baseline 4.1 --image b.bin --level 8 --closes 8:CVE-2027-1:low", 1, "ledger-refused");
    no("security --baseline 4.1 --image b.bin --level 9 --closes 9:CVE-2027-1:high", 1, "ledger-refused");
    no("security --baseline 4.1 --image b.bin --level 8", 1, "ledger-refused");
    no("security --baseline 5.0 --not-affected", 1, "ledger-refused");
    no("security --baseline 4.1 --not-affected --image b.bin", 2, "usage");
    // A second image of a version.
    no("security --baseline 4.1 --image b.bin", 1, "ledger-conflict");
    no("security --baseline 4.1 --level 7 --image b.bin", 1, "ledger-conflict");
    // In full, it has to be the same.
    desk.ok("build security --baseline 4.1 --level 8 --closes 8:CVE-2027-1:high --image b.bin -o x.plb");
    // What was built before the ledger knew better isn't signed.
    desk.ok("ledger amend CVE-2027-1 --severity critical");
    desk.fails("sign x.plb", 1, "ledger-refused");
    // Without a ledger nobody gives a level.
    fs::rename(desk.path("ledger"), desk.path("away")).unwrap();
    no("security --baseline 4.1 --image b.bin", 2, "usage");
    no("security --baseline 4.1 --level 8 --image b.bin --fixes CVE-2027-1", 2, "usage");
    no("security --baseline 4.1 --not-affected", 2, "usage");
    edit(&desk.path("patchlane.toml"), "[build]", "[ledger]\npath = \"away\"\n\n[build]");
    assert_eq!(desk.ok("ledger show")["ledger"], "away");
}

#[test]
fn only_what_is_verified_and_still_true_is_released() {
    let desk = product("ledger-release");
    desk.ok("ledger open CVE-2027-2 --title two --severity low --affects 5.0");
    let fix = "security --baseline 4.1 --fixes CVE-2027-1 --image b.bin";
    desk.ok(&format!("build {fix} -o u.plb"));
    desk.fails("ledger release u.plb", 1, "not-enough-signatures");
    signed(&desk, fix, "b.plb");
    signed(&desk, "security --baseline 5.0 --fixes CVE-2027-2 --image b.bin", "other.plb");
    desk.ok("ledger release other.plb");
    let what = desk.fails("ledger release b.plb", 1, "ledger-conflict");
    assert!(what.contains("went to CVE-2027-2 meanwhile"), "{what}");
    // Built again it has the next index, and the other one is open.
    let again = desk.ok(&format!("build {fix} -o again.plb"));
    assert_eq!(again["version"], "4.1 s9 open 8");
    desk.ok("sign again.plb");
    desk.ok("ledger release again.plb");
    // Of another product, or over history that doesn't hold.
    edit(&entry(&desk, "releases", "4.1-s7"), "full = true", "full = false");
    desk.ok("ledger affects CVE-2027-2 affected 4.1");
    signed(&desk, "security --baseline 4.1 --fixes CVE-2027-2 --image c.bin", "z.plb");
    let what = desk.fails("ledger release z.plb", 1, "ledger-refused");
    assert!(what.contains("history-edited"), "{what}");
}

/// Two people at once: both are recorded, or one is told; no entry is lost, and the chain holds.
#[test]
fn two_releases_at_once_lose_nothing() {
    let desk = product("ledger-race");
    desk.ok("ledger open CVE-2027-2 --title two --severity low --affects 5.0");
    signed(&desk, "security --baseline 4.1 --fixes CVE-2027-1 --image b.bin", "b.plb");
    signed(&desk, "security --baseline 5.0 --fixes CVE-2027-2 --image b.bin", "d.plb");
    signed(&desk, "feature --baseline 5.0 --image c.bin --message again", "e.plb");
    signed(&desk, "feature --baseline 4.1 --image a.bin --message again", "f.plb");
    let start = |file: &str| {
        let mut command = desk.command();
        command.args(["ledger", "release", file, "--json"]).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    let running: Vec<_> = ["b.plb", "d.plb", "e.plb", "f.plb"].map(start).into_iter().collect();
    let ended: Vec<_> = running.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let codes: Vec<Option<i32>> = ended.iter().map(|out| out.status.code()).collect();
    // Both patches were built for index 8: one of them gets it.
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 3, "{codes:?}");
    let told = ended.iter().find(|out| out.status.code() != Some(0)).unwrap();
    desk.fails_as("ledger release", told, 1, "ledger-conflict");
    assert_eq!(fs::read_dir(desk.path("ledger/seals")).unwrap().count(), 5);
    let wrong = bench(&desk);
    assert!(wrong.iter().all(|rule| rule == "baseline-lags" || rule == "no-full-image"), "{wrong:?}");
}

#[test]
fn tampering_is_found() {
    let desk = settled("ledger-tamper");
    assert_eq!(bench(&desk), [""; 0]);
    let head = desk.ok("ledger show")["head_sha256"].as_str().unwrap().to_owned();
    assert_eq!(found(&desk, &format!("--development --head {head}")), [""; 0]);
    let whole = listing(&desk.path("ledger"));
    let tries: [(&str, &str, &str, &str, &str); 6] = [
        ("releases", "4.1-s8", "bundle = \"b.plb\"", "bundle = \"x.plb\"", "history-edited"),
        ("advisories", "CVE-2027-1", "index = 8\n", "", "history-edited"),
        ("baselines", "4.1", "support_end = 2032-12-31", "support_end = 2027-12-31", "history-edited"),
        (
            "baselines",
            "4.1",
            "sha256 = \"",
            "sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\" # ",
            "history-edited",
        ),
        ("seals", "0002", "format = 1\n", "format = 1\n# nothing\n", "seal-broken"),
        ("", "ledger.toml", "before = 7", "before = 6", "history-edited"),
    ];
    for (folder, file, from, to, rule) in tries {
        edit(&entry(&desk, folder, file), from, to);
        assert!(bench(&desk).contains(&rule.to_owned()), "{file}: {rule}");
        whole.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    }
    for (folder, file, rule) in [
        ("releases", "4.1-s7", "history-deleted"),
        ("advisories", "CVE-2027-1", "history-deleted"),
        ("seals", "0003", "seal-broken"),
    ] {
        fs::remove_file(entry(&desk, folder, file)).unwrap();
        assert!(bench(&desk).contains(&rule.to_owned()), "{file}: {rule}");
        whole.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    }
    // Longer support was never promised away.
    edit(&entry(&desk, "baselines", "4.1"), "support_end = 2032-12-31", "support_end = 2033-12-31");
    assert_eq!(bench(&desk), [""; 0]);
    // The end cut off holds in itself; who kept the head sees it.
    fs::remove_file(entry(&desk, "seals", "0005")).unwrap();
    fs::remove_file(entry(&desk, "releases", "5.0-s8-feature")).unwrap();
    assert_eq!(bench(&desk), ["no-full-image"]);
    assert_eq!(found(&desk, &format!("--development --head {head}")), ["no-full-image", "seal-lost"]);
}

/// Two branches release, and are merged; then it is put right as `check` says.
#[test]
fn a_fork_is_found_and_mended() {
    let desk = product("ledger-fork");
    signed(&desk, "security --baseline 4.1 --fixes CVE-2027-1 --image b.bin", "b.plb");
    signed(&desk, "feature --baseline 5.0 --image c.bin --message again", "e.plb");
    let before = listing(&desk.path("ledger"));
    desk.ok("ledger release b.plb");
    let ours = listing(&desk.path("ledger"));
    fs::remove_dir_all(desk.path("ledger/seals")).unwrap();
    fs::remove_dir_all(desk.path("ledger/releases")).unwrap();
    for folder in ["seals", "releases"] {
        fs::create_dir(desk.path("ledger").join(folder)).unwrap();
    }
    before.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    let theirs = desk.ok("ledger release e.plb")["seal"].as_str().unwrap().to_owned();
    ours.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    assert!(bench(&desk).contains(&"seal-fork".to_owned()));
    desk.fails("ledger release b.plb", 1, "ledger-refused");
    fs::remove_file(desk.path(&theirs)).unwrap();
    assert_eq!(bench(&desk), ["baseline-lags", "release-unsealed"]);
    desk.ok("ledger release e.plb");
    assert_eq!(bench(&desk), ["baseline-lags"]);
}

#[test]
fn every_rule_about_advisories_fires() {
    let desk = settled("ledger-rules");
    assert_eq!(found(&desk, ""), ["development-release"; 5]);
    // Deadlines, and the day before.
    desk.ok("ledger open CVE-2027-2 --title two --severity low --exploited --aware 2027-01-20T10:00Z");
    assert_eq!(found(&desk, "--development --today 2027-01-21T10:00Z"), [""; 0]);
    assert_eq!(found(&desk, "--development --today 2027-01-21T10:01Z"), ["deadline-passed"]);
    assert_eq!(found(&desk, "--development --today 2027-01-23"), ["deadline-passed"; 2]);
    desk.ok("ledger amend CVE-2027-2 --measure 2027-01-20T12:00Z");
    assert_eq!(found(&desk, "--development --today 2027-02-03T12:00Z").len(), 2);
    assert_eq!(found(&desk, "--development --today 2027-02-03T12:01Z").len(), 3);
    let advisory = entry(&desk, "advisories", "CVE-2027-2");
    edit(&advisory, "aware = 2027-01-20T10:00:00Z\n", "");
    assert_eq!(bench(&desk), ["no-awareness-date"]);
    edit(&advisory, "exploited = true\n", "aliases = [\"GHSA-1\"]\n");
    assert_eq!(bench(&desk), ["id-twice"]);
    edit(&advisory, "aliases = [\"GHSA-1\"]\n", "index = 8\n");
    assert_eq!(bench(&desk), ["index-twice", "release-unsealed"]);
    edit(&advisory, "index = 8\n", "index = 10\n");
    assert!(bench(&desk).contains(&"index-gap".to_owned()));
    edit(&advisory, "index = 10\n", "\n[affects.\"9.9\"]\nstatus = \"affected\"\n");
    assert_eq!(bench(&desk), ["unknown-baseline"]);
    fs::remove_file(&advisory).unwrap();
    edit(&entry(&desk, "advisories", "CVE-2027-1"), "index = 8\n", "");
    assert!(bench(&desk).contains(&"unknown-index".to_owned()));
}

#[test]
fn every_rule_about_releases_fires() {
    let desk = settled("ledger-rules-2");
    let unsealed = "release-unsealed".to_owned();
    // A second image of a version, brought in by a merge.
    let release = entry(&desk, "releases", "4.1-s8");
    let text = fs::read_to_string(&release).unwrap();
    let put = |level: &str, text: String| {
        let sha = "abcdef01".repeat(8);
        let at = text.find("manifest_sha256 = \"").unwrap() + 19;
        let text = format!("{}{sha}{}", &text[..at], &text[at + 64..]);
        let path = desk.path(&format!("ledger/releases/4.1-{level}-security-abcdef01.toml"));
        fs::write(&path, text).unwrap();
        path
    };
    let other = put("s8", text.replace("bytes = 9500", "bytes = 9501"));
    assert_eq!(bench(&desk), ["two-images".to_owned(), unsealed.clone()]);
    // On other hardware it is another one.
    put("s8", text.replace("bytes = 9500", "bytes = 9501").replace("hardware = [1]", "hardware = [2]"));
    assert_eq!(bench(&desk), ["release-unsealed"]);
    fs::remove_file(other).unwrap();
    // An expired waiver.
    let waiver = "\n[[waiver]]\ncheck = \"19\"\nbecause = \"x\"\napprover = \"y\"\nuntil = 2027-01-14\n";
    let waived = put("s8", text.clone() + waiver);
    assert_eq!(bench(&desk), ["waiver-expired".to_owned(), unsealed.clone()]);
    assert_eq!(found(&desk, "--development --today 2027-01-14"), ["release-unsealed"]);
    fs::remove_file(waived).unwrap();
    // Not a chain: 9 without 8.
    desk.ok("ledger open CVE-2027-2 --title two --severity low --affects 4.1");
    edit(&entry(&desk, "advisories", "CVE-2027-2"), "severity", "index = 9\nseverity");
    let branch = put("s9-open-8", text.replace("level = 8", "level = 9\nopen = [8]"));
    assert!(bench(&desk).contains(&"releases-not-a-chain".to_owned()));
    fs::remove_file(branch).unwrap();
    put("s9", text.replace("level = 8", "level = 9"));
    assert!(!bench(&desk).contains(&"releases-not-a-chain".to_owned()));
}

#[test]
fn features_only_needs_a_reason() {
    for (reason, rules) in
        [("", &["fix-only-with-features"][..]), (" --combined not-feasible --because protocol", &[])]
    {
        let desk = product(&format!("ledger-features-{}", rules.len()));
        desk.ok("ledger affects CVE-2027-1 affected 5.0");
        release(&desk, &format!("feature --baseline 5.0 --fixes CVE-2027-1 --image b.bin{reason}"), "f.plb");
        assert_eq!(bench(&desk), rules);
        let state = state(&desk, "4.1");
        assert_eq!(state, if rules.is_empty() { "combined" } else { "owed" });
    }
}

#[test]
fn a_retired_baseline_is_owed_nothing() {
    let desk = product("ledger-retired");
    release(&desk, "security --baseline 4.1 --fixes CVE-2027-1 --image b.bin", "b.plb");
    assert_eq!(bench(&desk), ["baseline-lags"]);
    // After the last day of 5.0 only what is supported counts.
    assert_eq!(found(&desk, "--development --today 2034-12-31"), ["baseline-lags"]);
    assert_eq!(found(&desk, "--development --today 2035-01-01"), [""; 0]);
    desk.ok("ledger baseline retire 5.0 --because free-way-to-6.0");
    assert_eq!(bench(&desk), [""; 0]);
    desk.fails("ledger baseline retire 5.0 --because again", 1, "ledger-refused");
    desk.ok("ledger close CVE-2027-1");
    desk.ok("ledger baseline add 6.0 --name six --support-end 2036-12-31");
    assert_eq!(bench(&desk), [""; 0]);
    release(&desk, "feature --baseline 6.0 --image c.bin", "g.plb");
    assert_eq!(bench(&desk), ["baseline-lags", "closed-but-owed"]);
}

#[test]
fn entries_that_are_wrong_are_named_all_at_once() {
    let desk = settled("ledger-entries");
    let advisory = entry(&desk, "advisories", "CVE-2027-1");
    let text = fs::read_to_string(&advisory).unwrap();
    for (from, to) in [
        ("format = 1", "format = 2"),
        ("title = ", "titel = "),
        ("severity = \"high\"", "severity = \"bad\""),
        ("index = 8", "index = 0"),
        ("index = 8", "index = 4000000000"),
        ("id = \"CVE-2027-1\"", "id = \"CVE-2027-3\""),
        ("status = \"affected\"", "status = \"affected\"\njustification = \"component_not_present\""),
        ("[affects.\"4.1\"]", "[affects.\"04.1\"]"),
        ("format = 1", "<<<<<<< HEAD\nformat = 1"),
        ("title = \"read\"", "title = \"\\u001b[2J\""),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&advisory, text.replace(from, to)).unwrap();
        desk.fails("ledger check", 3, "ledger-entry");
    }
    fs::write(desk.path("ledger/baselines/notes.txt"), "x").unwrap();
    let out = desk.run("ledger show --json");
    let told = desk.fails_as("ledger show", &out, 3, "ledger-entry");
    assert_eq!(told["also"].as_array().unwrap().len(), 1, "{told}");
    fs::remove_file(desk.path("ledger/baselines/notes.txt")).unwrap();
    // Comments outlive a rewrite.
    fs::write(&advisory, format!("# found by M. Ito\n{text}")).unwrap();
    desk.ok("ledger amend CVE-2027-1 --csaf advisory.json");
    assert!(fs::read_to_string(&advisory).unwrap().starts_with("# found by M. Ito\nformat = 1\n"));
}

/// Seeded damage: no entry file, whatever it holds, ends a command but with a documented code, or changes a thing.
#[test]
fn damaged_entries_never_end_a_command_badly() {
    let desk = settled("ledger-fuzz");
    let whole = listing(&desk.path("ledger"));
    let mut random = super::fuzz::Random(7);
    for round in 0..120 {
        let (path, bytes) = random.of(&whole).clone();
        let mut damaged = bytes.clone();
        super::fuzz::mutate(&mut damaged, &mut random);
        fs::write(&path, &damaged).unwrap();
        let before = listing(&desk.path("ledger"));
        let verb = ["check --development", "show --all", "release b.plb", "close CVE-2027-1 --config none"]
            [round % 4];
        let out = desk.run(&format!("ledger {verb} --json"));
        let code = out.status.code().unwrap();
        assert!(matches!(code, 0 | 1 | 3), "{round}, {}: {out:?}", path.display());
        assert!(code == 0 || listing(&desk.path("ledger")) == before, "{round}: it changed something");
        listing(&desk.path("ledger")).iter().for_each(|(path, _)| fs::remove_file(path).unwrap());
        whole.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    }
}

/// Devices of every hardware revision are a baseline's.
#[test]
fn a_hardware_revision_that_is_left_behind_lags() {
    let desk = settled("ledger-hardware");
    assert_eq!(bench(&desk), [""; 0]);
    let hardware = |list: &str| {
        let path = desk.path("patchlane.toml");
        let text = fs::read_to_string(&path).unwrap();
        let lines = text
            .lines()
            .map(|l| if l.starts_with("hardware =") { format!("hardware = {list}") } else { l.into() });
        fs::write(&path, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    };
    // 4.1 s8 for a second revision, as well.
    hardware("[2]");
    release(&desk, "feature --baseline 4.1 --image b.bin", "b2.plb");
    assert_eq!(bench(&desk), [""; 0]);
    // The next level for the first one only.
    hardware("[1]");
    desk.ok("ledger open CVE-2027-2 --title more --severity high --affects 4.1");
    desk.ok("ledger affects CVE-2027-2 not-affected 5.0 --justification vulnerable-code-not-present");
    release(&desk, "security --baseline 4.1 --fixes CVE-2027-2 --image c.bin", "f.plb");
    release(&desk, "security --baseline 5.0 --not-affected", "g.plb");
    release(&desk, "feature --baseline 5.0 --image c.bin", "h.plb");
    assert_eq!(bench(&desk), ["baseline-lags"]);
    let out = String::from_utf8_lossy(&desk.run("ledger check --development").stdout).into_owned();
    assert!(out.contains("isn't released for hardware 2"), "{out}");
    hardware("[2]");
    release(&desk, "security --baseline 4.1 --image c.bin", "f2.plb");
    assert_eq!(bench(&desk), [""; 0]);
}

/// A folder that can't be listed isn't an empty one.
#[test]
fn what_cannot_be_listed_is_not_empty() {
    let desk = settled("ledger-unlisted");
    let folder = desk.path("ledger/settlements");
    fs::write(&folder, "no folder").unwrap();
    desk.fails("ledger check --development", 3, "file-access");
}
