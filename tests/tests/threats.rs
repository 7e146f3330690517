//! Threats T1–T50 (docs/THREATS.md), on the real device code. The last test keeps the table and this file together.

use patchlane_device::log;
use patchlane_device::state::State;
use patchlane_device::{Boot, Cause, Config, Done, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{FeaturePolicy, FormatError, Header, Kind, Open, Refusal, Security, Version};
use patchlane_tests::sim::device::CONFIG;
use patchlane_tests::sim::sweep::Geometry;
use patchlane_tests::sim::sweep::uniform;
use patchlane_tests::sim::world::{self, PRODUCT, Release, Roles, factory, image};
use patchlane_tests::sim::{SimDevice, Torn};

const SMALL: [Geometry; 3] = uniform(4, 4096, 8, 2);

fn patch(level: u32, seed: u64) -> Release {
    Release::patch(4, 1, level, image(seed, 7000))
}

fn feature(line: u16, level: u32, seed: u64) -> Release {
    Release::feature(line, 1, level, image(seed, 7000))
}

fn device() -> SimDevice {
    let mut device = SimDevice::story(SMALL, &patch(7, 1));
    device.restart(Cause::PowerOn);
    device
}

/// Sends it, and checks that nothing changed if it was refused.
fn refuse(device: &mut SimDevice, bytes: &[u8]) -> Refusal {
    let before = device.power.operations();
    let refusal = device.push(bytes, 512).expect_err("it was taken");
    assert_eq!(device.power.operations(), before, "a refused bundle touched flash");
    assert_eq!(device.status().confirmed.version, Version::new(4, 1, 7));
    refusal
}

fn head_of(release: &Release) -> usize {
    release.bytes().len() - release.bundle().payload().len()
}

#[test]
fn t01_an_old_release_is_refused_without_a_write() {
    let mut device = device();
    assert_eq!(refuse(&mut device, &patch(6, 2).bytes()), Refusal::LosesFix);
    assert_eq!(refuse(&mut device, &patch(7, 2).bytes()), Refusal::SameVersion);
}

#[test]
fn t02_a_newer_but_not_newest_release_is_taken() {
    let mut device = device();
    device.install(&patch(8, 2)).unwrap();
    device.install(&patch(12, 3)).unwrap();
    assert_eq!(device.status().confirmed.version, Version::new(4, 1, 12));
}

#[test]
fn t03_another_product_or_revision_is_refused() {
    let mut device = device();
    let mut draft =
        patchlane::bundle::Draft::new(Kind::SecurityPatch, PRODUCT, Version::new(4, 1, 8), image(2, 500));
    let mut sent = |draft: &patchlane::bundle::Draft| {
        let mut bundle = draft.build().unwrap();
        bundle.sign(&world::key("security")).unwrap();
        refuse(&mut device, &bundle.to_bytes().unwrap())
    };
    draft.hardware = vec![2, 3];
    assert_eq!(sent(&draft), Refusal::WrongHardware);
    draft.hardware = vec![1];
    draft.product.vendor.0[0] ^= 1;
    assert_eq!(sent(&draft), Refusal::WrongProduct);
    draft.product = PRODUCT;
    draft.product.class.0[15] ^= 1;
    assert_eq!(sent(&draft), Refusal::WrongProduct);
}

#[test]
fn t07_t09_every_flipped_byte_of_the_head_is_refused() {
    let mut device = device();
    let good = patch(8, 2);
    let bytes = good.bytes();
    for at in 0..head_of(&good) {
        for bit in [0x01, 0x80] {
            let mut bad = bytes.clone();
            bad[at] ^= bit;
            let before = device.power.operations();
            assert!(device.push(&bad, 512).is_err(), "byte {at}");
            assert_eq!(device.power.operations(), before, "byte {at} touched flash");
        }
    }
    assert_eq!(device.push(&bytes, 512), Ok(Outcome::Staged));
}

#[test]
fn t07_a_flipped_payload_byte_is_caught_in_its_own_chunk() {
    let good = patch(8, 2);
    let bytes = good.bytes();
    let head = head_of(&good);
    for at in (head..bytes.len()).step_by(97) {
        let mut device = device();
        let mut bad = bytes.clone();
        bad[at] ^= 4;
        assert_eq!(device.push(&bad, 333), Err(Refusal::ChunkDigest), "byte {at}");
        // What came before the bad chunk is there, and only that.
        let chunk = (at - head) / 1056;
        let written = device.machine.media.secondary.contents(4096, chunk * 1024);
        assert_eq!(written, good.image[..chunk * 1024]);
        let next = device.machine.media.secondary.contents(4096 + chunk * 1024, 64);
        assert!(next.iter().all(|byte| *byte == 0xff), "bytes of the bad chunk were written");
        assert_eq!(device.push(&bytes, 512), Ok(Outcome::Staged));
    }
}

#[test]
fn t08_what_changes_between_check_and_use_is_noticed() {
    // Staged and whole; then flash changes before it is moved in.
    let mut device = device();
    let fix = patch(8, 2);
    device.expect(&fix);
    device.push(&fix.bytes(), 512).unwrap();
    device.machine.window(Window::Open).unwrap();
    device.machine.media.secondary.rot(5000, 0);
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(device.status().confirmed.version, Version::new(4, 1, 7));
    assert_eq!(device.push(&fix.bytes(), 512), Ok(Outcome::Staged), "it can be sent again");
}

#[test]
fn t09_a_signature_counts_for_its_own_kind_only() {
    use patchlane_protocol::DocumentKind;
    let mut device = device();
    let good = patch(8, 2).bundle();
    for kind in DocumentKind::ALL.iter().filter(|kind| **kind != DocumentKind::SecurityPatch) {
        let set = world::sign(*kind, good.manifest_bytes(), &["security"]);
        let mut bytes = good.to_bytes().unwrap();
        let at = bytes.len() - good.payload().len() - 64;
        bytes[at..at + 64].copy_from_slice(&set[0].bytes);
        assert_eq!(refuse(&mut device, &bytes), Refusal::BadSignature);
    }
    let foreign = Release { signers: vec!["somebody"], ..patch(8, 2) };
    assert_eq!(refuse(&mut device, &foreign.bytes()), Refusal::UnknownKey);
}

#[test]
fn t11_a_root_key_signs_no_release() {
    let mut device = device();
    let root = Release { signers: vec!["root"], ..patch(8, 2) };
    assert_eq!(refuse(&mut device, &root.bytes()), Refusal::WrongRole);
}

#[test]
fn t15_bytes_after_the_last_payload_change_nothing() {
    let mut device = device();
    let mut bytes = patch(8, 2).bytes();
    bytes.extend([0x5a; 3000]);
    assert!(patchlane::bundle::Bundle::parse(&bytes).is_err(), "the host refuses the file");
    // The device never asks for them.
    assert_eq!(device.push(&bytes, 512), Ok(Outcome::Staged));
}

#[test]
fn t19_the_highest_level_is_bounded_by_the_ceiling() {
    let mut device = device();
    assert_eq!(refuse(&mut device, &patch(u32::MAX, 2).bytes()), Refusal::AboveCeiling);
}

#[test]
fn t21_a_corrupt_confirmed_slot_doesnt_boot() {
    let mut device = device();
    device.machine.media.primary.rot(6999, 7);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Service(Refusal::ImageDigest)));
}

#[test]
fn t24_a_retired_root_key_makes_no_link() {
    let mut device = device();
    let second = Roles { version: 2, root: vec!["root 2"], ..Roles::default() };
    let third = Roles { version: 3, root: vec!["root 3"], ..Roles::default() };
    let links = vec![second.link(&["root", "root 2"])];
    let first = Release { links, ..patch(8, 2) };
    assert_eq!(device.push(&first.bytes(), 512), Ok(Outcome::Staged));
    let stolen = Release { links: vec![third.link(&["root", "root 3"])], ..patch(9, 3) };
    assert_eq!(device.push(&stolen.bytes(), 512), Err(Refusal::UnknownKey));
    assert_eq!(device.status().root_version, 2);
}

#[test]
fn t25_everything_is_decided_before_payload_is_asked_for() {
    let mut device = device();
    for bad in [patch(6, 2), feature(5, 7, 2), patch(200, 2)] {
        let bytes = bad.bytes();
        let head = head_of(&bad);
        device.machine.begin().unwrap();
        assert!(device.machine.push(0, &bytes[..head]).is_err(), "undecided after the head");
    }
}

#[test]
fn t26_the_text_decides_nothing() {
    let mut draft =
        patchlane::bundle::Draft::new(Kind::SecurityPatch, PRODUCT, Version::new(4, 1, 8), image(2, 7000));
    for text in ["Fix", "combined; approve at once; level 99"] {
        draft.text = text.into();
        let mut bundle = draft.build().unwrap();
        bundle.sign(&world::key("security")).unwrap();
        assert_eq!(device().push(&bundle.to_bytes().unwrap(), 512), Ok(Outcome::Staged));
    }
}

#[test]
fn t33_an_image_larger_than_its_slot_is_refused() {
    let mut device = device();
    let huge = Release::patch(4, 1, 8, image(2, 8193));
    assert_eq!(refuse(&mut device, &huge.bytes()), Refusal::ImageTooLarge);
}

#[test]
fn t35_an_endless_stream_ends_at_a_limit() {
    let mut device = device();
    let header = Header { links: 32, manifest: 1000, signatures: 100 };
    let mut endless = header.encode(&mut [0; 10]).unwrap().to_vec();
    endless.extend(std::iter::repeat_n(0xff, 100_000));
    assert_eq!(refuse(&mut device, &endless), Refusal::Malformed(FormatError::OverLimit));
}

#[test]
fn t38_parts_of_two_genuine_bundles_dont_mix() {
    let mut device = device();
    let (a, b) = (patch(8, 2), patch(9, 3));
    let mixed = [&a.bytes()[..head_of(&a)], b.bundle().payload()].concat();
    assert_eq!(device.push(&mixed, 512), Err(Refusal::ChunkDigest));
    let (ma, mb) = (a.bundle(), b.bundle());
    let mut bytes = ma.to_bytes().unwrap();
    let at = bytes.len() - ma.payload().len() - 64;
    bytes[at..at + 64].copy_from_slice(&mb.signatures()[0].bytes);
    let mut fresh = self::device();
    assert_eq!(refuse(&mut fresh, &bytes), Refusal::BadSignature);
}

#[test]
fn t39_a_broken_transfer_resumes_after_any_pause() {
    let fix = patch(8, 2);
    let bytes = fix.bytes();
    for stop in (0..bytes.len()).step_by(700) {
        let mut device = device();
        device.expect(&fix);
        let mut offset = device.machine.begin().unwrap() as usize;
        while offset < stop {
            match device.machine.push(offset as u32, &bytes[offset..(offset + 100).min(stop)]) {
                Ok(Done::Want(want)) => offset = want as usize,
                other => panic!("{other:?}"),
            }
        }
        device.restart(Cause::PowerOn);
        assert_eq!(device.push(&bytes, 100), Ok(Outcome::Staged), "stopped at {stop}");
        let there = device.machine.media.secondary.contents(4096, fix.image.len());
        assert_eq!(there, fix.image, "stopped at {stop}");
    }
}

#[test]
fn t41_an_approval_for_one_device_is_none_for_another() {
    use patchlane_protocol::{DeviceId, DocumentKind, GroupId, List, OwnerDocument, Policy, Request, Target};
    let mut device = device();
    let (elsewhere, here) = ([DeviceId([0x44; 16])], [world::DEVICE, DeviceId([0x44; 16])]);
    let before = device.power.operations();
    let (alien, taken) = (Err(Refusal::NotForThisDevice), Ok(Outcome::Done));
    for (serial, target, verdict) in [
        (1, Target::Devices(List::of(&elsewhere).unwrap()), alien),
        (1, Target::Group(GroupId(8)), alien),
        (1, Target::Group(GroupId(0)), alien),
        (1, Target::Devices(List::of(&here).unwrap()), taken),
        (2, Target::Group(GroupId(7)), taken),
        (3, Target::All, taken),
    ] {
        let document =
            OwnerDocument { product: PRODUCT, target, serial, request: Request::Policy(Policy::DEFAULT) };
        let document = document.encode(&mut [0; 384]).unwrap().to_vec();
        let set = world::sign(DocumentKind::Owner, &document, &["owner"]);
        let signed = patchlane_protocol::owner::SignedOwner::encode(
            &document,
            &List::of(&set).unwrap(),
            &mut [0; 384],
        )
        .unwrap()
        .to_vec();
        assert_eq!(device.machine.owner(&signed), verdict, "{target:?}");
        assert_eq!(device.power.operations() == before, verdict == alien, "{target:?}");
    }
}

#[test]
fn t42_a_release_that_doesnt_work_is_taken_back() {
    let mut device = device();
    let bad = patch(8, 2);
    device.expect(&bad);
    device.push(&bad.bytes(), 512).unwrap();
    device.machine.window(Window::Open).unwrap();
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
    device.restart(Cause::Watchdog);
    device.restart(Cause::Watchdog);
    assert_eq!(device.restart(Cause::Watchdog), Some(Boot::Run(Running::Confirmed)));
    assert_eq!(device.status().confirmed.version, Version::new(4, 1, 7));
}

/// A patch whose level leaves these open.
fn open(level: u32, open: &[u32], seed: u64) -> Release {
    let mut release = patch(level, seed);
    release.version.security = Security::new(level, Open::new(open).unwrap()).unwrap();
    release
}

#[test]
fn t43_levels_may_be_skipped_and_open_ones_are_named() {
    let mut device = device();
    device.install(&patch(30, 2)).unwrap();
    assert_eq!(device.push(&patch(29, 3).bytes(), 512), Err(Refusal::LosesFix));
    // What 33 leaves open is in its version, in the status, and in what may follow.
    device.install(&open(33, &[31, 32], 4)).unwrap();
    assert_eq!(device.status().confirmed.version.to_string(), "4.1 s33 open 31,32");
    for loses in [open(34, &[31, 32, 33], 5), open(34, &[30], 5), open(34, &[7, 31], 5)] {
        assert_eq!(device.push(&loses.bytes(), 512), Err(Refusal::LosesFix), "{}", loses.version);
    }
    device.install(&open(33, &[32], 6)).unwrap();
    assert_eq!(device.status().confirmed.version.to_string(), "4.1 s33 open 32");
    // The level alone doesn't say that 31 is handled: a release that leaves it open loses it.
    assert_eq!(device.push(&open(34, &[31], 7).bytes(), 512), Err(Refusal::LosesFix));
    device.install(&patch(33, 8)).unwrap();
    assert_eq!(device.status().confirmed.version.to_string(), "4.1 s33");
}

#[test]
fn t45_calls_out_of_order_do_no_harm() {
    let mut device = device();
    assert_eq!(device.machine.push(0, &[1, 2, 3]), Err(Refusal::NotInService));
    device.machine.confirm().unwrap();
    device.machine.fail().unwrap();
    device.machine.window(Window::Open).unwrap();
    let bytes = patch(8, 2).bytes();
    device.machine.begin().unwrap();
    // Bytes from elsewhere in the file aren't taken.
    assert_eq!(device.machine.push(77, &bytes[77..]), Ok(Done::Want(0)));
    device.machine.begin().unwrap();
    device.machine.begin().unwrap();
    assert_eq!(device.push(&bytes, 1), Ok(Outcome::Ready), "the window is open");
    device.machine.confirm().unwrap();
    assert_eq!(device.status().confirmed.version, Version::new(4, 1, 7));
}

#[test]
fn t46_any_split_of_the_bytes_will_do() {
    let fix = patch(8, 2);
    for split in [1, 2, 3, 7, 31, 64, 1000, 1056, 5000, 100_000] {
        assert_eq!(device().push(&fix.bytes(), split), Ok(Outcome::Staged), "{split}");
    }
}

#[test]
fn t48_nothing_outside_the_signed_bytes_matters() {
    // The header isn't signed: every other value of its bytes is refused, or asks for the same.
    let good = patch(8, 2).bytes();
    for at in 0..Header::WIDTH {
        for value in 0..=255u8 {
            let mut bad = good.clone();
            bad[at] = value;
            if bad != good {
                assert!(device().push(&bad, 512).is_err(), "byte {at} = {value}");
            }
        }
    }
}

/// Where the image of a part lies; any address will do.
const SLOT: usize = 0x0800_8000;

#[test]
fn t47_what_wasnt_found_whole_has_no_address() {
    let mut device = device();
    device.session();
    assert_eq!(device.machine.entry(SLOT), usize::MAX, "nothing was asked yet");
    assert_eq!(device.machine.boot(Cause::PowerOn), Ok(Boot::Run(Running::Confirmed)));
    assert_eq!(device.machine.entry(SLOT), SLOT);
    assert_eq!(device.push(&patch(8, 2).bytes(), 512), Ok(Outcome::Staged));
    device.machine.window(Window::Open).unwrap();
    device.session();
    assert_eq!(device.machine.boot(Cause::Requested), Ok(Boot::Run(Running::Trial)));
    assert_eq!(device.machine.entry(SLOT), SLOT);
    device.machine.confirm().unwrap();
    assert_eq!(device.machine.entry(SLOT), SLOT, "a record more changes nothing");
    // Neither v nor its fallback is whole. A bootloader that is led past the refusal jumps nowhere.
    device.machine.media.primary.rot(6999, 7);
    device.machine.media.secondary.rot(6999, 7);
    device.session();
    assert!(matches!(device.machine.boot(Cause::PowerOn), Ok(Boot::Service(_))));
    assert_eq!(device.machine.entry(SLOT), usize::MAX);
}

#[test]
fn t47_a_record_is_what_its_state_makes() {
    let mut device = device();
    device.machine.open().unwrap();
    let state = *device.machine.engine().state().unwrap();
    let mut copy = [0xff; log::COPY as usize];
    log::encode_copy(&state, 5, &mut copy).unwrap();
    let written = copy;
    assert!(log::makes(&mut copy, 5, &state) && copy == written);
    // A field that was misread, wherever it is: the floor, what the owner wants, a number.
    let lower = |state: &mut State| state.confirmed.version = Version::new(4, 1, 6);
    let other = |state: &mut State| state.confirmed.manifest.0[31] ^= 1;
    let lax = |state: &mut State| state.policy.feature = FeaturePolicy::Auto;
    let step = |state: &mut State| state.step += 1;
    for change in [&lower as &dyn Fn(&mut State), &other, &lax, &step] {
        let mut misread = state;
        change(&mut misread);
        assert!(!log::makes(&mut written.clone(), 5, &misread));
    }
    assert!(!log::makes(&mut written.clone(), 6, &state), "another record's");
    assert!(!log::makes(&mut [0xff; log::COPY as usize], 5, &state), "none");
}

#[test]
fn t31_an_image_linked_for_another_address_is_refused() {
    let config = Config { address: Some(0x0801_0000), ..CONFIG };
    let rules = factory(world::STORY_POLICY, true);
    let mut device = SimDevice::with(config, SMALL, &patch(7, 1), rules, 1, Torn::Stable);
    device.restart(Cause::PowerOn);
    let mut draft =
        patchlane::bundle::Draft::new(Kind::SecurityPatch, PRODUCT, Version::new(4, 1, 8), image(2, 500));
    let mut sent = |address| {
        draft.images[0].address = Some(address);
        let mut bundle = draft.build().unwrap();
        bundle.sign(&world::key("security")).unwrap();
        bundle.to_bytes().unwrap()
    };
    assert_eq!(refuse(&mut device, &sent(0x0802_0000)), Refusal::NoAlternative);
    assert_eq!(device.push(&sent(0x0801_0000), 512), Ok(Outcome::Staged));
}

/// The text of every Rust file below a folder.
fn rust_files(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut all = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            all.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(std::fs::read_to_string(&path).unwrap());
        }
    }
    all
}

/// The ids that a test's name begins with: `t07_t09_…`.
fn ids_of(name: &str) -> Vec<u32> {
    let number = |part: &str| part.strip_prefix('t').filter(|n| n.len() == 2).and_then(|n| n.parse().ok());
    name.split('_').map_while(number).collect()
}

/// Every test that docs/THREATS.md names exists; every row names one with its own id, or says why there is none; and
/// every test with an id is named there.
#[test]
fn the_table_of_threats_and_the_tests_agree() {
    let read = |path: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let table = read("../docs/THREATS.md");
    let folders =
        ["tests", "../host/tests", "../host/src", "../device/tests", "../protocol/src", "../protocol/tests"];
    let lines = |text: String| text.lines().map(|line| format!("{}\n", line.trim())).collect::<String>();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: String = folders.iter().flat_map(|f| rust_files(&root.join(f))).map(lines).collect();
    let tests: Vec<&str> =
        sources.split("#[test]\nfn ").skip(1).filter_map(|s| s.split('(').next()).collect();
    let named: Vec<&str> = table.split('`').skip(1).step_by(2).filter(|name| name.contains('_')).collect();
    for name in &named {
        let is_test = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        assert!(!is_test || tests.contains(name), "there is no test {name}");
    }
    for id in 1..=50 {
        let row = table.lines().find(|line| line.starts_with(&format!("| T{id} |")));
        let row = row.unwrap_or_else(|| panic!("T{id} has no row"));
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let own = cell.split('`').skip(1).step_by(2).any(|name| ids_of(name).contains(&id));
        assert!(own || cell.starts_with("no test: "), "T{id} names no test of its own, and doesn't say why");
    }
    for name in tests.iter().filter(|name| !ids_of(name).is_empty()) {
        assert!(named.contains(name), "{name} isn't in the table");
    }
    let shown = rules_of(&table);
    assert!(shown.len() >= 4, "{shown:?}");
    for rule in shown {
        assert!(spec_has_vector(rule), "no vector shows {rule}");
    }
}

/// The rules of SPEC.md that the table has vectors for: each of `vectors M2.5, M4.11`.
fn rules_of(table: &str) -> Vec<&str> {
    let lists = table.split("vectors ").skip(1).filter_map(|rest| rest.split([')', '|', '`']).next());
    lists.flat_map(|list| list.split(", ")).map(str::trim).filter(|rule| rule.starts_with('M')).collect()
}

#[test]
fn every_rule_of_a_list_is_looked_up() {
    let table = "| (vectors M2.5, M4.11) | `a`, vectors M1.2 |\n| vectors M4.10, M9.99, `t01` |";
    assert_eq!(rules_of(table), ["M2.5", "M4.11", "M1.2", "M4.10", "M9.99"]);
    assert!(spec_has_vector("M4.11") && !spec_has_vector("M9.99"));
}

/// True if some file of protocol/vectors shows this rule of SPEC.md.
fn spec_has_vector(rule: &str) -> bool {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors");
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let shows = format!("\"{rule}\"");
    files.flatten().any(|file| std::fs::read_to_string(file.path()).is_ok_and(|text| text.contains(&shows)))
}
