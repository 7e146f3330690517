//! Sections 4 to 7, in types.

use serde::Serialize;
use std::collections::BTreeMap;

/// Section 4: what changed, and why.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Separation {
    /// What isn't there.
    pub missing: Vec<String>,
    /// How functions were compared.
    pub method: Option<String>,
    /// For which machine.
    pub machine: Option<String>,
    /// How many functions there are, changed, or only lie elsewhere.
    pub functions: BTreeMap<String, u64>,
    /// One table: vulnerabilities, commits, hunks, functions.
    pub rows: Vec<Row>,
    /// Rows that nothing explains; not told to customers.
    pub orphans: Option<usize>,
    /// Functions and data that changed: as they were, and as they are.
    pub changed: Vec<Changed>,
    /// Commits between base and patch.
    pub commits: Vec<Commit>,
    /// What the comparison can't see.
    pub unseen: Vec<String>,
    /// Interface inventories.
    pub inventories: Vec<Inventory>,
}

/// A row of the one table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Row {
    /// Vulnerabilities.
    pub ids: Vec<String>,
    /// Commits.
    pub commits: Vec<String>,
    /// Lines of the sources.
    pub hunks: Vec<String>,
    /// The function or data object; nothing for lines that reach none.
    pub function: Option<String>,
    /// How they reach it, or why they reach none.
    pub how: String,
    /// True if something has no counterpart.
    pub orphan: bool,
}

/// Something before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// `function` or `data`.
    pub kind: &'static str,
    /// Its bytes, if it was there.
    pub was: Option<u64>,
    /// Its bytes, if it is there.
    pub is: Option<u64>,
    /// Why it counts as changed.
    pub why: Vec<String>,
    /// The lines of its sources that went and came.
    pub lines: Vec<Lines>,
}

/// Lines that went and came.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lines {
    /// Where.
    pub place: String,
    /// With `-` or `+`.
    pub text: Vec<String>,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Commit {
    /// Its name.
    pub id: String,
    /// Its subject.
    pub subject: String,
    /// What it fixes.
    pub fixes: Vec<String>,
    /// Who made it.
    pub author: String,
    /// Who reviewed it.
    pub reviewers: Vec<String>,
}

/// An interface inventory, old against new.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inventory {
    /// The check that compared them.
    pub check: u64,
    /// What was compared.
    pub groups: Vec<String>,
    /// The base's digest.
    pub base_sha256: String,
    /// The patch's digest.
    pub patch_sha256: String,
    /// True if the base's is what the ledger froze.
    pub frozen: bool,
    /// What differs.
    pub changes: Vec<String>,
}

/// Section 5: how it was built.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Build {
    /// What isn't there.
    pub missing: Vec<String>,
    /// The base's build and the patch's, line by line.
    pub rows: Vec<Compared>,
    /// The rebuild.
    pub reproduced: Option<Reproduced>,
}

/// A property of base and patch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// What.
    pub name: String,
    /// The base's.
    pub base: String,
    /// The patch's.
    pub patch: String,
    /// True if they are the same.
    pub same: bool,
}

/// A rebuild.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reproduced {
    /// The command.
    pub command: String,
    /// What it makes.
    pub artifact: String,
    /// Of which commit.
    pub commit: String,
    /// The image that was to be made.
    pub image_sha256: String,
    /// The images that were made.
    pub built_sha256: Vec<String>,
    /// What check 12 says of it.
    pub result: String,
}

/// Section 6: what it is made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sbom {
    /// True if components and their versions were compared.
    #[serde(skip)]
    pub compared: bool,
    /// What isn't there.
    pub missing: Vec<String>,
    /// The format.
    pub format: Option<String>,
    /// How many components.
    pub components: Option<u64>,
    /// Components that differ.
    pub rows: Vec<Component>,
}

/// A component that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Component {
    /// Its package URL, or its name.
    pub component: String,
    /// Its version, if it was there.
    pub was: Option<String>,
    /// Its version, if it is there.
    pub is: Option<String>,
    /// Whether an advisory or VEX names it.
    pub named: bool,
}

/// Section 7: what was tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Verification {
    /// What isn't there.
    pub missing: Vec<String>,
    /// Every test.
    pub rows: Vec<Tested>,
    /// Inputs of the replay that are answered otherwise.
    pub differences: Vec<Difference>,
}

/// A test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tested {
    /// What.
    pub what: String,
    /// How it came out.
    pub result: String,
    /// By whom.
    pub tester: String,
    /// Where.
    pub environment: String,
    /// What was made of it.
    pub sha256: Option<String>,
}

/// An input that is answered otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Which.
    pub input: String,
    /// The vulnerabilities that explain it.
    pub ids: Vec<String>,
}
