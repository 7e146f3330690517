//! Writes the seeds of the fuzz targets. Launched by `cargo xtask fuzz --seeds`.

fn main() -> std::io::Result<()> {
    let (count, bytes) = patchlane_tests::fuzz::seeds::write()?;
    println!("{count} seeds, {bytes} bytes");
    Ok(())
}
