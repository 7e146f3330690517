//! Checks of the source: commits, paths, size, review.

use super::Answer::{Fail, Pass, Unknown};
use super::archived::{COMMITS, commits_of, commits_text};
use super::change::Commits;
use super::git::{Absent, Commit, Person, Repository, is_text};
use super::release::{broken, lacks};
use super::{Answer, Case};
use crate::binary::Hunk;
use crate::error::{Error, Result};
use crate::output::plural;
use serde_json::json;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The range of commits that make the patch.
pub(super) struct Range<'a> {
    pub(super) repository: Cow<'a, Repository>,
    pub(super) said: &'a Commits,
    pub(super) base: String,
    pub(super) head: String,
}

/// The range, or why it can't be told.
pub(super) fn range<'a>(case: &'a Case<'_>) -> Result<std::result::Result<Range<'a>, Answer>> {
    let said = match lacks(&case.change.source, "source") {
        Ok(said) => said,
        Err(answer) => return Ok(Err(answer)),
    };
    let name = format!("{COMMITS}{}..{}", said.base, said.head);
    if let Some(archived) = &case.archived {
        // The names of both commits are the evidence's word; what they hold follows from them.
        let text = String::from_utf8(case.named(name, || Err(Error::internal("not on disk")))?);
        let both = text.ok().and_then(|text| commits_of(&text));
        let (base, head) = both.ok_or_else(|| broken("doesn't name two commits"))?;
        let repository = match archived.sources(&base, &head) {
            Ok(repository) => repository,
            Err(why) => {
                case.lacks(&why);
                return Ok(Err(Unknown(why)));
            }
        };
        return ancestry(case, Range { repository: Cow::Borrowed(repository), said, base, head });
    }
    let folder = case.path(&said.repository);
    let repository = match Repository::at(&folder) {
        Ok(repository) => repository,
        Err(Absent::NoGit) => return Ok(Err(Unknown("there is no program `git`".into()))),
        Err(Absent::NoRepository) => {
            return Ok(Err(Unknown(format!("{} isn't a git work tree", folder.display()))));
        }
    };
    let (base, head) = (repository.commit(&said.base)?, repository.commit(&said.head)?);
    case.saw(name, commits_text(&base, &head).as_bytes());
    ancestry(case, Range { repository: Cow::Owned(repository), said, base, head })
}

fn ancestry<'a>(case: &Case<'_>, range: Range<'a>) -> Result<std::result::Result<Range<'a>, Answer>> {
    if !range.repository.is_ancestor(&range.base, &range.head)? {
        // What the base had and the head lacks is in no commit between them.
        return Ok(Err(Fail(format!("{} isn't an ancestor of {}", range.said.base, range.said.head))));
    }
    if range.repository.is_cut(&range.base, &range.head)? {
        let why = "commits are missing between base and head: `git fetch --unshallow`";
        if case.archived.is_some() {
            case.lacks(why);
        }
        return Ok(Err(Unknown(why.into())));
    }
    Ok(Ok(range))
}

impl Range<'_> {
    /// The commits that each hunk came from: by its lines, or where lines only went, by its file.
    pub(super) fn commits_of(&self, hunks: &[Hunk]) -> Result<Vec<Vec<String>>> {
        let mut files: BTreeMap<&str, Vec<(u32, u32)>> = BTreeMap::new();
        for hunk in hunks.iter().filter(|hunk| hunk.new.1 > 0 && is_text(hunk.file())) {
            files.entry(hunk.file()).or_default().push(hunk.new);
        }
        let mut lines = BTreeMap::new();
        for (file, stretches) in files {
            lines.insert(file, self.repository.blame(&self.base, &self.head, file, &stretches)?);
        }
        let of = |hunk: &Hunk| -> Result<Vec<String>> {
            let (first, count) = hunk.new;
            let found = lines.get(hunk.file()).filter(|_| count > 0);
            let found: BTreeSet<&String> = found
                .into_iter()
                .flat_map(|lines| lines.range(first..first.saturating_add(count)))
                .map(|(_, commit)| commit)
                .collect();
            if found.is_empty() {
                return self.repository.touching(&self.base, &self.head, hunk.file());
            }
            Ok(found.into_iter().cloned().collect())
        };
        hunks.iter().map(of).collect()
    }
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 3 { format!("{shown} and {} more", names.len() - 3) } else { shown }
}

/// 6: every commit since the base names the vulnerability it fixes.
pub(super) fn commits(case: &Case<'_>) -> Result<Answer> {
    let range = match range(case)? {
        Ok(range) => range,
        Err(answer) => return Ok(answer),
    };
    let commits = range.repository.commits(&range.base, &range.head, &range.said.trailer)?;
    if commits.is_empty() {
        return Ok(Fail(format!("there is no commit between {} and {}", range.said.base, range.said.head)));
    }
    let ids = case.ids();
    let is_stray = |commit: &Commit| {
        commit.fixes.is_empty() || !commit.fixes.iter().all(|fix| is_text(fix) && ids.contains(&fix.as_str()))
    };
    let told = |commit: &Commit| {
        json!({
            "id": commit.id, "subject": commit.subject, "author": commit.author, "fixes": commit.fixes,
            "reviewers": commit.reviewers, "stray": is_stray(commit),
        })
    };
    case.keep("base", range.base.clone());
    case.keep("head", range.head.clone());
    case.keep("commits", commits.iter().map(told).collect::<Vec<_>>());
    let stray = commits.iter().filter(|commit| is_stray(commit));
    let stray: Vec<String> =
        stray.map(|commit| format!("{} \u{201c}{}\u{201d}", commit.name, commit.subject)).collect();
    let unfixed: Vec<String> = ids
        .iter()
        .filter(|id| !commits.iter().any(|commit| commit.fixes.iter().any(|fix| fix == *id)))
        .map(|id| (*id).to_owned())
        .collect();
    case.keep("unfixed", unfixed.clone());
    if !stray.is_empty() {
        return Ok(Fail(format!("without a `{}` of this patch: {}", range.said.trailer, some(&stray))));
    }
    if !unfixed.is_empty() {
        return Ok(Fail(format!("no commit fixes {}", some(&unfixed))));
    }
    Ok(Pass(format!("{}, nothing but fixes", plural(commits.len() as u64, "commit"))))
}

/// True if a name is one of the pattern's: `?` and `*`. It takes pattern times name steps, whatever they hold.
pub(super) fn word(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    // Which beginnings of the pattern the name fits so far.
    let mut fits = vec![false; pattern.len() + 1];
    fits[0] = true;
    let skip = |fits: &mut Vec<bool>| {
        for (at, c) in pattern.iter().enumerate() {
            fits[at + 1] |= fits[at] && *c == '*';
        }
    };
    skip(&mut fits);
    for letter in name.chars() {
        let mut next = vec![false; fits.len()];
        for (at, c) in pattern.iter().enumerate() {
            next[at] |= fits[at] && *c == '*';
            next[at + 1] |= fits[at] && (*c == '?' || (*c == letter && *c != '*'));
        }
        skip(&mut next);
        fits = next;
    }
    fits.last() == Some(&true)
}

/// True if a path is one of the pattern's: `?` and `*` within a name, `**` across folders. Patterns may come from strangers:
/// it takes the product of both lengths, whatever they say.
fn matches(pattern: &str, path: &str) -> bool {
    let (parts, names): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    // Which beginnings of the path fit what was read of the pattern.
    let mut fits: Vec<bool> = (0..=names.len()).map(|length| length == 0).collect();
    for (at, part) in parts.iter().enumerate() {
        fits = if *part == "**" {
            // Alone at the end it stands for what is inside.
            let strict = at + 1 == parts.len();
            let mut seen = false;
            let reach = |fits: bool| {
                let before = seen;
                seen |= fits;
                if strict { before } else { seen }
            };
            fits.into_iter().map(reach).collect()
        } else {
            let step = fits.iter().zip(&names).map(|(fits, name)| *fits && word(part, name));
            std::iter::once(false).chain(step).collect()
        };
    }
    fits.last() == Some(&true)
}

/// 7: only files within the declared scope changed.
pub(super) fn scope(case: &Case<'_>) -> Result<Answer> {
    let range = match range(case)? {
        Ok(range) => range,
        Err(answer) => return Ok(answer),
    };
    let scope = &range.said.scope;
    if scope.is_empty() {
        return Ok(Fail("[source] scope is empty".into()));
    }
    // A scope that holds everything says nothing.
    if let Some(all) = scope.iter().find(|pattern| matches(pattern, "any/where.at-all")) {
        return Ok(Fail(format!("[source] scope `{all}` holds everything")));
    }
    let changed = range.repository.paths(&range.base, &range.head)?;
    // Nor does one that holds every file of the kind that changed.
    for kind in changed.iter().filter_map(|path| path.rsplit('/').next()?.rsplit_once('.')) {
        let anywhere = format!("any/where.{}", kind.1);
        if let Some(all) = scope.iter().find(|pattern| matches(pattern, &anywhere)) {
            return Ok(Fail(format!("[source] scope `{all}` holds every file of its kind")));
        }
    }
    case.keep("scope", scope.clone());
    case.keep("paths", changed.clone());
    if changed.is_empty() {
        return Ok(Fail("no file changed".into()));
    }
    // No pattern is fitted by a name that can't be read.
    let inside = |path: &String| is_text(path) && scope.iter().any(|pattern| matches(pattern, path));
    let outside: Vec<String> = changed.iter().filter(|path| !inside(path)).cloned().collect();
    if !outside.is_empty() {
        return Ok(Fail(format!("outside the scope: {}", some(&outside))));
    }
    Ok(Pass(some(&changed)))
}

/// 8: the fix is small.
pub(super) fn churn(case: &Case<'_>) -> Result<Answer> {
    let range = match range(case)? {
        Ok(range) => range,
        Err(answer) => return Ok(answer),
    };
    let (lines, binary) = range.repository.churn(&range.base, &range.head)?;
    let most = range.said.churn;
    case.keep("lines", lines);
    case.keep("most", most);
    case.keep("not_text", binary);
    let told = format!("{lines} lines added and removed, {most} are the most");
    if binary > 0 {
        return Ok(Fail(format!("{told}; {} not text", plural(binary as u64, "file"))));
    }
    Ok(if lines > most { Fail(told) } else { Pass(told) })
}

/// Why nobody but its authors can be said to have reviewed a commit.
fn unreviewed(repository: &Repository, commit: &Commit) -> Result<Option<&'static str>> {
    let named: Vec<Person> = commit.reviewers.iter().map(|person| Person::parse(person)).collect();
    let reviewers: Vec<Person> = named.iter().filter(|person| person.has_address()).cloned().collect();
    let known = repository.known_as(&reviewers)?;
    let mut authors = repository.known_as(&commit.authors)?;
    authors.extend(commit.authors.iter().cloned());
    let own = |person: &Person| authors.iter().any(|author| author.may_be(person));
    let other = reviewers.iter().zip(&known).any(|(said, known)| !own(said) && !own(known));
    Ok(match () {
        () if other => None,
        () if named.is_empty() => Some("has no reviewer"),
        () if reviewers.is_empty() => Some("has a reviewer without an address"),
        () => Some("was reviewed by its author"),
    })
}

/// 9: the tree is clean and tagged, and no author reviewed his own commit.
pub(super) fn review(case: &Case<'_>) -> Result<Answer> {
    let range = match range(case)? {
        Ok(range) => range,
        Err(answer) => return Ok(answer),
    };
    if case.archived.is_some() {
        case.lacks("that the tree was clean, checked out and tagged is seen only where it lies");
        return Ok(Unknown("an archive has no work tree".into()));
    }
    let status = ["status", "--porcelain", "-z", "--untracked-files=normal", "--ignore-submodules=none"];
    let dirty = range.repository.ask(&status)?;
    let mut dirty: Vec<String> =
        dirty.split('\0').filter(|line| !line.is_empty()).map(|l| l.chars().skip(3).collect()).collect();
    dirty.extend(range.repository.unwatched()?);
    if !dirty.is_empty() {
        return Ok(Fail(format!("the tree isn't clean: {}", some(&dirty))));
    }
    let at_head = range.repository.commit("HEAD")?;
    if at_head != range.head {
        return Ok(Fail(format!("{} isn't what is checked out", range.said.head)));
    }
    let tags = range.repository.ask(&["tag", "--points-at", &range.head])?;
    let Some(tag) = tags.lines().next() else {
        return Ok(Fail(format!("{} has no tag", range.said.head)));
    };
    case.keep("tag", tag);
    for commit in range.repository.commits(&range.base, &range.head, &range.said.trailer)? {
        if let Some(what) = unreviewed(&range.repository, &commit)? {
            return Ok(Fail(format!("{} \u{201c}{}\u{201d} {what}", commit.name, commit.subject)));
        }
    }
    Ok(Pass(format!("clean, tagged {tag}, each commit reviewed by someone else")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_and_folders() {
        for (pattern, path, fits) in [
            ("src/modbus/**", "src/modbus/a.rs", true),
            ("src/modbus/**", "src/modbus/b/a.rs", true),
            ("src/modbus/**", "src/modbus", false),
            ("src/modbus/**", "src/other/a.rs", false),
            ("src/*.rs", "src/a.rs", true),
            ("src/*.rs", "src/b/a.rs", false),
            ("**/test.c", "test.c", true),
            ("**/test.c", "a/b/test.c", true),
            ("a?.c", "ab.c", true),
            ("a?.c", "a/.c", false),
            ("**", "x", true),
            ("**/*", "a/b", true),
        ] {
            assert_eq!(matches(pattern, path), fits, "{pattern} {path}");
        }
        // A pattern of a stranger's that tried every way would never end.
        assert!(!matches(&("**/x/".repeat(60) + "y"), &"x/".repeat(90)));
    }

    #[test]
    fn people_are_compared_by_address() {
        let of = Person::parse;
        assert!(of("A Person <A@Example.com>").may_be(&of("a@example.com")));
        assert!(of("a+x@example.com").may_be(&of("a@example.com")));
        assert!(of("A Person <a@one.org>").may_be(&of("a person <b@two.org>")));
        assert!(!of("a@example.com").may_be(&of("b@example.com")));
        assert!(!of("a@example.com").may_be(&of("a@example.org")));
        assert!(of("A <a@b>").has_address() && !of("A").has_address() && !of("@").has_address());
    }
}
