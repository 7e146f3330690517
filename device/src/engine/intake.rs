//! The stream of a bundle: which piece comes next, and from where in the file.
//!
//! Any split of the bytes will do; each piece (header, a link, the head, a chunk) is collected whole in RAM before
//! anything looks at it. The device says which offset it wants, so that it can pass over payloads it has no use for
//! and go back to a block it wants to write anew.

use super::links;
use super::{Act, Done, Engine};
use crate::evidence::Payload;
use crate::io::{narrow, wide};
use patchlane_protocol::bundle::{Header, LINK_PREFIX};
use patchlane_protocol::{Digest, FormatError, Refusal, limits};

/// What the piece under way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaits {
    Nothing,
    Header,
    LinkLength,
    Link,
    Head,
    Chunk,
}

/// A place in the payload to which the stream can go back: the chunk that holds a block's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) block: u32,
    pub(super) position: u32,
    pub(super) expected: Digest,
}

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) awaits: Awaits,
    /// Offset in the file of the next byte.
    pub(super) want: u32,
    /// Bytes collected of the piece, and bytes it has.
    fill: usize,
    pub(super) need: usize,
    links: u8,
    header: Header,
    /// True if this transfer brought a new root.
    pub(super) committed: bool,
    /// Where the chosen payload begins in the file.
    pub(super) payload_at: u32,
    pub(super) payload: Payload,
    /// Data bytes before the chunk under way.
    pub(super) position: u32,
    pub(super) expected: Digest,
    /// From which image byte on flash is written; `None` while what is there is only compared.
    pub(super) write_from: Option<u32>,
    /// Image bytes written so far.
    pub(super) cursor: u32,
    pub(super) marks: [Option<Mark>; 3],
}

impl Intake {
    pub(super) const fn new() -> Self {
        let expected = Digest([0; 32]);
        Self {
            awaits: Awaits::Nothing,
            want: 0,
            fill: 0,
            need: 0,
            links: 0,
            header: Header { links: 0, manifest: 0, signatures: 0 },
            committed: false,
            payload_at: 0,
            payload: Payload { offset: 0, size: 0, chunk: 0, first: expected, delta: false },
            position: 0,
            expected,
            write_from: None,
            cursor: 0,
            marks: [None; 3],
        }
    }

    pub(super) const fn stop(&mut self) {
        self.awaits = Awaits::Nothing;
    }

    pub(super) const fn await_piece(&mut self, awaits: Awaits, need: usize) {
        self.awaits = awaits;
        self.need = need;
        self.fill = 0;
    }

    /// The work buffer is about to serve another purpose: a piece that was collected there is collected anew.
    pub(super) fn rewind(&mut self) {
        if self.awaits != Awaits::Head {
            self.want = self.want.saturating_sub(wide(self.fill));
            self.fill = 0;
        }
    }

    /// Bytes of data in the chunk under way.
    pub(super) fn chunk_data(&self) -> u32 {
        self.payload.size.saturating_sub(self.position).min(u32::from(self.payload.chunk))
    }

    /// True if no chunk follows the one under way.
    pub(super) fn is_last_chunk(&self) -> bool {
        self.position.saturating_add(self.chunk_data()) >= self.payload.size
    }

    /// Waits for the chunk at `position`, which has to have the digest `expected`.
    pub(super) fn await_chunk(&mut self, position: u32, expected: Digest) {
        self.position = position;
        self.expected = expected;
        let chunk = u32::from(self.payload.chunk).max(1);
        let before = position.checked_div(chunk).unwrap_or(0).saturating_mul(wide(Digest::WIDTH));
        self.want = self.payload_at.saturating_add(position).saturating_add(before);
        let link = if self.is_last_chunk() { 0 } else { Digest::WIDTH };
        self.await_piece(Awaits::Chunk, narrow(self.chunk_data()).saturating_add(link));
    }
}

impl Engine {
    /// Announces a bundle. An unfinished transfer is forgotten; what it wrote stays and is taken up again.
    #[inline(never)]
    pub fn begin_transfer(&mut self) {
        self.intake = Intake::new();
        self.permitted = None;
        self.intake.await_piece(Awaits::Header, Header::WIDTH);
    }

    /// The offset in the bundle file of the next byte wanted; `None` if no transfer is under way.
    pub fn want(&self) -> Option<u32> {
        (self.intake.awaits != Awaits::Nothing).then_some(self.intake.want)
    }

    /// Takes bytes of the bundle file from `offset` on and returns how many it took: none if they aren't the wanted
    /// ones. When a piece is whole ([`Engine::has_piece`]), [`super::Task::Intake`] goes on with it.
    pub fn offer(&mut self, offset: u32, bytes: &[u8]) -> usize {
        if self.want() != Some(offset) {
            return 0;
        }
        let left = self.intake.need.saturating_sub(self.intake.fill);
        let (piece, _) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
        let docs = &mut self.bench.mem.docs;
        let buffer = if self.intake.awaits == Awaits::Head { &mut docs.head[..] } else { &mut docs.work[..] };
        let end = self.intake.fill.saturating_add(piece.len());
        let Some(place) = buffer.get_mut(self.intake.fill..end) else { return 0 };
        place.copy_from_slice(piece);
        self.intake.fill = end;
        self.intake.want = self.intake.want.saturating_add(wide(piece.len()));
        piece.len()
    }

    /// True if a piece is whole.
    pub fn has_piece(&self) -> bool {
        self.intake.awaits != Awaits::Nothing && self.intake.fill >= self.intake.need
    }

    /// Goes on with a whole piece.
    pub(super) fn piece(&mut self) -> Act {
        if !self.has_piece() {
            return self.wanting();
        }
        let next = match self.intake.awaits {
            Awaits::Nothing => Err(Refusal::NotInService),
            Awaits::Header => self.header(),
            Awaits::LinkLength => self.link_length(),
            Awaits::Link => return self.link(),
            Awaits::Head => return self.head(),
            Awaits::Chunk => return self.chunk(),
        };
        match next {
            Ok(()) => self.wanting(),
            Err(refusal) => Act::End(Err(refusal)),
        }
    }

    pub(super) fn wanting(&self) -> Act {
        Act::End(self.want().map(Done::Want).ok_or(Refusal::NotInService))
    }

    #[inline(never)]
    fn header(&mut self) -> Result<(), Refusal> {
        let bytes = self.bench.mem.docs.work.get(..Header::WIDTH).unwrap_or(&[]);
        let header = Header::parse(bytes)?;
        self.intake.header = header;
        self.intake.links = header.links;
        self.next_link();
        Ok(())
    }

    /// Waits for the next root link, or for the head.
    pub(super) fn next_link(&mut self) {
        match self.intake.links.checked_sub(1) {
            Some(left) => {
                self.intake.links = left;
                self.intake.await_piece(Awaits::LinkLength, LINK_PREFIX);
            }
            None => {
                let header = self.intake.header;
                self.bench.mem.docs.manifest = usize::from(header.manifest);
                self.bench.mem.docs.signatures = usize::from(header.signatures);
                self.intake.await_piece(Awaits::Head, header.documents());
            }
        }
    }

    #[inline(never)]
    fn link_length(&mut self) -> Result<(), Refusal> {
        let length = self.bench.mem.docs.work.first_chunk::<LINK_PREFIX>().map(|b| u16::from_le_bytes(*b));
        match length.map(usize::from) {
            Some(length) if length > limits::ROOT_LINK => Err(FormatError::OverLimit.into()),
            Some(0) | None => Err(FormatError::UnexpectedEnd.into()),
            Some(length) => {
                self.intake.await_piece(Awaits::Link, length);
                Ok(())
            }
        }
    }

    #[inline(never)]
    fn link(&mut self) -> Act {
        match self.judge_link() {
            Ok(links::Verdict::Old) => {
                self.next_link();
                self.wanting()
            }
            Ok(links::Verdict::Next) => self.link_judged(),
            Err(refusal) => Act::End(Err(refusal)),
        }
    }
}
