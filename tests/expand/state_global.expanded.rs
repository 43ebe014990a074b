//! A state with one partition.
use memgen::prelude::*;
/// A setting that each node knows.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Setting {
    name: String,
    value: bool,
}
#[automatically_derived]
impl ::memgen::private::Part for Setting {}
#[automatically_derived]
impl ::memgen::State for Setting {
    type Key = String;
    const DEFINITION: ::memgen::state::Definition = ::memgen::state::Definition {
        name: "Setting",
        doc: "A setting that each node knows.",
        collection: "/settings",
        item: "/settings/{name}",
        topic: "setting",
        partitions: 1u32,
        global: true,
        ack: &[],
        crud: &[],
        key_fields: &["name"],
        key_names: &["name"],
        partition_by: &[],
        entity: ::core::option::Option::None,
    };
    fn key(&self) -> String {
        ::core::clone::Clone::clone(&self.name)
    }
    fn write_key(key: &String, writer: &mut ::memgen::key::KeyWriter<'_>) {
        writer.part::<String>(key);
    }
    fn read_key(
        reader: &mut ::memgen::key::KeyReader<'_>,
    ) -> ::core::result::Result<String, ::memgen::key::KeyError> {
        reader.part::<String>("name")
    }
}
