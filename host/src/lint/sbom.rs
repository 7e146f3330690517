//! Bills of materials: CycloneDX 1.4 to 1.7, SPDX 2.3 and 3.0, as JSON; and their checks.

use super::Answer::{Fail, Pass};
use super::release::{broken, lacks};
use super::semver::Step;
use super::versions::Scheme;
use super::{Answer, Case, advisory};
use crate::error::Result;
use crate::output::plural;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a bill of materials says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sbom {
    /// Its format and version.
    pub(super) format: String,
    /// Digests of what it describes, in lower-case hex.
    pub(super) digests: BTreeSet<String>,
    /// Components by package URL without version, or by name; their versions.
    pub(super) components: BTreeMap<String, BTreeSet<String>>,
    /// What is said of the bytes of a component's version, and of where they came from: by kind, digests or addresses.
    bytes: BTreeMap<[String; 3], BTreeSet<String>>,
}

/// A package URL without version, qualifiers and subpath.
pub(super) fn key_of(purl: &str) -> String {
    let purl = purl.split(['?', '#']).next().unwrap_or(purl);
    // A scoped npm name begins with `@`, written `%40`; a version follows the last `@` after the last `/`.
    let name = purl.rfind('/').map_or(0, |at| at + 1);
    let end = purl[name..].find('@').map_or(purl.len(), |at| name + at);
    purl[..end].to_lowercase()
}

fn words<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

impl Sbom {
    /// Reads a document of any of the formats.
    ///
    /// # Errors
    /// `malformed`: what it lacks.
    pub(super) fn read(document: &Value) -> Result<Self> {
        if words(document, "bomFormat") == "CycloneDX" {
            return Self::cyclone(document);
        }
        if words(document, "spdxVersion").starts_with("SPDX-2.") {
            return Self::spdx2(document);
        }
        let context = words(document, "@context");
        if context.starts_with("https://spdx.org/rdf/3.0") {
            return Self::spdx3(document);
        }
        Err(broken("is neither CycloneDX nor SPDX, as JSON"))
    }

    fn add<'h>(
        &mut self,
        purl: &'h str,
        name: String,
        version: &str,
        hashes: impl Iterator<Item = (&'h str, &'h str)>,
    ) -> Result<()> {
        let key = if purl.is_empty() { name.to_lowercase() } else { key_of(purl) };
        if key.is_empty() {
            return Err(broken("has a component without a name"));
        }
        let origin =
            purl.split('#').next().and_then(|purl| purl.split_once('?')).map_or("", |(_, rest)| rest);
        let origin = origin.split('&').filter_map(|pair| pair.split_once('='));
        let origin = origin.filter(|(key, _)| matches!(*key, "repository_url" | "vcs_url" | "download_url"));
        for (kind, value) in origin.chain(hashes.filter(|(_, value)| !value.is_empty())) {
            let of = [key.clone(), version.to_owned(), kind.to_ascii_lowercase().replace('-', "")];
            self.bytes.entry(of).or_default().insert(value.to_lowercase());
        }
        self.components.entry(key).or_default().insert(version.to_owned());
        Ok(())
    }

    fn cyclone(document: &Value) -> Result<Self> {
        let version = words(document, "specVersion");
        if !matches!(version, "1.4" | "1.5" | "1.6" | "1.7") {
            return Err(broken(format!("is CycloneDX {version}, and 1.4 to 1.7 are read")));
        }
        let mut sbom = Self { format: format!("CycloneDX {version}"), ..Self::default() };
        let root = &document["metadata"]["component"];
        for hash in items(root, "hashes").filter(|h| matches!(words(h, "alg"), "SHA-256" | "SHA-512")) {
            sbom.digests.insert(words(hash, "content").to_lowercase());
        }
        // A component may hold others, as deep as JSON goes.
        let mut pending: Vec<&Value> =
            items(document, "components").chain(items(root, "components")).collect();
        while let Some(component) = pending.pop() {
            pending.extend(items(component, "components"));
            let group = words(component, "group");
            let name = words(component, "name");
            let full =
                if group.is_empty() || name.is_empty() { name.to_owned() } else { format!("{group}/{name}") };
            let hashes = items(component, "hashes").map(|hash| (words(hash, "alg"), words(hash, "content")));
            sbom.add(words(component, "purl"), full, words(component, "version"), hashes)?;
        }
        Ok(sbom)
    }

    fn spdx2(document: &Value) -> Result<Self> {
        let version = words(document, "spdxVersion");
        if version != "SPDX-2.3" {
            return Err(broken(format!("is {version}, and SPDX-2.3 and 3.0 are read")));
        }
        let mut sbom = Self { format: "SPDX 2.3".into(), ..Self::default() };
        let described: BTreeSet<&str> = items(document, "documentDescribes")
            .filter_map(Value::as_str)
            .chain(items(document, "relationships").filter_map(|relation| {
                let describes = words(relation, "relationshipType") == "DESCRIBES";
                describes.then(|| words(relation, "relatedSpdxElement"))
            }))
            .collect();
        let sums = |of: &Value| -> Vec<String> {
            let wanted = |sum: &&Value| matches!(words(sum, "algorithm"), "SHA256" | "SHA512");
            items(of, "checksums").filter(wanted).map(|s| words(s, "checksumValue").to_lowercase()).collect()
        };
        for file in items(document, "files").filter(|f| described.contains(words(f, "SPDXID"))) {
            sbom.digests.extend(sums(file));
        }
        for package in items(document, "packages") {
            if described.contains(words(package, "SPDXID")) {
                sbom.digests.extend(sums(package));
                continue;
            }
            let purl = items(package, "externalRefs").find(|r| words(r, "referenceType") == "purl");
            let purl = purl.map(|r| words(r, "referenceLocator")).unwrap_or_default();
            let sums = items(package, "checksums");
            let sums = sums.map(|sum| (words(sum, "algorithm"), words(sum, "checksumValue")));
            sbom.add(purl, words(package, "name").to_owned(), words(package, "versionInfo"), sums)?;
        }
        Ok(sbom)
    }

    fn spdx3(document: &Value) -> Result<Self> {
        let mut sbom = Self { format: "SPDX 3.0".into(), ..Self::default() };
        let id = |element: &'_ Value| -> String {
            element["spdxId"].as_str().or_else(|| element["@id"].as_str()).unwrap_or_default().to_owned()
        };
        let kind = |element: &Value| {
            element["type"].as_str().or_else(|| element["@type"].as_str()).unwrap_or_default().to_owned()
        };
        let mut roots = BTreeSet::new();
        for element in items(document, "@graph") {
            if matches!(&*kind(element), "SpdxDocument" | "software_Sbom") {
                roots.extend(items(element, "rootElement").filter_map(Value::as_str).map(str::to_owned));
            }
        }
        for element in items(document, "@graph") {
            let kind = kind(element);
            if !matches!(&*kind, "software_Package" | "software_File") {
                continue;
            }
            if roots.contains(&id(element)) {
                let hashes = items(element, "verifiedUsing")
                    .filter(|hash| matches!(words(hash, "algorithm"), "sha256" | "sha512"));
                sbom.digests.extend(hashes.map(|hash| words(hash, "hashValue").to_lowercase()));
            } else if kind == "software_Package" {
                let name = words(element, "name").to_owned();
                sbom.add(
                    words(element, "software_packageUrl"),
                    name,
                    words(element, "software_packageVersion"),
                    items(element, "verifiedUsing")
                        .map(|hash| (words(hash, "algorithm"), words(hash, "hashValue"))),
                )?;
            }
        }
        Ok(sbom)
    }
}

fn read(case: &Case<'_>, path: &Path) -> Result<Sbom> {
    Sbom::read(&case.json(path)?).map_err(|e| e.at(path.display()))
}

/// Both, of base and patch.
fn both(case: &Case<'_>) -> Result<std::result::Result<(Sbom, Sbom), Answer>> {
    let pair = match lacks(&case.change.sbom, "sbom") {
        Ok(pair) => pair,
        Err(answer) => return Ok(Err(answer)),
    };
    Ok(Ok((read(case, &pair.base)?, read(case, &pair.patch)?)))
}

/// SHA-512, as BSI TR-03183-2 asks for.
fn long_digest(bytes: &[u8]) -> String {
    crate::hex::write(&Sha512::digest(bytes))
}

/// 13: the bill of materials is valid and names the image's digest.
pub(super) fn valid(case: &Case<'_>) -> Result<Answer> {
    let (old, sbom) = match both(case)? {
        Ok(both) => both,
        Err(answer) => return Ok(answer),
    };
    case.keep("format", sbom.format.clone());
    case.keep("components", sbom.components.len());
    if sbom.components.is_empty() {
        return Ok(Fail(format!("{} names no component", sbom.format)));
    }
    // The base's is what the patch's is compared with: it has to be of the base.
    let manifest = case.base.manifest()?;
    let known =
        manifest.components.iter().flat_map(|c| c.images.iter()).map(|image| image.digest.to_string());
    let carried = case.base.images()?.into_iter().map(|image| long_digest(&image.bytes));
    if !known.chain(carried).any(|digest| old.digests.contains(&digest)) {
        return Ok(Fail("the base's SBOM doesn't name the base's image".into()));
    }
    for image in &case.images {
        let short = crate::bundle::sha256(&image.bytes).to_string();
        if !sbom.digests.contains(&short) && !sbom.digests.contains(&long_digest(&image.bytes)) {
            return Ok(Fail(format!("the SBOM doesn't name the image {}…", &short[..12])));
        }
    }
    Ok(Pass(format!("{}, {}", sbom.format, plural(sbom.components.len() as u64, "component"))))
}

/// 14: no component was added, removed or renamed.
pub(super) fn components(case: &Case<'_>) -> Result<Answer> {
    let (old, new) = match both(case)? {
        Ok(both) => both,
        Err(answer) => return Ok(answer),
    };
    let only = |a: &Sbom, b: &Sbom| -> Vec<String> {
        a.components.keys().filter(|key| !b.components.contains_key(*key)).cloned().collect()
    };
    let (added, removed) = (only(&new, &old), only(&old, &new));
    case.keep("added", added.clone());
    case.keep("removed", removed.clone());
    let mut told = Vec::new();
    told.extend((!added.is_empty()).then(|| format!("added: {}", added.join(", "))));
    told.extend((!removed.is_empty()).then(|| format!("removed: {}", removed.join(", "))));
    if told.is_empty() {
        Ok(Pass(format!("the same {}", plural(new.components.len() as u64, "component"))))
    } else {
        Ok(Fail(told.join("; ")))
    }
}

/// Components whose versions changed: key, old, new.
fn moved(old: &Sbom, new: &Sbom) -> Vec<(String, BTreeSet<String>, BTreeSet<String>)> {
    let both =
        new.components.iter().filter_map(|(key, versions)| Some((key, old.components.get(key)?, versions)));
    both.filter(|(_, old, new)| old != new).map(|(k, o, n)| (k.clone(), o.clone(), n.clone())).collect()
}

/// Components of a version that both have, with other bytes or from elsewhere: key, version, in which of them.
fn swapped(old: &Sbom, new: &Sbom) -> Vec<[String; 3]> {
    let both = new.bytes.iter().filter_map(|(of, values)| Some((of, old.bytes.get(of)?, values)));
    both.filter(|(_, old, new)| old != new).map(|(of, ..)| of.clone()).collect()
}

fn join(versions: &BTreeSet<String>) -> String {
    versions.iter().map(String::as_str).collect::<Vec<_>>().join("+")
}

/// 15: a component's version changed only where an advisory or VEX names it.
pub(super) fn versions(case: &Case<'_>) -> Result<Answer> {
    let (old, new) = match both(case)? {
        Ok(both) => both,
        Err(answer) => return Ok(answer),
    };
    let (moved, swapped) = (moved(&old, &new), swapped(&old, &new));
    if moved.is_empty() && swapped.is_empty() {
        case.keep("moved", Vec::<Value>::new());
        return Ok(Pass("no version changed".into()));
    }
    let named = advisory::components(case)?;
    let rows = moved.iter().map(
        |(key, old, new)| json!({ "component": key, "was": old, "is": new, "named": named.contains(key) }),
    );
    case.keep("moved", rows.collect::<Vec<_>>());
    let told = |(key, old, new): &(String, BTreeSet<String>, BTreeSet<String>)| {
        format!("{key} {} to {}", join(old), join(new))
    };
    let other = |[key, version, kind]: &[String; 3]| format!("{key} {version} with another {kind}");
    let unnamed = moved.iter().filter(|(key, ..)| !named.contains(key)).map(told);
    let unnamed = unnamed.chain(swapped.iter().filter(|[key, ..]| !named.contains(key)).map(other));
    let unnamed: Vec<String> = unnamed.collect();
    if unnamed.is_empty() {
        let all = moved.iter().map(told).chain(swapped.iter().map(other));
        return Ok(Pass(all.collect::<Vec<_>>().join(", ")));
    }
    Ok(Fail(format!("no advisory or VEX names {}", unnamed.join(", "))))
}

/// 16: a component's version moved within its semantic patch level.
pub(super) fn semver(case: &Case<'_>) -> Result<Answer> {
    let (old, new) = match both(case)? {
        Ok(both) => both,
        Err(answer) => return Ok(answer),
    };
    let moved = moved(&old, &new);
    let far = moved.iter().filter_map(|(key, old, new)| {
        let single =
            |versions: &BTreeSet<String>| versions.iter().next().filter(|_| versions.len() == 1).cloned();
        let scheme = Scheme::of(key);
        let step = match (single(old), single(new)) {
            (Some(old), Some(new)) => scheme.step(&old, &new),
            _ => Step::Unknown,
        };
        let why = match step {
            Step::Patch => return None,
            Step::More => "moves more than its patch level".to_owned(),
            Step::Unknown => format!("has no {} versions", scheme.name()),
        };
        Some(format!("{key} ({} to {}) {why}", join(old), join(new)))
    });
    let far: Vec<String> = far.collect();
    if far.is_empty() {
        return Ok(Pass(format!("{} moved, each by its patch level", plural(moved.len() as u64, "version"))));
    }
    Ok(Fail(far.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_gives_the_same() {
        let components: BTreeMap<String, BTreeSet<String>> = [
            ("pkg:cargo/a".to_owned(), ["1.0.0".to_owned()].into()),
            ("b".to_owned(), ["2".to_owned()].into()),
        ]
        .into();
        let digests: BTreeSet<String> = ["ab12".to_owned()].into();
        let documents = [
            json!({"bomFormat": "CycloneDX", "specVersion": "1.7",
                "metadata": {"component": {"type": "firmware", "name": "pump",
                    "hashes": [{"alg": "SHA-256", "content": "AB12"}, {"alg": "MD5", "content": "00"}]}},
                "components": [{"type": "library", "name": "a", "version": "1.0.0", "purl": "pkg:cargo/a@1.0.0?x=1",
                    "components": [{"type": "library", "name": "b", "version": "2"}]}]}),
            json!({"spdxVersion": "SPDX-2.3", "documentDescribes": ["SPDXRef-pump"], "packages": [
                {"SPDXID": "SPDXRef-pump", "name": "pump", "checksums": [{"algorithm": "SHA256", "checksumValue": "ab12"}]},
                {"SPDXID": "SPDXRef-a", "name": "a", "versionInfo": "1.0.0",
                 "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:cargo/a@1.0.0"}]},
                {"SPDXID": "SPDXRef-b", "name": "b", "versionInfo": "2"}]}),
            json!({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [
                {"type": "software_Sbom", "spdxId": "s", "rootElement": ["p"]},
                {"type": "software_Package", "spdxId": "p", "name": "pump",
                 "verifiedUsing": [{"type": "Hash", "algorithm": "sha256", "hashValue": "ab12"}]},
                {"type": "software_Package", "spdxId": "a", "name": "a", "software_packageVersion": "1.0.0",
                 "software_packageUrl": "pkg:cargo/a@1.0.0"},
                {"type": "software_Package", "spdxId": "b", "name": "b", "software_packageVersion": "2"}]}),
        ];
        for document in documents {
            let sbom = Sbom::read(&document).unwrap();
            assert_eq!((&sbom.components, &sbom.digests), (&components, &digests), "{}", sbom.format);
        }
    }

    #[test]
    fn other_versions_are_refused_and_not_guessed() {
        for document in [
            json!({"bomFormat": "CycloneDX", "specVersion": "1.3"}),
            json!({"bomFormat": "CycloneDX", "specVersion": "2.0"}),
            json!({"spdxVersion": "SPDX-2.2"}),
            json!({"@context": "https://spdx.org/rdf/4.0/x"}),
            json!([]),
        ] {
            assert!(Sbom::read(&document).is_err(), "{document}");
        }
    }

    #[test]
    fn a_package_url_loses_its_version_only() {
        assert_eq!(key_of("pkg:npm/%40scope/name@1.2.3?arch=x#sub"), "pkg:npm/%40scope/name");
        assert_eq!(key_of("pkg:cargo/A@1"), "pkg:cargo/a");
        assert_eq!(key_of("pkg:generic/x"), "pkg:generic/x");
    }
}
