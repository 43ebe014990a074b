//! Keys as text: in a path, in the log, in a cursor.
//!
//! A key has one canonical text. It is the record's key in the log, its bytes decide the partition, and its parts
//! are segments of the URL. One part is itself; several are joined by `/`, with `/` and `%` inside a part percent-encoded.

use std::{fmt::Write as _, str::FromStr};

use serde::{Serialize, de::DeserializeOwned};

/// The longest key text that is accepted, in bytes.
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

/// Writes the parts of a key as its canonical text.
#[derive(Debug)]
pub struct KeyWriter<'a> {
    text: &'a mut String,
    composite: bool,
    parts: usize,
}

impl<'a> KeyWriter<'a> {
    /// Appends to `text` a key of one part, or of several if `composite`.
    pub fn new(text: &'a mut String, composite: bool) -> Self {
        Self {
            text,
            composite,
            parts: 0,
        }
    }

    /// Writes the next part.
    ///
    /// # Panics
    /// If the part does not serialize as a plain scalar; [`KeyReader::part`] refuses such types first.
    pub fn part<T: KeyPart>(&mut self, part: &T) {
        if self.parts > 0 {
            self.text.push('/');
        }
        self.parts += 1;
        let scalar;
        let text = match (part as &dyn std::any::Any).downcast_ref::<String>() {
            Some(string) => string.as_str(),
            None => {
                scalar = serde_plain::to_string(part)
                    .expect("KeyReader::part accepts only types whose text reads and writes");
                scalar.as_str()
            }
        };
        if self.composite {
            for character in text.chars() {
                match character {
                    '/' => self.text.push_str("%2F"),
                    '%' => self.text.push_str("%25"),
                    other => self.text.push(other),
                }
            }
        } else {
            self.text.push_str(text);
        }
    }
}

/// Reads the parts of a key from text.
#[derive(Debug)]
pub struct KeyReader<'a> {
    parts: std::slice::Iter<'a, std::borrow::Cow<'a, str>>,
}

impl<'a> KeyReader<'a> {
    /// Reads from parts that were split and decoded already.
    #[must_use]
    pub fn new(parts: &'a [std::borrow::Cow<'a, str>]) -> Self {
        Self {
            parts: parts.iter(),
        }
    }

    /// Reads the next part, for the key field `field`.
    ///
    /// # Errors
    /// [`KeyError`] if there is none, or if its text is not a `T`.
    pub fn part<T: KeyPart>(&mut self, field: &'static str) -> Result<T, KeyError> {
        let _ = field;
        unimplemented!()
    }
}
