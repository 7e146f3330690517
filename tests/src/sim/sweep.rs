//! Geometries of simulated flash.

use patchlane_device::{Layout, Place};

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

/// The layout of three regions, each on a chip of its own: state, primary, secondary.
pub fn layout(geometry: [Geometry; 3]) -> Layout {
    let [state, primary, secondary] = geometry.map(|g| Place {
        offset: 0,
        length: g.length as u32,
        read: 1,
        write: g.write as u32,
        erase: g.erase as u32,
    });
    Layout::new(state, primary, secondary).expect("a layout")
}

/// A geometry by name: state, primary, secondary.
pub type Named = (&'static str, [Geometry; 3]);

/// The same word and sector for all three regions, with slots of `blocks` sectors.
pub const fn uniform(write: usize, erase: usize, state: usize, blocks: usize) -> [Geometry; 3] {
    [
        Geometry { write, erase, length: state * erase },
        Geometry { write, erase, length: blocks * erase },
        Geometry { write, erase, length: (blocks + 1) * erase },
    ]
}

/// Geometries for sweeps: small words and sectors, large words and sectors, one-sector slots, mixed chips.
pub const GEOMETRIES: &[Named] = &[
    ("1/512", uniform(1, 512, 3 * 8 + 5 * 6, 8)),
    ("4/4K", uniform(4, 4096, 8, 3)),
    ("8/2K", uniform(8, 2048, 3 * 2 + 5 * 2, 4)),
    ("32/16K one block", uniform(32, 16384, 8, 1)),
    (
        "internal 8/2K, external 1/4K",
        [
            Geometry { write: 8, erase: 2048, length: 16 * 2048 },
            Geometry { write: 8, erase: 2048, length: 4 * 2048 },
            Geometry { write: 1, erase: 4096, length: 3 * 4096 },
        ],
    ),
];
