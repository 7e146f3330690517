//! A product whose code runs from both slots: its map, its builds, its factory image, its stories.

use super::desk::Desk;
use patchlane::config::Config;
use patchlane::device::protocol::link::Outcome;
use patchlane::device::{
    Boot, Cause, Config as DeviceConfig, Device, NoCounter, NoWatchdog, Region, Running, Window,
};
use patchlane::flash::Chip;
use patchlane::image;

const ADDRESSES: [u32; 2] = [0x0802_0000, 0x0804_0000];

const FLASH: &str = "[flash]
address = 0x08000000
write_size = 8
erase_size = 4096
direct_xip = true
state = { offset = 0x10000, size = 0x8000 }
primary = { offset = 0x20000, size = 0x20000 }
secondary = { offset = 0x40000, size = 0x18000 }
";

/// A product with such a map, changed like this, and two releases' images for each slot.
fn started(name: &str, from: &str, to: &str) -> Desk {
    let desk = Desk::started(name);
    assert!(FLASH.contains(from), "{from}");
    let text = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let above = text.split("# Where things lie in flash").next().unwrap();
    std::fs::write(desk.path("patchlane.toml"), format!("{above}{}", FLASH.replace(from, to))).unwrap();
    for (i, address) in ADDRESSES.into_iter().enumerate() {
        for (name, fill) in [("a", 0x10), ("b", 0x20)] {
            let bytes = vec![fill + i as u8; 9000 + 500 * i + usize::from(fill)];
            std::fs::write(desk.path(&format!("{name}{i}.bin")), &bytes).unwrap();
            std::fs::write(desk.path(&format!("{name}{i}.hex")), image::to_hex(&[(address, &bytes)]))
                .unwrap();
        }
    }
    desk
}

/// The same with two signed bundles: a.plb (4.1 s7) and b.plb (4.1 s8).
fn signed(name: &str) -> Desk {
    let desk = started(name, "write", "write");
    for (name, level) in [("a", 7), ("b", 8)] {
        let images = format!("--image {name}0.hex --image {name}1.hex");
        desk.ok(&format!("build security --baseline 4.1 --level {level} {images} -o {name}.plb"));
        desk.ok(&format!("sign {name}.plb"));
    }
    desk
}

#[test]
fn the_map_knows_both_slots() {
    let desk = started("direct-map", "write", "write");
    let map = desk.ok("layout --image a1.hex --image a0.hex");
    assert_eq!((&map["direct_xip"], &map["addresses"]), (&true.into(), &ADDRESSES.to_vec().into()));
    assert_eq!(map["images"][0]["place"], "secondary");
    assert_eq!((&map["images"][0]["room"], &map["images"][1]["room"]), (&0x18000.into(), &0x20000.into()));
    let drawn = String::from_utf8(desk.run("layout").stdout).unwrap();
    assert!(drawn.contains("linked for 0x08020000") && drawn.contains("linked for 0x08040000"), "{drawn}");
    let text = |kind: &str| desk.ok(&format!("layout --emit {kind}"))["text"].as_str().unwrap().to_owned();
    assert!(text("rust").contains("Layout::direct(STATE, [PRIMARY, SECONDARY], [0x08020000, 0x08040000])"));
    assert!(text("c-header").contains("#define PATCHLANE_SECONDARY_ADDRESS 0x08040000u\n"));
    std::fs::write(
        desk.path("patchlane.toml"),
        std::fs::read_to_string(desk.path("patchlane.toml")).unwrap()
            + "\n[ram]\naddress = 0x20000000\nsize = 0x10000\n",
    )
    .unwrap();
    assert!(text("memory-x").contains("FLASH (rx) : ORIGIN = 0x08020000, LENGTH = 0x20000\n"));
    assert!(text("secondary-memory-x").contains("FLASH (rx) : ORIGIN = 0x08040000, LENGTH = 0x18000\n"));
}

#[test]
fn two_chips_are_seen_where_build_says() {
    let chip = "secondary = { offset = 0x0, size = 0x18000, chip = \"qspi\", write_size = 1 }";
    let desk = started("direct-chips", "secondary = { offset = 0x40000, size = 0x18000 }", chip);
    let what = desk.fails("layout", 3, "config");
    assert_eq!(what, "secondary is run from, and nothing says where it is seen in the memory map");
    let text = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let linked = text.replace("chunk = 1024", "addresses = [0x08020000, 0x90000000]\nchunk = 1024");
    std::fs::write(desk.path("patchlane.toml"), linked).unwrap();
    assert_eq!(desk.ok("layout")["addresses"], serde_json::json!([0x0802_0000u32, 0x9000_0000u32]));
    let image = image::to_hex(&[(0x9000_0000, &[7; 5000])]);
    std::fs::write(desk.path("q.hex"), image).unwrap();
    desk.ok("build security --baseline 4.1 --level 7 --image a0.hex --image q.hex -o q.plb");
}

#[test]
fn wrong_maps_of_two_slots() {
    let layout = |name: &str, from: &str, to: &str| started(name, from, to).fails("layout", 3, "config");
    let what = layout("direct-blocks", "size = 0x18000", "size = 0x18000, erase_size = 0x10000");
    assert_eq!(what, "secondary has size 0x18000, which isn't whole sectors of 0x10000 bytes");
    let blocks = "primary = { offset = 0x20000, size = 0x19000 }\nsecondary = { offset = 0x40000, size = 0x20000, erase_size = 0x10000 }";
    let both = &FLASH[FLASH.find("primary").unwrap()..].trim_end();
    let what = layout("direct-mixed", both, blocks);
    assert_eq!(what, "primary has 0x19000 bytes, which isn't whole blocks of 0x10000");
    let what = layout("direct-nowhere", "address = 0x08000000\n", "");
    assert_eq!(what, "primary is run from, and nothing says where it is seen in the memory map");
    for (addresses, wrong) in [
        ("[0x08020000]", "[build] addresses has one address, and code runs from two slots"),
        ("[0x08040000, 0x08020000]", "primary lies at 0x08020000, and [build] addresses says 0x08040000"),
        ("[0x08020000, 0x08040000, 1]", "[build] addresses has 3 addresses, and code runs from two slots"),
    ] {
        let desk = started("direct-linked", "write", "write");
        let text = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
        let text = text.replace("chunk = 1024", &format!("addresses = {addresses}\nchunk = 1024"));
        std::fs::write(desk.path("patchlane.toml"), text).unwrap();
        assert_eq!(desk.fails("layout", 3, "config"), wrong);
    }
    // Where images are moved there is no second place for code.
    let desk = started("direct-not", "direct_xip = true", "direct_xip = false");
    desk.fails("layout", 3, "config");
    let desk = Desk::started("direct-none");
    let what = desk.fails("layout --board stm32f407 --emit secondary-memory-x", 3, "config");
    assert_eq!(what, "code doesn't run from the secondary slot");
}

#[test]
fn a_build_has_an_image_for_each_slot() {
    let desk = started("direct-build", "write", "write");
    let build = "build security --baseline 4.1 --level 7 -o x.plb";
    let what = desk.fails(&format!("{build} --image a0.hex"), 3, "image");
    assert_eq!(what, "code runs from both slots, and there is no image for the one at 0x08040000");
    let what = desk.fails(&format!("{build} --image a1.hex"), 3, "image");
    assert_eq!(what, "code runs from both slots, and there is no image for the one at 0x08020000");
    let what = desk.fails(&format!("{build} --image a0.bin"), 3, "image");
    assert_eq!(what, "doesn't say which slot it is linked for");
    desk.fails(&format!("{build} --image a0.hex --image b0.hex"), 3, "image");
    let what = desk.fails(&format!("{build} --image a0.hex --image a1.bin@0x08050000"), 3, "image");
    assert_eq!(what, "is linked for 0x08050000, and the slot lies at 0x08020000 or 0x08040000");
    std::fs::write(desk.path("long.bin"), vec![1; 0x18001]).unwrap();
    let what = desk.fails(&format!("{build} --image a0.hex --image long.bin@0x08040000"), 3, "image");
    assert_eq!(what, "has 98305 bytes, 1 more than the secondary slot (98304)");
    desk.ok(&format!("{build} --image long.bin@0x08020000 --image a1.bin@0x08040000"));
}

/// The factory image holds the first slot's image; from there on the device goes back and forth.
#[test]
fn what_is_provisioned_goes_from_slot_to_slot() {
    let desk = signed("direct-provision");
    desk.ok("provision a.plb --development -o f.bin");
    let config = Config::read(&desk.path("patchlane.toml")).unwrap();
    let chip = Chip::holding(config.layout().unwrap(), &std::fs::read(desk.path("f.bin")).unwrap());
    assert_eq!(chip.primary(9016), std::fs::read(desk.path("a0.bin")).unwrap());
    let session = |media: Chip| {
        let config = DeviceConfig { address: None, soak: 0, fenced: false };
        Device::new(media.layout(), config, media, NoWatchdog, NoCounter)
    };
    let mut device = session(chip);
    assert_eq!(device.boot(Cause::PowerOn), Ok(Boot::Run(Running::Confirmed)));
    assert_eq!(device.primary_slot().unwrap().address, Some(ADDRESSES[0]));
    let bundle = std::fs::read(desk.path("b.plb")).unwrap();
    assert_eq!(patchlane::scenario::send(&mut device, &bundle, 512), Ok(Ok(Outcome::Staged)));
    let digest = patchlane::bundle::Bundle::parse(&bundle[..]).unwrap().digest();
    device.local(patchlane::protocol::owner::Action::Apply, &digest).unwrap();
    let _ = device.window(Window::Open).unwrap();
    let mut device = session(device.media);
    assert_eq!(device.boot(Cause::Requested), Ok(Boot::Run(Running::Trial)));
    let slot = device.primary_slot().unwrap();
    assert_eq!((slot.region, slot.address), (Region::Secondary, Some(ADDRESSES[1])));
    let b = std::fs::read(desk.path("b1.bin")).unwrap();
    assert_eq!(device.media.region(Region::Secondary)[..b.len()], b);
}

const STORY: &str = "title = 'An update goes into the slot that does not run, and back'
[device]
first = 'old'
security = 'apply-in-window'
feature = 'auto'
";

fn story(releases: &str, steps: &str) -> String {
    format!("{STORY}{releases}\n{steps}")
}

const STEPS: &str = "[[step]]
send = 'fix'
cut = 'receiving'
answer = 'ready'
[[step]]
restart = true
cut = 'trial'
[[step]]
send = 'bad'
answer = 'ready'
[[step]]
restart = true
[[step]]
status = { installed = '4.1 s8', activity = 'Idle' }
";

/// Described releases, and a scenario's own map.
#[test]
fn stories_are_played_on_two_slots_with_power_cut_everywhere() {
    let desk = Desk::new("direct-story");
    let release = |name: &str, level: u8, works: bool| {
        format!(
            "[release.{name}]\nlane = 'security'\nbaseline = '4.1'\nlevel = {level}\nfirmware = '{name}'\nworks = {works}\n"
        )
    };
    let releases = release("old", 7, true) + &release("fix", 8, true) + &release("bad", 9, false);
    let text = story(&releases, STEPS) + FLASH;
    std::fs::write(desk.path("story.toml"), &text).unwrap();
    let told = String::from_utf8(desk.run("simulate story.toml").stdout).unwrap();
    assert!(told.contains("code runs from both"), "{told}");
    let swept = desk.ok("simulate story.toml --sweep");
    assert!(swept["scenarios"][0]["power_cuts"].as_u64().unwrap() > 100, "{swept}");
    // Nothing is moved: power can't fail there.
    for point in ["moving", "reverting"] {
        let moving = text.replace("cut = 'trial'", &format!("cut = '{point}'"));
        std::fs::write(desk.path("moving.toml"), moving).unwrap();
        let what = desk.fails("simulate moving.toml", 3, "malformed");
        assert!(what.contains(&format!("cuts at `{point}`, and this device moves nothing")), "{what}");
    }
    // A file is linked for one slot at most.
    std::fs::write(desk.path("old"), [7; 5000]).unwrap();
    assert_eq!(
        desk.fails("simulate story.toml", 3, "malformed"),
        "is one file, and code runs from two slots"
    );
}

/// Bundle files, and the map of patchlane.toml.
#[test]
fn bundles_are_played_on_two_slots() {
    let desk = signed("direct-bundles");
    let releases = "[release.old]\nbundle = 'a.plb'\n[release.fix]\nbundle = 'b.plb'\n";
    let steps = "[[step]]\nsend = 'fix'\nanswer = 'ready'\n[[step]]\nrestart = true\n\
                 [[step]]\nstatus = { installed = '4.1 s8' }\n";
    std::fs::write(desk.path("story.toml"), story(releases, steps)).unwrap();
    desk.ok("simulate story.toml");
    assert_eq!(desk.ok("simulate a.plb b.plb --development")["installed"], "4.1 s8");
}

/// A status doesn't say which slot runs: `diff` says that it doesn't know, unless it is told which one is free.
#[test]
fn what_a_bundle_does_is_foreseen_for_the_slot_that_is_free() {
    let desk = signed("direct-diff");
    desk.save_status("status.json");
    let told = desk.ok("diff b.plb --status status.json");
    let unknown = |value: &serde_json::Value| value["unknown"].to_string();
    assert!(unknown(&told).contains("slot"), "{told}");
    for address in ["0x08020000", "0x08040000"] {
        let told = desk.ok(&format!("diff b.plb --status status.json --address {address}"));
        assert_eq!(told["transition"], "patch", "{told}");
        assert!(!unknown(&told).contains("slot"), "{told}");
    }
    let what = desk.fails("diff b.plb --status status.json --address 0x08050000", 1, "refused");
    assert_eq!(what, "would be refused: it holds no payload that fits this device");
}

/// What runs in one slot is the base of what goes into the other, never of what goes into the same.
#[test]
fn a_delta_is_for_the_other_slot() {
    let desk = started("direct-base", "write", "write");
    // Both slots' images of one release share content, as real ones do.
    let noise: Vec<u8> = (0..9_000u64).map(|n| patchlane::flash::mix(n) as u8).collect();
    for (name, changes) in [("a", 0), ("b", 7)] {
        for (i, address) in ADDRESSES.into_iter().enumerate() {
            let mut bytes = noise.clone();
            bytes.iter_mut().skip(i).step_by(997).for_each(|byte| *byte ^= changes + 1 + i as u8);
            std::fs::write(desk.path(&format!("{name}{i}.bin")), &bytes).unwrap();
            std::fs::write(desk.path(&format!("{name}{i}.hex")), image::to_hex(&[(address, &bytes)]))
                .unwrap();
        }
    }
    desk.ok("build security --baseline 4.1 --level 7 --image a0.hex --image a1.hex -o a.plb");
    let build =
        "build security --baseline 4.1 --level 8 --image b0.hex --image b1.hex -o b.plb --force --base";
    let digest = |file: &str| patchlane::bundle::sha256(&std::fs::read(desk.path(file)).unwrap()).to_string();
    for bases in ["a.plb", "a0.hex --base a1.hex", "a0.bin@0x08020000 --base a1.bin@0x08040000"] {
        let built = desk.ok(&format!("{build} {bases}"));
        let ways = built["components"][0]["alternatives"].as_array().unwrap();
        let deltas: Vec<_> = ways.iter().filter(|way| way["encoding"] == "delta").collect();
        let of = |way: &serde_json::Value| {
            (way["address"].as_u64(), way["base_sha256"].as_str().map(str::to_owned))
        };
        let expected = [
            (Some(ADDRESSES[0].into()), Some(digest("a1.bin"))),
            (Some(ADDRESSES[1].into()), Some(digest("a0.bin"))),
        ];
        assert_eq!(deltas.iter().map(|way| of(way)).collect::<Vec<_>>(), expected, "{bases}");
    }
    assert!(desk.fails(&format!("{build} a0.bin"), 3, "image").contains("isn't linked for one of them"));
    desk.fails(&format!("{build} a0.bin@0x08000000"), 3, "image");
    desk.ok(&format!("{build} a.plb"));
    desk.ok("sign b.plb");
    std::fs::create_dir(desk.path("made")).unwrap();
    desk.ok("extract b.plb --base a.plb -o made");
}
