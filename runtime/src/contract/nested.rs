//! Names with brackets, as in `address[city]=Ulm` and `items[0][price]=3`, as the JSON that a schema asks for.

use serde_json::{Map, Value};

use super::{coerce::Kinds, parameters::escape, schema::Schema};

/// The deepest nesting of names.
const DEPTH_MAX: usize = 16;

/// What was written under one name.
#[derive(Debug, Default)]
pub(super) struct Nested {
    texts: Vec<String>,
    parts: Vec<(String, Nested)>,
}

/// What can't be read: its JSON pointer, and why.
pub(super) type Unread = (String, String);

impl Nested {
    /// Adds a text under a name of several parts.
    pub(super) fn put(&mut self, path: &[&str], text: &str) -> Result<(), Unread> {
        if path.len() > DEPTH_MAX {
            let why = format!("is nested deeper than {DEPTH_MAX} levels");
            return Err((String::new(), why));
        }
        let mut place = self;
        for name in path {
            let known = place.parts.iter().position(|(known, _)| known == name);
            let index = known.unwrap_or_else(|| {
                place.parts.push(((*name).to_owned(), Self::default()));
                place.parts.len() - 1
            });
            place = &mut place.parts[index].1;
        }
        place.texts.push(text.to_owned());
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.parts.is_empty()
    }

    /// The parts as the properties that the schema has.
    pub(super) fn read_object(self, schema: Schema<'_>) -> Result<Map<String, Value>, Unread> {
        object(self.parts, schema)
    }

    /// The value that the schema asks for.
    pub(super) fn read(self, schema: Schema<'_>) -> Result<Value, Unread> {
        let kinds = Kinds::of(schema);
        match (self.texts.is_empty(), self.parts.is_empty()) {
            (_, true) => texts(self.texts, &kinds, schema),
            (false, false) => Err(wrong("is a value, and has parts as well")),
            (true, false) => {
                let numbered = |(name, _): &(String, Self)| {
                    name.is_empty() || name.bytes().all(|byte| byte.is_ascii_digit())
                };
                if kinds.list() || (self.parts.iter().all(numbered) && !kinds.object()) {
                    list(self.parts, schema)
                } else {
                    object(self.parts, schema).map(Value::Object)
                }
            }
        }
    }

    /// `a[][b]=1&a[][c]=2&a[][b]=3` are two items: a name that comes again begins another one.
    fn spread(self) -> Vec<Self> {
        let one = |text: String| Self {
            texts: vec![text],
            parts: Vec::new(),
        };
        let mut items: Vec<Self> = self.texts.into_iter().map(one).collect();
        for (name, part) in self.parts {
            let several = if part.parts.is_empty() {
                part.texts.into_iter().map(one).collect()
            } else {
                vec![part]
            };
            for (index, part) in several.into_iter().enumerate() {
                if index == items.len() {
                    items.push(Self::default());
                }
                items[index].parts.push((name.clone(), part));
            }
        }
        items
    }
}

fn wrong(why: impl Into<String>) -> Unread {
    (String::new(), why.into())
}

fn below(name: &str, (pointer, why): Unread) -> Unread {
    (format!("/{}{pointer}", escape(name)), why)
}

fn texts(mut texts: Vec<String>, kinds: &Kinds, schema: Schema<'_>) -> Result<Value, Unread> {
    // Nothing, where a text may stand for the list.
    let is_none = texts.len() == 1 && texts[0].is_empty() && kinds.text();
    if (kinds.list() && !is_none) || (texts.len() > 1 && kinds.nothing()) {
        return super::coerce::list(schema, texts).map_err(wrong);
    }
    if texts.len() > 1 {
        return Err(wrong("is given more than once"));
    }
    let text = texts.pop().unwrap_or_default();
    if kinds.object() && text.starts_with('{') {
        return serde_json::from_str(&text).map_err(|error| wrong(format!("is not JSON: {error}")));
    }
    kinds
        .read(&text)
        .ok_or_else(|| wrong(format!("`{text}` is not {}", kinds.expected())))
}

fn list(mut parts: Vec<(String, Nested)>, schema: Schema<'_>) -> Result<Value, Unread> {
    // In the order of their numbers, whichever those are; those without one as they came.
    parts.sort_by_key(|(name, _)| name.parse::<u64>().unwrap_or(u64::MAX));
    let anything = Value::Bool(true);
    let item = schema
        .any_items()
        .unwrap_or(Schema::new(schema.document, &anything));
    let mut items = Vec::new();
    for (name, part) in parts {
        let several = if name.is_empty() {
            part.spread()
        } else {
            vec![part]
        };
        for part in several {
            let index = items.len().to_string();
            items.push(part.read(item).map_err(|error| below(&index, error))?);
        }
    }
    Ok(Value::Array(items))
}

fn object(parts: Vec<(String, Nested)>, schema: Schema<'_>) -> Result<Map<String, Value>, Unread> {
    let anything = Value::Bool(true);
    let mut fields = Map::new();
    for (name, part) in parts {
        let inner = schema
            .any_property(&name)
            .unwrap_or(Schema::new(schema.document, &anything));
        let value = part.read(inner).map_err(|error| below(&name, error))?;
        fields.insert(name, value);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(schema: &Value, pairs: &str) -> Result<Value, String> {
        let mut nested = Nested::default();
        for pair in pairs.split('&') {
            let (name, text) = pair.split_once('=').unwrap();
            let names = name.replace(']', "");
            let path: Vec<&str> = names.split('[').collect();
            nested.put(&path, text).map_err(|(_, why)| why)?;
        }
        nested
            .read(Schema::new(schema, schema))
            .map_err(|(pointer, why)| format!("{pointer} {why}"))
    }

    #[test]
    fn names_become_values() {
        let schema = json!({ "type": "object", "properties": {
            "n": { "type": "integer" }, "t": { "type": "array", "items": { "type": "integer" } },
            "a": { "type": "object", "properties": { "city": { "type": "string" }, "zip": { "type": "integer" } } },
            "i": { "type": "array", "items": { "type": "object", "properties": { "p": { "type": "integer" }, "q": { "type": "string" } } } },
            "e": { "anyOf": [{ "type": "array", "items": { "type": "integer" } }, { "enum": [""] }] },
            "m": { "type": "object", "additionalProperties": { "type": "boolean" } },
        } });
        for (pairs, expected) in [
            ("n=1", json!({ "n": 1 })),
            ("t=1", json!({ "t": [1] })),
            ("t=1&t=2", json!({ "t": [1, 2] })),
            ("t[]=1&t[]=2", json!({ "t": [1, 2] })),
            ("t[1]=1&t[0]=2", json!({ "t": [2, 1] })),
            (
                "a[city]=Ulm&a[zip]=7",
                json!({ "a": { "city": "Ulm", "zip": 7 } }),
            ),
            ("a={\"zip\":7}", json!({ "a": { "zip": 7 } })),
            (
                "i[7][p]=1&i[7][q]=x&i[2][p]=3",
                json!({ "i": [{ "p": 3 }, { "p": 1, "q": "x" }] }),
            ),
            (
                "i[][p]=1&i[][q]=x&i[][p]=3",
                json!({ "i": [{ "p": 1, "q": "x" }, { "p": 3 }] }),
            ),
            ("e=", json!({ "e": "" })),
            ("e[]=1", json!({ "e": [1] })),
            ("m[x]=true", json!({ "m": { "x": true } })),
            ("new=1", json!({ "new": "1" })),
            ("new=1&new=2", json!({ "new": ["1", "2"] })),
            ("new[a]=1", json!({ "new": { "a": "1" } })),
            ("new[0]=1", json!({ "new": ["1"] })),
        ] {
            assert_eq!(read(&schema, pairs), Ok(expected), "{pairs}");
        }
        for (pairs, expected) in [
            ("n=x", "/n `x` is not an integer"),
            ("n=1&n=2", "/n is given more than once"),
            ("a[zip]=x", "/a/zip `x` is not an integer"),
            ("i[0][p]=1&i[3][p]=x", "/i/1/p `x` is not an integer"),
            ("a=1&a[zip]=2", "/a is a value, and has parts as well"),
            (
                "a={",
                "/a is not JSON: EOF while parsing an object at line 1 column 1",
            ),
        ] {
            assert_eq!(read(&schema, pairs), Err(expected.to_owned()), "{pairs}");
        }
        let deep = format!("a{}=1", "[b]".repeat(DEPTH_MAX));
        assert!(read(&schema, &deep).is_err());
    }
}
