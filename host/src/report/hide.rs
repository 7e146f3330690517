//! What a customer doesn't see: source paths, commits, names of functions and files, what a build is made of.
//!
//! Each such text is replaced by a digest, so that it can be compared later. Short names could be guessed from a plain
//! digest; so the digest of the evidence's bytes goes in first, under a name of its own. Whoever has the archive can
//! make the same digests; the manifest, which names the evidence by its plain digest, doesn't help to.

use super::dossier::Input;
use crate::bundle::sha256;
use patchlane_protocol::Digest;

/// What stands before a digest in the place of a text.
pub(super) const MARK: &str = "redacted:";
const DOMAIN: &[u8] = b"patchlane report redaction 1\n";

/// Shows everything, or hides what is confidential.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hider(Option<Digest>);

impl Hider {
    /// For the assessor.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// For a customer; the secret is the evidence.
    pub(super) fn by(evidence: &[u8]) -> Self {
        Self(Some(sha256(&[DOMAIN, evidence].concat())))
    }

    /// True if confidential texts are hidden.
    pub(super) const fn hides(&self) -> bool {
        self.0.is_some()
    }

    /// A confidential text, or its digest.
    pub(super) fn text(&self, text: &str) -> String {
        match &self.0 {
            Some(salt) if !text.is_empty() => {
                format!("{MARK}{}", sha256(&[&salt.0, text.as_bytes()].concat()))
            }
            _ => text.to_owned(),
        }
    }

    /// The same of several.
    pub(super) fn texts<T: AsRef<str>>(&self, texts: impl IntoIterator<Item = T>) -> Vec<String> {
        texts.into_iter().map(|text| self.text(text.as_ref())).collect()
    }

    /// The same, unless it is an address that anyone can look at.
    pub(super) fn address(&self, text: &str) -> String {
        if text.starts_with("https://") || text.starts_with("http://") {
            text.to_owned()
        } else {
            self.text(text)
        }
    }

    /// A file: its name is confidential, its digest isn't.
    pub(super) fn input(&self, name: &str, sha256: &str) -> Input {
        Input { name: self.text(name), sha256: sha256.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_nothing_without_the_evidence() {
        let (hider, other) = (Hider::by(b"evidence"), Hider::by(b"other"));
        let hidden = hider.text("handle_read");
        assert_eq!(hidden, hider.text("handle_read"));
        assert_ne!(hidden, other.text("handle_read"));
        assert_ne!(hidden, format!("{MARK}{}", sha256(b"handle_read")));
        assert!(hidden.starts_with(MARK) && hidden.len() == MARK.len() + 64);
        assert_eq!(hider.address("https://example.com/a"), "https://example.com/a");
        assert_ne!(hider.address("csaf/a.json"), "csaf/a.json");
        assert_eq!(Hider::none().text("handle_read"), "handle_read");
        assert_eq!(hider.text(""), "");
    }
}
