use memgen::prelude::*;

#[external(topic = "rates", path = "/rate", crud(get, put, delete, watch))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Rate {
    #[key]
    currency: String,
    per_euro: f64,
}

fn main() {}
