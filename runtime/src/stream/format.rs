//! How an event is read of a record's value.

use std::{fmt, iter, sync::Arc};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::schemas::{Codec, Schemas};

/// How an event is read of a record's value.
pub struct Format<E>(Kind<E>);

enum Kind<E> {
    /// All that is needed is in the value.
    Plain(fn(Bytes) -> Result<E, String>),
    /// In Confluent's wire format.
    #[cfg_attr(not(feature = "avro"), expect(dead_code, reason = "there is no codec"))]
    Avro(Arc<Codec>, ReadAvro<E>),
}

/// Reads a value whose schema was brought.
type ReadAvro<E> = fn(&Schemas, &Codec, &[u8]) -> Result<E, String>;

impl<E> Clone for Format<E> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Kind::Plain(read) => Kind::Plain(*read),
            Kind::Avro(codec, read) => Kind::Avro(codec.clone(), *read),
        })
    }
}

impl<E> fmt::Debug for Format<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Format").finish_non_exhaustive()
    }
}

// What a type needs stands with each function, so that whoever has a type without it is told so.
impl<E> Format<E> {
    /// Events that are JSON. A record without a value is `null`.
    #[must_use]
    pub fn json() -> Self
    where
        E: DeserializeOwned,
    {
        Self(Kind::Plain(|value| {
            let value = if value.is_empty() {
                &b"null"[..]
            } else {
                &value
            };
            serde_json::from_slice(value).map_err(|error| error.to_string())
        }))
    }

    /// Events that are bytes.
    #[must_use]
    pub fn bytes() -> Self
    where
        E: From<Bytes>,
    {
        Self(Kind::Plain(|value| Ok(value.into())))
    }

    /// Events of Avro, in Confluent's wire format. They are resolved to the schema of the type.
    #[cfg(feature = "avro")]
    #[must_use]
    pub fn avro() -> Self
    where
        E: apache_avro::AvroSchema + DeserializeOwned,
    {
        Self(Kind::Avro(Arc::new(Codec::of::<E>()), Schemas::read))
    }
}

impl<E> Format<E> {
    /// Whether it takes the schemas that values were written with.
    pub(crate) fn has_schemas(&self) -> bool {
        matches!(self.0, Kind::Avro(..))
    }

    /// The schemas, if it takes them.
    pub(super) fn needed(&self, schemas: &Arc<Schemas>) -> Option<Arc<Schemas>> {
        self.has_schemas().then(|| schemas.clone())
    }

    /// The event that a value is. If it takes schemas, they were brought.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn read(&self, schemas: &Schemas, value: Bytes) -> Result<E, String> {
        match &self.0 {
            Kind::Plain(read) => read(value),
            Kind::Avro(codec, read) => read(schemas, codec, &value),
        }
    }

    /// The value for a topic of an event that came from outside, perhaps as JSON. The schemas are brought that it takes to read it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) async fn admit(
        &self,
        schemas: &Schemas,
        topic: &str,
        value: Bytes,
        is_json: bool,
    ) -> Result<Bytes, String> {
        let Kind::Avro(codec, _) = &self.0 else {
            return Ok(value);
        };
        let value = if is_json {
            schemas.of_json(codec, topic, &value).await?
        } else {
            value
        };
        schemas.bring(iter::once(&value), |_| {}).await;
        Ok(value)
    }
}
