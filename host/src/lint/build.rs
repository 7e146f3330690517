//! Checks of the build: toolchain, options, reproducibility.

use super::Answer::{Fail, Pass, Unknown};
use super::extract;
use super::release::{broken, lacks};
use super::source::range;
use super::{Answer, Case};
use crate::bundle::sha256;
use crate::error::Result;
use crate::explain::explain;
use crate::{files, image};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A build description: how an image was made. The build writes it beside the image.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// The format: 1.
    format: u16,
    /// `rustc 1.95.0 (59807616e)`, `arm-none-eabi-gcc 12.2.1`.
    toolchain: String,
    /// The target triple, or CPU options.
    target: String,
    /// Options of compiler and linker, in order.
    #[serde(default)]
    flags: Vec<String>,
    /// The linker script; its content counts.
    linker_script: Option<PathBuf>,
    /// Cargo features, or whatever the build calls its options.
    #[serde(default)]
    features: Vec<String>,
    /// Preprocessor definitions: `NAME` or `NAME=VALUE`.
    #[serde(default)]
    defines: Vec<String>,
    /// Kconfig's `.config`.
    kconfig: Option<PathBuf>,
}

fn read(case: &Case<'_>, path: &Path) -> Result<Description> {
    let text = case.text(path)?;
    let description: Description =
        toml::from_str(&text).map_err(|e| explain(&text, &e).at(path.display()))?;
    if description.format != 1 {
        return Err(
            broken(format!("is a build description of format {}", description.format)).at(path.display())
        );
    }
    Ok(description)
}

fn both(case: &Case<'_>) -> Result<std::result::Result<[(PathBuf, Description); 2], Answer>> {
    let pair = match lacks(&case.change.build, "build") {
        Ok(pair) => pair,
        Err(answer) => return Ok(Err(answer)),
    };
    let one = |path: &PathBuf| -> Result<(PathBuf, Description)> { Ok((path.clone(), read(case, path)?)) };
    Ok(Ok([one(&pair.base)?, one(&pair.patch)?]))
}

/// A file that a description names, from the description's folder.
fn beside(case: &Case<'_>, description: &Path, name: Option<&PathBuf>) -> Result<Option<Vec<u8>>> {
    let folder = description.parent().unwrap_or(Path::new(""));
    name.map(|name| case.read(&folder.join(name))).transpose()
}

/// 10: toolchain, target, flags and linker script are the base's.
pub(super) fn toolchain(case: &Case<'_>) -> Result<Answer> {
    let [(old_path, old), (new_path, new)] = match both(case)? {
        Ok(both) => both,
        Err(answer) => return Ok(answer),
    };
    let scripts = (
        beside(case, &old_path, old.linker_script.as_ref())?,
        beside(case, &new_path, new.linker_script.as_ref())?,
    );
    let digest = |script: &Option<Vec<u8>>| script.as_ref().map(|bytes| sha256(bytes).to_string());
    let told = |description: &Description, script| {
        let mut told = json!(description);
        told["linker_script_sha256"] = json!(digest(script));
        told
    };
    case.keep("base", told(&old, &scripts.0));
    case.keep("patch", told(&new, &scripts.1));
    let mut other = Vec::new();
    other.extend(
        (old.toolchain != new.toolchain).then(|| format!("{} is now {}", old.toolchain, new.toolchain)),
    );
    other.extend((old.target != new.target).then(|| format!("target {} is now {}", old.target, new.target)));
    other.extend(
        (old.flags != new.flags).then(|| format!("flags: {}", changes(&set(&old.flags), &set(&new.flags)))),
    );
    other.extend((scripts.0 != scripts.1).then(|| "another linker script".to_owned()));
    if other.is_empty() {
        Ok(Pass(format!("{}, {}", new.toolchain, new.target)))
    } else {
        Ok(Fail(other.join("; ")))
    }
}

/// `NAME` and `NAME=VALUE`, by name.
fn set(words: &[String]) -> BTreeMap<String, String> {
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (word.clone(), String::new()),
    };
    words.iter().map(pair).collect()
}

/// What was added, removed, changed, in words; or that only the order did.
fn changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> String {
    let mut told = Vec::new();
    for (name, value) in new {
        match old.get(name) {
            None => told.push(format!("+{name}")),
            Some(before) if before != value => told.push(format!("{name}={before} is now {value}")),
            Some(_) => {}
        }
    }
    told.extend(old.keys().filter(|name| !new.contains_key(*name)).map(|name| format!("-{name}")));
    if told.is_empty() { "another order".to_owned() } else { told.join(", ") }
}

/// 11: Cargo features, Kconfig options and defines are the base's.
pub(super) fn features(case: &Case<'_>) -> Result<Answer> {
    let [(old_path, old), (new_path, new)] = match both(case)? {
        Ok(both) => both,
        Err(answer) => return Ok(answer),
    };
    let options = |path: &Path, description: &Description| -> Result<BTreeMap<String, String>> {
        let text = beside(case, path, description.kconfig.as_ref())?.unwrap_or_default();
        let text =
            String::from_utf8(text).map_err(|_| broken("kconfig isn't text (UTF-8)").at(path.display()))?;
        extract::kconfig(&text).map_err(|e| e.at(path.display()))
    };
    let groups = [
        ("features", set(&old.features), set(&new.features)),
        ("defines", set(&old.defines), set(&new.defines)),
        ("kconfig", options(&old_path, &old)?, options(&new_path, &new)?),
    ];
    for (name, old, new) in &groups {
        case.keep(name, json!({ "base": old, "patch": new }));
    }
    let other = groups.iter().filter(|(_, old, new)| old != new);
    let other: Vec<_> = other.map(|(name, old, new)| format!("{name}: {}", changes(old, new))).collect();
    if !other.is_empty() {
        return Ok(Fail(other.join("; ")));
    }
    let counts: Vec<_> = groups.iter().map(|(name, _, new)| format!("{} {name}", new.len())).collect();
    Ok(Pass(format!("the same {}", counts.join(", "))))
}

/// 12: two clean builds give the bytes of the image.
pub(super) fn reproducible(case: &Case<'_>) -> Result<Answer> {
    let Some(reproduce) = case.config.lint.as_ref().and_then(|lint| lint.reproduce.as_ref()) else {
        return Ok(Unknown("patchlane.toml has no [lint.reproduce]".into()));
    };
    if case.archived.is_some() {
        case.lacks("a rebuild runs the vendor's tools, and nothing of an archive is run");
    }
    if !case.rebuild {
        return Ok(Unknown("not asked for: --no-rebuild".into()));
    }
    let range = match range(case)? {
        Ok(range) => range,
        Err(answer) => return Ok(answer),
    };
    let [image] = &case.images[..] else {
        return Ok(Unknown("one image is rebuilt, and the change has several".into()));
    };
    let Some((program, arguments)) = reproduce.command.split_first() else {
        return Ok(Fail("[lint.reproduce] command is empty".into()));
    };
    case.keep("command", reproduce.command.clone());
    case.keep("artifact", reproduce.artifact.display().to_string());
    case.keep("commit", range.head.clone());
    case.keep("image_sha256", sha256(&image.bytes).to_string());
    let time = range.repository.ask(&["log", "-1", "--format=%ct", &range.head, "--"])?;
    let mut made = Vec::new();
    // Two folders of different names: a path that gets into the image shows.
    for name in ["first", "the-second-build"] {
        let folder = files::Temporary::new()?;
        let tree = folder.path().join(name);
        range.repository.copy(&range.head, &tree)?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&tree).env("SOURCE_DATE_EPOCH", time.trim());
        let output = command.stdin(Stdio::null()).output();
        let output = match output {
            Ok(output) => output,
            Err(error) => return Ok(Fail(format!("`{program}` doesn't run: {error}"))),
        };
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            let last = told.lines().last().unwrap_or("it says nothing").to_owned();
            return Ok(Fail(format!("`{program}` fails: {last}")));
        }
        let artifact = tree.join(&reproduce.artifact);
        let bytes = files::read(&artifact)?;
        case.saw(format!("{name}/{}", reproduce.artifact.display()), &bytes);
        made.push(image::parse(&artifact, bytes)?.bytes);
        case.keep("built_sha256", made.iter().map(|bytes| sha256(bytes).to_string()).collect::<Vec<_>>());
    }
    if made.first() != made.get(1) {
        return Ok(Fail("two clean builds differ from each other".into()));
    }
    if made.first() != Some(&image.bytes) {
        return Ok(Fail("a clean build differs from the image".into()));
    }
    Ok(Pass("two clean builds gave the image".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_by_name() {
        let of = |words: &[&str]| set(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(changes(&of(&["A", "B=1"]), &of(&["B=2", "C"])), "B=1 is now 2, +C, -A");
        assert_eq!(changes(&of(&["A", "B"]), &of(&["B", "A"])), "another order");
    }
}
