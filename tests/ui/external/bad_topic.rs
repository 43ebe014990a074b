use memgen::prelude::*;

#[external(topic = "exchange rates")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Rate {
    #[key]
    currency: String,
    per_euro: f64,
}

fn main() {}
