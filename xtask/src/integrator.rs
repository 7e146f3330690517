//! A firmware crate of someone else: without sha2's compact back end it doesn't build, and the lines that the README
//! gives are enough.

use crate::toolchain;
use std::fs;
use std::path::Path;

const TARGET: &str = "thumbv7m-none-eabi";
/// What the device crate says when the setting is missing.
const SAYS: &str = "sha2's unrolled back end";

/// The first block of TOML in the README: what belongs into `.cargo/config.toml`.
fn readme() -> Result<String, String> {
    let path = toolchain::root().join("README.md");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let block = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    block.map(str::to_owned).ok_or_else(|| "README.md has no block of TOML".to_owned())
}

/// Builds the crate as it lies in `folder`: `None`, or what the compiler said.
fn build(folder: &Path) -> Result<Option<String>, String> {
    let out = toolchain::cargo("check", folder, TARGET).output();
    let out = out.map_err(|e| format!("cargo doesn't start: {e}"))?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    Ok((!out.status.success()).then_some(said))
}

pub(crate) fn check() -> Result<(), String> {
    toolchain::prepare()?;
    // Elsewhere: cargo would find this repository's own configuration in the folders above.
    let folder = std::env::temp_dir().join(format!("patchlane-integrator-{}", std::process::id()));
    let result = in_folder(&folder);
    let _ = fs::remove_dir_all(&folder);
    result
}

fn in_folder(folder: &Path) -> Result<(), String> {
    let root = toolchain::root();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&path, text)).map_err(|e| format!("{}: {e}", path.display()))
    };
    let device = root.join("device").display().to_string();
    let manifest = format!(
        "[package]\nname = \"integrator\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         [dependencies]\npatchlane-device = {{ path = {device:?} }}\n[workspace]\n"
    );
    write("Cargo.toml", &manifest)?;
    write("src/lib.rs", "#![no_std]\npub use patchlane_device::Device;\n")?;
    let lock = root.join("tests/qemu/Cargo.lock");
    write("Cargo.lock", &fs::read_to_string(&lock).map_err(|e| format!("{}: {e}", lock.display()))?)?;
    match build(folder)? {
        Some(said) if said.contains(SAYS) => println!("without the setting: refused, as it should be"),
        Some(said) => return Err(format!("it failed for another reason: {said}")),
        None => return Err("it builds with the hash that costs 26 KiB, and nobody said so".into()),
    }
    write(".cargo/config.toml", &readme()?)?;
    match build(folder)? {
        None => println!("with the README's lines: it builds"),
        Some(said) => return Err(format!("the README's lines aren't enough: {said}")),
    }
    Ok(())
}
