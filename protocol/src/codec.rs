//! Reading and writing primitives: the postcard 1.x wire format, its canonical subset only (SPEC §2).
//!
//! Written by hand because postcard's own reader accepts overlong varints and ignores trailing bytes, and so
//! that each defect has its own error. The tests compare every document with what postcard writes.

use crate::error::FormatError;

/// A cursor over untrusted bytes. Every method either consumes what it returns or fails.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts reading at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Ends reading.
    ///
    /// # Errors
    /// `TrailingBytes` if anything is left.
    pub const fn finish(self) -> Result<(), FormatError> {
        if self.rest.is_empty() { Ok(()) } else { Err(FormatError::TrailingBytes) }
    }

    /// Takes exactly `n` bytes.
    ///
    /// # Errors
    /// `UnexpectedEnd`.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], FormatError> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(FormatError::UnexpectedEnd)?;
        self.rest = tail;
        Ok(head)
    }

    /// Takes a fixed array.
    ///
    /// # Errors
    /// `UnexpectedEnd`.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(FormatError::UnexpectedEnd)?;
        self.rest = tail;
        Ok(*head)
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// `UnexpectedEnd`.
    #[inline(never)]
    pub fn u8(&mut self) -> Result<u8, FormatError> {
        let (head, tail) = self.rest.split_first().ok_or(FormatError::UnexpectedEnd)?;
        self.rest = tail;
        Ok(*head)
    }

    /// Takes a canonical LEB128 varint of at most 64 bits.
    ///
    /// # Errors
    /// `UnexpectedEnd`, `OverlongVarint`, `VarintOverflow`.
    pub fn u64(&mut self) -> Result<u64, FormatError> {
        let mut value = 0u64;
        let mut shift = 0u32;
        loop {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(FormatError::VarintOverflow);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(FormatError::OverlongVarint) } else { Ok(value) };
            }
            shift = shift.saturating_add(7);
        }
    }

    /// Takes a varint that fits 32 bits.
    ///
    /// # Errors
    /// As [`Reader::u64`].
    pub fn u32(&mut self) -> Result<u32, FormatError> {
        u32::try_from(self.u64()?).map_err(|_| FormatError::VarintOverflow)
    }

    /// Takes a varint that fits 16 bits.
    ///
    /// # Errors
    /// As [`Reader::u64`].
    pub fn u16(&mut self) -> Result<u16, FormatError> {
        u16::try_from(self.u64()?).map_err(|_| FormatError::VarintOverflow)
    }

    /// Takes a length of at most `max`.
    ///
    /// # Errors
    /// `OverLimit`, and as [`Reader::u64`].
    pub fn len(&mut self, max: usize) -> Result<usize, FormatError> {
        match usize::try_from(self.u64()?) {
            Ok(n) if n <= max => Ok(n),
            _ => Err(FormatError::OverLimit),
        }
    }

    /// Takes a length-prefixed byte string of at most `max` bytes.
    ///
    /// # Errors
    /// `OverLimit`, `UnexpectedEnd`.
    pub fn blob(&mut self, max: usize) -> Result<&'a [u8], FormatError> {
        let n = self.len(max)?;
        self.take(n)
    }

    /// Takes a length-prefixed text of at most `max` bytes: UTF-8 without control characters, so that it
    /// can't repaint an operator's terminal.
    ///
    /// # Errors
    /// `BadText`, `OverLimit`, `UnexpectedEnd`.
    pub fn text(&mut self, max: usize) -> Result<&'a str, FormatError> {
        let text = core::str::from_utf8(self.blob(max)?).map_err(|_| FormatError::BadText)?;
        if text.chars().any(is_unprintable) { Err(FormatError::BadText) } else { Ok(text) }
    }

    /// Takes a tag: one byte, 0 or 1.
    ///
    /// # Errors
    /// `UnknownTag`, `UnexpectedEnd`.
    pub fn flag(&mut self) -> Result<bool, FormatError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FormatError::UnknownTag),
        }
    }

    /// Takes an optional value: a flag, then the value if it is 1.
    ///
    /// # Errors
    /// Those of the flag and of `read`.
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, FormatError>,
    ) -> Result<Option<T>, FormatError> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }
}

/// C0, DEL and C1 controls, line and paragraph separators, and what is invisible or turns the reading
/// direction, so that a text can read as something else (SPEC §2.5 lists the same ranges).
const fn is_unprintable(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// A cursor over an output buffer.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    used: usize,
}

impl<'b> Writer<'b> {
    /// Starts writing at the first byte of `buffer`.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, used: 0 }
    }

    /// Bytes written so far.
    pub const fn written(&self) -> usize {
        self.used
    }

    /// Ends writing and yields what was written.
    pub fn finish(self) -> &'b [u8] {
        self.buffer.get(..self.used).unwrap_or(&[])
    }

    /// Puts bytes as they are.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        let end = self.used.checked_add(bytes.len()).ok_or(FormatError::BufferFull)?;
        self.buffer.get_mut(self.used..end).ok_or(FormatError::BufferFull)?.copy_from_slice(bytes);
        self.used = end;
        Ok(())
    }

    /// Puts one byte.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn u8(&mut self, value: u8) -> Result<(), FormatError> {
        self.put(&[value])
    }

    /// Puts the shortest varint.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn u64(&mut self, mut value: u64) -> Result<(), FormatError> {
        while value >= 0x80 {
            let [low, ..] = value.to_le_bytes();
            self.u8(low | 0x80)?;
            value >>= 7;
        }
        let [low, ..] = value.to_le_bytes();
        self.u8(low)
    }

    /// Puts a length.
    ///
    /// # Errors
    /// `OverLimit` above `max`, `BufferFull`.
    pub fn len(&mut self, n: usize, max: usize) -> Result<(), FormatError> {
        match u64::try_from(n) {
            Ok(n64) if n <= max => self.u64(n64),
            _ => Err(FormatError::OverLimit),
        }
    }

    /// Puts a length-prefixed byte string.
    ///
    /// # Errors
    /// `OverLimit`, `BufferFull`.
    pub fn blob(&mut self, bytes: &[u8], max: usize) -> Result<(), FormatError> {
        self.len(bytes.len(), max)?;
        self.put(bytes)
    }

    /// Puts a length-prefixed text.
    ///
    /// # Errors
    /// `BadText`, `OverLimit`, `BufferFull`.
    pub fn text(&mut self, text: &str, max: usize) -> Result<(), FormatError> {
        if text.chars().any(is_unprintable) {
            return Err(FormatError::BadText);
        }
        self.blob(text.as_bytes(), max)
    }

    /// Puts a flag.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn flag(&mut self, value: bool) -> Result<(), FormatError> {
        self.u8(u8::from(value))
    }

    /// Puts an optional value.
    ///
    /// # Errors
    /// `BufferFull` and those of `write`.
    pub fn option<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Self, T) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        self.flag(value.is_some())?;
        value.map_or(Ok(()), |inner| write(self, inner))
    }
}

/// Declares a field-less enum whose discriminants are its wire tags, with a reader that refuses every other.
macro_rules! tagged {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $tag:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every variant, in tag order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The tag on the wire.
            pub const fn tag(self) -> u8 {
                match self { $(Self::$variant => $tag),+ }
            }

            /// The variant with this tag.
            ///
            /// # Errors
            /// `UnknownTag`.
            pub const fn from_tag(tag: u8) -> Result<Self, $crate::error::FormatError> {
                match tag { $($tag => Ok(Self::$variant),)+ _ => Err($crate::error::FormatError::UnknownTag) }
            }

            /// Reads the tag.
            ///
            /// # Errors
            /// `UnknownTag`, `UnexpectedEnd`.
            pub fn read(reader: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::error::FormatError> {
                Self::from_tag(reader.u8()?)
            }

            /// Writes the tag.
            ///
            /// # Errors
            /// `BufferFull`.
            pub fn write(self, writer: &mut $crate::codec::Writer<'_>) -> Result<(), $crate::error::FormatError> {
                writer.u8(self.tag())
            }
        }
    };
}
pub(crate) use tagged;

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8]) -> Result<u64, FormatError> {
        let mut r = Reader::new(bytes);
        let n = r.u64()?;
        r.finish().map(|()| n)
    }

    #[test]
    fn varints_have_one_spelling() {
        assert_eq!(number(&[0]), Ok(0));
        assert_eq!(number(&[0x80, 0x80, 0]), Err(FormatError::OverlongVarint));
        assert_eq!(number(&[0x81, 0]), Err(FormatError::OverlongVarint));
        assert_eq!(number(&[0x80]), Err(FormatError::UnexpectedEnd));
        assert_eq!(number(&[1, 2]), Err(FormatError::TrailingBytes));
        let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(number(&max), Ok(u64::MAX));
        let over = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(number(&over), Err(FormatError::VarintOverflow));
        let endless = [0x80; 11];
        assert_eq!(number(&endless), Err(FormatError::VarintOverflow));
    }

    #[test]
    fn written_varints_read_back() {
        for value in (0..64).flat_map(|s| [1u64 << s, (1u64 << s) - 1, (1u64 << s) + 1]) {
            let mut buffer = [0; 10];
            let mut w = Writer::new(&mut buffer);
            w.u64(value).unwrap();
            assert_eq!(number(w.finish()), Ok(value));
        }
    }

    #[test]
    fn texts_cannot_steer_a_terminal() {
        for bad in [
            "\u{1b}[2J",
            "a\nb",
            "\u{202e}txt.exe",
            "\u{9b}31m",
            "\u{61c}1",
            "s\u{2060}8",
            "s\u{ad}8",
            "\u{fff9}x",
            "s8\u{e0041}",
        ] {
            let mut buffer = [0; 32];
            assert_eq!(Writer::new(&mut buffer).text(bad, 32), Err(FormatError::BadText));
            let mut raw = [0; 32];
            let mut w = Writer::new(&mut raw);
            w.blob(bad.as_bytes(), 32).unwrap();
            assert_eq!(Reader::new(w.finish()).text(32), Err(FormatError::BadText));
        }
    }
}
