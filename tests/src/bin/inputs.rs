//! `inputs FOLDER`: writes a root, two bundles, an image and an owner's document for programs that measure. Launched by `cargo xtask sizes`.

use patchlane_protocol::{FeaturePolicy, Policy, Request, SecurityPolicy};
use patchlane_tests::sim::world::{Release, Roles, image, owner, public};
use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_default();
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    // The new release brings a root link, whose two quorums take the deepest stack.
    let links = vec![Roles { version: 2, ..Roles::default() }.link(&["root"])];
    let image = image(1, 6000);
    let old = Release::patch(4, 1, 7, image[..5999].to_vec());
    let new = Release { links, bases: vec![old.image.clone()], ..Release::patch(4, 1, 8, image) };
    std::fs::write(folder.join("anchor"), public("owner").bytes)?;
    let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Local };
    std::fs::write(folder.join("policy"), owner(1, Request::Policy(policy)))?;
    std::fs::write(folder.join("root"), Roles::default().document())?;
    std::fs::write(folder.join("old"), old.bytes())?;
    std::fs::write(folder.join("new"), new.bytes())?;
    std::fs::write(folder.join("image"), &new.image)
}
