//! Requirement catalogues: which clause of which text a check serves. They are data; anyone can add one.

use crate::bundle::sha256;
use crate::error::{Code, Error, Result};
use crate::explain::{explain, meant};
use crate::files;
use patchlane_protocol::Digest;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

/// A catalogue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    format: u16,
    /// Its short name.
    pub name: String,
    /// The text that its clauses are from.
    pub title: String,
    /// What can be said of its sources.
    pub source: String,
    /// Its clauses.
    #[serde(rename = "clause", default)]
    pub clauses: Vec<Clause>,
    /// SHA-256 of the file.
    #[serde(skip, default = "nothing")]
    pub digest: Digest,
}

/// The text of one that comes with patchlane, by its digest.
pub(crate) fn own(digest: &Digest) -> Option<&'static str> {
    OWN.iter().map(|(_, text)| *text).find(|text| sha256(text.as_bytes()) == *digest)
}

const fn nothing() -> Digest {
    Digest([0; 32])
}

/// A clause.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// Its id in the text.
    pub id: String,
    /// What it asks for, in our own words.
    pub title: String,
    /// False if the text only recommends it.
    pub required: bool,
    /// True if id and meaning were compared with the text itself.
    pub verified: bool,
    /// The checks that serve it, by number.
    #[serde(default)]
    pub checks: Vec<u8>,
    /// What else serves it: a document, a test, a part of patchlane.
    #[serde(default)]
    pub also: Vec<String>,
}

/// Catalogues that come with patchlane.
const OWN: [(&str, &str); 4] = [
    ("cra", include_str!("../../catalogues/cra.toml")),
    ("iec-62443-4-1-2018", include_str!("../../catalogues/iec-62443-4-1-2018.toml")),
    ("iec-62443-4-2-2019", include_str!("../../catalogues/iec-62443-4-2-2019.toml")),
    ("en-iec-62443-draft", include_str!("../../catalogues/en-iec-62443-draft.toml")),
];

impl Catalogue {
    /// Reads a catalogue.
    ///
    /// # Errors
    /// `config`: line, key, and what was probably meant; a clause that is there twice, a check that doesn't exist.
    pub fn parse(text: &str) -> Result<Self> {
        let mut catalogue: Self = toml::from_str(text).map_err(|e| explain(text, &e))?;
        let wrong = |what: String| Err(Error::new(Code::Config, what, "correct the catalogue"));
        if catalogue.format != 1 {
            return wrong(format!("is a catalogue of format {}, and 1 is read", catalogue.format));
        }
        let mut ids = BTreeSet::new();
        for clause in &catalogue.clauses {
            if !ids.insert(&clause.id) {
                return wrong(format!("clause `{}` is there twice", clause.id));
            }
            if let Some(none) = clause.checks.iter().find(|number| !(1..=30).contains(*number)) {
                return wrong(format!("clause `{}` names check {none}; there are 1 to 30", clause.id));
            }
        }
        catalogue.digest = sha256(text.as_bytes());
        Ok(catalogue)
    }

    /// The one of this name, or the one in this file.
    ///
    /// # Errors
    /// `usage` if there is neither.
    pub fn find(name: &str, folder: &Path) -> Result<Self> {
        if let Some((_, text)) = OWN.iter().find(|(own, _)| *own == name) {
            return Self::parse(text);
        }
        let path = folder.join(name);
        if path.is_file() {
            return Self::parse(&files::read_text(&path)?).map_err(|e| e.at(path.display()));
        }
        let next = format!("{}; or name a file", meant(name, &OWN.map(|(own, _)| own)));
        Err(Error::new(Code::Usage, format!("there is no catalogue `{name}`"), next))
    }

    /// The clauses that a check serves.
    pub fn serving(&self, check: u8) -> impl Iterator<Item = &Clause> {
        self.clauses.iter().filter(move |clause| clause.checks.contains(&check))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_are_sound_and_every_check_serves_a_clause_of_the_cra() {
        let all: Vec<Catalogue> = OWN.iter().map(|(_, text)| Catalogue::parse(text).unwrap()).collect();
        for ((name, _), catalogue) in OWN.iter().zip(&all) {
            assert_eq!(*name, catalogue.name);
            for clause in &catalogue.clauses {
                assert!(
                    !clause.checks.is_empty() || !clause.also.is_empty(),
                    "{name}: {} is served by nothing",
                    clause.id
                );
            }
        }
        for number in 1..=30 {
            assert!(all[0].serving(number).next().is_some(), "check {number}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_catalogue_is_said() {
        let head = "format = 1\nname = \"x\"\ntitle = \"X\"\nsource = \"none\"\n";
        let clause =
            "[[clause]]\nid = \"1\"\ntitle = \"a\"\nrequired = true\nverified = false\nchecks = [1]\n";
        assert!(Catalogue::parse(&format!("{head}{clause}")).is_ok());
        for wrong in [
            format!("{head}{clause}{clause}"),
            format!("{head}{}", clause.replace("[1]", "[31]")),
            format!("{head}{}", clause.replace("[1]", "[0]")),
            head.replace("= 1", "= 2"),
            format!("{head}colour = 1\n"),
        ] {
            assert!(Catalogue::parse(&wrong).is_err(), "{wrong}");
        }
        assert!(Catalogue::find("cra", Path::new(".")).is_ok());
        assert!(Catalogue::find("crab", Path::new(".")).unwrap_err().next.contains("did you mean `cra`"));
    }
}
