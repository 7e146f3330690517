//! `delta OLD NEW [ADDRESS]`: prints the bytes of the image and of its smallest delta, which it applies once.

use patchlane::delta;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [old, new, rest @ ..] = &arguments[..] else { return Err("delta OLD NEW [ADDRESS]".into()) };
    let (old, new) = (std::fs::read(old)?, std::fs::read(new)?);
    let address =
        rest.first().map(|text| u32::from_str_radix(text.trim_start_matches("0x"), 16)).transpose()?;
    let data = delta::smallest(&old, &new, None, address.map(|address| (address, address)));
    assert!(delta::apply(&old, &data, new.len())? == new, "the delta makes another image");
    println!("{} {}", new.len(), data.len());
    Ok(())
}
