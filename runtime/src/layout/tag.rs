//! How the alternatives of a choice are told apart.

use serde_json::{Map, Value};

use super::node::{Fields, Node, key_text};

/// How alternatives are told apart.
pub(super) enum Tag {
    /// By the value of this field.
    Field(String),
    /// By the one field that each has.
    Name,
}

impl Tag {
    /// How these are; none if there is nothing to tell apart.
    pub(super) fn of(alternatives: &[&Node]) -> Option<Self> {
        let objects: Vec<&Fields> = alternatives
            .iter()
            .filter_map(|node| match node {
                Node::Fields(fields) => Some(fields),
                _ => None,
            })
            .collect();
        let (first, rest) = objects.split_first().filter(|(_, rest)| !rest.is_empty())?;
        let is_tag = |fields: &Fields, name: &str| {
            matches!(fields.fields.get(name), Some(Node::Values { .. }))
        };
        let field = first
            .fields
            .keys()
            .find(|name| is_tag(first, name) && rest.iter().all(|fields| is_tag(fields, name)));
        if let Some(field) = field {
            return Some(Self::Field(field.clone()));
        }
        let alone = |fields: &&Fields| fields.fields.len() == 1 && fields.optional.is_empty();
        objects.iter().all(alone).then_some(Self::Name)
    }

    /// What an alternative is called.
    pub(super) fn values(&self, node: &Node) -> Vec<String> {
        let Node::Fields(fields) = node else {
            return Vec::new();
        };
        match self {
            Self::Field(name) => match fields.fields.get(name) {
                Some(Node::Values { values }) => values.iter().filter_map(key_text).collect(),
                _ => Vec::new(),
            },
            Self::Name => fields.fields.keys().take(1).cloned().collect(),
        }
    }

    /// A value that calls itself otherwise.
    pub(super) fn put(&self, value: Value, name: &str) -> Option<Value> {
        let Value::Object(mut object) = value else {
            return None;
        };
        match self {
            Self::Field(field) => drop(object.insert(field.clone(), name.into())),
            Self::Name => {
                let (_, inner) = object.into_iter().next()?;
                object = Map::from_iter([(name.to_owned(), inner)]);
            }
        }
        Some(object.into())
    }

    /// What a value calls itself.
    pub(super) fn value(&self, value: &Value) -> Option<String> {
        match self {
            Self::Field(name) => value.get(name).and_then(key_text),
            Self::Name => value.as_object()?.keys().next().cloned(),
        }
    }
}
