//! Signed evidence: in-toto statements in DSSE envelopes, signed with keys of their own.
//!
//! An evidence key is never a key of the root: one key, one use. Its signature covers DSSE's pre-authentication
//! encoding, which begins with `DSSEv1` and so is never the preimage of a release, a root or a waiver.

use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::keys::{self, Passphrase, Private};
use crate::ledger::entry::Sha;
use base64ct::{Base64, Base64Url, Encoding as _};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use patchlane_protocol::{PublicKey, RootDocument};
use serde_json::{Value, json};
use std::path::Path;

/// What the payload of an envelope with a statement is.
pub const STATEMENT: &str = "application/vnd.in-toto+json";
/// What the payload of an envelope with an archive's index is.
pub const INDEX: &str = "application/vnd.patchlane.archive-index+json";
/// What follows in-toto, version 1.
pub const IN_TOTO: &str = "https://in-toto.io/Statement/v1";

/// What is signed: <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>.
pub fn pae(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// An envelope, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What its payload is.
    pub kind: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Signatures, each with the id of its key, which is a hint and nothing else.
    pub signatures: Vec<(String, Vec<u8>)>,
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(Code::Evidence, what, Code::Evidence.remedy())
}

/// Standard or URL-safe: DSSE lets a signer choose.
fn decode(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).or_else(|_| Base64Url::decode_vec(text)).ok()
}

/// That a statement is of this kind; what it is instead, in words. Of two versions of a kind one is read.
///
/// # Errors
/// Those words.
pub fn of_kind(statement: &Value, kind: &str, maker: &str) -> std::result::Result<(), String> {
    let said = statement["predicateType"].as_str().unwrap_or_default();
    let family = |kind: &str| kind.rsplit_once('/').map(|(family, _)| family.to_owned());
    match said {
        _ if said == kind => Ok(()),
        _ if family(said) == family(kind) => {
            let version = |kind: &str| {
                kind.rsplit('/').take(2).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("/")
            };
            Err(format!(
                "is {}, and {} is read: another patchlane made it; run `{maker}` again",
                crate::output::plain(&version(said)),
                version(kind)
            ))
        }
        _ => Err(format!("isn't what `{maker}` writes")),
    }
}

/// The text of a statement: the same for the same content.
///
/// # Errors
/// `internal`.
pub fn text(statement: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(statement).map_err(|e| Error::internal(e.to_string()))? + "\n")
}

impl Envelope {
    /// Signs a payload; the text of the envelope. The same key and payload give the same text.
    ///
    /// # Errors
    /// `internal`.
    pub fn seal(key: &SigningKey, kind: &str, payload: &[u8]) -> Result<String> {
        let id = PublicKey::ed25519(key.verifying_key().to_bytes()).id().to_string();
        let signature = key.sign(&pae(kind, payload)).to_bytes();
        text(&json!({
            "payload": Base64::encode_string(payload),
            "payloadType": kind,
            "signatures": [{ "keyid": id, "sig": Base64::encode_string(&signature) }],
        }))
    }

    /// Reads an envelope; nothing, if the file isn't one.
    ///
    /// # Errors
    /// `evidence`: what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return Ok(None) };
        if value.get("payloadType").is_none() && value.get("payload").is_none() {
            return Ok(None);
        }
        let kind =
            value["payloadType"].as_str().ok_or_else(|| wrong("is an envelope without a payloadType"))?;
        let payload = value["payload"].as_str().and_then(decode);
        let payload = payload.ok_or_else(|| wrong("is an envelope whose payload isn't base64"))?;
        let list =
            value["signatures"].as_array().ok_or_else(|| wrong("is an envelope without signatures"))?;
        if list.len() > 16 {
            return Err(wrong("is an envelope with more than 16 signatures"));
        }
        let signature = |one: &Value| {
            let bytes = one["sig"].as_str().and_then(decode);
            let bytes = bytes.ok_or_else(|| wrong("has a signature that isn't base64"))?;
            Ok((one["keyid"].as_str().unwrap_or_default().to_owned(), bytes))
        };
        let signatures = list.iter().map(signature).collect::<Result<_>>()?;
        Ok(Some(Self { kind: kind.to_owned(), payload, signatures }))
    }

    /// The key among these that signed it.
    ///
    /// # Errors
    /// `evidence` if none did, or if it holds something else.
    pub fn verify(&self, kind: &str, keys: &[PublicKey]) -> Result<PublicKey> {
        if self.kind != kind {
            return Err(wrong(format!("is an envelope of {}, and not of {kind}", self.kind)));
        }
        if self.signatures.is_empty() {
            return Err(wrong("isn't signed"));
        }
        let message = pae(kind, &self.payload);
        // An id is a hint: every key is tried on every signature.
        let signed = |key: &&PublicKey| {
            let Ok(verifying) = VerifyingKey::from_bytes(&key.bytes) else { return false };
            let mut signatures =
                self.signatures.iter().filter_map(|(_, bytes)| Signature::from_slice(bytes).ok());
            signatures.any(|signature| verifying.verify_strict(&message, &signature).is_ok())
        };
        keys.iter().find(signed).copied().ok_or_else(|| {
            let ids: Vec<&str> = self.signatures.iter().map(|(id, _)| id.as_str()).collect();
            wrong(format!(
                "is signed by none of the evidence keys, or was changed since (key id {})",
                crate::output::plain(&ids.join(", "))
            ))
        })
    }
}

/// The text of a signed statement.
///
/// # Errors
/// `internal`.
pub fn sealed(key: &SigningKey, statement: &Value) -> Result<String> {
    Envelope::seal(key, STATEMENT, text(statement)?.as_bytes())
}

/// One key, one use: what signs evidence signs no release, and waives no check.
fn apart(key: &PublicKey, config: &Config, root: &RootDocument<'_>, path: &Path) -> Result<()> {
    let no = |what: &str| {
        let next = "make a key for evidence alone: patchlane key new evidence.pem";
        Err(Error::new(Code::Key, what, next).at(path.display()))
    };
    if root.roles.list(&key.id()) {
        return no("is a key of the root, and evidence has a key of its own");
    }
    let approvers = config.lint.iter().flat_map(|lint| &lint.approvers);
    for approver in approvers {
        // An approver's file that isn't there is another command's error.
        if keys::read_public(&config.path(approver)).is_ok_and(|approver| approver == *key) {
            return no("is an approver's key, and evidence has a key of its own");
        }
    }
    Ok(())
}

/// The keys that patchlane.toml names for evidence.
///
/// # Errors
/// `key` if one is used for something else, too; those of the files.
pub fn trusted(config: &Config, root: &RootDocument<'_>) -> Result<Vec<PublicKey>> {
    let read = |path: &std::path::PathBuf| {
        let path = config.path(path);
        let key = keys::read_public(&path)?;
        apart(&key, config, root, &path)?;
        Ok(key)
    };
    config.evidence.iter().flat_map(|section| &section.keys).map(read).collect()
}

/// The private key that signs evidence.
///
/// # Errors
/// `key` if patchlane.toml names others, or if it is used for something else; `development-trust` for a development key
/// beside a production root; `passphrase`, and those of the file.
pub fn signer(
    path: &Path,
    passphrase: &Passphrase,
    config: &Config,
    root: &RootDocument<'_>,
) -> Result<Private> {
    let private = keys::read(path, passphrase)?;
    let public = keys::public_of(&private.key);
    apart(&public, config, root, path)?;
    if config.evidence.is_none() || !trusted(config, root)?.contains(&public) {
        let next = "list its public half in patchlane.toml: [evidence] keys";
        return Err(Error::new(Code::Key, "isn't an evidence key of this product", next).at(path.display()));
    }
    if private.development && !root.development {
        let what = "is a development key, and the root is a production one";
        return Err(Error::new(Code::Development, what, "use the production key").at(path.display()));
    }
    Ok(private)
}

/// Evidence as a file has it: an envelope, or a bare statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// What is stated.
    pub statement: Value,
    /// Its envelope, if it is in one. Nobody has verified it.
    pub envelope: Option<Envelope>,
    /// The file's digest: what manifests and ledgers name.
    pub sha256: Sha,
}

impl Evidence {
    /// Reads evidence.
    ///
    /// # Errors
    /// `evidence` for a broken envelope; `malformed` for what isn't JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let envelope = Envelope::parse(bytes)?;
        let payload = envelope.as_ref().map_or(bytes, |envelope| &envelope.payload);
        let statement = serde_json::from_slice(payload).map_err(|e| {
            Error::new(
                Code::Malformed,
                format!("isn't a statement in JSON: {e}"),
                "check that this is evidence",
            )
        })?;
        Ok(Self { statement, envelope, sha256: Sha::of(bytes) })
    }

    /// The kind of its statement.
    pub fn kind(&self) -> &str {
        self.statement["predicateType"].as_str().unwrap_or_default()
    }

    /// The key among these that signed it.
    ///
    /// # Errors
    /// `evidence` if none did.
    pub fn verify(&self, keys: &[PublicKey]) -> Result<PublicKey> {
        let envelope =
            self.envelope.as_ref().ok_or_else(|| wrong("isn't signed: it isn't in an envelope"))?;
        envelope.verify(STATEMENT, keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_bytes(&[
            byte, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
            26, 27, 28, 29, 30, 31,
        ])
    }

    /// The example of the DSSE protocol.
    #[test]
    fn the_encoding_is_the_protocols() {
        let wanted = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(pae("http://example.com/HelloWorld", b"hello world"), wanted);
    }

    #[test]
    fn what_is_sealed_opens_and_nothing_else_does() {
        let (ours, other) = (key(1), key(2));
        let [public, stranger] =
            [&ours, &other].map(|key| PublicKey::ed25519(key.verifying_key().to_bytes()));
        let text = Envelope::seal(&ours, STATEMENT, b"{\"a\":1}").unwrap();
        let envelope = Envelope::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(envelope.payload, b"{\"a\":1}");
        assert_eq!(envelope.verify(STATEMENT, &[stranger, public]), Ok(public));
        assert!(envelope.verify(STATEMENT, &[stranger]).is_err());
        assert!(envelope.verify(INDEX, &[public]).is_err());
        for wrong in [
            Envelope { payload: b"{\"a\":2}".to_vec(), ..envelope.clone() },
            Envelope { signatures: Vec::new(), ..envelope.clone() },
            Envelope { signatures: vec![(String::new(), vec![0; 64])], ..envelope.clone() },
            Envelope { signatures: vec![(String::new(), vec![0; 3])], ..envelope.clone() },
        ] {
            assert!(wrong.verify(STATEMENT, &[public]).is_err());
        }
        // URL-safe is as good.
        let safe =
            text.replace('+', "-").replace('/', "_").replace("application_vnd.in-toto-json", STATEMENT);
        assert_eq!(
            Envelope::parse(safe.as_bytes()).unwrap().unwrap().verify(STATEMENT, &[public]),
            Ok(public)
        );
        assert_eq!(Envelope::parse(b"{\"_type\":1}"), Ok(None));
        for broken in
            ["{\"payloadType\":\"x\"}", "{\"payloadType\":\"x\",\"payload\":\"?\",\"signatures\":[]}"]
        {
            assert!(Envelope::parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
