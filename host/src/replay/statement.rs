//! What was played, as in-toto statements: the replay itself, and the exploit's test results.

use super::answer::{Answer, Mask, Sent};
use super::recording::Recording;
use super::verdict::{Played, Row, Verdict};
use super::{Adapter, Side};
use crate::bundle::sha256;
use crate::error::{Code, Error, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The kind of statement.
pub const KIND: &str = "https://github.com/patchlane/patchlane/replay/v1";
/// <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// What a statement is made of.
#[derive(Debug)]
pub struct Made<'a> {
    /// The recording's file name, as the change record has it.
    pub name: &'a str,
    /// The recording.
    pub recording: &'a Recording,
    /// How it was played.
    pub adapter: &'a Adapter<'a>,
    /// What was answered.
    pub played: &'a [Played],
    /// What that shows.
    pub verdict: &'a Verdict,
}

/// An image, as in-toto names what a statement is about.
fn subject(address: Option<u32>, digest: &str) -> Value {
    let name = address.map_or("image".to_owned(), |address| format!("image@{address:#010x}"));
    json!({ "name": name, "digest": { "sha256": digest } })
}

fn statement(subjects: Vec<Value>, kind: &str, predicate: Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": kind,
        "predicate": predicate,
    })
}

fn masks(masks: &[Mask]) -> Vec<Value> {
    masks.iter().map(|mask| json!({ "at": mask.at, "length": mask.length, "why": mask.why })).collect()
}

fn row(row: &Row) -> Value {
    let all = |answers: &[Answer]| answers.iter().map(Answer::value).collect::<Vec<_>>();
    json!({
        "session": row.session,
        "input": row.input,
        "sent": row.sent.value(),
        "advisories": row.advisories,
        "safe": row.safe.as_ref().map(Answer::value),
        "masks": masks(&row.masks),
        "base": all(&row.base),
        "patch": all(&row.patch),
    })
}

/// What differs, for whoever reads no rows.
pub(crate) fn differences(played: &[Played]) -> Vec<Value> {
    let all = |answers: &[Answer]| answers.iter().map(Answer::to_string).collect::<Vec<_>>().join(", ");
    let of = |one: &Played| {
        let other = one.rows.iter().filter(|row| !row.is_same()).map(|row| {
            json!({
                "session": row.session,
                "input": row.input,
                "advisories": row.advisories,
                "base": all(&row.base),
                "patch": all(&row.patch),
            })
        });
        other.collect::<Vec<_>>()
    };
    played.iter().flat_map(of).collect()
}

/// The whole statement.
pub fn make(made: &Made<'_>) -> Value {
    let images = made.played.iter().map(|one| {
        json!({
            "address": one.address.map(|address| format!("{address:#010x}")),
            "base": { "sha256": one.base },
            "patch": { "sha256": one.patch },
            "rows": one.rows.iter().map(row).collect::<Vec<_>>(),
        })
    });
    let subjects = made.played.iter().map(|one| subject(one.address, &one.patch)).collect();
    let inputs = made.recording.inputs();
    let predicate = json!({
        "tool": { "name": "patchlane", "version": env!("CARGO_PKG_VERSION") },
        "recording": { "name": made.name, "sha256": sha256(&made.recording.bytes).to_string() },
        "adapter": made.adapter.value(),
        "runs": made.adapter.runs(),
        "sessions": made.recording.sessions.len(),
        "inputs": inputs.count(),
        "swept": made.recording.swept,
        "unswept": made.recording.unswept,
        "images": images.collect::<Vec<_>>(),
        "differences": differences(made.played),
        "verdict": if made.verdict.problems.is_empty() { "passed" } else { "refused" },
        "problems": made.verdict.problems.iter().map(|problem| &problem.what).collect::<Vec<_>>(),
    });
    statement(subjects, KIND, predicate)
}

/// Test results of both releases: each tagged input is a test, named after its vulnerability, that passes where the
/// answer is safe. None if nothing is tagged.
pub fn exploits(made: &Made<'_>) -> Option<[Value; 2]> {
    let side = |side: Side| {
        // The base has to fail on every image, the patch to pass on every image: each doubt counts against the patch.
        let mut tests: BTreeMap<String, bool> = BTreeMap::new();
        for row in made.played.iter().flat_map(|one| &one.rows) {
            let Some(safe) = &row.safe else { continue };
            let heard = row.heard(side);
            let passes = match side {
                Side::Base => heard.contains(safe),
                Side::Patch => heard.iter().all(|answer| answer == safe),
            };
            for id in &row.advisories {
                let test = tests.entry(format!("{id} {}", row.input)).or_insert(passes);
                *test = if side == Side::Base { *test || passes } else { *test && passes };
            }
        }
        let of = |wanted: bool| {
            tests
                .iter()
                .filter(|(_, passes)| **passes == wanted)
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        let subjects = made
            .played
            .iter()
            .map(|one| subject(one.address, if side == Side::Base { &one.base } else { &one.patch }));
        let recording = sha256(&made.recording.bytes).to_string();
        statement(
            subjects.collect(),
            TEST_RESULT,
            json!({
                "result": if of(false).is_empty() { "PASSED" } else { "FAILED" },
                "configuration": [{ "name": made.name, "digest": { "sha256": recording } }],
                "passedTests": of(true),
                "warnedTests": [],
                "failedTests": of(false),
            }),
        )
    };
    let tagged = made.recording.inputs().any(|(_, input)| input.safe.is_some());
    tagged.then(|| Side::BOTH.map(side))
}

fn broken(what: impl Into<String>) -> Error {
    Error::new(Code::Malformed, what, "run `patchlane replay` again")
}

/// Reads what was played out of a statement's predicate.
///
/// # Errors
/// `malformed`.
pub fn read(predicate: &Value) -> Result<Vec<Played>> {
    let images = predicate["images"].as_array().ok_or_else(|| broken("says nothing of images"))?;
    let read = |one: &Value| {
        let address = match one["address"].as_str() {
            Some(text) => {
                let digits = text.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
                Some(digits.ok_or_else(|| broken("has an address that is none"))?)
            }
            None => None,
        };
        let digest = |side: &str| one[side]["sha256"].as_str().unwrap_or_default().to_lowercase();
        let rows = one["rows"].as_array().ok_or_else(|| broken("has an image without rows"))?;
        let rows = rows
            .iter()
            .map(|row| read_row(row).ok_or_else(|| broken(format!("has a row that is none: {row}"))));
        Ok(Played {
            address,
            base: digest("base"),
            patch: digest("patch"),
            rows: rows.collect::<Result<_>>()?,
        })
    };
    images.iter().map(read).collect()
}

fn read_row(row: &Value) -> Option<Row> {
    let text = |key: &str| row[key].as_str().map(str::to_owned);
    let answers = |key: &str| row[key].as_array()?.iter().map(Answer::of_value).collect::<Option<Vec<_>>>();
    let safe = match &row["safe"] {
        Value::Null => None,
        safe => Some(Answer::of_value(safe)?),
    };
    Some(Row {
        session: text("session")?,
        input: text("input")?,
        sent: Sent::of_value(&row["sent"])?,
        advisories: row["advisories"]
            .as_array()?
            .iter()
            .map(|id| id.as_str().map(str::to_owned))
            .collect::<Option<_>>()?,
        safe,
        masks: serde_json::from_value(row["masks"].clone()).ok()?,
        base: answers("base")?,
        patch: answers("patch")?,
    })
}
