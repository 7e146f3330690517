//! What a build says of itself, as groups of an interface inventory: Cargo features, Kconfig options, exported symbols.
//!
//! Each group is made anew as a whole; what people declared stays as it stands, comments too.

use super::inventory::{Group, Inventory};
use super::release::broken;
use crate::binary;
use crate::error::{Code, Error, Result};
use crate::ledger::write::quoted;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Groups that are made, never declared.
pub(crate) const MADE: [&str; 3] = ["cargo", "kconfig", "exports"];

/// The line above each of them.
const NOTE: &str = "# Made by `patchlane lint inventory`; what is changed here by hand is lost.";

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// A package, and features of it that are on.
type Enabled = BTreeMap<(String, String), BTreeSet<String>>;

/// Name and version in a package id: `registry+https://…#name@1.0.0`, `path+file:///firmware#1.0.0`, `name 1.0.0 (…)`.
fn package(id: &str) -> Option<(String, String)> {
    let Some((source, fragment)) = id.rsplit_once('#') else {
        let mut words = id.split(' ');
        return Some((words.next()?.to_owned(), words.next()?.to_owned()));
    };
    let pair = match fragment.rsplit_once('@') {
        Some(pair) => pair,
        None => (source.split('?').next()?.rsplit('/').next()?, fragment),
    };
    Some((pair.0.to_owned(), pair.1.to_owned()))
}

/// What runs while something is built isn't in the image.
fn is_for_builds(target: &Value) -> bool {
    list(target, "kind").any(|kind| matches!(kind.as_str(), Some("custom-build" | "proc-macro")))
}

/// Notes a package's features.
fn note(all: &mut Enabled, id: &str, features: &Value) -> Result<()> {
    let package =
        package(id).ok_or_else(|| broken(format!("names a package that isn't understood: {id:?}")))?;
    let names = features.as_array().into_iter().flatten().filter_map(Value::as_str);
    all.entry(package).or_default().extend(names.map(str::to_owned));
    Ok(())
}

/// The features that are on, of every package: of `cargo build --message-format=json`, of its unit graph, or of
/// `cargo metadata`.
///
/// # Errors
/// `malformed`: it is none of these.
pub(crate) fn cargo(json: &str) -> Result<Group> {
    let mut all = Enabled::new();
    match serde_json::from_str::<Value>(json) {
        Ok(graph) if graph.get("units").is_some() => {
            // Without a platform it is for the machine that builds, unless that is all there is.
            let cross = list(&graph, "units").any(|unit| unit.get("platform").is_some_and(|p| !p.is_null()));
            for unit in list(&graph, "units") {
                let here = cross && unit.get("platform").is_none_or(Value::is_null);
                if !here && !is_for_builds(&unit["target"]) {
                    note(&mut all, text(unit, "pkg_id"), &unit["features"])?;
                }
            }
        }
        Ok(metadata) if metadata.get("resolve").is_some_and(Value::is_object) => {
            for node in list(&metadata["resolve"], "nodes") {
                note(&mut all, text(node, "id"), &node["features"])?;
            }
        }
        _ => {
            for (number, line) in
                json.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with('{'))
            {
                let message: Value = serde_json::from_str(line)
                    .map_err(|e| broken(format!("line {}: isn't JSON: {e}", number + 1)))?;
                if text(&message, "reason") == "compiler-artifact" && !is_for_builds(&message["target"]) {
                    note(&mut all, text(&message, "package_id"), &message["features"])?;
                }
            }
        }
    }
    if all.is_empty() {
        let next = "save what `cargo build --message-format=json` prints, a unit graph, or `cargo metadata`";
        return Err(Error::new(Code::Malformed, "names no package that was built", next));
    }
    Ok(by_name(&all))
}

/// Packages by name. A version is told only where there are several, and only the part that another one can't replace:
/// that a component has a new patch level is the SBOM's to say.
fn by_name(all: &Enabled) -> Group {
    let several = |name: &str| all.keys().filter(|(other, _)| other == name).count() > 1;
    let mut group = Group::new();
    for ((name, version), features) in all {
        let mut numbers = version.split(['.', '-', '+']);
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let line = if major == "0" { format!("0.{minor}") } else { major.to_owned() };
        let key = if several(name) { format!("{name}@{line}") } else { name.clone() };
        let features = features.iter().map(|name| toml::Value::String(name.clone()));
        let list = group.entry(key).or_insert_with(|| toml::Value::Array(Vec::new()));
        if let toml::Value::Array(list) = list {
            let new: Vec<_> = features.filter(|one| !list.contains(one)).collect();
            list.extend(new);
        }
    }
    group
}

/// Kconfig options that are set, by name. `# CONFIG_X is not set`, `CONFIG_X=n` and a missing line are the same.
///
/// # Errors
/// `malformed`: the line that is none of these, or an option that is there twice.
pub(crate) fn kconfig(text: &str) -> Result<BTreeMap<String, String>> {
    let (mut all, mut seen) = (BTreeMap::new(), BTreeSet::new());
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| broken(format!("line {}: {what}", number + 1));
        let (name, value) = line.split_once('=').ok_or_else(|| wrong("isn't `NAME=VALUE`"))?;
        let named = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(named) {
            return Err(wrong("isn't `NAME=VALUE`"));
        }
        if !seen.insert(name) {
            return Err(wrong(&format!("{name} is there twice")));
        }
        if value != "n" {
            all.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(all)
}

/// The same, as a group.
///
/// # Errors
/// As [`kconfig`]; and a file without an option.
pub(crate) fn options(text: &str) -> Result<Group> {
    let all = kconfig(text)?;
    if all.is_empty() {
        return Err(broken("sets no option: is it Kconfig's .config?"));
    }
    Ok(all.into_iter().map(|(name, value)| (name, toml::Value::String(value))).collect())
}

/// Global symbols of a linked program whose names are one of the patterns' (`*` and `?`), and what each is.
///
/// # Errors
/// `image`: it isn't one; `malformed`: it has none, so it was stripped.
pub(crate) fn exports(elf: &[u8], patterns: &[String]) -> Result<Group> {
    let all = binary::exports(elf)?;
    if all.is_empty() {
        return Err(broken("has no global symbols: give the file as it was linked, not stripped"));
    }
    let wanted =
        |name: &str| patterns.is_empty() || patterns.iter().any(|pattern| super::source::word(pattern, name));
    let all = all.into_iter().filter(|(name, _)| wanted(name));
    Ok(all.map(|(name, kind)| (name, toml::Value::String(kind.to_owned()))).collect())
}

fn section(name: &str, group: &Group) -> String {
    let mut text = format!("{NOTE}\n[{name}]\n");
    for (key, value) in group {
        let value = match value {
            toml::Value::Array(list) => {
                let all: Vec<_> =
                    list.iter().filter_map(toml::Value::as_str).map(|text| quoted(&text)).collect();
                format!("[{}]", all.join(", "))
            }
            other => quoted(&other.as_str().unwrap_or_default()),
        };
        text.push_str(&format!("{} = {value}\n", quoted(key)));
    }
    text
}

/// The inventory with these groups in place of its own of these names, at its end.
///
/// # Errors
/// `config`: the inventory is wrong, or what is declared in it can't be told from what is made.
pub(crate) fn put(inventory: &str, path: &Path, groups: &[(&str, Group)]) -> Result<String> {
    let before = Inventory::parse(inventory, path)?;
    let mut kept: Vec<&str> = Vec::new();
    let mut inside = false;
    for line in inventory.lines() {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = groups.iter().any(|(group, _)| *group == name.trim());
            if inside && kept.last() == Some(&NOTE) {
                kept.pop();
            }
        }
        // The next group's note isn't this one's.
        if !inside || line == NOTE {
            kept.push(line);
        }
    }
    let mut text = kept.join("\n").trim_end().to_owned() + "\n";
    for (name, group) in groups {
        text.push_str(&format!("\n{}", section(name, group)));
    }
    let after = Inventory::parse(&text, path).ok();
    let same = after.is_some_and(|after| {
        let made = |name: &str| groups.iter().any(|(group, _)| *group == name);
        let group = |name: &&str| groups.iter().find(|(group, _)| group == name).map(|(_, group)| group);
        Inventory::NAMES.iter().all(|name| match made(name) {
            true => after.group(name) == group(name),
            false => after.group(name) == before.group(name),
        })
    });
    if same {
        return Ok(text);
    }
    let what = format!(
        "has [{}] where it can't be replaced",
        groups.iter().map(|g| g.0).collect::<Vec<_>>().join("], [")
    );
    Err(Error::new(Code::Config, what, "take it out, as a table `[name]` of its own").at(path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(group: &Group) -> Vec<String> {
        let value = |value: &toml::Value| match value {
            toml::Value::Array(list) => {
                list.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join("+")
            }
            other => other.as_str().unwrap_or_default().to_owned(),
        };
        group.iter().map(|(key, it)| format!("{key}={}", value(it))).collect()
    }

    #[test]
    fn cargo_says_it_in_three_ways() {
        let artifact = |id: &str, kind: &str, features: &str| {
            format!(
                "{{\"reason\":\"compiler-artifact\",\"package_id\":\"{id}\",\"target\":{{\"kind\":[\"{kind}\"]}},\"features\":[{features}]}}\n"
            )
        };
        let stream = [
            artifact("registry+https://x/index#heapless@0.9.3", "lib", "\"ufmt\""),
            artifact("registry+https://x/index#heapless@0.8.0", "lib", ""),
            artifact("registry+https://x/index#serde_derive@1.0.1", "proc-macro", "\"default\""),
            artifact("path+file:///w/firmware#4.1.0", "bin", "\"remote\",\"default\""),
            "   Compiling something\n{\"reason\":\"build-finished\",\"success\":true}\n".into(),
        ];
        assert_eq!(
            told(&cargo(&stream.concat()).unwrap()),
            ["firmware=default+remote", "heapless@0.8=", "heapless@0.9=ufmt"]
        );
        let metadata = r#"{"resolve":{"nodes":[{"id":"a 1.2.3 (path+file:///a)","features":["x"]}]}}"#;
        assert_eq!(told(&cargo(metadata).unwrap()), ["a=x"]);
        let graph = r#"{"version":1,"units":[
            {"pkg_id":"r#b@1.0.0","target":{"kind":["lib"]},"platform":null,"features":["std"]},
            {"pkg_id":"r#b@1.0.0","target":{"kind":["lib"]},"platform":"thumbv7m-none-eabi","features":["small"]}]}"#;
        assert_eq!(
            told(&cargo(graph).unwrap()),
            ["b=small"],
            "what the machine needs to build isn't in the image"
        );
    }

    #[test]
    fn what_is_no_build_is_refused() {
        for text in
            ["", "x", "[]", "{}", "{\"resolve\":null}", "{\"reason\":\"compiler-artifact\"}", "{\"a\"\n{"]
        {
            assert!(cargo(text).is_err(), "{text}");
        }
        for text in ["CONFIG_A", "=y", "CONFIG_A=y\nCONFIG_A=n", "CONFIG A=y", "\0=1"] {
            assert!(kconfig(text).is_err(), "{text:?}");
        }
        assert!(options("# CONFIG_A is not set\n").is_err());
    }

    #[test]
    fn an_option_that_is_off_is_one_that_isnt_there() {
        let with = |text: &str| kconfig(text).unwrap();
        assert_eq!(
            with("# a\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=n\nCONFIG_D=\"x\"\n"),
            with("CONFIG_D=\"x\"\nCONFIG_A=y")
        );
        assert_ne!(with("CONFIG_A=y"), with("CONFIG_A=m"));
        assert_eq!(
            told(&options("CONFIG_D=\"a=b\"\nCONFIG_N=0x10\n").unwrap()),
            ["CONFIG_D=\"a=b\"", "CONFIG_N=0x10"]
        );
    }

    #[test]
    fn what_is_declared_stays_as_it_stands() {
        let path = Path::new("i.toml");
        let group = |words: &[(&str, &str)]| -> Group {
            words
                .iter()
                .map(|(key, value)| ((*key).to_owned(), toml::Value::String((*value).into())))
                .collect()
        };
        let declared = "format = 1 # by hand\n[ports]\nmodbus = 502 # standard\n";
        let hostile = group(&[("a\"\\\n\u{7f}\u{1b}]", "function"), ("[ports]", "\n[ports]\n")]);
        let once =
            put(declared, path, &[("exports", hostile.clone()), ("kconfig", group(&[("A", "y")]))]).unwrap();
        assert!(once.starts_with(declared), "{once}");
        assert_eq!(Inventory::parse(&once, path).unwrap().group("exports"), Some(&hostile));
        // Again is the same, in any order; another group stays.
        let again = put(&once, path, &[("exports", hostile.clone())]).unwrap();
        let third = put(&again, path, &[("kconfig", group(&[("A", "y")]))]).unwrap();
        assert_eq!(third, once);
        let gone = put(&once, path, &[("kconfig", group(&[("B", "y")]))]).unwrap();
        assert!(
            !gone.contains("\"A\"") && gone.contains("\"B\"") && gone.matches(NOTE).count() == 2,
            "{gone}"
        );
    }

    #[test]
    fn what_cant_be_told_apart_is_refused_and_not_lost() {
        let group = || Group::from([("A".to_owned(), toml::Value::String("y".into()))]);
        for text in [
            "format = 1\nexports = { a = 1 }\n",
            "format = 1\n[ports]\nx = '''\n[exports]\n'''\ny = 1\n",
            "format = 1\n[exports.a]\nb = 1\n",
        ] {
            let put = put(text, Path::new("i.toml"), &[("exports", group())]);
            assert_eq!(put.map_err(|error| error.code), Err(Code::Config), "{text}");
        }
    }
}
