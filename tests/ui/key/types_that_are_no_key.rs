use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    weight: f64,
    #[key]
    name: Option<String>,
    #[key]
    path: Vec<u8>,
    #[key]
    pair: (u8, u8),
}

fn main() {}
