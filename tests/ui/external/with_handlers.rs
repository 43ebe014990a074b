use memgen::prelude::*;

#[external(topic = "rates", path = "/rate")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Rate {
    #[key]
    currency: String,
    per_euro: f64,
}

#[handlers]
impl Rate {
    #[get("/{currency}/half")]
    fn half(&self) -> f64 {
        self.per_euro / 2.0
    }
}

fn main() {}
