//! Sections 8, 9, 11 and 12: distribution, assessment, notice, tool.

use super::dossier::*;
use super::source::{Source, items, word};
use crate::archive::{Role as Kind, customer};
use crate::bundle::sha256;
use crate::commands::date;
use crate::commands::describe::{encoding, place};
use crate::error::Result;
use patchlane_protocol::{Manifest, RootDocument, root};
use serde_json::Value;

/// Requirement, what is there by which mechanism, and what the vendor's claim for the whole device hangs on.
const CLAIMS: [(&str, &str, &str, &str); 6] = [
    (
        "EDR 3.10",
        "SL-C 1 and above",
        "updates over a service link, swapped in and tried, with fallback",
        "the bootloader uses the device crate",
    ),
    (
        "EDR 3.10 RE 1",
        "SL-C 2 and above",
        "the whole head is verified before a byte is written; each chunk before it is used",
        "the same",
    ),
    (
        "EDR 3.12",
        "SL-C 2 and above",
        "the supplier's root is provisioned, and rotates by both quorums",
        "the part fences the region of the state; provisioning in the supplier's zone",
    ),
    (
        "EDR 3.13",
        "SL-C 2 and above",
        "an owner's anchor is set by presence, offline, and changes only by owner document",
        "the product offers it: owner policy",
    ),
    (
        "EDR 3.14",
        "SL-C 1 and above",
        "digests are read back from flash at every boot",
        "the bootloader itself can't be written in the field",
    ),
    (
        "EDR 3.14 RE 1",
        "SL-C 2 and above",
        "what boots is verified under the root that admitted it",
        "the part fences the region of the state; not claimed where it can't",
    ),
];

fn role(name: &'static str, role: &root::Role<'_>) -> Role {
    Role {
        role: name,
        threshold: role.threshold(),
        keys: role.keys().iter().map(|key| key.id().to_string()).collect(),
    }
}

fn signers(source: &Source, document: Option<&RootDocument<'_>>) -> Vec<String> {
    let signed = source.bundle.signatures().iter().map(|signature| {
        let of = document.map(|root| {
            let roles = [("security", root.roles.security()), ("feature", root.roles.feature())];
            let found = roles.into_iter().find(|(_, role)| role.key(&signature.key).is_some());
            found.map_or("of no role in this root", |(name, _)| name)
        });
        format!("{} ({})", signature.key, of.unwrap_or("its role isn't known: no root is kept"))
    });
    signed.collect()
}

/// What devices can take.
fn payloads(m: &Manifest<'_>) -> Vec<String> {
    let payloads = m.components.iter().flat_map(|component| {
        let of = |payload: patchlane_protocol::Alternative| {
            let address = component.images.at(usize::from(payload.image)).and_then(|image| image.address);
            let base = payload.base.map_or(String::new(), |base| format!(", from the image {base}"));
            format!("{}, {}: {} bytes{base}", encoding(payload.encoding), place(address), payload.stored())
        };
        component.alternatives.iter().map(of).collect::<Vec<_>>()
    });
    payloads.collect()
}

pub(super) fn distribution(source: &Source) -> Result<Distribution> {
    let m = source.bundle.manifest()?;
    let document = source.root.as_ref().map(|root| root.document()).transpose()?;
    let mut missing = Vec::new();
    if document.is_none() {
        missing.push("no root is in the archive: nothing says which keys had to sign".into());
    }
    let verified = document.as_ref().map(|root| match source.bundle.verify(root, |_| Ok(())) {
        Ok(()) => "verified".to_owned(),
        Err(error) => format!("not verified: {error}"),
    });
    let development = document.as_ref().is_some_and(|root| root.development);
    let claim =
        |(requirement, level, mechanism, condition): (&'static str, &str, &'static str, &'static str)| {
            let provisioned = requirement.starts_with("EDR 3.12") || requirement.starts_with("EDR 3.14 RE");
            let none = development && provisioned;
            Claim {
                requirement,
                claim: if none {
                    "none: this is a development root".into()
                } else {
                    format!("mechanism for {level}")
                },
                mechanism,
                condition,
            }
        };
    Ok(Distribution {
        missing,
        root: document.as_ref().map(|root| root.version),
        development,
        verified,
        roles: document
            .iter()
            .flat_map(|root| {
                let roles = root.roles;
                [
                    role("root", roles.root()),
                    role("security", roles.security()),
                    role("feature", roles.feature()),
                ]
            })
            .collect(),
        signed_by: signers(source, document.as_ref()),
        floor: format!(
            "once {} is confirmed, nothing that handles less is installed, on any baseline",
            m.version
        ),
        ceiling: document
            .as_ref()
            .map(|root| format!("baseline {}, level {}", root.ceilings.feature, root.ceilings.level)),
        payloads: payloads(&m),
        claims: CLAIMS.map(claim).to_vec(),
    })
}

fn question(value: &Value) -> Question {
    Question {
        question: word(value, "question").into(),
        changes: value["changes"] == true,
        why: word(value, "why").into(),
    }
}

pub(super) fn assessment(source: &Source) -> Assessment {
    let (check, data) = (source.check(27), source.data(27));
    let mut missing = source.missing(&[27]);
    let certificate = &data["type_certificate"];
    if source.before.is_ok() && !certificate.is_object() {
        let what = "whether a type certificate needs an addition (CRA Annex VIII) isn't stated: [assessment] type_certificate";
        missing.push(what.into());
    }
    let risk = items(check, "inputs").next();
    Assessment {
        missing,
        questions: items(data, "questions").map(question).collect(),
        risk_assessment: risk
            .map(|input| Input { name: word(input, "name").into(), sha256: word(input, "sha256").into() }),
        result: word(check, "result").into(),
        type_certificate: certificate.is_object().then(|| Question {
            question: "does the type certificate need an addition?".into(),
            ..question(certificate)
        }),
    }
}

pub(super) fn notice(source: &Source) -> Result<Notice> {
    let m = source.bundle.manifest()?;
    let data = source.data(29);
    let mut missing = source.missing(&[29]);
    if source.before.is_ok() && !data["archive"].is_string() {
        missing.push(
            "where the update stays obtainable isn't stated: [notice] archive in the change record".into(),
        );
    }
    if m.support_end == 0 {
        missing.push("the manifest states no end of support".into());
    }
    let parts = [
        ("how to install it", "install"),
        ("what stops meanwhile", "outage"),
        ("what remains for whoever defers it", "residual_risk"),
        ("how to go back", "rollback"),
    ];
    let told = parts
        .iter()
        .filter_map(|(name, key)| Some(((*name).to_owned(), data["notice"][key].as_str()?.to_owned())));
    let index = &source.archive.index;
    Ok(Notice {
        missing,
        told: told.collect(),
        support_end: (m.support_end > 0).then(|| date(m.support_end).chars().take(10).collect()),
        location: data["archive"].as_str().map(str::to_owned),
        // The index of a customer's archive is another than the assessor's.
        archive_sha256: (!source.hides()).then(|| sha256(&source.archive.index_bytes).to_string()),
        files: kept(source)?.len(),
        retain_until: Some(index.retain_until.to_string()),
    })
}

/// The files of the archive; for a customer, those that both an assessor's archive and a customer's have.
fn kept(source: &Source) -> Result<Vec<Kept>> {
    use Kind::{Advisory, Base, Bundle, Catalogue, EvidenceAfter, EvidenceBefore, Key, Root};
    let mut all = Vec::new();
    for entry in &source.archive.index.entries {
        let name = match (source.hides(), entry.role) {
            (false, _) => entry.name.clone(),
            (true, Bundle | Base | Root | Key | EvidenceBefore | EvidenceAfter | Catalogue | Advisory) => {
                customer::name(entry.role, &entry.name, &source.archive.bytes(&entry.sha256)?)?
            }
            (true, _) => continue,
        };
        all.push(Kept { role: entry.role.name(), name, sha256: entry.sha256.to_string() });
    }
    if source.hides() {
        all.sort_by(|a, b| (a.role, &a.name, &a.sha256).cmp(&(b.role, &b.name, &b.sha256)));
        all.dedup();
    }
    Ok(all)
}

pub(super) fn tool(source: &Source) -> Result<Tool> {
    let audience = source.audience.name();
    let command = |what: &str, command: String| (what.to_owned(), command);
    Ok(Tool {
        report: format!("patchlane {}", env!("CARGO_PKG_VERSION")),
        evidence: super::gather::maker(source.predicate()),
        commands: vec![
            command("recompute what can be recomputed, offline", "patchlane verify-evidence ARCHIVE".into()),
            command(
                "make this report again, byte for byte",
                format!("patchlane report ARCHIVE -o REPORT --audience {audience}"),
            ),
            command("without a program of ours", "ARCHIVE/RECHECK.md: sha256sum and openssl".into()),
        ],
        files: kept(source)?,
    })
}
