//! Renders vectors as TOML, writes them with SPEC.md's generated regions, or finds where files differ.

use super::describe::{describe, hex, rewrite, signed_report};
use super::fixtures::{named, product, sha256};
use super::{Expect, Vector, all, spec, verify};
use patchlane_protocol::owner::SignedOwner;
use patchlane_protocol::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// What went wrong, one line each.
pub type Problems = Vec<String>;

/// Writes every file and removes vectors that no longer exist.
///
/// # Errors
/// Expectations that don't hold, files that can't be written.
pub fn write(protocol: &Path) -> Result<String, Problems> {
    let files = files(protocol)?;
    let told = |path: &Path, e: std::io::Error| vec![format!("{}: {e}", path.display())];
    let folder = protocol.join("vectors");
    fs::create_dir_all(&folder).map_err(|e| told(&folder, e))?;
    for path in stale(&folder, &files) {
        fs::remove_file(&path).map_err(|e| told(&path, e))?;
    }
    for (path, text) in &files {
        fs::write(path, text).map_err(|e| told(path, e))?;
    }
    check(protocol)
}

/// Compares every file, and SPEC.md's MUSTs with the vectors'.
///
/// # Errors
/// Every difference.
pub fn check(protocol: &Path) -> Result<String, Problems> {
    let files = files(protocol)?;
    let mut problems: Problems = files
        .iter()
        .filter(|(path, text)| fs::read_to_string(path).ok().as_ref() != Some(*text))
        .map(|(path, _)| format!("{} isn't what the code says: run `cargo xtask vectors`", path.display()))
        .collect();
    let folder = protocol.join("vectors");
    problems.extend(stale(&folder, &files).iter().map(|p| format!("{} has no source", p.display())));
    let text = files.get(&protocol.join("SPEC.md")).map_or("", String::as_str);
    let musts = spec::musts(text);
    problems.extend(spec::unnumbered(text));
    problems.extend(coverage(&musts));
    if spec::words(text) > spec::WORDS {
        problems.push(format!("SPEC.md has {} words, more than {}", spec::words(text), spec::WORDS));
    }
    if problems.is_empty() {
        Ok(format!("{} MUSTs, {} vectors, {} words", musts.len(), all().len(), spec::words(text)))
    } else {
        Err(problems)
    }
}

/// They allow something, and refuse nothing of their own.
const WITHOUT_REFUSAL: [&str; 2] = ["M8.3", "M10.1"];

/// Every MUST has bytes that keep it and bytes that break it, and every vector shows a MUST.
fn coverage(musts: &BTreeSet<String>) -> Problems {
    let mut problems = Problems::new();
    let (mut kept, mut broken) = (BTreeSet::new(), BTreeSet::new());
    broken.extend(WITHOUT_REFUSAL.map(String::from));
    for vector in all() {
        if vector.musts.is_empty() {
            problems.push(format!("{} shows no MUST", vector.name));
        }
        for must in vector.musts {
            let side = if matches!(vector.expect, Expect::Refuse(_)) { &mut broken } else { &mut kept };
            side.insert((*must).to_string());
            if !musts.contains(*must) {
                problems.push(format!("{} names {must}, which SPEC.md doesn't have", vector.name));
            }
        }
    }
    problems.extend(musts.difference(&kept).map(|m| format!("{m} has no accepting vector")));
    problems.extend(musts.difference(&broken).map(|m| format!("{m} has no rejecting vector")));
    problems
}

fn stale(folder: &Path, files: &BTreeMap<PathBuf, String>) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|p| p.extension().is_some_and(|e| e == "toml") && !files.contains_key(p)).collect()
}

fn files(protocol: &Path) -> Result<BTreeMap<PathBuf, String>, Problems> {
    let mut problems = Problems::new();
    let mut files = BTreeMap::new();
    for vector in all() {
        problems.extend(mistakes(&vector));
        let path = protocol.join(format!("vectors/{}.toml", vector.name));
        if files.insert(path, render(&vector)).is_some() {
            problems.push(format!("two vectors are called {}", vector.name));
        }
    }
    let path = protocol.join("SPEC.md");
    let text = fs::read_to_string(&path).map_err(|e| vec![format!("{}: {e}", path.display())])?;
    match spec::regenerate(&text) {
        Ok(text) => drop(files.insert(path, text)),
        Err(problem) => problems.push(problem),
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

/// What our own reading makes of a document.
fn outcome(v: &Vector) -> Expect {
    match read(v.document, v.bytes("input")) {
        Ok(()) => Expect::Accept,
        Err(error) => Expect::Refuse(error.into()),
    }
}

/// What is wrong with a vector, in the eyes of everyone who has a say.
fn mistakes(v: &Vector) -> Problems {
    let wrong = |who: &str, got: Expect| {
        (got != v.expect).then(|| format!("{}: expected {:?}, {who} says {got:?}", v.name, v.expect))
    };
    if v.inputs.iter().any(|(name, _)| *name == "input") {
        return wrong("the reader", outcome(v)).into_iter().collect();
    }
    let verdicts: Vec<_> =
        verify::ALL.iter().filter_map(|who| Some((who.name(), verify::judge(*who, v)?))).collect();
    if verdicts.is_empty() {
        return vec![format!("{}: nobody can judge a {}", v.name, v.document)];
    }
    verdicts.into_iter().filter_map(|(who, got)| wrong(who, got)).collect()
}

/// Reads a document, and sees that writing it again yields the same bytes.
fn read(document: &str, bytes: &[u8]) -> Result<(), FormatError> {
    describe(document, bytes)?;
    let composed = matches!(document, "bundle" | "frame");
    assert!(composed || rewrite(document, bytes)? == bytes, "{document}: written otherwise than read");
    Ok(())
}

fn render(v: &Vector) -> String {
    let mut out = format!("# {}.\n# Generated by `cargo xtask vectors`; don't edit.\n", v.why);
    let quoted: Vec<_> = v.musts.iter().map(|m| format!("\"{m}\"")).collect();
    line(&mut out, "name", v.name);
    let _ = writeln!(out, "must = [{}]", quoted.join(", "));
    line(&mut out, "document", v.document);
    match v.expect {
        Expect::Accept => line(&mut out, "expect", "accept"),
        Expect::Transition(transition) => line(&mut out, "expect", transition),
        Expect::Refuse(refusal) => {
            line(&mut out, "expect", &refusal_name(refusal));
            let _ = writeln!(out, "code = {}", refusal.code());
        }
    }
    for (name, value) in &v.settings {
        let _ = writeln!(out, "{name} = {value}");
    }
    for (name, bytes) in &v.inputs {
        block(&mut out, name, bytes);
    }
    derived(v, &mut out);
    if let (Ok(fields), Expect::Accept, [("input", bytes)]) =
        (describe_input(v), v.expect, v.inputs.as_slice())
    {
        let _ = writeln!(out, "\n# {} bytes.\n[fields]", bytes.len());
        fields.iter().for_each(|(name, value)| line(&mut out, &format!("\"{name}\""), value));
    }
    out
}

fn describe_input(v: &Vector) -> Result<super::describe::Fields, FormatError> {
    match v.document {
        document if document.starts_with("verify") || matches!(document, "judge" | "delta") => {
            Err(FormatError::UnknownTag)
        }
        document => describe(document, v.bytes("input")),
    }
}

/// The variant's name, without the wrapper of malformed documents.
pub fn refusal_name(refusal: Refusal) -> String {
    match refusal {
        Refusal::Malformed(error) => format!("{error:?}"),
        rule => format!("{rule:?}"),
    }
}

/// Intermediate values: what is hashed, and what is signed.
fn derived(v: &Vector, out: &mut String) {
    let signed = match v.document {
        "verify-head" => {
            Manifest::parse(v.bytes("manifest")).ok().map(|m| (m.kind.document(), v.bytes("manifest")))
        }
        "manifest" => Manifest::parse(v.bytes("input")).ok().map(|m| (m.kind.document(), v.bytes("input"))),
        "verify-link" => SignedRoot::parse(v.bytes("link")).ok().map(|l| (DocumentKind::Root, l.bytes)),
        "root-link" => SignedRoot::parse(v.bytes("input")).ok().map(|l| (DocumentKind::Root, l.bytes)),
        "root-document" => {
            RootDocument::parse(v.bytes("input")).ok().map(|_| (DocumentKind::Root, v.bytes("input")))
        }
        "verify-owner" => SignedOwner::parse(v.bytes("owner")).ok().map(|o| (DocumentKind::Owner, o.bytes)),
        "signed-owner" => SignedOwner::parse(v.bytes("input")).ok().map(|o| (DocumentKind::Owner, o.bytes)),
        "status" => signed_report(v.bytes("input")).map(|bytes| (DocumentKind::Status, bytes)),
        _ => None,
    };
    if let Some((kind, bytes)) = signed {
        let product = signed_product(kind, bytes).unwrap_or(named(&product()));
        let digest = Digest(sha256(bytes));
        out.push_str("\n[derived]\n");
        line(out, "sha256", &digest.to_string());
        block(out, "preimage", Preimage::new(kind, &product, &digest).as_bytes());
    }
}

fn signed_product(kind: DocumentKind, bytes: &[u8]) -> Result<Product, FormatError> {
    match kind {
        DocumentKind::Root => RootDocument::parse(bytes).map(|r| r.product),
        DocumentKind::Owner => OwnerDocument::parse(bytes).map(|o| o.product),
        DocumentKind::Status => {
            let mut reader = Reader::new(bytes);
            reader.take(DeviceId::WIDTH).and_then(|_| Product::read(&mut reader))
        }
        _ => Manifest::parse(bytes).map(|m| m.product),
    }
}

fn line(out: &mut String, name: &str, value: &str) {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    let _ = writeln!(out, "{name} = \"{escaped}\"");
}

fn block(out: &mut String, name: &str, bytes: &[u8]) {
    if bytes.len() <= 32 {
        return line(out, name, &hex(bytes));
    }
    let _ = writeln!(out, "{name} = \"\"\"");
    for row in bytes.chunks(32) {
        let _ = writeln!(out, "{}", hex(row));
    }
    out.push_str("\"\"\"\n");
}
