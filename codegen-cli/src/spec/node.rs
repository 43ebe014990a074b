//! A value of a document that knows where it stands.

use std::{borrow::Borrow, collections::HashSet, fmt, ops::Deref, sync::Arc};

use serde::{
    de::{
        DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::StrDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::{Number, Value as Json};

use super::object::{self, Object};
use crate::diagnostic::Span;

/// A value and its place. The order of the document is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it begins.
    pub span: Span,
}

/// A text of a document. Its copies share it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Arc<str>);

impl Text {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// A value. A document of 50 MB has millions: this is 24 bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(Text),
    /// A list.
    List(Vec<Node>),
    /// An object.
    Object(Object),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Where its name is.
    pub name: Span,
    /// Its value.
    pub node: Node,
}

/// The names of a file: each is there once, however often it is written.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Text>);

impl Names {
    /// The one copy of a name.
    pub(super) fn share(&mut self, name: &str) -> Text {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let name = Text::from(name);
        self.0.insert(name.clone());
        name
    }
}

impl Node {
    /// A value at a place.
    #[must_use]
    pub const fn new(value: Value, span: Span) -> Self {
        Self { value, span }
    }

    /// A text at a place.
    pub fn text(text: impl Into<Text>, span: Span) -> Self {
        Self::new(Value::String(text.into()), span)
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members, if it is an object.
    #[must_use]
    pub const fn as_object(&self) -> Option<&Object> {
        match &self.value {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The members, to be changed, if it is an object.
    pub const fn as_object_mut(&mut self) -> Option<&mut Object> {
        match &mut self.value {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The items, if it is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The member of this name, if it is an object that has it.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Self> {
        Some(&self.as_object()?.get(name)?.node)
    }

    /// Sets a member of an object, in its place if there is one. Its name stands where the object does.
    pub fn set(&mut self, name: &str, node: Self) {
        let span = self.span;
        if let Value::Object(object) = &mut self.value {
            match object.get_mut(name) {
                Some(member) => member.node = node,
                None => drop(object.insert(name.into(), Member { name: span, node })),
            }
        }
    }

    /// Takes a member out of an object. The others stay in order.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        let object = self.as_object_mut()?;
        object.remove(name).map(|member| member.node)
    }

    /// The value at a JSON pointer (`/paths/~1pets/get`), from here on.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<&Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer
            .strip_prefix('/')?
            .split('/')
            .try_fold(self, |node, part| {
                let part = unescape(part);
                match &node.value {
                    Value::Object(object) => object.get(&part).map(|member| &member.node),
                    Value::List(items) => items.get(part.parse::<usize>().ok()?),
                    _ => None,
                }
            })
    }

    /// The same, to be changed.
    pub(super) fn pointer_mut(&mut self, pointer: &str) -> Option<&mut Self> {
        pointer.split('/').skip(1).try_fold(self, |node, part| {
            let part = unescape(part);
            match &mut node.value {
                Value::Object(object) => Some(&mut object.get_mut(&part)?.node),
                Value::List(items) => items.get_mut(part.parse::<usize>().ok()?),
                _ => None,
            }
        })
    }

    /// How many values it is, itself among them.
    pub(super) fn size(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Object(object) => object.values().map(|member| member.node.size()).sum(),
            _ => 0,
        }
    }

    /// The same without places.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => Json::Number(number.clone()),
            Value::String(text) => Json::String(text.to_string()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Object(object) => Json::Object(
                object
                    .iter()
                    .map(|(name, member)| (name.to_string(), member.node.to_json()))
                    .collect(),
            ),
        }
    }

    /// What kind of value it is, for messages.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
        }
    }

    /// Reads it as a type of the crate `openapiv3`, or any other. The order of members is that of the document.
    ///
    /// # Errors
    /// What does not fit, in the words of the type.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, Mismatch> {
        T::deserialize(self)
    }
}

/// A name as a part of a JSON pointer.
#[must_use]
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A part of a JSON pointer as a name.
#[must_use]
pub fn unescape(part: &str) -> std::borrow::Cow<'_, str> {
    if part.contains('~') {
        part.replace("~1", "/").replace("~0", "~").into()
    } else {
        part.into()
    }
}

/// A value that is not of the type that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(String);

impl serde::de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl<'de> serde::Deserializer<'de> for &'de Node {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => {
                if let Some(number) = number.as_u64() {
                    visitor.visit_u64(number)
                } else if let Some(number) = number.as_i64() {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items(items.iter())),
            Value::Object(object) => visitor.visit_map(Members {
                members: object.iter(),
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match &self.value {
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mismatch> {
        self.0.next().map(|item| seed.deserialize(item)).transpose()
    }
}

struct Members<'de> {
    members: object::Iter<'de>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mismatch> {
        let Some((name, member)) = self.members.next() else {
            return Ok(None);
        };
        self.value = Some(&member.node);
        let name: StrDeserializer<'_, Mismatch> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Mismatch> {
        match self.value.take() {
            Some(value) => seed.deserialize(value),
            None => Err(serde::de::Error::custom("a value before its name")),
        }
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;

    #[test]
    fn a_value_is_small() {
        assert_eq!(size_of::<Value>(), 24);
        assert_eq!(size_of::<Node>(), 40);
    }

    #[test]
    fn pointers_find_what_they_name() {
        let at = Span::default();
        let mut inner = Node::new(Value::Object(Object::new()), at);
        inner.set("a/b", Node::text("slash", at));
        inner.set("m~n", Node::text("tilde", at));
        let list = Node::new(Value::List(vec![Node::text("first", at), inner]), at);
        let mut root = Node::new(Value::Object(Object::new()), at);
        root.set("list", list);
        let rows = [
            ("/list/0", Some("first")),
            ("/list/1/a~1b", Some("slash")),
            ("/list/1/m~0n", Some("tilde")),
            ("/list/2", None),
            ("/list/x", None),
            ("list", None),
            ("/other", None),
        ];
        for (pointer, text) in rows {
            let found = root.pointer(pointer).and_then(Node::as_str);
            assert_eq!(found, text, "{pointer}");
        }
        assert_eq!(root.pointer(""), Some(&root));
        assert_eq!(unescape(&escape("~1/~0")), "~1/~0");
    }

    #[test]
    fn types_are_read_in_the_order_of_the_document() {
        let at = Span::default();
        let mut schemas = Node::new(Value::Object(Object::new()), at);
        for name in ["z", "a", "m"] {
            let mut schema = Node::new(Value::Object(Object::new()), at);
            schema.set("type", Node::text("string", at));
            schemas.set(name, schema);
        }
        let read: IndexMap<String, openapiv3::Schema> = schemas.deserialize().unwrap();
        assert_eq!(read.keys().collect::<Vec<_>>(), ["z", "a", "m"]);
        assert!(schemas.deserialize::<Vec<u8>>().is_err());
    }
}
