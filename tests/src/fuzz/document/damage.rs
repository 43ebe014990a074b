//! Documents with a few things wrong: byte by byte, as an accident would do it, and value by value, as an author would.

use std::{fs, path::PathBuf};

use memgen_cli::{diagnostic::Diagnostics, spec};
use serde_json::{Value, json};

use super::{schema, short::shorten};
use crate::{Random, fuzz::below, project::repository};

/// Words that mean something somewhere.
const WORDS: [&str; 44] = [
    "$ref",
    "'#/components/schemas/Pet'",
    "'#'",
    "'#/paths'",
    "allOf",
    "oneOf",
    "anyOf",
    "not",
    "items",
    "properties",
    "additionalProperties",
    "required",
    "enum",
    "type",
    "format",
    "discriminator",
    "nullable",
    "const",
    "null",
    "true",
    "-1",
    "1e999",
    "99999999999999999999",
    "{}",
    "[]",
    "''",
    "\"\\u0000\"",
    "&a",
    "*a",
    "<<: *a",
    "? ",
    "- ",
    ": ",
    "|",
    ">-",
    "parameters",
    "responses",
    "content",
    "schema",
    "in: path",
    "x-memgen-action: handler",
    "x-memgen-state",
    "r#type",
    "*/ fn main() {} /*",
];

/// What is damaged: the repository's own documents.
pub(super) struct Corpus {
    texts: Vec<Vec<u8>>,
    /// The same as values, in OpenAPI 3.0 and in 3.1.
    values: Vec<Value>,
}

impl Corpus {
    pub(super) fn read() -> Self {
        let root = repository();
        let mut paths: Vec<PathBuf> = vec![root.join("examples/petstore/openapi.yaml")];
        let more = fs::read_dir(root.join("tests/specs"));
        paths.extend(more.into_iter().flatten().flatten().map(|it| it.path()));
        paths.sort();
        let mut corpus = Self {
            texts: Vec::new(),
            values: Vec::new(),
        };
        for path in paths {
            let text = fs::read(&path).unwrap_or_default();
            let name = path.to_string_lossy();
            let (_, spec) = spec::read_bytes(&name, &text, &mut Diagnostics::default());
            let spec = spec.unwrap_or_else(|| panic!("{name} is no document to damage"));
            corpus.texts.push(text);
            corpus.values.push(spec.tree.to_json());
            corpus.values.push(spec.document);
        }
        corpus
    }

    /// The document of a seed.
    pub(super) fn damaged(&self, seed: u64) -> Vec<u8> {
        let mut random = Random::from_seed(seed);
        if random.below(4) == 0 {
            self.bytes(&mut random)
        } else {
            self.value(&mut random)
        }
    }

    fn bytes(&self, random: &mut Random) -> Vec<u8> {
        let pick = |random: &mut Random| self.texts[below(random, self.texts.len())].clone();
        let mut document = pick(random);
        for _ in 0..=below(random, 6) {
            let at = below(random, document.len() + 1);
            match below(random, 7) {
                0 => {
                    if let Some(byte) = document.get_mut(at) {
                        *byte ^= 1 << below(random, 8);
                    }
                }
                1 => {
                    let end = (at + below(random, 200)).min(document.len());
                    document.drain(at..end);
                }
                2 => {
                    let end = (at + below(random, 2000)).min(document.len());
                    let copy = document[at..end].to_vec();
                    let to = below(random, document.len() + 1);
                    document.splice(to..to, copy);
                }
                3 => {
                    document.splice(at..at, word(random).bytes());
                }
                // A word takes the place of another one.
                4 | 5 => {
                    let inner = |byte: &u8| byte.is_ascii_alphanumeric();
                    let from = document[..at].iter().rposition(|byte| !inner(byte));
                    let to = document[at..].iter().position(|byte| !inner(byte));
                    let to = to.map_or(document.len(), |place| at + place);
                    let from = from.map_or(0, |place| place + 1);
                    document.splice(from..to, word(random).bytes());
                }
                // A line of another document, as deep as it is there.
                _ => {
                    let other = pick(random);
                    let lines: Vec<&[u8]> = other.split(|byte| *byte == b'\n').collect();
                    let line = [lines[below(random, lines.len())], b"\n"].concat();
                    let start = document[..at].iter().rposition(|byte| *byte == b'\n');
                    let start = start.map_or(0, |place| place + 1);
                    document.splice(start..start, line);
                }
            }
        }
        document
    }

    /// It stays a document: so what comes after the reader is reached.
    fn value(&self, random: &mut Random) -> Vec<u8> {
        let pick = |random: &mut Random| &self.values[below(random, self.values.len())];
        let mut document = pick(random).clone();
        if random.below(4) > 0 {
            shorten(&mut document, random);
        }
        for _ in 0..=below(random, 8) {
            if random.below(2) == 0 {
                schema::mix(&mut document, random);
                continue;
            }
            let new = match below(random, 8) {
                0 => Value::Null,
                1 => plain(random),
                2 => json!({ "$ref": reference(&document, random) }),
                // Something of this or of another document, often a schema.
                3..6 => {
                    let other = if random.below(2) == 0 {
                        &document
                    } else {
                        pick(random)
                    };
                    let at = some_place(other, random);
                    other.pointer(&at).cloned().unwrap_or_default()
                }
                6 => json!([plain(random), plain(random)]),
                _ => json!({ word(random): plain(random) }),
            };
            let at = some_place(&document, random);
            let Some(place) = document.pointer_mut(&at) else {
                continue;
            };
            match (below(random, 5), place) {
                (0, Value::Object(object)) => {
                    // It gets a name that is known elsewhere, or none.
                    let names: Vec<String> = object.keys().cloned().collect();
                    if !names.is_empty() {
                        let moved = object.remove(&names[below(random, names.len())]);
                        if random.below(2) == 0 {
                            object.insert(word(random).to_owned(), moved.unwrap_or_default());
                        }
                    }
                }
                (1, Value::Object(object)) => {
                    object.insert(word(random).to_owned(), new);
                }
                (1, Value::Array(items)) => items.push(new),
                (4, Value::Object(object)) if !object.is_empty() => {
                    // A name that is all but there, for something that is there.
                    let index = below(random, object.len());
                    let inner = object.iter().nth(index);
                    let inner =
                        inner.map(|(name, value)| (schema::twin(name, random), value.clone()));
                    object.extend(inner);
                }
                (4, Value::Array(items)) => {
                    let index = below(random, items.len());
                    let inner = items.get(index).and_then(Value::as_str);
                    let inner = inner.map(|inner| schema::twin(inner, random).into());
                    items.extend(inner);
                }
                (2, place @ Value::Object(_)) => {
                    // One more of its sort around it.
                    let around = [
                        "allOf",
                        "oneOf",
                        "anyOf",
                        "items",
                        "not",
                        "additionalProperties",
                    ];
                    let around = around[below(random, around.len())];
                    let inner = place.take();
                    let inner = if around.ends_with("Of") {
                        json!([inner, new])
                    } else {
                        inner
                    };
                    *place = json!({ around: inner });
                }
                // Both at once: what is for one kind of schema stands beside what is for another.
                (_, Value::Object(object)) if new.is_object() && random.below(2) == 0 => {
                    object.extend(new.as_object().cloned().unwrap_or_default());
                }
                (_, place) => *place = new,
            }
        }
        document.to_string().into_bytes()
    }
}

pub(super) fn word(random: &mut Random) -> &'static str {
    WORDS[below(random, WORDS.len())]
}

/// A value without members.
pub(super) fn plain(random: &mut Random) -> Value {
    match below(random, 6) {
        0 => json!(random.below(2) == 0),
        1 => json!(-1),
        2 => json!(1e300),
        3 => json!(u64::MAX),
        4 => json!(""),
        _ => json!(word(random).trim_matches('\'')),
    }
}

/// A reference to a component, or to anything else.
pub(super) fn reference(document: &Value, random: &mut Random) -> String {
    if random.below(4) == 0 {
        return format!("#{}", some_place(document, random));
    }
    let schemas = document.pointer("/components/schemas");
    let names: Vec<&String> = schemas
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|it| it.0)
        .collect();
    let name = names
        .get(below(random, names.len()))
        .map_or("Pet", |it| it.as_str());
    format!("#/components/schemas/{name}")
}

/// The JSON pointer of some value. One that is deeper is no less likely than one that is not.
pub(super) fn some_place(document: &Value, random: &mut Random) -> String {
    let schemas = "/components/schemas";
    let (mut at, mut here) = match document.pointer(schemas) {
        Some(inner) if random.below(2) == 0 => (schemas.to_owned(), inner),
        _ => (String::new(), document),
    };
    loop {
        let next = match here {
            Value::Object(object) => object
                .iter()
                .nth(below(random, object.len()))
                .map(|(name, inner)| (schema::escape(name), inner)),
            Value::Array(items) => {
                let index = below(random, items.len());
                items.get(index).map(|inner| (index.to_string(), inner))
            }
            _ => None,
        };
        let Some((part, inner)) = next.filter(|_| at.is_empty() || random.below(7) > 0) else {
            return at;
        };
        at = format!("{at}/{part}");
        here = inner;
    }
}
