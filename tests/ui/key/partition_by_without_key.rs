use memgen::prelude::*;

#[stateful_api(path = "/orders")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Order {
    #[partition_by]
    customer: String,
    #[key]
    order: u32,
    #[key]
    line: u32,
}

fn main() {}
