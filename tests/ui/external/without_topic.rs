use memgen::prelude::*;

#[external(path = "/rate", crud(get))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Rate {
    #[key]
    currency: String,
    per_euro: f64,
}

fn main() {}
