use patchlane::delta::{self, Input};
use patchlane::device::delta::Isa;
use std::time::Instant;
fn main() {
    let best = [8292usize, 3992, 21759, 10842, 4931, 33324, 66489, 34731, 71464, 28972, 10941, 12901];
    let info = [
        (1, 0x0802_0000u32),
        (1, 0x0800_8000),
        (2, 0),
        (1, 0x0800_0000),
        (1, 0),
        (0, u32::MAX),
        (0, 0x4020_0000),
        (1, 0x0802_0000),
        (1, 0x0800_0000),
        (1, 0x0800_5000),
        (1, 0),
        (3, 0),
    ];
    let mut dirs: Vec<_> = std::fs::read_dir("/work/shared/corpus")
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_dir())
        .collect();
    dirs.sort();
    let (mut total, mut ratio) = (0, 0.0);
    for (k, dir) in dirs.iter().enumerate() {
        let base = std::fs::read(dir.join("old.bin")).unwrap();
        let image = std::fs::read(dir.join("new.bin")).unwrap();
        let linked = (info[k].1 != u32::MAX).then_some((info[k].1, info[k].1));
        let t = Instant::now();
        let data = delta::encode(&Input { base: &base, image: &image, isa: Isa::ALL[info[k].0], linked });
        let made = t.elapsed();
        let t = Instant::now();
        assert!(delta::apply(&base, &data, image.len()).unwrap() == image);
        println!(
            "{:24} {:7} -> {:6} best {:6} {:.3}  {:?} {:?}",
            dir.file_name().unwrap().to_string_lossy(),
            image.len(),
            data.len(),
            best[k],
            data.len() as f64 / best[k] as f64,
            made,
            t.elapsed()
        );
        total += data.len();
        ratio += (data.len() as f64 / best[k] as f64).ln();
    }
    println!("total {total} geomean {:.3}", (ratio / 12.0).exp());
}
