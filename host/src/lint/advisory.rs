//! Checks of advisories, and of what is known about what is left.

use super::Answer::{Fail, Pass, Unknown};
use super::csaf::Csaf;
use super::release::broken;
use super::vex::{self, Statement, Status};
use super::{Answer, Case};
use crate::error::Result;
use crate::ledger::time::Day;
use serde_json::json;
use std::collections::BTreeSet;

fn csafs(case: &Case<'_>) -> Result<Vec<Csaf>> {
    let read = |path: &std::path::PathBuf| Csaf::read(&case.json(path)?).map_err(|e| e.at(path.display()));
    case.change.advisory.csaf.iter().map(read).collect()
}

fn statements(case: &Case<'_>) -> Result<Vec<Statement>> {
    let mut all = Vec::new();
    for path in &case.change.advisory.vex {
        all.extend(vex::read(&case.json(path)?).map_err(|e| e.at(path.display()))?);
    }
    Ok(all)
}

/// The components that advisories and VEX name as fixed for what the patch closes.
pub(super) fn components(case: &Case<'_>) -> Result<BTreeSet<String>> {
    let (ids, mut named) = (case.ids(), BTreeSet::new());
    for csaf in csafs(case)? {
        ids.iter().for_each(|id| named.extend(csaf.components(id)));
    }
    for statement in statements(case)?.into_iter().filter(|s| s.status == Status::Fixed) {
        if statement.ids.iter().any(|id| ids.contains(&id.as_str())) {
            named.extend(statement.components);
        }
    }
    Ok(named)
}

/// 5: an advisory names each vulnerability with this release as fixed, or an embargo is stated.
pub(super) fn csaf(case: &Case<'_>) -> Result<Answer> {
    let advisory = &case.change.advisory;
    if advisory.csaf.is_empty() {
        let Some(embargo) = &advisory.embargo else {
            return Ok(Unknown("the change record names no CSAF advisory and states no embargo".into()));
        };
        let (until, public) = (embargo.until.to_string(), &embargo.public);
        case.keep("embargo", json!({ "reason": embargo.reason, "until": until, "public": public }));
        if embargo.reason.trim().is_empty() {
            return Ok(Fail("the embargo has no reason".into()));
        }
        if embargo.until.ends() < case.now {
            return Ok(Fail(format!("the embargo ended on {}", embargo.until)));
        }
        let message = &case.change.message;
        if !message.is_empty() && message != public {
            return Ok(Fail(format!(
                "anyone will read `message` in the manifest before {until}, and [advisory.embargo] `public` isn't that: \
                 let both say what may be told"
            )));
        }
        return Ok(Pass(format!("under embargo until {}: {}", embargo.until, embargo.reason)));
    }
    let documents = csafs(case)?;
    case.keep("advisories", documents.iter().map(|document| document.id.clone()).collect::<Vec<_>>());
    let (class, version) = (&case.config.product.class, case.version.to_string());
    for id in case.ids() {
        if !documents.iter().any(|document| document.names(id)) {
            return Ok(Fail(format!("no advisory is about {id}")));
        }
        if !documents.iter().any(|document| document.fixes(id, class, &version)) {
            return Ok(Fail(format!("no advisory says that {id} is fixed in {class} {version}")));
        }
    }
    let named: Vec<&str> = documents.iter().map(|document| document.id.as_str()).collect();
    Ok(Pass(named.join(", ")))
}

/// 17: no known exploitable vulnerability is left, by a dated snapshot.
pub(super) fn snapshot(case: &Case<'_>) -> Result<Answer> {
    let advisory = &case.change.advisory;
    let Some(path) = &advisory.snapshot else {
        return Ok(Unknown("the change record names no [advisory] snapshot".into()));
    };
    let document = case.json(path)?;
    let at = |what: &str| broken(what).at(path.display());
    if document["bomFormat"].as_str() != Some("CycloneDX") {
        return Err(at("isn't a CycloneDX document"));
    }
    // A scanner that found nothing writes an empty list; a list that isn't there was never looked for.
    if !document["vulnerabilities"].is_array() {
        return Err(at("has no list of vulnerabilities"));
    }
    let taken = document["metadata"]["timestamp"].as_str().and_then(|t| t.get(..10));
    let taken = taken
        .and_then(|taken| Day::parse(taken).ok())
        .ok_or_else(|| at("has no date: /metadata/timestamp"))?;
    case.keep("taken", taken.to_string());
    // Where the day begins earlier than in UTC, tomorrow is today.
    if taken.begins() > case.now.saturating_add(86_400) {
        return Ok(Fail(format!("the snapshot is of {taken}, a day to come")));
    }
    let days = case.now.saturating_sub(taken.begins()) / 86_400;
    if days > advisory.snapshot_days {
        return Ok(Fail(format!(
            "the snapshot is {days} days old, and {} are the most",
            advisory.snapshot_days
        )));
    }
    let (closing, said) = (case.ids(), statements(case)?);
    let found = vex::cyclone(&document);
    let left = found.iter().filter(|finding| {
        let own = matches!(finding.status, Status::NotAffected | Status::Fixed);
        let closed = finding.ids.iter().any(|id| closing.contains(&id.as_str()));
        let excused = said.iter().any(|statement| {
            let same = statement.ids.iter().any(|id| finding.ids.contains(id));
            same && matches!(statement.status, Status::NotAffected | Status::Fixed)
        });
        !(own || closed || excused)
    });
    let left: Vec<String> = left.map(|finding| finding.ids.join("/")).collect();
    case.keep("known", found.len());
    case.keep("left", left.clone());
    if left.is_empty() {
        return Ok(Pass(format!("as of {taken}: {} known, none left", found.len())));
    }
    Ok(Fail(format!("as of {taken}, left without a VEX statement: {}", left.join(", "))))
}
