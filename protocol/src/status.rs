//! The status report: what a device says about itself (SPEC §8.4).

use crate::codec::{Reader, Writer, tagged};
use crate::error::FormatError;
use crate::ids::{DeviceId, Digest, GroupId, Product};
use crate::list::Element;
use crate::policy::Policy;
use crate::signature::{Algorithm, KeyId, Signature};
use crate::version::Version;

tagged! {
    /// What the device is doing.
    pub enum Activity {
        /// It runs the confirmed release; nothing is under way.
        Idle = 0,
        /// A payload is half received.
        Receiving = 1,
        /// A release is whole in the secondary slot and waits for an apply request.
        Staged = 2,
        /// A release is whole in the secondary slot and goes in at the next restart.
        Ready = 3,
        /// A new release runs and isn't confirmed yet.
        Trial = 4,
        /// A healthy new release runs and can still be reverted by consent.
        Soak = 5,
        /// The confirmed release is damaged; the one before it runs.
        Degraded = 6,
        /// Nothing can run; the bootloader takes repair and patches.
        Service = 7,
    }
}

tagged! {
    /// What the monotonic counter says.
    pub enum CounterState {
        /// The part has none.
        Absent = 0,
        /// It agrees with the floor.
        Raised = 1,
        /// It can't express the floor, or can't be read; the record alone keeps it.
        CannotExpress = 2,
        /// It is above the floor: the state region is older than the part has seen.
        Above = 3,
    }
}

/// A release, named by version and manifest digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Its version.
    pub version: Version,
    /// SHA-256 of its manifest.
    pub manifest: Digest,
}

impl Named {
    /// Reads version, then digest.
    ///
    /// # Errors
    /// Those of the version.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self { version: Version::read(reader)?, manifest: Digest::read(reader)? })
    }

    /// Writes version, then digest.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        self.version.write(writer)?;
        self.manifest.write(writer)
    }
}

/// A feature update that waits for consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub release: Named,
    /// True if installing it would by now lose a fix: it can't be approved any more.
    pub superseded: bool,
}

/// A status report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Which device.
    pub device: DeviceId,
    /// Which product.
    pub product: Product,
    /// Its hardware revision.
    pub hardware: u16,
    /// Its group number.
    pub group: GroupId,
    /// Version of the root it trusts.
    pub root_version: u32,
    /// True if that root is a development root.
    pub development: bool,
    /// True if an owner anchor is set.
    pub owned: bool,
    /// The highest owner serial accepted.
    pub serial: u64,
    /// The owner's policy.
    pub policy: Policy,
    /// The confirmed release.
    pub confirmed: Named,
    /// What it is doing.
    pub activity: Activity,
    /// What is half received, staged or on trial.
    pub candidate: Option<Named>,
    /// What waits for consent.
    pub held: Option<Held>,
    /// The manifest that the pending approval names.
    pub approval: Option<Digest>,
    /// True if a patch has waited longer than the application's deferral allows.
    pub overdue: bool,
    /// Failed boots of the running trial.
    pub failed_boots: u8,
    /// Bundles and documents refused since power-on.
    pub rejections: u32,
    /// Code of the last refusal since power-on.
    pub last_refusal: Option<u8>,
    /// The monotonic counter.
    pub counter: CounterState,
    /// True if the application can't write the state region.
    pub fenced: bool,
}

impl Status {
    /// Reads a report and its signature; `None` means the report is unauthenticated.
    ///
    /// # Errors
    /// Every [`FormatError`] of SPEC §2.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Option<Signature>), FormatError> {
        let mut r = Reader::new(bytes);
        let status = Self {
            device: DeviceId::read(&mut r)?,
            product: Product::read(&mut r)?,
            hardware: r.u16()?,
            group: GroupId(r.u32()?),
            root_version: r.u32()?,
            development: r.flag()?,
            owned: r.flag()?,
            serial: r.u64()?,
            policy: Policy::read(&mut r)?,
            confirmed: Named::read(&mut r)?,
            activity: Activity::read(&mut r)?,
            candidate: r.option(Named::read)?,
            held: r.option(|r| Ok(Held { release: Named::read(r)?, superseded: r.flag()? }))?,
            approval: r.option(Digest::read)?,
            overdue: r.flag()?,
            failed_boots: r.u8()?,
            rejections: r.u32()?,
            last_refusal: r.option(Reader::u8)?,
            counter: CounterState::read(&mut r)?,
            fenced: r.flag()?,
        };
        let signature = r.option(<Signature as Element>::read)?;
        r.finish().map(|()| (status, signature))
    }

    /// Writes the part that a device key signs.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), FormatError> {
        self.device.write(w)?;
        self.product.write(w)?;
        w.u64(u64::from(self.hardware))?;
        w.u64(u64::from(self.group.0))?;
        w.u64(u64::from(self.root_version))?;
        w.flag(self.development)?;
        w.flag(self.owned)?;
        w.u64(self.serial)?;
        self.policy.write(w)?;
        self.confirmed.write(w)?;
        self.activity.write(w)?;
        w.option(self.candidate, |w, named| named.write(w))?;
        w.option(self.held, |w, held| {
            held.release.write(w)?;
            w.flag(held.superseded)
        })?;
        w.option(self.approval, |w, digest| digest.write(w))?;
        w.flag(self.overdue)?;
        w.u8(self.failed_boots)?;
        w.u64(u64::from(self.rejections))?;
        w.option(self.last_refusal, |w, code| w.u8(code))?;
        self.counter.write(w)?;
        w.flag(self.fenced)
    }

    /// Writes the report, signed or not.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn encode<'b>(
        &self,
        signature: Option<&Signature>,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], FormatError> {
        let mut writer = Writer::new(buffer);
        self.write(&mut writer)?;
        writer.option(signature, |w, s| s.write(w))?;
        Ok(writer.finish())
    }
}

/// A signature that a device key would put under a report.
pub const fn device_signature(key: KeyId, bytes: [u8; 64]) -> Signature {
    Signature { key, algorithm: Algorithm::Ed25519, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClassId, VendorId};
    use crate::limits;
    use crate::link::Reply;
    use crate::policy::{FeaturePolicy, SecurityPolicy};
    use crate::version::{Baseline, Open, Security};

    fn longest() -> Status {
        let top = u32::MAX;
        let mut open = [0u32; limits::OPEN];
        for (index, place) in (top - 16..top).zip(&mut open) {
            *place = index;
        }
        let security = Security::new(top, Open::new(&open).unwrap()).unwrap();
        let feature = Baseline { line: u16::MAX, step: u16::MAX };
        let release = Named { version: Version { feature, security }, manifest: Digest([255; 32]) };
        Status {
            device: DeviceId([255; 16]),
            product: Product { vendor: VendorId([255; 16]), class: ClassId([255; 16]) },
            hardware: u16::MAX,
            group: GroupId(top),
            root_version: top,
            development: true,
            owned: true,
            serial: u64::MAX,
            policy: Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto },
            confirmed: release,
            activity: Activity::Service,
            candidate: Some(release),
            held: Some(Held { release, superseded: true }),
            approval: Some(Digest([255; 32])),
            overdue: true,
            failed_boots: u8::MAX,
            rejections: top,
            last_refusal: Some(u8::MAX),
            counter: CounterState::Above,
            fenced: true,
        }
    }

    /// A device with much to tell must not fall silent.
    #[test]
    fn the_longest_report_fits_its_limit_and_a_frame() {
        let signature = device_signature(KeyId([255; 8]), [255; 64]);
        let mut buffer = [0; limits::STATUS];
        let report = longest().encode(Some(&signature), &mut buffer).unwrap();
        assert_eq!(Status::parse(report), Ok((longest(), Some(signature))));
        let mut frame = [0; limits::FRAME];
        assert_eq!(Reply::Status(report).write(&mut Writer::new(&mut frame)), Ok(()));
    }
}
