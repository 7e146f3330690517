//! The evidence report: what an assessor, or a customer, reads of a release.
//!
//! Data flows one way: evidence, archive, report. A report is made of an archive and of nothing else, no clock is asked,
//! and nothing is judged again: the same archive gives the same bytes, and anyone can make it.
//!
//! ```text
//! archive ─source→ Source ─gather, found, rest→ Dossier ─┬─────────────────────────────→ report.json (in-toto)
//!                                                        └─sections, closing→ Page ─┬──→ report.md
//!                                                                                   └──→ report.html
//! ```

mod closing;
pub mod dossier;
mod found;
mod gather;
mod html;
mod lanes;
mod markdown;
mod page;
mod rest;
mod sections;
mod source;

pub use dossier::Dossier;

use crate::archive::{Archive, Audience};
use crate::error::{Code, Error, Result};
use crate::output::steers;
use serde_json::{Value, json};
use source::Source;

/// The kind of statement: host/schema/report.schema.json describes its predicate.
pub const KIND: &str = "https://github.com/patchlane/patchlane/report/v2";

/// What a report can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Format {
    /// An in-toto statement, for programs
    Json,
    /// Markdown
    Md,
    /// One page that needs no network and no script
    Html,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Json, Self::Md, Self::Html];

    /// The file's name.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Json => "report.json",
            Self::Md => "report.md",
            Self::Html => "report.html",
        }
    }
}

/// A report.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it says.
    pub dossier: Dossier,
}

impl Report {
    /// Makes the report of an archive. A customer's is made of what customers get, whichever archive it is made of.
    ///
    /// # Errors
    /// `usage` for an assessor's report of a customer's archive;
    /// `evidence`, `malformed`, `ledger-entry`, `config`: what in the archive can't be read.
    pub fn make(archive: Archive, audience: Audience) -> Result<Self> {
        if (audience, archive.index.audience) == (Audience::Assessor, Audience::Customer) {
            let next = "name the assessor's archive, or say --audience customer";
            let what = "is a customer's archive: an assessor's report says what isn't in it";
            return Err(Error::new(Code::Usage, what, next).at(archive.folder.display()));
        }
        let source = Source::read(archive, audience)?;
        let dossier = Dossier {
            audience: audience.name(),
            verdict: gather::verdict(&source),
            identity: gather::identity(&source)?,
            requirements: gather::requirements(&source),
            vulnerabilities: gather::vulnerabilities(&source)?,
            separation: found::separation(&source),
            build: found::build(&source),
            sbom: found::sbom(&source),
            verification: found::verification(&source),
            distribution: rest::distribution(&source)?,
            assessment: rest::assessment(&source),
            exceptions: gather::exceptions(&source),
            notice: rest::notice(&source)?,
            tool: rest::tool(&source)?,
            lines: gather::lines(&source)?,
            lines_missing: gather::lines_missing(&source),
        };
        Ok(Self { dossier })
    }

    /// How many things its sections say aren't there.
    pub fn missing(&self) -> usize {
        let it = &self.dossier;
        let lists = [
            &it.requirements.missing,
            &it.vulnerabilities.missing,
            &it.separation.missing,
            &it.build.missing,
            &it.sbom.missing,
            &it.verification.missing,
            &it.distribution.missing,
            &it.assessment.missing,
            &it.exceptions.missing,
            &it.notice.missing,
        ];
        lists.into_iter().map(Vec::len).sum::<usize>() + usize::from(it.lines_missing.is_some())
    }

    /// As an in-toto statement about the bundle.
    ///
    /// # Errors
    /// `internal`.
    pub fn statement(&self) -> Result<Value> {
        let identity = &self.dossier.identity;
        let predicate = serde_json::to_value(&self.dossier).map_err(|e| Error::internal(e.to_string()))?;
        Ok(json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                { "name": "bundle", "digest": { "sha256": identity.bundle_sha256 } },
                { "name": "manifest", "digest": { "sha256": identity.to.manifest_sha256 } },
            ],
            "predicateType": KIND,
            "predicate": predicate,
        }))
    }

    /// As a file's text.
    ///
    /// # Errors
    /// `internal`.
    pub fn write(&self, format: Format) -> Result<String> {
        match format {
            Format::Json => {
                let text = crate::evidence::text(&self.statement()?)?;
                // JSON lets control characters above 0x7f through; terminals obey some of them.
                let escaped = |c: char| match c {
                    '\n' => c.to_string(),
                    c if steers(c) => format!("\\u{:04x}", u32::from(c)),
                    c => c.to_string(),
                };
                Ok(text.chars().map(escaped).collect())
            }
            Format::Md => Ok(markdown::write(&closing::page(&self.dossier))),
            Format::Html => Ok(html::write(&closing::page(&self.dossier))),
        }
    }
}
