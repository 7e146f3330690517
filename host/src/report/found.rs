//! Sections 4 to 7: what changed and why, how it was built, what it is made of, what was tried.

use super::dossier::*;
use super::source::{Source, count, items, word, words};
use crate::evidence::Evidence;
use crate::output::plural;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `file:first-last`, of the new side or, where nothing is left, of the old one.
fn place(hunk: &Value) -> String {
    let range = |side: &str| (hunk[side][0].as_u64().unwrap_or(0), hunk[side][1].as_u64().unwrap_or(0));
    let file = word(hunk, "file");
    match (range("new"), range("old")) {
        ((_, 0), (first, count)) => format!("{file}:{first}-{} (gone)", first + count.max(1) - 1),
        ((first, 1), _) => format!("{file}:{first}"),
        ((first, count), _) => format!("{file}:{first}-{}", first + count - 1),
    }
}

/// The one table, while it is put together.
struct Joined<'a> {
    /// Hunks, and the commits of each.
    hunks: Vec<(&'a Value, Vec<&'a str>)>,
    /// What each commit fixes.
    fixes: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Joined<'a> {
    fn new(comparison: &'a Value, commits_of: &'a Value, commits: &'a Value) -> Self {
        let hunks = items(&comparison["table"], "hunks").enumerate().map(|(index, hunk)| {
            let of = commits_of[index].as_array().into_iter().flatten().filter_map(Value::as_str);
            (hunk, of.collect())
        });
        let fixes = items(commits, "commits").map(|commit| (word(commit, "id"), words(commit, "fixes")));
        Self { hunks: hunks.collect(), fixes: fixes.collect() }
    }

    /// A row of these hunks; an orphan if nothing leads from it to a vulnerability.
    fn row(&self, function: Option<&str>, hunks: &[usize], how: String) -> Row {
        let chosen: Vec<_> = hunks.iter().filter_map(|index| self.hunks.get(*index)).collect();
        let commits: BTreeSet<&str> =
            chosen.iter().flat_map(|(_, commits)| commits.iter().copied()).collect();
        let ids: BTreeSet<&str> =
            commits.iter().filter_map(|commit| self.fixes.get(commit)).flatten().copied().collect();
        let orphan = chosen.is_empty() || ids.is_empty();
        Row {
            ids: ids.into_iter().map(str::to_owned).collect(),
            commits: commits.into_iter().map(str::to_owned).collect(),
            hunks: chosen.iter().map(|(hunk, _)| place(hunk)).collect(),
            function: function.map(str::to_owned),
            how,
            orphan,
        }
    }
}

/// How hunks reach something.
fn reach(row: &Value) -> String {
    let mut told = BTreeSet::new();
    for hunk in items(row, "hunks") {
        let through = word(hunk, "through");
        told.insert(match word(hunk, "reach") {
            "lines" => "its own lines".to_owned(),
            "inlined" => format!("lines of {through}, inlined"),
            "through" => format!("through {through}"),
            "dependency" => format!("the dependency {through}"),
            _ => "a declaration".to_owned(),
        });
    }
    if told.is_empty() { "no changed line leads there".to_owned() } else { Vec::from_iter(told).join("; ") }
}

/// Why lines reach nothing.
fn why_alone(alone: &Value) -> String {
    match word(alone, "why") {
        "comment" => "comments or empty lines".to_owned(),
        "same-code" => {
            format!("the code of {} is the same", words(alone, "functions").join(", "))
        }
        "outside" => "no code comes from these lines".to_owned(),
        "header" => "a header that no code comes from".to_owned(),
        _ => "not compiled into this program".to_owned(),
    }
}

fn rows(joined: &Joined<'_>, table: &Value, commits: &Value) -> Vec<Row> {
    let index = |hunk: &Value| hunk["hunk"].as_u64().and_then(|index| usize::try_from(index).ok());
    let mut rows = Vec::new();
    for row in items(table, "rows") {
        let hunks: Vec<usize> = items(row, "hunks").filter_map(index).collect();
        rows.push(joined.row(Some(word(row, "name")), &hunks, reach(row)));
    }
    for alone in items(table, "alone") {
        rows.push(joined.row(None, &Vec::from_iter(index(alone)), why_alone(alone)));
    }
    let seen: BTreeSet<&str> = joined.hunks.iter().flat_map(|(_, commits)| commits.iter().copied()).collect();
    for commit in items(commits, "commits").filter(|commit| !seen.contains(word(commit, "id"))) {
        rows.push(Row {
            ids: words(commit, "fixes").into_iter().map(str::to_owned).collect(),
            commits: vec![word(commit, "id").to_owned()],
            how: "nothing is left of it that later commits didn't change".to_owned(),
            orphan: commit["stray"] == true,
            ..Row::default()
        });
    }
    for id in words(commits, "unfixed") {
        let how = "no commit names it".to_owned();
        rows.push(Row { ids: vec![id.to_owned()], how, orphan: true, ..Row::default() });
    }
    rows
}

fn why(value: &Value) -> String {
    let ends = || {
        let end = |key: &str| value[key].as_str().unwrap_or("nothing").to_owned();
        format!("{}, was {}", end("is"), end("was"))
    };
    match word(value, "kind") {
        "code" => "other instructions or bytes".to_owned(),
        "size" => "another size".to_owned(),
        "constant" => format!("a constant is {}", ends()),
        "calls" => format!("calls {}", ends()),
        _ => format!("uses {}", ends()),
    }
}

/// Everything that changed in the program, before and after.
fn changed(comparison: &Value, joined: &Joined<'_>) -> Vec<Changed> {
    let lines = |name: &str| -> Vec<Lines> {
        let row = items(&comparison["table"], "rows").find(|row| word(row, "name") == name);
        let hunks = row.into_iter().flat_map(|row| items(row, "hunks"));
        let hunks = hunks.filter_map(|hunk| joined.hunks.get(usize::try_from(hunk["hunk"].as_u64()?).ok()?));
        let told = hunks.map(|(hunk, _)| Lines {
            place: place(hunk),
            text: words(hunk, "lines").into_iter().map(str::to_owned).collect(),
        });
        told.collect()
    };
    let one = |kind, old: Option<&Value>, new: Option<&Value>, why: Vec<String>| {
        let name = new.or(old).map(|item| word(item, "name")).unwrap_or_default();
        let bytes = |item: Option<&Value>| item.and_then(|item| item["bytes"].as_u64());
        Changed { name: name.to_owned(), kind, was: bytes(old), is: bytes(new), why, lines: lines(name) }
    };
    let mut all = Vec::new();
    for (kind, key, alone) in [("function", "changed", "alone"), ("data", "data", "data_alone")] {
        for item in items(comparison, key) {
            let why = items(item, "why").map(why).collect();
            all.push(one(kind, Some(&item["old"]), Some(&item["new"]), why));
        }
        let alone = &comparison[alone];
        all.extend(items(alone, "added").map(|item| one(kind, None, Some(item), vec!["it is new".into()])));
        all.extend(
            items(alone, "removed").map(|item| one(kind, Some(item), None, vec!["it is gone".into()])),
        );
    }
    for item in items(comparison, "renamed") {
        let why = format!("was called {}", word(&item["old"], "name"));
        all.push(one("function", Some(&item["old"]), Some(&item["new"]), vec![why]));
    }
    all
}

fn inventories(source: &Source) -> Vec<Inventory> {
    let compared = [21, 22, 23].into_iter().map(|check| (check, source.data(check)));
    let of = |(check, data): (u64, &Value)| Inventory {
        check,
        groups: words(data, "groups").into_iter().map(str::to_owned).collect(),
        base_sha256: word(data, "base_sha256").into(),
        patch_sha256: word(data, "patch_sha256").into(),
        frozen: data["frozen"] == true,
        changes: words(data, "changes").into_iter().map(str::to_owned).collect(),
    };
    compared.filter(|(_, data)| data["base_sha256"].is_string()).map(of).collect()
}

pub(super) fn separation(source: &Source) -> Separation {
    let (found, commits) = (source.data(18), source.data(6));
    let comparison = &found["comparison"];
    let mut missing = source.hidden(&[6, 18, 21, 22, 23]);
    if source.before.is_ok()
        && !source.hides()
        && !comparison.is_object()
        && source.check(18)["result"] == "fail"
    {
        missing
            .push(format!("check 18 (functions) got to no comparison: {}", word(source.check(18), "detail")));
    }
    let joined = Joined::new(comparison, &found["hunk_commits"], commits);
    let rows = rows(&joined, &comparison["table"], commits);
    let number = |key: &str| comparison["functions"][key].as_u64().map(|n| (key.to_owned(), n));
    let commit = |commit: &Value| Commit {
        id: word(commit, "id").into(),
        subject: word(commit, "subject").into(),
        fixes: words(commit, "fixes").into_iter().map(str::to_owned).collect(),
        author: word(commit, "author").into(),
        reviewers: words(commit, "reviewers").into_iter().map(str::to_owned).collect(),
    };
    Separation {
        missing,
        method: comparison["method"].as_str().map(str::to_owned),
        machine: comparison["machine"].as_str().map(str::to_owned),
        functions: ["old", "new", "changed", "moved"].into_iter().filter_map(number).collect(),
        orphans: (!rows.is_empty()).then(|| rows.iter().filter(|row| row.orphan).count()),
        rows,
        changed: changed(comparison, &joined),
        commits: items(commits, "commits").map(commit).collect(),
        unseen: words(comparison, "unseen").into_iter().map(str::to_owned).collect(),
        inventories: inventories(source),
    }
}

/// A list, or a map, in words.
fn spelled(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(spelled).collect::<Vec<_>>().join(" "),
        Value::Object(map) => {
            let pair = |(name, value): (&String, &Value)| match spelled(value) {
                value if value.is_empty() => name.clone(),
                value => format!("{name}={value}"),
            };
            map.iter().map(pair).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

pub(super) fn build(source: &Source) -> Build {
    let (made, options, rebuilt) = (source.data(10), source.data(11), source.data(12));
    let row = |name: &str, base: &Value, patch: &Value| {
        let both = (spelled(base), spelled(patch));
        (!both.0.is_empty() || !both.1.is_empty()).then(|| Compared {
            name: name.to_owned(),
            same: both.0 == both.1,
            base: both.0,
            patch: both.1,
        })
    };
    let mut rows = Vec::new();
    for (name, key) in [
        ("toolchain", "toolchain"),
        ("target", "target"),
        ("flags", "flags"),
        ("linker script", "linker_script"),
        ("linker script, SHA-256", "linker_script_sha256"),
    ] {
        rows.extend(row(name, &made["base"][key], &made["patch"][key]));
    }
    for name in ["features", "defines", "kconfig"] {
        rows.extend(row(name, &options[name]["base"], &options[name]["patch"]));
    }
    let reproduced = rebuilt["command"].is_array().then(|| Reproduced {
        command: spelled(&rebuilt["command"]),
        artifact: word(rebuilt, "artifact").into(),
        commit: word(rebuilt, "commit").into(),
        image_sha256: word(rebuilt, "image_sha256").into(),
        built_sha256: words(rebuilt, "built_sha256").into_iter().map(str::to_owned).collect(),
        result: word(source.check(12), "result").into(),
    });
    Build { missing: source.hidden(&[10, 11, 12]), rows, reproduced }
}

pub(super) fn sbom(source: &Source) -> Sbom {
    let (sbom, alone, moved) = (source.data(13), source.data(14), source.data(15));
    let side = |key: &str, of: fn(String) -> (Option<String>, Option<String>)| -> Vec<Component> {
        let row = |name: &str| {
            let (was, is) = of("any version".into());
            Component { component: name.to_owned(), was, is, named: false }
        };
        words(alone, key).into_iter().map(row).collect()
    };
    let mut rows = side("removed", |version| (Some(version), None));
    rows.extend(side("added", |version| (None, Some(version))));
    rows.extend(items(moved, "moved").map(|row| Component {
        component: word(row, "component").into(),
        was: Some(spelled(&row["was"])),
        is: Some(spelled(&row["is"])),
        named: row["named"] == true,
    }));
    let mut missing = source.hidden(&[13, 14, 15, 16]);
    // What a check got to before it failed is kept; without it nothing is said of what differs.
    for (check, compared) in [(14, alone["added"].is_array()), (15, moved["moved"].is_array())] {
        let row = source.check(check);
        if sbom.is_object() && !source.hides() && !compared && row["result"] == "fail" {
            let (name, detail) = (word(row, "name"), word(row, "detail"));
            missing.push(format!("check {check} ({name}) got to no comparison: {detail}"));
        }
    }
    Sbom {
        compared: alone["added"].is_array() && moved["moved"].is_array(),
        missing,
        format: sbom["format"].as_str().map(str::to_owned),
        components: sbom["components"].as_u64(),
        rows,
    }
}

const UNSTATED: &str = "not stated";

/// The exploit's tests: who ran them is said only if their files say so.
fn exploits(source: &Source) -> Vec<Tested> {
    let inputs = |name: &str| {
        let found = items(source.check(24), "inputs").find(|input| word(input, "name") == name);
        found.map(|input| word(input, "sha256").to_owned())
    };
    let files = source.data(24).as_object().into_iter().flatten();
    let test = |(name, test): (&String, &Value)| {
        let (passed, failed) = (words(test, "passed"), words(test, "failed"));
        let configuration = items(test, "configuration").map(|resource| {
            let named = [word(resource, "name"), word(resource, "uri")];
            named.into_iter().find(|text| !text.is_empty()).unwrap_or("without a name")
        });
        let environment = configuration.collect::<Vec<_>>().join(", ");
        let result = match (failed.is_empty(), word(test, "of")) {
            (true, _) => format!("the exploit fails: {} passed", plural(passed.len() as u64, "test")),
            (false, "base") => format!("the exploit works: {} failed", plural(failed.len() as u64, "test")),
            (false, _) => format!("{} failed", plural(failed.len() as u64, "test")),
        };
        Tested {
            what: format!("exploit, on the {}", if word(test, "of") == "base" { "base" } else { "patch" }),
            result,
            tester: if word(test, "url").is_empty() { UNSTATED.into() } else { word(test, "url").into() },
            environment: if environment.is_empty() { UNSTATED.into() } else { environment },
            sha256: inputs(name),
        }
    };
    files.map(test).collect()
}

/// What was made after signing.
fn afterwards(evidence: &Evidence) -> Vec<Tested> {
    let predicate = &evidence.statement["predicate"];
    let tester = super::gather::maker(predicate).unwrap_or_else(|| UNSTATED.into());
    let bases = items(predicate, "bases").map(|base| {
        let cuts = base["cuts"].as_u64().map(|cuts| format!(", {} survived", plural(cuts, "power cut")));
        Tested {
            what: format!("the signed bundle, over {}", word(base, "release")),
            result: format!("{}{}", word(predicate, "verdict"), cuts.unwrap_or_default()),
            tester: tester.clone(),
            environment: "device crate on simulated flash".into(),
            sha256: Some(evidence.sha256.to_string()),
        }
    });
    bases.collect()
}

pub(super) fn verification(source: &Source) -> Verification {
    let mut missing = source.hidden(&[24, 25, 26]);
    missing.extend(source.missing(&[28]).into_iter().filter(|_| source.before.is_ok()));
    let mut rows = exploits(source);
    let lint = super::gather::maker(source.predicate()).unwrap_or_else(|| UNSTATED.into());
    let result = |check: u64| word(source.check(check), "result").to_owned();
    let replay = source.data(25);
    if let Some(inputs) = replay["inputs"].as_u64() {
        let environment = [&replay["board"], &replay["environment"]].into_iter().map(spelled);
        let environment = environment.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
        rows.push(Tested {
            what: "replay of recorded inputs, base against patch".into(),
            result: format!(
                "{}: {}, {} answered otherwise",
                result(25),
                plural(inputs, "input"),
                count(replay, "differences")
            ),
            tester: UNSTATED.into(),
            environment: if environment.is_empty() { UNSTATED.into() } else { environment },
            sha256: items(source.check(25), "inputs").next().map(|input| word(input, "sha256").to_owned()),
        });
    }
    let budget = source.data(26);
    let limits: Vec<_> = words(budget, "within").into_iter().chain(words(budget, "over")).collect();
    if !limits.is_empty() {
        let result = format!("{}: {}", result(26), limits.join(", "));
        let what = "budget of flash, RAM, stack and time".into();
        rows.push(Tested {
            what,
            result,
            tester: UNSTATED.into(),
            environment: UNSTATED.into(),
            sha256: None,
        });
    }
    let cuts = source.data(28);
    if let Some(survived) = cuts["cuts"].as_u64() {
        let over = words(cuts, "over").join(", ");
        rows.push(Tested {
            what: format!("installation over {over}, with power cuts and a trial that fails"),
            result: format!("{}: {} survived", result(28), plural(survived, "power cut")),
            tester: lint,
            environment: "device crate on simulated flash, throw-away keys".into(),
            sha256: None,
        });
    }
    rows.extend(source.after.iter().flat_map(afterwards));
    missing.extend(source.strange.iter().cloned());
    if source.after.is_empty() && source.strange.is_empty() {
        missing.push("no evidence made after signing is in the archive".into());
    }
    let difference = |difference: &Value| Difference {
        input: word(difference, "input").into(),
        ids: words(difference, "advisories").into_iter().map(str::to_owned).collect(),
    };
    Verification { missing, rows, differences: items(replay, "differences").map(difference).collect() }
}
