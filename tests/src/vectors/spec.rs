//! The regions of SPEC.md that the code dictates: limits, tags, codes, the worked example.

use super::fixtures::{kind, patch, preimage, product, root, sha256, sign, signers};
use super::mirror::encode;
use super::output::refusal_name;
use patchlane_protocol::manifest::{Kind, Reason, Severity};
use patchlane_protocol::payload::Encoding;
use patchlane_protocol::status::{Activity, CounterState};
use patchlane_protocol::*;
use std::collections::BTreeSet;
use std::fmt::Write;

/// What SPEC.md may take of its reader's time, tables and example included.
pub const WORDS: usize = 3_500;

/// Words, not table borders or dashes.
pub fn words(text: &str) -> usize {
    text.split_whitespace().filter(|w| w.contains(|c: char| c.is_alphanumeric())).count()
}

/// SPEC.md with its generated regions as they should be.
///
/// # Errors
/// A region that isn't closed or has no source.
pub fn regenerate(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if let Some(name) = line.strip_prefix("<!-- generated: ").and_then(|l| l.strip_suffix(" -->")) {
            out.push_str(&region(name)?);
            lines.by_ref().find(|l| *l == "<!-- end -->").ok_or(format!("SPEC.md: {name} has no end"))?;
            out.push_str("<!-- end -->\n");
        }
    }
    Ok(out)
}

fn region(name: &str) -> Result<String, String> {
    match name {
        "limits" => Ok(limits_table()),
        "tags" => Ok(tags()),
        "domains" => Ok(domains()),
        "format errors" => Ok(codes(FormatError::ALL.iter().map(|e| Refusal::Malformed(*e)))),
        "refusals" => Ok(codes(Refusal::RULES.iter().copied())),
        "example" => Ok(example()),
        other => Err(format!("SPEC.md: nothing generates {other}")),
    }
}

/// The names in square brackets, such as `M2.1`.
pub fn musts(text: &str) -> BTreeSet<String> {
    let names = text.split("[M").skip(1).filter_map(|rest| rest.split_once(']'));
    names
        .map(|(name, _)| format!("M{name}"))
        .filter(|name| name[1..].chars().all(|c| c.is_ascii_digit() || c == '.'))
        .collect()
}

/// Paragraphs that say MUST and have no name.
pub fn unnumbered(text: &str) -> Vec<String> {
    let blocks = text.split("\n\n").flat_map(|paragraph| paragraph.split("\n- "));
    blocks
        .filter(|b| b.contains("MUST") && !b.contains("[M") && !b.contains("RFC 2119"))
        .map(|b| format!("SPEC.md: a MUST without a name: {}", b.lines().next().unwrap_or("")))
        .collect()
}

fn limits_table() -> String {
    let rows: [(&str, usize); 19] = [
        ("head: header, manifest, signatures (bytes)", limits::HEAD),
        ("root link (bytes)", limits::ROOT_LINK),
        ("root document (bytes)", limits::ROOT_DOCUMENT),
        ("root links of a bundle", limits::LINKS),
        ("components", limits::COMPONENTS),
        ("images of a component", limits::IMAGES),
        ("alternatives of a component", limits::ALTERNATIVES),
        ("hardware revisions", limits::HARDWARE),
        ("advisories closed", limits::ADVISORIES),
        ("open advisories", limits::OPEN),
        ("advisory id (bytes)", limits::ADVISORY_ID),
        ("text (bytes)", limits::TEXT),
        ("`because` (bytes)", limits::BECAUSE),
        ("signatures of a set", limits::SIGNATURES),
        ("keys of the root role", limits::ROOT_KEYS),
        ("keys of another role", limits::ROLE_KEYS),
        ("device ids of an owner document", limits::TARGETS),
        ("signed owner document (bytes)", limits::OWNER_DOCUMENT),
        ("status report (bytes)", limits::STATUS),
    ];
    let mut out = String::from("| at most | |\n|---|--:|\n");
    for (name, limit) in rows {
        let _ = writeln!(out, "| {name} | {limit} |");
    }
    let (least, most) = (limits::CHUNK_MIN, limits::CHUNK_MAX);
    let _ = writeln!(out, "| chunk data (bytes) | {least} to {most} |");
    let _ =
        writeln!(out, "| frame content; bundle bytes in it | {}; {} |", limits::FRAME, limits::FRAME_DATA);
    out
}

fn tags() -> String {
    macro_rules! rows {
        ($out:ident, $($name:ident),+) => {$({
            let all: Vec<_> = $name::ALL.iter().map(|v| format!("{} {v:?}", v.tag())).collect();
            let _ = writeln!($out, "| {} | {} |", stringify!($name), all.join(", "));
        })+};
    }
    use link::Outcome;
    let mut out = String::from("| | tags |\n|---|---|\n");
    rows!(out, Kind, Encoding, Severity, Reason, Algorithm, Action, SecurityPolicy, FeaturePolicy);
    rows!(out, Activity, CounterState, Outcome);
    out
}

fn domains() -> String {
    let mut out = String::from("```text\n");
    for kind in DocumentKind::ALL {
        let text = String::from_utf8_lossy(kind.domain());
        let _ = writeln!(out, "{:<28} {kind:?}", text.trim_end_matches('\0'));
    }
    out + "```\n"
}

fn codes(all: impl Iterator<Item = Refusal>) -> String {
    let mut out = String::new();
    for row in all.map(|r| format!("{} {}", r.code(), refusal_name(r))).collect::<Vec<_>>().chunks(4) {
        let cells: Vec<_> = (0..4).map(|i| row.get(i).map_or("", String::as_str)).collect();
        if out.is_empty() {
            out.push_str("| | | | |\n|---|---|---|---|\n");
        }
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

/// Prints a document as rows of `offset  bytes  meaning`.
struct Annotated {
    bytes: Vec<u8>,
    at: usize,
    out: String,
}

impl Annotated {
    fn row(&mut self, width: usize, meaning: &str) {
        let field = &self.bytes[self.at..self.at + width];
        let shown = if width > 9 { format!("{}..", abbreviated(&field[..7])) } else { abbreviated(field) };
        let _ = writeln!(self.out, "{:4}  {shown:<19} {meaning}", self.at);
        self.at += width;
    }
}

fn abbreviated(bytes: &[u8]) -> String {
    super::describe::hex(bytes)
}

fn example() -> String {
    let manifest = encode(&patch());
    let set = encode(&sign(kind(&patch()), &manifest, signers(&patch())));
    let digest = Digest(sha256(&manifest));
    let mut a = Annotated { bytes: manifest.clone(), at: 0, out: String::from("```text\n") };
    let text = patch().text.len();
    let rows: [(usize, &str); 21] = [
        (1, "kind: SecurityPatch"),
        (16, "vendor"),
        (16, "class"),
        (3, "hardware 1, 2"),
        (2, "baseline 4.1"),
        (2, "level 8, nothing open"),
        (1, "root version 1"),
        (1, "one component"),
        (1, "id 0"),
        (2, "one image, no address"),
        (2, "size 300"),
        (32, "digest"),
        (1, "one alternative"),
        (3, "image 0, Raw, no base"),
        (5, "size 300, chunk 128, RAM 0"),
        (32, "first chunk"),
        (2, "one advisory, 8"),
        (17, "CVE-2027-12345, Critical, exploited"),
        (10, "issued at, support end"),
        (33, "evidence"),
        (1 + text, "text"),
    ];
    rows.iter().for_each(|(width, meaning)| a.row(*width, meaning));
    a.row(1, "not combined");
    assert_eq!(a.at, manifest.len(), "the example names every byte");
    let signature = sign(kind(&patch()), &manifest, signers(&patch())).remove(0);
    let hex = super::describe::hex;
    let _ = writeln!(a.out, "\nSHA-256   {digest}");
    let preimage = preimage(kind(&patch()), &product(), &manifest);
    preimage.chunks(32).zip(["preimage", "", ""]).for_each(|(row, name)| {
        let _ = writeln!(a.out, "{name:<9} {}", hex(row));
    });
    let _ = writeln!(a.out, "key       {}", hex(&root_key(&signature.key)));
    let _ = writeln!(a.out, "R         {}\nS         {}", hex(&signature.r), hex(&signature.s));
    let head = super::fixtures::header(0, manifest.len(), set.len());
    let _ = writeln!(a.out, "header    {}\nset       {}..", hex(&head), hex(&set[..10]));
    a.out + "```\n"
}

fn root_key(id: &[u8; 8]) -> [u8; 32] {
    let keys = root().security.keys;
    keys.iter().find(|k| k.bytes.starts_with(id)).map_or([0; 32], |k| k.bytes)
}
