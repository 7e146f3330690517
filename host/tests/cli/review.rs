//! What a review of the whole found, so that it stays found.

use super::desk::Desk;
use patchlane::root::Root;

const SECRET: &str = "--passphrase-env SECRET";

/// A desk with production keys in a root: `r1.plr`.
fn production(name: &str) -> Desk {
    let desk = Desk::started(name);
    for key in ["root", "security", "feature"] {
        desk.ok(&format!("key new {key}.pem {SECRET}"));
    }
    let roles = "--root root.pub --security security.pub --feature feature.pub --sign root.pem";
    desk.ok(&format!("root new -o r1.plr {roles} {SECRET}"));
    desk.ok(&format!("root new -o r2.plr --follows r1.plr {roles} {SECRET}"));
    desk
}

/// Links lie outside what a release's keys sign: someone else's, put into a genuine bundle, verifies nothing.
#[test]
fn a_root_link_that_was_put_in_is_never_called_verified() {
    let (desk, thief) = (Desk::signed("link-in"), production("link-thief"));
    let good = std::fs::read(desk.path("b.plb")).unwrap();
    let with = |file: &str, version: u32, name: &str| {
        let link = std::fs::read(thief.path(file)).unwrap();
        assert_eq!(Root::parse(&link).unwrap().document().unwrap().version, version);
        let mut bad = good[..10].to_vec();
        bad[5] = 1;
        bad.extend(u16::try_from(link.len()).unwrap().to_le_bytes());
        bad.extend(&link);
        bad.extend(&good[10..]);
        std::fs::write(desk.path(name), bad).unwrap();
    };
    with("r2.plr", 2, "bad.plb");
    with("r1.plr", 1, "old.plb");
    std::fs::create_dir(desk.path("links")).unwrap();
    desk.fails("verify bad.plb", 1, "refused");
    desk.fails("extract bad.plb --links links", 1, "refused");
    desk.fails("provision bad.plb --development -o f.bin", 1, "refused");
    // One that isn't newer than the anchor is passed over, as a device does, and not written out: nobody vouches for it.
    desk.ok("verify old.plb");
    let what = desk.fails("extract old.plb --links links", 1, "refused");
    assert!(what.contains("nothing here vouches for"), "{what}");
    desk.ok("extract b.plb -o b.out");
}

/// A bundle that brings the next root is verified under the old one, as a device on it does.
#[test]
fn a_rotation_is_verified_from_either_root() {
    let desk = production("rotation");
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let toml = toml.replace("trust/root-1.plr", "r2.plr").replace("trust/development-security", "security");
    std::fs::write(desk.path("patchlane.toml"), toml).unwrap();
    desk.ok("build security --baseline 4.1 --level 8 --image a.bin --no-payload --link r2.plr -o a.plb");
    desk.ok(&format!("sign a.plb {SECRET}"));
    desk.ok("verify a.plb");
    desk.ok("verify a.plb --root r1.plr");
}

/// Development keys stay out of production, however their files were copied about.
#[test]
fn development_keys_stay_out_of_production_roots() {
    let desk = production("development-in");
    let new = "root new -o r.plr --root root.pub --feature feature.pub --security";
    desk.fails(
        &format!("{new} trust/development-security.pub --sign root.pem {SECRET}"),
        1,
        "development-trust",
    );
    let mark = std::fs::read_to_string(desk.path("trust/development-root.pem")).unwrap();
    for (name, text) in
        [("crlf", mark.replace('\n', "\r\n")), ("noted", format!("# from the old laptop\n{mark}"))]
    {
        std::fs::write(desk.path(&format!("{name}.pem")), text).unwrap();
        assert_eq!(desk.ok(&format!("key show {name}.pem"))["development"], true, "{name}");
        let new = format!("root new -o {name}.plr --root trust/development-root.pub --feature feature.pub");
        desk.fails(&format!("{new} --security security.pub --sign {name}.pem"), 1, "development-trust");
    }
    desk.ok("build security --baseline 4.1 --level 8 --image a.bin -o a.plb");
    desk.ok("sign a.plb");
    desk.ok("key new owner.pem --development");
    desk.ok("provision a.plb --development --owner-key owner.pub -o f.bin");
}

/// Two passphrases from one descriptor are two lines, also of a regular file.
#[cfg(unix)]
#[test]
fn one_descriptor_gives_one_line_after_the_other() {
    let desk = Desk::new("two-lines");
    desk.ok(&format!("key new k.pem {SECRET}"));
    std::fs::write(desk.path("lines"), "correct horse\nbattery staple\n").unwrap();
    std::fs::write(desk.path("new"), "battery staple\n").unwrap();
    let line = format!(
        "'{}' key passwd k.pem --passphrase-fd 3 --new-passphrase-fd 3 3<lines",
        env!("CARGO_BIN_EXE_patchlane")
    );
    let out = std::process::Command::new("sh").current_dir(&desk.0).args(["-c", &line]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    desk.fails(&format!("key show k.pem {SECRET}"), 4, "passphrase");
    desk.ok("key show k.pem --passphrase-file new");
}

/// All of them or none, and one name for one file.
#[cfg(unix)]
#[test]
fn extract_writes_all_or_nothing_and_no_file_twice() {
    let desk = Desk::signed("extract-all");
    std::fs::write(desk.path("out.bin"), "old").unwrap();
    desk.fails("extract a.plb -o out.bin --manifest nowhere/m --force", 3, "missing-file");
    assert_eq!(std::fs::read(desk.path("out.bin")).unwrap(), b"old");
    desk.fails("extract a.plb -o out.bin --manifest ./out.bin --force", 2, "usage");
    assert_eq!(std::fs::read(desk.path("out.bin")).unwrap(), b"old");
}
