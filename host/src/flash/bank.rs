//! NOR flash, stricter than hardware: aligned, erased before it is written, each word programmed once, and a word that
//! a cut tore is spent until an erase completes.

use super::power::{Power, Torn, When, mix};
use std::ops::Range;
use std::sync::Arc;

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

#[derive(Debug, Clone)]
struct Sector {
    bytes: Vec<u8>,
    /// Words begun since the last completed erase.
    spent: Vec<bool>,
    /// Torn words, with what they may read as.
    torn: Vec<(usize, Vec<u8>, Vec<u8>)>,
    erases: u64,
}

/// An erased word of a sector. It may be narrower than the pattern.
fn blank_word(erased: [u8; 4], word: usize, width: usize) -> Vec<u8> {
    (word * width..(word + 1) * width).map(|i| erased[i % erased.len()]).collect()
}

/// The flash of one region. Cloning it is cheap: sectors are shared until they change.
#[derive(Debug, Clone)]
pub struct Bank {
    name: &'static str,
    write: usize,
    erase: usize,
    /// How erased words read.
    erased: [u8; 4],
    sectors: Vec<Arc<Sector>>,
    power: Power,
    reads: u64,
    written: u64,
}

impl Bank {
    /// Erased flash of `length` bytes, a multiple of `erase`, which is one of `write`.
    pub fn new(name: &'static str, write: usize, erase: usize, length: usize, power: &Power) -> Self {
        Self::reading(name, [write, erase, length], [0xff; 4], power)
    }

    /// The same with words that read so when they are erased: not all ones on every part.
    pub fn reading(name: &'static str, sizes: [usize; 3], erased: [u8; 4], power: &Power) -> Self {
        let [write, erase, length] = sizes;
        assert!(length.is_multiple_of(erase) && erase.is_multiple_of(write));
        let blank = Arc::new(Sector {
            bytes: erased.repeat(erase / erased.len()),
            spent: vec![false; erase / write],
            torn: Vec::new(),
            erases: 0,
        });
        let sectors = vec![blank; length / erase];
        Self { name, write, erase, erased, sectors, power: power.clone(), reads: 0, written: 0 }
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

    /// The sectors that `length` bytes from `at` touch: which, from where in it, and which of the bytes.
    fn pieces(&self, at: usize, length: usize) -> impl Iterator<Item = (usize, usize, Range<usize>)> + use<> {
        let (erase, mut done) = (self.erase, 0);
        std::iter::from_fn(move || {
            let (sector, from) = ((at + done) / erase, (at + done) % erase);
            let begin = done;
            done = length.min(done + erase - from);
            (begin < done).then_some((sector, from, begin..done))
        })
    }

    /// What bytes from `at` on read as.
    fn fetch(&self, at: usize, into: &mut [u8]) {
        for (sector, from, range) in self.pieces(at, into.len()) {
            let length = range.len();
            into[range].copy_from_slice(&self.sectors[sector].bytes[from..from + length]);
        }
    }

    /// Contents, as a programmer would see them: torn words as they were left.
    pub fn contents(&self, at: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fetch(at, &mut bytes);
        bytes
    }

    /// Puts contents there as a programmer would, counting nothing.
    pub fn program(&mut self, at: usize, bytes: &[u8]) {
        for (sector, from, range) in self.pieces(at, bytes.len()) {
            let end = from + range.len();
            let sector = Arc::make_mut(&mut self.sectors[sector]);
            sector.bytes[from..end].copy_from_slice(&bytes[range]);
            sector.spent[from / self.write..end.div_ceil(self.write)].fill(true);
        }
    }

    /// Flips one bit, as age does.
    pub fn rot(&mut self, at: usize, bit: u8) {
        let sector = Arc::make_mut(&mut self.sectors[at / self.erase]);
        sector.bytes[at % self.erase] ^= 1 << bit;
    }

    /// Leaves the word at `at` as a cut would: torn until its sector is erased.
    pub fn tear(&mut self, at: usize) {
        let sector = Arc::make_mut(&mut self.sectors[at / self.erase]);
        let word = at % self.erase / self.write;
        let before = sector.bytes[word * self.write..][..self.write].to_vec();
        let blank = blank_word(self.erased, word, self.write);
        sector.torn.push((word, before, blank));
    }

    /// Bytes written to it.
    pub const fn written(&self) -> u64 {
        self.written
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
        self.fetch(at, into);
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
        let (power, erased) = (self.power.clone(), self.erased);
        let sector = Arc::make_mut(&mut self.sectors[number]);
        sector.spent[word] = true;
        let before = sector.bytes[inside..inside + self.write].to_vec();
        for (offset, byte) in content.iter().enumerate() {
            // A torn word has changed some of the bits it was to change, or none; what age has changed stays so.
            let mask = if torn { power.random() as u8 } else { 0 };
            let (old, blank) = (&mut sector.bytes[inside + offset], erased[(inside + offset) % erased.len()]);
            *old = blank ^ ((*old ^ blank) | ((byte ^ blank) & !mask));
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
    pub fn erase(&mut self, at: usize, length: usize) -> Result<(), Failure> {
        let Some(when) = self.power.operate(None) else { return Err(Failure::Off) };
        if !at.is_multiple_of(self.erase) || at >= self.length() || length != self.erase {
            return Err(self.wrong(format!("erase of {length} bytes at {at:#x} isn't a sector")));
        }
        let (power, write) = (self.power.clone(), self.write);
        let sector = Arc::make_mut(&mut self.sectors[at / self.erase]);
        sector.erases += 1;
        // Of 16 words, so many are erased, and one more is random.
        let erased = match when {
            When::Before => return Err(Failure::Off),
            When::After => {
                sector.bytes.copy_from_slice(&self.erased.repeat(self.erase / self.erased.len()));
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
            let blank = blank_word(self.erased, word, write);
            let place = word * write..(word + 1) * write;
            let before = sector.bytes[place.clone()].to_vec();
            match draw % 16 {
                n if n < erased => sector.bytes[place].copy_from_slice(&blank),
                n if n == erased => {
                    for byte in &mut sector.bytes[place.clone()] {
                        *byte = power.random() as u8;
                    }
                    sector.torn.push((word, before, blank));
                }
                _ if draw & 0x100 == 0 => sector.torn.push((word, before, blank)),
                _ => {}
            }
        }
        Err(Failure::Off)
    }
}

#[cfg(test)]
mod tests {
    use super::super::power::Cut;
    use super::*;

    fn bank(torn: Torn) -> (Bank, Power) {
        let power = Power::new(1, torn);
        (Bank::new("bank", 4, 512, 1024, &power), power)
    }

    #[test]
    fn a_word_is_programmed_once() {
        let (mut bank, power) = bank(Torn::Stable);
        bank.write(0, &[0; 8]).unwrap();
        assert_eq!(bank.write(4, &[0; 4]), Err(Failure::Violation));
        bank.erase(0, 512).unwrap();
        bank.write(4, &[0; 4]).unwrap();
        assert_eq!(power.violations().len(), 1);
    }

    #[test]
    fn a_torn_word_is_spent_even_if_it_reads_blank() {
        for when in [When::First, When::Middle, When::Last] {
            let (mut bank, power) = bank(Torn::Stable);
            power.plan(Cut { at: 0, when });
            assert_eq!(bank.write(0, &[0xff; 4]), Err(Failure::Off));
            assert_eq!(bank.read(0, &mut [0]), Err(Failure::Off));
            power.restore();
            assert_eq!(bank.write(0, &[0; 4]), Err(Failure::Violation), "{when:?}");
        }
    }

    #[test]
    fn an_erase_cut_before_its_end_leaves_no_word_to_write() {
        for when in [When::First, When::Middle, When::Last] {
            let (mut bank, power) = bank(Torn::Stable);
            bank.write(0, &[7; 512]).unwrap();
            power.plan(Cut { at: 0, when });
            assert_eq!(bank.erase(0, 512), Err(Failure::Off));
            power.restore();
            let left = bank.contents(0, 512);
            assert!(left.contains(&7) && left.contains(&0xff), "{when:?}");
            assert_eq!(bank.write(508, &[0; 4]), Err(Failure::Violation));
        }
    }

    #[test]
    fn operations_out_of_place_are_violations() {
        let (mut bank, power) = bank(Torn::Stable);
        assert_eq!(bank.write(2, &[0; 4]), Err(Failure::Violation));
        assert_eq!(bank.write(0, &[0; 3]), Err(Failure::Violation));
        assert_eq!(bank.write(1024, &[0; 4]), Err(Failure::Violation));
        assert_eq!(bank.erase(256, 512), Err(Failure::Violation));
        assert_eq!(bank.read(1020, &mut [0; 8]), Err(Failure::Violation));
        assert_eq!(bank.erase(0, 1024), Err(Failure::Violation));
        assert_eq!(power.violations().len(), 6);
    }

    #[test]
    fn torn_words_read_as_their_mode_says() {
        let readings = |torn: Torn, restarts: bool| {
            let (mut bank, power) = bank(torn);
            power.plan(Cut { at: 0, when: When::First });
            let _ = bank.write(0, &[0x5a; 4]);
            power.restore();
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..50 {
                let mut bytes = [0; 4];
                seen.insert(bank.read(0, &mut bytes).map(|()| bytes).ok());
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
            let mut bank = Bank::new("bank", 4, 512, 512, &power);
            bank.write(0, &[0x33; 512]).unwrap();
            power.plan(Cut { at: 0, when: When::Middle });
            let _ = bank.erase(0, 512);
            bank.contents(0, 512)
        };
        assert_eq!(torn(5), torn(5));
        assert_ne!(torn(5), torn(6));
    }
}
