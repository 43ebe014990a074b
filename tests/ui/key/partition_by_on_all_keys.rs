use memgen::prelude::*;

#[stateful_api(path = "/orders")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Order {
    #[key]
    #[partition_by]
    customer: String,
    #[key]
    #[partition_by]
    order: u32,
}

fn main() {}
