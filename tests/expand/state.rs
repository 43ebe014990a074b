//! A state with one key.

use memgen::prelude::*;

/// A vertex of the graph.
///
/// It knows its edges.
#[stateful_api(path = "/vertex", topic = "graph", partitions = 4, crud(get, list))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Vertex {
    /// Given by the client.
    #[key]
    pub id: u32,
    /// The smallest member of its component.
    pub component: u32,
}
