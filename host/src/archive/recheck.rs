//! RECHECK.md: the core of a verification by hand, with this archive's digests: sha256sum, openssl, and nothing of ours.

use super::index::{Entry, Index, Role};
use super::{INDEX, OBJECTS, SIGNED, broken};
use crate::bundle::Bundle;
use crate::error::Result;
use crate::evidence::{self, Envelope};
use crate::ledger::entry::Sha;
use crate::output::plain;
use crate::root::Root;
use patchlane_protocol::PublicKey;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What the text is made of, beside the index.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The bundle.
    pub bundle: &'a Bundle,
    /// The root that judges it.
    pub root: &'a Root,
    /// Evidence made before signing.
    pub before: &'a Envelope,
    /// The findings that it names, where they are kept.
    pub findings: Option<&'a [u8]>,
    /// The key that signed it.
    pub evidence_key: PublicKey,
    /// The key that signed the index.
    pub index_key: PublicKey,
    /// The keys that signed evidence made after signing, by the file's digest.
    pub after_keys: BTreeMap<Sha, PublicKey>,
}

/// Bytes as printf has them.
fn octal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:03o}")).collect()
}

/// Where these bytes are in those, counted from 1 as tail does.
fn place(needle: &[u8], hay: &[u8]) -> Result<usize> {
    let at = hay.windows(needle.len().max(1)).position(|window| window == needle);
    at.map(|at| at + 1).ok_or_else(|| broken("isn't where it should be in the bundle"))
}

fn object(sha256: &Sha) -> String {
    format!("{OBJECTS}/{sha256}")
}

/// The object with a key's PEM.
fn key_of<'a>(index: &'a Index, what: &str) -> Result<&'a Entry> {
    let found = index.entries.iter().find(|entry| entry.role == Role::Key && entry.name == what);
    found.ok_or_else(|| broken(format!("has no key `{what}`")))
}

const HEAD: &str = "\
Every line of the blocks below can be typed into a POSIX shell in this folder; or all of them at once:
`sed -n '/^```sh$/,/^```$/p' RECHECK.md | grep -v '^```' | sh -eu`. Nothing of the vendor's runs: sha256sum, openssl 3 and
the shell's own tools do. If a line fails, the archive isn't what its vendor signed. These lines came with the archive, and
nobody signed them: read them before you run them, or have `patchlane verify-evidence` compare them with its own.

What this doesn't show: the thirty checks themselves (`patchlane verify-evidence` recomputes those that can be), that the keys
below are enough and of the right role (the root says how many of which; its bytes are described in SPEC 5), and that the root
below is the one in the devices. Compare its SHA-256 with one that you got elsewhere.
";

/// The text.
///
/// # Errors
/// `evidence`: what of the archive doesn't fit together.
pub fn text(index: &Index, parts: &Parts<'_>) -> Result<String> {
    let mut text = String::new();
    let release = &index.release;
    let _ = writeln!(
        text,
        "# {} {} {}: checked by hand\n\nTo be kept until {}.\n\n{HEAD}",
        plain(&release.vendor),
        plain(&release.class),
        plain(&release.version),
        index.retain_until
    );
    objects(&mut text, index);
    manifest(&mut text, index, parts)?;
    before(&mut text, index, parts)?;
    signed_index(&mut text, index, parts)?;
    Ok(text)
}

fn objects(text: &mut String, index: &Index) {
    text.push_str("## 1. Every file is what its name says\n\n```sh\nsha256sum --quiet -c - <<'END'\n");
    let mut there: Vec<&Sha> = index.entries.iter().filter(|e| !e.redacted).map(|e| &e.sha256).collect();
    there.sort();
    there.dedup();
    for sha256 in there {
        let _ = writeln!(text, "{sha256}  {}", object(sha256));
    }
    text.push_str("END\nwork=$(mktemp -d)\n```\n\n");
}

fn manifest(text: &mut String, index: &Index, parts: &Parts<'_>) -> Result<()> {
    let (bundle, root) = (parts.bundle, parts.root);
    let document = root.document()?;
    let head = bundle.to_head()?;
    let manifest = bundle.manifest_bytes();
    let (file, digest) = (object(&index.release.bundle_sha256), bundle.digest());
    let _ = writeln!(
        text,
        "## 2. The manifest, and who signed it\n\nThe root that devices trust is `{}`, version {}{}.\n",
        object(&Sha::of(root.bytes())),
        document.version,
        if document.development { ", a development root: production devices refuse it" } else { "" }
    );
    let at = place(manifest, &head)?;
    let _ = writeln!(text, "```sh\ntail -c +{at} {file} | head -c {} > \"$work/manifest\"", manifest.len());
    let _ = writeln!(text, "echo \"{digest}  $work/manifest\" | sha256sum --quiet -c -");
    text.push_str("# SPEC 6.1: domain, vendor, class, and the digest of the manifest\n");
    let preimage = bundle.preimage()?;
    let _ = writeln!(text, "printf '{}' > \"$work/preimage\"", octal(preimage.as_bytes()));
    let _ = writeln!(
        text,
        "test \"$(tail -c 32 \"$work/preimage\" | od -An -v -tx1 | tr -d ' \\n')\" = {digest}"
    );
    for signature in bundle.signatures() {
        let role = crate::root::role_of(&document, &signature.key)
            .ok_or_else(|| broken("is signed by a stranger"))?;
        let key = key_of(index, &format!("root {} {role} {}", document.version, signature.key))?;
        let key = object(&key.sha256);
        let at = place(&signature.bytes, &head)?;
        let _ = writeln!(text, "# the {role} key {}: in the root, and under the manifest", signature.key);
        let _ = writeln!(
            text,
            "openssl pkey -pubin -in {key} -outform DER | tail -c 32 | od -An -v -tx1 | tr -d ' \\n' > \"$work/key\""
        );
        let _ = writeln!(
            text,
            "od -An -v -tx1 {} | tr -d ' \\n' | grep -q \"$(cat \"$work/key\")\"",
            object(&Sha::of(root.bytes()))
        );
        let _ = writeln!(text, "tail -c +{at} {file} | head -c 64 > \"$work/signature\"");
        let _ = writeln!(
            text,
            "openssl pkeyutl -verify -rawin -pubin -inkey {key} -sigfile \"$work/signature\" -in \"$work/preimage\""
        );
    }
    text.push_str("```\n\n");
    Ok(())
}

/// Commands that verify an envelope, and leave its payload in `$work/payload`.
fn envelope(text: &mut String, index: &Index, file: &str, kind: &str, key: &PublicKey) -> Result<()> {
    let hex = crate::hex::write(&key.bytes);
    let key = object(&key_of(index, &format!("evidence {}", key.id()))?.sha256);
    let _ = writeln!(
        text,
        "test \"$(openssl pkey -pubin -in {key} -outform DER | tail -c 32 | od -An -v -tx1 | tr -d ' \\n')\" = {hex}"
    );
    let field = |name: &str| {
        format!("sed -n 's/^.*\"{name}\": \"\\([^\"]*\\)\".*$/\\1/p' {file} | openssl base64 -d -A")
    };
    let _ = writeln!(text, "{} > \"$work/payload\"", field("payload"));
    let _ = writeln!(text, "{} > \"$work/signature\"", field("sig"));
    let _ = writeln!(
        text,
        "{{ printf 'DSSEv1 {} {kind} %d ' \"$(wc -c < \"$work/payload\")\"; cat \"$work/payload\"; }} > \"$work/message\"",
        kind.len()
    );
    let _ = writeln!(
        text,
        "openssl pkeyutl -verify -rawin -pubin -inkey {key} -sigfile \"$work/signature\" -in \"$work/message\""
    );
    Ok(())
}

fn before(text: &mut String, index: &Index, parts: &Parts<'_>) -> Result<()> {
    let entry = index.entries.iter().find(|entry| entry.role == Role::EvidenceBefore);
    let entry = entry.ok_or_else(|| broken("has no evidence made before signing"))?;
    text.push_str("## 3. The manifest names the evidence, and the evidence its files\n\n```sh\n");
    let _ = writeln!(text, "od -An -v -tx1 \"$work/manifest\" | tr -d ' \\n' | grep -q {}", entry.sha256);
    envelope(text, index, &object(&entry.sha256), evidence::STATEMENT, &parts.evidence_key)?;
    text.push_str("# it names the key that signed it: whoever signed the manifest vouches for that key\n");
    let _ = writeln!(text, "grep -q {} \"$work/payload\"", crate::hex::write(&parts.evidence_key.bytes));
    named(text, index, &parts.before.payload, "\"$work/payload\"");
    let findings = index.entries.iter().find(|entry| entry.role == Role::Findings);
    match (parts.findings, findings) {
        (Some(found), Some(entry)) => {
            text.push_str("# the findings name what the checks read\n");
            named(text, index, found, &object(&entry.sha256));
        }
        _ => text.push_str("# the findings aren't here: they name, under a salt, what is confidential\n"),
    }
    text.push_str(
        "# what it says:\ngrep -E '\"(result|verdict)\":' \"$work/payload\" | sort | uniq -c\n```\n\n",
    );
    Ok(())
}

/// Commands that look for the digests of the archive's files in one of them.
fn named(text: &mut String, index: &Index, naming: &[u8], file: &str) {
    let naming = String::from_utf8_lossy(naming);
    let mut named: Vec<&Entry> =
        index.entries.iter().filter(|e| naming.contains(&e.sha256.to_string())).collect();
    named.sort_by_key(|entry| entry.sha256);
    named.dedup_by_key(|entry| entry.sha256);
    for entry in named {
        let redacted = if entry.redacted { ", confidential" } else { "" };
        let name: String = entry.name.chars().map(|c| if c == '`' { '\'' } else { c }).collect();
        let _ = writeln!(text, "grep -q {} {file} # {} {name}{redacted}", entry.sha256, entry.role.name());
    }
}

fn signed_index(text: &mut String, index: &Index, parts: &Parts<'_>) -> Result<()> {
    text.push_str("## 4. Nothing was dropped from the index since it was signed\n\n```sh\n");
    envelope(text, index, SIGNED, evidence::INDEX, &parts.index_key)?;
    let _ = writeln!(text, "cmp \"$work/payload\" {INDEX}");
    for entry in index.entries.iter().filter(|entry| entry.role == Role::EvidenceAfter) {
        let _ = writeln!(text, "# evidence made after signing");
        let signer =
            parts.after_keys.get(&entry.sha256).ok_or_else(|| broken("holds a statement nobody signed"))?;
        envelope(text, index, &object(&entry.sha256), evidence::STATEMENT, signer)?;
        let _ = writeln!(text, "grep -q {} \"$work/payload\"", index.release.bundle_sha256);
    }
    text.push_str("rm -r \"$work\"\necho 'the core holds'\n```\n");
    Ok(())
}
