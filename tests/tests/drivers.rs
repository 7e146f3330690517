//! The drivers share one engine: blocking and asynchronous, on one chip and on three, issue the same operations.

use patchlane_device::engine::{Engine, Step, Task};
use patchlane_device::{
    AsyncDevice, Boot, Cause, Config, Device, Done, Layout, Media, MonotonicCounter, NoCounter, NoWatchdog,
    Op, Place, Running, Single, Split, Watchdog, Window,
};
use patchlane_protocol::Refusal;
use patchlane_protocol::link::Outcome;
use patchlane_protocol::status::CounterState;
use patchlane_tests::sim::world::{self, Release, Roles, factory, image};
use patchlane_tests::sim::{Nor, Power, Torn};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

const CONFIG: Config = Config { address: None, soak: 0, fenced: false };
type Chip = Nor<8, 2048>;
const STATE: u32 = 32 * 1024;
const SLOT: u32 = 8 * 1024;

/// Polls to the end, and counts how often it had to wait.
fn block_on<F: Future>(future: F) -> (F::Output, usize) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    let mut waits = 0;
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return (output, waits),
            Poll::Pending => waits += 1,
        }
    }
}

fn releases() -> (Release, Release) {
    (Release::patch(4, 1, 7, image(1, 6000)), Release::patch(4, 1, 8, image(2, 8000)))
}

fn single() -> (Layout, Power, Chip) {
    let power = Power::new(1, Torn::Stable);
    let mut chip = Chip::new("chip", (STATE + 2 * SLOT + 2048) as usize, &power);
    let layout = Layout::on_one(
        Place::of::<Chip>(0, STATE),
        Place::of::<Chip>(STATE, SLOT),
        Place::of::<Chip>(STATE + SLOT, SLOT + 2048),
    )
    .unwrap();
    chip.0.program(STATE as usize, &releases().0.image);
    (layout, power, chip)
}

/// Root, manifest, signatures of the first release.
fn first() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let bundle = releases().0.bundle();
    (Roles::default().document(), bundle.manifest_bytes().to_vec(), bundle.signature_bytes().unwrap())
}

/// Operations and bytes of an update, blocking; the bootloader may be one that takes no bundles.
fn blocking(boot_only: bool) -> (u64, (u64, u64, u64)) {
    let (layout, power, chip) = single();
    let mut device = Device::new(layout, CONFIG, Single::new(chip, layout), NoWatchdog, NoCounter);
    let (root, manifest, set) = first();
    device.provision(&root, &manifest, &set, factory(world::STORY_POLICY, true)).unwrap();
    let bytes = releases().1.bytes();
    let outcome = patchlane::scenario::send(&mut device, &bytes, 512).unwrap();
    assert_eq!(outcome, Ok(Outcome::Staged));
    device.window(Window::Open).unwrap();
    let chip = device.media.flash.clone();
    let mut device = Device::new(layout, CONFIG, Single::new(chip, layout), NoWatchdog, NoCounter);
    let cause = Cause::Requested;
    let booted = if boot_only { device.boot_only(cause) } else { device.boot(cause) };
    assert_eq!(booted, Ok(Boot::Run(Running::Trial)));
    device.confirm().unwrap();
    assert_eq!(device.status().unwrap().confirmed.version, releases().1.version);
    assert!(power.violations().is_empty(), "{:?}", power.violations());
    (power.operations(), power.counts())
}

/// The same, asynchronous; the flash really suspends.
async fn asynchronous(boot_only: bool) -> (u64, (u64, u64, u64)) {
    let (layout, power, chip) = single();
    let mut device = AsyncDevice::new(layout, CONFIG, Single::new(chip, layout), NoWatchdog, NoCounter);
    let (root, manifest, set) = first();
    device.provision(&root, &manifest, &set, factory(world::STORY_POLICY, true)).await.unwrap();
    let bytes = releases().1.bytes();
    let mut offset = device.begin().await.unwrap() as usize;
    let outcome = loop {
        let end = (offset + 512).min(bytes.len());
        match device.push(offset as u32, &bytes[offset..end]).await.unwrap() {
            Done::Want(want) => offset = want as usize,
            Done::Outcome(outcome) => break outcome,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(outcome, Outcome::Staged);
    device.window(Window::Open).await.unwrap();
    let chip = device.media.flash.clone();
    let mut device = AsyncDevice::new(layout, CONFIG, Single::new(chip, layout), NoWatchdog, NoCounter);
    let cause = Cause::Requested;
    let booted = if boot_only { device.boot_only(cause).await } else { device.boot(cause).await };
    assert_eq!(booted, Ok(Boot::Run(Running::Trial)));
    device.confirm().await.unwrap();
    assert_eq!(device.status().await.unwrap().confirmed.version, releases().1.version);
    assert!(power.violations().is_empty(), "{:?}", power.violations());
    (power.operations(), power.counts())
}

#[test]
fn blocking_and_asynchronous_drivers_issue_the_same_operations() {
    for boot_only in [false, true] {
        let (result, waits) = block_on(asynchronous(boot_only));
        assert_eq!(result, blocking(false));
        assert_eq!(result, blocking(boot_only));
        assert!(waits as u64 > result.0, "the asynchronous flash never suspended");
    }
}

/// A bootloader that takes no bundles says why nothing boots, and takes none even if an engine were asked to.
#[test]
fn a_boot_is_a_scope_of_its_own() {
    let (layout, _, chip) = single();
    let mut device = Device::new(layout, CONFIG, Single::new(chip, layout), NoWatchdog, NoCounter);
    assert_eq!(device.boot_only(Cause::PowerOn), Ok(Boot::Service(Refusal::NotProvisioned)));
    let (root, manifest, set) = first();
    device.provision(&root, &manifest, &set, factory(world::STORY_POLICY, true)).unwrap();
    let mut engine = Engine::new(layout, CONFIG);
    let mut media = device.media;
    engine.begin_transfer();
    engine.start(Task::Intake);
    let mut last = Ok(());
    let done = loop {
        last = match engine.next_of_boot(last) {
            Step::Done(done) => break done,
            Step::Op(Op::Read { region, at, length }) => media.read(region, at, engine.buffer(length)),
            Step::Op(op) => panic!("{op:?}"),
        };
    };
    assert_eq!(done, Err(Refusal::NotInService));
}

/// A counter that is there and can't be read is reported, and blocks nothing.
#[test]
fn a_dead_counter_is_not_an_absent_one() {
    struct Dead;
    impl MonotonicCounter for Dead {
        fn read(&mut self) -> Option<u32> {
            None
        }
        fn raise(&mut self, _: u32) -> Option<u32> {
            None
        }
    }
    let (layout, _, chip) = single();
    let (root, manifest, set) = first();
    let mut device = Device::new(layout, CONFIG, Single::new(chip, layout), NoWatchdog, NoCounter);
    device.provision(&root, &manifest, &set, factory(world::STORY_POLICY, true)).unwrap();
    assert_eq!(device.boot(Cause::PowerOn), Ok(Boot::Run(Running::Confirmed)));
    assert_eq!(device.status().unwrap().counter, CounterState::Absent);
    let mut device = Device::new(layout, CONFIG, device.media, NoWatchdog, Dead);
    assert_eq!(device.boot(Cause::PowerOn), Ok(Boot::Run(Running::Confirmed)));
    assert_eq!(device.status().unwrap().counter, CounterState::CannotExpress);
    assert_eq!(device.push(0, &releases().1.bytes()), Err(Refusal::NotInService));
    device.begin().unwrap();
    assert_eq!(device.push(0, &releases().1.bytes()), Ok(Done::Outcome(Outcome::Staged)));
}

/// Dropping a future is a power cut without the restart: nothing is lost, and nothing in RAM is believed.
#[test]
fn a_dropped_future_leaves_a_device_that_goes_on() {
    // At every point at which a transfer can be dropped.
    for polls in 1.. {
        let (layout, power, chip) = single();
        let mut device = AsyncDevice::new(layout, CONFIG, Single::new(chip, layout), NoWatchdog, NoCounter);
        let (root, manifest, set) = first();
        let provisioned = device.provision(&root, &manifest, &set, factory(world::STORY_POLICY, true));
        block_on(provisioned).0.unwrap();
        let bytes = releases().1.bytes();
        block_on(device.begin()).0.unwrap();
        let ended = {
            let mut push = pin!(device.push(0, &bytes));
            let mut context = Context::from_waker(Waker::noop());
            (0..polls).any(|_| push.as_mut().poll(&mut context).is_ready())
        };
        if ended {
            assert!(polls > 50, "the transfer ended after {polls} polls");
            break;
        }
        let confirmed = block_on(device.status()).0.unwrap().confirmed.version;
        assert_eq!(confirmed, releases().0.version);
        block_on(device.begin()).0.unwrap();
        // The device may want a block from its beginning again.
        let mut answer = block_on(device.push(0, &bytes)).0.unwrap();
        while let Done::Want(want) = answer {
            answer = block_on(device.push(want, &bytes[want as usize..])).0.unwrap();
        }
        assert_eq!(answer, Done::Outcome(Outcome::Staged), "{polls}");
        assert!(power.violations().is_empty(), "{polls}: {:?}", power.violations());
    }
}

#[test]
fn three_chips_of_different_geometry_make_a_device() {
    let power = Power::new(1, Torn::Stable);
    let (old, new) = releases();
    let state = Nor::<32, 8192>::new("state", 8 * 8192, &power);
    let mut primary = Nor::<8, 2048>::new("primary", 8192, &power);
    let secondary = Nor::<1, 4096>::new("secondary", 12288, &power);
    primary.0.program(0, &old.image);
    let layout = Layout::new(
        Place::of::<Nor<32, 8192>>(0, 8 * 8192),
        Place::of::<Nor<8, 2048>>(0, 8192),
        Place::of::<Nor<1, 4096>>(0, 12288),
    )
    .unwrap();
    let media = Split::new(state, primary, secondary, layout);
    let mut device = Device::new(layout, CONFIG, media, NoWatchdog, NoCounter);
    let (root, manifest, set) = first();
    device.provision(&root, &manifest, &set, factory(world::STORY_POLICY, true)).unwrap();
    let bytes = new.bytes();
    device.begin().unwrap();
    let head = device.push(0, &bytes).unwrap();
    assert_eq!(head, Done::Outcome(Outcome::Staged), "one push of the whole file");
    device.window(Window::Open).unwrap();
    assert_eq!(device.boot(Cause::Requested), Ok(Boot::Run(Running::Trial)));
    device.confirm().unwrap();
    assert_eq!(device.media.primary.0.contents(0, new.image.len()), new.image);
    assert!(power.violations().is_empty(), "{:?}", power.violations());
}

/// Counts what the engine does with the watchdog.
#[derive(Default)]
struct Counting {
    armed: u32,
    fed: u32,
}

impl Watchdog for Counting {
    fn arm(&mut self) {
        self.armed += 1;
    }
    fn feed(&mut self) {
        self.fed += 1;
    }
}

#[test]
fn the_watchdog_is_armed_before_the_jump_and_fed_between_operations() {
    let (layout, power, chip) = single();
    let mut device = Device::new(layout, CONFIG, Single::new(chip, layout), Counting::default(), NoCounter);
    let (root, manifest, set) = first();
    device.provision(&root, &manifest, &set, factory(world::STORY_POLICY, true)).unwrap();
    let before = power.operations();
    assert_eq!(device.watchdog.armed, 0);
    assert!(u64::from(device.watchdog.fed) > before, "every operation is preceded by food");
    assert_eq!(device.boot(Cause::PowerOn), Ok(Boot::Run(Running::Confirmed)));
    assert_eq!(device.watchdog.armed, 1);
    // In service mode nothing is armed: the bootloader itself runs.
    device.media.flash.0.rot(STATE as usize, 0);
    let chip = device.media.flash.clone();
    let mut device = Device::new(layout, CONFIG, Single::new(chip, layout), Counting::default(), NoCounter);
    assert!(matches!(device.boot(Cause::PowerOn), Ok(Boot::Service(_))));
    assert_eq!(device.watchdog.armed, 0);
}

/// MCUboot's swap writes twice the image; so may this one, at most. The record comes on top: two marks a block, and two
/// records for each swap.
#[test]
fn a_swap_writes_at_most_twice_the_image() {
    use patchlane_tests::sim::sweep::uniform;
    for (write, erase, state, blocks) in [(8, 4096, 8, 32), (1, 512, 54, 128), (32, 16384, 8, 16)] {
        let size = blocks * erase - 32;
        let (old, new) = (Release::patch(4, 1, 7, image(1, size)), Release::patch(4, 1, 8, image(2, size)));
        let mut device = patchlane_tests::sim::SimDevice::story(uniform(write, erase, state, blocks), &old);
        device.restart(Cause::PowerOn);
        device.expect(&new);
        device.push(&new.bytes(), 512).unwrap();
        device.machine.window(Window::Open).unwrap();
        let counts = |device: &patchlane_tests::sim::SimDevice| {
            let media = &device.machine.media;
            let slots = media.primary.written() + media.secondary.written();
            (slots, media.state.written(), device.power.counts().2)
        };
        let before = counts(&device);
        assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
        let after = counts(&device);
        let (slots, record, erases) = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
        let factor = |bytes: u64| bytes as f64 / size as f64;
        println!(
            "swap of {size} bytes in {erase}-byte blocks: slots {:.3} x, with the record {:.3} x, {erases} erases",
            factor(slots),
            factor(slots + record)
        );
        assert!(slots <= 2 * size as u64, "{slots} bytes");
        let records = 2 * blocks as u64 / 59 + 2;
        assert!(record <= 64 * blocks as u64 + records * (2 * 1064 + 32), "{record} bytes");
        assert!(erases <= 2 * blocks as u64 + records * (4096 / erase as u64).max(1), "{erases} erases");
    }
}
