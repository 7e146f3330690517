//! A product with one released firmware and one patch: what a vendor would lay beside them for `patchlane lint`.

use super::Problem;
use super::list::{Case, Sources};
use super::tree::{BASE, Tree, sha256};
use crate::toolchain::{self, root};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The day on which everything happens: between the commits' and the end of support.
const NOW: &str = "1800000000";

pub(super) struct Desk<'d> {
    pub(super) tree: &'d Tree<'d>,
    /// The release that is judged: a tag.
    pub(super) release: &'d str,
    folder: PathBuf,
    patchlane: PathBuf,
}

fn failed(what: impl std::fmt::Display) -> Problem {
    Problem::Failed(what.to_string())
}

/// The vulnerabilities' indices: after those that the base handles.
fn indices(case: &Case) -> impl Iterator<Item = (u32, &str, &str)> {
    (8..).zip(case.closes).map(|(index, (id, severity))| (index, *id, *severity))
}

impl<'d> Desk<'d> {
    /// Lays everything out: the base as a signed bundle, the patch, and the papers.
    pub(super) fn new(tree: &'d Tree<'d>, release: &'d str, scope: &[&str]) -> Result<Self, Problem> {
        let (folder, patchlane) =
            (tree.folder.join(format!("desk-{release}")), root().join("target/release/patchlane"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(failed)?;
        let desk = Self { tree, release, folder, patchlane };
        let target = tree.case.targets[0];
        for (from, to) in [(BASE, "base.elf"), (release, "patch.elf")] {
            fs::copy(tree.program(from, target), desk.path(to)).map_err(failed)?;
        }
        desk.ok(&["init", "--vendor", "example.com", "--class", tree.case.name])?;
        let bundle = |level: &str, image: &str, to: &str, closes: &[String]| {
            let mut words =
                vec!["build", "security", "--baseline", "4.1", "--level", level, "--image", image];
            closes.iter().for_each(|one| words.extend(["--closes", one]));
            words.extend(["-o", to]);
            desk.ok(&words)
        };
        bundle("7", "base.elf", "base.plb", &[])?;
        desk.ok(&["sign", "base.plb"])?;
        let closes: Vec<_> = indices(tree.case).map(|(at, id, how)| format!("{at}:{id}:{how}")).collect();
        bundle(&(7 + closes.len()).to_string(), "patch.elf", "bare.plb", &closes)?;
        desk.papers(scope)?;
        Ok(desk)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn run(&self, words: &[&str]) -> Result<(Value, bool, Duration), Problem> {
        let mut command = Command::new(&self.patchlane);
        toolchain::for_script(&mut command);
        command.current_dir(&self.folder).args(words).args(["--json", "--no-input"]);
        command.env("SOURCE_DATE_EPOCH", NOW);
        let begun = Instant::now();
        let output = command.output().map_err(|e| failed(format!("{}: {e}", self.patchlane.display())))?;
        let took = begun.elapsed();
        let value = serde_json::from_slice(&output.stdout).map_err(|e| {
            failed(format!("patchlane {words:?}: {e}: {}", String::from_utf8_lossy(&output.stderr)))
        })?;
        Ok((value, output.status.success(), took))
    }

    /// What a command answers that has to succeed.
    fn ok(&self, words: &[&str]) -> Result<Value, Problem> {
        match self.run(words)? {
            (value, true, _) => Ok(value),
            (value, false, _) => Err(failed(format!("patchlane {words:?}: {}", value["what"]))),
        }
    }

    /// Image against image, as they lie in flash.
    pub(super) fn bytes(&self) -> Result<(u64, u64), Problem> {
        let value = self.ok(&["diff", "base.plb", "bare.plb"])?;
        let image = &value["images"][0];
        let (differ, sizes) = (image["differ"].as_u64(), &image["bytes"]);
        let size = sizes[0].as_u64().max(sizes[1].as_u64());
        differ.zip(size).ok_or_else(|| failed("`patchlane diff` says nothing of the images"))
    }

    /// Function by function, for a target.
    pub(super) fn functions(&self, target: &str) -> Result<(Value, Duration), Problem> {
        let diff = self.tree.diff(self.release)?;
        let programs = [BASE, self.release].map(|release| self.tree.program(release, target));
        let [old, new] = programs.each_ref().map(|path| path.to_str().unwrap_or_default());
        let words = ["diff", old, new, "--source-diff", diff.to_str().unwrap_or_default()];
        let (value, ok, took) = self.run(&words)?;
        if ok { Ok((value, took)) } else { Err(failed(format!("patchlane {words:?}: {}", value["what"]))) }
    }

    /// What the thirty checks say: a list of rows.
    pub(super) fn lint(&self, rebuild: bool) -> Result<(Vec<Value>, Duration), Problem> {
        self.tree.git(&["checkout", "-q", self.release])?;
        let words = ["lint", "change.toml", "--no-rebuild"];
        let (value, _, took) = self.run(&words[..if rebuild { 2 } else { 3 }])?;
        match value["checks"].as_array() {
            Some(rows) => Ok((rows.clone(), took)),
            None => Err(failed(format!("patchlane lint: {}: {}", value["where"], value["what"]))),
        }
    }

    /// Takes the flash out of the product: nothing can be installed, and check 28 isn't evaluated.
    pub(super) fn without_flash(&self) -> Result<(), Problem> {
        let product = fs::read_to_string(self.path("patchlane.toml")).map_err(failed)?;
        let (before, after) =
            product.split_once("[flash]").ok_or_else(|| failed("patchlane.toml has no [flash]"))?;
        let rest = after.split_once("\n[").map_or(String::new(), |(_, rest)| format!("[{rest}"));
        self.write("patchlane.toml", &format!("{before}{rest}"))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Problem> {
        fs::write(self.path(name), text).map_err(|e| failed(format!("{name}: {e}")))
    }

    fn json(&self, name: &str, value: &Value) -> Result<(), Problem> {
        self.write(name, &format!("{value:#}\n"))
    }

    fn papers(&self, scope: &[&str]) -> Result<(), Problem> {
        let case = self.tree.case;
        let tag = |bundle: &str| -> Result<String, Problem> {
            let value = self.ok(&["inspect", bundle])?;
            let digest = value["components"][0]["images"][0]["sha256"].as_str().map(str::to_owned);
            digest.ok_or_else(|| failed(format!("{bundle} names no image")))
        };
        for (side, bundle, version) in
            [("base", "base.plb", case.versions[0]), ("patch", "bare.plb", case.versions[1])]
        {
            let release = if side == "base" { BASE } else { self.release };
            self.tree.git(&["checkout", "-q", release])?;
            self.json(&format!("sbom-{side}.json"), &self.sbom(&tag(bundle)?, version)?)?;
            self.write(&format!("build-{side}.toml"), &self.build(side)?)?;
            let declared = root().join("tests/cases").join(case.name).join("interfaces.toml");
            let declared = fs::read_to_string(&declared).map_err(failed)?;
            self.write(&format!("interfaces-{side}.toml"), &declared)?;
        }
        self.json("csaf.json", &self.csaf())?;
        self.json("vex.json", &self.vex())?;
        self.json("snapshot.json", &self.snapshot())?;
        self.write("risk.txt", "assessed\n")?;
        self.write("change.toml", &self.change(scope)?)?;
        let reproduce = format!(
            "\n[lint]\nprofile = \"cra\"\n[lint.reproduce]\ncommand = [\"sh\", \"build.sh\", {:?}]\n\
             artifact = \"firmware.elf\"\n",
            case.targets[0]
        );
        let product = fs::read_to_string(self.path("patchlane.toml")).map_err(failed)?;
        self.write("patchlane.toml", &(product + &reproduce))
    }

    /// What the image holds: of crates those that are linked for the target, or the library and newlib.
    fn sbom(&self, image: &str, version: &str) -> Result<Value, Problem> {
        let case = self.tree.case;
        let mut components = Vec::new();
        let mut add = |purl: &str, name: &str, version: &str| {
            let purl = format!("{purl}@{version}");
            components.push(json!({ "type": "library", "name": name, "version": version, "purl": purl }));
        };
        match case.sources {
            Sources::Crates => {
                for line in self.crates()?.lines() {
                    let mut words = line.split_whitespace();
                    if let (Some(name), Some(version)) = (words.next(), words.next()) {
                        let version = version.trim_start_matches('v');
                        add(&format!("pkg:cargo/{name}"), name, version);
                    }
                }
            }
            Sources::Debian(_) => {
                add(case.purl, case.component, version);
                add("pkg:generic/newlib", "newlib", &said("arm-none-eabi-gcc", "-dumpfullversion"));
            }
        }
        Ok(json!({
            "bomFormat": "CycloneDX", "specVersion": "1.6",
            "metadata": { "component": {
                "type": "firmware", "name": case.name, "hashes": [{ "alg": "SHA-256", "content": image }] } },
            "components": components,
        }))
    }

    /// Crates that the firmware is linked from, without proc macros and what builds need.
    fn crates(&self) -> Result<String, Problem> {
        let mut cargo = Command::new("cargo");
        toolchain::for_script(&mut cargo);
        cargo.args([
            "tree",
            "--locked",
            "--offline",
            "--prefix",
            "none",
            "--no-dedupe",
            "-e",
            "normal,no-proc-macro",
        ]);
        cargo.args(["--target", self.tree.case.targets[0]]).current_dir(self.tree.path());
        let output = cargo.output().map_err(failed)?;
        if !output.status.success() {
            return Err(failed(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr))));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
        lines.sort_unstable();
        lines.dedup();
        Ok(lines.join("\n"))
    }

    /// How it was built: what the build says of itself.
    fn build(&self, side: &str) -> Result<String, Problem> {
        let case = self.tree.case;
        let (script, target) = (format!("{side}.ld"), case.targets[0]);
        let from = self.tree.path().join(format!("{target}.ld"));
        fs::copy(&from, self.path(&script)).map_err(failed)?;
        let toolchain = match case.sources {
            Sources::Crates => said("rustc", "--version"),
            Sources::Debian(_) => said("arm-none-eabi-gcc", "--version"),
        };
        let features = case.features;
        // The whole recipe counts: a flag that moves is another flag.
        let recipe = sha256(&self.tree.path().join("build.sh"))?;
        Ok(format!(
            "format = 1\ntoolchain = {toolchain:?}\ntarget = {target:?}\nflags = [\"build.sh={recipe}\"]\n\
             linker_script = {script:?}\nfeatures = {features:?}\n"
        ))
    }

    fn csaf(&self) -> Value {
        let date = "2027-01-12T00:00:00Z";
        let version = format!("4.1 s{}", 7 + self.tree.case.closes.len());
        let ids = self.tree.case.closes.iter().map(|(id, _)| {
            let fixed = json!({ "fixed": ["P"] });
            match id.starts_with("CVE-") {
                true => json!({ "cve": id, "product_status": fixed }),
                false => {
                    json!({ "ids": [{ "system_name": "RustSec", "text": id }], "product_status": fixed })
                }
            }
        });
        json!({
            "document": {
                "category": "csaf_security_advisory", "csaf_version": "2.0", "title": self.tree.case.component,
                "publisher": { "category": "vendor", "name": "Example", "namespace": "https://example.com" },
                "tracking": {
                    "id": "EX-2027-1", "status": "final", "version": "1",
                    "initial_release_date": date, "current_release_date": date,
                    "revision_history": [{ "number": "1", "date": date, "summary": "first" }],
                },
            },
            "product_tree": { "branches": [{ "category": "vendor", "name": "Example", "branches": [
                { "category": "product_name", "name": self.tree.case.name, "branches": [
                    { "category": "product_version", "name": version,
                      "product": { "product_id": "P", "name": format!("Example {} {version}", self.tree.case.name) }
                    }] }] }] },
            "vulnerabilities": ids.collect::<Vec<_>>(),
        })
    }

    fn vex(&self) -> Value {
        let case = self.tree.case;
        let part = format!("{}@{}", case.purl, case.versions[1]);
        let product =
            json!({ "@id": format!("pkg:generic/{}@4.1", case.name), "subcomponents": [{ "@id": part }] });
        let fixed = case.closes.iter().map(
            |(id, _)| json!({ "vulnerability": { "name": id }, "status": "fixed", "products": [product] }),
        );
        json!({ "@context": "https://openvex.dev/ns/v0.2.0", "statements": fixed.collect::<Vec<_>>() })
    }

    fn snapshot(&self) -> Value {
        let open = self.tree.case.closes.iter();
        let open = open.map(|(id, _)| json!({ "id": id, "analysis": { "state": "exploitable" } }));
        json!({
            "bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": { "timestamp": "2027-01-10T00:00:00Z" },
            "vulnerabilities": open.collect::<Vec<_>>(),
        })
    }

    fn change(&self, scope: &[&str]) -> Result<String, Problem> {
        let case = self.tree.case;
        let closes = indices(case).map(|(index, id, severity)| {
            format!("[[closes]]\nindex = {index}\nid = {id:?}\nseverity = {severity:?}\n")
        });
        let template = include_str!("change.toml");
        let ram = ram(&self.path("patch.elf"))?;
        Ok(template
            .replace("LEVEL", &(7 + case.closes.len()).to_string())
            .replace("CLOSES", &closes.collect::<Vec<_>>().join("\n"))
            .replace("TREE", &self.tree.path().display().to_string())
            .replace("BASE", BASE)
            .replace("HEAD", self.release)
            .replace("SCOPE", &format!("{scope:?}"))
            .replace("CHURN", &case.churn.to_string())
            .replace("RAM", &ram.to_string()))
    }
}

/// The first line that a program says.
fn said(program: &str, option: &str) -> String {
    let mut command = Command::new(program);
    toolchain::for_script(&mut command);
    let output = command.arg(option).output();
    let text = output.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Bytes of RAM that the linker gave away.
fn ram(elf: &Path) -> Result<u64, Problem> {
    use object::{Object as _, ObjectSection as _};
    let bytes = fs::read(elf).map_err(failed)?;
    let file = object::File::parse(&bytes[..]).map_err(failed)?;
    let sections = file.sections().filter(|section| matches!(section.name(), Ok(".data" | ".bss")));
    Ok(sections.map(|section| section.size()).sum())
}
