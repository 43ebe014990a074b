use memgen::prelude::*;

#[stateful_api(path = 5)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
}

fn main() {}
