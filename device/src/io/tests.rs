//! Jobs on flash in memory, at what no small device comes to: the longest record, the last marks, words that read at the third
//! attempt.

extern crate std;

use super::*;
use crate::layout::IO;
use crate::log::{COPY, MARKS};
use crate::state::{Phase, tests::longest};
use std::vec;
use std::vec::Vec;

const SLOT: u32 = 0x8000;

/// Three regions, and how many of the next reads fail.
struct Flash {
    regions: [Vec<u8>; 3],
    bad_reads: u32,
    reads: u32,
}

impl Flash {
    fn new() -> Self {
        Self { regions: core::array::from_fn(|_| vec![0xff; SLOT as usize]), bad_reads: 0, reads: 0 }
    }

    fn region(&mut self, region: Region, at: u32, length: u32) -> &mut [u8] {
        let [state, primary, secondary] = &mut self.regions;
        let bytes = match region {
            Region::State => state,
            Region::Primary => primary,
            Region::Secondary => secondary,
        };
        &mut bytes[at as usize..(at + length) as usize]
    }

    fn perform(&mut self, op: Op, bench: &mut Bench) -> Result<(), MediaError> {
        match op {
            Op::Read { region, at, length } => {
                self.reads += 1;
                if self.bad_reads > 0 {
                    self.bad_reads -= 1;
                    return Err(MediaError);
                }
                bench.mem.io[..length as usize].copy_from_slice(self.region(region, at, length));
            }
            Op::Erase { region, at, length } => self.region(region, at, length).fill(0xff),
            Op::Write { region, at, length } => {
                let from = bench.mem.io[..length as usize].to_vec();
                let place = self.region(region, at, length);
                assert!(place.iter().all(|byte| *byte == 0xff), "{op:?} is written twice");
                place.copy_from_slice(&from);
            }
        }
        Ok(())
    }

    /// Performs a job to its end.
    fn run(&mut self, bench: &mut Bench, mut job: Job) -> Result<(), Refusal> {
        let mut last = Ok(());
        loop {
            match job.next(bench, last) {
                Turn::End(result) => return result,
                Turn::Op(op) => last = self.perform(op, bench),
            }
        }
    }
}

fn bench() -> Bench {
    let place = |length| Place { offset: 0, length, read: 1, write: 4, erase: 4096 };
    let layout = Layout::new(place(SLOT), place(SLOT - 4096), place(SLOT)).expect("a layout");
    Bench { layout, mem: Memory::new(), log: Log::new(&layout), state: None }
}

#[test]
fn the_longest_record_and_its_last_mark_are_read_back() {
    let (mut flash, mut writer) = (Flash::new(), bench());
    assert_eq!(flash.run(&mut writer, Job::Scan(Scan::new())), Err(Refusal::NotProvisioned));
    let state = State { phase: Phase::Swap, step: 0, ..longest() };
    writer.state = Some(state);
    assert_eq!(flash.run(&mut writer, Job::Record(Record::new())), Ok(()));
    // Longer than two pieces, or nothing is shown.
    let copy = &flash.regions[0][2 * IO..COPY as usize];
    assert!(copy.iter().any(|byte| *byte != 0xff));
    let read = |flash: &mut Flash| {
        let mut reader = bench();
        assert_eq!(flash.run(&mut reader, Job::Scan(Scan::new())), Ok(()));
        reader.state
    };
    assert_eq!(read(&mut flash), Some(state));
    let mut step = 0;
    while let Some(put) = mark(&mut writer, step + 1) {
        step += 1;
        assert_eq!(flash.run(&mut writer, Job::Put(put)), Ok(()));
        assert_eq!(read(&mut flash), Some(State { step, ..state }));
    }
    assert_eq!(step, MARKS - 1, "the first mark came with the record");
}

/// A piece that can't be read is read three times; then it is copied as erased, and the rest goes on.
#[test]
fn a_word_that_reads_at_the_third_attempt_is_copied() {
    let length = 1500;
    let image: Vec<u8> = (0..length).map(|n| n as u8).collect();
    for (bad_reads, reads, lost) in [(0, 3, 0), (1, 4, 0), (2, 5, 0), (3, 5, 1), (4, 6, 1), (6, 7, 2)] {
        let (mut flash, mut bench) = (Flash::new(), bench());
        flash.regions[2][4096..4096 + length].copy_from_slice(&image);
        flash.bad_reads = bad_reads;
        let job = Copy::new((Region::Secondary, 4096), (Region::Primary, 0), length as u32);
        assert_eq!(flash.run(&mut bench, Job::Copy(job)), Ok(()));
        let copied = &flash.regions[1][..length];
        let wrong = copied.chunks(IO).zip(image.chunks(IO)).filter(|(new, old)| new != old).count();
        assert_eq!((flash.reads, wrong), (reads, lost), "{bad_reads} reads that fail");
    }
}
