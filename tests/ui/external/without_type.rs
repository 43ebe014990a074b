use memgen::prelude::*;

#[external(topic = "rates")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Rate {
    #[key]
    currency: String,
    per_euro: f64,
}

#[handler(get, "/rates")]
async fn count(rates: External) -> String {
    drop(rates);
    String::new()
}

fn main() {}
