//! What went wrong, where, and what to do next; with stable codes and exit codes (I20).

use patchlane_protocol::{FormatError, Refusal};
use std::fmt;

macro_rules! codes {
    ($($name:ident = $text:literal, $exit:literal, $meaning:literal, $next:literal;)+) => {
        /// Stable names of errors; `--json` prints them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $meaning] $name),+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
            /// Its stable name.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $text),+ } }
            /// The exit code of a command that ends with it.
            pub const fn exit(self) -> u8 { match self { $(Self::$name => $exit),+ } }
            /// What it means.
            pub const fn meaning(self) -> &'static str { match self { $(Self::$name => $meaning),+ } }
            /// What to do, in general; the error itself says it for the case at hand.
            pub const fn remedy(self) -> &'static str { match self { $(Self::$name => $next),+ } }
        }
    };
}

codes! {
    Refused = "refused", 1, "The verifier or the device says no; `refusal` in `--json` is its rule (SPEC §10).",
        "read the reason: it names the rule";
    Unsigned = "not-enough-signatures", 1, "The quorum of a role isn't complete.",
        "let the missing keys sign; `sign --partial` keeps what is there";
    NoAnchor = "no-trust-anchor", 1, "A trust decision was asked for without a trust anchor.",
        "name the root that devices trust: `--root FILE`, or `[trust] root` in patchlane.toml";
    Development = "development-trust", 1, "Development trust where production is meant.",
        "make keys with `key new` and a root with `root new`; on the bench, say `--development`";
    Differs = "differs", 1, "What was played or checked came out otherwise than written down.",
        "read which step differs; if it should, write the new outcome down";
    Findings = "ledger-findings", 1, "`ledger check` found something; `findings` in `--json` lists it.",
        "each finding says what to do";
    Disagrees = "ledger-refused", 1, "The ledger says otherwise, or isn't ready for this.",
        "the error names the entry; correct it, or what you ask for";
    Conflict = "ledger-conflict", 1, "Someone else released meanwhile: an index, a version or the lock is taken.",
        "take their entries into your ledger, and build again";
    Separation = "separation", 1, "The separation lint refuses the patch, or there is no evidence that it passed.",
        "run `patchlane lint`: each check says what to do";
    Evidence = "evidence", 1, "Evidence doesn't hold: a signature, a digest, or an archive that was changed.",
        "get it again from who made it; if it stays so, don't rely on it";
    Usage = "usage", 2, "The command line contradicts itself, or can't be understood.",
        "see `patchlane help COMMAND`";
    Missing = "missing-file", 3, "A file or folder isn't there.", "check the path";
    Io = "file-access", 3, "A file can't be read or written: permissions, a full disk, a folder in its place.",
        "check the path, its permissions, and the space on the disk";
    Exists = "file-exists", 3, "A file is there already, and nothing is overwritten unasked.",
        "choose another name, or say `--force` where the command has it";
    Malformed = "malformed", 3, "A file isn't what it should be: empty, cut short, damaged, or of another kind.",
        "check that it is the right file; get or make it again";
    Entry = "ledger-entry", 3, "An entry of the ledger is wrong.",
        "the error names file, line, key, and what was probably meant";
    Config = "config", 3, "patchlane.toml is wrong.", "the error names line, key, and what was probably meant";
    Image = "image", 3, "A firmware image is wrong: format, address, or size.",
        "check the linker script against `patchlane layout`";
    Link = "device-link", 3, "The device doesn't answer, or not sensibly.",
        "check port, cable and baud rate, and that the device runs its service link";
    Key = "key", 4, "A key file is wrong, or isn't a key that the root declares.",
        "`key show` and `root show` tell which key is which";
    Passphrase = "passphrase", 4, "A passphrase is missing or wrong.",
        "give it at the prompt, or by `--passphrase-file`, `--passphrase-fd` or `--passphrase-env`";
    Internal = "internal", 70, "A defect of patchlane itself.", "please report it with the command and its input";
    Interrupted = "interrupted", 130, "Stopped by Ctrl-C or a termination signal; nothing was half-written.",
        "run it again";
}

/// What each exit code means.
pub const EXITS: [(u8, &str); 7] = [
    (0, "Done."),
    (1, "Not verified, or refused: by the verifier, the device, or a rule of trust."),
    (2, "Usage: the command line can't be understood, or contradicts itself."),
    (3, "An input is missing, unreadable, malformed, or in the way; or the device doesn't answer."),
    (4, "A key or a passphrase is wrong or missing."),
    (70, "A defect of patchlane itself."),
    (130, "Stopped by Ctrl-C or a termination signal; nothing is half-written."),
];

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
    /// What else is wrong, where all of it can be said at once.
    pub also: Vec<Error>,
}

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a place.
    pub fn new(code: Code, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, what: what.into(), place: None, next: next.into(), refusal: None, also: Vec::new() }
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

    /// A file without a byte in it.
    pub fn empty() -> Self {
        Self::new(Code::Malformed, "is empty", "get or make it again")
    }

    /// A defect of patchlane itself.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(Code::Internal, what, Code::Internal.remedy())
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
        assert!(Code::ALL.iter().all(|code| EXITS.iter().any(|(exit, _)| *exit == code.exit())));
    }
}
