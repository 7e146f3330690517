//! Waivers: a second approver signs that a patch may go although a check fails.
//!
//! A waiver speaks of one check of one release with these images, and of what the check saw: if that changes, it says
//! nothing any more. The file is text; the last line is the signature over the SHA-256 digest of the lines before.

use super::{CHECKS, Case, Finding, Grade, Profile, Rules};
use crate::bundle::sha256;
use crate::error::{Code, Error, Result};
use crate::hex;
use crate::ledger::time::Day;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use patchlane_protocol::PublicKey;
use std::fmt::Write as _;
use std::path::Path;

/// The first line, and what keeps a waiver's signature from being anything else's.
const DOMAIN: &str = "patchlane waiver 1\n";

/// A waiver that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// Which check.
    pub check: u8,
    /// Why the patch may go all the same.
    pub reason: String,
    /// The approver's key.
    pub by: String,
    /// When it ends: seconds since 1970.
    pub until: u64,
}

/// Everything that is signed, in lines.
fn body(case: &Case<'_>, check: u8, seen: &str, reason: &str, until: Day, key: &PublicKey) -> Result<String> {
    let line = |text: &str| -> Result<String> {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            let next = "say it in one line of text";
            return Err(Error::new(Code::Usage, "a reason is empty or has control characters", next));
        }
        Ok(text.trim().to_owned())
    };
    let product = case.config.product();
    let mut text = DOMAIN.to_owned();
    let _ = writeln!(text, "check: {check}");
    let _ = writeln!(text, "product: {} {}", product.vendor, product.class);
    let _ = writeln!(text, "release: {}", case.version);
    for image in &case.images {
        let _ = writeln!(text, "image: {}", sha256(&image.bytes));
    }
    let _ = writeln!(text, "seen: {}", seen.replace(char::is_control, " ").trim());
    let _ = writeln!(text, "reason: {}", line(reason)?);
    let _ = writeln!(text, "until: {until}");
    let _ = writeln!(text, "key: {}", hex::write(&key.bytes));
    Ok(text)
}

fn preimage(body: &str) -> Vec<u8> {
    [DOMAIN.as_bytes(), &sha256(body.as_bytes()).0].concat()
}

/// Writes and signs a waiver.
///
/// # Errors
/// `usage` for a check that can't be waived, or that doesn't fail.
pub fn sign(
    case: &Case<'_>,
    check: u8,
    seen: &str,
    reason: &str,
    until: Day,
    key: &SigningKey,
) -> Result<String> {
    let known = CHECKS.iter().find(|known| known.number == check);
    let known = known
        .ok_or_else(|| Error::new(Code::Usage, format!("there is no check {check}"), "there are 1 to 30"))?;
    if known.grade != Grade::Waivable {
        let what = format!("check {check} ({}) can't be waived: its failure refuses the patch", known.name);
        return Err(Error::new(Code::Usage, what, known.next));
    }
    if until.ends() < case.now {
        return Err(Error::new(Code::Usage, format!("{until} is over"), "name a day to come"));
    }
    let public = PublicKey::ed25519(key.verifying_key().to_bytes());
    let mut text = body(case, check, seen, reason, until, &public)?;
    let signature = hex::write(&key.sign(&preimage(&text)).to_bytes());
    let _ = writeln!(text, "signature: {signature}");
    Ok(text)
}

/// What the checks say before anything is waived.
pub fn first_look(case: &Case<'_>) -> Vec<Finding> {
    super::run(case, &Rules { profile: Profile::Starter, catalogues: &[], waivers: &[], emergency: None })
}

/// Verifies waivers, each with its name, against what their checks say for this case.
///
/// # Errors
/// As [`verify`], and those of the approvers' keys.
pub fn verify_all(
    texts: &[(String, String)],
    case: &Case<'_>,
    approvers: &dyn Fn() -> Result<Vec<PublicKey>>,
) -> Result<Vec<Waiver>> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let (approvers, findings) = (approvers()?, first_look(case));
    let seen = |number: u8| {
        findings.iter().find(|finding| finding.check.number == number).map(|finding| finding.detail.clone())
    };
    let one = |(name, text): &(String, String)| {
        verify(text, case, &approvers, &seen).map_err(|e| e.at(case.path(Path::new(name)).display()))
    };
    texts.iter().map(one).collect()
}

/// Reads a waiver and verifies it for this case; `seen` is what each check says now.
///
/// # Errors
/// `refused`: it is for something else, by someone who can't approve, over, or forged.
pub fn verify(
    text: &str,
    case: &Case<'_>,
    approvers: &[PublicKey],
    seen: &dyn Fn(u8) -> Option<String>,
) -> Result<Waiver> {
    let no = |what: &str| Error::new(Code::Refused, what, "have it signed anew: `patchlane lint waive`");
    let field = |name: &str| {
        let prefix = format!("{name}: ");
        let mut found = text.lines().filter_map(|line| line.strip_prefix(&prefix));
        found
            .next()
            .filter(|_| found.next().is_none())
            .ok_or_else(|| no(&format!("has no line `{name}`, or several")))
    };
    let check = field("check")?.parse::<u8>().map_err(|_| no("names no check"))?;
    let until = Day::parse(field("until")?).map_err(|_| no("has no day at which it ends"))?;
    let key = PublicKey::ed25519(hex::read(field("key")?).ok_or_else(|| no("has no key"))?);
    let signature = hex::read::<64>(field("signature")?).ok_or_else(|| no("has no signature"))?;
    let (reason, saw) = (field("reason")?, field("seen")?);
    if !approvers.contains(&key) {
        return Err(no("is signed by a key that [lint] approvers doesn't list"));
    }
    // The second pair of eyes isn't the first: whoever signs the patch can't excuse it.
    if case.root.document()?.roles.list(&key.id()) {
        return Err(no("is signed by a key that signs releases"));
    }
    let now = seen(check).ok_or_else(|| no("is for a check that there isn't"))?;
    let wanted = body(case, check, &now, reason, until, &key)?;
    if text.lines().find_map(|line| line.strip_prefix("seen: "))
        != Some(now.replace(char::is_control, " ").trim())
    {
        return Err(no(&format!("was signed when check {check} said \u{201c}{saw}\u{201d}")));
    }
    let Some(rest) = text.strip_prefix(&wanted) else {
        return Err(no("is for another release, other images, or isn't in the form it was signed in"));
    };
    if rest != format!("signature: {}\n", field("signature")?) {
        return Err(no("has lines after its signature"));
    }
    let verifying = VerifyingKey::from_bytes(&key.bytes).map_err(|_| no("is signed by a broken key"))?;
    let signature = ed25519_dalek::Signature::from_bytes(&signature);
    if verifying.verify_strict(&preimage(&wanted), &signature).is_err() {
        return Err(no("was changed since it was signed"));
    }
    if until.ends() < case.now {
        return Err(no(&format!("ended on {until}")));
    }
    Ok(Waiver { check, reason: reason.to_owned(), by: key.id().to_string(), until: until.ends() })
}
