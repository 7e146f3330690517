//! `diff` of two ELF files: what a release engineer reads, what a program reads, what is refused.

use super::desk::Desk;
use super::schema;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elf").join(name)
}

/// Old, new and the diff of their sources.
fn desk(name: &str, change: &str) -> Desk {
    let desk = Desk::new(name);
    for (from, to) in [
        ("arm-base.elf", "old.elf"),
        ("riscv-base.elf", "riscv.elf"),
        (&format!("arm-{change}.elf"), "new.elf"),
        (&format!("changes/{change}.diff"), "fix.diff"),
    ] {
        std::fs::copy(fixture(from), desk.path(to)).unwrap();
    }
    desk
}

#[test]
fn a_fix_is_one_function_and_its_hunk() {
    let desk = desk("programs-fix", "fix");
    let out = desk.run("diff old.elf new.elf --source-diff fix.diff");
    assert!(out.status.success());
    let text = String::from_utf8(out.stdout).unwrap();
    for line in [
        "1 of 9 functions changed; 2 more are the same, with other addresses in them",
        "modbus    176 -> 192  src/modbus.c:33-54                        code",
        "                      <- src/modbus.c:15-16, in read_registers",
        "sections  .text: 464 -> 480 bytes",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    let data = desk.ok("diff old.elf new.elf --source-diff fix.diff");
    assert_eq!((&data["method"], &data["same"]), (&json!("relocations"), &json!(false)));
    assert_eq!(data["functions"], json!({ "old": 9, "new": 9, "changed": 1, "moved": 2 }));
    let table = &data["table"];
    assert_eq!(
        table["rows"][0]["hunks"],
        json!([{ "hunk": 0, "reach": "inlined", "through": "read_registers" }])
    );
    assert_eq!((&table["orphans"], &table["alone"]), (&json!([]), &json!([])));
    assert_eq!(desk.ok("diff old.elf old.elf")["same"], true);
}

/// One table, no orphans: each change of host/tests/elf is explained by its hunks.
#[test]
fn every_finding_has_its_hunk_and_every_hunk_its_finding() {
    for change in
        ["fix", "smuggled", "added", "retargeted", "constant", "text", "vector", "inlined", "macro", "data"]
    {
        let desk = desk(&format!("programs-{change}"), change);
        let data = desk.ok("diff old.elf new.elf --source-diff fix.diff");
        assert!(!data["table"]["rows"].as_array().unwrap().is_empty(), "{change}");
        assert_eq!(data["table"]["orphans"], json!([]), "{change}");
        assert_eq!(data["table"]["alone"], json!([]), "{change}");
    }
    let alone = |change: &str| {
        let desk = desk(&format!("programs-alone-{change}"), change);
        desk.ok("diff old.elf new.elf --source-diff fix.diff")["table"]["alone"].clone()
    };
    assert_eq!(alone("comment"), json!([{ "hunk": 0, "why": "comment", "functions": [] }]));
    // A change that the diff doesn't show is an orphan, and says so.
    let desk = desk("programs-hidden", "smuggled");
    std::fs::copy(fixture("changes/comment.diff"), desk.path("fix.diff")).unwrap();
    let data = desk.ok("diff old.elf new.elf --source-diff fix.diff");
    assert_eq!(data["table"]["orphans"], json!(["modbus"]));
    let text = String::from_utf8(desk.run("diff old.elf new.elf --source-diff fix.diff").stdout).unwrap();
    assert!(text.contains("<- no hunk reaches it"), "{text}");
}

#[test]
fn a_diff_comes_over_a_pipe() {
    let desk = desk("programs-pipe", "fix");
    let mut command = desk.command();
    command.args(["diff", "old.elf", "new.elf", "--source-diff", "-", "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(desk.path("fix.diff")).unwrap()).unwrap();
    let data: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(schema::violations("diff", &data), [""; 0]);
    assert_eq!(data["table"]["hunks"][0]["new"], json!([15, 2]));
}

#[test]
fn misuse_is_told() {
    let desk = desk("programs-misuse", "fix");
    std::fs::write(desk.path("text"), "hello").unwrap();
    std::fs::write(desk.path("short.elf"), &std::fs::read(desk.path("old.elf")).unwrap()[..200]).unwrap();
    for (line, exit, code) in [
        ("diff old.elf", 2, "usage"),
        ("diff old.elf new.elf --source-diff fix.diff --root x", 2, "usage"),
        ("diff old.elf none.elf", 3, "missing-file"),
        ("diff old.elf new.elf --source-diff none.diff", 3, "missing-file"),
        ("diff old.elf new.elf --source-diff text", 3, "malformed"),
        ("diff text new.elf --source-diff fix.diff", 3, "malformed"),
        ("diff old.elf text", 3, "image"),
        ("diff old.elf riscv.elf", 3, "image"),
        ("diff short.elf new.elf", 3, "image"),
        ("diff old.elf short.elf", 3, "image"),
    ] {
        desk.fails(line, exit, code);
    }
}
