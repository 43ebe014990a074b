//! Schemas that say more than one thing at once: keywords beside those that are there, and names that are all but the same.

use serde_json::{Value, json};

use super::damage::{plain, reference, some_place, word};
use crate::{Random, fuzz::below};

const TYPES: [&str; 7] = [
    "string", "integer", "number", "boolean", "object", "array", "null",
];
/// A value under such a name is a schema …
const SCHEMA: [&str; 4] = ["schema", "items", "additionalProperties", "not"];
/// … and so are those within such a one.
const SCHEMAS: [&str; 5] = ["schemas", "properties", "allOf", "oneOf", "anyOf"];
/// The most keywords that are added to one.
const KEYWORDS_MAX: usize = 4;

/// Adds keywords to one of the schemas.
pub(super) fn mix(document: &mut Value, random: &mut Random) {
    let mut places = Vec::new();
    find(document, String::new(), ["", ""], &mut places);
    if places.is_empty() {
        return;
    }
    let at = places.swap_remove(below(random, places.len()));
    for _ in 0..=below(random, KEYWORDS_MAX) {
        let more = keyword(document, random);
        if let (Some(Value::Object(schema)), Value::Object(more)) =
            (document.pointer_mut(&at), more)
        {
            schema.extend(more);
        }
    }
}

/// The places of all schemas. `names` are those of the value and of what it is in.
fn find(value: &Value, at: String, names: [&str; 2], places: &mut Vec<String>) {
    let [within, own] = names;
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let place = format!("{at}/{}", escape(name));
                find(inner, place, [own, name], places);
            }
            if SCHEMA.contains(&own) || SCHEMAS.contains(&within) {
                places.push(at);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                find(inner, format!("{at}/{index}"), [own, ""], places);
            }
        }
        _ => {}
    }
}

/// A keyword with a value that it could have.
fn keyword(document: &Value, random: &mut Random) -> Value {
    let name = word(random);
    let schema = |random: &mut Random| match below(random, 3) {
        0 => json!({ "$ref": reference(document, random) }),
        1 => json!({ "type": TYPES[below(random, TYPES.len())] }),
        _ => {
            let at = some_place(document, random);
            document.pointer(&at).cloned().unwrap_or_default()
        }
    };
    match below(random, 10) {
        0 => json!({ "type": TYPES[below(random, TYPES.len())] }),
        1 => json!({ "enum": [plain(random), name, twin(name, random)] }),
        2 => json!({ "items": schema(random) }),
        3 => json!({ "properties": { name: schema(random), twin(name, random): schema(random) } }),
        4 => json!({ "required": [name, twin(name, random)] }),
        5 => json!({ "additionalProperties": schema(random) }),
        6 => json!({ "discriminator": { "propertyName": name } }),
        7 => json!({ "allOf": [schema(random), schema(random)] }),
        8 => json!({ "oneOf": [schema(random), schema(random)] }),
        _ => json!({ name: schema(random) }),
    }
}

/// Another name, of which the same name of Rust could come.
pub(super) fn twin(name: &str, random: &mut Random) -> String {
    match below(random, 7) {
        0 => name.to_ascii_uppercase(),
        1 => name.to_ascii_lowercase(),
        2 => name.replace(['-', '_', ' '], ""),
        3 => name.replace(['-', '_'], " "),
        4 => format!("_{name}"),
        5 => format!("{name}-"),
        _ => format!("{name}2"),
    }
}

/// A name as a part of a JSON pointer.
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
