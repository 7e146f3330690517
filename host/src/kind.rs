//! What a file is, by its content: an error can say what was given, not only what was wanted.

use crate::error::{Code, Error};
use patchlane_protocol::{Refusal, SignedRoot, bundle, owner, receipt};
use pkcs8::der::Decode;
use pkcs8::spki::SubjectPublicKeyInfoRef;
use pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo};

macro_rules! kinds {
    ($($name:ident = $text:literal;)+) => {
        /// Kinds of files that are told apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $(#[doc = $text] $name),+ }

        impl Kind {
            /// What an error calls it.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $text),+ } }
        }
    };
}

kinds! {
    Bundle = "a bundle";
    Root = "a root file";
    Owner = "an owner document";
    Receipt = "a receipt";
    PrivateKey = "a private key";
    PublicKey = "a public key";
    OtherPem = "a PEM file without a key that patchlane uses";
    Config = "a patchlane.toml";
    Elf = "an ELF file";
    Hex = "an Intel HEX file";
    Srec = "a Motorola S-record file";
    Uf2 = "a UF2 file";
    Dfu = "a DfuSe file";
    Gzip = "a gzip file";
    Zip = "a zip file";
    Xz = "an xz file";
    Json = "a JSON file";
}

/// The length of text that may precede a PEM block, in bytes.
const PREAMBLE: usize = 4096;
/// So much of a file's beginning is enough to tell its kind, in bytes.
pub const HEAD: usize = 2 * PREAMBLE;

impl Kind {
    /// What these bytes are, if it can be told.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let magics: [(&[u8], Self); 8] = [
            (&bundle::MAGIC, Self::Bundle),
            (&owner::MAGIC, Self::Owner),
            (&receipt::MAGIC, Self::Receipt),
            (b"\x7fELF", Self::Elf),
            (b"UF2\n\x57\x51\x5d\x9e", Self::Uf2),
            (b"\x1f\x8b\x08", Self::Gzip),
            (b"PK\x03\x04", Self::Zip),
            (b"\xfd7zXZ\0", Self::Xz),
        ];
        let magic = magics.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind);
        let magic = magic.or_else(|| bytes.starts_with(b"DfuSe\x01").then_some(Self::Dfu));
        magic
            .or_else(|| pem(bytes))
            .or_else(|| der(bytes))
            .or_else(|| SignedRoot::parse(bytes).ok().map(|_| Self::Root))
            .or_else(|| text(bytes))
    }
}

const BEGIN: &str = "-----BEGIN ";

/// Where the first PEM block begins, if the bytes are a PEM file: only text may stand before it.
pub(crate) fn pem_begin(bytes: &[u8]) -> Option<usize> {
    let head = &bytes[..bytes.len().min(PREAMBLE)];
    let begin = head.windows(BEGIN.len()).position(|window| window == BEGIN.as_bytes())?;
    std::str::from_utf8(&head[..begin]).is_ok_and(|before| !before.contains('\0')).then_some(begin)
}

/// What a PEM block says it holds.
pub(crate) fn pem_label(block: &str) -> &str {
    let line = block.strip_prefix(BEGIN).unwrap_or_default().lines().next().unwrap_or_default();
    line.strip_suffix("-----").unwrap_or_default()
}

fn pem(bytes: &[u8]) -> Option<Kind> {
    let block = &bytes[pem_begin(bytes)?..];
    let line = block.split(|byte| *byte == b'\n').next()?.trim_ascii_end();
    Some(match pem_label(std::str::from_utf8(line).ok()?) {
        "PUBLIC KEY" => Kind::PublicKey,
        label if label.ends_with("PRIVATE KEY") => Kind::PrivateKey,
        _ => Kind::OtherPem,
    })
}

fn der(bytes: &[u8]) -> Option<Kind> {
    if PrivateKeyInfo::from_der(bytes).is_ok() || EncryptedPrivateKeyInfo::from_der(bytes).is_ok() {
        Some(Kind::PrivateKey)
    } else {
        SubjectPublicKeyInfoRef::from_der(bytes).ok().map(|_| Kind::PublicKey)
    }
}

fn text(bytes: &[u8]) -> Option<Kind> {
    let head = &bytes[..bytes.len().min(PREAMBLE)];
    let digits = |from: usize| {
        let line = head.get(from..)?.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
        (line.len() >= 8 && line.iter().all(u8::is_ascii_hexdigit)).then_some(())
    };
    match head {
        [b':', ..] if digits(1).is_some() => return Some(Kind::Hex),
        [b'S', b'0'..=b'3', ..] if digits(2).is_some() => return Some(Kind::Srec),
        _ => {}
    }
    // Cut anywhere, the head need not end with a whole character.
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&head[..e.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    if text.contains('\0') {
        return None;
    }
    let sections = ["[product]", "[trust]", "[flash]"];
    if text.lines().any(|line| sections.contains(&line.trim())) {
        return Some(Kind::Config);
    }
    let opens = text.trim_start().as_bytes();
    (matches!(opens, [b'{', ..]) && opens.contains(&b'"')).then_some(Kind::Json)
}

/// An error about bytes that aren't what was `wanted`: if they are something else that is known, it says what.
pub(crate) fn explain(error: Error, bytes: &[u8], wanted: Kind) -> Error {
    let code = match error.code {
        Code::Refused | Code::Unsigned => Code::Malformed,
        other => other,
    };
    let next = match wanted {
        Kind::Bundle => "name the bundle: `patchlane build` makes it (.plb)",
        Kind::Root => "name the root file: `patchlane init` and `root new` make it (.plr)",
        Kind::PublicKey => "name the public key: `patchlane key new` makes it (.pub)",
        Kind::PrivateKey => "name the private key: `patchlane key new` makes it (.pem)",
        Kind::Config => "name the configuration: `patchlane init` makes it (patchlane.toml)",
        _ => "check that it is the right file",
    };
    match Kind::of(bytes) {
        None if bytes.is_empty() => Error { place: error.place, ..Error::new(code, "is empty", next) },
        Some(kind) if kind != wanted => {
            let what = format!("is {}, not {}", kind.name(), wanted.name());
            Error { place: error.place, ..Error::new(code, what, next) }
        }
        // Nothing that is known: the rule alone wouldn't say that it is another file altogether.
        None if matches!(error.refusal, Some(Refusal::Malformed(_))) => {
            let what = format!("isn't {}: it {}", wanted.name(), error.what);
            Error { what, next: next.into(), ..error }
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        let known: [(&[u8], Kind); 14] = [
            (b"PLBN\x01", Kind::Bundle),
            (b"PLOD\x01", Kind::Owner),
            (b"PLRC\x01", Kind::Receipt),
            (b"\x7fELF\x01", Kind::Elf),
            (b"# a remark\n-----BEGIN PRIVATE KEY-----\n", Kind::PrivateKey),
            (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", Kind::PrivateKey),
            (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", Kind::PrivateKey),
            (b"-----BEGIN PUBLIC KEY-----\n", Kind::PublicKey),
            (b"-----BEGIN CERTIFICATE-----\n", Kind::OtherPem),
            (b":020000040800F2\n", Kind::Hex),
            (b"S00600004844521B\n", Kind::Srec),
            (b"UF2\n\x57\x51\x5d\x9e....", Kind::Uf2),
            (b"# mine\n[product]\nvendor = \"x\"\n", Kind::Config),
            (b"{\"ok\": true}", Kind::Json),
        ];
        for (bytes, kind) in known {
            assert_eq!(Kind::of(bytes), Some(kind), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn firmware_and_other_bytes_are_nothing_in_particular() {
        let vectors = [0x00, 0x80, 0x00, 0x20, 0xc1, 0x00, 0x00, 0x08];
        for bytes in [&b""[..], &[0], &[0xff; 64], &[0x42; 9000], &vectors, b"hello", b"S1", b":", b"0\x82"] {
            assert_eq!(Kind::of(bytes), None, "{bytes:x?}");
        }
        // A certificate amid code isn't a PEM file.
        let mut image = vec![0; 64];
        image.extend(b"-----BEGIN CERTIFICATE-----");
        assert_eq!(Kind::of(&image), None);
    }
}
