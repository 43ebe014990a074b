//! How values are written: a tree of places, with names for the types that refer to themselves or stand at several places.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::plain::Plain;

/// What is written at a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Node {
    /// `"u32"`, `"string"`, `"#Edge"`
    Plain(Plain),
    /// Texts of a form that memgen does not know, and one of them if one was found.
    Text {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        like: Option<String>,
    },
    /// Some texts, numbers or truth values.
    Values { values: Vec<Value> },
    /// Any number of the same.
    List { list: Box<Node> },
    /// So many, each of its own.
    Tuple { tuple: Vec<Node> },
    /// An object whose names are data.
    Map {
        #[serde(default = "any_text", skip_serializing_if = "is_any_text")]
        keys: Box<Node>,
        map: Box<Node>,
    },
    /// An object with fields.
    Fields(Fields),
    /// One of several.
    #[serde(rename_all = "kebab-case")]
    OneOf { one_of: Vec<Node> },
}

/// The fields of an object.
#[expect(clippy::struct_field_names, reason = "so it is called in the file")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fields {
    /// Those that are always written.
    pub(crate) fields: BTreeMap<String, Node>,
    /// Those that may be left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) optional: BTreeMap<String, Node>,
    /// What fields of any other name hold, if there can be some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rest: Option<Box<Node>>,
}

#[expect(clippy::unnecessary_box_returns, reason = "serde wants it so")]
fn any_text() -> Box<Node> {
    Box::new(Node::Plain(Plain::String))
}

#[expect(clippy::borrowed_box, reason = "serde hands it over so")]
fn is_any_text(node: &Box<Node>) -> bool {
    **node == Node::Plain(Plain::String)
}

/// Types by their names.
pub(crate) type Types = BTreeMap<String, Node>;

/// How the values of a type are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// The whole value.
    pub(crate) value: Node,
    /// What it refers to.
    pub(crate) types: Types,
}

/// A name that no field has, and a text that is of no form.
pub(crate) const UNHEARD_OF: &str = "memgen: a name, \"unheard of\"";

/// Values that are tried where a type can't be compared part by part.
const VARIATIONS_MAX: usize = 2000;

/// References that are followed from one to the next.
const HOPS_MAX: usize = 64;

impl Fields {
    /// The field of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.fields.get(name).or_else(|| self.optional.get(name))
    }

    /// All fields, and whether they may be left out.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Node, bool)> {
        let always = self
            .fields
            .iter()
            .map(|(name, node)| (name.as_str(), node, false));
        let optional = self
            .optional
            .iter()
            .map(|(name, node)| (name.as_str(), node, true));
        always.chain(optional)
    }
}

impl Layout {
    /// What stands behind a reference.
    pub(crate) fn resolve<'l>(&'l self, mut node: &'l Node) -> &'l Node {
        for _ in 0..HOPS_MAX {
            match node {
                Node::Plain(Plain::Type(name)) => match self.types.get(name) {
                    Some(found) => node = found,
                    None => return node,
                },
                _ => return node,
            }
        }
        node
    }

    /// The alternatives of a place: none of them is a choice or a reference.
    pub(crate) fn alternatives<'l>(&'l self, node: &'l Node) -> Vec<&'l Node> {
        let mut found = Vec::new();
        let mut open = vec![node];
        let mut steps = 0;
        while let Some(node) = open.pop() {
            match self.resolve(node) {
                // A choice that leads back to itself has been seen by then.
                Node::OneOf { one_of } if steps < HOPS_MAX => {
                    steps += 1;
                    open.extend(one_of.iter().rev());
                }
                node => found.push(node),
            }
        }
        found
    }

    /// A value that is as small as it can be; none if all are endless or of an unknown form.
    pub(crate) fn sample(&self, node: &Node) -> Option<Value> {
        self.sample_with(node, false, &mut Vec::new())
    }

    /// A value with all that can be left out, too, and one item in each list.
    pub(crate) fn full_sample(&self, node: &Node) -> Option<Value> {
        self.sample_with(node, true, &mut Vec::new())
    }

    fn sample_with<'l>(
        &'l self,
        node: &'l Node,
        full: bool,
        open: &mut Vec<&'l str>,
    ) -> Option<Value> {
        match node {
            Node::Plain(Plain::Type(name)) => {
                if open.contains(&name.as_str()) {
                    return None;
                }
                open.push(name);
                let sample = self.sample_with(self.types.get(name)?, full, open);
                open.pop();
                sample
            }
            Node::Plain(plain) => plain.samples().into_iter().next(),
            Node::Text { like, .. } => Some(like.clone().unwrap_or_default().into()),
            Node::Values { values } => values.first().cloned(),
            Node::List { list } => {
                let item = full.then(|| self.sample_with(list, full, open)).flatten();
                Some(item.into_iter().collect())
            }
            Node::Tuple { tuple } => tuple
                .iter()
                .map(|node| self.sample_with(node, full, open))
                .collect(),
            Node::Map { keys, map } => {
                let mut object = Map::new();
                if full
                    && let (Some(key), Some(value)) =
                        (self.key_sample(keys), self.sample_with(map, full, open))
                {
                    object.insert(key, value);
                }
                Some(object.into())
            }
            Node::Fields(fields) => {
                let mut object = Map::new();
                for (name, node, optional) in fields.all() {
                    match self.sample_with(node, full, open) {
                        _ if optional && !full => {}
                        Some(value) => drop(object.insert(name.to_owned(), value)),
                        None if optional => {}
                        None => return None,
                    }
                }
                Some(object.into())
            }
            Node::OneOf { one_of } => {
                // What has something in it says more.
                let mut samples = one_of
                    .iter()
                    .filter_map(|node| self.sample_with(node, full, open));
                let first = samples.next()?;
                if full && first.is_null() {
                    return Some(samples.next().unwrap_or(first));
                }
                Some(first)
            }
        }
    }

    /// Values that differ from the smallest in one thing each: all that can stand at each place, up to a number.
    pub(crate) fn variations(&self, node: &Node) -> Vec<Value> {
        self.variations_within(node, &mut Vec::new())
    }

    fn variations_within<'l>(&'l self, node: &'l Node, open: &mut Vec<&'l str>) -> Vec<Value> {
        let mut all: Vec<Value> = match node {
            Node::Plain(Plain::Type(name)) => {
                if open.contains(&name.as_str()) {
                    return self.sample(node).into_iter().collect();
                }
                let Some(target) = self.types.get(name) else {
                    return Vec::new();
                };
                open.push(name);
                let all = self.variations_within(target, open);
                open.pop();
                return all;
            }
            Node::Plain(plain) => plain.samples(),
            Node::Text { like, .. } => like.iter().map(|like| like.as_str().into()).collect(),
            Node::Values { values } => values.clone(),
            Node::List { list } => {
                let items = self.variations_within(list, open).into_iter();
                let one = items.map(|item| Value::Array(vec![item]));
                [Value::Array(Vec::new())].into_iter().chain(one).collect()
            }
            Node::Tuple { tuple } => {
                let Some(Value::Array(base)) = self.sample(node) else {
                    return Vec::new();
                };
                let mut all = Vec::new();
                for (index, node) in tuple.iter().enumerate() {
                    for value in self.variations_within(node, open) {
                        let mut items = base.clone();
                        items[index] = value;
                        all.push(items.into());
                    }
                }
                all
            }
            Node::Map { keys, map } => {
                let mut all = vec![Map::new()];
                let value = self.sample(map);
                let names = self.variations_within(keys, open);
                for name in names.iter().filter_map(key_text) {
                    all.extend(value.clone().map(|value| Map::from_iter([(name, value)])));
                }
                if let Some(name) = self.key_sample(keys) {
                    let values = self.variations_within(map, open).into_iter();
                    all.extend(values.map(|value| Map::from_iter([(name.clone(), value)])));
                }
                all.into_iter().map(Value::Object).collect()
            }
            Node::Fields(fields) => {
                let Some(Value::Object(base)) = self.sample(node) else {
                    return Vec::new();
                };
                let mut all = vec![base.clone()];
                let rest = fields.rest.as_deref().map(|rest| (UNHEARD_OF, rest));
                let named = fields.all().map(|(name, node, _)| (name, node));
                for (name, node) in named.chain(rest) {
                    for value in self.variations_within(node, open) {
                        let mut object = base.clone();
                        object.insert(name.to_owned(), value);
                        all.push(object);
                    }
                    all.truncate(VARIATIONS_MAX);
                }
                all.into_iter().map(Value::Object).collect()
            }
            Node::OneOf { one_of } => one_of
                .iter()
                .flat_map(|node| self.variations_within(node, open))
                .collect(),
        };
        all.truncate(VARIATIONS_MAX);
        all
    }

    /// The name of an entry of a map.
    pub(crate) fn key_sample(&self, keys: &Node) -> Option<String> {
        self.sample(keys).and_then(|value| key_text(&value))
    }

    /// Whether a type of this layout reads a value, as far as the layout says: for types that can't be asked.
    pub(crate) fn reads(&self, node: &Node, value: &Value) -> bool {
        self.alternatives(node).into_iter().any(|node| match node {
            Node::Plain(plain) => plain.reads(value),
            Node::Text { .. } => value.is_string(),
            Node::Values { values } => values.contains(value),
            Node::List { list } => value
                .as_array()
                .is_some_and(|items| items.iter().all(|item| self.reads(list, item))),
            Node::Tuple { tuple } => value.as_array().is_some_and(|items| {
                items.len() == tuple.len()
                    && tuple
                        .iter()
                        .zip(items)
                        .all(|(node, item)| self.reads(node, item))
            }),
            Node::Map { map, .. } => value
                .as_object()
                .is_some_and(|object| object.values().all(|value| self.reads(map, value))),
            Node::Fields(fields) => value.as_object().is_some_and(|object| {
                fields.fields.keys().all(|name| object.contains_key(name))
                    && object.iter().all(|(name, value)| {
                        let node = fields.get(name).or(fields.rest.as_deref());
                        node.is_none_or(|node| self.reads(node, value))
                    })
            }),
            Node::OneOf { .. } => false,
        })
    }

    /// The same whatever the names of types are.
    pub(crate) fn canonical(&self) -> String {
        let mut order: Vec<String> = Vec::new();
        let mut text = numbered(&self.value, &mut order).to_string();
        let mut at = 0;
        while let Some(name) = order.get(at).cloned() {
            at += 1;
            text.push('\n');
            if let Some(node) = self.types.get(&name) {
                text.push_str(&numbered(node, &mut order).to_string());
            }
        }
        text
    }
}

/// A node as JSON with numbers in place of names, in the order in which they are met.
fn numbered(node: &Node, order: &mut Vec<String>) -> Value {
    let mut node = node.clone();
    number(&mut node, order);
    serde_json::to_value(&node).unwrap_or_default()
}

fn number(node: &mut Node, order: &mut Vec<String>) {
    match node {
        Node::Plain(Plain::Type(name)) => {
            let place = order.iter().position(|known| known == name);
            let place = place.unwrap_or_else(|| {
                order.push(name.clone());
                order.len() - 1
            });
            *name = place.to_string();
        }
        // Which of them was found first says nothing.
        Node::Text { like, .. } => *like = None,
        Node::Plain(_) | Node::Values { .. } => {}
        Node::List { list } => number(list, order),
        Node::Tuple { tuple: nodes } | Node::OneOf { one_of: nodes } => {
            for node in nodes {
                number(node, order);
            }
        }
        Node::Map { keys, map } => {
            number(keys, order);
            number(map, order);
        }
        Node::Fields(fields) => {
            for node in fields.fields.values_mut() {
                number(node, order);
            }
            for node in fields.optional.values_mut() {
                number(node, order);
            }
            if let Some(rest) = &mut fields.rest {
                number(rest, order);
            }
        }
    }
}

/// A plain value as the name of an entry of a map, or as a part of a key.
pub(crate) fn key_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
