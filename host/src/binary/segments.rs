//! What is loaded, against what sections say of it.
//!
//! An image is made of segments, a comparison of sections. Whoever makes both can have them disagree: a section that
//! shows other bytes than are loaded, bytes that are loaded and belong to no section.

use super::elf::{Firmware, Section, wrong};
use super::parts;
use crate::error::Result;

/// A stretch of the file that is loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) offset: u32,
    /// Where it is when the program runs.
    pub(super) address: u32,
    /// Where the image has it.
    pub(super) load: u32,
    pub(super) data: &'a [u8],
    pub(super) code: bool,
}

impl Segment<'_> {
    fn size(&self) -> u32 {
        u32::try_from(self.data.len()).unwrap_or(u32::MAX)
    }

    fn end(&self) -> u32 {
        self.address.saturating_add(self.size())
    }

    /// True if a section is a part of it: there the file and the device have the same bytes.
    fn holds(&self, section: &Section<'_>) -> bool {
        let within = |from: u32, size: u32, start: u32| {
            from >= start && u64::from(from) + u64::from(size) <= u64::from(start) + u64::from(self.size())
        };
        within(section.address, section.size, self.address)
            && within(section.offset, section.size, self.offset)
            && section.address - self.address == section.offset - self.offset
    }

    fn meets(&self, section: &Section<'_>) -> bool {
        section.address < self.end() && self.address < section.end()
    }
}

/// What bytes that belong to no section are called.
const NOWHERE: &str = "no section";

impl<'a> Firmware<'a> {
    /// Sees that sections are what is loaded, and takes what belongs to none of them as sections of their own. `heads`
    /// are the stretches of the file that describe it.
    pub(super) fn take_segments(&mut self, segments: &[Segment<'a>], heads: [(u32, u32); 2]) -> Result<()> {
        for section in &mut self.sections {
            let of = segments.iter().find(|segment| !section.data.is_empty() && segment.holds(section));
            section.load = of.map(|segment| segment.load.wrapping_add(section.address - segment.address));
            if of.is_none() && !section.data.is_empty() && segments.iter().any(|one| one.meets(section)) {
                let what = format!("has a section `{}` that isn't what is loaded there", section.name);
                return Err(wrong(what, "build it again: give the linker's own output"));
            }
        }
        let mut more = Vec::new();
        for segment in segments {
            let mut taken: Vec<(u32, u32)> = self
                .sections
                .iter()
                .filter(|section| !section.data.is_empty() && segment.holds(section))
                .map(|section| (section.address - segment.address, section.end() - segment.address))
                .collect();
            let inside = |(from, end): (u32, u32)| {
                let of = |at: u32| at.saturating_sub(segment.offset).min(segment.size());
                (of(from), of(end))
            };
            taken.extend(heads.map(inside));
            taken.push((segment.size(), segment.size()));
            taken.sort_unstable();
            let mut cursor = 0;
            for (from, end) in taken {
                if cursor < from {
                    more.extend(self.stray(segment, cursor, from));
                }
                cursor = cursor.max(end);
            }
        }
        self.sections.extend(more);
        Ok(())
    }

    /// What lies in a segment between sections, but for what only aligns them.
    fn stray(&self, segment: &Segment<'a>, from: u32, end: u32) -> Option<Section<'a>> {
        let data = segment.data.get(from as usize..end as usize)?;
        (parts::padding(self.machine, true, data) < data.len()).then(|| Section {
            name: NOWHERE.to_owned(),
            address: segment.address.saturating_add(from),
            size: end - from,
            data,
            code: segment.code,
            offset: segment.offset.saturating_add(from),
            load: Some(segment.load.wrapping_add(from)),
        })
    }
}
