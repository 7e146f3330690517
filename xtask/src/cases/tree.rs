//! A firmware's repository: as it was, with the fix, and with the fix and something else.

use super::Problem;
use super::list::{Case, Debian, Sources};
use crate::run::run;
use crate::toolchain::{self, root};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A release of the firmware, by the tag of its commit.
pub(super) const BASE: &str = "v1";
pub(super) const FIX: &str = "v2";
pub(super) const SMUGGLE: &str = "v2-and-more";

/// The repository, and what is made of it.
pub(super) struct Tree<'c> {
    pub(super) case: &'c Case,
    /// What belongs to the case: target/cases/NAME.
    pub(super) folder: PathBuf,
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Problem + '_ {
    move |error| Problem::Failed(format!("{}: {error}", path.display()))
}

fn quiet(command: &mut Command) -> Result<(), Problem> {
    let output = command.output().map_err(|e| Problem::Failed(format!("{command:?}: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Problem::Failed(format!("{command:?} ended with {}: {}", output.status, told.trim())))
}

/// Copies a folder's files, and those of its folders.
fn copy(from: &Path, to: &Path) -> Result<(), Problem> {
    fs::create_dir_all(to).map_err(io(to))?;
    for entry in fs::read_dir(from).map_err(io(from))? {
        let entry = entry.map_err(io(from))?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).map_err(io(&path))?;
        }
    }
    Ok(())
}

/// The SHA-256 of a file.
pub(super) fn sha256(file: &Path) -> Result<String, Problem> {
    let output = Command::new("sha256sum").arg(file).output();
    let output = output.map_err(|e| Problem::Failed(format!("sha256sum: {e}")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = text.split_whitespace().next();
    word.map(str::to_owned).ok_or_else(|| Problem::Failed(format!("{} can't be read", file.display())))
}

impl<'c> Tree<'c> {
    pub(super) fn new(case: &'c Case) -> Self {
        Self { case, folder: root().join("target/cases").join(case.name) }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.join("tree")
    }

    /// A program that was built: `base-TARGET.elf`.
    pub(super) fn program(&self, release: &str, target: &str) -> PathBuf {
        self.folder.join(format!("{release}-{target}.elf"))
    }

    /// What only the repository has: the files of tests/cases.
    fn own(&self, name: &str) -> PathBuf {
        root().join("tests/cases").join(self.case.name).join(name)
    }

    pub(super) fn has_smuggle(&self) -> bool {
        self.own("smuggle.diff").exists()
    }

    /// Makes the repository with its commits, and builds each of them.
    pub(super) fn make(&self) -> Result<(), Problem> {
        let tree = self.path();
        let _ = fs::remove_dir_all(&tree);
        copy(&self.own("base"), &tree)?;
        if matches!(self.case.sources, Sources::Crates) {
            let common = root().join("tests/cases/rust");
            for file in ["build.sh", "thumbv7m-none-eabi.ld", "riscv32imac-unknown-none-elf.ld"] {
                fs::copy(common.join(file), tree.join(file)).map_err(io(&tree))?;
            }
            fs::copy(common.join("start.rs"), tree.join("src/start.rs")).map_err(io(&tree))?;
            fs::copy(common.join("gitignore"), tree.join(".gitignore")).map_err(io(&tree))?;
        }
        self.git(&["init", "-q", "."])?;
        self.before()?;
        self.release("As released", BASE)?;
        self.fix()?;
        let fixes: Vec<String> = self.case.closes.iter().map(|(id, _)| format!("Fixes: {id}")).collect();
        let message = format!(
            "{} {}\n\n{}\nReviewed-by: Rev <rev@example.com>",
            self.case.component,
            self.case.versions[1],
            fixes.join("\n")
        );
        self.release(&message, FIX)?;
        if self.has_smuggle() {
            self.apply(&self.own("smuggle.diff"), None)?;
            self.release(&message, SMUGGLE)?;
            // What is checked out is what is judged first.
            self.git(&["checkout", "-q", FIX])?;
        }
        Ok(())
    }

    /// The component as it was.
    fn before(&self) -> Result<(), Problem> {
        match &self.case.sources {
            Sources::Crates => self.vendor(),
            Sources::Debian(debian) => self.unpack(debian),
        }
    }

    fn fix(&self) -> Result<(), Problem> {
        match &self.case.sources {
            Sources::Crates => {
                self.apply(&self.own("fix.diff"), None)?;
                self.vendor()
            }
            Sources::Debian(debian) => {
                for patch in debian.patches {
                    let patch = self.folder.join("sources/debian/patches").join(patch);
                    self.apply(&patch, Some((self.case.name, debian.uses)))?;
                }
                Ok(())
            }
        }
    }

    /// Applies a patch; of a component's only what the firmware has of it.
    fn apply(&self, patch: &Path, part: Option<(&str, &[&str])>) -> Result<(), Problem> {
        let mut arguments = vec!["apply".to_owned(), "-p1".to_owned()];
        if let Some((folder, files)) = part {
            arguments.push(format!("--directory={folder}"));
            arguments.extend(files.iter().map(|file| format!("--include={folder}/{file}")));
        }
        arguments.push(patch.display().to_string());
        self.git(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Every crate that the lock file names, by its checksum.
    fn vendor(&self) -> Result<(), Problem> {
        let tree = self.path();
        let _ = fs::remove_dir_all(tree.join("vendor"));
        let settings = tree.join(".cargo/config.toml");
        let _ = fs::remove_file(&settings);
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["vendor", "--locked", "--quiet", "vendor"]).current_dir(&tree).env_remove("RUSTFLAGS");
        let output = cargo.output().map_err(|e| Problem::Failed(format!("cargo: {e}")))?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            let first = told.lines().next().unwrap_or("it says nothing").to_owned();
            return Err(Problem::Missing(format!("the crates of its lock file (cargo vendor: {first})")));
        }
        fs::create_dir_all(tree.join(".cargo")).map_err(io(&tree))?;
        let text = "[source.crates-io]\nreplace-with = \"vendored-sources\"\n\n\
                    [source.vendored-sources]\ndirectory = \"vendor\"\n";
        fs::write(&settings, text).map_err(io(&settings))
    }

    fn unpack(&self, debian: &Debian) -> Result<(), Problem> {
        let (cache, to) = (root().join("target/cases/sources"), self.folder.join("sources"));
        super::fetch::fetch(debian, &cache)?;
        let _ = fs::remove_dir_all(&to);
        fs::create_dir_all(&to).map_err(io(&to))?;
        for (file, _) in debian.files {
            quiet(Command::new("tar").arg("-xf").arg(cache.join(file)).arg("-C").arg(&to))?;
        }
        let inside = self.path().join(self.case.name);
        fs::create_dir_all(&inside).map_err(io(&inside))?;
        for file in debian.uses {
            let from = to.join(debian.folder).join(file);
            fs::copy(&from, inside.join(file)).map_err(io(&from))?;
        }
        Ok(())
    }

    /// Commits what is there, and builds it for every target.
    fn release(&self, message: &str, tag: &str) -> Result<(), Problem> {
        self.git(&["add", "-A", "-f", ".", ":!target", ":!firmware.elf", ":!vendor/std-*"])?;
        self.git(&["commit", "-q", "-m", message])?;
        self.git(&["tag", tag])?;
        for target in self.case.targets {
            let mut build = Command::new("sh");
            toolchain::for_script(&mut build);
            build.args(["build.sh", target]).current_dir(self.path());
            build.env("CARGO_TARGET_DIR", root().join("target/cases/cargo"));
            run(&mut build).map_err(Problem::Failed)?;
            let made = self.path().join("firmware.elf");
            fs::copy(&made, self.program(tag, target)).map_err(io(&made))?;
        }
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.path()).args(arguments).stdin(Stdio::null());
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        for (name, value) in [("NAME", "Dev"), ("EMAIL", "dev@example.com"), ("DATE", "2027-01-10T00:00:00Z")]
        {
            git.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
        }
        git
    }

    pub(super) fn git(&self, arguments: &[&str]) -> Result<(), Problem> {
        quiet(&mut self.command(arguments))
    }

    /// What changed from one release to another, as `git diff -U0` has it, in a file.
    pub(super) fn diff(&self, to: &str) -> Result<PathBuf, Problem> {
        let output = self.command(&["diff", "-U0", "--no-renames", BASE, to, "--"]).output();
        let output = output.map_err(|e| Problem::Failed(format!("git: {e}")))?;
        let path = self.folder.join(format!("{to}.diff"));
        fs::write(&path, output.stdout).map_err(io(&path))?;
        Ok(path)
    }
}
