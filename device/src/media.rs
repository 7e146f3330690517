//! Flash as the engine sees it: three regions, and drivers over the `embedded-storage` traits.
//!
//! [`Single`] puts all regions on one chip, [`Split`] each on its own. Offsets inside a region count from its
//! beginning; only here do they become addresses.

use crate::layout::Layout;
use embedded_storage::nor_flash::NorFlash;
use embedded_storage_async::nor_flash::NorFlash as AsyncNorFlash;

/// Which part of flash.
///
/// In an [`crate::Op`] and for a driver it is a place. The engine speaks of what a slot is for; in a direct layout, whose
/// slots change roles, one becomes the other where operations leave the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Region {
    /// Log and receipts.
    State,
    /// What runs; as a place of a direct layout, the first slot.
    Primary,
    /// What was received, or ran before; as a place of a direct layout, the second slot.
    Secondary,
}

impl Region {
    /// The place that plays this role, and the role that this place plays.
    pub(crate) const fn exchanged(self, flipped: bool) -> Self {
        match (self, flipped) {
            (Self::Primary, true) => Self::Secondary,
            (Self::Secondary, true) => Self::Primary,
            (region, _) => region,
        }
    }
}

/// A flash operation failed. Which one the driver knows; the engine only stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaError;

/// Three regions behind blocking drivers.
pub trait Media {
    /// Reads `into.len()` bytes from `at` in `region`.
    ///
    /// # Errors
    /// [`MediaError`] if the flash says so.
    fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError>;
    /// Erases `length` bytes from `at`.
    ///
    /// # Errors
    /// [`MediaError`] if the flash says so.
    fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError>;
    /// Writes `from` at `at`.
    ///
    /// # Errors
    /// [`MediaError`] if the flash says so.
    fn write(&mut self, region: Region, at: u32, from: &[u8]) -> Result<(), MediaError>;
}

/// Three regions behind asynchronous drivers.
#[allow(
    async_fn_in_trait,
    reason = "a device has one executor; whether its futures are Send is its own affair"
)]
pub trait AsyncMedia {
    /// As [`Media::read`].
    ///
    /// # Errors
    /// [`MediaError`] if the flash says so.
    async fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError>;
    /// As [`Media::erase`].
    ///
    /// # Errors
    /// [`MediaError`] if the flash says so.
    async fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError>;
    /// As [`Media::write`].
    ///
    /// # Errors
    /// [`MediaError`] if the flash says so.
    async fn write(&mut self, region: Region, at: u32, from: &[u8]) -> Result<(), MediaError>;
}

/// All regions on one flash.
#[derive(Debug)]
pub struct Single<F> {
    /// The driver.
    pub flash: F,
    layout: Layout,
}

impl<F> Single<F> {
    /// One flash with this layout.
    pub const fn new(flash: F, layout: Layout) -> Self {
        Self { flash, layout }
    }
}

/// Each region on a flash of its own.
#[derive(Debug)]
pub struct Split<S, P, Q> {
    /// The driver of the state region.
    pub state: S,
    /// The driver of the primary region.
    pub primary: P,
    /// The driver of the secondary region.
    pub secondary: Q,
    layout: Layout,
}

impl<S, P, Q> Split<S, P, Q> {
    /// Three flashes with this layout.
    pub const fn new(state: S, primary: P, secondary: Q, layout: Layout) -> Self {
        Self { state, primary, secondary, layout }
    }
}

/// The address range of an access, if it lies inside its region.
fn range(layout: &Layout, region: Region, at: u32, length: u32) -> Result<(u32, u32), MediaError> {
    let place = layout.place(region);
    let end = at.checked_add(length).filter(|end| *end <= place.length).ok_or(MediaError)?;
    let shift = |n: u32| place.offset.checked_add(n).ok_or(MediaError);
    Ok((shift(at)?, shift(end)?))
}

fn length_of(bytes: &[u8]) -> Result<u32, MediaError> {
    u32::try_from(bytes.len()).map_err(|_| MediaError)
}

impl<F: NorFlash> Media for Single<F> {
    fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        let (from, _) = range(&self.layout, region, at, length_of(into)?)?;
        self.flash.read(from, into).map_err(|_| MediaError)
    }
    fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        let (from, to) = range(&self.layout, region, at, length)?;
        self.flash.erase(from, to).map_err(|_| MediaError)
    }
    fn write(&mut self, region: Region, at: u32, bytes: &[u8]) -> Result<(), MediaError> {
        let (from, _) = range(&self.layout, region, at, length_of(bytes)?)?;
        self.flash.write(from, bytes).map_err(|_| MediaError)
    }
}

impl<F: AsyncNorFlash> AsyncMedia for Single<F> {
    async fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        let (from, _) = range(&self.layout, region, at, length_of(into)?)?;
        self.flash.read(from, into).await.map_err(|_| MediaError)
    }
    async fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        let (from, to) = range(&self.layout, region, at, length)?;
        self.flash.erase(from, to).await.map_err(|_| MediaError)
    }
    async fn write(&mut self, region: Region, at: u32, bytes: &[u8]) -> Result<(), MediaError> {
        let (from, _) = range(&self.layout, region, at, length_of(bytes)?)?;
        self.flash.write(from, bytes).await.map_err(|_| MediaError)
    }
}

impl<S: NorFlash, P: NorFlash, Q: NorFlash> Media for Split<S, P, Q> {
    fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        let (from, _) = range(&self.layout, region, at, length_of(into)?)?;
        match region {
            Region::State => self.state.read(from, into).map_err(|_| MediaError),
            Region::Primary => self.primary.read(from, into).map_err(|_| MediaError),
            Region::Secondary => self.secondary.read(from, into).map_err(|_| MediaError),
        }
    }
    fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        let (from, to) = range(&self.layout, region, at, length)?;
        match region {
            Region::State => self.state.erase(from, to).map_err(|_| MediaError),
            Region::Primary => self.primary.erase(from, to).map_err(|_| MediaError),
            Region::Secondary => self.secondary.erase(from, to).map_err(|_| MediaError),
        }
    }
    fn write(&mut self, region: Region, at: u32, bytes: &[u8]) -> Result<(), MediaError> {
        let (from, _) = range(&self.layout, region, at, length_of(bytes)?)?;
        match region {
            Region::State => self.state.write(from, bytes).map_err(|_| MediaError),
            Region::Primary => self.primary.write(from, bytes).map_err(|_| MediaError),
            Region::Secondary => self.secondary.write(from, bytes).map_err(|_| MediaError),
        }
    }
}

impl<S: AsyncNorFlash, P: AsyncNorFlash, Q: AsyncNorFlash> AsyncMedia for Split<S, P, Q> {
    async fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        let (from, _) = range(&self.layout, region, at, length_of(into)?)?;
        match region {
            Region::State => self.state.read(from, into).await.map_err(|_| MediaError),
            Region::Primary => self.primary.read(from, into).await.map_err(|_| MediaError),
            Region::Secondary => self.secondary.read(from, into).await.map_err(|_| MediaError),
        }
    }
    async fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        let (from, to) = range(&self.layout, region, at, length)?;
        match region {
            Region::State => self.state.erase(from, to).await.map_err(|_| MediaError),
            Region::Primary => self.primary.erase(from, to).await.map_err(|_| MediaError),
            Region::Secondary => self.secondary.erase(from, to).await.map_err(|_| MediaError),
        }
    }
    async fn write(&mut self, region: Region, at: u32, bytes: &[u8]) -> Result<(), MediaError> {
        let (from, _) = range(&self.layout, region, at, length_of(bytes)?)?;
        match region {
            Region::State => self.state.write(from, bytes).await.map_err(|_| MediaError),
            Region::Primary => self.primary.write(from, bytes).await.map_err(|_| MediaError),
            Region::Secondary => self.secondary.write(from, bytes).await.map_err(|_| MediaError),
        }
    }
}
