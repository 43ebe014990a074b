use memgen::prelude::*;

#[stateful_api(path = "/graph/{gid}/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    graph_id: u32,
    #[key]
    id: u32,
}

fn main() {}
