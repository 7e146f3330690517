//! `lint inventory`: what a build tells goes into an inventory, and what it doesn't stays.

use super::super::desk::Desk;
use super::bench::Bench;
use std::path::Path;

const MESSAGES: &str = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/pump#4.1.0","target":{"kind":["bin"]},"features":["default"]}
{"reason":"build-finished","success":true}
"#;

fn elf(desk: &Desk, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elf").join(name);
    std::fs::copy(from, desk.path(name)).unwrap();
}

fn write(desk: &Desk, name: &str, text: &str) {
    std::fs::write(desk.path(name), text).unwrap();
}

fn read(desk: &Desk, name: &str) -> String {
    std::fs::read_to_string(desk.path(name)).unwrap()
}

#[test]
fn a_build_is_taken_in_and_drift_is_told() {
    let desk = Desk::new("inventory");
    elf(&desk, "arm-base.elf");
    elf(&desk, "arm-added.elf");
    write(&desk, "build.json", MESSAGES);
    write(&desk, "dot", "CONFIG_MODBUS=y\n# CONFIG_SHELL is not set\n");
    let declared = "format = 1\n# Ours.\n[ports]\nmodbus = 502\n";
    write(&desk, "i.toml", declared);
    let all = "lint inventory i.toml --cargo build.json --kconfig dot --elf arm-base.elf";
    desk.fails(&format!("{all} --check"), 1, "differs");
    assert_eq!(read(&desk, "i.toml"), declared, "--check writes nothing");
    let made = desk.ok(all);
    assert_eq!(made["groups"][0]["entries"], 1);
    let text = read(&desk, "i.toml");
    assert!(text.starts_with(declared) && text.contains("\"pump\" = [\"default\"]"), "{text}");
    assert!(
        text.contains("\"CONFIG_MODBUS\" = \"y\"") && text.contains("\"modbus\" = \"function\""),
        "{text}"
    );
    // Again it is the same, and `--check` is content.
    assert_eq!(desk.ok(all)["changes"].as_array().map(Vec::len), Some(0));
    assert_eq!(read(&desk, "i.toml"), text);
    desk.ok(&format!("{all} --check"));
    // Each kind of drift.
    desk.fails("lint inventory i.toml --elf arm-added.elf --check", 1, "differs");
    desk.ok("lint inventory i.toml --elf arm-base.elf --export mod*");
    desk.ok("lint inventory i.toml --elf arm-added.elf --export mod* --check"); // what came has another name
    write(&desk, "dot", "CONFIG_MODBUS=y\nCONFIG_SHELL=y\n");
    desk.fails("lint inventory i.toml --kconfig dot --check", 1, "differs");
    write(&desk, "build.json", &MESSAGES.replace("\"default\"", "\"default\",\"remote\""));
    desk.fails("lint inventory i.toml --cargo build.json --check", 1, "differs");
    // An inventory is started where there is none.
    desk.ok("lint inventory new.toml --kconfig dot");
    assert!(read(&desk, "new.toml").starts_with("format = 1\n"));
}

#[test]
fn bad_input_changes_nothing() {
    let desk = Desk::new("inventory-bad");
    write(&desk, "i.toml", "format = 1\nexports = { a = 1 }\n");
    write(&desk, "broken.toml", "format = 1\n[port]\n");
    write(&desk, "empty", "");
    write(&desk, "dot", "CONFIG_A=y\n");
    std::fs::write(desk.path("bytes"), [0xff, 0xfe, 0x00]).unwrap();
    elf(&desk, "arm-base.elf");
    for (line, exit, code) in [
        ("lint inventory i.toml", 2, "usage"),
        ("lint inventory i.toml --export x --kconfig dot", 2, "usage"),
        ("lint inventory i.toml --cargo empty", 3, "malformed"),
        ("lint inventory i.toml --cargo bytes", 3, "malformed"),
        ("lint inventory i.toml --kconfig empty", 3, "malformed"),
        ("lint inventory i.toml --kconfig bytes", 3, "malformed"),
        ("lint inventory i.toml --elf bytes", 3, "image"),
        ("lint inventory i.toml --elf nothing", 3, "missing-file"),
        ("lint inventory i.toml --elf arm-base.elf", 3, "config"),
        ("lint inventory broken.toml --kconfig dot", 3, "config"),
        ("lint inventory bytes --kconfig dot", 3, "malformed"),
        ("lint inventory nothing.toml --kconfig dot --check", 3, "missing-file"),
    ] {
        desk.fails(line, exit, code);
    }
    assert_eq!(read(&desk, "i.toml"), "format = 1\nexports = { a = 1 }\n");
    assert!(!desk.path("nothing.toml").exists());
}

/// What was taken in is judged as what was declared.
#[test]
fn check_21_compares_what_was_taken_in() {
    let bench = Bench::new("inventory");
    assert_eq!(bench.result("--no-rebuild", 21).0, "pass", "without these groups nothing is said of them");
    bench.desk.ok("lint inventory interfaces-patch.toml --kconfig kconfig");
    assert_eq!(bench.result("--no-rebuild", 21).0, "not-evaluated", "the base's says nothing");
    bench.desk.ok("lint inventory interfaces-base.toml --kconfig kconfig");
    assert_eq!(bench.result("--no-rebuild", 21).0, "pass");
    bench.write("kconfig-patch", "CONFIG_MODBUS=y\nCONFIG_SHELL=y\n");
    bench.desk.ok("lint inventory interfaces-patch.toml --kconfig kconfig-patch");
    let (found, told) = bench.result("--no-rebuild", 21);
    assert!(found == "fail" && told.contains("kconfig: +CONFIG_SHELL"), "{found}: {told}");
}
