use memgen::prelude::*;

#[external(topic = "rates")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Rate {
    currency: String,
    per_euro: f64,
}

fn main() {}
