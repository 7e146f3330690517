//! Any flash: what a device was doing, then whatever the bytes make of its log, its receipts and its slots. It boots or
//! says why not, the same way each time, also if power fails meanwhile; and what runs is a release somebody signed.

use super::Choices;
use crate::sim::cases::{SMALL, on_trial, push_part};
use crate::sim::world::{Release, STORY_POLICY, factory, image};
use crate::sim::{Bank, Cut, SimDevice, Torn, When, device::CONFIG, direct};
use patchlane_device::log::{
    COPY, COPY_HEAD, MARK, MARKS, check_copy, copy_length, encode_copy, encode_mark,
};
use patchlane_device::state::{Candidate, Phase, State};
use patchlane_device::{Boot, Cause, Config, Layout, Media, Region, Window, verify};
use patchlane_protocol::{FeaturePolicy, Policy};
use std::sync::LazyLock;

/// Changes of one input, at most.
const CHANGES: usize = 40;

/// Nothing is sealed under a higher sequence number than this. A device that wrote a record each second would come here
/// after sixty years, and flash ends long before; only somebody who forges records puts an end to the log, and whoever can
/// do that can erase it as well. (Found by this target: one copy numbered u32::MAX, and no record could follow it.)
const LAST: u32 = u32::MAX / 2;

/// Devices in the middle of things, and what else may run there.
static DEVICES: LazyLock<Vec<SimDevice>> = LazyLock::new(|| {
    let first = Release::patch(4, 1, 7, image(1, 4500));
    let [next, feature] =
        [Release::patch(4, 1, 8, image(2, 5000)), Release::feature(5, 1, 8, image(3, 4400))];
    let policy = Policy { feature: FeaturePolicy::Auto, ..STORY_POLICY };
    let fresh = |soak| {
        let config = Config { soak, ..CONFIG };
        let mut device = SimDevice::with(config, SMALL, &first, factory(policy, true), 1, Torn::Stable);
        [&next, &feature].into_iter().for_each(|release| device.expect(release));
        device.restart(Cause::PowerOn);
        device
    };
    let mut devices = vec![fresh(0)];
    let mut with = |soak, does: &dyn Fn(&mut SimDevice)| {
        let mut device = fresh(soak);
        does(&mut device);
        devices.push(device);
    };
    with(0, &|device| push_part(device, &next.bytes()[..3000]).expect("a part"));
    with(0, &|device| {
        let _ = device.push(&next.bytes(), 512);
    });
    with(0, &|device| {
        let _ = device.push(&next.bytes(), 512);
        device.machine.window(Window::Open).expect("ready");
    });
    with(0, &|device| {
        let _ = device.push(&next.bytes(), 512);
        device.machine.window(Window::Open).expect("ready");
        device.power.plan(Cut { at: 12, when: When::Middle });
        device.restart(Cause::Requested);
    });
    with(0, &|device| on_trial(device, &next));
    with(0, &|device| device.install(&feature).expect("it is v"));
    with(3, &|device| {
        on_trial(device, &next);
        device.machine.confirm().expect("it soaks");
    });
    let [geometry, ..] = direct::GEOMETRIES else { unreachable!("there are some") };
    let [first, next] = [7, 8].map(|level| direct::patch(&geometry.1, 4, level));
    devices.push(direct::updated(geometry.1, &first, &next, &[]));
    let mut staged = direct::running(geometry.1, &first, &[&next], 0);
    let _ = staged.push(&next.bytes(), 512);
    devices.push(staged);
    devices
});

/// An input: which device, how torn words read, where power fails; then changes of its flash.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (base, torn) = (choices.of(&DEVICES[..]), *choices.of(&Torn::ALL));
    let cut = Cut { at: choices.below(64) as u64, when: *choices.of(&When::ALL) };
    let mut device = base.fork(3, torn);
    device.power.restore();
    let mut flash =
        Flash { device: &mut device, steady: torn.is_steady(), tears: false, unsure: 0, forged: 0 };
    for _ in 0..CHANGES {
        if choices.is_empty() {
            break;
        }
        flash.change(&mut choices);
    }
    let sure = flash.steady || !flash.tears;
    boots(&device, torn, sure.then_some(cut));
}

/// What flash says, read by a device of its own.
fn state(device: &SimDevice, torn: Torn) -> Option<State> {
    let mut reader = device.fork(3, torn);
    reader.machine.open().ok()?;
    reader.machine.engine().state().copied()
}

/// Boots it, twice; and once more with power cut, if that has to lead to the same.
fn boots(device: &SimDevice, torn: Torn, cut: Option<Cut>) {
    let before = state(device, torn);
    let mut whole = device.fork(3, torn);
    let first = whole.restart(Cause::PowerOn).expect("there is power");
    let after = state(&whole, torn);
    if let (Some(before), Some(after)) = (before.filter(|_| cut.is_some()), after) {
        let (v, was) = (after.confirmed, before.confirmed);
        let proved = before.candidate.map(|candidate| candidate.release);
        assert!(v == was || Some(v) == proved, "{was:?} was v, and nothing else waited: {v:?}");
        assert!(after.root == before.root && after.serial == before.serial && after.anchor == before.anchor);
    }
    assert!(after.is_some() || matches!(first, Boot::Service(_)), "it runs without a state");
    // Each boot of a soak counts.
    let counts = |state: Option<State>| state.is_some_and(|s| matches!(s.phase, Phase::Soak { .. }));
    let soaks = counts(before) || counts(after);
    if cut.is_none() {
        keeps_its_word(&mut whole, first, soaks);
    } else if !soaks {
        let again = whole.restart(Cause::PowerOn).expect("there is power");
        assert_eq!(again, first, "{:?}", after.map(|state| state.phase));
        assert_eq!(state(&whole, torn), after, "a second boot changed the record");
    }
    if let Some(cut) = cut {
        let mut short = device.fork(3, torn);
        short.power.plan(cut);
        short.restart(Cause::PowerOn);
        short.power.unplan();
        short.power.restore();
        let came = short.restart(Cause::PowerOn).expect("there is power");
        assert!(came == first || soaks, "{first:?}; cut at {cut:?}: {came:?}");
        goes_on(&mut short);
    }
    goes_on(&mut whole);
}

/// A record that can't be read may become readable, and is believed from then on: its successor was never begun. But what
/// was read once stays read: no boot goes back to what another boot had left behind.
fn keeps_its_word(device: &mut SimDevice, first: Boot, soaks: bool) {
    let mut answers = vec![first];
    for _ in 0..5 {
        let again = device.restart(Cause::PowerOn).expect("there is power");
        if answers.last() != Some(&again) {
            assert!(soaks || !answers.contains(&again), "{answers:?}, then {again:?} again");
            answers.push(again);
        }
    }
}

/// Life goes on: a release is sent, and whatever it answers, flash is treated well.
fn goes_on(device: &mut SimDevice) {
    static NEWER: LazyLock<(Release, Vec<u8>)> = LazyLock::new(|| {
        let release = Release::patch(4, 1, 9, image(9, 3000));
        let bytes = release.bytes();
        (release, bytes)
    });
    device.expect(&NEWER.0);
    let _ = device.push(&NEWER.1, 512);
    let _ = device.machine.window(Window::Open);
    device.restart(Cause::Requested);
    assert!(device.power.violations().is_empty(), "{:?}", device.power.violations());
}

/// A device's flash, open for changes.
struct Flash<'a> {
    device: &'a mut SimDevice,
    /// True if torn words read the same each time.
    steady: bool,
    tears: bool,
    /// Log areas in which a word is torn that doesn't read the same each time: a bit for each.
    unsure: u32,
    /// Log areas with a copy that was sealed for what it happens to say: a bit for each.
    forged: u32,
}

impl Flash<'_> {
    fn layout(&self) -> Layout {
        self.device.machine.media.layout()
    }

    fn bank(&mut self, choices: &mut Choices<'_>) -> &mut Bank {
        let media = &mut self.device.machine.media;
        match choices.byte() % 8 {
            0 => &mut media.primary,
            1 => &mut media.secondary,
            _ => &mut media.state,
        }
    }

    /// One change.
    fn change(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 9 {
            0 => {
                let bank = self.bank(choices);
                let (at, length) = (choices.short() % bank.length(), choices.below(64));
                let bytes = choices.take(length.min(bank.length() - at));
                bank.program(at, bytes);
            }
            1 => self.erase(choices),
            2 => self.copy(choices),
            3 => self.tear(choices),
            4 => {
                let bank = self.bank(choices);
                let at = choices.short() % bank.length();
                bank.rot(at, choices.byte() & 7);
            }
            5 => self.heal_copy(choices),
            6 => {
                let area = self.area(choices);
                let sequence = choices.byte().into();
                let at = area + 2 * COPY + MARK * (u32::from(choices.byte()) % MARKS);
                let mark = encode_mark(sequence, choices.byte().into());
                self.device.machine.media.state.program(at as usize, &mark);
            }
            7 => self.body(choices),
            _ => self.record(choices),
        }
    }

    /// The bit of the log area that a place lies in.
    fn bit(&self, at: u32) -> u32 {
        1 << (at / self.layout().area_size())
    }

    /// Where some log area begins.
    fn area(&self, choices: &mut Choices<'_>) -> u32 {
        let layout = self.layout();
        layout.area_at(u32::from(choices.byte()) % layout.areas())
    }

    fn erase(&mut self, choices: &mut Choices<'_>) {
        let region = [Region::State, Region::State, Region::Primary, Region::Secondary][choices.below(4)];
        let place = *self.layout().place(region);
        let sector = u32::from(choices.byte()) % (place.length / place.erase);
        let _ = self.device.machine.media.erase(region, sector * place.erase, place.erase);
    }

    /// One area over another, as an old one that comes back.
    fn copy(&mut self, choices: &mut Choices<'_>) {
        let (from, to) = (self.area(choices), self.area(choices));
        let state = &mut self.device.machine.media.state;
        let contents = state.contents(from as usize, (2 * COPY + MARKS * MARK) as usize);
        state.program(to as usize, &contents);
        if self.forged & self.bit(from) != 0 {
            self.forged |= self.bit(to);
        }
    }

    /// A word that a cut tore: anywhere if it reads the same each time, else in the log, which is made for that.
    fn tear(&mut self, choices: &mut Choices<'_>) {
        self.tears = true;
        if self.steady && !matches!(self.device.power.torn(), Torn::Ecc) {
            let bank = self.bank(choices);
            bank.tear(choices.short() % bank.length());
        } else {
            let layout = self.layout();
            let at = choices.short() as u32 % (layout.areas() * layout.area_size());
            // A cut tears one word. With two, all of a record could be valid on one day, and none of it on the next. So it
            // could be where its copies say different things, which takes a forger.
            let area = self.bit(at);
            if (self.unsure | self.forged) & area == 0 {
                self.unsure |= area;
                self.device.machine.media.state.tear(at as usize);
            }
        }
    }

    /// A copy's digest becomes what it should be for what the copy says.
    fn heal_copy(&mut self, choices: &mut Choices<'_>) {
        let area = self.area(choices);
        let (at, bit) = ((area + COPY * u32::from(choices.flag())) as usize, self.bit(area));
        if self.unsure & bit != 0 {
            return;
        }
        let state = &mut self.device.machine.media.state;
        let mut copy = state.contents(at, COPY as usize);
        copy[..4].copy_from_slice(b"PLST");
        let Some(total) = copy_length(&copy[..COPY_HEAD]) else { return };
        if u32::from_le_bytes([copy[4], copy[5], copy[6], copy[7]]) > LAST {
            return;
        }
        let end = total as usize - 16;
        let check = verify::sha256(&copy[..end]).0;
        copy[end..end + 16].copy_from_slice(&check[..16]);
        state.program(at, &copy[..total as usize]);
        self.forged |= bit;
    }

    /// The latest record that is there.
    fn latest(&self) -> Option<(u32, u32, Vec<u8>)> {
        let layout = self.layout();
        let of = |area: u32| {
            let at = layout.area_at(area);
            let copy = self.device.machine.media.state.contents(at as usize, COPY as usize);
            check_copy(&copy).map(|(sequence, body)| (sequence, at, body.to_vec()))
        };
        (0..layout.areas()).filter_map(of).max_by_key(|(sequence, ..)| *sequence)
    }

    /// Both copies and a mark of a record, as a device writes them.
    fn put(&mut self, at: u32, sequence: u32, copy: &[u8]) {
        let state = &mut self.device.machine.media.state;
        state.program(at as usize, copy);
        state.program((at + COPY) as usize, copy);
        state.program((at + 2 * COPY) as usize, &encode_mark(sequence, 0));
    }

    /// Bytes of the latest record change, and it is as valid as before.
    fn body(&mut self, choices: &mut Choices<'_>) {
        let Some((sequence, at, mut body)) = self.latest() else { return };
        let place = choices.short() % body.len().max(1);
        for (byte, new) in body[place..].iter_mut().zip(choices.take(4)) {
            *byte = *new;
        }
        let length = (body.len() as u16).to_le_bytes();
        let content = [&b"PLST"[..], &sequence.to_le_bytes(), &length, &body].concat();
        let copy = [&content[..], &verify::sha256(&content).0[..16]].concat();
        self.put(at, sequence, &copy);
    }

    /// A record that says something else goes into some area.
    fn record(&mut self, choices: &mut Choices<'_>) {
        let Some((sequence, _, body)) = self.latest() else { return };
        let Ok(mut state) = State::parse(&body) else { return };
        edit(&mut state, choices);
        let at = self.area(choices);
        let sequence = sequence + 1 + u32::from(choices.byte()) % 4;
        let mut buffer = [0; 2 * COPY as usize];
        if let Ok(length) = encode_copy(&state, sequence, &mut buffer) {
            self.put(at, sequence, &buffer[..length as usize]);
        }
    }
}

/// Another state, as the rules would never make it.
fn edit(state: &mut State, choices: &mut Choices<'_>) {
    let (failed, boots) = (choices.byte() % 4, choices.byte() % 4);
    match choices.byte() % 10 {
        0 => {
            let phases = [
                Phase::Idle,
                Phase::Receiving,
                Phase::Staged,
                Phase::Ready,
                Phase::Swap,
                Phase::Trial { failed },
                Phase::Soak { failed, boots },
                Phase::Revert,
                Phase::Fallback,
            ];
            state.phase = *choices.of(&phases);
        }
        1 => state.step = u32::from(choices.byte()) >> (failed * 2),
        2 => state.keep = !state.keep,
        3 => state.flipped = !state.flipped,
        4 => state.degraded = !state.degraded,
        5 => state.fallback = Some(state.confirmed).filter(|_| choices.flag()),
        6 => {
            let issued_at = 0;
            let transition = state.candidate.map(|c| c.transition);
            let transition = transition.unwrap_or(patchlane_device::rules::Transition::Patch);
            let release = state.fallback.unwrap_or(state.confirmed);
            state.candidate = Some(Candidate { release, transition, issued_at }).filter(|_| choices.flag());
        }
        7 => state.confirmed.cell = boots,
        8 => state.root.cell = boots,
        _ => std::mem::swap(&mut state.confirmed.size, &mut state.step),
    }
}

/// Every device as it is, cut, and changed in one way.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for device in 0..DEVICES.len() as u8 {
        seeds.push((format!("device-{device}"), vec![device, 0, 9, 2]));
        for (name, change) in [
            ("overwritten", &[0, 7, 40, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8][..]),
            ("erased", &[1, 0, 0, 1, 1, 1]),
            ("old-area", &[2, 0, 1, 2, 1, 2]),
            ("torn", &[3, 7, 20, 0, 3, 7, 0, 9]),
            ("rot", &[4, 0, 9, 1, 3]),
            ("phase", &[8, 1, 1, 0, 1, 1, 8, 0, 0, 1, 5, 2, 1]),
            ("candidate", &[8, 0, 0, 6, 1, 2, 1, 8, 1, 0, 0, 2, 1]),
            ("body", &[7, 80, 0, 1, 2, 3, 4, 5, 0, 0]),
        ] {
            let head = [device, device % 5, 7 + device, 1 + device % 4];
            seeds.push((format!("device-{device}-{name}"), [&head[..], change].concat()));
        }
    }
    seeds
}
