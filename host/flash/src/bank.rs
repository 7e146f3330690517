//! NOR flash, stricter than hardware: aligned, erased before it is written, each word programmed once, and a word that
//! a cut tore is spent until an erase completes.

use crate::page::{Page, Sector, mixed};
use crate::power::{Power, Torn, When, mix};
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

/// The flash of one region. Cloning it is cheap: pages are shared until they change.
#[derive(Debug, Clone)]
pub struct Bank {
    name: &'static str,
    write: usize,
    erase: usize,
    /// How erased words read.
    erased: [u8; 4],
    /// True if words may be programmed again between erases: bits only ever leave the erased state.
    lenient: bool,
    blank: Arc<Sector>,
    sectors: Vec<Arc<Sector>>,
    power: Power,
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
        assert!(write.is_power_of_two() && write <= 32, "words are of 1 to 32 bytes");
        let blank = Arc::new(Sector::blank(write, erase, erased));
        let sectors = vec![blank.clone(); length / erase];
        Self { name, write, erase, erased, lenient: false, blank, sectors, power: power.clone(), written: 0 }
    }

    /// The same where a word may be programmed again, as some parts allow (`MultiwriteNorFlash`).
    #[must_use]
    pub fn lenient(self) -> Self {
        Self { lenient: true, ..self }
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

    /// The pages that `length` bytes from `at` touch: where each piece begins, and which of the bytes it is.
    fn pieces(&self, at: usize, length: usize) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        let (page, mut done) = (Page::size(self.erase), 0);
        std::iter::from_fn(move || {
            let begin = done;
            done = length.min(done + page - (at + done) % page);
            (begin < done).then_some((at + begin, begin..done))
        })
    }

    /// The page that holds the byte at `at`, and where in it.
    fn page(&self, at: usize) -> (&Page, usize) {
        let size = Page::size(self.erase);
        (self.sectors[at / self.erase].page(at % self.erase / size), at % size)
    }

    fn page_mut(&mut self, at: usize) -> (&mut Page, usize) {
        let size = Page::size(self.erase);
        let sector = Arc::make_mut(&mut self.sectors[at / self.erase]);
        (sector.page_mut(at % self.erase / size), at % size)
    }

    /// What bytes from `at` on read as.
    fn fetch(&self, at: usize, into: &mut [u8]) {
        for (begins, range) in self.pieces(at, into.len()) {
            let (page, from) = self.page(begins);
            let length = range.len();
            into[range].copy_from_slice(&page.bytes[from..from + length]);
        }
    }

    /// Contents, as a programmer would see them: torn words as they were left.
    pub fn contents(&self, at: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fetch(at, &mut bytes);
        bytes
    }

    /// A number for all that decides how this bank behaves, and whether any word is torn. Equal banks have equal
    /// numbers; different ones don't, but for a chance of some 2⁻⁶⁴.
    pub fn fingerprint(&self) -> (u64, bool) {
        self.sectors.iter().fold((self.sectors.len() as u64, false), |(all, any), sector| {
            let (mark, torn) = sector.fingerprint();
            (mixed(all, mark), any | torn)
        })
    }

    /// Puts contents there as a programmer would, counting nothing.
    pub fn program(&mut self, at: usize, bytes: &[u8]) {
        let write = self.write;
        for (begins, range) in self.pieces(at, bytes.len()) {
            let (page, from) = self.page_mut(begins);
            let end = from + range.len();
            page.bytes[from..end].copy_from_slice(&bytes[range]);
            (from / write..end.div_ceil(write)).for_each(|word| page.spend(word));
        }
    }

    /// Flips one bit, as age does.
    pub fn rot(&mut self, at: usize, bit: u8) {
        let (page, at) = self.page_mut(at);
        page.bytes[at] ^= 1 << bit;
    }

    /// Leaves the word at `at` as a cut would: torn until its sector is erased.
    pub fn tear(&mut self, at: usize) {
        let (write, erased) = (self.write, self.erased);
        let (page, at) = self.page_mut(at);
        let place = at / write * write..(at / write + 1) * write;
        let (before, mut after) = (page.bytes[place.clone()].to_vec(), vec![0; write]);
        Page::fill(&mut after, place.start, erased);
        page.tear(at / write, &before, &after);
    }

    /// Bytes written to it.
    pub const fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn wrong(&self, text: String) -> Failure {
        self.power.violation(format!("{}: {text}", self.name));
        Failure::Violation
    }

    /// Reads; torn words as the supply's mode says.
    ///
    /// # Errors
    /// A [`Failure`].
    pub fn read(&mut self, at: usize, into: &mut [u8]) -> Result<(), Failure> {
        let (mode, session) = self.power.reading().ok_or(Failure::Off)?;
        if at + into.len() > self.length() {
            return Err(self.wrong(format!("read of {} bytes at {at:#x} is out of bounds", into.len())));
        }
        for (begins, range) in self.pieces(at, into.len()) {
            let (page, from) = self.page(begins);
            let (length, first) = (range.len(), begins - from);
            let piece = &mut into[range];
            piece.copy_from_slice(&page.bytes[from..from + length]);
            if mode == Torn::Stable || !page.is_torn() {
                continue;
            }
            for word in from / self.write..(from + length).div_ceil(self.write) {
                let Some((before, after)) = page.torn(word, self.write) else { continue };
                if mode == Torn::Ecc {
                    return Err(Failure::Ecc);
                }
                let place = (first + word * self.write) as u64;
                let salt = if mode == Torn::PerBoot { session } else { self.power.random() };
                for byte in 0..self.write {
                    let Some(read) =
                        (word * self.write + byte).checked_sub(from).and_then(|i| piece.get_mut(i))
                    else {
                        continue;
                    };
                    *read = unsure(mode, [place, salt, byte as u64], [before[byte], after[byte], *read]);
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
            When::Before => (0, 0..0),
            When::First => (0, 0..1),
            // A page buffer is programmed all at once on some parts.
            When::Middle if self.power.random().is_multiple_of(4) => (0, 0..words),
            When::Middle => (words / 2, words / 2..words / 2 + 1),
            When::Last => (words - 1, words - 1..words),
            When::After => (words, 0..0),
        };
        for word in (0..whole).chain(torn) {
            let content = &bytes[word * self.write..][..self.write];
            self.program_word(at + word * self.write, content, word >= whole)?;
        }
        if self.power.is_off() { Err(Failure::Off) } else { Ok(()) }
    }

    fn program_word(&mut self, at: usize, content: &[u8], torn: bool) -> Result<(), Failure> {
        let (power, erased, write, lenient) = (self.power.clone(), self.erased, self.write, self.lenient);
        let (page, inside) = self.page_mut(at);
        let word = inside / write;
        if page.is_spent(word) && !lenient {
            return Err(self.wrong(format!("word at {at:#x} was programmed twice")));
        }
        page.spend(word);
        let (mode, whole) = (power.torn(), if torn && power.random() & 1 == 0 { 0xff } else { 0 });
        let mut before = [0; 32];
        before[..write].copy_from_slice(&page.bytes[inside..inside + write]);
        for (offset, byte) in content.iter().enumerate() {
            // A torn word has changed some of the bits it was to change, or none; what age has changed stays so.
            let mask = match (torn, mode) {
                (false, _) => 0,
                // It seems whole, or untouched.
                (true, Torn::Disturbed) => whole,
                (true, _) => power.random() as u8,
            };
            let blank = erased[(inside + offset) % erased.len()];
            let old = &mut page.bytes[inside + offset];
            *old = blank ^ ((*old ^ blank) | ((byte ^ blank) & !mask));
        }
        if torn {
            page.tear(word, &before[..write], content);
        } else if lenient {
            page.heal(word);
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
        // Of 16 words, so many are erased.
        let share = match when {
            When::Before => return Err(Failure::Off),
            When::After => {
                self.sectors[at / self.erase] = self.blank.clone();
                return if self.power.is_off() { Err(Failure::Off) } else { Ok(()) };
            }
            When::First => 1,
            When::Middle => 8,
            When::Last => 14,
        };
        let seed = self.power.random();
        let (words, write, erased) = (self.erase / self.write, self.write, self.erased);
        let order = Order::of(seed);
        let sector = Arc::make_mut(&mut self.sectors[at / self.erase]);
        let on_page = Page::size(self.erase) / write;
        for word in 0..words {
            let draw = mix(seed ^ mix(word as u64));
            sector.page_mut(word / on_page).erase_part(word % on_page, [write, draw as usize], erased, {
                order.fate(word, words, share, draw)
            });
        }
        Err(Failure::Off)
    }
}

/// How a byte of a torn word reads: `[place, salt, byte]` decide between `[before, after, left]`.
fn unsure(mode: Torn, [place, salt, byte]: [u64; 3], [before, after, left]: [u8; 3]) -> u8 {
    if mode == Torn::Disturbed {
        // The same few of the bits that were to change, each time anew.
        let draw = mix(place ^ mix(byte));
        let weak = (before ^ after) & (draw & draw >> 8 & draw >> 16) as u8;
        return left ^ (weak & mix(salt ^ byte) as u8);
    }
    let pick = mix(salt ^ place);
    match pick % 3 {
        0 => before,
        1 => after,
        _ => mix(pick ^ byte) as u8,
    }
}

/// In which order the words of a sector give way to an erase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// In none.
    Mixed,
    /// From the front.
    Rising,
    /// From the back.
    Falling,
}

/// What a torn erase makes of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It reads as erased; `true`: not surely.
    Erased(bool),
    /// It reads as before; `true`: not surely.
    Old(bool),
    /// It reads as anything.
    Noise,
}

impl Order {
    const fn of(seed: u64) -> Self {
        match seed >> 62 {
            0 => Self::Rising,
            1 => Self::Falling,
            _ => Self::Mixed,
        }
    }

    fn fate(self, word: usize, words: usize, share: usize, draw: u64) -> Fate {
        let edge = words * share / 16;
        let position = match self {
            Self::Mixed => (draw % 16) as usize * words / 16,
            Self::Rising => word,
            Self::Falling => words - 1 - word,
        };
        match position.cmp(&edge) {
            std::cmp::Ordering::Less => Fate::Erased(draw >> 32 & 3 == 0),
            std::cmp::Ordering::Equal => Fate::Noise,
            std::cmp::Ordering::Greater => Fate::Old(draw >> 32 & 1 == 0),
        }
    }
}

#[cfg(test)]
#[path = "bank_tests.rs"]
mod tests;
