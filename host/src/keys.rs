//! Ed25519 keys in PKCS#8 v1 PEM, as `openssl pkey` and others read them; encrypted unless they are development keys.

use crate::error::{Code, Error, Result};
use crate::files::{self, New, Over, Secrecy};
use ed25519_dalek::{SigningKey, VerifyingKey};
use patchlane_protocol::PublicKey;
use pkcs8::der::asn1::{BitStringRef, OctetStringRef};
use pkcs8::der::pem::LineEnding;
use pkcs8::der::{Decode, Encode};
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use pkcs8::{EncryptedPrivateKeyInfo, ObjectIdentifier, PrivateKeyInfo, SecretDocument};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// RFC 8410.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// What every development key file says about itself.
const DEVELOPMENT: &str = "# patchlane development key: protects nothing, signs for development roots only\n";

/// Where a passphrase comes from.
#[derive(Debug, Clone, Default)]
pub struct Passphrase {
    /// The first line of this file.
    pub file: Option<PathBuf>,
    /// This environment variable.
    pub env: Option<String>,
    /// Never ask at the terminal.
    pub no_input: bool,
}

impl Passphrase {
    /// Gets the passphrase for `path`; twice if it is a new one.
    ///
    /// # Errors
    /// `passphrase`, and those of the file.
    pub fn get(&self, path: &Path, new: bool) -> Result<Zeroizing<String>> {
        let passphrase = if let Some(file) = &self.file {
            let text = Zeroizing::new(files::read_text(file)?);
            Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())
        } else if let Some(name) = &self.env {
            let missing = || {
                let what = format!("environment variable {name} isn't set");
                Error::new(Code::Passphrase, what, "set it, or use --passphrase-file")
            };
            Zeroizing::new(std::env::var(name).map_err(|_| missing())?)
        } else if !self.no_input && std::io::stdin().is_terminal() {
            prompt(path, new)?
        } else {
            let next = "use --passphrase-file FILE or --passphrase-env NAME";
            return Err(Error::new(Code::Passphrase, "needs a passphrase, and there is no terminal", next)
                .at(path.display()));
        };
        if passphrase.is_empty() {
            return Err(
                Error::new(Code::Passphrase, "the passphrase is empty", "choose one").at(path.display())
            );
        }
        Ok(passphrase)
    }
}

fn prompt(path: &Path, new: bool) -> Result<Zeroizing<String>> {
    let ask = |text: String| {
        rpassword::prompt_password(text)
            .map(Zeroizing::new)
            .map_err(|e| Error::new(Code::Passphrase, format!("can't be read: {e}"), "use --passphrase-file"))
    };
    let first = ask(format!("Passphrase for {}: ", path.display()))?;
    if new && *ask("The same again: ".to_owned())? != *first {
        return Err(
            Error::new(Code::Passphrase, "the two passphrases differ", "try again").at(path.display())
        );
    }
    Ok(first)
}

/// A new key from the operating system's randomness.
///
/// # Errors
/// `internal` if there is none.
pub fn generate() -> Result<SigningKey> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|e| Error::internal(format!("no randomness: {e}")))?;
    Ok(SigningKey::from_bytes(&seed))
}

fn broken(path: &Path, what: impl Into<String>) -> Error {
    let next = "an Ed25519 key is made by `patchlane key new`, or by `openssl genpkey -algorithm ed25519`";
    Error::new(Code::Key, what, next).at(path.display())
}

/// A private key's text: encrypted under a passphrase, or a development key's without.
///
/// # Errors
/// `internal`.
pub fn private_pem(key: &SigningKey, passphrase: Option<&str>) -> Result<Zeroizing<String>> {
    let defect = |e: &dyn std::fmt::Display| Error::internal(format!("key encoding: {e}"));
    let octets = OctetStringRef::new(key.as_bytes()).and_then(|o| o.to_der()).map_err(|e| defect(&e))?;
    let octets = Zeroizing::new(octets);
    let info = PrivateKeyInfo::new(AlgorithmIdentifierRef { oid: ED25519, parameters: None }, &octets);
    Ok(match passphrase {
        None => {
            let document = SecretDocument::try_from(info).map_err(|e| defect(&e))?;
            let pem = document.to_pem("PRIVATE KEY", LineEnding::LF).map_err(|e| defect(&e))?;
            Zeroizing::new(format!("{DEVELOPMENT}{}", *pem))
        }
        Some(passphrase) => {
            let (mut salt, mut iv) = ([0; 16], [0; 16]);
            getrandom::fill(&mut salt).map_err(|e| defect(&e))?;
            getrandom::fill(&mut iv).map_err(|e| defect(&e))?;
            // N = 2^14, r = 8, p = 1: 16 MiB; openssl refuses to use more than 32.
            let cost = scrypt::Params::new(14, 8, 1, 32).map_err(|e| defect(&e))?;
            let scheme = pbes2::Parameters::scrypt_aes256cbc(cost, &salt, &iv).map_err(|e| defect(&e))?;
            let document = info.encrypt_with_params(scheme, passphrase).map_err(|e| defect(&e))?;
            document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).map_err(|e| defect(&e))?
        }
    })
}

/// Writes a private key and, beside it, its public half (`.pub`): both or none. Nothing is overwritten.
///
/// # Errors
/// `file-exists`, `file-access`, `internal`.
pub fn write(path: &Path, key: &SigningKey, passphrase: Option<&str>) -> Result<PathBuf> {
    let pem = private_pem(key, passphrase)?;
    let public = public_path(path);
    let public_text = public_pem(&key.verifying_key())?;
    // A private key whose public half is lost would be found out when it's needed.
    files::write_together(&[
        New { path, pieces: &[pem.as_bytes()], over: Over::Nothing, secrecy: Secrecy::Secret },
        New {
            path: &public,
            pieces: &[public_text.as_bytes()],
            over: Over::Nothing,
            secrecy: Secrecy::Public,
        },
    ])?;
    Ok(public)
}

/// Where a key's public half lies: `name.pub` beside `name.pem`.
pub fn public_path(path: &Path) -> PathBuf {
    path.with_extension("pub")
}

/// A public key's text.
///
/// # Errors
/// `internal`.
pub fn public_pem(key: &VerifyingKey) -> Result<String> {
    let defect = |e: pkcs8::der::Error| Error::internal(format!("key encoding: {e}"));
    let bytes = key.to_bytes();
    let info = SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef { oid: ED25519, parameters: None },
        subject_public_key: BitStringRef::from_bytes(&bytes).map_err(defect)?,
    };
    let der = info.to_der().map_err(defect)?;
    pkcs8::der::pem::encode_string("PUBLIC KEY", LineEnding::LF, &der)
        .map_err(|e| Error::internal(format!("key encoding: {e}")))
}

/// True if the file is a development key by its own account.
fn is_development(text: &str) -> bool {
    text.starts_with(DEVELOPMENT)
}

/// A private key and whether its file calls it a development key.
#[derive(Debug)]
pub struct Private {
    /// The key; wiped when dropped.
    pub key: SigningKey,
    /// True for a development key.
    pub development: bool,
}

/// Reads a private key, asking for a passphrase if it is encrypted.
///
/// # Errors
/// `key`, `passphrase`, and those of the file.
pub fn read(path: &Path, passphrase: &Passphrase) -> Result<Private> {
    let text = Zeroizing::new(files::read_text(path)?);
    let development = is_development(&text);
    let begin = text.find("-----BEGIN").ok_or_else(|| broken(path, "isn't a PEM key file"))?;
    let (label, document) = SecretDocument::from_pem(&text[begin..])
        .map_err(|e| broken(path, format!("isn't a PEM key file: {e}")))?;
    let document = match label {
        "PRIVATE KEY" => document,
        "ENCRYPTED PRIVATE KEY" => {
            let info = EncryptedPrivateKeyInfo::from_der(document.as_bytes())
                .map_err(|e| broken(path, format!("isn't an encrypted PKCS#8 key: {e}")))?;
            let secret = passphrase.get(path, false)?;
            info.decrypt(secret.as_bytes()).map_err(|_| {
                Error::new(Code::Passphrase, "isn't opened by this passphrase", "try again")
                    .at(path.display())
            })?
        }
        "PUBLIC KEY" => return Err(broken(path, "is a public key, where a private one is needed")),
        other => return Err(broken(path, format!("is a {other}, where a PRIVATE KEY is needed"))),
    };
    let info = PrivateKeyInfo::from_der(document.as_bytes())
        .map_err(|e| broken(path, format!("isn't a PKCS#8 key: {e}")))?;
    if info.algorithm.oid != ED25519 {
        return Err(broken(path, "isn't an Ed25519 key"));
    }
    let octets =
        OctetStringRef::from_der(info.private_key).map_err(|_| broken(path, "isn't an Ed25519 key"))?;
    let seed: Zeroizing<[u8; 32]> =
        Zeroizing::new(octets.as_bytes().try_into().map_err(|_| broken(path, "isn't an Ed25519 key"))?);
    Ok(Private { key: SigningKey::from_bytes(&seed), development })
}

/// Reads a public key: a `.pub` file, or the public half of an unencrypted private one.
///
/// # Errors
/// `key`, and those of the file.
pub fn read_public(path: &Path) -> Result<PublicKey> {
    let text = Zeroizing::new(files::read_text(path)?);
    if text.contains("PRIVATE KEY-----") {
        let public = public_path(path);
        if public != path && public.exists() {
            return read_public(&public);
        }
        return Ok(public_of(&read(path, &Passphrase { no_input: true, ..Passphrase::default() })?.key));
    }
    let begin = text.find("-----BEGIN").ok_or_else(|| broken(path, "isn't a PEM key file"))?;
    let (_, der) = pkcs8::der::pem::decode_vec(text[begin..].as_bytes())
        .map_err(|e| broken(path, format!("isn't a PEM key file: {e}")))?;
    let info = SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| broken(path, "isn't a public key"))?;
    let bytes = info.subject_public_key.as_bytes().and_then(|b| <[u8; 32]>::try_from(b).ok());
    match bytes {
        Some(bytes) if info.algorithm.oid == ED25519 => {
            let weak = VerifyingKey::from_bytes(&bytes).map_or(true, |key| key.is_weak());
            if weak {
                Err(broken(path, "is a weak key: anyone can sign for it"))
            } else {
                Ok(PublicKey::ed25519(bytes))
            }
        }
        _ => Err(broken(path, "isn't an Ed25519 key")),
    }
}

/// The public half.
pub fn public_of(key: &SigningKey) -> PublicKey {
    PublicKey::ed25519(key.verifying_key().to_bytes())
}
