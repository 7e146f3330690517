//! Flash in memory, for `provision`, `simulate` and tests: three regions of strict NOR flash, on power that can fail.

pub use patchlane_flash::{Bank, Cut, Failure, Power, Torn, When, mix};

use patchlane_device::{Layout, Media, MediaError, Place, Region};

/// The three regions, wherever they lie. A clone shares its supply; [`Chip::on`] gives it one of its own.
#[derive(Debug, Clone)]
pub struct Chip {
    /// Log and receipts.
    pub state: Bank,
    /// What runs.
    pub primary: Bank,
    /// What was received, or ran before.
    pub secondary: Bank,
    /// What feeds all three.
    pub power: Power,
    layout: Layout,
}

/// Every region.
pub const REGIONS: [Region; 3] = [Region::State, Region::Primary, Region::Secondary];

impl Chip {
    /// Erased flash.
    pub fn new(layout: Layout) -> Self {
        Self::reading(layout, [0xff; 4])
    }

    /// Erased flash whose erased words read so: not all ones on every part.
    pub fn reading(layout: Layout, erased: [u8; 4]) -> Self {
        let power = Power::new(1, Torn::Stable);
        let bank = |name, place: &Place| {
            let sizes = [place.write, place.erase, place.length].map(|n| n as usize);
            Bank::reading(name, sizes, erased, &power)
        };
        Self {
            state: bank("state", layout.place(Region::State)),
            primary: bank("primary", layout.place(Region::Primary)),
            secondary: bank("secondary", layout.place(Region::Secondary)),
            power,
            layout,
        }
    }

    /// The same contents on another supply.
    #[must_use]
    pub fn on(&self, power: &Power) -> Self {
        Self {
            state: self.state.on(power),
            primary: self.primary.on(power),
            secondary: self.secondary.on(power),
            power: power.clone(),
            layout: self.layout,
        }
    }

    /// Where the regions lie.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    fn bank(&self, region: Region) -> &Bank {
        match region {
            Region::State => &self.state,
            Region::Primary => &self.primary,
            Region::Secondary => &self.secondary,
        }
    }

    fn bank_mut(&mut self, region: Region) -> &mut Bank {
        match region {
            Region::State => &mut self.state,
            Region::Primary => &mut self.primary,
            Region::Secondary => &mut self.secondary,
        }
    }

    /// What a region holds.
    pub fn region(&self, region: Region) -> Vec<u8> {
        let bank = self.bank(region);
        bank.contents(0, bank.length())
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
            bytes[start..start + place.length as usize].copy_from_slice(&self.region(region));
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
        let bank = self.bank_mut(region);
        let length = bytes.len().min(bank.length());
        bank.program(0, &bytes[..length]);
    }

    /// Puts an image at the beginning of the primary slot, as a programmer would.
    pub fn program_primary(&mut self, image: &[u8]) {
        self.program(Region::Primary, image);
    }

    /// The first bytes of the primary slot.
    pub fn primary(&self, length: usize) -> Vec<u8> {
        self.primary.contents(0, length)
    }
}

impl Media for Chip {
    fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        self.bank_mut(region).read(at as usize, into).map_err(|_| MediaError)
    }
    fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        self.bank_mut(region).erase(at as usize, length as usize).map_err(|_| MediaError)
    }
    fn write(&mut self, region: Region, at: u32, from: &[u8]) -> Result<(), MediaError> {
        self.bank_mut(region).write(at as usize, from).map_err(|_| MediaError)
    }
}
