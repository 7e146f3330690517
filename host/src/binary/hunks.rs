//! A unified diff, as `git diff -U0` prints it: which lines of which files changed.

use crate::error::{Code, Error, Result};

/// A stretch of lines that changed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// The file as it was called; none: it is new.
    pub old_file: Option<String>,
    /// The file as it is called; none: it is gone.
    pub new_file: Option<String>,
    /// First line and number of lines, as it was; without lines: the line before.
    pub old: (u32, u32),
    /// First line and number of lines, as it is.
    pub new: (u32, u32),
    /// The lines that go and come, with `-` or `+`.
    pub lines: Vec<String>,
    /// True if the file is a symbolic link or a submodule: what is read through it stands elsewhere.
    pub link: bool,
}

/// Longer lines are cut, in characters: they are only shown.
const LONGEST: usize = 400;

impl Hunk {
    /// The file, by its new name where it has one.
    pub fn file(&self) -> &str {
        self.new_file.as_deref().or(self.old_file.as_deref()).unwrap_or_default()
    }

    /// The file as it was called.
    pub fn old_name(&self) -> Option<&str> {
        self.old_file.as_deref()
    }

    /// The file as it is called.
    pub fn new_name(&self) -> Option<&str> {
        self.new_file.as_deref()
    }

    /// `file:first-last` of the new side, or of the old one where nothing is left.
    pub fn place(&self) -> String {
        let (first, count) = if self.new.1 > 0 || self.new_file.is_some() { self.new } else { self.old };
        match count {
            0 => format!("{}:{first} (lines gone)", self.file()),
            1 => format!("{}:{first}", self.file()),
            n => format!("{}:{first}-{}", self.file(), first.saturating_add(n - 1)),
        }
    }

    /// True if no line that goes or comes holds more than a comment or nothing.
    pub fn is_comment(&self) -> bool {
        let hash = !matches!(
            self.file().rsplit('.').next(),
            Some("c" | "h" | "cc" | "cpp" | "cxx" | "hh" | "hpp" | "rs" | "S" | "s")
        );
        self.lines.iter().all(|line| {
            let text = line.get(1..).unwrap_or_default().trim();
            let block = text.starts_with("/*") && text.find("*/").is_none_or(|end| end + 2 == text.len());
            let within = text == "*" || text == "*/" || text.starts_with("* ") && !text.contains([';', '=']);
            text.is_empty() || text.starts_with("//") || block || within || hash && text.starts_with('#')
        })
    }
}

/// Reads a unified diff; lines of context only separate.
///
/// # Errors
/// `malformed`: it isn't one, or is cut short.
pub fn parse(text: &str) -> Result<Vec<Hunk>> {
    let mut hunks = Vec::new();
    let (mut old_file, mut new_file) = (None, None);
    let mut link = false;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.starts_with("diff --git ") {
            link = false;
        } else if is_link(line) {
            link = true;
        } else if let Some(name) = line.strip_prefix("--- ") {
            old_file = file(name);
        } else if let Some(name) = line.strip_prefix("+++ ") {
            new_file = file(name);
        } else if line.starts_with("@@ ") {
            if old_file.is_none() && new_file.is_none() {
                return Err(bad(number, "has no file"));
            }
            let (old, new) = ranges(line).ok_or_else(|| bad(number, "isn't the head of a hunk"))?;
            let named = |old, new| Hunk {
                old_file: old_file.clone(),
                new_file: new_file.clone(),
                old: (old, 0),
                new: (new, 0),
                lines: Vec::new(),
                link,
            };
            hunks.extend(body(&mut lines, number, (old, new), named)?);
        }
    }
    if hunks.is_empty() && !text.trim().is_empty() && !text.contains("diff --git ") {
        return Err(bad(0, "isn't a unified diff"));
    }
    Ok(hunks)
}

/// `index 1234..5678 120000`, `new file mode 160000`, and the like.
fn is_link(line: &str) -> bool {
    let told = ["index ", "new file mode ", "deleted file mode ", "old mode ", "new mode "];
    let mode = line.rsplit(' ').next();
    told.iter().any(|start| line.starts_with(start)) && matches!(mode, Some("120000" | "160000"))
}

fn bad(number: usize, what: &str) -> Error {
    let what = format!("line {} of the source diff {what}", number + 1);
    Error::new(Code::Malformed, what, "make it again: git diff -U0 OLD NEW")
}

/// The lines of a hunk: runs of changed ones, each a hunk of its own.
fn body<'t>(
    lines: &mut impl Iterator<Item = (usize, &'t str)>,
    head: usize,
    (old, new): ((u32, u32), (u32, u32)),
    named: impl Fn(u32, u32) -> Hunk,
) -> Result<Vec<Hunk>> {
    // Without lines the number is that of the line before.
    let first = |(at, count): (u32, u32)| if count == 0 { at.saturating_add(1) } else { at };
    let (mut at_old, mut at_new) = (first(old), first(new));
    let (mut left_old, mut left_new) = (old.1, new.1);
    let (mut found, mut run): (Vec<Hunk>, Option<Hunk>) = (Vec::new(), None);
    while left_old > 0 || left_new > 0 {
        let Some((number, line)) = lines.next() else {
            return Err(bad(head, "begins a hunk that is cut short"));
        };
        let mark = line.chars().next().unwrap_or(' ');
        let enough = match mark {
            '\\' => true,
            '-' => left_old > 0,
            '+' => left_new > 0,
            ' ' => left_old > 0 && left_new > 0,
            _ => false,
        };
        if !enough {
            return Err(bad(number, "doesn't belong into its hunk"));
        }
        if matches!(mark, '-' | '+') {
            let hunk = run.get_or_insert_with(|| named(at_old, at_new));
            let side = if mark == '-' { &mut hunk.old.1 } else { &mut hunk.new.1 };
            *side += 1;
            hunk.lines.push(line.chars().take(LONGEST).collect());
        } else if mark == ' ' {
            found.extend(run.take());
        }
        if matches!(mark, '-' | ' ') {
            (at_old, left_old) = (at_old.saturating_add(1), left_old - 1);
        }
        if matches!(mark, '+' | ' ') {
            (at_new, left_new) = (at_new.saturating_add(1), left_new - 1);
        }
    }
    found.extend(run);
    for hunk in &mut found {
        for side in [&mut hunk.old, &mut hunk.new] {
            if side.1 == 0 {
                side.0 = side.0.saturating_sub(1);
            }
        }
    }
    Ok(found)
}

/// The name in `--- ` and `+++ `, without git's `a/` and `b/`, quotes and times.
fn file(name: &str) -> Option<String> {
    let name = name.split('\t').next().unwrap_or(name).trim_end();
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    if name == "/dev/null" {
        return None;
    }
    let plain = ["a/", "b/", "i/", "w/", "c/", "o/"].iter().find_map(|prefix| name.strip_prefix(prefix));
    Some(plain.unwrap_or(name).to_owned())
}

/// `@@ -12,3 +12,4 @@`.
fn ranges(line: &str) -> Option<((u32, u32), (u32, u32))> {
    let mut words = line.strip_prefix("@@ ")?.split(' ');
    let mut side = |mark: char| {
        let word = words.next()?.strip_prefix(mark)?;
        let (first, count) = word.split_once(',').unwrap_or((word, "1"));
        Some((first.parse().ok()?, count.parse().ok()?))
    };
    let both = (side('-')?, side('+')?);
    (words.next()? == "@@").then_some(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "diff --git a/src/a.c b/src/a.c\nindex 1..2 100644\n--- a/src/a.c\n+++ b/src/a.c\n\
        @@ -3 +3,2 @@ int f(void)\n-    return 1;\n+    // why\n+    return 2;\n@@ -9,2 +10,0 @@\n-    g();\n--- x;\n\
        diff --git a/n.h b/n.h\n--- /dev/null\n+++ b/n.h\t2026-01-01\n@@ -0,0 +1 @@\n+#define N 1\n\\ No newline at end of file\n";

    #[test]
    fn a_diff_is_read() {
        let hunks = parse(DIFF).unwrap();
        let told: Vec<_> = hunks.iter().map(|hunk| (hunk.place(), hunk.old, hunk.new)).collect();
        assert_eq!(
            told,
            [
                ("src/a.c:3-4".to_owned(), (3, 1), (3, 2)),
                ("src/a.c:10 (lines gone)".to_owned(), (9, 2), (10, 0)),
                ("n.h:1".to_owned(), (0, 0), (1, 1)),
            ]
        );
        // What looks like the name of a file is a line that went.
        assert_eq!(hunks[1].lines, ["-    g();", "--- x;"]);
        assert_eq!(hunks[2].old_file, None);
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn context_separates() {
        let text = "--- a/x.c\n+++ b/x.c\n@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n-e\n+E\n";
        let places: Vec<_> = parse(text).unwrap().iter().map(Hunk::place).collect();
        assert_eq!(places, ["x.c:2", "x.c:5"]);
    }

    #[test]
    fn what_is_no_diff_is_refused() {
        for (text, what) in [
            ("hello\n", "line 1 of the source diff isn't a unified diff"),
            ("@@ -1 +1 @@\n", "line 1 of the source diff has no file"),
            ("--- a/x\n+++ b/x\n@@ -1 +1\n", "line 3 of the source diff isn't the head of a hunk"),
            (
                "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n",
                "line 3 of the source diff begins a hunk that is cut short",
            ),
            (
                "--- a/x\n+++ b/x\n@@ -1 +1 @@\n+a\n+b\n",
                "line 5 of the source diff doesn't belong into its hunk",
            ),
            (
                "--- a/x\n+++ b/x\n@@ -1 +99999999999 @@\n",
                "line 3 of the source diff isn't the head of a hunk",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().what, what);
        }
    }

    #[test]
    fn comments_are_told_from_code() {
        let is = |lines: &[&str]| {
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            Hunk {
                old_file: None,
                new_file: Some("x.c".into()),
                old: (1, 0),
                new: (1, 1),
                lines,
                link: false,
            }
            .is_comment()
        };
        assert!(is(&["+// a", "-", "+  /* b */", "+ * c"]));
        for code in ["+*p = 1;", "+/* a */ f();", "+#define A 1", "+* p = 1;", "+}"] {
            assert!(!is(&[code]), "{code}");
        }
    }
}
