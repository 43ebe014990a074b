use memgen::prelude::*;

#[stateful_api(path = "/vertex", ack(leader,, os))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
}

fn main() {}
