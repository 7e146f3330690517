//! A linker script for each architecture, and where the bundles lie.
fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let target = std::env::var("TARGET").expect("cargo sets it");
    let script = if target.starts_with("thumb") { "arm.ld" } else { "riscv.ld" };
    println!("cargo:rustc-link-arg-bins=-T{folder}/{script}");
    println!("cargo:rustc-env=INPUTS={folder}/../../../target/stack");
    println!("cargo:rerun-if-changed={folder}/../../../target/stack");
}
