//! Interface inventories: what a baseline offers, declared and frozen; and their checks.

use super::Answer::{Fail, Pass, Unknown};
use super::extract::MADE;
use super::release::{broken, lacks};
use super::{Answer, Case};
use crate::error::Result;
use crate::explain::explain;
use crate::ledger::entry::Sha;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Names and what they mean.
pub(crate) type Group = BTreeMap<String, toml::Value>;

/// The file. A group that is empty says that there is none of it; a group that is missing says nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inventory {
    format: u16,
    /// Network and serial ports.
    ports: Option<Group>,
    /// Function codes of protocols.
    functions: Option<Group>,
    /// Commands of consoles and services.
    commands: Option<Group>,
    /// Registers and objects that can be read or written.
    registers: Option<Group>,
    /// Configuration keys.
    config: Option<Group>,
    /// Features that can be switched.
    features: Option<Group>,
    /// Versions of configuration, storage and wire formats.
    schemas: Option<Group>,
    /// Debug interfaces and their state.
    debug: Option<Group>,
    /// Boot keys.
    keys: Option<Group>,
    /// The memory map.
    memory: Option<Group>,
    /// Packages of a Cargo build, and their features; made by `lint inventory`, as what follows.
    cargo: Option<Group>,
    /// Kconfig options.
    kconfig: Option<Group>,
    /// Symbols that other programs are linked against.
    exports: Option<Group>,
}

/// The groups of each check.
const INTERFACES: [&str; 9] =
    ["ports", "functions", "commands", "registers", "config", "features", "cargo", "kconfig", "exports"];
const SCHEMAS: [&str; 1] = ["schemas"];
const DEBUG: [&str; 3] = ["debug", "keys", "memory"];

impl Inventory {
    /// Every group.
    pub(crate) const NAMES: [&str; 13] = [
        "ports",
        "functions",
        "commands",
        "registers",
        "config",
        "features",
        "schemas",
        "debug",
        "keys",
        "memory",
        "cargo",
        "kconfig",
        "exports",
    ];

    /// Reads an inventory.
    ///
    /// # Errors
    /// `config`: line, key, and what was probably meant.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self> {
        let inventory: Self = toml::from_str(text).map_err(|e| explain(text, &e).at(path.display()))?;
        if inventory.format != 1 {
            return Err(broken(format!("is an inventory of format {}", inventory.format)).at(path.display()));
        }
        Ok(inventory)
    }

    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        let group = match name {
            "ports" => &self.ports,
            "functions" => &self.functions,
            "commands" => &self.commands,
            "registers" => &self.registers,
            "config" => &self.config,
            "features" => &self.features,
            "schemas" => &self.schemas,
            "debug" => &self.debug,
            "keys" => &self.keys,
            "memory" => &self.memory,
            "cargo" => &self.cargo,
            "kconfig" => &self.kconfig,
            "exports" => &self.exports,
            _ => return None,
        };
        group.as_ref()
    }
}

/// A value in one spelling.
fn spell(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(table) => {
            let mut all: Vec<String> = table.iter().map(|(k, v)| format!("{k:?}={}", spell(v))).collect();
            all.sort();
            format!("{{{}}}", all.join(","))
        }
        toml::Value::Array(list) => format!("[{}]", list.iter().map(spell).collect::<Vec<_>>().join(",")),
        toml::Value::String(text) => format!("{text:?}"),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => format!("{number:?}"),
        toml::Value::Boolean(truth) => truth.to_string(),
        toml::Value::Datetime(date) => date.to_string(),
    }
}

/// `3 entries`.
pub(crate) fn entries(count: usize) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

/// What differs between two groups of one name.
pub(crate) fn changes(name: &str, old: &Group, new: &Group) -> Vec<String> {
    let mut told = Vec::new();
    for (key, value) in new {
        match old.get(key) {
            None => told.push(format!("{name}: +{key}")),
            Some(before) if spell(before) != spell(value) => told.push(format!("{name}: {key} changed")),
            Some(_) => {}
        }
    }
    told.extend(old.keys().filter(|key| !new.contains_key(*key)).map(|key| format!("{name}: -{key}")));
    told
}

/// Compares these groups of both inventories.
fn compare(case: &Case<'_>, groups: &[&str]) -> Result<Answer> {
    let pair = match lacks(&case.change.interfaces, "interfaces") {
        Ok(pair) => pair,
        Err(answer) => return Ok(answer),
    };
    let text = case.text(&pair.base)?;
    // What a ledger froze when the baseline was added is the base's, whatever lies beside the record now.
    let line = case.ledger.as_ref().and_then(|ledger| ledger.baseline(case.version.feature));
    line.into_iter().for_each(|line| case.saw_entry(line));
    let frozen = line.and_then(|line| line.entry.inventory.as_ref());
    if frozen.is_some_and(|frozen| frozen.sha256 != Sha::of(text.as_bytes())) {
        return Ok(Fail(format!("{} isn't the inventory that the ledger froze", pair.base.display())));
    }
    let old = Inventory::parse(&text, &pair.base)?;
    let patch = case.text(&pair.patch)?;
    case.keep("patch_sha256", Sha::of(patch.as_bytes()).to_string());
    let new = Inventory::parse(&patch, &pair.patch)?;
    case.keep("base_sha256", Sha::of(text.as_bytes()).to_string());
    case.keep("groups", groups.to_vec());
    case.keep("frozen", frozen.is_some());
    let (mut told, mut count) = (Vec::new(), 0);
    for name in groups {
        let (old, new) = match (old.group(name), new.group(name)) {
            (Some(old), Some(new)) => (old, new),
            // Whoever leaves a group out of the new one hides it.
            (Some(_), None) => return Ok(Fail(format!("[{name}] isn't in the patch's inventory any more"))),
            // Not every build has them: without one on either side nothing is said of it.
            (None, None) if MADE.contains(name) => continue,
            (None, _) => {
                return Ok(Unknown(format!(
                    "the base's inventory has no [{name}]; an empty one says that there is none"
                )));
            }
        };
        count += new.len();
        told.extend(changes(name, old, new));
    }
    case.keep("changes", told.clone());
    if told.is_empty() {
        Ok(Pass(format!("the same: {}", entries(count))))
    } else {
        Ok(Fail(told.join(", ")))
    }
}

/// 21: interfaces are the base's.
pub(super) fn interfaces(case: &Case<'_>) -> Result<Answer> {
    compare(case, &INTERFACES)
}

/// 22: formats are the base's.
pub(super) fn schemas(case: &Case<'_>) -> Result<Answer> {
    compare(case, &SCHEMAS)
}

/// 23: debug interfaces, boot keys and the memory map are the base's.
pub(super) fn debug(case: &Case<'_>) -> Result<Answer> {
    compare(case, &DEBUG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_groups_are_errors() {
        assert!(Inventory::parse("format = 1\n[port]\n", Path::new("x")).is_err());
        assert!(Inventory::parse("format = 2\n", Path::new("x")).is_err());
    }
}
