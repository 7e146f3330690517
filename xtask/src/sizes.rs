//! `cargo xtask sizes`: what the device crate costs, and that nothing of it can panic.
//!
//! (a) `verify`: parse, verify, judge, hash. (b) `boot`: a bootloader that takes no bundles: record, authenticity,
//! swap, trial, revert, fallback. (c) `whole`: a bootloader with service mode: that, reception, service link, owner
//! documents, provisioning. (d) `delta`: (c) that takes deltas, too. All without a HAL, at opt-level z with sha2's compact back end. Code and RAM are read from
//! the ELF files themselves; the stack is painted and measured in QEMU (tests/qemu/stack), (c) over a whole update that
//! comes over the service link with a root link, and an owner's document.

use crate::run::{cargo, run};
use crate::toolchain::{self, TARGETS};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const PARTS: [(&str, &str); 4] = [("verify", "verify"), ("boot", "boot"), ("whole", ""), ("delta", "delta")];

/// What one program takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    code: u64,
    ram: u64,
}

fn measure(path: &Path) -> Result<(Size, Vec<String>), String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let file = object::File::parse(&*bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut size = Size { code: 0, ram: 0 };
    for section in file.sections() {
        match section.kind() {
            SectionKind::Text | SectionKind::ReadOnlyData | SectionKind::ReadOnlyString => {
                size.code += section.size()
            }
            SectionKind::Data => {
                size.code += section.size();
                size.ram += section.size();
            }
            SectionKind::UninitializedData => size.ram += section.size(),
            _ => {}
        }
    }
    Ok((size, panics(&file)))
}

/// Names of our own functions that can reach a panic. Third-party arithmetic keeps bounds checks that its authors
/// proved unreachable; ours has none to prove.
fn panics(file: &object::File<'_>) -> Vec<String> {
    let Some(text) = file.section_by_name(".text") else { return vec!["no .text".into()] };
    let Ok(code) = text.data() else { return vec!["no .text".into()] };
    let arm = file.architecture() == object::Architecture::Arm;
    let mut functions: Vec<(u64, u64, String)> = file
        .symbols()
        .filter(|symbol| symbol.size() > 0)
        .map(|symbol| {
            let name = format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or("?")));
            (symbol.address() & !u64::from(arm), symbol.size(), name)
        })
        .collect();
    functions.sort();
    let panicking = |name: &str| {
        ["core::panicking", "slice_index_fail", "len_mismatch_fail", "unwrap_failed", "expect_failed"]
            .iter()
            .any(|part| name.contains(part))
    };
    let ours = |name: &str| name.contains("patchlane") || name.contains("minimal");
    if !functions.iter().any(|(_, _, name)| ours(name)) {
        return vec!["no symbols of ours: nothing was looked at".into()];
    }
    let mut found = Vec::new();
    for (address, size, name) in functions.iter().filter(|(_, _, name)| ours(name) && !name.contains("panic"))
    {
        let begin = (address - text.address()) as usize;
        let body = code.get(begin..begin + *size as usize).unwrap_or(&[]);
        let targets = if arm { thumb_calls(body, *address) } else { riscv_calls(body, *address) };
        for target in targets {
            let callee = functions.iter().find(|(at, size, _)| (*at..at + size).contains(&target));
            if let Some((_, _, callee)) = callee.filter(|(_, _, callee)| panicking(callee)) {
                found.push(format!("{name} -> {callee}"));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Targets of `bl` and `b.w` (Thumb-2 encodings T1 and T4; also all that ARMv6-M has).
fn thumb_calls(body: &[u8], address: u64) -> Vec<u64> {
    let half = |i: usize| body.get(i..i + 2).map(|b| u32::from(u16::from_le_bytes([b[0], b[1]])));
    let mut targets = Vec::new();
    let mut at = 0;
    while let Some(first) = half(at) {
        let wide = first >> 11 >= 0b11101;
        let branch = half(at + 2).filter(|second| first >> 11 == 0b11110 && second & 0x9000 == 0x9000);
        if let Some(second) = branch {
            let s = first >> 10 & 1;
            let (i1, i2) = (!(second >> 13 ^ s) & 1, !(second >> 11 ^ s) & 1);
            let offset = s << 24 | i1 << 23 | i2 << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
            let offset = i64::from((offset << 7) as i32 >> 7);
            targets.push((address as i64 + at as i64 + 4 + offset) as u64);
        }
        at += if wide { 4 } else { 2 };
    }
    targets
}

/// Targets of `jal` and of `auipc` + `jalr`.
fn riscv_calls(body: &[u8], address: u64) -> Vec<u64> {
    let word = |i: usize| body.get(i..i + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let mut targets = Vec::new();
    let mut at = 0;
    while at + 2 <= body.len() {
        if body[at] & 3 != 3 {
            at += 2;
            continue;
        }
        if let Some(instruction) = word(at) {
            let here = address as i64 + at as i64;
            match instruction & 0x7f {
                0x6f => {
                    let sign = instruction as i32 >> 31 << 20;
                    let offset = sign
                        | (instruction & 0xf_f000) as i32
                        | (instruction >> 9 & 0x800) as i32
                        | (instruction >> 20 & 0x7fe) as i32;
                    targets.push((here + i64::from(offset)) as u64);
                }
                0x17 => {
                    if let Some(next) = word(at + 4).filter(|next| next & 0x7f == 0x67) {
                        let offset =
                            i64::from((instruction & 0xffff_f000) as i32) + i64::from(next as i32 >> 20);
                        targets.push((here + offset) as u64);
                    }
                }
                _ => {}
            }
        }
        at += 4;
    }
    targets
}

/// Runs the painted program in QEMU: how deep each part went, in bytes.
fn stack(target: &str, features: &str) -> Result<[u64; 3], String> {
    let program = toolchain::build("stack", target, features)?.join("stack");
    let mut qemu = if target.starts_with("thumb") {
        let mut qemu = Command::new("qemu-system-arm");
        qemu.args(["-M", "mps2-an385", "-serial", "none", "-semihosting-config", "enable=on,target=native"]);
        qemu.arg("-kernel");
        qemu
    } else {
        let mut qemu = Command::new("qemu-system-riscv32");
        qemu.args(["-M", "virt", "-serial", "stdio", "-bios"]);
        qemu
    };
    let out = qemu.arg(&program).args(["-display", "none", "-monitor", "none"]).output();
    let out = out.map_err(|e| format!("QEMU doesn't start: {e}"))?;
    let told = [out.stdout, out.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    let line = told.lines().find_map(|line| line.strip_prefix("stack "));
    let numbers: Vec<u64> =
        line.into_iter().flat_map(|l| l.split_whitespace().flat_map(str::parse::<u64>)).collect();
    numbers.try_into().map_err(|_| format!("{target}: no stack was measured: {told}"))
}

/// Code, static RAM, stack, by target and part; `None` where nothing is said.
type Table = BTreeMap<String, [Option<u64>; 3]>;

/// Reads tests/sizes.txt: budgets, and aims.
fn limits(text: &str) -> Result<(Table, Table), String> {
    let (mut budgets, mut aims) = (Table::new(), Table::new());
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let wrong = |what: &str| format!("tests/sizes.txt: {what}: `{line}`");
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (table, fields) = match fields[..] {
            ["aim", ref rest @ ..] => (&mut aims, rest),
            ref rest => (&mut budgets, rest),
        };
        let [target, part, code, ram, stack] = fields else { return Err(wrong("not five fields")) };
        let number = |text: &str| match text {
            "-" => Ok(None),
            _ => text.parse::<u64>().map(Some).map_err(|e| wrong(&e.to_string())),
        };
        table.insert(format!("{target} {part}"), [number(code)?, number(ram)?, number(stack)?]);
    }
    Ok((budgets, aims))
}

/// A search that never finds anything shows nothing: in a program with a bounds check it has to find it.
fn the_search_finds_panics(target: &str) -> Result<(), String> {
    let folder = toolchain::build("minimal", target, "panics")?;
    let (_, panics) = measure(&folder.join("minimal"))?;
    if panics.iter().any(|panic| panic.contains("judge")) {
        Ok(())
    } else {
        Err(format!("{target}: a bounds check was planted, and only this was found: {panics:?}"))
    }
}

/// Prints the table and fails if anything is over budget, or can panic.
pub(crate) fn sizes() -> Result<(), String> {
    toolchain::prepare()?;
    let inputs = toolchain::root().join("target/stack");
    run(cargo(&["run", "--quiet", "-p", "patchlane-tests", "--bin", "inputs", "--"]).arg(&inputs))?;
    let path = toolchain::root().join("tests/sizes.txt");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let (budgets, aims) = limits(&text)?;
    let (mut problems, mut missed) = (Vec::new(), Vec::new());
    println!("bytes (and budget)             part              code        static RAM     painted stack");
    for target in TARGETS {
        problems.extend(the_search_finds_panics(target).err());
        let [verify, boot, whole] = stack(target, "")?;
        let [_, _, delta] = stack(target, "delta")?;
        let stacks = [verify, boot, whole, delta];
        for ((part, features), stack) in PARTS.into_iter().zip(stacks) {
            let folder = toolchain::build("minimal", target, features)?;
            let (size, panics) = measure(&folder.join("minimal"))?;
            let key = format!("{target} {part}");
            let may = budgets.get(&key).ok_or_else(|| format!("tests/sizes.txt lacks `{key}`"))?;
            let takes = [size.code, size.ram, stack];
            let may = may.map(Option::unwrap_or_default);
            let cells: Vec<String> = takes.iter().zip(may).map(|(t, m)| format!("{t:>8} ({m:>5})")).collect();
            println!("{target:30} {part:7} {}", cells.join("  "));
            if takes.iter().zip(may).any(|(takes, may)| *takes > may) {
                problems
                    .push(format!("{key} takes {takes:?} bytes of code, RAM, stack, and may take {may:?}"));
            }
            for ((what, takes), aim) in ["code", "static RAM", "stack"]
                .iter()
                .zip(takes)
                .zip(aims.get(&key).copied().unwrap_or_default())
            {
                if let Some(aim) = aim.filter(|aim| takes > *aim) {
                    missed.push(format!("aim missed: {key}, {what}: {takes} bytes, aimed at {aim}"));
                }
            }
            problems.extend(panics.into_iter().map(|panic| format!("{key}: a panic path: {panic}")));
        }
    }
    missed.iter().for_each(|line| println!("{line}"));
    if problems.is_empty() {
        println!("panic paths: none of ours; a planted one is found on every target");
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::limits;

    fn read(path: &str) -> String {
        let path = crate::toolchain::root().join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    #[test]
    fn the_budget_file_is_read_strictly() {
        let (budgets, aims) = limits("# c\n\nt p 1 2 3\naim t p 4 - 5\n").unwrap();
        assert_eq!(budgets["t p"], [Some(1), Some(2), Some(3)]);
        assert_eq!(aims["t p"], [Some(4), None, Some(5)]);
        for wrong in ["t p 1 2", "t p 1 2 x", "aim t p 1 2 3 4"] {
            assert!(limits(wrong).is_err(), "{wrong}");
        }
    }

    /// What the README says it costs is what the file says.
    #[test]
    fn the_readme_states_the_budgets_and_the_aims() {
        let (readme, (budgets, aims)) = (read("README.md"), limits(&read("tests/sizes.txt")).unwrap());
        let cell = |number: Option<u64>| number.map_or("–".to_owned(), |number| number.to_string());
        for (name, part) in [
            ("parse, verify, judge, hash", "verify"),
            ("bootloader that takes no bundles", "boot"),
            ("bootloader with service mode", "whole"),
            ("the same, taking deltas (feature `delta`)", "delta"),
        ] {
            let key = format!("thumbv7m-none-eabi {part}");
            let (may, aim) = (budgets[&key].map(cell), aims[&key].map(cell));
            let row = format!("| {name} | {} ({}) | {} | {} ({}) |", may[0], aim[0], may[1], may[2], aim[2]);
            assert!(readme.contains(&row), "README.md lacks the row: {row}");
        }
    }
}
