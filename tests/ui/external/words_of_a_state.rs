use memgen::prelude::*;

#[external(topic = "rates", partitions = 4, global, ack(os), dead_letters = "strange")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Rate {
    #[key]
    currency: String,
    per_euro: f64,
}

fn main() {}
