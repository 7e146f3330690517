//! Ed25519 keys in PKCS#8 v1 PEM, as `openssl pkey` and others read them; encrypted unless they are development keys.
//!
//! Encryption is PBES2 (RFC 8018) with scrypt (RFC 7914; N = 2^14, r = 8, p = 5) and AES-256-CBC.

use crate::error::{Code, Error, Result};
use crate::files::{self, New, Over, Secrecy};
use crate::kind::{self, Kind};
pub use crate::passphrase::Passphrase;
use crate::passphrase::Secret;
use ed25519_dalek::{SigningKey, VerifyingKey};
use patchlane_protocol::PublicKey;
use pkcs8::der::asn1::{BitStringRef, OctetStringRef};
use pkcs8::der::pem::LineEnding;
use pkcs8::der::{Decode, Encode};
use pkcs8::pkcs5::pbes2::{self, Kdf, Pbkdf2Prf};
use pkcs8::pkcs5::scrypt;
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use pkcs8::{EncryptedPrivateKeyInfo, ObjectIdentifier, PrivateKeyInfo, SecretDocument};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// RFC 8410.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// What every development key file says about itself.
const DEVELOPMENT: &str = "# patchlane development key: protects nothing, signs for development roots only\n";
/// No key file is larger, in bytes.
const LARGEST: usize = 64 * 1024;
/// Our scrypt: 2^14 blocks of 8 · 128 bytes are 16 MiB (openssl stops at 32), five times over.
const SCRYPT: (u8, u32, u32) = (14, 8, 5);
/// The most memory that a key file may ask for, in bytes: a hostile one could ask for all of it.
const SCRYPT_MEMORY: u64 = 1 << 30;
/// The most passes that a key file may ask for (RFC 8018 §4.2 names as many for critical keys).
const PASSES: u64 = 10_000_000;

/// A private key, and what its file says about it.
pub struct Private {
    /// The key; wiped when dropped.
    pub key: SigningKey,
    /// True for a development key.
    pub development: bool,
    /// The passphrase that opened it, if it is encrypted; wiped when dropped.
    pub passphrase: Option<Secret>,
    /// What is worth a look about its file.
    pub notes: Vec<String>,
}

impl std::fmt::Debug for Private {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = public_of(&self.key).id().to_string();
        f.debug_struct("Private").field("key_id", &key).field("development", &self.development).finish()
    }
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

/// The public half.
pub fn public_of(key: &SigningKey) -> PublicKey {
    PublicKey::ed25519(key.verifying_key().to_bytes())
}

/// Where a key's public half lies: `name.pub` beside `name.pem`.
pub fn public_path(path: &Path) -> PathBuf {
    path.with_extension("pub")
}

fn broken(path: &Path, what: impl Into<String>) -> Error {
    let next = "an Ed25519 key is made by `patchlane key new`, or by `openssl genpkey -algorithm ed25519`";
    Error::new(Code::Key, what, next).at(path.display())
}

fn defect(e: impl std::fmt::Display) -> Error {
    Error::internal(format!("key encoding: {e}"))
}

/// A private key's file. Without a passphrase it is a development key's, whatever the caller says: no other key lies
/// on a disk unencrypted by our doing.
///
/// # Errors
/// `internal`.
pub fn private_pem(
    key: &SigningKey,
    development: bool,
    passphrase: Option<&[u8]>,
) -> Result<Zeroizing<String>> {
    let octets = OctetStringRef::new(key.as_bytes()).and_then(|o| o.to_der()).map_err(defect)?;
    let octets = Zeroizing::new(octets);
    let info = PrivateKeyInfo::new(AlgorithmIdentifierRef { oid: ED25519, parameters: None }, &octets);
    let pem = match passphrase {
        None => {
            let document = SecretDocument::try_from(info).map_err(defect)?;
            document.to_pem("PRIVATE KEY", LineEnding::LF).map_err(defect)?
        }
        Some(passphrase) => {
            let (mut salt, mut iv) = ([0; 16], [0; 16]);
            getrandom::fill(&mut salt).map_err(defect)?;
            getrandom::fill(&mut iv).map_err(defect)?;
            let (log_n, r, p) = SCRYPT;
            let cost = scrypt::Params::new(log_n, r, p, 32).map_err(defect)?;
            let scheme = pbes2::Parameters::scrypt_aes256cbc(cost, &salt, &iv).map_err(defect)?;
            let document = info.encrypt_with_params(scheme, passphrase).map_err(defect)?;
            document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).map_err(defect)?
        }
    };
    let mark = if development || passphrase.is_none() { DEVELOPMENT } else { "" };
    // As large as it gets: growing would leave a copy behind.
    let mut file = Zeroizing::new(String::with_capacity(mark.len() + pem.len()));
    file.push_str(mark);
    file.push_str(&pem);
    // It may take the place of the only copy: it has to open again.
    let same = |again: SigningKey| again.as_bytes() == key.as_bytes();
    let (_, document) = unwrap(Path::new(""), file.as_bytes())?;
    let reopened = match (document, passphrase) {
        (Wrapped::Encrypted(document), Some(secret)) => decrypt(Path::new(""), &document, secret)?,
        (Wrapped::Plain(document), None) => document,
        _ => return Err(defect("of another kind than meant")),
    };
    if parse(Path::new(""), &reopened).is_ok_and(same) {
        Ok(file)
    } else {
        Err(defect("it doesn't open again"))
    }
}

/// Writes a new private key and, beside it, its public half (`.pub`): both or neither. Nothing is overwritten.
///
/// Without a passphrase it is marked as a development key.
///
/// # Errors
/// `file-exists`, `file-access`, `usage` for a private key called `.pub`, `internal`.
pub fn write(path: &Path, key: &SigningKey, development: bool, passphrase: Option<&[u8]>) -> Result<PathBuf> {
    let public = free(path)?;
    let file = private_pem(key, development, passphrase)?;
    let half = public_pem(&key.verifying_key(), development || passphrase.is_none())?;
    let new = |path, pieces, secrecy| New { path, pieces, over: Over::Nothing, secrecy };
    files::write_together(&[
        new(path, &[file.as_bytes()], Secrecy::Secret),
        new(&public, &[half.as_bytes()], Secrecy::Public),
    ])?;
    Ok(public)
}

/// The place of the public half of a new key, if both places are free.
///
/// # Errors
/// `file-exists`; `usage` for a private key called `.pub`.
pub fn free(path: &Path) -> Result<PathBuf> {
    let public = public_path(path);
    if public == path {
        let what = "is a name for a public key, and a private one would be written there";
        return Err(
            Error::new(Code::Usage, what, "call it .pem; the public half becomes .pub").at(path.display())
        );
    }
    for taken in [path, &public] {
        if taken.symlink_metadata().is_ok() {
            let next = "choose another name: a key is never overwritten";
            return Err(Error::new(Code::Exists, "exists already", next).at(taken.display()));
        }
    }
    Ok(public)
}

/// Encrypts a key's file anew, in its place.
///
/// # Errors
/// `file-access`, `internal`; the old file stays then.
pub fn rewrite(path: &Path, private: &Private, passphrase: &[u8]) -> Result<()> {
    let file = private_pem(&private.key, private.development, Some(passphrase))?;
    files::write(path, file.as_bytes(), Over::Existing, Secrecy::Secret)
}

/// A public key's file; a development key's says what it is.
///
/// # Errors
/// `internal`.
pub fn public_pem(key: &VerifyingKey, development: bool) -> Result<String> {
    let bytes = key.to_bytes();
    let info = SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef { oid: ED25519, parameters: None },
        subject_public_key: BitStringRef::from_bytes(&bytes).map_err(defect)?,
    };
    let der = info.to_der().map_err(defect)?;
    let pem = pkcs8::der::pem::encode_string("PUBLIC KEY", LineEnding::LF, &der).map_err(defect)?;
    Ok(if development { format!("{DEVELOPMENT}{pem}") } else { pem })
}

/// True if what stands before a PEM block says that it is a development key.
fn is_marked(before: &str) -> bool {
    before.trim_start_matches('\u{feff}').lines().any(|line| line.trim() == DEVELOPMENT.trim())
}

/// A PKCS#8 document as it lies in a file.
enum Wrapped {
    Plain(SecretDocument),
    Encrypted(SecretDocument),
}

/// Takes a private key out of its PEM, if it is in one, and tells whether its file calls it a development key.
fn unwrap(path: &Path, bytes: &[u8]) -> Result<(bool, Wrapped)> {
    let Some(begin) = kind::pem_begin(bytes) else {
        let document =
            |bytes| SecretDocument::try_from(bytes).map_err(|e| broken(path, format!("isn't DER: {e}")));
        if PrivateKeyInfo::from_der(bytes).is_ok() {
            return Ok((false, Wrapped::Plain(document(bytes)?)));
        }
        if EncryptedPrivateKeyInfo::from_der(bytes).is_ok() {
            return Ok((false, Wrapped::Encrypted(document(bytes)?)));
        }
        return Err(kind::explain(broken(path, "isn't a key file"), bytes, Kind::PrivateKey));
    };
    let text = std::str::from_utf8(bytes).map_err(|_| broken(path, "isn't a PEM key file: it isn't text"))?;
    let (before, block) = text.split_at(begin);
    let development = is_marked(before);
    if block.matches("-----BEGIN ").count() > 1 {
        return Err(broken(path, "holds several PEM blocks, and one key is needed"));
    }
    let document = || {
        let document = SecretDocument::from_pem(block).map(|(_, document)| document);
        document.map_err(|e| broken(path, format!("isn't a sound PEM file: {e}")))
    };
    match kind::pem_label(block) {
        "PRIVATE KEY" => Ok((development, Wrapped::Plain(document()?))),
        "ENCRYPTED PRIVATE KEY" => Ok((development, Wrapped::Encrypted(document()?))),
        "PUBLIC KEY" => {
            let next = "name the private key: the .pem file beside it";
            Err(Error { next: next.into(), ..broken(path, "is a public key, where a private one is needed") })
        }
        "RSA PRIVATE KEY" => Err(other_algorithm(path, "an RSA key")),
        "EC PRIVATE KEY" => Err(other_algorithm(path, "an EC key")),
        "DSA PRIVATE KEY" => Err(other_algorithm(path, "a DSA key")),
        other => Err(broken(path, format!("is a PEM file of type {other}, where a PRIVATE KEY is needed"))),
    }
}

fn other_algorithm(path: &Path, what: &str) -> Error {
    broken(path, format!("is {what}, and patchlane signs with Ed25519 only"))
}

/// Decrypts a key, unless it asks for too much.
fn decrypt(path: &Path, document: &SecretDocument, secret: &[u8]) -> Result<SecretDocument> {
    let info = encrypted(path, document)?;
    info.decrypt(secret).map_err(|_| {
        Error::new(Code::Passphrase, "isn't opened by this passphrase", "try again; no key file was changed")
            .at(path.display())
    })
}

/// An encrypted key whose encryption is one that is read.
fn encrypted<'a>(path: &Path, document: &'a SecretDocument) -> Result<EncryptedPrivateKeyInfo<'a>> {
    let unread = |what: &str| {
        let next = "convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -in OLD -out NEW";
        Error { next: next.into(), ..broken(path, what) }
    };
    let info = EncryptedPrivateKeyInfo::from_der(document.as_bytes()).map_err(|_| {
        unread("is encrypted in a way that isn't read (PBES2 with PBKDF2 or scrypt, and AES-CBC, is)")
    })?;
    let Some(scheme) = info.encryption_algorithm.pbes2() else {
        return Err(unread("is encrypted with PBES1, which is broken"));
    };
    let dear = || broken(path, "asks for more time or memory than any key needs");
    match &scheme.kdf {
        Kdf::Pbkdf2(pbkdf2) if pbkdf2.prf == Pbkdf2Prf::HmacWithSha1 => {
            return Err(unread("is encrypted with PBKDF2 and SHA-1, which isn't read"));
        }
        Kdf::Pbkdf2(pbkdf2) if u64::from(pbkdf2.iteration_count) > PASSES => return Err(dear()),
        Kdf::Scrypt(scrypt) => {
            let (r, p) = (u64::from(scrypt.block_size), u64::from(scrypt.parallelization));
            let memory = scrypt.cost_parameter.saturating_mul(r).saturating_mul(128);
            if memory > SCRYPT_MEMORY || memory.saturating_mul(p) > 16 * SCRYPT_MEMORY {
                return Err(dear());
            }
        }
        _ => {}
    }
    Ok(info)
}

/// Algorithms that keys are known to have.
const ALGORITHMS: [(&str, &str); 7] = [
    ("1.2.840.113549.1.1.1", "an RSA key"),
    ("1.2.840.10045.2.1", "an EC key"),
    ("1.2.840.10040.4.1", "a DSA key"),
    ("1.3.101.110", "an X25519 key"),
    ("1.3.101.111", "an X448 key"),
    ("1.3.101.113", "an Ed448 key"),
    ("1.2.840.113549.1.1.10", "an RSA-PSS key"),
];

fn is_ed25519(path: &Path, oid: ObjectIdentifier) -> Result<()> {
    if oid == ED25519 {
        return Ok(());
    }
    let name = ALGORITHMS.iter().find(|(known, _)| oid.to_string() == *known);
    Err(other_algorithm(path, name.map_or("a key of another algorithm", |(_, name)| name)))
}

/// A PKCS#8 key, version 1 or 2.
fn parse(path: &Path, document: &SecretDocument) -> Result<SigningKey> {
    let info = PrivateKeyInfo::from_der(document.as_bytes())
        .map_err(|e| broken(path, format!("isn't a sound PKCS#8 key: {e}")))?;
    is_ed25519(path, info.algorithm.oid)?;
    let short = || broken(path, "isn't a sound Ed25519 key: its secret hasn't 32 bytes");
    let octets = OctetStringRef::from_der(info.private_key).map_err(|_| short())?;
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(octets.as_bytes().try_into().map_err(|_| short())?);
    let key = SigningKey::from_bytes(&seed);
    if info.public_key.is_some_and(|public| public != key.verifying_key().as_bytes()) {
        return Err(broken(path, "is damaged: the public key in it isn't the private one's"));
    }
    if seed.windows(2).all(|pair| pair[0] == pair[1]) {
        return Err(broken(path, "is a weak key: its secret is one byte repeated"));
    }
    sound_public(path, key.verifying_key().to_bytes())?;
    Ok(key)
}

/// Public keys whose private halves are in print: RFC 8032 §7.1, RFC 8410 §10.3.
const PUBLISHED: [&str; 6] = [
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
    "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
];

/// A key that not just anyone can sign for.
fn sound_public(path: &Path, bytes: [u8; 32]) -> Result<PublicKey> {
    if VerifyingKey::from_bytes(&bytes).map_or(true, |key| key.is_weak()) {
        return Err(broken(path, "is a weak key: anyone can sign for it"));
    }
    let hex = crate::hex::write(&bytes);
    if PUBLISHED.contains(&hex.as_str()) {
        return Err(broken(path, "is a weak key: it is an example in an RFC, and anyone can sign for it"));
    }
    Ok(PublicKey::ed25519(bytes))
}

/// What a key file holds.
fn content(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    files::read_secret(path, LARGEST).map_err(|e| match e.code {
        Code::Malformed => Error { code: Code::Key, ..e },
        _ => e,
    })
}

/// Reads a private key, asking for a passphrase if it is encrypted.
///
/// # Errors
/// `key`, `passphrase`, and those of the file.
pub fn read(path: &Path, passphrase: &Passphrase) -> Result<Private> {
    let bytes = content(path)?;
    let (development, wrapped) = unwrap(path, &bytes)?;
    let (document, secret) = match wrapped {
        Wrapped::Plain(document) => (document, None),
        Wrapped::Encrypted(document) => {
            // What can't be read isn't asked for.
            encrypted(path, &document)?;
            let secret = passphrase.get(path, false)?;
            (decrypt(path, &document, &secret)?, Some(secret))
        }
    };
    let key = parse(path, &document)?;
    let mut notes = if development { Vec::new() } else { notes(path) };
    if !development && secret.is_none() {
        let (name, pem) = (path.display(), kind::pem_begin(&bytes).is_some());
        let how = if pem { "passwd" } else { "import" };
        notes.push(format!("{name} isn't encrypted: `patchlane key {how} {name}` does it"));
    }
    Ok(Private { key, development, passphrase: secret, notes })
}

/// Whether others can read or change the file of a key that protects something.
#[cfg(unix)]
pub(crate) fn notes(path: &Path) -> Vec<String> {
    use std::os::unix::fs::PermissionsExt;
    let about = path.metadata().ok().filter(std::fs::Metadata::is_file);
    let mode = about.map(|about| about.permissions().mode() & 0o777).filter(|mode| mode & 0o077 != 0);
    let name = path.display();
    mode.map(|mode| format!("{name} is open to others (mode {mode:04o}): chmod 600 {name}"))
        .into_iter()
        .collect()
}

/// Whether others can read or change the file: not told from permissions here.
#[cfg(not(unix))]
pub(crate) fn notes(_: &Path) -> Vec<String> {
    Vec::new()
}

/// True if the file is PEM, as we write it.
///
/// # Errors
/// Those of the file.
pub fn is_pem(path: &Path) -> Result<bool> {
    Ok(kind::pem_begin(&content(path)?).is_some())
}

/// True if the file holds a private key, whether sound or not.
///
/// # Errors
/// Those of the file.
pub fn is_private(path: &Path) -> Result<bool> {
    Ok(Kind::of(&content(path)?) == Some(Kind::PrivateKey))
}

/// Reads a public key: PEM or DER. A private key is an error: which key stands in a root is said by its public half.
///
/// # Errors
/// `key`, and those of the file.
pub fn read_public(path: &Path) -> Result<PublicKey> {
    Ok(read_public_marked(path)?.0)
}

/// Reads the public half of a key that production can trust.
///
/// # Errors
/// As [`read_public`]; `development-trust` for a development key.
pub fn read_production(path: &Path) -> Result<PublicKey> {
    let (key, development) = read_public_marked(path)?;
    if development {
        let what = "is a development key: it lies unencrypted somewhere";
        let next = "make keys with `patchlane key new`, and name their public halves";
        return Err(Error::new(Code::Development, what, next).at(path.display()));
    }
    Ok(key)
}

/// Reads a public key's bytes; the path is for errors.
///
/// # Errors
/// As [`read_public`].
pub fn parse_public(path: &Path, bytes: &[u8]) -> Result<PublicKey> {
    Ok(parse_public_marked(path, bytes)?.0)
}

fn read_public_marked(path: &Path) -> Result<(PublicKey, bool)> {
    parse_public_marked(path, &content(path)?)
}

fn parse_public_marked(path: &Path, bytes: &[u8]) -> Result<(PublicKey, bool)> {
    let mut development = false;
    match Kind::of(bytes) {
        Some(Kind::PublicKey) => {}
        Some(Kind::PrivateKey) => {
            let next = format!("name its public half, such as {}", public_path(path).display());
            return Err(Error { next, ..broken(path, "is a private key, where a public one is needed") });
        }
        _ => return Err(kind::explain(broken(path, "isn't a key file"), bytes, Kind::PublicKey)),
    }
    let der = match kind::pem_begin(bytes) {
        None => bytes.to_vec(),
        Some(begin) => {
            let unsound = |e: &dyn std::fmt::Display| broken(path, format!("isn't a sound PEM file: {e}"));
            let text = std::str::from_utf8(bytes).map_err(|e| unsound(&e))?;
            let (before, block) = text.split_at(begin);
            development = is_marked(before);
            if block.matches("-----BEGIN ").count() > 1 {
                return Err(broken(path, "holds several PEM blocks, and one key is needed"));
            }
            pkcs8::der::pem::decode_vec(block.as_bytes()).map_err(|e| unsound(&e))?.1
        }
    };
    let info =
        SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| broken(path, "isn't a sound public key"))?;
    is_ed25519(path, info.algorithm.oid)?;
    let bytes = info.subject_public_key.as_bytes().and_then(|b| <[u8; 32]>::try_from(b).ok());
    let bytes = bytes.ok_or_else(|| broken(path, "isn't a sound Ed25519 key: it hasn't 32 bytes"))?;
    Ok((sound_public(path, bytes)?, development))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_print_are_known_by_their_public_halves() {
        let seeds = [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842",
        ];
        for (seed, public) in seeds.iter().zip(PUBLISHED) {
            let seed: Vec<u8> =
                (0..32).map(|i| u8::from_str_radix(&seed[2 * i..2 * i + 2], 16).unwrap()).collect();
            let key = SigningKey::from_bytes(&seed.try_into().unwrap()).verifying_key().to_bytes();
            assert_eq!(key.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), public);
            let error = sound_public(Path::new("k"), key).unwrap_err();
            assert!(error.what.starts_with("is a weak key"), "{}", error.what);
        }
    }

    #[test]
    fn points_of_small_order_are_weak() {
        let mut identity = [0; 32];
        identity[0] = 1;
        for bytes in [identity, [0; 32]] {
            assert_eq!(sound_public(Path::new("k"), bytes).unwrap_err().code, Code::Key);
        }
    }

    #[test]
    fn no_key_is_encoded_unencrypted_and_unmarked() {
        let key = generate().unwrap();
        for development in [false, true] {
            let plain = private_pem(&key, development, None).unwrap();
            assert!(plain.starts_with(DEVELOPMENT), "{}", *plain);
            let encrypted = private_pem(&key, development, Some(b"secret")).unwrap();
            assert_eq!(encrypted.starts_with(DEVELOPMENT), development);
            assert!(encrypted.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        }
    }
}
