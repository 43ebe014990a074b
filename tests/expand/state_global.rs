//! A state with one partition.

use memgen::prelude::*;

/// A setting that each node knows.
#[stateful_api(path = "/settings", global)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Setting {
    #[key]
    name: String,
    value: bool,
}
