//! A state with one key.
use memgen::prelude::*;
/// A vertex of the graph.
///
/// It knows its edges.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Vertex {
    /// Given by the client.
    pub id: u32,
    /// The smallest member of its component.
    pub component: u32,
}
#[automatically_derived]
impl ::memgen::private::Part for Vertex {}
#[automatically_derived]
impl ::memgen::State for Vertex {
    type Key = u32;
    const DEFINITION: ::memgen::state::Definition = ::memgen::state::Definition {
        name: "Vertex",
        doc: "A vertex of the graph.\n\nIt knows its edges.",
        collection: "/vertex",
        item: "/vertex/{id}",
        topic: "graph",
        partitions: 4u32,
        global: false,
        ack: &[],
        crud: &[::memgen::state::Crud::Get, ::memgen::state::Crud::List],
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
}
