//! A device between two actions: what its flash says, in the model's own terms, and the key that makes two devices one.

use super::catalogue::Item;
use crate::sim::SimDevice;
use patchlane_device::Boot;
use patchlane_device::state::{Phase, Release, State};
use patchlane_protocol::codec::Writer;
use patchlane_protocol::{Digest, Policy, PublicKey};
use sha2::{Digest as _, Sha256};

/// Bytes of the block that a swap moves.
pub const BLOCK: usize = 512;

/// How much of an image lies somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum There {
    /// Nothing, or something else.
    Not,
    /// It begins so.
    Begun,
    /// All.
    Whole,
}

/// What flash says. Releases are positions in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The trusted root.
    pub root: (u32, Digest),
    /// The owner's key.
    pub anchor: Option<PublicKey>,
    /// The owner's policy.
    pub policy: Policy,
    /// The last serial accepted.
    pub serial: u64,
    /// The confirmed release.
    pub v: usize,
    /// True while the fallback stands in.
    pub degraded: bool,
    /// What may stand in.
    pub fallback: Option<usize>,
    /// What is on its way in.
    pub candidate: Option<usize>,
    /// What is under way.
    pub phase: Phase,
    /// True if the secondary slot keeps what ran before.
    pub keep: bool,
    /// The pending approval, and whether the owner signed it.
    pub approval: Option<(Digest, bool)>,
    /// What is listed.
    pub held: Option<Digest>,
    /// Failed trials: which manifest, how often.
    pub failures: Vec<(Digest, u8)>,
    /// In the primary slot: v, the candidate, the fallback.
    pub primary: [There; 3],
    /// In the secondary slot: v and the fallback as they were kept, the candidate as it is received.
    pub secondary: [There; 3],
    /// What the last start led to.
    pub booted: Boot,
    /// True once the primary slot has rotted.
    pub rotted: bool,
}

/// What makes two devices one: all that decides about the future. Sequence numbers and cells don't.
pub type Key = [u8; 16];

fn position(items: &[Item], release: &Release) -> Result<usize, String> {
    let found = items.iter().position(|item| item.manifest == release.manifest);
    found.ok_or_else(|| format!("the record names a release that nobody made: {release:?}"))
}

fn there(image: Option<&Item>, contents: &[u8]) -> There {
    let Some(image) = image.map(|item| &item.image) else { return There::Not };
    let begun = BLOCK.min(image.len());
    match contents.get(..image.len()) {
        Some(same) if same == image => There::Whole,
        _ if contents.get(..begun) == image.get(..begun) => There::Begun,
        _ => There::Not,
    }
}

/// The record without what places and numbers it.
fn canonical(state: &State) -> State {
    let mut state = *state;
    state.root.cell = 0;
    state.confirmed.cell = 0;
    let release = |release: Release| Release { cell: 0, ..release };
    state.fallback = state.fallback.map(release);
    if let Some(candidate) = &mut state.candidate {
        candidate.release.cell = 0;
    }
    state
}

impl Facts {
    /// What this device's flash says, and its key.
    ///
    /// # Errors
    /// What can't be, in words.
    pub fn of(device: &mut SimDevice, items: &[Item], rotted: bool) -> Result<(Self, Key), String> {
        device.machine.open().map_err(|refusal| format!("its state can't be read: {refusal:?}"))?;
        let state = *device.machine.engine().state().ok_or("no state")?;
        let booted = device.booted.ok_or("it never started")?;
        let v = position(items, &state.confirmed)?;
        let fallback = state.fallback.map(|release| position(items, &release)).transpose()?;
        let candidate = state.candidate.map(|c| position(items, &c.release)).transpose()?;
        let names = [Some(v), candidate, fallback].map(|at| at.and_then(|at| items.get(at)));
        let primary = device.machine.media.primary(device.machine.media.primary.length());
        let secondary = device.machine.media.secondary.contents(0, device.machine.media.secondary.length());
        let staged = secondary.get(BLOCK..).unwrap_or(&[]);
        let facts = Self {
            root: (state.root.version, state.root.digest),
            anchor: state.anchor,
            policy: state.policy,
            serial: state.serial,
            v,
            degraded: state.degraded,
            fallback,
            candidate,
            phase: state.phase,
            keep: state.keep,
            approval: state.approval.map(|approval| (approval.manifest, approval.by_owner)),
            held: state.held.map(|held| held.manifest),
            failures: state.failures.iter().map(|f| (f.manifest, f.count)).collect(),
            primary: names.map(|item| there(item, &primary)),
            secondary: [there(names[0], &secondary), there(names[2], &secondary), there(names[1], staged)],
            booted,
            rotted,
        };
        let key = facts.key(&canonical(&state));
        Ok((facts, key))
    }

    fn key(&self, state: &State) -> Key {
        let mut buffer = [0; 2048];
        let mut writer = Writer::new(&mut buffer);
        state.write(&mut writer).expect("a record fits");
        let mut hasher = Sha256::new();
        hasher.update(writer.finish());
        hasher.update(format!("{:?}{:?}{:?}{}", self.primary, self.secondary, self.booted, self.rotted));
        let digest: [u8; 32] = hasher.finalize().into();
        digest.first_chunk().copied().unwrap_or_default()
    }

    /// True if v itself runs.
    pub fn runs_v(&self) -> bool {
        matches!(self.booted, Boot::Run(_)) && !self.degraded && !self.phase.on_trial()
    }
}
