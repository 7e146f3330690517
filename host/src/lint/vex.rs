//! VEX statements: OpenVEX 0.2 and CycloneDX.

use super::release::broken;
use super::sbom::key_of;
use crate::error::Result;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is said about a vulnerability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// Which one; all the names it has.
    pub(super) ids: Vec<String>,
    /// What is said.
    pub(super) status: Status,
    /// The components it is said of, by package URL without version; empty: of the product.
    pub(super) components: Vec<String>,
}

/// What can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// The product isn't affected, with a justification.
    NotAffected,
    /// The product is affected, and a fix is to come.
    Affected,
    /// It is fixed.
    Fixed,
    /// It is being looked at.
    UnderInvestigation,
}

/// Reads a document of either kind.
///
/// # Errors
/// `malformed`: what it lacks.
pub(super) fn read(document: &Value) -> Result<Vec<Statement>> {
    let context = document.get("@context").and_then(Value::as_str).unwrap_or_default();
    if context.starts_with("https://openvex.dev/ns") {
        return document["statements"]
            .as_array()
            .ok_or_else(|| broken("has no statements"))?
            .iter()
            .map(open)
            .collect();
    }
    if document.get("bomFormat").and_then(Value::as_str) == Some("CycloneDX") {
        return Ok(cyclone(document));
    }
    Err(broken("is neither OpenVEX nor CycloneDX"))
}

/// An OpenVEX statement (OpenVEX 0.2.0, "Statement Fields").
fn open(statement: &Value) -> Result<Statement> {
    let vulnerability = &statement["vulnerability"];
    // Before 0.2 a vulnerability was a text.
    let name = vulnerability.as_str().or_else(|| vulnerability["name"].as_str());
    let aliases = vulnerability["aliases"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let ids: Vec<String> = name.into_iter().chain(aliases).map(str::to_owned).collect();
    let text = |key: &str| statement[key].as_str().is_some_and(|text| !text.trim().is_empty());
    let status = match statement["status"].as_str() {
        // The specification asks for one of the two.
        Some("not_affected") if text("justification") || text("impact_statement") => Status::NotAffected,
        Some("not_affected") => return Err(broken("says `not_affected` without a justification")),
        Some("affected") => Status::Affected,
        Some("fixed") => Status::Fixed,
        Some("under_investigation") => Status::UnderInvestigation,
        other => return Err(broken(format!("has a statement with status {other:?}"))),
    };
    let products = statement["products"].as_array().into_iter().flatten();
    let parts = products.flat_map(|product| {
        let parts = product["subcomponents"].as_array().filter(|parts| !parts.is_empty());
        parts.map_or_else(|| vec![product], |parts| parts.iter().collect())
    });
    let purls = parts.filter_map(|part| {
        part["identifiers"]["purl"]
            .as_str()
            .or_else(|| part["@id"].as_str())
            .filter(|id| id.starts_with("pkg:"))
    });
    Ok(Statement { ids, status, components: purls.map(key_of).collect() })
}

/// CycloneDX vulnerabilities (1.4 and later).
pub(super) fn cyclone(document: &Value) -> Vec<Statement> {
    let mut by_ref = BTreeMap::new();
    let mut pending: Vec<&Value> = document["components"].as_array().into_iter().flatten().collect();
    while let Some(component) = pending.pop() {
        pending.extend(component["components"].as_array().into_iter().flatten());
        if let (Some(name), Some(purl)) = (component["bom-ref"].as_str(), component["purl"].as_str()) {
            by_ref.insert(name, purl);
        }
    }
    let all = document["vulnerabilities"].as_array().into_iter().flatten();
    all.map(|vulnerability| {
        let analysis = &vulnerability["analysis"];
        let justified = ["justification", "detail"]
            .iter()
            .any(|key| analysis[*key].as_str().is_some_and(|text| !text.trim().is_empty()));
        let status = match analysis["state"].as_str() {
            Some("resolved" | "resolved_with_pedigree") => Status::Fixed,
            Some("not_affected" | "false_positive") if justified => Status::NotAffected,
            Some("exploitable") => Status::Affected,
            // No analysis yet, `in_triage`, or a claim without a reason.
            _ => Status::UnderInvestigation,
        };
        let id = vulnerability["id"].as_str().into_iter();
        let others =
            vulnerability["references"].as_array().into_iter().flatten().filter_map(|r| r["id"].as_str());
        let affects =
            vulnerability["affects"].as_array().into_iter().flatten().filter_map(|a| a["ref"].as_str());
        let components = affects.filter_map(|name| match by_ref.get(name) {
            Some(purl) => Some(key_of(purl)),
            None => name.starts_with("pkg:").then(|| key_of(name)),
        });
        Statement {
            ids: id.chain(others).map(str::to_owned).collect(),
            status,
            components: components.collect(),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_kinds_are_read() {
        let open = json!({"@context": "https://openvex.dev/ns/v0.2.0", "statements": [
            {"vulnerability": {"name": "CVE-2027-1", "aliases": ["GHSA-x"]}, "status": "fixed",
             "products": [{"@id": "pkg:generic/pump@4.1-s8", "subcomponents": [{"@id": "pkg:cargo/a@1.0.1"}]}]},
            {"vulnerability": {"name": "CVE-2027-2"}, "status": "not_affected",
             "justification": "vulnerable_code_not_present"}]});
        let read = super::read(&open).unwrap();
        assert_eq!(read[0].ids, ["CVE-2027-1", "GHSA-x"]);
        assert_eq!(
            (read[0].status, &read[0].components[..]),
            (Status::Fixed, &["pkg:cargo/a".to_owned()][..])
        );
        assert_eq!(read[1].status, Status::NotAffected);
        let cyclone = json!({"bomFormat": "CycloneDX", "specVersion": "1.6",
            "components": [{"type": "library", "bom-ref": "r", "name": "a", "purl": "pkg:cargo/a@1.0.1"}],
            "vulnerabilities": [{"id": "CVE-2027-1", "analysis": {"state": "resolved"}, "affects": [{"ref": "r"}]},
                {"id": "CVE-2027-3", "analysis": {"state": "not_affected"}}]});
        let read = super::read(&cyclone).unwrap();
        assert_eq!(
            (read[0].status, &read[0].components[..]),
            (Status::Fixed, &["pkg:cargo/a".to_owned()][..])
        );
        assert_eq!(read[1].status, Status::UnderInvestigation, "a claim without a reason");
    }

    #[test]
    fn a_claim_without_a_reason_is_refused() {
        let open = json!({"@context": "https://openvex.dev/ns/v0.2.0", "statements": [
            {"vulnerability": {"name": "CVE-2027-2"}, "status": "not_affected"}]});
        assert!(super::read(&open).is_err());
        assert!(super::read(&json!({"hello": 1})).is_err());
    }
}
