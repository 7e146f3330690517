//! Reads a receipt: its head into `head`, its root document into `work`.

use super::{Bench, Op, Turn, narrow, wide};
use crate::layout::{IO, round_up};
use crate::media::Region;
use patchlane_protocol::receipt::ReceiptHeader;
use patchlane_protocol::{Digest, Refusal};
use sha2::{Digest as _, Sha256};

/// Loads the receipt in a cell.
#[derive(Debug)]
pub struct Load {
    at: u32,
    position: u32,
    total: u32,
    pending: u32,
    hasher: Sha256,
}

impl Load {
    /// Loads from the cell that begins at `at`.
    pub fn new(at: u32) -> Self {
        Self { at, position: 0, total: 0, pending: 0, hasher: Sha256::new() }
    }

    #[inline(never)]
    pub(super) fn next(&mut self, bench: &mut Bench, last: Result<(), Refusal>) -> Turn {
        if last.is_err() {
            return Turn::End(last);
        }
        if self.pending > 0 {
            if self.position == 0 {
                let header = bench.mem.io.get(..ReceiptHeader::WIDTH).unwrap_or(&[]);
                match ReceiptHeader::parse(header) {
                    Ok(header) => self.begin(bench, header),
                    Err(error) => return Turn::End(Err(error.into())),
                }
            }
            let piece = self.pending.min(self.total.saturating_sub(self.position));
            self.take(bench, piece);
            self.position = self.position.saturating_add(piece);
            if self.position >= self.total {
                return Turn::End(Ok(()));
            }
        }
        let left = if self.position == 0 { wide(IO) } else { self.total.saturating_sub(self.position) };
        self.pending = left.min(wide(IO)).min(bench.layout.cell_size().saturating_sub(self.position));
        if self.pending == 0 {
            return Turn::End(Err(Refusal::Flash));
        }
        let length = round_up(self.pending, bench.layout.place(Region::State).unit());
        Turn::Op(Op::Read { region: Region::State, at: self.at.saturating_add(self.position), length })
    }

    fn begin(&mut self, bench: &mut Bench, header: ReceiptHeader) {
        self.total = wide(header.total());
        let docs = &mut bench.mem.docs;
        docs.manifest = usize::from(header.manifest);
        docs.signatures = usize::from(header.signatures);
        docs.work_root = usize::from(header.root);
    }

    /// Scatters `length` bytes of the operation buffer.
    fn take(&mut self, bench: &mut Bench, length: u32) {
        let bytes = bench.mem.io.get(..narrow(length)).unwrap_or(&[]);
        self.hasher.update(bytes);
        let docs = &mut bench.mem.docs;
        let head = docs.manifest.saturating_add(docs.signatures);
        for (offset, byte) in bytes.iter().enumerate() {
            let position = narrow(self.position).saturating_add(offset);
            let Some(position) = position.checked_sub(ReceiptHeader::WIDTH) else { continue };
            let place = match position.checked_sub(head) {
                None => docs.head.get_mut(position),
                Some(position) => docs.work.get_mut(position),
            };
            if let Some(place) = place {
                *place = *byte;
            }
        }
    }

    /// SHA-256 of the whole receipt; only a job that has ended well is asked.
    pub fn finish(self) -> Digest {
        Digest(self.hasher.finalize().into())
    }
}
