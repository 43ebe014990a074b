//! What a JSON Schema says of the shape of values, without what it says of anything else.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::plain::whole;

/// Alternatives that one schema can have; what goes beyond is not looked at.
const ALTERNATIVES_MAX: usize = 64;
/// References and combinations that are followed into one another.
const DEPTH_MAX: usize = 32;

/// Marks the property by which the alternatives of a choice are told apart, where the document says so itself.
const TAG: &str = "x-memgen-tag";

/// The schema of a type, with the definitions that it refers to.
pub(super) struct Schemas {
    root: Value,
}

/// One of the shapes that a value can have.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A type with a name, and a structure of its own.
    Named(String),
    /// An object.
    Object(Map<String, Value>),
    /// A list of values of a schema.
    List(Value),
    /// So many values, of these schemas.
    Tuple(Vec<Value>),
}

/// What a schema says.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Kinds of plain values that it allows.
    pub(super) kinds: BTreeSet<&'static str>,
    /// The values that it lists.
    pub(super) values: Vec<Value>,
    /// Whether these tell alternatives apart, so that nothing else can stand there.
    pub(super) is_tag: bool,
    /// Values that it shows: examples and defaults.
    pub(super) examples: Vec<Value>,
    pub(super) formats: Vec<String>,
    pub(super) patterns: Vec<String>,
    /// The least and the greatest number.
    pub(super) bounds: (Option<i128>, Option<i128>),
    /// Whether texts have one character.
    pub(super) one_character: bool,
    pub(super) shapes: Vec<Shape>,
}

/// All kinds of plain values.
const KINDS: [&str; 5] = ["null", "boolean", "integer", "number", "string"];

/// Keywords that hold alternatives, or lead elsewhere.
const COMBINING: [&str; 5] = ["$ref", "allOf", "oneOf", "anyOf", "discriminator"];

impl Schemas {
    /// A root schema; its definitions are in `$defs`.
    pub(super) fn new(root: Value) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    /// The name of the whole type.
    pub(super) fn title(&self) -> String {
        let title = self.root.get("title").and_then(Value::as_str);
        title.unwrap_or("Value").to_owned()
    }

    /// The schema with a name.
    pub(super) fn named(&self, name: &str) -> Option<&Value> {
        if name == self.title() {
            return Some(&self.root);
        }
        self.root.get("$defs")?.get(name)
    }

    /// The name behind a reference.
    fn name(&self, reference: &str) -> String {
        let last = reference.rsplit('/').next().unwrap_or_default();
        if reference == "#" {
            return self.title();
        }
        last.replace("~1", "/").replace("~0", "~")
    }

    /// What a schema says.
    pub(super) fn outline(&self, schema: &Value) -> Outline {
        let mut outline = Outline::default();
        for alternative in self.alternatives(schema, 0) {
            match alternative {
                Alternative::Named(name) if self.has_structure(&name, 0) => {
                    outline.add(Shape::Named(name));
                }
                Alternative::Named(name) => {
                    // A name for plain values: they say themselves what they are.
                    if let Some(target) = self.named(&name) {
                        for inner in self.flat(target, 0) {
                            outline.read(&inner);
                        }
                    }
                }
                Alternative::Flat(map) => outline.read(&map),
            }
        }
        outline
    }

    /// The objects among the alternatives of a schema, through all names.
    pub(super) fn objects(&self, shape: &Shape) -> Vec<Map<String, Value>> {
        match shape {
            Shape::Object(map) => vec![map.clone()],
            Shape::Named(name) => {
                let flat = self.named(name).map(|target| self.flat(target, 0));
                let mut objects = flat.unwrap_or_default();
                objects.retain(is_object);
                objects
            }
            Shape::List(_) | Shape::Tuple(_) => Vec::new(),
        }
    }

    fn has_structure(&self, name: &str, depth: usize) -> bool {
        let Some(target) = self.named(name).filter(|_| depth < DEPTH_MAX) else {
            return false;
        };
        self.alternatives(target, depth).iter().any(|it| match it {
            Alternative::Named(inner) => self.has_structure(inner, depth + 1),
            Alternative::Flat(map) => is_object(map) || is_list(map),
        })
    }

    /// The alternatives of a schema, with what is behind names in their place.
    fn flat(&self, schema: &Value, depth: usize) -> Vec<Map<String, Value>> {
        let mut flat = Vec::new();
        for alternative in self.alternatives(schema, depth) {
            match alternative {
                Alternative::Flat(map) => flat.push(map),
                Alternative::Named(name) => {
                    if let Some(target) = self.named(&name).filter(|_| depth < DEPTH_MAX) {
                        flat.extend(self.flat(target, depth + 1));
                    }
                }
            }
            flat.truncate(ALTERNATIVES_MAX);
        }
        flat
    }

    fn alternatives(&self, schema: &Value, depth: usize) -> Vec<Alternative> {
        let Some(map) = schema.as_object() else {
            return match schema {
                Value::Bool(false) => Vec::new(),
                _ => vec![Alternative::Flat(Map::new())],
            };
        };
        let mut own = map.clone();
        own.retain(|keyword, _| !COMBINING.contains(&keyword.as_str()));
        let mut found = vec![Alternative::Flat(own)];
        if depth >= DEPTH_MAX {
            return found;
        }
        if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
            found = self.both(&found, &[Alternative::Named(self.name(reference))], depth);
        }
        for part in list(map, "allOf") {
            found = self.both(&found, &self.alternatives(part, depth + 1), depth);
        }
        for keyword in ["oneOf", "anyOf"] {
            let choices = list(map, keyword);
            if choices.is_empty() {
                continue;
            }
            let mut all = Vec::new();
            for choice in choices {
                let tag = tag(map, choice);
                let mut alternatives = self.alternatives(choice, depth + 1);
                if let Some(tag) = tag {
                    alternatives = self.both(&alternatives, &[Alternative::Flat(tag)], depth);
                }
                all.extend(alternatives);
                all.truncate(ALTERNATIVES_MAX);
            }
            found = self.both(&found, &all, depth);
        }
        found
    }

    /// What both say, for each pair.
    fn both(&self, left: &[Alternative], right: &[Alternative], depth: usize) -> Vec<Alternative> {
        let mut all = Vec::new();
        for one in left {
            for two in right {
                match (one, two) {
                    (Alternative::Flat(map), other) if says_nothing(map) => all.push(other.clone()),
                    (other, Alternative::Flat(map)) if says_nothing(map) => all.push(other.clone()),
                    (one, two) => {
                        let (one, two) = (self.spread(one, depth), self.spread(two, depth));
                        for one in &one {
                            for two in &two {
                                all.push(Alternative::Flat(merge(one.clone(), two)));
                                if all.len() >= ALTERNATIVES_MAX {
                                    return all;
                                }
                            }
                        }
                    }
                }
            }
        }
        all.truncate(ALTERNATIVES_MAX);
        all
    }

    fn spread(&self, alternative: &Alternative, depth: usize) -> Vec<Map<String, Value>> {
        match alternative {
            Alternative::Flat(map) => vec![map.clone()],
            Alternative::Named(name) => match self.named(name) {
                Some(target) if depth < DEPTH_MAX => self.flat(target, depth + 1),
                _ => vec![Map::new()],
            },
        }
    }
}

#[derive(Clone, Debug)]
enum Alternative {
    Named(String),
    Flat(Map<String, Value>),
}

/// What a document says itself of how an alternative is known: the property, and its values.
fn tag(choice: &Map<String, Value>, alternative: &Value) -> Option<Map<String, Value>> {
    let discriminator = choice.get("discriminator")?;
    let property = discriminator.get("propertyName")?.as_str()?;
    let reference = alternative.get("$ref").and_then(Value::as_str)?;
    let name = reference.rsplit('/').next()?;
    let mapping = discriminator.get("mapping").and_then(Value::as_object);
    // References were rewritten to definitions, while the mapping is as the document has it.
    let means = |target: &Value| {
        let target = target.as_str().unwrap_or_default();
        target == reference || target.rsplit('/').next() == Some(name)
    };
    let mut values: Vec<&str> = mapping
        .into_iter()
        .flatten()
        .filter(|(_, target)| means(target))
        .map(|(value, _)| value.as_str())
        .collect();
    if values.is_empty() {
        values.push(name);
    }
    let tag = json!({
        "type": "object",
        "properties": {property: {"type": "string", "enum": values, TAG: true}},
        "required": [property],
    });
    tag.as_object().cloned()
}

/// Keywords that say nothing of values.
fn says_nothing(map: &Map<String, Value>) -> bool {
    const ABOUT: [&str; 12] = [
        "title",
        "description",
        "deprecated",
        "readOnly",
        "writeOnly",
        "example",
        "examples",
        "default",
        "$comment",
        "$schema",
        "$defs",
        "externalDocs",
    ];
    map.keys()
        .all(|keyword| ABOUT.contains(&keyword.as_str()) || keyword.starts_with("x-"))
}

/// A schema that says what both say.
fn merge(mut one: Map<String, Value>, two: &Map<String, Value>) -> Map<String, Value> {
    for (keyword, value) in two {
        let Some(mine) = one.get_mut(keyword) else {
            one.insert(keyword.clone(), value.clone());
            continue;
        };
        match (keyword.as_str(), mine, value) {
            ("properties" | "patternProperties", Value::Object(mine), Value::Object(theirs)) => {
                for (name, schema) in theirs {
                    let both = match mine.get(name) {
                        Some(known) if known != schema && schema.get(TAG).is_none() => {
                            json!({"allOf": [known, schema]})
                        }
                        _ => schema.clone(),
                    };
                    mine.insert(name.clone(), both);
                }
            }
            ("required", Value::Array(mine), Value::Array(theirs)) => {
                for name in theirs {
                    if !mine.contains(name) {
                        mine.push(name.clone());
                    }
                }
            }
            // An object that closes itself off is one part of a whole that has more.
            ("additionalProperties" | "unevaluatedProperties", mine, theirs)
                if *mine == Value::Bool(false) =>
            {
                *mine = theirs.clone();
            }
            _ => {}
        }
    }
    one
}

fn list<'m>(map: &'m Map<String, Value>, keyword: &str) -> &'m [Value] {
    map.get(keyword)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The types that a schema names; none if it names none.
fn types(map: &Map<String, Value>) -> Vec<&str> {
    match map.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_object(map: &Map<String, Value>) -> bool {
    let types = types(map);
    let keywords = [
        "properties",
        "additionalProperties",
        "patternProperties",
        "unevaluatedProperties",
        "required",
    ];
    types.contains(&"object")
        || (types.is_empty() && keywords.iter().any(|keyword| map.contains_key(*keyword)))
}

fn is_list(map: &Map<String, Value>) -> bool {
    let types = types(map);
    types.contains(&"array")
        || (types.is_empty() && (map.contains_key("items") || map.contains_key("prefixItems")))
}

impl Outline {
    fn add(&mut self, shape: Shape) {
        if !self.shapes.contains(&shape) {
            self.shapes.push(shape);
        }
    }

    /// What says nothing.
    pub(super) fn open() -> Self {
        Self {
            kinds: KINDS.into(),
            ..Self::default()
        }
    }

    /// Whether it says nothing at all of what a value is.
    pub(super) fn is_open(&self) -> bool {
        self.kinds.len() == KINDS.len() && self.values.is_empty() && self.shapes.is_empty()
    }

    fn read(&mut self, map: &Map<String, Value>) {
        let (object, list) = (is_object(map), is_list(map));
        if object {
            self.add(Shape::Object(map.clone()));
        }
        if list {
            let item = || map.get("items").cloned().unwrap_or(Value::Bool(true));
            self.add(match map.get("prefixItems").and_then(Value::as_array) {
                Some(prefix) => Shape::Tuple(prefix.clone()),
                // An array of a fixed length.
                None => match (length(map, "minItems"), length(map, "maxItems")) {
                    (Some(least), Some(most)) if least == most && least <= ALTERNATIVES_MAX => {
                        Shape::Tuple(vec![item(); least])
                    }
                    (_, Some(0)) => Shape::Tuple(Vec::new()),
                    _ => Shape::List(item()),
                },
            });
        }
        let values: Vec<Value> = match (map.get("const"), map.get("enum")) {
            (Some(value), _) => vec![value.clone()],
            (None, Some(Value::Array(values))) => values.clone(),
            _ => Vec::new(),
        };
        let named = types(map);
        for kind in KINDS {
            let listed = values.iter().any(|value| kind_of(value) == kind);
            let by_type = named.contains(&kind) && (values.is_empty() || listed);
            let unsaid = named.is_empty() && !object && !list && (values.is_empty() || listed);
            if by_type || unsaid {
                self.kinds.insert(kind);
            }
        }
        self.is_tag |= map.contains_key(TAG);
        self.values.extend(values);
        for keyword in ["default", "example"] {
            self.examples.extend(map.get(keyword).cloned());
        }
        if let Some(Value::Array(examples)) = map.get("examples") {
            self.examples.extend(examples.iter().cloned());
        }
        let text = |keyword| map.get(keyword).and_then(Value::as_str).map(str::to_owned);
        self.formats.extend(text("format"));
        self.patterns.extend(text("pattern"));
        let bound = |keyword| map.get(keyword).and_then(whole);
        self.bounds.0 = self.bounds.0.or(bound("minimum"));
        self.bounds.1 = self.bounds.1.or(bound("maximum"));
        self.one_character |=
            length(map, "minLength") == Some(1) && length(map, "maxLength") == Some(1);
    }
}

fn length(map: &Map<String, Value>, keyword: &str) -> Option<usize> {
    map.get(keyword)?.as_u64()?.try_into().ok()
}

/// The kind of a plain value; that of an object or a list is none of [`KINDS`].
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) | Value::Object(_) => "structure",
    }
}
