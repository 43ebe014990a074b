use memgen::prelude::*;

#[stateful_api(path = "/customers/{customer}/orders")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Order {
    customer: String,
    #[key]
    order: u32,
}

fn main() {}
