//! All buffers of a device: about 4.2 KiB, and 4.3 KiB more for deltas; none of them on the stack.

use super::{narrow, wide};
#[cfg(feature = "delta")]
use crate::delta::{BadDelta, Decoder, Input, Need, Window};
use crate::layout::IO;
use patchlane_protocol::receipt::{Receipt, ReceiptHeader};
use patchlane_protocol::{Digest, limits};
use sha2::{Digest as _, Sha256};

/// Bytes of the work buffer: one chunk with the digest of the next, one root link, or one record.
pub const WORK: usize = 1_088;

/// Buffers.
#[derive(Debug)]
pub struct Memory {
    /// What operations read into and write from.
    pub io: [u8; IO],
    /// What they are about.
    pub docs: Documents,
    /// A delta being decoded.
    #[cfg(feature = "delta")]
    pub delta: Delta,
}

/// A decoder, and what of its base the operation buffer holds: from where, and how much.
#[cfg(feature = "delta")]
#[derive(Debug)]
pub struct Delta {
    /// The decoder.
    pub decoder: Decoder,
    /// Set by whoever reads the base, unset by whoever uses the buffer otherwise.
    pub window: Option<(u32, u32)>,
}

#[cfg(feature = "delta")]
impl Delta {
    /// A stream begins.
    pub fn begin(&mut self, base: u32, image: u32) {
        self.decoder.begin(base, image);
        self.window = None;
    }
}

/// Documents in RAM.
#[derive(Debug)]
pub struct Documents {
    /// A chunk, a link, a record, or the root document of a loaded receipt.
    pub work: [u8; WORK],
    /// Bytes of the root document of a loaded receipt in `work`.
    pub work_root: usize,
    /// A manifest and its signatures.
    pub head: [u8; limits::HEAD],
    /// Bytes of the manifest.
    pub manifest: usize,
    /// Bytes of the signatures, right after it.
    pub signatures: usize,
    /// The root document the device trusts.
    pub root: [u8; limits::ROOT_DOCUMENT],
    /// Its length.
    pub root_length: usize,
}

/// Where bytes to be written come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The work buffer, from this byte on.
    Work(u32),
    /// A receipt made of `head` and `root`.
    Receipt,
    /// A receipt that keeps `root` only.
    RootOnly,
    /// The page that a delta's decoder made.
    #[cfg(feature = "delta")]
    Page,
}

impl Memory {
    /// Empty buffers.
    #[inline(always)]
    pub const fn new() -> Self {
        Self {
            io: [0; IO],
            docs: Documents {
                work: [0; WORK],
                work_root: 0,
                head: [0; limits::HEAD],
                manifest: 0,
                signatures: 0,
                root: [0; limits::ROOT_DOCUMENT],
                root_length: 0,
            },
            #[cfg(feature = "delta")]
            delta: Delta { decoder: Decoder::new(), window: None },
        }
    }

    /// Decodes the chunk in the work buffer, as far as that goes.
    #[cfg(feature = "delta")]
    pub fn decode(&mut self, data: usize, last: bool) -> Result<Need, BadDelta> {
        let chunk = self.docs.work.get(..data).unwrap_or(&[]);
        let (at, length) = self.delta.window.unwrap_or((0, 0));
        let bytes = self.io.get(..narrow(length)).unwrap_or(&[]);
        self.delta.decoder.run(Input { chunk, last }, Window { at, bytes })
    }

    /// Puts `length` bytes of `source` from `position` on into the operation buffer, padded to `padded`.
    pub fn fill(&mut self, source: Source, position: u32, length: u32, padded: u32) {
        self.io.iter_mut().take(narrow(padded)).for_each(|byte| *byte = 0xff);
        let io = &mut self.io;
        #[cfg(feature = "delta")]
        if source == Source::Page {
            let page = self.delta.decoder.page().1;
            let from = page.get(narrow(position)..).unwrap_or(&[]);
            io.iter_mut().zip(from).take(narrow(length)).for_each(|(to, from)| *to = *from);
            return;
        }
        self.docs.each(source, position, length, &mut |at, bytes| {
            if let Some(place) = io.get_mut(at..at.saturating_add(bytes.len())) {
                place.copy_from_slice(bytes);
            }
            true
        });
    }

    /// True if the operation buffer begins with `length` bytes of `source` from `position` on.
    pub fn matches(&self, source: Source, position: u32, length: u32) -> bool {
        let io = &self.io;
        #[cfg(feature = "delta")]
        if source == Source::Page {
            let (from, to) = (narrow(position), narrow(position.saturating_add(length)));
            let page = self.delta.decoder.page().1.get(from..to);
            return page.is_some_and(|page| io.get(..page.len()) == Some(page));
        }
        self.docs.each(source, position, length, &mut |at, bytes| {
            io.get(at..at.saturating_add(bytes.len())).is_some_and(|place| place == bytes)
        })
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Documents {
    /// The manifest's bytes.
    pub fn manifest(&self) -> &[u8] {
        self.head.get(..self.manifest).unwrap_or(&[])
    }

    /// The signatures' bytes.
    pub fn signatures(&self) -> &[u8] {
        self.head.get(self.manifest..self.manifest.saturating_add(self.signatures)).unwrap_or(&[])
    }

    /// The trusted root document's bytes.
    pub fn root(&self) -> &[u8] {
        self.root.get(..self.root_length).unwrap_or(&[])
    }

    /// The bytes of the root document of the receipt loaded last.
    pub fn loaded_root(&self) -> &[u8] {
        self.work.get(..self.work_root).unwrap_or(&[])
    }

    /// Makes `document` the trusted root in RAM; false if it is too long.
    pub fn set_root(&mut self, document: &[u8]) -> bool {
        let Some(place) = self.root.get_mut(..document.len()) else { return false };
        place.copy_from_slice(document);
        self.root_length = document.len();
        true
    }

    /// Puts a head into the buffer; false if it is too long.
    pub fn set_head(&mut self, manifest: &[u8], signatures: &[u8]) -> bool {
        let end = manifest.len().saturating_add(signatures.len());
        let Some((first, second)) =
            self.head.get_mut(..end).and_then(|head| head.split_at_mut_checked(manifest.len()))
        else {
            return false;
        };
        first.copy_from_slice(manifest);
        second.copy_from_slice(signatures);
        self.manifest = manifest.len();
        self.signatures = signatures.len();
        true
    }

    /// Takes the work buffer's first bytes as the trusted root: a receipt that was just loaded.
    pub fn adopt_loaded_root(&mut self) {
        let length = self.work_root;
        if let (Some(from), Some(to)) = (self.work.get(..length), self.root.get_mut(..length)) {
            to.copy_from_slice(from);
            self.root_length = length;
        }
    }

    /// The receipt that `source` stands for.
    pub fn receipt(&self, source: Source) -> Receipt<'_> {
        match source {
            Source::Receipt => {
                Receipt { manifest: self.manifest(), signatures: self.signatures(), root: self.root() }
            }
            _ => Receipt { manifest: &[], signatures: &[], root: self.root() },
        }
    }

    /// Bytes of the receipt that `source` stands for.
    pub fn receipt_length(&self, source: Source) -> u32 {
        self.receipt(source).header().map_or(0, |header| wide(header.total()))
    }

    /// SHA-256 of the receipt that `source` stands for.
    pub fn receipt_digest(&self, source: Source) -> Digest {
        let mut hasher = Sha256::new();
        self.each(source, 0, self.receipt_length(source), &mut |_, bytes| {
            hasher.update(bytes);
            true
        });
        Digest(hasher.finalize().into())
    }

    /// Shows `length` bytes of `source` from `position` on, piece by piece with each piece's offset from
    /// `position`, while `take` agrees. Returns false if it didn't, or if there were fewer bytes.
    pub fn each(
        &self,
        source: Source,
        position: u32,
        length: u32,
        take: &mut dyn FnMut(usize, &[u8]) -> bool,
    ) -> bool {
        let (start, end) = (narrow(position), narrow(position.saturating_add(length)));
        if let Source::Work(from) = source {
            let from = narrow(from);
            let bytes = self.work.get(from.saturating_add(start)..from.saturating_add(end));
            return bytes.is_some_and(|bytes| take(0, bytes));
        }
        let receipt = self.receipt(source);
        let mut header = [0; ReceiptHeader::WIDTH];
        if receipt.header().and_then(|h| h.encode(&mut header).map(|_| ())).is_err() {
            return false;
        }
        let mut begins = 0usize;
        for section in [&header[..], receipt.manifest, receipt.signatures, receipt.root] {
            let ends = begins.saturating_add(section.len());
            let (from, to) = (start.max(begins), end.min(ends));
            if from < to {
                let piece = section.get(from.saturating_sub(begins)..to.saturating_sub(begins));
                if !piece.is_some_and(|piece| take(from.saturating_sub(start), piece)) {
                    return false;
                }
            }
            begins = ends;
        }
        end <= begins
    }
}
