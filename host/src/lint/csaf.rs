//! CSAF 2.0 (ISO/IEC 20153:2025) and 2.1 security advisories: the fields that a release is compared with.

use super::release::broken;
use super::sbom::key_of;
use crate::error::Result;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A product of the document's tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Product {
    /// Names of the branches above it, and its own.
    names: Vec<String>,
    /// Its package URL without version, if it has one.
    component: Option<String>,
    /// The products that it is put together from.
    parts: Vec<String>,
}

/// An advisory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Csaf {
    /// The document's id.
    pub(super) id: String,
    products: BTreeMap<String, Product>,
    /// Each vulnerability: its ids, and the products in which it is fixed.
    vulnerabilities: Vec<(BTreeSet<String>, Vec<String>)>,
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.trim().is_empty())
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// What every CSAF document has (CSAF 2.0 §3.2.1).
const MANDATORY: [&str; 10] = [
    "/document/category",
    "/document/publisher/category",
    "/document/publisher/name",
    "/document/publisher/namespace",
    "/document/title",
    "/document/tracking/id",
    "/document/tracking/status",
    "/document/tracking/version",
    "/document/tracking/initial_release_date",
    "/document/tracking/current_release_date",
];

impl Csaf {
    /// Reads a document.
    ///
    /// # Errors
    /// `malformed`: what it lacks.
    pub(super) fn read(document: &Value) -> Result<Self> {
        match text(document, "/document/csaf_version") {
            Some("2.0" | "2.1") => {}
            Some(other) => return Err(broken(format!("is CSAF {other}, and 2.0 and 2.1 are read"))),
            None => return Err(broken("is no CSAF document: /document/csaf_version is missing")),
        }
        if let Some(lacking) = MANDATORY.iter().find(|pointer| text(document, pointer).is_none()) {
            return Err(broken(format!("is no valid CSAF document: {lacking} is missing")));
        }
        if list(document, "/document/tracking/revision_history").next().is_none() {
            return Err(broken("is no valid CSAF document: its revision history is empty"));
        }
        match text(document, "/document/tracking/status") {
            Some("final" | "interim") => {}
            _ => return Err(broken("is a draft: publish it, or state an embargo")),
        }
        // CSAF 2.1 §4.6 and §4.7.
        if let Some(what @ ("csaf_withdrawn" | "csaf_superseded")) = text(document, "/document/category") {
            return Err(broken(format!("is no advisory any more: its category is {what}")));
        }
        let mut csaf = Self {
            id: text(document, "/document/tracking/id").unwrap_or_default().to_owned(),
            products: BTreeMap::new(),
            vulnerabilities: Vec::new(),
        };
        csaf.branches(document.pointer("/product_tree").unwrap_or(&Value::Null), &[], 0)?;
        csaf.relationships(document);
        for vulnerability in list(document, "/vulnerabilities") {
            let ids = text(vulnerability, "/cve").into_iter();
            let others = list(vulnerability, "/ids").filter_map(|id| text(id, "/text"));
            let ids = ids.chain(others).map(str::to_owned).collect();
            let fixed = ["/product_status/fixed", "/product_status/first_fixed"];
            let fixed = fixed.iter().flat_map(|at| list(vulnerability, at)).filter_map(Value::as_str);
            let fixed: Vec<String> = fixed.map(str::to_owned).collect();
            let still = [
                "/product_status/known_affected",
                "/product_status/first_affected",
                "/product_status/last_affected",
            ];
            let mut still = still.iter().flat_map(|at| list(vulnerability, at)).filter_map(Value::as_str);
            // CSAF §6.1.6.
            if let Some(product) = still.find(|product| fixed.iter().any(|other| other == product)) {
                return Err(broken(format!("says that {product} is fixed, and that it is affected")));
            }
            csaf.vulnerabilities.push((ids, fixed));
        }
        Ok(csaf)
    }

    fn add(&mut self, product: &Value, names: &[String]) {
        let Some(id) = text(product, "/product_id") else { return };
        let mut names = names.to_vec();
        names.extend(text(product, "/name").map(str::to_owned));
        // CSAF 2.0 has one package URL, 2.1 a list of them.
        let helper = product.pointer("/product_identification_helper").unwrap_or(&Value::Null);
        let purl = text(helper, "/purl").or_else(|| list(helper, "/purls").find_map(Value::as_str));
        let new = Product { names, component: purl.map(key_of), parts: Vec::new() };
        self.products.insert(id.to_owned(), new);
    }

    fn branches(&mut self, node: &Value, names: &[String], depth: usize) -> Result<()> {
        // The deepest real tree has six kinds of branches; serde_json stops at 128 levels.
        if depth > 32 {
            return Err(broken("has a product tree of more than 32 levels"));
        }
        for product in list(node, "/full_product_names") {
            self.add(product, names);
        }
        for branch in list(node, "/branches") {
            let mut names = names.to_vec();
            names.extend(text(branch, "/name").map(str::to_owned));
            if let Some(product) = branch.get("product") {
                self.add(product, &names);
            }
            self.branches(branch, &names, depth + 1)?;
        }
        Ok(())
    }

    fn relationships(&mut self, document: &Value) {
        for relation in list(document, "/product_tree/relationships") {
            let named = |pointer| text(relation, pointer).map(str::to_owned);
            let parts: Vec<String> = [named("/product_reference"), named("/relates_to_product_reference")]
                .into_iter()
                .flatten()
                .collect();
            let names: Vec<String> = parts
                .iter()
                .filter_map(|part| self.products.get(part))
                .flat_map(|product| product.names.clone())
                .collect();
            if let Some(product) = relation.get("full_product_name") {
                self.add(product, &names);
                let whole = text(product, "/product_id").and_then(|id| self.products.get_mut(id));
                whole.into_iter().for_each(|whole| whole.parts.clone_from(&parts));
            }
        }
    }

    /// True if the document says that `id` is fixed in this version of this product.
    pub(super) fn fixes(&self, id: &str, class: &str, version: &str) -> bool {
        self.fixed_in(id).filter_map(|product| self.products.get(product)).any(|product| {
            let about = |wanted: &str| product.names.iter().any(|name| says(name, wanted));
            about(class) && about(version)
        })
    }

    /// True if the document is about this vulnerability at all.
    pub(super) fn names(&self, id: &str) -> bool {
        self.vulnerabilities.iter().any(|(ids, _)| ids.contains(id))
    }

    fn fixed_in<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        let about = self.vulnerabilities.iter().filter(move |(ids, _)| ids.contains(id));
        about.flat_map(|(_, fixed)| fixed).map(String::as_str)
    }

    /// The components that are fixed for this vulnerability, by package URL without version.
    pub(super) fn components(&self, id: &str) -> BTreeSet<String> {
        let fixed: Vec<&str> = self.fixed_in(id).collect();
        let parts = fixed.iter().filter_map(|product| self.products.get(*product));
        let parts: Vec<&str> = parts.flat_map(|product| product.parts.iter().map(String::as_str)).collect();
        let all = fixed.iter().chain(&parts).filter_map(|product| self.products.get(*product));
        all.filter_map(|product| product.component.clone()).collect()
    }
}

/// True if a name holds these words, as words: `pump 4.1 s8` says `4.1 s8`, and `pump 4.1 s80` doesn't.
fn says(name: &str, wanted: &str) -> bool {
    let (name, wanted) = (name.to_lowercase(), wanted.to_lowercase());
    let edge = |c: Option<char>| c.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_')));
    name.match_indices(&wanted).any(|(at, _)| {
        let (before, after) = (&name[..at], &name[at + wanted.len()..]);
        edge(before.chars().next_back()) && edge(after.chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Value {
        json!({
            "document": {
                "category": "csaf_security_advisory", "csaf_version": "2.0", "title": "Bounds check",
                "publisher": {"category": "vendor", "name": "Example", "namespace": "https://example.com"},
                "tracking": {
                    "id": "EX-2027-1", "status": "final", "version": "1",
                    "initial_release_date": "2027-01-02T00:00:00Z", "current_release_date": "2027-01-02T00:00:00Z",
                    "revision_history": [{"number": "1", "date": "2027-01-02T00:00:00Z", "summary": "first"}]
                }
            },
            "product_tree": {
                "branches": [{"category": "vendor", "name": "Example", "branches": [
                    {"category": "product_name", "name": "pump", "branches": [
                        {"category": "product_version", "name": "4.1 s8",
                         "product": {"product_id": "P8", "name": "Example pump 4.1 s8"}}]}]}],
                "full_product_names": [{"product_id": "C", "name": "curve25519-dalek 4.1.3",
                    "product_identification_helper": {"purl": "pkg:cargo/curve25519-dalek@4.1.3"}}],
                "relationships": [{"category": "default_component_of", "product_reference": "C",
                    "relates_to_product_reference": "P8",
                    "full_product_name": {"product_id": "CP8", "name": "curve25519-dalek as part of pump 4.1 s8"}}]
            },
            "vulnerabilities": [{"cve": "CVE-2027-1", "product_status": {"fixed": ["P8", "CP8"]}}]
        })
    }

    #[test]
    fn product_version_and_component_are_found() {
        let csaf = Csaf::read(&document()).unwrap();
        assert!(csaf.fixes("CVE-2027-1", "pump", "4.1 s8"));
        assert!(!csaf.fixes("CVE-2027-1", "pump", "4.1 s9"), "another version");
        assert!(!csaf.fixes("CVE-2027-1", "valve", "4.1 s8"), "another product");
        assert!(!csaf.fixes("CVE-2027-2", "pump", "4.1 s8"), "another vulnerability");
        assert_eq!(csaf.components("CVE-2027-1"), ["pkg:cargo/curve25519-dalek".to_owned()].into());
    }

    #[test]
    fn every_mandatory_field_is_asked_for() {
        for pointer in
            MANDATORY.iter().chain(&["/document/csaf_version", "/document/tracking/revision_history"])
        {
            let mut broken = document();
            *broken.pointer_mut(pointer).unwrap() = json!("");
            assert!(Csaf::read(&broken).is_err(), "{pointer}");
        }
        let mut draft = document();
        draft["document"]["tracking"]["status"] = json!("draft");
        assert!(Csaf::read(&draft).is_err());
    }

    #[test]
    fn a_version_is_compared_as_words() {
        assert!(says("Example pump 4.1 s8", "4.1 s8"));
        assert!(!says("Example pump 4.1 s80", "4.1 s8"));
        assert!(!says("Example pump 14.1 s8", "4.1 s8"));
        assert!(!says("pumpkin 4.1 s8", "pump"));
    }
}
