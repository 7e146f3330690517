//! What files say is shown, and does nothing: not to a browser, not to Markdown, not to a terminal. What a customer isn't
//! to see isn't there. What is missing is said.

use super::super::archive::bench::digest;
use super::sample::{Sample, write};
use super::story::violations;
use patchlane::archive::Role;
use patchlane::archive::write::File;
use serde_json::json;

const FILES: [&str; 3] = ["report.json", "report.md", "report.html"];

/// Nothing in a page that loads, runs, or leaves it.
fn stays_at_home(html: &str) {
    for wrong in [
        "<script",
        "href=\"java",
        " src=",
        "url(",
        "@import",
        "<link",
        "<iframe",
        "<img",
        "<form",
        "onload",
        "http-equiv=\"refresh",
    ] {
        assert!(!html.contains(wrong), "{wrong}");
    }
    assert!(html.contains("default-src 'none'") && html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
}

#[test]
fn texts_of_files_are_shown_and_do_nothing() {
    let sample = Sample::bare("hostile");
    let evil = "<script>alert(1)</script><img/onerror=x>|`*[a](javascript:x)\\u202e\\u009b2J";
    sample.bench.replace("change.toml", "no new way in", evil);
    sample.bench.replace("change.toml", "two seconds of restart", evil);
    sample.bench.replace("change.toml", "CVE-2027-1", "X<script>|");
    for file in ["csaf.json", "vex.json", "recording.toml", "snapshot.json"] {
        sample.bench.replace(file, "CVE-2027-1", "X<script>|");
    }
    sample.bench.replace("recording.toml", "\"over-read\"", "\"<script>in|put\\u001b[2J\"");
    assert!(sample.bench.replays());
    sample.bench.commit(
        "<script>subject</script> | `x`\n\nFixes: X<script>|\nReviewed-by: Rev <rev@example.com>",
        "v2",
    );
    sample.bench.desk.run("lint --profile starter -o patch.evidence.json --no-rebuild");
    let built = sample
        .bench
        .desk
        .run("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    sample.archive("archive");
    let report = sample.report("archive", "");
    assert_eq!(violations(&report), [""; 0]);
    let [json, md, html] = FILES.map(|file| sample.text("archive", file));
    stays_at_home(&html);
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && html.contains("X&lt;script&gt;|"));
    assert!(html.contains("&lt;script&gt;in|put"), "the input that differs is told");
    // What is escaped is text; of the rest nothing may be markup.
    let unescaped = md.replace("\\<", "");
    assert!(!unescaped.contains("<script") && !unescaped.contains("<img"), "Markdown passes HTML through");
    assert!(md.contains("\\<script\\>alert(1)\\</script\\>"));
    for text in [&json, &md, &html] {
        let steers = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!text.contains(steers), "something steers a terminal");
    }
    // Each row of a table has the cells that its head has: no text brings one of its own.
    for table in md.split("\n\n").filter(|part| part.starts_with("| ")) {
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let rows: Vec<usize> = table.lines().map(cells).collect();
        assert!(rows.iter().all(|count| *count == rows[0]), "{table}");
    }
}

#[test]
fn a_customer_sees_how_it_came_out_and_not_what_was_found() {
    let sample = Sample::new("customer");
    sample.archive("archive");
    let all = sample.report("archive", "");
    let separation = &all["predicate"]["separation"];
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut secrets = vec![
        text(&separation["commits"][0]["id"]),
        text(&separation["commits"][0]["id"])[..12].to_owned(),
        text(&separation["changed"][0]["name"]),
        text(&separation["changed"][0]["lines"][0]["text"][0])[1..].trim().to_owned(),
    ];
    let plain = [
        "modbus.c",
        "Check bounds",
        "dev@example.com",
        "rev@example.com",
        "pkg:generic",
        "1.0.1",
        "build.sh",
        "-Os",
        "base.elf",
        "risk.txt",
        "csaf.json",
        "ledger.toml",
        "w8.txt",
        "NDEBUG",
    ];
    secrets.extend(plain.map(str::to_owned));
    let shown = FILES.map(|file| sample.text("archive", file)).concat();
    assert!(secrets.iter().all(|secret| shown.contains(secret)), "the assessor sees them");
    let report = sample.report("archive", "--audience customer");
    assert_eq!((violations(&report), &report["predicate"]["audience"]), (vec![], &json!("customer")));
    for file in FILES {
        let text = sample.text("archive", file);
        for secret in &secrets {
            assert!(!text.contains(secret), "{file} shows {secret}");
            assert!(!text.contains(&digest(secret.as_bytes())), "{file} shows a digest of {secret}");
        }
        for open in ["CVE-2027-1", "4.1 s8", "2032-12-31", "confidential", "generated"] {
            assert!(text.contains(open), "{file} hides {open}");
        }
    }
    // Who gets it is told what counts, and what users are told.
    let it = &report["predicate"];
    assert_eq!(it["separation"]["orphans"], json!(null));
    assert_eq!(it["separation"]["functions"], all["predicate"]["separation"]["functions"]);
    assert_eq!(it["notice"]["told"], all["predicate"]["notice"]["told"]);
    assert_eq!(it["assessment"]["questions"], all["predicate"]["assessment"]["questions"]);
    assert_eq!(it["vulnerabilities"]["snapshot"], all["predicate"]["vulnerabilities"]["snapshot"]);
    assert_eq!(it["verdict"], all["predicate"]["verdict"]);
    assert!(sample.text("archive", "report.md").contains("is confidential"), "what isn't shown is said");
}

#[test]
fn what_is_missing_is_said_and_no_table_is_empty() {
    let sample = Sample::bare("missing");
    let desk = &sample.bench.desk;
    let bundle = File {
        role: Role::Bundle,
        name: "base.plb".into(),
        bytes: std::fs::read(desk.path("base.plb")).unwrap(),
    };
    write(&desk.path("alone"), vec![bundle]);
    let report = sample.report("alone", "");
    assert_eq!(violations(&report), [""; 0]);
    let it = &report["predicate"];
    assert_eq!(it["verdict"]["result"], "no-evidence");
    assert!(it["verdict"]["sentence"].as_str().unwrap().contains("names no evidence"));
    for section in [
        "requirements",
        "vulnerabilities",
        "separation",
        "build",
        "sbom",
        "verification",
        "distribution",
        "assessment",
        "exceptions",
    ] {
        assert!(
            !it[section]["missing"].as_array().unwrap().is_empty(),
            "{section} says nothing of what it lacks"
        );
    }
    let html = sample.text("alone", "report.html");
    assert!(
        !html.contains("<tbody>\n</tbody>") && html.contains("Not here:") && html.contains("No evidence")
    );
    assert!((1..=12).all(|number| html.contains(&format!("id=\"section-{number}\""))));
    // Of what nobody looked at nothing is said.
    for claim in
        ["Nothing is waived", "No evidence is owed", "was evaluated", "No component was", "No function"]
    {
        assert!(!html.contains(claim), "{claim}");
    }
    assert_eq!(it["separation"]["orphans"], json!(null));
}

#[test]
fn on_a_first_day_a_report_says_what_wasnt_evaluated() {
    let sample = Sample::bare("first-day");
    let desk = &sample.bench.desk;
    // A first day: the record has no more than it needs.
    for section in ["source", "build", "sbom", "elf", "proof", "budget", "assessment", "advisory"] {
        sample.bench.without(section);
    }
    desk.ok("lint --profile starter -o patch.evidence.json");
    desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
    // Whoever signs the manifest vouches for its evidence: nobody did.
    sample.archive("unsigned");
    let verdict = sample.report("unsigned", "")["predicate"]["verdict"].clone();
    assert_eq!(verdict["result"], "no-evidence");
    assert!(verdict["sentence"].as_str().unwrap().contains("its bundle isn't signed"), "{verdict}");
    sample.without_lint(|| drop(desk.ok("sign patch.plb")));
    sample.archive("archive");
    let report = sample.report("archive", "");
    let it = &report["predicate"];
    assert_eq!(it["verdict"]["result"], "passed");
    assert!(it["build"]["missing"][0].as_str().unwrap().contains("the change record has no [build]"));
    assert!(
        it["separation"]["missing"][0].as_str().unwrap().starts_with("check 6 (commits) wasn't evaluated")
    );
    assert_eq!(it["exceptions"]["not_evaluated"].as_array().unwrap().len(), 20);
    assert!(!sample.text("archive", "report.html").contains("<tbody>\n</tbody>"));
}

/// A program with more in it than the sources of the fix.
#[test]
fn what_nothing_explains_is_an_orphan() {
    let sample = Sample::bare("orphan");
    let elves = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elf");
    std::fs::copy(elves.join("arm-moved.elf"), sample.bench.desk.path("patch.elf")).unwrap();
    let out = sample.bench.desk.run("lint --profile starter -o patch.evidence.json --no-rebuild");
    assert_eq!(out.status.code(), Some(1));
    sample.bench.desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
    sample.archive("archive");
    let report = sample.report("archive", "");
    let it = &report["predicate"];
    assert_eq!(it["verdict"]["result"], "refused");
    assert!(it["separation"]["orphans"].as_u64().unwrap() > 0, "{}", it["separation"]);
    let html = sample.text("archive", "report.html");
    assert!(html.contains("<tr class=\"is-orphan") && html.contains("Refused"));
}

/// WCAG 2.2, 1.4.3: text against what it stands on.
#[test]
fn colours_can_be_read_by_day_by_night_and_on_paper() {
    let style = include_str!("../../../src/report/style.css");
    let blocks: Vec<&str> =
        style.split(":root {").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(blocks.len(), 3, "light, dark, print");
    let light = |hex: &str| {
        let channel = |at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
        0.2126 * linear(channel(0)) + 0.7152 * linear(channel(2)) + 0.0722 * linear(channel(4))
    };
    for block in blocks {
        let colour = |name: &str| {
            let at = block.find(&format!("--{name}: #")).unwrap_or_else(|| panic!("{name} has no colour"))
                + name.len()
                + 5;
            light(&block[at..at + 6])
        };
        for (text, paper) in [
            ("ink", "paper"),
            ("soft", "paper"),
            ("link", "paper"),
            ("ink", "raised"),
            ("soft", "raised"),
            ("good", "good-paper"),
            ("bad", "bad-paper"),
            ("care", "care-paper"),
            ("quiet", "quiet-paper"),
            ("good", "raised"),
            ("bad", "raised"),
            ("paper", "bad"),
            ("ink", "care-paper"),
            ("soft", "care-paper"),
            ("ink", "good-paper"),
            ("ink", "security-paper"),
            ("soft", "security-paper"),
            ("security", "security-paper"),
            ("ink", "feature-paper"),
            ("feature", "feature-paper"),
        ] {
            let (a, b) = (colour(text), colour(paper));
            let ratio = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(ratio >= 4.5, "{text} on {paper}: {ratio:.2} in{block}");
        }
    }
}
