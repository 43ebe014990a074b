//! One schema of a document, with what `$ref` and `allOf` add to it.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// How many schemas one schema may consist of. A document that has more in one place is read as if the others were not there.
const PARTS_MAX: usize = 256;

/// A schema of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schema<'d> {
    pub(crate) document: &'d Value,
    pub(crate) value: &'d Value,
}

impl<'d> Schema<'d> {
    pub(crate) fn new(document: &'d Value, value: &'d Value) -> Self {
        Self { document, value }
    }

    /// The schema that `$ref` names.
    pub(crate) fn by_reference(document: &'d Value, reference: &str) -> Option<Self> {
        Some(Self::new(document, resolve(document, reference)?))
    }

    /// The schema at a pointer into the values that it describes.
    pub(crate) fn at(self, pointer: &str) -> Option<Self> {
        let mut schema = self;
        for token in tokens(pointer) {
            schema = schema.property(&token)?;
        }
        Some(schema)
    }

    /// The schema of one property.
    pub(crate) fn property(self, name: &str) -> Option<Self> {
        self.parts()
            .into_iter()
            .find_map(|part| part.get("properties")?.get(name))
            .map(|value| Self::new(self.document, value))
    }

    /// The schema of the items of a list.
    pub(crate) fn items(self) -> Option<Self> {
        self.keyword("items")
            .filter(|items| items.is_object())
            .map(|items| Self::new(self.document, items))
    }

    /// The schema of one property, whichever of the alternatives has it; else that of all further ones.
    pub(crate) fn any_property(self, name: &str) -> Option<Self> {
        let more = || {
            let more = self.keyword("additionalProperties")?;
            more.is_object().then(|| Self::new(self.document, more))
        };
        let of_one = || {
            let mut all = self.alternatives().into_iter();
            all.find_map(|one| one.property(name))
        };
        self.property(name).or_else(of_one).or_else(more)
    }

    /// The schema of the items of a list, if one of the alternatives is a list.
    pub(crate) fn any_items(self) -> Option<Self> {
        let of_one = || self.alternatives().into_iter().find_map(Self::items);
        self.items().or_else(of_one)
    }

    /// The schemas that all apply: this one, what it refers to, and `allOf`.
    pub(crate) fn parts(self) -> Vec<&'d Map<String, Value>> {
        let mut parts: Vec<&Map<String, Value>> = Vec::new();
        let mut left = vec![self.value];
        while let Some(value) = left.pop() {
            let Value::Object(part) = value else {
                continue;
            };
            if parts.iter().any(|known| std::ptr::eq(*known, part)) || parts.len() == PARTS_MAX {
                continue;
            }
            parts.push(part);
            if let Some(Value::Array(all)) = part.get("allOf") {
                left.extend(all.iter().rev());
            }
            if let Some(Value::String(reference)) = part.get("$ref") {
                left.extend(resolve(self.document, reference));
            }
        }
        parts
    }

    /// The schemas of which one applies (`oneOf`) or some do (`anyOf`).
    pub(crate) fn alternatives(self) -> Vec<Self> {
        self.parts()
            .into_iter()
            .flat_map(|part| [part.get("oneOf"), part.get("anyOf")])
            .flatten()
            .filter_map(Value::as_array)
            .flatten()
            .map(|value| Self::new(self.document, value))
            .collect()
    }

    /// The first value of a keyword among the parts.
    pub(crate) fn keyword(self, name: &str) -> Option<&'d Value> {
        self.parts().into_iter().find_map(|part| part.get(name))
    }

    /// The default, if it is a value that the schema could mean: documents have `{}` for texts, and for objects that demand more.
    pub(crate) fn default_value(self) -> Option<&'d Value> {
        let default = self.keyword("default")?;
        let name = match default {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_integer = default.is_i64()
            || default.is_u64()
            || default.as_f64().is_some_and(|number| number.fract() == 0.0);
        let types = self.types();
        let has_type =
            types.is_empty() || types.contains(&name) || (is_integer && types.contains(&"integer"));
        let is_listed = match self.keyword("enum") {
            Some(Value::Array(values)) => values.contains(default),
            _ => true,
        };
        let is_whole = default.as_object().is_none_or(|fields| {
            self.required()
                .into_iter()
                .all(|name| fields.contains_key(name))
        });
        (has_type && is_listed && is_whole).then_some(default)
    }

    /// Whether one of the parts says so.
    pub(crate) fn flag(self, name: &str) -> bool {
        self.parts()
            .into_iter()
            .any(|part| part.get(name) == Some(&Value::Bool(true)))
    }

    /// The properties of all parts.
    pub(crate) fn properties(self) -> BTreeMap<&'d str, Self> {
        let mut properties = BTreeMap::new();
        for part in self.parts() {
            for (name, value) in part
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                properties
                    .entry(name.as_str())
                    .or_insert_with(|| Self::new(self.document, value));
            }
        }
        properties
    }

    /// The names that must be there.
    pub(crate) fn required(self) -> Vec<&'d str> {
        let mut names: Vec<&str> = self
            .parts()
            .into_iter()
            .filter_map(|part| part.get("required")?.as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The types that a value may have; none if nothing is said.
    pub(crate) fn types(self) -> Vec<&'d str> {
        match self.keyword("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

fn resolve<'d>(document: &'d Value, reference: &str) -> Option<&'d Value> {
    let pointer = percent_decode_str(reference.strip_prefix('#')?)
        .decode_utf8()
        .ok()?;
    document.pointer(&pointer)
}

/// The names in a JSON pointer.
pub(crate) fn tokens(pointer: &str) -> impl Iterator<Item = String> {
    pointer
        .split('/')
        .skip(1)
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
}

/// Puts a value where a pointer says, and makes the objects on the way.
pub(crate) fn put(root: &mut Value, pointer: &str, value: Value) {
    let mut place = root;
    for token in tokens(pointer) {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(fields) = place else {
            return;
        };
        place = fields.entry(token).or_insert(Value::Null);
    }
    *place = value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_and_all_of_are_one_schema() {
        let document = json!({"components": {"schemas": {
            "A/B": {"allOf": [{"$ref": "#/components/schemas/C"}, {"properties": {"b": {"type": "string"}}, "required": ["b"]}]},
            "C": {"properties": {"c": {"type": "integer"}}, "required": ["c"], "allOf": [{"$ref": "#/components/schemas/A~1B"}]},
            "Loop": {"$ref": "#/components/schemas/Loop"},
        }}});
        let schema = Schema::by_reference(&document, "#/components/schemas/A~1B").unwrap();
        assert_eq!(
            schema.properties().into_keys().collect::<Vec<_>>(),
            ["b", "c"]
        );
        assert_eq!(schema.required(), ["b", "c"]);
        assert_eq!(schema.at("/c").unwrap().types(), ["integer"]);
        assert!(schema.at("/d").is_none());
        let endless = Schema::by_reference(&document, "#/components/schemas/Loop").unwrap();
        assert_eq!(endless.parts().len(), 1);
        assert!(Schema::by_reference(&document, "#/nowhere").is_none());
    }

    #[test]
    fn defaults_that_can_not_be_meant_are_none() {
        for (schema, is_meant) in [
            (json!({"type": "string", "default": "x"}), true),
            (json!({"type": "string", "default": {}}), false),
            (json!({"allOf": [{"type": "string"}], "default": {}}), false),
            (json!({"type": "object", "default": {}}), true),
            (
                json!({"type": "object", "default": {}, "required": ["a"]}),
                false,
            ),
            (json!({"type": "integer", "default": 3}), true),
            (json!({"type": "integer", "default": 3.5}), false),
            (json!({"type": "number", "default": 3}), true),
            (json!({"type": ["string", "null"], "default": null}), true),
            (json!({"enum": ["a"], "default": "b"}), false),
            (json!({"default": [1]}), true),
            (json!({"type": "string"}), false),
        ] {
            let found = Schema::new(&schema, &schema).default_value();
            assert_eq!(found.is_some(), is_meant, "{schema}");
        }
    }

    #[test]
    fn values_are_put_where_pointers_say() {
        let mut value = json!({"a": 1});
        put(&mut value, "/b/c~1d", json!(2));
        put(&mut value, "/a", json!(3));
        assert_eq!(value, json!({"a": 3, "b": {"c/d": 2}}));
        put(&mut value, "", json!([]));
        assert_eq!(value, json!([]));
    }
}
