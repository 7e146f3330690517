//! Bounded, ordered lists that are read in place.
//!
//! A [`List`] is either a slice of values (what a builder has) or bytes that were checked when they were read
//! (what a device has). Iterating decodes one element at a time, so that a device never holds a whole
//! manifest in decoded form.

use crate::codec::{Reader, Writer};
use crate::error::FormatError;

/// Something that can stand in a [`List`].
pub trait Element<'a>: Copy {
    /// Reads one element.
    ///
    /// # Errors
    /// Whatever makes the element malformed.
    fn read(reader: &mut Reader<'a>) -> Result<Self, FormatError>;
    /// Writes one element.
    ///
    /// # Errors
    /// `BufferFull`, or what makes the element malformed.
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError>;
    /// True if `self` may stand right after `previous`: lists are strictly increasing, so that a set has one
    /// spelling and nothing occurs twice.
    fn follows(&self, previous: &Self) -> bool;
}

/// How many elements a list may have.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// At least so many.
    pub min: usize,
    /// At most so many.
    pub max: usize,
}

/// A strictly increasing list of at most 255 elements.
#[derive(Debug, Clone, Copy)]
pub struct List<'a, T> {
    form: Form<'a, T>,
}

#[derive(Debug, Clone, Copy)]
enum Form<'a, T> {
    Values(&'a [T]),
    /// Checked once by [`List::read`].
    Bytes {
        bytes: &'a [u8],
        count: usize,
    },
}

impl<'a, T: Element<'a>> List<'a, T> {
    /// A list of values. There is no other way to make one but reading it, so none repeats: whoever counts the
    /// keys of a [`List`] counts each once. Its length is checked when it is read or written.
    ///
    /// # Errors
    /// `NotIncreasing`.
    pub fn of(values: &'a [T]) -> Result<Self, FormatError> {
        let ordered = values.windows(2).all(|pair| matches!(pair, [before, after] if after.follows(before)));
        if ordered { Ok(Self { form: Form::Values(values) }) } else { Err(FormatError::NotIncreasing) }
    }

    /// Reads a list and checks every element, their order and their number.
    ///
    /// # Errors
    /// `OverLimit`, `EmptyList`, `NotIncreasing`, and those of the elements.
    pub fn read(reader: &mut Reader<'a>, bounds: Bounds) -> Result<Self, FormatError> {
        let count = reader.len(bounds.max)?;
        if count < bounds.min {
            return Err(FormatError::EmptyList);
        }
        let start = reader.rest();
        let mut previous: Option<T> = None;
        for _ in 0..count {
            let element = T::read(reader)?;
            if previous.is_some_and(|p| !element.follows(&p)) {
                return Err(FormatError::NotIncreasing);
            }
            previous = Some(element);
        }
        let length = start.len().saturating_sub(reader.rest().len());
        let bytes = start.get(..length).ok_or(FormatError::UnexpectedEnd)?;
        Ok(Self { form: Form::Bytes { bytes, count } })
    }

    /// Writes the list.
    ///
    /// # Errors
    /// `OverLimit`, `EmptyList`, `BufferFull`, and those of the elements.
    pub fn write(&self, writer: &mut Writer<'_>, bounds: Bounds) -> Result<(), FormatError> {
        if self.len() < bounds.min {
            return Err(FormatError::EmptyList);
        }
        writer.len(self.len(), bounds.max)?;
        self.iter().try_for_each(|element| element.write(writer))
    }

    /// Number of elements.
    pub const fn len(&self) -> usize {
        match self.form {
            Form::Values(values) => values.len(),
            Form::Bytes { count, .. } => count,
        }
    }

    /// True if there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements in order.
    pub fn iter(&self) -> Iter<'a, T> {
        Iter { form: self.form }
    }

    /// The element at `index`.
    pub fn at(&self, index: usize) -> Option<T> {
        self.iter().nth(index)
    }
}

/// Iterates over a [`List`].
#[derive(Debug, Clone)]
pub struct Iter<'a, T> {
    form: Form<'a, T>,
}

impl<'a, T: Element<'a>> Iterator for Iter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.form {
            Form::Values(values) => {
                let (element, rest) = values.split_first()?;
                *values = rest;
                Some(*element)
            }
            Form::Bytes { bytes, count } => {
                *count = count.checked_sub(1)?;
                let mut reader = Reader::new(bytes);
                // The bytes were checked when the list was read; an error can't occur, and would end it.
                let element = T::read(&mut reader).ok()?;
                *bytes = reader.rest();
                Some(element)
            }
        }
    }
}

impl<'a> Element<'a> for u32 {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        reader.u32()
    }
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        writer.u64(u64::from(*self))
    }
    fn follows(&self, previous: &Self) -> bool {
        self > previous
    }
}

impl<'a> Element<'a> for u16 {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        reader.u16()
    }
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        writer.u64(u64::from(*self))
    }
    fn follows(&self, previous: &Self) -> bool {
        self > previous
    }
}
