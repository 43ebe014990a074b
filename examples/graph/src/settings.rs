//! Settings: few, small, and the same for all partitions.

use memgen::prelude::*;
use serde_json::Value;

/// A setting. What it means is up to the clients.
#[stateful_api(
    path = "/settings",
    topic = "settings",
    global,
    crud(get, put, list, delete)
)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Settings {
    /// The setting's name.
    #[key]
    pub name: String,
    /// Any JSON.
    pub value: Value,
}
