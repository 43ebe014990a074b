//! One entity inside a command: it may exist or not, and may be changed, made or removed.

use std::{fmt::Display, sync::Arc};

use bytes::Bytes;
use serde::Serialize;

use crate::{memory::Stored, state::State, stream::Emits};

/// The entity of a command's key, as it will be when all writes before it are done.
///
/// What a command leaves here becomes one record of the changelog, if it differs from before and if the reply is
/// not an error.
///
/// ```
/// use memgen::prelude::*;
///
/// #[stateful_api(path = "/counter")]
/// #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
/// pub struct Counter {
///     #[key]
///     pub name: String,
///     pub count: u64,
/// }
///
/// #[handlers]
/// impl Counter {
///     #[post("/{name}/increment")]
///     fn increment(entry: &mut Entry<Self>) -> Json<Counter> {
///         let name = entry.key().clone();
///         let counter = entry.or_insert_with(|| Counter { name, count: 0 });
///         counter.count += 1;
///         Json(counter.clone())
///     }
/// }
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Entry<S: State> {
    key: S::Key,
    before: Option<Arc<Stored<S>>>,
    edit: Edit<S>,
    emits: Emits,
}

/// What a command did to its entity.
#[derive(Debug)]
pub(crate) enum Edit<S> {
    Untouched,
    Set(S),
    Removed,
}

impl<S: State> Entry<S> {
    pub(crate) fn new(key: S::Key, before: Option<Arc<Stored<S>>>) -> Self {
        Self {
            key,
            before,
            edit: Edit::Untouched,
            emits: Emits::default(),
        }
    }

    /// The key, what the command did, and what it emitted.
    pub(crate) fn into_parts(self) -> (S::Key, Edit<S>, Emits) {
        (self.key, self.edit, self.emits)
    }

    pub(crate) fn emits(&self) -> &Emits {
        &self.emits
    }

    /// The key, whether or not an entity has it.
    pub fn key(&self) -> &S::Key {
        &self.key
    }

    /// The entity as it is now in this command, if there is one.
    pub fn get(&self) -> Option<&S> {
        match &self.edit {
            Edit::Untouched => self.before.as_ref().map(|stored| &stored.state),
            Edit::Set(state) => Some(state),
            Edit::Removed => None,
        }
    }

    /// The entity, to be changed, if there is one.
    pub fn get_mut(&mut self) -> Option<&mut S> {
        if let (Edit::Untouched, Some(before)) = (&self.edit, &self.before) {
            self.edit = Edit::Set(before.state.clone());
        }
        match &mut self.edit {
            Edit::Set(state) => Some(state),
            Edit::Untouched | Edit::Removed => None,
        }
    }

    /// Creates or replaces the entity. Its key fields must be [`key`](Self::key); otherwise the command fails with 500.
    pub fn insert(&mut self, state: S) -> &mut S {
        self.edit = Edit::Set(state);
        match &mut self.edit {
            Edit::Set(state) => state,
            Edit::Untouched | Edit::Removed => unreachable!("it was set on the line above"),
        }
    }

    /// The entity, made by `make` if there is none.
    ///
    /// # Panics
    /// Only if `make` does.
    pub fn or_insert_with(&mut self, make: impl FnOnce() -> S) -> &mut S {
        if self.get().is_none() {
            return self.insert(make());
        }
        self.get_mut().expect("get found it on the line above")
    }

    /// Emits a record to a topic that others read: a value as JSON, under a key that decides its partition.
    ///
    /// It happens with what the command changes or not at all, and arrives at least once, in order with all else that the partition of this entity emits. Of an error (a status from 400 on)
    /// nothing is emitted. What can't be serialized, is longer than a million bytes, or has a topic that can't be one fails the command with 500.
    ///
    /// ```
    /// use memgen::prelude::*;
    ///
    /// #[stateful_api(path = "/door", crud(get))]
    /// #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    /// pub struct Door {
    ///     #[key]
    ///     pub id: u32,
    ///     pub opened: u64,
    /// }
    ///
    /// #[handlers]
    /// impl Door {
    ///     #[post("/{id}/open")]
    ///     fn open(entry: &mut Entry<Self>) {
    ///         let id = *entry.key();
    ///         let door = entry.or_insert_with(|| Door { id, opened: 0 });
    ///         door.opened += 1;
    ///         let door = door.clone();
    ///         entry.emit("opened", id, &door);
    ///     }
    /// }
    /// # fn main() {}
    /// ```
    pub fn emit(&mut self, topic: &str, key: impl Display, value: &impl Serialize) {
        self.emits.json(topic, &key, value);
    }

    /// Emits bytes as they are. See [`emit`](Self::emit).
    pub fn emit_bytes(&mut self, topic: &str, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.emits.bytes(topic, key.into(), value.into());
    }

    /// Emits a value of Avro in Confluent's wire format, by the schema of its type (`#[derive(AvroSchema)]` of the crate `apache-avro`), which is registered as `TOPIC-value`. As long as the
    /// registry is away, or refuses the schema, it stays in the outbox with all that is emitted after it. See [`emit`](Self::emit).
    ///
    /// ```
    /// use apache_avro::AvroSchema;
    /// use memgen::prelude::*;
    ///
    /// #[stateful_api(path = "/door", crud(get))]
    /// #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    /// pub struct Door {
    ///     #[key]
    ///     pub id: u32,
    ///     pub opened: i64,
    /// }
    ///
    /// /// What others read.
    /// #[derive(Serialize, AvroSchema)]
    /// struct Opened {
    ///     door: i64,
    ///     times: i64,
    /// }
    ///
    /// #[handlers]
    /// impl Door {
    ///     #[post("/{id}/open")]
    ///     fn open(entry: &mut Entry<Self>) {
    ///         let id = *entry.key();
    ///         let door = entry.or_insert_with(|| Door { id, opened: 0 });
    ///         door.opened += 1;
    ///         let opened = Opened { door: id.into(), times: door.opened };
    ///         entry.emit_avro("opened", id, &opened);
    ///     }
    /// }
    /// # fn main() {}
    /// ```
    #[cfg(feature = "avro")]
    pub fn emit_avro<T: apache_avro::AvroSchema + Serialize + 'static>(
        &mut self,
        topic: &str,
        key: impl Display,
        value: &T,
    ) {
        self.emits.avro(topic, &key, value);
    }

    /// Removes the entity. Returns it if there was one.
    pub fn remove(&mut self) -> Option<S> {
        let removed = self.get().cloned();
        self.edit = if self.before.is_some() {
            Edit::Removed
        } else {
            Edit::Untouched
        };
        removed
    }
}
