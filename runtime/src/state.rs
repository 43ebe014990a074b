//! What a state struct is to the runtime. `#[stateful_api]` implements it.

use serde::{Serialize, de::DeserializeOwned};

use crate::key::{KeyError, KeyReader, KeyWriter};
pub use crate::log::Ack;
pub use crate::migration::Migration;

/// What was declared of a state.
#[derive(Debug)]
pub struct Definition {
    /// The struct's name.
    pub name: &'static str,
    /// The struct's doc comment.
    pub doc: &'static str,
    /// The path of the collection, such as `/vertex` or `/customers/{customer}/orders`.
    pub collection: &'static str,
    /// The path of one entity, such as `/vertex/{id}`.
    pub item: &'static str,
    /// The changelog topic.
    pub topic: &'static str,
    /// How many partitions the topic has. A global state has one.
    pub partitions: u32,
    /// One owner and, in a cluster, a copy on every node.
    pub global: bool,
    /// When a write counts, unless the settings say so: at most one level for each kind of log.
    pub ack: &'static [Ack],
    /// The operations that need no code.
    pub crud: &'static [Crud],
    /// The key's fields in the order of the key.
    pub key_fields: &'static [&'static str],
    /// The names of the key's fields in the entity's JSON (`#[serde(rename = …)]`), in the same order.
    pub key_names: &'static [&'static str],
    /// The key fields that decide the partition; all of them if empty.
    pub partition_by: &'static [&'static str],
    /// The name of the field that a document describes (`#[entity]`), in the entity's JSON.
    pub entity: Option<&'static str>,
}

impl Definition {
    /// Whether it has change feeds: `crud(…, watch)`.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        let mut at = 0;
        while at < self.crud.len() {
            if matches!(self.crud[at], Crud::Watch) {
                return true;
            }
            at += 1;
        }
        false
    }
}

/// An operation that a state has without code, by the word in `crud(…)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crud {
    /// `GET` of one entity.
    Get,
    /// `GET` of the collection, by pages.
    List,
    /// `POST` to the collection: a new entity, 409 if its key exists.
    Post,
    /// `PUT` of one entity: created or replaced.
    Put,
    /// `PATCH` of one entity: JSON merge patch.
    Patch,
    /// `DELETE` of one entity.
    Delete,
    /// `GET` as a feed: the current value, then each change.
    Watch,
}

/// A struct whose instances are kept in memory, one per key, and in the log.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state",
    label = "not a state",
    note = "annotate the struct with `#[stateful_api(path = \"/…\", crud(get, …))]`; one with `#[external(…)]` is only looked at, by an argument `External<…>`"
)]
pub trait State: StateData {
    /// The key: the type of the `#[key]` field, or a tuple of the types of all.
    type Key: Ord + Clone + Send + Sync + 'static;

    /// What was declared.
    const DEFINITION: Definition;

    /// The key of this entity.
    fn key(&self) -> Self::Key;

    /// Writes each part of the key, in order.
    fn write_key(key: &Self::Key, writer: &mut KeyWriter<'_>);

    /// Reads each part of the key, in order.
    ///
    /// # Errors
    /// [`KeyError`] names the field whose text is not one of its type.
    fn read_key(reader: &mut KeyReader<'_>) -> Result<Self::Key, KeyError>;

    /// The types that values in the log may have had before (`#[migrate(from = …)]`).
    #[must_use]
    fn migrations() -> Vec<Migration<Self>> {
        Vec::new()
    }
}

/// What a state struct derives. It is implemented for every type that has all of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lacks a derive that a state needs",
    label = "derive `Clone`, `Serialize`, `Deserialize` and `JsonSchema`",
    note = "a state has `#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]`, and can be sent to other threads"
)]
pub trait StateData:
    Clone + Serialize + DeserializeOwned + schemars::JsonSchema + Send + Sync + 'static
{
}

#[diagnostic::do_not_recommend]
impl<T> StateData for T where
    T: Clone + Serialize + DeserializeOwned + schemars::JsonSchema + Send + Sync + 'static
{
}
