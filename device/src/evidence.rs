//! The evidence chain: each step consumes the one before, and only this module makes them.
//!
//! ```text
//! Received ─verify→ Verified ─permit→ Permitted ─stage→ Staged ─install→ (moved) → Trial ─confirm→ Confirmed
//! ```
//! A value of one of these types **is** the proof that the rule before it held; there is no other way to get one:
//!
//! ```compile_fail,E0451
//! use patchlane_device::evidence::Verified;
//! # fn manifest() -> patchlane_protocol::Manifest<'static> { unimplemented!() }
//! let forged = Verified { manifest: manifest(), digest: patchlane_protocol::Digest([0; 32]) };
//! ```
//! ```compile_fail,E0599
//! # use patchlane_device::evidence::{Received, Facts};
//! # fn skip(received: Received<'_>, facts: &Facts<'_>) {
//! // What isn't verified can't be permitted.
//! let permitted = received.permit(facts);
//! # }
//! ```
//! ```compile_fail,E0599
//! # use patchlane_device::{evidence::Permitted, state::State};
//! # fn skip(permitted: Permitted, state: &mut State) {
//! // What isn't whole in flash can't be recorded as staged.
//! let staged = permitted.rest(state, true);
//! # }
//! ```
//! ```compile_fail,E0382
//! # use patchlane_device::evidence::{Permitted, Readback};
//! # fn twice(permitted: Permitted, a: Readback, b: Readback) {
//! // Evidence is used once.
//! let staged = permitted.stage(&a);
//! let again = permitted.stage(&b);
//! # }
//! ```
//! ```compile_fail,E0624
//! # use patchlane_device::evidence::Readback;
//! # use patchlane_device::Region;
//! // Only the hash job, after reading flash, makes a read-back.
//! let readback = Readback::of(Region::Primary, 0, 1, patchlane_protocol::Digest([0; 32]));
//! ```
//! ```compile_fail,E0599
//! # use patchlane_device::evidence::{Confirmed, Staged};
//! # fn skip(staged: Staged) {
//! // What never ran can't be confirmed.
//! let confirmed: Confirmed = staged.confirm();
//! # }
//! ```

mod supply;

pub use supply::Payload;
use supply::Supply;

use crate::layout::Slot;
use crate::log::COPY;
use crate::media::Region;
use crate::rules::policy::{self, Situation};
use crate::rules::transition::{Offer, Standing, Transition, classify};
use crate::rules::{Failures, Rank, fallback};
use crate::state::{Candidate, Phase, Release, State};
use crate::verify::{self, Claim};
use core::hint::black_box;
use patchlane_protocol::signature::read_signatures;
use patchlane_protocol::{Component, Digest, Image, List, Manifest, Refusal, RootDocument, Signature};

/// Bytes of a chunk that this device takes: its data, without the digest of the next.
pub const CHUNK: u16 = 1_024;
const _: () = assert!(COPY >= 1_024 + 32);

/// A head that could be read: canonical and bounded, but anyone's.
#[derive(Debug)]
pub struct Received<'a> {
    document: &'a [u8],
    manifest: Manifest<'a>,
    signatures: List<'a, Signature>,
}

impl<'a> Received<'a> {
    /// Reads a manifest and its signature set.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(manifest: &'a [u8], signatures: &'a [u8]) -> Result<Self, Refusal> {
        Ok(Self {
            document: manifest,
            manifest: Manifest::parse(manifest)?,
            signatures: read_signatures(signatures)?,
        })
    }

    /// Judges it under a root.
    ///
    /// # Errors
    /// As [`verify::manifest`].
    pub fn verify(self, root: &RootDocument<'_>) -> Result<Verified<'a>, Refusal> {
        verify::manifest(self.document, &self.manifest, &self.signatures, root)?;
        Ok(Verified { manifest: self.manifest, digest: verify::sha256(self.document) })
    }
}

/// That a manifest with this digest was verified.
///
/// It is the way to a [`Verified`] that takes least stack: while curves are computed, no document and no rule stands
/// there. [`Received::recall`] makes the [`Verified`] of it, when the head is read once more.
#[derive(Debug)]
pub struct Authentic {
    digest: Digest,
}

impl Authentic {
    /// Reads a head and judges it under a root, as [`Received::parse`] and [`Received::verify`] do.
    ///
    /// # Errors
    /// Theirs, and `Malformed` for the root.
    pub fn of(manifest: &[u8], signatures: &[u8], root: &[u8]) -> Result<Self, Refusal> {
        match &claim_of(manifest, signatures, root) {
            Ok(claim) => claim.holds()?,
            Err(refusal) => return Err(*refusal),
        }
        Ok(Self { digest: verify::sha256(manifest) })
    }
}

#[inline(never)]
fn claim_of<'a>(manifest: &[u8], signatures: &'a [u8], root: &'a [u8]) -> Result<Claim<'a>, Refusal> {
    let root = RootDocument::parse(root)?;
    let document = Manifest::parse(manifest)?;
    let set = read_signatures(signatures)?;
    Claim::of_manifest(manifest, &document, &set, &root)
}

impl<'a> Received<'a> {
    /// The same head, verified before: its digest says so.
    ///
    /// # Errors
    /// `BadSignature` if it is another head.
    pub fn recall(self, known: &Authentic) -> Result<Verified<'a>, Refusal> {
        if verify::sha256(self.document) == known.digest {
            Ok(Verified { manifest: self.manifest, digest: known.digest })
        } else {
            Err(Refusal::BadSignature)
        }
    }
}

/// What a head is judged against, besides its root.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The device's hardware revision.
    pub hardware: u16,
    /// The confirmed release.
    pub v: Standing,
    /// Policy, consent, and what runs.
    pub on: Situation,
    /// Failed trials.
    pub failures: &'a Failures,
    /// The slot whose image stays if the release comes without payload.
    pub primary: Slot,
    /// The slot that a payload goes into.
    pub secondary: Slot,
}

/// An authentic head.
#[derive(Debug)]
pub struct Verified<'a> {
    manifest: Manifest<'a>,
    digest: Digest,
}

impl<'a> Verified<'a> {
    /// What it says.
    pub const fn manifest(&self) -> &Manifest<'a> {
        &self.manifest
    }

    /// SHA-256 of the manifest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// True if it is the release that a record names: its manifest, its version, its size in this slot.
    pub fn is(&self, release: &Release, slot: &Slot) -> bool {
        self.digest == release.manifest
            && self.manifest.version == release.version
            && self.component(slot).is_ok_and(|(_, _, image)| image.size.get() == release.size)
    }

    /// What it offers.
    pub fn offer(&self) -> Offer {
        Offer {
            kind: self.manifest.kind,
            version: self.manifest.version,
            images: verify::images(&self.manifest),
        }
    }

    /// The slot in which it will run: one with payload goes into the other slot first.
    fn slot<'f>(&self, facts: &'f Facts<'_>) -> &'f Slot {
        if self.manifest.is_payload_free() { &facts.primary } else { &facts.secondary }
    }

    /// The one component this installer handles, and its image for this slot.
    ///
    /// # Errors
    /// `UnknownComponent`, `NoAlternative`.
    pub fn component(&self, slot: &Slot) -> Result<(Component<'a>, u8, Image), Refusal> {
        let only =
            self.manifest.components.at(0).filter(|c| c.id.0 == 0 && self.manifest.components.len() == 1);
        let component = only.ok_or(Refusal::UnknownComponent)?;
        let (index, image) = (0u8..)
            .zip(component.images.iter())
            .find(|(_, image)| slot.takes(image))
            .ok_or(Refusal::NoAlternative)?;
        Ok((component, index, image))
    }

    /// Checks that it is for this board.
    ///
    /// # Errors
    /// `WrongHardware`, `UnknownComponent`, `NoAlternative`, `ImageTooLarge`.
    pub fn fits(&self, facts: &Facts<'_>) -> Result<(), Refusal> {
        if !self.manifest.hardware.iter().any(|revision| revision == facts.hardware) {
            return Err(Refusal::WrongHardware);
        }
        let slot = self.slot(facts);
        let (_, _, image) = self.component(slot)?;
        if image.size.get() > slot.room { Err(Refusal::ImageTooLarge) } else { Ok(()) }
    }

    /// What it would do here, and how it ranks.
    ///
    /// # Errors
    /// As [`Verified::fits`] and [`classify`].
    pub fn rank(&self, facts: &Facts<'_>) -> Result<Rank, Refusal> {
        self.fits(facts)?;
        let transition = classify(&facts.v, &self.offer())?;
        Ok(Rank { transition, version: self.manifest.version, issued_at: self.manifest.issued_at })
    }

    /// Judges it by every rule that needs no flash.
    ///
    /// # Errors
    /// As [`Verified::rank`] and [`policy::decide`]; `RetryNeeded`, `NoAlternative`.
    pub fn permit(self, facts: &Facts<'_>) -> Result<Permitted, Refusal> {
        let supply = self.supply(facts);
        let permitted = self.permit_staged(facts)?;
        Ok(Permitted { supply: supply?, ..permitted })
    }

    /// The same of a release whose image lies in the secondary slot.
    ///
    /// # Errors
    /// As [`Verified::permit`], but for the alternatives.
    pub fn permit_staged(self, facts: &Facts<'_>) -> Result<Permitted, Refusal> {
        let rank = self.rank(facts)?;
        let payload_free = self.manifest.is_payload_free();
        policy::decide(rank.transition, payload_free, &facts.on)?;
        if facts.failures.needs_retry(&self.digest) {
            return Err(Refusal::RetryNeeded);
        }
        let (_, _, image) = self.component(self.slot(facts))?;
        let images = verify::images(&self.manifest);
        Ok(Permitted { manifest: self.digest, images, image, rank, supply: Supply::Staged })
    }

    /// Keeps what booting it needs, so that a signature is verified once.
    ///
    /// # Errors
    /// As [`Verified::component`]; `ImageTooLarge`.
    pub fn admit(self, slot: &Slot) -> Result<Admitted, Refusal> {
        let (_, _, image) = self.component(slot)?;
        if image.size.get() > slot.room { Err(Refusal::ImageTooLarge) } else { Ok(Admitted { image }) }
    }

    /// Checks all that a patch which ends a trial will have to pass once the trial is over.
    ///
    /// # Errors
    /// As [`Verified::fits`] and [`policy::decide`]; `RetryNeeded`, `NoAlternative`; `TrialPending` if only a delta fits.
    pub fn could_go_in(&self, facts: &Facts<'_>) -> Result<(), Refusal> {
        self.fits(facts)?;
        policy::decide(Transition::Patch, self.manifest.is_payload_free(), &facts.on)?;
        if facts.failures.needs_retry(&self.digest) {
            return Err(Refusal::RetryNeeded);
        }
        match self.supply(facts)? {
            // Whether its base is what will run then, only reading it would say.
            Supply::Delta => Err(Refusal::TrialPending),
            Supply::Installed | Supply::Staged | Supply::Payload(_) | Supply::Either(_) => Ok(()),
        }
    }
}

/// An authentic release whose image has yet to be read back.
#[derive(Debug)]
pub struct Admitted {
    image: Image,
}

impl Admitted {
    /// Its image.
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// Checks that the image is what flash holds, so that it may boot.
    ///
    /// # Errors
    /// `ImageDigest`.
    pub fn boots(&self, readback: &Readback) -> Result<(), Refusal> {
        if readback.is(&self.image) { Ok(()) } else { Err(Refusal::ImageDigest) }
    }

    /// `address`, if the image is what the primary slot holds; else the last address there is, where no code lies.
    ///
    /// The question of [`Admitted::boots`] once more, and no branch answers it: a skipped instruction that led past the
    /// first answer doesn't lead to the address (T47).
    #[inline(never)]
    pub fn entry(&self, readback: &Readback, address: usize) -> usize {
        let elsewhere = readback.at | u32::from(readback.region != Region::Primary);
        let start = elsewhere | (readback.size ^ self.image.size.get());
        let bytes = readback.digest.0.iter().zip(&self.image.digest.0);
        let differs = bytes.fold(start, |differs, (a, b)| black_box(differs | u32::from(a ^ b)));
        // Its highest bit is set unless nothing differs.
        let any = black_box(differs | differs.wrapping_neg());
        address | usize::try_from(any >> 31).unwrap_or(1).wrapping_neg()
    }
}

/// What was read back from flash. Only the hash job makes one.
#[derive(Debug)]
pub struct Readback {
    region: Region,
    at: u32,
    size: u32,
    digest: Digest,
}

impl Readback {
    pub(crate) const fn of(region: Region, at: u32, size: u32, digest: Digest) -> Self {
        Self { region, at, size, digest }
    }

    fn is(&self, image: &Image) -> bool {
        self.size == image.size.get() && self.digest == image.digest
    }
}

/// A release that every rule admits; from here on flash may change.
#[derive(Debug)]
pub struct Permitted {
    manifest: Digest,
    images: Digest,
    image: Image,
    rank: Rank,
    supply: Supply,
}

impl Permitted {
    /// Its rank.
    pub const fn rank(&self) -> &Rank {
        &self.rank
    }

    /// Its image.
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// What it was made of: this manifest, verified before.
    fn known<'a>(&self, manifest: &'a [u8]) -> Result<Verified<'a>, Refusal> {
        if verify::sha256(manifest) == self.manifest {
            Ok(Verified { manifest: Manifest::parse(manifest)?, digest: self.manifest })
        } else {
            Err(Refusal::BadSignature)
        }
    }

    /// Judged once more, of the manifest's bytes and the facts alone: one skipped instruction spoils one of the judgements
    /// (T47).
    ///
    /// # Errors
    /// As [`Verified::permit_staged`]; `BadSignature` if `manifest` is another one.
    pub fn again(self, manifest: &[u8], facts: &Facts<'_>) -> Result<Self, Refusal> {
        self.known(manifest)?.permit_staged(facts)
    }

    /// True if its images have this digest.
    pub fn is_same_images(&self, images: &Digest) -> bool {
        self.images == *images
    }

    fn release(&self, receipt: Digest, cell: u8) -> Release {
        Release {
            version: self.rank.version,
            manifest: self.manifest,
            images: self.images,
            size: self.image.size.get(),
            receipt,
            cell,
        }
    }

    /// Notes in the state that it is being received; its receipt lies in `cell`. The secondary slot is about to
    /// be erased, so nothing in it can be the fallback any more, unless that one runs from the primary.
    pub fn receive(&self, state: &mut State, receipt: Digest, cell: u8) {
        let release = self.release(receipt, cell);
        state.candidate =
            Some(Candidate { release, transition: self.rank.transition, issued_at: self.rank.issued_at });
        state.phase = Phase::Receiving;
        state.keep = false;
        state.step = 0;
        if !state.degraded {
            state.fallback = None;
        }
    }

    /// Checks that it is whole in the secondary slot.
    ///
    /// # Errors
    /// `ImageDigest`.
    pub fn stage(self, readback: &Readback) -> Result<Staged, Refusal> {
        if readback.region == Region::Secondary && readback.is(&self.image) {
            Ok(Staged { manifest: self.manifest })
        } else {
            Err(Refusal::ImageDigest)
        }
    }

    /// True if its image is what was read back from the primary slot.
    pub fn is_there(&self, readback: &Readback) -> bool {
        readback.region == Region::Primary && readback.at == 0 && readback.is(&self.image)
    }

    /// Checks that a release without payload is what the primary slot holds, and was verified a second time: it counts as
    /// soon as the record says so, and no start judges it before (T47).
    ///
    /// # Errors
    /// `BadSignature`, `NeedPayload`.
    pub fn is_installed(
        self,
        again: &Authentic,
        readback: &Readback,
        receipt: Digest,
        cell: u8,
    ) -> Result<Confirmed, Refusal> {
        if again.digest != self.manifest {
            return Err(Refusal::BadSignature);
        }
        let there = self.is_there(readback);
        if there && !self.has_payload() && self.rank.transition == Transition::Patch {
            Ok(Confirmed { release: self.release(receipt, cell), moved: None })
        } else {
            Err(Refusal::NeedPayload)
        }
    }
}

/// A release that is whole in the secondary slot.
#[derive(Debug)]
pub struct Staged {
    manifest: Digest,
}

impl Staged {
    /// Notes in the state that it waits, or goes in at the next restart.
    ///
    /// # Errors
    /// `UnknownManifest` if the state has another candidate.
    pub fn rest(self, state: &mut State, ready: bool) -> Result<(), Refusal> {
        self.is_candidate(state)?;
        state.phase = if ready { Phase::Ready } else { Phase::Staged };
        Ok(())
    }

    /// Notes in the state that it is being moved in; `keep` says whether what runs now is worth keeping.
    ///
    /// # Errors
    /// `UnknownManifest` if the state has another candidate.
    pub fn install(self, state: &mut State, keep: bool) -> Result<(), Refusal> {
        self.is_candidate(state)?;
        state.phase = Phase::Swap;
        state.keep = keep;
        state.step = 0;
        Ok(())
    }

    fn is_candidate(&self, state: &State) -> Result<(), Refusal> {
        let candidate = state.candidate.map(|candidate| candidate.release.manifest);
        if candidate == Some(self.manifest) { Ok(()) } else { Err(Refusal::UnknownManifest) }
    }
}

/// A release that was moved in, and runs on trial.
#[derive(Debug)]
pub struct Trial {
    candidate: Candidate,
}

impl Trial {
    /// The trial that the state records.
    pub fn of(state: &State) -> Option<Self> {
        let candidate = state.candidate.filter(|_| state.phase.on_trial())?;
        Some(Self { candidate })
    }

    /// The application, or the owner, says it is good.
    pub fn confirm(self) -> Confirmed {
        Confirmed { release: self.candidate.release, moved: Some(self.candidate.transition) }
    }
}

/// A release that is the new v.
#[derive(Debug)]
pub struct Confirmed {
    release: Release,
    /// How it came in; `None` if nothing was moved.
    moved: Option<Transition>,
}

impl Confirmed {
    /// Makes it v: the floor rises, what it superseded ends.
    pub fn commit(self, state: &mut State) {
        let old = state.confirmed;
        state.fallback = self.moved.and_then(|transition| fallback_after(state, &self.release, transition));
        state.confirmed = self.release;
        if self.moved.is_some() {
            state.degraded = false;
            state.drop_candidate();
        }
        state.failures.confirmed(&self.release.manifest, self.release.version.security.level());
        let done = |manifest: &Digest| *manifest == self.release.manifest || *manifest == old.manifest;
        state.approval = state.approval.filter(|approval| !done(&approval.manifest));
        if state.held.is_some_and(|held| held.manifest == self.release.manifest) {
            state.held = None;
        }
        // An approval of what would now lose a fix has nothing left to allow.
        let lost = |held: &crate::state::Listed| {
            !held.rank.version.security.loses_nothing_of(&state.confirmed.version.security)
        };
        if let Some(held) = state.held.filter(lost) {
            state.approval = state.approval.filter(|approval| approval.manifest != held.manifest);
        }
    }
}

fn fallback_after(state: &State, release: &Release, transition: Transition) -> Option<Release> {
    let (left, known) = match (state.keep, state.degraded) {
        (false, _) => (fallback::Left::Nothing, None),
        (true, true) => (fallback::Left::Fallback, state.fallback),
        (true, false) => (fallback::Left::Previous, Some(state.confirmed)),
    };
    let known = known?;
    fallback::keeps(left, transition, &release.version, &known.version).then_some(known)
}

#[cfg(test)]
mod tests;
