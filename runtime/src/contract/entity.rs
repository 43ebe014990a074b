//! A state that keeps one value of a document under its key. `#[entity]` implements it.

use serde::{Serialize, de::DeserializeOwned};

use crate::state::State;

/// A state that consists of its key and one value: an entity as a document describes it.
///
/// `#[stateful_api]` implements it for a struct with a field that is marked `#[entity]`; the other fields are the key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no entity",
    label = "not a state of a document",
    note = "the struct needs `#[stateful_api(…)]`, `#[key]` at each key field, and `#[entity]` at the one field that is the entity"
)]
pub trait Entity: State {
    /// The type of the entity: what the document calls `Pet`, without the key of its path.
    type Value: Clone + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The name of the entity's field in the state's JSON.
    const FIELD: &'static str;

    /// The state with this key and this entity.
    fn with(key: Self::Key, value: Self::Value) -> Self;

    /// The entity.
    fn value(&self) -> &Self::Value;
}
