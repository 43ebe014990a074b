//! Finds out how a type writes its values: its schema says where to look, and the type itself what is there.
//!
//! A schema alone is not enough. That of a document has limits which nobody enforces when the log is read, and says `required` of fields that the server fills
//! in; that of a struct does not know what `#[serde(with = …)]` does. So at each place values are tried: what is read, and what is written for it, is what counts.
//! Where nothing can be tried, since no value is found that the type reads at all, or since several shapes may stand at one place and an answer
//! would not say which of them gave it, the schema is believed; and where a document has so many types that it would take too long.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    candidate::{TRY_PARTS, readable, readable_shape, texts},
    classify::{believed, integers, plain, some_texts},
    node::{Fields, Layout, Node, Types, UNHEARD_OF, key_text},
    oracle::{Point, Reads, Step},
    outline::{Outline, Schemas, Shape},
    plain::{Plain, TEXTS},
};

/// What the schemas of a type say of it.
pub(super) struct Described {
    /// What it writes.
    pub(super) written: Value,
    /// What it reads.
    pub(super) read: Value,
}

/// How a type writes its values. `reads` is the type; without it the schemas are believed, and so they are of the field `checked`: what is kept there has
/// been checked by its schema.
pub(super) fn discover(
    described: Described,
    checked: Option<&str>,
    reads: Option<&Reads<'_>>,
) -> Layout {
    let schemas = Schemas::new(described.written);
    let read = Schemas::new(described.read);
    let title = schemas.title();
    let root = Point::root();
    let point = reads.and_then(|reads| {
        let value = readable(&read, read.root(), &root, reads);
        let value = value.or_else(|| readable(&schemas, schemas.root(), &root, reads));
        Some(root.based(value?))
    });
    let mut discovery = Discovery {
        schemas: &schemas,
        read: &read,
        reads,
        checked,
        types: Types::new(),
        tried: BTreeSet::new(),
        open: Vec::new(),
        trail: Vec::new(),
    };
    let value = discovery.named(&title, point.as_ref());
    let types = discovery.types;
    let mut layout = Layout { value, types };
    in_use(&mut layout);
    layout
}

struct Discovery<'d> {
    schemas: &'d Schemas,
    /// What is read, where that differs.
    read: &'d Schemas,
    reads: Option<&'d Reads<'d>>,
    /// The field of the whole whose schema is believed.
    checked: Option<&'d str>,
    types: Types,
    /// The types that were tried, not only read about.
    tried: BTreeSet<String>,
    /// The types inside of which this is.
    open: Vec<String>,
    /// The fields of the last of them inside of which this is.
    trail: Vec<String>,
}

impl Discovery<'_> {
    /// What the type writes for this value here; none if it does not read it, or leaves it out.
    fn echo(&self, point: &Point, value: Value) -> Option<Value> {
        self.schemas.work(TRY_PARTS);
        let written = (self.reads?)(&point.with(value)).ok()?;
        point.in_whole(&written).cloned()
    }

    /// The type with this name.
    fn named(&mut self, name: &str, point: Option<&Point>) -> Node {
        let node = Node::Plain(Plain::Type(name.to_owned()));
        let known = self.types.contains_key(name);
        if self.open.iter().any(|open| open == name)
            || (known && (point.is_none() || self.tried.contains(name)))
        {
            return node;
        }
        let Some(schema) = self.schemas.named(name).cloned() else {
            return Node::Plain(Plain::Any);
        };
        self.open.push(name.to_owned());
        let trail = std::mem::take(&mut self.trail);
        let found = self.place(&schema, point, 0);
        self.trail = trail;
        self.open.pop();
        if point.is_some() {
            self.tried.insert(name.to_owned());
        }
        self.types.insert(name.to_owned(), found);
        node
    }

    /// What is written at a place. `depth` counts the objects without names around it.
    fn place(&mut self, schema: &Value, point: Option<&Point>, depth: usize) -> Node {
        let point = point.filter(|_| !self.schemas.is_exhausted());
        if point.is_some_and(|point| self.is_any(point)) {
            return Node::Plain(Plain::Any);
        }
        let outline = self.schemas.outline(schema);
        let mut nodes = match point {
            Some(point) => plain(&outline, &|value| self.echo(point, value.clone())),
            None => believed(&outline),
        };
        if nodes.is_empty() && outline.shapes.is_empty() {
            nodes = match point {
                // The schema does not know better, or says something else than the type does; or what is written is not read.
                Some(point) => {
                    let echo = |value: &Value| self.echo(point, value.clone());
                    let others = plain(&Outline::open(), &echo);
                    if others.is_empty() && self.is_written(point) {
                        believed(&outline)
                    } else {
                        others
                    }
                }
                None => vec![Node::Plain(Plain::Any)],
            };
        }
        let ambiguous = self.is_ambiguous(&outline.shapes);
        for shape in &outline.shapes {
            let point = point.filter(|_| !ambiguous).and_then(|point| {
                let value = readable_shape(self.schemas, shape, point, self.reads?)?;
                Some(point.based(value))
            });
            let node = self.shape(shape, point.as_ref(), depth);
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
        match nodes.len() {
            1 => nodes.remove(0),
            _ => Node::OneOf { one_of: nodes },
        }
    }

    /// Whether there is something here, whatever it is, in what the type writes.
    fn is_written(&self, point: &Point) -> bool {
        let here = point.here().cloned().unwrap_or_default();
        self.echo(point, here).is_some()
    }

    fn is_any(&self, point: &Point) -> bool {
        let strange = [
            json!([{"memgen": 1}, "x", [null]]),
            json!({"memgen": [true, {}]}),
            json!(0.5),
            json!(UNHEARD_OF),
        ];
        strange
            .into_iter()
            .all(|value| self.echo(point, value.clone()).as_ref() == Some(&value))
    }

    fn shape(&mut self, shape: &Shape, point: Option<&Point>, depth: usize) -> Node {
        match shape {
            Shape::Named(name) => self.named(name, point),
            Shape::Object(map) => {
                let node = self.object(map, point, depth);
                match node {
                    // Each type is shown on its own, and none is nested deep.
                    Node::Fields(_) if depth > 0 => self.lifted(node),
                    node => node,
                }
            }
            Shape::List(schema) => {
                let inner = point.and_then(|point| self.inside(point, Step::Item(0), schema));
                let list = self.place(schema, inner.as_ref(), depth + 1);
                Node::List { list: list.into() }
            }
            Shape::Tuple(prefix) => {
                let tuple = prefix.iter().enumerate().map(|(index, schema)| {
                    let inner = point.map(|point| point.step(Step::Item(index)));
                    self.place(schema, inner.as_ref(), depth + 1)
                });
                Node::Tuple {
                    tuple: tuple.collect(),
                }
            }
        }
    }

    /// The place within, with a value there that can be read.
    fn inside(&self, point: &Point, step: Step, schema: &Value) -> Option<Point> {
        let inner = match &step {
            Step::Item(_) => point.based(json!([])),
            Step::Field(_) => point.clone(),
        };
        let inner = inner.step(step);
        let value = readable(self.schemas, schema, &inner, self.reads?)?;
        Some(inner.based(value))
    }

    fn object(&mut self, map: &Map<String, Value>, point: Option<&Point>, depth: usize) -> Node {
        let required: Vec<&str> = map
            .get("required")
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |names| {
                names.iter().filter_map(Value::as_str).collect()
            });
        let mut fields = Fields::default();
        let properties = map.get("properties").and_then(Value::as_object);
        let properties = properties.cloned().unwrap_or_default();
        for (name, schema) in &properties {
            let is_checked =
                self.open.len() == 1 && self.trail.is_empty() && self.checked == Some(name);
            let inner = point
                .filter(|_| !is_checked)
                .and_then(|point| self.inside(point, Step::Field(name.clone()), schema));
            self.trail.push(name.clone());
            let node = self.place(schema, inner.as_ref(), depth + 1);
            self.trail.pop();
            if matches!(&node, Node::OneOf { one_of } if one_of.is_empty()) {
                // It is read, and never written.
                continue;
            }
            let optional = match &inner {
                // What the server fills in may not have been there.
                None => {
                    !required.contains(&name.as_str())
                        || schema.get("readOnly") == Some(&Value::Bool(true))
                        || self.has_default(&properties, name)
                }
                Some(inner) => self.may_be_left_out(inner),
            };
            let place = if optional {
                &mut fields.optional
            } else {
                &mut fields.fields
            };
            place.insert(name.clone(), node);
        }
        match self.rest(map, &properties, point, depth) {
            Some((keys, node)) if properties.is_empty() => Node::Map {
                keys: keys.into(),
                map: node.into(),
            },
            rest => {
                fields.rest = rest.map(|(_, node)| node.into());
                Node::Fields(fields)
            }
        }
    }

    /// Whether the type that this is need not read a field.
    fn has_default(&self, properties: &Map<String, Value>, name: &str) -> bool {
        let Some(owner) = self.open.last().filter(|_| self.trail.is_empty()) else {
            return false;
        };
        let mut objects = self.read.objects(&Shape::Named(owner.clone())).into_iter();
        let same = objects.find(|object| {
            let others = object.get("properties").and_then(Value::as_object);
            others.is_some_and(|others| others.keys().eq(properties.keys()))
        });
        same.is_some_and(|object| {
            let required = object.get("required").and_then(Value::as_array);
            !required.is_some_and(|names| names.iter().any(|it| it == name))
        })
    }

    /// Whether a value without this field is written without it, too.
    fn may_be_left_out(&self, inner: &Point) -> bool {
        self.reads
            .and_then(|reads| reads(&inner.without()).ok())
            .is_some_and(|written| inner.in_whole(&written).is_none())
    }

    /// What other fields can be called, and hold, if they are kept.
    fn rest(
        &mut self,
        map: &Map<String, Value>,
        properties: &Map<String, Value>,
        point: Option<&Point>,
        depth: usize,
    ) -> Option<(Node, Node)> {
        let patterns = map.get("patternProperties").and_then(Value::as_object);
        let pattern = patterns.and_then(|patterns| patterns.iter().next());
        let said = ["additionalProperties", "unevaluatedProperties"]
            .into_iter()
            .find_map(|keyword| map.get(keyword))
            .filter(|schema| **schema != Value::Bool(false));
        let schema = match (pattern, said) {
            (Some((_, schema)), _) | (None, Some(schema)) => schema.clone(),
            // An object of which nothing more is said may hold anything, or only what is known.
            (None, None) if !map.contains_key("additionalProperties") => Value::Bool(true),
            (None, None) => return None,
        };
        let Some(point) = point else {
            // A struct that takes no notice of other fields does not write them.
            said.filter(|_| properties.is_empty() || said != Some(&Value::Bool(true)))
                .or(pattern.map(|(_, schema)| schema))?;
            let keys = match pattern {
                Some((pattern, _)) if pattern.contains(r"\d") => Plain::Integer(
                    i128::from(i64::MIN) * i128::from(pattern.contains('-')),
                    u64::MAX.into(),
                ),
                _ => Plain::String,
            };
            return Some((Node::Plain(keys), self.place(&schema, None, depth + 1)));
        };
        // Where there are fields, other names than these are the exception.
        let is_map = properties.is_empty() || pattern.is_some();
        let names = [UNHEARD_OF, "0", "true"].into_iter().chain(texts());
        let inner = names
            .take(if is_map { usize::MAX } else { 1 })
            .filter(|name| !properties.contains_key(*name))
            .find_map(|name| self.inside(point, Step::Field(name.to_owned()), &schema))?;
        // It takes no notice of what it does not know.
        let here = inner.here().cloned()?;
        self.echo(&inner, here)?;
        self.trail.push("*".to_owned());
        let keys = self.keys(point, inner.here().unwrap_or(&Value::Null));
        let node = self.place(&schema, Some(&inner), depth + 1);
        self.trail.pop();
        Some((keys, node))
    }

    /// What the names of entries can be.
    fn keys(&self, point: &Point, value: &Value) -> Node {
        let is = |name: &str| self.echo(&point.field(name), value.clone()).is_some();
        match TEXTS.len() - TEXTS.iter().take_while(|text| is(text)).count() {
            0 => return Node::Plain(Plain::String),
            1 => return Node::Plain(Plain::NotEmpty),
            _ => {}
        }
        let echo = |key: &Value| key_text(key).filter(|name| is(name)).map(|_| key.clone());
        let mut nodes = integers(&Outline::default(), &echo);
        if is("true") && is("false") {
            nodes.push(Node::Plain(Plain::Bool));
        }
        if nodes.is_empty() {
            let echo = |key: &Value| is(key.as_str()?).then(|| key.clone());
            nodes = some_texts(&Outline::default(), &echo);
        }
        match nodes.len() {
            1 => nodes.remove(0),
            _ => Node::OneOf { one_of: nodes },
        }
    }

    /// Whether a value that is read may have been read as another of these shapes than the one that it was made for.
    fn is_ambiguous(&self, shapes: &[Shape]) -> bool {
        let lists = shapes
            .iter()
            .filter(|shape| matches!(shape, Shape::List(_) | Shape::Tuple(_)));
        if lists.count() > 1 {
            return true;
        }
        let objects: Vec<_> = shapes
            .iter()
            .flat_map(|shape| self.schemas.objects(shape))
            .collect();
        objects.len() > 1 && !have_tags(self.schemas, &objects)
    }

    /// Gives an object a name, by its place.
    fn lifted(&mut self, node: Node) -> Node {
        let owner = self.open.last().cloned().unwrap_or_default();
        let mut name = [&[owner], self.trail.as_slice()].concat().join(".");
        while self.open.contains(&name) || self.types.get(&name).is_some_and(|known| *known != node)
        {
            name.push('\'');
        }
        self.types.insert(name.clone(), node);
        Node::Plain(Plain::Type(name))
    }
}

/// Whether objects can be told apart: by the value of a field that all have, or by the one field that each has.
fn have_tags(schemas: &Schemas, objects: &[Map<String, Value>]) -> bool {
    let names = |object: &Map<String, Value>| -> Vec<String> {
        let names = object.get("required").and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    };
    let property = |object: &Map<String, Value>, name: &str| {
        let property = object.get("properties")?.get(name)?;
        let values = schemas.outline(property).values;
        (!values.is_empty()).then_some(values)
    };
    let mut seen = Vec::new();
    let by_one_field = objects.iter().all(|object| {
        let names = names(object);
        let properties = object.get("properties").and_then(Value::as_object);
        let alone = properties.map(Map::len) == Some(1) && names.len() == 1;
        let new = !names.iter().any(|name| seen.contains(name));
        seen.extend(names);
        alone && new
    });
    by_one_field
        || names(&objects[0]).iter().any(|name| {
            let mut seen: Vec<Value> = Vec::new();
            objects.iter().all(|object| {
                let Some(values) = property(object, name) else {
                    return false;
                };
                let new = !values.iter().any(|value| seen.contains(value));
                seen.extend(values);
                new && names(object).contains(name)
            })
        })
}

/// Types by name, without those that nothing refers to any more.
pub(super) fn in_use(layout: &mut Layout) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut open = vec![&layout.value];
    while let Some(node) = open.pop() {
        match node {
            Node::Plain(Plain::Type(name)) => {
                if seen.insert(name.clone()) {
                    open.extend(layout.types.get(name));
                }
            }
            Node::Plain(_) | Node::Text { .. } | Node::Values { .. } => {}
            Node::List { list } => open.push(list),
            Node::Tuple { tuple } => open.extend(tuple),
            Node::Map { keys, map } => open.extend([&**keys, &**map]),
            Node::Fields(fields) => {
                open.extend(fields.all().map(|(_, node, _)| node));
                open.extend(fields.rest.as_deref());
            }
            Node::OneOf { one_of } => open.extend(one_of),
        }
    }
    layout.types.retain(|name, _| seen.contains(name));
}
