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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Vertex {
    /// Given by the client.
    pub id: u32,
    /// What it is worth.
    pub rank: String,
}
#[automatically_derived]
impl ::memgen::private::Part for Vertex {}
#[automatically_derived]
impl ::memgen::State for Vertex {
    type Key = u32;
    const DEFINITION: ::memgen::state::Definition = ::memgen::state::Definition {
        name: "Vertex",
        doc: "A vertex of the graph.",
        collection: "/vertex",
        item: "/vertex/{id}",
        topic: "vertex",
        partitions: 1u32,
        global: false,
        ack: &[],
        crud: &[],
        key_fields: &["id"],
        key_names: &["id"],
        partition_by: &[],
        entity: ::core::option::Option::None,
    };
    fn key(&self) -> u32 {
        ::core::clone::Clone::clone(&self.id)
    }
    fn write_key(key: &u32, writer: &mut ::memgen::key::KeyWriter<'_>) {
        writer.part::<u32>(key);
    }
    fn read_key(
        reader: &mut ::memgen::key::KeyReader<'_>,
    ) -> ::core::result::Result<u32, ::memgen::key::KeyError> {
        reader.part::<u32>("id")
    }
    fn migrations() -> ::std::vec::Vec<::memgen::state::Migration<Self>> {
        ::std::vec::Vec::from([
            ::memgen::state::Migration::from::<old::Vertex<u8>>("old::Vertex<u8>"),
            ::memgen::state::Migration::from::<VertexV1>("VertexV1"),
        ])
    }
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
