//! What of an old value can't be read, in words, and what mends it.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    node::{Layout, Node},
    plain::Plain,
};

/// The most characters of an example.
const EXAMPLE_CHARS: usize = 60;
/// The most values that are listed.
const VALUES_MAX: usize = 5;

/// A change at a place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// Such as `Vertex.edges[].weight`.
    pub(crate) place: String,
    pub(crate) change: Change,
    /// What the type said.
    pub(crate) because: String,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// A new field that older values lack.
    Missing {
        kind: String,
        /// A field that went, and may be the same one.
        was: Option<String>,
    },
    /// A field that could be left out, and can't any more.
    Required,
    /// A value that could be null, and can't any more.
    Null,
    /// A value of an enum that is gone.
    Value {
        value: Value,
        nearest: Option<String>,
    },
    /// A variant with something in it that is gone.
    Variant {
        gone: String,
        nearest: Option<String>,
    },
    /// Another kind of value, or fewer of them.
    Kind {
        was: String,
        is: String,
        example: String,
    },
    /// A field that is gone, and refused.
    Refused,
    /// Something in the whole.
    Whole { example: String },
    /// A type that a migration reads, and that is not what was written. With what it can't read, and why.
    Migration { what: String },
    /// A part of the key.
    Key { what: String },
    /// Partitions, partitioner, format, topic.
    Topic { what: String },
    /// A field that is gone: its values are lost when the entity is written again.
    Dropped { now: Option<String> },
    /// A new field with a name that could stand for anything before.
    Claimed { kind: String, example: String },
}

/// Whose type it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'o> {
    /// The name of the state.
    pub(crate) state: &'o str,
    /// The field that a document describes, if there is one.
    pub(crate) entity: Option<&'o str>,
}

impl Finding {
    /// Whether the log could not be read; otherwise it is good to know.
    pub(crate) fn is_error(&self) -> bool {
        !matches!(self.change, Change::Dropped { .. } | Change::Claimed { .. })
    }

    /// Whether something of the value would be lost if it were written again.
    pub(crate) fn loses(&self) -> bool {
        matches!(self.change, Change::Dropped { .. })
    }

    /// What is wrong.
    pub(crate) fn what(&self) -> String {
        match &self.change {
            Change::Missing { kind, was: None } => {
                format!("it is new ({kind}) and has no default, and older values don't have it")
            }
            Change::Missing {
                kind,
                was: Some(was),
            } => format!(
                "it is new ({kind}) and has no default, and older values don't have it; they have `{was}`, which is gone"
            ),
            Change::Required => "it could be left out, and now it has to be there".to_owned(),
            Change::Null => "it could be null, and can't any more".to_owned(),
            Change::Value { value, .. } => format!("the value {value} is gone"),
            Change::Variant { gone, .. } => format!("the variant `{gone}` is gone"),
            Change::Kind { was, is, example } => {
                let mut what = if is.is_empty() {
                    format!("it could be {was}, and can't any more")
                } else if was == is {
                    format!("it is still {is}, but does not take all of them")
                } else {
                    format!("it was {was}, and is now {is}")
                };
                if !is.is_empty() && !example.is_empty() {
                    let _ = write!(what, ": {} can't be read", short(example));
                }
                what
            }
            Change::Refused => "it is gone, and a field that is not known is refused".to_owned(),
            Change::Whole { example } => format!("{} can't be read", short(example)),
            Change::Migration { what } => {
                format!("the type that `#[migrate]` names does not read it either: {what}")
            }
            Change::Key { what } | Change::Topic { what } => what.clone(),
            Change::Dropped { now: None } => {
                "it is gone; its values are lost as entities are written again".to_owned()
            }
            Change::Dropped { now: Some(now) } => format!(
                "it is gone; its values are lost as entities are written again. If it is `{now}` now: `#[serde(alias = \"{}\")]` there keeps them",
                self.field()
            ),
            Change::Claimed { kind, example } => format!(
                "it is new ({kind}), and older values may have something else under this name, such as {}: those can't be read",
                short(example)
            ),
        }
    }

    /// What mends it.
    pub(crate) fn mend(&self, owner: Owner<'_>) -> Option<String> {
        if let Change::Migration { .. } = self.change {
            let older = &self.place;
            return Some(format!(
                "make `{older}` the struct as it was when this was written"
            ));
        }
        let Owner { state, entity } = owner;
        let by_document = entity.is_some_and(|entity| {
            let entity = format!("{state}.{entity}");
            let rest = self.place.strip_prefix(&entity);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        if by_document {
            return self.mend_document(state);
        }
        let migrate = format!(
            "`#[migrate(from = {state}V1)]` above `{state}`, where `{state}V1` is the struct as it was, with `impl From<{state}V1> for {state}`"
        );
        let field = self.field();
        Some(match &self.change {
            Change::Missing { was: None, .. } => {
                format!("`#[serde(default)]` above `{field}`, or {migrate}")
            }
            Change::Missing { was: Some(was), .. } => format!(
                "`#[serde(alias = \"{was}\")]` above `{field}` if it is the same under another name, else `#[serde(default)]`, or {migrate}"
            ),
            Change::Required => format!("`#[serde(default)]` above `{field}`, or {migrate}"),
            Change::Null => format!("make `{field}` an `Option` again, or {migrate}"),
            Change::Value { value, nearest } => match (value.as_str(), nearest) {
                (Some(gone), Some(nearest)) => format!(
                    "`#[serde(alias = \"{gone}\")]` above the variant `{nearest}` if it is the same under another name, or keep it, or {migrate}"
                ),
                _ => format!("keep it, or {migrate}"),
            },
            Change::Variant {
                gone,
                nearest: Some(nearest),
            } => format!(
                "`#[serde(alias = \"{gone}\")]` above the variant `{nearest}` if it is the same under another name, or keep it, or {migrate}"
            ),
            Change::Variant { nearest: None, .. } => format!("keep it, or {migrate}"),
            Change::Kind { .. } | Change::Whole { .. } => {
                format!("keep the type as it was, or {migrate}")
            }
            Change::Refused => format!(
                "take `deny_unknown_fields` away, or keep the field (`#[serde(default, skip_serializing)]`), or {migrate}"
            ),
            Change::Key { .. } => "keep the key as it was. Keys can't be migrated, since the log is compacted by them: \
                a state with another key is another state, with a topic of its own"
                .to_owned(),
            Change::Migration { .. }
            | Change::Topic { .. }
            | Change::Dropped { .. }
            | Change::Claimed { .. } => return None,
        })
    }

    /// The same where the type is made from a document.
    fn mend_document(&self, state: &str) -> Option<String> {
        let migrate = format!(
            "`x-memgen-migrate: [crate::migrations::{state}V1]` in its schema, where `{state}V1` is the struct as it was, with `impl From<{state}V1> for {state}`"
        );
        Some(match &self.change {
            Change::Missing { .. } | Change::Required => format!(
                "take `{}` out of `required` in the document, or {migrate}",
                self.field()
            ),
            Change::Null => format!("let it be null in the document, too, or {migrate}"),
            Change::Value { .. } => format!("keep it in the `enum` of the document, or {migrate}"),
            Change::Variant { .. } => format!("keep it in the document, or {migrate}"),
            Change::Refused | Change::Kind { .. } | Change::Whole { .. } => format!(
                "keep its type and format in the document, and give what is new another name, or {migrate}"
            ),
            Change::Key { .. } => "keep the key as it was: a state with another key is another state, with a topic of its own (`x-memgen-topic`)".to_owned(),
            Change::Migration { .. }
            | Change::Topic { .. }
            | Change::Dropped { .. }
            | Change::Claimed { .. } => return None,
        })
    }

    /// The last field of the place.
    fn field(&self) -> &str {
        let last = self.place.rsplit('.').find(|part| *part != "*");
        let last = last.unwrap_or(&self.place);
        last.split('[').next().unwrap_or(last)
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= EXAMPLE_CHARS {
        return text.to_owned();
    }
    text.chars().take(EXAMPLE_CHARS).chain(['…']).collect()
}

/// What is written at a place, in a few words.
pub(crate) fn words(layout: &Layout, node: &Node) -> String {
    match node {
        Node::Plain(Plain::Type(name)) => match layout.resolve(node) {
            Node::Values { .. } | Node::Plain(_) | Node::Text { .. } => {
                words(layout, layout.resolve(node))
            }
            _ => format!("`{name}`"),
        },
        Node::Plain(Plain::Any) => "anything".to_owned(),
        Node::Plain(Plain::Null) => "null".to_owned(),
        Node::Plain(Plain::String) => "any text".to_owned(),
        Node::Plain(Plain::NotEmpty) => "any text but the empty one".to_owned(),
        Node::Plain(Plain::Format(format)) => format!("a text of the form {}", format.name),
        Node::Plain(plain) => format!("`{plain}`"),
        Node::Text { text, .. } if text.is_empty() => "a text of some form".to_owned(),
        Node::Text { text, .. } => format!("a text of the form {text}"),
        Node::Values { values } => {
            let shown: Vec<String> = values
                .iter()
                .take(VALUES_MAX)
                .map(Value::to_string)
                .collect();
            let more = if values.len() > VALUES_MAX {
                ", …"
            } else {
                ""
            };
            format!("one of {}{more}", shown.join(", "))
        }
        Node::List { list } => format!("a list of {}", words(layout, list)),
        Node::Tuple { tuple } => {
            let words: Vec<String> = tuple.iter().map(|node| words(layout, node)).collect();
            format!("a tuple of {}", words.join(", "))
        }
        Node::Map { map, .. } => format!("a map to {}", words(layout, map)),
        Node::Fields(fields) => {
            let known = layout
                .types
                .iter()
                .find(|(_, known)| std::ptr::eq(*known, node));
            if let Some((name, _)) = known {
                return format!("`{name}`");
            }
            let names: Vec<&str> = fields
                .all()
                .map(|(name, ..)| name)
                .take(VALUES_MAX)
                .collect();
            format!("an object of {}", names.join(", "))
        }
        Node::OneOf { one_of } => {
            let words: Vec<String> = one_of.iter().map(|node| words(layout, node)).collect();
            words.join(" or ")
        }
    }
}
