//! What a customer gets of a release's files: what was shipped, what was signed, and what is written for customers.
//!
//! What stays with the vendor isn't listed by its digest either: short files can be guessed. The findings name all of it
//! under a salt, and the evidence names the findings; so an assessor can tell later that a file is the one that was
//! judged. Entries of the ledger are the vendor's own notes: of these a customer gets what is about releases.

use super::broken;
use super::index::{Audience, Role};
use super::write::File;
use crate::bundle::Bundle;
use crate::error::Result;
use crate::ledger::entry::{Advisory, Head, Line, Name, Release, Seal};
use crate::ledger::{self, Entry, write};
use crate::root::Root;
use std::collections::BTreeSet;
use std::path::Path;

/// What the findings are called, wherever they lay.
pub const FINDINGS: &str = "findings";

/// True if a file isn't in a customer's archive at all.
pub(super) fn kept_back(file: &File) -> bool {
    // A seal names every entry of the ledger: advisories under embargo, too.
    let seal = file.role == Role::Ledger && file.name.starts_with(&format!("{}/", Seal::FOLDER));
    seal || (Audience::Customer.lacks(file.role) && file.role != Role::Findings)
}

/// The files of a customer's archive, each by a name that says nothing of where it lay.
///
/// # Errors
/// Those of bundles and of the ledger's entries.
pub(super) fn files(all: &[File]) -> Result<Vec<File>> {
    let lines = released(all)?;
    let mut kept = Vec::new();
    for file in all.iter().filter(|file| !kept_back(file)) {
        kept.extend(match file.role {
            Role::Ledger => entry(file, &lines)?,
            role => Some(File { name: name(role, &file.name, &file.bytes)?, ..file.clone() }),
        });
    }
    Ok(kept)
}

/// What a file is called for customers.
///
/// # Errors
/// `malformed` for a base that is no bundle.
pub fn name(role: Role, name: &str, bytes: &[u8]) -> Result<String> {
    Ok(match role {
        Role::Findings => FINDINGS.into(),
        Role::Base => Bundle::parse(bytes.to_vec())?.manifest()?.version.to_string(),
        Role::Root => format!("root {}", Root::parse(bytes)?.document()?.version),
        // Its own id is in it.
        Role::Advisory => "advisory".into(),
        Role::EvidenceBefore | Role::EvidenceAfter | Role::Bundle => {
            Path::new(name).file_name().unwrap_or_default().to_string_lossy().into_owned()
        }
        _ => name.to_owned(),
    })
}

/// Baselines with a release: of others nobody was told yet.
fn released(all: &[File]) -> Result<BTreeSet<Name>> {
    let inside = format!("{}/", Release::FOLDER);
    let releases = all.iter().filter(|file| file.role == Role::Ledger && file.name.starts_with(&inside));
    releases.map(|file| Ok(ledger::parse::<Release>(&file.bytes)?.baseline)).collect()
}

/// True of an address that anyone can look at.
pub(crate) fn public(address: &str) -> bool {
    address.starts_with("https://") || address.starts_with("http://")
}

/// An entry of the ledger without comments and files of the vendor's; nothing, if it is about what wasn't released.
fn entry(file: &File, lines: &BTreeSet<Name>) -> Result<Option<File>> {
    let at = |e: crate::Error| e.at(crate::output::plain(&file.name));
    let folder = file.name.split_once('/').map_or("", |(folder, _)| folder);
    let text = match folder {
        Advisory::FOLDER => {
            let mut entry: Advisory = ledger::parse(&file.bytes).map_err(at)?;
            for list in [&mut entry.csaf, &mut entry.vex, &mut entry.upstream] {
                list.retain(|address| public(address));
            }
            entry.affects.retain(|name, _| lines.contains(name));
            write::advisory(&entry)
        }
        Line::FOLDER => {
            let entry: Line = ledger::parse(&file.bytes).map_err(at)?;
            if !lines.contains(&entry.baseline) {
                return Ok(None);
            }
            write::line(&Line { inventory: None, ..entry })
        }
        "" if file.name == ledger::NAME => write::head(&ledger::parse::<Head>(&file.bytes).map_err(at)?),
        // Written by a program, never by hand; named by what they say.
        "releases" | "settlements" => return Ok(Some(file.clone())),
        _ => return Err(at(broken("is no entry of a ledger"))),
    };
    Ok(Some(File { bytes: text.into_bytes(), ..file.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> File {
        File { role: Role::Ledger, name: name.into(), bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn of_the_ledger_a_customer_gets_what_is_about_releases() {
        let hex = "0".repeat(64);
        let release = format!(
            "format = 1\nbaseline = \"4.1\"\nlevel = 8\nlane = \"security\"\nbundle = \"p.plb\"\nbundle_sha256 = \"{hex}\"\n\
             manifest_sha256 = \"{hex}\"\nfull = true\nhardware = [1]\nissued = 2027-01-15T08:00:00Z\nroot = 1\nimage = []\n"
        );
        let line = |name: &str| {
            format!(
                "# to Bob\nformat = 1\nbaseline = \"{name}\"\nname = \"n\"\nsupport_end = 2032-12-31\n\n[inventory]\nfile = \"secret.toml\"\nsha256 = \"{hex}\"\n"
            )
        };
        let advisory = "# embargo: Bob\nformat = 1\nid = \"CVE-1\"\ntitle = \"t\"\nseverity = \"high\"\ncsaf = [\"secret.json\", \
                        \"https://example.com/a\"]\n\n[affects.\"4.1\"]\nstatus = \"affected\"\n\n[affects.\"9.9\"]\nstatus = \"affected\"\n";
        let all = [
            file("ledger.toml", "# secret\nformat = 1\nvendor = \"example.com\"\nclass = \"pump\"\n"),
            file("advisories/CVE-1.toml", advisory),
            file("baselines/4.1.toml", &line("4.1")),
            file("baselines/9.9.toml", &line("9.9")),
            file("releases/4.1-s8-security-x.toml", &release),
            file("seals/0001-x.toml", "secret"),
            File { role: Role::Change, ..file("secret/change.toml", "secret") },
            File { role: Role::Advisory, ..file("secret/csaf.json", "{}") },
        ];
        let kept = files(&all).unwrap();
        let names: Vec<&str> = kept.iter().map(|file| &file.name[..]).collect();
        assert_eq!(
            names,
            [
                "ledger.toml",
                "advisories/CVE-1.toml",
                "baselines/4.1.toml",
                "releases/4.1-s8-security-x.toml",
                "advisory"
            ]
        );
        let text: String = kept.iter().map(|file| String::from_utf8(file.bytes.clone()).unwrap()).collect();
        for secret in ["secret", "Bob", "9.9"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(text.contains("https://example.com/a") && text.contains("affects.\"4.1\""));
        assert!(files(&[file("strange/x.toml", "")]).is_err());
    }
}
