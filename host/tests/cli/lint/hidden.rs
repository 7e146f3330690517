//! What a repository can be made to hide, and what checks 6 to 9 see all the same.

use super::bench::Bench;
use std::process::Command;

const GOOD: &str = "Check bounds\n\nFixes: CVE-2027-1\nReviewed-by: Rev <rev@example.com>";

fn fails(bench: &Bench, check: usize, word: &str) {
    let (found, told) = bench.result("--no-rebuild", check);
    assert!(found == "fail" && told.contains(word), "check {check}, not `{word}`: {found}: {told}");
}

/// The output of git.
fn asked(bench: &Bench, line: &str) -> String {
    let output =
        Command::new("git").arg("-C").arg(bench.desk.path("fw")).args(line.split(' ')).output().unwrap();
    assert!(output.status.success(), "git {line}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A subject holds what it likes; it is no trailer.
#[test]
fn a_subject_says_nothing_but_the_subject() {
    let bench = Bench::new("subject");
    for mark in ['\u{1e}', '\u{1f}'] {
        let subject = ["Telemetry", "bob@example.com", "CVE-2027-1", "Carol <carol@example.com>"];
        bench.commit(&subject.join(&mark.to_string()), "v2");
        fails(&bench, 6, "Telemetry");
        fails(&bench, 9, "no reviewer");
    }
}

/// The trailer's name goes into a format: nothing but a name is one.
#[test]
fn a_trailer_has_a_plain_name() {
    let bench = Bench::new("trailer");
    bench.commit("Telemetry", "v2");
    for trailer in ["x)CVE-2027-1%(trailers:key=x", "", "Fixes:", "a b"] {
        bench.edit("change.toml", |text| {
            let rest =
                text.lines().filter(|line| !line.starts_with("trailer")).collect::<Vec<_>>().join("\n");
            rest.replace("[source]", &format!("[source]\ntrailer = \"{trailer}\""))
        });
        let (code, what) = bench.unread("--no-rebuild");
        assert!(code == "config" && what.contains("trailer"), "{trailer}: {code}: {what}");
    }
}

/// `git replace`, grafts and an ignored submodule are settings of one clone: what is signed is what the names stand for.
#[test]
fn what_a_clone_is_told_to_see_is_not_what_is_there() {
    let bench = Bench::new("replaced");
    let good = asked(&bench, "rev-parse v2");
    bench.edit("fw/src/main.c", |text| format!("{text}\nint telnet;\n"));
    bench.commit("Telemetry", "v2");
    bench.git(&format!("replace v2 {good}"));
    fails(&bench, 6, "Telemetry");
    fails(&bench, 7, "src/main.c");

    let bench = Bench::new("grafted");
    bench.git("checkout -q v1");
    bench.commit("Telemetry", "between");
    bench.git("cherry-pick v2");
    bench.git("tag -f v2");
    let [head, base] = ["rev-parse v2", "rev-parse v1"].map(|line| asked(&bench, line));
    bench.write("fw/.git/info/grafts", &format!("{head} {base}\n"));
    fails(&bench, 6, "Telemetry");

    let bench = Bench::new("submodule");
    let pin = |commit: &str| bench.git(&format!("update-index --add --cacheinfo 160000,{commit},lib"));
    let [first, second] = ["rev-parse v1", "rev-parse v2"].map(|line| asked(&bench, line));
    bench.git("checkout -q v1");
    bench.write("fw/.gitmodules", "[submodule \"lib\"]\npath = lib\nurl = ./lib\nignore = all\n");
    std::fs::create_dir(bench.desk.path("fw/lib")).unwrap();
    pin(&first);
    bench.git("add .gitmodules");
    bench.git("commit -q -m Library");
    bench.git("tag -f v1");
    bench.git("cherry-pick v2");
    pin(&second);
    bench.git("commit -q --amend --no-edit");
    bench.git("tag -f v2");
    bench.git("config diff.submodule log");
    fails(&bench, 7, "outside the scope: lib");
    let value = bench.lint("--no-rebuild");
    let hunks = value["checks"][17]["data"]["comparison"]["table"]["hunks"].as_array().unwrap();
    assert!(hunks.iter().any(|hunk| hunk["file"] == "lib"), "{hunks:#?}");
}

/// A side branch that is cut off hides its beginning.
#[test]
fn a_shallow_history_is_no_history() {
    let bench = Bench::new("shallow");
    bench.git("checkout -q -b side v1");
    bench.commit("Telemetry", "hidden");
    bench.commit(GOOD, "side-tip");
    bench.git("checkout -q -B main v2");
    bench.git("merge -q --no-ff -m Merge side");
    bench.git("tag -f v2");
    fails(&bench, 6, "Telemetry");
    bench.write("fw/.git/shallow", &format!("{}\n", asked(&bench, "rev-parse side-tip")));
    for check in [6, 7, 8, 9, 18] {
        let (found, told) = bench.result("--no-rebuild", check);
        assert!(found == "not-evaluated" && told.contains("--unshallow"), "{check}: {found}: {told}");
    }
}

/// A merge that takes a file as it was before the base brings back what nobody looks at any more.
#[test]
fn a_merge_that_brings_back_old_files_is_a_change() {
    let bench = Bench::new("old-merge");
    bench.git("checkout -q --orphan before v1");
    bench.edit("fw/src/modbus.c", |text| format!("{text}\nint telnet;\n"));
    bench.commit("Before", "v0");
    bench.git("checkout -q v1 -- .");
    bench.commit("First", "v1");
    bench.git("cherry-pick v2");
    bench.git("tag -f v2");
    let [fix, old] = ["rev-parse v2", "rev-parse v0"].map(|line| asked(&bench, line));
    // The fix's tree, with the old file.
    bench.git("checkout -q v0 -- src/modbus.c");
    let tree = asked(&bench, "write-tree");
    let merge = asked(&bench, &format!("commit-tree {tree} -p {fix} -p {old} -m Merge"));
    bench.git(&format!("checkout -q -f {merge}"));
    bench.git("tag -f v2");
    fails(&bench, 6, "Merge");
    fails(&bench, 9, "no reviewer");
    // A fix that was begun before the base, and merged as git merges, is no such thing.
    bench.git("checkout -q -B main v1");
    bench.edit("fw/src/main.c", |text| format!("{text}\n"));
    bench.commit("Later", "v1");
    bench.git(&format!("merge -q --no-ff -m Merge {fix}"));
    bench.git("tag -f v2");
    let (found, told) = bench.result("--no-rebuild", 6);
    assert_eq!(found, "pass", "{told}");
}

#[test]
fn files_that_git_is_told_not_to_look_at_are_not_clean() {
    for (name, option) in [("assumed", "--assume-unchanged"), ("skipped", "--skip-worktree")] {
        let bench = Bench::new(name);
        bench.git(&format!("update-index {option} src/main.c"));
        bench.edit("fw/src/main.c", |text| format!("{text}\nint telnet;\n"));
        fails(&bench, 9, "src/main.c");
    }
}

/// One person has many names.
#[test]
fn an_author_is_no_reviewer_by_another_name() {
    let bench = Bench::new("aliases");
    let reviewed = |reviewer: &str, more: &str| {
        bench.git("reset -q --hard v1");
        bench.git("cherry-pick --no-commit v2-first");
        bench.commit(&format!("Check bounds\n\nFixes: CVE-2027-1\n{more}Reviewed-by: {reviewer}"), "v2");
    };
    bench.git("tag v2-first v2");
    for (reviewer, word) in [
        ("Somebody <dev+review@example.com>", "by its author"),
        ("Somebody <DEV@EXAMPLE.COM>", "by its author"),
        ("Dev <dev@home.example.org>", "by its author"),
        ("Rev", "without an address"),
        ("TODO", "without an address"),
    ] {
        reviewed(reviewer, "");
        fails(&bench, 9, word);
    }
    reviewed("Pair <pair@example.com>", "Co-authored-by: Pair <pair@example.com>\n");
    fails(&bench, 9, "by its author");
    reviewed("rev@example.com", "");
    assert_eq!(bench.result("--no-rebuild", 9).0, "pass");
    // What the repository itself says of addresses counts.
    bench.git("checkout -q v1");
    bench.write("fw/.mailmap", "Other <dev@example.com> <other@home.example.org>\n");
    bench.commit("Mailmap", "v1");
    reviewed("Other <other@home.example.org>", "");
    fails(&bench, 9, "by its author");
}

#[test]
fn a_scope_that_holds_every_file_of_a_kind_says_nothing() {
    let bench = Bench::new("kinds");
    for scope in ["**/*.c", "*/*.c", "**/*.?", "**/*"] {
        bench.edit("change.toml", |text| {
            let lines = text.lines().map(|line| match line.starts_with("scope") {
                true => format!("scope = [\"{scope}\"]"),
                false => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n") + "\n# again\n"
        });
        fails(&bench, 7, "holds every");
    }
}

/// A link that leads elsewhere changes everything that is read through it, and one line.
#[cfg(unix)]
#[test]
fn a_link_explains_no_function() {
    let bench = Bench::new("link");
    bench.git("checkout -q v2");
    let fixed = std::fs::read(bench.desk.path("fw/src/modbus.c")).unwrap();
    bench.git("checkout -q v1");
    let path = |name: &str| bench.desk.path("fw/src").join(name);
    std::fs::rename(path("modbus.c"), path("plain.c")).unwrap();
    std::fs::write(path("other.c"), fixed).unwrap();
    std::os::unix::fs::symlink("plain.c", path("modbus.c")).unwrap();
    bench.commit("Both", "v1");
    std::fs::remove_file(path("modbus.c")).unwrap();
    std::os::unix::fs::symlink("other.c", path("modbus.c")).unwrap();
    bench.commit(GOOD, "v2");
    assert_eq!(bench.result("--no-rebuild", 7).0, "pass");
    fails(&bench, 18, "leads there: modbus");
}
