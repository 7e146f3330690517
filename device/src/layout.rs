//! Where things lie in flash, checked when it is built.
//!
//! ```text
//! state      log area 0 | 1 | 2 | …        at least three, each ≥ 4 KiB       (src/log.rs)
//!            receipt cell 0 | 1 | … | 4    each ≥ 2,592 bytes
//! primary    the image that runs
//! secondary  one spare block, then as much as the primary
//! ```
//! In a **direct** layout (direct-XIP) code runs from both slots where they lie. They are equals without a spare block, each
//! image is linked for one of them, and the record says which is the primary now; nothing is moved.
//!
//! The three regions may lie on different chips with different geometry.

use crate::log::AREA;
use crate::media::Region;
use patchlane_protocol::{Image, limits};

/// Bytes the engine moves at once; no flash may want larger reads or writes. 512, or 128 with the feature `small-io`.
pub const IO: usize = if cfg!(feature = "small-io") { 128 } else { 512 };
/// Receipt cells: confirmed, fallback, candidate, present root, and one to write the next into.
pub const CELLS: u32 = 5;
/// Log areas used at most.
pub const AREAS_MAX: u32 = 8;
/// Log areas needed: with two, unstable torn words and repeated cuts can lose every record (engine spike).
pub const AREAS_MIN: u32 = 3;

/// A stretch of one flash, in bytes, and that flash's granularity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where it begins on its flash.
    pub offset: u32,
    /// Its length.
    pub length: u32,
    /// The flash reads multiples of this.
    pub read: u32,
    /// The flash writes multiples of this.
    pub write: u32,
    /// The flash erases multiples of this.
    pub erase: u32,
}

impl Place {
    /// A stretch of a flash with these traits.
    pub fn of<F: embedded_storage::nor_flash::NorFlash>(offset: u32, length: u32) -> Self {
        Self::with(offset, length, [F::READ_SIZE, F::WRITE_SIZE, F::ERASE_SIZE])
    }

    /// A stretch of an asynchronous flash with these traits.
    pub fn of_async<F: embedded_storage_async::nor_flash::NorFlash>(offset: u32, length: u32) -> Self {
        Self::with(offset, length, [F::READ_SIZE, F::WRITE_SIZE, F::ERASE_SIZE])
    }

    /// A size that no `u32` holds becomes 0, which no layout admits.
    fn with(offset: u32, length: u32, sizes: [usize; 3]) -> Self {
        let [read, write, erase] = sizes.map(|size| u32::try_from(size).unwrap_or(0));
        Self { offset, length, read, write, erase }
    }

    /// What every access is a multiple of.
    pub(crate) const fn unit(&self) -> u32 {
        if self.read > self.write { self.read } else { self.write }
    }

    fn check(&self) -> Result<(), LayoutError> {
        let usable = |n: u32| n.is_power_of_two() && n <= 32;
        if !usable(self.read) || !usable(self.write) {
            return Err(LayoutError::Granularity);
        }
        if !self.erase.is_power_of_two() || self.erase < 512 {
            return Err(LayoutError::EraseSize);
        }
        let whole = |n: u32| n.checked_rem(self.erase) == Some(0);
        if !whole(self.offset) || !whole(self.length) || self.offset.checked_add(self.length).is_none() {
            return Err(LayoutError::Alignment);
        }
        Ok(())
    }
}

/// Why a layout can't work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayoutError {
    /// Read and write sizes are powers of two up to 32 bytes.
    Granularity,
    /// Erase sizes are powers of two from 512 bytes.
    EraseSize,
    /// Regions begin and end at multiples of their erase size.
    Alignment,
    /// The state region has no room for three log areas and five receipt cells.
    StateTooSmall,
    /// The secondary region is one block longer than the primary.
    Slots,
    /// Both slots of a direct layout are whole blocks, and not empty.
    DirectSlots,
    /// The two slots of a direct layout are seen at addresses that lie apart.
    Addresses,
    /// Regions of one flash don't overlap.
    Overlap,
}

impl core::fmt::Display for LayoutError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Granularity => "read and write sizes have to be powers of two up to 32 bytes",
            Self::EraseSize => "erase sizes have to be powers of two from 512 bytes",
            Self::Alignment => "regions have to begin and end at multiples of their erase size",
            Self::StateTooSmall => "the state region needs room for three log areas and five receipt cells",
            Self::Overlap => "regions on one flash must not overlap",
            Self::Slots => "the secondary region has to be exactly one erase block longer than the primary",
            Self::DirectSlots => "each slot has to be whole erase blocks of the slot with the larger ones",
            Self::Addresses => "the slots have to be seen at addresses that lie apart",
        })
    }
}

impl core::error::Error for LayoutError {}

/// A checked layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    state: Place,
    primary: Place,
    secondary: Place,
    /// Where the slots of a direct layout are seen; no others begin at the same address.
    addresses: [u32; 2],
    area: u32,
    areas: u32,
    cell: u32,
}

/// A slot, as images see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Its place: [`Region::Primary`] or [`Region::Secondary`] of the layout.
    pub region: Region,
    /// The address that images have to be linked for, if it matters.
    pub address: Option<u32>,
    /// Bytes of the largest image.
    pub room: u32,
    /// What every access is a multiple of.
    pub(crate) unit: u32,
    /// True if code for elsewhere would run here: an image without an address says too little.
    strict: bool,
}

impl Slot {
    /// True if this image is for this slot.
    pub fn takes(&self, image: &Image) -> bool {
        image.address == self.address || image.address.is_none() && !self.strict
    }
}

/// The smallest multiple of `of` (a power of two) that is at least `n`.
#[inline(never)]
pub(crate) const fn round_up(n: u32, of: u32) -> u32 {
    let below = of.saturating_sub(1);
    n.saturating_add(below) & !below
}

/// Checks that regions of one flash don't overlap.
fn apart(state: &Place, primary: &Place, secondary: &Place) -> Result<(), LayoutError> {
    let apart = |a: &Place, b: &Place| {
        let ends = |place: &Place| place.offset.saturating_add(place.length);
        ends(a) <= b.offset || ends(b) <= a.offset
    };
    if apart(state, primary) && apart(primary, secondary) && apart(secondary, state) {
        Ok(())
    } else {
        Err(LayoutError::Overlap)
    }
}

impl Layout {
    /// Checks three regions of one flash against each other.
    ///
    /// # Errors
    /// As [`Layout::new`]; `Overlap`.
    pub fn on_one(state: Place, primary: Place, secondary: Place) -> Result<Self, LayoutError> {
        apart(&state, &primary, &secondary)?;
        Self::new(state, primary, secondary)
    }

    /// As [`Layout::direct`], on one flash.
    ///
    /// # Errors
    /// As [`Layout::direct`]; `Overlap`.
    pub fn direct_on_one(state: Place, slots: [Place; 2], addresses: [u32; 2]) -> Result<Self, LayoutError> {
        let [first, second] = &slots;
        apart(&state, first, second)?;
        Self::direct(state, slots, addresses)
    }

    /// Checks three regions against each other. Those on the same flash must not overlap; where all are,
    /// [`Layout::on_one`] checks that, too.
    ///
    /// # Errors
    /// A [`LayoutError`] for each rule.
    pub fn new(state: Place, primary: Place, secondary: Place) -> Result<Self, LayoutError> {
        let layout = Self::checked(state, [primary, secondary], [0; 2])?;
        let aligned = primary.length.checked_rem(layout.block()) == Some(0);
        let one_more = primary.length.checked_add(layout.block()) == Some(secondary.length);
        if primary.length == 0 || !aligned || !one_more { Err(LayoutError::Slots) } else { Ok(layout) }
    }

    /// Two slots of equal rank that code runs from where they lie, and the addresses at which it sees them. They needn't
    /// have the same length. The first is the primary until an update goes into the second.
    ///
    /// # Errors
    /// A [`LayoutError`] for each rule.
    pub fn direct(state: Place, slots: [Place; 2], addresses: [u32; 2]) -> Result<Self, LayoutError> {
        let layout = Self::checked(state, slots, addresses)?;
        if slots.iter().any(|slot| slot.length == 0 || slot.length.checked_rem(layout.block()) != Some(0)) {
            return Err(LayoutError::DirectSlots);
        }
        let ([first, second], [one, other]) = (addresses, slots);
        let ends = |address: u32, slot: &Place| u64::from(address).saturating_add(u64::from(slot.length));
        let (first_ends, second_ends) = (ends(first, &one), ends(second, &other));
        let visible = first_ends.max(second_ends) <= 1 << 32;
        let apart = first_ends <= u64::from(second) || second_ends <= u64::from(first);
        if visible && apart { Ok(layout) } else { Err(LayoutError::Addresses) }
    }

    /// What both kinds of layout have to keep to.
    fn checked(
        state: Place,
        [primary, secondary]: [Place; 2],
        addresses: [u32; 2],
    ) -> Result<Self, LayoutError> {
        state.check()?;
        primary.check()?;
        secondary.check()?;
        let area = round_up(AREA, state.erase);
        let cell = round_up(u32::try_from(limits::RECEIPT).unwrap_or(u32::MAX), state.erase.max(32));
        let cells = cell.checked_mul(CELLS).ok_or(LayoutError::StateTooSmall)?;
        let left = state.length.checked_sub(cells).ok_or(LayoutError::StateTooSmall)?;
        let areas = left.checked_div(area).unwrap_or(0).min(AREAS_MAX);
        if areas < AREAS_MIN {
            return Err(LayoutError::StateTooSmall);
        }
        Ok(Self { state, primary, secondary, addresses, area, areas, cell })
    }

    /// True if code runs from both slots.
    pub const fn is_direct(&self) -> bool {
        let [first, second] = self.addresses;
        first != second
    }

    /// The addresses at which a direct layout's slots are seen.
    pub fn addresses(&self) -> Option<[u32; 2]> {
        self.is_direct().then_some(self.addresses)
    }

    /// The slot that plays this role; `address` is what images are linked for where they are moved.
    pub fn slot(&self, role: Region, flipped: bool, address: Option<u32>) -> Slot {
        let region = role.exchanged(flipped);
        let place = self.place(region);
        let strict = self.is_direct();
        let [first, second] = self.addresses;
        let own = if region == Region::Primary { first } else { second };
        let (address, room) = if strict { (Some(own), place.length) } else { (address, self.primary.length) };
        Slot { region, address, room, unit: place.unit(), strict }
    }

    /// Where an image begins that is staged in the secondary slot.
    pub(crate) const fn staged_at(&self) -> u32 {
        if self.is_direct() { 0 } else { self.block() }
    }

    /// The place of a region.
    pub const fn place(&self, region: Region) -> &Place {
        match region {
            Region::State => &self.state,
            Region::Primary => &self.primary,
            Region::Secondary => &self.secondary,
        }
    }

    /// Bytes of the block that is erased or moved at once: the larger of the slots' erase sizes.
    pub const fn block(&self) -> u32 {
        let (primary, secondary) = (self.primary.erase, self.secondary.erase);
        if primary < secondary { secondary } else { primary }
    }

    /// Bytes of the largest image that fits either slot.
    pub const fn room(&self) -> u32 {
        let (primary, secondary) = (self.primary.length, self.secondary.length);
        if secondary < primary { secondary } else { primary }
    }

    /// Log areas.
    pub const fn areas(&self) -> u32 {
        self.areas
    }

    /// Bytes of a log area.
    pub const fn area_size(&self) -> u32 {
        self.area
    }

    /// Where a log area begins in the state region.
    pub const fn area_at(&self, area: u32) -> u32 {
        self.area.saturating_mul(area)
    }

    /// Bytes of a receipt cell.
    pub const fn cell_size(&self) -> u32 {
        self.cell
    }

    /// Where a receipt cell begins in the state region.
    pub fn cell_at(&self, cell: u8) -> u32 {
        let cells = self.cell.saturating_mul(u32::from(cell));
        self.area.saturating_mul(self.areas).saturating_add(cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(length: u32, erase: u32) -> Place {
        Place { offset: 0, length, read: 1, write: 4, erase }
    }

    #[test]
    fn each_rule_has_its_error() {
        let good = Layout::new(place(0x8000, 4096), place(0x4000, 4096), place(0x5000, 4096));
        assert_eq!(good.map(|l| (l.areas(), l.cell_at(1))), Ok((3, 0x4000)));
        let slots = Layout::new(place(0x8000, 4096), place(0x4000, 4096), place(0x4000, 4096));
        assert_eq!(slots, Err(LayoutError::Slots));
        let state = Layout::new(place(0x7000, 4096), place(0x4000, 4096), place(0x5000, 4096));
        assert_eq!(state, Err(LayoutError::StateTooSmall));
        let odd = Place { offset: 100, ..place(0x8000, 4096) };
        assert_eq!(Layout::new(odd, place(0x4000, 4096), place(0x5000, 4096)), Err(LayoutError::Alignment));
        let wide = Place { write: 64, ..place(0x8000, 4096) };
        assert_eq!(
            Layout::new(wide, place(0x4000, 4096), place(0x5000, 4096)),
            Err(LayoutError::Granularity)
        );
        let tiny = Place { erase: 256, ..place(0x8000, 4096) };
        assert_eq!(Layout::new(tiny, place(0x4000, 4096), place(0x5000, 4096)), Err(LayoutError::EraseSize));
    }

    #[test]
    fn regions_on_one_flash_lie_apart() {
        let at = |offset, length| Place { offset, ..place(length, 4096) };
        let [state, primary, secondary] = [at(0, 0x8000), at(0x8000, 0x4000), at(0xc000, 0x5000)];
        assert!(Layout::on_one(state, primary, secondary).is_ok());
        let low = at(0xb000, 0x5000);
        assert_eq!(Layout::on_one(state, primary, low), Err(LayoutError::Overlap));
        assert_eq!(Layout::on_one(at(0x1000, 0x8000), primary, secondary), Err(LayoutError::Overlap));
        assert_eq!(Layout::on_one(at(0xc000, 0x8000), primary, secondary), Err(LayoutError::Overlap));
        // The last sector that an address reaches.
        let end = at(u32::MAX - 0x4fff, 0x5000);
        assert_eq!(Layout::on_one(state, primary, end), Err(LayoutError::Alignment));
        assert!(Layout::on_one(state, primary, at(u32::MAX - 0x5fff, 0x5000)).is_ok());
    }

    #[test]
    fn slots_that_code_runs_from_are_equals() {
        let (state, slots) = (place(0x8000, 4096), [place(0x4000, 4096), place(0x8000, 4096)]);
        let layout = Layout::direct(state, slots, [0x0800_0000, 0x0800_4000]).expect("a layout");
        assert_eq!((layout.is_direct(), layout.room(), layout.staged_at()), (true, 0x4000, 0));
        let of = |role, flipped| layout.slot(role, flipped, Some(7));
        let first = of(Region::Primary, false);
        assert_eq!((first.region, first.address, first.room), (Region::Primary, Some(0x0800_0000), 0x4000));
        assert_eq!(first, of(Region::Secondary, true));
        let second = of(Region::Secondary, false);
        assert_eq!(
            (second.region, second.address, second.room),
            (Region::Secondary, Some(0x0800_4000), 0x8000)
        );
        for addresses in
            [[0x0800_0000; 2], [0x0800_0000, 0x0800_3fff], [0x0800_7fff, 0x0800_0000], [0, 0xffff_8001]]
        {
            assert_eq!(
                Layout::direct(state, slots, addresses),
                Err(LayoutError::Addresses),
                "{addresses:x?}"
            );
        }
        assert!(Layout::direct(state, slots, [0, 0xffff_8000]).is_ok());
        let mixed = [place(0x3000, 4096), place(0x8000, 0x2000)];
        assert_eq!(Layout::direct(state, mixed, [0, 0x10_0000]), Err(LayoutError::DirectSlots));
        let none = [place(0, 4096), place(0x8000, 4096)];
        assert_eq!(Layout::direct(state, none, [0, 0x10_0000]), Err(LayoutError::DirectSlots));
        let at = |offset, length| Place { offset, ..place(length, 4096) };
        let addresses = [0x8000, 0xc000];
        assert!(Layout::direct_on_one(state, [at(0x8000, 0x4000), at(0xc000, 0x4000)], addresses).is_ok());
        let over = Layout::direct_on_one(state, [at(0x8000, 0x4000), at(0xb000, 0x4000)], addresses);
        assert_eq!(over, Err(LayoutError::Overlap));
    }

    #[test]
    fn where_images_are_moved_roles_are_places() {
        let layout =
            Layout::new(place(0x8000, 4096), place(0x4000, 4096), place(0x5000, 4096)).expect("a layout");
        let slot = layout.slot(Region::Secondary, false, Some(7));
        assert_eq!((layout.addresses(), slot.address, slot.room), (None, Some(7), 0x4000));
        assert_eq!((layout.staged_at(), layout.room()), (4096, 0x4000));
    }

    #[test]
    fn slots_of_different_geometry_share_the_larger_block() {
        let layout = Layout::new(place(0x10000, 512), place(0x4000, 2048), place(0x5000, 4096));
        assert_eq!(layout.map(|l| l.block()), Ok(4096));
    }
}
