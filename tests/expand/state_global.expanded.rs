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
        crud: &[],
        key_fields: &["name"],
        key_names: &["name"],
        partition_by: &[],
    };
    fn key(&self) -> Self::Key {
        ::core::clone::Clone::clone(&self.name)
    }
    fn write_key(key: &Self::Key, writer: &mut ::memgen::key::KeyWriter<'_>) {
        writer.part(key);
    }
    fn read_key(
        reader: &mut ::memgen::key::KeyReader<'_>,
    ) -> ::core::result::Result<Self::Key, ::memgen::key::KeyError> {
        reader.part::<String>("name")
    }
}
const _: () = ::memgen::private::argument::assert_key_part::<String>();
