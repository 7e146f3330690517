//! Root links: a valid one is committed at once, whatever becomes of its bundle (I8).

use super::boot::end_trial;
use super::{Act, Engine};
use crate::io::{Documents, Hash, Job, Put, Source};
use crate::media::Region;
use crate::state::{Cell, RootRef};
use crate::verify::{self, Claim};
use core::cmp::Ordering;
use patchlane_protocol::{Refusal, RootDocument, SignedRoot};

/// How far the commit of a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It was judged once.
    Judged,
    /// The log is open.
    Opened,
    /// The candidate's receipt was loaded. The root's cell was chosen before: until the record says otherwise, the
    /// candidate's own cell isn't free.
    Judging {
        /// Where the root goes.
        cell: Cell,
    },
    /// The new root lies in its cell.
    Stored {
        /// Which.
        cell: Cell,
    },
    /// The record names it.
    Saved {
        /// A trial was ended for it.
        reverts: bool,
    },
}

/// What a link is to this device.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    /// It is known already.
    Old,
    /// It is exactly the next, or the one that was lost.
    Next,
}

/// Judges the link in the work buffer.
fn judge(docs: &Documents, length: usize, named: &RootRef) -> Result<Verdict, Refusal> {
    match &claim(docs, length, named) {
        Ok(claim) => claim.holds().map(|()| Verdict::Next),
        Err(verdict) => *verdict,
    }
}

/// What the link claims; `Err` if its signatures needn't be looked at. If the root that the record names was lost to
/// rot, its own document brings it back, and no other does: the record holds its digest.
#[inline(never)]
fn claim<'a>(
    docs: &'a Documents,
    length: usize,
    named: &RootRef,
) -> Result<Claim<'a>, Result<Verdict, Refusal>> {
    let work = docs.work.get(..length).unwrap_or(&[]);
    let link = SignedRoot::parse(work).map_err(|error| Err(error.into()))?;
    if docs.root().is_empty() {
        return Err(match link.document.version.cmp(&named.version) {
            Ordering::Less => Ok(Verdict::Old),
            Ordering::Equal if verify::sha256(link.bytes) == named.digest => Ok(Verdict::Next),
            _ => Err(Refusal::RootNotNext),
        });
    }
    let present = RootDocument::parse(docs.root()).map_err(|error| Err(error.into()))?;
    if link.document.version <= present.version && link.document.product == present.product {
        return Err(Ok(Verdict::Old));
    }
    Claim::of_link(&link, &present).map_err(Err)
}

impl Engine {
    /// The link in the work buffer is judged once more: a root is for good, and one skipped instruction mustn't let one in
    /// (T47). A look at flash comes between, so that whoever performs it can feed the watchdog.
    pub(super) fn link_judged(&mut self) -> Act {
        let look = Hash::new(Region::Primary, 0, 1);
        self.job(super::Stage::Links(Stage::Judged), Job::Hash(look))
    }

    #[inline(never)]
    pub(super) fn judge_link(&self) -> Result<Verdict, Refusal> {
        let state = self.bench.state.as_ref().ok_or(Refusal::NotProvisioned)?;
        judge(&self.bench.mem.docs, self.intake.need, &state.root)
    }

    /// The link in the work buffer is valid. From here on the new root judges, and flash follows.
    #[inline(never)]
    fn link_commits(&mut self) -> Act {
        let docs = &mut self.bench.mem.docs;
        let length = docs.work.first_chunk::<2>().map_or(0, |b| usize::from(u16::from_le_bytes(*b)));
        let end = length.saturating_add(2).min(docs.work.len());
        docs.work.copy_within(2..end, 0);
        docs.work_root = length;
        docs.adopt_loaded_root();
        if self.bench.log.is_owned() {
            self.link_opened()
        } else {
            self.save(super::Stage::Links(Stage::Opened))
        }
    }

    /// What isn't confirmed is judged again before the bundle that brought the link is ranked.
    fn link_opened(&mut self) -> Act {
        let Some(state) = self.bench.state.as_ref() else { return Act::End(Err(Refusal::NotProvisioned)) };
        let cell = state.free_cell();
        match state.candidate.as_ref().map(|candidate| candidate.release.cell) {
            Some(own) => self.load(super::Stage::Links(Stage::Judging { cell }), own),
            None => self.store_root(cell),
        }
    }

    #[inline(never)]
    pub(super) fn links_went_on(&mut self, stage: Stage, result: Result<(), Refusal>) -> Act {
        match stage {
            Stage::Judged => match self.judge_link() {
                Ok(Verdict::Next) => self.link_commits(),
                Ok(Verdict::Old) => Act::End(Err(Refusal::SendAgain)),
                Err(refusal) => Act::End(Err(refusal)),
            },
            Stage::Judging { cell } => self.judge_candidate(result.is_ok(), cell),
            _ if result.is_err() => Act::End(Err(Refusal::Flash)),
            Stage::Opened => self.link_opened(),
            Stage::Stored { cell } => self.name_root(cell),
            Stage::Saved { reverts: true } => Act::End(Err(Refusal::SendAgain)),
            Stage::Saved { reverts: false } => {
                self.intake.committed = true;
                self.next_link();
                self.wanting()
            }
        }
    }

    #[inline(never)]
    fn judge_candidate(&mut self, loaded: bool, cell: Cell) -> Act {
        let read = self.receipt.take().filter(|_| loaded);
        let candidate = self.bench.state.as_ref().and_then(|state| state.candidate.as_ref());
        let is_its_own =
            read.is_some() && read.as_ref() == candidate.map(|candidate| &candidate.release.receipt);
        let holds = is_its_own && self.verify_head(false).is_ok();
        if let (false, Some(state)) = (holds, self.bench.state.as_mut()) {
            if state.phase.on_trial() {
                self.restart = true;
                end_trial(state);
            } else if !state.phase.moves() {
                state.drop_candidate();
            }
        }
        self.store_root(cell)
    }

    fn store_root(&mut self, cell: Cell) -> Act {
        let length = self.bench.mem.docs.receipt_length(Source::RootOnly);
        let (at, erase) = (self.bench.layout.cell_at(cell), self.bench.layout.cell_size());
        let put = Put::new(Region::State, at, erase, Source::RootOnly, length);
        self.job(super::Stage::Links(Stage::Stored { cell }), Job::Put(put))
    }

    #[inline(never)]
    fn name_root(&mut self, cell: Cell) -> Act {
        let digest = verify::sha256(self.bench.mem.docs.root());
        let next = self.root_document().map(|root| (root.version, root.development));
        let (Ok((version, development)), Some(state)) = (next, self.bench.state.as_mut()) else {
            return Act::End(Err(Refusal::NotProvisioned));
        };
        state.root = crate::state::RootRef { version, development, digest, cell };
        self.save(super::Stage::Links(Stage::Saved { reverts: self.restart }))
    }
}
