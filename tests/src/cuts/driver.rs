//! The driver under a device: it takes operations down, so that each can be cut; and it can be made to lie.

use super::world::{Instant, Memory};
use patchlane::flash::{Chip, Power};
use patchlane_device::log::{COPY, MARK, check_copy, check_mark, encode_mark};
use patchlane_device::{Media, MediaError, MonotonicCounter, Region};
use patchlane_flash::Tape;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A counter that survives everything; `u32::MAX` reads as none.
#[derive(Debug, Clone)]
pub struct Fuses(Arc<AtomicU32>);

impl Fuses {
    /// Fuses that read so.
    pub fn new(value: u32) -> Self {
        Self(Arc::new(AtomicU32::new(value)))
    }

    /// What they read.
    pub fn value(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl MonotonicCounter for Fuses {
    fn exists(&self) -> bool {
        self.value() != u32::MAX
    }
    fn read(&mut self) -> Option<u32> {
        Some(self.value()).filter(|value| *value != u32::MAX)
    }
    fn raise(&mut self, level: u32) -> Option<u32> {
        self.read()?;
        Some(self.0.fetch_max(level, Ordering::Relaxed).max(level))
    }
}

/// How a driver lies. A harness that doesn't notice is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Every so many writes to a slot, one isn't done, and is said to be.
    DropsWrites(u64),
    /// Every so many erases, one isn't done, and is said to be.
    SkipsErases(u64),
    /// What is written to the log stays in a cache until something is erased or written elsewhere; a cut loses it.
    AnswersEarly,
    /// Marks of steps stay in a cache: a device that doesn't record a step before it erases.
    ForgetsSteps,
    /// A log that trusts one copy: the second and the mark are made up from the first when they are read.
    TrustsOneCopy,
}

/// A chip behind a driver.
#[derive(Debug, Clone)]
pub struct Driver {
    /// The chip.
    pub chip: Chip,
    /// What takes operations down.
    pub tape: Tape<Instant>,
    /// What the operator knows, for what is taken down.
    pub memory: Memory,
    /// The counter beside the chip.
    pub fuses: Fuses,
    lie: Option<Lie>,
    count: u64,
    /// What was said to be written, and isn't: where, what.
    cache: Vec<(u32, Vec<u8>)>,
}

const fn number(region: Region) -> usize {
    region as usize
}

impl Driver {
    /// An honest driver.
    pub fn new(instant: Instant, fuses: Fuses, tape: Tape<Instant>, lie: Option<Lie>) -> Self {
        let Instant { chip, memory, .. } = instant;
        Self { chip, tape, memory, fuses, lie, count: 0, cache: Vec::new() }
    }

    /// What a cut here would leave.
    pub fn instant(&self) -> Instant {
        Instant { chip: self.chip.clone(), memory: self.memory, fuses: self.fuses.value() }
    }

    /// What feeds it.
    pub const fn power(&self) -> &Power {
        &self.chip.power
    }

    /// Power was off: what wasn't written is gone.
    pub fn lose_cache(&mut self) {
        self.cache.clear();
    }

    /// True for every so many calls.
    fn every(&mut self, count: u64) -> bool {
        self.count += 1;
        self.count.is_multiple_of(count)
    }

    /// What the lie makes of a write: true if it is said to be done.
    fn withholds(&mut self, region: Region, at: u32, from: &[u8]) -> bool {
        let log = self.chip.layout().areas() * self.chip.layout().area_size();
        let in_log = region == Region::State && at < log;
        let withheld = match self.lie {
            Some(Lie::DropsWrites(count)) => region != Region::State && self.every(count),
            Some(Lie::AnswersEarly) if in_log => true,
            Some(Lie::ForgetsSteps) => in_log && at % self.chip.layout().area_size() > 2 * COPY,
            _ => false,
        };
        if withheld && in_log {
            self.cache.push((at, from.to_vec()));
        }
        withheld
    }

    /// What waits is written.
    fn flush(&mut self) {
        if self.lie == Some(Lie::AnswersEarly) {
            for (at, bytes) in std::mem::take(&mut self.cache) {
                let _ = self.chip.write(Region::State, at, &bytes);
            }
        }
    }

    /// What the lie makes of what was read from the log.
    fn embellish(&mut self, at: u32, into: &mut [u8]) {
        for (begin, bytes) in &self.cache {
            for (offset, byte) in (*begin..).zip(bytes) {
                if let Some(place) = offset.checked_sub(at).and_then(|i| into.get_mut(i as usize)) {
                    *place = *byte;
                }
            }
        }
        let (area, areas) = (self.chip.layout().area_size(), self.chip.layout().areas());
        if self.lie != Some(Lie::TrustsOneCopy) || at >= area * areas || at % area < COPY {
            return;
        }
        let begin = at / area * area;
        let copy_at = |chip: &mut Chip, at| {
            let mut copy = [0; COPY as usize];
            let _ = chip.read(Region::State, at, &mut copy);
            check_copy(&copy).map(|(sequence, _)| sequence)
        };
        let first = copy_at(&mut self.chip, begin);
        if at % area < 2 * COPY && copy_at(&mut self.chip, begin + COPY).is_none() {
            let _ = self.chip.read(Region::State, at - COPY, into);
        } else if at % area == 2 * COPY && into.len() == MARK as usize && check_mark(into).is_none() {
            into.copy_from_slice(&first.map_or([0xff; MARK as usize], |sequence| encode_mark(sequence, 0)));
        }
    }
}

impl Media for Driver {
    fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        self.chip.read(region, at, into)?;
        if self.lie.is_some() && region == Region::State {
            self.embellish(at, into);
        }
        Ok(())
    }

    fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        if let Some(Lie::SkipsErases(count)) = self.lie
            && self.every(count)
        {
            return Ok(());
        }
        if self.tape.is_recording() && !self.power().is_off() {
            self.tape.erase(&self.instant(), number(region), at as usize, length as usize);
        }
        self.flush();
        if region == Region::State {
            self.cache.retain(|(begin, _)| !(at..at + length).contains(begin));
        }
        self.chip.erase(region, at, length)
    }

    fn write(&mut self, region: Region, at: u32, from: &[u8]) -> Result<(), MediaError> {
        if self.lie.is_some() && self.withholds(region, at, from) {
            return Ok(());
        }
        if self.tape.is_recording() && !self.power().is_off() {
            self.tape.write(&self.instant(), number(region), at as usize, from);
        }
        self.flush();
        self.chip.write(region, at, from)
    }
}
