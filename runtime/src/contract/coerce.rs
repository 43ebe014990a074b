//! Texts of parameters and forms as the JSON that their schema asks for.

use serde_json::{Map, Number, Value};

use super::schema::Schema;

/// What a schema takes, as far as reading texts depends on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kinds {
    names: Vec<&'static str>,
}

/// In the order in which a text is tried.
const KINDS: [&str; 7] = [
    "integer", "number", "boolean", "null", "string", "array", "object",
];

/// How deep alternatives of alternatives are looked at.
const DEPTH_MAX: usize = 8;

impl Kinds {
    /// The kinds of JSON that a schema lets through.
    pub(crate) fn of(schema: Schema<'_>) -> Self {
        let mut kinds = Self::default();
        kinds.collect(schema, 0);
        kinds
    }

    fn collect(&mut self, schema: Schema<'_>, depth: usize) {
        let types = schema.types();
        let mut add = |name: &str| {
            if let Some(name) = KINDS.iter().find(|known| **known == name)
                && !self.names.contains(name)
            {
                self.names.push(name);
            }
        };
        for name in &types {
            add(name);
        }
        if types.is_empty() {
            let values = schema.keyword("enum").and_then(Value::as_array);
            let values = values.into_iter().flatten().chain(schema.keyword("const"));
            for value in values {
                add(kind(value));
            }
            if schema.keyword("properties").is_some() {
                add("object");
            }
            if schema.keyword("items").is_some() {
                add("array");
            }
            if depth < DEPTH_MAX {
                for alternative in schema.alternatives() {
                    self.collect(alternative, depth + 1);
                }
            }
        }
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    pub(crate) fn list(&self) -> bool {
        self.has("array")
    }

    pub(crate) fn object(&self) -> bool {
        self.has("object") && !self.has("array")
    }

    /// Whether nothing is known of them.
    pub(crate) fn nothing(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether there are texts among them.
    pub(crate) fn text(&self) -> bool {
        self.has("string")
    }

    /// Whether there are no lists and no objects among them.
    pub(crate) fn scalar(&self) -> bool {
        !self.names.is_empty() && !self.has("array") && !self.has("object")
    }

    /// Whether a value can be of both. What may be anything is of each kind.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let number = |name: &str| matches!(name, "integer" | "number");
        let own = self.names.iter().filter(|name| **name != "null");
        let mut own = own.peekable();
        let mut others = other
            .names
            .iter()
            .filter(|name| **name != "null")
            .peekable();
        if own.peek().is_none() || others.peek().is_none() {
            return true;
        }
        let others: Vec<_> = others.collect();
        own.any(|one| {
            others
                .iter()
                .any(|other| one == *other || (number(one) && number(other)))
        })
    }

    /// A text as the first kind that it can be. `None` if it can be none of them.
    pub(crate) fn read(&self, text: &str) -> Option<Value> {
        if self.names.is_empty() {
            return Some(Value::String(text.to_owned()));
        }
        KINDS
            .iter()
            .filter(|name| self.has(name))
            .find_map(|name| match *name {
                "integer" => integer(text),
                "number" => number(text),
                "boolean" => match text {
                    "true" => Some(Value::Bool(true)),
                    "false" => Some(Value::Bool(false)),
                    _ => None,
                },
                "null" => matches!(text, "null" | "").then_some(Value::Null),
                "string" => Some(Value::String(text.to_owned())),
                _ => None,
            })
    }

    /// What a text should have been, for messages.
    pub(crate) fn expected(&self) -> String {
        let names = KINDS
            .iter()
            .filter(|name| self.has(name))
            .map(|name| match *name {
                "integer" => "an integer",
                "number" => "a number",
                "boolean" => "`true` or `false`",
                "null" => "null",
                "array" => "a list",
                "object" => "an object",
                _ => "a text",
            });
        names.collect::<Vec<_>>().join(" or ")
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Digits with a sign before them; `+7` and ` 7` are texts.
fn integer(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain {
        return None;
    }
    let number = text
        .parse::<i64>()
        .map(Number::from)
        .or_else(|_| text.parse::<u64>().map(Number::from));
    number.ok().map(Value::Number)
}

/// A number as JSON writes it.
fn number(text: &str) -> Option<Value> {
    let parsed: Value = serde_json::from_str(text).ok()?;
    (parsed.is_number() && !text.starts_with(char::is_whitespace)).then_some(parsed)
}

/// Reads the texts of a list by the schema of its items.
pub(crate) fn list(
    schema: Schema<'_>,
    texts: impl IntoIterator<Item = String>,
) -> Result<Value, String> {
    let kinds = schema.any_items().map(Kinds::of).unwrap_or_default();
    texts
        .into_iter()
        .map(|text| {
            kinds
                .read(&text)
                .ok_or_else(|| format!("`{text}` is not {}", kinds.expected()))
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Value::Array)
}

/// Reads names and texts by the schemas of the properties. A property that is a list takes a name several times.
pub(crate) fn object(
    schema: Schema<'_>,
    pairs: impl IntoIterator<Item = (String, String)>,
) -> Result<Value, String> {
    let mut fields = Map::new();
    for (name, text) in pairs {
        let value = field(schema, &name, &text)?;
        match fields.get_mut(&name) {
            Some(Value::Array(items)) => match value {
                Value::Array(more) => items.extend(more),
                other => items.push(other),
            },
            _ => drop(fields.insert(name, value)),
        }
    }
    Ok(Value::Object(fields))
}

fn field(schema: Schema<'_>, name: &str, text: &str) -> Result<Value, String> {
    let Some(property) = schema.any_property(name) else {
        return Ok(Value::String(text.to_owned()));
    };
    let kinds = Kinds::of(property);
    if kinds.list() {
        return list(property, [text.to_owned()]);
    }
    kinds
        .read(text)
        .ok_or_else(|| format!("`{name}`: `{text}` is not {}", kinds.expected()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_become_what_the_schema_says() {
        let document = json!({ "components": { "schemas": {
            "Id": { "type": "integer" },
            "Either": { "oneOf": [{ "type": "boolean" }, { "$ref": "#/components/schemas/Id" }] },
            "Level": { "enum": [1, 2, "high"] },
            "Endless": { "anyOf": [{ "$ref": "#/components/schemas/Endless" }] },
        } } });
        let rows = [
            (json!({ "type": "integer" }), "7", Some(json!(7))),
            (json!({ "type": "integer" }), "-7", Some(json!(-7))),
            (
                json!({ "type": "integer" }),
                "18446744073709551615",
                Some(json!(u64::MAX)),
            ),
            (json!({ "type": "integer" }), "+7", None),
            (json!({ "type": "integer" }), "7.0", None),
            (json!({ "type": "integer" }), "", None),
            (json!({ "type": "number" }), "1e3", Some(json!(1000.0))),
            (json!({ "type": "number" }), "NaN", None),
            (json!({ "type": "number" }), " 1", None),
            (json!({ "type": "boolean" }), "true", Some(json!(true))),
            (json!({ "type": "boolean" }), "True", None),
            (json!({ "type": "string" }), "7", Some(json!("7"))),
            (
                json!({ "type": ["integer", "null"] }),
                "",
                Some(json!(null)),
            ),
            (
                json!({ "type": ["string", "integer"] }),
                "x7",
                Some(json!("x7")),
            ),
            (
                json!({ "$ref": "#/components/schemas/Either" }),
                "7",
                Some(json!(7)),
            ),
            (
                json!({ "$ref": "#/components/schemas/Either" }),
                "false",
                Some(json!(false)),
            ),
            (
                json!({ "$ref": "#/components/schemas/Level" }),
                "2",
                Some(json!(2)),
            ),
            (
                json!({ "$ref": "#/components/schemas/Level" }),
                "high",
                Some(json!("high")),
            ),
            (
                json!({ "$ref": "#/components/schemas/Endless" }),
                "x",
                Some(json!("x")),
            ),
            (json!({}), "7", Some(json!("7"))),
        ];
        for (schema, text, value) in rows {
            let kinds = Kinds::of(Schema::new(&document, &schema));
            assert_eq!(kinds.read(text), value, "{schema} {text}");
        }
        assert_eq!(
            Kinds::of(Schema::new(
                &document,
                &json!({ "type": ["boolean", "integer"] })
            ))
            .expected(),
            "an integer or `true` or `false`"
        );
    }
}
