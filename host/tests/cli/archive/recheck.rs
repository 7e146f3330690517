//! RECHECK.md is run as it stands, by sh, sha256sum and openssl; and fails where something was changed.

use super::bench::{CREATE, archived, attested, copy, index, object};
use std::path::Path;
use std::process::{Command, Output};

/// The commands, as the file itself says how to run them.
fn run(folder: &Path) -> Output {
    let line = "sed -n '/^```sh$/,/^```$/p' RECHECK.md | grep -v '^```' | sh -eu";
    let text = std::fs::read_to_string(folder.join("RECHECK.md")).unwrap();
    assert!(text.contains(line), "{text}");
    Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap()
}

fn holds(folder: &Path) -> bool {
    let out = run(folder);
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.success(), told.contains("the core holds"), "{told}");
    out.status.success()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn the_commands_hold_on_the_archive_and_fail_on_each_tampered_one() {
    let bench = archived("recheck");
    let whole = bench.desk.path("ar");
    let out = run(&whole);
    assert!(
        out.status.success(),
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    let text = std::fs::read_to_string(whole.join("RECHECK.md")).unwrap();
    assert!(!text.contains("patchlane verify-evidence `") && !text.contains("curl"), "nothing of ours runs");
    let roles: std::collections::BTreeSet<String> = index(&whole)["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["role"].as_str().unwrap().to_owned())
        .collect();
    for role in roles {
        let folder = copy(&bench, "ar", "spoiled");
        flip(&object(&folder, &role), 40);
        assert!(!holds(&folder), "{role}");
    }
    for name in ["index.json", "index.dsse.json"] {
        let folder = copy(&bench, "ar", "spoiled");
        flip(&folder.join(name), 60);
        assert!(!holds(&folder), "{name}");
    }
    // Signatures are verified, not only digests: a file under its new digest, and commands that say so.
    let folder = copy(&bench, "ar", "spoiled");
    let text = std::fs::read_to_string(folder.join("RECHECK.md")).unwrap();
    let old = object(&folder, "evidence-before");
    let mut envelope: serde_json::Value = serde_json::from_slice(&std::fs::read(&old).unwrap()).unwrap();
    let sig = envelope["signatures"][0]["sig"].as_str().unwrap().to_owned();
    let first = if sig.starts_with('A') { "B" } else { "A" };
    envelope["signatures"][0]["sig"] = format!("{first}{}", &sig[1..]).into();
    let bytes = serde_json::to_string_pretty(&envelope).unwrap() + "\n";
    let (was, is) =
        (old.file_name().unwrap().to_str().unwrap().to_owned(), super::bench::digest(bytes.as_bytes()));
    std::fs::write(folder.join("objects/sha256").join(&is), bytes).unwrap();
    // Even if the manifest's naming of it is taken out of the way.
    let text: String = text
        .replace(&was, &is)
        .lines()
        .filter(|line| !line.contains("grep -q"))
        .map(|l| format!("{l}\n"))
        .collect();
    std::fs::write(folder.join("RECHECK.md"), text).unwrap();
    assert!(!holds(&folder), "a wrong signature");
}

#[test]
fn a_customers_archive_has_commands_of_its_own_and_an_added_one_new_ones() {
    let bench = attested("recheck-customer");
    bench.desk.ok(&CREATE.replace("-o ar", "-o cu --audience customer"));
    assert!(holds(&bench.desk.path("cu")));
    bench.desk.ok(&CREATE.replace(" --after patch.release.json", ""));
    assert!(holds(&bench.desk.path("ar")));
    bench.desk.ok("archive add ar --after patch.release.json --key evidence.pem");
    assert!(holds(&bench.desk.path("ar")));
    let text = std::fs::read_to_string(bench.desk.path("ar/RECHECK.md")).unwrap();
    assert!(text.contains("# evidence made after signing"));
}
