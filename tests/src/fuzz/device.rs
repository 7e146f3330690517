//! A whole device, whatever anyone does to it and whenever power fails, beside an operator who remembers what it said.
//!
//! What the operator holds it to: v never falls, nor root, serial and counter; what runs is a release that was sent,
//! whole; what the device said is staged is still there until it runs, fails, or somebody did what may displace it; an
//! approval and what is held likewise; flash is treated well; and in the end a patch nobody has seen yet gets in.

use super::Choices;
use crate::sim::cases::SMALL;
use crate::sim::device::CONFIG;
use crate::sim::sweep::{Geometry, uniform};
use crate::sim::world::{PRODUCT, Release, Roles, factory, image, key};
use crate::sim::{Cut, SimDevice, Torn, When, direct};
use patchlane::owner::sign;
use patchlane_device::state::{Phase, State};
use patchlane_device::{Boot, Cause, Config, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::{Action, Target};
use patchlane_protocol::{
    Digest, FeaturePolicy, Kind, OwnerDocument, Policy, Refusal, Request, SecurityPolicy, Version,
};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Steps of one input, at most.
const STEPS: usize = 24;
/// Rounds until a device counts as stuck.
const PATIENCE: usize = 40;

/// A release, ready to be sent.
#[derive(Debug, Clone)]
struct Offer {
    manifest: Digest,
    /// The version of the root it was made under.
    root: u32,
    version: Version,
    bytes: Vec<u8>,
}

impl Offer {
    fn of(release: &Release) -> Self {
        let bundle = release.bundle();
        let bytes = bundle.to_bytes().expect("a bundle");
        Self { manifest: bundle.digest(), root: release.root, version: release.version, bytes }
    }
}

/// A device that left the factory, what may be sent to it, and what is kept for the end.
struct Setting {
    device: SimDevice,
    first: Digest,
    offers: Vec<Offer>,
    /// For each root version, patches of a level that is in no offer.
    last: [Vec<Offer>; 2],
}

/// The same release under root 2, which lists another security key; the link to it travels along.
fn rotated(release: Release) -> Release {
    let roles = Roles { version: 2, security: vec!["security 2"], ..Roles::default() };
    let signers = match release.kind {
        Kind::SecurityPatch => vec!["security 2"],
        Kind::FeatureUpdate => vec!["security 2", "feature"],
    };
    Release { root: 2, links: vec![roles.link(&["root"])], signers, ..release }
}

impl Setting {
    /// `made` makes a release's image of its seed.
    fn new(start: impl Fn(&Release) -> SimDevice, made: impl Fn(Release, u64) -> Release) -> Self {
        let patch = |line, level, seed| made(Release::patch(line, 1, level, Vec::new()), seed);
        let feature = |line, level, seed| made(Release::feature(line, 1, level, Vec::new()), seed);
        let first = patch(4, 7, 1);
        let mut edited = first.image.clone();
        edited.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x41);
        let mut delta =
            Release { image: edited, bases: vec![first.image.clone()], full: false, ..patch(4, 9, 1) };
        if !delta.linked.is_empty() {
            delta = patch(4, 9, 6);
        }
        let releases = [
            patch(4, 8, 2),
            feature(5, 7, 3),
            Release { payload: false, issued_at: 7, ..patch(4, 8, 1) },
            feature(5, 8, 4),
            Release { kind: Kind::FeatureUpdate, ..patch(4, 7, 1) },
            delta,
            rotated(patch(4, 9, 7)),
            patch(5, 9, 5),
            feature(6, 9, 8),
            feature(3, 9, 9),
        ];
        let last = [3, 4, 5, 6].map(|line| patch(line, 20, 10 + u64::from(line)));
        let turned = last.clone().map(rotated);
        let mut device = start(&first);
        releases.iter().chain(&last).chain(&turned).for_each(|release| device.expect(release));
        let mut offers: Vec<Offer> = releases.iter().map(Offer::of).collect();
        let mut damaged = offers[0].clone();
        let middle = damaged.bytes.len() / 2;
        damaged.bytes[middle] ^= 1;
        offers.push(damaged);
        let last = [last, turned].map(|patches| patches.iter().map(Offer::of).collect());
        Self { device, first: first.digest(), offers, last }
    }

    /// Images that are moved.
    fn moved(geometry: [Geometry; 3], config: Config, size: usize, policy: Policy, owned: bool) -> Self {
        let made = |release: Release, seed: u64| Release {
            image: image(seed, size - 13 * seed as usize),
            ..release
        };
        Self::new(
            |first| SimDevice::with(config, geometry, first, factory(policy, owned), 1, Torn::Stable),
            made,
        )
    }
}

static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let under = |feature| Policy { security: SecurityPolicy::ApplyInWindow, feature };
    let soaks = Config { soak: 2, ..CONFIG };
    let mut counted = Setting::moved(SMALL, soaks, 4800, under(FeaturePolicy::Local), false);
    (counted.device.machine.counter.value, counted.device.machine.counter.most) = (Some(0), 8);
    let [geometry, ..] = direct::GEOMETRIES else { unreachable!("there are some") };
    vec![
        Setting::moved(SMALL, CONFIG, 6000, under(FeaturePolicy::OwnerKey), true),
        Setting::moved(uniform(8, 4096, 8, 1), CONFIG, 1900, under(FeaturePolicy::Auto), true),
        counted,
        Setting::new(
            |first| direct::device(geometry.1, first, 0),
            |release, seed| direct::linked(release, &geometry.1, seed),
        ),
    ]
});

/// What the operator remembers.
#[derive(Debug, Default)]
struct Memory {
    floor: Option<State>,
    /// Manifests of what was ever sent.
    sent: BTreeSet<Digest>,
    promised: Option<Digest>,
    held: Option<Digest>,
    approved: Option<Digest>,
    /// A bit of what runs flipped: from then on nothing may run.
    rotten: bool,
}

/// A device, its operator, and what is between them.
struct World<'a> {
    setting: &'a Setting,
    device: SimDevice,
    memory: Memory,
    serial: u64,
}

/// An input: which device, how torn words read, how they tear; then what happens.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (setting, torn) = (choices.of(&SETTINGS[..]), *choices.of(&Torn::ALL));
    let device = setting.device.fork(u64::from(choices.byte()), torn);
    let memory = Memory { sent: BTreeSet::from([setting.first]), ..Memory::default() };
    let mut world = World { setting, device, memory, serial: 0 };
    world.start(Cause::PowerOn);
    for _ in 0..STEPS {
        if choices.is_empty() {
            break;
        }
        world.step(&mut choices);
        world.judge();
    }
    world.ends_well();
}

impl World<'_> {
    fn start(&mut self, cause: Cause) {
        if self.device.power.is_off() {
            self.device.power.restore();
        }
        let booted = self.device.restart(cause);
        if let (Some(Boot::Service(reason)), false) = (booted, self.memory.rotten) {
            panic!("nothing runs: it {reason}; {:?}", self.device.machine.engine().state());
        }
    }

    /// One thing that someone does, or that happens.
    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 12 {
            0 | 1 => {
                let offer = choices.of(&self.setting.offers);
                let split = *choices.of(&[512, 64, 700, 33]);
                self.push(offer, split);
            }
            2 => {
                let offer = choices.of(&self.setting.offers);
                let length = offer.bytes.len() * usize::from(choices.byte()) / 256;
                self.sends(offer);
                let _ = self.device.push(&offer.bytes[..length], 512);
            }
            3 => {
                let causes = [Cause::PowerOn, Cause::Requested, Cause::Watchdog, Cause::Fault];
                self.start(*choices.of(&causes));
            }
            4 => drop(self.device.machine.confirm()),
            5 => drop(self.device.machine.fail()),
            6 => {
                let window = *choices.of(&[Window::Open, Window::Closed, Window::Overdue]);
                let _ = self.device.machine.window(window);
            }
            7 | 8 => self.asks(choices),
            9 => {
                let at = choices.below(300) as u64;
                self.device.power.plan(Cut { at, when: *choices.of(&When::ALL) });
            }
            10 => self.policy(choices),
            _ if choices.byte() == 0xee => self.rots(choices.short()),
            _ => drop(self.device.machine.status()),
        }
    }

    /// True if the bit that flipped may be of what waits: a start may find that it isn't what was accepted. Where images
    /// are moved, what waits lies elsewhere.
    fn is_spoilt(&self) -> bool {
        self.memory.rotten && self.device.machine.media.layout().is_direct()
    }

    /// A bit flips in the first bank.
    fn rots(&mut self, at: usize) {
        self.memory.rotten = true;
        self.memory.promised = self.memory.promised.filter(|_| !self.is_spoilt());
        let bank = &mut self.device.machine.media.primary;
        bank.rot(at % bank.length(), 3);
    }

    /// What an operator who sends this gives up: a promise of something that it may displace.
    fn sends(&mut self, offer: &Offer) {
        self.memory.sent.insert(offer.manifest);
        let other = |promise: &Digest| *promise == offer.manifest;
        self.memory.promised = self.memory.promised.filter(|p| other(p) || !self.may_displace(offer, p));
        self.memory.held = self.memory.held.filter(|p| other(p) || !self.may_displace(offer, p));
    }

    /// True if an offer could go before another: a patch before a feature update, more fixes before fewer. Of two with the
    /// same fixes either may, for all that is remembered here.
    fn may_displace(&self, offer: &Offer, promised: &Digest) -> bool {
        let all = self.setting.offers.iter().chain(self.setting.last.iter().flatten());
        let Some(promised) = all.clone().find(|o| o.manifest == *promised) else { return true };
        let v = self.memory.floor.map_or(promised.version.feature, |floor| floor.confirmed.version.feature);
        let repairs =
            self.memory.rotten && self.memory.floor.is_some_and(|f| f.confirmed.version == offer.version);
        let moves = |o: &Offer| o.version.feature != v;
        match (moves(offer), moves(promised)) {
            _ if repairs => true,
            (true, false) => false,
            (false, true) => true,
            _ => offer.version.security.level() >= promised.version.security.level(),
        }
    }

    fn push(&mut self, offer: &Offer, split: usize) {
        self.sends(offer);
        let answer = self.device.push(&offer.bytes, split);
        if self.device.power.is_off() {
            return;
        }
        match answer {
            Ok(Outcome::Staged | Outcome::Ready) if !self.is_spoilt() => {
                self.memory.promised = Some(offer.manifest);
            }
            Err(Refusal::Held) => {
                let held = self.device.machine.engine().state().and_then(|state| state.held);
                // Something of higher rank may be held already.
                self.memory.held = held.map(|held| held.manifest).or(self.memory.held);
            }
            _ => {}
        }
    }

    /// A request about one release: of the owner, signed, or of someone on the spot.
    fn asks(&mut self, choices: &mut Choices<'_>) {
        let (bits, action) = (choices.byte(), *choices.of(Action::ALL));
        let manifest = choices.of(&self.setting.offers).manifest;
        let ends = matches!(action, Action::Withdraw | Action::Revert);
        if ends {
            self.memory.promised = self.memory.promised.filter(|promised| *promised != manifest);
            self.memory.held = self.memory.held.filter(|held| *held != manifest);
        }
        if ends || action == Action::Approve {
            self.memory.approved = None;
        }
        let answer = if bits & 1 == 0 {
            let serial = if bits & 2 == 0 { self.serial + 1 } else { self.serial.max(1) };
            let request = Request::Release { action, manifest };
            self.owner(serial, request)
        } else {
            self.device.machine.local(action, &manifest)
        };
        if answer.is_ok() && action == Action::Approve && !self.device.power.is_off() {
            self.memory.approved = Some(manifest);
        }
    }

    fn owner(&mut self, serial: u64, request: Request) -> Result<Outcome, Refusal> {
        self.serial = self.serial.max(serial);
        let document = OwnerDocument { product: PRODUCT, target: Target::All, serial, request };
        let signed = sign(&document, &[&key("owner")]).expect("a document");
        self.device.machine.owner(&signed)
    }

    fn policy(&mut self, choices: &mut Choices<'_>) {
        let security = *choices.of(SecurityPolicy::ALL);
        let policy = Policy { security, feature: *choices.of(FeaturePolicy::ALL) };
        let _ = if choices.flag() {
            self.owner(self.serial + 1, Request::Policy(policy))
        } else {
            self.device.machine.set_policy(policy)
        };
    }

    /// Holds it to what it said. Without power there is nothing to say; what is said after the next start counts.
    fn judge(&mut self) {
        let violations = self.device.power.violations();
        assert!(violations.is_empty(), "flash rules broken: {violations:?}");
        if self.device.power.is_off() || self.device.booted.is_none() {
            self.start(Cause::PowerOn);
        }
        if self.device.machine.open().is_err() {
            // A torn word under its nose, or power that failed now: a start clears it up.
            self.device.power.restore();
            self.start(Cause::PowerOn);
        }
        if self.device.machine.open().is_err() {
            assert!(self.device.power.is_off(), "its state can't be read with power on");
            return;
        }
        let Some(state) = self.device.machine.engine().state().copied() else { panic!("no state") };
        self.compare(&state);
    }

    fn compare(&mut self, state: &State) {
        let v = &state.confirmed;
        assert!(self.memory.sent.contains(&v.manifest), "{} is confirmed, and nobody sent it", v.version);
        if let Some(floor) = &self.memory.floor {
            let was = &floor.confirmed.version;
            assert!(v.version.security.loses_nothing_of(&was.security), "{was} was v, and now {}", v.version);
            assert!(
                state.root.version >= floor.root.version && state.serial >= floor.serial,
                "root or serial sank"
            );
        }
        let counter = self.device.machine.counter.value;
        assert!(
            counter.is_none_or(|counter| counter <= v.version.security.level()),
            "{counter:?}, {}",
            v.version
        );
        let candidate = state.candidate.map(|candidate| candidate.release);
        let there = |promise: &Digest| candidate.is_some_and(|release| release.manifest == *promise);
        if let Some(promise) =
            self.memory.promised.filter(|promise| !there(promise) && *promise != v.manifest)
        {
            let failed = state.failures.iter().any(|f| f.manifest == promise && f.count > 0);
            assert!(failed || self.has_ended(&promise, state), "an accepted update was lost: {state:?}");
        }
        if let Some(promise) = self.memory.held {
            let held = state.held.is_some_and(|held| held.manifest == promise);
            assert!(held || there(&promise) || promise == v.manifest, "what it held is forgotten: {state:?}");
        }
        let confirms = self.memory.floor.is_none_or(|floor| floor.confirmed != state.confirmed);
        if let Some(promise) = self.memory.approved.filter(|_| !confirms) {
            assert!(
                state.approval.is_some_and(|approval| approval.manifest == promise),
                "an approval was lost"
            );
        }
        // On its way back from a trial that failed, and counted: someone may clear the count before it is back.
        let returns = |promise: &Digest| {
            state.phase == Phase::Revert
                && state.failures.iter().any(|f| f.manifest == *promise && f.count > 0)
        };
        let memory = &mut self.memory;
        // From here on it is held to what it made of its word.
        memory.promised = memory.promised.filter(|promise| there(promise) && !returns(promise));
        memory.held = memory.held.filter(|promise| state.held.is_some_and(|held| held.manifest == *promise));
        memory.approved = memory.approved.filter(|_| !confirms);
        memory.floor = Some(*state);
    }

    /// True if what was promised would lose a fix by now, or was signed by a key that a newer root revokes.
    fn has_ended(&self, promise: &Digest, state: &State) -> bool {
        let mut all = self.setting.offers.iter().chain(self.setting.last.iter().flatten());
        let v = &state.confirmed.version;
        all.find(|o| o.manifest == *promise).is_some_and(|o| {
            o.version == *v
                || !o.version.security.loses_nothing_of(&v.security)
                || o.root < state.root.version
        })
    }

    /// Whatever was done to it, a patch for what it runs gets in, under a policy that lets it.
    fn ends_well(&mut self) {
        self.device.power.unplan();
        self.start(Cause::PowerOn);
        if self.memory.rotten {
            return;
        }
        self.device.machine.open().expect("a state");
        let policy = self.device.machine.engine().state().map(|state| state.policy.security);
        if policy != Some(SecurityPolicy::ApplyInWindow) {
            return;
        }
        for _ in 0..PATIENCE {
            if self.round() {
                return;
            }
            self.judge();
        }
        panic!("stuck: {:?}, {:?}", self.device.booted, self.device.machine.engine().state());
    }

    /// One round of an operator who wants that patch in; true once it is.
    fn round(&mut self) -> bool {
        if self.device.machine.open().is_err() {
            return false;
        }
        let Some(state) = self.device.machine.engine().state().copied() else { panic!("no state") };
        if state.confirmed.version.security.level() == 20 {
            return true;
        }
        if self.device.machine.engine().needs_restart() {
            self.start(Cause::Requested);
            return false;
        }
        match state.phase {
            Phase::Trial { .. } => drop(self.device.machine.confirm()),
            Phase::Soak { .. } => self.start(Cause::PowerOn),
            _ => {
                let line = state.confirmed.version.feature;
                let patches = &self.setting.last[if state.root.version > 1 { 1 } else { 0 }];
                let patch = patches.iter().find(|o| o.version.feature == line).expect("one for each line");
                if state.phase == Phase::Staged
                    && state.candidate.is_some_and(|c| c.release.manifest == patch.manifest)
                {
                    let _ = self.device.machine.window(Window::Open);
                } else {
                    self.push(patch, 512);
                }
            }
        }
        false
    }
}

/// A story for each device: patches, features, approvals, trials that fail, power that fails.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let stories: [(&str, &[u8]); 10] = [
        ("patch", &[0, 0, 0, 6, 0, 3, 1, 4]),
        ("patch-cut", &[9, 40, 0, 2, 0, 0, 0, 6, 0, 9, 30, 0, 3, 3, 1, 4, 9, 3, 0, 1, 3, 0]),
        ("feature-held", &[0, 1, 0, 7, 0, 0, 1, 0, 1, 0, 3, 1, 4]),
        ("no-payload", &[0, 2, 0, 3, 0]),
        ("delta", &[0, 5, 0, 6, 0, 3, 1, 4]),
        ("rotation", &[0, 0, 0, 0, 6, 0, 6, 0, 3, 1, 4]),
        ("failed-trial", &[0, 0, 0, 6, 0, 3, 1, 3, 2, 3, 2, 3, 2, 3, 0]),
        ("displaced", &[0, 3, 0, 2, 0, 128, 0, 0, 0, 6, 0, 3, 1, 4, 3, 0]),
        ("withdrawn", &[0, 0, 0, 8, 1, 2, 0, 0, 0, 0]),
        ("policy", &[10, 1, 3, 1, 0, 0, 0, 10, 3, 3, 0, 6, 0, 11, 0]),
    ];
    let mut seeds = Vec::new();
    for device in 0..SETTINGS.len() as u8 {
        for (number, (name, story)) in (0u8..).zip(stories) {
            let head = [device, number % 5, number];
            seeds.push((format!("device-{device}-{name}"), [&head[..], story].concat()));
        }
    }
    seeds
}
