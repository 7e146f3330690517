//! Sections 1 to 3, 10 and the lines: which release, what was asked, what was fixed.

use super::dossier::*;
use super::source::{Source, count, items, word, words};
use crate::archive::customer::public;
use crate::commands::date;
use crate::commands::describe::{lane, place};
use crate::error::Result;
use crate::ledger::art14::deadlines;
use crate::ledger::entry::{Advisory, Line as Entry};
use crate::ledger::time::Moment;
use crate::ledger::{Filed, Ledger};
use crate::lint::delta;
use crate::output::slug;
use patchlane_protocol::Kind;
use serde_json::Value;
use std::collections::BTreeMap;

const DEFINITIONS: [(&str, &str); 6] = [
    (
        "security patch",
        "keeps the baseline, handles strictly more advisories, and carries no functionality; the security role signs it",
    ),
    (
        "feature update",
        "another baseline, or the same one in full; both roles sign it, and an owner's consent is asked for",
    ),
    (
        "combined",
        "fixes that come only with functionality, with a reason code; devices show it as such, never as a security patch",
    ),
    ("baseline", "a line of functionality, LINE.STEP, that is supported until a stated day"),
    ("level", "advisories up to this index are handled, but for those that are listed as open"),
    (
        "evidence",
        "statements made before signing, whose digest the manifest carries, and after it; neither refers to this report",
    ),
];

pub(super) fn verdict(source: &Source) -> Verdict {
    let predicate = source.predicate();
    let mut counts = BTreeMap::new();
    for check in items(predicate, "checks") {
        *counts.entry(word(check, "result").to_owned()).or_default() += 1;
    }
    let profile = word(predicate, "profile").to_owned();
    let blocking: Vec<String> =
        items(predicate, "checks").filter(|c| c["blocks"] == true).map(|c| c["check"].to_string()).collect();
    let unsound = source.root.as_ref().and_then(|root| {
        let document = root.document().ok()?;
        source.bundle.verify(&document, |_| Ok(())).err()
    });
    let (result, sentence) = match word(predicate, "verdict") {
        // Whoever signs the manifest vouches for the evidence.
        "passed" if unsound.is_some() => ("no-evidence", {
            let why = unsound.map(|error| error.what).unwrap_or_default();
            format!("Nothing shows what this release is: by the archive's root, its bundle {why}.")
        }),
        "passed" => (
            "passed",
            format!("The separation lint passed this release as a security patch, by profile {profile}."),
        ),
        "refused" => (
            "refused",
            format!("The separation lint refused this release: checks {} block.", blocking.join(", ")),
        ),
        _ => ("no-evidence", {
            let why = source.before.as_ref().err().map_or("the evidence states no verdict", String::as_str);
            format!("Nothing shows what this release is: {why}.")
        }),
    };
    Verdict {
        result: result.into(),
        sentence,
        profile,
        evaluated: word(predicate, "evaluated").into(),
        counts,
    }
}

pub(super) fn identity(source: &Source) -> Result<Identity> {
    let m = source.bundle.manifest()?;
    let release = &source.archive.index.release;
    let from = &source.predicate()["from"];
    let from = match &source.base {
        _ if from.is_object() => Some(Named {
            release: word(from, "release").into(),
            manifest_sha256: word(from, "manifest_sha256").into(),
        }),
        Some(base) => Some(Named {
            release: base.manifest()?.version.to_string(),
            manifest_sha256: base.digest().to_string(),
        }),
        None => None,
    };
    let images = m.components.iter().flat_map(|component| {
        let id = component.id.0;
        let image = move |image: patchlane_protocol::Image| Image {
            component: id,
            place: place(image.address),
            bytes: image.size.get(),
            sha256: image.digest.to_string(),
        };
        component.images.iter().map(image).collect::<Vec<_>>()
    });
    Ok(Identity {
        vendor: release.vendor.clone(),
        class: release.class.clone(),
        vendor_id: m.product.vendor.to_string(),
        class_id: m.product.class.to_string(),
        hardware: m.hardware.iter().collect(),
        lane: lane(m.kind).to_owned(),
        combined: m.combined.map(|combined| format!("{}: {}", slug(&combined.reason), combined.because)),
        from,
        to: Named { release: m.version.to_string(), manifest_sha256: source.bundle.digest().to_string() },
        bundle_sha256: source.bundle_sha256.to_string(),
        issued: date(m.issued_at),
        text: m.text.to_owned(),
        images: images.collect(),
        evidence_sha256: m.evidence.map(|digest| digest.to_string()),
        definitions: DEFINITIONS.map(|(term, meaning)| Definition { term, meaning }).to_vec(),
    })
}

fn check(row: &Value) -> Check {
    let mut inputs: Vec<Input> = Vec::new();
    for input in items(row, "inputs") {
        let input = Input { name: word(input, "name").into(), sha256: word(input, "sha256").into() };
        if !inputs.contains(&input) {
            inputs.push(input);
        }
    }
    let waiver = &row["waiver"];
    let note = match word(row, "result") {
        "waived" => Some(format!("waived until {}: {}", word(waiver, "until"), word(waiver, "reason"))),
        "owed" => Some(format!("owed until {}", word(row, "due"))),
        _ => None,
    };
    Check {
        check: row["check"].as_u64().unwrap_or(0),
        name: word(row, "name").into(),
        title: word(row, "title").into(),
        grade: word(row, "grade").into(),
        result: word(row, "result").into(),
        blocks: row["blocks"] == true,
        detail: word(row, "detail").into(),
        note,
        inputs,
    }
}

fn catalogue(value: &Value) -> Catalogue {
    let clause = |row: &Value| Clause {
        id: word(row, "id").into(),
        title: word(row, "title").into(),
        required: row["required"] == true,
        verified: row["verified"] == true,
        result: word(row, "result").into(),
        checks: items(row, "checks").filter_map(Value::as_u64).collect(),
        also: words(row, "also").into_iter().map(str::to_owned).collect(),
    };
    Catalogue {
        name: word(value, "name").into(),
        title: word(value, "title").into(),
        sha256: word(value, "sha256").into(),
        clauses: items(value, "clauses").map(clause).collect(),
    }
}

pub(super) fn requirements(source: &Source) -> Requirements {
    let predicate = source.predicate();
    let all: Vec<&Value> = items(predicate, "catalogues").collect();
    let deltas = all.split_first().into_iter().flat_map(|(a, others)| {
        others.iter().map(|b| Delta {
            a: word(a, "name").into(),
            b: word(b, "name").into(),
            rows: delta::rows(a, b),
        })
    });
    Requirements {
        missing: source.before.as_ref().err().cloned().into_iter().collect(),
        change_sha256: predicate["change_sha256"].as_str().map(str::to_owned),
        checks: items(predicate, "checks").map(check).collect(),
        catalogues: all.iter().map(|value| catalogue(value)).collect(),
        deltas: deltas.collect(),
    }
}

fn steps(ledger: &Ledger, advisory: &Advisory, issued: u64) -> Vec<Step> {
    let dates = advisory.dates;
    let first = ledger.first_fix(advisory);
    let all = [
        ("awareness", dates.aware, true),
        ("early warning", dates.early_warning, advisory.exploited),
        ("notification", dates.notification, advisory.exploited),
        ("measure", dates.measure, false),
        ("first fix", first, true),
        ("this release", Some(Moment(issued)), true),
        ("final report", dates.final_report, advisory.exploited),
    ];
    let shown = all.into_iter().filter(|(_, at, always)| *always || at.is_some());
    let step = |(step, at, _): (&'static str, Option<Moment>, bool)| Step {
        step,
        at: at.map(|at| at.to_string()),
        elapsed: dates.aware.zip(at).and_then(|(aware, at)| at.0.checked_sub(aware.0)),
    };
    shown.map(step).collect()
}

/// Every baseline; for a customer those that something was released of.
fn baselines<'a>(source: &'a Source, ledger: &'a Ledger) -> impl Iterator<Item = &'a Filed<Entry>> {
    let shown =
        |line: &&Filed<Entry>| !source.hides() || ledger.of_baseline(line.entry.baseline.0).next().is_some();
    ledger.baselines.iter().filter(shown)
}

/// What the ledger says of a vulnerability.
fn recorded(source: &Source, ledger: &Ledger, entry: &Advisory, issued: u64) -> Vulnerability {
    let made = Moment(source.made().begins());
    let deadline = |deadline: &crate::ledger::art14::Deadline| Deadline {
        step: deadline.step.words(),
        due: deadline.due.to_string(),
        done: deadline.done.map(|done| done.to_string()),
        met: match deadline.done {
            Some(done) => Some(done <= deadline.due),
            None => deadline.passed(made).then_some(false),
        },
    };
    let standing = |line: &Filed<Entry>| Standing {
        baseline: line.entry.baseline.0.to_string(),
        state: slug(&ledger.cell(entry, line.entry.baseline.0, &[])),
    };
    // A file of the vendor's is nothing that a customer could look at.
    let shown = |address: &&String| !source.hides() || public(address);
    let addresses = |list: &[String]| list.iter().filter(shown).cloned().collect();
    Vulnerability {
        aliases: entry.aliases.clone(),
        title: Some(entry.title.clone()),
        cvss: entry.cvss.clone(),
        csaf: addresses(&entry.csaf),
        vex: addresses(&entry.vex),
        upstream: addresses(&entry.upstream),
        steps: steps(ledger, entry, issued),
        deadlines: deadlines(entry, ledger.first_fix(entry)).iter().map(deadline).collect(),
        baselines: baselines(source, ledger).map(standing).collect(),
        ..Vulnerability::default()
    }
}

pub(super) fn vulnerabilities(source: &Source) -> Result<Vulnerabilities> {
    let m = source.bundle.manifest()?;
    let mut missing = source.missing(&[4, 5, 17]);
    if source.ledger.is_none() {
        missing.push(
            "no ledger is in the archive: nothing is known of awareness, warnings and notifications".into(),
        );
    }
    let closed = m.advisories.iter().map(|closing| {
        let known =
            source.ledger.as_ref().and_then(|ledger| Some((ledger, &ledger.advisory(closing.id)?.entry)));
        let told = match known {
            Some((ledger, entry)) => recorded(source, ledger, entry, m.issued_at),
            None => Vulnerability {
                steps: vec![Step { step: "this release", at: Some(date(m.issued_at)), elapsed: None }],
                ..Vulnerability::default()
            },
        };
        Vulnerability {
            id: closing.id.to_owned(),
            index: closing.index,
            severity: slug(&closing.severity),
            exploited: closing.exploited,
            ..told
        }
    });
    let closed: Vec<_> = closed.collect();
    if source.ledger.is_some() {
        let unknown = closed.iter().filter(|v| v.title.is_none());
        missing.extend(unknown.map(|v| format!("the ledger has no advisory {}", v.id)));
    }
    let (advisory, snapshot) = (source.data(5), source.data(17));
    let embargo = &advisory["embargo"];
    Ok(Vulnerabilities {
        missing,
        closed,
        advisories: words(advisory, "advisories").into_iter().map(str::to_owned).collect(),
        embargo: embargo.is_object().then(|| match word(embargo, "reason") {
            "" => format!("until {}", word(embargo, "until")),
            reason => format!("until {}: {reason}", word(embargo, "until")),
        }),
        snapshot: snapshot["taken"].as_str().map(|taken| {
            let (known, left) = (snapshot["known"].as_u64().unwrap_or(0), count(snapshot, "left"));
            format!("as of {taken}: {known} known, {left} left without a VEX statement")
        }),
    })
}

pub(super) fn exceptions(source: &Source) -> Exceptions {
    let predicate = source.predicate();
    let named = |check: &Value| format!("{} ({})", check["check"], word(check, "name"));
    let (mut waivers, mut debts, mut not_evaluated) = (Vec::new(), Vec::new(), Vec::new());
    for check in items(predicate, "checks") {
        match word(check, "result") {
            "waived" => waivers.push(Waiver {
                check: named(check),
                reason: word(&check["waiver"], "reason").into(),
                by: format!("key {}", word(&check["waiver"], "by")),
                until: word(&check["waiver"], "until").into(),
                source: "evidence",
            }),
            "owed" => debts.push(Debt { check: named(check), due: word(check, "due").into() }),
            "not-evaluated" => not_evaluated.push(Unevaluated {
                check: named(check),
                why: word(check, "detail").into(),
                blocks: check["blocks"] == true,
            }),
            _ => {}
        }
    }
    let digest = source.bundle.digest();
    let released = source.ledger.iter().flat_map(|ledger| &ledger.releases);
    for filed in released.filter(|filed| filed.entry.manifest_sha256.0 == digest.0) {
        waivers.extend(filed.entry.waiver.iter().map(|waiver| Waiver {
            check: waiver.check.clone(),
            reason: waiver.because.clone(),
            by: waiver.approver.clone(),
            until: waiver.until.to_string(),
            source: "ledger",
        }));
    }
    let emergency = &predicate["emergency"];
    let emergency = emergency
        .is_object()
        .then(|| format!("{}; what is missing is due {}", word(emergency, "reason"), word(emergency, "due")));
    Exceptions { missing: source.missing(&[]), emergency, waivers, debts, not_evaluated }
}

/// A line without a ledger: what manifests say.
fn unrecorded(source: &Source) -> Result<Vec<Lane>> {
    let mut lines: Vec<Lane> = Vec::new();
    for (bundle, this) in source.base.iter().map(|base| (base, false)).chain([(&source.bundle, true)]) {
        let m = bundle.manifest()?;
        let baseline = m.version.feature.to_string();
        let point = Point {
            release: m.version.to_string(),
            level: m.version.security.level(),
            lane: if m.kind == Kind::SecurityPatch { "security" } else { "feature" },
            issued: date(m.issued_at),
            closes: m.advisories.iter().map(|advisory| advisory.id.to_owned()).collect(),
            this,
        };
        let support_end =
            if m.support_end == 0 { String::new() } else { date(m.support_end).chars().take(10).collect() };
        match lines.iter_mut().find(|line| line.baseline == baseline) {
            Some(line) => {
                line.releases.push(point);
                line.support_end = support_end;
            }
            None => lines.push(Lane {
                baseline,
                name: String::new(),
                support_end,
                retired: None,
                releases: vec![point],
            }),
        }
    }
    Ok(lines)
}

pub(super) fn lines(source: &Source) -> Result<Vec<Lane>> {
    let Some(ledger) = &source.ledger else { return unrecorded(source) };
    let digest = source.bundle.digest();
    let line = |filed: &Filed<Entry>| {
        let baseline = filed.entry.baseline.0;
        let mut releases: Vec<_> = ledger.of_baseline(baseline).map(|filed| &filed.entry).collect();
        releases.sort_by_key(|release| (release.issued, release.level, release.lane));
        let point = |release: &&crate::ledger::entry::Release| Point {
            release: release.version().map(|version| version.to_string()).unwrap_or_default(),
            level: release.level,
            lane: release.lane.name(),
            issued: release.issued.to_string(),
            closes: release.closes.clone(),
            this: release.manifest_sha256.0 == digest.0,
        };
        Lane {
            baseline: baseline.to_string(),
            name: filed.entry.name.clone(),
            support_end: filed.entry.support_end.to_string(),
            retired: filed
                .entry
                .retired
                .as_ref()
                .map(|retired| format!("{}: {}", retired.on, retired.because)),
            releases: releases.iter().map(point).collect(),
        }
    };
    Ok(baselines(source, ledger).map(line).collect())
}

/// Baselines and releases that the newest seal names, and that aren't kept.
fn unkept(ledger: &Ledger) -> usize {
    let named = ledger.seals.last().into_iter().flat_map(|seal| seal.entry.entries.keys());
    let wanted = named.filter(|name| name.starts_with("baselines/") || name.starts_with("releases/"));
    let kept = |name: &String| {
        ledger.baselines.iter().any(|filed| filed.file == *name)
            || ledger.releases.iter().any(|filed| filed.file == *name)
    };
    wanted.filter(|name| !kept(name)).count()
}

/// What the diagram of both lanes can't show.
pub(super) fn lines_missing(source: &Source) -> Option<String> {
    let Some(ledger) = &source.ledger else {
        return Some(
            "no ledger is in the archive: only what manifests say of base and release is shown".into(),
        );
    };
    // What wasn't released isn't told to customers, and seals name it.
    let unkept = if source.hides() { 0 } else { unkept(ledger) };
    match (ledger.releases.is_empty(), unkept) {
        (true, _) => Some("the ledger records no release yet".into()),
        (false, 0) => None,
        (false, some) => Some(format!(
            "baselines or releases that the newest seal names, and that aren't in the archive: {}; there is more than is shown",
            some
        )),
    }
}

/// How the tool that made the evidence called itself.
pub(super) fn maker(predicate: &Value) -> Option<String> {
    let tool = &predicate["tool"];
    tool.is_object().then(|| format!("{} {}", word(tool, "name"), word(tool, "version")))
}
