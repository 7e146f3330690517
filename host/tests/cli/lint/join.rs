//! Check 18: which changes of the sources lead to a function that changed.

use super::bench::Bench;
use std::path::Path;

const COMMIT: &str = "Check bounds\n\nFixes: CVE-2027-1\nReviewed-by: Rev <rev@example.com>";

/// Base and patch are other programs.
fn programs(bench: &Bench, base: &str, patch: &str) {
    let elves = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elf");
    for (from, to) in [(base, "base.elf"), (patch, "patch.elf")] {
        std::fs::copy(elves.join(from), bench.desk.path(to)).unwrap();
    }
    bench.desk.ok("build feature --baseline 4.1 --level 7 --image base.elf -o base.plb --force");
    bench.desk.ok("sign base.plb");
}

fn lock(bench: &Bench, modbus: &str, crc: &str) {
    let package = |name: &str, version: &str| {
        let source = "registry+https://github.com/rust-lang/crates.io-index";
        format!("\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{source}\"\n")
    };
    bench.write(
        "fw/Cargo.lock",
        &format!("version = 4\n{}{}", package("crc", crc), package("modbus", modbus)),
    );
}

#[test]
fn a_lock_file_leads_to_the_dependency_that_it_moved() {
    let bench = Bench::new("lock");
    programs(&bench, "arm-dependency-base.elf", "arm-dependency-fix.elf");
    lock(&bench, "1.0.0", "2.1.0");
    bench.commit("Lock", "v1");
    lock(&bench, "1.0.1", "2.1.0");
    bench.commit(COMMIT, "v2");
    // No advisory is about the package yet.
    let (found, told) = bench.result("--no-rebuild", 18);
    assert!(found == "fail" && told.contains("leads there: modbus"), "{found}: {told}");
    assert!(told.contains("no advisory or VEX names modbus 1.0.0 to 1.0.1"), "{told}");
    bench.replace("vex.json", "pkg:generic/modbus@1.0.1", "pkg:cargo/modbus@1.0.1");
    let value = bench.lint("--no-rebuild");
    let row = &value["checks"][17];
    assert_eq!(row["result"], "pass", "{row}");
    let joined = row["data"]["comparison"]["table"]["rows"][0]["hunks"][0].clone();
    assert_eq!(joined["reach"], "dependency", "{row}");
    assert_eq!(joined["through"], "modbus 1.0.0 to 1.0.1", "{row}");
    // Another dependency moved: no line leads to this one.
    bench.git("reset -q --hard v1");
    lock(&bench, "1.0.0", "2.1.1");
    bench.commit(COMMIT, "v2");
    let (found, told) = bench.result("--no-rebuild", 18);
    assert!(found == "fail" && told.contains("leads there: modbus"), "{found}: {told}");
    // The release that the program has came from another one than the lock file says.
    bench.git("reset -q --hard v1");
    lock(&bench, "1.0.2", "2.1.0");
    bench.commit("As if", "v1");
    lock(&bench, "1.0.3", "2.1.0");
    bench.commit(COMMIT, "v2");
    let (found, told) = bench.result("--no-rebuild", 18);
    assert!(found == "fail" && told.contains("leads there: modbus"), "{found}: {told}");
}

/// `modbus.c` isn't `src/modbus.c`.
#[test]
fn a_file_of_another_folder_leads_nowhere() {
    let bench = Bench::new("folder");
    assert_eq!(bench.result("--no-rebuild", 18).0, "pass");
    // The fix lies in a file that nothing is made of; what is compiled is as it was.
    bench.git("checkout -q v1");
    std::fs::copy(bench.desk.path("fw/src/modbus.c"), bench.desk.path("fw/modbus.c")).unwrap();
    bench.commit("Another", "v1");
    bench.git("checkout -q v2");
    let fixed = std::fs::read(bench.desk.path("fw/src/modbus.c")).unwrap();
    bench.git("checkout -q v1");
    std::fs::write(bench.desk.path("fw/modbus.c"), fixed).unwrap();
    bench.commit(COMMIT, "v2");
    let (found, told) = bench.result("--no-rebuild", 18);
    assert!(found == "fail" && told.contains("leads there: modbus"), "{found}: {told}");
    // What is compiled isn't in the repository at all: nobody can say which file it is.
    let fixed = std::fs::read(bench.desk.path("fw/modbus.c")).unwrap();
    bench.git("checkout -q v1");
    std::fs::remove_file(bench.desk.path("fw/src/modbus.c")).unwrap();
    bench.commit("Gone", "v1");
    std::fs::write(bench.desk.path("fw/modbus.c"), fixed).unwrap();
    bench.commit(COMMIT, "v2");
    let (found, told) = bench.result("--no-rebuild", 18);
    assert!(found == "fail" && told.contains("leads there: modbus"), "{found}: {told}");
    assert!(told.contains("/fw/src/modbus.c only ends like modbus.c"), "{told}");
}

/// Sources are bytes.
#[test]
fn sources_may_be_in_any_encoding() {
    let bench = Bench::new("encoding");
    let source = bench.desk.path("fw/src/modbus.c");
    let mut bytes = std::fs::read(&source).unwrap();
    bytes.extend_from_slice(b"/* Pr\xfcft den Z\xe4hler */\n");
    std::fs::write(&source, bytes).unwrap();
    std::fs::write(bench.desk.path("fw/logo.bin"), [0, 255, 254, 13, 10, 0, 128]).unwrap();
    std::fs::write(bench.desk.path("fw/notes.txt"), b"caf\xe9\r\n").unwrap();
    bench.commit(COMMIT, "v2");
    let (found, told) = bench.result("--no-rebuild", 18);
    assert_eq!(found, "pass", "{told}");
    // A name that can't be read is in no scope, and nothing is compared with it.
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        let name = std::ffi::OsStr::from_bytes(b"src/caf\xe9.c");
        std::fs::write(bench.desk.path("fw").join(name), "int x;\n").unwrap();
        bench.commit(COMMIT, "v2");
        assert_eq!(bench.result("--no-rebuild", 18).0, "pass");
        bench.replace("change.toml", "[\"src/modbus.c\"]", "[\"src/*.c\", \"logo.bin\", \"notes.txt\"]");
        let (found, told) = bench.result("--no-rebuild", 7);
        assert!(found == "fail" && told.contains("outside the scope: src/caf"), "{found}: {told}");
    }
}

/// What brings no symbol of its own is told by check 19, wherever its source lines are.
#[test]
fn what_has_no_new_symbol_is_no_less_new() {
    let bench = Bench::new("odd");
    for (name, word) in [
        ("symbol", "set otherwise by the linker: FEATURE"),
        ("handler", "vectors: .vectors 3; no longer weak: hook, uart"),
        ("nameless", "code without a name: 8 bytes in .text"),
        ("veneer", "added: __fault_veneer"),
    ] {
        programs(&bench, "arm-odd.elf", &format!("arm-odd-{name}.elf"));
        let (found, told) = bench.result("--no-rebuild", 19);
        assert!(found == "fail" && told.contains(word), "{name}: {found}: {told}");
    }
}

/// A flash that begins at 0 grows as any other.
#[test]
fn what_lies_at_0_grows() {
    let bench = Bench::new("zero");
    programs(&bench, "arm-one.elf", "arm-one-fix.elf");
    bench.replace("change.toml", "growth = 64", "growth = 1");
    let (found, told) = bench.result("--no-rebuild", 20);
    assert!(found == "fail" && told.contains("bytes, 1 are the most"), "{found}: {told}");
}
