use super::*;
use crate::config::{Config, GENERIC_FLASH, template};

fn flash(text: &str) -> Flash {
    Config::parse(&template("example.com", "pump", text)).unwrap().flash.unwrap()
}

fn generic(from: &str, to: &str) -> Flash {
    assert!(GENERIC_FLASH.contains(from), "{from}");
    flash(&GENERIC_FLASH.replace(from, to))
}

fn of(board: &str, from: &str, to: &str) -> Flash {
    let section = boards::find(board).unwrap().flash_section();
    assert!(section.contains(from), "{from}");
    flash(&section.replace(from, to))
}

fn whats(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.what.as_str()).collect()
}

#[test]
fn every_rule_of_a_map_has_its_finding_and_all_are_found() {
    let primary = "primary = { offset = 0x20000, size = 0x20000 }";
    for (from, to, what) in [
        ("write_size = 4", "write_size = 3", "state is written by 3 bytes"),
        ("write_size = 4", "write_size = 64", "primary is written by 64 bytes"),
        ("erase_size = 4096", "erase_size = 0", "state is erased by 0 bytes"),
        ("erase_size = 4096", "erase_size = 256", "secondary is erased by 256 bytes"),
        (
            "size = 0x8000",
            "size = 0x8800",
            "state has size 0x8800, which isn't whole sectors of 0x1000 bytes",
        ),
        (
            "offset = 0x10000",
            "offset = 0x10001",
            "state has offset 0x10001, which isn't whole sectors of 0x1000 bytes",
        ),
        (
            "size = 0x8000",
            "size = 0x7000",
            "state has 0x7000 bytes: too few for three log areas and five receipts",
        ),
        (
            primary,
            "primary = { offset = 0x17000, size = 0x20000 }",
            "state and primary overlap from 0x17000 to 0x18000",
        ),
        (
            "size = 0x21000",
            "size = 0x20000",
            "secondary has 0x20000 bytes, and has to be one sector longer than primary: 0x21000",
        ),
        (primary, "primary = { offset = 0x20000, size = 0 }", "primary has no bytes"),
        (primary, "primary = { offset = 0xfffff000, size = 0x20000 }", "primary ends above 4 GiB"),
        ("# address = 0x08000000", "address = 0xfffc0000", "secondary ends above 4 GiB"),
        ("# address = 0x08000000", "board = \"stm32f4\"", "board `stm32f4` isn't known"),
        (
            "size = 0x8000 }",
            "size = 0x8000, chip = \"a b\" }",
            "state lies on the chip `a b`, which is no name",
        ),
    ] {
        let findings = check(&generic(from, to));
        assert!(whats(&findings).contains(&what), "{to}: {findings:?}");
        assert!(findings.iter().all(|finding| !finding.next.is_empty()));
    }
    let several =
        flash(&GENERIC_FLASH.replace("offset = 0x40000", "offset = 0x3f001").replace("0x8000 }", "0x7000 }"));
    assert_eq!(whats(&check(&several)).len(), 3, "{:?}", check(&several));
    assert_eq!(check(&generic("write_size = 4", "write_size = 4")), []);
}

#[test]
fn what_to_do_is_exact() {
    let next = |from, to| check(&generic(from, to)).remove(0).next;
    assert_eq!(next("size = 0x8000", "size = 0x8800"), "make it 0x8000 or 0x9000");
    assert_eq!(
        next("size = 0x8000", "size = 0x1000"),
        "give it 0x8000 or more, or put it on a chip with smaller sectors"
    );
    assert_eq!(next("size = 0x21000", "size = 0x22000"), "make it 0x21000, or primary larger");
    let known = check(&generic("# address = 0x08000000", "board = \"stm32f4\"")).remove(0).next;
    assert!(known.starts_with("did you mean `stm32f407`? There are: stm32f407, "), "{known}");
}

#[test]
fn a_board_says_where_its_sectors_are() {
    for (board, from, to, what) in [
        (
            "stm32f407",
            "size = 0x20000 }",
            "size = 0x1c000 }",
            "bootloader ends at 0x1c000, within a sector of stm32f407",
        ),
        (
            "stm32f407",
            "write_size = 4",
            "write_size = 2",
            "primary is written by 2 bytes, and stm32f407 writes 4 at once",
        ),
        (
            "stm32h743",
            "write_size = 32",
            "write_size = 8",
            "state is written by 8 bytes, and stm32h743 writes 32 at once",
        ),
        (
            "nrf52840",
            "erase_size = 4096",
            "erase_size = 2048",
            "state has a sector of 0x1000 bytes, and erase_size says 0x800",
        ),
        (
            "rp2040",
            "0x10000000",
            "0x08000000",
            "address is 0x08000000, and rp2040's flash begins at 0x10000000",
        ),
        (
            "microbit",
            "offset = 0x2d400",
            "offset = 0x2e000",
            "secondary ends at 0x40800, and microbit has 0x40000 bytes",
        ),
    ] {
        let findings = check(&of(board, from, to));
        assert!(whats(&findings).contains(&what), "{board}: {findings:?}");
    }
    // Where the map leaves the address out, the board says it.
    let f = of("rp2040", "address = 0x10000000\n", "");
    assert_eq!((check(&f), f.primary_address()), (vec![], Some(0x1002_8000)));
    let f = of(
        "gd32vf103",
        "primary = { offset = 0x18000, size = 0x8000 }",
        "primary = { offset = 0x11000, size = 0x8000, chip = \"spi\", erase_size = 4096 }",
    );
    assert_eq!((check(&f), f.primary_address()), (vec![], None));
}

fn image(address: Option<u32>, words: [u32; 2], machine: Option<Machine>) -> Loaded {
    let mut bytes = vec![0x55; 1024];
    bytes[..4].copy_from_slice(&words[0].to_le_bytes());
    bytes[4..8].copy_from_slice(&words[1].to_le_bytes());
    Loaded { address, bytes, format: "test", machine, entry: None }
}

#[test]
fn a_cortex_m_image_begins_with_its_vector_table() {
    let config =
        Config::parse(&template("a.b", "c", &boards::find("stm32f407").unwrap().flash_section())).unwrap();
    let flash = config.flash.as_ref().unwrap();
    let found = |image: &Loaded| {
        let findings = check_image(image, &config.addresses(), flash, &config.ram());
        findings.into_iter().map(|f| f.what).next().unwrap_or_default()
    };
    let at = Some(0x0802_0000);
    for stack in [0x2000_0004, 0x2002_0000, 0x1001_0000] {
        assert_eq!(found(&image(at, [stack, 0x0802_0009], None)), "", "{stack:#x}");
    }
    assert_eq!(
        found(&image(None, [0x2002_0000, 0x0802_0009], None)),
        "",
        "the slot's address, if the file has none"
    );
    for (stack, reset, what) in [
        (0x2002_0000, 0x0802_0008, "has no vector table: its reset vector 0x08020008 lacks the Thumb bit"),
        (0x2002_0000, 0x0800_0009, "has no vector table: its reset vector 0x08000009 lies outside the image"),
        (0x2002_0000, 0x0802_0401, "has no vector table: its reset vector 0x08020401 lies outside the image"),
        (0x2002_0000, 0xffff_ffff, "has no vector table: its reset vector 0xffffffff lies outside the image"),
        (0x2000_0000, 0x0802_0009, "has no vector table: 0x20000000 can't be its initial stack pointer"),
        (0x2002_0004, 0x0802_0009, "has no vector table: 0x20020004 can't be its initial stack pointer"),
        (0x2001_fffe, 0x0802_0009, "has no vector table: 0x2001fffe can't be its initial stack pointer"),
        (0, 0x0802_0009, "has no vector table: 0x00000000 can't be its initial stack pointer"),
    ] {
        assert_eq!(found(&image(at, [stack, reset], None)), what);
    }
    let short = Loaded { bytes: vec![0; 7], ..image(at, [0, 0], None) };
    assert_eq!(found(&short), "is too short for a vector table");
    let elsewhere = image(Some(0x0800_0000), [0x2002_0000, 0x0800_0009], None);
    assert_eq!(found(&elsewhere), "is linked for 0x08000000, and the slot lies at 0x08020000");
    let large = Loaded { bytes: vec![0; 0x6_0001], ..image(at, [0, 0], None) };
    assert_eq!(found(&large), "has 393217 bytes, 1 more than the primary slot (393216)");
    let entered = Loaded { entry: Some(0x0800_0001), ..image(at, [0x2002_0000, 0x0802_0009], None) };
    assert_eq!(found(&entered), "is entered at 0x08000001, outside of itself");
    let riscv = image(at, [0x2002_0000, 0x0802_0009], Some(Machine::RiscV));
    assert_eq!(found(&riscv), "is for RISC-V, and stm32f407 runs Arm");
    // A vector table can't lie just anywhere, whatever the map says.
    let odd = image(Some(0x0802_0040), [0x2002_0000, 0x0802_0049], None);
    let findings = check_image(&odd, &[0x0802_0040], flash, &config.ram());
    assert_eq!(whats(&findings), ["has its vector table at 0x08020040, which isn't a multiple of 128"]);
}

#[test]
fn a_risc_v_image_begins_with_its_entry() {
    let config =
        Config::parse(&template("a.b", "c", &boards::find("virt").unwrap().flash_section())).unwrap();
    let flash = config.flash.as_ref().unwrap();
    let at = |entry| Loaded { entry, ..image(Some(0x2220_0000), [0, 0], Some(Machine::RiscV)) };
    let check = |entry| check_image(&at(entry), &config.addresses(), flash, &config.ram());
    assert_eq!((check(None), check(Some(0x2220_0000))), (vec![], vec![]));
    let what = "is entered at 0x22200010, and bootloaders jump to its beginning, 0x22200000";
    assert_eq!(whats(&check(Some(0x2220_0010))), [what]);
}

/// RP2040: boot2, then the vector table.
#[test]
fn a_bootloader_is_checked_at_its_place() {
    let config =
        Config::parse(&template("a.b", "c", &boards::find("rp2040").unwrap().flash_section())).unwrap();
    let flash = config.flash.as_ref().unwrap();
    let place = flash.bootloader.as_ref().unwrap();
    let check = |image: &Loaded| check_bootloader(image, place, flash, &config.ram());
    let mut boot = image(Some(0x1000_0000), [0, 0], None);
    assert_eq!(check(&boot).len(), 1);
    boot.bytes[256..260].copy_from_slice(&0x2004_2000u32.to_le_bytes());
    boot.bytes[260..264].copy_from_slice(&0x1000_0201u32.to_le_bytes());
    assert_eq!(check(&boot), []);
    assert_eq!(check(&Loaded { address: None, ..boot.clone() }), []);
    boot.address = Some(0x1000_0100);
    let what = "is linked for 0x10000100, and [flash] bootloader lies at 0x10000000";
    assert!(whats(&check(&boot)).contains(&what));
}

#[test]
fn bars_are_full_when_the_place_is() {
    assert_eq!(bar(0, 100), format!("{}   0 %", "░".repeat(16)));
    assert_eq!(bar(1, 100), format!("█{}   1 %", "░".repeat(15)));
    assert_eq!(bar(100, 100), format!("{} 100 %", "█".repeat(16)));
    assert_eq!(bar(300, 100), format!("{} 300 %", "█".repeat(16)));
}

#[test]
fn every_line_of_a_drawing_is_as_wide() {
    for board in boards::ALL {
        let drawing = draw(&flash(&board.flash_section()), &[]);
        let widths: Vec<usize> =
            drawing.lines().filter(|line| line.starts_with("  ")).map(|line| line.chars().count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{}:\n{drawing}", board.name);
    }
}
