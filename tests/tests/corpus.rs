//! Real firmware becomes bundles and installs, byte-exact: each pair of ../shared/corpus, old release, then new.

use patchlane::bundle::{Bundle, sha256};
use patchlane_device::Cause;
use patchlane_tests::sim::SimDevice;
use patchlane_tests::sim::sweep::uniform;
use patchlane_tests::sim::world::Release;
use std::path::{Path, PathBuf};

/// `PATCHLANE_CORPUS`, or the folder beside the checkout: pairs in folders of their own.
fn pairs() -> Vec<PathBuf> {
    let folder = std::env::var_os("PATCHLANE_CORPUS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut pairs: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.join("old.bin").is_file()).collect();
    pairs.sort();
    pairs
}

#[test]
fn real_images_install_byte_exact() {
    let pairs = pairs();
    if pairs.is_empty() {
        println!("skipped: there is no ../shared/corpus here (or name one in PATCHLANE_CORPUS)");
        return;
    }
    let mut installed = 0;
    for pair in &pairs {
        let name = pair.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let read =
            |file: &str| patchlane::image::read(&pair.join(file)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (old, new) = (read("old.bin").bytes, read("new.bin").bytes);
        let geometry = uniform(4, 4096, 8, old.len().max(new.len()).div_ceil(4096));
        let first = Release::patch(4, 1, 7, old.clone());
        let fix = Release::patch(4, 1, 8, new.clone());
        assert_eq!(Bundle::parse(fix.bytes()).unwrap().image_for(None).unwrap().unwrap(), new, "{name}");
        let mut device = SimDevice::story(geometry, &first);
        device.restart(Cause::PowerOn);
        device.install(&fix).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(device.primary_digest(new.len()), sha256(&new), "{name}");
        assert!(device.power.violations().is_empty(), "{name}: {:?}", device.power.violations());
        println!("{name}: {} bytes replaced {}", new.len(), old.len());
        installed += 1;
    }
    println!("corpus: {installed} real images installed over their predecessors, byte-exact");
    assert_eq!(installed, pairs.len());
}
