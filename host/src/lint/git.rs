//! Asks git. Read only; no hooks, pagers or prompts run, and no option can come from a name.

use crate::error::{Code, Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// A pack unpacks to no more, in bytes.
const UNPACKED: u64 = 1 << 30;
/// Whoever made a pack may mean harm: it unpacks within this time, or not at all.
const PATIENCE: Duration = Duration::from_secs(120);

/// A git work tree.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    folder: PathBuf,
    /// True if it was made of a pack, for an archive.
    unpacked: bool,
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
    /// Who made it: the author, and each `Co-authored-by`.
    pub(super) authors: Vec<Person>,
    /// Values of the trailer that names what it fixes.
    pub(super) fixes: Vec<String>,
    /// Values of `Reviewed-by`.
    pub(super) reviewers: Vec<String>,
}

/// Somebody, as commits name people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    name: String,
    address: String,
}

impl Person {
    /// Of `Name <address>`, or of an address alone.
    pub(super) fn parse(text: &str) -> Self {
        let parts = text.rsplit_once('<').and_then(|(name, rest)| Some((name, rest.split_once('>')?.0)));
        let (name, address) = parts.unwrap_or(("", text));
        Self { name: name.trim().to_lowercase(), address: address.trim().to_lowercase() }
    }

    /// False if nothing tells him from somebody else.
    pub(super) fn has_address(&self) -> bool {
        self.address.split_once('@').is_some_and(|(own, host)| !own.is_empty() && !host.is_empty())
    }

    /// Without what the owner of an address may put behind it: `dev+review@…` reaches `dev@…`.
    fn mailbox(&self) -> (&str, &str) {
        let (own, host) = self.address.split_once('@').unwrap_or((&self.address, ""));
        (own.split('+').next().unwrap_or(own), host)
    }

    /// True if they may be one and the same: the second pair of eyes has another name, and another address.
    pub(super) fn may_be(&self, other: &Self) -> bool {
        self.mailbox() == other.mailbox() || !self.name.is_empty() && self.name == other.name
    }
}

/// What every difference of two commits is asked with: submodules are never left out, whatever they ask for.
const DIFF: [&str; 5] =
    ["diff", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none"];

/// Why git can't be asked.
#[derive(Debug)]
pub(crate) enum Absent {
    /// There is no program of that name.
    NoGit,
    /// The folder isn't in a work tree.
    NoRepository,
}

/// True for a name as it is: what git printed of others isn't their name any more, and two of them may look the same.
pub(super) fn is_text(name: &str) -> bool {
    !name.contains(char::REPLACEMENT_CHARACTER)
}

/// The next object that `cat-file --batch` printed: its name, its text, and what follows.
fn object_of(printed: &[u8]) -> Option<(String, String, &[u8])> {
    let end = printed.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(printed.get(..end)?).ok()?;
    let mut words = head.split(' ');
    let (name, size) = (words.next()?, words.nth(1)?.parse::<usize>().ok()?);
    let text = printed.get(end + 1..)?.get(..size)?;
    let after = printed.get(end + 1..)?.get(size.checked_add(1)?..)?;
    Some((name.to_owned(), String::from_utf8_lossy(text).into_owned(), after))
}

#[cfg(unix)]
fn kill(id: u32) {
    let id = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(id) = id {
        let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
    }
}

#[cfg(not(unix))]
const fn kill(_: u32) {}

impl Repository {
    /// The work tree around a folder.
    pub(crate) fn at(folder: &Path) -> std::result::Result<Self, Absent> {
        let repository = Self { folder: folder.to_path_buf(), unpacked: false };
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
            // Names in a diff are those from the repository's root, behind `a/` and `b/`.
            "-c",
            "diff.noprefix=false",
            "-c",
            "diff.mnemonicPrefix=false",
            "-c",
            "diff.relative=false",
            // The same lines on everyone's machine, whatever is configured there.
            "-c",
            "diff.algorithm=default",
            "-c",
            "diff.indentHeuristic=true",
            "-c",
            "diff.interHunkContext=0",
            // It may say otherwise than the commits that it sums up.
            "-c",
            "core.commitGraph=false",
            // It would run whatever checks signatures.
            "-c",
            "log.showSignature=false",
            "-c",
            "trailer.separators=:",
        ]);
        command.arg("-C").arg(&self.folder).args(arguments);
        command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
        // A commit is what its name stands for, whatever this clone puts in its place; a path is no pattern.
        command.env("GIT_NO_REPLACE_OBJECTS", "1").env("GIT_GRAFT_FILE", "/dev/null");
        command.env("GIT_LITERAL_PATHSPECS", "1");
        for name in [
            "GIT_DIR",
            "GIT_COMMON_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            "GIT_NAMESPACE",
            "GIT_SHALLOW_FILE",
            "GIT_EXTERNAL_DIFF",
            "GIT_DIFF_OPTS",
        ] {
            command.env_remove(name);
        }
        if self.unpacked {
            // Nothing of it is anybody's work tree: what its reader configured for his own has no say.
            command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
            command.env("GIT_ATTR_NOSYSTEM", "1");
        }
        command
    }

    /// What git prints. Sources and names of people may be in any encoding: what isn't UTF-8 can be read here, and not
    /// compared with anything ([`is_text`]).
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
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The full name of a commit.
    pub(crate) fn commit(&self, name: &str) -> Result<String> {
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
            if self.has_own(&merge.id)? || self.brings_back(base, &merge.id)? {
                all.push(merge);
            }
        }
        Ok(all)
    }

    /// True if a merge changes what no side of it has.
    fn has_own(&self, merge: &str) -> Result<bool> {
        let own =
            self.ask(&["diff-tree", "--cc", "--name-only", "--no-commit-id", "-r", "-z", merge, "--"])?;
        Ok(!own.trim_matches('\0').is_empty())
    }

    /// True if a merge takes a file from a side as it was before `base`, though `base` has it otherwise: no commit after
    /// `base` says so.
    fn brings_back(&self, base: &str, merge: &str) -> Result<bool> {
        let line = self.ask(&["rev-list", "--parents", "--no-walk", merge, "--"])?;
        let changed: BTreeSet<String> = self.paths(base, merge)?.into_iter().collect();
        for side in line.split_whitespace().skip(1) {
            let listed = self.ask(&["rev-list", "--boundary", &format!("{base}..{side}"), "--"])?;
            let mut from: Vec<&str> = listed.lines().filter_map(|line| line.strip_prefix('-')).collect();
            if listed.trim().is_empty() {
                from.push(side);
            }
            let from =
                from.into_iter().filter(|commit| *commit != base).map(|commit| self.paths(base, commit));
            let from: BTreeSet<String> = from.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
            let other: BTreeSet<String> = self.paths(side, merge)?.into_iter().collect();
            if from.iter().any(|path| changed.contains(path) && !other.contains(path)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True if commits between two are missing: a shallow clone ends somewhere, and what lies beyond is never listed.
    pub(super) fn is_cut(&self, base: &str, head: &str) -> Result<bool> {
        let path = self.folder.join(self.ask(&["rev-parse", "--git-path", "shallow"])?.trim_end());
        let Ok(ends) = std::fs::read_to_string(&path) else { return Ok(path.exists()) };
        let ends: BTreeSet<&str> = ends.lines().map(str::trim).collect();
        let listed = self.ask(&["rev-list", &format!("{base}..{head}"), "--"])?;
        Ok(listed.lines().any(|commit| ends.contains(commit)))
    }

    /// Files that git was told not to look at, and that are there.
    pub(super) fn unwatched(&self) -> Result<Vec<String>> {
        let top = PathBuf::from(self.ask(&["rev-parse", "--show-toplevel"])?.trim_end());
        let listed = self.ask(&["ls-files", "-v", "-z", "--full-name", "--", &top.display().to_string()])?;
        let unwatched = |line: &&str| line.starts_with(|mark: char| mark.is_ascii_lowercase() || mark == 'S');
        let named = listed.split('\0').filter(unwatched).filter_map(|line| line.split_once(' '));
        Ok(named.map(|(_, name)| name.to_owned()).filter(|name| top.join(name).exists()).collect())
    }

    /// Who these people are by the repository's `.mailmap`.
    pub(super) fn known_as(&self, people: &[Person]) -> Result<Vec<Person>> {
        if people.is_empty() {
            return Ok(Vec::new());
        }
        let plain = |text: &str| text.replace(['<', '>', '\n'], "");
        let list = people.iter().map(|p| format!("{} <{}>\n", plain(&p.name), plain(&p.address)));
        let told = self.feed(&["check-mailmap", "--stdin"], list.collect::<String>().as_bytes())?;
        Ok(String::from_utf8_lossy(&told).lines().map(Person::parse).collect())
    }

    fn log(&self, base: &str, head: &str, trailer: &str, which: &str) -> Result<Vec<Commit>> {
        let values = |key: &str| format!("%(trailers:key={key},valueonly,separator=%x1f)");
        // No message holds the byte 0, and anything else may stand in a subject.
        let fields = ["%H", "%h", "%s", "%an <%ae>", "%ae"].map(str::to_owned).into_iter();
        let format = fields.chain([trailer, "Reviewed-by", "Co-authored-by"].map(values));
        let format = format!("--format={}", format.map(|field| field + "%x00").collect::<String>());
        let range = format!("{base}..{head}");
        let text = self.ask(&["log", which, &format, &range, "--"])?;
        let list = |text: &str| -> Vec<String> {
            text.split('\x1f').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect()
        };
        let fields: Vec<&str> = text.split('\0').collect();
        // Behind the last field of the last commit is the end of its line.
        let (records, rest) = fields.as_chunks::<8>();
        if rest.concat().trim() != "" {
            return Err(Error::internal("git log prints other fields than it was asked for"));
        }
        let commit = |[id, name, subject, person, author, fixes, reviewers, others]: &[&str; 8]| Commit {
            id: id.trim_start_matches('\n').to_owned(),
            name: (*name).to_owned(),
            subject: (*subject).to_owned(),
            author: (*author).to_owned(),
            authors: std::iter::once((*person).to_owned())
                .chain(list(others))
                .map(|person| Person::parse(&person))
                .collect(),
            fixes: list(fixes),
            reviewers: list(reviewers),
        };
        Ok(records.iter().map(commit).collect())
    }

    /// Paths that differ.
    pub(super) fn paths(&self, base: &str, head: &str) -> Result<Vec<String>> {
        let text = self.ask(&[&DIFF[..], &["--name-only", "-z", base, head, "--"]].concat())?;
        Ok(text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
    }

    /// Every file of a commit.
    pub(super) fn files(&self, commit: &str) -> Result<BTreeSet<String>> {
        let text = self.ask(&["ls-tree", "-r", "-z", "--name-only", "--full-tree", commit])?;
        Ok(text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
    }

    /// A file of a commit.
    pub(super) fn text(&self, commit: &str, path: &str) -> Result<String> {
        self.ask(&["cat-file", "blob", &format!("{commit}:{path}")])
    }

    /// Lines added and removed; files that aren't text count as their number.
    pub(super) fn churn(&self, base: &str, head: &str) -> Result<(u64, usize)> {
        let text = self.ask(&[&DIFF[..], &["--numstat", "-z", base, head, "--"]].concat())?;
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
        let options = [
            "-U0",
            "--no-color",
            "--submodule=short",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            base,
            head,
            "--",
        ];
        self.ask(&[&DIFF[..], &options].concat())
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

    /// The commits between two, and the trees of those and of their parents, as a pack: what every question here needs.
    pub(crate) fn pack(&self, base: &str, head: &str) -> Result<Vec<u8>> {
        let range = format!("{base}..{head}");
        let listed = self.ask(&["rev-list", "--boundary", &range, "--"])?;
        let mut commits: Vec<&str> = listed.lines().map(|line| line.trim_start_matches('-')).collect();
        commits.push(base);
        commits.push(head);
        commits.sort_unstable();
        commits.dedup();
        let list = commits.join("\n") + "\n";
        let named =
            self.feed(&["rev-list", "--objects", "--no-walk=unsorted", "--stdin"], list.as_bytes())?;
        let named = String::from_utf8_lossy(&named).into_owned();
        let objects: Vec<&str> = named.lines().filter_map(|line| line.split(' ').next()).collect();
        // One thread and fresh deltas: the same git makes the same bytes.
        let options =
            ["pack-objects", "--quiet", "--stdout", "--threads=1", "--no-reuse-delta", "--no-reuse-object"];
        self.feed(&options, (objects.join("\n") + "\n").as_bytes())
    }

    /// What git prints for this input.
    fn feed(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        self.feed_within(arguments, input, None)
    }

    /// The same; given up after a while.
    fn feed_within(&self, arguments: &[&str], input: &[u8], patience: Option<Duration>) -> Result<Vec<u8>> {
        let wrong = |what: String| {
            Error::new(Code::Malformed, what, "check the repository").at(self.folder.display())
        };
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| wrong(format!("git doesn't run: {e}")))?;
        let (stdin, id) = (child.stdin.take(), child.id());
        let (done, waits) = std::sync::mpsc::channel::<()>();
        let (output, late) = std::thread::scope(|scope| {
            // Written beside: a pipe that is full in both directions would wait for ever.
            let writer = scope.spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input)));
            let watch = patience.map(|patience| {
                scope.spawn(move || {
                    let late = waits.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
                    late.then(|| kill(id)).is_some()
                })
            });
            let output = child.wait_with_output();
            drop(done);
            let _ = writer.join();
            (output, watch.is_some_and(|watch| watch.join().unwrap_or(false)))
        });
        if late {
            return Err(wrong("takes too long to unpack".into()));
        }
        let output = output.map_err(|e| wrong(format!("git doesn't run: {e}")))?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            let line = told.lines().next().unwrap_or("it says nothing").to_owned();
            return Err(wrong(format!("git {}: {line}", arguments.first().unwrap_or(&""))));
        }
        Ok(output.stdout)
    }

    /// A repository of a pack's objects, without a work tree; a commit without its parents ends the history.
    pub(super) fn unpack(pack: &[u8], folder: &Path) -> Result<Self> {
        let repository = Self { folder: folder.to_path_buf(), unpacked: true };
        repository.ask(&["init", "--quiet", "--bare", "--template="])?;
        // Every object is named by its content: git counts the digests itself. Large ones aren't held in memory. Links
        // aren't followed (--strict): the history ends where the patch begins.
        let most = format!("--max-input-size={}", crate::files::LARGEST);
        let unpack = ["-c", "core.bigFileThreshold=16m", "index-pack", "--stdin", &most];
        repository.feed_within(&unpack, pack, Some(PATIENCE))?;
        let all = repository.ask(&[
            "cat-file",
            "--batch-all-objects",
            "--batch-check=%(objectname) %(objecttype) %(objectsize)",
        ])?;
        let (mut commits, mut total) = (BTreeSet::new(), 0u64);
        for line in all.lines() {
            let mut words = line.split(' ');
            let (name, kind, size) = (words.next(), words.next(), words.next());
            total = total.saturating_add(size.and_then(|size| size.parse().ok()).unwrap_or(u64::MAX));
            commits.extend(name.filter(|_| kind == Some("commit")).map(str::to_owned));
        }
        if total > UNPACKED {
            let what = format!("unpacks to more than {} MiB", UNPACKED >> 20);
            return Err(Error::new(Code::Malformed, what, "check that this is the right archive"));
        }
        let mut shallow = String::new();
        let list: String = commits.iter().map(|commit| format!("{commit}\n")).collect();
        let told = repository.feed(&["cat-file", "--batch"], list.as_bytes())?;
        let mut rest = &told[..];
        while let Some((commit, text, after)) = object_of(rest) {
            rest = after;
            let header = text.lines().take_while(|line| !line.is_empty());
            if header.filter_map(|line| line.strip_prefix("parent ")).any(|parent| !commits.contains(parent))
            {
                shallow.push_str(&commit);
                shallow.push('\n');
            }
        }
        let path = folder.join("shallow");
        std::fs::write(&path, shallow).map_err(|e| crate::files::failed(&e, &path, "written"))?;
        Ok(repository)
    }

    /// A clean copy of a commit in a new folder.
    pub(super) fn copy(&self, head: &str, folder: &Path) -> Result<()> {
        let top = self.ask(&["rev-parse", "--show-toplevel"])?;
        let to = folder.to_str().ok_or_else(|| Error::internal("a temporary folder's name isn't UTF-8"))?;
        self.ask(&["clone", "--quiet", "--no-checkout", "--no-hardlinks", "--", top.trim_end(), to])?;
        let clone = Self { folder: folder.to_path_buf(), unpacked: false };
        clone.ask(&["checkout", "--quiet", "--detach", head])?;
        Ok(())
    }
}
