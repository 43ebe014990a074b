use memgen::prelude::*;

#[external(topic = "rates")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Rate {
    #[key]
    #[partition_by]
    country: String,
    #[key]
    currency: String,
    per_euro: f64,
}

fn main() {}
