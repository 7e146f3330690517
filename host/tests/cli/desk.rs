//! A desk to try commands at.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own for each test.
pub(crate) struct Desk(pub(crate) PathBuf);

impl Desk {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("patchlane-cli-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// A product with a first image.
    pub(crate) fn started(name: &str) -> Self {
        let desk = Self::new(name);
        desk.ok("init --vendor example.com --class pump");
        std::fs::write(desk.path("a.bin"), vec![0x42; 9000]).unwrap();
        std::fs::write(desk.path("b.bin"), vec![0x43; 9500]).unwrap();
        desk
    }

    /// A product with two signed bundles: a.plb (4.1 s7) and b.plb (4.1 s8).
    pub(crate) fn signed(name: &str) -> Self {
        let desk = Self::started(name);
        desk.ok("build security --baseline 4.1 --level 7 --image a.bin -o a.plb");
        desk.ok("sign a.plb");
        desk.ok("build security --baseline 4.1 --level 8 --image b.bin --closes 8:CVE-2027-1:high:exploited -o b.plb");
        desk.ok("sign b.plb");
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchlane"));
        command.current_dir(&self.0).env("SOURCE_DATE_EPOCH", "1800000000").env("SECRET", "correct horse");
        command
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.command().args(line.split_whitespace()).output().unwrap()
    }

    pub(crate) fn ok(&self, line: &str) -> Value {
        let out = self.run(&format!("{line} --json"));
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    /// Fails with this exit code and this stable code, says what to do next, and leaves the folder as it was.
    pub(crate) fn fails(&self, line: &str, exit: i32, code: &str) -> String {
        let before = listing(&self.0);
        let out = self.run(&format!("{line} --json --no-input"));
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(exit), "{line}: {told}");
        let value: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(value["code"], code, "{line}: {value}");
        assert!(!value["next"].as_str().unwrap_or_default().is_empty(), "{line}: no way on");
        assert!(!told.contains("panicked"), "{line}: {told}");
        assert_eq!(listing(&self.0), before, "{line} left something behind");
        value["what"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Every file below a folder.
pub(crate) fn listing(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            all.extend(listing(&entry.path()));
        } else {
            all.push((entry.path(), std::fs::read(entry.path()).unwrap_or_default()));
        }
    }
    all.sort();
    all
}
