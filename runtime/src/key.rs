//! Keys as text: in a path, in the log, in a cursor.
//!
//! A key has one canonical text. It is the record's key in the log, its bytes decide the partition, and its parts
//! are segments of the URL. One part is itself; several are joined by `/`, with `/` and `%` inside a part percent-encoded.

use std::{any::Any, borrow::Cow};

use percent_encoding::percent_decode_str;
use serde::{Serialize, de::DeserializeOwned};

use crate::state::State;

/// The longest key text that any setting allows, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// One part of a key: an integer, a string, a `Uuid`, a `char`, a `bool`, or a newtype or unit-only enum of them.
///
/// It is implemented for every type with the listed bounds; a type that serializes as something else than
/// a plain scalar is refused when its first key is read.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a key",
    label = "not a key type",
    note = "keys are integers, strings, `Uuid`, and newtypes or unit-only enums of them that derive \
            `Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema`"
)]
pub trait KeyPart:
    Serialize + DeserializeOwned + schemars::JsonSchema + Ord + Clone + Send + Sync + 'static
{
}

impl<T> KeyPart for T where
    T: Serialize + DeserializeOwned + schemars::JsonSchema + Ord + Clone + Send + Sync + 'static
{
}

/// Text that is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {what}")]
pub struct KeyError {
    /// The key field.
    pub field: &'static str,
    /// What is wrong with the text.
    pub what: String,
}

/// Writes the parts of a key: as its canonical text, or as JSON values.
#[derive(Debug)]
pub struct KeyWriter<'a>(Output<'a>);

#[derive(Debug)]
enum Output<'a> {
    Single(&'a mut String),
    Composite(&'a mut String, usize),
    Values(&'a mut Vec<serde_json::Value>),
}

impl KeyWriter<'_> {
    /// Writes the next part.
    ///
    /// # Panics
    /// If the part does not serialize as a plain scalar; [`KeyReader::part`] refuses such types first.
    pub fn part<T: KeyPart>(&mut self, part: &T) {
        const SCALAR: &str = "KeyReader::part accepts only types that serialize as scalars";
        let write = |write: &mut dyn FnMut(&str)| {
            match (part as &dyn Any).downcast_ref::<String>() {
                // Strings need no serializer; this is the most common key.
                Some(string) => write(string),
                None => write(&serde_plain::to_string(part).expect(SCALAR)),
            }
        };
        match &mut self.0 {
            Output::Values(values) => values.push(serde_json::to_value(part).expect(SCALAR)),
            Output::Single(text) => write(&mut |part| text.push_str(part)),
            Output::Composite(text, parts) => {
                if *parts > 0 {
                    text.push('/');
                }
                *parts += 1;
                write(&mut |part| push_part(text, part));
            }
        }
    }
}

/// Adds a part to the text of a key of several parts.
pub(crate) fn push_part(text: &mut String, part: &str) {
    for character in part.chars() {
        match character {
            '/' => text.push_str("%2F"),
            '%' => text.push_str("%25"),
            other => text.push(other),
        }
    }
}

/// Reads the parts of a key from decoded text.
#[derive(Debug)]
pub struct KeyReader<'a> {
    parts: std::slice::Iter<'a, Cow<'a, str>>,
}

impl<'a> KeyReader<'a> {
    /// Reads from parts that were split and decoded already.
    #[must_use]
    pub fn new(parts: &'a [Cow<'a, str>]) -> Self {
        Self {
            parts: parts.iter(),
        }
    }

    /// Reads the next part, for the key field `field`.
    ///
    /// # Errors
    /// [`KeyError`] if there is none, or if its text is not a `T`.
    ///
    /// # Panics
    /// Never: the one unwrapped value was made two lines before.
    pub fn part<T: KeyPart>(&mut self, field: &'static str) -> Result<T, KeyError> {
        let fail = |what: String| KeyError { field, what };
        let text = self
            .parts
            .next()
            .ok_or_else(|| fail("is missing from the key".to_owned()))?;
        if text.is_empty() {
            return Err(fail("is empty".to_owned()));
        }
        if text.as_bytes().contains(&0) {
            return Err(fail("contains NUL, which no key may".to_owned()));
        }
        {
            // Strings need no parser; this is the most common key.
            let mut string = Some(text.clone().into_owned());
            if let Some(part) = (&mut string as &mut dyn Any).downcast_mut::<Option<T>>() {
                return Ok(part.take().expect("it was just made"));
            }
        }
        let part: T = serde_plain::from_str(text).map_err(|error| fail(error.to_string()))?;
        // A type that reads from text but does not write as text would make a key that can't be found again.
        serde_plain::to_string(&part).map_err(|_| {
            fail("has a type that can't be a key: keys serialize as plain scalars".to_owned())
        })?;
        Ok(part)
    }
}

/// The canonical text of a key.
pub fn key_text<S: State>(key: &S::Key) -> String {
    let mut text = String::with_capacity(24);
    let output = match S::DEFINITION.key_fields {
        [_] => Output::Single(&mut text),
        _ => Output::Composite(&mut text, 0),
    };
    S::write_key(key, &mut KeyWriter(output));
    text
}

/// The parts of a key as they are in the entity's JSON.
pub fn key_values<S: State>(key: &S::Key) -> Vec<serde_json::Value> {
    let mut values = Vec::new();
    S::write_key(key, &mut KeyWriter(Output::Values(&mut values)));
    values
}

/// The key with this canonical text.
///
/// # Errors
/// [`KeyError`] names the field whose text is not one of its type.
pub fn parse_key<S: State>(text: &str) -> Result<S::Key, KeyError> {
    let fields = S::DEFINITION.key_fields;
    if fields.len() == 1 {
        return S::read_key(&mut KeyReader::new(&[Cow::Borrowed(text)]));
    }
    let parts: Vec<Cow<'_, str>> = text
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy())
        .collect();
    if parts.len() > fields.len() {
        return Err(KeyError {
            field: fields[fields.len() - 1],
            what: format!(
                "the key has {} parts, but its fields are {fields:?}",
                parts.len()
            ),
        });
    }
    S::read_key(&mut KeyReader::new(&parts))
}

/// The text whose murmur2 hash decides the key's partition: that of the whole key, or of the
/// `#[partition_by]` fields alone.
#[must_use]
pub fn partition_text<S: State>(text: &str) -> Cow<'_, str> {
    let definition = S::DEFINITION;
    if definition.partition_by.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut chosen = definition
        .key_fields
        .iter()
        .zip(text.split('/'))
        .filter(|(field, _)| definition.partition_by.contains(field))
        .map(|(_, part)| part);
    let first = chosen.next().unwrap_or_default();
    match chosen.next() {
        // One field: its own text, so that a state whose whole key it is lands in the same partition.
        None => percent_decode_str(first).decode_utf8_lossy(),
        Some(second) => {
            let mut joined = format!("{first}/{second}");
            for part in chosen {
                joined.push('/');
                joined.push_str(part);
            }
            Cow::Owned(joined)
        }
    }
}
