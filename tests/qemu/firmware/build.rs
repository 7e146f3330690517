//! Each board has a linker script for each program.
fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let boards = [("VIRT", "virt"), ("AST1030_EVB", "ast1030"), ("MICROBIT", "microbit")];
    let board = boards.iter().find(|(name, _)| std::env::var_os(format!("CARGO_FEATURE_{name}")).is_some());
    let (_, board) = board.expect("a board: --features virt, ast1030-evb or microbit");
    // Segments begin where sections do: no image holds the ELF file's own headers.
    println!("cargo:rustc-link-arg-bins=--nmagic");
    for program in ["boot", "app"] {
        println!("cargo:rustc-link-arg-bin={program}=-T{folder}/../{board}/{program}.ld");
        println!("cargo:rerun-if-changed=../{board}/{program}.ld");
    }
}
