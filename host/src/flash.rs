//! Flash in memory, for `provision` and `simulate`: erased before written, written once, and power that can fail.

use patchlane_device::{Layout, Media, MediaError, Region};

/// The three regions, wherever they lie.
#[derive(Debug, Clone)]
pub struct Chip {
    regions: [Contents; 3],
    layout: Layout,
    erased: [u8; 4],
    /// Writes and erases so far.
    pub operations: u64,
    /// The operation during which power fails.
    pub cut: Option<u64>,
    /// True after power has failed.
    pub off: bool,
}

#[derive(Debug, Clone)]
struct Contents {
    bytes: Vec<u8>,
    written: Vec<bool>,
}

/// Every region.
pub const REGIONS: [Region; 3] = [Region::State, Region::Primary, Region::Secondary];

const fn index(region: Region) -> usize {
    match region {
        Region::State => 0,
        Region::Primary => 1,
        Region::Secondary => 2,
    }
}

impl Chip {
    /// Erased flash.
    pub fn new(layout: Layout) -> Self {
        Self::reading(layout, [0xff; 4])
    }

    /// Erased flash whose erased words read so: not all ones on every part.
    pub fn reading(layout: Layout, erased: [u8; 4]) -> Self {
        let regions = REGIONS.map(|region| {
            let length = layout.place(region).length as usize;
            Contents { bytes: erased.repeat(length / 4), written: vec![false; length] }
        });
        Self { regions, layout, erased, operations: 0, cut: None, off: false }
    }

    /// What a region holds.
    pub fn region(&self, region: Region) -> &[u8] {
        &self.regions[index(region)].bytes
    }

    /// The lowest offset of the three regions.
    pub fn base(&self) -> u32 {
        REGIONS.iter().map(|region| self.layout.place(*region).offset).min().unwrap_or(0)
    }

    /// A chip that holds all three: from the lowest offset to the last byte, gaps erased. Only where no region lies
    /// on a chip of its own.
    pub fn bytes(&self) -> Vec<u8> {
        let places = REGIONS.map(|region| (region, *self.layout.place(region)));
        let base = self.base();
        let end = places.iter().map(|(_, p)| p.offset.saturating_add(p.length)).max().unwrap_or(0);
        let mut bytes = vec![0xff; (end - base) as usize];
        for (region, place) in places {
            let start = (place.offset - base) as usize;
            bytes[start..start + place.length as usize].copy_from_slice(self.region(region));
        }
        bytes
    }

    /// A chip with these contents, as [`Chip::bytes`] gives them.
    pub fn holding(layout: Layout, contents: &[u8]) -> Self {
        let mut chip = Self::new(layout);
        let base = chip.base();
        for region in REGIONS {
            let start = (layout.place(region).offset - base) as usize;
            chip.program(region, contents.get(start..).unwrap_or(&[]));
        }
        chip
    }

    /// Puts bytes at the beginning of an erased region, as a programmer would; what has no room is left out.
    pub fn program(&mut self, region: Region, bytes: &[u8]) {
        let held = &mut self.regions[index(region)];
        let length = bytes.len().min(held.bytes.len());
        held.bytes[..length].copy_from_slice(&bytes[..length]);
        held.written[..length].fill(true);
    }

    /// Puts an image at the beginning of the primary slot, as a programmer would.
    pub fn program_primary(&mut self, image: &[u8]) {
        self.program(Region::Primary, image);
    }

    /// The first bytes of the primary slot.
    pub fn primary(&self, length: usize) -> &[u8] {
        &self.region(Region::Primary)[..length]
    }

    fn range(&self, region: Region, at: u32, length: usize) -> Result<std::ops::Range<usize>, MediaError> {
        let end = at as usize + length;
        if end > self.region(region).len() || self.off { Err(MediaError) } else { Ok(at as usize..end) }
    }

    /// Counts an operation; true if power fails during it.
    fn fails(&mut self) -> bool {
        let fails = self.cut == Some(self.operations);
        self.operations += 1;
        self.off |= fails;
        fails
    }
}

/// Erases whole words: sectors begin at one.
fn blank(bytes: &mut [u8], erased: [u8; 4]) {
    for (byte, erased) in bytes.iter_mut().zip(erased.into_iter().cycle()) {
        *byte = erased;
    }
}

impl Media for Chip {
    fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        let range = self.range(region, at, into.len())?;
        into.copy_from_slice(&self.region(region)[range]);
        Ok(())
    }

    fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        let mut range = self.range(region, at, length as usize)?;
        let fails = self.fails();
        let contents = &mut self.regions[index(region)];
        if fails {
            // Half of it is erased; none of it may be written before it is erased again.
            contents.written[range.clone()].fill(true);
            range.end = range.start + range.len() / 2;
            blank(&mut contents.bytes[range], self.erased);
            return Err(MediaError);
        }
        blank(&mut contents.bytes[range.clone()], self.erased);
        contents.written[range].fill(false);
        Ok(())
    }

    fn write(&mut self, region: Region, at: u32, from: &[u8]) -> Result<(), MediaError> {
        let range = self.range(region, at, from.len())?;
        if self.regions[index(region)].written[range.clone()].iter().any(|written| *written) {
            return Err(MediaError);
        }
        let fails = self.fails();
        let whole = if fails { from.len() / 2 } else { from.len() };
        let contents = &mut self.regions[index(region)];
        contents.written[range.clone()].fill(true);
        contents.bytes[range.start..range.start + whole].copy_from_slice(&from[..whole]);
        if fails { Err(MediaError) } else { Ok(()) }
    }
}
