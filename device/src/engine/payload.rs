//! Payload chunks: authenticated, then compared or written, then read back (I12, I16).
//!
//! After a reset the stream is replayed: blocks that hold it already are passed over, except the last of them, whose
//! write may have been cut; from there on flash is written anew.

use super::intake::Mark;
use super::{Act, Done, Engine, Stage as EngineStage};
use crate::evidence::Payload;
use crate::io::{Hash, Job, Put, Source, narrow};
use crate::media::Region;
use crate::rules::policy::Install;
use crate::state::Phase;
use crate::verify::sha256;
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{Digest, Refusal};

/// How far a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It was compared with flash.
    Compared,
    /// A part of it was written.
    Written,
    /// A part of a delta's base was read.
    #[cfg(feature = "delta")]
    Fetched,
    /// The log is open; blocks may be erased.
    Opened,
    /// The whole image was read back.
    ReadBack,
}

impl Engine {
    /// Waits for the first chunk. `write_from` is 0 for a new candidate, `None` for one that is half here.
    pub(super) fn begin_payload(&mut self, payload: Payload, write_from: Option<u32>) {
        self.intake.payload = payload;
        self.intake.payload_at = self.intake.want.saturating_add(payload.offset);
        self.intake.write_from = write_from;
        self.intake.marks = [None; 3];
        #[cfg(feature = "delta")]
        self.begin_delta();
        if write_from.is_some() {
            // Another candidate: nothing of it is here yet, and this session knows so. Sent again, it is resumed.
            self.written = Some(0);
        }
        self.intake.await_chunk(0, payload.first);
    }

    /// A chunk is whole: nothing reads it before its digest is right.
    #[inline(never)]
    pub(super) fn chunk(&mut self) -> Act {
        let data = self.intake.chunk_data();
        let link = if self.intake.is_last_chunk() { 0 } else { Digest::WIDTH };
        let chunk = self.bench.mem.docs.work.get(..narrow(data).saturating_add(link)).unwrap_or(&[]);
        if sha256(chunk) != self.intake.expected {
            return Act::End(Err(Refusal::ChunkDigest));
        }
        #[cfg(feature = "delta")]
        if self.intake.payload.delta {
            return self.decode();
        }
        // No cut can have spoiled what this session wrote: the stream goes on behind it.
        if self.written == Some(self.intake.position) {
            self.intake.write_from = Some(self.intake.position);
        }
        if self.intake.write_from.is_some() {
            let from = self.intake.write_from.unwrap_or(0);
            self.intake.cursor = self.intake.position.max(from);
            return self.write_chunk();
        }
        self.mark_block();
        let at = self.bench.layout.staged_at().saturating_add(self.intake.position);
        let put = Put::compare(Region::Secondary, at, Source::Work(0), data);
        self.job(EngineStage::Payload(Stage::Compared), Job::Put(put))
    }

    #[inline(never)]
    pub(super) fn payload_went_on(&mut self, stage: Stage, result: Result<(), Refusal>) -> Act {
        #[cfg(feature = "delta")]
        if let Some(act) = self.delta_went_on(stage, result) {
            return act;
        }
        match stage {
            Stage::Compared if result.is_ok() => self.next_chunk(),
            Stage::Compared => {
                let block = self.intake.position.checked_div(self.bench.layout.block()).unwrap_or(0);
                self.write_anew(block.saturating_sub(1))
            }
            Stage::ReadBack => self.payload_ends(result.is_ok()),
            Stage::Written | Stage::Opened if result.is_err() => Act::End(Err(Refusal::Flash)),
            Stage::Written => self.write_chunk(),
            Stage::Opened => self.wanting(),
            #[cfg(feature = "delta")]
            Stage::Fetched => Act::End(Err(Refusal::NotInService)),
        }
    }

    /// Writes what is left of the chunk, at most to the end of a block.
    fn write_chunk(&mut self) -> Act {
        let position = self.intake.position;
        let end = position.saturating_add(self.intake.chunk_data());
        let cursor = self.intake.cursor;
        if cursor >= end {
            self.written = Some(end);
            return self.next_chunk();
        }
        let block = self.bench.layout.block();
        let inside = cursor.checked_rem(block).unwrap_or(0);
        let length = end.saturating_sub(cursor).min(block.saturating_sub(inside));
        self.intake.cursor = cursor.saturating_add(length);
        let erase = if inside == 0 { block } else { 0 };
        let from = Source::Work(cursor.saturating_sub(position));
        let at = self.bench.layout.staged_at().saturating_add(cursor);
        let put = Put::new(Region::Secondary, at, erase, from, length);
        self.job(EngineStage::Payload(Stage::Written), Job::Put(put))
    }

    fn next_chunk(&mut self) -> Act {
        if self.intake.is_last_chunk() { self.image_ends() } else { self.await_next_chunk() }
    }

    pub(super) fn await_next_chunk(&mut self) -> Act {
        let data = self.intake.chunk_data();
        let link = self.bench.mem.docs.work.get(narrow(data)..).and_then(|rest| rest.first_chunk::<32>());
        let expected = Digest(link.copied().unwrap_or([0; 32]));
        self.intake.await_chunk(self.intake.position.saturating_add(data), expected);
        self.wanting()
    }

    pub(super) fn image_ends(&mut self) -> Act {
        let size = self.permitted.as_ref().map_or(0, |permitted| permitted.image().size.get());
        if self.intake.write_from.is_none() {
            // All of it is here, but the last block's write may have been cut.
            let last = size.saturating_sub(1);
            return self.write_anew(last.checked_div(self.bench.layout.block()).unwrap_or(0));
        }
        let hash = Hash::new(Region::Secondary, self.bench.layout.staged_at(), size);
        self.job(EngineStage::Payload(Stage::ReadBack), Job::Hash(hash))
    }

    /// Remembers the chunk that holds the first byte of a block.
    fn mark_block(&mut self) {
        let block = self.bench.layout.block();
        let (position, expected) = (self.intake.position, self.intake.expected);
        let first = position.div_ceil(block.max(1));
        if first.saturating_mul(block) < position.saturating_add(self.intake.chunk_data()) {
            let [_, older, newer] = self.intake.marks;
            self.intake.marks = [older, newer, Some(Mark { block: first, position, expected })];
        }
    }

    /// Goes back to the beginning of a block, or of a delta's stream, and writes from there on.
    pub(super) fn write_anew(&mut self, block: u32) -> Act {
        #[cfg(feature = "delta")]
        if self.intake.payload.delta {
            self.begin_delta();
            self.intake.marks =
                [Some(Mark { block: 0, position: 0, expected: self.intake.payload.first }), None, None];
        }
        let mark = self.intake.marks.iter().rev().flatten().find(|mark| mark.block <= block).copied();
        let Some(mark) = mark else { return Act::End(Err(Refusal::NotInService)) };
        self.intake.write_from = Some(block.saturating_mul(self.bench.layout.block()));
        self.intake.await_chunk(mark.position, mark.expected);
        if self.bench.log.is_owned() {
            self.wanting()
        } else {
            self.save(EngineStage::Payload(Stage::Opened))
        }
    }

    #[inline(never)]
    fn payload_ends(&mut self, read: bool) -> Act {
        let (permitted, readback) = (self.permitted.take(), self.readback.take().filter(|_| read));
        let (Some(permitted), Some(readback)) = (permitted, readback) else {
            return Act::End(Err(Refusal::ImageDigest));
        };
        // Policy and approvals may have changed since the head was judged.
        let ready = match self.install_of(Phase::Receiving) {
            Some(Install::Now) => true,
            Some(Install::InWindow) => self.window == super::Window::Open,
            Some(Install::OnRequest) | None => false,
        };
        let staged = permitted.stage(&readback);
        let rested = match (staged, self.bench.state.as_mut()) {
            (Ok(staged), Some(state)) => staged.rest(state, ready),
            (Err(refusal), _) => Err(refusal),
            (_, None) => Err(Refusal::NotProvisioned),
        };
        self.intake.stop();
        match rested {
            Ok(()) => {
                let outcome = if ready { Outcome::Ready } else { Outcome::Staged };
                self.save(EngineStage::Ending(Ok(Done::Outcome(outcome))))
            }
            Err(refusal) => Act::End(Err(refusal)),
        }
    }
}
