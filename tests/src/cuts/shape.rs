//! Geometries of flash.

use crate::sim::direct;
use crate::sim::sweep::{Geometry, layout, uniform};
use patchlane_device::Layout;

/// The flash of a device, and how large its images are.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Its name.
    pub name: &'static str,
    regions: [Geometry; 3],
    /// Bytes of the largest image that is tried.
    pub size: usize,
    /// How erased words read.
    pub erased: [u8; 4],
    /// True if so little happens that all pairs of cuts are tried.
    pub small: bool,
    /// True if code runs from both slots.
    pub direct: bool,
}

impl Shape {
    const fn new(name: &'static str, regions: [Geometry; 3], size: usize) -> Self {
        Self { name, regions, size, erased: [0xff; 4], small: false, direct: false }
    }

    /// A slot of one block.
    const fn one_block(name: &'static str, regions: [Geometry; 3], size: usize) -> Self {
        Self { small: true, ..Self::new(name, regions, size) }
    }

    /// The same, where code runs from both slots.
    const fn direct(self) -> Self {
        Self { direct: true, ..self }
    }

    /// Where things lie.
    pub fn layout(&self) -> Layout {
        if self.direct { direct::layout(self.regions) } else { layout(self.regions) }
    }
}

const fn region(write: usize, erase: usize, sectors: usize) -> Geometry {
    Geometry { write, erase, length: sectors * erase }
}

/// All that is tried. A layout has at least three log areas of 4 KiB and five cells of 2,592 bytes, each in sectors of its
/// own. So the smallest state region has 8 sectors of 4 KiB or more, 16 of 2 KiB, 27 of 1 KiB, 54 of 512 bytes; and
/// the largest that is used 5 areas more.
pub const SHAPES: &[Shape] = &[
    Shape::new("1w-512", uniform(1, 512, 3 * 8 + 5 * 6, 6), 6 * 512),
    Shape::new("2w-1K", uniform(2, 1024, 3 * 4 + 5 * 3, 3), 3 * 1024),
    Shape { erased: [0; 4], ..Shape::new("4w-1K-erased-to-0", uniform(4, 1024, 3 * 4 + 5 * 3, 2), 2048) },
    Shape::new("8w-2K", uniform(8, 2048, 3 * 2 + 5 * 2, 3), 3 * 2048 - 7),
    Shape::new("4w-4K", uniform(4, 4096, 8, 2), 2 * 4096 - 33),
    Shape::new("4w-4K-8-areas", uniform(4, 4096, 13, 2), 4096 + 700),
    Shape::one_block("8w-4K-one-block", uniform(8, 4096, 8, 1), 1900),
    Shape::one_block("32w-16K-one-block", uniform(32, 16 << 10, 8, 1), 2100),
    Shape::new("16w-8K-5-areas", uniform(16, 8 << 10, 10, 2), 8192 + 1000),
    Shape::new("4w-64K", uniform(4, 64 << 10, 8, 2), (64 << 10) + 900),
    Shape::one_block("32w-128K-one-block", uniform(32, 128 << 10, 8, 1), 2500),
    Shape::one_block("4w-256K-one-block", uniform(4, 256 << 10, 8, 1), 3000),
    // State and primary inside, secondary on a flash of its own.
    Shape::new(
        "8w-2K-and-1w-4K",
        [region(8, 2048, 16), region(8, 2048, 4), region(1, 4096, 3)],
        4 * 2048 - 100,
    ),
    // Three flashes; the slots' sectors differ 32-fold.
    Shape::new(
        "1w-512-and-8w-2K-and-4w-64K",
        [region(1, 512, 54), region(8, 2048, 32), region(4, 64 << 10, 2)],
        5000,
    ),
    // The state region on the part with the large sectors.
    Shape::new(
        "32w-128K-and-2w-1K-and-1w-4K",
        [region(32, 128 << 10, 8), region(2, 1024, 8), region(1, 4096, 3)],
        5000,
    ),
    // Code runs from both slots, which needn't be alike; nothing is moved.
    Shape::new("direct-4w-4K", [region(4, 4096, 8), region(4, 4096, 3), region(4, 4096, 3)], 2 * 4096 + 500)
        .direct(),
    Shape::new("direct-1w-512", [region(1, 512, 54), region(1, 512, 8), region(1, 512, 6)], 6 * 512).direct(),
    Shape::one_block(
        "direct-32w-16K-one-block",
        [region(32, 16 << 10, 8), region(32, 16 << 10, 1), region(32, 16 << 10, 1)],
        2100,
    )
    .direct(),
    Shape::new("direct-8w-2K-and-1w-4K", [region(8, 2048, 16), region(8, 2048, 4), region(1, 4096, 3)], 8000)
        .direct(),
];

/// The flash on which embassy-boot is tried (`tests/embassy`): three blocks, and images as large as the slot.
pub const BESIDE: Shape = Shape::new("beside", uniform(8, 4096, 8, 3), 3 * 4096);
