//! Schemas of Avro, by which events are read and written whose format it is.
//!
//! In Confluent's wire format a value is a zero byte, the id of the schema that it was written with, and what Avro makes of it. A registry knows the schema of each id, and gives an id to
//! whoever writes to a topic, under the *subject* `TOPIC-value`. An event is read by the schema that it was written with, and resolved to that of the function's type.
//!
//! Events are decoded without waiting. So schemas are [brought](Schemas::bring) before: as long as the registry is away, the input waits, and says so. What is emitted goes into the outbox with
//! the text of its schema, and gets the id on its way to the topic: so commands never wait for a registry.
//!
//! | module | what |
//! |---|---|
//! | `registry` | what a registry is asked, and why it does not do it |
//! | `http`, `folder` | one that speaks Confluent's REST API; a folder |
//! | `wire` | the bytes |

mod folder;
mod http;
mod registry;
mod wire;

use std::{
    any::TypeId,
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use apache_avro::{
    AvroSchema, Schema, from_value, reader::datum::GenericDatumReader, types::Value,
    util::max_allocation_bytes, writer::datum::GenericDatumWriter,
};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::sleep;
use tracing::{info, warn};

use self::registry::{Failure, Registry};
use crate::config::{Config, LogChoice, SchemaRegistry};

/// The folder below that of the data where schemas are, if nothing is said and the log is there too.
const FOLDER: &str = "schemas";

/// The pause before a registry that is away is asked again, doubled each time up to the other.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Ids of which it is remembered why they have no schema; beyond it all are forgotten. What strangers write can have any.
const REFUSED_MAX: usize = 10_000;

/// What one text or list of an event may take in memory. A length that is garbage asks for more.
const ALLOCATION_MAX: usize = 64 << 20;

/// What is missing where there is no registry.
pub(crate) const MISSING: &str = "Avro needs a schema registry: set `--schema-registry`, to http://HOST:PORT/PATH or to a folder";

/// What is known of the schemas of a registry. An id means the same for ever.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    registry: Option<Registry>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_id: HashMap<u32, Arc<Schema>>,
    /// Why there is none with this id.
    refused: HashMap<u32, String>,
    /// By subject and text: the id.
    ids: HashMap<(String, Bytes), u32>,
}

/// What a type is read and written by.
#[derive(Debug)]
pub(crate) struct Codec {
    schema: Schema,
    text: Bytes,
}

impl Codec {
    pub(crate) fn of<T: AvroSchema>() -> Self {
        let schema = T::get_schema();
        let text = serde_json::to_vec(&schema).expect("a schema is JSON");
        Self {
            schema,
            text: text.into(),
        }
    }
}

impl Schemas {
    /// Those of the registry that the settings name.
    ///
    /// # Errors
    /// None; a build without Avro refuses the setting.
    #[allow(clippy::unnecessary_wraps, reason = "without the feature it can fail")]
    pub(crate) fn open(config: &Config) -> Result<Arc<Self>, String> {
        let is_embedded = config.log == LogChoice::Embedded;
        let beside = || is_embedded.then(|| SchemaRegistry::Folder(config.data.join(FOLDER)));
        let choice = config.schema_registry.clone().or_else(beside);
        max_allocation_bytes(ALLOCATION_MAX);
        Ok(Arc::new(Self {
            registry: choice.map(Registry::open),
            known: Mutex::default(),
        }))
    }

    /// Whether there is a registry.
    pub(crate) fn are_there(&self) -> bool {
        self.registry.is_some()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the schemas known that these values were written with, however long that takes. `say` is told what it waits for, and at the end that it does not any more.
    pub(crate) async fn bring(
        &self,
        values: impl Iterator<Item = &Bytes>,
        say: impl Fn(Option<String>),
    ) {
        let ids = values.filter_map(|value| wire::split(value).ok());
        let ids: BTreeSet<u32> = ids.map(|(id, _)| id).collect();
        let missing: Vec<u32> = {
            let known = self.known();
            let is_missing = |id: &u32| !known.by_id.contains_key(id);
            ids.into_iter().filter(is_missing).collect()
        };
        let Some(registry) = &self.registry else {
            return;
        };
        for id in missing {
            let what = format!("the schema {id}");
            let asked = insist(&what, || registry.schema(id), &say).await;
            let parsed = asked.and_then(|text| {
                Schema::parse_str(&text).map_err(|error| format!("it can't be used: {error}"))
            });
            let mut known = self.known();
            match parsed {
                Ok(schema) => {
                    known.by_id.insert(id, Arc::new(schema));
                }
                Err(why) => {
                    if known.refused.len() >= REFUSED_MAX {
                        known.refused.clear();
                    }
                    known.refused.insert(id, why);
                }
            }
        }
    }

    /// The schema of an id, if it was brought.
    fn writer(&self, id: u32) -> Result<Arc<Schema>, String> {
        let known = self.known();
        let found = known.by_id.get(&id).cloned();
        found.ok_or_else(|| match known.refused.get(&id) {
            Some(why) => format!("the schema {id} of it: {why}"),
            None => format!("the schema {id} of it is not known"),
        })
    }

    /// Reads a value by the schema that it was written with, which was brought, as one of the type that this is the codec of.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn read<E: DeserializeOwned>(
        &self,
        codec: &Codec,
        value: &[u8],
    ) -> Result<E, String> {
        let (id, mut body) = wire::split(value)?;
        let writer = self.writer(id)?;
        let of_schema = |error: apache_avro::Error| format!("by its schema {id}: {error}");
        let reader = GenericDatumReader::builder(&writer)
            .reader_schema(&codec.schema)
            .build()
            .map_err(of_schema)?;
        let value = reader.read_value(&mut body).map_err(of_schema)?;
        if !body.is_empty() {
            return Err(format!("by its schema {id}: {} bytes too many", body.len()));
        }
        from_value(&value).map_err(of_schema)
    }

    /// A value for a topic, of JSON.
    ///
    /// # Errors
    /// If it is none of the type that this is the codec of, or the registry refuses the schema.
    pub(crate) async fn of_json(
        &self,
        codec: &Codec,
        topic: &str,
        json: &[u8],
    ) -> Result<Bytes, String> {
        let json: serde_json::Value =
            serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let body = || {
            let value = Value::try_from(json)?.resolve(&codec.schema)?;
            let writer = GenericDatumWriter::builder(&codec.schema).build()?;
            writer.write_value_to_vec(value)
        };
        let body = body().map_err(|error: apache_avro::Error| error.to_string())?;
        self.frame(topic, &codec.text, &body).await
    }

    /// A value for a topic: `body` was written with the schema of this text, which is registered there if it is not yet, however long that takes.
    ///
    /// # Errors
    /// If the registry refuses the schema.
    pub(crate) async fn frame(
        &self,
        topic: &str,
        schema: &Bytes,
        body: &[u8],
    ) -> Result<Bytes, String> {
        let at = (format!("{topic}-value"), schema.clone());
        let known = self.known().ids.get(&at).copied();
        let id = if let Some(id) = known {
            id
        } else {
            let registry = self.registry.as_ref().ok_or(MISSING)?;
            let text = std::str::from_utf8(schema).map_err(|error| error.to_string())?;
            let what = format!("the subject {}", at.0);
            let registered = insist(&what, || registry.register(&at.0, text), &|_| {}).await;
            let id = registered.map_err(|why| format!("the schema for {what}: {why}"))?;
            self.known().ids.insert(at, id);
            id
        };
        Ok(wire::join(id, body))
    }
}

/// Asks a registry until it answers.
async fn insist<T, F: Future<Output = Result<T, Failure>>>(
    what: &str,
    ask: impl Fn() -> F,
    say: &impl Fn(Option<String>),
) -> Result<T, String> {
    let mut pause = PAUSE_MIN;
    loop {
        let answer = match ask().await {
            Ok(answer) => Ok(answer),
            Err(Failure::Refused(why)) => Err(why),
            Err(Failure::Away(why)) => {
                if pause == PAUSE_MIN {
                    warn!(what, why, "the schema registry does not answer");
                }
                say(Some(format!("the schema registry, for {what}: {why}")));
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                continue;
            }
        };
        if pause > PAUSE_MIN {
            info!(what, "the schema registry answers again");
            say(None);
        }
        return answer;
    }
}

/// Writes a value. Gives the text of its type's schema, and what Avro makes of the value.
///
/// # Errors
/// If it does not go with the schema.
pub(crate) fn written<T: AvroSchema + Serialize + 'static>(
    value: &T,
) -> Result<(Bytes, Bytes), String> {
    /// By type, since they are made anew each time that a type is asked.
    static CODECS: LazyLock<Mutex<HashMap<TypeId, Arc<Codec>>>> = LazyLock::new(Mutex::default);
    let codec = {
        let mut codecs = CODECS.lock().unwrap_or_else(PoisonError::into_inner);
        let codec = codecs.entry(TypeId::of::<T>());
        codec.or_insert_with(|| Arc::new(Codec::of::<T>())).clone()
    };
    let body = GenericDatumWriter::builder(&codec.schema)
        .build()
        .and_then(|writer| writer.write_ser_to_vec(value));
    let body = body.map_err(|error| error.to_string())?;
    Ok((codec.text.clone(), body.into()))
}

#[cfg(test)]
mod tests;
