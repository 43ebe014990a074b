//! A state whose values had other types before.

use memgen::prelude::*;

/// A vertex, as it was at first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VertexV1 {
    /// Given by the client.
    pub id: u32,
}

/// What was.
pub mod old {
    use memgen::prelude::*;

    /// A vertex, as it was then.
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    pub struct Vertex<R> {
        /// Given by the client.
        pub id: u32,
        /// What it is worth.
        pub rank: R,
    }
}

/// A vertex of the graph.
#[stateful_api(path = "/vertex")]
#[migrate(from = old::Vertex<u8>)]
#[migrate(from = VertexV1)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Vertex {
    #[key]
    /// Given by the client.
    pub id: u32,
    /// What it is worth.
    pub rank: String,
}

impl From<VertexV1> for Vertex {
    fn from(old: VertexV1) -> Self {
        Self {
            id: old.id,
            rank: "none".to_owned(),
        }
    }
}

impl From<old::Vertex<u8>> for Vertex {
    fn from(old: old::Vertex<u8>) -> Self {
        Self {
            id: old.id,
            rank: old.rank.to_string(),
        }
    }
}
