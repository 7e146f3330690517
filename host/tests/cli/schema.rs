//! A small JSON Schema validator: the part of 2020-12 that `output.schema.json` uses. What it doesn't know, it refuses.

use clap::CommandFactory;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::LazyLock;

static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../schema/output.schema.json")).unwrap());

/// Definitions by name.
pub(crate) fn definitions() -> &'static Map<String, Value> {
    SCHEMA["$defs"].as_object().unwrap()
}

/// The name of the verb's definition, wherever in the line the verb stands.
pub(crate) fn name_of(line: &str) -> String {
    let words = std::iter::once("patchlane").chain(line.split_whitespace());
    let understood = patchlane::cli::Cli::command().try_get_matches_from(words);
    let understood = understood.unwrap_or_else(|e| panic!("{line}: {e}"));
    let (first, below) = understood.subcommand().unwrap();
    below.subcommand().map_or_else(|| first.to_owned(), |(second, _)| format!("{first}-{second}"))
}

/// An error may be all that there is to say, or the end of an answer.
pub(crate) fn failure_of(value: &Value) -> &'static str {
    let has = |name: &str| value.get(name).is_some();
    match () {
        () if has("rows") => "verify-evidence-differs",
        () if has("profile") => "lint-refused",
        () if has("differences") => "replay-refused",
        () if has("groups") => "lint-inventory-refused",
        () if has("verdict") => "diff-refused",
        () if has("findings") => "ledger-check-failed",
        () if has("events") => "simulate-refused",
        () if has("scenarios") => "simulate-differs",
        () => "error",
    }
}

/// Everything that is wrong with `value`, under the definition of this name.
pub(crate) fn violations(name: &str, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Schema(definitions()).check(&definitions()[name], value, name, &mut found);
    found
}

/// The same under a schema of its own, with its own definitions.
pub(crate) fn violations_of(schema: &str, value: &Value) -> Vec<String> {
    let mut schema: Value = serde_json::from_str(schema).unwrap();
    let all = schema.as_object_mut().unwrap();
    // What names the schema says nothing of the value.
    ["$schema", "$id", "title"].iter().for_each(|key| drop(all.remove(*key)));
    let defs = all.remove("$defs").and_then(|defs| defs.as_object().cloned()).unwrap_or_default();
    let mut found = Vec::new();
    Schema(&defs).check(&schema, value, "", &mut found);
    found
}

/// Definitions, and what is checked under them.
struct Schema<'a>(&'a Map<String, Value>);

impl Schema<'_> {
    /// Checks, and returns the names of the properties that were looked at.
    fn check(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let schema = schema.as_object().unwrap_or_else(|| panic!("{at}: no schema"));
        let none = Map::new();
        let object = value.as_object().unwrap_or(&none);
        for (keyword, rule) in schema {
            let mut wrong = |what: String| found.push(format!("{at}: {what}"));
            match keyword.as_str() {
                // Last, when all that is known has been seen.
                "description" | "additionalProperties" | "unevaluatedProperties" => {}
                "type" if !of_type(rule, value) => wrong(format!("{value} isn't of type {rule}")),
                "type" => {}
                "const" if rule != value => wrong(format!("{value} isn't {rule}")),
                "const" => {}
                "enum" if !rule.as_array().unwrap().contains(value) => {
                    wrong(format!("{value} isn't one of {rule}"))
                }
                "enum" => {}
                "minimum" | "maximum" | "minLength" | "maxLength" | "minItems" | "maxItems" => {
                    if !within(keyword, rule, value) {
                        wrong(format!("{value} is beyond {keyword} {rule}"));
                    }
                }
                "required" => {
                    for name in rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
                        if !object.contains_key(name) {
                            wrong(format!("{name} is missing"));
                        }
                    }
                }
                "properties" => {
                    for (name, rule) in rule.as_object().unwrap() {
                        if let Some(value) = object.get(name) {
                            self.check(rule, value, &format!("{at}.{name}"), found);
                            seen.insert(name.clone());
                        }
                    }
                }
                "items" => {
                    for (i, value) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, value, &format!("{at}[{i}]"), found);
                    }
                }
                "anyOf" => seen.extend(self.any(rule, value, at, found)),
                "allOf" => {
                    for rule in rule.as_array().unwrap() {
                        seen.extend(self.check(rule, value, at, found));
                    }
                }
                "$ref" => {
                    let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    let rule = self.0.get(name).unwrap_or_else(|| panic!("{at}: no definition {name}"));
                    seen.extend(self.check(rule, value, at, found));
                }
                other => panic!("{at}: this validator doesn't know `{other}`"),
            }
        }
        self.closed(schema, object, &seen, at, found);
        seen
    }

    /// One of several forms fits; what is wrong with the one that comes closest otherwise.
    fn any(&self, rules: &Value, value: &Value, at: &str, found: &mut Vec<String>) -> BTreeSet<String> {
        let tried = rules.as_array().unwrap().iter().map(|rule| {
            let mut wrong = Vec::new();
            let seen = self.check(rule, value, at, &mut wrong);
            (wrong, seen)
        });
        let (wrong, seen) = tried.min_by_key(|(wrong, _)| wrong.len()).unwrap();
        found.extend(wrong);
        seen
    }

    /// Where no other fields are allowed, there are none; or they are as it is said.
    fn closed(
        &self,
        schema: &Map<String, Value>,
        object: &Map<String, Value>,
        seen: &BTreeSet<String>,
        at: &str,
        found: &mut Vec<String>,
    ) {
        let rules = ["additionalProperties", "unevaluatedProperties"].map(|keyword| schema.get(keyword));
        for rule in rules.into_iter().flatten() {
            for (name, value) in object.iter().filter(|(name, _)| !seen.contains(*name)) {
                if rule == false {
                    found.push(format!("{at}: {name} isn't described"));
                } else {
                    self.check(rule, value, &format!("{at}.{name}"), found);
                }
            }
        }
    }
}

/// A bound holds only for what has a size.
fn within(keyword: &str, rule: &Value, value: &Value) -> bool {
    let length = || value.as_str().map(|text| text.chars().count() as f64);
    let size = match keyword {
        "minLength" | "maxLength" => length(),
        "minItems" | "maxItems" => value.as_array().map(|items| items.len() as f64),
        _ => value.as_f64(),
    };
    let bound = rule.as_f64().unwrap();
    size.is_none_or(|size| if keyword.starts_with("min") { size >= bound } else { size <= bound })
}

fn of_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("type {other}"),
    };
    rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is))
}
