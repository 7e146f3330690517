//! Features smuggled into a patch, and what catches them; docs/COMPLIANCE.md has the table, and names what gets through.

use super::bench::Bench;
use serde_json::json;
use std::path::Path;

const TABLE: &str = include_str!("../../../../docs/COMPLIANCE.md");

/// Who smuggles declares nothing: sources and program change, the papers don't.
fn program(bench: &Bench, change: &str) {
    let elves = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elf");
    std::fs::copy(elves.join(format!("arm-{change}.elf")), bench.desk.path("patch.elf")).unwrap();
}

/// The numbers of the checks that fail, in order; papers that name the image's digest are made anew.
fn caught(bench: &Bench) -> Vec<u64> {
    let digest = bench.image_digest("patch.elf");
    bench.change("sbom-patch.json", |v| v["metadata"]["component"]["hashes"][0]["content"] = json!(digest));
    bench.replays();
    let value = bench.lint("");
    let failed = value["checks"].as_array().unwrap().iter().filter(|row| row["result"] == "fail");
    failed.map(|row| row["check"].as_u64().unwrap()).collect()
}

/// The row of docs/COMPLIANCE.md says what this test found.
fn says(row: &str, checks: &[u64]) {
    let numbers: Vec<String> = checks.iter().map(u64::to_string).collect();
    let told = if numbers.is_empty() { "**gets through**".to_owned() } else { numbers.join(", ") };
    let line = format!("| {row} | {told} |");
    assert!(TABLE.lines().any(|known| known.starts_with(&line)), "docs/COMPLIANCE.md lacks `{line}`");
}

fn attempt(name: &str, row: &str, smuggle: impl Fn(&Bench)) {
    let bench = Bench::new(&format!("smuggle-{name}"));
    smuggle(&bench);
    says(row, &caught(&bench));
}

/// The sources, too: the fix, and this. Of the fixtures' programs each has one change only, so that of `added` and `vector`
/// stands for one that has the fix as well; the adapter plays what these sources make on this machine.
fn with_sources(bench: &Bench, change: &str) {
    let changes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elf/changes");
    bench.git("checkout -q v1");
    // `smuggled` is the fix and a function code, in one function.
    for name in ["fix", change].into_iter().filter(|name| change != "smuggled" || *name == change) {
        bench.git(&format!("apply -p1 --unidiff-zero {}", changes.join(format!("{name}.diff")).display()));
    }
    bench.commit("Check bounds\n\nFixes: CVE-2027-1\nReviewed-by: Rev <rev@example.com>", "v2");
    program(bench, change);
    bench.host("patch");
}

#[test]
fn what_is_in_the_program_and_not_in_the_source() {
    attempt("binary", "an extra function, in the program only", |b| program(b, "added"));
    attempt("constant", "a constant changed, in the program only", |b| program(b, "constant"));
    attempt("vector", "an interrupt handler replaced, in the program only", |b| program(b, "vector"));
}

#[test]
fn what_is_in_the_source_too() {
    attempt("function", "an extra function, in source and program", |b| with_sources(b, "added"));
    attempt("handler", "an interrupt handler replaced, in source and program", |b| with_sources(b, "vector"));
    attempt(
        "code",
        "an extra function code in the fixed function, undeclared, recorded inputs that meet it",
        |b| {
            with_sources(b, "smuggled");
            sweep(b, "00..0f", "{ name = \"write 16\", hex = \"01100001002a00\" }");
        },
    );
    attempt("swept", "an extra function code in the fixed function, undeclared, a sweep meets it", |b| {
        with_sources(b, "smuggled");
    });
    attempt(
        "silent",
        "an extra function code in the fixed function, undeclared, neither a recorded input nor a sweep meets it",
        |b| {
            with_sources(b, "smuggled");
            sweep(b, "00..0f", "");
        },
    );
}

/// Sweeps no more function codes than these, and has another input.
fn sweep(bench: &Bench, codes: &str, input: &str) {
    bench.replace("recording.toml", "00..ff", codes);
    bench.replace(
        "recording.toml",
        "name = \"plant\"\ninput = [",
        &format!("name = \"plant\"\ninput = [{input}{}", if input.is_empty() { " " } else { "," }),
    );
}

#[test]
fn what_is_declared() {
    attempt("port", "a debug port opened, declared", |b| {
        b.replace("interfaces-patch.toml", "\"locked\"", "\"open\"")
    });
    attempt("key", "a configuration key added, declared", |b| {
        b.replace("interfaces-patch.toml", "address = \"u8\"", "address = \"u8\"\nremote = \"bool\"");
    });
    attempt("dormant", "a dormant feature switched on by a build option", |b| {
        b.replace("build-patch.toml", "features = []", "features = [\"remote\"]");
    });
    attempt("kconfig", "a dormant feature switched on by Kconfig", |b| {
        b.write("kconfig2", "CONFIG_MODBUS=y\nCONFIG_REMOTE=y\n");
        b.replace("build-patch.toml", "\"kconfig\"", "\"kconfig2\"");
    });
    attempt("dependency", "a dependency added", |b| {
        b.change("sbom-patch.json", |v| {
            let new =
                json!({ "type": "library", "name": "mqtt", "version": "1", "purl": "pkg:generic/mqtt@1" });
            v["components"].as_array_mut().unwrap().push(new);
        });
    });
    attempt("upgrade", "a dependency upgraded beside the fix", |b| {
        b.replace("sbom-patch.json", "crc@2.1.0", "crc@3.0.0");
        b.replace("sbom-patch.json", "\"2.1.0\"", "\"3.0.0\"");
    });
    attempt("both", "an interface added to the inventories of both, no ledger froze the base's", |b| {
        for side in ["base", "patch"] {
            b.replace(&format!("interfaces-{side}.toml"), "modbus = 502", "modbus = 502\ntelnet = 23");
        }
    });
    attempt("commit", "a commit that names no vulnerability", |b| b.commit("Add telemetry", "v2"));
}

/// The page names tests that there are.
#[test]
fn attempts_on_single_checks_have_the_tests_that_the_page_names() {
    let sources = [
        include_str!("hidden.rs"),
        include_str!("join.rs"),
        include_str!("checks.rs"),
        include_str!("verdicts.rs"),
        include_str!("../../../src/binary/tests.rs"),
    ];
    let (_, table) = TABLE.split_once("| attempt | seen by | test |").unwrap();
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 20, "{rows:#?}");
    for row in rows {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let named: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty() || row.contains("**gets through**"), "{row}");
        for name in named {
            let test = format!("#[test]\nfn {name}()");
            assert!(sources.iter().any(|source| source.contains(&test)), "there is no test {name}: {row}");
        }
    }
}
