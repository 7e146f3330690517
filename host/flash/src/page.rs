//! Sectors in pages that copies share until they change.

use crate::bank::Fate;
use crate::power::mix;
use std::sync::{Arc, OnceLock};

/// Bytes of a page, at most: what a write into a large sector copies.
const PAGE: usize = 4096;
const K: u64 = 0x9e37_79b9_7f4a_7c15;

/// Both numbers in one (a folded multiplication).
pub(crate) fn mixed(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x2d35_8dcc_aa6c_78a5) * u128::from(b ^ K);
    (product as u64) ^ (product >> 64) as u64 ^ b.rotate_left(29)
}

fn mixed_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.fold(seed, mixed)
}

/// Words that a cut tore: what they may read as.
#[derive(Debug, Clone)]
struct Torn {
    words: Vec<u64>,
    before: Vec<u8>,
    after: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) bytes: Vec<u8>,
    /// Words begun since the last completed erase, a bit each.
    spent: Vec<u64>,
    torn: Option<Box<Torn>>,
    fingerprint: OnceLock<u64>,
}

impl Clone for Page {
    /// A copy is made to be changed.
    fn clone(&self) -> Self {
        let (bytes, spent, torn) = (self.bytes.clone(), self.spent.clone(), self.torn.clone());
        Self { bytes, spent, torn, fingerprint: OnceLock::new() }
    }
}

impl Page {
    pub(crate) const fn size(erase: usize) -> usize {
        if erase < PAGE || !erase.is_multiple_of(PAGE) { erase } else { PAGE }
    }

    fn blank(write: usize, erase: usize, erased: [u8; 4]) -> Self {
        let size = Self::size(erase);
        let mut bytes = vec![0; size];
        Self::fill(&mut bytes, 0, erased);
        let spent = vec![0; (size / write).div_ceil(64)];
        Self { bytes, spent, torn: None, fingerprint: OnceLock::new() }
    }

    /// Erased bytes, from this place on.
    pub(crate) fn fill(bytes: &mut [u8], from: usize, erased: [u8; 4]) {
        for (at, byte) in (from..).zip(bytes) {
            *byte = erased[at % erased.len()];
        }
    }

    pub(crate) fn is_spent(&self, word: usize) -> bool {
        self.spent[word / 64] >> (word % 64) & 1 == 1
    }

    pub(crate) fn spend(&mut self, word: usize) {
        self.spent[word / 64] |= 1 << (word % 64);
    }

    pub(crate) const fn is_torn(&self) -> bool {
        self.torn.is_some()
    }

    /// What a torn word may read as: before, after.
    pub(crate) fn torn(&self, word: usize, write: usize) -> Option<(&[u8], &[u8])> {
        let torn = self.torn.as_ref().filter(|torn| torn.words[word / 64] >> (word % 64) & 1 == 1)?;
        let place = word * write..(word + 1) * write;
        Some((&torn.before[place.clone()], &torn.after[place]))
    }

    /// Notes that a word is torn.
    pub(crate) fn tear(&mut self, word: usize, before: &[u8], after: &[u8]) {
        let (size, words) = (self.bytes.len(), self.spent.len());
        let blank = || Box::new(Torn { words: vec![0; words], before: vec![0; size], after: vec![0; size] });
        let torn = self.torn.get_or_insert_with(blank);
        torn.words[word / 64] |= 1 << (word % 64);
        let place = word * before.len()..(word + 1) * before.len();
        torn.before[place.clone()].copy_from_slice(before);
        torn.after[place].copy_from_slice(after);
    }

    /// Notes that a word isn't torn any more.
    pub(crate) fn heal(&mut self, word: usize) {
        if let Some(torn) = &mut self.torn {
            torn.words[word / 64] &= !(1 << (word % 64));
            if torn.words.iter().all(|words| *words == 0) {
                self.torn = None;
            }
        }
    }

    /// What an erase that was cut leaves of a word.
    pub(crate) fn erase_part(&mut self, word: usize, [write, draw]: [usize; 2], erased: [u8; 4], fate: Fate) {
        self.spend(word);
        if fate == Fate::Old(false) {
            return;
        }
        let (mut before, mut blank) = ([0; 32], [0; 32]);
        let place = word * write..(word + 1) * write;
        before[..write].copy_from_slice(&self.bytes[place.clone()]);
        Self::fill(&mut blank[..write], place.start, erased);
        match fate {
            Fate::Erased(_) => self.bytes[place].copy_from_slice(&blank[..write]),
            Fate::Noise => {
                for (at, byte) in self.bytes[place].iter_mut().enumerate() {
                    *byte = mix(draw as u64 ^ at as u64) as u8;
                }
            }
            Fate::Old(_) => {}
        }
        if fate != Fate::Erased(false) {
            self.tear(word, &before[..write], &blank[..write]);
        }
    }

    fn fingerprint(&self) -> u64 {
        *self.fingerprint.get_or_init(|| {
            let all = self.spent.iter().copied().fold(mixed_bytes(1, &self.bytes), mixed);
            let Some(torn) = &self.torn else { return all };
            let all = torn.words.iter().copied().fold(all ^ K, mixed);
            mixed_bytes(mixed_bytes(all, &torn.before), &torn.after)
        })
    }
}

#[derive(Debug)]
pub(crate) struct Sector {
    pages: Vec<Arc<Page>>,
    fingerprint: OnceLock<(u64, bool)>,
}

impl Clone for Sector {
    fn clone(&self) -> Self {
        Self { pages: self.pages.clone(), fingerprint: OnceLock::new() }
    }
}

impl Sector {
    pub(crate) fn blank(write: usize, erase: usize, erased: [u8; 4]) -> Self {
        let page = Arc::new(Page::blank(write, erase, erased));
        Self { pages: vec![page; erase / Page::size(erase)], fingerprint: OnceLock::new() }
    }

    pub(crate) fn page(&self, number: usize) -> &Page {
        &self.pages[number]
    }

    /// To be changed.
    pub(crate) fn page_mut(&mut self, number: usize) -> &mut Page {
        self.fingerprint = OnceLock::new();
        let page = Arc::make_mut(&mut self.pages[number]);
        page.fingerprint = OnceLock::new();
        page
    }

    pub(crate) fn fingerprint(&self) -> (u64, bool) {
        *self.fingerprint.get_or_init(|| {
            self.pages
                .iter()
                .fold((K, false), |(all, torn), page| (mixed(all, page.fingerprint()), torn | page.is_torn()))
        })
    }
}
