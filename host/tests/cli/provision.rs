//! `provision`: what it writes boots, on every board, and nothing is written that doesn't.

use super::desk::Desk;
use super::layout::{cortex_m, elf, firmware, started, stretch};
use patchlane::boards::{self, Machine};
use patchlane::config::Config;
use patchlane::device::{
    Boot, Cause, Config as DeviceConfig, Device, NoCounter, NoWatchdog, Region, Running,
};
use patchlane::flash::Chip;
use patchlane::image;
use serde_json::Value;
use std::collections::BTreeMap;

const ID: &str = "--development --device-id 00112233445566778899aabbccddeeff";

/// A product on a board with two releases, signed.
fn released(test: &str, board: &boards::Board) -> (Desk, Value) {
    let (desk, map) = started(test, board.name);
    for (name, size, level) in [("a", 9000, 7), ("b", 9500, 8)] {
        std::fs::write(desk.path(&format!("{name}.bin")), firmware(board, &map, size)).unwrap();
        desk.ok(&format!("build security --baseline 4.1 --level {level} --image {name}.bin -o {name}.plb"));
        desk.ok(&format!("sign {name}.plb"));
    }
    (desk, map)
}

/// What a programmer would have on its chips after it wrote the files: bytes by chip and offset.
fn programmed(desk: &Desk, made: &Value) -> BTreeMap<(Option<String>, u64), Vec<u8>> {
    let mut chips = BTreeMap::new();
    for file in made["files"].as_array().unwrap() {
        let path = desk.path(file["file"].as_str().unwrap());
        let chip = file["chip"].as_str().map(str::to_owned);
        let offset = file["offset"].as_u64().unwrap();
        let bytes = if made["format"] == "hex" {
            let loaded = image::read(&path).unwrap();
            assert_eq!(u64::from(loaded.address.unwrap()), file["address"].as_u64().unwrap());
            loaded.bytes
        } else {
            std::fs::read(path).unwrap()
        };
        chips.insert((chip, offset), bytes);
    }
    chips
}

/// Boots the device crate on it.
fn boot(desk: &Desk, made: &Value) -> Chip {
    let config = Config::read(&desk.path("patchlane.toml")).unwrap();
    let (flash, layout) = (config.flash().unwrap(), config.layout().unwrap());
    let chips = programmed(desk, made);
    let board = flash.board.as_deref().and_then(boards::find);
    let mut chip = Chip::reading(layout, board.map_or([0xff; 4], |board| board.erased));
    let regions = [
        (Region::State, &flash.state),
        (Region::Primary, &flash.primary),
        (Region::Secondary, &flash.secondary),
    ];
    for (region, stretch) in regions {
        let held = chips.iter().find(|((name, _), _)| *name == stretch.chip);
        let ((_, base), bytes) = held.unwrap();
        let from = usize::try_from(u64::from(stretch.offset) - base).unwrap();
        chip.program(region, bytes.get(from..).unwrap_or(&[]));
    }
    let device_config = DeviceConfig { address: config.address(), soak: 0, fenced: false };
    let mut device = Device::new(layout, device_config, chip, NoWatchdog, NoCounter);
    assert_eq!(device.boot(Cause::PowerOn), Ok(Boot::Run(Running::Confirmed)));
    let status = device.status().unwrap();
    assert_eq!(status.device.to_string(), made["device_id"].as_str().unwrap());
    assert_eq!(status.confirmed.version.to_string(), made["version"].as_str().unwrap());
    assert_eq!((status.root_version, status.development), (1, true));
    let a = std::fs::read(desk.path("a.bin")).unwrap();
    assert_eq!(device.media.primary(a.len()), a);
    device.media
}

#[test]
fn what_is_provisioned_boots_on_every_board_from_either_format() {
    for board in boards::ALL {
        let (desk, map) = released("provision", board);
        let mut with = String::new();
        if let Some(place) = stretch(&map, "bootloader") {
            let size = usize::try_from(place["size"].as_u64().unwrap()).unwrap();
            let address = place["address"].as_u64().map(|a| u32::try_from(a).unwrap());
            let bytes = match (board.machine, address) {
                (Machine::CortexM, Some(address)) => {
                    cortex_m(address, usize::try_from(board.preamble).unwrap(), board.ram[0].0 + 1024, size)
                }
                _ => vec![0x77; size],
            };
            std::fs::write(desk.path("boot.bin"), bytes).unwrap();
            with = " --bootloader boot.bin".to_owned();
        }
        let hex = desk.ok(&format!("provision a.plb {ID} -o f.hex{with}"));
        let bin = desk.ok(&format!("provision a.plb {ID} -o f.bin{with}"));
        boot(&desk, &hex);
        boot(&desk, &bin);
        // One says what the other says, and the bootloader lies at the beginning.
        for ((key, from_hex), (other, from_bin)) in
            programmed(&desk, &hex).iter().zip(&programmed(&desk, &bin))
        {
            assert_eq!(key, other, "{}", board.name);
            assert_eq!(*from_hex, from_bin[..from_hex.len()], "{} {key:?}", board.name);
        }
        if !with.is_empty() {
            let boot = std::fs::read(desk.path("boot.bin")).unwrap();
            assert_eq!(programmed(&desk, &hex)[&(None, 0)][..boot.len()], boot, "{}", board.name);
        }
        assert_eq!(desk.ok("simulate a.plb b.plb --development")["installed"], "4.1 s8", "{}", board.name);
    }
}

/// CH32V307: an erased word reads 0xe339e339. The device relies on nothing else.
#[test]
fn power_can_fail_anywhere_on_flash_that_does_not_erase_to_ones() {
    let (desk, _) = released("ch32", boards::find("ch32v307").unwrap());
    let plain = desk.ok("simulate a.plb b.plb --development");
    for cut in 0..plain["bundles"][0]["flash_operations"].as_u64().unwrap() {
        let cut = desk.ok(&format!("simulate a.plb b.plb --development --cut {cut}"));
        assert_eq!((&cut["installed"], &cut["image_sha256"]), (&"4.1 s8".into(), &plain["image_sha256"]));
    }
}

/// The state region is written whole: an older device's log in it would count.
#[test]
fn what_a_chip_held_before_does_not_come_back() {
    let (desk, _) = released("again", boards::find("nrf52840").unwrap());
    let made = desk.ok(&format!("provision a.plb {ID} -o f.hex"));
    let loaded = image::read(&desk.path("f.hex")).unwrap();
    assert_eq!(loaded.address, Some(0x18000));
    let text = std::fs::read_to_string(desk.path("f.hex")).unwrap();
    let data = text.lines().filter(|line| line[7..9] == *"00");
    let bytes: usize = data.map(|line| usize::from_str_radix(&line[1..3], 16).unwrap()).sum();
    assert_eq!(bytes, 0x8000 + 9000, "state whole, and the image");
    boot(&desk, &made);
}

#[test]
fn the_same_inputs_make_the_same_files() {
    let (desk, _) = released("same", boards::find("stm32f407").unwrap());
    for extension in ["hex", "bin"] {
        desk.ok(&format!("provision a.plb {ID} -o f.{extension}"));
        std::fs::create_dir_all(desk.path("deep")).unwrap();
        let mut command = desk.command();
        command.current_dir(desk.path("deep")).env("TZ", "Pacific/Apia").env("LC_ALL", "tr_TR.UTF-8");
        let line = format!("provision ../a.plb {ID} -o f.{extension}");
        assert!(command.args(line.split_whitespace()).output().unwrap().status.success());
        for name in [format!("f.{extension}"), format!("f-spi.{extension}")] {
            let (one, two) = (desk.path(&name), desk.path(&format!("deep/{name}")));
            assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap(), "{name}");
        }
    }
    let one = desk.ok("provision a.plb --development -o r.bin")["device_id"].clone();
    assert_ne!(
        one,
        desk.ok("provision a.plb --development -o s.bin")["device_id"],
        "ids are random unless given"
    );
}

/// A file for each chip: all of them, or none.
#[test]
fn files_that_belong_together_appear_together() {
    let (desk, _) = released("together", boards::find("stm32f407").unwrap());
    let made = desk.ok(&format!("provision a.plb {ID} -o f.hex"));
    let names: Vec<&str> =
        made["files"].as_array().unwrap().iter().map(|f| f["file"].as_str().unwrap()).collect();
    assert_eq!(names, ["f.hex", "f-spi.hex"]);
    std::fs::remove_file(desk.path("f.hex")).unwrap();
    desk.fails(&format!("provision a.plb {ID} -o f.hex"), 3, "file-exists");
    assert!(!desk.path("f.hex").exists());
    let before = std::fs::read(desk.path("f-spi.hex")).unwrap();
    desk.ok("provision a.plb --development --force -o f.hex");
    assert_ne!(std::fs::read(desk.path("f-spi.hex")).unwrap(), before);
    // The second can't be replaced: the first is as it was.
    std::fs::remove_file(desk.path("f-spi.hex")).unwrap();
    std::fs::create_dir(desk.path("f-spi.hex")).unwrap();
    desk.fails("provision a.plb --development --force -o f.hex", 3, "file-access");
}

#[test]
fn a_bootloader_is_put_where_it_belongs_or_not_at_all() {
    let (desk, _) = released("boot", boards::find("stm32f407").unwrap());
    let good = cortex_m(0x0800_0000, 0, 0x2002_0000, 5000);
    std::fs::write(desk.path("b.elf"), elf(40, 0x0800_0081, 0x0800_0000, &good)).unwrap();
    std::fs::write(desk.path("b.hex"), image::to_hex(&[(0x0800_0000, &good)])).unwrap();
    std::fs::write(desk.path("b.raw"), &good).unwrap();
    for name in ["b.elf", "b.hex", "b.raw", "b.raw@0x08000000"] {
        let made = desk.ok(&format!("provision a.plb {ID} -o f.bin --bootloader {name} --force"));
        assert_eq!(programmed(&desk, &made)[&(None, 0)][..5000], good, "{name}");
        assert!(made["notes"].as_array().unwrap().is_empty());
    }
    let without = desk.ok(&format!("provision a.plb {ID} -o f.bin --force"));
    assert_eq!((&without["bootloader"], &without["base"]), (&Value::Null, &0x20000.into()));
    assert_eq!(
        without["notes"][0],
        "it holds no bootloader: program one at 0x08000000, or say --bootloader FILE"
    );

    let provision = format!("provision a.plb {ID} -o g.hex --bootloader");
    let wrong = |bytes: Vec<u8>, what: &str| {
        std::fs::write(desk.path("w"), bytes).unwrap();
        assert_eq!(desk.fails(&format!("{provision} w"), 3, "image"), what);
    };
    wrong(
        elf(40, 0x0802_0081, 0x0802_0000, &cortex_m(0x0802_0000, 0, 0x2002_0000, 5000)),
        "is linked for 0x08020000, and [flash] bootloader lies at 0x08000000",
    );
    wrong(
        cortex_m(0x0800_0000, 0, 0x2002_0000, 0x2_0001),
        "has 131073 bytes, 1 more than [flash] bootloader (131072)",
    );
    wrong(vec![0; 5000], "has no vector table: its reset vector 0x00000000 lies outside the image");
    wrong(elf(243, 0x0800_0000, 0x0800_0000, &[1; 99]), "is for RISC-V, and stm32f407 runs Arm");
    wrong(Vec::new(), "is empty");
    desk.fails(&format!("{provision} none"), 3, "missing-file");
    desk.fails(&format!("{provision} trust"), 3, "file-access");
    desk.fails(&format!("{provision} b.raw@0x08020000"), 3, "image");
    let (virt, _) = released("boot", boards::find("virt").unwrap());
    virt.fails(&format!("provision a.plb {ID} -o g.hex --bootloader a.bin"), 3, "config");
}

#[test]
fn wrong_inputs_of_provision() {
    let desk = Desk::signed("wrong-provision");
    desk.fails(&format!("provision a.plb {ID} -o factory"), 2, "usage");
    desk.fails(&format!("provision a.plb {ID} -o factory.elf"), 2, "usage");
    desk.fails(&format!("provision a.plb {ID} -o f.hex --format elf"), 2, "usage");
    desk.fails("provision a.plb -o f.hex", 1, "development-trust");
    desk.fails(&format!("provision none.plb {ID} -o f.hex"), 3, "missing-file");
    desk.fails(&format!("provision a.bin {ID} -o f.hex"), 3, "malformed");
    desk.fails(&format!("provision a.plb {ID} -o no/where.hex"), 3, "missing-file");
    desk.fails(&format!("provision a.plb {ID} -o f.hex --root none.plr"), 3, "missing-file");
    desk.ok("build security --baseline 4.1 --level 9 --image a.bin -o u.plb");
    desk.fails(&format!("provision u.plb {ID} -o f.hex"), 1, "not-enough-signatures");
    // A map that no memory holds, and a gap that no file should.
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let put = |text: String| std::fs::write(desk.path("patchlane.toml"), text).unwrap();
    let slots =
        "primary = { offset = 0x20000, size = 0x20000 }\nsecondary = { offset = 0x40000, size = 0x21000 }";
    assert!(toml.contains(slots));
    put(toml.replace(slots, "primary = { offset = 0x20000, size = 0x70000000 }\nsecondary = { offset = 0x80000000, size = 0x70001000 }"));
    desk.fails(&format!("provision a.plb {ID} -o f.hex"), 3, "config");
    desk.fails("simulate a.plb --development", 3, "config");
    put(toml.replace("secondary = { offset = 0x40000", "secondary = { offset = 0xf0000000"));
    desk.fails(&format!("provision a.plb {ID} -o f.bin"), 3, "config");
    desk.ok(&format!("provision a.plb {ID} -o f.hex"));
    put(toml);
    // Without an address, those of the file count from the beginning of the chip.
    let made = desk.ok(&format!("provision a.plb {ID} -o factory --format hex"));
    assert_eq!((&made["format"], &made["files"][0]["address"]), (&"hex".into(), &0x10000.into()));
    assert!(
        made["notes"].as_array().unwrap().iter().any(|n| n.as_str().unwrap().starts_with("addresses count"))
    );
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let (before, _) = toml.split_once("# Where things lie").unwrap();
    std::fs::write(desk.path("patchlane.toml"), before).unwrap();
    desk.fails(&format!("provision a.plb {ID} -o f.hex"), 3, "config");
}
