//! Drivers: they perform operations and feed the watchdog, and decide nothing.
//!
//! [`Device`] blocks; [`AsyncDevice`] awaits. Both are the same lines.

use crate::engine::requests::Change;
use crate::engine::{Boot, Cause, Config, Done, Engine, Factory, Step, Task, Window};
use crate::io::Op;
use crate::layout::{Layout, Slot};
use crate::media::{AsyncMedia, Media, MediaError};
use crate::service::{self, Answer, Application, OUT, Served, is_request};
use patchlane_protocol::link::{Command, Outcome};
use patchlane_protocol::owner::Action;
use patchlane_protocol::status::CounterState;
use patchlane_protocol::{Digest, Policy, PublicKey, Refusal, Status};

/// Something that resets the device unless it is fed.
///
/// The contract: the bootloader arms it before it jumps, with a time that covers the application's start; the
/// application feeds it, and on trial only once its own checks pass. The engine feeds it between flash operations; a
/// driver whose single erase may take longer than the watchdog's time feeds it meanwhile.
pub trait Watchdog {
    /// Starts it; it can't be stopped.
    fn arm(&mut self);
    /// Puts off the reset.
    fn feed(&mut self);
}

/// For parts without a watchdog: a trial that hangs is then only ended by hand.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWatchdog;

impl Watchdog for NoWatchdog {
    fn arm(&mut self) {}
    fn feed(&mut self) {}
}

/// A counter that only goes up, outside the state region: fuses, a secure element, RPMB.
pub trait MonotonicCounter {
    /// True if the part has one; one that can't be read is reported then, and blocks nothing.
    fn exists(&self) -> bool {
        true
    }
    /// What it reads; `None` if it can't be read or the part has none.
    fn read(&mut self) -> Option<u32>;
    /// Raises it to `level` if it can express that; returns what it reads now.
    fn raise(&mut self, level: u32) -> Option<u32>;
}

/// For parts without one.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCounter;

impl MonotonicCounter for NoCounter {
    fn exists(&self) -> bool {
        false
    }
    fn read(&mut self) -> Option<u32> {
        None
    }
    fn raise(&mut self, _: u32) -> Option<u32> {
        None
    }
}

macro_rules! device {
    ($(#[$meta:meta])* $name:ident, $media:ident, [$($asynchronous:tt)?], [$($wait:tt)*]) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name<M, W = NoWatchdog, C = NoCounter> {
            engine: Engine,
            /// The flash.
            pub media: M,
            /// The watchdog.
            pub watchdog: W,
            /// The monotonic counter.
            pub counter: C,
        }

        impl<M: $media, W: Watchdog, C: MonotonicCounter> $name<M, W, C> {
            /// A device that has just restarted.
            #[inline(always)]
            pub fn new(layout: Layout, config: Config, media: M, watchdog: W, counter: C) -> Self {
                Self { engine: Engine::new(layout, config), media, watchdog, counter }
            }

            /// The slot that holds what runs: after [`Boot::Run`], the one to jump into. In a layout that moves images it
            /// is always the primary region; in a direct one it is what the record says.
            pub fn primary_slot(&self) -> Option<Slot> {
                self.engine.primary_slot()
            }

            /// Where to jump after [`Boot::Run`], right before it is done: `address`, which is where the image in the
            /// primary slot begins; or the last address there is, where no code lies. Whether that image is the one that
            /// was signed is asked once more, and the answer is an address and not a branch: a processor that a glitch
            /// makes pass over one instruction, here or in the bootloader itself, doesn't get into what wasn't verified.
            pub fn entry(&self, address: usize) -> usize {
                self.engine.entry(address)
            }

            /// The engine, to ask it things.
            pub const fn engine(&self) -> &Engine {
                &self.engine
            }

            async_if! { [$($asynchronous)?]
            /// Performs one task.
            fn run(&mut self, task: Task) -> Result<Done, Refusal> {
                self.engine.start(task);
                self.operate(Engine::next)$($wait)*
            }}

            async_if! { [$($asynchronous)?]
            /// Performs operations until the task has ended.
            fn operate(
                &mut self,
                next: impl Fn(&mut Engine, Result<(), MediaError>) -> Step,
            ) -> Result<Done, Refusal> {
                let mut last = Ok(());
                loop {
                    self.watchdog.feed();
                    last = match next(&mut self.engine, last) {
                        Step::Done(done) => return done,
                        Step::Op(Op::Read { region, at, length }) => {
                            self.media.read(region, at, self.engine.buffer(length))$($wait)*
                        }
                        Step::Op(Op::Erase { region, at, length }) => {
                            self.media.erase(region, at, length)$($wait)*
                        }
                        Step::Op(Op::Write { region, at, length }) => {
                            self.media.write(region, at, self.engine.buffer(length))$($wait)*
                        }
                    };
                }
            }}

            async_if! { [$($asynchronous)?]
            /// Decides what boots, moves blocks if need be, and arms the watchdog if something runs.
            ///
            /// # Errors
            /// `Flash`: restart, and it is tried again.
            pub fn boot(&mut self, cause: Cause) -> Result<Boot, Refusal> {
                let counter = self.counter.read();
                let done = self.run(Task::Boot { cause, counter })$($wait)*;
                self.booted(done)
            }}

            async_if! { [$($asynchronous)?]
            /// As `boot`, for a bootloader that takes no bundles and serves no link: the application does. A program
            /// that calls nothing else of the device holds no code for it.
            ///
            /// # Errors
            /// `Flash`: restart, and it is tried again.
            pub fn boot_only(&mut self, cause: Cause) -> Result<Boot, Refusal> {
                let counter = self.counter.read();
                self.engine.start(Task::Boot { cause, counter });
                let done = self.operate(Engine::next_of_boot)$($wait)*;
                self.booted(done)
            }}

            /// What runs is watched from here on.
            fn booted(&mut self, done: Result<Done, Refusal>) -> Result<Boot, Refusal> {
                match done {
                    Ok(Done::Boot(boot)) => {
                        if let Boot::Run(_) = boot {
                            self.raise();
                            self.watchdog.arm();
                        }
                        Ok(boot)
                    }
                    Ok(_) => Err(Refusal::NotInService),
                    Err(refusal) => Err(refusal),
                }
            }

            async_if! { [$($asynchronous)?]
            /// Reads the state, unless it was read since the last reset or flash error.
            ///
            /// # Errors
            /// `NotProvisioned`, `Flash`.
            pub fn open(&mut self) -> Result<(), Refusal> {
                if !self.engine.is_open() {
                    self.run(Task::Open)$($wait)*?;
                    self.raise();
                }
                Ok(())
            }}

            async_if! { [$($asynchronous)?]
            /// What the device says about itself.
            ///
            /// # Errors
            /// As `open`.
            pub fn status(&mut self) -> Result<Status, Refusal> {
                self.open()$($wait)*?;
                self.engine.status()
            }}

            async_if! { [$($asynchronous)?]
            /// Announces a bundle and returns the offset wanted first.
            ///
            /// # Errors
            /// As `open`.
            pub fn begin(&mut self) -> Result<u32, Refusal> {
                self.open()$($wait)*?;
                self.engine.begin_transfer();
                Ok(0)
            }}

            async_if! { [$($asynchronous)?]
            /// Takes bytes of the bundle file, in any split. Bytes from an offset that isn't wanted change nothing;
            /// the answer says which one is.
            ///
            /// # Errors
            /// The rule that the bundle breaks; the transfer is over then. `NotInService` if none is under way.
            pub fn push(&mut self, offset: u32, bytes: &[u8]) -> Result<Done, Refusal> {
                let (mut offset, mut rest) = (offset, bytes);
                loop {
                    let taken = self.engine.offer(offset, rest);
                    let want = self.engine.want().ok_or(Refusal::NotInService)?;
                    if !self.engine.has_piece() {
                        return Ok(Done::Want(want));
                    }
                    match self.run(Task::Intake)$($wait)*? {
                        Done::Want(_) => {}
                        done => {
                            self.raise();
                            return Ok(done);
                        }
                    }
                    offset = offset.saturating_add(u32::try_from(taken).unwrap_or(u32::MAX));
                    rest = rest.get(taken..).unwrap_or(&[]);
                    if rest.is_empty() || self.engine.want() != Some(offset) {
                        return self.engine.want().map(Done::Want).ok_or(Refusal::NotInService);
                    }
                }
            }}

            async_if! { [$($asynchronous)?]
            /// Makes a request's change last.
            fn keep(&mut self, change: Result<Change, Refusal>) -> Result<Outcome, Refusal> {
                match change {
                    Ok(Change::Nothing) => Ok(Outcome::Done),
                    Ok(Change::Save) => {
                        self.run(Task::Save(Outcome::Done))$($wait)*?;
                        self.raise();
                        Ok(Outcome::Done)
                    }
                    Err(refusal) => {
                        self.engine.note_refusal(refusal);
                        Err(refusal)
                    }
                }
            }}

            async_if! { [$($asynchronous)?]
            /// The application says that the release it is works; returns when the record was read back.
            ///
            /// # Errors
            /// As `open`.
            pub fn confirm(&mut self) -> Result<Outcome, Refusal> {
                self.open()$($wait)*?;
                let change = self.engine.healthy();
                self.keep(change)$($wait)*
            }}

            async_if! { [$($asynchronous)?]
            /// The application says that it can't work. Restart afterwards.
            ///
            /// # Errors
            /// As `open`.
            pub fn fail(&mut self) -> Result<Outcome, Refusal> {
                self.open()$($wait)*?;
                let change = self.engine.failing();
                self.keep(change)$($wait)*
            }}

            async_if! { [$($asynchronous)?]
            /// Opens or closes the window in which what is staged may go in. Afterwards
            /// [`Engine::needs_restart`] says whether a restart would install something.
            ///
            /// # Errors
            /// As `open`.
            pub fn window(&mut self, window: Window) -> Result<Outcome, Refusal> {
                self.open()$($wait)*?;
                let change = self.engine.window(window);
                self.keep(change)$($wait)*
            }}

            async_if! { [$($asynchronous)?]
            /// A request about a release, which the application has granted.
            ///
            /// # Errors
            /// The rule that it breaks.
            pub fn local(&mut self, action: Action, manifest: &Digest) -> Result<Outcome, Refusal> {
                self.open()$($wait)*?;
                let change = self.engine.local(action, manifest);
                self.keep(change)$($wait)*
            }}

            async_if! { [$($asynchronous)?]
            /// A signed document of the owner.
            ///
            /// # Errors
            /// The rule that it breaks.
            #[inline(never)]
            pub fn owner(&mut self, document: &[u8]) -> Result<Outcome, Refusal> {
                self.open()$($wait)*?;
                let change = self.engine.owner(document);
                self.keep(change)$($wait)*
            }}

            async_if! { [$($asynchronous)?]
            /// A policy, which the application has granted; only while no owner exists.
            ///
            /// # Errors
            /// `OwnerSignature`.
            pub fn set_policy(&mut self, policy: Policy) -> Result<Outcome, Refusal> {
                self.open()$($wait)*?;
                let change = self.engine.set_policy(policy);
                self.keep(change)$($wait)*
            }}

            async_if! { [$($asynchronous)?]
            /// An owner anchor, which the application has granted; only while none exists.
            ///
            /// # Errors
            /// `OwnerSignature`, `VendorKeyAsOwner`.
            pub fn set_anchor(&mut self, key: PublicKey) -> Result<Outcome, Refusal> {
                self.open()$($wait)*?;
                let change = self.engine.set_anchor(key);
                self.keep(change)$($wait)*
            }}

            async_if! { [$($asynchronous)?]
            /// Writes the first state of a device; its image has to lie in the primary slot already.
            ///
            /// # Errors
            /// `AlreadyProvisioned`, and as [`Engine::factory`].
            pub fn provision(
                &mut self,
                root: &[u8],
                manifest: &[u8],
                signatures: &[u8],
                factory: Factory,
            ) -> Result<(), Refusal> {
                self.engine.factory(root, manifest, signatures, factory)?;
                self.run(Task::Provision)$($wait)*.map(|_| ())
            }}

            async_if! { [$($asynchronous)?]
            /// Performs a command of the service link.
            fn perform(&mut self, command: Command<'_>) -> Result<Answer, Refusal> {
                match command {
                    Command::Status => self.open()$($wait)*.map(|()| Answer::Status),
                    Command::Begin => self.begin()$($wait)*.map(Answer::Want),
                    Command::Data { offset, bytes } => {
                        self.push(offset, bytes)$($wait)*.map(|done| match done {
                            Done::Want(offset) => Answer::Want(offset),
                            Done::Outcome(outcome) => Answer::Outcome(outcome),
                            Done::Opened | Done::Boot(_) => Answer::Refused(Refusal::NotInService),
                        })
                    }
                    Command::Reboot => Ok(Answer::Restart),
                    Command::Owner(document) => self.owner(document)$($wait)*.map(Answer::Outcome),
                    other @ (Command::Local { .. } | Command::SetPolicy(_) | Command::SetAnchor(_)) => {
                        self.request(other)$($wait)*.map(Answer::Outcome)
                    }
                }
            }}

            async_if! { [$($asynchronous)?]
            /// Performs what the application granted. What it needs isn't on the stack while signatures are verified.
            #[inline(never)]
            fn request(&mut self, command: Command<'_>) -> Result<Outcome, Refusal> {
                match command {
                    Command::Local { action, manifest } => self.local(action, &manifest)$($wait)*,
                    Command::SetPolicy(policy) => self.set_policy(policy)$($wait)*,
                    Command::SetAnchor(key) => self.set_anchor(key)$($wait)*,
                    _ => Err(Refusal::NotInService),
                }
            }}

            async_if! { [$($asynchronous)?]
            /// Answers one frame of the service link: `content` is what the deframer yields.
            pub fn serve<'o>(
                &mut self,
                content: &[u8],
                application: &mut impl Application,
                out: &'o mut [u8; OUT],
            ) -> Served<'o> {
                let answer = self.answer(content, application)$($wait)*;
                service::reply(answer, &self.engine, out)
            }}

            async_if! { [$($asynchronous)?]
            /// The first half of `serve`, for parts whose RAM has no room for a reply while a head is verified:
            /// [`service::reply`] writes it afterwards.
            pub fn answer(&mut self, content: &[u8], application: &mut impl Application) -> Answer {
                let answer = match Command::parse(content) {
                    Err(error) => Err(error.into()),
                    Ok(command) if is_request(&command) && !application.grants(&command) => {
                        Err(Refusal::NotGranted)
                    }
                    Ok(command) => self.perform(command)$($wait)*,
                };
                answer.unwrap_or_else(Answer::Refused)
            }}

            /// Raises the counter to the floor, once a record of this session holds it: record first, counter second.
            fn raise(&mut self) {
                let Some(reads) = self.counter.read() else {
                    if self.counter.exists() {
                        self.engine.note_counter(CounterState::CannotExpress);
                    }
                    return;
                };
                let Some(state) = self.engine.state() else { return };
                let level = state.confirmed.version.security.level();
                let now = match self.engine.counter_floor() {
                    Some(floor) if reads < floor => self.counter.raise(floor).unwrap_or(reads),
                    _ => reads,
                };
                self.engine.note_counter(match now.cmp(&level) {
                    core::cmp::Ordering::Equal => CounterState::Raised,
                    core::cmp::Ordering::Less => CounterState::CannotExpress,
                    core::cmp::Ordering::Greater => CounterState::Above,
                });
            }
        }
    };
}

/// Puts `async` before a function if its driver is asynchronous.
macro_rules! async_if {
    ([async] $(#[$meta:meta])* pub fn $($rest:tt)*) => { $(#[$meta])* pub async fn $($rest)* };
    ([async] $(#[$meta:meta])* fn $($rest:tt)*) => { $(#[$meta])* async fn $($rest)* };
    ([] $($rest:tt)*) => { $($rest)* };
}

device!(
    /// A device on blocking flash.
    Device, Media, [], []
);
device!(
    /// A device on asynchronous flash.
    AsyncDevice, AsyncMedia, [async], [.await]
);
