//! A product with a change that passes all thirty checks: each test spoils one thing.

use super::super::desk::Desk;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Where the programs come from.
fn elves() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elf")
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) struct Bench {
    pub(crate) desk: Desk,
}

const CHANGE: &str = r#"
format = 1
base = "base.plb"
baseline = "4.1"
level = 8
images = ["patch.elf"]
support_end = 2032-12-31
message = "Bounds check of register requests"
waivers = []

[[closes]]
index = 8
id = "CVE-2027-1"
severity = "high"
exploited = true

[advisory]
csaf = ["csaf.json"]
vex = ["vex.json"]
snapshot = "snapshot.json"

[source]
repository = "fw"
base = "v1"
head = "v2"
scope = ["src/modbus.c"]
churn = 20

[build]
base = "build-base.toml"
patch = "build-patch.toml"

[sbom]
base = "sbom-base.json"
patch = "sbom-patch.json"

[elf]
base = "base.elf"
patch = "patch.elf"
growth = 64

[interfaces]
base = "interfaces-base.toml"
patch = "interfaces-patch.toml"

[proof]
recording = "recording.toml"
exploit = ["replay.exploit-base.json", "replay.exploit-patch.json"]
replay = "replay.json"

[budget]
limits = { flash = 65536, ram = 4096 }
measured = { ram = 2048 }

[assessment]
threat_vectors = { changes = false, why = "a check of a length was added" }
scenarios = { changes = false, why = "no new way in" }
likelihood = { changes = false, why = "it falls" }
impact = { changes = false, why = "none is added" }
risk_assessment = "risk.txt"

[notice]
install = "over the service port, with patchlane device push"
outage = "two seconds of restart"
residual_risk = "a request can read beyond the registers"
rollback = "a trial that fails is taken back; later, with the owner's consent"
"#;

const INVENTORY: &str = r#"
format = 1
[ports]
modbus = 502
[functions]
3 = "read registers"
6 = "write register"
[commands]
[registers]
[config]
address = "u8"
[features]
[schemas]
config = 1
[debug]
swd = "locked"
[keys]
[memory]
primary = 0x20000
"#;

const BUILD: &str = r#"
format = 1
toolchain = "arm-none-eabi-gcc 12.2.1"
target = "-mcpu=cortex-m3 -mthumb"
flags = ["-Os", "-g"]
linker_script = "arm.ld"
features = []
defines = ["NDEBUG"]
kconfig = "kconfig"
"#;

/// What the plant asks, every function code, and the exploit: frames without their check.
pub(crate) const RECORDING: &str = r#"format = 1
about = "What the plant's controller asks"

[[session]]
name = "plant"
input = [
    { name = "write one", hex = "01060001002a00" },
    { name = "read it", hex = "01030001000100" },
    { name = "read all", hex = "01030000002000" },
    { name = "defaults", hex = "01080200000000" },
    { name = "sample", hex = "01110000000000" },
]

[[session]]
name = "function codes"
input = [{ name = "code", hex = "01{00..ff}0000000100" }]

[[session]]
name = "exploit"
input = [
    { name = "over-read", hex = "01030020000100", advisories = ["CVE-2027-1"], safe = { text = "refused -2" } },
]
"#;

/// What `patchlane replay -o replay.json` writes.
pub(crate) const REPLAYED: [&str; 3] =
    ["replay.json", "replay.exploit-base.json", "replay.exploit-patch.json"];

/// The fixtures' sources, compiled for this machine; each once.
fn host_program(sources: &Path) -> Vec<u8> {
    static MADE: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let source = std::fs::read_to_string(sources.join("modbus.c")).unwrap();
    let mut made = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let compile = || {
        let out = sources.join("host-program");
        let mut cc = Command::new("cc");
        cc.arg("-I").arg(sources).arg(elves().join("host.c")).arg("-o").arg(&out);
        let told = cc.output().expect("the tests of `lint` need cc");
        assert!(told.status.success(), "cc: {}", String::from_utf8_lossy(&told.stderr));
        let bytes = std::fs::read(&out).unwrap();
        std::fs::remove_file(&out).unwrap();
        bytes
    };
    made.entry(source).or_insert_with(compile).clone()
}

impl Bench {
    pub(crate) fn new(name: &str) -> Self {
        let bench = Self { desk: Desk::new(&format!("lint-{name}")) };
        bench.desk.ok("init --vendor example.com --class pump");
        for (from, to) in [("arm-base.elf", "base.elf"), ("arm-fix.elf", "patch.elf"), ("arm.ld", "arm.ld")] {
            std::fs::copy(elves().join(from), bench.desk.path(to)).unwrap();
        }
        bench.repository();
        bench.desk.ok("build security --baseline 4.1 --level 7 --image base.elf -o base.plb");
        // Made before anyone asked for evidence.
        bench.desk.ok("sign base.plb");
        bench.edit("patchlane.toml", |text| {
            format!(
                "{text}\n[lint]\nprofile = \"cra+replay\"\napprovers = [\"approver.pub\"]\n\
                 [lint.reproduce]\ncommand = [\"sh\", \"build.sh\"]\nartifact = \"out.elf\"\n\
                 [replay]\ncommand = [\"./host-{{side}}\", \"{{inputs}}\", \"{{outputs}}\"]\n"
            )
        });
        bench.desk.ok("key new approver.pem --development");
        bench.papers();
        bench
    }

    /// A firmware repository: `v1` as released, `v2` with the fix. Its build copies what the fixtures' compiler made.
    fn repository(&self) {
        let fw = self.desk.path("fw");
        std::fs::create_dir_all(fw.join("src")).unwrap();
        for file in ["limits.h", "main.c", "modbus.c"] {
            std::fs::copy(elves().join("src").join(file), fw.join("src").join(file)).unwrap();
        }
        let made = self.desk.path("patch.elf");
        std::fs::write(fw.join("build.sh"), format!("cp {} out.elf\n", made.display())).unwrap();
        std::fs::write(fw.join(".gitignore"), "out.elf\n").unwrap();
        self.git("init -q .");
        self.commit("First", "v1");
        self.host("base");
        self.git(&format!("apply -p1 --unidiff-zero {}", elves().join("changes/fix.diff").display()));
        self.commit("Check bounds\n\nFixes: CVE-2027-1\nReviewed-by: Rev <rev@example.com>", "v2");
        self.host("patch");
    }

    /// Compiles the repository's sources, as they are, for this machine: what the adapter plays for a side.
    pub(crate) fn host(&self, side: &str) {
        let name = format!("host-{side}");
        std::fs::write(self.desk.path(&name), host_program(&self.desk.path("fw/src"))).unwrap();
        let chmod = Command::new("chmod").arg("+x").arg(self.desk.path(&name)).status().unwrap();
        assert!(chmod.success());
    }

    /// Plays the recording; true if the patch isn't refused.
    pub(crate) fn replays(&self) -> bool {
        let out = self.desk.run("replay -o replay.json --force");
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(matches!(out.status.code(), Some(0 | 1)), "{told}");
        out.status.success()
    }

    /// The same of the recording and the images as each bench has them at first: they are played once for all.
    fn replay_once(&self) {
        static PLAYED: Mutex<Option<Vec<Vec<u8>>>> = Mutex::new(None);
        let mut played = PLAYED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let bytes = played.get_or_insert_with(|| {
            assert!(self.replays());
            REPLAYED.map(|name| std::fs::read(self.desk.path(name)).unwrap()).to_vec()
        });
        for (name, bytes) in REPLAYED.iter().zip(bytes) {
            std::fs::write(self.desk.path(name), bytes).unwrap();
        }
    }

    pub(crate) fn git(&self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        self.git_words(&words);
    }

    fn git_words(&self, words: &[&str]) {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.desk.path("fw")).args(words).env("GIT_CONFIG_GLOBAL", "/dev/null");
        for (name, value) in [("NAME", "Dev"), ("EMAIL", "dev@example.com"), ("DATE", "2027-01-10T00:00:00Z")]
        {
            git.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
        }
        let output = git.output().expect("the tests of `lint` need git");
        assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Commits everything and moves the tag.
    pub(crate) fn commit(&self, message: &str, tag: &str) {
        self.git("add -A");
        self.git_words(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&format!("tag -f {tag}"));
    }

    fn papers(&self) {
        let [old, new] = ["base.elf", "patch.elf"].map(|elf| self.image_digest(elf));
        for side in ["base", "patch"] {
            self.write(&format!("build-{side}.toml"), BUILD);
            self.write(&format!("interfaces-{side}.toml"), INVENTORY);
        }
        self.write("kconfig", "CONFIG_MODBUS=y\n# CONFIG_DEBUG is not set\n");
        self.write("risk.txt", "assessed\n");
        self.write("change.toml", CHANGE);
        self.json("sbom-base.json", &sbom(&old, "1.0.0"));
        self.json("sbom-patch.json", &sbom(&new, "1.0.1"));
        self.json("csaf.json", &csaf());
        self.json("vex.json", &vex());
        self.json("snapshot.json", &snapshot());
        self.write("recording.toml", RECORDING);
        self.replay_once();
    }

    /// The digest of the image in an ELF file.
    pub(crate) fn image_digest(&self, elf: &str) -> String {
        digest(&patchlane::image::read(&self.desk.path(elf)).unwrap().bytes)
    }

    /// The digest of a file.
    pub(crate) fn digest(&self, name: &str) -> String {
        digest(&std::fs::read(self.desk.path(name)).unwrap())
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.desk.path(name), text).unwrap();
    }

    pub(crate) fn json(&self, name: &str, value: &Value) {
        self.write(name, &serde_json::to_string_pretty(value).unwrap());
    }

    pub(crate) fn edit(&self, name: &str, edit: impl FnOnce(String) -> String) {
        let before = std::fs::read_to_string(self.desk.path(name)).unwrap();
        let after = edit(before.clone());
        assert_ne!(before, after, "{name}: nothing was edited");
        self.write(name, &after);
    }

    pub(crate) fn replace(&self, name: &str, from: &str, to: &str) {
        self.edit(name, |text| text.replace(from, to));
    }

    /// Changes a JSON document.
    pub(crate) fn change(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let text = std::fs::read_to_string(self.desk.path(name)).unwrap();
        let mut value: Value = serde_json::from_str(&text).unwrap();
        edit(&mut value);
        self.json(name, &value);
    }

    /// Takes a section with its lines out of the change record.
    pub(crate) fn without(&self, section: &str) {
        self.edit("change.toml", |text| {
            let mut inside = false;
            let mut kept = String::new();
            for line in text.lines() {
                if line.starts_with('[') {
                    inside = line == format!("[{section}]");
                }
                if !inside {
                    kept.push_str(line);
                    kept.push('\n');
                }
            }
            kept
        });
    }

    /// What `lint` says, whether it passes or not.
    pub(crate) fn lint(&self, options: &str) -> Value {
        let line = format!("lint {options} --json --no-input");
        let out = self.desk.run(&line);
        let value: Value = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("{line}: {e}: {}", String::from_utf8_lossy(&out.stderr)));
        assert!(value["checks"].is_array(), "{line}: {value}");
        assert!(!String::from_utf8_lossy(&out.stderr).contains("panicked"), "{line}");
        let violations = super::super::schema::violations("lint", &value);
        let refused = super::super::schema::violations("lint-refused", &value);
        assert!(violations.is_empty() || refused.is_empty(), "{line}: {violations:?} {refused:?}");
        assert_eq!(out.status.success(), value["ok"] == true, "{line}");
        value
    }

    /// Code and text of an error that comes before any check.
    pub(crate) fn unread(&self, options: &str) -> (String, String) {
        let out = self.desk.run(&format!("lint {options} --json --no-input"));
        let value: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert!(value.get("checks").is_none(), "{value}");
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        (text("code"), text("what"))
    }

    /// Result and detail of a check.
    pub(crate) fn result(&self, options: &str, check: usize) -> (String, String) {
        let value = self.lint(options);
        let row = &value["checks"][check - 1];
        assert_eq!(row["check"], check);
        (row["result"].as_str().unwrap().to_owned(), row["detail"].as_str().unwrap().to_owned())
    }
}

pub(crate) fn statement(subject: &str, kind: &str, predicate: &Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "image", "digest": { "sha256": subject } }],
        "predicateType": kind,
        "predicate": predicate,
    })
}

fn sbom(image: &str, version: &str) -> Value {
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6",
        "metadata": { "component": {
            "type": "firmware", "name": "pump", "hashes": [{ "alg": "SHA-256", "content": image }] } },
        "components": [
            { "type": "library", "name": "modbus", "version": version, "purl": format!("pkg:generic/modbus@{version}") },
            { "type": "library", "name": "crc", "version": "2.1.0", "purl": "pkg:generic/crc@2.1.0" },
        ],
    })
}

fn csaf() -> Value {
    let date = "2027-01-12T00:00:00Z";
    json!({
        "document": {
            "category": "csaf_security_advisory", "csaf_version": "2.0", "title": "Bounds check",
            "publisher": { "category": "vendor", "name": "Example", "namespace": "https://example.com" },
            "tracking": {
                "id": "EX-2027-1", "status": "final", "version": "1",
                "initial_release_date": date, "current_release_date": date,
                "revision_history": [{ "number": "1", "date": date, "summary": "first" }],
            },
        },
        "product_tree": { "branches": [{ "category": "vendor", "name": "Example", "branches": [
            { "category": "product_name", "name": "pump", "branches": [
                { "category": "product_version", "name": "4.1 s8",
                  "product": { "product_id": "P8", "name": "Example pump 4.1 s8" } }] }] }] },
        "vulnerabilities": [{ "cve": "CVE-2027-1", "product_status": { "fixed": ["P8"] } }],
    })
}

fn vex() -> Value {
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "statements": [{
            "vulnerability": { "name": "CVE-2027-1" }, "status": "fixed",
            "products": [{ "@id": "pkg:generic/pump@4.1-s8", "subcomponents": [{ "@id": "pkg:generic/modbus@1.0.1" }] }],
        }],
    })
}

fn snapshot() -> Value {
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6",
        "metadata": { "timestamp": "2027-01-10T00:00:00Z" },
        "vulnerabilities": [{ "id": "CVE-2027-1", "analysis": { "state": "exploitable" } }],
    })
}
