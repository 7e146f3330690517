//! `cargo run -p patchlane-tests --bin schema`: writes the published schema of scenario files.

fn main() -> std::io::Result<()> {
    std::fs::write(
        patchlane_tests::scenario::folder().join("schema.json"),
        patchlane_tests::scenario::schema(),
    )
}
