use memgen::prelude::*;

#[stateful_api(path = "/vertex", crud(create, read, update, delete))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
}

fn main() {}
