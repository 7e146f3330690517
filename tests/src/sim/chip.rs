//! NOR flash, stricter than hardware: aligned, erased before it is written, each word programmed once, and a word that
//! a cut tore is spent until an erase completes.

use super::power::{Power, Torn, When, mix};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use embedded_storage_async::nor_flash as asynchronous;
use patchlane_device::{AsyncMedia, Layout, Media, MediaError, Place, Region};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// What a flash answers when it doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// There is no power.
    Off,
    /// A rule of NOR flash was broken; see [`Power::violations`].
    Violation,
    /// A torn word failed its error correction.
    Ecc,
}

impl NorFlashError for Failure {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

#[derive(Debug, Clone)]
struct Sector {
    bytes: Vec<u8>,
    /// Words begun since the last completed erase.
    spent: Vec<bool>,
    /// Torn words, with what they may read as.
    torn: Vec<(usize, Vec<u8>, Vec<u8>)>,
    erases: u64,
}

/// One chip. Cloning it is cheap: sectors are shared until they change.
#[derive(Debug, Clone)]
pub struct Chip {
    name: &'static str,
    write: usize,
    erase: usize,
    sectors: Vec<Rc<Sector>>,
    power: Power,
    reads: u64,
    written: u64,
}

impl Chip {
    /// An erased chip of `length` bytes.
    pub fn new(name: &'static str, write: usize, erase: usize, length: usize, power: &Power) -> Self {
        assert!(length.is_multiple_of(erase) && erase.is_multiple_of(write));
        let blank = Rc::new(Sector {
            bytes: vec![0xff; erase],
            spent: vec![false; erase / write],
            torn: Vec::new(),
            erases: 0,
        });
        Self {
            name,
            write,
            erase,
            sectors: vec![blank; length / erase],
            power: power.clone(),
            reads: 0,
            written: 0,
        }
    }

    /// The same contents on another supply.
    #[must_use]
    pub fn on(&self, power: &Power) -> Self {
        Self { power: power.clone(), ..self.clone() }
    }

    /// Bytes.
    pub fn length(&self) -> usize {
        self.sectors.len() * self.erase
    }

    /// Contents, as a programmer would see them: torn words as they were left.
    pub fn contents(&self, at: usize, length: usize) -> Vec<u8> {
        (at..at + length).map(|i| self.sectors[i / self.erase].bytes[i % self.erase]).collect()
    }

    /// Puts contents there as a programmer would, counting nothing.
    pub fn program(&mut self, at: usize, bytes: &[u8]) {
        for (offset, byte) in bytes.iter().enumerate() {
            let sector = Rc::make_mut(&mut self.sectors[(at + offset) / self.erase]);
            sector.bytes[(at + offset) % self.erase] = *byte;
            sector.spent[(at + offset) % self.erase / self.write] = true;
        }
    }

    /// Flips one bit, as age does.
    pub fn rot(&mut self, at: usize, bit: u8) {
        let sector = Rc::make_mut(&mut self.sectors[at / self.erase]);
        sector.bytes[at % self.erase] ^= 1 << bit;
    }

    /// Leaves the word at `at` as a cut would: torn until its sector is erased.
    pub fn tear(&mut self, at: usize) {
        let sector = Rc::make_mut(&mut self.sectors[at / self.erase]);
        let word = at % self.erase / self.write;
        let before = sector.bytes[word * self.write..][..self.write].to_vec();
        sector.torn.push((word, before, vec![0xff; self.write]));
    }

    /// Bytes written to it.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Erases of the sector that was erased most.
    pub fn most_erases(&self) -> u64 {
        self.sectors.iter().map(|sector| sector.erases).max().unwrap_or(0)
    }

    fn wrong(&self, text: String) -> Failure {
        self.power.violation(format!("{}: {text}", self.name));
        Failure::Violation
    }

    /// Reads; torn words as the supply's mode says.
    ///
    /// # Errors
    /// A [`Failure`].
    pub fn read(&mut self, at: usize, into: &mut [u8]) -> Result<(), Failure> {
        if self.power.is_off() {
            return Err(Failure::Off);
        }
        if at + into.len() > self.length() {
            return Err(self.wrong(format!("read of {} bytes at {at:#x} is out of bounds", into.len())));
        }
        self.reads += 1;
        let mode = self.power.torn();
        for (offset, place) in into.iter_mut().enumerate() {
            let sector = &self.sectors[(at + offset) / self.erase];
            *place = sector.bytes[(at + offset) % self.erase];
        }
        if mode == Torn::Stable {
            return Ok(());
        }
        let salt = if mode == Torn::PerRead { self.power.random() } else { mix(self.power.boots()) };
        let (first, last) = (at / self.erase, (at + into.len()).div_ceil(self.erase));
        for number in first..last {
            for (word, before, after) in &self.sectors[number].torn {
                let begins = number * self.erase + word * self.write;
                if begins + self.write <= at || begins >= at + into.len() {
                    continue;
                }
                if mode == Torn::Ecc {
                    return Err(Failure::Ecc);
                }
                let pick = mix(salt ^ begins as u64);
                for byte in 0..self.write {
                    let Some(place) = (begins + byte).checked_sub(at).and_then(|i| into.get_mut(i)) else {
                        continue;
                    };
                    *place = match pick % 3 {
                        0 => before[byte],
                        1 => after[byte],
                        _ => mix(pick ^ byte as u64) as u8,
                    };
                }
            }
        }
        Ok(())
    }

    /// Programs words.
    ///
    /// # Errors
    /// A [`Failure`].
    pub fn write(&mut self, at: usize, bytes: &[u8]) -> Result<(), Failure> {
        let Some(when) = self.power.operate(Some(bytes.len())) else { return Err(Failure::Off) };
        if !at.is_multiple_of(self.write) || !bytes.len().is_multiple_of(self.write) || bytes.is_empty() {
            return Err(self.wrong(format!("write of {} bytes at {at:#x} isn't aligned", bytes.len())));
        }
        if at + bytes.len() > self.length() {
            return Err(self.wrong(format!("write of {} bytes at {at:#x} is out of bounds", bytes.len())));
        }
        self.written += bytes.len() as u64;
        let words = bytes.len() / self.write;
        let (whole, torn) = match when {
            When::Before => (0, None),
            When::First => (0, Some(0)),
            When::Middle => (words / 2, Some(words / 2)),
            When::Last => (words - 1, Some(words - 1)),
            When::After => (words, None),
        };
        for word in 0..words {
            let begins = at + word * self.write;
            let content = &bytes[word * self.write..][..self.write];
            if word < whole {
                self.program_word(begins, content, false)?;
            } else if torn == Some(word) {
                self.program_word(begins, content, true)?;
            }
        }
        if self.power.is_off() { Err(Failure::Off) } else { Ok(()) }
    }

    fn program_word(&mut self, at: usize, content: &[u8], torn: bool) -> Result<(), Failure> {
        let (number, inside) = (at / self.erase, at % self.erase);
        let word = inside / self.write;
        if self.sectors[number].spent[word] {
            return Err(self.wrong(format!("word at {at:#x} was programmed twice")));
        }
        let power = self.power.clone();
        let sector = Rc::make_mut(&mut self.sectors[number]);
        sector.spent[word] = true;
        let before = sector.bytes[inside..inside + self.write].to_vec();
        for (offset, byte) in content.iter().enumerate() {
            // A torn word has lost some of the bits it was to lose, or none.
            let mask = if torn { power.random() as u8 } else { 0 };
            sector.bytes[inside + offset] &= byte | mask;
        }
        if torn {
            sector.torn.push((word, before, content.to_vec()));
        }
        Ok(())
    }

    /// Erases one sector.
    ///
    /// # Errors
    /// A [`Failure`].
    pub fn erase(&mut self, at: usize) -> Result<(), Failure> {
        let Some(when) = self.power.operate(None) else { return Err(Failure::Off) };
        if !at.is_multiple_of(self.erase) || at >= self.length() {
            return Err(self.wrong(format!("erase at {at:#x} isn't a sector")));
        }
        let (power, write) = (self.power.clone(), self.write);
        let sector = Rc::make_mut(&mut self.sectors[at / self.erase]);
        sector.erases += 1;
        // Of 16 words, so many are erased, and one more is random.
        let erased = match when {
            When::Before => return Err(Failure::Off),
            When::After => {
                sector.bytes.fill(0xff);
                sector.spent.fill(false);
                sector.torn.clear();
                return if power.is_off() { Err(Failure::Off) } else { Ok(()) };
            }
            When::First => 1,
            When::Middle => 8,
            When::Last => 14,
        };
        sector.spent.fill(true);
        for word in 0..sector.spent.len() {
            let draw = power.random();
            let place = word * write..(word + 1) * write;
            let before = sector.bytes[place.clone()].to_vec();
            match draw % 16 {
                n if n < erased => sector.bytes[place].fill(0xff),
                n if n == erased => {
                    for byte in &mut sector.bytes[place.clone()] {
                        *byte = power.random() as u8;
                    }
                    sector.torn.push((word, before, vec![0xff; write]));
                }
                _ if draw & 0x100 == 0 => sector.torn.push((word, before, vec![0xff; write])),
                _ => {}
            }
        }
        Err(Failure::Off)
    }
}

/// A chip behind the `embedded-storage` traits, blocking and asynchronous.
#[derive(Debug, Clone)]
pub struct Nor<const WRITE: usize, const ERASE: usize>(pub Chip);

impl<const WRITE: usize, const ERASE: usize> Nor<WRITE, ERASE> {
    /// An erased chip of `length` bytes.
    pub fn new(name: &'static str, length: usize, power: &Power) -> Self {
        Self(Chip::new(name, WRITE, ERASE, length, power))
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Nor<WRITE, ERASE> {
    type Error = Failure;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Nor<WRITE, ERASE> {
    const READ_SIZE: usize = 1;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failure> {
        self.0.read(offset as usize, bytes)
    }
    fn capacity(&self) -> usize {
        self.0.length()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Nor<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), Failure> {
        (from..to).step_by(ERASE).try_for_each(|at| self.0.erase(at as usize))
    }
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failure> {
        self.0.write(offset as usize, bytes)
    }
}

/// Suspends once: an executor that never comes back is noticed.
async fn suspend() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<const WRITE: usize, const ERASE: usize> asynchronous::ReadNorFlash for Nor<WRITE, ERASE> {
    const READ_SIZE: usize = 1;
    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failure> {
        suspend().await;
        self.0.read(offset as usize, bytes)
    }
    fn capacity(&self) -> usize {
        self.0.length()
    }
}

impl<const WRITE: usize, const ERASE: usize> asynchronous::NorFlash for Nor<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;
    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Failure> {
        suspend().await;
        NorFlash::erase(self, from, to)
    }
    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failure> {
        suspend().await;
        self.0.write(offset as usize, bytes)
    }
}

/// One region's geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of a word.
    pub write: usize,
    /// Bytes of a sector.
    pub erase: usize,
    /// Bytes of the region.
    pub length: usize,
}

/// Three regions, each a chip of its own, with geometry chosen at run time.
#[derive(Debug, Clone)]
pub struct SimMedia {
    /// Log and receipts.
    pub state: Chip,
    /// What runs.
    pub primary: Chip,
    /// What was received, or ran before.
    pub secondary: Chip,
}

impl SimMedia {
    /// Erased chips.
    pub fn new(state: Geometry, primary: Geometry, secondary: Geometry, power: &Power) -> Self {
        let chip = |name, g: Geometry| Chip::new(name, g.write, g.erase, g.length, power);
        Self {
            state: chip("state", state),
            primary: chip("primary", primary),
            secondary: chip("secondary", secondary),
        }
    }

    /// The same contents on another supply.
    #[must_use]
    pub fn on(&self, power: &Power) -> Self {
        Self {
            state: self.state.on(power),
            primary: self.primary.on(power),
            secondary: self.secondary.on(power),
        }
    }

    /// The layout these chips make.
    pub fn layout(&self) -> Layout {
        let place = |chip: &Chip| Place {
            offset: 0,
            length: chip.length() as u32,
            read: 1,
            write: chip.write as u32,
            erase: chip.erase as u32,
        };
        Layout::new(place(&self.state), place(&self.primary), place(&self.secondary)).expect("a layout")
    }

    /// One region.
    pub fn chip(&mut self, region: Region) -> &mut Chip {
        match region {
            Region::State => &mut self.state,
            Region::Primary => &mut self.primary,
            Region::Secondary => &mut self.secondary,
        }
    }
}

impl Media for SimMedia {
    fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        self.chip(region).read(at as usize, into).map_err(|_| MediaError)
    }
    fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        let chip = self.chip(region);
        assert_eq!(length as usize, chip.erase, "one block at a time");
        chip.erase(at as usize).map_err(|_| MediaError)
    }
    fn write(&mut self, region: Region, at: u32, from: &[u8]) -> Result<(), MediaError> {
        self.chip(region).write(at as usize, from).map_err(|_| MediaError)
    }
}

impl AsyncMedia for SimMedia {
    async fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        suspend().await;
        Media::read(self, region, at, into)
    }
    async fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        suspend().await;
        Media::erase(self, region, at, length)
    }
    async fn write(&mut self, region: Region, at: u32, from: &[u8]) -> Result<(), MediaError> {
        suspend().await;
        Media::write(self, region, at, from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::power::Cut;
    use super::*;

    fn chip(torn: Torn) -> (Chip, Power) {
        let power = Power::new(1, torn);
        (Chip::new("chip", 4, 512, 1024, &power), power)
    }

    #[test]
    fn a_word_is_programmed_once() {
        let (mut chip, power) = chip(Torn::Stable);
        chip.write(0, &[0; 8]).unwrap();
        assert_eq!(chip.write(4, &[0; 4]), Err(Failure::Violation));
        chip.erase(0).unwrap();
        chip.write(4, &[0; 4]).unwrap();
        assert_eq!(power.violations().len(), 1);
    }

    #[test]
    fn a_torn_word_is_spent_even_if_it_reads_blank() {
        for when in [When::First, When::Middle, When::Last] {
            let (mut chip, power) = chip(Torn::Stable);
            power.plan(Cut { at: 0, when });
            assert_eq!(chip.write(0, &[0xff; 4]), Err(Failure::Off));
            assert_eq!(chip.read(0, &mut [0]), Err(Failure::Off));
            power.restore();
            assert_eq!(chip.write(0, &[0; 4]), Err(Failure::Violation), "{when:?}");
        }
    }

    #[test]
    fn an_erase_cut_before_its_end_leaves_no_word_to_write() {
        for when in [When::First, When::Middle, When::Last] {
            let (mut chip, power) = chip(Torn::Stable);
            chip.write(0, &[7; 512]).unwrap();
            power.plan(Cut { at: 0, when });
            assert_eq!(chip.erase(0), Err(Failure::Off));
            power.restore();
            let left = chip.contents(0, 512);
            assert!(left.contains(&7) && left.contains(&0xff), "{when:?}");
            assert_eq!(chip.write(508, &[0; 4]), Err(Failure::Violation));
        }
    }

    #[test]
    fn operations_out_of_place_are_violations() {
        let (mut chip, power) = chip(Torn::Stable);
        assert_eq!(chip.write(2, &[0; 4]), Err(Failure::Violation));
        assert_eq!(chip.write(0, &[0; 3]), Err(Failure::Violation));
        assert_eq!(chip.write(1024, &[0; 4]), Err(Failure::Violation));
        assert_eq!(chip.erase(256), Err(Failure::Violation));
        assert_eq!(chip.read(1020, &mut [0; 8]), Err(Failure::Violation));
        assert_eq!(power.violations().len(), 5);
    }

    #[test]
    fn torn_words_read_as_their_mode_says() {
        let readings = |torn: Torn, restarts: bool| {
            let (mut chip, power) = chip(torn);
            power.plan(Cut { at: 0, when: When::First });
            let _ = chip.write(0, &[0x5a; 4]);
            power.restore();
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..50 {
                let mut bytes = [0; 4];
                seen.insert(chip.read(0, &mut bytes).map(|()| bytes).ok());
                if restarts {
                    power.restore();
                }
            }
            seen
        };
        assert_eq!(readings(Torn::Stable, true).len(), 1);
        assert_eq!(readings(Torn::PerBoot, false).len(), 1);
        assert!(readings(Torn::PerBoot, true).len() > 2);
        assert!(readings(Torn::PerRead, false).len() > 2);
        assert_eq!(readings(Torn::Ecc, true).into_iter().next(), Some(None));
    }

    #[test]
    fn the_same_seed_tears_the_same_way() {
        let torn = |seed| {
            let power = Power::new(seed, Torn::Stable);
            let mut chip = Chip::new("chip", 4, 512, 512, &power);
            chip.write(0, &[0x33; 512]).unwrap();
            power.plan(Cut { at: 0, when: When::Middle });
            let _ = chip.erase(0);
            chip.contents(0, 512)
        };
        assert_eq!(torn(5), torn(5));
        assert_ne!(torn(5), torn(6));
    }
}
