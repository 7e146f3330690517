//! The first state of a device: written by the debug or production port only, never over a readable record (I6).

use super::{Act, Done, Engine, Stage as EngineStage};
use crate::evidence::{Admitted, Authentic, Received};
use crate::io::{Hash, Job, Put, Source};
use crate::layout::Slot;
use crate::media::Region;
use crate::rules::Failures;
use crate::state::{Phase, Release, RootRef, State};
use crate::verify;
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{DeviceId, GroupId, Policy, PublicKey, Refusal, RootDocument};

/// What a device is told at the factory, besides its root and its first release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factory {
    /// Its id.
    pub device: DeviceId,
    /// Its hardware revision.
    pub hardware: u16,
    /// Its group.
    pub group: GroupId,
    /// The owner's policy.
    pub policy: Policy,
    /// The owner's key, if there is one already.
    pub anchor: Option<PublicKey>,
    /// True if a development root is refused.
    pub production: bool,
}

/// How far provisioning is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    ReadBack,
    Receipt,
    Root,
}

/// The cell of the first receipt, and of the first root.
const FIRST: u8 = 0;
const SECOND: u8 = 1;

impl Engine {
    /// Hands over root, first release and identity; [`super::Task::Provision`] writes them. The image has to lie in
    /// the primary slot already; of a direct layout, that is the first.
    ///
    /// # Errors
    /// `DevelopmentRoot`, `VendorKeyAsOwner`, and those of the head under this root.
    pub fn factory(
        &mut self,
        root: &[u8],
        manifest: &[u8],
        signatures: &[u8],
        factory: Factory,
    ) -> Result<(), Refusal> {
        let document = RootDocument::parse(root)?;
        if document.development && factory.production {
            return Err(Refusal::DevelopmentRoot);
        }
        if let Some(key) = factory.anchor {
            verify::new_anchor(&key, &document)?;
        }
        // A root that is only offered stands in RAM from here on: whatever becomes of it, the next task reads the state anew.
        self.close();
        let docs = &mut self.bench.mem.docs;
        if !docs.set_root(root) || !docs.set_head(manifest, signatures) {
            return Err(patchlane_protocol::FormatError::OverLimit.into());
        }
        self.admit_first(&factory)?;
        self.factory = Some(factory);
        Ok(())
    }

    fn admit_first(&self, factory: &Factory) -> Result<Admitted, Refusal> {
        let authentic = self.verify_head(false)?;
        self.admit_authentic(&authentic, factory)
    }

    #[inline(never)]
    fn admit_authentic(&self, authentic: &Authentic, factory: &Factory) -> Result<Admitted, Refusal> {
        let docs = &self.bench.mem.docs;
        let verified = Received::parse(docs.manifest(), docs.signatures())?.recall(authentic)?;
        if !verified.manifest().hardware.iter().any(|revision| revision == factory.hardware) {
            return Err(Refusal::WrongHardware);
        }
        verified.admit(&self.first_slot())
    }

    /// No record says yet that slots have changed roles.
    fn first_slot(&self) -> Slot {
        self.bench.layout.slot(Region::Primary, false, self.config.address)
    }

    pub(super) fn provision(&mut self) -> Act {
        let admitted = self.factory.ok_or(Refusal::NotInService).and_then(|f| self.admit_first(&f));
        match admitted {
            Ok(admitted) => {
                let size = admitted.image().size.get();
                self.admitted = Some(admitted);
                let hash = Hash::new(Region::Primary, 0, size);
                self.job(EngineStage::Provision(Stage::ReadBack), Job::Hash(hash))
            }
            Err(refusal) => Act::End(Err(refusal)),
        }
    }

    #[inline(never)]
    pub(super) fn provisioning(&mut self, stage: Stage, result: Result<(), Refusal>) -> Act {
        if result.is_err() {
            return Act::End(Err(Refusal::Flash));
        }
        match stage {
            Stage::ReadBack => {
                let readback = self.readback.take().ok_or(Refusal::Flash);
                let admitted = self.admitted.take().ok_or(Refusal::NotInService);
                match admitted.and_then(|admitted| admitted.boots(&readback?)) {
                    Ok(()) => self.put(Stage::Receipt, FIRST, Source::Receipt),
                    Err(refusal) => Act::End(Err(refusal)),
                }
            }
            Stage::Receipt => self.put(Stage::Root, SECOND, Source::RootOnly),
            Stage::Root => match self.verify_head(false).and_then(|authentic| self.first_state(&authentic)) {
                Ok(()) => {
                    self.open = true;
                    self.save(EngineStage::Ending(Ok(Done::Outcome(Outcome::Done))))
                }
                Err(refusal) => Act::End(Err(refusal)),
            },
        }
    }

    fn put(&mut self, stage: Stage, cell: u8, source: Source) -> Act {
        let length = self.bench.mem.docs.receipt_length(source);
        let (at, erase) = (self.bench.layout.cell_at(cell), self.bench.layout.cell_size());
        self.job(EngineStage::Provision(stage), Job::Put(Put::new(Region::State, at, erase, source, length)))
    }

    #[inline(never)]
    fn first_state(&mut self, authentic: &Authentic) -> Result<(), Refusal> {
        let factory = self.factory.ok_or(Refusal::NotInService)?;
        let docs = &self.bench.mem.docs;
        let root = self.root_document()?;
        let verified = Received::parse(docs.manifest(), docs.signatures())?.recall(authentic)?;
        let (_, _, image) = verified.component(&self.first_slot())?;
        self.bench.state = Some(State {
            device: factory.device,
            hardware: factory.hardware,
            group: factory.group,
            root: RootRef {
                version: root.version,
                development: root.development,
                digest: verify::sha256(docs.root()),
                cell: SECOND,
            },
            anchor: factory.anchor,
            policy: factory.policy,
            serial: 0,
            confirmed: Release {
                version: verified.manifest().version,
                manifest: verified.digest(),
                images: verify::images(verified.manifest()),
                size: image.size.get(),
                receipt: docs.receipt_digest(Source::Receipt),
                cell: FIRST,
            },
            degraded: false,
            flipped: false,
            fallback: None,
            candidate: None,
            phase: Phase::Idle,
            keep: false,
            step: 0,
            approval: None,
            held: None,
            failures: Failures::default(),
        });
        Ok(())
    }
}
