//! A state with a key of several fields, some of them in the path of the collection.

use memgen::prelude::*;

/// A line of an order.
#[stateful_api(path = "/customers/{customer}/lines", crud(get, list, post, put, patch, delete))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderLine {
    /// All orders of a customer are in one partition.
    #[key]
    #[partition_by]
    pub customer: String,
    /// Which order.
    #[key]
    pub order: Uuid,
    /// Which line of it.
    #[key]
    #[serde(rename = "kind")]
    pub r#type: u16,
    /// How many.
    pub quantity: u64,
}
