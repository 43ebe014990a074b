use memgen::prelude::*;

#[external(topic = "rates", format = "protobuf")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Rate {
    #[key]
    currency: String,
    per_euro: f64,
}

fn main() {}
