//! Firmware images as linkers and tools make them: ELF, Intel HEX, raw binary.

use crate::boards::Machine;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::kind::Kind;
use object::elf::PT_LOAD;
use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Architecture, Endianness, Object};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The most that all gaps of an image may come to, in bytes: more is a linker script that went wrong.
const LARGEST_GAP: u64 = 16 * 1024 * 1024;

/// An image and where it is linked to lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The address of its first byte, if the file says so.
    pub address: Option<u32>,
    /// Its bytes; gaps are 0xff, as erased flash.
    pub bytes: Vec<u8>,
    /// What kind of file it came from.
    pub format: &'static str,
    /// What it runs on, if the file says so.
    pub machine: Option<Machine>,
    /// Where it is entered, if the file says so.
    pub entry: Option<u32>,
}

/// A file, and where it lies if it doesn't say so itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The address, for raw binaries.
    pub address: Option<u32>,
}

/// Reads `FILE` or `FILE@0xADDRESS`.
///
/// # Errors
/// What is wrong with the address.
pub fn source(path: PathBuf) -> std::result::Result<Source, String> {
    let Some((file, digits)) = path.to_str().and_then(|text| text.rsplit_once("@0x")) else {
        return Ok(Source { path, address: None });
    };
    let address = u32::from_str_radix(&digits.replace('_', ""), 16);
    let address = address.map_err(|_| format!("`0x{digits}` isn't an address of 32 bits"))?;
    Ok(Source { path: file.into(), address: Some(address) })
}

/// Reads an image; what `source` says has to agree with what the file says.
///
/// # Errors
/// `image`, and those of the file.
pub fn load(source: &Source) -> Result<Loaded> {
    load_from(source, files::read(&source.path)?)
}

/// The same of a file whose bytes were read already.
///
/// # Errors
/// `image`.
pub fn load_from(source: &Source, bytes: Vec<u8>) -> Result<Loaded> {
    let mut loaded = parse(&source.path, bytes)?;
    match (source.address, loaded.address) {
        (Some(said), Some(found)) if said != found => {
            let what = format!("is linked for {found:#010x}, and the command line says {said:#010x}");
            return Err(wrong(&source.path, what, "leave the address out: the file knows it"));
        }
        (said, found) => loaded.address = found.or(said),
    }
    Ok(loaded)
}

fn wrong(path: &Path, what: impl Into<String>, next: &str) -> Error {
    Error::new(Code::Image, what, next).at(path.display())
}

/// Reads an image; the format is recognised by content.
///
/// # Errors
/// `image`, and those of the file.
pub fn read(path: &Path) -> Result<Loaded> {
    parse(path, files::read(path)?)
}

/// As [`read`], with the contents of the file.
///
/// # Errors
/// `image`, with the file's name.
pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Loaded> {
    if bytes.is_empty() {
        return Err(wrong(path, "is empty", "build the firmware first"));
    }
    if bytes.starts_with(b"\x7fELF") {
        return elf(path, &bytes);
    }
    let named_hex =
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("hex") || e.eq_ignore_ascii_case("ihex"));
    if named_hex || looks_like_hex(&bytes) {
        return hex(path, &bytes);
    }
    // Anything can be a raw binary; what is plainly something else would be signed, sent, and never run.
    let next = "give what the linker made: ELF, Intel HEX or raw binary";
    if let Some(kind) = Kind::of(&bytes) {
        return Err(wrong(path, format!("is {}, not a firmware image", kind.name()), next));
    }
    if bytes.iter().all(|byte| *byte == 0xff) {
        return Err(wrong(path, "is erased flash: every byte is 0xff", next));
    }
    Ok(Loaded { address: None, bytes, format: "raw binary", machine: None, entry: None })
}

fn elf(path: &Path, bytes: &[u8]) -> Result<Loaded> {
    if bytes.get(4) != Some(&1) {
        return Err(wrong(
            path,
            "is a 64-bit ELF file",
            "give the firmware for the device, not a host program",
        ));
    }
    let file: ElfFile32<'_, Endianness> = ElfFile32::parse(bytes)
        .map_err(|e| wrong(path, format!("isn't a sound ELF file: {e}"), "build it again"))?;
    if !matches!(file.architecture(), Architecture::Arm | Architecture::Riscv32) {
        let what = format!("is an ELF file for {:?}", file.architecture());
        return Err(wrong(path, what, "give the firmware for the device (Arm or RISC-V, 32 bits)"));
    }
    let endian = file.endian();
    let mut parts: BTreeMap<u64, Cow<'_, [u8]>> = BTreeMap::new();
    for segment in file.elf_program_headers() {
        if segment.p_type(endian) != PT_LOAD || segment.p_filesz(endian) == 0 {
            continue;
        }
        let data = segment.data(endian, bytes).map_err(|()| wrong(path, "is cut short", "build it again"))?;
        let at = u64::from(segment.p_paddr(endian));
        if parts.insert(at, data.into()).is_some() {
            return Err(wrong(path, format!("loads two segments at {at:#x}"), "check the linker script"));
        }
    }
    let (address, bytes) = join(path, &parts)?;
    let machine = match file.architecture() {
        Architecture::Arm => Machine::CortexM,
        _ => Machine::RiscV,
    };
    let entry = u32::try_from(file.entry()).ok();
    Ok(Loaded { address: Some(address), bytes, format: "ELF", machine: Some(machine), entry })
}

/// Joins parts by load address. Parts of a file may overlap there, and its addresses may be anything: nothing is
/// copied before the whole is known to be sound, and not much longer than what it is made from.
fn join(path: &Path, parts: &BTreeMap<u64, Cow<'_, [u8]>>) -> Result<(u32, Vec<u8>)> {
    let empty =
        || wrong(path, "holds nothing to load", "check that this is the firmware, not an object file");
    let first = *parts.keys().next().ok_or_else(empty)?;
    let (mut end, mut gaps) = (first, 0);
    for (&at, data) in parts {
        if at < end {
            return Err(wrong(path, format!("loads twice into {at:#x}"), "check the linker script"));
        }
        gaps += at - end;
        if gaps > LARGEST_GAP {
            let what = format!("leaves {} MiB empty up to {at:#x}", gaps >> 20);
            return Err(wrong(
                path,
                what,
                "check load addresses (LMA) in the linker script: data belongs into flash",
            ));
        }
        end = at + data.len() as u64;
    }
    let address = u32::try_from(first).ok().filter(|_| end <= 1 << 32);
    let address = address.ok_or_else(|| wrong(path, "loads above 4 GiB", "check the linker script"))?;
    if end - first > files::LARGEST {
        let what = format!("loads {} MiB", (end - first) >> 20);
        return Err(wrong(path, what, "check that this is the right file"));
    }
    let mut image: Vec<u8> = Vec::new();
    for (at, data) in parts {
        image.resize(usize::try_from(at - first).unwrap_or(image.len()), 0xff);
        image.extend(&data[..]);
    }
    Ok((address, image))
}

fn looks_like_hex(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b':')
        && bytes.iter().take(64).all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'\r' | b'\n'))
}

fn hex(path: &Path, bytes: &[u8]) -> Result<Loaded> {
    let bad = |line: usize, what: &str| wrong(path, format!("line {line} {what}"), "make the file again");
    let text =
        std::str::from_utf8(bytes).map_err(|_| wrong(path, "isn't Intel HEX", "make the file again"))?;
    let mut parts: BTreeMap<u64, Cow<'_, [u8]>> = BTreeMap::new();
    let (mut base, mut ended) = (0u64, false);
    for (number, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line.trim())) {
        if line.is_empty() {
            continue;
        }
        if ended {
            return Err(bad(number, "follows the end record"));
        }
        let record = record(line).ok_or_else(|| bad(number, "isn't an Intel HEX record"))?;
        if record.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) != 0 {
            return Err(bad(number, "has a wrong checksum"));
        }
        let (length, data) = (usize::from(record[0]), &record[4..record.len() - 1]);
        if data.len() != length {
            return Err(bad(number, "has a wrong length"));
        }
        let word = |data: &[u8]| data.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        match record[3] {
            0 => {
                let at = base + word(&record[1..3]);
                // Records usually follow one another; a part that continues the last one is joined to it.
                match parts.last_entry() {
                    Some(mut last) if *last.key() + last.get().len() as u64 == at => {
                        last.get_mut().to_mut().extend(data)
                    }
                    _ => {
                        if parts.insert(at, data.to_vec().into()).is_some() {
                            return Err(bad(number, "writes an address a second time"));
                        }
                    }
                }
            }
            1 => ended = true,
            2 if length == 2 => base = word(data) << 4,
            4 if length == 2 => base = word(data) << 16,
            3 | 5 if length == 4 => {}
            _ => return Err(bad(number, "is a record of unknown type")),
        }
    }
    if !ended {
        return Err(wrong(path, "has no end record: it is cut short", "make the file again"));
    }
    let (address, bytes) = join(path, &parts)?;
    Ok(Loaded { address: Some(address), bytes, format: "Intel HEX", machine: None, entry: None })
}

fn record(line: &str) -> Option<Vec<u8>> {
    let digits = line.strip_prefix(':')?.as_bytes();
    if digits.len() < 10 || !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Intel HEX of some stretches of memory, by address; every byte is written out, erased ones too.
pub fn to_hex(parts: &[(u32, &[u8])]) -> String {
    let mut text = String::new();
    let mut upper = 0u32;
    for (start, bytes) in parts {
        // Lines end at multiples of 16, so none crosses a border of 64 KiB.
        let (mut at, mut rest) = (*start, *bytes);
        while !rest.is_empty() {
            let room = 16 - (at % 16) as usize;
            let (line, after) = rest.split_at(rest.len().min(room));
            let [high, low, offset @ ..] = at.to_be_bytes();
            if at >> 16 != upper {
                upper = at >> 16;
                hex_record(&mut text, 4, [0, 0], &[high, low]);
            }
            hex_record(&mut text, 0, offset, line);
            at = at.wrapping_add(line.len() as u32);
            rest = after;
        }
    }
    hex_record(&mut text, 1, [0, 0], &[]);
    text
}

fn hex_record(text: &mut String, kind: u8, address: [u8; 2], data: &[u8]) {
    let length = u8::try_from(data.len()).unwrap_or(u8::MAX);
    let head = [length, address[0], address[1], kind];
    let sum = head.iter().chain(data).fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    text.push(':');
    for byte in head.iter().chain(data).chain(&[sum.wrapping_neg()]) {
        let _ = write!(text, "{byte:02X}");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex_of(text: &str) -> Result<Loaded> {
        hex(Path::new("x.hex"), text.as_bytes())
    }

    #[test]
    fn intel_hex_that_is_written_reads_back() {
        let bytes: Vec<u8> = (0..70_000u32).map(|i| (i % 251) as u8).collect();
        let text = to_hex(&[(0x0801_fff3, &bytes)]);
        let image = hex_of(&text).unwrap();
        assert_eq!((image.address, &image.bytes), (Some(0x0801_fff3), &bytes));
        // An erased byte reads otherwise on some flash (CH32: 0x39, 0xe3): what has to be 0xff is written.
        let text = to_hex(&[(0, &[1; 16]), (0x100, &[0xff; 64]), (0x200, &[2; 4])]);
        assert_eq!(text.lines().count(), 7);
        assert_eq!(hex_of(&text).unwrap().bytes.len(), 0x204);
    }

    /// An ELF file of these segments: load address, file offset, bytes in the file.
    fn elf_of(segments: &[(u32, u32, u32)], length: usize) -> Vec<u8> {
        let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for half in [2u16, 40] {
            file.extend(half.to_le_bytes());
        }
        for word in [1u32, 0, 52, 0, 0] {
            file.extend(word.to_le_bytes());
        }
        for half in [52, 32, segments.len() as u16, 0, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        for (at, offset, size) in segments {
            for word in [PT_LOAD, *offset, *at, *at, *size, *size, 5, 4] {
                file.extend(word.to_le_bytes());
            }
        }
        file.resize(file.len().max(length), 0xa5);
        file
    }

    /// Small files that ask for much memory, and addresses at the end of the address space.
    #[test]
    fn segments_are_weighed_before_they_are_copied() {
        let load = |segments: &[(u32, u32, u32)], length| elf(Path::new("x.elf"), &elf_of(segments, length));
        assert_eq!(load(&[(0x100, 84, 16)], 200).unwrap().bytes, [0xa5; 16]);
        assert_eq!(load(&[(0xffff_fff0, 84, 16)], 200).unwrap().address, Some(0xffff_fff0));
        // The same megabyte of the file sixty thousand times, side by side in memory: 4 GiB less 256 MiB.
        let bomb: Vec<_> = (0..3840).map(|i| (i << 20, 0, 1 << 20)).collect();
        // Each gap is allowed, all of them aren't.
        let gaps: Vec<_> = (0..200).map(|i| (i << 24, 0, 1)).collect();
        for (segments, what) in [
            (&[][..], "holds nothing to load"),
            (&[(0x100, 84, 0)], "holds nothing to load"),
            (&[(0xffff_fff0, 116, 17)], "loads above 4 GiB"),
            (&[(0x100, 116, 17), (0x110, 116, 1)], "loads twice into 0x110"),
            (&[(0x100, 116, 17), (0x100, 116, 1)], "loads two segments at 0x100"),
            (&[(0x100, 116, u32::MAX)], "is cut short"),
            (&[(0x100, u32::MAX, 2)], "is cut short"),
            (&bomb, "loads 3840 MiB"),
            (&gaps, "leaves 31 MiB empty up to 0x2000000"),
        ] {
            assert_eq!(load(segments, 2 << 20).unwrap_err().what, what);
        }
    }

    #[test]
    fn intel_hex_is_read_strictly() {
        let good = ":020000040800F2\n:0400000001020304F2\n:02000600AABB93\n:00000001FF\n";
        let image = hex_of(good).unwrap();
        assert_eq!(image.address, Some(0x0800_0000));
        assert_eq!(image.bytes, [1, 2, 3, 4, 0xff, 0xff, 0xaa, 0xbb]);
        for (bad, what) in [
            (":0400000001020304F3\n:00000001FF\n", "line 1 has a wrong checksum"),
            (":0400000001020304F2\n", "has no end record: it is cut short"),
            (":00000001FF\n:0400000001020304F2\n", "line 2 follows the end record"),
            (":0400000001020304F2\n:0400000001020304F2\n:00000001FF\n", "loads twice into 0x0"),
            ("hello\n", "line 1 isn't an Intel HEX record"),
            (":00000001FF\n", "holds nothing to load"),
            (":02000004FFFFFC\n:02FFFF000102FD\n:00000001FF\n", "loads above 4 GiB"),
            (
                ":0100000001FE\n:020000040200F8\n:0100000001FE\n:00000001FF\n",
                "leaves 31 MiB empty up to 0x2000000",
            ),
        ] {
            let error = hex_of(bad).unwrap_err();
            if what.starts_with("loads twice") {
                assert_eq!(error.code, Code::Image);
            } else {
                assert_eq!(error.what, what);
            }
        }
    }
}
