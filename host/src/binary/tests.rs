//! Against programs that compilers made (host/tests/elf), each change alone; and against what nobody would make.

use super::*;
use std::path::Path;

fn elf(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elf").join(format!("{name}.elf"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn reason(why: &Why) -> String {
    let or = |name: &Option<String>| name.clone().unwrap_or("nothing".into());
    match why {
        Why::Code => "code".into(),
        Why::Size => "size".into(),
        Why::Constant { was, is } => format!("{was:#x} -> {is:#x}"),
        Why::Calls { was, is } => format!("calls {} -> {}", or(was), or(is)),
        Why::Uses { was, is } => format!("uses {} -> {}", or(was), or(is)),
    }
}

/// All findings but sections, in one line.
fn told(c: &Comparison) -> String {
    let mut all = Vec::new();
    let changed =
        c.changed.iter().map(|change| ("", change)).chain(c.data.iter().map(|change| ("data ", change)));
    for (kind, change) in changed {
        let why: Vec<_> = change.why.iter().map(reason).collect();
        let (was, is) = (change.old.size, change.new.size);
        all.push(format!("{kind}{} {was} -> {is}: {}", change.new.name, why.join(", ")));
    }
    all.extend(c.renamed.iter().map(|(a, b)| format!("{} is {}", a.name, b.name)));
    all.extend(c.alone.added.iter().chain(&c.data_alone.added).map(|item| format!("+{}", item.name)));
    all.extend(c.alone.removed.iter().chain(&c.data_alone.removed).map(|item| format!("-{}", item.name)));
    let text = |data: &Unnamed| format!("{} bytes of {}", data.size, data.of.join(", "));
    all.extend(c.unnamed.added.iter().map(|data| format!("+{}", text(data))));
    all.extend(c.unnamed.removed.iter().map(|data| format!("-{}", text(data))));
    let or = |name: &Option<String>| name.clone().unwrap_or("nothing".into());
    all.extend(c.vectors.iter().map(|v| format!("{}[{}] {} -> {}", v.table, v.index, or(&v.was), or(&v.is))));
    all.extend(c.strings.added.iter().map(|text| format!("+{text:?}")));
    all.extend(c.strings.removed.iter().map(|text| format!("-{text:?}")));
    all.join("; ")
}

const TEXT: &str = "uses \"unknown function\" -> \"unknown opcode\"; +14 bytes of modbus; -16 bytes of modbus; \
    +\"unknown opcode\"; -\"unknown function\"";

/// A linker lays one text into the end of another, and the empty one anywhere: what else is there is no change of those
/// who show them.
#[test]
fn texts_within_texts_are_the_same_texts() {
    let c = compare(&elf("arm-tails"), &elf("arm-tails-more")).unwrap();
    let changed: Vec<_> = c.changed.iter().map(|change| &change.new.name[..]).collect();
    assert_eq!(changed, ["reset"], "{}", told(&c));
    let texts: Vec<_> = c.unnamed.added.iter().filter_map(|data| data.text.as_deref()).collect();
    assert!(texts.contains(&"a text before the others") && !texts.contains(&"water "), "{texts:?}");
    assert!(c.unnamed.removed.is_empty(), "{:?}", c.unnamed.removed);
    // Other texts are others, as they were.
    let back = compare(&elf("arm-tails-more"), &elf("arm-tails")).unwrap();
    assert!(back.unnamed.added.is_empty() && !back.unnamed.removed.is_empty(), "{}", told(&back));
}

/// What linkers leave out keeps its debug information, at 0: it isn't said of what lies there.
#[test]
fn code_that_was_left_out_explains_nothing() {
    let c = compare(&elf("arm-dead"), &elf("arm-dead-fix")).unwrap();
    let [live] = &c.changed[..] else { panic!("{}", told(&c)) };
    assert_eq!(live.new.name, "live");
    let source = include_str!("../../tests/elf/src/dead.c");
    let dead = source.lines().take_while(|line| *line != "void dead(void)").count() as u32;
    let sources = live.old.sources.iter().chain(&live.new.sources);
    assert!(sources.clone().count() > 0 && sources.clone().all(|range| range.last <= dead), "{live:?}");
    // A change of what was left out is no reason for one of what is there.
    let hunk = format!("--- a/src/dead.c\n+++ b/src/dead.c\n@@ -{0},1 +{0},1 @@\n-a\n+b\n", dead + 5);
    let hunks = hunks::parse(&hunk).unwrap();
    let changes = Changes::of(&hunks);
    let joined =
        compare_by(&elf("arm-dead"), &elf("arm-dead-fix"), Method::Relocations, Some(&changes)).unwrap();
    let orphans: Vec<_> = joined.table.iter().flat_map(Table::orphans).map(|row| &row.name[..]).collect();
    assert_eq!(orphans, ["live"]);
}

/// A file that only ends like one of the diff is another one.
#[test]
fn a_file_of_another_folder_explains_nothing() {
    let fix = include_str!("../../tests/elf/changes/fix.diff");
    let orphans = |diff: &str, files: Option<&[BTreeSet<String>; 2]>| {
        let hunks = hunks::parse(diff).unwrap();
        let changes = Changes { files, ..Changes::of(&hunks) };
        let (old, new) = (elf("arm-base"), elf("arm-fix"));
        let c = compare_by(&old, &new, Method::Relocations, Some(&changes)).unwrap();
        (c.table.iter().flat_map(Table::orphans).map(|row| row.name.clone()).collect::<Vec<_>>(), c.unseen)
    };
    let none: &[String] = &[];
    assert_eq!(orphans(fix, None), (none.to_vec(), none.to_vec()));
    let tree = |files: &[&str]| {
        let all: BTreeSet<String> = files.iter().map(|file| (*file).to_owned()).collect();
        [all.clone(), all]
    };
    let whole = ["modbus.c", "src/limits.h", "src/main.c", "src/modbus.c"];
    assert_eq!(orphans(fix, Some(&tree(&whole))), (none.to_vec(), none.to_vec()));
    let other = fix.replace("src/modbus.c", "modbus.c");
    assert_eq!(orphans(&other, Some(&tree(&whole))), (vec!["modbus".to_owned()], none.to_vec()));
    // Where nothing says what it is, it is refused, too, and told.
    for files in [None, Some(&tree(&["modbus.c", "src/main.c"]))] {
        let (orphans, unseen) = orphans(&other, files);
        assert_eq!(orphans, ["modbus"], "{files:?}");
        let told = "/fw/src/modbus.c only ends like modbus.c of the source diff";
        assert!(unseen.iter().any(|line| line.starts_with(told)), "{files:?} {unseen:?}");
    }
}

/// What each change of host/tests/elf/changes does to either program, by either method.
#[test]
fn each_change_is_found_and_nothing_else() {
    let text = format!("modbus 176 -> 176: {TEXT}");
    let riscv_text = format!("modbus 268 -> 268: {TEXT}");
    let clamp = ["tick 28 -> 32: code; main 108 -> 108: code", "tick 26 -> 32: code; main 118 -> 118: code"];
    let added = [
        "main 108 -> 116: code, calls nothing -> drain; +drain",
        "main 118 -> 122: code, calls nothing -> drain; +drain",
    ];
    let retargeted = |size: u32| format!("modbus {size} -> {size}: calls sample -> sample_slow; -sample");
    let smuggled = "modbus 268 -> 318: code, uses nothing -> 60 bytes in .rodata, uses nothing -> registers+2; \
        +60 bytes of modbus";
    for (change, arm, riscv) in [
        ("base", "", ""),
        ("comment", "", ""),
        ("moved", "+pad", "+pad"),
        ("fix", "modbus 176 -> 192: code", "modbus 268 -> 286: code"),
        ("smuggled", "modbus 176 -> 212: code", smuggled),
        ("added", added[0], added[1]),
        ("retargeted", &retargeted(176), &retargeted(268)),
        ("constant", "main 108 -> 108: 0x12345678 -> 0x12345679", "main 118 -> 118: code"),
        ("text", &text, &riscv_text),
        ("vector", ".vectors[16] tick -> fault", ".vectors[2] tick -> fault"),
        ("renamed", "write_register is store_register", "write_register is store_register"),
        ("inlined", clamp[0], clamp[1]),
        ("macro", "main 108 -> 108: code", "main 118 -> 118: code"),
        (
            "data",
            "data defaults 8 -> 8: 0x138803e8 -> 0x177003e8",
            "data defaults 8 -> 8: 0x138803e8 -> 0x177003e8",
        ),
    ] {
        for (machine, wanted) in [("arm", arm), ("riscv", riscv)] {
            let (old, new) = (elf(&format!("{machine}-base")), elf(&format!("{machine}-{change}")));
            for method in [Method::Relocations, Method::Heuristic] {
                let found = compare_by(&old, &new, method, None).unwrap();
                assert_eq!(told(&found), wanted, "{machine} {change} {method:?}");
                assert_eq!(found.method, method);
                assert_eq!(found.is_same(), wanted.is_empty() || change == "renamed");
                assert_eq!(found.unseen.is_empty(), method == Method::Relocations, "{:?}", found.unseen);
            }
        }
    }
}

/// There and back: what was added is removed.
#[test]
fn a_comparison_turns_around() {
    for machine in ["arm", "riscv"] {
        let (base, added) = (elf(&format!("{machine}-base")), elf(&format!("{machine}-added")));
        let back = compare(&added, &base).unwrap();
        assert_eq!((back.alone.removed.len(), back.alone.added.len(), back.changed.len()), (1, 0, 1));
        assert_eq!(reason(back.changed[0].why.last().unwrap()), "calls drain -> nothing");
    }
}

#[test]
fn what_cannot_be_compared_is_said() {
    let (arm, riscv) = (elf("arm-base"), elf("riscv-base"));
    let what = |old: &[u8], new: &[u8]| compare(old, new).unwrap_err().to_string();
    assert_eq!(what(&arm, &riscv), "A is for Arm, B for RISC-V");
    assert!(what(b"", &arm).starts_with("A isn't a sound ELF file"));
    assert!(what(&arm, &arm[..100]).starts_with("B isn't a sound ELF file"));
    let with = |at: usize, byte: u8| {
        let mut file = arm.clone();
        file[at] = byte;
        file
    };
    assert_eq!(what(&with(4, 2), &arm), "A is a 64-bit ELF file");
    assert_eq!(what(&arm, &with(5, 2)), "B is a big-endian ELF file");
    assert_eq!(what(&arm, &with(18, 62)), "B is an ELF file for another machine (e_machine 62)");
}

/// What a device would run counts, not what the linker's list says of it: each bit of code and data is compared, but
/// padding. `PATCHLANE_ALL_BITS` tries every one.
#[test]
fn a_flipped_bit_is_a_change() {
    let all = std::env::var_os("PATCHLANE_ALL_BITS").is_some();
    for machine in ["arm", "riscv"] {
        let base = elf(&format!("{machine}-base"));
        let program = elf::read(&base).unwrap();
        let mut unseen = Vec::new();
        for section in program.sections.iter().filter(|section| !section.data.is_empty()) {
            let offset = section.data.as_ptr() as usize - base.as_ptr() as usize;
            for at in 0..section.data.len() {
                for bit in (0..8).filter(|bit| all || *bit == at % 8) {
                    let mut flipped = base.clone();
                    flipped[offset + at] ^= 1 << bit;
                    let found = compare(&base, &flipped).unwrap();
                    if found.is_same() {
                        unseen.push(format!("{:#x}.{bit}", section.address as usize + at));
                    }
                }
            }
        }
        assert_eq!(unseen, [""; 0], "{machine}");
    }
}

/// SplitMix64, Steele, Lea and Flood 2014.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Damage anywhere, most of it where heads, symbols and relocations are: an error or an answer, never a panic.
#[test]
fn damaged_programs_are_answered() {
    for machine in ["arm", "riscv"] {
        let base = elf(&format!("{machine}-base"));
        for seed in 0..1500u64 {
            let (mut state, mut file) = (seed, base.clone());
            for _ in 0..=random(&mut state) % 8 {
                let at = random(&mut state) as usize % file.len();
                let number =
                    [0, 1, 0x7f, 0x80, 0xff, random(&mut state) as u8][random(&mut state) as usize % 6];
                let length = [1, 2, 4, 4][random(&mut state) as usize % 4];
                file.iter_mut().skip(at).take(length).for_each(|byte| *byte = number);
            }
            if seed % 16 == 0 {
                let keep = random(&mut state) as usize % file.len();
                file.truncate(keep);
            }
            let _ = compare(&base, &file);
            let _ = compare_by(&file, &base, Method::Heuristic, None);
        }
    }
}

/// Sections of a file: where their heads stand, by name.
fn heads(file: &[u8]) -> std::collections::BTreeMap<String, usize> {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let half = |at: usize| usize::from(u16::from_le_bytes(file[at..at + 2].try_into().unwrap()));
    let head = |index: usize| number(32) + 40 * index;
    let names = number(head(half(50)) + 16);
    let name = |at: usize| {
        let text = &file[names + number(at)..];
        String::from_utf8(text.iter().take_while(|byte| **byte != 0).copied().collect()).unwrap()
    };
    (0..half(48)).map(|index| (name(head(index)), head(index))).collect()
}

fn field(file: &[u8], head: usize, at: usize) -> usize {
    u32::from_le_bytes(file[head + at..head + at + 4].try_into().unwrap()) as usize
}

fn put(file: &mut [u8], head: usize, at: usize, value: usize) {
    file[head + at..head + at + 4].copy_from_slice(&(value as u32).to_le_bytes());
}

const KIND: usize = 4;
const FLAGS: usize = 8;
const OFFSET: usize = 16;
const SIZE: usize = 20;

/// A section that shows what isn't loaded is refused.
#[test]
fn sections_show_what_is_loaded() {
    let base = elf("arm-base");
    let head = heads(&base)[".text"];
    let mut decoy = base.clone();
    let (from, size) = (field(&base, head, OFFSET), field(&base, head, SIZE));
    decoy.extend_from_within(from..from + size);
    put(&mut decoy, head, OFFSET, base.len());
    decoy[from + 4] ^= 1;
    let told = compare(&base, &decoy).unwrap_err().to_string();
    assert!(told.contains("has a section `.text` that isn't what is loaded there"), "{told}");
}

/// What is loaded and shown by no section is compared all the same: hidden in both, and changed in one.
#[test]
fn what_no_section_shows_is_compared() {
    let base = elf("arm-base");
    let rodata = heads(&base)[".rodata"];
    let text = heads(&base)[".text"];
    let hide = |how: &str| {
        let mut file = base.clone();
        match how {
            "not allocated" => put(&mut file, rodata, FLAGS, 0),
            "no bits" => put(&mut file, rodata, KIND, 8),
            "short" => put(&mut file, rodata, SIZE, 8),
            _ => put(&mut file, text, SIZE, field(&base, text, SIZE) - 16),
        }
        file
    };
    for (how, section) in [("not allocated", rodata), ("no bits", rodata), ("short", rodata), ("code", text)]
    {
        let hidden = hide(how);
        assert!(compare(&hidden, &hidden).unwrap().is_same(), "{how}");
        let mut other = hidden.clone();
        other[field(&base, section, OFFSET) + field(&base, section, SIZE) - 8] ^= 1;
        assert!(!compare(&hidden, &other).unwrap().is_same(), "{how}");
    }
}

/// Tables of unwinders aren't compared; what is only called so is.
#[test]
fn a_name_makes_no_unwinding_table() {
    let mut base = elf("arm-base");
    let (rodata, unused) = (heads(&base)[".rodata"], heads(&base)[".debug_loclists"]);
    let names = field(&base, heads(&base)[".shstrtab"], OFFSET);
    let name = field(&base, unused, 0);
    base[names + name..names + name + 10].copy_from_slice(b".eh_frame\0");
    put(&mut base, rodata, 0, name);
    let mut other = base.clone();
    other[field(&base, rodata, OFFSET)] ^= 1;
    assert!(!compare(&base, &other).unwrap().is_same());
    // Without symbols, too: functions point into it.
    for file in [&mut base, &mut other] {
        let symbols = heads(file)[".symtab"];
        let (first, size) = (field(file, symbols, OFFSET), field(file, symbols, SIZE));
        for at in (first..first + size).step_by(16) {
            if (0x20218..0x20258).contains(&field(file, at, 4)) {
                put(file, at, 8, 0);
            }
        }
    }
    assert!(!compare(&base, &other).unwrap().is_same());
}

/// What has no new symbol (host/tests/elf/src/odd.c), and is new all the same.
#[test]
fn what_has_no_new_symbol_is_found() {
    let of = |name: &str| compare(&elf("arm-odd"), &elf(&format!("arm-odd-{name}"))).unwrap();
    assert_eq!(told(&of("word")), "flag 4 -> 4: uses .text+4 -> 4 bytes in .text; +4 bytes of flag");
    let handler = of("handler");
    assert_eq!(handler.filled, ["hook", "uart"]);
    assert!(told(&handler).contains(".vectors[3] fault -> uart"), "{}", told(&handler));
    assert!(!told(&handler).contains(".vectors[2]"), "{}", told(&handler));
    let nameless = of("nameless");
    assert!(nameless.unnamed.added.iter().any(|part| part.code && part.of == ["entry"]), "{nameless:#?}");
    let veneer = of("veneer");
    assert!(veneer.alone.added.iter().any(|item| item.name == "__fault_veneer"), "{}", told(&veneer));
    assert_eq!(of("symbol").set, ["FEATURE"]);
}

/// Names may lie in one another, and each be as long as the file: nothing is read in proportion to what they claim.
#[test]
fn names_that_hold_one_another_cost_no_more_than_the_file() {
    let base = elf("arm-base");
    let (mut file, all) = (base.clone(), heads(&base));
    let (strings, symbols) = (all[".strtab"], all[".symtab"]);
    let old = |head: usize| {
        let from = field(&base, head, OFFSET);
        base[from..from + field(&base, head, SIZE)].to_vec()
    };
    let (mut text, mut list) = (old(strings), old(symbols));
    let first = text.len() as u32;
    text.extend(vec![b'A'; 4 << 20]);
    text.push(0);
    for number in 0..50_000u32 {
        let mut symbol = [first + number, 0x20048, 0].map(u32::to_le_bytes).concat();
        symbol.extend([0x12, 0, 3, 0]);
        list.extend(symbol);
    }
    for (head, bytes) in [(strings, text), (symbols, list)] {
        file.resize(file.len().next_multiple_of(4), 0);
        let at = file.len();
        put(&mut file, head, OFFSET, at);
        put(&mut file, head, SIZE, bytes.len());
        file.extend(bytes);
    }
    let told = compare(&base, &file).unwrap_err().to_string();
    assert!(told.contains("names are longer than what holds them"), "{told}");
    // The same of debug information: one name of a megabyte for every entry of two thousand units.
    let (mut file, all) = (base.clone(), heads(&base));
    let (info, texts) = (all[".debug_info"], all[".debug_str"]);
    let mut long = vec![b'A'; 1 << 20];
    long.push(0);
    let units = old(info).repeat(2_000);
    for (head, bytes) in [(texts, long), (info, units)] {
        let at = file.len();
        put(&mut file, head, OFFSET, at);
        put(&mut file, head, SIZE, bytes.len());
        file.extend(bytes);
    }
    let unseen = compare(&base, &file).unwrap().unseen;
    assert!(unseen.iter().any(|line| line.contains("repeats itself")), "{unseen:?}");
}
