//! Chunks of a delta: authenticated as any chunk, then decoded, then compared or written page by page.
//!
//! After a reset the stream is replayed, as that of a raw payload is. But a decoder can't begin in the middle: what has to
//! be written anew is found in one pass, and written in a second one from the beginning of the stream.

use super::payload::Stage;
use super::{Act, Engine, Stage as EngineStage};
use crate::delta::{BadDelta, Need};
use crate::io::{Fetch, Job, Put, Source, narrow, wide};
use crate::layout::{IO, round_up};
use crate::media::Region;
use patchlane_protocol::Refusal;

impl Engine {
    /// The stream begins.
    pub(super) fn begin_delta(&mut self) {
        let base = self.base_size();
        let image = self.permitted.as_ref().map_or(0, |permitted| permitted.image().size.get());
        self.bench.mem.delta.begin(base, image);
    }

    /// Decodes what it can.
    #[inline(never)]
    pub(super) fn decode(&mut self) -> Act {
        let (data, last) = (self.intake.chunk_data(), self.intake.is_last_chunk());
        match self.bench.mem.decode(narrow(data), last) {
            Ok(Need::Page) => self.page(),
            Ok(Need::Base(old)) => self.fetch_base(old),
            Ok(Need::Input) => self.await_next_chunk(),
            Ok(Need::End) => self.image_ends(),
            Err(BadDelta) => Act::End(Err(Refusal::BadDelta)),
        }
    }

    fn fetch_base(&mut self, old: u32) -> Act {
        let unit = self.slot(Region::Primary).unit;
        let at = old & !unit.saturating_sub(1);
        let left = round_up(self.base_size().saturating_sub(at), unit);
        let length = left.min(wide(IO));
        self.bench.mem.delta.window = Some((at, length));
        self.job(EngineStage::Payload(Stage::Fetched), Job::Fetch(Fetch::new(Region::Primary, at, length)))
    }

    /// A page is whole.
    fn page(&mut self) -> Act {
        let (at, page) = self.bench.mem.delta.decoder.page();
        let length = wide(page.len());
        let block = self.bench.layout.block();
        let place = self.bench.layout.staged_at().saturating_add(at);
        // No cut can have spoiled what this session wrote: the stream goes on behind it.
        if self.written == Some(at) {
            self.intake.write_from = Some(at);
        }
        // What lies before was equal in the first pass. It is read all the same, which feeds the watchdog, too.
        if self.intake.write_from.is_none_or(|from| at < from) {
            let put = Put::compare(Region::Secondary, place, Source::Page, length);
            return self.job(EngineStage::Payload(Stage::Compared), Job::Put(put));
        }
        self.intake.cursor = at.saturating_add(length);
        let erase = if at.checked_rem(block) == Some(0) { block } else { 0 };
        let put = Put::new(Region::Secondary, place, erase, Source::Page, length);
        self.job(EngineStage::Payload(Stage::Written), Job::Put(put))
    }

    /// A part of the base was read, or a page compared or written; `None` for what is no business of a delta's.
    pub(super) fn delta_went_on(&mut self, stage: Stage, result: Result<(), Refusal>) -> Option<Act> {
        if !self.intake.payload.delta {
            return None;
        }
        match (stage, result) {
            (Stage::Fetched, Ok(())) => {}
            // It was equal a moment ago: this flash can't be trusted now.
            (Stage::Compared, Err(_)) if self.intake.write_from.is_some() => {
                return Some(Act::End(Err(Refusal::Flash)));
            }
            (Stage::Compared, Err(_)) => {
                let (at, _) = self.bench.mem.delta.decoder.page();
                let block = at.checked_div(self.bench.layout.block()).unwrap_or(0);
                return Some(self.write_anew(block.saturating_sub(1)));
            }
            (Stage::Compared, Ok(())) => self.bench.mem.delta.decoder.turn(),
            (Stage::Written, Ok(())) => {
                self.written = Some(self.intake.cursor);
                self.bench.mem.delta.decoder.turn();
            }
            (Stage::Fetched, Err(_)) => return Some(Act::End(Err(Refusal::Flash))),
            (Stage::Written | Stage::Opened | Stage::ReadBack, _) => return None,
        }
        Some(self.decode())
    }
}
