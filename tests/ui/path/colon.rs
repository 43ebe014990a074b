use memgen::prelude::*;

#[stateful_api(path = "/graph/:graph/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    graph: u32,
    #[key]
    id: u32,
}

fn main() {}
