use memgen::prelude::*;

#[stateful_api(path = "/orders/{order}/customers")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Order {
    #[key]
    customer: String,
    #[key]
    order: u32,
}

fn main() {}
