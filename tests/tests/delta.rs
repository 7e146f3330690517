//! Deltas: taken where their base runs, byte-exact, power-fail-safe, and never interpreted before they are authentic.

use patchlane::bundle::{Linked, sha256};
use patchlane::delta::{self, Input};
use patchlane::flash::mix;
use patchlane_device::delta::Isa;
use patchlane_device::{Boot, Cause, Done, Running};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::status::Activity;
use patchlane_protocol::{FeaturePolicy, Policy, Refusal, Request, SecurityPolicy};
use patchlane_tests::code::{Program, decode};
use patchlane_tests::sim::sweep::{GEOMETRIES, Geometry, Plan, install_round, pairs, singles, uniform};
use patchlane_tests::sim::world::{Release, image, owner};
use patchlane_tests::sim::{SimDevice, Torn, direct};

const GEOMETRY: [Geometry; 3] = uniform(4, 4096, 8, 3);

/// `base` after some editing: bytes changed, a piece inserted, another one taken out.
fn edited(base: &[u8], seed: u64) -> Vec<u8> {
    let mut image = base.to_vec();
    for edit in 0..4 {
        let at = mix(seed ^ edit) as usize % (image.len() - 40);
        match edit % 3 {
            0 => image.splice(at..at, (0..24).map(|n| mix(seed << 8 | n) as u8)).for_each(drop),
            1 => drop(image.drain(at..at + 9)),
            _ => image[at] ^= 0x41,
        }
    }
    image.truncate(base.len());
    image
}

/// `4.1 s7` and a patch `4.1 s8` that brings a delta from it.
fn releases(size: usize) -> (Release, Release) {
    let old = Release::patch(4, 1, 7, image(1, size));
    let new = Release { bases: vec![old.image.clone()], ..Release::patch(4, 1, 8, edited(&old.image, 5)) };
    (old, new)
}

/// A started device with `old`, and how many bytes of `new` it asked for.
fn sent(device: &mut SimDevice, bundle: &[u8]) -> (Result<Outcome, Refusal>, usize) {
    device.machine.begin().unwrap();
    let (mut offset, mut sent) = (0u32, 0);
    loop {
        let piece = &bundle[offset as usize..bundle.len().min(offset as usize + 512)];
        sent += piece.len();
        match device.machine.push(offset, piece) {
            Ok(patchlane_device::Done::Want(next)) => offset = next,
            Ok(patchlane_device::Done::Outcome(outcome)) => return (Ok(outcome), sent),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => return (Err(refusal), sent),
        }
    }
}

#[test]
fn a_delta_is_taken_where_its_base_runs() {
    let (old, new) = releases(9_000);
    let bundle = new.bytes();
    let mut device = SimDevice::story(GEOMETRY, &old);
    device.restart(Cause::PowerOn);
    device.expect(&new);
    let (outcome, bytes) = sent(&mut device, &bundle);
    assert_eq!(outcome, Ok(Outcome::Staged));
    assert!(bytes < 1_500 && bundle.len() > 9_000, "{bytes} of {}", bundle.len());
    device.machine.window(patchlane_device::Window::Open).unwrap();
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
    device.machine.confirm().unwrap();
    assert_eq!(device.primary_digest(new.image.len()), sha256(&new.image));
    assert!(device.power.violations().is_empty());
}

#[test]
fn one_file_serves_several_bases() {
    let size = 9_000;
    let olds = [1, 2, 3].map(|seed| Release::patch(4, 1, 4 + seed as u32, image(seed, size)));
    let target = [image(1, size), edited(&image(2, size), 9)].concat();
    let geometry = uniform(4, 4096, 8, 5);
    let bases = vec![olds[0].image.clone(), olds[1].image.clone()];
    let new = Release { bases, ..Release::patch(4, 1, 8, target) };
    let bundle = new.bytes();
    let sizes = olds.map(|old| {
        let mut device = SimDevice::story(geometry, &old);
        device.restart(Cause::PowerOn);
        device.expect(&new);
        let (outcome, bytes) = sent(&mut device, &bundle);
        assert_eq!(outcome, Ok(Outcome::Staged));
        device.install(&new).expect("installed");
        assert_eq!(device.primary_digest(new.image.len()), sha256(&new.image));
        bytes
    });
    // The third runs something the vendor thought of no delta for.
    assert!(sizes[0] < 12_000 && sizes[1] < 12_000 && sizes[2] > 18_000, "{sizes:?}");
}

#[test]
fn t10_a_delta_meets_no_other_base() {
    let (old, new) = releases(9_000);
    let only = Release { full: false, ..new.clone() };
    let other = Release::patch(4, 1, 7, image(8, 9_000));
    let mut device = SimDevice::story(GEOMETRY, &other);
    device.restart(Cause::PowerOn);
    device.expect(&new);
    // Not by its version: by what flash holds.
    let operations = device.power.operations();
    assert_eq!(device.push(&only.bytes(), 512), Err(Refusal::NoAlternative));
    assert_eq!(device.power.operations(), operations, "nothing but reading");
    // The full image of the same file goes in.
    let (outcome, bytes) = sent(&mut device, &new.bytes());
    assert_eq!(outcome, Ok(Outcome::Staged));
    assert!(bytes > 9_000, "{bytes}");
    device.install(&new).expect("installed");
    // One flipped bit in the base: it isn't the base any more.
    let mut device = SimDevice::story(GEOMETRY, &old);
    device.restart(Cause::PowerOn);
    device.machine.media.primary.rot(4_000, 3);
    assert_eq!(device.push(&only.bytes(), 512), Err(Refusal::NoAlternative));
    let (outcome, bytes) = sent(&mut device, &new.bytes());
    assert_eq!(outcome, Ok(Outcome::Staged));
    assert!(bytes > 9_000, "{bytes}");
}

#[test]
fn a_delta_built_wrong_is_refused_and_the_full_image_taken_next() {
    let (old, new) = releases(9_000);
    let good = delta::smallest(&old.image, &new.image, None, None);
    let mut cases = vec![
        vec![9; 40],
        vec![0],
        vec![0; 3000],
        [&good[..], &[1]].concat(),
        good[..good.len() / 2].to_vec(),
    ];
    cases.push(good.iter().enumerate().map(|(at, byte)| if at == 30 { !byte } else { *byte }).collect());
    for data in cases {
        let bundle = new.with_data(&data, None);
        let mut device = SimDevice::story(GEOMETRY, &old);
        device.restart(Cause::PowerOn);
        device.expect(&new);
        let (outcome, _) = sent(&mut device, &bundle);
        assert!(matches!(outcome, Err(Refusal::BadDelta | Refusal::ImageDigest)), "{outcome:?}");
        let (outcome, bytes) = sent(&mut device, &bundle);
        assert_eq!(outcome, Ok(Outcome::Staged));
        assert!(bytes > 9_000);
        assert!(device.power.violations().is_empty());
        // Only that release's delta is distrusted: a better one that brings nothing else goes in.
        let better = Release { full: false, issued_at: new.issued_at + 1, ..new.clone() };
        let mut device = SimDevice::story(GEOMETRY, &old);
        device.restart(Cause::PowerOn);
        device.expect(&new);
        assert!(sent(&mut device, &bundle).0.is_err());
        assert_eq!(sent(&mut device, &better.bytes()).0, Ok(Outcome::Staged));
        device.install(&better).expect("installed");
        assert!(device.power.violations().is_empty());
    }
}

/// `4.1 s8` goes in as a delta, is confirmed.
struct Update {
    old: Release,
    new: Release,
    bundle: Vec<u8>,
}

impl Update {
    /// Without a full image: what goes in is the delta, or nothing.
    fn new(geometry: &[Geometry; 3]) -> Self {
        let (old, new) = releases(geometry[1].length - 50);
        let new = Release { full: false, ..new };
        let bundle = new.bytes();
        Self { old, new, bundle }
    }
}

impl Plan for Update {
    fn name(&self) -> &str {
        "delta"
    }
    fn device(&self, geometry: [Geometry; 3]) -> SimDevice {
        let mut device = SimDevice::story(geometry, &self.old);
        device.expect(&self.new);
        device
    }
    fn round(&self, device: &mut SimDevice) -> bool {
        install_round(device, &self.bundle, &self.new.version)
    }
    fn end(&self, device: &mut SimDevice) {
        assert_eq!(device.booted, Some(Boot::Run(Running::Confirmed)));
        assert_eq!(device.status().confirmed.version, self.new.version);
        assert_eq!(device.primary_digest(self.new.image.len()), sha256(&self.new.image));
    }
}

#[test]
fn every_single_cut_of_a_delta_update_is_survived() {
    let cases = patchlane_tests::cases!();
    for geometry in GEOMETRIES {
        let tally = singles(&cases, &Update::new(&geometry.1), *geometry, &Torn::ALL, 1);
        println!("delta {}: {} operations, {} cuts", geometry.0, tally.operations, tally.cases);
    }
}

#[test]
fn pairs_of_cuts_of_a_delta_update_are_survived() {
    let cases = patchlane_tests::cases!();
    let tally = pairs(&cases, &Update::new(&GEOMETRIES[3].1), GEOMETRIES[3], &Torn::ALL, 23);
    println!("delta pairs {}: {tally}", GEOMETRIES[3].0);
    assert!(!cases.are_all() || tally.cases >= 2_000, "{tally}");
}

/// Sends so many pieces of 100 bytes, and no more.
fn begin(device: &mut SimDevice, bundle: &[u8], pieces: usize) {
    let mut offset = device.machine.begin().unwrap();
    for _ in 0..pieces {
        let piece = &bundle[offset as usize..bundle.len().min(offset as usize + 100)];
        match device.machine.push(offset, piece) {
            Ok(patchlane_device::Done::Want(next)) => offset = next,
            _ => break,
        }
    }
}

#[test]
fn a_broken_transfer_of_a_delta_goes_on_behind_what_was_written() {
    let (old, new) = releases(11_000);
    let new = Release { chunk: 128, ..new };
    let bundle = new.bytes();
    let mut whole = SimDevice::story(GEOMETRY, &old);
    whole.restart(Cause::PowerOn);
    let once = sent(&mut whole, &bundle).1;
    let cases = patchlane_tests::cases!();
    for after in 1..40 {
        let Some(_trying) = cases.begin(after) else { continue };
        let mut device = SimDevice::story(GEOMETRY, &old);
        device.restart(Cause::PowerOn);
        device.expect(&new);
        begin(&mut device, &bundle, after);
        // Power fails, or only the cable.
        if after % 2 == 0 {
            device.restart(Cause::PowerOn);
        }
        if device.status().activity != Activity::Staged {
            let (outcome, bytes) = sent(&mut device, &bundle);
            assert_eq!(outcome, Ok(Outcome::Staged), "after {after}");
            // Who only lost the cable needs one pass over the stream; who lost power looks first, then writes.
            assert!(after % 2 == 0 || bytes <= once + 512, "after {after}: {bytes}, and once is {once}");
        }
        device.install(&new).expect("installed");
        assert!(device.power.violations().is_empty());
    }
}

/// A line that spoils a chunk says nothing of the delta: sent again, it is taken.
#[test]
fn a_spoilt_chunk_is_no_reason_to_distrust_a_delta() {
    let (old, new) = releases(11_000);
    let new = Release { full: false, ..new };
    let bundle = new.bytes();
    let mut device = SimDevice::story(GEOMETRY, &old);
    device.restart(Cause::PowerOn);
    device.expect(&new);
    let mut spoilt = bundle.clone();
    *spoilt.last_mut().unwrap() ^= 1;
    assert_eq!(sent(&mut device, &spoilt).0, Err(Refusal::ChunkDigest));
    assert_eq!(sent(&mut device, &bundle).0, Ok(Outcome::Staged));
}

/// What was written before power failed isn't written again, but for the block that was being written and the one before.
#[test]
fn what_was_written_of_a_delta_stays() {
    let old = Release::patch(4, 1, 7, image(1, 11_000));
    // The end is new, so that most of the stream comes when most of the image is there.
    let changed = [&old.image[..8500], &image(9, 2500)].concat();
    let new = Release { bases: vec![old.image.clone()], chunk: 128, ..Release::patch(4, 1, 8, changed) };
    let bundle = new.bytes();
    let cases = patchlane_tests::cases!();
    let mut most = 0;
    for after in 1..60 {
        let Some(_trying) = cases.begin(after) else { continue };
        let mut device = SimDevice::story(GEOMETRY, &old);
        device.restart(Cause::PowerOn);
        device.expect(&new);
        begin(&mut device, &bundle, after);
        device.restart(Cause::PowerOn);
        if device.status().activity == Activity::Staged {
            break;
        }
        let before = device.machine.media.secondary.written();
        assert_eq!(sent(&mut device, &bundle).0, Ok(Outcome::Staged));
        let again = device.machine.media.secondary.written() - before;
        assert!(before + again <= new.image.len() as u64 + 2 * 4096, "after {after}: {before} and {again}");
        most = most.max(before);
    }
    assert!(!cases.are_all() || most > 2 * 4096, "power never failed late enough: {most}");
}

#[test]
fn whatever_chunks_and_windows_are_the_image_is_the_same() {
    let cases = patchlane_tests::cases!();
    for (case, isa) in Isa::ALL.into_iter().cycle().take(12).enumerate() {
        let Some(_trying) = cases.begin(case) else { continue };
        let base = image(case as u64, 3_000 + case * 77);
        let target = edited(&base, case as u64);
        let linked = (case % 2 == 0).then_some((0x0800_0000, 0x0800_0000 + case as u32 * 0x1000));
        let data = delta::encode(&Input { base: &base, image: &target, isa, linked });
        for (chunk, window) in [(128, 8), (161, 32), (1024, 512), (4096, 9)] {
            assert_eq!(
                decode(&base, &data, target.len(), chunk, window).as_ref(),
                Ok(&target),
                "{case} {chunk}"
            );
        }
        // The coder's last zeros aren't sent, hundreds at most; what comes behind them is no part of a delta.
        let longer = [&data[..], &[7; 999]].concat();
        assert!(decode(&base, &longer, target.len(), 1024, 512).is_err(), "{case}");
    }
}

#[test]
fn no_data_makes_the_decoder_panic_stop_or_look_outside() {
    let base = image(3, 2_000);
    let good = delta::encode(&Input {
        base: &base,
        image: &edited(&base, 1),
        isa: Isa::Thumb,
        linked: Some((0, 0)),
    });
    let cases = patchlane_tests::cases!();
    let mut refused = 0;
    for case in 0..4_000u64 {
        let Some(_trying) = cases.begin(case) else { continue };
        let mut data: Vec<u8> = if case % 2 == 0 {
            (0..mix(case) % 300).map(|n| mix(case << 9 | n) as u8).collect()
        } else {
            good.clone()
        };
        if data.is_empty() {
            continue;
        }
        for _ in 0..case % 4 {
            let at = mix(case * 31) as usize % data.len();
            data[at] ^= mix(case) as u8;
        }
        data[0] = if case % 3 == 0 { data[0] & 0x83 } else { data[0] };
        let size = 1 + mix(case ^ 7) as usize % 3_000;
        refused += u32::from(decode(&base, &data, size, 128, 64).is_err());
    }
    assert!(!cases.are_all() || refused > 2_000, "{refused}");
}

/// Bytes of a delta that knows this much.
fn size(base: &[u8], image: &[u8], isa: Isa, linked: Option<(u32, u32)>) -> usize {
    let data = delta::encode(&Input { base, image, isa, linked });
    assert_eq!(delta::apply(base, &data, image.len()).as_deref(), Ok(image), "{isa:?} {linked:?}");
    data.len()
}

#[test]
fn code_that_moves_costs_little_once_its_jumps_and_pointers_are_understood() {
    let (old, new) = (0x0800_4000, 0x0802_4000);
    for isa in [Isa::Thumb, Isa::Arm, Isa::Riscv] {
        for seed in 0..4 {
            let program = Program::new(isa, seed, 150);
            let fixed = program.fixed(seed as usize * 31 + 7);
            let (base, image) = (program.linked(old), fixed.linked(new));
            let blind = size(&base, &image, Isa::Plain, None);
            let jumps = size(&base, &image, isa, None);
            let pointers = size(&base, &image, Isa::Plain, Some((old, new)));
            let both = size(&base, &image, isa, Some((old, new)));
            println!("{isa:?} {seed}: {blind} bytes blind, {jumps} jumps, {pointers} pointers, {both} both");
            assert!(pointers < blind && jumps * 2 < blind, "{isa:?} {seed}: {blind} {jumps} {pointers}");
            assert!(both < jumps && both * 4 < blind, "{isa:?} {seed}: {blind} {jumps} {both}");
        }
    }
}

#[test]
fn a_request_amid_a_delta_spoils_no_transfer() {
    let old = Release::patch(4, 1, 7, image(1, 11_000));
    // Old and new by turns, so that many chunks end while the base is read.
    let turns = old.image.chunks(150).enumerate();
    let turns = turns
        .flat_map(|(turn, piece)| [&piece[..piece.len().min(110)], &image(turn as u64 + 9, 40)].concat());
    let bases = vec![old.image.clone()];
    let new = Release { chunk: 128, full: false, bases, ..Release::patch(4, 1, 8, turns.collect()) };
    let bundle = new.bytes();
    let mut device = SimDevice::story(GEOMETRY, &old);
    device.restart(Cause::PowerOn);
    device.expect(&new);
    device.machine.begin().unwrap();
    let (mut offset, mut serial) = (0u32, 0);
    loop {
        let piece = &bundle[offset as usize..bundle.len().min(offset as usize + 300)];
        match device.machine.push(offset, piece).expect("taken") {
            Done::Want(next) => offset = next,
            Done::Outcome(outcome) => break assert_eq!(outcome, Outcome::Staged),
            other => panic!("{other:?}"),
        }
        // Meanwhile the owner's word is recorded, through the buffer that held a part of the base.
        let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::OwnerKey };
        serial += 1;
        device.machine.owner(&owner(serial, Request::Policy(policy))).expect("the owner's word");
    }
}

/// `4.1 s8` brings, for each slot, a delta from what runs in the other.
#[test]
fn a_direct_device_makes_the_image_of_one_slot_from_the_other() {
    for geometry in direct::GEOMETRIES {
        let linked = |seed: u64, of: &[Linked]| -> Vec<Linked> {
            of.iter().map(|l| Linked { address: l.address, bytes: edited(&l.bytes, seed) }).collect()
        };
        let old = direct::linked(Release::patch(4, 1, 7, Vec::new()), &geometry.1, 1);
        let mut device = direct::device(geometry.1, &old, 0);
        device.restart(Cause::PowerOn);
        let mut runs = old;
        for level in 8..11 {
            let (base, other) = (direct::slot_of(&device), 1 - direct::slot_of(&device));
            // What goes into the other slot is much like what runs in this one.
            let mut images = linked(u64::from(level), &runs.linked);
            let room = [geometry.1[1].length, geometry.1[2].length][other];
            images[other].bytes = edited(&runs.linked[base].bytes, u64::from(level) + 50);
            images[other].bytes.truncate(room);
            let bases = vec![runs.linked[base].bytes.clone()];
            let release = Release::patch(4, 1, level, images[0].bytes.clone());
            let new = Release { linked: images, bases, full: false, ..release };
            device.install(&new).unwrap_or_else(|e| panic!("{}: {e:?}", geometry.0));
            direct::assert_runs(&device, &new);
            assert_eq!(direct::slot_of(&device), other);
            runs = new;
        }
    }
}
