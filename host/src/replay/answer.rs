//! What is sent to a device, and what it answers, as files have it: `text WORDS`, `hex DIGITS`, `silence`, `gone WHY`.

use crate::bundle::sha256;
use crate::files::LARGEST;
use crate::hex;
use crate::output::plain;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Longer answers are kept as their digest.
const KEPT: usize = 256;
/// What a masked byte becomes.
const MASKED: u8 = b'*';

/// SHA-256 of so many masked bytes.
fn masked_digest(bytes: u64) -> String {
    let (mut hash, mut left) = (Sha256::new(), bytes);
    let block = [MASKED; 4096];
    while left > 0 {
        let some = usize::try_from(left).unwrap_or(block.len()).min(block.len());
        hash.update(&block[..some]);
        left -= some as u64;
    }
    hex::write(&<[u8; 32]>::from(hash.finalize()))
}

/// True for what can stand at the end of a line, and comes out of it as it went in.
fn is_line(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && plain(text) == text
}

/// One input, in the notation of its recording: a line has the end that its transport gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// A line of text, without its end.
    Text(String),
    /// Bytes as they are.
    Hex(Vec<u8>),
}

impl Sent {
    /// Reads one of the two notations.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: Option<String>, digits: Option<&str>) -> Result<Self, String> {
        match (text, digits) {
            (Some(text), None) if is_line(&text) => Ok(Self::Text(text)),
            (Some(text), None) => {
                Err(format!("`{}` isn't one line, without space around it: write it as hex", plain(&text)))
            }
            (None, Some(digits)) => {
                let bytes = hex::read_all(&digits.to_ascii_lowercase()).filter(|bytes| !bytes.is_empty());
                bytes.map(Self::Hex).ok_or_else(|| format!("`{}` isn't bytes in hex", plain(digits)))
            }
            _ => Err("has to have one of `text` and `hex`".into()),
        }
    }

    /// As an adapter reads it.
    pub fn line(&self) -> String {
        match self {
            Self::Text(text) => format!("text {text}"),
            Self::Hex(bytes) => format!("hex {}", hex::write(bytes)),
        }
    }

    /// As a statement has it.
    pub fn value(&self) -> Value {
        match self {
            Self::Text(text) => json!({ "text": text }),
            Self::Hex(bytes) => json!({ "hex": hex::write(bytes) }),
        }
    }

    /// The same, read.
    pub(super) fn of_value(value: &Value) -> Option<Self> {
        Self::new(value["text"].as_str().map(str::to_owned), value["hex"].as_str()).ok()
    }
}

/// What isn't compared: bytes of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// The first byte, from 0.
    pub at: usize,
    /// How many.
    pub length: usize,
    /// Why they may differ.
    pub why: String,
}

/// What a device answers to one input.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Bytes; none is an answer, too.
    Bytes(Vec<u8>),
    /// More than is kept.
    Long {
        /// Their SHA-256.
        digest: String,
        /// How many.
        bytes: u64,
    },
    /// Nothing came while the adapter waited.
    Silence,
    /// The device crashed, restarted or is away; in the adapter's words.
    Gone(String),
    /// The input wasn't played: the device was gone before.
    Unplayed,
}

/// How a device went isn't compared: process numbers and addresses differ.
impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Long { digest: a, .. }, Self::Long { digest: b, .. }) => a == b,
            (Self::Silence, Self::Silence)
            | (Self::Gone(_), Self::Gone(_))
            | (Self::Unplayed, Self::Unplayed) => true,
            _ => false,
        }
    }
}

impl Eq for Answer {}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if is_line(text) => write!(f, "`{text}`"),
                _ => write!(f, "`hex {}`", hex::write(bytes)),
            },
            Self::Long { digest, bytes } => {
                write!(f, "{bytes} bytes (SHA-256 {})", &digest[..digest.len().min(16)])
            }
            Self::Silence => f.write_str("nothing"),
            Self::Gone(why) if why.is_empty() => f.write_str("a crash"),
            Self::Gone(why) => write!(f, "a crash ({why})"),
            Self::Unplayed => f.write_str("nothing, not being played"),
        }
    }
}

impl Answer {
    /// What an adapter wrote after the input's number.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_line(line: &str) -> Result<Self, String> {
        let (kind, data) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "text" => Ok(Self::Bytes(data.as_bytes().to_vec())),
            "hex" => {
                let bytes = hex::read_all(&data.trim().to_ascii_lowercase());
                bytes.map(Self::Bytes).ok_or_else(|| format!("`{}` isn't hex", plain(data)))
            }
            "silence" if data.is_empty() => Ok(Self::Silence),
            "gone" => Ok(Self::Gone(plain(data.trim()).chars().take(KEPT).collect())),
            _ => Err(format!("`{}` is none of text, hex, silence and gone", plain(line))),
        }
    }

    /// Without what isn't compared, and short enough to be kept.
    #[must_use]
    pub fn compared(&self, masks: &[Mask]) -> Self {
        let Self::Bytes(bytes) = self else { return self.clone() };
        let mut bytes = bytes.clone();
        for mask in masks {
            bytes.iter_mut().skip(mask.at).take(mask.length).for_each(|byte| *byte = MASKED);
        }
        match bytes.len() {
            0..=KEPT => Self::Bytes(bytes),
            more => Self::Long { digest: sha256(&bytes).to_string(), bytes: more as u64 },
        }
    }

    /// True if masks leave nothing of it.
    pub(super) fn is_hidden(&self) -> bool {
        match self {
            Self::Bytes(bytes) => !bytes.is_empty() && bytes.iter().all(|byte| *byte == MASKED),
            // Of what isn't kept only the digest is there: it is that of as many masked bytes.
            Self::Long { digest, bytes } if *bytes <= LARGEST => *digest == masked_digest(*bytes),
            _ => false,
        }
    }

    /// True if the device said something.
    pub const fn is_said(&self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Long { .. })
    }

    /// As a statement has it.
    pub fn value(&self) -> Value {
        match self {
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if is_line(text) => json!({ "text": text }),
                _ => json!({ "hex": hex::write(bytes) }),
            },
            Self::Long { digest, bytes } => json!({ "sha256": digest, "bytes": bytes }),
            Self::Silence => json!({ "silence": true }),
            Self::Gone(why) => json!({ "gone": why }),
            Self::Unplayed => json!({ "unplayed": true }),
        }
    }

    /// The same, read.
    pub(super) fn of_value(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str();
        match value.as_object()?.keys().next()?.as_str() {
            "text" => text("text").map(|text| Self::Bytes(text.as_bytes().to_vec())),
            "hex" => text("hex").and_then(hex::read_all).map(Self::Bytes),
            "sha256" | "bytes" => {
                let bytes = value["bytes"].as_u64()?;
                text("sha256").map(|digest| Self::Long { digest: digest.to_owned(), bytes })
            }
            "silence" => Some(Self::Silence),
            "gone" => text("gone").map(|why| Self::Gone(why.to_owned())),
            "unplayed" => Some(Self::Unplayed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_they_are_written() {
        for line in ["text :D00e6", "hex 00ff", "hex ", "silence", "gone", "gone signal 11"] {
            let answer = Answer::of_line(line).unwrap();
            assert_eq!(Answer::of_value(&answer.value()), Some(answer), "{line}");
        }
        for wrong in ["", "Text x", "hex 0", "hex zz", "silence x", "text:x", ":D00"] {
            assert!(Answer::of_line(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Answer::of_line("text ab").unwrap(), Answer::of_line("hex 6162").unwrap());
        assert_ne!(Answer::of_line("hex").unwrap(), Answer::Silence, "an empty answer is one");
        assert_eq!(Answer::Gone("pid 1".into()), Answer::Gone("pid 2".into()));
    }

    #[test]
    fn masks_hide_what_they_name_and_no_length() {
        let mask = |at, length| Mask { at, length, why: "clock".into() };
        let of = |text: &str| Answer::Bytes(text.as_bytes().to_vec());
        assert_eq!(of("at 12:30").compared(&[mask(3, 5)]), of("at 09:11").compared(&[mask(3, 5)]));
        assert_ne!(of("at 12:30").compared(&[mask(3, 5)]), of("in 12:30").compared(&[mask(3, 5)]));
        assert_ne!(of("at 12:30").compared(&[mask(3, 99)]), of("at 9:30").compared(&[mask(3, 99)]));
        assert!(of("12:30").compared(&[mask(0, 9)]).is_hidden());
        let long = |length| Answer::Bytes(vec![7; 300]).compared(&[mask(0, length)]);
        assert!(long(300).is_hidden() && long(9999).is_hidden() && !long(299).is_hidden());
        assert!(!Answer::Bytes(vec![7; 5000]).compared(&[]).is_hidden());
        let long = Answer::Bytes(vec![7; 5000]).compared(&[]);
        assert!(matches!(long, Answer::Long { bytes: 5000, .. }), "{long}");
        assert_eq!(Answer::of_value(&long.value()), Some(long));
    }

    #[test]
    fn what_is_sent_is_a_line_or_bytes() {
        let text = |text: &str| Sent::new(Some(text.to_owned()), None);
        assert_eq!(text(":R0001").unwrap().line(), "text :R0001");
        for wrong in ["", " a", "a ", "a\nb", "\u{202e}"] {
            assert!(text(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(Sent::new(None, Some("00FF")).unwrap().line(), "hex 00ff");
        assert!(Sent::new(None, Some("")).is_err() && Sent::new(None, Some("0")).is_err());
        assert!(Sent::new(None, None).is_err() && Sent::new(Some("a".into()), Some("00")).is_err());
    }
}
