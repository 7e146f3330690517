//! The two axes of a version, and the only way to compare them.
//!
//! The feature axis is a [`Baseline`], totally ordered. The security axis is a set of handled advisories,
//! written as a level and the few indices below it that are still open; it is ordered by **inclusion**, so
//! two versions can be incomparable and "newer" is never a comparison of two numbers.

use crate::codec::{Reader, Writer};
use crate::error::FormatError;
use crate::limits;
use core::cmp::Ordering;
use core::fmt;

/// A frozen feature set: a line, and a step of ordinary bug fixes inside it. Ordered lexicographically.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Baseline {
    /// Opened by a new feature set.
    pub line: u16,
    /// Moved by an ordinary bug fix.
    pub step: u16,
}

impl Baseline {
    /// Reads line, then step.
    ///
    /// # Errors
    /// As [`Reader::u16`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self { line: reader.u16()?, step: reader.u16()? })
    }

    /// Writes line, then step.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        writer.u64(u64::from(self.line))?;
        writer.u64(u64::from(self.step))
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.line, self.step)
    }
}

/// Advisories below a level that an image doesn't handle: strictly increasing, at most 16.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Open {
    indices: [u32; limits::OPEN],
    count: usize,
}

impl Open {
    /// Nothing is open.
    pub const NONE: Self = Self { indices: [0; limits::OPEN], count: 0 };

    /// A set from strictly increasing indices.
    ///
    /// # Errors
    /// `OverLimit`, `NotIncreasing`.
    pub fn new(indices: &[u32]) -> Result<Self, FormatError> {
        let mut open = Self::NONE;
        for &index in indices {
            open.push(index)?;
        }
        Ok(open)
    }

    fn push(&mut self, index: u32) -> Result<(), FormatError> {
        if self.iter().last().is_some_and(|last| index <= last) {
            return Err(FormatError::NotIncreasing);
        }
        *self.indices.get_mut(self.count).ok_or(FormatError::OverLimit)? = index;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// The indices in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.indices.iter().take(self.count).copied()
    }

    /// True if `index` is open.
    pub fn contains(&self, index: u32) -> bool {
        self.iter().any(|open| open == index)
    }

    /// True if nothing is open.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The security axis: every advisory up to `level` is handled, except the open ones.
///
/// `a >= b` means that `a` handles every advisory that `b` handles. The order is partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Security {
    level: u32,
    open: Open,
}

impl Security {
    /// A level with open advisories below it.
    ///
    /// # Errors
    /// `OpenNotBelowLevel`: the level itself is always handled, and indices count from one.
    pub fn new(level: u32, open: Open) -> Result<Self, FormatError> {
        if open.iter().any(|index| index == 0 || index >= level) {
            return Err(FormatError::OpenNotBelowLevel);
        }
        Ok(Self { level, open })
    }

    /// A level with nothing open.
    pub const fn level_only(level: u32) -> Self {
        Self { level, open: Open::NONE }
    }

    /// The highest index handled; 0 before the first advisory.
    pub const fn level(&self) -> u32 {
        self.level
    }

    /// The indices below the level that are not handled.
    pub const fn open(&self) -> &Open {
        &self.open
    }

    /// True if advisory `index` is handled.
    pub fn handles(&self, index: u32) -> bool {
        index != 0 && index <= self.level && !self.open.contains(index)
    }

    /// True if nothing that `other` handles is lost: set inclusion.
    pub fn loses_nothing_of(&self, other: &Self) -> bool {
        self.level >= other.level && self.open.iter().all(|index| !other.handles(index))
    }

    /// True if everything `other` handles is handled, and something besides.
    pub fn handles_strictly_more_than(&self, other: &Self) -> bool {
        self.loses_nothing_of(other) && self != other
    }

    /// Reads level, then open indices.
    ///
    /// # Errors
    /// `OverLimit`, `NotIncreasing`, `OpenNotBelowLevel` and those of the numbers.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let level = reader.u32()?;
        let mut open = Open::NONE;
        for _ in 0..reader.len(limits::OPEN)? {
            open.push(reader.u32()?)?;
        }
        Self::new(level, open)
    }

    /// Writes level, then open indices.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        writer.u64(u64::from(self.level))?;
        writer.len(self.open.count, limits::OPEN)?;
        self.open.iter().try_for_each(|index| writer.u64(u64::from(index)))
    }
}

impl PartialOrd for Security {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.loses_nothing_of(other), other.loses_nothing_of(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

/// A release's place on both axes, shown as `4.12 s8`. It has no order of its own: compare the axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// The feature axis.
    pub feature: Baseline,
    /// The security axis.
    pub security: Security,
}

impl Version {
    /// A version with nothing open.
    pub const fn new(line: u16, step: u16, level: u32) -> Self {
        Self { feature: Baseline { line, step }, security: Security::level_only(level) }
    }

    /// Reads both axes.
    ///
    /// # Errors
    /// Those of the axes.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self { feature: Baseline::read(reader)?, security: Security::read(reader)? })
    }

    /// Writes both axes.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        self.feature.write(writer)?;
        self.security.write(writer)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s{}", self.feature, self.security.level)?;
        if self.security.open.is_empty() {
            return Ok(());
        }
        f.write_str(" open ")?;
        for (position, index) in self.security.open.iter().enumerate() {
            write!(f, "{}{index}", if position == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    fn all_small() -> Vec<Security> {
        let mut all = Vec::new();
        for level in 0..=5u32 {
            for mask in 0..1u32 << level.saturating_sub(1) {
                let open: Vec<u32> = (1..level).filter(|i| mask >> (i - 1) & 1 == 1).collect();
                all.push(Security::new(level, Open::new(&open).unwrap()).unwrap());
            }
        }
        all
    }

    fn handled(s: &Security) -> BTreeSet<u32> {
        (1..=6).filter(|i| s.handles(*i)).collect()
    }

    #[test]
    fn the_order_is_inclusion_of_handled_advisories() {
        let all = all_small();
        for a in &all {
            for b in &all {
                assert_eq!(a.loses_nothing_of(b), handled(a).is_superset(&handled(b)), "{a:?} {b:?}");
                let more = handled(a).is_superset(&handled(b)) && handled(a) != handled(b);
                assert_eq!(a.handles_strictly_more_than(b), more, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn an_open_index_is_below_the_level_and_not_zero() {
        for bad in [&[0][..], &[5], &[6]] {
            assert_eq!(Security::new(5, Open::new(bad).unwrap()), Err(FormatError::OpenNotBelowLevel));
        }
        assert_eq!(Open::new(&[3, 3]), Err(FormatError::NotIncreasing));
        let seventeen: Vec<u32> = (1..=17).collect();
        assert_eq!(Open::new(&seventeen), Err(FormatError::OverLimit));
    }
}
