//! `layout`, and images against the map in `build`: every board, every format, and what doesn't fit.

use super::desk::Desk;
use patchlane::boards::{self, Machine};
use patchlane::image::to_hex;
use serde_json::Value;

/// Firmware for an address: a vector table with this initial stack pointer, then code.
pub(crate) fn cortex_m(address: u32, preamble: usize, stack: u32, size: usize) -> Vec<u8> {
    let mut image = vec![0x42; size];
    let reset = address + u32::try_from(preamble).unwrap() + 0x81;
    image[preamble..preamble + 4].copy_from_slice(&stack.to_le_bytes());
    image[preamble + 4..preamble + 8].copy_from_slice(&reset.to_le_bytes());
    image
}

/// A linked program of one segment. `machine`: 40 is Arm, 243 RISC-V.
pub(crate) fn elf(machine: u16, entry: u32, address: u32, bytes: &[u8]) -> Vec<u8> {
    let size = u32::try_from(bytes.len()).unwrap();
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    for half in [2u16, machine] {
        file.extend(half.to_le_bytes());
    }
    for word in [1u32, entry, 52, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [52u16, 32, 1, 40, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for word in [1u32, 84, address, address, size, size, 5, 4] {
        file.extend(word.to_le_bytes());
    }
    file.extend(bytes);
    file
}

/// A product on a board, and its map.
pub(crate) fn started(test: &str, board: &str) -> (Desk, Value) {
    let desk = Desk::new(&format!("{test}-{board}"));
    desk.ok(&format!("init --board {board} --class pump"));
    let map = desk.ok("layout");
    (desk, map)
}

/// A stretch of a map.
pub(crate) fn stretch<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    map["stretches"].as_array().unwrap().iter().find(|s| s["name"] == name)
}

/// Firmware that the board would run.
pub(crate) fn firmware(board: &boards::Board, map: &Value, size: usize) -> Vec<u8> {
    let address = map["addresses"][0].as_u64().map(|a| u32::try_from(a).unwrap());
    match (board.machine, address) {
        (Machine::CortexM, Some(address)) => cortex_m(address, 0, board.ram[0].0 + board.ram[0].1, size),
        _ => vec![0x42; size],
    }
}

#[test]
fn a_product_starts_on_every_board() {
    for board in boards::ALL {
        let (desk, map) = started("layout", board.name);
        assert_eq!(map, desk.ok(&format!("layout --board {}", board.name)));
        assert_eq!(map["board"], board.name);
        std::fs::write(desk.path("a.bin"), firmware(board, &map, 9000)).unwrap();
        let checked = desk.ok("layout --image a.bin");
        assert_eq!(
            (&checked["images"][0]["bytes"], &checked["images"][0]["place"]),
            (&9000.into(), &"primary".into())
        );
        for kind in ["c-header", "zephyr-dts", "rust"] {
            assert!(!desk.ok(&format!("layout --emit {kind}"))["text"].as_str().unwrap().is_empty());
        }
        match board.address {
            Some(_) => drop(desk.ok("layout --emit memory-x")),
            None => drop(desk.fails("layout --emit memory-x", 3, "config")),
        }
    }
}

#[test]
fn the_drawing_shows_every_stretch_and_how_full_it_is() {
    let (desk, map) = started("drawing", "nrf52840");
    std::fs::write(desk.path("app.bin"), firmware(boards::find("nrf52840").unwrap(), &map, 250_000)).unwrap();
    let out = desk.run("layout --image app.bin");
    let text = String::from_utf8(out.stdout).unwrap();
    for line in [
        "nrf52840: nRF52840, 1 MiB",
        "  0x00000000 ┌──────────────────────────────────────────────────────────────────┐",
        "             │ bootloader      96 KiB   24 x 4 KiB                              │",
        "             │ state           32 KiB   8 x 4 KiB                               │",
        "             │                          3 log areas, 5 receipts                 │",
        "             │ primary        444 KiB   111 x 4 KiB                             │",
        "             │                          runs; linked for 0x00020000             │",
        "             │                          app.bin        █████████░░░░░░░  54 %   │",
        "             │ free             4 KiB                                           │",
        "  0x00100000 └──────────────────────────────────────────────────────────────────┘",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert_eq!(String::from_utf8_lossy(&out.stderr), "Nothing is wrong with the map, and the image fits.\n");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn boards_are_listed_with_their_sectors() {
    let desk = Desk::new("list");
    let list = desk.ok("layout --list");
    let names: Vec<&str> =
        list["boards"].as_array().unwrap().iter().map(|b| b["name"].as_str().unwrap()).collect();
    assert_eq!(names, boards::names());
    let text = String::from_utf8(desk.run("layout --list").stdout).unwrap();
    assert!(text.contains("4 x 16 KiB, 1 x 64 KiB, 7 x 128 KiB"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

/// Every finding at once, exit 3, and nothing is written.
#[test]
fn everything_that_is_wrong_is_said_and_nothing_is_emitted() {
    let (desk, _) = started("findings", "nrf52840");
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    std::fs::write(desk.path("a.bin"), vec![0x42; 9000]).unwrap();
    desk.fails("layout --image a.bin --emit c-header -o layout.h", 3, "image");
    let bad = toml
        .replace("0x18000, size = 0x8000", "0x17000, size = 0x7000")
        .replace("size = 0x70000", "size = 0x71000");
    std::fs::write(desk.path("patchlane.toml"), &bad).unwrap();
    desk.fails("layout --image a.bin --emit c-header -o layout.h", 3, "config");
    let out = desk.run("layout --image a.bin --emit c-header --json");
    assert_eq!(out.status.code(), Some(3));
    let error: Value = serde_json::from_slice(&out.stdout).unwrap();
    let mut whats = vec![error["what"].as_str().unwrap()];
    whats.extend(error["also"].as_array().unwrap().iter().map(|e| e["what"].as_str().unwrap()));
    assert_eq!(
        whats,
        [
            "bootloader and state overlap from 0x17000 to 0x18000",
            "secondary has 0x71000 bytes, and has to be one sector longer than primary: 0x70000",
            "state has 0x7000 bytes: too few for three log areas and five receipts",
            "has no vector table: its reset vector 0x42424242 lies outside the image",
        ]
    );
    // For people, too: the picture and every finding, none of it on stdout.
    let out = desk.run("layout --image a.bin");
    assert_eq!((out.status.code(), out.stdout.len()), (Some(3), 0));
    let told = String::from_utf8(out.stderr).unwrap();
    assert_eq!(told.lines().filter(|line| line.starts_with("error: ")).count(), whats.len(), "{told}");
    assert!(told.contains("patchlane.toml: [flash] bootloader and state overlap"), "{told}");
    assert!(told.contains("┌─"), "{told}");
    // `build` refuses the map, too.
    desk.fails("build security --baseline 1.0 --level 1 --image a.bin -o x.plb", 3, "config");
}

#[test]
fn wrong_inputs_of_layout() {
    let desk = Desk::new("wrong");
    desk.fails("layout", 3, "missing-file");
    desk.fails("layout --board stm32f4", 2, "usage");
    let out = desk.run("layout --board stm32f4");
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(told.contains("did you mean `stm32f407`?"), "{told}");
    desk.fails("layout --list --emit rust", 2, "usage");
    desk.fails("layout --board virt -o x.h", 2, "usage");
    desk.fails("layout --board virt --emit memory", 2, "usage");
    desk.fails("layout --board virt --image none.bin", 3, "missing-file");
    desk.fails("layout --board virt --image none.bin@0xG", 2, "usage");
    desk.fails("layout --board virt --bootloader none.bin", 3, "config");
    desk.fails("layout --board virt --emit boot-memory-x", 3, "config");
    desk.fails("layout --board virt --emit rust -o no/where.rs", 3, "missing-file");
    desk.ok("init");
    // Without a board or an address nobody knows where code runs.
    desk.fails("layout --emit memory-x", 3, "config");
    desk.ok("layout --emit rust -o l.rs");
    desk.fails("layout --emit rust -o l.rs", 3, "file-exists");
    desk.ok("layout --emit rust -o l.rs --force");
    std::fs::write(
        desk.path("patchlane.toml"),
        "[product]\nvendor = \"a\"\nclass = \"b\"\nhardware = [1]\n[trust]\nroot = \"r\"\n",
    )
    .unwrap();
    desk.fails("layout", 3, "config");
}

/// What `layout --emit rust` wrote: it compiles, and is the layout.
mod golden {
    #![allow(unreachable_pub, reason = "written for another crate")]
    include!("golden/stm32h743.rs");
}

#[test]
fn emitted_rust_compiles_and_is_the_map() {
    let desk = Desk::new("rust");
    let text = desk.ok("layout --board stm32h743 --emit rust")["text"].as_str().unwrap().to_owned();
    assert_eq!(text, include_str!("golden/stm32h743.rs"));
    let flash = boards::find("stm32h743").unwrap().flash_section();
    let config = patchlane::config::Config::parse(&patchlane::config::template("a.b", "c", &flash)).unwrap();
    assert_eq!(golden::layout(), Ok(config.layout().unwrap()));
}

#[test]
fn emitted_linker_scripts_name_the_slots() {
    let desk = Desk::new("scripts");
    let text = |line: &str| String::from_utf8(desk.run(&format!("layout {line}")).stdout).unwrap();
    let app = text("--board stm32f407 --emit memory-x");
    assert!(app.contains("FLASH (rx) : ORIGIN = 0x08020000, LENGTH = 0x60000\n"), "{app}");
    assert!(app.contains("RAM (rwx)  : ORIGIN = 0x20000000, LENGTH = 0x20000\n"), "{app}");
    let boot = text("--board rp2040 --emit boot-memory-x");
    assert!(boot.contains("BOOT2 (r)  : ORIGIN = 0x10000000, LENGTH = 0x100\n"), "{boot}");
    assert!(boot.contains("FLASH (rx) : ORIGIN = 0x10000100, LENGTH = 0x1ff00\n"), "{boot}");
    assert!(text("--board gd32vf103 --emit memory-x").contains("REGION_ALIAS(\"REGION_STACK\", RAM);\n"));
    let dts = text("--board gd32vf103 --emit zephyr-dts");
    assert!(dts.contains("&spi {") && dts.contains("slot1_partition: partition@8000 {"), "{dts}");
}

/// The header, given to a C compiler, and the script, given to a linker, where there are such.
#[test]
fn emitted_files_are_taken_by_the_tools_they_are_for() {
    let desk = Desk::new("tools");
    desk.ok("layout --board stm32f407 --emit c-header -o layout.h");
    let c = "#include \"layout.h\"\n_Static_assert(PATCHLANE_PRIMARY_OFFSET + PATCHLANE_PRIMARY_SIZE == \
             PATCHLANE_SECONDARY_OFFSET && PATCHLANE_FLASH_ADDRESS == 0x08000000 && \
             PATCHLANE_STATE_ERASE_SIZE == 4096, \"\");\n";
    std::fs::write(desk.path("x.c"), c).unwrap();
    let tool = |name: &str, arguments: &str| {
        let out =
            std::process::Command::new(name).current_dir(&desk.0).args(arguments.split_whitespace()).output();
        match out {
            Ok(out) => assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr)),
            Err(_) => println!("skipped: there is no {name} here"),
        }
    };
    tool("cc", "-fsyntax-only -Wall -Werror -std=c11 x.c");
    desk.ok("layout --board stm32f407 --emit memory-x -o memory.x");
    std::fs::write(desk.path("link.x"), "INCLUDE memory.x\nSECTIONS { .text : { *(.text*) } > FLASH }\n")
        .unwrap();
    std::fs::write(desk.path("x.o"), elf(40, 0, 0, &[])).unwrap();
    std::fs::write(desk.path("raw"), [0x42; 64]).unwrap();
    tool("ld.lld", "-m armelf -T link.x -b binary raw -o x.elf");
}

/// `build` with ELF, Intel HEX and raw images, in the slot and beside it.
#[test]
fn build_takes_only_what_fits_the_map() {
    let (desk, map) = started("build", "stm32f407");
    let put = |name: &str, bytes: &[u8]| std::fs::write(desk.path(name), bytes).unwrap();
    let build = |name: &str| format!("build security --baseline 1.0 --level 1 -o {name}.plb --image {name}");
    let slot = 0x0802_0000;
    let good = firmware(boards::find("stm32f407").unwrap(), &map, 5000);
    put("a.elf", &elf(40, slot + 0x81, slot, &good));
    put("a.hex", to_hex(&[(slot, &good)]).as_bytes());
    put("a.bin", &good);
    let digests = ["a.elf", "a.hex", "a.bin"].map(|name| desk.ok(&build(name))["manifest_sha256"].clone());
    assert!(digests[0].is_string() && digests.iter().all(|d| *d == digests[0]), "{digests:?}");

    let elsewhere = cortex_m(0x0800_0000, 0, 0x2002_0000, 5000);
    put("b.elf", &elf(40, 0x0800_0081, 0x0800_0000, &elsewhere));
    put("b.hex", to_hex(&[(0x0800_0000, &elsewhere)]).as_bytes());
    put("b.bin", &elsewhere);
    for name in ["b.elf", "b.hex"] {
        let what = desk.fails(&build(name), 3, "image");
        assert_eq!(what, "is linked for 0x08000000, and the slot lies at 0x08020000");
    }
    let what = desk.fails(&build("b.bin"), 3, "image");
    assert_eq!(what, "has no vector table: its reset vector 0x08000081 lies outside the image");
    let mut arm = good.clone();
    arm[4] &= !1;
    put("c.bin", &arm);
    let what = desk.fails(&build("c.bin"), 3, "image");
    assert_eq!(what, "has no vector table: its reset vector 0x08020080 lacks the Thumb bit");
    put("d.bin", &cortex_m(slot, 0, 0x2002_0100, 5000));
    let what = desk.fails(&build("d.bin"), 3, "image");
    assert_eq!(what, "has no vector table: 0x20020100 can't be its initial stack pointer");
    put("e.elf", &elf(243, slot, slot, &good));
    assert_eq!(desk.fails(&build("e.elf"), 3, "image"), "is for RISC-V, and stm32f407 runs Arm");
    put("f.bin", &cortex_m(slot, 0, 0x2002_0000, 0x6_0001));
    assert_eq!(
        desk.fails(&build("f.bin"), 3, "image"),
        "has 393217 bytes, 1 more than the primary slot (393216)"
    );
    put("g.bin", &[1; 6]);
    assert_eq!(desk.fails(&build("g.bin"), 3, "image"), "is too short for a vector table");
    desk.fails(&format!("{}@0x08000000", build("a.hex")), 3, "image");
    // RAM that patchlane doesn't know of is named in [ram].
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    std::fs::write(desk.path("patchlane.toml"), toml + "\n[ram]\naddress = 0x68000000\nsize = 0x100000\n")
        .unwrap();
    put("h.bin", &cortex_m(slot, 0, 0x6810_0000, 5000));
    desk.ok(&build("h.bin"));
}

/// On RISC-V the first instruction is the entry.
#[test]
fn build_wants_the_entry_first_on_risc_v() {
    let (desk, _) = started("entry", "virt");
    let slot = 0x2220_0000;
    let build = |name: &str| format!("build security --baseline 1.0 --level 1 -o {name}.plb --image {name}");
    std::fs::write(desk.path("a.elf"), elf(243, slot, slot, &[0x13; 5000])).unwrap();
    desk.ok(&build("a.elf"));
    std::fs::write(desk.path("b.elf"), elf(243, slot + 64, slot, &[0x13; 5000])).unwrap();
    let what = desk.fails(&build("b.elf"), 3, "image");
    assert_eq!(what, "is entered at 0x22200040, and bootloaders jump to its beginning, 0x22200000");
    std::fs::write(desk.path("c.elf"), elf(40, slot + 1, slot, &[0x13; 5000])).unwrap();
    assert_eq!(desk.fails(&build("c.elf"), 3, "image"), "is for Arm, and virt runs RISC-V");
}
