//! Asks git. Read only; no hooks, pagers or prompts run, and no option can come from a name.

use crate::error::{Code, Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A git work tree.
#[derive(Debug)]
pub(super) struct Repository {
    folder: PathBuf,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    /// Its whole name.
    pub(super) id: String,
    /// Its short name.
    pub(super) name: String,
    /// Its subject.
    pub(super) subject: String,
    /// The author's address.
    pub(super) author: String,
    /// Values of the trailer that names what it fixes.
    pub(super) fixes: Vec<String>,
    /// Values of `Reviewed-by`.
    pub(super) reviewers: Vec<String>,
}

/// Why git can't be asked.
#[derive(Debug)]
pub(super) enum Absent {
    /// There is no program of that name.
    NoGit,
    /// The folder isn't in a work tree.
    NoRepository,
}

impl Repository {
    /// The work tree around a folder.
    pub(super) fn at(folder: &Path) -> std::result::Result<Self, Absent> {
        let repository = Self { folder: folder.to_path_buf() };
        match repository.command(&["rev-parse", "--is-inside-work-tree"]).output() {
            Err(_) => Err(Absent::NoGit),
            Ok(output) if output.stdout.starts_with(b"true") => Ok(repository),
            Ok(_) => Err(Absent::NoRepository),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        // What a repository configures must not run programs here, nor change what is printed.
        command.args([
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.quotePath=false",
        ]);
        command.arg("-C").arg(&self.folder).args(arguments);
        command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_EXTERNAL_DIFF"] {
            command.env_remove(name);
        }
        command
    }

    /// What git prints.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<String> {
        let wrong = |what: String| {
            Error::new(Code::Malformed, what, "check the repository and the names of commits")
                .at(self.folder.display())
        };
        let output = self.command(arguments).output().map_err(|e| wrong(format!("git doesn't run: {e}")))?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            let line = told.lines().next().unwrap_or("it says nothing");
            return Err(wrong(format!("git {}: {line}", arguments.first().unwrap_or(&""))));
        }
        String::from_utf8(output.stdout).map_err(|_| wrong("git prints what isn't UTF-8".into()))
    }

    /// The full name of a commit.
    pub(super) fn commit(&self, name: &str) -> Result<String> {
        let wanted = format!("{name}^{{commit}}");
        Ok(self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?.trim().to_owned())
    }

    /// True if `head` came from `base`.
    pub(super) fn is_ancestor(&self, base: &str, head: &str) -> Result<bool> {
        Ok(self.ask(&["rev-list", "--count", &format!("{head}..{base}"), "--"])?.trim() == "0")
    }

    /// The commits after `base` up to `head`, and of the merges those that change what no side of them has.
    pub(super) fn commits(&self, base: &str, head: &str, trailer: &str) -> Result<Vec<Commit>> {
        let mut all = self.log(base, head, trailer, "--no-merges")?;
        for merge in self.log(base, head, trailer, "--merges")? {
            let own = self.ask(&[
                "diff-tree",
                "--cc",
                "--name-only",
                "--no-commit-id",
                "-r",
                "-z",
                &merge.name,
                "--",
            ])?;
            if !own.trim_matches('\0').is_empty() {
                all.push(merge);
            }
        }
        Ok(all)
    }

    fn log(&self, base: &str, head: &str, trailer: &str, which: &str) -> Result<Vec<Commit>> {
        let values = |key: &str| format!("%(trailers:key={key},valueonly,separator=%x1f)");
        let format =
            format!("--format=%H%x1e%h%x1e%s%x1e%ae%x1e{}%x1e{}%x00", values(trailer), values("Reviewed-by"));
        let range = format!("{base}..{head}");
        let text = self.ask(&["log", which, &format, &range, "--"])?;
        let list = |text: &str| -> Vec<String> {
            text.split('\x1f').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect()
        };
        let commits =
            text.split('\0').map(|record| record.trim_start_matches('\n')).filter(|r| !r.is_empty());
        commits
            .map(|record| {
                let mut fields = record.split('\x1e');
                let mut next = || fields.next().map(str::to_owned);
                let read = (next(), next(), next(), next(), next(), next());
                let (Some(id), Some(name), Some(subject), Some(author), Some(fixes), Some(reviewers)) = read
                else {
                    return Err(Error::internal("git log prints other fields than it was asked for"));
                };
                Ok(Commit { id, name, subject, author, fixes: list(&fixes), reviewers: list(&reviewers) })
            })
            .collect()
    }

    /// Paths that differ.
    pub(super) fn paths(&self, base: &str, head: &str) -> Result<Vec<String>> {
        let text =
            self.ask(&["diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", base, head, "--"])?;
        Ok(text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
    }

    /// Lines added and removed; files that aren't text count as their number.
    pub(super) fn churn(&self, base: &str, head: &str) -> Result<(u64, usize)> {
        let text =
            self.ask(&["diff", "--numstat", "--no-renames", "--no-ext-diff", "-z", base, head, "--"])?;
        let (mut lines, mut binary) = (0u64, 0);
        for record in text.split('\0').filter(|record| !record.is_empty()) {
            let mut fields = record.split('\t');
            match (fields.next().map(str::parse::<u64>), fields.next().map(str::parse::<u64>)) {
                (Some(Ok(added)), Some(Ok(removed))) => {
                    lines = lines.saturating_add(added).saturating_add(removed)
                }
                _ => binary += 1,
            }
        }
        Ok((lines, binary))
    }

    /// The differences, as `git diff -U0` has them.
    pub(super) fn diff(&self, base: &str, head: &str) -> Result<String> {
        self.ask(&[
            "diff",
            "-U0",
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            base,
            head,
            "--",
        ])
    }

    /// The commits that lines of a file at `head` came from, by line; lines as old as `base` have none.
    pub(super) fn blame(
        &self,
        base: &str,
        head: &str,
        file: &str,
        lines: &[(u32, u32)],
    ) -> Result<BTreeMap<u32, String>> {
        let stretches: Vec<String> =
            lines.iter().map(|(first, count)| format!("-L{first},+{count}")).collect();
        let range = format!("{base}..{head}");
        let mut words = vec!["blame", "--incremental"];
        words.extend(stretches.iter().map(String::as_str));
        words.extend([&range, "--", file]);
        let text = self.ask(&words)?;
        let mut found = BTreeMap::new();
        // `COMMIT WAS IS COUNT`, then headers: texts of lines aren't printed.
        for line in text.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [commit, _, first, count] = fields[..] else { continue };
            let (Ok(first), Ok(count)) = (first.parse::<u32>(), count.parse::<u32>()) else { continue };
            if commit.len() >= 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()) && commit != base {
                found.extend((0..count).map(|more| (first.saturating_add(more), commit.to_owned())));
            }
        }
        Ok(found)
    }

    /// The commits after `base` up to `head` that touch a file.
    pub(super) fn touching(&self, base: &str, head: &str, file: &str) -> Result<Vec<String>> {
        let range = format!("{base}..{head}");
        let text = self.ask(&["log", "--format=%H", "--full-history", &range, "--", file])?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// A clean copy of a commit in a new folder.
    pub(super) fn copy(&self, head: &str, folder: &Path) -> Result<()> {
        let top = self.ask(&["rev-parse", "--show-toplevel"])?;
        let to = folder.to_str().ok_or_else(|| Error::internal("a temporary folder's name isn't UTF-8"))?;
        self.ask(&["clone", "--quiet", "--no-checkout", "--no-hardlinks", "--", top.trim_end(), to])?;
        let clone = Self { folder: folder.to_path_buf() };
        clone.ask(&["checkout", "--quiet", "--detach", head])?;
        Ok(())
    }
}
