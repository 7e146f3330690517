//! A product with a history: two lines, an exploited vulnerability, a patch whose lint passed with a waiver; archived.

use super::super::lint::bench::Bench;
use patchlane::archive::index::Release;
use patchlane::archive::write::{Draft, File, Top};
use patchlane::archive::{Audience, Role};
use patchlane::bundle::Bundle;
use patchlane::ledger::entry::Sha;
use patchlane::ledger::time::{Day, Moment};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// 2026-09-01, 2026-10-20, 2026-12-01, 2027-01-15, 2027-01-16, each at 08:00 UTC.
const DAYS: [u64; 5] = [1_788_249_600, 1_792_483_200, 1_796_112_000, 1_800_000_000, 1_800_086_400];

pub(super) struct Sample {
    pub(super) bench: Bench,
}

/// Each file that the change record names, as an archive keeps it.
const FILES: [(Role, &str); 19] = [
    (Role::Base, "base.plb"),
    (Role::Root, "trust/root-1.plr"),
    (Role::Change, "change.toml"),
    (Role::Config, "patchlane.toml"),
    (Role::Advisory, "csaf.json"),
    (Role::Advisory, "vex.json"),
    (Role::Snapshot, "snapshot.json"),
    (Role::Program, "base.elf"),
    (Role::Program, "patch.elf"),
    (Role::Build, "build-base.toml"),
    (Role::Build, "build-patch.toml"),
    (Role::Sbom, "sbom-base.json"),
    (Role::Sbom, "sbom-patch.json"),
    (Role::Interfaces, "interfaces-base.toml"),
    (Role::Interfaces, "interfaces-patch.toml"),
    (Role::Proof, "exploit-base.json"),
    (Role::Proof, "exploit-patch.json"),
    (Role::Proof, "replay.json"),
    (Role::Assessment, "risk.txt"),
];

impl Sample {
    /// The bench, without a release yet.
    pub(super) fn bare(name: &str) -> Self {
        Self { bench: Bench::new(&format!("report-{name}")) }
    }

    /// With its whole history.
    pub(super) fn new(name: &str) -> Self {
        let sample = Self::bare(name);
        sample.history();
        sample.patch("cra+replay");
        sample.afterwards();
        sample
    }

    /// Runs a command on a day.
    pub(super) fn on(&self, day: usize, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut command = self.bench.desk.command();
        let out = command.args(&words).env("SOURCE_DATE_EPOCH", DAYS[day].to_string()).output().unwrap();
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    }

    /// Without [lint], `sign` asks for no evidence: that is how the older releases were made.
    pub(super) fn without_lint(&self, run: impl FnOnce()) {
        let path = self.bench.desk.path("patchlane.toml");
        let with = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, with.split("\n[lint]").next().unwrap()).unwrap();
        run();
        std::fs::write(&path, with).unwrap();
    }

    fn release(&self, day: usize, words: &str, file: &str) {
        self.on(day, &format!("build {words} -o {file}"));
        self.on(day, &format!("sign {file}"));
        self.on(day, &format!("ledger release {file}"));
    }

    fn history(&self) {
        let desk = &self.bench.desk;
        std::fs::remove_file(desk.path("base.plb")).unwrap();
        std::fs::write(desk.path("five.bin"), vec![0x55; 2000]).unwrap();
        desk.ok("ledger init --before 6");
        desk.ok(
            "ledger baseline add 4.1 --name pumps --support-end 2032-12-31 --interfaces interfaces-base.toml",
        );
        desk.ok("ledger baseline add 5.0 --name remote --support-end 2034-06-30");
        desk.ok("ledger open CVE-2026-7 --title parser --severity medium --affects 4.1");
        self.without_lint(|| {
            self.release(0, "feature --baseline 4.1 --level 6 --image base.elf", "s6.plb");
            self.release(
                1,
                "security --baseline 4.1 --fixes CVE-2026-7 --image base.elf --support-end 2032-12-29",
                "base.plb",
            );
            self.release(2, "feature --baseline 5.0 --contains 4.1 --image five.bin", "five.plb");
        });
        desk.ok(
            "ledger open CVE-2027-1 --title over-read --severity high --exploited --aware 2027-01-12T09:30Z \
             --affects 4.1 --alias EUVD-2027-9 --csaf https://example.com/csaf/EX-2027-1.json \
             --upstream https://example.com/upstream/issues/7",
        );
        desk.ok("ledger amend CVE-2027-1 --early-warning 2027-01-13T07:00Z --notification 2027-01-15T11:30Z");
    }

    /// The patch, judged and signed: check 8 is waived.
    pub(super) fn patch(&self, profile: &str) {
        let desk = &self.bench.desk;
        self.bench.replace("change.toml", "churn = 20", "churn = 1");
        desk.ok(
            "lint waive 8 --reason generated --until 2027-03-01 --key approver.pem -o w8.txt --no-rebuild",
        );
        self.bench.replace("change.toml", "waivers = []", "waivers = [\"w8.txt\"]");
        let judge = format!(
            "lint --profile {profile} --catalogue cra --catalogue iec-62443-4-1-2018 -o patch.evidence.json"
        );
        desk.ok(&judge);
        desk.ok("build security --change change.toml --evidence patch.evidence.json -o patch.plb");
        desk.ok("sign patch.plb");
    }

    fn afterwards(&self) {
        let desk = &self.bench.desk;
        self.on(3, "ledger release patch.plb");
        desk.ok("ledger affects CVE-2027-1 not-affected 5.0 --justification vulnerable-code-not-present");
        self.without_lint(|| self.release(4, "security --baseline 5.0 --not-affected", "five-s8.plb"));
        desk.ok("ledger amend CVE-2027-1 --final-report 2027-01-20T10:00Z");
    }

    fn file(&self, role: Role, name: &str) -> File {
        let bytes = std::fs::read(self.bench.desk.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        File { role, name: name.to_owned(), bytes }
    }

    fn ledger(&self) -> Vec<File> {
        let folder = self.bench.desk.path("ledger");
        let files = super::super::desk::listing(&folder).into_iter();
        let named = |path: PathBuf| path.strip_prefix(&folder).unwrap().to_string_lossy().replace('\\', "/");
        files.map(|(path, bytes)| File { role: Role::Ledger, name: named(path), bytes }).collect()
    }

    /// Archives what there is under a name.
    pub(super) fn archive(&self, name: &str) {
        let mut files = vec![self.file(Role::Bundle, "patch.plb")];
        files.push(self.file(Role::EvidenceBefore, "patch.evidence.json"));
        files.push(self.file(Role::Findings, "patch.evidence.findings.json"));
        let there = |name: &str| self.bench.desk.path(name).exists();
        files.extend(FILES.iter().filter(|(_, name)| there(name)).map(|(role, name)| self.file(*role, name)));
        if there("w8.txt") {
            files.push(self.file(Role::Waiver, "w8.txt"));
        }
        if there("ledger") {
            files.extend(self.ledger());
        }
        write(&self.bench.desk.path(name), files);
    }

    /// The report's JSON of an archive.
    pub(super) fn report(&self, archive: &str, words: &str) -> Value {
        let folder = format!("{archive}-report");
        let _ = std::fs::remove_dir_all(self.bench.desk.path(&folder));
        self.bench.desk.ok(&format!("report {archive} -o {folder} {words}"));
        serde_json::from_str(&self.text(archive, "report.json")).unwrap()
    }

    pub(super) fn text(&self, archive: &str, file: &str) -> String {
        std::fs::read_to_string(self.bench.desk.path(&format!("{archive}-report/{file}"))).unwrap()
    }
}

/// Writes an archive of these files; the first is the bundle.
pub(super) fn write(folder: &Path, files: Vec<File>) {
    let bundle = Bundle::parse(files[0].bytes.clone()).unwrap();
    let m = bundle.manifest().unwrap();
    let day = |text: &str| Day::parse(text).unwrap();
    let release = Release {
        vendor: "example.com".into(),
        class: "pump".into(),
        version: m.version.to_string(),
        manifest_sha256: Sha(bundle.digest().0),
        bundle_sha256: Sha::of(&files[0].bytes),
        issued: Moment(m.issued_at).day(),
        support_end: Moment(m.support_end).day(),
    };
    let draft = Draft { audience: Audience::Assessor, release, created: day("2027-01-21"), files };
    draft.write(folder, &|_| Ok(Top { signed: "{}".into(), recheck: String::new() })).unwrap();
}
