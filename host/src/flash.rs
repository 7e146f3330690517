//! A chip in memory, for `provision` and `simulate`: erased before written, written once, and power that can fail.

use patchlane_device::{Layout, Media, MediaError, Region};

/// Bytes of a chip that hold the three regions, from the lowest offset on.
#[derive(Debug, Clone)]
pub struct Chip {
    bytes: Vec<u8>,
    written: Vec<bool>,
    base: u32,
    layout: Layout,
    /// Writes and erases so far.
    pub operations: u64,
    /// The operation during which power fails.
    pub cut: Option<u64>,
    /// True after power has failed.
    pub off: bool,
}

impl Chip {
    /// An erased chip.
    pub fn new(layout: Layout) -> Self {
        let places = [Region::State, Region::Primary, Region::Secondary].map(|r| *layout.place(r));
        let base = places.iter().map(|p| p.offset).min().unwrap_or(0);
        let end = places.iter().map(|p| p.offset.saturating_add(p.length)).max().unwrap_or(0);
        let length = (end - base) as usize;
        Self {
            bytes: vec![0xff; length],
            written: vec![false; length],
            base,
            layout,
            operations: 0,
            cut: None,
            off: false,
        }
    }

    /// The lowest offset that it holds.
    pub const fn base(&self) -> u32 {
        self.base
    }

    /// All its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A chip with these contents, as `provision` writes them.
    pub fn holding(layout: Layout, contents: &[u8]) -> Self {
        let mut chip = Self::new(layout);
        let length = contents.len().min(chip.bytes.len());
        chip.bytes[..length].copy_from_slice(&contents[..length]);
        for (written, byte) in chip.written.iter_mut().zip(&chip.bytes) {
            *written = *byte != 0xff;
        }
        chip
    }

    /// Puts an image at the beginning of the primary slot, as a programmer would.
    pub fn program_primary(&mut self, image: &[u8]) {
        let start = (self.layout.place(Region::Primary).offset - self.base) as usize;
        self.bytes[start..start + image.len()].copy_from_slice(image);
        self.written[start..start + image.len()].fill(true);
    }

    /// The first bytes of the primary slot.
    pub fn primary(&self, length: usize) -> &[u8] {
        let start = (self.layout.place(Region::Primary).offset - self.base) as usize;
        &self.bytes[start..start + length]
    }

    fn range(&self, region: Region, at: u32, length: usize) -> Result<std::ops::Range<usize>, MediaError> {
        let place = self.layout.place(region);
        let start = (place.offset - self.base) as usize + at as usize;
        if at as usize + length > place.length as usize || self.off {
            return Err(MediaError);
        }
        Ok(start..start + length)
    }

    /// Counts an operation; true if power fails during it.
    fn fails(&mut self) -> bool {
        let fails = self.cut == Some(self.operations);
        self.operations += 1;
        self.off |= fails;
        fails
    }
}

impl Media for Chip {
    fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        let range = self.range(region, at, into.len())?;
        into.copy_from_slice(&self.bytes[range]);
        Ok(())
    }

    fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        let mut range = self.range(region, at, length as usize)?;
        if self.fails() {
            // Half of it is erased; none of it may be written before it is erased again.
            self.written[range.clone()].fill(true);
            range.end = range.start + range.len() / 2;
            self.bytes[range].fill(0xff);
            return Err(MediaError);
        }
        self.bytes[range.clone()].fill(0xff);
        self.written[range].fill(false);
        Ok(())
    }

    fn write(&mut self, region: Region, at: u32, from: &[u8]) -> Result<(), MediaError> {
        let range = self.range(region, at, from.len())?;
        if self.written[range.clone()].iter().any(|written| *written) {
            return Err(MediaError);
        }
        let fails = self.fails();
        let whole = if fails { from.len() / 2 } else { from.len() };
        self.written[range.clone()].fill(true);
        self.bytes[range.start..range.start + whole].copy_from_slice(&from[..whole]);
        if fails { Err(MediaError) } else { Ok(()) }
    }
}
