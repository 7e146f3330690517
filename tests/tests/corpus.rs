//! Real firmware becomes bundles and installs, byte-exact.

use patchlane::bundle::{Bundle, sha256};
use patchlane_device::Cause;
use patchlane_tests::sim::SimDevice;
use patchlane_tests::sim::sweep::uniform;
use patchlane_tests::sim::world::Release;
use std::path::{Path, PathBuf};

/// Files of ../shared/corpus, at most so many bytes each, smallest first.
fn corpus(most: u64) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let mut files = Vec::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(path),
                Ok(meta) if (1..=most).contains(&meta.len()) => files.push((meta.len(), path)),
                _ => {}
            }
        }
    }
    files.sort();
    files.into_iter().map(|(_, path)| path).collect()
}

#[test]
fn real_images_install_byte_exact() {
    let files: Vec<_> = corpus(400_000)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| ["bin", "elf", "hex"].iter().any(|x| e == *x)))
        .collect();
    if files.is_empty() {
        println!("skipped: there is no ../shared/corpus here");
        return;
    }
    let mut installed = 0;
    for path in files {
        // What isn't firmware for a device (a host's ELF, an object file) says so.
        let Ok(loaded) = patchlane::image::read(&path) else { continue };
        let blocks = loaded.bytes.len().div_ceil(4096).max(2);
        let geometry = uniform(4, 4096, 8, blocks);
        let first = Release::patch(4, 1, 7, vec![0x11; 5000]);
        let fix = Release::patch(4, 1, 8, loaded.bytes.clone());
        let mut device = SimDevice::story(geometry, &first);
        device.restart(Cause::PowerOn);
        device.install(&fix).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(device.primary_digest(loaded.bytes.len()), sha256(&loaded.bytes), "{}", path.display());
        assert!(device.power.violations().is_empty(), "{:?}", device.power.violations());
        assert_eq!(Bundle::parse(fix.bytes()).unwrap().image_for(None).unwrap().unwrap(), loaded.bytes);
        installed += 1;
    }
    println!("{installed} real images installed");
    assert!(installed > 0, "the corpus holds nothing that installs");
}
