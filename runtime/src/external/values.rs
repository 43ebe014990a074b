//! How a value is read of a record.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;

use super::{ExternalState, folded::Folded};
use crate::{
    key::{key_text, parse_key},
    keyed_body,
    record::Record,
    schemas::Schemas,
    stream::{Format, foreign},
};

/// JSON for a key that is gone.
pub(super) const NULL: &[u8] = b"null";

/// How values of `R` are read of records.
pub struct Values<R>(Kind<R>);

enum Kind<R> {
    /// JSON, in which the key may be left out, since the record has it.
    Json,
    #[cfg_attr(not(feature = "avro"), expect(dead_code, reason = "all are JSON"))]
    Other(Format<R>),
}

impl<R> Clone for Values<R> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Kind::Json => Kind::Json,
            Kind::Other(format) => Kind::Other(format.clone()),
        })
    }
}

impl<R> fmt::Debug for Values<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").finish_non_exhaustive()
    }
}

impl<R> Values<R> {
    /// Values that are JSON. The fields of the key may be left out: the record has them.
    #[must_use]
    pub fn json() -> Self {
        Self(Kind::Json)
    }

    /// Values of Avro, in Confluent's wire format. They are resolved to the schema of the type.
    #[cfg(feature = "avro")]
    #[must_use]
    pub fn avro() -> Self
    where
        R: apache_avro::AvroSchema + serde::de::DeserializeOwned,
    {
        Self(Kind::Other(Format::avro()))
    }
}

/// What a record does to a view.
pub(super) enum Change<R: ExternalState> {
    Put(R::Key, R),
    Delete(R::Key),
    /// It has a key, and no value that can be read: that is why.
    Unreadable(R::Key, String),
    /// Not even the key can be read.
    Keyless(String),
}

impl<R: ExternalState> Values<R> {
    pub(super) fn has_schemas(&self) -> bool {
        matches!(&self.0, Kind::Other(format) if format.has_schemas())
    }

    /// The schemas, if it takes them.
    pub(super) fn needed(&self, schemas: &Arc<Schemas>) -> Option<Arc<Schemas>> {
        self.has_schemas().then(|| schemas.clone())
    }

    /// What a record does. The schemas were brought. Whatever the type's own code does, it answers.
    pub(super) fn change(&self, schemas: &Schemas, record: &Record) -> Change<R> {
        let key = || {
            foreign(record)?;
            let text = std::str::from_utf8(&record.key);
            let text = text.map_err(|error| format!("its key: {error}"))?;
            parse_key::<Folded<R>>(text).map_err(|error| format!("its key: {error}"))
        };
        let key = caught(key);
        let key = match key {
            Ok(key) => key,
            Err(what) => return Change::Keyless(what),
        };
        let Some(value) = &record.value else {
            return Change::Delete(key);
        };
        match caught(|| self.read(schemas, &key, value)) {
            Ok(value) => Change::Put(key, value),
            Err(what) => Change::Unreadable(key, what),
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn read(&self, schemas: &Schemas, key: &R::Key, value: &Bytes) -> Result<R, String> {
        match &self.0 {
            Kind::Json => {
                let read = keyed_body::read::<Folded<R>>(value, key);
                Ok(read.map_err(|error| error.to_string())?.0)
            }
            Kind::Other(format) => {
                let value = format.read(schemas, value.clone())?;
                let own = value.key();
                if own == *key {
                    return Ok(value);
                }
                Err(format!(
                    "it says that its key is `{}`",
                    key_text::<Folded<R>>(&own)
                ))
            }
        }
    }

    /// The value for the topic of one that came from outside, perhaps as JSON. The schemas are brought that it takes to read it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) async fn admit(
        &self,
        schemas: &Schemas,
        topic: &str,
        value: Bytes,
        is_json: bool,
    ) -> Result<Bytes, String> {
        match &self.0 {
            Kind::Other(format) if !(is_json && value == NULL) => {
                format.admit(schemas, topic, value, is_json).await
            }
            _ => Ok(value),
        }
    }
}

/// What something says, or that it panicked.
fn caught<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let what = "its type panicked, as it was read";
        Err(what.to_owned())
    })
}
