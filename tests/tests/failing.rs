//! A driver that reports an error, at every operation of an update in turn: it is told, nothing is half believed, and the same
//! update goes in afterwards.

use patchlane::flash::Chip;
use patchlane_device::{
    Boot, Cause, Config, Device, Done, Media, MediaError, NoCounter, NoWatchdog, Region, Running, Window,
};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{FeaturePolicy, Policy, Refusal, SecurityPolicy};
use patchlane_tests::sim::cases::{SMALL, img, patch};
use patchlane_tests::sim::sweep::layout;
use patchlane_tests::sim::world::{Release, Roles, factory};
use patchlane_tests::sim::{Power, Torn};
use std::ops::Range;

const CONFIG: Config = Config { address: None, soak: 0, fenced: false };

/// What the driver was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Erase,
    Write,
}

/// Flash, one of whose operations fails once, before anything is done; or part of whose state region is worn out.
struct Failing {
    chip: Chip,
    left: Option<u64>,
    failed: Option<(Kind, Region)>,
    dead: Range<u32>,
}

impl Failing {
    fn new(chip: Chip, left: Option<u64>) -> Self {
        Self { chip, left, failed: None, dead: 0..0 }
    }

    /// An erase or a write: never done where flash is worn out.
    fn change(&mut self, kind: Kind, region: Region, at: u32) -> Result<(), MediaError> {
        if region == Region::State && self.dead.contains(&at) {
            Err(MediaError)
        } else {
            self.ask(kind, region)
        }
    }

    fn ask(&mut self, kind: Kind, region: Region) -> Result<(), MediaError> {
        self.left = match self.left {
            Some(0) => {
                self.failed = Some((kind, region));
                None
            }
            left => return self.count(left),
        };
        Err(MediaError)
    }

    fn count(&mut self, left: Option<u64>) -> Result<(), MediaError> {
        self.left = left.map(|left| left - 1);
        Ok(())
    }
}

impl Media for Failing {
    fn read(&mut self, region: Region, at: u32, into: &mut [u8]) -> Result<(), MediaError> {
        self.ask(Kind::Read, region)?;
        self.chip.read(region, at, into)
    }
    fn erase(&mut self, region: Region, at: u32, length: u32) -> Result<(), MediaError> {
        self.change(Kind::Erase, region, at)?;
        self.chip.erase(region, at, length)
    }
    fn write(&mut self, region: Region, at: u32, from: &[u8]) -> Result<(), MediaError> {
        self.change(Kind::Write, region, at)?;
        self.chip.write(region, at, from)
    }
}

type Machine = Device<Failing, NoWatchdog, NoCounter>;

fn machine(media: Failing) -> Machine {
    Device::new(layout(SMALL), CONFIG, media, NoWatchdog, NoCounter)
}

/// Sends a bundle; what the device answers last.
fn send(device: &mut Machine, bundle: &[u8]) -> Result<Outcome, Refusal> {
    let mut offset = device.begin()?;
    loop {
        let piece = &bundle[offset as usize..bundle.len().min(offset as usize + 512)];
        match device.push(offset, piece)? {
            Done::Want(next) => offset = next,
            Done::Outcome(outcome) => return Ok(outcome),
            other => panic!("{other:?}"),
        }
    }
}

/// The update, from its first byte until it is confirmed; a bundle that brings a root ends the first time with it.
fn update(device: &mut Machine, bundle: &[u8]) -> Result<(), Refusal> {
    match device.boot(Cause::PowerOn)? {
        Boot::Run(Running::Trial) => return device.confirm().map(|_| ()),
        Boot::Run(_) => {}
        Boot::Service(refusal) => return Err(refusal),
    }
    if device.status()?.confirmed.version.to_string() == "4.1 s8" {
        return Ok(());
    }
    if send(device, bundle)? == Outcome::Applied {
        return Ok(());
    }
    device.window(Window::Open)?;
    match device.boot(Cause::Requested)? {
        Boot::Run(Running::Trial) => device.confirm().map(|_| ()),
        // What was staged couldn't be read once: it is forgotten, and has to be sent again.
        Boot::Run(_) => Err(Refusal::ImageDigest),
        Boot::Service(refusal) => Err(refusal),
    }
}

fn provisioned(first: &Release) -> Chip {
    let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto };
    let mut chip = Chip::new(layout(SMALL));
    chip.program_primary(&first.image);
    let mut device = machine(Failing::new(chip, None));
    let (bundle, root) = (first.bundle(), Roles::default().document());
    let set = bundle.signature_bytes().unwrap();
    device.provision(&root, bundle.manifest_bytes(), &set, factory(policy, true)).unwrap();
    device.media.chip
}

/// Fails each operation of an update once; how many there were.
fn sweep(first: &Release, next: &Release, base: bool) -> u64 {
    let next = Release { bases: if base { vec![first.image.clone()] } else { Vec::new() }, ..next.clone() };
    let (start, bundle) = (provisioned(first), next.bytes());
    for at in 0.. {
        let chip = start.on(&Power::new(at, Torn::Stable));
        let mut device = machine(Failing::new(chip, Some(at)));
        let result = update(&mut device, &bundle);
        let Some((kind, region)) = device.media.failed else {
            assert_eq!(result, Ok(()), "nothing failed");
            return at;
        };
        // What can't be written is told at once. What can't be read may be one of two copies, or is read again.
        if kind != Kind::Read {
            assert_eq!(result, Err(Refusal::Flash), "operation {at}, {kind:?} of {region:?}");
        }
        // Power goes off and on, and whoever sent it sends it again: once for a transfer that lost its way.
        let mut tries = 0;
        loop {
            device = machine(device.media);
            match update(&mut device, &bundle) {
                Ok(()) => break,
                Err(refusal) => assert!(tries < 3, "operation {at}, {kind:?} of {region:?}: {refusal:?}"),
            }
            tries += 1;
        }
        assert_eq!(device.status().unwrap().confirmed.version, next.version, "operation {at}");
        assert_eq!(device.media.chip.primary(next.image.len()), next.image, "operation {at}");
        assert!(device.media.chip.power.violations().is_empty(), "operation {at}");
    }
    unreachable!()
}

#[test]
fn an_operation_that_fails_is_told_and_tried_again() {
    let first = patch(4, 7, 1);
    let plain = sweep(&first, &patch(4, 8, 2), false);
    let next = Roles { version: 2, security: vec!["security 2"], ..Roles::default() };
    let rooted =
        Release { root: 2, links: vec![next.link(&["root"])], signers: vec!["security 2"], ..patch(4, 8, 2) };
    let linked = sweep(&first, &rooted, false);
    let mut changed = img(1);
    changed[3000..3100].fill(7);
    let delta = sweep(&first, &Release { full: false, ..Release::patch(4, 1, 8, changed) }, true);
    let free = sweep(&first, &Release { payload: false, ..patch(4, 8, 1) }, false);
    println!(
        "failing operations: {plain} of an update, {linked} with a new root, {delta} of a delta, {free} without payload"
    );
    assert!(plain > 60 && linked > plain && delta > 60 && free > 20);
}

/// Where no record or receipt can be written any more, there are no more updates; but what runs goes on running.
#[test]
fn a_worn_out_state_region_ends_updates_and_not_the_device() {
    let (start, bundle) = (provisioned(&patch(4, 7, 1)), patch(4, 8, 2).bytes());
    let place = *layout(SMALL).place(Region::State);
    let mut refused = 0;
    for at in (0..place.length).step_by(place.erase as usize) {
        let mut media = Failing::new(start.on(&Power::new(1, Torn::Stable)), None);
        media.dead = at..at + place.erase;
        let mut device = machine(media);
        for _ in 0..4 {
            let updated = update(&mut device, &bundle);
            refused += u32::from(updated == Err(Refusal::Flash));
            device = machine(device.media);
            let boot = device.boot(Cause::PowerOn);
            assert!(matches!(boot, Ok(Boot::Run(_))), "sector at {at:#x}, {updated:?}: {boot:?}");
            assert!(device.media.chip.power.violations().is_empty());
        }
    }
    assert!(refused > 8, "{refused}");
}
