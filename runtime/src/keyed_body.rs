//! An entity read from a JSON object in which its key may be left out, since the path has it.
//!
//! The key's fields are handed to the entity's `Deserialize` before those of the body, without a detour through a tree of values.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor,
        value::{CowStrDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Value};

use crate::{key::key_values, state::State};

/// Reads an entity with this key from `body`.
///
/// # Errors
/// If the body is no JSON object with the entity's fields, or has another key.
pub(crate) fn read<S: State>(body: &[u8], key: &S::Key) -> Result<S, Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let state = S::deserialize(KeyedBody {
        json: &mut json,
        names: S::DEFINITION.key_names,
        values: key_values::<S>(key),
    })?;
    json.end()?;
    Ok(state)
}

struct KeyedBody<'b, 'de> {
    json: &'b mut serde_json::Deserializer<serde_json::de::SliceRead<'de>>,
    names: &'static [&'static str],
    values: Vec<Value>,
}

impl<'de> Deserializer<'de> for KeyedBody<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Self {
            json,
            names,
            values,
        } = self;
        json.deserialize_map(WithKey {
            visitor,
            names,
            values,
        })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Shows the entity's visitor a map with the key in front.
struct WithKey<V> {
    visitor: V,
    names: &'static [&'static str],
    values: Vec<Value>,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for WithKey<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, body: A) -> Result<V::Value, A::Error> {
        let Self {
            visitor,
            names,
            values,
        } = self;
        visitor.visit_map(Fields {
            body,
            names,
            values,
            at: 0,
            of_key: None,
        })
    }
}

/// A name in the body, borrowed from it unless something in it is escaped.
#[derive(Deserialize)]
struct Name<'body>(#[serde(borrow)] Cow<'body, str>);

/// The key's fields, then the body's.
struct Fields<A> {
    body: A,
    names: &'static [&'static str],
    values: Vec<Value>,
    /// How many of the key's fields were shown.
    at: usize,
    /// The value of the name that was shown last, if it is one of the key's.
    of_key: Option<Value>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        if let Some(name) = self.names.get(self.at) {
            self.of_key = self.values.get(self.at).cloned();
            self.at += 1;
            let name: StrDeserializer<'_, A::Error> = (*name).into_deserializer();
            return seed.deserialize(name).map(Some);
        }
        while let Some(Name(name)) = self.body.next_key()? {
            let Some(at) = self.names.iter().position(|known| *known == name) else {
                let name: CowStrDeserializer<'_, A::Error> = name.into_deserializer();
                return seed.deserialize(name).map(Some);
            };
            let given: Value = self.body.next_value()?;
            let value = &self.values[at];
            if given != *value {
                return Err(A::Error::custom(format_args!(
                    "`{name}` is {given}, but {value} in the path"
                )));
            }
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        match self.of_key.take() {
            Some(value) => seed.deserialize(value).map_err(A::Error::custom),
            None => self.body.next_value_seed(seed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[stateful_api(path = "/customers/{customer}/orders")]
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    struct Order {
        #[key]
        customer: u32,
        #[key]
        line_name: String,
        line_count: u32,
    }

    #[test]
    fn the_key_comes_from_the_path() {
        let key = (7, "a".to_owned());
        let order = Order {
            customer: 7,
            line_name: "a".to_owned(),
            line_count: 3,
        };
        for body in [
            r#"{"lineCount": 3}"#,
            r#" {"customer": 7, "lineCount": 3} "#,
            r#"{"lineCount": 3, "lineName": "a", "customer": 7, "more": [1]}"#,
        ] {
            assert_eq!(
                read::<Order>(body.as_bytes(), &key).unwrap(),
                order,
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let key = (7, "a".to_owned());
        for (body, what) in [
            ("{}", "missing field `lineCount`"),
            (
                r#"{"lineCount": 3, "customer": 8}"#,
                "`customer` is 8, but 7 in the path",
            ),
            (r#"{"lineCount": 3, "lineCount": 3}"#, "duplicate field"),
            (r#"{"lineCount": "3"}"#, "invalid type: string"),
            (r#"{"lineCount": 3} x"#, "trailing characters"),
            ("[]", "invalid type: sequence"),
            ("{", "EOF"),
            ("", "EOF"),
        ] {
            let error = read::<Order>(body.as_bytes(), &key)
                .unwrap_err()
                .to_string();
            assert!(error.contains(what), "{body}: {error}");
        }
    }
}
