//! What the checks found, apart from the evidence that anyone may read.
//!
//! Evidence made before signing is two files. The **statement** says of each check how it came out; its digest goes into
//! the manifest, and customers get it. The **findings** say what was seen and what was read: names of functions, source
//! lines, commits, files. The statement names them by their digest. Much of what they say could be guessed, so a salt is
//! in the file: a guess is proved by nothing that the statement says.

use super::LARGEST_FOREIGN;
use crate::archive::broken;
use crate::error::{Error, Result};
use crate::ledger::entry::Sha;
use ed25519_dalek::SigningKey;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What kind of file it is.
pub const KIND: &str = "https://github.com/patchlane/patchlane/findings/v1";

/// What keeps the salt from being anything else that is made with an evidence key.
const DOMAIN: &[u8] = b"patchlane findings salt 1\n";

/// What the findings have of the predicate, and of what it was judged by.
const OF_PREDICATE: [&str; 1] = ["change_sha256"];
const OF_JUDGED_BY: [&str; 3] = ["config_sha256", "approvers", "waivers"];
const OF_CHECK: [&str; 3] = ["detail", "inputs", "data"];

/// Where the findings of evidence lie: beside it, `evidence.findings.json` for `evidence.json`.
pub fn path(evidence: &Path) -> PathBuf {
    evidence.with_extension("findings.json")
}

/// Both parts.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The statement, for anyone.
    pub statement: Value,
    /// The text of the findings.
    pub findings: String,
}

/// The same findings and key give the same salt; without a key nothing is secret that it could be made of, so that it is
/// random.
fn salt(findings: &Value, key: Option<&SigningKey>) -> Result<[u8; 32]> {
    let Some(key) = key else {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|e| Error::internal(format!("no randomness: {e}")))?;
        return Ok(random);
    };
    // Whoever hasn't got the key can't tell this from a random one.
    let text = [DOMAIN, crate::evidence::text(findings)?.as_bytes()].concat();
    Ok(hmac(key.as_bytes(), &text))
}

/// HMAC-SHA256 (RFC 2104) with a key of at most 64 bytes.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = Zeroizing::new([0u8; 64]);
    block.iter_mut().zip(key).for_each(|(byte, of_key)| *byte = *of_key);
    let pad = |with: u8| Zeroizing::new(block.map(|byte| byte ^ with));
    let inner = Sha256::new().chain_update(&pad(0x36)[..]).chain_update(message).finalize();
    Sha256::new().chain_update(&pad(0x5c)[..]).chain_update(inner).finalize().into()
}

fn take(from: &mut Value, keys: &[&str], to: &mut Map<String, Value>) {
    let Some(from) = from.as_object_mut() else { return };
    for key in keys {
        to.extend(from.remove_entry(*key));
    }
}

/// A key of an object, if it is there.
fn picked(data: &Value, keys: &[&str]) -> Map<String, Value> {
    let there = keys.iter().filter_map(|key| Some(((*key).to_owned(), data.get(*key)?.clone())));
    there.collect()
}

/// What anyone may see of what a check found: what is written for people, and how many. No name of a function, a file, a
/// commit or a component.
pub(crate) fn shown(check: u64, data: &Value) -> Option<Value> {
    let count = |key: &str| data[key].as_array().map(Vec::len);
    let mut shown = match check {
        3 => picked(data, &["support_end"]),
        5 => picked(data, &["advisories"]),
        17 => picked(data, &["taken", "known"]),
        25 => picked(data, &["inputs"]),
        27 => picked(data, &["questions", "type_certificate"]),
        28 => picked(data, &["over", "cuts"]),
        29 => picked(data, &["notice", "archive"]),
        _ => Map::new(),
    };
    match check {
        // Why there is an embargo is between the vendor and whoever keeps it.
        5 if data["embargo"].is_object() => {
            shown.insert("embargo".into(), picked(&data["embargo"], &["until", "public"]).into());
        }
        17 => shown.extend(count("left").map(|left| ("left".into(), json!(left)))),
        18 => {
            let counts = picked(&data["comparison"]["functions"], &["old", "new", "changed", "moved"]);
            if !counts.is_empty() {
                shown.insert("comparison".into(), json!({ "functions": counts }));
            }
        }
        25 => shown.extend(count("differences").map(|all| ("differences".into(), json!(all)))),
        _ => {}
    }
    (!shown.is_empty()).then_some(Value::Object(shown))
}

/// Takes a statement apart that says everything.
///
/// # Errors
/// `internal`.
pub fn split(whole: &Value, key: Option<&SigningKey>) -> Result<Parts> {
    let mut statement = whole.clone();
    let predicate = &mut statement["predicate"];
    let mut findings = Map::new();
    take(predicate, &OF_PREDICATE, &mut findings);
    take(&mut predicate["judged_by"], &OF_JUDGED_BY, &mut findings);
    let mut rows = Vec::new();
    for row in predicate["checks"].as_array_mut().into_iter().flatten() {
        let mut apart = picked(row, &["check"]);
        take(row, &OF_CHECK, &mut apart);
        let apart = Value::Object(apart);
        if let Some(shown) = shown(row["check"].as_u64().unwrap_or(0), &apart["data"]) {
            row["shown"] = shown;
        }
        rows.push(apart);
    }
    findings.insert("kind".into(), json!(KIND));
    findings.insert("checks".into(), Value::Array(rows));
    let mut findings = Value::Object(findings);
    let salt = salt(&findings, key)?;
    findings["salt"] = json!(crate::hex::write(&salt));
    let findings = crate::evidence::text(&findings)?;
    predicate["findings_sha256"] = json!(Sha::of(findings.as_bytes()).to_string());
    Ok(Parts { statement, findings })
}

/// The digest of the findings that a statement names.
///
/// # Errors
/// `evidence`: it names none.
pub fn named(predicate: &Value) -> Result<Sha> {
    let named = predicate["findings_sha256"].as_str().and_then(Sha::parse);
    named.ok_or_else(|| broken("names no findings"))
}

/// The predicate that says everything: a statement's, put together with the findings that it names.
///
/// # Errors
/// `evidence`: they are other findings, don't say of each check what it found, or the statement shows something else of
/// them.
pub fn join(predicate: &Value, findings: &[u8]) -> Result<Value> {
    if findings.len() as u64 > LARGEST_FOREIGN {
        return Err(broken("are too large: in memory they take ten times that"));
    }
    if Sha::of(findings) != named(predicate)? {
        return Err(broken("aren't the findings that the evidence names"));
    }
    let findings: Value =
        serde_json::from_slice(findings).map_err(|e| broken(format!("are no findings in JSON: {e}")))?;
    let salted = findings["salt"].as_str().and_then(crate::hex::read::<32>).is_some();
    if findings["kind"] != KIND || !salted {
        return Err(broken("are no findings of `patchlane lint`"));
    }
    let mut whole = predicate.clone();
    let put = |value: &mut Value, keys: &[&str], from: &Value| {
        if let Some(value) = value.as_object_mut() {
            value.extend(picked(from, keys));
        }
    };
    put(&mut whole, &OF_PREDICATE, &findings);
    put(&mut whole["judged_by"], &OF_JUDGED_BY, &findings);
    let found: Vec<&Value> = findings["checks"].as_array().into_iter().flatten().collect();
    let rows = whole["checks"].as_array_mut().map_or(&mut [][..], Vec::as_mut_slice);
    if rows.len() != found.len() {
        return Err(broken("say something of other checks than the evidence"));
    }
    for (row, found) in rows.iter_mut().zip(found) {
        if row["check"] != found["check"] {
            return Err(broken("say something of other checks than the evidence"));
        }
        let shown = shown(row["check"].as_u64().unwrap_or(0), &found["data"]);
        if row.get("shown") != shown.as_ref() {
            return Err(broken(format!("aren't what the evidence shows of check {}", row["check"])));
        }
        put(row, &OF_CHECK, found);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Value {
        json!({ "predicate": {
            "change_sha256": "0".repeat(64), "verdict": "passed",
            "judged_by": { "config_sha256": "1".repeat(64), "approvers": [], "waivers": [], "root": {} },
            "checks": [
                { "check": 18, "result": "pass", "detail": "handle_read", "inputs": [],
                  "data": { "comparison": { "functions": { "old": 9, "new": 9, "changed": 1, "moved": 0 }, "rows": ["handle_read"] } } },
                { "check": 19, "result": "pass", "detail": "the same", "inputs": [], "data": {} },
            ],
        } })
    }

    #[test]
    fn what_is_taken_apart_is_put_together_again() {
        let whole = whole();
        let parts = split(&whole, None).unwrap();
        let public = parts.statement.to_string();
        for secret in ["handle_read", "the same", &"0".repeat(64), &"1".repeat(64)] {
            assert!(!public.contains(secret), "{public}");
            assert!(parts.findings.contains(secret), "{}", parts.findings);
        }
        assert_eq!(
            parts.statement["predicate"]["checks"][0]["shown"]["comparison"]["functions"]["changed"],
            1
        );
        let mut again = join(&parts.statement["predicate"], parts.findings.as_bytes()).unwrap();
        again.as_object_mut().unwrap().remove("findings_sha256");
        again["checks"][0].as_object_mut().unwrap().remove("shown");
        assert_eq!(again, whole["predicate"]);
    }

    #[test]
    fn the_salt_follows_from_key_and_findings_or_from_nothing() {
        let [one, two] = [1, 2].map(|byte| SigningKey::from_bytes(&[byte; 32]));
        let salt = |key: Option<&SigningKey>, whole: &Value| {
            let findings: Value = serde_json::from_str(&split(whole, key).unwrap().findings).unwrap();
            findings["salt"].as_str().unwrap().to_owned()
        };
        let mut other = whole();
        other["predicate"]["checks"][1]["detail"] = json!("something else");
        assert_eq!(salt(Some(&one), &whole()), salt(Some(&one), &whole()));
        assert_ne!(salt(Some(&one), &whole()), salt(Some(&two), &whole()));
        assert_ne!(salt(Some(&one), &whole()), salt(Some(&one), &other));
        assert_ne!(salt(None, &whole()), salt(None, &whole()));
    }

    /// RFC 4231, test case 1.
    #[test]
    fn the_salt_is_made_as_others_would_make_it() {
        let wanted = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(crate::hex::write(&hmac(&[0x0b; 20], b"Hi There")), wanted);
    }

    #[test]
    fn other_findings_arent_taken() {
        let parts = split(&whole(), None).unwrap();
        let predicate = &parts.statement["predicate"];
        assert!(join(predicate, split(&whole(), None).unwrap().findings.as_bytes()).is_err(), "another salt");
        let renamed = |edit: &dyn Fn(&mut Value, &mut Value)| {
            let mut findings: Value = serde_json::from_str(&parts.findings).unwrap();
            let mut predicate = predicate.clone();
            edit(&mut findings, &mut predicate);
            let bytes = findings.to_string();
            predicate["findings_sha256"] = json!(Sha::of(bytes.as_bytes()).to_string());
            join(&predicate, bytes.as_bytes())
        };
        assert!(renamed(&|_, _| ()).is_ok());
        for edit in [
            (&|f: &mut Value, _: &mut Value| f["kind"] = json!("x")) as &dyn Fn(&mut Value, &mut Value),
            &|f, _| f["salt"] = json!("short"),
            &|f, _| drop(f["checks"].as_array_mut().unwrap().pop()),
            &|f, _| f["checks"][0]["check"] = json!(17),
            // A statement that shows something else than was found.
            &|_, p| p["checks"][0]["shown"]["comparison"]["functions"]["changed"] = json!(0),
            &|_, p| p["checks"][1]["shown"] = json!({ "cuts": 9 }),
        ] {
            assert!(renamed(edit).is_err());
        }
    }
}
