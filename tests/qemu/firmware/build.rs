//! Each program has its linker script.
fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    for program in ["boot", "app"] {
        println!("cargo:rustc-link-arg-bin={program}=-T{folder}/{program}.ld");
        println!("cargo:rerun-if-changed={program}.ld");
    }
}
