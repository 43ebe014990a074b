//! The fingerprint of a state's layout, which each record carries.

use crate::state::State;

/// A hash of the state's JSON Schema. It differs when the layout does, and is the same at each node.
pub(crate) fn fingerprint<S: State>() -> u64 {
    let schema = schemars::schema_for!(S);
    let text = serde_json::to_vec(&schema).expect("a schema is JSON");
    xxhash_rust::xxh3::xxh3_64(&text)
}
