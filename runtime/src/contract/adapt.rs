//! The document as one side of the service is held to it, where JSON Schema says less than OpenAPI means.
//!
//! - `required` without what the other side fills in;
//! - the limits that a format of numbers means;
//! - a `discriminator` decides which alternative a value has to be, so that it is checked by that one, and what is wrong is named there.

use serde_json::{Map, Value, json};

use super::schema::Schema;

/// The document without the demand for properties that are marked by `left_out` (`readOnly`, `writeOnly`).
pub(crate) fn adapted(document: &Value, left_out: &str) -> Value {
    Adapt { document, left_out }.value(document, false)
}

struct Adapt<'d> {
    document: &'d Value,
    left_out: &'d str,
}

impl Adapt<'_> {
    /// `names` says that the members of this object are no keywords but names, of properties for example.
    fn value(&self, value: &Value, names: bool) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.value(item, false)).collect(),
            Value::Object(object) => {
                let mut result = Map::new();
                for (name, inner) in object {
                    let inner = match name.as_str() {
                        _ if names => self.value(inner, false),
                        "properties" | "$defs" | "schemas" => self.value(inner, true),
                        "patternProperties" => {
                            let mut usable = inner.clone();
                            if let Value::Object(schemas) = &mut usable {
                                schemas.retain(|pattern, _| is_pattern(pattern));
                            }
                            self.value(&usable, true)
                        }
                        // Data, in which nothing is a schema.
                        "example" | "examples" | "enum" | "const" | "default" | "x-memgen" => {
                            inner.clone()
                        }
                        "required" if inner.is_array() => self.needed(value, inner),
                        // A bad pattern would take the whole schema with it; the generator has warned of it.
                        "pattern" if inner.as_str().is_some_and(|pattern| !is_pattern(pattern)) => {
                            continue;
                        }
                        _ => self.value(inner, false),
                    };
                    result.insert(name.clone(), inner);
                }
                if !names {
                    limit_numbers(&mut result);
                    name_encoding(&mut result);
                    self.discriminate(object, &mut result);
                }
                Value::Object(result)
            }
            plain => plain.clone(),
        }
    }

    /// The names in `required` that this side gives.
    fn needed(&self, schema: &Value, required: &Value) -> Value {
        let properties = Schema::new(self.document, schema).properties();
        let names = required.as_array().into_iter().flatten();
        names
            .filter(|name| {
                let property = name.as_str().and_then(|name| properties.get(name));
                !property.is_some_and(|property| property.flag(self.left_out))
            })
            .cloned()
            .collect()
    }

    /// Checks a value by the alternative that its discriminator names, instead of by all of them.
    ///
    /// Values that it does not name are left to `oneOf` and `anyOf`; but if the document lists the names, another name is wrong.
    fn discriminate(&self, schema: &Map<String, Value>, result: &mut Map<String, Value>) {
        for keyword in ["oneOf", "anyOf"] {
            let Some(alternatives) = self.alternatives(schema, keyword) else {
                continue;
            };
            let Some(plain) = result.remove(keyword) else {
                continue;
            };
            let property = &alternatives.property;
            let tagged = |tags: &[String]| json!({ "required": [property], "properties": { property: { "enum": tags } } });
            let branches: Vec<Value> = alternatives
                .tags
                .iter()
                .zip(plain.as_array().into_iter().flatten())
                .filter(|(tags, _)| !tags.is_empty())
                .map(|(tags, branch)| json!({ "if": tagged(tags), "then": branch }))
                .collect();
            let all = alternatives.tags.concat();
            let open = json!({ keyword: plain });
            let unnamed = if alternatives.are_listed {
                json!({ "if": { "required": [property] }, "then": tagged(&all), "else": open })
            } else {
                open.clone()
            };
            let object =
                json!({ "if": tagged(&all), "then": { "allOf": branches }, "else": unnamed });
            let decided = json!({ "if": { "type": "object" }, "then": object, "else": open });
            match result.get_mut("allOf") {
                Some(Value::Array(parts)) => parts.push(decided),
                _ => drop(result.insert("allOf".to_owned(), json!([decided]))),
            }
        }
    }

    fn alternatives(&self, schema: &Map<String, Value>, keyword: &str) -> Option<Alternatives> {
        let discriminator = schema.get("discriminator")?.as_object()?;
        let property = discriminator.get("propertyName")?.as_str()?;
        let mapping = discriminator.get("mapping").and_then(Value::as_object);
        let of_mapping = |reference: &str| -> Vec<String> {
            let name = component(reference);
            mapping
                .into_iter()
                .flatten()
                .filter(|(_, target)| {
                    target
                        .as_str()
                        .is_some_and(|target| target == reference || Some(target) == name)
                })
                .map(|(tag, _)| tag.clone())
                .collect()
        };
        let mut tags: Vec<Vec<String>> = Vec::new();
        let mut are_listed = true;
        for alternative in schema.get(keyword)?.as_array()? {
            if alternative.get("type").is_some_and(|name| name == "null") {
                tags.push(Vec::new());
                continue;
            }
            let reference = alternative.get("$ref").and_then(Value::as_str);
            let mut own = reference.map(of_mapping).unwrap_or_default();
            own.extend(constants(Schema::new(self.document, alternative), property));
            are_listed &= !own.is_empty();
            own.extend(reference.and_then(component).map(str::to_owned));
            own.sort();
            own.dedup();
            // One without any name is one that can't be meant by a name.
            if own.is_empty() {
                return None;
            }
            tags.push(own);
        }
        // A name that means several says nothing.
        let mut all = tags.concat();
        let count = all.len();
        all.sort();
        all.dedup();
        (all.len() == count && count > 0).then(|| Alternatives {
            property: property.to_owned(),
            tags,
            are_listed,
        })
    }
}

/// The alternatives of a schema with a discriminator.
struct Alternatives {
    /// Where a value says which one it is.
    property: String,
    /// For each alternative, in their order.
    tags: Vec<Vec<String>>,
    /// Whether the document says itself what each of them is called.
    are_listed: bool,
}

/// The name of the schema that a reference leads to.
fn component(reference: &str) -> Option<&str> {
    reference.strip_prefix("#/components/schemas/")
}

/// The texts that a property may be by its own schema.
fn constants(schema: Schema<'_>, property: &str) -> Vec<String> {
    let Some(property) = schema.property(property) else {
        return Vec::new();
    };
    let listed = property.keyword("enum").and_then(Value::as_array);
    let all = property.keyword("const").into_iter();
    all.chain(listed.into_iter().flatten())
        .filter_map(|value| Some(value.as_str()?.to_owned()))
        .collect()
}

/// `format: int32` and the like, which JSON Schema does not check.
fn limit_numbers(schema: &mut Map<String, Value>) {
    let (kind, least, most) = match schema.get("format").and_then(Value::as_str) {
        Some("int32") => ("integer", json!(i32::MIN), json!(i32::MAX)),
        Some("int64") => ("integer", json!(i64::MIN), json!(i64::MAX)),
        Some("uint32") => ("integer", json!(0), json!(u32::MAX)),
        Some("uint64") => ("integer", json!(0), json!(u64::MAX)),
        Some("float") => ("number", json!(f32::MIN), json!(f32::MAX)),
        _ => return,
    };
    let is_one = match schema.get("type") {
        Some(Value::String(name)) => name == kind,
        Some(Value::Array(names)) => names.iter().any(|name| name == kind),
        _ => false,
    };
    if is_one {
        let limits = json!({ "minimum": least, "maximum": most });
        match schema.get_mut("allOf") {
            Some(Value::Array(all)) => all.push(limits),
            _ => drop(schema.insert("allOf".to_owned(), json!([limits]))),
        }
    }
}

/// `contentEncoding: base64` is what 3.0 calls `format: byte`; JSON Schema takes it for a remark.
fn name_encoding(schema: &mut Map<String, Value>) {
    let is_base64 = schema
        .get("contentEncoding")
        .is_some_and(|name| name == "base64");
    if is_base64 && !schema.contains_key("format") {
        schema.insert("format".to_owned(), json!("byte"));
    }
}

/// Whether the engine takes a pattern.
fn is_pattern(pattern: &str) -> bool {
    jsonschema::options()
        .build(&json!({ "pattern": pattern }))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether an alternative is told apart by names, and whether the document lists them.
    #[test]
    fn names_of_alternatives() {
        let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        let document = json!({ "components": { "schemas": {
            "Cat": { "type": "object", "properties": { "kind": { "type": "string" } } },
            "Dog": { "type": "object", "properties": { "kind": { "enum": ["dog", "puppy"] } } },
        } } });
        let both = json!([reference("Cat"), reference("Dog")]);
        let rows = [
            (json!({ "oneOf": both }), None),
            (
                json!({ "oneOf": both, "discriminator": { "propertyName": "kind" } }),
                Some((vec![vec!["Cat"], vec!["Dog", "dog", "puppy"]], false)),
            ),
            (
                json!({ "oneOf": both, "discriminator": { "propertyName": "kind", "mapping": { "cat": "Cat" } } }),
                Some((vec![vec!["Cat", "cat"], vec!["Dog", "dog", "puppy"]], true)),
            ),
            (
                json!({ "oneOf": [reference("Dog"), { "type": "null" }], "discriminator": { "propertyName": "kind" } }),
                Some((vec![vec!["Dog", "dog", "puppy"], vec![]], true)),
            ),
            // An alternative without a name, and a name for two.
            (
                json!({ "oneOf": [reference("Dog"), { "type": "object" }], "discriminator": { "propertyName": "kind" } }),
                None,
            ),
            (
                json!({ "oneOf": both, "discriminator": { "propertyName": "kind", "mapping": { "puppy": "#/components/schemas/Cat" } } }),
                None,
            ),
        ];
        let adapt = Adapt {
            document: &document,
            left_out: "readOnly",
        };
        for (schema, expected) in rows {
            let Value::Object(schema) = schema else {
                unreachable!()
            };
            let found = adapt.alternatives(&schema, "oneOf");
            let found = found.map(|found| (found.tags, found.are_listed));
            let expected = expected.map(|(tags, are_listed)| {
                let owned = |own: Vec<&str>| own.into_iter().map(str::to_owned).collect();
                (tags.into_iter().map(owned).collect(), are_listed)
            });
            assert_eq!(found, expected, "{schema:?}");
        }
    }
}
