//! Random walks: any mixture of genuine bundles, requests, restarts and power cuts, on the real device code.
//!
//! After every step: what runs is whole and known, no fix that was confirmed is ever lost (I2), flash rules hold. After
//! every walk an honest vendor's patch still goes in (I3, I7): nothing strands a device.

use patchlane::flash::{Cut, When, mix};
use patchlane_device::{Boot, Cause, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::Action;
use patchlane_protocol::status::Activity;
use patchlane_protocol::{FeaturePolicy, Kind, Policy, Refusal, SecurityPolicy, Version};
use patchlane_tests::sim::sweep::Geometry;
use patchlane_tests::sim::sweep::uniform;
use patchlane_tests::sim::world::{Release, Roles, approval, factory, image};
use patchlane_tests::sim::{SimDevice, Torn};

const GEOMETRY: [Geometry; 3] = uniform(4, 4096, 8, 2);

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % sides
    }
}

/// One image for each version: the vendor's rule.
fn image_of(version: &Version) -> Vec<u8> {
    let seed = u64::from(version.feature.line) << 8 | u64::from(version.security.level());
    image(seed, 5000 + (seed as usize * 37) % 3000)
}

fn release(line: u16, level: u32, kind: Kind) -> Release {
    let mut release = Release::patch(line, 1, level, Vec::new());
    release.image = image_of(&release.version);
    release.kind = kind;
    release
}

/// Everything the vendor ever published, and a root in which the security key was replaced.
fn catalogue() -> Vec<Release> {
    let mut all = Vec::new();
    let next = Roles { version: 2, security: vec!["security 2"], ..Roles::default() };
    for line in [4, 5] {
        for level in 7..=10 {
            all.push(release(line, level, Kind::SecurityPatch));
            all.push(release(line, level, Kind::FeatureUpdate));
        }
        for level in 11..=12 {
            let links = vec![next.link(&["root"])];
            let renewed = Release { root: 2, links, ..release(line, level, Kind::SecurityPatch) };
            all.push(Release { signers: vec!["security 2"], ..renewed.clone() });
            let both = Release { kind: Kind::FeatureUpdate, ..renewed };
            all.push(Release { signers: vec!["security 2", "feature"], ..both });
        }
    }
    all
}

struct Walk {
    device: SimDevice,
    releases: Vec<(Release, Vec<u8>)>,
    /// The last version that the device confirmed to someone who waited for the answer.
    floor: Version,
    serial: u64,
}

impl Walk {
    fn begin(dice: &mut Dice, torn: Torn) -> Self {
        let policies = [SecurityPolicy::ApplyInWindow, SecurityPolicy::StageOnly];
        let features = [FeaturePolicy::Auto, FeaturePolicy::OwnerKey, FeaturePolicy::Local];
        let policy =
            Policy { security: policies[dice.roll(2) as usize], feature: features[dice.roll(3) as usize] };
        let first = release(4, 7, Kind::SecurityPatch);
        let mut device = SimDevice::new(GEOMETRY, &first, factory(policy, true), 1, Torn::Stable);
        let releases: Vec<_> = catalogue().into_iter().map(|r| (r.clone(), r.bytes())).collect();
        for (release, _) in &releases {
            device.expect(release);
        }
        let mut device = device.fork(dice.roll(u64::MAX), torn);
        device.restart(Cause::PowerOn);
        Self { device, releases, floor: first.version, serial: 0 }
    }

    fn pick(&self, dice: &mut Dice) -> usize {
        dice.roll(self.releases.len() as u64) as usize
    }

    fn step(&mut self, dice: &mut Dice) {
        if dice.roll(6) == 0 {
            let when = When::ALL[dice.roll(5) as usize];
            self.device.power.plan(Cut { at: dice.roll(40), when });
        }
        match dice.roll(12) {
            0..=3 => {
                let at = self.pick(dice);
                let bytes = self.releases[at].1.clone();
                let _ = self.device.push(&bytes, 700);
            }
            4 => {
                let at = self.pick(dice);
                let bytes = self.releases[at].1.clone();
                let part = dice.roll(bytes.len() as u64) as usize;
                let _ = self.device.push(&bytes[..part], 700);
            }
            5 | 6 => {
                let causes = [Cause::PowerOn, Cause::Requested, Cause::Watchdog, Cause::Fault];
                self.device.restart(causes[dice.roll(4) as usize]);
            }
            7 => drop(self.device.machine.confirm()),
            8 => drop(self.device.machine.fail()),
            9 => drop(self.device.machine.window(Window::Open)),
            10 => {
                let at = self.pick(dice);
                self.serial += 1;
                let digest = self.releases[at].0.digest();
                let _ = self.device.machine.owner(&approval(self.serial, digest));
            }
            _ => {
                let at = self.pick(dice);
                let actions = [Action::Apply, Action::Withdraw, Action::Revert, Action::Retry, Action::Keep];
                let digest = self.releases[at].0.digest();
                let _ = self.device.machine.local(actions[dice.roll(5) as usize], &digest);
            }
        }
        self.settle();
    }

    /// Power comes back; what is next is done; the promises are checked.
    fn settle(&mut self) {
        for _ in 0..8 {
            if self.device.power.is_off() || self.device.booted.is_none() {
                self.device.power.restore();
                self.device.restart(Cause::PowerOn);
            }
        }
        assert!(self.device.power.violations().is_empty(), "{:?}", self.device.power.violations());
        if self.device.power.is_off() {
            return;
        }
        let Ok(status) = self.device.machine.status() else {
            assert!(self.device.power.is_off(), "no status, and power is on: {:?}", self.device.booted);
            return;
        };
        let now = status.confirmed.version;
        assert!(now.security.loses_nothing_of(&self.floor.security), "{} was {}", now, self.floor);
        self.floor = now;
        assert!(
            !matches!(self.device.booted, Some(Boot::Service(_))),
            "nothing rots here, and yet nothing runs: {:?}",
            self.device.booted
        );
    }

    /// An honest vendor, and an operator who does what the device asks for.
    fn rescue(&mut self) {
        for _ in 0..60 {
            self.settle();
            if self.device.power.is_off() {
                continue;
            }
            let status = self.device.status();
            let line = status.confirmed.version.feature.line;
            let mut cure = release(line, 50, Kind::SecurityPatch);
            let next = Roles { version: 2, security: vec!["security 2"], ..Roles::default() };
            cure.root = 2;
            cure.links = vec![next.link(&["root"])];
            cure.signers = vec!["security 2"];
            self.device.expect(&cure);
            if status.confirmed.version == cure.version {
                return;
            }
            if self.device.machine.engine().needs_restart() {
                self.device.restart(Cause::Requested);
                if self.device.booted == Some(Boot::Run(Running::Trial)) {
                    // The cure works; whatever else is on trial is left to hang.
                    let cured = self.device.status().candidate.is_some_and(|c| c.version == cure.version);
                    if cured {
                        let _ = self.device.machine.confirm();
                    } else {
                        self.device.restart(Cause::Watchdog);
                    }
                }
                continue;
            }
            let on_trial = matches!(status.activity, Activity::Trial | Activity::Soak);
            if on_trial && status.candidate.is_some_and(|c| c.version == cure.version) {
                let _ = self.device.machine.confirm();
                continue;
            }
            match self.device.push(&cure.bytes(), 700) {
                Ok(Outcome::Staged) => {
                    let _ = self.device.machine.window(Window::Open);
                    let _ = self.device.machine.local(Action::Apply, &cure.digest());
                }
                Ok(_) => {}
                // A trial that the patch can't end runs into the watchdog.
                Err(Refusal::TrialPending) => drop(self.device.restart(Cause::Watchdog)),
                Err(Refusal::SendAgain) => drop(self.device.restart(Cause::Requested)),
                Err(_) if self.device.power.is_off() => {}
                Err(other) => {
                    panic!("an honest patch meets {other:?} in {:?}", self.device.machine.engine().state())
                }
            }
        }
        panic!("stuck: {:?} {:?}", self.device.booted, self.device.machine.engine().state());
    }
}

/// `PATCHLANE_WALKS` walks further; `PATCHLANE_CASE` takes the number of one walk, however far.
#[test]
fn random_walks_lose_nothing_and_strand_no_device() {
    let cases = patchlane_tests::cases!();
    let walks: u64 = std::env::var("PATCHLANE_WALKS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let (first, last) = cases.number().map_or((0, walks), |seed| (seed, seed.saturating_add(1)));
    let mut steps = 0;
    for seed in first..last {
        let Some(_trying) = cases.begin(seed) else { continue };
        let mut dice = Dice(seed);
        let torn = Torn::ALL[(seed % Torn::ALL.len() as u64) as usize];
        let mut walk = Walk::begin(&mut dice, torn);
        let length = 10 + dice.roll(40);
        for _ in 0..length {
            walk.step(&mut dice);
        }
        walk.rescue();
        steps += length;
    }
    println!("{} walks, {steps} steps", last - first);
}
