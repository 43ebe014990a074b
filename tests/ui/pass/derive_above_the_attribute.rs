use memgen::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[stateful_api(path = "/vertex")]
struct Vertex {
    #[key]
    id: u32,
}

fn main() {}
