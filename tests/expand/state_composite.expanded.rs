//! A state with a key of several fields, some of them in the path of the collection.
use memgen::prelude::*;
/// A line of an order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderLine {
    /// All orders of a customer are in one partition.
    pub customer: String,
    /// Which order.
    pub order: Uuid,
    /// Which line of it.
    #[serde(rename = "kind")]
    pub r#type: u16,
    /// How many.
    pub quantity: u64,
}
#[automatically_derived]
impl ::memgen::private::Part for OrderLine {}
#[automatically_derived]
impl ::memgen::State for OrderLine {
    type Key = (String, Uuid, u16);
    const DEFINITION: ::memgen::state::Definition = ::memgen::state::Definition {
        name: "OrderLine",
        doc: "A line of an order.",
        collection: "/customers/{customer}/lines",
        item: "/customers/{customer}/lines/{order}/{type}",
        topic: "order_line",
        partitions: 1u32,
        global: false,
        ack: &[],
        crud: &[
            ::memgen::state::Crud::Get,
            ::memgen::state::Crud::List,
            ::memgen::state::Crud::Post,
            ::memgen::state::Crud::Put,
            ::memgen::state::Crud::Patch,
            ::memgen::state::Crud::Delete,
        ],
        key_fields: &["customer", "order", "type"],
        key_names: &["customer", "order", "kind"],
        partition_by: &["customer"],
        entity: ::core::option::Option::None,
    };
    fn key(&self) -> (String, Uuid, u16) {
        (
            ::core::clone::Clone::clone(&self.customer),
            ::core::clone::Clone::clone(&self.order),
            ::core::clone::Clone::clone(&self.r#type),
        )
    }
    fn write_key(key: &(String, Uuid, u16), writer: &mut ::memgen::key::KeyWriter<'_>) {
        writer.part::<String>(&key.0);
        writer.part::<Uuid>(&key.1);
        writer.part::<u16>(&key.2);
    }
    fn read_key(
        reader: &mut ::memgen::key::KeyReader<'_>,
    ) -> ::core::result::Result<(String, Uuid, u16), ::memgen::key::KeyError> {
        ::core::result::Result::Ok((
            reader.part::<String>("customer")?,
            reader.part::<Uuid>("order")?,
            reader.part::<u16>("type")?,
        ))
    }
}
