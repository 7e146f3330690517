//! SPEC.md is enough: a reader in another language, written from it alone, reads every vector as ours does.

use std::path::Path;
use std::process::Command;

#[test]
fn a_stranger_reads_every_vector_as_we_do() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = |arguments: &[&Path]| Command::new("python3").args(arguments).output();
    let tomllib = python(&[Path::new("-c"), Path::new("import tomllib")]);
    if !tomllib.is_ok_and(|out| out.status.success()) {
        println!("skipped: there is no Python 3.11 here");
        return;
    }
    let out = python(&[&tests.join("stranger/reader.py"), &tests.join("../protocol/vectors")]).unwrap();
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{told}{}", String::from_utf8_lossy(&out.stderr));
    let count: usize = told.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(count > 200, "{told}");
    print!("{told}");
}
