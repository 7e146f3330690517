//! The one atomic record (I18): all that a device remembers, and how it is written.

use crate::layout::CELLS;
use crate::rules::failures::{Failure, Failures, REMEMBERED};
use crate::rules::{Rank, Transition};
use patchlane_protocol::codec::{Reader, Writer};
use patchlane_protocol::list::Element;
use patchlane_protocol::{DeviceId, Digest, FormatError, GroupId, Policy, PublicKey, Version};

/// Version of the record's layout; a record of another version is unreadable.
pub const FORMAT: u8 = 2;
/// Bytes of the longest record body (tested).
pub const BODY_MAX: usize = 1_039;

/// A receipt cell, by number.
pub type Cell = u8;

/// The root the device trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootRef {
    /// Its version.
    pub version: u32,
    /// True if it is a development root.
    pub development: bool,
    /// SHA-256 of the root document.
    pub digest: Digest,
    /// The cell that holds it.
    pub cell: Cell,
}

/// A release this device knows: what decides about it, and where its receipt lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// SHA-256 of its manifest.
    pub manifest: Digest,
    /// Digest over all its component images.
    pub images: Digest,
    /// Bytes of its image.
    pub size: u32,
    /// SHA-256 of its receipt.
    pub receipt: Digest,
    /// The cell that holds its receipt.
    pub cell: Cell,
}

/// A release on its way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub release: Release,
    /// What it does.
    pub transition: Transition,
    /// Seconds since 1970, for its rank.
    pub issued_at: u64,
}

impl Candidate {
    /// Its rank.
    pub const fn rank(&self) -> Rank {
        Rank { transition: self.transition, version: self.release.version, issued_at: self.issued_at }
    }
}

/// A release that waits for consent: remembered, not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// SHA-256 of its manifest.
    pub manifest: Digest,
    /// Its rank.
    pub rank: Rank,
}

/// The pending approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// SHA-256 of the manifest.
    pub manifest: Digest,
    /// True if the owner signed it.
    pub by_owner: bool,
}

/// What the device is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing.
    Idle,
    /// The candidate is half received.
    Receiving,
    /// The candidate is whole in the secondary slot and waits.
    Staged,
    /// The candidate goes in at the next restart.
    Ready,
    /// The candidate is being moved in.
    Swap,
    /// The candidate runs and has to prove itself.
    Trial {
        /// Boots that ended by watchdog, fault or deadline.
        failed: u8,
    },
    /// The candidate proved itself and can still be reverted by consent.
    Soak {
        /// Boots that ended by watchdog or fault.
        failed: u8,
        /// Boots until it is confirmed.
        boots: u8,
    },
    /// What ran before the trial is being moved back.
    Revert,
    /// The fallback is being moved in.
    Fallback,
}

impl Phase {
    /// True while blocks are being moved.
    pub const fn moves(self) -> bool {
        matches!(self, Self::Swap | Self::Revert | Self::Fallback)
    }

    /// True during a trial or a soak.
    pub const fn on_trial(self) -> bool {
        matches!(self, Self::Trial { .. } | Self::Soak { .. })
    }

    fn write(self, w: &mut Writer<'_>) -> Result<(), FormatError> {
        let (tag, failed, boots) = match self {
            Self::Idle => (0, 0, 0),
            Self::Receiving => (1, 0, 0),
            Self::Staged => (2, 0, 0),
            Self::Ready => (3, 0, 0),
            Self::Swap => (4, 0, 0),
            Self::Trial { failed } => (5, failed, 0),
            Self::Soak { failed, boots } => (6, failed, boots),
            Self::Revert => (7, 0, 0),
            Self::Fallback => (8, 0, 0),
        };
        w.u8(tag)?;
        w.u8(failed)?;
        w.u8(boots)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, FormatError> {
        let (tag, failed, boots) = (r.u8()?, r.u8()?, r.u8()?);
        Ok(match (tag, failed, boots) {
            (0, 0, 0) => Self::Idle,
            (1, 0, 0) => Self::Receiving,
            (2, 0, 0) => Self::Staged,
            (3, 0, 0) => Self::Ready,
            (4, 0, 0) => Self::Swap,
            (5, failed, 0) => Self::Trial { failed },
            (6, failed, boots) => Self::Soak { failed, boots },
            (7, 0, 0) => Self::Revert,
            (8, 0, 0) => Self::Fallback,
            _ => return Err(FormatError::UnknownTag),
        })
    }
}

/// Everything the device remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Which device.
    pub device: DeviceId,
    /// Its hardware revision.
    pub hardware: u16,
    /// Its group.
    pub group: GroupId,
    /// The root it trusts.
    pub root: RootRef,
    /// The owner's key.
    pub anchor: Option<PublicKey>,
    /// The owner's policy.
    pub policy: Policy,
    /// The last owner serial accepted.
    pub serial: u64,
    /// v: the floor.
    pub confirmed: Release,
    /// True while the fallback stands in for v.
    pub degraded: bool,
    /// The release confirmed just before v, if it may stand in.
    pub fallback: Option<Release>,
    /// What is on its way in.
    pub candidate: Option<Candidate>,
    /// In a direct layout: the second slot is the primary now.
    pub flipped: bool,
    /// What is under way.
    pub phase: Phase,
    /// During a swap or a trial: the secondary slot keeps what ran before.
    pub keep: bool,
    /// While blocks are moved: the step to do next, all before it are done.
    pub step: u32,
    /// The pending approval.
    pub approval: Option<Approval>,
    /// What waits for consent.
    pub held: Option<Listed>,
    /// Failed trials.
    pub failures: Failures,
}

impl State {
    /// Writes the record's body.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), FormatError> {
        w.u8(FORMAT)?;
        self.device.write(w)?;
        w.u64(u64::from(self.hardware))?;
        w.u64(u64::from(self.group.0))?;
        w.u64(u64::from(self.root.version))?;
        w.flag(self.root.development)?;
        self.root.digest.write(w)?;
        w.u8(self.root.cell)?;
        w.option(self.anchor, |w, key| key.write(w))?;
        self.policy.write(w)?;
        w.u64(self.serial)?;
        write_release(&self.confirmed, w)?;
        w.flag(self.degraded)?;
        w.option(self.fallback, |w, release| write_release(&release, w))?;
        w.option(self.candidate, |w, candidate| {
            write_release(&candidate.release, w)?;
            w.u8(candidate.transition.tag())?;
            w.u64(candidate.issued_at)
        })?;
        w.flag(self.flipped)?;
        self.phase.write(w)?;
        w.flag(self.keep)?;
        w.u64(u64::from(self.step))?;
        w.option(self.approval, |w, approval| {
            approval.manifest.write(w)?;
            w.flag(approval.by_owner)
        })?;
        w.option(self.held, |w, held| {
            held.manifest.write(w)?;
            w.u8(held.rank.transition.tag())?;
            held.rank.version.write(w)?;
            w.u64(held.rank.issued_at)
        })?;
        w.len(self.failures.iter().count(), REMEMBERED)?;
        for failure in self.failures.iter() {
            failure.manifest.write(w)?;
            w.u64(u64::from(failure.level))?;
            w.u8(failure.count)?;
        }
        Ok(())
    }

    /// Reads a whole record body.
    ///
    /// # Errors
    /// Any defect: an unreadable record is no record.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut r = Reader::new(bytes);
        if r.u8()? != FORMAT {
            return Err(FormatError::UnknownFormat);
        }
        let state = Self {
            device: DeviceId::read(&mut r)?,
            hardware: r.u16()?,
            group: GroupId(r.u32()?),
            root: RootRef {
                version: r.u32()?,
                development: r.flag()?,
                digest: Digest::read(&mut r)?,
                cell: read_cell(&mut r)?,
            },
            anchor: r.option(PublicKey::read)?,
            policy: Policy::read(&mut r)?,
            serial: r.u64()?,
            confirmed: read_release(&mut r)?,
            degraded: r.flag()?,
            fallback: r.option(read_release)?,
            candidate: r.option(read_candidate)?,
            flipped: r.flag()?,
            phase: Phase::read(&mut r)?,
            keep: r.flag()?,
            step: r.u32()?,
            approval: r.option(|r| Ok(Approval { manifest: Digest::read(r)?, by_owner: r.flag()? }))?,
            held: r.option(read_listed)?,
            failures: read_failures(&mut r)?,
        };
        r.finish()?;
        state.check().map(|()| state)
    }

    /// Rules that span fields: a phase that needs a candidate has one, and the reverse.
    fn check(&self) -> Result<(), FormatError> {
        let needs = match self.phase {
            Phase::Idle | Phase::Fallback => self.candidate.is_none(),
            _ => self.candidate.is_some(),
        };
        let stands_in = !self.degraded && self.phase != Phase::Fallback || self.fallback.is_some();
        if needs && stands_in { Ok(()) } else { Err(FormatError::UnknownTag) }
    }

    /// A receipt cell that nothing refers to.
    pub fn free_cell(&self) -> Cell {
        let used = |cell: Cell| {
            self.root.cell == cell
                || self.confirmed.cell == cell
                || self.fallback.is_some_and(|release| release.cell == cell)
                || self.candidate.is_some_and(|candidate| candidate.release.cell == cell)
        };
        // Five cells, four references: there is one.
        (0..5).find(|cell| !used(*cell)).unwrap_or(0)
    }

    /// All is where it belongs: what the move was for is next.
    pub fn arrive(&mut self) {
        match self.phase {
            Phase::Swap => self.phase = Phase::Trial { failed: 0 },
            Phase::Fallback => {
                self.degraded = true;
                self.phase = Phase::Idle;
            }
            _ => self.drop_candidate(),
        }
        self.step = 0;
    }

    /// Forgets what is on its way in.
    pub fn drop_candidate(&mut self) {
        self.candidate = None;
        self.phase = Phase::Idle;
        self.keep = false;
        self.step = 0;
    }
}

fn write_release(release: &Release, w: &mut Writer<'_>) -> Result<(), FormatError> {
    release.version.write(w)?;
    release.manifest.write(w)?;
    release.images.write(w)?;
    w.u64(u64::from(release.size))?;
    release.receipt.write(w)?;
    w.u8(release.cell)
}

fn read_cell(r: &mut Reader<'_>) -> Result<Cell, FormatError> {
    let cell = r.u8()?;
    if u32::from(cell) < CELLS { Ok(cell) } else { Err(FormatError::OverLimit) }
}

fn read_release(r: &mut Reader<'_>) -> Result<Release, FormatError> {
    Ok(Release {
        version: Version::read(r)?,
        manifest: Digest::read(r)?,
        images: Digest::read(r)?,
        size: r.u32()?,
        receipt: Digest::read(r)?,
        cell: read_cell(r)?,
    })
}

fn read_candidate(r: &mut Reader<'_>) -> Result<Candidate, FormatError> {
    Ok(Candidate {
        release: read_release(r)?,
        transition: Transition::from_tag(r.u8()?)?,
        issued_at: r.u64()?,
    })
}

fn read_listed(r: &mut Reader<'_>) -> Result<Listed, FormatError> {
    let manifest = Digest::read(r)?;
    let transition = Transition::from_tag(r.u8()?)?;
    let version = Version::read(r)?;
    Ok(Listed { manifest, rank: Rank { transition, version, issued_at: r.u64()? } })
}

fn read_failures(r: &mut Reader<'_>) -> Result<Failures, FormatError> {
    let mut failures = Failures::default();
    for _ in 0..r.len(REMEMBERED)? {
        if !failures.restore(Failure { manifest: Digest::read(r)?, level: r.u32()?, count: r.u8()? }) {
            return Err(FormatError::OverLimit);
        }
    }
    Ok(failures)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use patchlane_protocol::version::Open;
    use patchlane_protocol::{Baseline, FeaturePolicy, Security, SecurityPolicy};

    /// The state that takes most bytes.
    pub(crate) fn longest() -> State {
        let open: [u32; 16] = core::array::from_fn(|i| u32::MAX - 17 + i as u32);
        let feature = Baseline { line: u16::MAX, step: u16::MAX };
        let security = Security::new(u32::MAX, Open::new(&open).expect("16 are open")).expect("a level");
        let version = Version { feature, security };
        let digest = Digest([0xff; 32]);
        let (cell, size) = (4, u32::MAX);
        let release = Release { version, manifest: digest, images: digest, size, receipt: digest, cell };
        let mut failures = Failures::default();
        for n in 0..REMEMBERED as u8 {
            failures.record(&Digest([n; 32]), u32::MAX);
        }
        let rank = Rank { transition: Transition::Rollback, version, issued_at: u64::MAX };
        State {
            device: DeviceId([0xff; 16]),
            hardware: u16::MAX,
            group: GroupId(u32::MAX),
            root: RootRef { version: u32::MAX, development: true, digest, cell },
            anchor: Some(PublicKey::ed25519([0xff; 32])),
            policy: Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto },
            serial: u64::MAX,
            confirmed: release,
            degraded: true,
            flipped: true,
            fallback: Some(release),
            candidate: Some(Candidate { release, transition: Transition::Rollback, issued_at: u64::MAX }),
            phase: Phase::Soak { failed: u8::MAX, boots: u8::MAX },
            keep: true,
            step: u32::MAX,
            approval: Some(Approval { manifest: digest, by_owner: true }),
            held: Some(Listed { manifest: digest, rank }),
            failures,
        }
    }

    #[test]
    fn the_longest_record_fits_and_reads_back() {
        let state = longest();
        let mut buffer = [0; 2048];
        let mut writer = Writer::new(&mut buffer);
        state.write(&mut writer).expect("it fits");
        assert_eq!(writer.written(), BODY_MAX);
        let length = writer.written();
        assert_eq!(State::parse(&buffer[..length]), Ok(state));
        let copy = crate::log::encode_copy(&state, u32::MAX, &mut [0; crate::io::WORK]);
        assert!(copy.is_ok_and(|length| length <= crate::log::COPY), "{copy:?}");
    }
}
