//! The pictures themselves, kept like everything else: in memory and in the log.

use memgen::{contract::Base64, prelude::*};

/// The longest picture, in bytes.
pub const BYTES_MAX: usize = 512 << 10;

/// A picture of a pet.
#[stateful_api(path = "/_pictures", topic = "picture", partitions = 16)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Picture {
    /// Its id.
    #[key]
    pub id: Uuid,
    /// The number of the pet.
    pub pet: i64,
    /// What it is, such as `image/png`.
    pub media_type: String,
    /// What is in it.
    #[schemars(with = "String")]
    pub bytes: Base64,
}
