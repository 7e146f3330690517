//! The published schema of scenario files, made from the types that read them.

use super::file::File;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const ID: &str =
    "https://github.com/patchlane/patchlane/raw/main/host/schema/scenario.schema.json";

/// What `host/schema/scenario.schema.json` holds.
pub fn schema() -> String {
    let settings = SchemaSettings::draft2020_12().with_transform(Present);
    let schema = settings.into_generator().into_root_schema_for::<File>();
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// TOML has no null: what is optional is there, or it isn't.
#[derive(Clone)]
struct Present;

impl Transform for Present {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(map) = schema.as_object_mut() else { return };
        if let Some(Value::Array(types)) = map.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [one] = &types[..] {
                let one = one.clone();
                map.insert("type".into(), one);
            }
        }
        if let Some(Value::Array(some)) = map.get("anyOf")
            && let [Value::Object(one), null] = &some[..]
            && *null == json!({ "type": "null" })
        {
            let one = one.clone();
            map.remove("anyOf");
            map.extend(one);
        }
        if map.get("default") == Some(&Value::Null) {
            map.remove("default");
        }
    }
}

/// One place says what `[flash]` is.
pub(super) fn flash(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "$ref": "patchlane.schema.json#/properties/flash" })
}

pub(super) fn release_kinds() -> Value {
    let described = ["lane", "baseline", "level", "firmware", "payload"];
    let none: Value = described.map(|key| json!({ "required": [key] })).to_vec().into();
    json!([
        { "required": ["bundle"], "not": { "anyOf": none } },
        { "required": ["lane", "baseline", "level", "firmware"], "not": { "required": ["bundle"] } },
    ])
}

/// As `StepEntry::act` has it.
pub(super) fn step_kinds() -> Value {
    let kind = |required: &[&str], cut: Value| {
        let all = ["send", "approve", "restart", "status", "ask", "serial", "answer"];
        let mut no: serde_json::Map<_, _> = all
            .iter()
            .filter(|key| !required.contains(key))
            .map(|key| ((*key).to_owned(), json!(false)))
            .collect();
        no.insert("cut".into(), cut);
        json!({ "required": required, "properties": no })
    };
    let mut restart = kind(&["restart"], json!({ "not": { "const": "receiving" } }));
    restart["properties"]["restart"] = json!({ "const": true });
    json!([
        kind(&["send", "answer"], json!({ "const": "receiving" })),
        kind(&["approve", "serial", "answer"], json!(false)),
        restart,
        kind(&["status"], json!(false)),
        kind(&["ask", "answer"], json!(false)),
    ])
}
