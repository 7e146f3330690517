//! What went wrong, where, and what to do next; with stable codes and exit codes (I20).

use patchlane_protocol::{FormatError, Refusal};
use std::fmt;

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $text:literal, $exit:literal;)+) => {
        /// Stable names of errors; `--json` prints them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$meta])* $name),+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
            /// Its stable name.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $text),+ } }
            /// The exit code of a command that ends with it.
            pub const fn exit(self) -> u8 { match self { $(Self::$name => $exit),+ } }
        }
    };
}

codes! {
    /// A verifier or a device says no.
    Refused = "refused", 1;
    /// The quorum isn't complete.
    Unsigned = "not-enough-signatures", 1;
    /// A trust decision without a trust anchor.
    NoAnchor = "no-trust-anchor", 1;
    /// Development trust where production is meant.
    Development = "development-trust", 1;
    /// What was asked for contradicts itself or what is already there.
    Usage = "usage", 2;
    /// A file isn't there.
    Missing = "missing-file", 3;
    /// A file can't be read or written.
    Io = "file-access", 3;
    /// A file exists and would be overwritten.
    Exists = "file-exists", 3;
    /// A file isn't what it should be.
    Malformed = "malformed", 3;
    /// `patchlane.toml` is wrong.
    Config = "config", 3;
    /// An image file is wrong.
    Image = "image", 3;
    /// The device doesn't answer, or not sensibly.
    Link = "device-link", 3;
    /// A key file is wrong, or isn't the one that is declared.
    Key = "key", 4;
    /// A passphrase is missing or wrong.
    Passphrase = "passphrase", 4;
    /// A defect of patchlane itself.
    Internal = "internal", 70;
}

/// An error of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Which kind.
    pub code: Code,
    /// What happened.
    pub what: String,
    /// Where: a file, a port, a key.
    pub place: Option<String>,
    /// What to do next.
    pub next: String,
    /// The device's or verifier's own rule, if one spoke.
    pub refusal: Option<Refusal>,
}

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a place.
    pub fn new(code: Code, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, what: what.into(), place: None, next: next.into(), refusal: None }
    }

    /// The same error, at a place.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    /// What a rule of the format or of the device says about a file.
    pub fn refused(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Malformed(_) => Code::Malformed,
            Refusal::BelowThreshold => Code::Unsigned,
            _ => Code::Refused,
        };
        Self { refusal: Some(refusal), ..Self::new(code, refusal.to_string(), refusal.remedy()) }
    }

    /// A defect of patchlane itself.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(Code::Internal, what, "please report this with the command and its input")
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::refused(refusal)
    }
}

impl From<FormatError> for Error {
    fn from(error: FormatError) -> Self {
        Self::refused(error.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place} ")?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_exit_as_documented() {
        let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| matches!(code.exit(), 1..=4 | 70)));
    }
}
