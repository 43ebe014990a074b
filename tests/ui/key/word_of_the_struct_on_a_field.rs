use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
    #[topic = "graph"]
    component: u32,
    #[crud(get)]
    edges: Vec<u32>,
}

fn main() {}
