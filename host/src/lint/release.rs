//! Checks of the release itself: base, version, support, vulnerabilities, assessment, notice, keys.

use super::Answer::{Fail, Pass, Unknown};
use super::{Answer, Case};
use crate::commands::date;
use crate::error::{Code, Error, Result};
use crate::keys;
use crate::ledger::time::Day;
use crate::root::Root;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// 1: the base is a released, signed bundle.
pub(super) fn base(case: &Case<'_>) -> Result<Answer> {
    let path = &case.change.base;
    case.read(path)?;
    let version = case.base.manifest()?.version;
    let present = case.root.document()?;
    let made = case.base.manifest()?.root_version;
    // Keys of an older root signed it in their time, and may have been retired since.
    let mut retired = false;
    if let Err(error) = case.base.verify(&present, |_| Ok(())) {
        let under = |root: &&Root| root.document().is_ok_and(|document| document.version == made);
        let refused = match case.older.iter().find(under) {
            Some(older) => case.base.verify(&older.document()?, |_| Ok(())).err().map(|error| error.what),
            None if made < present.version => Some(format!(
                "{}; it was made under root {made}: name that under [trust] older in patchlane.toml",
                error.what
            )),
            None => Some(error.what),
        };
        if let Some(what) = refused {
            return Ok(Fail(format!("{} {what}", path.display())));
        }
        retired = true;
    }
    let follows = if made < present.version {
        format!(", which root {} follows", present.version)
    } else {
        String::new()
    };
    let told = format!("{version}, signed under root {made}{follows}");
    case.keep("root", made);
    case.keep("ledger", case.ledger.is_some());
    let Some(ledger) = &case.ledger else {
        if retired {
            // Whoever has such a key can sign another one today, and date it back.
            return Ok(Fail(format!(
                "{told}, by keys that root {} doesn't trust: only a ledger tells whether it was released; \
                 record it: patchlane ledger release {} --root ROOT_{made}",
                present.version,
                path.display()
            )));
        }
        return Ok(Pass(format!("{told}; there is no ledger to find it in")));
    };
    case.saw_entry(&ledger.head);
    let digest = case.base.digest();
    if let Some(release) = ledger.released(&version).find(|filed| filed.entry.manifest_sha256.0 == digest.0) {
        case.saw_entry(release);
        return Ok(Pass(format!("{told}, and released")));
    }
    Ok(Fail(format!("{told}; the ledger has no such release")))
}

/// 2: the baseline is the base's, and the patch handles strictly more.
pub(super) fn version(case: &Case<'_>) -> Result<Answer> {
    let (old, new) = (case.base.manifest()?.version, case.version);
    if new.feature != old.feature {
        return Ok(Fail(format!("{} is another baseline than {}", new.feature, old.feature)));
    }
    if !new.security.handles_strictly_more_than(&old.security) {
        let what = if new.security == old.security { "handles no more than" } else { "loses a fix of" };
        return Ok(Fail(format!("{new} {what} {old}")));
    }
    let outside = case.change.closes.iter().find(|closing| !new.security.handles(closing.index));
    if let Some(closing) = outside {
        return Ok(Fail(format!(
            "closes {} (index {}), which {new} doesn't handle",
            closing.id, closing.index
        )));
    }
    Ok(Pass(format!("{old} to {new}")))
}

/// 3: the baseline is supported, and until when is stated.
pub(super) fn support(case: &Case<'_>) -> Result<Answer> {
    let before = case.base.manifest()?.support_end;
    let line = case.ledger.as_ref().map(|ledger| ledger.baseline(case.version.feature));
    line.flatten().into_iter().for_each(|line| case.saw_entry(line));
    let recorded = match line {
        Some(None) => return Ok(Fail(format!("the ledger has no baseline {}", case.version.feature))),
        Some(Some(line)) if line.entry.retired.is_some() => {
            return Ok(Fail(format!("baseline {} was retired", case.version.feature)));
        }
        Some(Some(line)) => Some(line.entry.support_end),
        None => None,
    };
    let Some(end) = case.change.support_end.or(recorded).map(Day::ends) else {
        return Ok(Fail("`support_end` isn't stated".into()));
    };
    if let Some(other) = recorded.filter(|recorded| recorded.ends() != end) {
        return Ok(Fail(format!("the ledger says that support ends on {other}")));
    }
    let end_text = date(end).get(..10).unwrap_or_default().to_owned();
    case.keep("support_end", end_text.clone());
    if end < before {
        let was = date(before).get(..10).unwrap_or_default().to_owned();
        return Ok(Fail(format!("support ends on {end_text}, and the base promised {was}")));
    }
    if end <= case.now {
        return Ok(Fail(format!("support ended on {end_text}")));
    }
    Ok(Pass(format!("until {end_text}")))
}

/// 4: at least one vulnerability is named, with its severity.
pub(super) fn advisory_ids(case: &Case<'_>) -> Result<Answer> {
    let closes = &case.change.closes;
    if closes.is_empty() {
        return Ok(Fail("no vulnerability is named".into()));
    }
    if closes.iter().any(|closing| closing.id.trim().is_empty()) {
        return Ok(Fail("a vulnerability has no id".into()));
    }
    let ids: BTreeSet<_> = closes.iter().map(|closing| &closing.id).collect();
    let indices: BTreeSet<_> = closes.iter().map(|closing| closing.index).collect();
    if ids.len() < closes.len() || indices.len() < closes.len() {
        return Ok(Fail("a vulnerability or an index is named twice".into()));
    }
    let told = closes.iter().map(|closing| format!("{} ({:?})", closing.id, closing.severity).to_lowercase());
    Ok(Pass(told.collect::<Vec<_>>().join(", ").replace("cve", "CVE")))
}

/// 27: the four questions on substantial modification.
pub(super) fn assessment(case: &Case<'_>) -> Result<Answer> {
    let Some(assessment) = &case.change.assessment else {
        return Ok(Unknown("the change record has no [assessment]".into()));
    };
    let questions = [
        ("threat vectors", &assessment.threat_vectors),
        ("attack scenarios", &assessment.scenarios),
        ("likelihood", &assessment.likelihood),
        ("impact", &assessment.impact),
    ];
    let asked = questions
        .iter()
        .map(|(question, reply)| json!({ "question": question, "changes": reply.changes, "why": reply.why }));
    case.keep("questions", asked.collect::<Vec<_>>());
    if let Some(reply) = &assessment.type_certificate {
        case.keep("type_certificate", json!({ "changes": reply.changes, "why": reply.why }));
    }
    for (question, reply) in questions {
        if reply.why.trim().is_empty() {
            return Ok(Fail(format!("{question}: no reason is given")));
        }
        if reply.changes {
            return Ok(Fail(format!("{question} changes: this may be a substantial modification")));
        }
    }
    if case.read(&assessment.risk_assessment)?.trim_ascii().is_empty() {
        return Ok(Fail(format!("{} is empty", assessment.risk_assessment.display())));
    }
    Ok(Pass(format!("four times no; {}", assessment.risk_assessment.display())))
}

/// 29: the notice is complete.
pub(super) fn notice(case: &Case<'_>) -> Result<Answer> {
    let Some(notice) = &case.change.notice else {
        return Ok(Unknown("the change record has no [notice]".into()));
    };
    let parts = [
        ("install", &notice.install),
        ("outage", &notice.outage),
        ("residual_risk", &notice.residual_risk),
        ("rollback", &notice.rollback),
    ];
    case.keep("notice", json!(parts.iter().copied().collect::<BTreeMap<_, _>>()));
    if let Some(archive) = &notice.archive {
        case.keep("archive", archive.clone());
    }
    let empty: Vec<_> =
        parts.iter().filter(|(_, text)| text.trim().is_empty()).map(|(name, _)| *name).collect();
    if empty.is_empty() {
        return Ok(Pass("how to install, what stops, what remains, how to go back".into()));
    }
    Ok(Fail(format!("nothing is said under {}", empty.join(", "))))
}

/// 30: the keys at hand are of the security role and reach its threshold.
///
/// Public halves will do: a quorum on several desks has them all. `sign` judges the signatures themselves.
pub(super) fn roles(case: &Case<'_>) -> Result<Answer> {
    let paths = &case.config.trust.security;
    if paths.is_empty() {
        return Ok(Unknown("[trust] security in patchlane.toml lists no key".into()));
    }
    let root = case.root.document()?;
    let mut found = BTreeSet::new();
    for path in paths {
        let public = keys::public_path(path);
        let bytes = case.read_of_config(&public)?;
        let key = keys::parse_public(&public, &bytes)?;
        if root.roles.security().key(&key.id()).is_none_or(|listed| listed != key) {
            return Ok(Fail(format!(
                "{} isn't a key of the security role of root {}",
                path.display(),
                root.version
            )));
        }
        found.insert(key.id());
    }
    let needed = usize::from(root.roles.security().threshold());
    case.keep("keys", found.iter().map(ToString::to_string).collect::<Vec<_>>());
    case.keep("threshold", needed);
    case.keep("root", root.version);
    if found.len() < needed {
        return Ok(Fail(format!("{} of {needed} keys of the security role are listed", found.len())));
    }
    Ok(Pass(format!("{} of the security role, {needed} needed", found.len())))
}

/// What a missing section leads to.
pub(super) fn lacks<'a, T>(section: &'a Option<T>, name: &str) -> std::result::Result<&'a T, Answer> {
    section.as_ref().ok_or_else(|| Unknown(format!("the change record has no [{name}]")))
}

/// An error about a file that a check read.
pub(super) fn broken(what: impl Into<String>) -> Error {
    Error::new(Code::Malformed, what, "check the file")
}
