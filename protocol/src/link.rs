//! The service link: frames over any byte stream (SPEC §8).
//!
//! ```text
//! 0x00 | COBS( type, body, CRC-32 of type and body (u32 LE) ) | 0x00
//! ```
//! The checksum finds noise; it is no security measure. The bundle authenticates itself, and frames that ask
//! for something are requests, which the application grants or not.

use crate::codec::{Reader, Writer, tagged};
use crate::error::FormatError;
use crate::ids::Digest;
use crate::limits;
use crate::list::Element;
use crate::owner::Action;
use crate::policy::Policy;
use crate::signature::PublicKey;

tagged! {
    /// What became of a bundle or a request.
    pub enum Outcome {
        /// A request or an owner document was carried out.
        Done = 0,
        /// The release is whole in the secondary slot and goes in at the next restart.
        Ready = 1,
        /// The release is whole in the secondary slot and waits for an apply request.
        Staged = 2,
        /// A payload-free patch was confirmed at once.
        Applied = 3,
        /// The root links were news and were committed; the bundle itself brought nothing else.
        RootCommitted = 4,
    }
}

/// From the host to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// Asks for a status report.
    Status,
    /// Announces a bundle; whatever transfer was under way starts anew.
    Begin,
    /// Bytes of the bundle file from `offset` on.
    Data {
        /// Position in the bundle file.
        offset: u32,
        /// At most [`limits::FRAME_DATA`] bytes.
        bytes: &'a [u8],
    },
    /// A signed owner document.
    Owner(&'a [u8]),
    /// A local request about one manifest.
    Local {
        /// What is wanted.
        action: Action,
        /// SHA-256 of the manifest.
        manifest: Digest,
    },
    /// A local request for a policy; only while no owner anchor exists.
    SetPolicy(Policy),
    /// A local request for an owner anchor; only while none exists.
    SetAnchor(PublicKey),
    /// A request to restart.
    Reboot,
}

/// From the device to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// An encoded status report.
    Status(&'a [u8]),
    /// The transfer goes on at this position of the bundle file.
    Want(u32),
    /// The bundle or request was taken.
    Outcome(Outcome),
    /// It was refused; the code is a [`crate::Refusal`]'s.
    Refused(u8),
}

/// Bytes of a checksum.
const CHECKSUM: usize = 4;
/// The largest stuffed frame without its delimiters.
pub const STUFFED: usize = limits::FRAME + CHECKSUM + 4;

impl<'a> Command<'a> {
    /// Reads a command from an unstuffed, checked frame.
    ///
    /// # Errors
    /// Those of SPEC §2.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut r = Reader::new(bytes);
        let command = match r.u8()? {
            0x01 => Self::Status,
            0x02 => Self::Begin,
            0x03 => Self::Data { offset: r.u32()?, bytes: r.blob(limits::FRAME_DATA)? },
            0x04 => Self::Owner(r.blob(limits::OWNER_DOCUMENT)?),
            0x05 => Self::Local { action: Action::read(&mut r)?, manifest: Digest::read(&mut r)? },
            0x06 => Self::SetPolicy(Policy::read(&mut r)?),
            0x07 => Self::SetAnchor(PublicKey::read(&mut r)?),
            0x08 => Self::Reboot,
            _ => return Err(FormatError::UnknownTag),
        };
        r.finish().map(|()| command)
    }

    /// Writes type and body.
    ///
    /// # Errors
    /// `BufferFull`, `OverLimit`.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), FormatError> {
        match self {
            Self::Status => w.u8(0x01),
            Self::Begin => w.u8(0x02),
            Self::Data { offset, bytes } => {
                w.u8(0x03)?;
                w.u64(u64::from(*offset))?;
                w.blob(bytes, limits::FRAME_DATA)
            }
            Self::Owner(document) => {
                w.u8(0x04)?;
                w.blob(document, limits::OWNER_DOCUMENT)
            }
            Self::Local { action, manifest } => {
                w.u8(0x05)?;
                action.write(w)?;
                manifest.write(w)
            }
            Self::SetPolicy(policy) => {
                w.u8(0x06)?;
                policy.write(w)
            }
            Self::SetAnchor(key) => {
                w.u8(0x07)?;
                key.write(w)
            }
            Self::Reboot => w.u8(0x08),
        }
    }
}

impl<'a> Reply<'a> {
    /// Reads a reply from an unstuffed, checked frame.
    ///
    /// # Errors
    /// Those of SPEC §2.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut r = Reader::new(bytes);
        let reply = match r.u8()? {
            0x81 => Self::Status(r.blob(limits::STATUS)?),
            0x82 => Self::Want(r.u32()?),
            0x83 => Self::Outcome(Outcome::read(&mut r)?),
            0x84 => Self::Refused(r.u8()?),
            _ => return Err(FormatError::UnknownTag),
        };
        r.finish().map(|()| reply)
    }

    /// Writes type and body.
    ///
    /// # Errors
    /// `BufferFull`, `OverLimit`.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), FormatError> {
        match self {
            Self::Status(report) => {
                w.u8(0x81)?;
                w.blob(report, limits::STATUS)
            }
            Self::Want(offset) => {
                w.u8(0x82)?;
                w.u64(u64::from(*offset))
            }
            Self::Outcome(outcome) => {
                w.u8(0x83)?;
                outcome.write(w)
            }
            Self::Refused(code) => {
                w.u8(0x84)?;
                w.u8(*code)
            }
        }
    }
}

/// CRC-32 (IEEE 802.3, reflected, initial and final value all ones), bit by bit: small beats fast here.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1 == 1;
            crc >>= 1;
            if carry {
                crc ^= 0xedb8_8320;
            }
        }
    }
    !crc
}

/// Stuffs `content` with its checksum into `out`, delimiters included.
///
/// # Errors
/// `OverLimit` if `content` is longer than a frame, `BufferFull`.
pub fn encode_frame<'b>(content: &[u8], out: &'b mut [u8]) -> Result<&'b [u8], FormatError> {
    if content.len() > limits::FRAME {
        return Err(FormatError::OverLimit);
    }
    let checksum = crc32(content).to_le_bytes();
    let mut writer = Writer::new(out);
    writer.u8(0)?;
    let mut rest = content.iter().chain(checksum.iter()).copied();
    let mut block = [0u8; 254];
    let mut used = 0u8;
    let flush = |block: &[u8; 254], used: u8, writer: &mut Writer<'b>| {
        writer.u8(used.saturating_add(1))?;
        writer.put(block.get(..usize::from(used)).unwrap_or(&[]))
    };
    loop {
        match rest.next() {
            Some(0) => {
                flush(&block, used, &mut writer)?;
                used = 0;
            }
            Some(byte) => {
                if let Some(place) = block.get_mut(usize::from(used)) {
                    *place = byte;
                }
                used = used.saturating_add(1);
                if used == 254 {
                    flush(&block, used, &mut writer)?;
                    used = 0;
                }
            }
            None => {
                flush(&block, used, &mut writer)?;
                break;
            }
        }
    }
    writer.u8(0)?;
    Ok(writer.finish())
}

/// Collects bytes into frames. Noise between frames and overlong frames are dropped, never an overrun.
#[derive(Debug)]
pub struct Deframer {
    buffer: [u8; STUFFED],
    used: usize,
    overrun: bool,
}

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

impl Deframer {
    /// An empty collector.
    pub const fn new() -> Self {
        Self { buffer: [0; STUFFED], used: 0, overrun: false }
    }

    /// True while a frame is under way: its first byte has come and its end hasn't.
    pub const fn is_inside(&self) -> bool {
        self.used > 0
    }

    /// Takes one byte; returns a frame's content when the byte ends one.
    ///
    /// # Errors
    /// `BadFrame` if the frame is damaged, `OverLimit` if it was too long. The next frame starts clean.
    pub fn push(&mut self, byte: u8) -> Result<Option<&[u8]>, FormatError> {
        if byte != 0 {
            match self.buffer.get_mut(self.used) {
                Some(place) => {
                    *place = byte;
                    self.used = self.used.saturating_add(1);
                }
                None => self.overrun = true,
            }
            return Ok(None);
        }
        let used = core::mem::take(&mut self.used);
        if core::mem::take(&mut self.overrun) {
            return Err(FormatError::OverLimit);
        }
        if used == 0 {
            return Ok(None);
        }
        let frame = self.buffer.get_mut(..used).ok_or(FormatError::BadFrame)?;
        let length = unstuff(frame)?;
        let split = length.checked_sub(CHECKSUM).ok_or(FormatError::BadFrame)?;
        if split > limits::FRAME {
            return Err(FormatError::OverLimit);
        }
        let (content, rest) = frame.split_at_checked(split).ok_or(FormatError::BadFrame)?;
        let (checksum, _) = rest.split_first_chunk::<CHECKSUM>().ok_or(FormatError::BadFrame)?;
        if crc32(content) == u32::from_le_bytes(*checksum) {
            Ok(Some(content))
        } else {
            Err(FormatError::BadFrame)
        }
    }
}

/// Undoes the stuffing in place and returns the length of the result.
fn unstuff(frame: &mut [u8]) -> Result<usize, FormatError> {
    let mut from = 0usize;
    let mut to = 0usize;
    while let Some(&code) = frame.get(from) {
        from = from.saturating_add(1);
        for _ in 1..code {
            let byte = *frame.get(from).ok_or(FormatError::BadFrame)?;
            *frame.get_mut(to).ok_or(FormatError::BadFrame)? = byte;
            from = from.saturating_add(1);
            to = to.saturating_add(1);
        }
        if code != u8::MAX && from < frame.len() {
            *frame.get_mut(to).ok_or(FormatError::BadFrame)? = 0;
            to = to.saturating_add(1);
        }
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    fn round_trip(content: &[u8]) -> Vec<u8> {
        let mut out = [0; STUFFED + 4];
        let stuffed = encode_frame(content, &mut out).unwrap();
        assert!(stuffed[1..stuffed.len() - 1].iter().all(|b| *b != 0));
        let mut deframer = Deframer::new();
        let mut got = None;
        for byte in stuffed {
            if let Some(frame) = deframer.push(*byte).unwrap() {
                got = Some(frame.to_vec());
            }
        }
        got.unwrap()
    }

    #[test]
    fn any_content_survives_framing() {
        let mut seed = 1u32;
        for length in 0..=limits::FRAME {
            let content: Vec<u8> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if seed >> 30 == 0 { 0 } else { (seed >> 16) as u8 }
                })
                .collect();
            assert_eq!(round_trip(&content), content);
        }
        for n in [253, 254, 255, 508, 509] {
            assert_eq!(round_trip(&std::vec![7; n]), std::vec![7; n]);
        }
    }

    /// Stuffing leaves slack in the collector; the limit of a frame must hold all the same.
    #[test]
    fn a_frame_above_the_limit_is_refused_even_if_it_fits_the_collector() {
        let mut content = std::vec![7; limits::FRAME + 1];
        content.extend(crc32(&content).to_le_bytes());
        let mut deframer = Deframer::new();
        for block in content.chunks(254) {
            let code = if block.len() == 254 { 255 } else { block.len() as u8 + 1 };
            assert_eq!(deframer.push(code), Ok(None));
            for byte in block {
                assert_ne!(*byte, 0);
                assert_eq!(deframer.push(*byte), Ok(None));
            }
        }
        assert_eq!(deframer.push(0), Err(FormatError::OverLimit));
    }

    #[test]
    fn a_damaged_frame_is_dropped_and_the_next_one_read() {
        let mut out = [0; STUFFED + 4];
        let good = encode_frame(b"hello", &mut out).unwrap().to_vec();
        let mut deframer = Deframer::new();
        let mut bad = good.clone();
        bad[3] ^= 0x10;
        let results: Vec<_> = bad.iter().map(|b| deframer.push(*b).map(|f| f.is_some())).collect();
        assert_eq!(results.last(), Some(&Err(FormatError::BadFrame)));
        for _ in 0..2 * STUFFED {
            assert_eq!(deframer.push(9), Ok(None));
        }
        assert_eq!(deframer.push(0), Err(FormatError::OverLimit));
        let results: Vec<_> = good.iter().map(|b| deframer.push(*b).map(|f| f.is_some())).collect();
        assert_eq!(results.last(), Some(&Ok(true)));
    }
}
