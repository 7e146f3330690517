//! The device's decisions, one flash operation at a time.
//!
//! An [`Engine`] is a pure function from what flash holds to the next operation: [`Engine::start`] a task, perform
//! every [`Step::Op`] on [`Engine::buffer`], tell [`Engine::next`] how it went, until [`Step::Done`]. Blocking and
//! asynchronous drivers (`src/drive.rs`) differ in nothing else.
//!
//! Jobs (`src/io`) sequence operations; after each job one of the decisions in this folder says what is next, from
//! the recorded phase and the task, never from how far the job before had come.

mod boot;
#[cfg(feature = "delta")]
mod delta;
mod head;
mod intake;
mod links;
mod payload;
mod provision;
pub mod requests;
mod status;

pub use boot::{Boot, Cause, Running};
pub use provision::Factory;
pub use requests::Window;

use crate::evidence::{Admitted, Authentic, Facts, Permitted, Readback};
use crate::io::{Bench, Job, Load, Memory, Op, Record, Scan, Turn};
use crate::layout::{Layout, Slot};
use crate::log::Log;
use crate::media::{MediaError, Region};
use crate::rules::{Consent, Situation, Standing};
use crate::state::{Approval, Cell, Phase, State};
use intake::Intake;
use patchlane_protocol::link::Outcome;
use patchlane_protocol::status::CounterState;
use patchlane_protocol::{Digest, Refusal, RootDocument};

/// What an integrator decides once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The address images have to be linked for; `None` takes only images that state none. A direct layout has its own
    /// two.
    pub address: Option<u32>,
    /// Boots for which a healthy trial stays revertible; 0 confirms at once.
    pub soak: u8,
    /// True if the application can't write the state region. Reported, not enforced.
    pub fenced: bool,
}

/// What the next step is.
#[derive(Debug)]
pub enum Step {
    /// This operation.
    Op(Op),
    /// None: the task has ended.
    Done(Result<Done, Refusal>),
}

/// How a task ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The state was read.
    Opened,
    /// What to boot.
    Boot(Boot),
    /// The transfer goes on at this offset of the bundle file.
    Want(u32),
    /// A bundle or a request was taken.
    Outcome(Outcome),
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Reads the state.
    Open,
    /// Decides what boots, and moves blocks if need be.
    Boot {
        /// Why the device restarted.
        cause: Cause,
        /// What the monotonic counter reads, if there is one.
        counter: Option<u32>,
    },
    /// Goes on with a transfer whose next piece is complete.
    Intake,
    /// Writes the state after a request changed it.
    Save(Outcome),
    /// Writes the first state of a device.
    Provision,
}

/// What a job that has ended was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Scanning,
    Rooting {
        again: bool,
    },
    /// A record that wasn't whole was written afresh; the task begins.
    Begin,
    /// A record was written; the boot goes on from its phase.
    Go,
    Loading(Who),
    Hashing(Who),
    Marking,
    Moving,
    Links(links::Stage),
    Head(head::Stage),
    /// The receipt of a release without payload was written.
    Applying,
    Payload(payload::Stage),
    Provision(provision::Stage),
    /// A record was written; the task ends like this.
    Ending(Result<Done, Refusal>),
}

/// Which release is being judged, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// v, in the primary slot, under the root that admitted it.
    Confirmed,
    /// The fallback that stands in for v, in the primary slot.
    Standby,
    /// The fallback, in the secondary slot.
    Spare,
    /// The candidate, staged in the secondary slot.
    Staged,
    /// The candidate, in the primary slot.
    Trial,
    /// What ran before the trial, in the secondary slot.
    Kept,
}

/// What a decision leads to.
#[derive(Debug)]
enum Act {
    /// The job that was set up ([`Engine::job`]).
    Job,
    /// The state was read, or is blank where it has to be: the task begins.
    Begin,
    /// The task has ended.
    End(Result<Done, Refusal>),
}

/// A device's engine. One for each reset: it trusts no RAM from before.
#[derive(Debug)]
pub struct Engine {
    bench: Bench,
    config: Config,
    task: Task,
    stage: Stage,
    job: Job,
    open: bool,
    /// v, or nothing less, runs.
    runs: bool,
    /// v's image or receipt was found damaged.
    damaged: bool,
    /// Nothing boots: the bootloader itself serves.
    serving: bool,
    /// How many bytes of the candidate are sure, because this session wrote them and read them back.
    written: Option<u32>,
    /// The manifest whose delta went wrong in this session: sent again, it is taken in full.
    #[cfg(feature = "delta")]
    distrust: Option<Digest>,
    /// What runs now was found whole; only known while a ready candidate goes in.
    whole: Option<bool>,
    /// The step that the last mark or record states.
    marked: Option<u32>,
    readback: Option<Readback>,
    receipt: Option<Digest>,
    admitted: Option<Admitted>,
    permitted: Option<Permitted>,
    factory: Option<Factory>,
    intake: Intake,
    window: Window,
    /// What runs now is no longer trusted or wanted: nothing but a restart is next.
    restart: bool,
    counter: CounterState,
    rejections: u32,
    last_refusal: Option<u8>,
}

impl Engine {
    /// An engine that knows nothing yet.
    #[inline(always)]
    pub fn new(layout: Layout, config: Config) -> Self {
        Self {
            bench: Bench { layout, mem: Memory::new(), log: Log::new(&layout), state: None },
            config,
            task: Task::Open,
            stage: Stage::Start,
            job: Job::Rest,
            open: false,
            runs: true,
            damaged: false,
            serving: false,
            written: None,
            #[cfg(feature = "delta")]
            distrust: None,
            whole: None,
            marked: None,
            readback: None,
            receipt: None,
            admitted: None,
            permitted: None,
            factory: None,
            intake: Intake::new(),
            window: Window::Closed,
            restart: false,
            counter: CounterState::Absent,
            rejections: 0,
            last_refusal: None,
        }
    }

    /// Starts a task; [`Engine::next`] performs it. A task that was left unfinished (a future that was dropped) is
    /// treated as a power cut: nothing in RAM is trusted.
    pub fn start(&mut self, task: Task) {
        if self.stage != Stage::Start {
            self.close();
        }
        self.task = task;
        self.stage = Stage::Start;
        self.job = Job::Rest;
    }

    /// True if the state was read since the last reset, flash error or unfinished task.
    pub fn is_open(&self) -> bool {
        self.open && self.stage == Stage::Start
    }

    /// What the record says; `None` before it was read.
    pub const fn state(&self) -> Option<&State> {
        self.bench.state.as_ref()
    }

    /// The layout.
    pub const fn layout(&self) -> &Layout {
        &self.bench.layout
    }

    /// True if a restart is what comes next: something is ready, or has to be moved back.
    pub fn needs_restart(&self) -> bool {
        let ready = |state: &State| state.phase.moves() || state.phase == Phase::Ready;
        self.restart || self.bench.state.as_ref().is_some_and(ready)
    }

    /// The security level that a monotonic counter should express, once a record of this session holds it.
    pub fn counter_floor(&self) -> Option<u32> {
        let state = self.bench.state.as_ref().filter(|_| self.bench.log.is_owned())?;
        Some(state.confirmed.version.security.level())
    }

    /// The data of the operation under way: `length` bytes to be read into, or to be written.
    pub fn buffer(&mut self, length: u32) -> &mut [u8] {
        self.bench.mem.io.get_mut(..crate::io::narrow(length)).unwrap_or(&mut [])
    }

    /// Takes the result of the last operation and says what is next.
    pub fn next(&mut self, last: Result<(), MediaError>) -> Step {
        self.advance(last, Self::decide, Self::begin)
    }

    /// The same for [`Task::Open`] and [`Task::Boot`] alone: a program that never calls [`Engine::next`] holds nothing
    /// of reception, requests and provisioning.
    pub fn next_of_boot(&mut self, last: Result<(), MediaError>) -> Step {
        self.advance(last, Self::decide_boot, Self::begin_boot)
    }

    fn advance(
        &mut self,
        last: Result<(), MediaError>,
        decide: impl Fn(&mut Self, Result<(), Refusal>) -> Act,
        begin: impl Fn(&mut Self) -> Act,
    ) -> Step {
        let mut last = last;
        loop {
            let result = match self.job.next(&mut self.bench, last) {
                // Jobs speak of what a slot is for; only here it becomes a place.
                Turn::Op(op) => return Step::Op(op.placed(self.bench.is_flipped())),
                Turn::End(result) => result,
            };
            last = Ok(());
            self.collect(&result);
            let act = match decide(self, result) {
                Act::Begin => begin(self),
                act => act,
            };
            match act {
                Act::Job => {}
                Act::End(done) => return self.end(done),
                Act::Begin => return self.end(Err(Refusal::NotInService)),
            }
        }
    }

    /// Sets up a job, and what it is for.
    fn job(&mut self, stage: Stage, job: Job) -> Act {
        // Whatever else uses the operation buffer ends what it held of a delta's base.
        #[cfg(feature = "delta")]
        if !matches!(job, Job::Fetch(_)) {
            self.bench.mem.delta.window = None;
        }
        self.stage = stage;
        self.job = job;
        Act::Job
    }

    /// Keeps what a job found.
    #[inline(never)]
    fn collect(&mut self, result: &Result<(), Refusal>) {
        match core::mem::replace(&mut self.job, Job::Rest) {
            Job::Hash(hash) => self.readback = result.is_ok().then(|| hash.finish()),
            Job::Load(load) => self.receipt = result.is_ok().then(|| load.finish()),
            Job::Record(_) if result.is_ok() => {
                self.marked = self.bench.state.as_ref().map(|state| state.step)
            }
            _ => {}
        }
    }

    fn end(&mut self, done: Result<Done, Refusal>) -> Step {
        self.stage = Stage::Start;
        if let Err(refusal) = done {
            // The same delta would go wrong in the same way.
            #[cfg(feature = "delta")]
            if self.intake.payload.delta && matches!(refusal, Refusal::BadDelta | Refusal::ImageDigest) {
                let candidate = self.bench.state.as_ref().and_then(|state| state.candidate);
                self.distrust = candidate.map(|candidate| candidate.release.manifest);
                self.written = None;
            }
            self.intake.stop();
            self.permitted = None;
            if !matches!(refusal, Refusal::Held | Refusal::SendAgain) {
                self.note_refusal(refusal);
            }
            if refusal == Refusal::Flash {
                self.close();
            }
        }
        Step::Done(done)
    }

    /// Counts a refusal, in RAM (I15).
    pub fn note_refusal(&mut self, refusal: Refusal) {
        self.rejections = self.rejections.saturating_add(1);
        self.last_refusal = Some(refusal.code());
    }

    /// Forgets what was read: RAM may be ahead of flash.
    fn close(&mut self) {
        self.open = false;
        self.bench.log.close();
        self.bench.state = None;
        self.marked = None;
        self.written = None;
        self.intake.stop();
        self.permitted = None;
    }

    fn decide(&mut self, result: Result<(), Refusal>) -> Act {
        match self.stage {
            Stage::Provision(stage) => self.provisioning(stage, result),
            Stage::Links(stage) => self.links_went_on(stage, result),
            Stage::Payload(stage) => self.payload_went_on(stage, result),
            // Curves are computed: nothing else of the head's stands on the stack meanwhile.
            Stage::Applying => self.apply(result),
            Stage::Head(stage) => self.head_went_on(stage, result),
            _ => self.decide_boot(result),
        }
    }

    fn decide_boot(&mut self, result: Result<(), Refusal>) -> Act {
        match self.stage {
            Stage::Start => self.open_or_begin(),
            Stage::Scanning => self.scanned(result),
            Stage::Rooting { again } => self.rooted(result, again),
            Stage::Loading(who) => self.loaded(who, result),
            Stage::Hashing(who) => self.hashed(who, result),
            _ if result.is_err() => Act::End(Err(Refusal::Flash)),
            Stage::Begin => Act::Begin,
            Stage::Go => self.go(),
            Stage::Marking => self.move_block(),
            Stage::Moving => self.moved(),
            Stage::Ending(done) => Act::End(done),
            Stage::Provision(_) | Stage::Links(_) | Stage::Payload(_) | Stage::Head(_) | Stage::Applying => {
                Act::End(Err(Refusal::NotInService))
            }
        }
    }

    fn open_or_begin(&mut self) -> Act {
        if self.open && self.task != Task::Provision {
            return Act::Begin;
        }
        self.close();
        self.job(Stage::Scanning, Job::Scan(Scan::new()))
    }

    fn scanned(&mut self, result: Result<(), Refusal>) -> Act {
        match (result, self.task) {
            (Ok(()), Task::Provision) => Act::End(Err(Refusal::AlreadyProvisioned)),
            (Err(_), Task::Provision) => Act::Begin,
            (Err(_), Task::Boot { .. }) => self.service(Refusal::NotProvisioned),
            (Err(_), _) => Act::End(Err(Refusal::NotProvisioned)),
            (Ok(()), _) => self.load(Stage::Rooting { again: false }, self.root_cell()),
        }
    }

    fn root_cell(&self) -> Cell {
        self.bench.state.as_ref().map_or(0, |state| state.root.cell)
    }

    fn load(&mut self, stage: Stage, cell: Cell) -> Act {
        self.job(stage, Job::Load(Load::new(self.bench.layout.cell_at(cell))))
    }

    /// The trusted root, or v's receipt, which may hold the same one. Without any, nothing more is admitted.
    #[inline(never)]
    fn rooted(&mut self, result: Result<(), Refusal>, again: bool) -> Act {
        let Some(state) = self.bench.state.as_ref() else { return Act::End(Err(Refusal::NotProvisioned)) };
        let digest = crate::verify::sha256(self.bench.mem.docs.loaded_root());
        let (cell, degraded) = (state.confirmed.cell, state.degraded);
        if result.is_ok() && digest == state.root.digest {
            self.bench.mem.docs.adopt_loaded_root();
        } else if !again {
            return self.load(Stage::Rooting { again: true }, cell);
        } else {
            self.bench.mem.docs.root_length = 0;
        }
        self.open = true;
        self.damaged |= degraded;
        self.runs &= !degraded;
        if self.bench.log.is_sealed() { Act::Begin } else { self.save(Stage::Begin) }
    }

    fn begin(&mut self) -> Act {
        match self.task {
            Task::Intake => self.piece(),
            Task::Save(outcome) => {
                self.intake.rewind();
                self.save(Stage::Ending(Ok(Done::Outcome(outcome))))
            }
            Task::Provision => self.provision(),
            Task::Open | Task::Boot { .. } => self.begin_boot(),
        }
    }

    fn begin_boot(&mut self) -> Act {
        match self.task {
            Task::Open => Act::End(Ok(Done::Opened)),
            Task::Boot { cause, counter } => self.count_and_go(cause, counter),
            Task::Intake | Task::Save(_) | Task::Provision => Act::End(Err(Refusal::NotInService)),
        }
    }

    /// Writes the state, then goes on with `stage`.
    ///
    /// In a direct layout the record itself is the move: the slots change roles with it. That is the bootloader's part; the
    /// application still runs from the slot it is in.
    #[inline(never)]
    fn save(&mut self, stage: Stage) -> Act {
        let direct = self.bench.layout.is_direct() && matches!(stage, Stage::Go);
        if let Some(state) = self.bench.state.as_mut().filter(|state| direct && state.phase.moves()) {
            state.flipped = !state.flipped;
            state.arrive();
        }
        self.job(stage, Job::Record(Record::new()))
    }

    fn root_document(&self) -> Result<RootDocument<'_>, Refusal> {
        Ok(RootDocument::parse(self.bench.mem.docs.root())?)
    }

    /// Verifies the head in RAM, under the root of the receipt just loaded or the present one.
    fn verify_head(&self, own_root: bool) -> Result<Authentic, Refusal> {
        let docs = &self.bench.mem.docs;
        let root = if own_root { docs.loaded_root() } else { docs.root() };
        Authentic::of(docs.manifest(), docs.signatures(), root)
    }

    /// What the release with this manifest is judged against.
    #[inline(never)]
    fn facts<'s>(&'s self, state: &'s State, manifest: &Digest) -> Facts<'s> {
        let consent = match state.approval.filter(|approval| approval.manifest == *manifest) {
            Some(Approval { by_owner: true, .. }) => Consent::Owner,
            Some(_) => Consent::Local,
            None => Consent::None,
        };
        // What a patch ends a failing trial for goes in once the slots are back in their roles.
        let reverts = matches!(state.phase, Phase::Trial { .. });
        Facts {
            hardware: state.hardware,
            v: self.standing(state),
            on: self.situation(state, consent),
            failures: &state.failures,
            primary: self.slot_if(Region::Primary, reverts),
            secondary: self.slot_if(Region::Secondary, reverts),
        }
    }

    /// The slot that holds what runs: after [`Boot::Run`], the one to jump into. `None` before the state was read.
    pub fn primary_slot(&self) -> Option<Slot> {
        self.bench.state.as_ref().map(|_| self.slot(Region::Primary))
    }

    fn slot(&self, role: Region) -> Slot {
        self.slot_if(role, false)
    }

    /// The slot that plays a role, now or once roles are exchanged.
    fn slot_if(&self, role: Region, exchanged: bool) -> Slot {
        let flipped = self.bench.is_flipped() != (exchanged && self.bench.layout.is_direct());
        self.bench.layout.slot(role, flipped, self.config.address)
    }

    fn standing(&self, state: &State) -> Standing {
        Standing { version: state.confirmed.version, images: state.confirmed.images, damaged: self.damaged }
    }

    fn situation(&self, state: &State, consent: Consent) -> Situation {
        Situation { policy: state.policy, anchored: state.anchor.is_some(), runs: self.runs, consent }
    }
}
