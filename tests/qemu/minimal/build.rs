//! One linker script for every target.
fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rustc-link-arg-bins=-T{folder}/minimal.ld");
    println!("cargo:rerun-if-changed=minimal.ld");
}
