use memgen::prelude::*;

#[stateful_api(path = "/vertex", crud(put, watch))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
}

fn main() {}
