//! Whatever the state region holds, at every phase: the device never panics, never runs what isn't signed for it, never
//! loses a fix, and comes to an end.

use patchlane::flash::{Cut, When, mix};
use patchlane_device::log::{COPY, encode_copy, encode_mark};
use patchlane_device::rules::Transition;
use patchlane_device::state::{Approval, Candidate, Phase, Release as Known, State};
use patchlane_device::{Boot, Cause, Config, Running, Window};
use patchlane_protocol::{Digest, FeaturePolicy, Policy, SecurityPolicy, Version};
use patchlane_tests::sim::cases::*;
use patchlane_tests::sim::device::CONFIG;
use patchlane_tests::sim::world::{Release, Roles, approval, factory};
use patchlane_tests::sim::{SimDevice, Torn};

/// Numbers that anyone can draw again.
struct Dice(u64);

impl Dice {
    /// Each case has numbers of its own, so that it is the same without those before it.
    fn of(case: &str) -> Self {
        Self(case.bytes().fold(7, |seed, byte| mix(seed ^ u64::from(byte))))
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0) % sides
    }
}

fn eager_soaking() -> SimDevice {
    let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto };
    let config = Config { soak: 3, ..CONFIG };
    let mut device = SimDevice::with(config, SMALL, &patch(4, 7, 1), factory(policy, true), 1, Torn::Stable);
    device.restart(Cause::PowerOn);
    device.expect(&patch(4, 8, 2));
    device.expect(&patch(4, 9, 5));
    device
}

/// Power fails at this operation of the next boot, and comes back.
fn cut(device: &mut SimDevice, at: u64, cause: Cause) {
    device.power.plan(Cut { at, when: When::Middle });
    device.restart(cause);
    assert!(device.power.is_off());
    device.power.restore();
}

/// A device in every phase.
fn phases() -> Vec<(&'static str, SimDevice)> {
    let fix = patch(4, 8, 2).bytes();
    let mut all = vec![("idle", eager_soaking())];
    let mut device = eager_soaking();
    push_part(&mut device, &fix[..3000]).unwrap();
    all.push(("receiving", device));
    let mut device = eager_soaking();
    device.push(&fix, 512).unwrap();
    let staged = device.fork(1, Torn::Stable);
    all.push(("staged", staged));
    device.machine.window(Window::Open).unwrap();
    all.push(("ready", device.fork(1, Torn::Stable)));
    let mut swap = device.fork(2, Torn::Stable);
    cut(&mut swap, 9, Cause::Requested);
    all.push(("swap", swap));
    device.restart(Cause::Requested);
    all.push(("trial", device.fork(1, Torn::Stable)));
    let mut revert = device.fork(2, Torn::Stable);
    revert.restart(Cause::Watchdog);
    revert.restart(Cause::Watchdog);
    cut(&mut revert, 8, Cause::Watchdog);
    all.push(("revert", revert));
    device.machine.confirm().unwrap();
    all.push(("soak", device));
    let mut device = eager_soaking();
    let next = feature(5, 7, 3);
    on_trial(&mut device, &next);
    device.machine.confirm().unwrap();
    for _ in 0..4 {
        device.restart(Cause::PowerOn);
    }
    device.machine.media.primary.rot(100, 1);
    let mut moving = device.fork(2, Torn::Stable);
    cut(&mut moving, 8, Cause::PowerOn);
    all.push(("fallback", moving));
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Fallback)));
    all.push(("degraded", device));
    let mut device = story();
    device.push(&feature(5, 7, 3).bytes(), 512).unwrap_err();
    device.machine.owner(&approval(1, feature(5, 7, 3).digest())).unwrap();
    all.push(("held", device));
    all
}

/// Restarts, and sends what an attacker and an honest vendor send. What is confirmed never sinks.
fn live_on(device: &mut SimDevice, case: &str) {
    let next = Roles { version: 2, security: vec!["security 2"], ..Roles::default() };
    let carries =
        Release { root: 2, links: vec![next.link(&["root"])], signers: vec!["security 2"], ..patch(4, 9, 5) };
    device.expect(&patch(4, 8, 2));
    device.expect(&carries);
    for cause in [Cause::PowerOn, Cause::Watchdog, Cause::Requested] {
        // It asserts that the bootloader ends, and that whatever runs is one of the known images.
        device.restart(cause);
        let level = device.machine.status().map(|status| status.confirmed.version.security.level());
        for release in [patch(4, 6, 4), feature(4, 7, 1), patch(4, 8, 2), carries.clone()] {
            let _ = device.push(&release.bytes(), 512);
        }
        let _ = device.machine.window(Window::Open);
        if let (Ok(before), Ok(status)) = (level, device.machine.status()) {
            assert!(status.confirmed.version.security.level() >= before, "{case}: a fix was lost");
        }
    }
    assert!(device.power.violations().is_empty(), "{case}: {:?}", device.power.violations());
}

#[test]
fn rot_anywhere_in_the_state_region_at_every_phase() {
    let cases = patchlane_tests::cases!();
    let mut tried = 0;
    for (phase, start) in phases() {
        let length = start.machine.media.state.length() as u64;
        for seed in 0..120u64 {
            let case = format!("{phase}, seed {seed}");
            let Some(_trying) = cases.begin(&case) else { continue };
            let mut dice = Dice::of(&case);
            let mut device = start.fork(seed, Torn::Stable);
            let state = &mut device.machine.media.state;
            // One bit; many bits; a stretch of noise; a whole sector of it.
            let (first, count) = match seed % 4 {
                0 => (dice.roll(length), 1),
                1 => (0, 0),
                2 => (dice.roll(length - 300), 300),
                _ => (dice.roll(length / 4096) * 4096, 4096),
            };
            (first..first + count).for_each(|at| state.rot(at as usize, dice.roll(8) as u8));
            if seed % 4 == 1 {
                (0..64).for_each(|_| state.rot(dice.roll(length) as usize, dice.roll(8) as u8));
            }
            live_on(&mut device, &case);
            tried += 1;
        }
    }
    println!("rot: {tried} cases");
}

fn any_digest(dice: &mut Dice) -> Digest {
    Digest([dice.roll(256) as u8; 32])
}

fn scramble(release: &mut Known, dice: &mut Dice) {
    match dice.roll(6) {
        0 => release.version = Version::new(dice.roll(9) as u16, 1, dice.roll(20) as u32),
        1 => release.manifest = any_digest(dice),
        2 => release.images = any_digest(dice),
        3 => release.size = [0, 1, 7000, 8192, 8193, u32::MAX - 1, u32::MAX][dice.roll(7) as usize],
        4 => release.receipt = any_digest(dice),
        _ => release.cell = [0, 1, 2, 3, 4, 5, 200, 255][dice.roll(8) as usize],
    }
}

/// Changes one thing in a record.
fn forge(state: &mut State, dice: &mut Dice) {
    match dice.roll(10) {
        0 => scramble(&mut state.confirmed, dice),
        1 => {
            let mut other = state.confirmed;
            scramble(&mut other, dice);
            state.fallback = Some(other);
        }
        2 => {
            let mut release = state.candidate.map_or(state.confirmed, |candidate| candidate.release);
            scramble(&mut release, dice);
            state.candidate = Some(Candidate { release, transition: Transition::Patch, issued_at: 0 });
        }
        3 => {
            state.phase = [
                Phase::Idle,
                Phase::Receiving,
                Phase::Staged,
                Phase::Ready,
                Phase::Swap,
                Phase::Trial { failed: dice.roll(256) as u8 },
                Phase::Soak { failed: dice.roll(256) as u8, boots: dice.roll(256) as u8 },
                Phase::Revert,
                Phase::Fallback,
            ][dice.roll(9) as usize]
        }
        4 => state.step = [1, 2, 3, 4, 5, 1000, u32::MAX][dice.roll(7) as usize],
        5 => state.keep = !state.keep,
        6 => state.degraded = !state.degraded,
        7 => state.root.cell = dice.roll(256) as u8,
        8 => state.root.version = dice.roll(5) as u32,
        _ => state.approval = Some(Approval { manifest: any_digest(dice), by_owner: true }),
    }
}

/// Writes a record with good checks, as code that can write the state region would (DESIGN I9). It may lie about what is
/// confirmed; it can't make an image run that nobody signed.
#[test]
fn a_forged_record_runs_no_forged_image() {
    let cases = patchlane_tests::cases!();
    let (mut count, mut read) = (0, 0);
    for (phase, start) in phases() {
        let mut opened = start.fork(9, Torn::Stable);
        opened.machine.open().unwrap();
        let genuine = *opened.machine.engine().state().unwrap();
        for seed in 0..250u64 {
            let case = format!("{phase}, seed {seed}");
            let Some(_trying) = cases.begin(&case) else { continue };
            let mut dice = Dice::of(&case);
            let mut state = genuine;
            (0..=dice.roll(4)).for_each(|_| forge(&mut state, &mut dice));
            let mut device = start.fork(seed, Torn::Stable);
            let area = device.machine.engine().layout().area_size() as usize;
            let mut copy = [0; 1088];
            let sequence = 1_000_000;
            let length = encode_copy(&state, sequence, &mut copy).unwrap() as usize;
            let flash = &mut device.machine.media.state;
            let base = area * (seed % 3) as usize;
            flash.program(base, &copy[..length]);
            flash.program(base + COPY as usize, &copy[..length]);
            flash.program(base + 2 * COPY as usize, &encode_mark(sequence, state.step));
            live_on(&mut device, &format!("{case}: {state:?}"));
            read += u32::from(device.machine.engine().state().is_some());
            count += 1;
        }
    }
    let enough = !cases.are_all() || read > count / 3;
    assert!(enough, "hardly any forged record was read: {read} of {count}");
    println!("forged: {count} records, {read} believed");
}
