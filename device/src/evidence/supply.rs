//! What the image of a release can be made of on this device: what is installed, a payload, or a delta of what runs.

use super::{CHUNK, Facts, Permitted, Readback, Verified};
use crate::layout::Slot;
use crate::media::Region;
use patchlane_protocol::{Alternative, Component, Digest, Encoding, Refusal, bundle};

/// Where the chosen payload lies, and how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    /// Offset from the end of the signatures.
    pub offset: u32,
    /// Bytes of data.
    pub size: u32,
    /// Bytes of data in a chunk.
    pub chunk: u16,
    /// SHA-256 of the first chunk.
    pub first: Digest,
    /// True if the data is a delta.
    pub delta: bool,
}

/// What an image can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Supply {
    /// It is installed already.
    Installed,
    /// It lies in the secondary slot already: how it came there is nobody's business any more.
    Staged,
    /// This payload.
    Payload(Payload),
    /// A delta, if one has the base that runs here.
    Delta,
    /// Such a delta, or else this payload.
    Either(Payload),
}

#[cfg(feature = "delta")]
fn is_delta(alternative: &Alternative) -> bool {
    alternative.encoding == Encoding::Delta && alternative.ram <= crate::delta::RAM
}

#[cfg(not(feature = "delta"))]
const fn is_delta(_: &Alternative) -> bool {
    false
}

impl Verified<'_> {
    /// What its image can be made of here.
    ///
    /// # Errors
    /// `NoAlternative`; as [`Verified::component`].
    pub(super) fn supply(&self, facts: &Facts<'_>) -> Result<Supply, Refusal> {
        if self.manifest.is_payload_free() {
            return Ok(Supply::Installed);
        }
        let (component, index, _) = self.component(self.slot(facts))?;
        let unit = facts.secondary.unit;
        let raw = self.find(&component, index, |a| {
            a.encoding == Encoding::Raw && u32::from(a.chunk.get()).checked_rem(unit) == Some(0)
        });
        let deltas = self.find(&component, index, is_delta).is_some();
        match raw {
            Some(payload) if deltas => Ok(Supply::Either(payload)),
            Some(payload) => Ok(Supply::Payload(payload)),
            None if deltas => Ok(Supply::Delta),
            None => Err(Refusal::NoAlternative),
        }
    }

    /// The first alternative of an image that this installer has a buffer for, and that is wanted.
    fn find(
        &self,
        component: &Component<'_>,
        index: u8,
        wanted: impl Fn(&Alternative) -> bool,
    ) -> Option<Payload> {
        let usable = |a: &Alternative| a.image == index && a.chunk.get() <= CHUNK && wanted(a);
        let (position, alternative) =
            component.alternatives.iter().enumerate().find(|(_, alternative)| usable(alternative))?;
        let offset = u32::try_from(bundle::payload_offset(&self.manifest, 0, position)?).ok()?;
        Some(Payload {
            offset,
            size: alternative.size.get(),
            chunk: alternative.chunk.get(),
            first: alternative.first,
            delta: alternative.encoding == Encoding::Delta,
        })
    }
}

impl Permitted {
    /// True if a payload comes with it.
    pub fn has_payload(&self) -> bool {
        self.supply != Supply::Installed
    }

    /// True if [`Permitted::choose`] wants to know what the primary slot holds.
    pub const fn wants_base(&self) -> bool {
        cfg!(feature = "delta") && matches!(self.supply, Supply::Delta | Supply::Either(_))
    }

    /// Its payload; `None` if it comes without, or [`Permitted::wants_base`].
    pub const fn payload(&self) -> Option<Payload> {
        match self.supply {
            Supply::Payload(payload) => Some(payload),
            Supply::Installed | Supply::Staged | Supply::Delta | Supply::Either(_) => None,
        }
    }

    /// Decides for the delta that starts from what was read back of the primary slot, or for a payload that needs no base.
    ///
    /// # Errors
    /// `NoAlternative`; `BadSignature` if `manifest` is another one.
    pub fn choose(&mut self, manifest: &[u8], slot: &Slot, base: Option<&Readback>) -> Result<(), Refusal> {
        if !self.wants_base() {
            return Ok(());
        }
        let fallback = match self.supply {
            Supply::Installed | Supply::Staged | Supply::Payload(_) => return Ok(()),
            Supply::Delta => None,
            Supply::Either(payload) => Some(payload),
        };
        let known = self.known(manifest)?;
        let (component, index, _) = known.component(slot)?;
        let base = base.filter(|base| base.region == Region::Primary && base.at == 0);
        let fits = |a: &Alternative| is_delta(a) && a.base == base.map(|base| base.digest);
        let payload = known.find(&component, index, fits).or(fallback).ok_or(Refusal::NoAlternative)?;
        self.supply = Supply::Payload(payload);
        Ok(())
    }
}
